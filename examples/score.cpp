// How likely a model finds a text: perplexity, as a line or as one JSON object with --json. With --kl-base also how far
// its predictions are from another model's, or from its own with weights of another type.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "command_line.hpp"

namespace {

using nlohmann::ordered_json;

struct Arguments {
    std::string model, file, dtype, numerics, base;
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
    app.add_option("--kl-base", a.base,
                   "tell the KL divergence from a base: the same model with weights of this type (f32, say), or else "
                   "the model in this folder or GGUF file, of the same vocabulary");
    app.add_flag("--json", a.json, "print one JSON object with the score of every token");
}

eigenlm::LanguageModel load(const Arguments& a, const std::string& model, const std::string& dtype) {
    eigenlm::ModelOptions load;
    load.threads = a.threads;
    load.dtype = command_line::weight_type(dtype);
    load.numerics = command_line::numerics(a.numerics);
    load.context = a.context > 1 ? a.context : 0;  // the score has more to say of 1
    load.progress = command_line::progress_line();
    return eigenlm::load(command_line::model_path(model), load);
}

/// What --kl-base names: a type of weights, or else a path.
eigenlm::LanguageModel load_base(const Arguments& a) {
    std::string types;
    for (const auto type : eigenlm::all_weight_types) {
        if (a.base == to_string(type)) return load(a, a.model, a.base);
        types += std::string(types.empty() ? "" : ", ") + to_string(type);
    }
    if (!a.base.empty() && std::filesystem::exists(a.base)) return load(a, a.base, "");
    throw eigenlm::ArgumentError("--kl-base", "expected a type of weights (" + types +
                                                  "), a model folder or a GGUF file, found \"" + a.base + "\"");
}

ordered_json to_json(const eigenlm::Score& score) {
    return {
        {"tokens", score.nll.size() + 1},
        {"mean_nll", score.mean_nll()},
        {"perplexity", score.perplexity()},
        {"nll", score.nll},
    };
}
ordered_json to_json(const eigenlm::Divergence& d, const std::string& base) {
    ordered_json result = to_json(d.model);
    result["kl"] = {
        {"mean", d.mean_kl()},
        {"stderr", d.kl_standard_error()},
        {"median", d.kl_quantile(0.5)},
        {"p90", d.kl_quantile(0.9)},
        {"p99", d.kl_quantile(0.99)},
        {"max", d.kl_quantile(1)},
        {"top1_agreement", d.top1_agreement()},
        {"base", base},
        {"base_perplexity", d.base.perplexity()},
    };
    result["kl_per_token"] = d.kl;
    result["same_top"] = d.same_top;
    result["base_nll"] = d.base.nll;
    return result;
}

void print(const eigenlm::Score& score) {
    std::printf("perplexity %.4f (mean negative log likelihood %.6f over %zu tokens)\n", score.perplexity(),
                score.mean_nll(), score.nll.size());
}
void print(const eigenlm::Divergence& d, const std::string& base) {
    print(d.model);
    std::printf("base %s: perplexity %.4f\n", base.c_str(), d.base.perplexity());
    std::printf("KL divergence from the base, in nats per token:\n");
    std::printf("  mean    %-9.4g", d.mean_kl());
    if (d.kl.size() > 1) std::printf(" ± %.4g", d.kl_standard_error());
    std::printf("\n");
    const std::pair<const char*, double> shares[] = {{"median", 0.5}, {"90 %", 0.9}, {"99 %", 0.99}, {"maximum", 1}};
    for (const auto& [name, share] : shares) std::printf("  %-7s %.4g\n", name, d.kl_quantile(share));
    std::printf("same most likely token: %.2f %%\n", d.top1_agreement());
}

template <class... Result>
void write(const Arguments& a, const Result&... result) {
    if (a.json)  // a path may have any bytes
        std::cout << to_json(result...).dump(-1, ' ', false, ordered_json::error_handler_t::replace) << '\n';
    else
        print(result...);
}

void score(const Arguments& a, bool compares) {
    const std::string text = command_line::read_text(a.file);
    const eigenlm::LanguageModel lm = load(a, a.model, a.dtype);
    const std::vector<eigenlm::TokenId> ids = lm.encode(text);
    if (ids.size() < 2)
        throw eigenlm::ArgumentError(a.file,
                                     "expected a text of at least 2 tokens, found " + std::to_string(ids.size()));
    eigenlm::ScoreOptions options;
    options.context = a.context;
    options.stride = a.stride;
    options.progress = command_line::progress_line();
    if (compares)
        write(a, lm.divergence(load_base(a), ids, options), a.base);
    else
        write(a, lm.score(ids, options));
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Scores a text with a language model: the perplexity, on the CPU.", "score");
    Arguments arguments;
    define(app, arguments);
    return command_line::run(app, argc, argv, [&] { score(arguments, app.count("--kl-base") != 0); });
}
