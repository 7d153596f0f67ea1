// A conversation with a model: lines from a terminal or a pipe, answers on stdout. With --render: what a chat template
// makes of a file, without a model.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include "command_line.hpp"
#include "terminal.hpp"

namespace {

using nlohmann::ordered_json;

struct Arguments {
    command_line::ModelFlags model;
    command_line::GenerateFlags generate;
    std::string system, template_file, render;
    bool verbose = false;
};

void define(CLI::App& app, Arguments& a) {
    a.generate.max_new_tokens = -1;  // the model ends its turn
    command_line::define(app, a.model);
    auto* system = app.add_option("--system", a.system, "a system message in front of the conversation");
    app.add_option("--template", a.template_file, "chat template to use in place of the model's");
    command_line::define(app, a.generate);
    app.add_flag("-v,--verbose", a.verbose, "figures of each answer on stderr, also where that is no terminal");
    app.add_option("--render", a.render,
                   "print what the template makes of this JSON object of variables (messages, tools, "
                   "add_generation_prompt, bos_token, ...; - for stdin), and end; needs no weights")
        ->excludes(system);
}

std::shared_ptr<const eigenlm::ChatTemplate> find_template(const Arguments& a) {
    using eigenlm::ChatTemplate;
    const auto share = [](ChatTemplate&& t) { return std::make_shared<const ChatTemplate>(std::move(t)); };
    const std::filesystem::path folder = command_line::model_path(a.model.model);
    const bool no_model = a.model.model.empty() && !a.render.empty();  // the variables have all that is wanted
    if (!no_model && !std::filesystem::exists(folder))
        throw eigenlm::IoError(folder.string(), "no such folder or file");
    if (!a.template_file.empty()) {
        const std::string source = command_line::read_text(a.template_file);
        return share(no_model ? ChatTemplate::from_text(source, a.template_file)
                              : ChatTemplate::from_text(source, a.template_file, folder));
    }
    if (auto found = ChatTemplate::load(folder)) return share(std::move(*found));
    throw eigenlm::IoError(folder.string(),
                           "the model has no chat template (a chat_template.jinja, or chat_template in its "
                           "tokenizer_config.json): name one with --template FILE.jinja");
}

/// The object in a text. Its keys keep their order: templates write tools as they stand in the file.
ordered_json parse_object(const std::string& text, const std::string& where) {
    constexpr int deepest = 64;
    const auto limit = [&](int depth, ordered_json::parse_event_t, ordered_json&) {
        if (depth > deepest) throw eigenlm::FormatError(where, "JSON nested deeper than " + std::to_string(deepest));
        return true;
    };
    try {
        ordered_json object = ordered_json::parse(text, limit);
        if (object.is_object()) return object;
        throw eigenlm::FormatError(where, std::string("expected a JSON object, found ") + object.type_name());
    } catch (const ordered_json::exception& e) {
        throw eigenlm::FormatError(where, std::string("not valid JSON: ") + e.what());
    }
}

void render(const Arguments& a) {
    const ordered_json variables = parse_object(command_line::read_text(a.render), a.render);
    std::cout << find_template(a)->render(variables);
}

void write_new_file(const std::string& path, std::string_view content) {
    const auto check = [&](bool good) {
        if (!good) throw eigenlm::IoError(path, std::strerror(errno));
    };
    const terminal::Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    check(file.get() >= 0);
    while (!content.empty()) {
        const ssize_t count = write(file.get(), content.data(), content.size());
        check(count > 0);
        content.remove_prefix(static_cast<std::size_t>(count));
    }
    check(fsync(file.get()) == 0);
}
/// Writes a file anew, whole or not at all.
void replace_file(const std::string& path, const std::string& content) {
    if (std::filesystem::exists(path) && !std::filesystem::is_regular_file(path))
        throw eigenlm::IoError(path, "expected a regular file");
    const std::string fresh = path + ".new-" + std::to_string(getpid());
    try {
        write_new_file(fresh, content);
        std::filesystem::rename(fresh, path);
    } catch (...) {
        std::error_code ignored;
        std::filesystem::remove(fresh, ignored);
        throw;
    }
}

/// The program's side of a conversation: lines in, answers and commands out. What is said about the conversation, and
/// not in it, goes to stderr.
class Chat {
  public:
    Chat(const Arguments& arguments, eigenlm::Conversation conversation, const terminal::Interrupts& interrupts,
         bool interactive)
        : options_(command_line::generate_options(arguments.generate)),
          figures_(arguments.verbose || isatty(STDERR_FILENO)),
          interactive_(interactive),
          conversation_(std::move(conversation)),
          interrupts_(interrupts),
          lines_(interrupts) {
        conversation_.set_system(arguments.system);
    }

