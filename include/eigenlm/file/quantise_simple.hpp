#pragma once
// Floats -> the quantised blocks that have a rule and no search: the same bytes as PyPI's gguf (gguf.quants, numpy's
// float32) makes, but where all of a block is below 1e-35: subnormal numbers are zeros here.
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../base/types.hpp"
#include "dequantise.hpp"

EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI::detail::quants {

/// The nearest half, as blocks have it.
inline blocks::Half to_half(float x) {
    const std::uint16_t bits = f32_to_f16(x);
    return {{static_cast<std::uint8_t>(bits & 255), static_cast<std::uint8_t>(bits >> 8)}};
}
/// Whether the number fitted.
inline bool fitted(blocks::Half half) { return (half.bytes[1] & 0x7c) != 0x7c; }

/// A float's bits without its sign: in the order of magnitudes, subnormal ones and NaNs included.
inline std::int32_t magnitude_bits(float x) { return std::bit_cast<std::int32_t>(x) & 0x7fffffff; }

/// What numbers are multiplied by to be divided by d. Nothing is left of them when d is 0.
inline float inverse(float d) { return d == 0 ? 0 : 1 / d; }

/// The largest magnitude_bits of some numbers.
inline std::int32_t largest_magnitude_bits(const float* x, std::size_t count) {
    std::int32_t largest = 0;
    for (std::size_t i = 0; i < count; ++i) largest = magnitude_bits(x[i]) > largest ? magnitude_bits(x[i]) : largest;
    return largest;
}
/// Where they occur first.
inline std::size_t largest_at(const float* x, std::size_t count) {
    const std::int32_t largest = largest_magnitude_bits(x, count);
    std::size_t at = 0;
    while (at + 1 < count && magnitude_bits(x[at]) != largest) ++at;
    return at;
}

/// The ends of 32 numbers.
struct Range {
    float least;     ///< -0 before 0
    float greatest;  ///< likewise
};
/// Compares bits: a comparison of floats takes subnormal numbers for zeros, and would lose their sign.
inline Range range_of_32(const float* x) {
    const auto ordered = [](std::int32_t bits) { return bits ^ (bits >> 31 & 0x7fffffff); };
    std::int32_t least = 0x7fffffff, greatest = -0x7fffffff;
    for (std::size_t i = 0; i < 32; ++i) {
        const std::int32_t key = ordered(std::bit_cast<std::int32_t>(x[i]));
        least = key < least ? key : least;
        greatest = key > greatest ? key : greatest;
    }
    return {std::bit_cast<float>(ordered(least)), std::bit_cast<float>(ordered(greatest))};
}

/// 32 codes' lower four bits, those of the first 16 in the lower halves.
inline void pack_nibbles(const std::int32_t* codes, std::uint8_t* bytes) {
    for (std::size_t i = 0; i < 16; ++i)
        bytes[i] = static_cast<std::uint8_t>((codes[i] & 15) | (codes[i + 16] & 15) << 4);
}
/// 32 codes' fifth bits.
inline blocks::Word fifth_bits(const std::int32_t* codes) {
    blocks::Word word{};
    for (std::size_t i = 0; i < 32; ++i)
        word.bytes[i / 8] = static_cast<std::uint8_t>(word.bytes[i / 8] | (codes[i] >> 4 & 1) << i % 8);
    return word;
}

/// Codes of 32 numbers around the middle of [0, 2 * half): the number of the largest magnitude, which `half` steps
/// below 0 stand for, decides the scale. False when that is none.
inline bool codes_around_zero(const float* x, std::int32_t half, blocks::Half& scale, std::int32_t* codes) {
    const float d = x[largest_at(x, 32)] / static_cast<float>(-half), inverse_d = inverse(d);
    scale = to_half(d);
    if (!fitted(scale)) return false;
    for (std::size_t i = 0; i < 32; ++i) {
        const auto code = static_cast<std::int32_t>(x[i] * inverse_d + (static_cast<float>(half) + 0.5f));
        codes[i] = code < 2 * half ? code : 2 * half - 1;
    }
    return true;
}

/// Codes of 32 numbers from the least one (0) to the greatest one (`most`). False when the scales are none.
inline bool codes_above_least(const float* x, std::int32_t most, blocks::Half& scale, blocks::Half& least,
                              std::int32_t* codes) {
    const Range range = range_of_32(x);
    const float d = (range.greatest - range.least) / static_cast<float>(most), inverse_d = inverse(d);
    scale = to_half(d);
    least = to_half(range.least);
    if (!fitted(scale) || !fitted(least)) return false;
    for (std::size_t i = 0; i < 32; ++i) {
        const auto code = static_cast<std::int32_t>((x[i] - range.least) * inverse_d + 0.5f);
        codes[i] = code < most ? code : most;
    }
    return true;
}

// A block's numbers -> its bytes. False when a scale is too large for a half, or none: whatever is not finite is the
// largest magnitude or an end of the range, and so makes a scale that is not finite.

inline bool encode(const float* x, blocks::Q8_0& block) {
    const float d = std::bit_cast<float>(largest_magnitude_bits(x, 32)) / 127, inverse_d = inverse(d);
    block.scale = to_half(d);
    if (!fitted(block.scale)) return false;
    for (std::size_t i = 0; i < 32; ++i) {
        const float value = x[i] * inverse_d;
        const auto whole = static_cast<std::int32_t>(value);
        const float rest = value - static_cast<float>(whole);  // halves are rounded away from 0
        block.values[i] = static_cast<std::int8_t>(whole + (rest >= 0.5f) - (rest <= -0.5f));
    }
    return true;
}
inline bool encode(const float* x, blocks::Q4_0& block) {
    std::int32_t codes[32];
    if (!codes_around_zero(x, 8, block.scale, codes)) return false;
    pack_nibbles(codes, block.codes);
    return true;
}
inline bool encode(const float* x, blocks::Q4_1& block) {
    std::int32_t codes[32];
    if (!codes_above_least(x, 15, block.scale, block.least, codes)) return false;
    pack_nibbles(codes, block.codes);
    return true;
}
inline bool encode(const float* x, blocks::Q5_0& block) {
    std::int32_t codes[32];
    if (!codes_around_zero(x, 16, block.scale, codes)) return false;
    pack_nibbles(codes, block.codes);
    block.fifth_bits = fifth_bits(codes);
    return true;
}
inline bool encode(const float* x, blocks::Q5_1& block) {
    std::int32_t codes[32];
    if (!codes_above_least(x, 31, block.scale, block.least, codes)) return false;
    pack_nibbles(codes, block.codes);
    block.fifth_bits = fifth_bits(codes);
    return true;
}

}  // namespace eigenlm::inline EIGENLM_ABI::detail::quants
EIGENLM_EXACT_END
