#pragma once
// What the command-line programs share: exit statuses, input, the embedded model, a progress line.
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <eigenlm/eigenlm.hpp>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
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

/// An option whose value is the name of one of some types.
template <class Types>
void add_type(CLI::App& app, const char* flag, std::string& name, const char* help, const Types& types) {
    std::vector<std::string> names;
    for (const auto type : types) names.push_back(eigenlm::to_string(type));
    app.add_option(flag, name, help)->check(CLI::IsMember(names));
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
