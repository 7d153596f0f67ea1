#pragma once
// The AVX2 level: the kernels' one source on sixteen floats in two registers.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../table.hpp"
#include "../target.hpp"
#include "exp2_table.hpp"

EIGENLM_TARGET_BEGIN(EIGENLM_AVX2)
namespace eigenlm::inline EIGENLM_ABI::detail::avx2 {

struct Vec {
    __m256 a, b;
    Vec() {}
    Vec(__m256 x, __m256 y) : a(x), b(y) {}
};
struct VecInt {
    __m256i a, b;
    VecInt() {}
    VecInt(__m256i x, __m256i y) : a(x), b(y) {}
};
/// All bits of a lane set where something holds.
using Mask = Vec;

inline Vec load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline void store(float* p, Vec v) {
    _mm256_storeu_ps(p, v.a);
    _mm256_storeu_ps(p + 8, v.b);
}
inline __m256i load_bits(const std::uint16_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
/// Sixteen halfs, widened; subnormal ones too, whatever the state.
inline Vec load(const std::uint16_t* p) {
    const __m256i halfs = load_bits(p);
    return {_mm256_cvtph_ps(_mm256_castsi256_si128(halfs)), _mm256_cvtph_ps(_mm256_extracti128_si256(halfs, 1))};
}
/// Sixteen whole numbers.
inline Vec load(const std::int8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
}
/// Of sixteen pairs of bfloat16, the first ones and the second ones.
inline Vec load_even_bf16(const std::uint16_t* p) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(load_bits(p), 16)),
            _mm256_castsi256_ps(_mm256_slli_epi32(load_bits(p + 16), 16))};
}
inline Vec load_odd_bf16(const std::uint16_t* p) {
    const __m256i upper = _mm256_set1_epi32(-65536);
    return {_mm256_castsi256_ps(_mm256_and_si256(load_bits(p), upper)),
            _mm256_castsi256_ps(_mm256_and_si256(load_bits(p + 16), upper))};
}
inline Vec set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline Vec add(Vec x, Vec y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
inline Vec sub(Vec x, Vec y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
inline Vec mul(Vec x, Vec y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
/// x * y + z, rounded once
inline Vec fma(Vec x, Vec y, Vec z) { return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
/// z - x * y, rounded once
inline Vec fnma(Vec x, Vec y, Vec z) { return {_mm256_fnmadd_ps(x.a, y.a, z.a), _mm256_fnmadd_ps(x.b, y.b, z.b)}; }
inline Mask less(Vec x, Vec y) { return {_mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ)}; }
inline Vec select(Mask m, Vec yes, Vec no) {
    return {_mm256_blendv_ps(no.a, yes.a, m.a), _mm256_blendv_ps(no.b, yes.b, m.b)};
}
/// x where x > y, else y: y where either is NaN
inline Vec max(Vec x, Vec y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
/// x where x < y, else y: y where either is NaN
inline Vec min(Vec x, Vec y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
/// Lanes below `count`.
inline Mask first_lanes(std::size_t count) {
    const __m256i n = _mm256_set1_epi32(static_cast<int>(count)), lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(n, lane)),
            _mm256_castsi256_ps(_mm256_cmpgt_epi32(n, _mm256_add_epi32(lane, _mm256_set1_epi32(8))))};
}
inline VecInt bits(Vec v) { return {_mm256_castps_si256(v.a), _mm256_castps_si256(v.b)}; }
inline VecInt sub(VecInt x, VecInt y) { return {_mm256_sub_epi32(x.a, y.a), _mm256_sub_epi32(x.b, y.b)}; }
inline VecInt half(VecInt x) { return {_mm256_srai_epi32(x.a, 1), _mm256_srai_epi32(x.b, 1)}; }
inline __m256 power_of_two(__m256i n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
/// 2^n, for n in [-126, 127]
inline Vec power_of_two(VecInt n) { return {power_of_two(n.a), power_of_two(n.b)}; }

inline __m256 times_power_of_two(__m256 v, __m256i n) {
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(v), _mm256_slli_epi32(n, 23)));
}
/// v * 2^n, where both are normal numbers
inline Vec times_power_of_two(Vec v, VecInt n) { return {times_power_of_two(v.a, n.a), times_power_of_two(v.b, n.b)}; }
inline __m256 reciprocal_guess(__m256 v) {
    return _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_set1_epi32(0x7ef311c7), _mm256_castps_si256(v)));
}
/// Near 1 / v, for v in [1, 8e37].
inline Vec reciprocal_guess(Vec v) { return {reciprocal_guess(v.a), reciprocal_guess(v.b)}; }
inline __m256 round_bf16(__m256 v) {
    const __m256i x = _mm256_castps_si256(v), odd = _mm256_and_si256(_mm256_srli_epi32(x, 16), _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(x, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(x, _mm256_set1_epi32(0x400000));
    const __m256 rounded =
        _mm256_blendv_ps(_mm256_castsi256_ps(up), _mm256_castsi256_ps(quiet), _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    return _mm256_and_ps(rounded, _mm256_castsi256_ps(_mm256_set1_epi32(-65536)));
}
/// The nearest bfloat16, ties to even; NaNs stay NaNs.
inline Vec round_bf16(Vec v) { return {round_bf16(v.a), round_bf16(v.b)}; }

inline __m256 exp2_bf16(__m256 v) {
    const __m256i x = _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0xffff));
    const __m256i fraction = _mm256_and_si256(x, _mm256_set1_epi32(127)), all = _mm256_set1_epi32(-1);
    const __m256i lag =
        _mm256_mask_i32gather_epi32(_mm256_setzero_si256(), reinterpret_cast<const int*>(exp2_lag), fraction, all, 1);
    const __m256i bits = _mm256_sub_epi32(x, _mm256_and_si256(lag, _mm256_set1_epi32(0xff)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 16));
}
/// 2^(x - 127) in bfloat16, where exp2_rounder has been added to x.
inline Vec exp2_bf16(Vec v) { return {exp2_bf16(v.a), exp2_bf16(v.b)}; }
/// Stores x0, y0, x1, y1, ...
inline void store_in_turn(float* p, Vec x, Vec y) {
    const auto put = [p](std::size_t i, __m256 a, __m256 b) {
        const __m256 even = _mm256_unpacklo_ps(a, b), odd = _mm256_unpackhi_ps(a, b);
        _mm256_storeu_ps(p + i, _mm256_permute2f128_ps(even, odd, 0x20));
        _mm256_storeu_ps(p + i + 8, _mm256_permute2f128_ps(even, odd, 0x31));
    };
    put(0, x.a, y.a);
    put(16, x.b, y.b);
}

/// The sum of the lanes, as a tree: lanes 8 apart, then 4, 2, 1.
inline float sum(Vec v) {
    const __m256 eight = _mm256_add_ps(v.a, v.b);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
/// The largest lane (no lane is NaN unless the result does not matter).
inline float max(Vec v) {
    const __m256 eight = _mm256_max_ps(v.a, v.b);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
inline float sqrt(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }

/// 64 bytes: four of each of 16 outputs, and what is done with them.
/// @{
struct Bytes {
    __m256i a, b;
    Bytes() {}
    Bytes(__m256i x, __m256i y) : a(x), b(y) {}
};
inline Bytes load_bytes(const void* p) {
    const auto* const from = static_cast<const __m256i*>(p);
    return {_mm256_loadu_si256(from), _mm256_loadu_si256(from + 1)};
}
inline void store_bytes(void* p, Bytes v) {
    auto* const to = static_cast<__m256i*>(p);
    _mm256_storeu_si256(to, v.a);
    _mm256_storeu_si256(to + 1, v.b);
}
/// v >> count & mask (a negative count: to the left), and that joined to x. What comes from a neighbour is masked off.
/// @{
inline __m256i shifted(__m256i v, int count) {
    return count > 0 ? _mm256_srli_epi16(v, count) : count < 0 ? _mm256_slli_epi16(v, -count) : v;
}
inline Bytes bits_of(Bytes v, int count, int mask) {
    const __m256i m = _mm256_set1_epi8(static_cast<char>(mask));
    return {_mm256_and_si256(shifted(v.a, count), m), _mm256_and_si256(shifted(v.b, count), m)};
}
inline Bytes join_bits(Bytes x, Bytes v, int count, int mask) {
    const Bytes y = bits_of(v, count, mask);
    return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)};
}
/// @}
inline Bytes look_up(const std::uint8_t (&table)[16], Bytes v) {
    const __m256i t = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(table)));
    return {_mm256_shuffle_epi8(t, v.a), _mm256_shuffle_epi8(t, v.b)};
}
/// @}
inline VecInt set1_int(std::int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
inline VecInt shift_left(VecInt v, int count) { return {_mm256_slli_epi32(v.a, count), _mm256_slli_epi32(v.b, count)}; }
inline Vec to_float(VecInt v) { return {_mm256_cvtepi32_ps(v.a), _mm256_cvtepi32_ps(v.b)}; }

/// sum += v, of 32-bit and of 16-bit lanes, here and in the sum's own register: g++ would put off all additions of
/// whole numbers until registers do not hold what is to be added, or copy sums that it must not put off. (Both
/// of the assembler's dialects: a host may have chosen either.)
/// @{
inline void add_to(__m256i& sum, __m256i v) { asm("vpaddd {%1, %0, %0|%0, %0, %1}" : "+x"(sum) : "x"(v)); }
inline void add_words_to(__m256i& sum, __m256i v) { asm("vpaddw {%1, %0, %0|%0, %0, %1}" : "+x"(sum) : "x"(v)); }
/// @}

/// Products of codes of up to 6 bits with numbers: neighbours' sums stay within 16 bits for as many steps as codes are
/// small.
/// @{
constexpr int dot_bits(int bits) { return bits < 4 ? 4 : bits; }
template <int Bits>
inline constexpr std::size_t joined_steps = Bits == 8 ? 1 : 32767 / (2 * 127 * ((1 << Bits) - 1));
struct PairSums {
    __m256i a, b;
    PairSums() {}
    PairSums(__m256i x, __m256i y) : a(x), b(y) {}
};
inline PairSums dot_pairs(Bytes codes, std::int32_t four) {
    const __m256i numbers = _mm256_set1_epi32(four);
    return {_mm256_maddubs_epi16(codes.a, numbers), _mm256_maddubs_epi16(codes.b, numbers)};
}
inline PairSums add(PairSums x, PairSums y) {
    add_words_to(x.a, y.a);
    add_words_to(x.b, y.b);
    return x;
}
inline VecInt add_pairs(VecInt sum, PairSums pairs) {
    const __m256i one = _mm256_set1_epi16(1);
    add_to(sum.a, _mm256_madd_epi16(pairs.a, one));
    add_to(sum.b, _mm256_madd_epi16(pairs.b, one));
    return sum;
}
/// @}
/// sum + four codes of 8 bits of each output, less 128, times four numbers. Numbers take over the signs of what they
/// are multiplied with, and two products fit into 16 bits: 2 * 128 * 127.
/// @{
inline constexpr bool dot_knows_128 = true;
inline __m256i dot(__m256i sum, __m256i codes, __m256i four) {
    const __m256i weights = _mm256_xor_si256(codes, _mm256_set1_epi8(-128));
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(four, weights));
    add_to(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    return sum;
}
template <int>
inline VecInt dot(VecInt sum, Bytes codes, std::int32_t four) {
    const __m256i numbers = _mm256_set1_epi32(four);
    return {dot(sum.a, codes.a, numbers), dot(sum.b, codes.b, numbers)};
}
/// @}
/// 16 pairs of numbers of four bits.
inline void load_nibbles(const std::uint8_t* p, Vec& lower, Vec& upper) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m256i a = _mm256_cvtepu8_epi32(bytes), b = _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8));
    const __m256i mask = _mm256_set1_epi32(15);
    lower = {_mm256_cvtepi32_ps(_mm256_and_si256(a, mask)), _mm256_cvtepi32_ps(_mm256_and_si256(b, mask))};
    upper = {_mm256_cvtepi32_ps(_mm256_srli_epi32(a, 4)), _mm256_cvtepi32_ps(_mm256_srli_epi32(b, 4))};
}
/// The lowest byte of each lane's bits.
inline void store_low_bytes(std::int8_t* p, Vec v) {
    const __m256i order =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
    const auto four = [&](std::int8_t* to, __m256 x) {
        const __m256i low = _mm256_shuffle_epi8(_mm256_castps_si256(x), order);
        const std::int32_t first = _mm256_extract_epi32(low, 0), second = _mm256_extract_epi32(low, 4);
        __builtin_memcpy(to, &first, 4);
        __builtin_memcpy(to + 4, &second, 4);
    };
    four(p, v.a);
    four(p + 8, v.b);
}

/// Twelve registers of sums, two of a panel's weights and one of an input are 15 of 16. That one row's weights come
/// faster when nothing is fetched for it has been measured on Zen 3 only.
struct Tiles {
    static constexpr std::size_t rows = 6, panels = 1, row_panels = 4, near_bytes = 16384, wide_bytes = 16384;
    static constexpr std::size_t few_rows = 4, few_panels = 1, code_panels = 2, byte_panels = 4;
    static constexpr bool fetches_row = false;
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

}  // namespace eigenlm::inline EIGENLM_ABI::detail::avx2
EIGENLM_TARGET_END
#endif
