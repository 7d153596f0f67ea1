#pragma once
// The AVX-512 level: the kernels' one source on sixteen floats in one register.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../table.hpp"
#include "../target.hpp"
#include "exp2_table.hpp"

EIGENLM_TARGET_BEGIN(EIGENLM_AVX512)
namespace eigenlm::inline EIGENLM_ABI::detail::avx512 {

struct Vec {
    __m512 v;
    Vec() {}
    Vec(__m512 x) : v(x) {}
};
struct VecInt {
    __m512i v;
    VecInt() {}
    VecInt(__m512i x) : v(x) {}
};
using Mask = __mmask16;

// Where g++ 12 implements an intrinsic with an operand that it then warns of as uninitialized (its bug 105593), the
// variant with a mask of all lanes stands instead: the same instruction.
inline constexpr __mmask16 all_lanes = 0xffff;

inline Vec load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Vec v) { _mm512_storeu_ps(p, v.v); }
/// Sixteen halfs, widened; subnormal ones too, whatever the state.
inline Vec load(const std::uint16_t* p) {
    return _mm512_maskz_cvtph_ps(all_lanes, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
/// Sixteen whole numbers.
inline Vec load(const std::int8_t* p) {
    return _mm512_maskz_cvtepi32_ps(
        all_lanes, _mm512_maskz_cvtepi8_epi32(all_lanes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
/// Of sixteen pairs of bfloat16, the first ones and the second ones.
inline Vec load_even_bf16(const std::uint16_t* p) {
    return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(all_lanes, _mm512_loadu_si512(p), 16));
}
inline Vec load_odd_bf16(const std::uint16_t* p) {
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32(-65536)));
}
inline Vec set1(float x) { return _mm512_set1_ps(x); }
inline Vec add(Vec a, Vec b) { return _mm512_add_ps(a.v, b.v); }
inline Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a.v, b.v); }
inline Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a.v, b.v); }
/// a * b + c, rounded once
inline Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a.v, b.v, c.v); }
/// c - a * b, rounded once
inline Vec fnma(Vec a, Vec b, Vec c) { return _mm512_fnmadd_ps(a.v, b.v, c.v); }
inline Mask less(Vec a, Vec b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ); }
inline Vec select(Mask m, Vec yes, Vec no) { return _mm512_mask_blend_ps(m, no.v, yes.v); }
/// a where a > b, else b: b where either is NaN
inline Vec max(Vec a, Vec b) { return _mm512_maskz_max_ps(all_lanes, a.v, b.v); }
/// a where a < b, else b: b where either is NaN
inline Vec min(Vec a, Vec b) { return _mm512_maskz_min_ps(all_lanes, a.v, b.v); }
/// Lanes below `count` <= 16.
inline Mask first_lanes(std::size_t count) { return static_cast<Mask>((1u << count) - 1u); }
inline VecInt bits(Vec v) { return _mm512_castps_si512(v.v); }
inline VecInt sub(VecInt a, VecInt b) { return _mm512_sub_epi32(a.v, b.v); }
inline VecInt half(VecInt a) { return _mm512_maskz_srai_epi32(all_lanes, a.v, 1); }
/// 2^n, for n in [-126, 127]
inline Vec power_of_two(VecInt n) {
    return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(all_lanes, _mm512_add_epi32(n.v, _mm512_set1_epi32(127)), 23));
}
/// Near 1 / v, for v in [1, 8e37].
inline Vec reciprocal_guess(Vec v) {
    return _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_set1_epi32(0x7ef311c7), _mm512_castps_si512(v.v)));
}
/// The nearest bfloat16, ties to even; NaNs stay NaNs.
inline Vec round_bf16(Vec v) {
    const __m512i x = _mm512_castps_si512(v.v), upper = _mm512_set1_epi32(-65536);
    const __m512i odd = _mm512_and_si512(_mm512_maskz_srli_epi32(all_lanes, x, 16), _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(x, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __m512i quiet = _mm512_or_si512(x, _mm512_set1_epi32(0x400000));
    const __mmask16 nan = _mm512_cmp_ps_mask(v.v, v.v, _CMP_UNORD_Q);
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_mask_mov_epi32(up, nan, quiet), upper));
}
/// 2^(x - 127) in bfloat16, where exp2_rounder has been added to x.
inline Vec exp2_bf16(Vec v) {
    const __m512i x = _mm512_castps_si512(v.v);
    // The table's bytes lie in two registers: pairs of them are found by bits 1 to 6, bit 0 says which of the two.
    const __m512i both =
        _mm512_maskz_permutex2var_epi16(0x55555555u, _mm512_load_si512(exp2_lag),
                                        _mm512_maskz_srli_epi32(all_lanes, x, 1), _mm512_load_si512(exp2_lag + 64));
    const __mmask16 second = _mm512_test_epi32_mask(x, _mm512_set1_epi32(1));
    const __m512i lag = _mm512_and_si512(_mm512_mask_srli_epi32(both, second, both, 8), _mm512_set1_epi32(0xff));
    return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(all_lanes, _mm512_sub_epi32(x, lag), 16));
}
/// Stores x0, y0, x1, y1, ...
inline void store_in_turn(float* p, Vec x, Vec y) {
    const __m512i lower = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i upper = _mm512_add_epi32(lower, _mm512_set1_epi32(8));
    store(p, _mm512_permutex2var_ps(x.v, lower, y.v));
    store(p + 16, _mm512_permutex2var_ps(x.v, upper, y.v));
}
/// v * 2^n, where both are normal numbers
inline Vec times_power_of_two(Vec v, VecInt n) {
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(v.v), _mm512_maskz_slli_epi32(all_lanes, n.v, 23)));
}
inline __m256 lower_half(__m512 v) { return _mm512_maskz_extractf32x8_ps(0xff, v, 0); }
inline __m256 upper_half(__m512 v) { return _mm512_maskz_extractf32x8_ps(0xff, v, 1); }

