#pragma once
// ModelConfig -> a GGUF file's metadata, as llama.cpp's converters write it: the inverse of read_gguf_config.hpp.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../base/float_state.hpp"
#include "../file/gguf_values.hpp"
#include "config.hpp"

namespace eigenlm::inline EIGENLM_ABI {

namespace detail {

/// Writes keys that begin with the architecture's name.
class GgufConfigWriter {
  public:
    /// Refers to both. `where` names the config in messages.
    GgufConfigWriter(const ModelConfig& config, const std::string& where, GgufMetadata& out)
        : config_(config), where_(where), out_(out), arch_(to_string(config.family)) {
        if (config.family == ModelFamily::mistral) arch_ = "llama";  // as converters have it
    }

    void write() {
        out_.set("general.architecture", gguf_text(arch_));
        write_sizes();
        write_windows();
        write_rope();
    }

  private:
    void set(std::string_view name, std::size_t number) {
        out_.set(arch_ + "." + std::string(name), gguf_number(static_cast<std::uint32_t>(number)));
    }
    void set(std::string_view name, double number) {
        out_.set(arch_ + "." + std::string(name), gguf_number(static_cast<float>(number)));
    }
    [[noreturn]] void refuse(const std::string& what) const {
        throw UnsupportedError(where_, what + " cannot be written into a GGUF file");
    }

    void write_sizes() {
        const ModelConfig& c = config_;
        set("vocab_size", c.vocab_size);
        set("context_length", c.max_position_embeddings);
        set("embedding_length", c.hidden_size);
        set("block_count", c.num_layers);
        set("feed_forward_length", c.intermediate_size);
        set("attention.head_count", c.num_heads);
        set("attention.head_count_kv", c.num_kv_heads);
        set("attention.layer_norm_rms_epsilon", static_cast<double>(c.rms_norm_eps));
        set("rope.dimension_count", c.head_dim);
        if (c.head_dim * c.num_heads == c.hidden_size) return;
        set("attention.key_length", c.head_dim);
        set("attention.value_length", c.head_dim);
    }

    /// A window that no context reaches is none.
    void write_windows() {
        const auto& windows = config_.windows;
        const std::size_t window = windows.empty() ? 0 : *std::ranges::max_element(windows);
        if (window == 0 || window >= config_.max_context()) return;
        if (window >= config_.max_position_embeddings) refuse("a sliding window longer than max_position_embeddings");
        set("attention.sliding_window", window);
        if (config_.family == ModelFamily::mistral) return;  // in all layers
        std::vector<bool> slides;
        for (const std::size_t w : windows) slides.push_back(w != 0);
        out_.set(arch_ + ".attention.sliding_window_pattern", gguf_numbers(slides));
    }

    void write_rope() {
        using enum RopeScaling::Kind;
        const RopeScaling& s = config_.rope_scaling;
        set("rope.freq_base", config_.rope_theta);
        if ((s.kind == llama3 || s.kind == factors) && arch_ != "llama")  // llama.cpp would not load rope_freqs.weight
            refuse("llama3's RoPE scaling in a model of " + arch_);
        if (s.kind == linear || s.kind == yarn) {
            out_.set(arch_ + ".rope.scaling.type", gguf_text(s.kind == yarn ? "yarn" : "linear"));
            set("rope.scaling.factor", s.factor);
        }
        if (s.kind == yarn) write_yarn();
    }

    /// What else YaRN may have means different things in different versions of llama.cpp, or nothing.
    void write_yarn() {
        const RopeScaling& s = config_.rope_scaling;
        const double usual = yarn_attention_factor(s.factor);
        if (std::abs(s.attention_factor - usual) > 1e-6 * usual)
            refuse("an attention_factor of " + std::to_string(s.attention_factor) + " in yarn's RoPE scaling");
        if (!s.truncate) refuse("\"truncate\": false in yarn's RoPE scaling");
        set("rope.scaling.original_context_length", s.original_max_position_embeddings);
        if (s.beta_fast != 32) set("rope.scaling.yarn_beta_fast", s.beta_fast);
        if (s.beta_slow != 1) set("rope.scaling.yarn_beta_slow", s.beta_slow);
    }

    const ModelConfig& config_;
    const std::string& where_;
    GgufMetadata& out_;
    std::string arch_;
};

}  // namespace detail

/// Sets general.architecture and that architecture's keys. `where` names the config in messages. llama3's scaling is
/// not among them: it is the tensor rope_freqs.weight, of llama3_factors. Throws UnsupportedError for what a GGUF file
/// has no words for.
inline void write_gguf_config(const ModelConfig& config, const std::string& where, GgufMetadata& out) {
    const FloatState state;
    detail::GgufConfigWriter(config, where, out).write();
}

}  // namespace eigenlm::inline EIGENLM_ABI
