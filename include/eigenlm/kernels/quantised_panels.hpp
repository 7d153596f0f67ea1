#pragma once
// How a quantised weight matrix lies in memory, and the inputs of its products.
//
// 16 outputs side by side make a panel, as in other matrices. A panel is a row of units of 64 or 256 inputs; a unit
// holds the 16 outputs' scales and then, for every 32 inputs, their codes in lines of 64 bytes: four codes of an output
// side by side, 16 outputs side by side, so that a line is what an instruction multiplies with four inputs; and as many
// fours above each other as a byte has room for. What room is left holds the bits of the last fours.
// Nothing is rounded or lost: the numbers are those of the files' blocks in another order.
#include <cstddef>
#include <cstdint>

#include "../base/types.hpp"
#include "../file/dtype.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Inputs whose codes lie together, and of an activation's numbers those that share a scale.
inline constexpr std::size_t quantised_chunk = 32;

/// A format's panels. A weight is scale * (code - zero), and, where there is a least value, that plus or minus it.
struct PanelFormat {
    /// Where a unit's parts begin, and how long they are: in bytes.
    struct Offsets {
        std::size_t scales;       ///< of the groups
        std::size_t minima;       ///< their least values
        std::size_t codes;        ///< of the first 32 inputs
        std::size_t chunk_bytes;  ///< codes of 32 inputs
        std::size_t unit_bytes;   ///< everything
    };

    std::size_t unit = 64;    ///< inputs
    std::size_t group = 32;   ///< inputs that share a scale: 32 or 16
    int bits = 4;             ///< of a code: 8 or 2 to 6; also the lines that 32 inputs' codes take
    int zero_shift = -1;      ///< codes stand for numbers around 2^zero_shift; -1: from 0 on
    bool table = false;       ///< codes are places in a table
    bool minimum = false;     ///< there are least values
    bool two_levels = false;  ///< a unit has one scale for its groups' scales, and so with least values
    bool nibbles = false;     ///< a group's scale and least value share a byte

    /// Groups of a unit.
    constexpr std::size_t groups() const { return unit / group; }
    /// Where everything is. One level: [groups][16] halfs of scales, the same of least values. Two levels: [16] halfs
    /// of scales, [16] halfs of least values (or nothing), [groups][16] bytes of scales, [groups][16] of least values.
    constexpr Offsets offsets() const {
        Offsets o = {};
        o.scales = two_levels ? 64 : 0;
        o.minima = o.scales + groups() * lanes * (two_levels ? 1 : 2);
        o.codes = o.minima + (minimum && !nibbles ? groups() * lanes * (two_levels ? 1 : 2) : 0);
        o.chunk_bytes = static_cast<std::size_t>(bits) * quantised_chunk * lanes / 8;
        o.unit_bytes = o.codes + unit / quantised_chunk * o.chunk_bytes;
        return o;
    }
    /// Units of rows of so many inputs, the last one filled up with zeros.
    constexpr std::size_t units(std::size_t inputs) const { return ceil_div(inputs, unit); }
};

/// The panels of a quantised type.
constexpr PanelFormat panel_format(Dtype dtype) {
    switch (dtype) {
        case Dtype::q8_0:
            return {.bits = 8, .zero_shift = 7};
        case Dtype::q4_0:
            return {.zero_shift = 3};
        case Dtype::q4_1:
            return {.minimum = true};
        case Dtype::q5_0:
            return {.bits = 5, .zero_shift = 4};
        case Dtype::q5_1:
            return {.bits = 5, .minimum = true};
        case Dtype::q2_k:
            return {.unit = 256, .group = 16, .bits = 2, .minimum = true, .two_levels = true, .nibbles = true};
        case Dtype::q3_k:
            return {.unit = 256, .group = 16, .bits = 3, .zero_shift = 2, .two_levels = true};
        case Dtype::q4_k:
            return {.unit = 256, .minimum = true, .two_levels = true};
        case Dtype::q5_k:
            return {.unit = 256, .bits = 5, .minimum = true, .two_levels = true};
        case Dtype::q6_k:
            return {.unit = 256, .group = 16, .bits = 6, .zero_shift = 5, .two_levels = true};
        case Dtype::iq4_nl:
            return {.zero_shift = 7, .table = true};
        case Dtype::iq4_xs:
            return {.unit = 256, .zero_shift = 7, .table = true, .two_levels = true};
        case Dtype::f32:
        case Dtype::f16:
        case Dtype::bf16:
        case Dtype::i32:
            break;
    }
    return {};
}

/// Bits of a code that lie together.
struct CodeBits {
    std::size_t line;  ///< of the 32 inputs' ones
    int from;          ///< where in its bytes
    int count;         ///< how many
};
/// Where the codes of inputs 4 `four` to 4 `four` + 3 of 32 are, from their bit number `bit` on. (3 bits: fours 0 to 2
/// at the bottom of three lines, 3 to 5 above them, and of the two bits that are left on top of each line, the first
/// three are four 6, the others four 7.)
constexpr CodeBits code_bits(int bits, std::size_t four, int bit) {
    const int whole = 8 / bits, left = 8 - whole * bits, n = static_cast<int>(four);
    if (n < whole * bits) return {static_cast<std::size_t>(n % bits), n / bits * bits + bit, bits - bit};
    const int at = (n - whole * bits) * bits + bit, within = at % left, there = left - within;
    return {static_cast<std::size_t>(at / left), whole * bits + within, there < bits - bit ? there : bits - bit};
}

/// What the codes of formats with a table stand for, 128 above.
alignas(16) inline constexpr std::uint8_t code_table[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                                            129, 141, 153, 166, 181, 197, 217, 241};

/// 32 inputs of a product with quantised weights: whole numbers of at most 127 times one scale; and what products with
/// codes from a zero of their own, and with least values, need of them.
struct alignas(64) QuantisedInputs {
    std::int8_t numbers[quantised_chunk];  ///< round(x * 127 / largest)
    float scale;                           ///< largest / 127; NaN where an input is not finite
    std::int32_t minus_sum;                ///< of all numbers
    std::int32_t minus_sum_of_half[2];     ///< of numbers 0 to 15, and 16 to 31
    float scaled_sum;                      ///< scale * their sum
    std::uint8_t signs[8];                 ///< of numbers 4 i to 4 i + 3, for AVX2: bits 4 to 7 set where negative
    std::int32_t unused;                   ///< fills the line
};
static_assert(sizeof(QuantisedInputs) == 64);

/// From one row of packed inputs to the next: in lines of 64 bytes. An odd number: rows spread over a cache's sets.
constexpr std::size_t quantised_lines(std::size_t inputs) { return round_up(inputs, 64) / quantised_chunk | 1; }

}  // namespace eigenlm::inline EIGENLM_ABI
