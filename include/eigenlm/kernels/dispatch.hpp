#pragma once
// The tables of all levels, and the one for a level.
#include "detail/eigen.hpp"
#include "detail/portable.hpp"
#include "table.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// The kernels of a level that this machine runs.
inline const KernelTable& kernels(Isa isa) {
    static constexpr KernelTable eigen = {
        Isa::eigen,           WeightLayout::rows,     detail::eigen::matmul_f32, detail::eigen::rms_norm,
        detail::eigen::rope,  detail::eigen::attention_f32, detail::eigen::silu_mul, detail::eigen::add,
        detail::eigen::exp_shifted,
    };
    static constexpr KernelTable portable = {
        Isa::portable,          WeightLayout::panels,      detail::portable::matmul_f32, detail::portable::rms_norm,
        detail::portable::rope, detail::portable::attention_f32, detail::portable::silu_mul,   detail::portable::add,
        detail::portable::exp_shifted,
    };
    return isa == Isa::eigen ? eigen : portable;
}

}  // namespace eigenlm::inline EIGENLM_ABI
