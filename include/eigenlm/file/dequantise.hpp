#pragma once
// Quantised blocks of GGUF files -> floats: every format as a struct of its bytes and the products that make its
// elements, in the order in which PyPI's gguf (gguf.quants, numpy's float32) computes them, so that the bits agree.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "../base/float_state.hpp"
#include "../base/types.hpp"
#include "dtype.hpp"

EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI {

/// @namespace eigenlm::blocks
/// The formats of quantised blocks.
namespace blocks {

/// A half as files have it, little-endian and at any address.
struct Half {
    std::uint8_t bytes[2];  ///< low, high
    /// Exactly.
    operator float() const { return f16_to_f32(static_cast<std::uint16_t>(bytes[0] | bytes[1] << 8)); }
};

/// 32 bits, likewise.
struct Word {
    std::uint8_t bytes[4];  ///< the lowest first
    /// As a number.
    operator std::uint32_t() const {
        std::uint32_t value;
        std::memcpy(&value, bytes, 4);  // little-endian, as this machine
        return value;
    }
};

/// The lower or the upper four bits of a byte.
constexpr int nibble(std::uint8_t byte, std::size_t upper) { return byte >> (4 * upper) & 15; }
/// Two bits of a byte, the lowest first.
constexpr int two_bits(std::uint8_t byte, std::size_t which) { return byte >> (2 * which) & 3; }
/// One bit of a byte, the lowest first.
constexpr int bit(std::uint8_t byte, std::size_t which) { return byte >> which & 1; }

/// 32 numbers of 8 bits.
struct Q8_0 {
    Half scale;              ///< of all
    std::int8_t values[32];  ///< whole numbers
    /// The block's elements.
    void dequantise(float* out) const {
        const float d = scale;
        for (std::size_t i = 0; i < 32; ++i) out[i] = static_cast<float>(values[i]) * d;
    }
};

/// 32 numbers of 4 bits around 0.
struct Q4_0 {
    Half scale;              ///< of all
    std::uint8_t codes[16];  ///< elements 0 to 15 in the lower halves, the others in the upper ones
    /// The block's elements.
    void dequantise(float* out) const {
        const float d = scale;
        for (std::size_t half = 0; half < 2; ++half)
            for (std::size_t i = 0; i < 16; ++i)
                out[16 * half + i] = d * static_cast<float>(nibble(codes[i], half) - 8);
    }
};

/// 32 numbers of 4 bits above a least one.
struct Q4_1 {
    Half scale;              ///< of all
    Half least;              ///< what code 0 stands for
    std::uint8_t codes[16];  ///< as Q4_0's
    /// The block's elements.
    void dequantise(float* out) const {
        const float d = scale, m = least;
        for (std::size_t half = 0; half < 2; ++half)
            for (std::size_t i = 0; i < 16; ++i)
                out[16 * half + i] = d * static_cast<float>(nibble(codes[i], half)) + m;
    }
};

/// 32 numbers of 5 bits around 0.
struct Q5_0 {
    Half scale;              ///< of all
    Word fifth_bits;         ///< one of each element, element 0's lowest
    std::uint8_t codes[16];  ///< their lower four bits, as Q4_0's
    /// The block's elements.
    void dequantise(float* out) const {
        const float d = scale;
        const std::uint32_t upper = fifth_bits;
        for (std::size_t half = 0; half < 2; ++half)
            for (std::size_t i = 0; i < 16; ++i) {
                const int code = nibble(codes[i], half) | static_cast<int>(upper >> (16 * half + i) & 1) << 4;
                out[16 * half + i] = d * static_cast<float>(code - 16);
            }
    }
};

/// 32 numbers of 5 bits above a least one.
struct Q5_1 {
    Half scale;              ///< of all
    Half least;              ///< what code 0 stands for
    Word fifth_bits;         ///< one of each element, element 0's lowest
    std::uint8_t codes[16];  ///< their lower four bits, as Q4_0's
    /// The block's elements.
    void dequantise(float* out) const {
        const float d = scale, m = least;
        const std::uint32_t upper = fifth_bits;
        for (std::size_t half = 0; half < 2; ++half)
            for (std::size_t i = 0; i < 16; ++i) {
                const int code = nibble(codes[i], half) | static_cast<int>(upper >> (16 * half + i) & 1) << 4;
                out[16 * half + i] = d * static_cast<float>(code) + m;
            }
    }
};

/// What the codes of Q4_0's shape stand for in the formats that are not linear.
inline constexpr std::int8_t not_linear[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};

/// 32 numbers out of a table of 16.
struct Iq4_nl {
    Half scale;              ///< of all
    std::uint8_t codes[16];  ///< as Q4_0's
    /// The block's elements.
    void dequantise(float* out) const {
        const float d = scale;
        for (std::size_t half = 0; half < 2; ++half)
            for (std::size_t i = 0; i < 16; ++i)
                out[16 * half + i] = d * static_cast<float>(not_linear[nibble(codes[i], half)]);
    }
};

/// 256 numbers of 2 bits: 16 groups of 16, whose scales and least values have 4 bits.
struct Q2_k {
    std::uint8_t groups[16];  ///< scale, and least value in the upper half
    std::uint8_t codes[64];   ///< of each 128 elements: 32 bytes, whose lowest bits are the first 32 elements'
    Half scale;               ///< of the groups' scales
    Half least;               ///< of their least values
    /// The block's elements.
    void dequantise(float* out) const {
        const float d = scale, m = least;
        for (std::size_t group = 0; group < 16; ++group) {
            const float group_scale = d * static_cast<float>(nibble(groups[group], 0));
            const float group_least = m * static_cast<float>(nibble(groups[group], 1));
            const std::uint8_t* const at = codes + group / 8 * 32 + group % 2 * 16;
            for (std::size_t i = 0; i < 16; ++i)
                out[16 * group + i] = group_scale * static_cast<float>(two_bits(at[i], group / 2 % 4)) - group_least;
        }
    }
};

/// 256 numbers of 3 bits around 0: 16 groups of 16, whose scales have 6 bits.
struct Q3_k {
    std::uint8_t third_bits[32];  ///< bit k of byte j: element 32 k + j's
    std::uint8_t codes[64];       ///< as Q2_k's
    std::uint8_t scales[12];      ///< 8 bytes of lower halves, 4 bytes of upper two bits
    Half scale;                   ///< of the groups' scales
    /// The scale of a group, around 0.
    int group_scale(std::size_t group) const {
        return (nibble(scales[group % 8], group / 8) | two_bits(scales[8 + group % 4], group / 4) << 4) - 32;
    }
    /// The block's elements.
    void dequantise(float* out) const {
        const float d = scale;
        for (std::size_t group = 0; group < 16; ++group) {
            const float group_d = d * static_cast<float>(group_scale(group));
            const std::size_t first = group % 2 * 16;
            const std::uint8_t* const at = codes + group / 8 * 32 + first;
            for (std::size_t i = 0; i < 16; ++i) {
                const int code = two_bits(at[i], group / 2 % 4) | bit(third_bits[first + i], group / 2) << 2;
                out[16 * group + i] = group_d * static_cast<float>(code - 4);
            }
        }
    }
};

/// 8 scales and 8 least values of 6 bits each, in 12 bytes.
struct SixBits {
    std::uint8_t bytes[12];  ///< 4 scales, 4 least values; the others' lower halves, their upper bits above the former
    /// Group 0 to 7's.
    int scale(std::size_t group) const {
        return group < 4 ? bytes[group] & 63 : nibble(bytes[group + 4], 0) | bytes[group - 4] >> 6 << 4;
    }
    /// Group 0 to 7's.
    int least(std::size_t group) const {
        return group < 4 ? bytes[group + 4] & 63 : nibble(bytes[group + 4], 1) | bytes[group] >> 6 << 4;
    }
};

/// 256 numbers of 4 bits: 8 groups of 32.
struct Q4_k {
    Half scale;               ///< of the groups' scales
    Half least;               ///< of their least values
    SixBits groups;           ///< both
    std::uint8_t codes[128];  ///< of each 64 elements: 32 bytes, whose lower halves are the first 32 elements'
    /// The block's elements.
    void dequantise(float* out) const {
        for (std::size_t group = 0; group < 8; ++group) {
            const float d = scale * static_cast<float>(groups.scale(group));
            const float m = least * static_cast<float>(groups.least(group));
            for (std::size_t i = 0; i < 32; ++i)
                out[32 * group + i] = d * static_cast<float>(nibble(codes[group / 2 * 32 + i], group % 2)) - m;
        }
    }
};

/// 256 numbers of 5 bits: 8 groups of 32.
struct Q5_k {
    Half scale;                   ///< of the groups' scales
    Half least;                   ///< of their least values
    SixBits groups;               ///< both
    std::uint8_t fifth_bits[32];  ///< bit k of byte j: element 32 k + j's
    std::uint8_t codes[128];      ///< their lower four bits, as Q4_k's
    /// The block's elements.
    void dequantise(float* out) const {
        for (std::size_t group = 0; group < 8; ++group) {
            const float d = scale * static_cast<float>(groups.scale(group));
            const float m = least * static_cast<float>(groups.least(group));
            for (std::size_t i = 0; i < 32; ++i) {
                const int code = nibble(codes[group / 2 * 32 + i], group % 2) | bit(fifth_bits[i], group) << 4;
                out[32 * group + i] = d * static_cast<float>(code) - m;
            }
        }
    }
};

/// 256 numbers of 6 bits around 0: 16 groups of 16, whose scales have 8 bits.
struct Q6_k {
    std::uint8_t codes[128];      ///< of each 128 elements: 64 bytes of lower four bits, the first 64's in lower halves
    std::uint8_t upper_bits[64];  ///< of each 128 elements: 32 bytes, as Q2_k's
    std::int8_t scales[16];       ///< the groups'
    Half scale;                   ///< of those
    /// The block's elements.
    void dequantise(float* out) const {
        const float d = scale;
        for (std::size_t group = 0; group < 16; ++group) {
            const float group_d = d * static_cast<float>(scales[group]);
            const std::uint8_t* const lower = codes + group / 8 * 64 + group % 4 * 16;
            const std::uint8_t* const upper = upper_bits + group / 8 * 32 + group % 2 * 16;
            for (std::size_t i = 0; i < 16; ++i) {
                const int code = nibble(lower[i], group / 4 % 2) | two_bits(upper[i], group / 2 % 4) << 4;
                out[16 * group + i] = group_d * static_cast<float>(code - 32);
            }
        }
    }
};

/// 256 numbers out of Iq4_nl's table: 8 groups of 32, whose scales have 6 bits.
struct Iq4_xs {
    Half scale;                  ///< of the groups' scales
    std::uint8_t upper_bits[2];  ///< their upper two bits, group 0's lowest
    std::uint8_t lower_bits[4];  ///< their lower four bits
    std::uint8_t codes[128];     ///< 16 bytes a group, as Iq4_nl's
    /// The scale of a group, around 0.
    int group_scale(std::size_t group) const {
        return (nibble(lower_bits[group / 2], group % 2) | two_bits(upper_bits[group / 4], group % 4) << 4) - 32;
    }
    /// The block's elements.
    void dequantise(float* out) const {
        const float d = scale;
        for (std::size_t group = 0; group < 8; ++group) {
            const float group_d = d * static_cast<float>(group_scale(group));
            for (std::size_t i = 0; i < 32; ++i)
                out[32 * group + i] =
                    group_d * static_cast<float>(not_linear[nibble(codes[16 * group + i % 16], i / 16)]);
        }
    }
};

}  // namespace blocks

namespace detail {

template <class Block>
void dequantise_as(Dtype dtype, std::span<const std::byte> bytes, std::span<float> out) {
    const std::size_t elements = layout_of(dtype).block_elements;
    for (std::size_t b = 0; b < out.size() / elements; ++b) {
        Block block;
        std::memcpy(&block, bytes.data() + b * sizeof(Block), sizeof(Block));
        block.dequantise(out.data() + b * elements);
    }
}

/// Calls f with an object of the struct that a quantised type's blocks are. False for other types.
template <class F>
constexpr bool with_block(Dtype dtype, const F& f) {
    switch (dtype) {
        case Dtype::q8_0:
            return f(blocks::Q8_0{}), true;
        case Dtype::q4_0:
            return f(blocks::Q4_0{}), true;
        case Dtype::q4_1:
            return f(blocks::Q4_1{}), true;
        case Dtype::q5_0:
            return f(blocks::Q5_0{}), true;
        case Dtype::q5_1:
            return f(blocks::Q5_1{}), true;
        case Dtype::q2_k:
            return f(blocks::Q2_k{}), true;
        case Dtype::q3_k:
            return f(blocks::Q3_k{}), true;
        case Dtype::q4_k:
            return f(blocks::Q4_k{}), true;
        case Dtype::q5_k:
            return f(blocks::Q5_k{}), true;
        case Dtype::q6_k:
            return f(blocks::Q6_k{}), true;
        case Dtype::iq4_nl:
            return f(blocks::Iq4_nl{}), true;
        case Dtype::iq4_xs:
            return f(blocks::Iq4_xs{}), true;
        case Dtype::f32:
        case Dtype::f16:
        case Dtype::bf16:
        case Dtype::i32:
            break;
    }
    return false;
}

/// Whether all structs have the sizes that files have.
constexpr bool blocks_have_their_sizes() {
    for (int i = 0; i <= static_cast<int>(Dtype::iq4_xs); ++i) {
        bool good = true;
        const auto dtype = static_cast<Dtype>(i);
        with_block(dtype, [&](auto block) { good = sizeof(block) == layout_of(dtype).block_bytes; });
        if (!good) return false;
    }
    return true;
}
static_assert(blocks_have_their_sizes());

}  // namespace detail

/// Whole blocks of a quantised type -> floats, as products in float32 that are rounded one by one. Throws ArgumentError
/// for a type that is not quantised.
EIGENLM_LARGE void dequantise(Dtype dtype, std::span<const std::byte> bytes, std::span<float> out);

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE void dequantise(Dtype dtype, std::span<const std::byte> bytes, std::span<float> out) {
    const FloatState state;
    const bool quantised =
        detail::with_block(dtype, [&](auto block) { detail::dequantise_as<decltype(block)>(dtype, bytes, out); });
    if (!quantised)
        throw ArgumentError("dequantise", std::string("expected a quantised type, found ") + to_string(dtype));
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI
EIGENLM_EXACT_END
