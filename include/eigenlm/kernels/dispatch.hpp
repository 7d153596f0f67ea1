#pragma once
// The tables of all levels, and the one for a level.
#include "table.hpp"

#if EIGENLM_DEFINE_LARGE
#include "detail/amx_attention.hpp"
#include "detail/amx_quantised.hpp"
#include "detail/avx2.hpp"
#include "detail/avx2_quantised.hpp"
#include "detail/avx512_bf16.hpp"
#include "detail/avx512_vnni.hpp"
#include "detail/eigen.hpp"
#include "detail/portable.hpp"
#endif

namespace eigenlm::inline EIGENLM_ABI {

/// The kernels of a level. Throws ArgumentError when this machine does not run it.
EIGENLM_LARGE const KernelTable& kernels(Isa isa);

namespace detail {
/// The kernels of a level that this machine runs, with VNNI or without: AVX-512's may be either.
EIGENLM_LARGE const KernelTable& table_of(Isa isa, bool vnni);
}  // namespace detail

#if EIGENLM_DEFINE_LARGE
#define EIGENLM_KERNEL_TABLE(isa_, layout_, bf16_, quantised_, space)                                              \
    {                                                                                                              \
        .isa = Isa::isa_, .layout = WeightLayout::layout_, .matmul_f32 = detail::space::matmul_f32,                \
        .matmul_bf16 = detail::bf16_::matmul_bf16, .matmul_f16 = detail::space::matmul_f16,                        \
        .pack_bf16 = detail::bf16_::pack_bf16, .matmul_quantised = detail::quantised_::matmul_quantised,           \
        .pack_quantised = detail::quantised_::pack_quantised, .rms_norm = detail::space::rms_norm,                 \
        .rope = detail::space::rope,                                                                               \
        .attend = {detail::space::attend_f32, detail::bf16_::attend_bf16, detail::space::attend_f16,               \
                   detail::bf16_::attend_q8_0},                                                                    \
        .merge_attention = detail::space::merge_attention, .finish_attention = detail::space::finish_attention,    \
        .silu_mul = detail::space::silu_mul, .add = detail::space::add, .exp_shifted = detail::space::exp_shifted, \
        .argmax = detail::space::argmax,                                                                           \
    }
EIGENLM_LARGE const KernelTable& detail::table_of(Isa isa, [[maybe_unused]] bool vnni) {
    static constexpr KernelTable tables[] = {
        EIGENLM_KERNEL_TABLE(eigen, rows, eigen, portable, eigen),
        EIGENLM_KERNEL_TABLE(portable, panels, portable, portable, portable),
#if defined(__x86_64__)
        EIGENLM_KERNEL_TABLE(avx2, panels, avx2, avx2_quantised, avx2),
        EIGENLM_KERNEL_TABLE(avx512, panels, avx512, avx512_vnni, avx512),
        EIGENLM_KERNEL_TABLE(avx512_bf16, panels, avx512_bf16, avx512_vnni, avx512),
        EIGENLM_KERNEL_TABLE(amx, panels, amx, amx_quantised, avx512),
        EIGENLM_KERNEL_TABLE(avx512, panels, avx512, avx2_quantised, avx512),  // without VNNI
#endif
    };
#if defined(__x86_64__)
    if (isa == Isa::avx512 && !vnni) return std::end(tables)[-1];
#endif
    return tables[static_cast<std::size_t>(isa)];
}
EIGENLM_LARGE const KernelTable& kernels(Isa isa) {
    return detail::table_of(require_runs(isa, "isa"), detail::probe_avx512_vnni());
}
#undef EIGENLM_KERNEL_TABLE
#endif

}  // namespace eigenlm::inline EIGENLM_ABI
