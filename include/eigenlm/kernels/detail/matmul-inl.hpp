// Included inside each level's namespace: matrix products over packed panels.
//
// One output is one chain of fused multiply-adds over k = 0, 1, ..., from zero, then + bias: the same for 1 row as for
// many, whatever the blocking. Lanes are outputs. A tile of R rows and P panels keeps its R * P chains in registers.
// Many rows: the inputs are taken in parts, so that all rows' share stays in the second-level cache; of it a few panels
// at a time, and of them smaller parts, which stay in the first-level cache while the rows pass by, block by block.
// Between parts the sums wait in memory: the same chain. 16-bit weights of a part are widened once for all these rows.
//
// The level's Tiles say how many rows and panels fill its registers, and how much of the first-level cache weights
// take.

/// What a tile fetches into the second-level cache for a later one, a little at each step: the same part of some
/// panels.
struct Prefetch {
    const char* next;      // of the first panel
    std::size_t distance;  // bytes to the next one
    std::size_t panels;
    std::size_t lines;  // of 64 bytes, of each
    std::size_t per_step;
    void step() {
        const std::size_t count = per_step < lines ? per_step : lines;
        for (std::size_t i = 0; i < count; ++i, next += 64)
            for (std::size_t p = 0; p < panels; ++p) __builtin_prefetch(next + p * distance, 0, 2);
        lines -= count;
    }
};

/// A tile's part of the inputs, and its sums: from zero or as the part before has left them.
struct Part {
    std::size_t begin, end;
    float* sums;
    std::size_t stride;         // from one row's sums to the next one's
    bool resumed = begin != 0;  // rather than from zero
};

/// Runs step(k, ahead) for every k of a row's product: `ahead` is how far from k the inputs are that must be on their
/// way from memory: in the same panel, or, at its end, in the panel behind the ones that are being read.
template <std::size_t Step, class F>
inline void stream(std::size_t inputs, std::size_t panels, std::size_t distance, const F& step) {
    const std::size_t border = inputs > distance ? inputs - distance : 0;
    for (std::size_t k = 0; k < border; k += Step) step(k, distance);
    for (std::size_t k = border; k < inputs; k += Step) step(k, distance + (panels - 1) * inputs);
}

/// One row of as many panels as are read from memory at once.
template <std::size_t R, std::size_t P>
inline constexpr bool streamed = R == 1 && P == Tiles::row_panels;

template <std::size_t R, std::size_t P>
inline void resume(const Part& part, Vec (&total)[R][P]) {
    EIGENLM_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
        EIGENLM_UNROLL
        for (std::size_t p = 0; p < P; ++p)
            total[r][p] = part.resumed ? load(part.sums + r * part.stride + p * lanes) : set1(0.0f);
    }
}
template <std::size_t R, std::size_t P>
inline void suspend(const Part& part, const Vec (&total)[R][P]) {
    EIGENLM_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
        EIGENLM_UNROLL
        for (std::size_t p = 0; p < P; ++p) store(part.sums + r * part.stride + p * lanes, total[r][p]);
    }
}

/// Where R rows of inputs begin: every third row's address is held, the others are a multiple of the stride away that
/// fits into an instruction.
template <std::size_t R>
class RowInputs {
  public:
    RowInputs(const float* x, std::size_t stride) : stride_(stride) {
        for (std::size_t i = 0; i < ceil_div(R, 3); ++i) {
            third_[i] = x + 3 * i * stride;
            asm("" : "+r"(third_[i]));  // not to be computed from the others
        }
    }
    const float* row(std::size_t r) const { return third_[r / 3] + r % 3 * stride_; }

  private:
    const float* third_[ceil_div(R, 3)];
    std::size_t stride_;
};

/// f32, or f16 widened: the same arithmetic.   weight: from the part's begin on
template <std::size_t R, std::size_t P, class Weight>
inline void multiply_tile(const Product& m, std::size_t row, const Weight* const (&weight)[P], const Part& part,
                          Prefetch* fetch) {
    const RowInputs<R> x(m.x[row] + part.begin, m.x.stride);
    Vec total[R][P];
    resume(part, total);
    const auto step = [&](std::size_t k) {
        Vec w[P];
        EIGENLM_UNROLL
        for (std::size_t p = 0; p < P; ++p) w[p] = load(weight[p] + k * lanes);
        EIGENLM_UNROLL
        for (std::size_t r = 0; r < R; ++r) {
            const Vec in = set1(x.row(r)[k]);
            EIGENLM_UNROLL
            for (std::size_t p = 0; p < P; ++p) total[r][p] = fma(in, w[p], total[r][p]);
        }
    };
    if constexpr (streamed<R, P>) {
        stream<1>(part.end, P, 4096 / (lanes * sizeof(Weight)), [&](std::size_t k, std::size_t ahead) {
            EIGENLM_UNROLL
            for (std::size_t p = 0; p < P; ++p) __builtin_prefetch(weight[p] + (k + ahead) * lanes);
            step(k);
        });
    } else {
        fetch->step();
        EIGENLM_UNROLL_BY(4)
        for (std::size_t k = 0; k < part.end - part.begin; ++k) step(k);
    }
    suspend(part, total);
}

