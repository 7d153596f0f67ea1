#pragma once
// The AVX2 level's products of many rows with quantised weights whose codes are bytes.
//
// AVX2 multiplies bytes without a sign by bytes with one, and cuts a sum of two products off at 32,767. A weight's size
// times a number that has taken over the weight's sign fits; but few of a processor's units give signs away. -x is
// ~x + 1, and ~x is an exclusive or, which every unit can do: where a weight is negative, its size times ~x is the
// product less the weight's size, and that is an output's own, whatever the row. So sums begin at the sizes of their
// negative weights. All of it is exact: the same sums as anywhere else.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "avx2.hpp"

EIGENLM_TARGET_BEGIN(EIGENLM_AVX2)
namespace eigenlm::inline EIGENLM_ABI::detail::avx2_quantised {

using namespace avx2;

/// Rows of a tile: eight registers of sums, four of weights, one of ones and one of numbers leave two of 16.
inline constexpr std::size_t tile_rows = 4;
inline constexpr std::size_t part_chunks = widened_inputs / quantised_chunk, chunk_steps = quantised_chunk / 4;

/// A part of a panel: its weights' sizes, up to 128, and all bits of a byte set where they are negative.
struct SignedPanel {
    struct Step {
        __m256i sizes[2], signs[2];  // outputs 0 to 7, 8 to 15: [8][4]
    };
    Step steps[part_chunks][chunk_steps];
    __m256i begin[part_chunks][2];  // what sums begin at
};

inline void take_signs(const WidenedPanel& panel, std::size_t chunks, SignedPanel& to) {
    const __m256i zero = _mm256_setzero_si256();
    for (std::size_t c = 0; c < chunks; ++c) {
        __m256i negative[2] = {zero, zero};  // minus the sizes of pairs' negative weights
        EIGENLM_UNROLL
        for (std::size_t s = 0; s < chunk_steps; ++s) {
            SignedPanel::Step& step = to.steps[c][s];
            const Bytes codes = load_bytes(panel.codes + (c * chunk_steps + s) * 64);
            const __m256i halves[2] = {codes.a, codes.b};
            EIGENLM_UNROLL
            for (std::size_t h = 0; h < 2; ++h) {
                const __m256i weights = _mm256_xor_si256(halves[h], _mm256_set1_epi8(-128));
                const __m256i sizes = _mm256_abs_epi8(weights), signs = _mm256_cmpgt_epi8(zero, weights);
                step.sizes[h] = sizes, step.signs[h] = signs;
                negative[h] = _mm256_add_epi16(negative[h], _mm256_maddubs_epi16(sizes, signs));
            }
        }
        for (std::size_t h = 0; h < 2; ++h) to.begin[c][h] = _mm256_madd_epi16(negative[h], _mm256_set1_epi16(-1));
    }
}

/// sum + sizes times numbers, where `signs` says so negative ones, less the sizes there.
inline void add_signed_products(__m256i& sum, __m256i sizes, __m256i signs, __m256i numbers) {
    const __m256i pairs = _mm256_maddubs_epi16(sizes, _mm256_xor_si256(numbers, signs));
    add_to(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/// R rows of a panel, a part of the inputs.   scales: [chunks][16]; x: row 0's first chunk of the part, stride floats
/// from row to row
template <std::size_t R>
inline void multiply_signed(const SignedPanel& panel, const float* scales, const float* x, std::size_t stride,
                            std::size_t chunks, const Part& part) {
    for (std::size_t c = 0; c < chunks; ++c) {
        const auto in = [&](std::size_t r) -> const QuantisedInputs& {
            return *reinterpret_cast<const QuantisedInputs*>(x + r * stride + c * lanes);
        };
        __m256i sums[R][2];
        EIGENLM_UNROLL
        for (std::size_t r = 0; r < R; ++r) sums[r][0] = panel.begin[c][0], sums[r][1] = panel.begin[c][1];
        EIGENLM_UNROLL
        for (std::size_t s = 0; s < chunk_steps; ++s) {
            const SignedPanel::Step w = panel.steps[c][s];
            EIGENLM_UNROLL
            for (std::size_t r = 0; r < R; ++r) {
                const __m256i numbers = _mm256_set1_epi32(four_numbers(in(r), s));
                add_signed_products(sums[r][0], w.sizes[0], w.signs[0], numbers);
                add_signed_products(sums[r][1], w.sizes[1], w.signs[1], numbers);
            }
        }
        const Vec scale = load(scales + c * lanes);
        EIGENLM_UNROLL
        for (std::size_t r = 0; r < R; ++r) {
            float* const to = part.sums + r * part.stride;
            store(to, add_sum({sums[r][0], sums[r][1]}, scale, in(r).scale, load(to)));
        }
    }
}

/// Many rows of a format whose panels `widen` makes bytes of.
inline void multiply_quantised_signed(const MatmulQuantised& m, std::size_t first, std::size_t last,
                                      void (*widen)(const std::byte*, std::size_t, WidenedPanel&)) {
    constexpr std::size_t G = 2;
    SignedPanel panels[G];
    const auto steps = [](std::size_t rows) { return ceil_div(rows, tile_rows); };
    each_widened_part<G>(m, first, last, widen, steps, [&](WidenedPart<G>& all) {
        const std::size_t chunks = (all.end - all.begin) / quantised_chunk;
        for (std::size_t g = 0; g < G; ++g) take_signs(all.panels[g], chunks, panels[g]);
        for (std::size_t row = all.row; row < all.end_row; row += tile_rows) {
            const std::size_t rows = all.end_row - row < tile_rows ? all.end_row - row : tile_rows;
            Part part = all.of_row(row);
            all.fetch.step();
            for (std::size_t g = 0; g < G; ++g) {
                const float* x = m.x[row] + all.begin / quantised_chunk * lanes;
                Part panel_part = part;
                panel_part.sums += g * lanes;
                if (rows == tile_rows) {
                    multiply_signed<tile_rows>(panels[g], all.panels[g].scales, x, m.x.stride, chunks, panel_part);
                    continue;
                }
                for (std::size_t r = 0; r < rows; ++r, x += m.x.stride, panel_part.sums += part.stride)
                    multiply_signed<1>(panels[g], all.panels[g].scales, x, m.x.stride, chunks, panel_part);
            }
            if (all.last) finish(m, row, rows, all.panel, all.stop, part.sums, G * lanes);
        }
    });
}

/// Rows from which on it is worth it to take weights apart.
inline constexpr std::size_t many_rows = 24;

inline void matmul_quantised(const MatmulQuantised& m, std::size_t first, std::size_t last) {
    with_quantised(m.dtype, [&](auto type) {
        constexpr PanelFormat f = panel_format(type());
        if constexpr (widened_bits(f) == 8) {
            static_assert(f.group == quantised_chunk && f.zero_shift == 7 && !f.minimum);
            if (m.x.rows >= many_rows) return multiply_quantised_signed(m, first, last, widen_panel<type()>);
        }
        multiply_quantised<type()>(m, first, last);
    });
}

}  // namespace eigenlm::inline EIGENLM_ABI::detail::avx2_quantised
EIGENLM_TARGET_END
#endif
