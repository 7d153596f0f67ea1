#pragma once
// config.json: the shape of a model and the constants of its arithmetic, under the field's names.
#include <algorithm>
#include <cmath>
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
enum class ModelFamily { llama, mistral, qwen2, qwen3 };

/// Every family.
inline constexpr ModelFamily all_families[] = {ModelFamily::llama, ModelFamily::mistral, ModelFamily::qwen2,
                                               ModelFamily::qwen3};

/// The family's `model_type`.
constexpr const char* to_string(ModelFamily family) {
    constexpr const char* names[] = {"llama", "mistral", "qwen2", "qwen3"};
    return names[static_cast<int>(family)];
}

/// How rotary frequencies are stretched for contexts longer than the model was first trained on.
struct RopeScaling {
    /// linear: all are divided by the factor (Chen et al., 2023). dynamic: none are, up to the original length; what
    /// lies beyond is not computed here, since it would change keys that are cached already. yarn: low ones are
    /// divided, high ones stay, by the number of turns within the original length (Peng et al., 2023). llama3: the same
    /// by wavelength (Dubey et al., 2024). factors: each is divided by its own.
    enum class Kind { none, linear, dynamic, yarn, llama3, factors };
    Kind kind = Kind::none;  ///< which of them
    double factor = 1;       ///< new length / original length
    /// yarn, llama3
    std::size_t original_max_position_embeddings = 0;
    double low_freq_factor = 1;       ///< llama3: wavelengths above original / low are "low frequency"
    double high_freq_factor = 1;      ///< llama3: wavelengths below original / high are left as they are
    double beta_fast = 32;            ///< yarn: above so many turns a frequency stays
    double beta_slow = 1;             ///< yarn: below so many turns it is divided
    double attention_factor = 1;      ///< yarn: cosines and sines are multiplied by this
    bool truncate = true;             ///< yarn: the blend begins and ends at whole pairs
    std::vector<float> factors = {};  ///< factors: [head_dim / 2]
};

/// A model's shape and constants: read_config makes one of config.json, check() tells whether one made by hand will do.
struct ModelConfig {
    ModelFamily family = ModelFamily::llama;    ///< which architecture
    std::size_t vocab_size = 0;                 ///< rows of the embedding; ids are below it
    std::size_t hidden_size = 0;                ///< numbers of the residual stream at one position
    std::size_t intermediate_size = 0;          ///< numbers inside the feed-forward part
    std::size_t num_layers = 0;                 ///< blocks (config.json: num_hidden_layers)
    std::size_t num_heads = 0;                  ///< query heads
    std::size_t num_kv_heads = 0;               ///< divides num_heads
    std::size_t head_dim = 0;                   ///< even; need not be hidden_size / num_heads
    std::size_t max_position_embeddings = 0;    ///< positions it was trained for
    float rms_norm_eps = 1e-6f;                 ///< added to the mean square
    double rope_theta = 10000;                  ///< base of the rotary frequencies
    RopeScaling rope_scaling;                   ///< how they are stretched
    RopeLayout rope_layout = RopeLayout::half;  ///< how rotated pairs lie in a head
    bool tie_word_embeddings = false;           ///< the head is the embedding
    /// [num_layers]: positions that one attends to, its own included; 0: all. Or empty: all 0
    std::vector<std::size_t> windows;
    std::vector<TokenId> eos_token_ids;  ///< end a text

    /// A layer's entry of `windows`; 0 where there are none.
    std::size_t window(std::size_t layer) const { return windows.empty() ? 0 : windows[layer]; }
    /// Positions that the rotations are made for; at most 2^24, beyond which a float does not tell positions apart.
    std::size_t max_context() const {
        using enum RopeScaling::Kind;
        const auto stretched = [this](std::size_t length) {
            return static_cast<std::size_t>(std::min(static_cast<double>(length) * rope_scaling.factor, 0x1p24));
        };
        if (rope_scaling.kind == linear) return stretched(max_position_embeddings);
        if (rope_scaling.kind == yarn)
            return std::max(max_position_embeddings, stretched(rope_scaling.original_max_position_embeddings));
        return max_position_embeddings;
    }
    /// Numbers of all query heads at one position.
    std::size_t query_size() const { return num_heads * head_dim; }
    /// Numbers of all key heads at one position, and of all value heads.
    std::size_t kv_size() const { return num_kv_heads * head_dim; }
    /// Queries, keys and values together.
    std::size_t qkv_size() const { return query_size() + 2 * kv_size(); }
    /// Query heads that share one key/value head.
    std::size_t group() const { return num_heads / num_kv_heads; }
};

