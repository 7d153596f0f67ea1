#pragma once
// The portable level: the kernels' one source, compiled on what every supported CPU has.
#include <cstddef>
#include <type_traits>

#include "../table.hpp"
#include "../target.hpp"
#include "portable_vector.hpp"

EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI::detail::portable {

/// NEON and SSE with FMA: 24 registers of sums, four of a panel's weights. Where multiply-adds are emulated, small
/// tiles.
struct Tiles {
#if defined(__x86_64__) && !defined(__FMA__)
    static constexpr std::size_t rows = 3, panels = 1, row_panels = 2, near_bytes = 16384, wide_bytes = 16384;
    static constexpr std::size_t few_rows = 4, few_panels = 1, code_panels = 1, byte_panels = 1;
#else
    static constexpr std::size_t rows = 6, panels = 1, row_panels = 4, near_bytes = 16384, wide_bytes = 16384;
    static constexpr std::size_t few_rows = 4, few_panels = 1, code_panels = 1, byte_panels = 1;
#endif
    static constexpr bool fetches_row = true;
};

// Each builds on those before it.
// clang-format off
#include "math-inl.hpp"
#include "rows-inl.hpp"
#include "tile-inl.hpp"
#include "epilogue-inl.hpp"
#include "matmul-inl.hpp"
#include "quantised-inl.hpp"
#include "quantised_rows-inl.hpp"
#include "softmax-inl.hpp"
#include "attention-inl.hpp"
// clang-format on

}  // namespace eigenlm::inline EIGENLM_ABI::detail::portable
EIGENLM_EXACT_END
