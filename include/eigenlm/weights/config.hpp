#pragma once
// config.json: the shape of a model and the constants of its arithmetic, under the field's names.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "../base/float_state.hpp"
#include "../base/types.hpp"
#include "../file/json.hpp"
#include "../kernels/table.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// The families this library runs; each has a traits type in model/arch.hpp.
enum class ModelFamily { llama, qwen2 };

constexpr const char* to_string(ModelFamily family) {
    constexpr const char* names[] = {"llama", "qwen2"};
    return names[static_cast<int>(family)];
}

/// How rotary frequencies are stretched for contexts longer than the model was first trained on.
struct RopeScaling {
    enum class Kind { none, llama3 };
    Kind kind = Kind::none;
    double factor = 1;            // llama3: low frequencies are divided by this
    double low_freq_factor = 1;   // llama3: wavelengths above original / low are "low frequency"
    double high_freq_factor = 1;  // llama3: wavelengths below original / high are left as they are
    std::size_t original_max_position_embeddings = 0;
};

struct ModelConfig {
    ModelFamily family = ModelFamily::llama;
    std::size_t vocab_size = 0;
    std::size_t hidden_size = 0;
    std::size_t intermediate_size = 0;
    std::size_t num_layers = 0;
    std::size_t num_heads = 0;     // query heads
    std::size_t num_kv_heads = 0;  // divides num_heads
    std::size_t head_dim = 0;      // even; need not be hidden_size / num_heads
    std::size_t max_position_embeddings = 0;
    float rms_norm_eps = 1e-6f;
    double rope_theta = 10000;
    RopeScaling rope_scaling;
    RopeLayout rope_layout = RopeLayout::half;
    bool tie_word_embeddings = false;
    std::vector<TokenId> eos_token_ids;

    std::size_t query_size() const { return num_heads * head_dim; }
    std::size_t kv_size() const { return num_kv_heads * head_dim; }
    std::size_t qkv_size() const { return query_size() + 2 * kv_size(); }
    /// Query heads that share one key/value head.
    std::size_t group() const { return num_heads / num_kv_heads; }
};

/// Throws ArgumentError unless a config made by hand can be computed with. read_config's results always can.
inline void check(const ModelConfig& c) {
    const auto require = [](bool good, const char* field, const char* expected) {
        if (!good) throw ArgumentError(std::string("config.") + field, std::string("expected ") + expected);
    };
    require(c.vocab_size > 0, "vocab_size", "at least 1");
    require(c.hidden_size > 0, "hidden_size", "at least 1");
    require(c.intermediate_size > 0, "intermediate_size", "at least 1");
    require(c.num_layers > 0, "num_layers", "at least 1");
    require(c.num_kv_heads > 0 && c.num_heads > 0 && c.num_heads % c.num_kv_heads == 0, "num_kv_heads", "a divisor of num_heads");
    require(c.head_dim > 0 && c.head_dim % 2 == 0, "head_dim", "an even number");
    require(c.max_position_embeddings > 0, "max_position_embeddings", "at least 1");
}

