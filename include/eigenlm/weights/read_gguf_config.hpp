#pragma once
// A GGUF file's metadata -> ModelConfig: what llama.cpp's converters write for llama, qwen2 and qwen3.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/float_state.hpp"
#include "../file/gguf_splits.hpp"
#include "gguf_tensors.hpp"
#include "rope_factors.hpp"

namespace eigenlm::inline EIGENLM_ABI {

namespace detail {

/// Keys that begin with the architecture's name.
class GgufArchKeys {
  public:
    explicit GgufArchKeys(const GgufMetadata& metadata)
        : metadata_(metadata), arch_(metadata.string("general.architecture")) {}

    const GgufMetadata& metadata() const { return metadata_; }
    const std::string& arch() const { return arch_; }
    std::string key(std::string_view name) const { return arch_ + "." + std::string(name); }
    std::string path(std::string_view name) const { return metadata_.path(key(name)); }
    bool has(std::string_view name) const { return metadata_.has(key(name)); }

    /// A size of the model. Some models have an array here, a size for each layer.
    std::size_t size(std::string_view name, std::size_t most) const {
        if (metadata_.is_array(key(name))) throw UnsupportedError(path(name), "a size for each layer is not supported");
        return static_cast<std::size_t>(metadata_.integer(key(name), 1, static_cast<std::int64_t>(most)));
    }
    std::size_t size_or(std::string_view name, std::size_t fallback, std::size_t most) const {
        return has(name) ? size(name, most) : fallback;
    }
    double number_or(std::string_view name, double fallback, double low, double high) const {
        return metadata_.number_or(key(name), fallback, low, high);
    }

