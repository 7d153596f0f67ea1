#pragma once
// The portable level: the kernels' one source, compiled on what every supported CPU has.
#include <cstddef>
#include <type_traits>

#include "../table.hpp"
#include "../target.hpp"
#include "portable_vector.hpp"

EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI::detail::portable {

/// NEON has 32 registers of four: 24 of sums, four of a panel's weights. SSE2 is slow for another reason.
struct Tiles {
    static constexpr std::size_t rows = 6, panels = 1, bf16_rows = 3, row_panels = 4, heads = 1;
};

// clang-format off: each builds on those before it
#include "math-inl.hpp"
#include "rows-inl.hpp"
#include "matmul-inl.hpp"
#include "attention-inl.hpp"
// clang-format on

}  // namespace eigenlm::inline EIGENLM_ABI::detail::portable
EIGENLM_EXACT_END
