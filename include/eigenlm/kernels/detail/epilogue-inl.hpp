// Included inside each level's namespace: what becomes of a matrix product's sums.

/// Of 16 columns from `column` on, how many there are.
inline std::size_t width_at(std::size_t column, std::size_t columns) {
    return columns <= column ? 0 : columns - column < lanes ? columns - column : lanes;
}

/// Keeps 16 columns of what silu_mul makes of N rows, as they are or as the packed input of the next bf16 product:
/// floats, rounded, rows filled up with zeros.
/// @{
struct Plain {
    static const void* at(const Product& m, std::size_t row, std::size_t column) { return m.out[row] + column; }
    template <std::size_t N>
    static void put(const Product& m, std::size_t row, std::size_t column, const Vec (&v)[N]) {
        const std::size_t width = width_at(column, m.out.cols);
        for (std::size_t i = 0; i < N; ++i) store_first(m.out[row + i] + column, width, v[i]);
    }
};
struct Rounded {
    static const void* at(const Product& m, std::size_t row, std::size_t column) { return m.out[row] + column; }
    template <std::size_t N>
    static void put(const Product& m, std::size_t row, std::size_t column, const Vec (&v)[N]) {
        const Mask held = first_lanes(width_at(column, m.out.cols));
        const bool fill = column + lanes >= m.out.cols && column + lanes < m.out.stride;
        for (std::size_t i = 0; i < N; ++i) {
            float* const out = m.out.data + (row + i) * m.out.stride + column;
            store(out, round_bf16(select(held, v[i], set1(0.0f))));
            if (fill) store(out + lanes, set1(0.0f));
        }
    }
};
inline Plain form(const Product&) { return {}; }
inline Rounded form(const MatmulBf16&) { return {}; }
/// @}

/// 16 sums of N rows, with their bias.
template <std::size_t N>
inline void load_biased(const Product& m, const float* sums, std::size_t stride, std::size_t column, Vec (&v)[N]) {
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < N; ++i) v[i] = load(sums + i * stride);
    if (m.bias == nullptr) return;
    const Vec bias = load_first(m.bias + column, width_at(column, m.outputs));
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < N; ++i) v[i] = add(v[i], bias);
}

/// The epilogue of N rows and of panels [panel, stop).
template <std::size_t N, class Form>
inline void finish_rows(const Product& m, std::size_t row, std::size_t panel, std::size_t stop, const float* sums,
                        std::size_t stride) {
    if (m.epilogue == Epilogue::silu_mul) {
        for (std::size_t p = panel; p < stop; p += 2, sums += 2 * lanes) {
            Vec gate[N], up[N];
            load_biased(m, sums, stride, p * lanes, gate);
            silu(gate);
            load_biased(m, sums + lanes, stride, (p + 1) * lanes, up);
            EIGENLM_UNROLL
            for (std::size_t i = 0; i < N; ++i) gate[i] = mul(gate[i], up[i]);
            Form::put(m, row, p / 2 * lanes, gate);
        }
        return;
    }
    for (std::size_t p = panel; p < stop; ++p, sums += lanes) {
        Vec v[N];
        load_biased(m, sums, stride, p * lanes, v);
        if (m.epilogue == Epilogue::add) {
            const std::size_t column = p * lanes, width = width_at(column, m.out.cols);
            for (std::size_t i = 0; i < N; ++i) v[i] = add(load_first(m.out[row + i] + column, width), v[i]);
        }
        Plain::put(m, row, p * lanes, v);
    }
}

/// The epilogue of `rows` rows, N at a time, and of panels [panel, stop), an even number of them unless they are the
/// last.
/// @{
template <class Form, std::size_t N>
[[gnu::noinline]] inline void finish(const Product& m, std::size_t row, std::size_t rows, std::size_t panel,
                                     std::size_t stop, const float* sums, std::size_t stride) {
    std::size_t r = 0;
    for (; r + N <= rows; r += N) finish_rows<N, Form>(m, row + r, panel, stop, sums + r * stride, stride);
    for (; r < rows; ++r) finish_rows<1, Form>(m, row + r, panel, stop, sums + r * stride, stride);
}
template <class M>
inline void finish(const M& m, std::size_t row, std::size_t rows, std::size_t panel, std::size_t stop,
                   const float* sums, std::size_t stride) {
    finish<decltype(form(m)), Tiles::rows / 2>(m, row, rows, panel, stop, sums, stride);
}
/// @}

/// Fetches the lines that it will write. Inlined, since g++ takes a function that only fetches for one that does
/// nothing.
template <class M>
[[gnu::always_inline]] inline void fetch_out(const M& m, std::size_t row, std::size_t rows, std::size_t panel,
                                             std::size_t stop) {
    const bool halved = m.epilogue == Epilogue::silu_mul;
    for (std::size_t r = row; r < row + rows; ++r)
        for (std::size_t p = panel; p < stop; p += halved ? 2 : 1)
            __builtin_prefetch(halved ? form(m).at(m, r, p / 2 * lanes) : m.out[r] + p * lanes, 1);
}