  private:
    const GgufMetadata& metadata_;
    std::string arch_;
};

inline ModelFamily read_family(const GgufArchKeys& keys) {
    const GgufMetadata& metadata = keys.metadata();
    if (const auto type = metadata.string_or("general.type", "model"); type != "model")
        throw UnsupportedError(metadata.path("general.type"),
                               json_excerpt(type.substr(0, 80)) + " is not supported (expected \"model\")");
    for (const ModelFamily family : {ModelFamily::llama, ModelFamily::qwen2, ModelFamily::qwen3})
        if (keys.arch() == to_string(family)) return family;
    throw UnsupportedError(
        metadata.path("general.architecture"),
        json_excerpt(keys.arch().substr(0, 80)) + " is not supported (expected llama, qwen2 or qwen3)");
}

/// Nearly every key of an architecture changes its numbers: one that is not known is refused.
inline void refuse_unknown_keys(const GgufArchKeys& keys) {
    static constexpr std::string_view known[] = {
        "vocab_size",
        "context_length",
        "embedding_length",
        "block_count",
        "feed_forward_length",
        "attention.head_count",
        "attention.head_count_kv",
        "attention.key_length",
        "attention.value_length",
        "attention.layer_norm_rms_epsilon",
        "attention.sliding_window",
        "attention.sliding_window_pattern",
        "attention.causal",
        "rope.freq_base",
        "rope.dimension_count",
        "rope.scale_linear",
        "rope.scaling.type",
        "rope.scaling.factor",
        "rope.scaling.original_context_length",
        "rope.scaling.finetuned",
        "rope.scaling.attn_factor",
        "rope.scaling.yarn_attn_factor",
        "rope.scaling.yarn_ext_factor",
        "rope.scaling.yarn_beta_fast",
        "rope.scaling.yarn_beta_slow",
        "rope.scaling.yarn_log_multiplier",
        "expert_count",
        "expert_used_count",
        "use_parallel_residual",
        "tensor_data_layout",  // "Meta AI original pth": rows of q and k in pairs, as they all have them
        "pooling_type",        // of embeddings
    };
    const std::string prefix = keys.key("");
    for (const auto& [key, value] : keys.metadata().all())
        if (key.starts_with(prefix) && std::ranges::find(known, key.substr(prefix.size())) == std::end(known))
            throw UnsupportedError(keys.metadata().path(key), "a key of this name is not supported");
    for (const char* name : {"expert_count", "expert_used_count"})
        if (keys.metadata().integer_or(keys.key(name), 0, 0, 1 << 20) != 0)
            throw UnsupportedError(keys.path(name), "a mixture of experts is not supported");
    if (!keys.metadata().boolean_or(keys.key("attention.causal"), true))
        throw UnsupportedError(keys.path("attention.causal"), "false is not supported");
    if (keys.metadata().boolean_or(keys.key("use_parallel_residual"), false))
        throw UnsupportedError(keys.path("use_parallel_residual"), "true is not supported");
}

inline void read_heads(const GgufArchKeys& keys, ModelConfig& config) {
    config.num_heads = keys.size("attention.head_count", limits::heads);
    config.num_kv_heads = keys.size_or("attention.head_count_kv", config.num_heads, limits::heads);
    if (config.num_heads % config.num_kv_heads != 0)
        throw FormatError(keys.path("attention.head_count_kv"), "expected a divisor of attention.head_count (" +
                                                                    std::to_string(config.num_heads) + "), found " +
                                                                    std::to_string(config.num_kv_heads));
    const bool is_given = keys.has("attention.key_length");
    if (!is_given && config.hidden_size % config.num_heads != 0)
        throw FormatError(keys.path("embedding_length"),
                          "expected a multiple of attention.head_count where attention.key_length is not given");
    constexpr std::size_t most = 512;  // a small file must not make a large table of rotations
    config.head_dim = keys.size_or("attention.key_length", config.hidden_size / config.num_heads, 1 << 12);
    if (config.head_dim == 0 || config.head_dim % 2 != 0 || config.head_dim > most)
        throw FormatError(keys.path(is_given ? "attention.key_length" : "attention.head_count"),
                          "expected heads of an even number of at most " + std::to_string(most) + ", found " +
                              std::to_string(config.head_dim));
    for (const char* name : {"attention.value_length", "rope.dimension_count"})
        if (const std::size_t found = keys.size_or(name, config.head_dim, limits::hidden_size);
            found != config.head_dim)
            throw UnsupportedError(keys.path(name), "expected the length of a head, " +
                                                        std::to_string(config.head_dim) + ", found " +
                                                        std::to_string(found));
}

/// A window in all layers for llama (which makes it mistral), or in those that a pattern says.
inline void read_windows(const GgufArchKeys& keys, ModelConfig& config) {
    const char* const pattern_name = "attention.sliding_window_pattern";
    const auto window = static_cast<std::size_t>(keys.metadata().integer_or(keys.key("attention.sliding_window"), 0, 0,
                                                                            std::numeric_limits<std::uint32_t>::max()));
    if (window == 0 || window >= config.max_position_embeddings) return;
    if (keys.has(pattern_name)) {
        const std::vector<bool> pattern = keys.metadata().numbers<bool>(keys.key(pattern_name));
        if (pattern.size() != config.num_layers)
            throw FormatError(keys.path(pattern_name), "expected one for each of the " +
                                                           std::to_string(config.num_layers) + " layers, found " +
                                                           std::to_string(pattern.size()));
        for (const bool slides : pattern) config.windows.push_back(slides ? window : 0);
    } else if (config.family != ModelFamily::llama) {
        throw UnsupportedError(
            keys.path("attention.sliding_window"),
            "a window is not supported where no attention.sliding_window_pattern says in which layers");
    } else {
        config.windows.assign(config.num_layers, window);
    }
    if (config.family == ModelFamily::llama) config.family = ModelFamily::mistral;
}

inline RopeScaling read_yarn(const GgufArchKeys& keys, const ModelConfig& config) {
    constexpr double most = 1e6;
    RopeScaling scaling;
    scaling.kind = RopeScaling::Kind::yarn;
    scaling.factor = keys.number_or("rope.scaling.factor", 0, 0, most);
    if (scaling.factor < 1e-3) throw FormatError(keys.path("rope.scaling.factor"), "expected a factor above 0.001");
    scaling.original_max_position_embeddings =
        keys.size_or("rope.scaling.original_context_length", config.max_position_embeddings, limits::positions);
    scaling.beta_fast = keys.number_or("rope.scaling.yarn_beta_fast", 32, 1e-3, most);
    scaling.beta_slow = keys.number_or("rope.scaling.yarn_beta_slow", 1, 1e-3, most);
    // What else they say differs between versions of llama.cpp; these are what a file without them means.
    for (const auto& [name, usual] : {std::pair("rope.scaling.attn_factor", 1.0),
                                      {"rope.scaling.yarn_attn_factor", 1.0},
                                      {"rope.scaling.yarn_ext_factor", 1.0},
                                      {"rope.scaling.yarn_log_multiplier", 0.0}})
        if (keys.number_or(name, usual, -most, most) != usual)
            throw UnsupportedError(keys.path(name),
                                   "a value other than " + std::to_string(usual) + " is not supported");
    scaling.attention_factor = yarn_attention_factor(scaling.factor);
    if (config.rope_theta <= 1) throw FormatError(keys.path("rope.freq_base"), "expected more than 1 with yarn");
    return scaling;
}

/// rope_freqs.weight, which takes the place of a scaling.
inline RopeScaling read_rope_factors(const Tensor& tensor, const ModelConfig& config) {
    const std::vector shape{config.head_dim / 2};
    if (tensor.shape != shape)
        throw FormatError(tensor.where, "expected shape " + to_string(shape) + ", found " + to_string(tensor.shape));
    if (tensor.dtype != Dtype::f32)
        throw FormatError(tensor.where, std::string("expected F32, found ") + to_string(tensor.dtype));
    std::vector<float> factors(config.head_dim / 2);
    tensor.read(0, factors);
    for (const float factor : factors)
        if (is_nan(factor) || factor < 1e-6f || factor > 1e6f)
            throw FormatError(tensor.where, "expected factors in [1e-6, 1e6], found " + std::to_string(factor));
    return scaling_of_factors(config, factors);
}

inline RopeScaling read_rope_scaling(const GgufArchKeys& keys, const GgufFiles& files, const ModelConfig& config) {
    const std::string none = "none", type = keys.metadata().string_or(keys.key("rope.scaling.type"), none);
    if (files.contains("rope_freqs.weight")) {
        if (type != none)
            throw UnsupportedError(keys.path("rope.scaling.type"),
                                   json_excerpt(type.substr(0, 80)) + " beside rope_freqs.weight is not supported");
        return read_rope_factors(files.tensor("rope_freqs.weight"), config);
    }
    RopeScaling scaling;
    if (type == "yarn") return read_yarn(keys, config);
    if (type != none && type != "linear")
        throw UnsupportedError(keys.path("rope.scaling.type"),
                               json_excerpt(type.substr(0, 80)) + " is not supported (expected none, linear or yarn)");
    const char* const old_key = "rope.scale_linear";
    const bool old = type == none && keys.has(old_key);
    if (type == none && !old) return scaling;
    scaling.factor = keys.number_or(old ? old_key : "rope.scaling.factor", 0, 0, 1e6);
    if (scaling.factor < 1)
        throw FormatError(keys.path(old ? old_key : "rope.scaling.factor"), "expected a factor of at least 1");
    scaling.kind = RopeScaling::Kind::linear;
    return scaling;
}

/// The ids that end a text: of a whole one, of a turn and of a message.
inline std::vector<TokenId> read_eos(const GgufMetadata& metadata, std::size_t vocab_size) {
    std::vector<TokenId> ids;
    for (const char* key :
         {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
        if (!metadata.has(key)) continue;
        const auto id = static_cast<TokenId>(metadata.integer(key, 0, static_cast<std::int64_t>(vocab_size) - 1));
        if (std::ranges::find(ids, id) == ids.end()) ids.push_back(id);
    }
    return ids;
}

}  // namespace detail

/// The config of a GGUF model. Throws FormatError for a key that is missing or out of range, UnsupportedError for one
/// that asks for what this library does not compute, or that it does not know.
EIGENLM_LARGE ModelConfig read_config(const GgufFiles& files);

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE ModelConfig read_config(const GgufFiles& files) {
    const FloatState state;
    const detail::GgufArchKeys keys(files.metadata());
    namespace limits = detail::limits;
    ModelConfig config;
    config.family = detail::read_family(keys);
    detail::refuse_unknown_keys(keys);
    config.hidden_size = keys.size("embedding_length", limits::hidden_size);
    config.intermediate_size = keys.size("feed_forward_length", limits::intermediate_size);
    config.num_layers = keys.size("block_count", limits::layers);
    config.max_position_embeddings = keys.size("context_length", limits::positions);
    const Tensor embedding = files.tensor("token_embd.weight");
    const std::size_t rows = embedding.shape.empty() ? 0 : embedding.shape.front();
    if (rows == 0 || rows > limits::vocab_size)
        throw FormatError(embedding.where, "expected at most " + std::to_string(limits::vocab_size) +
                                               " rows, found shape " + to_string(embedding.shape));
    config.vocab_size = keys.size_or("vocab_size", rows, limits::vocab_size);
    detail::read_heads(keys, config);
    config.rms_norm_eps =
        static_cast<float>(keys.metadata().number(keys.key("attention.layer_norm_rms_epsilon"), 0, 1));
    config.rope_theta = keys.number_or("rope.freq_base", 10000, 1, 1e12);
    config.tie_word_embeddings = !files.contains("output.weight");
    detail::read_windows(keys, config);
    config.rope_scaling = detail::read_rope_scaling(keys, files, config);
    config.eos_token_ids = detail::read_eos(files.metadata(), config.vocab_size);
    return config;
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI
