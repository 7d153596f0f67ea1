// Included inside each level's namespace: matrix products over packed panels.
//
// One output is one chain of fused multiply-adds over k = 0, 1, ..., from zero, then + bias: the same for 1 row as for
// many, whatever the blocking. Lanes are outputs; a panel is read once per block of rows.

/// RowCount rows of x against one panel of 16 outputs.
template <int RowCount>
inline void matmul_tile(const MatmulF32& m, const float* panel, std::size_t row, std::size_t column) {
    Vec total[RowCount];
    for (Vec& t : total) t = set1(0.0f);
    for (std::size_t k = 0; k < m.x.cols; ++k) {
        const Vec weight = load(panel + k * lanes);
        for (int r = 0; r < RowCount; ++r)
            total[r] = fma(set1(m.x[row + static_cast<std::size_t>(r)][k]), weight, total[r]);
    }
    const std::size_t width = m.out.cols - column < lanes ? m.out.cols - column : lanes;
    for (int r = 0; r < RowCount; ++r) {
        if (m.bias) total[r] = add(total[r], load_first(m.bias + column, width));
        store_first(m.out[row + static_cast<std::size_t>(r)] + column, width, total[r]);
    }
}

inline void matmul_f32(const MatmulF32& m, std::size_t first, std::size_t last) {
    for (std::size_t p = first; p < last; ++p) {
        const float* panel = m.weight + p * m.x.cols * lanes;
        std::size_t row = 0;
        for (; row + 4 <= m.x.rows; row += 4) matmul_tile<4>(m, panel, row, p * lanes);
        for (; row < m.x.rows; ++row) matmul_tile<1>(m, panel, row, p * lanes);
    }
}