/// The sum of the lanes, as a tree: lanes 8 apart, then 4, 2, 1.
inline float sum(Vec v) {
    const __m256 eight = _mm256_add_ps(lower_half(v.v), upper_half(v.v));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
/// The largest lane (no lane is NaN unless the result does not matter).
inline float max(Vec v) {
    const __m256 eight = _mm256_max_ps(lower_half(v.v), upper_half(v.v));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
/// Lane r of the result is made of 16 numbers at rows + 16 r, all rows at once: each step joins parts of two rows, as
/// the trees above do with one.
/// @{
struct Sum {
    static __m512 of(__m512 x, __m512 y) { return _mm512_add_ps(x, y); }
};
struct Max {
    static __m512 of(__m512 x, __m512 y) { return _mm512_maskz_max_ps(all_lanes, x, y); }
};
template <class Join>
inline Vec join_each(const float* rows) {
    __m512 eight[8], four[4], two[2];
    EIGENLM_UNROLL
    for (int i = 0; i < 8; ++i) {  // 0 and 4, ..., 3 and 7, 8 and 12, ..., 11 and 15
        const __m512 x = load(rows + (i + i / 4 * 4) * 16).v, y = load(rows + (i + i / 4 * 4 + 4) * 16).v;
        eight[i] = Join::of(_mm512_maskz_shuffle_f32x4(all_lanes, x, y, 0x44),
                            _mm512_maskz_shuffle_f32x4(all_lanes, x, y, 0xee));
    }
    EIGENLM_UNROLL
    for (int i = 0; i < 4; ++i)  // i, i + 4, i + 8 and i + 12: four lanes each
        four[i] = Join::of(_mm512_maskz_shuffle_f32x4(all_lanes, eight[i], eight[i + 4], 0x88),
                           _mm512_maskz_shuffle_f32x4(all_lanes, eight[i], eight[i + 4], 0xdd));
    EIGENLM_UNROLL
    for (int i = 0; i < 2; ++i)
        two[i] = Join::of(_mm512_maskz_shuffle_ps(all_lanes, four[2 * i], four[2 * i + 1], 0x44),
                          _mm512_maskz_shuffle_ps(all_lanes, four[2 * i], four[2 * i + 1], 0xee));
    return Join::of(_mm512_maskz_shuffle_ps(all_lanes, two[0], two[1], 0x88),
                    _mm512_maskz_shuffle_ps(all_lanes, two[0], two[1], 0xdd));
}
inline Vec sum_of_each(const float* rows) { return join_each<Sum>(rows); }
inline Vec max_of_each(const float* rows) { return join_each<Max>(rows); }
/// @}
inline float sqrt(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }

/// 24 sums, four panels' weights and an input fill 29 of 32 registers. A tile takes 256 bytes of weights in 24
/// multiply-adds, which the second-level cache gives, too: long parts have sums wait seldom.
struct Tiles {
    static constexpr std::size_t rows = 6, panels = 4, row_panels = 8, near_bytes = 262144, wide_bytes = 65536;
    static constexpr std::size_t few_rows = 8, few_panels = 2, code_panels = 2, byte_panels = 2;
    static constexpr bool fetches_row = true;
};

// Each builds on those before it.
// clang-format off
#include "math-inl.hpp"
#include "rows-inl.hpp"
#include "tile-inl.hpp"
#include "epilogue-inl.hpp"
#include "matmul-inl.hpp"
#include "softmax-inl.hpp"
#include "attention-inl.hpp"
// clang-format on

}  // namespace eigenlm::inline EIGENLM_ABI::detail::avx512
EIGENLM_TARGET_END
#endif
