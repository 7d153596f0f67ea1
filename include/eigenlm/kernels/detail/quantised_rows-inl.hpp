// Included inside each level's namespace, behind quantised-inl.hpp: products of several rows with quantised weights,
// and the choice among formats. Codes are widened to bytes once, a part of a few panels at a time, which stays near
// while the rows pass by.

/// Inputs of a panel that are widened at a time.
inline constexpr std::size_t widened_inputs = 256;

/// A part of a panel, widened.
struct WidenedPanel {
    alignas(64) std::uint8_t codes[widened_inputs * lanes];  // [chunks][8][16][4]
    alignas(64) float scales[widened_inputs / 16 * lanes];   // [groups][16]
    alignas(64) float minima[widened_inputs / 16 * lanes];   // likewise, where there are any
};

/// `inputs` of a panel, in whole units.
template <Dtype D>
inline void widen_panel(const std::byte* unit, std::size_t inputs, WidenedPanel& to) {
    constexpr PanelFormat f = panel_format(D);
    constexpr std::size_t steps = quantised_chunk / 4;
    std::uint8_t* out = to.codes;
    for (std::size_t u = 0, group = 0; u < inputs / f.unit; ++u, unit += f.offsets().unit_bytes) {
        const UnitScales<D> scales(unit);
        for (std::size_t g = 0; g < f.groups(); ++g, ++group) {
            Vec scale, least;
            scales.take(g, scale, least);
            store(to.scales + group * lanes, scale);
            if constexpr (f.minimum) store(to.minima + group * lanes, least);
        }
        const std::byte* chunk = unit + f.offsets().codes;
        for (std::size_t c = 0; c < f.unit / quantised_chunk; ++c, chunk += f.offsets().chunk_bytes) {
            EIGENLM_UNROLL
            for (std::size_t s = 0; s < steps; ++s, out += 64) store_bytes(out, codes<D>(chunk, s));
        }
    }
}

/// R rows of P panels, a part of the inputs; part.sums are zeros at first.   x: row 0's first chunk of the part, stride
/// floats from row to row
template <std::size_t R, std::size_t P, std::size_t Group, int Bits>
inline void multiply_widened(const WidenedFormat& f, const WidenedPanel* panels, const float* x, std::size_t stride,
                             const Part& part, Prefetch& fetch) {
    constexpr std::size_t groups = quantised_chunk / Group, steps = Group / 4;
    fetch.step();
    for (std::size_t c = 0; c < (part.end - part.begin) / quantised_chunk; ++c) {
        const RowInputs<R> rows(x + c * lanes, stride);
        const auto in = [&](std::size_t r) -> const QuantisedInputs& {
            return *reinterpret_cast<const QuantisedInputs*>(rows.row(r));
        };
        for (std::size_t g = 0; g < groups; ++g) {
            VecInt sums[R][P];
            EIGENLM_UNROLL
            for (std::size_t r = 0; r < R; ++r) {
                const VecInt begin = sum_without_zero(f, minus_sum<Group>(in(r), g));
                EIGENLM_UNROLL
                for (std::size_t p = 0; p < P; ++p) sums[r][p] = begin;
            }
            add_products<Bits, steps>(
                sums, g * steps,
                [&](std::size_t p, std::size_t s) { return load_bytes(panels[p].codes + (c * 8 + s) * 64); },
                [&](std::size_t r, std::size_t s) { return four_numbers(in(r), s); });
            const auto take = [&](auto minimum) {
                const std::size_t at = (c * groups + g) * lanes;
                EIGENLM_UNROLL
                for (std::size_t p = 0; p < P; ++p) {
                    const Vec scale = load(panels[p].scales + at);
                    EIGENLM_UNROLL
                    for (std::size_t r = 0; r < R; ++r) {
                        float* const to = part.sums + r * part.stride + p * lanes;
                        Vec total = add_sum(sums[r][p], scale, in(r).scale, load(to));
                        if constexpr (minimum)
                            total = add_least(load(panels[p].minima + at), scaled_sum<Group>(in(r), g), total);
                        store(to, total);
                    }
                }
            };
            if (f.minimum)
                take(std::true_type());
            else
                take(std::false_type());
        }
    }
}

/// A part of a product's inputs, of up to 256 rows and G panels of weights, which have been widened.
template <std::size_t G>
struct WidenedPart {
    WidenedPanel panels[G];
    alignas(64) float sums[local_sums<G>];  // [rows][G][16]: zeros at first, or as the part before has left them
    std::size_t panel, stop;                // the panels
    std::size_t row, end_row;               // the rows
    std::size_t begin, end;                 // the inputs
    bool last;                              // there are no more
    Prefetch fetch;                         // of the next part
    WidenedPart() {}

    /// That of rows from `first` on.
    Part of_row(std::size_t first) { return {begin, end, sums + (first - row) * G * lanes, G * lanes}; }
};

