#pragma once
// Floats -> numbers of any type, rounded to the nearest.
#include <cstddef>
#include <cstring>
#include <span>
#include <string>

#include "../file/quantise.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Floats -> bytes_of(dtype, x.size()) bytes of a type that is not whole numbers. Throws UnsupportedError at `where`
/// for a finite number that is infinite in that type, and for numbers that a quantised type does not hold.
inline void narrow(const std::string& where, Dtype dtype, std::span<const float> x, std::span<std::byte> out) {
    if (is_quantised(dtype)) try {
            return quantise(dtype, x, out);
        } catch (const UnsupportedError& e) {
            throw UnsupportedError(where, e.what());
        }
    if (dtype == Dtype::f32) {
        if (!x.empty()) std::memcpy(out.data(), x.data(), x.size_bytes());
        return;
    }
    const bool bf16 = dtype == Dtype::bf16;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const std::uint16_t bits = bf16 ? f32_to_bf16(x[i]) : f32_to_f16(x[i]);
        if (!is_finite(bf16 ? bf16_to_f32(bits) : f16_to_f32(bits)) && is_finite(x[i]))
            throw UnsupportedError(
                where, "a weight of " + std::to_string(x[i]) + " does not fit into " + (bf16 ? "bf16" : "f16"));
        std::memcpy(out.data() + 2 * i, &bits, 2);
    }
}

}  // namespace eigenlm::inline EIGENLM_ABI