/// bf16 in the order of AMX's TDPBF16PS: of every 32 inputs, one chain over the even ones and one over the odd ones;
/// their sum is added to the total. The inputs, rounded, are floats here.
/// @{

/// A row, its weights streamed from memory.
template <std::size_t R, std::size_t P>
inline void multiply_tile(const MatmulBf16& m, std::size_t row, const std::uint16_t* const (&weight)[P],
                          const Part& part, Prefetch*) {
    static_assert(streamed<R, P>);
    const float* const x = m.x.data + row * packed_bf16_stride(m.x.cols);
    Vec total[R][P];
    resume(part, total);
    stream<bf16_chunk>(part.end, P, 128, [&](std::size_t k, std::size_t ahead) {
        Vec even[P], odd[P];
        EIGENLM_UNROLL
        for (std::size_t p = 0; p < P; ++p) even[p] = odd[p] = set1(0.0f);
        for (std::size_t i = k; i < k + bf16_chunk; i += 2) {
            const Vec x0 = set1(x[i]), x1 = set1(x[i + 1]);
            EIGENLM_UNROLL
            for (std::size_t p = 0; p < P; ++p) {
                const std::uint16_t* const pairs = weight[p] + i * lanes;
                __builtin_prefetch(pairs + ahead * lanes);
                even[p] = fma(x0, load_even_bf16(pairs), even[p]);
                odd[p] = fma(x1, load_odd_bf16(pairs), odd[p]);
            }
        }
        EIGENLM_UNROLL
        for (std::size_t p = 0; p < P; ++p) total[0][p] = add(total[0][p], add(even[p], odd[p]));
    });
    suspend(part, total);
}

/// keep(r, p, the chain over every second one of 32 inputs from x on), for R rows and P panels.   weight: floats
template <std::size_t R, std::size_t P, class Keep>
inline void multiply_half(const float* first_row, std::size_t stride, const float* const (&weight)[P],
                          std::size_t first, const Keep& keep) {
    const RowInputs<R> x(first_row, stride);
    Vec total[R][P];
    const auto step = [&](std::size_t i, const auto& join) {
        Vec w[P];
        EIGENLM_UNROLL
        for (std::size_t p = 0; p < P; ++p) w[p] = load(weight[p] + (first + i) * lanes);
        EIGENLM_UNROLL
        for (std::size_t r = 0; r < R; ++r) {
            const Vec in = set1(x.row(r)[i]);
            EIGENLM_UNROLL
            for (std::size_t p = 0; p < P; ++p) total[r][p] = join(in, w[p], total[r][p]);
        }
    };
    // The same as from zero: a zero's sign is lost when the chain is added to the total.
    step(0, [](const Vec& a, const Vec& b, const Vec&) { return mul(a, b); });
    EIGENLM_UNROLL_BY(5)
    for (std::size_t i = 2; i < bf16_chunk; i += 2)
        step(i, [](const Vec& a, const Vec& b, const Vec& c) { return fma(a, b, c); });
    EIGENLM_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
        EIGENLM_UNROLL
        for (std::size_t p = 0; p < P; ++p) keep(r, p, total[r][p]);
    }
}
/// Several rows, their weights widened: the even chains first, then the odd ones, each of which fill the registers. The
/// rest waits in memory; compilers would keep some of it in registers, and have chains wait instead.
/// weight: from the part's begin on
template <std::size_t R, std::size_t P>
inline void multiply_tile(const MatmulBf16& m, std::size_t row, const float* const (&weight)[P], const Part& part,
                          Prefetch* fetch) {
    const std::size_t stride = packed_bf16_stride(m.x.cols);
    const float* const x = m.x.data + row * stride + part.begin;
    alignas(64) float even[R * P * lanes];
    fetch->step();
    for (std::size_t k = 0; k < part.end - part.begin; k += bf16_chunk) {
        multiply_half<R>(x + k, stride, weight, k, [&](std::size_t r, std::size_t p, const Vec& chain) {
            store(even + (r * P + p) * lanes, chain);
        });
        asm volatile("" : : "r"(even) : "memory");
        const bool new_sums = k == 0 && !part.resumed;
        multiply_half<R>(x + k + 1, stride, weight, k + 1, [&](std::size_t r, std::size_t p, const Vec& odd) {
            float* const total = part.sums + r * part.stride + p * lanes;
            const Vec both = add(load(even + (r * P + p) * lanes), odd);
            store(total, add(new_sums ? set1(0.0f) : load(total), both));
        });
    }
}
/// @}

