// Included inside each level's namespace: matrix products over packed panels, tile by tile.
//
// Many rows: the inputs are taken in parts, so that all rows' share stays in the second-level cache; of it a few panels
// at a time, and of them smaller parts, which stay near while the rows pass by, block by block. Between parts the sums
// wait in memory: the same chains. 16-bit weights of a part are widened once for all these rows.
//
// The level's Tiles say how many rows and panels fill its registers, and how much weight is kept near.

/// Numbers that a panel takes.
inline std::size_t panel_size(const Product& m) { return m.x.cols * lanes; }
inline std::size_t panel_size(const MatmulBf16& m) { return packed_bf16_stride(m.x.cols) * lanes; }

/// P panels from the given one on, the last one again where there are fewer.
template <std::size_t P, class M>
inline void find_panels(const M& m, std::size_t panel, std::size_t last, decltype(m.weight) (&weight)[P]) {
    for (std::size_t p = 0; p < P; ++p)
        weight[p] = m.weight + (panel + p < last ? panel + p : last - 1) * panel_size(m);
}

/// Few rows: each weight is read from memory once, the rows take turns while it is near.
template <class M>
inline void multiply_rows(const M& m, std::size_t first, std::size_t last) {
    constexpr std::size_t P = Tiles::row_panels;
    alignas(64) float sums[P * lanes];
    const Part all = {0, panel_size(m) / lanes, sums, P * lanes};
    for (std::size_t panel = first; panel < last; panel += P) {
        decltype(m.weight) weight[P];
        find_panels(m, panel, last, weight);
        for (std::size_t row = 0; row < m.x.rows; ++row) {
            multiply_tile<1>(m, row, weight, all, nullptr);
            finish(m, row, 1, panel, panel + P < last ? panel + P : last, sums, P * lanes);
        }
    }
}

/// Rows at a time for which sums find room on the stack.
inline constexpr std::size_t local_rows = 256;
template <std::size_t G>
inline constexpr std::size_t local_sums = (local_rows + 16) * G* lanes;

/// Of G panels, inputs at a time, whose weights, numbers of type Near, are to stay near.
template <std::size_t G, class Near, std::size_t Bytes>
inline constexpr std::size_t near_inputs = Bytes / (G * lanes * sizeof(Near));

/// Inputs [begin, end) of G panels, to be fetched in so many steps.
template <std::size_t G, class M>
inline Prefetch prefetch_of(const M& m, std::size_t panel, std::size_t begin, std::size_t end, std::size_t steps) {
    const std::size_t size = panel_size(m), lines = (end - begin) * lanes * sizeof(*m.weight) / 64;
    return {reinterpret_cast<const char*>(m.weight + panel * size + begin * lanes), size * sizeof(*m.weight), G, lines,
            ceil_div(lines, steps)};
}

