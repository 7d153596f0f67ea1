#pragma once
// Sixteen floats in four registers of what every supported CPU has: SSE2 or NEON.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../../base/types.hpp"
#include "exp2_table.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif

EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI::detail::portable {

typedef float Quad __attribute__((vector_size(16)));
typedef std::int32_t QuadInt __attribute__((vector_size(16)));
typedef std::uint32_t QuadBits __attribute__((vector_size(16)));  // arithmetic that may wrap around

inline Quad as_float(QuadInt v) { return (Quad)v; }
inline QuadInt as_int(Quad v) { return (QuadInt)v; }
inline Quad select(QuadInt mask, Quad yes, Quad no) { return as_float((mask & as_int(yes)) | (~mask & as_int(no))); }

#if defined(__x86_64__) && !defined(__FMA__)
// Baseline x86-64 has no fused multiply-add, and a multiply followed by an add rounds twice. In double precision the
// product of two floats is exact and the sum rounds once, to 53 bits; rounding that to 24 bits is right unless the sum
// was inexact and landed on the midpoint between two floats. There, its exact error decides (Boldo and Melquiond,
// "Emulation of FMA and correctly rounded sums", 2008: round the first sum to odd).
inline __m128d round_to_odd(__m128d sum, __m128d a, __m128d b) {
    const __m128d b_part = _mm_sub_pd(sum, a);
    const __m128d error = _mm_add_pd(_mm_sub_pd(a, _mm_sub_pd(sum, b_part)), _mm_sub_pd(b, b_part));
    double s[2], e[2];
    _mm_storeu_pd(s, sum);
    _mm_storeu_pd(e, error);
    for (int i = 0; i < 2; ++i) {
        std::int64_t bits;
        std::memcpy(&bits, &s[i], 8);
        if ((e[i] < 0 || e[i] > 0) && (bits & 1) == 0) bits += (e[i] > 0) == (s[i] > 0) ? 1 : -1;
        std::memcpy(&s[i], &bits, 8);
    }
    return _mm_loadu_pd(s);
}
inline __m128 high_half(__m128 v) { return _mm_movehl_ps(v, v); }

/// a * b + c of four lanes, rounded once, whatever the numbers.
inline Quad fma_odd(Quad a, Quad b, Quad c) {
    const auto half = [](__m128 x, __m128 y, __m128 z) {
        const __m128d product = _mm_mul_pd(_mm_cvtps_pd(x), _mm_cvtps_pd(y)), addend = _mm_cvtps_pd(z);
        return _mm_cvtpd_ps(round_to_odd(_mm_add_pd(product, addend), product, addend));
    };
    return _mm_movelh_ps(half(a, b, c), half(high_half(a), high_half(b), high_half(c)));
}

/// a * b + c of two lanes, in double precision; marks in `midpoints` the sums that must not be rounded as they are.
inline __m128d fma_double(__m128d a, __m128d b, __m128d c, __m128i& midpoints) {
    const __m128d total = _mm_add_pd(_mm_mul_pd(a, b), c);
    const __m128i tail = _mm_and_si128(_mm_castpd_si128(total), _mm_set_epi32(0, 0x1fffffff, 0, 0x1fffffff));
    midpoints = _mm_or_si128(midpoints, _mm_cmpeq_epi32(tail, _mm_set_epi32(-1, 0x10000000, -1, 0x10000000)));
    return total;
}
#elif defined(__x86_64__)
/// a * b + c, rounded once
inline Quad fma(Quad a, Quad b, Quad c) { return _mm_fmadd_ps(a, b, c); }
#else
inline Quad fma(Quad a, Quad b, Quad c) { return (Quad)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
#endif

#if defined(__x86_64__)
inline Quad sqrt(Quad v) { return _mm_sqrt_ps(v); }
#else
inline Quad sqrt(Quad v) { return (Quad)vsqrtq_f32((float32x4_t)v); }
#endif

struct Vec {
    Quad q[4];
};
struct VecInt {
    QuadInt q[4];
};
/// All bits of a lane set where something holds.
using Mask = VecInt;

#define EIGENLM_EACH_QUAD(Result, expression)               \
    Result result;                                          \
    for (int i = 0; i < 4; ++i) result.q[i] = (expression); \
    return result

inline Vec load(const float* p) {
    Vec v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
inline void store(float* p, const Vec& v) { std::memcpy(p, &v, sizeof v); }
/// Sixteen halfs, widened. Subnormal ones are computed as a difference of normal numbers, so that flushing spares them.
inline Vec load(const std::uint16_t* p) {
    typedef std::uint16_t QuadHalf __attribute__((vector_size(8)));
    Vec v;
    for (int i = 0; i < 4; ++i) {
        QuadHalf halfs;
        std::memcpy(&halfs, p + 4 * i, sizeof halfs);
        const QuadBits h = __builtin_convertvector(halfs, QuadBits), magnitude = (h & 0x7fffu) << 13;
        const QuadBits special = (QuadBits)(magnitude >= 0x0f800000u) & (112u << 23);  // infinities and NaNs
        const Quad normal = (Quad)(magnitude + (112u << 23) + special);
        const Quad smallest = (Quad)(QuadBits{113u, 113u, 113u, 113u} << 23);  // 2^-14
        const Quad subnormal = (Quad)(magnitude + (113u << 23)) - smallest;
        const Quad absolute = select((QuadInt)(magnitude < 0x00800000u), subnormal, normal);
        v.q[i] = (Quad)((QuadBits)absolute | ((h & 0x8000u) << 16));
    }
    return v;
}
/// Sixteen whole numbers.
inline Vec load(const std::int8_t* p) {
    EIGENLM_EACH_QUAD(Vec, (Quad{static_cast<float>(p[4 * i]), static_cast<float>(p[4 * i + 1]),
                                 static_cast<float>(p[4 * i + 2]), static_cast<float>(p[4 * i + 3])}));
}
/// Of sixteen pairs of bfloat16, the first ones and the second ones.
inline Vec load_even_bf16(const std::uint16_t* p) {
    Vec v;
    std::memcpy(&v, p, sizeof v);
    EIGENLM_EACH_QUAD(Vec, (Quad)((QuadBits)v.q[i] << 16));
}
inline Vec load_odd_bf16(const std::uint16_t* p) {
    Vec v;
    std::memcpy(&v, p, sizeof v);
    EIGENLM_EACH_QUAD(Vec, (Quad)((QuadBits)v.q[i] & 0xffff0000u));
}
inline Vec set1(float x) { EIGENLM_EACH_QUAD(Vec, (Quad{x, x, x, x})); }
inline Vec add(const Vec& a, const Vec& b) { EIGENLM_EACH_QUAD(Vec, a.q[i] + b.q[i]); }
inline Vec sub(const Vec& a, const Vec& b) { EIGENLM_EACH_QUAD(Vec, a.q[i] - b.q[i]); }
inline Vec mul(const Vec& a, const Vec& b) { EIGENLM_EACH_QUAD(Vec, a.q[i] * b.q[i]); }
#if defined(__x86_64__) && !defined(__FMA__)
__attribute__((noinline, cold)) inline Vec fma_odd(const Vec& a, const Vec& b, const Vec& c) {
    EIGENLM_EACH_QUAD(Vec, fma_odd(a.q[i], b.q[i], c.q[i]));
}
/// a * b + c, rounded once. A call, lest every use becomes a hundred instructions.
[[gnu::noinline]] inline Vec fma(const Vec& a, const Vec& b, const Vec& c) {
    Vec result;
    __m128i midpoints = _mm_setzero_si128();
    for (int i = 0; i < 4; ++i) {
        const __m128 x = a.q[i], y = b.q[i], z = c.q[i];
        const __m128d lower = fma_double(_mm_cvtps_pd(x), _mm_cvtps_pd(y), _mm_cvtps_pd(z), midpoints);
        const __m128d upper =
            fma_double(_mm_cvtps_pd(high_half(x)), _mm_cvtps_pd(high_half(y)), _mm_cvtps_pd(high_half(z)), midpoints);
        result.q[i] = _mm_movelh_ps(_mm_cvtpd_ps(lower), _mm_cvtpd_ps(upper));
    }
    if (__builtin_expect(_mm_movemask_epi8(midpoints) != 0, 0)) return fma_odd(a, b, c);
    return result;
}
#else
inline Vec fma(const Vec& a, const Vec& b, const Vec& c) { EIGENLM_EACH_QUAD(Vec, fma(a.q[i], b.q[i], c.q[i])); }
#endif
/// c - a * b, rounded once
inline Vec fnma(const Vec& a, const Vec& b, const Vec& c) {
    Vec minus_a;
    for (int i = 0; i < 4; ++i) minus_a.q[i] = (Quad)((QuadBits)a.q[i] ^ 0x80000000u);
    return fma(minus_a, b, c);
}
inline Mask less(const Vec& a, const Vec& b) { EIGENLM_EACH_QUAD(Mask, (QuadInt)(a.q[i] < b.q[i])); }
inline Vec select(const Mask& m, const Vec& yes, const Vec& no) {
    EIGENLM_EACH_QUAD(Vec, select(m.q[i], yes.q[i], no.q[i]));
}
/// a where a > b, else b: b where either is NaN, as the processors' max instructions have it
inline Vec max(const Vec& a, const Vec& b) { return select(less(b, a), a, b); }
/// a where a < b, else b: b where either is NaN
inline Vec min(const Vec& a, const Vec& b) { return select(less(a, b), a, b); }
/// Lanes below `count`.
inline Mask first_lanes(std::size_t count) {
    const auto n = static_cast<std::int32_t>(count);
    EIGENLM_EACH_QUAD(Mask, (QuadInt)((QuadInt{0, 1, 2, 3} + 4 * i) < n));
}
inline VecInt bits(const Vec& v) { EIGENLM_EACH_QUAD(VecInt, as_int(v.q[i])); }
inline VecInt sub(const VecInt& a, const VecInt& b) {
    EIGENLM_EACH_QUAD(VecInt, (QuadInt)((QuadBits)a.q[i] - (QuadBits)b.q[i]));
}
inline VecInt half(const VecInt& a) { EIGENLM_EACH_QUAD(VecInt, a.q[i] >> 1); }
/// 2^n, for n in [-126, 127]
inline Vec power_of_two(const VecInt& n) { EIGENLM_EACH_QUAD(Vec, (Quad)(((QuadBits)n.q[i] + 127u) << 23)); }
/// v * 2^n, where both are normal numbers
inline Vec times_power_of_two(const Vec& v, const VecInt& n) {
    EIGENLM_EACH_QUAD(Vec, (Quad)((QuadBits)v.q[i] + ((QuadBits)n.q[i] << 23)));
}
/// Near 1 / v, for v in [1, 8e37].
inline Vec reciprocal_guess(const Vec& v) { EIGENLM_EACH_QUAD(Vec, (Quad)(0x7ef311c7u - (QuadBits)v.q[i])); }
/// The nearest bfloat16, ties to even; NaNs stay NaNs.
inline Vec round_bf16(const Vec& v) {
    Vec result;
    for (int i = 0; i < 4; ++i) {
        const QuadBits x = (QuadBits)v.q[i], up = x + 0x7fffu + ((x >> 16) & 1u), quiet = x | 0x400000u;
        const Quad rounded = select((QuadInt)((x & 0x7fffffffu) > 0x7f800000u), (Quad)quiet, (Quad)up);
        result.q[i] = (Quad)((QuadBits)rounded & 0xffff0000u);
    }
    return result;
}

/// 2^(x - 127) in bfloat16, where exp2_rounder has been added to x.
inline Vec exp2_bf16(const Vec& v) {
    std::uint32_t x[16];
    std::memcpy(x, &v, sizeof x);
    for (std::uint32_t& bits : x) bits = ((bits & 0xffffu) - exp2_lag[bits & 127u]) << 16;
    Vec result;
    std::memcpy(&result, x, sizeof x);
    return result;
}
/// Stores x0, y0, x1, y1, ...
inline void store_in_turn(float* p, const Vec& x, const Vec& y) {
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) {
            p[8 * i + 2 * j] = x.q[i][j];
            p[8 * i + 2 * j + 1] = y.q[i][j];
        }
}

/// 64 bytes: four of each of 16 outputs, as 16-bit halves of registers, and what is done with them.
/// @{
typedef std::uint16_t Eight __attribute__((vector_size(16)));
struct Bytes {
    Eight q[4];
};
inline Bytes load_bytes(const void* p) {
    Bytes v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
inline void store_bytes(void* p, const Bytes& v) { std::memcpy(p, &v, sizeof v); }
/// v >> count & mask (a negative count: to the left), and that joined to x. What comes from a neighbour is masked off.
/// @{
inline Eight bits_of(Eight v, int count, int mask) {
    const Eight shifted = count < 0 ? v << static_cast<std::uint16_t>(-count) : v >> static_cast<std::uint16_t>(count);
    return shifted & static_cast<std::uint16_t>(mask * 257);
}
inline Bytes bits_of(const Bytes& v, int count, int mask) { EIGENLM_EACH_QUAD(Bytes, bits_of(v.q[i], count, mask)); }
inline Bytes join_bits(const Bytes& x, const Bytes& v, int count, int mask) {
    EIGENLM_EACH_QUAD(Bytes, x.q[i] | bits_of(v.q[i], count, mask));
}
/// @}
inline Bytes look_up(const std::uint8_t (&table)[16], const Bytes& v) {
    std::uint8_t bytes[64];
    std::memcpy(bytes, &v, sizeof bytes);
    for (std::uint8_t& byte : bytes) byte = table[byte];
    return load_bytes(bytes);
}
/// @}
inline VecInt set1_int(std::int32_t x) { EIGENLM_EACH_QUAD(VecInt, (QuadInt{x, x, x, x})); }
inline VecInt shift_left(const VecInt& v, int count) {
    EIGENLM_EACH_QUAD(VecInt, (QuadInt)((QuadBits)v.q[i] << static_cast<std::uint32_t>(count)));
}
inline Vec to_float(const VecInt& v) { EIGENLM_EACH_QUAD(Vec, __builtin_convertvector(v.q[i], Quad)); }

/// Sums of neighbours' products.
inline QuadInt multiply_pairs(Eight x, Eight y) {
#if defined(__x86_64__)
    return (QuadInt)_mm_madd_epi16((__m128i)x, (__m128i)y);
#else
    const int16x8_t a = (int16x8_t)x, b = (int16x8_t)y;
    return (QuadInt)vpaddq_s32(vmull_s16(vget_low_s16(a), vget_low_s16(b)), vmull_high_s16(a, b));
#endif
}
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
inline VecInt dot(const VecInt& sum, const Bytes& codes, std::int32_t four) {
    typedef std::int16_t EightSigned __attribute__((vector_size(16)));
    const Eight numbers = (Eight)QuadInt{four, four, four, four};
    const Eight odd = (Eight)((EightSigned)numbers >> 8), even = (Eight)((EightSigned)(numbers << 8) >> 8);
    EIGENLM_EACH_QUAD(VecInt, (QuadInt)((QuadBits)sum.q[i] + (QuadBits)multiply_pairs(codes.q[i] & 255, even) +
                                        (QuadBits)multiply_pairs(codes.q[i] >> 8, odd)));
}
/// 16 pairs of numbers of four bits.
inline void load_nibbles(const std::uint8_t* p, Vec& lower, Vec& upper) {
    for (int i = 0; i < 16; ++i) {
        lower.q[i / 4][i % 4] = static_cast<float>(p[i] & 15);
        upper.q[i / 4][i % 4] = static_cast<float>(p[i] >> 4);
    }
}
/// The lowest byte of each lane's bits.
inline void store_low_bytes(std::int8_t* p, const Vec& v) {
    std::uint32_t bits[16];
    std::memcpy(bits, &v, sizeof bits);
    for (int i = 0; i < 16; ++i) p[i] = static_cast<std::int8_t>(bits[i] & 255);
}

#undef EIGENLM_EACH_QUAD

/// The sum of the lanes, as a tree: lanes 8 apart, then 4, 2, 1.
inline float sum(const Vec& v) {
    const Quad q = (v.q[0] + v.q[2]) + (v.q[1] + v.q[3]);
    return (q[0] + q[2]) + (q[1] + q[3]);
}
/// The largest lane (no lane is NaN unless the result does not matter).
inline float max(const Vec& v) {
    const auto larger = [](Quad a, Quad b) { return select((QuadInt)(b < a), a, b); };
    const Quad q = larger(larger(v.q[0], v.q[2]), larger(v.q[1], v.q[3]));
    const auto larger1 = [](float a, float b) { return b < a ? a : b; };
    return larger1(larger1(q[0], q[2]), larger1(q[1], q[3]));
}
inline float sqrt(float x) {
    const Quad q = sqrt(Quad{x, x, x, x});
    return q[0];
}

}  // namespace eigenlm::inline EIGENLM_ABI::detail::portable
EIGENLM_EXACT_END
