// Included inside each level's namespace: matrix products over packed panels.
//
// One output is one chain of fused multiply-adds over k = 0, 1, ..., from zero, then + bias: the same for 1 row as for
// many, whatever the blocking. Lanes are outputs. A tile keeps several chains going at once, because one alone would
// wait for each multiply-add to finish: four rows of one panel, or one row of four panels.

template <class Input, class Weight>
inline void store_tile(const Matmul<Input, Weight>& m, std::size_t row, std::size_t panel, const Vec& total) {
    const std::size_t column = panel * lanes, width = m.out.cols - column < lanes ? m.out.cols - column : lanes;
    store_first(m.out[row] + column, width, m.bias ? add(total, load_first(m.bias + column, width)) : total);
}

/// Weights are f32, or f16 widened: the same arithmetic.
template <std::size_t RowCount, std::size_t PanelCount, class Weight>
inline void matmul_tile(const Matmul<float, Weight>& m, std::size_t row, std::size_t first_panel) {
    const std::size_t panel_size = m.x.cols * lanes;
    const Weight* const weight = m.weight + first_panel * panel_size;
    Vec total[RowCount][PanelCount];
    for (auto& row_totals : total)
        for (Vec& t : row_totals) t = set1(0.0f);
    for (std::size_t k = 0; k < m.x.cols; ++k)
        for (std::size_t p = 0; p < PanelCount; ++p) {
            const Vec w = load(weight + p * panel_size + k * lanes);
            for (std::size_t r = 0; r < RowCount; ++r) total[r][p] = fma(set1(m.x[row + r][k]), w, total[r][p]);
        }
    for (std::size_t p = 0; p < PanelCount; ++p)
        for (std::size_t r = 0; r < RowCount; ++r) store_tile(m, row + r, first_panel + p, total[r][p]);
}

/// bf16 in the order of AMX's TDPBF16PS: of every 32 inputs, one chain over the even ones and one over the odd ones;
/// their sum is added to the total.
template <std::size_t RowCount, std::size_t PanelCount>
inline void matmul_tile(const MatmulBf16& m, std::size_t row, std::size_t first_panel) {
    const std::size_t chunks = (m.x.cols + bf16_chunk - 1) / bf16_chunk, panel_size = chunks * bf16_chunk * lanes;
    const std::uint16_t* const weight = m.weight + first_panel * panel_size;
    Vec total[RowCount][PanelCount];
    for (auto& row_totals : total)
        for (Vec& t : row_totals) t = set1(0.0f);
    for (std::size_t k = 0; k < chunks * bf16_chunk; k += bf16_chunk) {
        Vec even[RowCount][PanelCount], odd[RowCount][PanelCount];
        for (std::size_t r = 0; r < RowCount; ++r)
            for (std::size_t p = 0; p < PanelCount; ++p) even[r][p] = odd[r][p] = set1(0.0f);
        for (std::size_t i = k; i < k + bf16_chunk; i += 2)
            for (std::size_t p = 0; p < PanelCount; ++p) {
                const std::uint16_t* const pairs = weight + p * panel_size + i * lanes;
                const Vec w0 = load_even_bf16(pairs), w1 = load_odd_bf16(pairs);
                for (std::size_t r = 0; r < RowCount; ++r) {
                    const std::uint16_t* const x = m.x[row + r] + i;
                    even[r][p] = fma(set1_bf16(x[0]), w0, even[r][p]);
                    odd[r][p] = fma(set1_bf16(x[1]), w1, odd[r][p]);
                }
            }
        for (std::size_t r = 0; r < RowCount; ++r)
            for (std::size_t p = 0; p < PanelCount; ++p) total[r][p] = add(total[r][p], add(even[r][p], odd[r][p]));
    }
    for (std::size_t p = 0; p < PanelCount; ++p)
        for (std::size_t r = 0; r < RowCount; ++r) store_tile(m, row + r, first_panel + p, total[r][p]);
}

template <class Input, class Weight>
inline void matmul(const Matmul<Input, Weight>& m, std::size_t first, std::size_t last) {
    const std::size_t blocked_rows = m.x.rows / 4 * 4;
    for (std::size_t p = first; p < last; ++p)
        for (std::size_t row = 0; row < blocked_rows; row += 4) matmul_tile<4, 1>(m, row, p);
    for (std::size_t row = blocked_rows; row < m.x.rows; ++row) {
        std::size_t p = first;
        for (; p + 4 <= last; p += 4) matmul_tile<1, 4>(m, row, p);
        for (; p < last; ++p) matmul_tile<1, 1>(m, row, p);
    }
}

inline void matmul_f32(const MatmulF32& m, std::size_t first, std::size_t last) { matmul(m, first, last); }
inline void matmul_bf16(const MatmulBf16& m, std::size_t first, std::size_t last) { matmul(m, first, last); }
inline void matmul_f16(const MatmulF16& m, std::size_t first, std::size_t last) { matmul(m, first, last); }
