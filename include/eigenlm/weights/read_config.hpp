#pragma once
// config.json -> ModelConfig, by each family's own rules in transformers.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/float_state.hpp"
#include "../file/checkpoint.hpp"
#include "names.hpp"

namespace eigenlm::inline EIGENLM_ABI {

namespace detail {

inline ModelFamily read_family(const JsonObject& json) {
    const std::string type = json.string("model_type");
    for (const ModelFamily family : all_families)
        if (type == to_string(family)) return family;
    throw UnsupportedError(json.path("model_type"), json_excerpt(type.substr(0, 80)) +
                                                        " is not supported (expected llama, mistral, qwen2 or qwen3)");
}

/// Refuses what would change the numbers and is not computed here.
inline void refuse_unsupported(const JsonObject& json, ModelFamily family) {
    const auto refuse = [&json](const char* key, const std::string& what) {
        throw UnsupportedError(json.path(key), what + " is not supported");
    };
    const std::string activation = json.string_or("hidden_act", "silu");
    if (activation != "silu") refuse("hidden_act", json_excerpt(activation.substr(0, 80)) + " (expected \"silu\")");
    for (const char* key : {"attention_bias", "mlp_bias"})  // Qwen2's biases do not depend on the former
        if (json.boolean_or(key, false) && !(family == ModelFamily::qwen2 && key == std::string_view("attention_bias")))
            refuse(key, "true");
    if (json.has("quantization_config")) refuse("quantization_config", "a quantized checkpoint");
    if (json.number_or("partial_rotary_factor", 1, 0, 1) != 1) refuse("partial_rotary_factor", "a factor other than 1");
}

/// Each layer's window by `layer_types`: 0, or `window` where it says "sliding_attention".
inline std::vector<std::size_t> windows_by_type(const JsonObject& json, std::size_t num_layers, std::size_t window) {
    const auto& types = json.array("layer_types");
    if (types.size() != num_layers)
        throw FormatError(json.path("layer_types"), "expected one for each of the " + std::to_string(num_layers) +
                                                        " layers, found " + std::to_string(types.size()));
    std::vector<std::size_t> windows(num_layers, 0);
    for (std::size_t l = 0; l < num_layers; ++l) {
        const auto type_is = [&type = types[l]](std::string_view name) {
            return type.is_string() && type.get_ref<const std::string&>() == name;
        };
        const bool sliding = type_is("sliding_attention");
        if (!sliding && !type_is("full_attention"))
            throw UnsupportedError(
                json.path("layer_types"),
                types[l].dump(-1, ' ', true, nlohmann::json::error_handler_t::replace).substr(0, 80) +
                    " is not supported (expected \"full_attention\" or \"sliding_attention\")");
        if (sliding && window == 0)
            throw FormatError(json.path("layer_types"),
                              "\"sliding_attention\" without a sliding_window that is in use");
        if (sliding) windows[l] = window;
    }
    return windows;
}

/// `sliding_window`: 0 where it is null, what transformers assumes where it is missing.
inline std::size_t read_window(const JsonObject& json) {
    if (json.raw().contains("sliding_window") && !json.has("sliding_window")) return 0;
    return static_cast<std::size_t>(json.integer_or("sliding_window", 4096, 1, std::int64_t{1} << 40));
}

inline std::vector<std::size_t> qwen_windows(const JsonObject& json, std::size_t num_layers) {
    const std::size_t window = json.boolean_or("use_sliding_window", false) ? read_window(json) : 0;
    if (json.has("layer_types")) return windows_by_type(json, num_layers, window);
    if (window == 0) return {};
    const auto full = static_cast<std::size_t>(json.integer_or("max_window_layers", 28, 0, std::int64_t{1} << 40));
    std::vector<std::size_t> windows(num_layers, window);  // but for the first max_window_layers
    std::fill_n(windows.begin(), std::min(full, num_layers), 0);
    return windows;
}
inline std::vector<std::size_t> mistral_windows(const JsonObject& json, std::size_t num_layers) {
    const std::size_t window = read_window(json);
    const std::vector<std::size_t> windows(num_layers, window);
    if (json.has("layer_types") && windows_by_type(json, num_layers, window) != windows)
        throw UnsupportedError(json.path("layer_types"), "layers of different types are not supported in this family");
    return windows;
}
/// Llama has none: what says otherwise is another model.
inline std::vector<std::size_t> llama_windows(const JsonObject& json, const ModelConfig& config) {
    const auto refuse = [&json](const char* key, const char* what) {
        throw UnsupportedError(json.path(key), std::string(what) + " is not supported in this family");
    };
    if (json.has("sliding_window") && read_window(json) < config.max_position_embeddings)
        refuse("sliding_window", "a window shorter than the context");
    if (json.boolean_or("use_sliding_window", false)) refuse("use_sliding_window", "true");
    if (!json.has("layer_types")) return {};
    for (const auto& type : json.array("layer_types"))
        if (type == "sliding_attention") refuse("layer_types", "\"sliding_attention\"");
    return windows_by_type(json, config.num_layers, 0);
}

/// Each layer's sliding window, by its family's own rules in transformers.
inline std::vector<std::size_t> read_windows(const JsonObject& json, const ModelConfig& config) {
    switch (config.family) {
        case ModelFamily::qwen2:
        case ModelFamily::qwen3:
            return qwen_windows(json, config.num_layers);
        case ModelFamily::mistral:
            return mistral_windows(json, config.num_layers);
        case ModelFamily::llama:
            break;
    }
    return llama_windows(json, config);
}

/// YaRN's factor on cosines and sines where none is given, from its factor and DeepSeek's mscale and mscale_all_dim.
inline double yarn_attention_factor(const JsonObject& json, double factor) {
    return yarn_attention_factor(factor, json.number_or("mscale", 0, 0, 1e6),
                                 json.number_or("mscale_all_dim", 0, 0, 1e6));
}

inline RopeScaling read_rope_scaling(const JsonObject& json, const ModelConfig& config, std::size_t original) {
    using Kind = RopeScaling::Kind;
    const char* const kind_key = json.has("rope_type") ? "rope_type" : "type";
    const std::string name = json.string_or(kind_key, "default");
    RopeScaling scaling;
    if (name == "default") return scaling;
    for (const auto& [known, kind] : {std::pair("linear", Kind::linear),
                                      {"dynamic", Kind::dynamic},
                                      {"yarn", Kind::yarn},
                                      {"llama3", Kind::llama3}})
        if (name == known) scaling.kind = kind;
    if (scaling.kind == Kind::none)
        throw UnsupportedError(
            json.path(kind_key),
            json_excerpt(name.substr(0, 80)) + " is not supported (expected default, linear, dynamic, yarn or llama3)");
    constexpr double most = 1e6;
    if (scaling.kind == Kind::llama3 || scaling.kind == Kind::yarn)
        scaling.original_max_position_embeddings =
            original ? original
                     : static_cast<std::size_t>(json.integer_or(
                           "original_max_position_embeddings",
                           static_cast<std::int64_t>(config.max_position_embeddings), 1, std::int64_t{1} << 24));
    const bool by_ratio = scaling.kind == Kind::yarn && json.raw().contains("factor") && !json.has("factor");
    scaling.factor = by_ratio ? static_cast<double>(config.max_position_embeddings) /
                                    static_cast<double>(scaling.original_max_position_embeddings)
                              : json.number("factor", scaling.kind == Kind::yarn ? 1e-3 : 1, most);
    if (by_ratio && scaling.factor < 1e-3)
        throw FormatError(json.path("original_max_position_embeddings"),
                          "expected at most 1000 times max_position_embeddings");
    if (scaling.kind == Kind::llama3) {
        scaling.low_freq_factor = json.number("low_freq_factor", 1e-3, most);
        scaling.high_freq_factor = json.number("high_freq_factor", 1e-3, most);
        if (scaling.high_freq_factor <= scaling.low_freq_factor)
            throw FormatError(json.path("high_freq_factor"), "expected more than low_freq_factor");
    } else if (scaling.kind == Kind::yarn) {
        const auto beta = [&json](const char* key, double otherwise) {  // 0 stands for the default
            const double value = json.number_or(key, otherwise, 0, most);
            return value != 0 ? value : otherwise;
        };
        scaling.beta_fast = beta("beta_fast", 32);
        scaling.beta_slow = beta("beta_slow", 1);
        scaling.truncate = json.boolean_or("truncate", true);
        scaling.attention_factor =
            json.number_or("attention_factor", yarn_attention_factor(json, scaling.factor), 1e-3, most);
    }
    return scaling;
}

/// transformers 5 writes `rope_parameters`, older ones `rope_theta` and `rope_scaling`. Where both objects stand, the
/// latter counts unless it is empty, and the former not at all, as in transformers.
inline void read_rope(const JsonObject& json, ModelConfig& config) {
    constexpr double least = 1, most = 1e12;
    config.rope_theta = json.number_or("rope_theta", 10000, least, most);
    const auto original = static_cast<std::size_t>(json.integer_or("original_max_position_embeddings", 0, 0, 1 << 24));
    auto rope = json.object("rope_scaling");
    if (!rope || rope->raw().empty()) rope = json.object("rope_parameters");
    if (!rope) return;
    for (const auto& [name, value] : rope->raw().items())
        if (value.is_object())
            throw UnsupportedError(rope->path(name.c_str()), "parameters of one layer type are not supported");
    config.rope_theta = rope->number_or("rope_theta", config.rope_theta, least, most);
    if (rope->number_or("partial_rotary_factor", 1, 0, 1) != 1)
        throw UnsupportedError(rope->path("partial_rotary_factor"), "a factor other than 1 is not supported");
    config.rope_scaling = read_rope_scaling(*rope, config, original);
    if (config.rope_scaling.kind == RopeScaling::Kind::yarn && config.rope_theta <= 1)
        throw FormatError(rope->path("rope_theta"), "expected more than 1 with yarn");
}

/// `eos_token_id` is one id or a list of them.
inline std::vector<TokenId> read_eos(const JsonObject& json, std::size_t vocab_size) {
    std::vector<TokenId> ids;
    if (!json.has("eos_token_id")) return ids;
    const auto& field = json.raw().at("eos_token_id");
    const nlohmann::json list = field.is_array() ? field : nlohmann::json::array({field});
    for (const auto& id : list) {
        const bool integer = id.is_number_integer();
        if (integer && !id.is_number_unsigned() && id.get<std::int64_t>() < 0) continue;  // files write -1 for "none"
        if (!integer || id.get<std::uint64_t>() >= vocab_size)
            throw FormatError(json.path("eos_token_id"), "expected ids in [0, " + std::to_string(vocab_size) +
                                                             "), found " + id.dump().substr(0, 80));
        ids.push_back(id.get<TokenId>());
    }
    return ids;
}

/// What transformers takes for max_position_embeddings where a config does not say.
constexpr std::int64_t default_positions(ModelFamily family) {
    return family == ModelFamily::llama ? 2048 : family == ModelFamily::mistral ? 4096 * 32 : 32768;
}

inline void check_heads(const JsonObject& json, const ModelConfig& config, bool explicit_head_dim) {
    if (config.num_heads % config.num_kv_heads != 0)
        throw FormatError(json.path("num_key_value_heads"), "expected a divisor of num_attention_heads (" +
                                                                std::to_string(config.num_heads) + "), found " +
                                                                std::to_string(config.num_kv_heads));
    if (!explicit_head_dim && config.hidden_size % config.num_heads != 0)
        throw FormatError(json.path("hidden_size"),
                          "expected a multiple of num_attention_heads where head_dim is not given");
    constexpr std::size_t most = 512;  // a small file must not make a large table of rotations
    if (config.head_dim == 0 || config.head_dim % 2 != 0 || config.head_dim > most)
        throw FormatError(json.path("head_dim"), "expected an even number of at most " + std::to_string(most) +
                                                     ", found " + std::to_string(config.head_dim));
}

}  // namespace detail

/// Reads config.json's content. `where` is the file's path, for messages. Throws FormatError for a field that is
/// missing or out of range, UnsupportedError for one that asks for what this library does not compute.
inline ModelConfig read_config(const nlohmann::json& content, const std::string& where) {
    const FloatState state;
    const JsonObject json(content, where);
    const auto size = [&json](const char* key, std::size_t most) {
        return static_cast<std::size_t>(json.integer(key, 1, static_cast<std::int64_t>(most)));
    };
    namespace limits = detail::limits;
    ModelConfig config;
    config.family = detail::read_family(json);
    config.vocab_size = size("vocab_size", limits::vocab_size);
    config.hidden_size = size("hidden_size", limits::hidden_size);
    config.intermediate_size = size("intermediate_size", limits::intermediate_size);
    config.num_layers = size("num_hidden_layers", limits::layers);
    config.num_heads = size("num_attention_heads", limits::heads);
    config.num_kv_heads =
        json.has("num_key_value_heads") ? size("num_key_value_heads", limits::heads) : config.num_heads;
    const bool explicit_head_dim = json.has("head_dim");
    config.head_dim = explicit_head_dim                     ? size("head_dim", 1 << 12)
                      : config.family == ModelFamily::qwen3 ? 128
                                                            : config.hidden_size / config.num_heads;
    detail::check_heads(json, config, explicit_head_dim || config.family == ModelFamily::qwen3);
    config.max_position_embeddings = static_cast<std::size_t>(
        json.integer_or("max_position_embeddings", detail::default_positions(config.family), 1, 1 << 24));
    config.rms_norm_eps = static_cast<float>(json.number_or("rms_norm_eps", 1e-6, 0, 1));
    config.tie_word_embeddings = json.boolean_or("tie_word_embeddings", false);
    detail::refuse_unsupported(json, config.family);
    config.windows = detail::read_windows(json, config);
    detail::read_rope(json, config);
    config.eos_token_ids = detail::read_eos(json, config.vocab_size);
    return config;
}

namespace detail {

/// `config`, untied where the source holds a head that differs from the embedding, whatever the config says: as in
/// transformers.
inline ModelConfig resolve_tying(ModelConfig config, const TensorSource& source) {
    const std::string head_name = head_names(config).front().name,
                      embedding_name = embedding_names(config).front().name;
    if (!config.tie_word_embeddings || !source.contains(head_name)) return config;
    const std::array shape{config.vocab_size, config.hidden_size};
    const Tensor head = source.tensor(head_name, shape), embedding = source.tensor(embedding_name, shape);
    constexpr std::size_t piece = std::size_t{1} << 20;  // elements
    std::vector<std::byte> a, b;
    for (std::size_t first = 0; config.tie_word_embeddings && first < head.size(); first += piece) {
        const std::size_t count = std::min(piece, head.size() - first);
        a.resize(bytes_of(head.dtype, count));
        b.resize(bytes_of(embedding.dtype, count));
        head.read_bytes(first, a);
        embedding.read_bytes(first, b);
        config.tie_word_embeddings = a == b;
    }
    return config;
}

}  // namespace detail

/// The config of an opened folder, as its weights bear it out. Throws what read_config of its config.json throws, and
/// FormatError for a tied head of another shape than the embedding's.
inline ModelConfig read_config(const Checkpoint& checkpoint) {
    return detail::resolve_tying(read_config(checkpoint.config(), checkpoint.config_path()), checkpoint.tensors());
}

}  // namespace eigenlm::inline EIGENLM_ABI
