#pragma once
// The portable level: the kernels' one source, compiled on what every supported CPU has.
#include <cstddef>

#include "../table.hpp"
#include "portable_vector.hpp"

EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI::detail::portable {
#include "math-inl.hpp"
#include "rows-inl.hpp"
#include "matmul-inl.hpp"
#include "attention-inl.hpp"
}  // namespace eigenlm::inline EIGENLM_ABI::detail::portable
EIGENLM_EXACT_END
