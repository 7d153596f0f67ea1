// Included inside each level's namespace: matrix products over packed panels.
//
// One output is one chain of fused multiply-adds over k = 0, 1, ..., from zero, then + bias: the same for 1 row as for
// many, whatever the blocking. Lanes are outputs. A tile keeps several chains going at once, because one alone would
// wait for each multiply-add to finish: four rows of one panel, or one row of four panels.

template <std::size_t RowCount, std::size_t PanelCount>
inline void matmul_tile(const MatmulF32& m, std::size_t row, std::size_t first_panel) {
    const std::size_t panel_size = m.x.cols * lanes;
    const float* const weight = m.weight + first_panel * panel_size;
    Vec total[RowCount][PanelCount];
    for (auto& row_totals : total)
        for (Vec& t : row_totals) t = set1(0.0f);
    for (std::size_t k = 0; k < m.x.cols; ++k)
        for (std::size_t p = 0; p < PanelCount; ++p) {
            const Vec w = load(weight + p * panel_size + k * lanes);
            for (std::size_t r = 0; r < RowCount; ++r) total[r][p] = fma(set1(m.x[row + r][k]), w, total[r][p]);
        }
    for (std::size_t p = 0; p < PanelCount; ++p) {
        const std::size_t column = (first_panel + p) * lanes;
        const std::size_t width = m.out.cols - column < lanes ? m.out.cols - column : lanes;
        for (std::size_t r = 0; r < RowCount; ++r) {
            const Vec out = m.bias ? add(total[r][p], load_first(m.bias + column, width)) : total[r][p];
            store_first(m.out[row + r] + column, width, out);
        }
    }
}

inline void matmul_f32(const MatmulF32& m, std::size_t first, std::size_t last) {
    const std::size_t blocked_rows = m.x.rows / 4 * 4;
    for (std::size_t p = first; p < last; ++p)
        for (std::size_t row = 0; row < blocked_rows; row += 4) matmul_tile<4, 1>(m, row, p);
    for (std::size_t row = blocked_rows; row < m.x.rows; ++row) {
        std::size_t p = first;
        for (; p + 4 <= last; p += 4) matmul_tile<1, 4>(m, row, p);
        for (; p < last; ++p) matmul_tile<1, 1>(m, row, p);
    }
}
