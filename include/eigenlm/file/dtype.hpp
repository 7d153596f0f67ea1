#pragma once
// Element types: single numbers, and blocks of numbers that share their scales.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "../base/abi.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Element types that files hold and this library reads. Those from q8_0 on come in blocks, and in GGUF files only.
enum class Dtype { f32, f16, bf16, i32, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl, iq4_xs };

/// How elements lie in a file.
struct DtypeLayout {
    const char* name;            ///< as the files' own formats call it
    std::size_t block_elements;  ///< that can be read only together
    std::size_t block_bytes;     ///< of so many elements
};

/// A type's layout.
constexpr DtypeLayout layout_of(Dtype dtype) {
    constexpr DtypeLayout layouts[] = {
        {"F32", 1, 4},      {"F16", 1, 2},      {"BF16", 1, 2},     {"I32", 1, 4},
        {"Q8_0", 32, 34},   {"Q4_0", 32, 18},   {"Q4_1", 32, 20},   {"Q5_0", 32, 22},
        {"Q5_1", 32, 24},   {"Q2_K", 256, 84},  {"Q3_K", 256, 110}, {"Q4_K", 256, 144},
        {"Q5_K", 256, 176}, {"Q6_K", 256, 210}, {"IQ4_NL", 32, 18}, {"IQ4_XS", 256, 136},
    };
    return layouts[static_cast<int>(dtype)];
}
/// "F32", "F16", "BF16", "I32": the names that safetensors files use; "Q8_0", ...: GGUF's.
constexpr const char* to_string(Dtype dtype) { return layout_of(dtype).name; }
/// Whether its elements come in blocks, and each is computed from several numbers.
constexpr bool is_quantised(Dtype dtype) { return layout_of(dtype).block_elements > 1; }
/// Bytes of `count` elements, which must be whole blocks.
constexpr std::size_t bytes_of(Dtype dtype, std::size_t count) {
    return count / layout_of(dtype).block_elements * layout_of(dtype).block_bytes;
}

/// The type that safetensors files call so, or nothing.
inline std::optional<Dtype> dtype_from_string(std::string_view name) {
    for (const Dtype d : {Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::i32})
        if (name == to_string(d)) return d;
    return std::nullopt;
}

}  // namespace eigenlm::inline EIGENLM_ABI
