// Text from a model, streamed to stdout; figures on stderr, or one JSON object with --json.
#include <chrono>
#include <cstdint>
#include <string>

#include "command_line.hpp"

namespace {

struct Arguments {
    command_line::ModelFlags model;
    command_line::GenerateFlags generate;
    std::string prompt = "Once upon a time", file;
    bool ignore_eos = false, no_cache = false, json = false, no_display_prompt = false;
};

void define(CLI::App& app, Arguments& a) {
    command_line::define(app, a.model);
    auto* prompt = app.add_option("-p,--prompt", a.prompt, "text to continue")->capture_default_str();
    app.add_option("-f,--file", a.file, "read the prompt from this file, - for stdin")->excludes(prompt);
    command_line::define(app, a.generate);
    app.add_flag("--ignore-eos", a.ignore_eos, "go on after an end-of-sequence token");
    app.add_flag("--no-cache", a.no_cache, "recompute the whole text for every token");
    app.add_flag("--json", a.json, "print one JSON object instead of the text");
    app.add_flag("--no-display-prompt", a.no_display_prompt, "do not repeat the prompt before the answer");
}

eigenlm::GenerateOptions options(const Arguments& a) {
    eigenlm::GenerateOptions o = command_line::generate_options(a.generate);
    o.ignore_eos = a.ignore_eos;
    o.use_cache = !a.no_cache;
    o.context = a.model.context;
    o.cache_type = command_line::cache_type(a.model.cache_type);
    o.progress = command_line::progress_line();
    return o;
}

void print_json(const eigenlm::LanguageModel& lm, const eigenlm::Generation& answer, const std::string& text,
                double load_s) {
    const auto& timing = answer.timing();
    const nlohmann::ordered_json result = {
        {"prompt_ids", answer.prompt_ids()},
        {"ids", answer.ids()},
        {"text", text},
        {"stop", eigenlm::to_string(answer.stop_reason())},
        {"timing",
         {{"load_s", load_s},
          {"prefill_tokens_per_s", timing.prefill_tokens_per_second()},
          {"decode_tokens_per_s", timing.decode_tokens_per_second()}}},
        {"isa", eigenlm::to_string(lm.isa())},
        {"dtype", eigenlm::to_string(lm.dtype())},
        {"peak_rss_bytes", command_line::peak_rss_bytes()},
    };
    // A text cut within a character is no UTF-8: JSON gets U+FFFD there, the ids tell the rest.
    std::cout << result.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
}

void print_figures(const eigenlm::LanguageModel& lm, const eigenlm::Generation& answer, double load_s,
                   std::uint64_t seed) {
    const auto& t = answer.timing();
    std::fprintf(
        stderr,
        "\nload %.2f s | prefill %zu tokens, %.1f tokens/s | decode %zu tokens, %.1f tokens/s | stop: %s | %s, %s, "
        "%zu threads, seed %llu, peak %.0f MB\n",
        load_s, t.prefill_tokens, t.prefill_tokens_per_second(), t.decode_tokens, t.decode_tokens_per_second(),
        eigenlm::to_string(answer.stop_reason()), eigenlm::to_string(lm.isa()), eigenlm::to_string(lm.dtype()),
        lm.threads(), static_cast<unsigned long long>(seed), static_cast<double>(command_line::peak_rss_bytes()) / 1e6);
}

void generate(const Arguments& a) {
    const std::string prompt = a.file.empty() ? a.prompt : command_line::read_text(a.file);
    eigenlm::ModelOptions load = command_line::model_options(a.model);
    load.progress = command_line::progress_line();
    const auto begin = std::chrono::steady_clock::now();
    const eigenlm::LanguageModel lm = eigenlm::load(command_line::model_path(a.model.model), load);
    const double load_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

    const eigenlm::GenerateOptions wish = options(a);
    eigenlm::Generation answer = lm.generate(prompt, wish);
    if (a.json) {
        const std::string text = answer.text();
        print_json(lm, answer, text, load_s);
        return;
    }
    if (!a.no_display_prompt) std::cout << prompt << std::flush;
    for (const std::string_view piece : answer) std::cout << piece << std::flush;
    std::cout << std::endl;
    print_figures(lm, answer, load_s, wish.seed);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Continues a text with a language model, on the CPU.", "generate");
    Arguments arguments;
    define(app, arguments);
    return command_line::run(app, argc, argv, [&] { generate(arguments); });
}
