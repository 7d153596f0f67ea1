#pragma once
// Powers of two in bfloat16.
#include <cstdint>

#include "../../base/types.hpp"

namespace eigenlm::inline EIGENLM_ABI::detail {

/// A number x in units of 1/128, i = 128 x, is nearly the bits of 2^(x - 127) in bfloat16: exponent and fraction. Where
/// the fraction is f, 2^(f / 128) - 1 lags behind f / 128 by so many 128ths, rounded. (Four more bytes are there to be
/// read with the last.)
alignas(64) inline constexpr std::uint8_t exp2_lag[128 + 4] = {
    0,  0,  1,  1,  1,  1,  2,  2,  2,  3,  3,  3,  3,  4,  4,  4,  4,  5,  5,  5,  5,  6,  6,  6,  6,  6,
    7,  7,  7,  7,  7,  8,  8,  8,  8,  8,  8,  9,  9,  9,  9,  9,  9,  9,  10, 10, 10, 10, 10, 10, 10, 10,
    10, 10, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11,
    11, 11, 11, 11, 10, 10, 10, 10, 10, 10, 10, 10, 10, 9,  9,  9,  9,  9,  9,  9,  8,  8,  8,  8,  8,  7,
    7,  7,  7,  7,  6,  6,  6,  6,  5,  5,  5,  4,  4,  4,  3,  3,  3,  3,  2,  2,  1,  1,  1,  0};

/// Adding it to x leaves 128 x, rounded, in the lower half of the bits, for x in [0, 256).
inline constexpr float exp2_rounder = 98304.0f;  // 1.5 * 2^16

}  // namespace eigenlm::inline EIGENLM_ABI::detail
