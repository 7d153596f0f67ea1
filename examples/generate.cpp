// Text from a model, streamed to stdout; figures on stderr, or one JSON object with --json.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "command_line.hpp"

namespace {

struct Arguments {
    std::string model, prompt = "Once upon a time", file, dtype, cache_type, numerics;
    std::int64_t max_new_tokens = 512, seed = 0;
    std::size_t threads = 0, context = 0;
    std::optional<float> temperature, top_p, min_p, repeat_penalty;
    std::optional<std::size_t> top_k;
    std::vector<std::string> stop;
    bool ignore_eos = false, no_cache = false, json = false, no_display_prompt = false;
};

/// As CLI::Range, and no NaN.
CLI::Validator number(double low, double high) {
    return CLI::Range(low, high) & CLI::Validator(
                                       [](const std::string& text) {
                                           double value = 0;
                                           const bool good = CLI::detail::lexical_cast(text, value) && value == value;
                                           return std::string(good ? "" : "expected a number, found " + text);
                                       },
                                       "");
}

void define(CLI::App& app, Arguments& a) {
    app.add_option("-m,--model", a.model, "Hugging Face model folder (default: the embedded tiny story model)");
    auto* prompt = app.add_option("-p,--prompt", a.prompt, "text to continue")->capture_default_str();
    app.add_option("-f,--file", a.file, "read the prompt from this file, - for stdin")->excludes(prompt);
    app.add_option("-n,--predict,--n-predict", a.max_new_tokens, "most new tokens, -1: until the context is full")
        ->check(CLI::Range(std::int64_t{-1}, std::int64_t{1} << 40))
        ->capture_default_str();
    app.add_option("-t,--threads", a.threads, "threads, 0: all")->check(CLI::Range(0, 1024))->capture_default_str();
    app.add_option("-c,--ctx-size", a.context, "most positions, 0: the model's")
        ->check(CLI::Range(0, 1 << 24))
        ->capture_default_str();
    app.add_option("-s,--seed", a.seed, "one seed, one text; -1: a random one")
        ->check(CLI::Range(std::int64_t{-1}, std::numeric_limits<std::int64_t>::max()))
        ->capture_default_str();
    command_line::add_dtype(app, a.dtype);
    command_line::add_cache_type(app, a.cache_type);
    command_line::add_numerics(app, a.numerics);
    app.add_option("--temp", a.temperature, "temperature, 0: greedy (default: the model's generation_config.json)")
        ->check(number(0, 1e6));
    app.add_option("--top-k", a.top_k, "draw from the k most likely tokens, 0: all")->check(CLI::Range(0, 1 << 24));
    app.add_option("--top-p", a.top_p, "draw from the most likely tokens whose probabilities reach p")
        ->check(number(1e-6, 1));
    app.add_option("--min-p", a.min_p, "draw from tokens at least min-p times as likely as the most likely")
        ->check(number(0, 1));
    app.add_option("--repeat-penalty", a.repeat_penalty, "above 1: make tokens that occurred less likely")
        ->check(number(1e-6, 1e6));
    app.add_option("--stop", a.stop, "end before this text (may be given several times)")
        ->allow_extra_args(false)
        ->check([](const std::string& text) {
            return std::string(text.empty() ? "expected a text, found an empty one" : "");
        });
    app.add_flag("--ignore-eos", a.ignore_eos, "go on after an end-of-sequence token");
    app.add_flag("--no-cache", a.no_cache, "recompute the whole text for every token");
    app.add_flag("--json", a.json, "print one JSON object instead of the text");
    app.add_flag("--no-display-prompt", a.no_display_prompt, "do not repeat the prompt before the answer");
}

eigenlm::GenerateOptions options(const Arguments& a) {
    eigenlm::GenerateOptions o;
    o.max_new_tokens =
        a.max_new_tokens < 0 ? std::numeric_limits<std::size_t>::max() : static_cast<std::size_t>(a.max_new_tokens);
    o.temperature = a.temperature;
    o.top_k = a.top_k;
    o.top_p = a.top_p;
    o.min_p = a.min_p;
    o.repeat_penalty = a.repeat_penalty;
    o.seed = a.seed < 0 ? std::random_device{}() : static_cast<std::uint64_t>(a.seed);
    o.stop = a.stop;
    o.ignore_eos = a.ignore_eos;
    o.use_cache = !a.no_cache;
    o.context = a.context;
    o.cache_type = command_line::cache_type(a.cache_type);
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
    eigenlm::ModelOptions load;
    load.threads = a.threads;
    load.context = a.context;
    load.dtype = command_line::weight_type(a.dtype);
    load.numerics = command_line::numerics(a.numerics);
    load.progress = command_line::progress_line();
    const auto begin = std::chrono::steady_clock::now();
    const eigenlm::LanguageModel lm = eigenlm::load(command_line::model_path(a.model), load);
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
