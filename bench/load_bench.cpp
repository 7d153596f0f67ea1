// How long loading a checkpoint takes, beside reading its bytes into fresh memory with the same threads, in turns.
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <eigenlm/eigenlm.hpp>

namespace {

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
        {"model_type", "qwen2"},          {"vocab_size", c.vocab_size},
        {"hidden_size", c.hidden_size},   {"intermediate_size", c.intermediate_size},
        {"num_hidden_layers", c.num_layers}, {"num_attention_heads", c.num_heads},
        {"num_key_value_heads", c.num_kv_heads}, {"max_position_embeddings", c.max_position_embeddings},
        {"tie_word_embeddings", false},
    };
    std::ofstream(folder / "config.json") << json.dump();
}

/// A bf16 checkpoint of that shape with made-up weights.
void write_checkpoint(const std::filesystem::path& folder) {
    const eigenlm::ModelConfig config = shape();
    std::filesystem::create_directories(folder);
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
    eigenlm::each_matrix(config, add);
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
    for (auto& value : values) value = static_cast<std::uint16_t>(0x3c00 + random() % 256 + (random() % 2 << 15));  // about 0.01
    for (std::size_t left = bytes; left != 0;) {
        const std::size_t count = std::min(left, 2 * values.size());
        file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(count));
        left -= count;
    }
}

/// The ceiling: all bytes into memory that nobody has touched yet.
double read_seconds(const std::filesystem::path& path, eigenlm::ThreadPool& pool) {
    const eigenlm::File file(path);
    void* memory = ::mmap(nullptr, file.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw eigenlm::ResourceError("memory", "cannot reserve");
    const auto begin = Clock::now();
    pool.for_each(file.size(), std::size_t{8} << 20, [&](std::size_t from, std::size_t to, std::size_t) {
        file.read(from, {static_cast<std::byte*>(memory) + from, to - from});
    });
    const double seconds = seconds_since(begin);
    ::munmap(memory, file.size());
    return seconds;
}

double load_seconds(const std::filesystem::path& folder, std::size_t threads) {
    const auto begin = Clock::now();
    const auto checkpoint = eigenlm::Checkpoint::open(folder);
    const auto config = eigenlm::read_config(checkpoint.config(), checkpoint.config_path());
    const eigenlm::Model model(config, checkpoint.tensors(), {.threads = threads});
    return seconds_since(begin);
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

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
    std::vector<double> reads, loads, ratios;
    for (int i = 0; i < rounds; ++i) {
        reads.push_back(read_seconds(weights, pool));
        loads.push_back(load_seconds(folder, threads));
        ratios.push_back(loads.back() / reads.back());
        std::printf("round %d: read %.3f s, load %.3f s, ratio %.2f\n", i + 1, reads.back(), loads.back(), ratios.back());
    }
    std::printf("%zu threads, median of %d rounds: read %.3f s (%.2f GB/s), load %.3f s, ratio %.2f\n", pool.size(), rounds,
                median(reads), size / median(reads) / 1e9, median(loads), median(ratios));
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Times loading a checkpoint against reading its bytes.", "load_bench");
    std::string folder;
    std::size_t threads = 0;
    int rounds = 9;
    app.add_option("folder", folder, "model folder with a model.safetensors; without one, a random 0.5B checkpoint is made and removed");
    app.add_option("-t,--threads", threads, "threads, 0: all");
    app.add_option("-r,--rounds", rounds, "rounds")->check(CLI::Range(1, 1000));
    CLI11_PARSE(app, argc, argv);
    try {
        const auto made = std::filesystem::temp_directory_path() / "eigenlm-load-bench";
        if (folder.empty()) write_checkpoint(made);
        measure(folder.empty() ? made : std::filesystem::path(folder), threads, rounds);
        if (folder.empty()) std::filesystem::remove_all(made);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "load_bench: %s\n", e.what());
        return 1;
    }
}
