// Included inside each level's namespace: attention over the blocks of the KV cache.
//
// Online softmax (Milakov and Gimelshein, 2018; FlashAttention) in powers of two, with boundaries fixed at every 64
// positions from 0: what a position gets depends on the keys before it alone, not on how many rows are computed at
// once. Scores and weighted sums are matrix products, in the matrix products' arithmetic and with their kernels: the
// cache lies as weights do. Of what a query does not attend to, the weight is 0. The largest scores are rounded to
// whole powers of two, so that bringing sums to a new one is exact, and seldom needed.

/// As many blocks of R rows as there are from `row` on.
template <std::size_t R, std::size_t P, class M>
inline void multiply_all(const M& m, const float* const (&weight)[P], Part part, std::size_t& row, Prefetch& fetch) {
    for (part.sums += row * part.stride; row + R <= m.x.rows; row += R, part.sums += R * part.stride)
        multiply_tile<R>(m, row, weight, part, &fetch);
}
/// Sums of all rows and panels. There is room for a multiple of Tiles::panels of them.   weights:
/// [panels][part.end][16]
template <class M>
inline void multiply_queries(const M& m, const float* weights, std::size_t panels, Part part, Prefetch& fetch) {
    constexpr std::size_t P = Tiles::panels, R = Tiles::rows;
    static_assert(!streamed<1, P>);
    for (std::size_t panel = 0; panel < panels; panel += P, part.sums += P * lanes) {
        const float* weight[P];
        for (std::size_t p = 0; p < P; ++p)
            weight[p] = weights + (panel + p < panels ? panel + p : panels - 1) * part.end * lanes;
        std::size_t row = 0;
        multiply_all<R>(m, weight, part, row, fetch);
        if constexpr (R > 3) multiply_all<R / 3 * 2>(m, weight, part, row, fetch);
        if constexpr (R > 3) multiply_all<R / 3>(m, weight, part, row, fetch);
        multiply_all<1>(m, weight, part, row, fetch);
    }
}

/// f(R), R a constant, for `rows` <= Most.
template <std::size_t Most, class F>
inline void with_constant(std::size_t rows, const F& f) {
    if constexpr (Most > 1)
        if (rows < Most) return with_constant<Most - 1>(rows, f);
    f(std::integral_constant<std::size_t, Most>{});
}
/// P panels of a few rows: as they are stored. Functions of their own, lest their registers be somebody else's:
/// inlined, one took 15 % longer.
/// @{
template <std::size_t R, std::size_t P, class M, class Number>
[[gnu::noinline]] inline void multiply_stored(const M& m, std::size_t row, const Number* const (&weight)[P],
                                              const Part& part, Prefetch& fetch) {
    multiply_tile<R>(m, row, weight, part, &fetch);
}
template <std::size_t R>
[[gnu::noinline]] inline void multiply_stored(const MatmulBf16& m, std::size_t row,
                                              const std::uint16_t* const (&weight)[1], const Part& part,
                                              Prefetch& fetch) {
    if constexpr (Tiles::few_panels > 1)
        multiply_pairs<R>(m, row, weight[0], part, fetch);
    else
        multiply_tile<R>(m, row, weight, part, &fetch);
}
/// @}
/// Panels that few rows take at once: where even and odd inputs have chains of their own, there are twice as many.
template <class M>
inline constexpr std::size_t few_panels = std::is_same_v<M, MatmulBf16> ? 1 : Tiles::few_panels;

/// Sums of the few queries that are a block's only ones, which is read as it is stored, 32 inputs of a few panels at a
/// time.   weights: [panels][inputs][16]
template <class M, class Number>
inline void multiply_few(const M& m, const Number* weights, std::size_t panels, Part part, Prefetch& fetch) {
    constexpr std::size_t P = few_panels<M>;
    const std::size_t inputs = part.end;
    for (std::size_t row = 0, rows; row < m.x.rows; row += rows, part.sums += rows * part.stride) {
        const std::size_t left = m.x.rows - row;
        rows = ceil_div(left, ceil_div(left, Tiles::few_rows));
        with_constant<Tiles::few_rows>(rows, [&](auto R) {
            for (std::size_t panel = 0; panel < panels; panel += P) {
                Part step = {0, 0, part.sums + panel * lanes, part.stride, part.resumed};
                for (; step.begin < inputs; step.begin = step.end, step.resumed = true) {
                    step.end = inputs - step.begin < bf16_chunk ? inputs : step.begin + bf16_chunk;
                    const Number* weight[P];
                    for (std::size_t p = 0; p < P; ++p)
                        weight[p] =
                            weights + ((panel + p < panels ? panel + p : panels - 1) * inputs + step.begin) * lanes;
                    multiply_stored<R>(m, row, weight, step, fetch);
                }
            }
        });
    }
}
/// How often the above calls fetch.step() for the two products of a block.
template <class K>
inline std::size_t few_steps(std::size_t queries, const CacheShape& shape) {
    constexpr std::size_t P = few_panels<typename K::Product>, chunk = bf16_chunk * K::per_float;
    return ceil_div(queries, Tiles::few_rows) * (ceil_div(kv_block / lanes, P) * ceil_div(shape.depth(), chunk) +
                                                 ceil_div(shape.value_panels(), P) * ceil_div(kv_block, chunk));
}

