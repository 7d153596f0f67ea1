#pragma once
// Floats -> the quantised blocks that are searched for: what quantise_lines.hpp and quantise_multiples.hpp find, as
// bytes.
#include <cstddef>
#include <cstdint>

#include "dequantise.hpp"
#include "quantise_lines.hpp"
#include "quantise_multiples.hpp"
#include "quantise_search.hpp"

EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI::detail::quants {

/// Sets bits of a byte that are 0.
inline void set_bits(std::uint8_t& byte, int value, std::size_t shift) {
    byte = static_cast<std::uint8_t>(byte | value << shift);
}
/// The scale and the least value of group 0 to 7, in bytes that are 0.
inline void set_group(blocks::SixBits& six, std::size_t group, int scale, int least) {
    if (group < 4) {
        set_bits(six.bytes[group], scale, 0);
        set_bits(six.bytes[group + 4], least, 0);
    } else {
        set_bits(six.bytes[group + 4], (scale & 15) | (least & 15) << 4, 0);
        set_bits(six.bytes[group - 4], scale >> 4, 6);
        set_bits(six.bytes[group], least >> 4, 6);
    }
}
/// Q2_k's and Q3_k's place for two bits of an element.
inline void set_two_bits(std::uint8_t* codes, std::size_t i, int value) {
    set_bits(codes[i / 128 * 32 + i % 32], value, i / 32 % 4 * 2);
}
/// Q4_k's and Q5_k's place for four bits.
inline void set_four_bits(std::uint8_t* codes, std::size_t i, int value) {
    set_bits(codes[i / 64 * 32 + i % 32], value, i / 32 % 2 * 4);
}

// As in quantise_simple.hpp; the blocks that are given are all zeros.

inline bool encode(const float* x, blocks::Q2_k& block) {
    const Scaled<256> scaled(x, 0.6f);
    LineBlock<16, 3, 15> found(scaled);
    if (!found.fit(0.4f)) return false;
    block.scale = found.scale;
    block.least = found.least;
    for (std::size_t g = 0; g < 16; ++g) set_bits(block.groups[g], found.scale_code(g) | found.least_code(g) << 4, 0);
    for (std::size_t i = 0; i < 256; ++i) set_two_bits(block.codes, i, found.codes[i]);
    return true;
}
inline bool encode(const float* x, blocks::Q4_k& block) {
    const Scaled<256> scaled(x, 0.25f);
    LineBlock<32, 15, 63> found(scaled);
    if (!found.fit(0.1f)) return false;
    block.scale = found.scale;
    block.least = found.least;
    for (std::size_t g = 0; g < 8; ++g) set_group(block.groups, g, found.scale_code(g), found.least_code(g));
    for (std::size_t i = 0; i < 256; ++i) set_four_bits(block.codes, i, found.codes[i]);
    return true;
}
inline bool encode(const float* x, blocks::Q5_k& block) {
    const Scaled<256> scaled(x, 0.1f);
    LineBlock<32, 31, 63> found(scaled);
    if (!found.fit(0.05f)) return false;
    block.scale = found.scale;
    block.least = found.least;
    for (std::size_t g = 0; g < 8; ++g) set_group(block.groups, g, found.scale_code(g), found.least_code(g));
    for (std::size_t i = 0; i < 256; ++i) {
        set_four_bits(block.codes, i, found.codes[i] & 15);
        set_bits(block.fifth_bits[i % 32], found.codes[i] >> 4, i / 32);
    }
    return true;
}

inline bool encode(const float* x, blocks::Q3_k& block) {
    const Scaled<256> scaled(x, 0.36f);
    MultipleBlock<16, WholeNumbers<-4, 3>, 32> found(scaled);
    if (!found.fit({1.1f, 0.66f, 1})) return false;
    block.scale = found.scale;
    for (std::size_t g = 0; g < 16; ++g) {
        set_bits(block.scales[g % 8], found.scale_code(g) & 15, g / 8 * 4);
        set_bits(block.scales[8 + g % 4], found.scale_code(g) >> 4, g / 4 * 2);
    }
    for (std::size_t i = 0; i < 256; ++i) {
        set_two_bits(block.codes, i, found.codes[i] & 3);
        set_bits(block.third_bits[i % 32], found.codes[i] >> 2, i / 32);
    }
    return true;
}
inline bool encode(const float* x, blocks::Q6_k& block) {
    const Scaled<256> scaled(x, 0.25f);
    MultipleBlock<16, WholeNumbers<-32, 31>, 128> found(scaled);
    if (!found.fit({1.2f, 0.965f, 2})) return false;
    block.scale = found.scale;
    for (std::size_t g = 0; g < 16; ++g) block.scales[g] = static_cast<std::int8_t>(found.scale_code(g) - 128);
    for (std::size_t i = 0; i < 256; ++i) {
        set_bits(block.codes[i / 128 * 64 + i % 64], found.codes[i] & 15, i / 64 % 2 * 4);
        set_bits(block.upper_bits[i / 128 * 32 + i % 32], found.codes[i] >> 4, i / 32 % 4 * 2);
    }
    return true;
}
inline bool encode(const float* x, blocks::Iq4_xs& block) {
    const Scaled<256> scaled(x, 0.6f);
    MultipleBlock<32, NotLinear, 32> found(scaled);
    if (!found.fit({1.1f, 0.75f, 1})) return false;
    block.scale = found.scale;
    for (std::size_t g = 0; g < 8; ++g) {
        set_bits(block.lower_bits[g / 2], found.scale_code(g) & 15, g % 2 * 4);
        set_bits(block.upper_bits[g / 4], found.scale_code(g) >> 4, g % 4 * 2);
    }
    for (std::size_t i = 0; i < 256; ++i) set_bits(block.codes[i / 32 * 16 + i % 16], found.codes[i], i / 16 % 2 * 4);
    return true;
}
inline bool encode(const float* x, blocks::Iq4_nl& block) {
    const Scaled<32> scaled(x, 0.7f);
    if (scaled.too_large()) return false;
    if (scaled.unit == 0) return true;
    MultipleGroup<32, NotLinear> group(scaled.x, scaled.weights);
    group.search({1.1f, 0.75f, 1});
    block.scale = scaled.half_that_reaches(group.scale, 1, group.scale);
    if (!fitted(block.scale)) return false;
    const float step = scaled.value(block.scale);
    group.choose(step, {0, 1, 1});  // no half need be better than 0
    if (group.scale_code == 0) block.scale = {};
    std::uint8_t codes[32];
    group.write_codes(step * group.scale_code, codes);
    for (std::size_t i = 0; i < 32; ++i) set_bits(block.codes[i % 16], codes[i], i / 16 * 4);
    return true;
}

}  // namespace eigenlm::inline EIGENLM_ABI::detail::quants
EIGENLM_EXACT_END