namespace detail {

inline ModelFamily read_family(const JsonObject& json) {
    const std::string type = json.string("model_type");
    for (const ModelFamily family : {ModelFamily::llama, ModelFamily::qwen2})
        if (type == to_string(family)) return family;
    throw UnsupportedError(json.path("model_type"), "\"" + type.substr(0, 80) + "\" is not supported (expected llama or qwen2)");
}

/// Refuses what would change the numbers and is not computed here.
inline void refuse_unsupported(const JsonObject& json, ModelFamily family, std::size_t max_positions) {
    const auto refuse = [&json](const char* key, const std::string& what) {
        throw UnsupportedError(json.path(key), what + " is not supported");
    };
    const std::string activation = json.string_or("hidden_act", "silu");
    if (activation != "silu") refuse("hidden_act", "\"" + activation.substr(0, 80) + "\" (expected \"silu\")");
    if (family == ModelFamily::llama && json.boolean_or("attention_bias", false)) refuse("attention_bias", "true");
    if (json.boolean_or("mlp_bias", false)) refuse("mlp_bias", "true");
    if (json.boolean_or("use_sliding_window", false)) refuse("use_sliding_window", "true");
    if (family == ModelFamily::llama && json.has("sliding_window")) {
        constexpr std::int64_t any = std::int64_t{1} << 40;
        if (json.integer("sliding_window", 1, any) < static_cast<std::int64_t>(max_positions))
            refuse("sliding_window", "a window shorter than the context");
    }
    if (json.has("layer_types"))
        for (const auto& type : json.array("layer_types"))
            if (type != "full_attention") refuse("layer_types", type.dump() + " (expected \"full_attention\")");
    if (json.has("quantization_config")) refuse("quantization_config", "a quantized checkpoint");
    if (json.number_or("partial_rotary_factor", 1, 0, 1) != 1) refuse("partial_rotary_factor", "a factor other than 1");
}

inline RopeScaling read_rope_scaling(const JsonObject& json) {
    const std::string kind = json.string_or("rope_type", json.string_or("type", "default"));
    RopeScaling scaling;
    if (kind == "default") return scaling;
    if (kind != "llama3")
        throw UnsupportedError(json.path("rope_type"), "\"" + kind.substr(0, 80) + "\" is not supported (expected default or llama3)");
    scaling.kind = RopeScaling::Kind::llama3;
    scaling.factor = json.number("factor", 1, 1e6);
    scaling.low_freq_factor = json.number("low_freq_factor", 1e-3, 1e6);
    scaling.high_freq_factor = json.number("high_freq_factor", 1e-3, 1e6);
    if (scaling.high_freq_factor <= scaling.low_freq_factor)
        throw FormatError(json.path("high_freq_factor"), "expected more than low_freq_factor");
    scaling.original_max_position_embeddings =
        static_cast<std::size_t>(json.integer("original_max_position_embeddings", 1, std::int64_t{1} << 24));
    return scaling;
}

/// transformers 5 writes `rope_parameters`, older ones `rope_theta` and `rope_scaling`.
inline void read_rope(const JsonObject& json, ModelConfig& config) {
    constexpr double least = 1, most = 1e12;
    config.rope_theta = json.number_or("rope_theta", 10000, least, most);
    for (const char* key : {"rope_parameters", "rope_scaling"})  // where both stand, the latter counts, as in transformers
        if (const auto rope = json.object(key)) {
            for (const auto& [name, value] : rope->raw().items())
                if (value.is_object()) throw UnsupportedError(rope->path(name.c_str()), "parameters of one layer type are not supported");
            config.rope_scaling = {};
            config.rope_theta = rope->number_or("rope_theta", config.rope_theta, least, most);
            if (rope->number_or("partial_rotary_factor", 1, 0, 1) != 1)
                throw UnsupportedError(rope->path("partial_rotary_factor"), "a factor other than 1 is not supported");
            config.rope_scaling = read_rope_scaling(*rope);
        }
}

/// `eos_token_id` is one id or a list of them.
inline std::vector<TokenId> read_eos(const JsonObject& json, std::size_t vocab_size) {
    std::vector<TokenId> ids;
    if (!json.has("eos_token_id")) return ids;
    const auto& field = json.raw().at("eos_token_id");
    const nlohmann::json list = field.is_array() ? field : nlohmann::json::array({field});
    for (const auto& id : list) {
        if (id.is_number_integer() && !id.is_number_unsigned() && id < 0) continue;  // files write -1 for "none"
        if (!id.is_number_integer() || id >= vocab_size)
            throw FormatError(json.path("eos_token_id"),
                              "expected ids in [0, " + std::to_string(vocab_size) + "), found " + id.dump().substr(0, 80));
        ids.push_back(id.get<TokenId>());
    }
    return ids;
}

inline void check_heads(const JsonObject& json, const ModelConfig& config, bool explicit_head_dim) {
    if (config.num_heads % config.num_kv_heads != 0)
        throw FormatError(json.path("num_key_value_heads"), "expected a divisor of num_attention_heads (" +
                                                                std::to_string(config.num_heads) + "), found " +
                                                                std::to_string(config.num_kv_heads));
    if (!explicit_head_dim && config.hidden_size % config.num_heads != 0)
        throw FormatError(json.path("hidden_size"), "expected a multiple of num_attention_heads where head_dim is not given");
    if (config.head_dim == 0 || config.head_dim % 2 != 0)
        throw FormatError(json.path("head_dim"), "expected an even number, found " + std::to_string(config.head_dim));
}

}  // namespace detail

/// Reads config.json's content. `where` is the file's path, for messages. Throws FormatError for a field that is missing
/// or out of range, UnsupportedError for one that asks for what this library does not compute.
inline ModelConfig read_config(const nlohmann::json& content, const std::string& where) {
    const FloatState state;
    const JsonObject json(content, where);
    const auto size = [&json](const char* key, std::int64_t most) {
        return static_cast<std::size_t>(json.integer(key, 1, most));
    };
    ModelConfig config;
    config.family = detail::read_family(json);
    config.vocab_size = size("vocab_size", 1 << 24);
    config.hidden_size = size("hidden_size", 1 << 20);
    config.intermediate_size = size("intermediate_size", 1 << 22);
    config.num_layers = size("num_hidden_layers", 1 << 12);
    config.num_heads = size("num_attention_heads", 1 << 14);
    config.num_kv_heads = json.has("num_key_value_heads") ? size("num_key_value_heads", 1 << 14) : config.num_heads;
    const bool explicit_head_dim = json.has("head_dim");
    config.head_dim = explicit_head_dim ? size("head_dim", 1 << 12) : config.hidden_size / config.num_heads;
    detail::check_heads(json, config, explicit_head_dim);
    config.max_position_embeddings = static_cast<std::size_t>(
        json.integer_or("max_position_embeddings", config.family == ModelFamily::qwen2 ? 32768 : 2048, 1, 1 << 24));
    config.rms_norm_eps = static_cast<float>(json.number_or("rms_norm_eps", 1e-6, 0, 1));
    config.tie_word_embeddings = json.boolean_or("tie_word_embeddings", false);
    detail::refuse_unsupported(json, config.family, config.max_position_embeddings);
    detail::read_rope(json, config);
    config.eos_token_ids = detail::read_eos(json, config.vocab_size);
    return config;
}

}  // namespace eigenlm::inline EIGENLM_ABI
