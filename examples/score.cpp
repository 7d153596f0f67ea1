// How likely a model finds a text: perplexity, as a line or as one JSON object with --json.
#include <cstdint>
#include <string>

#include "command_line.hpp"

namespace {

struct Arguments {
    std::string model, file, dtype, numerics;
    std::size_t threads = 0, context = 0, stride = 0;
    bool json = false;
};

void define(CLI::App& app, Arguments& a) {
    app.add_option("-m,--model", a.model,
                   "Hugging Face model folder or GGUF file (default: the embedded tiny story model)");
    app.add_option("-f,--file", a.file, "the text, - for stdin")->required();
    app.add_option("-t,--threads", a.threads, "threads, 0: all")->check(CLI::Range(0, 1024))->capture_default_str();
    app.add_option("-c,--ctx-size", a.context, "tokens of a window, 0: the model's context")
        ->check(CLI::Range(0, 1 << 24))
        ->capture_default_str();
    app.add_option("--stride", a.stride, "tokens from one window to the next, 0: half of the context")
        ->check(CLI::Range(0, 1 << 24))
        ->capture_default_str();
    command_line::add_dtype(app, a.dtype);
    command_line::add_numerics(app, a.numerics);
    app.add_flag("--json", a.json, "print one JSON object with the score of every token");
}

void score(const Arguments& a) {
    const std::string text = command_line::read_text(a.file);
    eigenlm::ModelOptions load;
    load.threads = a.threads;
    load.dtype = command_line::weight_type(a.dtype);
    load.numerics = command_line::numerics(a.numerics);
    load.context = a.context > 1 ? a.context : 0;  // the score has more to say of 1
    load.progress = command_line::progress_line();
    const eigenlm::LanguageModel lm = eigenlm::load(command_line::model_path(a.model), load);
    const std::vector<eigenlm::TokenId> ids = lm.encode(text);
    if (ids.size() < 2)
        throw eigenlm::ArgumentError(a.file,
                                     "expected a text of at least 2 tokens, found " + std::to_string(ids.size()));
    eigenlm::ScoreOptions options;
    options.context = a.context;
    options.stride = a.stride;
    options.progress = command_line::progress_line();
    const eigenlm::Score score = lm.score(ids, options);
    if (!a.json) {
        std::printf("perplexity %.4f (mean negative log likelihood %.6f over %zu tokens)\n", score.perplexity(),
                    score.mean_nll(), score.nll.size());
        return;
    }
    const nlohmann::ordered_json result = {
        {"tokens", ids.size()},
        {"mean_nll", score.mean_nll()},
        {"perplexity", score.perplexity()},
        {"nll", score.nll},
    };
    std::cout << result.dump() << '\n';
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Scores a text with a language model: the perplexity, on the CPU.", "score");
    Arguments arguments;
    define(app, arguments);
    return command_line::run(app, argc, argv, [&] { score(arguments); });
}