/// Which of a block's slots is number i of the products with values that lie in pairs.
inline std::size_t paired_slot(std::size_t i) { return i / 32 * 32 + i % 2 * 16 + i % 32 / 2; }

/// The numbers of a q8_0 block, times their scales and rounded: put(i, numbers i to i + 15 of the block, the next 16),
/// in the order of a bf16 block whose pairs have been taken apart.
template <class Put>
inline void restore(const CacheShape& shape, const std::byte* block, const Put& put) {
    const auto* const numbers = reinterpret_cast<const std::int8_t*>(block);
    const std::uint16_t* const scales = shape.scales_of(block);
    alignas(64) float scale[kv_block];
    const auto widen_scales = [&](std::size_t first) {
        for (std::size_t i = 0; i < kv_block; ++i) scale[i] = bf16_to_f32(scales[first + i]);
    };
    for (std::size_t c = 0; c < ceil_div(shape.head_dim, bf16_chunk); ++c) {
        widen_scales(shape.key_scale_at(0, c));
        for (std::size_t slot = 0; slot < kv_block; slot += lanes)
            for (std::size_t d = c * bf16_chunk; d < (c + 1) * bf16_chunk; d += 2) {
                const std::size_t at = shape.key_at(slot, d);
                const auto number = [&](std::size_t i) {
                    return round_bf16(mul(load(numbers + i), load(scale + slot)));
                };
                put(at, number(at), number(at + lanes));
            }
        widen_scales(shape.value_scale_at(0, c));
        for (std::size_t d = c * bf16_chunk; d < (c + 1) * bf16_chunk && d < shape.head_dim; d += lanes)
            for (std::size_t i = 0; i < kv_block; i += 2) {
                const std::size_t slot = paired_slot(i);
                const auto number = [&](std::size_t at) {
                    return round_bf16(mul(load(numbers + shape.value_at(at, d)), set1(scale[at])));
                };
                put(shape.value_at(i, d), number(slot), number(slot + lanes));
            }
    }
}

/// What attention to one type of caches has that others have not. Of the numbers that its products multiply, a float
/// holds `per_float`.
template <CacheType T>
struct Kind {
    static constexpr CacheType type = T;
    static constexpr std::size_t per_float = 1;
    using Product =
        std::conditional_t<in_pairs(T), MatmulBf16, std::conditional_t<T == CacheType::f32, MatmulF32, MatmulF16>>;
    using Out = std::conditional_t<in_pairs(T), Bf16Weights, Weights>;

    /// Query i as the scores' product takes it. packed: [round_up(queries, 16), round_up(n, 32)] numbers
    static void pack(const float* q, std::size_t n, std::size_t i, float* packed) {
        if constexpr (in_pairs(T))
            pack_bf16(q, n, i, 0, packed);
        else
            for (std::size_t d = 0; d < n; ++d) packed[i * round_up(n, bf16_chunk) + d] = q[d];
    }
    /// The block from position `begin` on as products take it: in place, or widened in the call's scratch.
    static const float* take(const AttentionCall& a, std::size_t begin) {
        if constexpr (T == CacheType::f32) {
            return a.block<float>(begin);
        } else {
            const CacheShape shape = {T, a.head_dim};
            float* const floats = a.block_scratch(0);
            if constexpr (T == CacheType::q8_0)
                restore(shape, a.block<std::byte>(begin), [floats](std::size_t i, const Vec& v, const Vec& next) {
                    store(floats + i, v);
                    store(floats + i + lanes, next);
                });
            else
                widen(Product{}, a.block<std::uint16_t>(begin), shape.numbers() / lanes, floats);
            return floats;
        }
    }
    /// Vector i of a panel of values, zeros where it is out of reach.
    static Vec reached(const float* panel, std::size_t i, const Reach& reach) {
        return reach.holds(in_pairs(T) ? paired_slot(i) : i) ? load(panel + i * lanes) : set1(0.0f);
    }
};

