#pragma once
// Floats -> quantised blocks of GGUF files: the inverse of dequantise.hpp. The bits depend on the numbers only.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>

#include "../base/float_state.hpp"
#include "../base/types.hpp"
#include "dequantise.hpp"
#include "dtype.hpp"
#include "quantise_k.hpp"
#include "quantise_simple.hpp"

namespace eigenlm::inline EIGENLM_ABI {

namespace detail {

/// "element 5 is 1e+38"
inline std::string element_is(std::size_t at, float value) {
    char text[64];
    std::snprintf(text, sizeof text, "element %zu is %g", at, static_cast<double>(value));
    return text;
}

/// Throws, for the number of block `b` whose magnitude is the largest (NaNs are the largest of all).
[[noreturn]] inline void refuse_block(Dtype dtype, std::size_t b, std::span<const float> x) {
    const std::size_t at = quants::largest_at(x.data(), x.size());
    const std::string element = element_is(b * x.size() + at, x[at]), type = to_string(dtype);
    if (!is_finite(x[at])) throw UnsupportedError("quantise", type + " holds finite numbers only, but " + element);
    throw UnsupportedError("quantise", "a block's scale in " + type + " would be above the largest half: " + element);
}

template <class Block>
void quantise_as(Dtype dtype, std::span<const float> x, std::span<std::byte> out) {
    const std::size_t elements = layout_of(dtype).block_elements;
    for (std::size_t b = 0; b < x.size() / elements; ++b) {
        const float* const numbers = x.data() + b * elements;
        Block block{};
        if (!quants::encode(numbers, block)) refuse_block(dtype, b, {numbers, elements});
        std::memcpy(out.data() + b * sizeof(Block), &block, sizeof(Block));
    }
}

}  // namespace detail

/// Floats -> whole blocks of a quantised type. `out` has bytes_of(dtype, x.size()) bytes. Throws ArgumentError for a
/// type that is not quantised and for other sizes, and UnsupportedError, which names the element, for numbers that are
/// not finite or so large that their block's scale is above the largest half.
EIGENLM_LARGE void quantise(Dtype dtype, std::span<const float> x, std::span<std::byte> out);

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE void quantise(Dtype dtype, std::span<const float> x, std::span<std::byte> out) {
    const auto [name, elements, bytes] = layout_of(dtype);
    if (!is_quantised(dtype)) throw ArgumentError("quantise", std::string("expected a quantised type, found ") + name);
    if (x.size() % elements != 0)
        throw ArgumentError("quantise", std::string(name) + ": expected a multiple of " + std::to_string(elements) +
                                            " numbers, found " + std::to_string(x.size()));
    if (out.size() != bytes_of(dtype, x.size()))
        throw ArgumentError("quantise", std::string(name) + ": expected " + std::to_string(bytes_of(dtype, x.size())) +
                                            " bytes for " + std::to_string(x.size()) + " numbers, found " +
                                            std::to_string(out.size()));
    const FloatState state;
    detail::with_block(dtype, [&](auto block) { detail::quantise_as<decltype(block)>(dtype, x, out); });
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI
