// Included inside each level's namespace: products with quantised weights, on the codes themselves.
//
// An output is one chain over the groups of inputs that share a scale. A group's sum of codes times numbers is exact in
// whole numbers, whatever their order; then, rounded at each step: sum * the group's scale, and that times the inputs'
// scale added to the chain by a fused multiply-add; then the group's least value times the inputs' sum, likewise. The
// same for 1 row as for many.
//
// One row: codes are taken out of their lines in registers, as they come from memory. More rows:
// quantised_rows-inl.hpp.

/// Of 32 inputs' codes, those of inputs 4 step to 4 step + 3.
template <Dtype D>
inline Bytes codes(const std::byte* chunk, std::size_t step) {
    constexpr PanelFormat f = panel_format(D);
    if constexpr (f.bits == 8) return load_bytes(chunk + step * 64);
    const auto mask = [](CodeBits b, int bit) { return ((1 << b.count) - 1) << bit; };
    const CodeBits first = code_bits(f.bits, step, 0);
    Bytes code = bits_of(load_bytes(chunk + first.line * 64), first.from, mask(first, 0));
    if constexpr (f.table) return look_up(code_table, code);
    const auto add_bits = [&](CodeBits b, int bit) {
        code = join_bits(code, load_bytes(chunk + b.line * 64), b.from - bit, mask(b, bit));
    };
    // A code is in one place, in two or in three. Not a loop: all but the line is known when this is compiled.
    if (first.count == f.bits) return code;
    const CodeBits second = code_bits(f.bits, step, first.count);
    add_bits(second, first.count);
    const int bit = first.count + second.count;
    if (bit < f.bits) add_bits(code_bits(f.bits, step, bit), bit);
    return code;
}

/// The scales of a unit's groups, and what is added to their weights: the least values, negative where formats
/// subtract.
template <Dtype D>
class UnitScales {
  public:
    explicit UnitScales(const std::byte* unit) : unit_(unit) {
        if constexpr (f.two_levels) scale_ = load(halfs(0));
        if constexpr (f.two_levels && f.minimum) least_ = mul(load(halfs(2 * lanes)), set1(-1.0f));
    }
    void take(std::size_t group, Vec& scale, Vec& least) const {
        if constexpr (f.nibbles) {
            load_nibbles(reinterpret_cast<const std::uint8_t*>(unit_) + o.scales + group * lanes, scale, least);
            scale = mul(scale, scale_), least = mul(least, least_);
        } else if constexpr (f.two_levels) {
            scale = mul(load(bytes(o.scales + group * lanes)), scale_);
            if constexpr (f.minimum) least = mul(load(bytes(o.minima + group * lanes)), least_);
        } else {
            scale = load(halfs(o.scales + group * lanes * 2));
            if constexpr (f.minimum) least = load(halfs(o.minima + group * lanes * 2));
        }
    }

  private:
    static constexpr PanelFormat f = panel_format(D);
    static constexpr PanelFormat::Offsets o = f.offsets();
    const std::uint16_t* halfs(std::size_t at) const { return reinterpret_cast<const std::uint16_t*>(unit_ + at); }
    const std::int8_t* bytes(std::size_t at) const { return reinterpret_cast<const std::int8_t*>(unit_ + at); }

    const std::byte* unit_;
    Vec scale_, least_;
};

/// What differs between formats whose codes have been widened: known at compile time, or not.
/// @{
struct WidenedFormat {
    int zero_shift;
    bool minimum;
};
constexpr WidenedFormat widened_format(Dtype dtype) {
    const PanelFormat f = panel_format(dtype);
    return {f.zero_shift == 7 && dot_knows_128 ? -1 : f.zero_shift, f.minimum};
}
/// Bits of a code, once it is a number by itself: products are summed accordingly.
constexpr int widened_bits(const PanelFormat& f) { return dot_bits(f.table ? 8 : f.bits); }
/// @}

/// What a sum of codes times numbers begins at: minus the zero's part.
inline VecInt sum_without_zero(const WidenedFormat& f, std::int32_t minus_sum) {
    return f.zero_shift >= 0 ? shift_left(set1_int(minus_sum), f.zero_shift) : set1_int(0);
}
/// A group's sum, and then its least value, taken into a chain.
/// @{
inline Vec add_sum(VecInt sum, Vec scale, float in_scale, Vec total) {
    return fma(mul(to_float(sum), scale), set1(in_scale), total);
}
inline Vec add_least(Vec least, float in_sum, Vec total) { return fma(least, set1(in_sum), total); }
/// @}
/// Sums that belong to a whole chunk's numbers, or to half of them.
/// @{
template <std::size_t Group>
inline std::int32_t minus_sum(const QuantisedInputs& in, std::size_t half) {
    return Group == 32 ? in.minus_sum : in.minus_sum_of_half[half];
}
template <std::size_t Group>
inline float scaled_sum(const QuantisedInputs& in, std::size_t half) {
    return Group == 32 ? in.scaled_sum : static_cast<float>(-in.minus_sum_of_half[half]) * in.scale;
}
/// @}
/// Numbers 4 step to 4 step + 3, side by side.
inline std::int32_t four_numbers(const QuantisedInputs& in, std::size_t step) {
    std::int32_t four;
    __builtin_memcpy(&four, in.numbers + 4 * step, 4);
    return four;
}

