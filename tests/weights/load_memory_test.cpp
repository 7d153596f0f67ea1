// What loading holds at its peak: the packed weights, and next to nothing beside them.
#include <gtest/gtest.h>

#include <algorithm>
#include <eigenlm/eigenlm.hpp>
#include <fstream>
#include <numeric>
#include <string>

#include "support/stored_tensors.hpp"
#include "support/temporary_folder.hpp"

namespace {

/// 60 MB in bf16.
eigenlm::ModelConfig shape() {
    eigenlm::ModelConfig config;
    config.family = eigenlm::ModelFamily::llama;
    config.vocab_size = 15000;
    config.hidden_size = 1024;
    config.intermediate_size = 2816;
    config.num_layers = 2;
    config.num_heads = 16;
    config.num_kv_heads = 4;
    config.head_dim = 64;
    config.max_position_embeddings = 1024;
    config.tie_word_embeddings = true;
    return config;
}

/// A checkpoint of that shape, all weights zero.
void write_checkpoint(const std::filesystem::path& path, const eigenlm::ModelConfig& config, const std::string& dtype) {
    const std::size_t element = dtype == "F32" ? 4 : 2;
    nlohmann::json header;
    std::size_t bytes = 0;
    const auto add = [&](const eigenlm::TensorNames& names, std::vector<std::size_t> inputs) {
        for (const auto& t : names) {
            std::vector<std::size_t> dims = {t.rows};
            dims.insert(dims.end(), inputs.begin(), inputs.end());
            const std::size_t size = std::accumulate(dims.begin(), dims.end(), element, std::multiplies<>());
            header[t.name] = {{"dtype", dtype}, {"shape", dims}, {"data_offsets", {bytes, bytes + size}}};
            bytes += size;
        }
    };
    eigenlm::each_matrix(config, [&](const auto& names, std::size_t, std::size_t inputs) { add(names, {inputs}); });
    for (std::size_t l = 0; l < config.num_layers; ++l) {
        add(eigenlm::layer_names(config, l).attention_norm, {});
        add(eigenlm::layer_names(config, l).mlp_norm, {});
    }
    add(eigenlm::final_norm_names(config), {});
    std::ofstream(path, std::ios::binary) << support::safetensors_file(header.dump());
    std::filesystem::resize_file(path, std::filesystem::file_size(path) + bytes);
}

/// Of this process, in bytes: "VmRSS", what it holds, or "VmHWM", the most it has held.
std::size_t memory(const std::string& name) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(name + ":")) return std::stoull(line.substr(name.size() + 1)) * 1024;
    return 0;
}

class LoadMemory : public testing::TestWithParam<std::pair<const char*, eigenlm::WeightType>> {};

TEST_P(LoadMemory, PeaksAtTheWeights) {
    const support::TemporaryFolder folder;
    const auto path = folder / "model.safetensors";
    write_checkpoint(path, shape(), GetParam().first);
    const eigenlm::SafetensorsFile file(path);
    if (!(std::ofstream("/proc/self/clear_refs") << "5")) GTEST_SKIP() << "the peak cannot be reset";
    const std::size_t before = memory("VmRSS");
    const eigenlm::Model model(shape(), file,
                               {.threads = 2, .isa = eigenlm::Isa::portable, .dtype = GetParam().second});
    const std::size_t peak = memory("VmHWM") - before, weights = model.transformer().weight_bytes();
    const std::size_t element = GetParam().second == eigenlm::WeightType::f32 ? 4 : 2;
    EXPECT_LE(weights, (std::filesystem::file_size(path) / (GetParam().first == std::string("F32") ? 4 : 2) * element) *
                           101 / 100)
        << "a tied embedding is held once";
    EXPECT_LE(peak, weights * 11 / 10);
    EXPECT_GE(peak, weights * 9 / 10) << "or else this measures nothing";
}

using eigenlm::WeightType;
INSTANTIATE_TEST_SUITE_P(Types, LoadMemory,
                         testing::Values(std::pair("BF16", WeightType::bf16), std::pair("F16", WeightType::f16),
                                         std::pair("F32", WeightType::f32), std::pair("BF16", WeightType::f32)),
                         [](const auto& p) { return std::string(p.param.first) + "_as_" + to_string(p.param.second); });

}  // namespace