/// Calls multiply(part) for all parts of a product of many rows, of G panels at a time; widen(unit, inputs, panel)
/// widens weights. `multiply` has `steps` for a part of `rows` rows, in each of which it calls fetch.step().
template <std::size_t G, class Widen, class Steps, class Multiply>
inline void each_widened_part(const MatmulQuantised& m, std::size_t first, std::size_t last, const Widen& widen,
                              const Steps& steps, const Multiply& multiply) {
    const PanelFormat format = panel_format(m.dtype);
    const std::size_t bytes = panel_bytes(m), inputs = format.units(m.x.cols) * format.unit;
    const auto bytes_at = [&](std::size_t k) { return k / format.unit * format.offsets().unit_bytes; };
    const auto end_of = [&](std::size_t k) { return k + widened_inputs < inputs ? k + widened_inputs : inputs; };
    WidenedPart<G> part;
    for (part.panel = first; part.panel < last; part.panel = part.stop) {
        part.stop = part.panel + G < last ? part.panel + G : last;
        for (part.row = 0; part.row < m.x.rows; part.row = part.end_row) {
            part.end_row = part.row + local_rows < m.x.rows ? part.row + local_rows : m.x.rows;
            for (part.begin = 0; part.begin < inputs; part.begin = part.end) {
                part.end = end_of(part.begin);
                for (std::size_t g = 0; g < G; ++g) {  // the last one again where there are fewer
                    const std::size_t panel = part.panel + g < part.stop ? part.panel + g : part.stop - 1;
                    widen(m.weight + panel * bytes + bytes_at(part.begin), part.end - part.begin, part.panels[g]);
                }
                const bool more = part.end < inputs;
                part.last = !more;
                part.fetch = {};
                if (more || part.end_row == m.x.rows) {
                    const std::size_t from = more ? part.end : 0,
                                      lines = (bytes_at(end_of(from)) - bytes_at(from)) / 64;
                    const std::byte* const next = m.weight + (more ? part.panel : part.panel + G) * bytes;
                    part.fetch = {reinterpret_cast<const char*>(next + bytes_at(from)), bytes, G, lines,
                                  ceil_div(lines, steps(part.end_row - part.row))};
                }
                if (part.begin == 0)
                    __builtin_memset(part.sums, 0, (part.end_row - part.row + 16) * G * lanes * sizeof(float));
                multiply(part);
            }
        }
    }
}

/// Panels that are widened at a time.
inline constexpr std::size_t widened_panels = Tiles::panels < 2 ? 2 : Tiles::panels;

/// Several rows of a format whose panels `widen` makes bytes of.
template <std::size_t Group, int Bits>
inline void multiply_quantised_rows(const MatmulQuantised& m, std::size_t first, std::size_t last,
                                    void (*widen)(const std::byte*, std::size_t, WidenedPanel&)) {
    constexpr std::size_t Rows = Tiles::rows, P = Tiles::panels, third = Rows / 3, G = widened_panels;
    const WidenedFormat f = widened_format(m.dtype);
    const auto steps = [](std::size_t rows) { return ceil_div(rows, Rows) * (G / P); };
    each_widened_part<G>(m, first, last, widen, steps, [&](WidenedPart<G>& all) {
        each_block<Rows>(
            all.row, all.end_row, [&](std::size_t row, std::size_t count, std::size_t done, std::size_t at) {
                Part part = all.of_row(all.row + at);
                const float* const x = m.x[row] + part.begin / quantised_chunk * lanes;
                const std::size_t rows = row + count - done;
                if (all.last) fetch_out(m, done, rows, all.panel, all.stop);
                for (std::size_t p = 0; p < G; p += P, part.sums += P * lanes) {
                    if (count == Rows)
                        multiply_widened<Rows, P, Group, Bits>(f, all.panels + p, x, m.x.stride, part, all.fetch);
                    else if (count == 2 * third)
                        multiply_widened<2 * third, P, Group, Bits>(f, all.panels + p, x, m.x.stride, part, all.fetch);
                    else
                        multiply_widened<third, P, Group, Bits>(f, all.panels + p, x, m.x.stride, part, all.fetch);
                }
                if (all.last)
                    finish(m, done, rows, all.panel, all.stop, all.sums + (at + done - row) * G * lanes, G * lanes);
            });
    });
}

template <Dtype D>
inline void multiply_quantised(const MatmulQuantised& m, std::size_t first, std::size_t last) {
    constexpr PanelFormat f = panel_format(D);
    if (m.x.rows == 1 || m.x.rows < Tiles::rows / 3)
        multiply_quantised_row<D>(m, first, last);
    else
        multiply_quantised_rows<f.group, widened_bits(f)>(m, first, last, widen_panel<D>);
}

/// Calls f(std::integral_constant<Dtype, D>()) for a quantised type.
template <class F>
inline void with_quantised(Dtype dtype, const F& f) {
    switch (dtype) {
        case Dtype::q8_0:
            return f(std::integral_constant<Dtype, Dtype::q8_0>());
        case Dtype::q4_0:
            return f(std::integral_constant<Dtype, Dtype::q4_0>());
        case Dtype::q4_1:
            return f(std::integral_constant<Dtype, Dtype::q4_1>());
        case Dtype::q5_0:
            return f(std::integral_constant<Dtype, Dtype::q5_0>());
        case Dtype::q5_1:
            return f(std::integral_constant<Dtype, Dtype::q5_1>());
        case Dtype::q2_k:
            return f(std::integral_constant<Dtype, Dtype::q2_k>());
        case Dtype::q3_k:
            return f(std::integral_constant<Dtype, Dtype::q3_k>());
        case Dtype::q4_k:
            return f(std::integral_constant<Dtype, Dtype::q4_k>());
        case Dtype::q5_k:
            return f(std::integral_constant<Dtype, Dtype::q5_k>());
        case Dtype::q6_k:
            return f(std::integral_constant<Dtype, Dtype::q6_k>());
        case Dtype::iq4_nl:
            return f(std::integral_constant<Dtype, Dtype::iq4_nl>());
        case Dtype::iq4_xs:
            return f(std::integral_constant<Dtype, Dtype::iq4_xs>());
        case Dtype::f32:
        case Dtype::f16:
        case Dtype::bf16:
        case Dtype::i32:
            break;
    }
}

inline void matmul_quantised(const MatmulQuantised& m, std::size_t first, std::size_t last) {
    with_quantised(m.dtype, [&](auto type) { multiply_quantised<type()>(m, first, last); });
}