/// Takes Steps fours of codes times numbers, from number `first` on, into sums of R rows and P panels. codes(p, step),
/// numbers(r, step): what is multiplied
template <int Bits, std::size_t Steps, std::size_t R, std::size_t P, class Codes, class Numbers>
inline void add_products(VecInt (&sums)[R][P], std::size_t first, const Codes& codes, const Numbers& numbers) {
    constexpr std::size_t joined = joined_steps<Bits> < Steps ? joined_steps<Bits> : Steps;
    static_assert(Steps % joined == 0);
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < Steps / joined; ++i) {
        PairSums pairs[R][P];
        EIGENLM_UNROLL
        for (std::size_t j = 0; j < joined; ++j) {
            const std::size_t s = first + i * joined + j;
            Bytes w[P];
            EIGENLM_UNROLL
            for (std::size_t p = 0; p < P; ++p) w[p] = codes(p, s);
            EIGENLM_UNROLL
            for (std::size_t r = 0; r < R; ++r) {
                const std::int32_t four = numbers(r, s);
                EIGENLM_UNROLL
                for (std::size_t p = 0; p < P; ++p) {
                    if constexpr (joined == 1)
                        sums[r][p] = dot<Bits>(sums[r][p], w[p], four);
                    else
                        pairs[r][p] = j == 0 ? dot_pairs(w[p], four) : add(pairs[r][p], dot_pairs(w[p], four));
                }
            }
        }
        if constexpr (joined != 1) {
            EIGENLM_UNROLL
            for (std::size_t r = 0; r < R; ++r) {
                EIGENLM_UNROLL
                for (std::size_t p = 0; p < P; ++p) sums[r][p] = add_pairs(sums[r][p], pairs[r][p]);
            }
        }
    }
}

/// Whether codes are whole bytes, which one row multiplies so quickly that how they come from memory is all that
/// counts, as with floats: some processors read them faster from more panels at once, and when nothing is fetched for
/// them. Others take so much work that they are fetched at every level.
template <Dtype D>
inline constexpr bool takes_bytes = panel_format(D).bits == 8;
/// Panels whose units one row multiplies together: as many as Tiles says, or what is left of them.
template <Dtype D>
inline constexpr std::size_t unit_panels = takes_bytes<D> ? Tiles::byte_panels : Tiles::code_panels;

/// A unit of N panels, for one row. Meanwhile the units `ahead` of them are fetched, if at all, evenly: a burst would
/// keep what is here waiting behind what is not.
template <Dtype D, std::size_t N>
inline void multiply_unit(const std::byte* first, std::size_t distance, std::size_t ahead, const QuantisedInputs* x,
                          float* totals) {
    constexpr PanelFormat f = panel_format(D);
    constexpr std::size_t lines = f.offsets().unit_bytes / 64;
    constexpr WidenedFormat w = widened_format(D);
    constexpr std::size_t chunks = f.unit / quantised_chunk, groups = quantised_chunk / f.group, steps = f.group / 4;
    Vec total[N];
    for (std::size_t n = 0; n < N; ++n) total[n] = load(totals + n * lanes);
    for (std::size_t c = 0; c < chunks; ++c) {
        const std::byte* const chunk = first + f.offsets().codes + c * f.offsets().chunk_bytes;
        for (std::size_t line = c * lines / chunks; line < (c + 1) * lines / chunks; ++line)
            for (std::size_t n = 0; n < N; ++n)
                fetch_ahead<!takes_bytes<D> || Tiles::fetches_row>(first + n * distance + ahead + line * 64);
        EIGENLM_UNROLL
        for (std::size_t g = 0; g < groups; ++g) {
            VecInt sums[1][N];
            for (std::size_t n = 0; n < N; ++n) sums[0][n] = sum_without_zero(w, minus_sum<f.group>(x[c], g));
            add_products<widened_bits(f), steps>(
                sums, g * steps, [&](std::size_t n, std::size_t s) { return codes<D>(chunk + n * distance, s); },
                [&](std::size_t, std::size_t s) { return four_numbers(x[c], s); });
            for (std::size_t n = 0; n < N; ++n) {
                Vec scale, least;
                UnitScales<D>(first + n * distance).take(c * groups + g, scale, least);
                total[n] = add_sum(sums[0][n], scale, x[c].scale, total[n]);
                if constexpr (f.minimum) total[n] = add_least(least, scaled_sum<f.group>(x[c], g), total[n]);
            }
        }
    }
    for (std::size_t n = 0; n < N; ++n) store(totals + n * lanes, total[n]);
}