/// Of 16 columns from `column` on, how many there are.
inline std::size_t width_at(std::size_t column, std::size_t columns) {
    return columns <= column ? 0 : columns - column < lanes ? columns - column : lanes;
}

/// Keeps 16 columns of what silu_mul makes of N rows, as they are or as the packed input of the next bf16 product:
/// floats, rounded, rows filled up with zeros.
/// @{
struct Plain {
    template <std::size_t N>
    static void put(const Product& m, std::size_t row, std::size_t column, const Vec (&v)[N]) {
        const std::size_t width = width_at(column, m.out.cols);
        for (std::size_t i = 0; i < N; ++i) store_first(m.out[row + i] + column, width, v[i]);
    }
};
struct Rounded {
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
inline void finish(const MatmulBf16& m, std::size_t row, std::size_t rows, std::size_t panel, std::size_t stop,
                   const float* sums, std::size_t stride) {
    finish<Rounded, Tiles::rows / 2>(m, row, rows, panel, stop, sums, stride);
}
inline void finish(const Product& m, std::size_t row, std::size_t rows, std::size_t panel, std::size_t stop,
                   const float* sums, std::size_t stride) {
    finish<Plain, Tiles::rows / 2>(m, row, rows, panel, stop, sums, stride);
}
/// @}

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

/// Of G panels, inputs at a time, whose weights, numbers of type Near, are to stay in the first-level cache.
template <std::size_t G, class Near>
inline constexpr std::size_t near_inputs = Tiles::near_bytes / (G * lanes * sizeof(Near));

/// Inputs [begin, end) of G panels, to be fetched in so many steps.
template <std::size_t G, class M>
inline Prefetch prefetch_of(const M& m, std::size_t panel, std::size_t begin, std::size_t end, std::size_t steps) {
    const std::size_t size = panel_size(m), lines = (end - begin) * lanes * sizeof(*m.weight) / 64;
    return {reinterpret_cast<const char*>(m.weight + panel * size + begin * lanes), size * sizeof(*m.weight), G, lines,
            ceil_div(lines, steps)};
}

/// Products of many rows, which read weights and inputs of type Near. Calls multiply(row, stop, panel, weights of G
/// panels, part, fetch), which computes the sums of rows [row, stop) over a part of the inputs, and what the epilogue
/// makes of them where it is the last part. part.sums has room for 16 rows more; they are in m.partial, or in `local`,
/// which has room for local_sums<G>. `multiply` calls fetch.step() for every `step_rows` rows and `step_inputs` inputs
/// (0: once for a part).
template <std::size_t G, class Near, class M, class Multiply>
inline void multiply_many(const M& m, std::size_t first, std::size_t last, std::size_t step_rows,
                          std::size_t step_inputs, float* local, const Multiply& multiply) {
    const std::size_t inputs = panel_size(m) / lanes, rows = m.x.rows, slot = (rows + 16) * lanes;
    const std::size_t near = round_up(ceil_div(inputs, ceil_div(inputs, near_inputs<G, Near>)), bf16_chunk);
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
template <class M, std::size_t G>
class NearWeights {
  public:
    NearWeights() {}
    void take(const M& m, const decltype(m.weight) (&weight)[G], const Part& part) {
        for (std::size_t g = 0; g < G; ++g) {
            float* const wide = wide_ + g * near_inputs<G, float> * lanes;
            widen(m, weight[g] + part.begin * lanes, part.end - part.begin, wide);
            panels[g] = wide;
        }
    }
    const float* panels[G];

  private:
    alignas(64) float wide_[G * near_inputs<G, float> * lanes];
};
template <std::size_t G>
class NearWeights<MatmulF32, G> {
  public:
    NearWeights() {}
    void take(const MatmulF32&, const float* const (&weight)[G], const Part& part) {
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
            if (count == Rows)
                multiply_block<Rows, P>(m, row, near.panels, block, fetch);
            else if (count == 2 * third)
                multiply_block<2 * third, P>(m, row, near.panels, block, fetch);
            else
                multiply_block<third, P>(m, row, near.panels, block, fetch);
            if (part.end == inputs)
                finish(m, done, row + count - done, panel, panel + G < last ? panel + G : last,
                       block.sums + (done - row) * part.stride, part.stride);
        });
    };
    alignas(64) float local[local_sums<G>];
    multiply_many<G, float>(m, first, last, Rows * P / G, 0, local, multiply);
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
