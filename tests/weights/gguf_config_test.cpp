// GGUF metadata -> ModelConfig. What is refused is in tools/make_hostile_ggufs.py.
#include <gtest/gtest.h>

#include <cmath>
#include <eigenlm/weights/read_gguf_config.hpp>
#include <functional>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/gguf.hpp"
#include "support/temporary_folder.hpp"

namespace {

using eigenlm::ModelConfig;
using eigenlm::ModelFamily;
using Kind = eigenlm::RopeScaling::Kind;
using support::GgufBytes;

constexpr std::uint32_t f32_type = 0;

/// A model of two layers without tensors but the embedding, with more keys.
ModelConfig config_of(
    const std::string& arch, const std::function<void(GgufBytes&)>& more = [](auto&) {}) {
    GgufBytes file;
    const auto key = [&](const char* name) { return arch + "." + name; };
    file.set("general.architecture", arch.c_str());
    file.set(key("context_length"), 512u).set(key("embedding_length"), 48u).set(key("block_count"), 2u);
    file.set(key("feed_forward_length"), 96u).set(key("attention.head_count"), 4u);
    file.set(key("attention.layer_norm_rms_epsilon"), 1e-5f);
    file.tensor("token_embd.weight", {48, 10}, f32_type, 0).data(std::string(48 * 10 * 4 + 256, '\0'));
    more(file);
    const support::TemporaryFolder folder;
    folder.write("x.gguf", file.file());
    const ModelConfig config = read_config(eigenlm::GgufFiles(folder / "x.gguf"));
    EXPECT_NO_THROW(check(config));
    return config;
}

TEST(GgufConfig, HasDefaultsForWhatIsNotThere) {
    const ModelConfig config = config_of("llama");
    EXPECT_EQ(config.family, ModelFamily::llama);
    EXPECT_EQ(config.vocab_size, 10u);
    EXPECT_EQ(config.num_kv_heads, 4u);
    EXPECT_EQ(config.head_dim, 12u);
    EXPECT_EQ(config.rope_theta, 10000);
    EXPECT_EQ(config.rms_norm_eps, 1e-5f);
    EXPECT_TRUE(config.tie_word_embeddings);
    EXPECT_EQ(config.rope_scaling.kind, Kind::none);
    EXPECT_TRUE(config.windows.empty());
    EXPECT_TRUE(config.eos_token_ids.empty());
    EXPECT_EQ(config_of("qwen2").family, ModelFamily::qwen2);
    EXPECT_EQ(config_of("qwen3").family, ModelFamily::qwen3);
}

TEST(GgufConfig, AHeadOfItsOwnIsNotTied) {
    EXPECT_FALSE(config_of("llama", [](auto& file) {
                     file.tensor("output.weight", {1}, f32_type, 48 * 10 * 4);
                 }).tie_word_embeddings);
}

TEST(GgufConfig, EverythingThatEndsATextIsAnEnd) {
    const auto ids = config_of("llama", [](auto& file) {
                         file.set("tokenizer.ggml.eos_token_id", 3u).set("tokenizer.ggml.eot_token_id", 5u);
                         file.set("tokenizer.ggml.eom_token_id", 3u);
                     }).eos_token_ids;
    EXPECT_EQ(ids, (std::vector<eigenlm::TokenId>{3, 5}));
}

TEST(GgufConfig, RopeScalings) {
    auto s = config_of("llama", [](auto& file) {
                 file.set("llama.rope.scaling.type", "linear").set("llama.rope.scaling.factor", 4.0f);
             }).rope_scaling;
    EXPECT_EQ(s.kind, Kind::linear);
    EXPECT_EQ(s.factor, 4);
    s = config_of("llama", [](auto& file) { file.set("llama.rope.scale_linear", 2.0f); }).rope_scaling;
    EXPECT_EQ(s.kind, Kind::linear);
    EXPECT_EQ(s.factor, 2);
    s = config_of("qwen2", [](auto& file) {
            file.set("qwen2.rope.scaling.type", "yarn").set("qwen2.rope.scaling.factor", 4.0f);
            file.set("qwen2.rope.scaling.original_context_length", 128u);
            file.set("qwen2.rope.scaling.yarn_beta_fast", 16.0f);
        }).rope_scaling;
    EXPECT_EQ(s.kind, Kind::yarn);
    EXPECT_EQ(s.factor, 4);
    EXPECT_EQ(s.original_max_position_embeddings, 128u);
    EXPECT_EQ(s.beta_fast, 16);
    EXPECT_EQ(s.beta_slow, 1);
    EXPECT_DOUBLE_EQ(s.attention_factor, 0.1 * std::log(4.0) + 1);
}

TEST(GgufConfig, AWindowMakesLlamaMistral) {
    const auto window = [](std::uint32_t size) {
        return [=](auto& file) { file.set("llama.attention.sliding_window", size); };
    };
    EXPECT_EQ(config_of("llama", window(64)).family, ModelFamily::mistral);
    EXPECT_EQ(config_of("llama", window(64)).windows, (std::vector<std::size_t>{64, 64}));
    for (const std::uint32_t none : {0u, 512u, 4096u}) {
        EXPECT_EQ(config_of("llama", window(none)).family, ModelFamily::llama);
        EXPECT_TRUE(config_of("llama", window(none)).windows.empty());
    }
}

TEST(GgufConfig, APatternSaysWhichLayersSlide) {
    const auto windows = config_of("qwen3", [](auto& file) {
                             file.set("qwen3.attention.sliding_window", 64u);
                             file.pair("qwen3.attention.sliding_window_pattern",
                                       GgufBytes::array(eigenlm::GgufType::boolean, 2) + std::string("\0\1", 2));
                         }).windows;
    EXPECT_EQ(windows, (std::vector<std::size_t>{0, 64}));
}

TEST(GgufConfig, TensorsThatWouldChangeTheNumbersAreRefused) {
    const auto tensors = [](const std::string& arch, const std::string& name) {
        GgufBytes file;
        file.tensor(name, {1}, f32_type, 0).data(std::string(4, '\0'));
        const support::TemporaryFolder folder;
        folder.write("x.gguf", file.file());
        ModelConfig config;
        config.family = arch == "llama"   ? ModelFamily::llama
                        : arch == "qwen2" ? ModelFamily::qwen2
                                          : ModelFamily::qwen3;
        config.num_layers = 2;
        eigenlm::GgufTensors(eigenlm::GgufFiles(folder / "x.gguf"), config);
    };
    for (const char* name :
         {"blk.0.attn_q.bias", "blk.0.attn_q_norm.weight", "blk.2.attn_q.weight", "blk.0.ffn_gate_inp.weight",
          "blk.0.ffn_down.bias", "output.bias", "blk.0attn_q.weight", "blk..attn_q.weight"})
        support::expect_error<eigenlm::UnsupportedError>([&] { tensors("llama", name); }, {name, "llama"});
    EXPECT_NO_THROW(tensors("llama", "rope_freqs.weight"));
    EXPECT_NO_THROW(tensors("qwen2", "blk.0.attn_q.bias"));
    EXPECT_NO_THROW(tensors("qwen3", "blk.1.attn_k_norm.weight"));
    EXPECT_THROW(tensors("qwen3", "blk.0.attn_q.bias"), eigenlm::UnsupportedError);
    EXPECT_THROW(tensors("qwen2", "blk.0.attn_q_norm.weight"), eigenlm::UnsupportedError);
}

}  // namespace
