#pragma once
// The AVX-512 level with products of pairs of bfloat16 (VDPBF16PS) in place of the ones that give every level's bits.
//
// A pair takes the room of a float, in packed weights as in packed inputs: so these are f32's products with half as
// many inputs, and another instruction.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "avx512.hpp"

EIGENLM_TARGET_BEGIN(EIGENLM_AVX512)
namespace eigenlm::inline EIGENLM_ABI::detail::avx512_bf16 {

using avx512::attend_bf16, avx512::attend_q8_0, avx512::Vec;

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

}  // namespace eigenlm::inline EIGENLM_ABI::detail::avx512_bf16
EIGENLM_TARGET_END
#endif