namespace detail {

/// The largest sizes that are taken: far above any model's, and so small that no product of them overflows.
namespace limits {
inline constexpr std::size_t vocab_size = 1 << 24, hidden_size = 1 << 20, intermediate_size = 1 << 22, layers = 1 << 12,
                             heads = 1 << 14, positions = 1 << 24;
}

EIGENLM_EXACT_BEGIN
/// YaRN's factor on cosines and sines where none is given.
inline double yarn_attention_factor(double factor, double mscale = 0, double mscale_all_dim = 0) {
    const auto scale = [factor](double weight) { return factor <= 1 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0; };
    return mscale != 0 && mscale_all_dim != 0 ? scale(mscale) / scale(mscale_all_dim) : scale(1);
}
EIGENLM_EXACT_END

}  // namespace detail

/// Throws ArgumentError unless a config made by hand can be computed with. read_config's results always can.
inline void check(const ModelConfig& c) {
    const auto require = [](bool good, const char* field, const char* expected) {
        if (!good) throw ArgumentError(std::string("config.") + field, std::string("expected ") + expected);
    };
    const auto within = [](const char* field, auto value, decltype(value) low, decltype(value) high) {
        const auto text = [](auto number) { return nlohmann::json(number).dump(); };
        if (!(value >= low && value <= high))
            throw ArgumentError(std::string("config.") + field,
                                "expected " + text(low) + " to " + text(high) + ", found " + std::to_string(value));
    };
    namespace limits = detail::limits;
    within("vocab_size", c.vocab_size, 1, limits::vocab_size);
    within("hidden_size", c.hidden_size, 1, limits::hidden_size);
    within("intermediate_size", c.intermediate_size, 1, limits::intermediate_size);
    within("num_layers", c.num_layers, 1, limits::layers);
    within("num_heads", c.num_heads, 1, limits::heads);
    within("num_kv_heads", c.num_kv_heads, 1, limits::heads);
    require(c.num_heads % c.num_kv_heads == 0, "num_kv_heads", "a divisor of num_heads");
    within("head_dim", c.head_dim, 1, limits::hidden_size);
    require(c.head_dim % 2 == 0, "head_dim", "an even number");
    within("max_position_embeddings", c.max_position_embeddings, 1, limits::positions);
    require(c.windows.empty() || c.windows.size() == c.num_layers, "windows", "one for each layer, or none");
    within("rms_norm_eps", c.rms_norm_eps, 0, 1);
    within("rope_theta", c.rope_theta, 1, 1e12);

    using enum RopeScaling::Kind;
    const RopeScaling& s = c.rope_scaling;
    within("rope_scaling.factor", s.factor, 1e-8, 1e8);
    within("rope_scaling.attention_factor", s.attention_factor, 1e-8, 1e8);
    if (s.kind == yarn || s.kind == llama3)
        within("rope_scaling.original_max_position_embeddings", s.original_max_position_embeddings, 1,
               limits::positions);
    if (s.kind == yarn) {
        require(c.rope_theta > 1, "rope_theta", "more than 1 with yarn");
        require(s.beta_fast > 0, "rope_scaling.beta_fast", "more than 0");
        require(s.beta_slow > 0, "rope_scaling.beta_slow", "more than 0");
    }
    if (s.kind == factors) {
        require(s.factors.size() == c.head_dim / 2, "rope_scaling.factors", "one for each pair of a head");
        for (const float factor : s.factors) within("rope_scaling.factors", factor, 1e-8f, 1e8f);
    }
    if (s.kind == llama3) {
        within("rope_scaling.low_freq_factor", s.low_freq_factor, 1e-8, 1e8);
        require(s.high_freq_factor > s.low_freq_factor, "rope_scaling.high_freq_factor", "more than low_freq_factor");
    }
}

}  // namespace eigenlm::inline EIGENLM_ABI
