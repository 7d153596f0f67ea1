#pragma once
// Rotary position embedding (Su et al., 2021): the cosines and sines of every position, computed once.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <vector>

#include "../base/buffer.hpp"
#include "../base/float_state.hpp"
#include "../base/parallel.hpp"
#include "../weights/config.hpp"

EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI {

namespace detail {

/// Pairs between which YaRN blends: `first` is the one that turns beta_fast times within the original length, `last`
/// the one that turns beta_slow times. In double precision, as Python.
struct YarnRange {
    double first, last;
};
inline YarnRange yarn_range(const ModelConfig& config) {
    const RopeScaling& s = config.rope_scaling;
    const auto pair = [&](double turns) {
        const auto length = static_cast<double>(s.original_max_position_embeddings);
        return static_cast<double>(config.head_dim) * std::log(length / (turns * 2 * std::numbers::pi)) /
               (2 * std::log(config.rope_theta));
    };
    double first = pair(s.beta_fast), last = pair(s.beta_slow);
    if (s.truncate) first = std::floor(first), last = std::ceil(last);
    first = std::max(first, 0.0);
    last = std::min(last, static_cast<double>(config.head_dim - 1));
    if (first == last) last += 0.001;  // transformers' way out of 0 / 0
    return {first, last};
}

/// Low frequencies are divided by the factor, high ones stay, those between are blended.
inline float scale_llama3(float frequency, const RopeScaling& s) {
    const auto original = static_cast<double>(s.original_max_position_embeddings);
    const auto factor = static_cast<float>(s.factor);
    const float wavelength = 1.0f / frequency * static_cast<float>(2 * std::numbers::pi);  // torch divides a number so
    if (wavelength > static_cast<float>(original / s.low_freq_factor)) return frequency / factor;
    if (wavelength < static_cast<float>(original / s.high_freq_factor)) return frequency;
    const float smooth = (1.0f / wavelength * static_cast<float>(original) - static_cast<float>(s.low_freq_factor)) /
                         static_cast<float>(s.high_freq_factor - s.low_freq_factor);
    return (1.0f - smooth) * frequency / factor + smooth * frequency;
}

/// The blend of 1 / power and 1 / (factor * power) for pair `i`.
inline float scale_yarn(float power, std::size_t i, double factor, const YarnRange& range) {
    const float position =
        (static_cast<float>(i) - static_cast<float>(range.first)) / static_cast<float>(range.last - range.first);
    const float kept = 1.0f - std::clamp(position, 0.0f, 1.0f);
    const float stretched = 1.0f / (static_cast<float>(factor) * power);
    return stretched * (1.0f - kept) + 1.0f / power * kept;
}

}  // namespace detail

/// Angle per position of each pair of a head, [head_dim / 2], in the float32 steps of transformers'
/// modeling_rope_utils.
inline std::vector<float> rope_frequencies(const ModelConfig& config) {
    const FloatState state;
    const RopeScaling& s = config.rope_scaling;
    const detail::YarnRange range =
        s.kind == RopeScaling::Kind::yarn ? detail::yarn_range(config) : detail::YarnRange{};
    std::vector<float> frequencies(config.head_dim / 2);
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
        const float exponent = static_cast<float>(2 * i) / static_cast<float>(config.head_dim);
        const auto power = static_cast<float>(std::pow(config.rope_theta, static_cast<double>(exponent)));
        switch (s.kind) {
            case RopeScaling::Kind::none:
            case RopeScaling::Kind::dynamic:
                frequencies[i] = 1.0f / power;
                break;
            case RopeScaling::Kind::linear:
                frequencies[i] = 1.0f / power / static_cast<float>(s.factor);
                break;
            case RopeScaling::Kind::llama3:
                frequencies[i] = detail::scale_llama3(1.0f / power, s);
                break;
            case RopeScaling::Kind::factors:
                frequencies[i] = 1.0f / power / s.factors[i];
                break;
            case RopeScaling::Kind::yarn:
                frequencies[i] = detail::scale_yarn(power, i, s.factor, range);
                break;
        }
    }
    return frequencies;
}

