// Included inside each level's namespace: a few rows by a few panels of a matrix product, their sums in registers.
//
// One output is one chain of fused multiply-adds over k = 0, 1, ..., from zero: the same for 1 row as for many,
// whatever the blocking (bf16: see below). Lanes are outputs. A tile of R rows and P panels keeps its R * P chains in
// registers; between parts of the inputs they wait in memory.

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

/// Runs step(k, ahead) for every k of a row's product: `ahead` is how far from k the inputs are that are to be on
/// their way from memory: in the same panel, or, at its end, in the panel behind the ones that are being read.
template <std::size_t Step, class F>
inline void stream(std::size_t inputs, std::size_t panels, std::size_t distance, const F& step) {
    const std::size_t border = inputs > distance ? inputs - distance : 0;
    for (std::size_t k = 0; k < border; k += Step) step(k, distance);
    for (std::size_t k = border; k < inputs; k += Step) step(k, distance + (panels - 1) * inputs);
}

/// Bytes of a panel that are on their way from memory, to the second-level cache: all panels' together would drive each
/// other out of the first one.
inline constexpr std::size_t stream_ahead = 8192;
/// What is `stream_ahead` of the weights that one row multiplies. Not at levels whose processors guess better. Inlined
/// as fetch_out is.
template <bool Fetches = Tiles::fetches_row>
[[gnu::always_inline]] inline void fetch_ahead(const void* weights) {
    if constexpr (Fetches) __builtin_prefetch(weights, 0, 2);
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

/// What a tile knows of a product whose weights are floats, or have been widened: all that tells one arithmetic from
/// another. Others than these two say theirs.
/// @{
inline const Product& arithmetic(const Product& m) { return m; }
inline const MatmulBf16& arithmetic(const MatmulBf16& m) { return m; }
/// @}

/// What a product does with an input and a weight, unless it says otherwise.
inline Vec multiply_add(const Product&, const Vec& in, const Vec& w, const Vec& total) { return fma(in, w, total); }

/// f32, or f16 widened: the same arithmetic.   weight: from the part's begin on
template <std::size_t R, std::size_t P, class M, class Weight>
inline void multiply_tile(const M& m, std::size_t row, const Weight* const (&weight)[P], const Part& part,
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
            for (std::size_t p = 0; p < P; ++p) total[r][p] = multiply_add(m, in, w[p], total[r][p]);
        }
    };
    if constexpr (streamed<R, P>) {
        stream<1>(part.end, P, stream_ahead / (lanes * sizeof(Weight)), [&](std::size_t k, std::size_t ahead) {
            EIGENLM_UNROLL
            for (std::size_t p = 0; p < P; ++p) fetch_ahead(weight[p] + (k + ahead) * lanes);
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
requires streamed<R, P>
inline void multiply_tile(const MatmulBf16& m, std::size_t row, const std::uint16_t* const (&weight)[P],
                          const Part& part, Prefetch*) {
    const float* const x = m.x.data + row * packed_bf16_stride(m.x.cols);
    Vec total[R][P];
    resume(part, total);
    constexpr std::size_t distance = stream_ahead / (lanes * sizeof(std::uint16_t));
    stream<bf16_chunk>(part.end, P, distance, [&](std::size_t k, std::size_t ahead) {
        Vec even[P], odd[P];
        EIGENLM_UNROLL
        for (std::size_t p = 0; p < P; ++p) even[p] = odd[p] = set1(0.0f);
        for (std::size_t i = k; i < k + bf16_chunk; i += 2) {
            const Vec x0 = set1(x[i]), x1 = set1(x[i + 1]);
            EIGENLM_UNROLL
            for (std::size_t p = 0; p < P; ++p) {
                const std::uint16_t* const pairs = weight[p] + i * lanes;
                fetch_ahead(pairs + ahead * lanes);
                even[p] = fma(x0, load_even_bf16(pairs), even[p]);
                odd[p] = fma(x1, load_odd_bf16(pairs), odd[p]);
            }
        }
        EIGENLM_UNROLL
        for (std::size_t p = 0; p < P; ++p) total[0][p] = add(total[0][p], add(even[p], odd[p]));
    });
    suspend(part, total);
}

/// Of two inputs' weights, the first one's or the second one's: widened, or in pairs.
/// @{
template <std::size_t Which>
inline Vec load_of_two(const float* weight) {
    return load(weight + Which * lanes);
}
template <std::size_t Which>
inline Vec load_of_two(const std::uint16_t* pairs) {
    return Which == 0 ? load_even_bf16(pairs) : load_odd_bf16(pairs);
}
/// @}
/// keep(r, p, the chain over the even (0) or the odd (1) ones of 32 inputs from k on), for R rows and P panels.
template <std::size_t R, std::size_t Which, std::size_t P, class Weight, class Keep>
inline void multiply_half(const float* first_row, std::size_t stride, const Weight* const (&weight)[P], std::size_t k,
                          const Keep& keep) {
    const RowInputs<R> x(first_row + k + Which, stride);
    Vec total[R][P];
    const auto step = [&](std::size_t i, const auto& join) {
        Vec w[P];
        EIGENLM_UNROLL
        for (std::size_t p = 0; p < P; ++p) w[p] = load_of_two<Which>(weight[p] + (k + i) * lanes);
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
/// Several rows: the even chains first, then the odd ones, each of which fill the registers. The rest waits in memory;
/// compilers would keep some of it in registers, and have chains wait instead.   weight: widened, or in pairs; from the
/// part's begin on
template <std::size_t R, std::size_t P, class Weight>
requires(!streamed<R, P> || std::is_same_v<Weight, float>) inline void multiply_tile(
    const MatmulBf16& m, std::size_t row, const Weight* const (&weight)[P], const Part& part, Prefetch* fetch) {
    const std::size_t stride = packed_bf16_stride(m.x.cols);
    const float* const x = m.x.data + row * stride + part.begin;
    alignas(64) float even[R * P * lanes];
    fetch->step();
    for (std::size_t k = 0; k < part.end - part.begin; k += bf16_chunk) {
        multiply_half<R, 0>(x, stride, weight, k, [&](std::size_t r, std::size_t p, const Vec& chain) {
            store(even + (r * P + p) * lanes, chain);
        });
        asm volatile("" : : "r"(even) : "memory");
        const bool new_sums = k == 0 && !part.resumed;
        multiply_half<R, 1>(x, stride, weight, k, [&](std::size_t r, std::size_t p, const Vec& odd) {
            float* const total = part.sums + r * part.stride + p * lanes;
            const Vec both = add(load(even + (r * P + p) * lanes), odd);
            store(total, add(new_sums ? set1(0.0f) : load(total), both));
        });
    }
}
/// A few rows, their weights in pairs: even and odd chains side by side.   weight: from the part's begin on
template <std::size_t R>
inline void multiply_pairs(const MatmulBf16& m, std::size_t row, const std::uint16_t* weight, const Part& part,
                           Prefetch& fetch) {
    const std::size_t stride = packed_bf16_stride(m.x.cols);
    fetch.step();
    for (std::size_t k = 0; k < part.end - part.begin; k += bf16_chunk) {
        const RowInputs<R> x(m.x.data + row * stride + part.begin + k, stride);
        Vec even[R], odd[R];
        EIGENLM_UNROLL
        for (std::size_t r = 0; r < R; ++r) even[r] = odd[r] = set1(0.0f);
        for (std::size_t i = 0; i < bf16_chunk; i += 2) {
            const std::uint16_t* const pairs = weight + (k + i) * lanes;
            const Vec w0 = load_even_bf16(pairs), w1 = load_odd_bf16(pairs);
            EIGENLM_UNROLL
            for (std::size_t r = 0; r < R; ++r) {
                even[r] = fma(set1(x.row(r)[i]), w0, even[r]);
                odd[r] = fma(set1(x.row(r)[i + 1]), w1, odd[r]);
            }
        }
        const bool new_sums = k == 0 && !part.resumed;
        EIGENLM_UNROLL
        for (std::size_t r = 0; r < R; ++r) {
            float* const total = part.sums + r * part.stride;
            store(total, add(new_sums ? set1(0.0f) : load(total), add(even[r], odd[r])));
        }
    }
}
/// @}