/// Whether the weights of a product, a multiple of 32 floats, are finite.
template <class M>
inline bool all_finite(const M& m, const float* weights, std::size_t count) {
    Vec zeros[2] = {set1(0.0f), set1(0.0f)};  // 0 times a number is 0
    for (std::size_t i = 0; i < count; i += 2 * lanes) {
        EIGENLM_UNROLL
        for (std::size_t j = 0; j < 2; ++j)
            zeros[j] = multiply_add(m, set1(0.0f), load(weights + i + j * lanes), zeros[j]);
    }
    return !is_nan(sum(add(zeros[0], zeros[1])));
}

/// A product of some rows with a block's keys or values.
template <class M>
inline M product_of(const float* x, std::size_t rows, std::size_t cols, std::size_t stride) {
    return {{{x, rows, cols, stride}, 0, nullptr, {}, {}, nullptr, 0}, nullptr};
}

/// The weighted sums of a block in which something that one query does not attend to is not finite: query by query,
/// with zeros in its place. Where all is finite, this makes no difference.   weights: [16, 64] numbers; values: floats
template <class K>
[[gnu::noinline]] inline void add_reached_values(const QueryTile& tile, const float* weights, const float* values) {
    constexpr std::size_t inputs = kv_block / K::per_float, size = inputs * lanes, P = Tiles::panels;
    alignas(64) float held[size], sums[P * lanes];
    Prefetch none{};
    for (std::size_t panel = 0; panel * lanes < tile.a.head_dim; ++panel)
        for (std::size_t r = 0; r < tile.count; ++r) {
            const Reach reached = reach(tile.a, tile.first + r, tile.block);
            for (std::size_t i = 0; i < inputs; ++i)
                store(held + i * lanes, K::reached(values + panel * size, i, reached));
            const auto product = product_of<typename K::Product>(weights + r * inputs, 1, inputs, inputs);
            float* const weighted = tile.state.weighted(tile.first + r) + panel * lanes;
            store(sums, load(weighted));
            multiply_queries(arithmetic(product), held, 1, Part{0, inputs, sums, P * lanes, true}, none);
            store(weighted, load(sums));
        }
}

/// Takes one block of keys and values, as products take them or as they are stored, into up to 16 queries.
template <class K, class Number>
inline void attend_block(const QueryTile& tile, const CacheShape& shape, const Number* keys, Prefetch& fetch) {
    constexpr std::size_t slots = kv_block / K::per_float;
    const AttentionCall& a = tile.a;
    const std::size_t q_stride = round_up(a.head_dim, bf16_chunk) / K::per_float, depth = shape.depth() / K::per_float;
    const float* const q = a.scratch + tile.first * q_stride;
    float* const scores = a.scratch + round_up(a.queries(), lanes) * q_stride;
    float* const weights = scores + lanes * kv_block;
    const Number* const values = keys + shape.keys() / K::per_float;
    const auto multiply = [&](const auto& m, const Number* block, std::size_t panels, const Part& part) {
        if constexpr (std::is_same_v<Number, float>)
            if (a.queries() > lanes) return multiply_queries(arithmetic(m), block, panels, part, fetch);
        multiply_few(arithmetic(m), block, panels, part, fetch);
    };

    multiply(product_of<typename K::Product>(q, tile.count, a.head_dim, q_stride), keys, kv_block / lanes,
             Part{0, depth, scores, kv_block});
    const bool whole = tile.whole();
    if (!whole) mask(tile, scores);
    weigh(tile, scores, typename K::Out{weights});
    if (in_pairs(K::type) && has_nans(scores, tile.count)) surface_nans(tile, scores);

    const auto product = product_of<typename K::Product>(weights, tile.count, slots, slots);
    const std::size_t panels = shape.value_panels();
    if constexpr (std::is_same_v<Number, float>)
        if (!whole && !all_finite(product, values, panels * slots * lanes))
            return add_reached_values<K>(tile, weights, values);
    multiply(product, values, panels,
             Part{0, slots, tile.state.weighted(tile.first), AttentionState::stride(a.head_dim), true});
}

/// Nothing gathered yet: lower than every score, so that what is multiplied by 2^(this - a score) is gone.
inline void clear(const AttentionState& state) {
    const std::size_t queries = round_up(state.queries, lanes);
    for (std::size_t i = 0; i < AttentionState::size(state.queries, state.head_dim); i += lanes)
        store(state.data + i, set1(i < queries ? -3.40282347e38f : 0.0f));
}