    /// Until the input ends or somebody quits. On a terminal an error is told and the conversation goes on; in a
    /// pipe nobody would see it, and it ends the program.
    void run() {
        say("Ctrl-C stops an answer, Ctrl-D leaves, /help lists the commands");
        for (std::string line; !quit_ && read(line);) {
            try {
                take(line);
            } catch (const eigenlm::StateError& e) {
                tell(e, " (/reset forgets the conversation)");
            } catch (const std::exception& e) {
                tell(e);
            }
        }
    }

  private:
    struct Command {
        std::string_view name, argument, help;
        void (Chat::*run)(const std::string&);
    };
    static std::span<const Command> commands() {
        static constexpr Command all[] = {
            {"/reset", "", "forget the conversation, but for its system message", &Chat::reset},
            {"/system", "[TEXT]", "put this system message in front, or none; the conversation goes on", &Chat::system},
            {"/save", "FILE", "write the conversation to a JSON file", &Chat::save},
            {"/load", "FILE", "go on with the conversation of such a file", &Chat::load},
            {"/help", "", "this list", &Chat::help},
            {"/quit", "", "leave; as Ctrl-D", &Chat::leave},
        };
        return all;
    }

    /// For somebody at the terminal: text as it is, a line, or the exception that is being handled.
    void prompt(const std::string& text) const {
        if (!interactive_) return;
        std::FILE* const out = isatty(STDERR_FILENO) || !isatty(STDOUT_FILENO) ? stderr : stdout;
        std::fputs(text.c_str(), out);
        std::fflush(out);
    }
    void say(const std::string& text) const { prompt(text + '\n'); }
    void tell(const std::exception& e, const char* hint = "") const {
        if (!interactive_) throw;
        say(std::string("chat: ") + e.what() + hint);
    }

    /// The next line, with those that a backslash at the end joins to it. False where the input has ended.
    bool read(std::string& line) {
        using Event = terminal::Lines::Event;
        line.clear();
        for (std::string part;;) {
            prompt(line.empty() ? "> " : "... ");
            const Event event = lines_.next(part);
            if (event == Event::interrupt) {
                line.clear();
                say("\n(Ctrl-D or /quit leaves)");
                continue;
            }
            if (event == Event::end) {
                prompt("\n");
                return !line.empty();
            }
            line += part;
            if (!line.ends_with('\\')) return true;
            line.back() = '\n';
        }
    }

    void take(const std::string& line) {
        if (line.empty()) return;
        if (!line.starts_with('/')) return answer(line);
        const std::string name = line.substr(0, line.find_first_of(" \n"));
        const auto text = line.find_first_not_of(" \n", name.size());
        const std::string argument = text == std::string::npos ? "" : line.substr(text);
        const auto command = std::ranges::find(commands(), std::string_view(name), &Command::name);
        if (command == commands().end())
            throw eigenlm::ArgumentError(
                name, "expected one of " + names() + " (a line that is no command may begin with a space)");
        if (command->argument == "FILE" && argument.empty()) throw eigenlm::ArgumentError(name, "expected a file");
        if (command->argument.empty() && !argument.empty())
            throw eigenlm::ArgumentError(name, "expected nothing more, found \"" + argument + '"');
        (this->*command->run)(argument);
    }
    static std::string names() {
        std::string all;
        for (const Command& command : commands()) all += (all.empty() ? "" : ", ") + std::string(command.name);
        return all;
    }

