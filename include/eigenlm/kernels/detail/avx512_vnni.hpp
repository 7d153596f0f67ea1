#pragma once
// The AVX-512 level's products with quantised weights, on AVX-512's instruction for sums of products of bytes
// (VPDPBUSD). Processors without it run AVX2's: the same bits.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "avx512.hpp"

EIGENLM_TARGET_BEGIN(EIGENLM_AVX512_VNNI)
namespace eigenlm::inline EIGENLM_ABI::detail::avx512_vnni {

using namespace avx512;

// What compilers' shifts of 16-bit lanes take.
#if defined(__clang__)
using Count = unsigned;
#else
using Count = int;
#endif

/// 64 bytes: four of each of 16 outputs, and what is done with them.
/// @{
struct Bytes {
    __m512i v;
    Bytes() {}
    Bytes(__m512i x) : v(x) {}
};
inline Bytes load_bytes(const void* p) { return _mm512_loadu_si512(p); }
inline void store_bytes(void* p, Bytes v) { _mm512_storeu_si512(p, v.v); }
/// v >> count & mask (a negative count: to the left), and that joined to x. What comes from a neighbour is masked off.
/// @{
inline __m512i shifted(__m512i v, int count) {
    if (count == 0) return v;
    return count > 0 ? _mm512_srli_epi16(v, static_cast<Count>(count))
                     : _mm512_slli_epi16(v, static_cast<Count>(-count));
}
inline Bytes bits_of(Bytes v, int count, int mask) {
    return _mm512_and_si512(shifted(v.v, count), _mm512_set1_epi8(static_cast<char>(mask)));
}
inline Bytes join_bits(Bytes x, Bytes v, int count, int mask) {
    const __m512i m = _mm512_set1_epi8(static_cast<char>(mask));
    return _mm512_ternarylogic_epi64(x.v, shifted(v.v, count), m, 0xf8);  // x | (v & m)
}
/// @}
inline Bytes look_up(const std::uint8_t (&table)[16], Bytes v) {
    const __m128i t = _mm_load_si128(reinterpret_cast<const __m128i*>(table));
    return _mm512_shuffle_epi8(_mm512_maskz_broadcast_i32x4(all_lanes, t), v.v);
}
/// @}
inline VecInt load_int(const std::int32_t* p) { return _mm512_loadu_si512(p); }
inline VecInt set1_int(std::int32_t x) { return _mm512_set1_epi32(x); }
inline VecInt shift_left(VecInt v, int count) {
    return _mm512_maskz_slli_epi32(all_lanes, v.v, static_cast<unsigned>(count));
}
inline Vec to_float(VecInt v) { return _mm512_maskz_cvtepi32_ps(all_lanes, v.v); }

/// Codes of all sizes are multiplied alike, and from 0 on.
/// @{
constexpr int dot_bits(int) { return 8; }
inline constexpr bool dot_knows_128 = false;
template <int>
inline constexpr std::size_t joined_steps = 1;
using PairSums = VecInt;
/// @}
/// sum + four codes of each output times four numbers
template <int>
inline VecInt dot(VecInt sum, Bytes codes, std::int32_t four) {
    return _mm512_dpbusd_epi32(sum.v, codes.v, _mm512_set1_epi32(four));
}
/// 16 pairs of numbers of four bits.
inline void load_nibbles(const std::uint8_t* p, Vec& lower, Vec& upper) {
    const __m512i v = _mm512_maskz_cvtepu8_epi32(all_lanes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    lower = _mm512_maskz_cvtepi32_ps(all_lanes, _mm512_and_si512(v, _mm512_set1_epi32(15)));
    upper = _mm512_maskz_cvtepi32_ps(all_lanes, _mm512_maskz_srli_epi32(all_lanes, v, 4));
}
/// The lowest byte of each lane's bits.
inline void store_low_bytes(std::int8_t* p, Vec v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_maskz_cvtepi32_epi8(all_lanes, _mm512_castps_si512(v.v)));
}

#include "quantised-inl.hpp"
#include "quantised_rows-inl.hpp"

}  // namespace eigenlm::inline EIGENLM_ABI::detail::avx512_vnni
EIGENLM_TARGET_END
#endif