/// Bytes of a panel.
inline std::size_t panel_bytes(const MatmulQuantised& m) {
    const PanelFormat f = panel_format(m.dtype);
    return f.units(m.x.cols) * f.offsets().unit_bytes;
}
inline const QuantisedInputs* quantised_row(const MatmulQuantised& m, std::size_t row) {
    return reinterpret_cast<const QuantisedInputs*>(m.x[row]);
}

/// Calls f(count, at) for numbers from `at` up to `stop`, `count` of them together: Most, and for what is left half as
/// many, down to one.
template <std::size_t Most, class F>
inline void by_halves(std::size_t at, std::size_t stop, const F& f) {
    for (; at + Most <= stop; at += Most) f(std::integral_constant<std::size_t, Most>(), at);
    if constexpr (Most > 1) by_halves<Most / 2>(at, stop, f);
}

/// One row: each weight is read from memory once.
template <Dtype D>
inline void multiply_quantised_row(const MatmulQuantised& m, std::size_t first, std::size_t last) {
    constexpr std::size_t P = Tiles::row_panels, bytes = panel_format(D).offsets().unit_bytes;
    constexpr std::size_t distance = ceil_div(stream_ahead, bytes), chunks = panel_format(D).unit / quantised_chunk;
    const std::size_t units = panel_format(D).units(m.x.cols);
    const QuantisedInputs* const x = quantised_row(m, 0);
    alignas(64) float sums[P * lanes];
    for (std::size_t panel = first; panel < last; panel += P) {
        const std::size_t stop = panel + P < last ? panel + P : last;
        const std::byte* const weight = m.weight + panel * units * bytes;
        for (std::size_t p = 0; p < P; ++p) store(sums + p * lanes, set1(0.0f));
        stream<1>(units, P, distance, [&](std::size_t u, std::size_t ahead) {
            by_halves<unit_panels<D>>(0, stop - panel, [&](auto count, std::size_t p) {
                multiply_unit<D, count>(weight + (p * units + u) * bytes, units * bytes, ahead * bytes, x + u * chunks,
                                        sums + p * lanes);
            });
        });
        finish(m, 0, 1, panel, stop, sums, P * lanes);
    }
}

/// 32 inputs of a row, zeros where it has fewer.
inline void quantise_inputs(const float* x, std::size_t count, QuantisedInputs& out) {
    constexpr float to_whole = 12582912.0f;  // 1.5 * 2^23: what is added to it loses its fraction
    const Vec zero = set1(0.0f);
    Vec v[2], largest = zero, poison = zero;
    EIGENLM_UNROLL
    for (std::size_t h = 0; h < 2; ++h) {
        v[h] =
            load_first(x + h * lanes, count > h * lanes ? (count - h * lanes < lanes ? count - h * lanes : lanes) : 0);
        largest = max(max(v[h], sub(zero, v[h])), largest);
        poison = fma(v[h], zero, poison);
    }
    const float size = max(largest), bad = sum(poison);
    out = {};
    out.scale = bad;  // 0 or NaN
    if (is_nan(bad) || size < 0x1p-100f) return;
    out.scale = size / 127.0f;
    const Vec inverse = set1(127.0f / size), magic = set1(to_whole);
    float sums[2];
    EIGENLM_UNROLL
    for (std::size_t h = 0; h < 2; ++h) {
        const Vec whole = add(mul(v[h], inverse), magic);
        store_low_bytes(out.numbers + h * lanes, whole);
        sums[h] = sum(sub(whole, magic));
        out.minus_sum_of_half[h] = -static_cast<std::int32_t>(sums[h]);
    }
    out.minus_sum = out.minus_sum_of_half[0] + out.minus_sum_of_half[1];
    out.scaled_sum = (sums[0] + sums[1]) * out.scale;
}

inline void pack_quantised(const float* x, std::size_t n, std::size_t row, std::size_t, float* packed) {
    auto* out = reinterpret_cast<QuantisedInputs*>(packed) + row * quantised_lines(n);
    for (std::size_t k = 0; k < round_up(n, 64); k += quantised_chunk, ++out)
        quantise_inputs(x + k, n > k ? n - k : 0, *out);
}