    void answer(const std::string& text) {
        std::stop_source stop;
        eigenlm::GenerateOptions options = options_;
        options.cancel = stop.get_token();
        options.progress = command_line::progress_line();
        const terminal::StopOnInterrupt guard(interrupts_, stop);
        eigenlm::Answer answer = conversation_.ask(text, std::move(options));
        for (const std::string_view piece : answer) std::cout << piece << std::flush;
        if (answer.ids().empty()) return say("\r\033[K(no answer: the question is forgotten)");  // over a progress line
        std::cout << std::endl;
        if (!std::cout) throw eigenlm::IoError("stdout", "cannot write");
        if (figures_) print_figures(answer);
    }
    void print_figures(const eigenlm::Answer& answer) const {
        const eigenlm::GenerationTiming& t = answer.timing();
        std::fprintf(stderr,
                     "[prefilled %zu new tokens, %zu from the cache, %.1f tokens/s | decoded %zu tokens, %.1f tokens/s "
                     "| context %zu of %zu | stop: %s]\n",
                     t.prefill_tokens, t.reused_tokens, t.prefill_tokens_per_second(), t.decode_tokens,
                     t.decode_tokens_per_second(), conversation_.length(), conversation_.capacity(),
                     eigenlm::to_string(answer.stop_reason()));
    }

    void reset(const std::string&) {
        conversation_.reset();
        say(conversation_.messages().empty() ? "forgotten" : "forgotten, but for the system message");
    }
    void system(const std::string& text) {
        conversation_.set_system(text);
        say(text.empty() ? "no system message now; the conversation goes on"
                         : "system message set; the conversation goes on, and is read anew");
    }
    void save(const std::string& file) {
        ordered_json all = conversation_.variables();
        all["messages"] = conversation_.messages();
        replace_file(file, all.dump(2, ' ', false, ordered_json::error_handler_t::replace) + '\n');
        say("saved " + std::to_string(conversation_.messages().size()) + " messages");
    }
    void load(const std::string& file) {
        ordered_json variables = parse_object(eigenlm::read_text(file), file);
        ordered_json messages = variables.value("messages", ordered_json());
        variables.erase("messages");
        variables.erase("add_generation_prompt");
        try {
            conversation_.set_messages(std::move(messages));
        } catch (const eigenlm::ArgumentError& e) {
            throw eigenlm::FormatError(file, e.what());
        }
        conversation_.set_variables(std::move(variables));
        say("loaded " + std::to_string(conversation_.messages().size()) + " messages");
    }
    void help(const std::string&) {
        for (const Command& c : commands()) {
            std::string usage = std::string(c.name) + ' ' + std::string(c.argument);
            usage.resize(16, ' ');
            std::cerr << "  " << usage << c.help << '\n';
        }
        std::cerr << "A backslash at the end of a line goes on with the next one. A line that begins with a space is "
                     "never a command.\n";
    }
    void leave(const std::string&) { quit_ = true; }

    eigenlm::GenerateOptions options_;
    bool figures_, interactive_, quit_ = false;
    eigenlm::Conversation conversation_;
    const terminal::Interrupts& interrupts_;
    terminal::Lines lines_;
};

void chat(const Arguments& a) {
    const bool interactive = isatty(STDIN_FILENO);
    const terminal::Interrupts interrupts(interactive);
    eigenlm::ConversationOptions options;
    options.chat_template = find_template(a);  // before the weights, which may take long

    std::stop_source stop;
    eigenlm::ModelOptions load = command_line::model_options(a.model);
    load.progress = command_line::progress_line();
    load.cancel = stop.get_token();
    const auto lm = [&] {
        const terminal::StopOnInterrupt guard(interrupts, stop);
        return eigenlm::load(command_line::model_path(a.model.model), load);
    }();
    options.session.context = lm.context();
    options.session.cache_type = command_line::cache_type(a.model.cache_type);
    Chat(a, lm.conversation(std::move(options)), interrupts, interactive).run();
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("A conversation with a language model, on the CPU.", "chat");
    Arguments arguments;
    define(app, arguments);
    return command_line::run(app, argc, argv, [&] { arguments.render.empty() ? chat(arguments) : render(arguments); });
}
