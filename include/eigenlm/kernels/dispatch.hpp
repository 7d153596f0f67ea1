#pragma once
// The tables of all levels, and the one for a level.
#include "table.hpp"

#if EIGENLM_DEFINE_LARGE
#include "detail/eigen.hpp"
#include "detail/portable.hpp"
#endif

namespace eigenlm::inline EIGENLM_ABI {

/// The kernels of a level that this machine runs.
EIGENLM_LARGE const KernelTable& kernels(Isa isa);

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE const KernelTable& kernels(Isa isa) {
    static constexpr KernelTable eigen = {
        .isa = Isa::eigen,
        .layout = WeightLayout::rows,
        .matmul_f32 = detail::eigen::matmul_f32,
        .matmul_bf16 = detail::eigen::matmul_bf16,
        .matmul_f16 = detail::eigen::matmul_f16,
        .round_bf16 = detail::eigen::round_bf16,
        .rms_norm = detail::eigen::rms_norm,
        .rope = detail::eigen::rope,
        .attention_f32 = detail::eigen::attention_f32,
        .silu_mul = detail::eigen::silu_mul,
        .add = detail::eigen::add,
        .exp_shifted = detail::eigen::exp_shifted,
    };
    static constexpr KernelTable portable = {
        .isa = Isa::portable,
        .layout = WeightLayout::panels,
        .matmul_f32 = detail::portable::matmul_f32,
        .matmul_bf16 = detail::portable::matmul_bf16,
        .matmul_f16 = detail::portable::matmul_f16,
        .round_bf16 = detail::portable::round_bf16,
        .rms_norm = detail::portable::rms_norm,
        .rope = detail::portable::rope,
        .attention_f32 = detail::portable::attention_f32,
        .silu_mul = detail::portable::silu_mul,
        .add = detail::portable::add,
        .exp_shifted = detail::portable::exp_shifted,
    };
    return isa == Isa::eigen ? eigen : portable;
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI
