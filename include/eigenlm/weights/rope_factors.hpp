#pragma once
// What GGUF files say of Llama 3's scaling: not its parameters, but the number that each frequency is divided by.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <optional>
#include <span>
#include <vector>

#include "../base/float_state.hpp"
#include "config.hpp"

EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI {

/// The factors that converters compute from a `rope_scaling` of type llama3, [head_dim / 2]: those of
/// ModelConfig::rope_scaling, in the float32 steps of llama.cpp's convert_hf_to_gguf.py.
inline std::vector<float> llama3_factors(const ModelConfig& config) {
    const FloatState state;
    const RopeScaling& s = config.rope_scaling;
    const auto factor = static_cast<float>(s.factor), low = static_cast<float>(s.low_freq_factor);
    const auto original = static_cast<double>(s.original_max_position_embeddings);
    std::vector<float> factors(config.head_dim / 2);
    for (std::size_t i = 0; i < factors.size(); ++i) {
        const float exponent = static_cast<float>(2 * i) / static_cast<float>(config.head_dim);
        const float frequency = 1.0f / static_cast<float>(std::pow(config.rope_theta, static_cast<double>(exponent)));
        const float wavelength = 1.0f / frequency * static_cast<float>(2 * std::numbers::pi);
        const float smooth = (1.0f / wavelength * static_cast<float>(original) - low) /
                             static_cast<float>(s.high_freq_factor - s.low_freq_factor);
        if (wavelength < static_cast<float>(original / s.high_freq_factor))
            factors[i] = 1;
        else if (wavelength > static_cast<float>(original / s.low_freq_factor))
            factors[i] = factor;
        else
            factors[i] = 1.0f / ((1.0f - smooth) / factor + smooth);
    }
    return factors;
}

namespace detail {

/// Whether two lists of factors are the same but for the last bits, in which versions of torch differ.
inline bool same_factors(std::span<const float> a, std::span<const float> b) {
    return std::ranges::equal(a, b, [](float x, float y) { return std::abs(x - y) <= 1e-6f * std::abs(x); });
}

/// low_freq_factor 1, and the high_freq_factor and original length that two blended factors tell, for the share
/// (original / wavelength - low) / (high - low) of the unscaled frequency is linear in 1 / wavelength.
inline std::optional<RopeScaling> fit_llama3(const ModelConfig& config, std::span<const float> factors) {
    const double most = factors.back();
    const auto blended = [&](float f) { return f > 1 && f < factors.back(); };
    const auto first = std::ranges::find_if(factors, blended);
    const auto last = std::find_if(factors.rbegin(), factors.rend(), blended);
    if (first == factors.end() || &*first == &*last) return std::nullopt;
    const auto share = [&](float f) { return (1 / static_cast<double>(f) - 1 / most) / (1 - 1 / most); };
    const auto turns = [&](const float& f) {  // of one position
        const auto pair = static_cast<double>(&f - factors.data());
        return std::pow(config.rope_theta, -2 * pair / static_cast<double>(config.head_dim)) / (2 * std::numbers::pi);
    };
    const double slope = (share(*first) - share(*last)) / (turns(*first) - turns(*last));
    const double low_share = slope * turns(*first) - share(*first);  // low / (high - low)
    if (!(low_share > 1e-6 && slope / low_share < 0x1p24)) return std::nullopt;
    constexpr double steps = 4;  // of high_freq_factor: quarters
    RopeScaling s;
    s.kind = RopeScaling::Kind::llama3;
    s.factor = most;
    s.high_freq_factor = 1 + std::round(steps / low_share) / steps;
    s.original_max_position_embeddings = static_cast<std::size_t>(std::round(slope / low_share));
    return s;
}

}  // namespace detail

/// The scaling whose factors these are: llama3 by its parameters where some are found, so that the rotations are those
/// of the model folder to the bit; else by the factors themselves. `config` has the base and head_dim. Factors must be
/// finite and at least 1e-8, [head_dim / 2].
inline RopeScaling scaling_of_factors(ModelConfig config, std::span<const float> factors) {
    const FloatState state;
    RopeScaling& s = config.rope_scaling;
    s = {};
    if (std::ranges::all_of(factors, [](float f) { return f == 1; })) return s;
    const auto fits = [&](const RopeScaling& candidate) {
        if (candidate.original_max_position_embeddings == 0 || candidate.high_freq_factor <= 1) return false;
        s = candidate;
        return detail::same_factors(llama3_factors(config), factors);
    };
    RopeScaling usual;  // the lowest frequencies have the factor itself
    usual.kind = RopeScaling::Kind::llama3;
    usual.factor = static_cast<double>(factors.back());
    usual.high_freq_factor = 4;
    usual.original_max_position_embeddings = 8192;  // Llama 3.1 to 3.3
    if (fits(usual)) return s;
    if (const auto fitted = detail::fit_llama3(config, factors); fitted && fits(*fitted)) return s;
    for (const double high : {4, 2, 8, 16, 32})  // where only one factor is blended, or none
        for (std::size_t length = 1; length <= detail::limits::positions; length *= 2) {
            usual.high_freq_factor = high;
            usual.original_max_position_embeddings = length;
            if (fits(usual)) return s;
        }
    s = {};
    s.kind = RopeScaling::Kind::factors;
    s.factors.assign(factors.begin(), factors.end());
    return s;
}

}  // namespace eigenlm::inline EIGENLM_ABI
EIGENLM_EXACT_END
