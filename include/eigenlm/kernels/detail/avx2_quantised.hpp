#pragma once
// The AVX2 level's products of many rows with quantised weights whose codes are bytes.
//
// AVX2 multiplies bytes without a sign by bytes with one, and cuts a sum of two products off at 32,767. The sizes of
// numbers times weights that have taken over the numbers' signs fit. To give signs away takes an instruction for every
// product; but four numbers have 16 ways of being negative only, so a table of 32 outputs' weights with all of them
// serves all rows: a row's numbers say where in the table their weights are. All of it is exact: the same sums as
// anywhere else.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "avx2.hpp"

EIGENLM_TARGET_BEGIN(EIGENLM_AVX2)
namespace eigenlm::inline EIGENLM_ABI::detail::avx2_quantised {

using namespace avx2;

inline constexpr std::size_t table_panels = widened_panels, table_vectors = 2 * table_panels;  // of eight outputs
inline constexpr std::size_t chunk_steps = quantised_chunk / 4, sign_patterns = 16;

/// 32 inputs' weights of 32 outputs, fours of inputs with all patterns of signs: 16 KiB, half of a first-level cache.
struct SignedWeights {
    __m256i fours[chunk_steps][sign_patterns][table_vectors];
};

/// 1 for each of four bytes, or -1 where a pattern has a minus.
inline __m256i signs_of(std::size_t pattern) {
    const __m256i bits = _mm256_set1_epi32(0x08040201), which = _mm256_set1_epi8(static_cast<char>(pattern));
    return _mm256_or_si256(_mm256_cmpeq_epi8(_mm256_and_si256(which, bits), bits), _mm256_set1_epi8(1));
}
inline void make_table(const WidenedPanel (&panels)[table_panels], std::size_t chunk, SignedWeights& to) {
    for (std::size_t s = 0; s < chunk_steps; ++s) {
        __m256i weights[table_vectors];
        EIGENLM_UNROLL
        for (std::size_t p = 0; p < table_panels; ++p) {
            const Bytes codes = load_bytes(panels[p].codes + (chunk * chunk_steps + s) * 64);
            weights[2 * p] = _mm256_xor_si256(codes.a, _mm256_set1_epi8(-128));
            weights[2 * p + 1] = _mm256_xor_si256(codes.b, _mm256_set1_epi8(-128));
        }
        EIGENLM_UNROLL
        for (std::size_t pattern = 0; pattern < sign_patterns; ++pattern) {
            const __m256i signs = signs_of(pattern);
            EIGENLM_UNROLL
            for (std::size_t v = 0; v < table_vectors; ++v)
                to.fours[s][pattern][v] = _mm256_sign_epi8(weights[v], signs);
        }
    }
}
/// Whether all weights of a part have an opposite among bytes. -128 has none: no quantiser makes it, but a file may
/// have it, and what fills panels up is as good as it.
inline bool have_opposites(const WidenedPart<table_panels>& part) {
    __m256i least = _mm256_set1_epi8(-1);  // of the codes, which are 128 above their weights
    for (const WidenedPanel& panel : part.panels)
        for (std::size_t i = 0; i < (part.end - part.begin) * lanes; i += 64) {
            const Bytes codes = load_bytes(panel.codes + i);
            least = _mm256_min_epu8(least, _mm256_min_epu8(codes.a, codes.b));
        }
    return _mm256_movemask_epi8(_mm256_cmpeq_epi8(least, _mm256_setzero_si256())) == 0;
}

/// Notes each four's pattern of signs, times 16: eight times that many bytes into the table's step are its weights.
inline void set_signs(QuantisedInputs& in) {
    static_assert(sizeof(SignedWeights::fours[0][0]) == 8 << 4);
    const __m256i numbers = _mm256_load_si256(reinterpret_cast<const __m256i*>(in.numbers));
    const __m256i negative = _mm256_cmpgt_epi8(_mm256_setzero_si256(), numbers);
    const __m256i bits = _mm256_and_si256(negative, _mm256_set1_epi32(static_cast<int>(0x80402010)));
    const __m256i pairs = _mm256_maddubs_epi16(bits, _mm256_set1_epi8(1));
    const __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    alignas(32) std::int32_t signs[chunk_steps];
    _mm256_store_si256(reinterpret_cast<__m256i*>(signs), fours);
    for (std::size_t s = 0; s < chunk_steps; ++s) in.signs[s] = static_cast<std::uint8_t>(signs[s]);
}
inline void pack_quantised(const float* x, std::size_t n, std::size_t row, std::size_t rows, float* packed) {
    avx2::pack_quantised(x, n, row, rows, packed);
    auto* const lines = reinterpret_cast<QuantisedInputs*>(packed) + row * quantised_lines(n);
    for (std::size_t i = 0; i < round_up(n, 64) / quantised_chunk; ++i) set_signs(lines[i]);
}

/// The sizes of a row's 32 numbers.
struct RowSizes {
    alignas(32) std::int32_t fours[chunk_steps];
};
inline void take_sizes(const QuantisedInputs& in, RowSizes& to) {
    const __m256i numbers = _mm256_load_si256(reinterpret_cast<const __m256i*>(in.numbers));
    _mm256_store_si256(reinterpret_cast<__m256i*>(to.fours), _mm256_abs_epi8(numbers));
}

/// A row's products with the table's weights, taken into its sums, [panels][16].   scales: [panels][16]
inline void multiply_row(const SignedWeights& table, const RowSizes& sizes, const QuantisedInputs& in,
                         const float* const (&scales)[table_panels], float* totals) {
    __m256i sums[table_vectors];
    EIGENLM_UNROLL
    for (std::size_t s = 0; s < chunk_steps; ++s) {
        const __m256i four = _mm256_set1_epi32(sizes.fours[s]);
        const auto* const weights = reinterpret_cast<const __m256i*>(reinterpret_cast<const char*>(table.fours[s]) +
                                                                     8 * std::size_t{in.signs[s]});
        EIGENLM_UNROLL
        for (std::size_t v = 0; v < table_vectors; ++v) {
            const __m256i pairs = _mm256_maddubs_epi16(four, weights[v]);
            const __m256i products = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
            if (s == 0)
                sums[v] = products;
            else
                add_to(sums[v], products);
        }
    }
    EIGENLM_UNROLL
    for (std::size_t p = 0; p < table_panels; ++p) {
        float* const to = totals + p * lanes;
        store(to, add_sum({sums[2 * p], sums[2 * p + 1]}, load(scales[p]), in.scale, load(to)));
    }
}

/// Rows whose sizes are taken at a time, while the numbers of as many behind them are fetched.
inline constexpr std::size_t rows_at_once = 8;

/// All rows of a part, times one chunk of its inputs.
inline void multiply_chunk(const MatmulQuantised& m, WidenedPart<table_panels>& all, std::size_t chunk,
                           const SignedWeights& table) {
    const float* scales[table_panels];
    for (std::size_t p = 0; p < table_panels; ++p) scales[p] = all.panels[p].scales + chunk * lanes;
    const std::size_t lines = m.x.stride / lanes;  // from row to row
    const QuantisedInputs* x = quantised_row(m, all.row) + all.begin / quantised_chunk + chunk;
    const bool last = all.last && chunk + 1 == (all.end - all.begin) / quantised_chunk;
    RowSizes sizes[rows_at_once];
    for (std::size_t row = all.row, rows; row < all.end_row; row += rows) {
        rows = all.end_row - row < rows_at_once ? all.end_row - row : rows_at_once;
        if (chunk == 0) all.fetch.step();
        if (last) fetch_out(m, row, rows, all.panel, all.stop);
        const QuantisedInputs* in = x;
        EIGENLM_UNROLL_BY(2)
        for (std::size_t r = 0; r < rows; ++r, in += lines) {
            __builtin_prefetch(in + rows_at_once * lines);
            take_sizes(*in, sizes[r]);
        }
        const Part part = all.of_row(row);
        EIGENLM_UNROLL_BY(1)
        for (std::size_t r = 0; r < rows; ++r, x += lines)
            multiply_row(table, sizes[r], *x, scales, part.sums + r * part.stride);
        if (last) finish(m, row, rows, all.panel, all.stop, part.sums, part.stride);
    }
}

/// The same for all chunks, without a table.
inline void multiply_without_table(const MatmulQuantised& m, WidenedPart<table_panels>& all) {
    const WidenedFormat f = widened_format(m.dtype);
    for (std::size_t row = all.row, rows; row < all.end_row; row += rows) {
        rows = all.end_row - row < 2 ? 1 : 2;
        const float* const x = m.x[row] + all.begin / quantised_chunk * lanes;
        Part part = all.of_row(row);
        for (std::size_t p = 0; p < table_panels; ++p, part.sums += lanes)
            if (rows == 2)
                multiply_widened<2, 1, quantised_chunk, 8>(f, all.panels + p, x, m.x.stride, part, all.fetch);
            else
                multiply_widened<1, 1, quantised_chunk, 8>(f, all.panels + p, x, m.x.stride, part, all.fetch);
        if (all.last) finish(m, row, rows, all.panel, all.stop, all.of_row(row).sums, part.stride);
    }
}

/// Many rows of a format whose panels `widen` makes bytes of.
inline void multiply_by_table(const MatmulQuantised& m, std::size_t first, std::size_t last,
                              void (*widen)(const std::byte*, std::size_t, WidenedPanel&)) {
    SignedWeights table;
    const auto steps = [](std::size_t rows) { return ceil_div(rows, rows_at_once); };
    each_widened_part<table_panels>(m, first, last, widen, steps, [&](WidenedPart<table_panels>& all) {
        if (!have_opposites(all)) return multiply_without_table(m, all);
        for (std::size_t c = 0; c < (all.end - all.begin) / quantised_chunk; ++c) {
            make_table(all.panels, c, table);
            multiply_chunk(m, all, c, table);
        }
    });
}

/// Rows from which on a table is worth it.
inline constexpr std::size_t many_rows = 48;

inline void matmul_quantised(const MatmulQuantised& m, std::size_t first, std::size_t last) {
    with_quantised(m.dtype, [&](auto type) {
        constexpr PanelFormat f = panel_format(type());
        if constexpr (widened_bits(f) == 8) {
            static_assert(f.group == quantised_chunk && f.zero_shift == 7 && !f.minimum);
            if (m.x.rows >= many_rows) return multiply_by_table(m, first, last, widen_panel<type()>);
        }
        multiply_quantised<type()>(m, first, last);
    });
}

}  // namespace eigenlm::inline EIGENLM_ABI::detail::avx2_quantised
EIGENLM_TARGET_END
#endif
