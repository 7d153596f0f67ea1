#pragma once
// Quantised blocks taken apart: every element's code, and the groups' scales, as whole numbers.
#include <cstddef>
#include <cstdint>

#include "../file/dequantise.hpp"

namespace eigenlm::inline EIGENLM_ABI::detail {

/// The codes of all elements of a block, from 0 on (Q8_0's: 128 above).
/// @{
inline void codes_of(const blocks::Q8_0& b, std::uint8_t* out) {
    for (std::size_t i = 0; i < 32; ++i) out[i] = static_cast<std::uint8_t>(b.values[i] + 128);
}
template <class Block>
void four_bit_codes(const Block& b, std::uint8_t* out) {
    for (std::size_t i = 0; i < 32; ++i) out[i] = static_cast<std::uint8_t>(blocks::nibble(b.codes[i % 16], i / 16));
}
inline void codes_of(const blocks::Q4_0& b, std::uint8_t* out) { four_bit_codes(b, out); }
inline void codes_of(const blocks::Q4_1& b, std::uint8_t* out) { four_bit_codes(b, out); }
inline void codes_of(const blocks::Iq4_nl& b, std::uint8_t* out) { four_bit_codes(b, out); }
template <class Block>
void five_bit_codes(const Block& b, std::uint8_t* out) {
    four_bit_codes(b, out);
    const std::uint32_t fifth = b.fifth_bits;
    for (std::size_t i = 0; i < 32; ++i) out[i] = static_cast<std::uint8_t>(out[i] | (fifth >> i & 1) << 4);
}
inline void codes_of(const blocks::Q5_0& b, std::uint8_t* out) { five_bit_codes(b, out); }
inline void codes_of(const blocks::Q5_1& b, std::uint8_t* out) { five_bit_codes(b, out); }
/// Two bits of each of 256 elements: of each 128, 32 bytes.
inline void two_bit_codes(const std::uint8_t (&bytes)[64], std::uint8_t* out) {
    for (std::size_t i = 0; i < 256; ++i)
        out[i] = static_cast<std::uint8_t>(blocks::two_bits(bytes[i / 128 * 32 + i % 32], i / 32 % 4));
}
inline void codes_of(const blocks::Q2_k& b, std::uint8_t* out) { two_bit_codes(b.codes, out); }
inline void codes_of(const blocks::Q3_k& b, std::uint8_t* out) {
    two_bit_codes(b.codes, out);
    for (std::size_t i = 0; i < 256; ++i)
        out[i] = static_cast<std::uint8_t>(out[i] | blocks::bit(b.third_bits[i % 32], i / 32) << 2);
}
/// Four bits of each of 256 elements: of each 64, 32 bytes.
inline void codes_of(const blocks::Q4_k& b, std::uint8_t* out) {
    for (std::size_t i = 0; i < 256; ++i)
        out[i] = static_cast<std::uint8_t>(blocks::nibble(b.codes[i / 64 * 32 + i % 32], i / 32 % 2));
}
inline void codes_of(const blocks::Q5_k& b, std::uint8_t* out) {
    for (std::size_t i = 0; i < 256; ++i)
        out[i] = static_cast<std::uint8_t>(blocks::nibble(b.codes[i / 64 * 32 + i % 32], i / 32 % 2) |
                                           blocks::bit(b.fifth_bits[i % 32], i / 32) << 4);
}
inline void codes_of(const blocks::Q6_k& b, std::uint8_t* out) {
    two_bit_codes(b.upper_bits, out);
    for (std::size_t i = 0; i < 256; ++i)
        out[i] = static_cast<std::uint8_t>(out[i] << 4 | blocks::nibble(b.codes[i / 128 * 64 + i % 64], i / 64 % 2));
}
inline void codes_of(const blocks::Iq4_xs& b, std::uint8_t* out) {
    for (std::size_t i = 0; i < 256; ++i)
        out[i] = static_cast<std::uint8_t>(blocks::nibble(b.codes[i / 32 * 16 + i % 16], i / 16 % 2));
}
/// @}

/// A group's scale, a whole number times the block's; Q2_k's: with the least value in the upper half.
/// @{
inline int group_scale(const blocks::Q2_k& b, std::size_t group) { return b.groups[group]; }
inline int group_scale(const blocks::Q3_k& b, std::size_t group) { return b.group_scale(group); }
inline int group_scale(const blocks::Q4_k& b, std::size_t group) { return b.groups.scale(group); }
inline int group_scale(const blocks::Q5_k& b, std::size_t group) { return b.groups.scale(group); }
inline int group_scale(const blocks::Q6_k& b, std::size_t group) { return b.scales[group]; }
inline int group_scale(const blocks::Iq4_xs& b, std::size_t group) { return b.group_scale(group); }
/// @}
/// A group's least value, likewise.
/// @{
inline int group_least(const blocks::Q4_k& b, std::size_t group) { return b.groups.least(group); }
inline int group_least(const blocks::Q5_k& b, std::size_t group) { return b.groups.least(group); }
/// @}

}  // namespace eigenlm::inline EIGENLM_ABI::detail
