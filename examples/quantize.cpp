// A model into a GGUF file of another type: figures on stdout, or one JSON object with --json.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>

#include "command_line.hpp"
#include "terminal.hpp"

namespace {

struct Arguments {
    std::string in, out, type;
    std::size_t threads = 0;
    bool json = false;
};

void define(CLI::App& app, Arguments& a) {
    std::vector<std::string> types;
    for (const eigenlm::Dtype type : eigenlm::all_file_types) types.push_back(eigenlm::to_string(type));
    app.add_option("IN", a.in, "Hugging Face model folder or GGUF file")->required();
    app.add_option("OUT", a.out, "GGUF file to write")->required();
    app.add_option("--type,TYPE", a.type, "type of the matrices, in upper or lower case")
        ->required()
        ->check(CLI::IsMember(types, CLI::ignore_case));
    app.add_option("-t,--threads", a.threads, "threads, 0: all")->check(CLI::Range(0, 1024))->capture_default_str();
    app.add_flag("--json", a.json, "print one JSON object instead of lines");
}

double bits_per_weight(std::size_t bytes, std::size_t weights) {
    return 8 * static_cast<double>(bytes) / static_cast<double>(weights);
}

eigenlm::TypeFigures sum(const eigenlm::QuantisedModel& model) {
    eigenlm::TypeFigures all;
    for (const eigenlm::TypeFigures& f : model.types)
        all.tensors += f.tensors, all.weights += f.weights, all.bytes += f.bytes;
    return all;
}

void print_json(const Arguments& a, const eigenlm::QuantisedModel& model, double seconds) {
    nlohmann::ordered_json types = nlohmann::ordered_json::object();
    const auto figures = [](const eigenlm::TypeFigures& f) -> nlohmann::ordered_json {
        return {{"tensors", f.tensors},
                {"weights", f.weights},
                {"bytes", f.bytes},
                {"bits_per_weight", bits_per_weight(f.bytes, f.weights)}};
    };
    for (const eigenlm::TypeFigures& f : model.types) types[eigenlm::to_string(f.type)] = figures(f);
    nlohmann::ordered_json result = {{"out", a.out}, {"types", types}};
    result.update(figures(sum(model)));
    result["file_bytes"] = model.file_bytes;
    result["requantised"] = model.requantised;
    result["has_tokenizer"] = model.has_tokenizer;
    result["seconds"] = seconds;
    result["peak_rss_bytes"] = command_line::peak_rss_bytes();
    std::cout << result.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
}

void print_figures(const eigenlm::QuantisedModel& model, double seconds) {
    const auto line = [](const char* name, const eigenlm::TypeFigures& f, const char* end) {
        std::printf("%-6s %5zu tensors %12.3f MB %6.2f bits per weight%s", name, f.tensors,
                    static_cast<double>(f.bytes) / 1e6, bits_per_weight(f.bytes, f.weights), end);
    };
    for (const eigenlm::TypeFigures& f : model.types) line(eigenlm::to_string(f.type), f, "\n");
    line("all", sum(model), "");
    std::printf(" | %.2f s, peak %.0f MB%s%s\n", seconds, static_cast<double>(command_line::peak_rss_bytes()) / 1e6,
                model.requantised ? " | requantised: the errors of both types add up" : "",
                model.has_tokenizer ? "" : " | without a tokenizer");
}

void quantize(const Arguments& a) {
    std::signal(SIGXFSZ, SIG_IGN);  // a file above the limit is an error, and not the end
    const terminal::Interrupts interrupts(true, {SIGINT, SIGTERM, SIGHUP});
    std::stop_source stop;
    eigenlm::QuantiseOptions options;
    options.type = eigenlm::file_type_from_string(a.type, "--type");
    options.threads = a.threads;
    options.progress = command_line::progress_line();
    options.cancel = stop.get_token();
    const auto begin = std::chrono::steady_clock::now();
    const terminal::StopOnInterrupt guard(interrupts, stop);
    const eigenlm::QuantisedModel model = eigenlm::quantise_model(a.in, a.out, options);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    a.json ? print_json(a, model, seconds) : print_figures(model, seconds);
    if (std::fflush(stdout) != 0) throw eigenlm::IoError("stdout", "cannot write");
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Writes a model as a GGUF file, its weights in a type of your choice.", "quantize");
    Arguments arguments;
    define(app, arguments);
    return command_line::run(app, argc, argv, [&] { quantize(arguments); });
}
