#pragma once
// Rotary position embedding (Su et al., 2021): the cosines and sines of every position, computed once.
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

/// Low frequencies are divided by the factor, high ones stay, those between are blended (Dubey et al., 2024; the steps
/// and their rounding are those of transformers' modeling_rope_utils).
inline float scale_frequency(float frequency, const RopeScaling& s) {
    if (s.kind == RopeScaling::Kind::none) return frequency;
    const auto original = static_cast<double>(s.original_max_position_embeddings);
    const auto factor = static_cast<float>(s.factor);
    const float wavelength = 1.0f / frequency * static_cast<float>(2 * std::numbers::pi);  // torch divides a number so
    if (wavelength > static_cast<float>(original / s.low_freq_factor)) return frequency / factor;
    if (wavelength < static_cast<float>(original / s.high_freq_factor)) return frequency;
    const float smooth = (1.0f / wavelength * static_cast<float>(original) - static_cast<float>(s.low_freq_factor)) /
                         static_cast<float>(s.high_freq_factor - s.low_freq_factor);
    return (1.0f - smooth) * frequency / factor + smooth * frequency;
}

}  // namespace detail

/// Angle per position of each pair of a head, [head_dim / 2], in transformers' float32 steps.
inline std::vector<float> rope_frequencies(const ModelConfig& config) {
    const FloatState state;
    std::vector<float> frequencies(config.head_dim / 2);
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
        const float exponent = static_cast<float>(2 * i) / static_cast<float>(config.head_dim);
        const auto power = static_cast<float>(std::pow(config.rope_theta, static_cast<double>(exponent)));
        frequencies[i] = detail::scale_frequency(1.0f / power, config.rope_scaling);
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
    RopeTable() = default;
    /// Room for `positions` positions, all of them computed.
    RopeTable(const ModelConfig& config, std::size_t positions, ThreadPool& pool)
        : RopeTable(config, positions) {
        compute(0, positions, pool);
    }
    /// Room for `positions` positions, none of them computed yet.
    RopeTable(const ModelConfig& config, std::size_t positions)
        : frequencies_(rope_frequencies(config)),
          positions_(positions),
          values_(checked_mul(positions, config.head_dim, "RoPE table")) {}

    /// Computes positions [first, last).
    void compute(std::size_t first, std::size_t last, ThreadPool& pool) {
        const std::size_t half = frequencies_.size();
        pool.for_each(last - first, 64, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t p = first + begin; p < first + end; ++p)
                for (std::size_t i = 0; i < half; ++i) {
                    const float angle = static_cast<float>(p) * frequencies_[i];  // rounded to float, as transformers does
                    float* const at = values_.data() + 2 * half * p + i;
                    detail::sin_cos(static_cast<double>(angle), at[half], at[0]);
                }
        });
    }

    std::size_t positions() const { return positions_; }
    std::size_t head_dim() const { return 2 * frequencies_.size(); }
    /// [head_dim / 2]
    const float* cos(std::size_t position) const { return values_.data() + 2 * frequencies_.size() * position; }
    const float* sin(std::size_t position) const { return cos(position) + frequencies_.size(); }

  private:
    std::vector<float> frequencies_;
    std::size_t positions_ = 0;
    Buffer<float> values_;  // [positions][cos, sin][head_dim / 2]
};

}  // namespace eigenlm::inline EIGENLM_ABI
EIGENLM_EXACT_END