namespace detail {

/// Sine and cosine of an angle in [0, 2^24], our own, so that they do not depend on the machine's libm: reduction by
/// multiples of pi/2 in three parts (the first two of 33 bits: their products are exact up to angles of 1.6e6, and good
/// to 1e-9 beyond), then Taylor series whose first dropped term is below 1e-19. Rounded to float at the end.
inline void sin_cos(double angle, float& sine, float& cosine) {
    const double turns = std::floor(angle * 0.63661977236758134308 + 0.5);  // angle / (pi / 2), to the nearest
    double r = angle - turns * 1.57079632673412561417e+00;
    r = r - turns * 6.07710050630396597660e-11;
    r = r - turns * 2.02226624879595063154e-21;
    const double z = r * r;
    double s = 0, c = 0;
    for (int n = 18; n >= 2; n -= 2) {  // Horner, from the small terms: 1 - z/(n(n+1)) (1 - ...)
        s = (1 - s) * z / (n * (n + 1));
        c = (1 - c) * z / (n * (n - 1));
    }
    s = r * (1 - s);
    c = 1 - c;
    const auto quadrant = static_cast<std::int64_t>(turns) & 3;
    sine = static_cast<float>(quadrant == 0 ? s : quadrant == 1 ? c : quadrant == 2 ? -s : -c);
    cosine = static_cast<float>(quadrant == 0 ? c : quadrant == 1 ? -s : quadrant == 2 ? -c : s);
}

}  // namespace detail

/// cos and sin of position * frequency, looked up by position.
class RopeTable {
  public:
    /// No positions; fits no model.
    RopeTable() = default;
    /// Room for `positions` positions, all of them computed. Throws ResourceError when the memory cannot be had.
    RopeTable(const ModelConfig& config, std::size_t positions, ThreadPool& pool) : RopeTable(config, positions) {
        compute(0, positions, pool);
    }
    /// Room for `positions` positions, none of them computed yet.
    RopeTable(const ModelConfig& config, std::size_t positions)
        : frequencies_(rope_frequencies(config)),
          factor_(static_cast<float>(config.rope_scaling.attention_factor)),
          positions_(positions),
          values_(checked_mul(positions, config.head_dim, "RoPE table")) {}

    /// Computes positions [first, last). Throws ArgumentError when there are fewer.
    void compute(std::size_t first, std::size_t last, ThreadPool& pool) {
        if (first > last || last > positions_)
            throw ArgumentError("RopeTable::compute", "expected positions of " + std::to_string(positions_) +
                                                          ", found [" + std::to_string(first) + ", " +
                                                          std::to_string(last) + ")");
        const std::size_t half = frequencies_.size();
        pool.for_each(last - first, 64, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t p = first + begin; p < first + end; ++p)
                for (std::size_t i = 0; i < half; ++i) {
                    const float angle =
                        static_cast<float>(p) * frequencies_[i];  // rounded to float, as transformers does
                    float* const at = values_.data() + 2 * half * p + i;
                    detail::sin_cos(static_cast<double>(angle), at[half], at[0]);
                    at[0] *= factor_;
                    at[half] *= factor_;
                }
        });
    }

    /// Positions there is room for.
    std::size_t positions() const { return positions_; }
    /// Of the model it was made for.
    std::size_t head_dim() const { return 2 * frequencies_.size(); }
    /// Of a position < positions(), which is not checked.
    /// [head_dim / 2]
    const float* cos(std::size_t position) const { return values_.data() + 2 * frequencies_.size() * position; }
    /// [head_dim / 2], as cos.
    const float* sin(std::size_t position) const { return cos(position) + frequencies_.size(); }

  private:
    std::vector<float> frequencies_;
    float factor_ = 1;  // on cosines and sines
    std::size_t positions_ = 0;
    Buffer<float> values_;  // [positions][cos, sin][head_dim / 2]
};

}  // namespace eigenlm::inline EIGENLM_ABI
EIGENLM_EXACT_END
