#pragma once
// The small words every room uses: token ids, views of rows, 16-bit floats as files store them, rounding up.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "error.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// An entry of a model's vocabulary.
using TokenId = std::int32_t;

/// Every kernel works on this many floats at once, whatever the machine's registers hold; padded strides are
/// multiples of it.
inline constexpr std::size_t lanes = 16;

/// The smallest multiple of `multiple` (not 0) that is at least n.
constexpr std::size_t round_up(std::size_t n, std::size_t multiple) { return (n + multiple - 1) / multiple * multiple; }
/// n / divisor (not 0), rounded up.
constexpr std::size_t ceil_div(std::size_t n, std::size_t divisor) { return n / divisor + (n % divisor != 0); }

/// a * b, or ResourceError when the product does not fit: sizes that come from files go through this.
inline std::size_t checked_mul(std::size_t a, std::size_t b, const char* where) {
    std::size_t product = 0;
    if (__builtin_mul_overflow(a, b, &product))
        throw ResourceError(where, "size overflows: " + std::to_string(a) + " x " + std::to_string(b));
    return product;
}

/// Rows of numbers somewhere in memory, not owned: row r holds `cols` values and starts at data + r * stride.
template <class T>
struct Rows {
    T* data = nullptr;       ///< row 0
    std::size_t rows = 0;    ///< how many
    std::size_t cols = 0;    ///< values in a row
    std::size_t stride = 0;  ///< in elements, >= cols

    /// Where a row begins. Neither this nor the views below check their arguments.
    T* operator[](std::size_t row) const { return data + row * stride; }
    /// The `cols` values of a row.
    std::span<T> row(std::size_t r) const { return {data + r * stride, cols}; }
    /// Rows [first, first + count).
    Rows middle(std::size_t first, std::size_t count) const { return {data + first * stride, count, cols, stride}; }
    /// Columns [first, first + count) of every row.
    Rows columns(std::size_t first, std::size_t count) const { return {data + first, rows, count, stride}; }
    /// The same rows, to be read only.
    operator Rows<const T>() const { return {data, rows, cols, stride}; }
};

/// std::isnan and std::isfinite by their bits: those two mean nothing in a unit built with -ffast-math.
inline bool is_nan(float x) { return (std::bit_cast<std::uint32_t>(x) & 0x7fffffffu) > 0x7f800000u; }
/// Neither infinite nor NaN; by its bits too.
inline bool is_finite(float x) { return (std::bit_cast<std::uint32_t>(x) & 0x7f800000u) != 0x7f800000u; }

/// bfloat16: the upper half of a float.
inline float bf16_to_f32(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

/// IEEE half precision to float, exact (subnormals included).
inline float f16_to_f32(std::uint16_t bits) {
    const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16;
    const std::uint32_t exponent = (bits >> 10) & 0x1fu;
    std::uint32_t mantissa = bits & 0x3ffu;
    if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
    if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
    if (mantissa == 0) return std::bit_cast<float>(sign);
    const int shift = std::countl_zero(mantissa) - 21;  // brings the leading one to bit 10
    mantissa = (mantissa << shift) & 0x3ffu;
    return std::bit_cast<float>(sign | (std::uint32_t(113 - shift) << 23) | (mantissa << 13));
}

/// The nearest bfloat16, ties to even; NaNs stay NaNs.
inline std::uint16_t f32_to_bf16(float x) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
    if (is_nan(x)) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);  // quiet
    return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// The nearest half, ties to even; infinite from 65520 on; NaNs stay NaNs.
inline std::uint16_t f32_to_f16(float x) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(x), magnitude = bits & 0x7fffffffu;
    const std::uint32_t sign = (bits >> 16) & 0x8000u;
    if (magnitude >= 0x7f800000u)
        return static_cast<std::uint16_t>(sign | 0x7c00u | (magnitude > 0x7f800000u ? 0x200u : 0u));
    if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
    if (magnitude < 0x33000000u) return static_cast<std::uint16_t>(sign);  // below half of the smallest
    // Subnormal halves keep fewer bits: their leading one, made explicit, moves right until the exponent is theirs.
    const std::uint32_t exponent = magnitude >> 23;
    const std::uint32_t shift = exponent < 113 ? 126 - exponent : 13;
    const std::uint32_t value = exponent < 113 ? (magnitude & 0x7fffffu) | 0x800000u : magnitude - (112u << 23);
    const std::uint32_t kept = value >> shift, half = 1u << (shift - 1), rest = value & (2 * half - 1);
    const std::uint32_t up = rest > half || (rest == half && (kept & 1u)) ? 1 : 0;
    return static_cast<std::uint16_t>(sign | (kept + up));
}

}  // namespace eigenlm::inline EIGENLM_ABI
