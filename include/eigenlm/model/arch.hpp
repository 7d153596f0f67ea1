#pragma once
// What one architecture does that another does not, known at compile time.
#include "../weights/config.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Llama 2, 3, 3.1, 3.2 (Touvron et al., 2023; Dubey et al., 2024).
struct Llama {
    static constexpr ModelFamily family = ModelFamily::llama;
    static constexpr bool qkv_bias = false;
};

/// Qwen2 and Qwen2.5 (Yang et al., 2024): Llama's block with biases on q, k and v.
struct Qwen2 {
    static constexpr ModelFamily family = ModelFamily::qwen2;
    static constexpr bool qkv_bias = true;
};

}  // namespace eigenlm::inline EIGENLM_ABI
