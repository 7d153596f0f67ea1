#pragma once
// The AVX-512 level with products of pairs of bfloat16 (VDPBF16PS) in place of the ones that give every level's bits.
//
// A pair takes the room of a float, in packed weights as in packed inputs, and in the KV cache: so these are f32's
// products and f32's attention with half as many inputs, and another instruction.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "avx512.hpp"

EIGENLM_TARGET_BEGIN(EIGENLM_AVX512)
namespace eigenlm::inline EIGENLM_ABI::detail::avx512_bf16 {

using avx512::Vec;

/// Sixteen numbers as bfloat16: the nearest, ties to even; subnormals become zeros, as in products.
inline void store_bf16(std::uint16_t* out, const Vec& v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v.v)));
}

/// A product whose inputs and weights are pairs: x: [rows, ceil(k / 32) 16]
struct MatmulPairs : Product {
    const float* weight;  ///< [outputs, ceil(k / 32) 16], packed in panels
};
inline const MatmulPairs& arithmetic(const MatmulPairs& m) { return m; }
/// total + in.second * w.second, rounded; + in.first * w.first, rounded
inline Vec multiply_add(const MatmulPairs&, const Vec& in, const Vec& w, const Vec& total) {
    return _mm512_dpbf16_ps(total.v, reinterpret_cast<__m512bh>(w.v), reinterpret_cast<__m512bh>(in.v));
}

/// The 16 numbers from `column` on of a row of n numbers, packed: zeros from the n-th on, also behind the last 16.
/// row: round_up(n, 32) bfloat16s
inline void put_packed(std::uint16_t* row, std::size_t column, std::size_t n, const Vec& v) {
    store_bf16(row + column, avx512::select(avx512::first_lanes(avx512::width_at(column, n)), v, avx512::set1(0.0f)));
    if (column + lanes >= n && column % bf16_chunk == 0) store_bf16(row + column + lanes, avx512::set1(0.0f));
}
inline std::uint16_t* packed_row(float* packed, std::size_t n, std::size_t row) {
    return reinterpret_cast<std::uint16_t*>(packed) + row * packed_bf16_stride(n);
}

/// What silu_mul makes of several rows becomes pairs again.
struct Pairs {
    static const void* at(const Product& m, std::size_t row, std::size_t column) {
        return packed_row(m.out.data, m.out.cols, row) + column;
    }
    template <std::size_t N>
    static void put(const Product& m, std::size_t row, std::size_t column, const Vec (&v)[N]) {
        for (std::size_t i = 0; i < N; ++i)
            put_packed(packed_row(m.out.data, m.out.cols, row + i), column, m.out.cols, v[i]);
    }
};
inline Pairs form(const MatmulPairs&) { return {}; }

inline void pack_bf16(const float* x, std::size_t n, std::size_t row, std::size_t, float* packed) {
    for (std::size_t k = 0; k < n; k += lanes)
        put_packed(packed_row(packed, n, row), k, n, avx512::load_first(x + k, avx512::width_at(k, n)));
}

inline void matmul_bf16(const MatmulBf16& m, std::size_t first, std::size_t last) {
    const std::size_t pairs = packed_bf16_stride(m.x.cols) / 2;
    MatmulPairs product = {m, reinterpret_cast<const float*>(m.weight)};
    product.x.cols = product.x.stride = pairs;
    avx512::matmul(product, first, last);
}

/// Pairs of numbers that are bfloat16s.
inline Vec join(const Vec& first, const Vec& second) {
    const __m512i lower = _mm512_maskz_srli_epi32(avx512::all_lanes, _mm512_castps_si512(first.v), 16);
    return _mm512_castsi512_ps(_mm512_or_si512(lower, _mm512_castps_si512(second.v)));
}

/// avx512::Bf16Weights as pairs.
struct PairWeights {
    float* data;  // [16, 2, 16]
    void weigh(std::size_t row, float scale, float maximum, Vec (&w)[4]) const {
        avx512::weights_in_bf16(scale, maximum, w);
        EIGENLM_UNROLL
        for (std::size_t i = 0; i < 2; ++i) avx512::store(data + (row * 2 + i) * lanes, join(w[2 * i], w[2 * i + 1]));
    }
};

/// Attention in pairs: see avx512::Kind.
template <CacheType T>
struct Kind {
    static constexpr CacheType type = T;
    static constexpr std::size_t per_float = 2;
    using Product = MatmulPairs;
    using Out = PairWeights;

    static void pack(const float* q, std::size_t n, std::size_t i, float* packed) { pack_bf16(q, n, i, 0, packed); }
    static const float* take(const AttentionCall& a, std::size_t begin) {
        if constexpr (T == CacheType::bf16) {
            return a.block<float>(begin);
        } else {
            float* const pairs = a.block_scratch(0);
            avx512::restore(CacheShape{T, a.head_dim}, a.block<std::byte>(begin),
                            [pairs](std::size_t i, const Vec& first, const Vec& second) {
                                avx512::store(pairs + i / 2, join(first, second));
                            });
            return pairs;
        }
    }
    static Vec reached(const float* panel, std::size_t i, const avx512::Reach& reach) {
        const std::size_t slot = avx512::paired_slot(2 * i);
        const int held = (reach.holds(slot) ? 0xffff : 0) | (reach.holds(slot + lanes) ? -0x10000 : 0);
        return _mm512_castsi512_ps(
            _mm512_and_si512(_mm512_castps_si512(avx512::load(panel + i * lanes).v), _mm512_set1_epi32(held)));
    }
};
inline void attend_bf16(const AttentionCall& a, std::size_t section, const AttentionState& state) {
    avx512::attend<Kind<CacheType::bf16>>(a, section, state);
}
inline void attend_q8_0(const AttentionCall& a, std::size_t section, const AttentionState& state) {
    avx512::attend<Kind<CacheType::q8_0>>(a, section, state);
}

}  // namespace eigenlm::inline EIGENLM_ABI::detail::avx512_bf16
EIGENLM_TARGET_END
#endif