/// Products of many rows, which read weights and inputs of type Near, `Bytes` of weights for all rows. Calls
/// multiply(row, stop, panel, weights of G panels, part, fetch), which computes the sums of rows [row, stop) over a
/// part of the inputs, and what the epilogue makes of them where it is the last part. part.sums has room for 16 rows
/// more; they are in m.partial, or in `local`, which has room for local_sums<G>. `multiply` calls fetch.step() for
/// every `step_rows` rows and `step_inputs` inputs (0: once for a part).
template <std::size_t G, class Near, std::size_t Bytes, class M, class Multiply>
inline void multiply_many(const M& m, std::size_t first, std::size_t last, std::size_t step_rows,
                          std::size_t step_inputs, float* local, const Multiply& multiply) {
    const std::size_t inputs = panel_size(m) / lanes, rows = m.x.rows, slot = (rows + 16) * lanes;
    const std::size_t near = round_up(ceil_div(inputs, ceil_div(inputs, near_inputs<G, Near, Bytes>)), bf16_chunk);
    const auto end_of = [&](std::size_t k) { return k + near < inputs ? k + near : inputs; };
    // All inputs of G panels come before the next panels, unless all rows' inputs are more than half of a usual
    // second-level cache: then all panels' sums wait for the next inputs.
    const bool whole = inputs * rows * sizeof(Near) <= (1u << 20) || m.partial_size < slot * (last + G);
    const std::size_t count = whole ? local_rows : rows, all = ceil_div(m.outputs, lanes);

    // Weights come into the second-level cache one part before they are needed, lest the inputs drive them out again:
    // the same panels' next inputs, or the next panels' (behind the last ones, those that this thread will most likely
    // be given next), or the first panels' next inputs.
    const auto fetch_after = [&](std::size_t panel, std::size_t row, std::size_t stop, std::size_t k) {
        const std::size_t end = end_of(k), steps = ceil_div(stop - row, step_rows) *
                                                   (step_inputs != 0 ? ceil_div(end - k, step_inputs) : 1);
        if (whole && end < inputs) return row == 0 ? prefetch_of<G>(m, panel, end, end_of(end), steps) : Prefetch{};
        if (stop < rows) return Prefetch{};
        const std::size_t begin = whole ? 0 : k, next = panel + G;
        if (next < (end < inputs ? last : all)) return prefetch_of<G>(m, next, begin, end_of(begin), steps);
        return end < inputs ? prefetch_of<G>(m, first, end, end_of(end), steps) : Prefetch{};
    };
    for (std::size_t begin = 0; begin < inputs; begin += whole ? inputs : near)
        for (std::size_t panel = first; panel < last; panel += G) {
            decltype(m.weight) weight[G];
            find_panels(m, panel, last, weight);
            float* const sums = whole ? local : m.partial + panel * slot;
            for (std::size_t row = 0; row < rows; row += count) {
                const std::size_t stop = row + count < rows ? row + count : rows;
                for (std::size_t k = begin; k < (whole ? inputs : end_of(begin)); k += near) {
                    Prefetch fetch = fetch_after(panel, row, stop, k);
                    multiply(row, stop, panel, weight, Part{k, end_of(k), sums, G * lanes}, fetch);
                }
            }
        }
}

/// Calls f(row, count, done, sums) for blocks of rows of [first, stop): of `Rows`, or of two thirds or one third of it
/// where fewer are left. The last block may begin before the end of the one before it; rows from `done` on are new.
/// `sums` is where the block's sums are, in rows.
template <std::size_t Rows, class F>
inline void each_block(std::size_t first, std::size_t stop, const F& f) {
    constexpr std::size_t third = Rows / 3;
    for (std::size_t done = first, sums = 0; done < stop;) {
        std::size_t count = stop - done < Rows ? round_up(stop - done, third) : Rows;
        if (count > stop) count = stop / third * third;
        const std::size_t row = stop - done < count ? stop - count : done;
        f(row, count, done, sums);
        done = row + count;
        sums += count;
    }
}

/// A panel's 16-bit weights of some inputs, widened: [inputs][16] floats.
/// @{
inline void widen(const MatmulF16&, const std::uint16_t* weight, std::size_t inputs, float* wide) {
    for (std::size_t i = 0; i < inputs * lanes; i += lanes) store(wide + i, load(weight + i));
}
inline void widen(const MatmulBf16&, const std::uint16_t* weight, std::size_t inputs, float* wide) {
    for (std::size_t i = 0; i < inputs * lanes; i += 2 * lanes) {
        store(wide + i, load_even_bf16(weight + i));
        store(wide + i + lanes, load_odd_bf16(weight + i));
    }
}
/// @}

