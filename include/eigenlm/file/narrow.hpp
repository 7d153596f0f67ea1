#pragma once
// Floats -> elements as files hold them: the inverse of widen.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "quantise.hpp"
#include "tensor.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Floats -> elements of any float type, each the nearest (ties to even), or blocks as quantise makes them. `out` has
/// bytes_of(dtype, x.size()) bytes and need not be aligned. Throws ArgumentError for whole numbers, UnsupportedError
/// for finite numbers that the type has no room for.
inline void narrow(Dtype dtype, std::span<const float> x, std::span<std::byte> out) {
    if (dtype == Dtype::i32) throw ArgumentError("narrow", "expected F32, F16, BF16 or a quantised type, found I32");
    if (is_quantised(dtype)) return quantise(dtype, x, out);
    if (dtype == Dtype::f32) {
        if (!x.empty()) std::memcpy(out.data(), x.data(), x.size_bytes());
        return;
    }
    const auto each = [&](auto from_f32, auto to_f32) {
        for (std::size_t i = 0; i < x.size(); ++i) {
            const std::uint16_t bits = from_f32(x[i]);
            if (!is_finite(to_f32(bits)) && is_finite(x[i]))
                throw UnsupportedError(
                    "narrow", std::string(to_string(dtype)) + " has no room for it: " + detail::element_is(i, x[i]));
            std::memcpy(out.data() + 2 * i, &bits, 2);
        }
    };
    if (dtype == Dtype::bf16)
        each([](float v) { return f32_to_bf16(v); }, [](std::uint16_t bits) { return bf16_to_f32(bits); });
    else
        each([](float v) { return f32_to_f16(v); }, [](std::uint16_t bits) { return f16_to_f32(bits); });
}

}  // namespace eigenlm::inline EIGENLM_ABI
