// How long loading a checkpoint takes, beside reading its bytes into fresh memory with the same threads, in turns.
#include <sys/mman.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <eigenlm/eigenlm.hpp>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "median.hpp"

namespace {

using bench::median;
using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// Qwen2.5-0.5B's shape, with a head of its own: 1.3 GB in bf16.
eigenlm::ModelConfig shape() {
    eigenlm::ModelConfig config;
    config.family = eigenlm::ModelFamily::qwen2;
    config.vocab_size = 151936;
    config.hidden_size = 896;
    config.intermediate_size = 4864;
    config.num_layers = 24;
    config.num_heads = 14;
    config.num_kv_heads = 2;
    config.head_dim = 64;
    config.max_position_embeddings = 32768;
    return config;
}

void write_config(const std::filesystem::path& folder, const eigenlm::ModelConfig& c) {
    const nlohmann::json json = {
        {"model_type", "qwen2"},
        {"vocab_size", c.vocab_size},
        {"hidden_size", c.hidden_size},
        {"intermediate_size", c.intermediate_size},
        {"num_hidden_layers", c.num_layers},
        {"num_attention_heads", c.num_heads},
        {"num_key_value_heads", c.num_kv_heads},
        {"max_position_embeddings", c.max_position_embeddings},
        {"tie_word_embeddings", false},
    };
    std::ofstream(folder / "config.json") << json.dump();
}

/// A bf16 checkpoint of that shape with made-up weights.
void write_checkpoint(const std::filesystem::path& folder) {
    const eigenlm::ModelConfig config = shape();
    write_config(folder, config);
    nlohmann::ordered_json header = nlohmann::ordered_json::object();
    std::size_t bytes = 0;
    const auto add = [&](const eigenlm::TensorNames& names, std::size_t inputs) {
        for (const auto& t : names) {
            const nlohmann::json tensor_shape = inputs ? nlohmann::json{t.rows, inputs} : nlohmann::json{t.rows};
            const std::size_t size = 2 * t.rows * std::max<std::size_t>(inputs, 1);
            header[t.name] = {{"dtype", "BF16"}, {"shape", tensor_shape}, {"data_offsets", {bytes, bytes + size}}};
            bytes += size;
        }
    };
    eigenlm::each_matrix(config, [&](const auto& names, std::size_t, std::size_t inputs) { add(names, inputs); });
    for (std::size_t l = 0; l < config.num_layers; ++l) {
        const eigenlm::LayerNames names = eigenlm::layer_names(config, l);
        add(names.qkv_bias, 0);
        add(names.attention_norm, 0);
        add(names.mlp_norm, 0);
    }
    add(eigenlm::final_norm_names(config), 0);
    const std::string text = header.dump();
    const std::uint64_t length = text.size();
    std::ofstream file(folder / "model.safetensors", std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), 8);
    file << text;
    std::vector<std::uint16_t> values(1 << 20);
    std::mt19937 random(1);
    for (auto& value : values)
        value = static_cast<std::uint16_t>(0x3c00 + random() % 256 + (random() % 2 << 15));  // about 0.01
    for (std::size_t left = bytes; left != 0;) {
        const std::size_t count = std::min(left, 2 * values.size());
        file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(count));
        left -= count;
    }
    if (!file.flush()) throw eigenlm::IoError((folder / "model.safetensors").string(), "cannot write");
}

/// The ceiling: all bytes into memory that nobody has touched yet, in pages of 4 KiB or in huge ones as ours.
double read_seconds(const std::filesystem::path& path, eigenlm::ThreadPool& pool, bool huge) {
    const eigenlm::File file(path);
    eigenlm::Buffer<std::byte> memory(file.size());
    if (!huge) ::madvise(memory.data(), file.size(), MADV_NOHUGEPAGE);
    const auto begin = Clock::now();
    pool.for_each(file.size(), std::size_t{8} << 20, [&](std::size_t from, std::size_t to, std::size_t) {
        file.read(from, memory.span().subspan(from, to - from));
    });
    return seconds_since(begin);
}

double load_seconds(const std::filesystem::path& folder, std::size_t threads) {
    const auto begin = Clock::now();
    const auto checkpoint = eigenlm::Checkpoint::open(folder);
    const auto config = eigenlm::read_config(checkpoint);
    const eigenlm::Model model(config, checkpoint.tensors(), {.threads = threads});
    return seconds_since(begin);
}

struct TemporaryFolder {
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "eigenlm-load-bench-XXXXXX").string();
        if (!::mkdtemp(pattern.data())) throw eigenlm::IoError(pattern, "cannot make a folder");
        path = pattern;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    std::filesystem::path path;
};

/// Of this process, in bytes: "VmHWM", the most it has held, or "VmRSS".
double memory(const std::string& name) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(name + ":")) return std::stod(line.substr(name.size() + 1)) * 1024;
    return 0;
}

void measure(const std::filesystem::path& folder, std::size_t threads, int rounds) {
    const auto weights = folder / "model.safetensors";
    const auto size = static_cast<double>(std::filesystem::file_size(weights));
    const double before = memory("VmRSS");
    load_seconds(folder, threads);  // also brings the file into the page cache
    std::printf("%.3f GB; peak memory %.3f times the file\n", size / 1e9, (memory("VmHWM") - before) / size);
    eigenlm::ThreadPool pool(threads);
    std::vector<double> small, huge, loads, small_ratios, huge_ratios;
    for (int i = 0; i < rounds; ++i) {
        small.push_back(read_seconds(weights, pool, false));
        loads.push_back(load_seconds(folder, threads));
        huge.push_back(read_seconds(weights, pool, true));
        small_ratios.push_back(loads.back() / small.back());
        huge_ratios.push_back(loads.back() / huge.back());
        std::printf(
            "round %d: load %.3f s; read into 4 KiB pages %.3f s, ratio %.2f; into huge pages %.3f s, ratio %.2f\n",
            i + 1, loads.back(), small.back(), small_ratios.back(), huge.back(), huge_ratios.back());
    }
    std::printf(
        "%zu threads, medians of %d rounds: load %.3f s; 4 KiB pages %.3f s, ratio %.2f; huge pages %.3f s, ratio "
        "%.2f\n",
        pool.size(), rounds, median(loads), median(small), median(small_ratios), median(huge), median(huge_ratios));
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Times loading a checkpoint against reading its bytes.", "load_bench");
    std::string folder;
    std::size_t threads = 0;
    int rounds = 9;
    app.add_option("folder", folder,
                   "model folder with a model.safetensors; without one, a random 0.5B checkpoint is made and removed");
    app.add_option("-t,--threads", threads, "threads, 0: all");
    app.add_option("-r,--rounds", rounds, "rounds")->check(CLI::Range(1, 1000));
    CLI11_PARSE(app, argc, argv);
    try {
        if (!folder.empty()) return measure(folder, threads, rounds), 0;
        const TemporaryFolder made;
        write_checkpoint(made.path);
        measure(made.path, threads, rounds);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "load_bench: %s\n", e.what());
        return 1;
    }
}