/// Calls f(tile, first, fetch) for every block of a section and for every 16 queries of which one attends to some of
/// it, `first` for the first ones of each block.
template <class F>
inline void each_tile(const AttentionCall& a, std::size_t section, const AttentionState& state, std::size_t block_size,
                      std::size_t steps, const F& f) {
    const std::size_t rows = a.q.rows, last = a.length(rows - 1), end = (section + 1) * kv_section;
    std::size_t begin = a.first(0) / kv_block * kv_block;
    if (begin < section * kv_section) begin = section * kv_section;
    for (; begin < end && begin < last; begin += kv_block) {
        // Rows before `from` lie before this block; the windows of those from `to` on begin behind it.
        const std::size_t from = begin > a.position ? begin - a.position : 0;
        std::size_t to = rows;
        while (to > 0 && a.first(to - 1) >= begin + kv_block) --to;
        const std::size_t first_query = from * a.group / lanes * lanes, last_query = to * a.group;
        // The next block comes from memory meanwhile.
        const std::size_t next = begin + kv_block, lines = next < last ? block_size / 64 : 0;
        Prefetch fetch = {
            next < last ? a.block<char>(next) : nullptr, 0, 1, lines,
            last_query <= first_query ? 0 : ceil_div(lines, steps * ceil_div(last_query - first_query, lanes))};
        for (std::size_t q = first_query; q < last_query; q += lanes)
            f(QueryTile{a, state, q, a.queries() - q < lanes ? a.queries() - q : lanes, begin}, q == first_query,
              fetch);
    }
}

/// A block of 16-bit numbers that products take as floats is widened for several tiles of queries, and where not all
/// attend to all of it; otherwise it is read as it is stored.
template <class K>
inline void attend(const AttentionCall& a, std::size_t section, const AttentionState& state) {
    constexpr bool direct = K::per_float == 1 && (K::type == CacheType::bf16 || K::type == CacheType::f16);
    for (std::size_t i = 0; i < a.queries(); ++i)
        K::pack(a.q[i / a.group] + i % a.group * a.head_dim, a.head_dim, i, a.scratch);
    const CacheShape shape = {K::type, a.head_dim};
    const float* block = nullptr;
    clear(state);
    const std::size_t steps = a.queries() > lanes ? 8 : few_steps<K>(a.queries(), shape);
    each_tile(a, section, state, shape.size(), steps, [&](const QueryTile& tile, bool first, Prefetch& fetch) {
        if constexpr (direct)
            if (a.queries() <= lanes && tile.whole())
                return attend_block<K>(tile, shape, a.block<std::uint16_t>(tile.block), fetch);
        if (first) block = K::take(a, tile.block);
        attend_block<K>(tile, shape, block, fetch);
    });
}
inline void attend_f32(const AttentionCall& a, std::size_t section, const AttentionState& state) {
    attend<Kind<CacheType::f32>>(a, section, state);
}
inline void attend_f16(const AttentionCall& a, std::size_t section, const AttentionState& state) {
    attend<Kind<CacheType::f16>>(a, section, state);
}
inline void attend_bf16(const AttentionCall& a, std::size_t section, const AttentionState& state) {
    attend<Kind<CacheType::bf16>>(a, section, state);
}
inline void attend_q8_0(const AttentionCall& a, std::size_t section, const AttentionState& state) {
    attend<Kind<CacheType::q8_0>>(a, section, state);
}

inline void merge_attention(const AttentionState& later, const AttentionState& total) {
    const std::size_t stride = AttentionState::stride(total.head_dim);
    alignas(64) float ours[lanes], theirs[lanes];
    for (std::size_t first = 0; first < total.queries; first += lanes) {
        const Vec a = load(total.maximum() + first), b = load(later.maximum() + first), largest = max(a, b);
        Vec factor[] = {sub(a, largest), sub(b, largest)};
        exp2(factor);  // of whole numbers it is exact
        store(ours, factor[0]);
        store(theirs, factor[1]);
        store(total.maximum() + first, largest);
        float* const sums = total.total() + first;
        store(sums, fma(load(sums), factor[0], mul(load(later.total() + first), factor[1])));
        for (std::size_t r = first; r < first + lanes && r < total.queries; ++r) {
            float* const v = total.weighted(r);
            const float* const more = later.weighted(r);
            for (std::size_t d = 0; d < stride; d += lanes)
                store(v + d, fma(load(v + d), set1(ours[r - first]), mul(load(more + d), set1(theirs[r - first]))));
        }
    }
}

inline void finish_attention(const AttentionCall& a, const AttentionState& state) {
    for (std::size_t i = 0; i < a.queries(); ++i) {
        const float* const weighted = state.weighted(i);
        const Vec inverse = set1(1.0f / state.total()[i]);
        float* const out = a.out[i / a.group] + i % a.group * a.head_dim;
        each_vector(a.head_dim, [&](auto at, auto put) { put(out, fma(at(weighted), inverse, set1(0.0f))); });
    }
}
