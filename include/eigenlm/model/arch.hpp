#pragma once
// What one architecture does that another does not, known at compile time.
#include "../weights/config.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Llama 2, 3, 3.1, 3.2 (Touvron et al., 2023; Dubey et al., 2024).
struct Llama {
    static constexpr bool qkv_bias = false;  ///< biases on q, k and v
    static constexpr bool qk_norm = false;   ///< RMSNorm of each head of q and k before they are rotated
};

/// Mistral (Jiang et al., 2023) is Llama with sliding windows, and those are ModelConfig's.
using Mistral = Llama;

/// Qwen2 and Qwen2.5 (Yang et al., 2024).
struct Qwen2 {
    static constexpr bool qkv_bias = true;  ///< see Llama
    static constexpr bool qk_norm = false;  ///< see Llama
};

/// Qwen3's dense models (Yang et al., 2025).
struct Qwen3 {
    static constexpr bool qkv_bias = false;  ///< see Llama
    static constexpr bool qk_norm = true;    ///< see Llama
};

}  // namespace eigenlm::inline EIGENLM_ABI
