#pragma once
// What the command-line programs share: exit statuses, input, the embedded model, a progress line.
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <eigenlm/eigenlm.hpp>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace command_line {

/// Parses, runs, and turns what goes wrong into one line on stderr: status 2 for bad usage, 1 for bad input.
template <class Run>
int run(CLI::App& app, int argc, char** argv, const Run& body) {
    try {
        app.parse(argc, argv);
        body();
        std::cout.flush();
        if (!std::cout) throw eigenlm::IoError("stdout", "cannot write");
        return 0;
    } catch (const CLI::CallForHelp& e) {
        return app.exit(e);
    } catch (const CLI::ParseError& e) {
        std::cerr << app.get_name() << ": " << e.what() << " (see --help)\n";
        return 2;
    } catch (const std::exception& e) {
        std::cout.flush();
        std::cerr << app.get_name() << ": " << e.what() << '\n';
        return 1;
    }
}

/// The model asked for, or else the one that comes with the project: beside an installed program, or in the source
/// tree.
inline std::filesystem::path model_path(const std::string& wish) {
    if (!wish.empty()) return wish;
    std::error_code failed;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", failed);
    const auto installed = program.parent_path() / EIGENLM_INSTALLED_TINY;
    if (!failed && std::filesystem::exists(installed, failed)) return installed.lexically_normal();
    return EIGENLM_TINY_MODEL_DIR;
}

/// An option whose value is the name of one of some types, or several such names.
template <class Names, class Types>
CLI::Option* add_type(CLI::App& app, const char* flag, Names& found, const char* help, const Types& types) {
    std::vector<std::string> names;
    for (const auto type : types) names.push_back(eigenlm::to_string(type));
    return app.add_option(flag, found, help)->check(CLI::IsMember(names));
}
/// --dtype, as a program's help and its checks have it.
inline void add_dtype(CLI::App& app, std::string& dtype) {
    add_type(app, "--dtype", dtype, "type of the weights in memory (default: the checkpoint's)",
             eigenlm::all_weight_types);
}
inline std::optional<eigenlm::WeightType> weight_type(const std::string& dtype) {
    if (dtype.empty()) return std::nullopt;
    return eigenlm::weight_type_from_string(dtype, "--dtype");
}

/// --cache-type likewise.
inline void add_cache_type(CLI::App& app, std::string& type) {
    add_type(app, "--cache-type", type, "how the KV cache keeps its numbers (default: as the weights)",
             eigenlm::all_cache_types);
}
inline std::optional<eigenlm::CacheType> cache_type(const std::string& type) {
    if (type.empty()) return std::nullopt;
    return eigenlm::cache_type_from_string(type, "--cache-type");
}

/// --numerics likewise.
inline void add_numerics(CLI::App& app, std::string& numerics) {
    add_type(app, "--numerics", numerics,
             "same-bits: what every machine computes (the default); fastest: what this one is fastest at",
             eigenlm::all_numerics);
}
inline eigenlm::Numerics numerics(const std::string& name) {
    return name.empty() ? eigenlm::Numerics::same_bits : eigenlm::numerics_from_string(name, "--numerics");
}

/// The options of programs that load a model and keep a cache.
struct ModelFlags {
    std::string model, dtype, cache_type, numerics;
    std::size_t threads = 0, context = 0;
};
inline void define(CLI::App& app, ModelFlags& f) {
    app.add_option("-m,--model", f.model,
                   "Hugging Face model folder or GGUF file (default: the embedded tiny story model)");
    app.add_option("-t,--threads", f.threads, "threads, 0: all")->check(CLI::Range(0, 1024))->capture_default_str();
    app.add_option("-c,--ctx-size", f.context, "most positions, 0: the model's")
        ->check(CLI::Range(0, 1 << 24))
        ->capture_default_str();
    add_dtype(app, f.dtype);
    add_cache_type(app, f.cache_type);
    add_numerics(app, f.numerics);
}
inline eigenlm::ModelOptions model_options(const ModelFlags& f) {
    eigenlm::ModelOptions o;
    o.threads = f.threads;
    o.context = f.context;
    o.dtype = weight_type(f.dtype);
    o.numerics = numerics(f.numerics);
    return o;
}

/// As CLI::Range, and no NaN.
inline CLI::Validator number(double low, double high) {
    return CLI::Range(low, high) & CLI::Validator(
                                       [](const std::string& text) {
                                           double value = 0;
                                           const bool good = CLI::detail::lexical_cast(text, value) && value == value;
                                           return std::string(good ? "" : "expected a number, found " + text);
                                       },
                                       "");
}

/// The options of programs that generate text.
struct GenerateFlags {
    std::int64_t max_new_tokens = 512, seed = 0;
    std::optional<float> temperature, top_p, min_p, repeat_penalty;
    std::optional<std::size_t> top_k;
    std::vector<std::string> stop;
};
inline void define(CLI::App& app, GenerateFlags& f) {
    app.add_option("-n,--predict,--n-predict", f.max_new_tokens, "most new tokens, -1: until the context is full")
        ->check(CLI::Range(std::int64_t{-1}, std::int64_t{1} << 40))
        ->capture_default_str();
    app.add_option("-s,--seed", f.seed, "one seed, one text; -1: a random one")
        ->check(CLI::Range(std::int64_t{-1}, std::numeric_limits<std::int64_t>::max()))
        ->capture_default_str();
    app.add_option("--temp", f.temperature, "temperature, 0: greedy (default: the model's generation_config.json)")
        ->check(number(0, 1e6));
    app.add_option("--top-k", f.top_k, "draw from the k most likely tokens, 0: all")->check(CLI::Range(0, 1 << 24));
    app.add_option("--top-p", f.top_p, "draw from the most likely tokens whose probabilities reach p")
        ->check(number(1e-6, 1));
    app.add_option("--min-p", f.min_p, "draw from tokens at least min-p times as likely as the most likely")
        ->check(number(0, 1));
    app.add_option("--repeat-penalty", f.repeat_penalty, "above 1: make tokens that occurred less likely")
        ->check(number(1e-6, 1e6));
    app.add_option("--stop", f.stop, "end before this text (may be given several times)")
        ->allow_extra_args(false)
        ->check([](const std::string& text) {
            return std::string(text.empty() ? "expected a text, found an empty one" : "");
        });
}
inline eigenlm::GenerateOptions generate_options(const GenerateFlags& f) {
    eigenlm::GenerateOptions o;
    o.max_new_tokens =
        f.max_new_tokens < 0 ? std::numeric_limits<std::size_t>::max() : static_cast<std::size_t>(f.max_new_tokens);
    o.temperature = f.temperature;
    o.top_k = f.top_k;
    o.top_p = f.top_p;
    o.min_p = f.min_p;
    o.repeat_penalty = f.repeat_penalty;
    o.seed = f.seed < 0 ? std::random_device{}() : static_cast<std::uint64_t>(f.seed);
    o.stop = f.stop;
    return o;
}

/// A text file's content; "-" is the standard input.
inline std::string read_text(const std::string& path) {
    if (path == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
    if (std::filesystem::is_directory(path)) throw eigenlm::IoError(path, "expected a file, found a folder");
    std::ifstream file(path, std::ios::binary);
    if (!file) throw eigenlm::IoError(path, "cannot open");
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (file.bad()) throw eigenlm::IoError(path, "cannot read");
    return text;
}

/// A progress line on stderr, on a terminal only.
inline eigenlm::ProgressFunction progress_line() {
    if (!isatty(STDERR_FILENO)) return nullptr;
    return [shown = -1](const eigenlm::Progress& p) mutable {
        if (p.stage == eigenlm::Stage::decode || p.total == 0) return;
        const int percent = static_cast<int>(p.done * 100 / p.total);
        if (percent == shown) return;
        shown = percent;
        std::fprintf(stderr, "\r%s %3d%%", eigenlm::to_string(p.stage), percent);
        if (p.done == p.total) std::fprintf(stderr, "\r\033[K");
    };
}

inline std::size_t peak_rss_bytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::size_t>(usage.ru_maxrss) * 1024;  // Linux counts in KiB
}

}  // namespace command_line