/// A part of G panels as floats: in place, or widened in memory of its own.
template <class M, std::size_t G, bool in_place = std::is_same_v<decltype(M::weight), const float*>>
class NearWeights {
  public:
    static constexpr std::size_t bytes = Tiles::wide_bytes, size = near_inputs<G, float, bytes> * lanes;
    NearWeights() {}
    void take(const M& m, const decltype(m.weight) (&weight)[G], const Part& part) {
        for (std::size_t g = 0; g < G; ++g) {
            float* const wide = wide_ + g * size;
            widen(m, weight[g] + part.begin * lanes, part.end - part.begin, wide);
            panels[g] = wide;
        }
    }
    const float* panels[G];

  private:
    alignas(64) float wide_[G * size];
};
template <class M, std::size_t G>
class NearWeights<M, G, true> {
  public:
    static constexpr std::size_t bytes = Tiles::near_bytes;
    NearWeights() {}
    void take(const M&, const float* const (&weight)[G], const Part& part) {
        for (std::size_t g = 0; g < G; ++g) panels[g] = weight[g] + part.begin * lanes;
    }
    const float* panels[G];
};

/// R rows of G panels, P at a time.
template <std::size_t R, std::size_t P, std::size_t G, class M>
inline void multiply_block(const M& m, std::size_t row, const float* const (&weight)[G], Part part, Prefetch& fetch) {
    for (std::size_t p = 0; p < G; p += P, part.sums += P * lanes) {
        const float* panels[P];
        for (std::size_t i = 0; i < P; ++i) panels[i] = weight[p + i];
        multiply_tile<R>(m, row, panels, part, &fetch);
    }
}

template <class M>
inline void multiply_blocks(const M& m, std::size_t first, std::size_t last) {
    constexpr std::size_t Rows = Tiles::rows, P = Tiles::panels, third = Rows / 3, G = P < 2 ? 2 : P;
    const std::size_t inputs = panel_size(m) / lanes;
    NearWeights<M, G> near;
    const auto multiply = [&](std::size_t first_row, std::size_t stop, std::size_t panel,
                              const decltype(m.weight)(&weight)[G], const Part& part, Prefetch& fetch) {
        near.take(m, weight, part);
        each_block<Rows>(first_row, stop, [&](std::size_t row, std::size_t count, std::size_t done, std::size_t at) {
            const Part block = {part.begin, part.end, part.sums + at * part.stride, part.stride};
            const std::size_t rows = row + count - done, end = panel + G < last ? panel + G : last;
            if (part.end == inputs) fetch_out(m, done, rows, panel, end);
            if (count == Rows)
                multiply_block<Rows, P>(arithmetic(m), row, near.panels, block, fetch);
            else if (count == 2 * third)
                multiply_block<2 * third, P>(arithmetic(m), row, near.panels, block, fetch);
            else
                multiply_block<third, P>(arithmetic(m), row, near.panels, block, fetch);
            if (part.end == inputs)
                finish(m, done, rows, panel, end, block.sums + (done - row) * part.stride, part.stride);
        });
    };
    alignas(64) float local[local_sums<G>];
    multiply_many<G, float, NearWeights<M, G>::bytes>(m, first, last, Rows * P / G, 0, local, multiply);
}

template <class M>
inline void matmul(const M& m, std::size_t first, std::size_t last) {
    if (m.x.rows < Tiles::rows / 3 || m.x.rows == 1)
        multiply_rows(m, first, last);
    else
        multiply_blocks(m, first, last);
}
inline void matmul_f32(const MatmulF32& m, std::size_t first, std::size_t last) { matmul(m, first, last); }
inline void matmul_f16(const MatmulF16& m, std::size_t first, std::size_t last) { matmul(m, first, last); }
inline void matmul_bf16(const MatmulBf16& m, std::size_t first, std::size_t last) { matmul(m, first, last); }

inline void pack_bf16(const float* x, std::size_t n, std::size_t row, std::size_t, float* packed) {
    float* const out = packed + row * packed_bf16_stride(n);
    each_vector(n, [&](auto at, auto put) { put(out, round_bf16(at(x))); });
    for (std::size_t i = n; i < packed_bf16_stride(n); ++i) out[i] = 0;
}
