// Included inside each level's namespace: attention over the blocks of the KV cache.
//
// Online softmax (Milakov and Gimelshein, 2018; FlashAttention) with boundaries fixed at every 64 positions from 0:
// what a position gets depends on the keys before it alone, not on how many rows are computed at once. A sliding window
// leaves out the keys before its first one: whole blocks are passed over, in the first block that is left they weigh 0.
//
// Queries (heads at positions) share a block while it is near: several at once keep the multiply-adds busy.

/// One query head at one position and one block of keys and values.
struct Query {
    const float* q;     // [head_dim]
    float* weighted;    // so far: the weighted sum of the values, [value_stride],
    float* maximum;     // the largest score,
    float* total;       // and the weights' sum
    std::size_t begin;  // which of the block's positions it attends to
    std::size_t end;
};

/// Makes the scores of what is not attended to -infinity, whatever is there.
inline void mask(const Query& query, float (&scores)[kv_block]) {
    for (std::size_t i = 0; i < kv_block; i += lanes) {
        const auto lanes_below = [i](std::size_t end) {
            return first_lanes(end <= i ? 0 : end - i < lanes ? end - i : lanes);
        };
        const Vec none = set1(-__builtin_inff());
        const Vec held = select(lanes_below(query.end), load(scores + i), none);
        store(scores + i, select(lanes_below(query.begin), none, held));
    }
}

/// Scores of H queries against one block's keys: all of its panels, for what is not attended to is masked.
template <std::size_t H>
inline void block_scores(const AttentionF32& a, const Query (&query)[H], const float* keys,
                         float (&scores)[H][kv_block]) {
    constexpr std::size_t panels = kv_block / kv_panel;
    Vec score[H][panels];
    EIGENLM_UNROLL
    for (std::size_t h = 0; h < H; ++h) {
        EIGENLM_UNROLL
        for (std::size_t p = 0; p < panels; ++p) score[h][p] = set1(0.0f);
    }
    for (std::size_t d = 0; d < a.head_dim; ++d) {
        Vec key[panels];  // [4][head_dim][16]
        EIGENLM_UNROLL
        for (std::size_t p = 0; p < panels; ++p) key[p] = load(keys + (p * a.head_dim + d) * kv_panel);
        EIGENLM_UNROLL
        for (std::size_t h = 0; h < H; ++h) {
            const Vec in = set1(query[h].q[d]);
            EIGENLM_UNROLL
            for (std::size_t p = 0; p < panels; ++p) score[h][p] = fma(in, key[p], score[h][p]);
        }
    }
    const Vec scale = set1(a.scale);
    EIGENLM_UNROLL
    for (std::size_t h = 0; h < H; ++h) {
        EIGENLM_UNROLL
        for (std::size_t p = 0; p < panels; ++p) store(scores[h] + p * kv_panel, mul(score[h][p], scale));
        if (query[h].begin != 0 || query[h].end != kv_block) mask(query[h], scores[h]);
    }
}

/// Weights of one query: scores -> exp(score - maximum) in place; what it has so far is brought to the new maximum.
inline void block_weights(const AttentionF32& a, const Query& query, float (&scores)[kv_block]) {
    Vec largest = set1(-__builtin_inff());
    for (std::size_t i = 0; i < kv_block; i += lanes) largest = max(load(scores + i), largest);
    const float block_maximum = max(largest), before = *query.maximum;
    const float maximum = before < block_maximum ? block_maximum : before;
    Vec weights[kv_block / lanes], totals = set1(0.0f);
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < kv_block / lanes; ++i) weights[i] = sub(load(scores + i * lanes), set1(maximum));
    exp(weights);
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < kv_block / lanes; ++i) {
        store(scores + i * lanes, weights[i]);
        totals = add(totals, weights[i]);
    }
    const Vec correction = exp(sub(set1(before), set1(maximum)));
    alignas(64) float factor[lanes];
    store(factor, correction);
    *query.total = *query.total * factor[0] + sum(totals);
    *query.maximum = maximum;
    for (std::size_t d = 0; d < a.value_stride; d += lanes)
        store(query.weighted + d, mul(load(query.weighted + d), correction));
}

/// Adds the weighted values of positions [begin, end) of a block to H queries' sums, 16 N numbers of each from `d` on.
template <std::size_t N, std::size_t H>
inline void add_columns(const AttentionF32& a, const Query* query, const float* values,
                        const float (*weights)[kv_block], std::size_t begin, std::size_t end, std::size_t d) {
    Vec sum[H][N];
    EIGENLM_UNROLL
    for (std::size_t h = 0; h < H; ++h) {
        EIGENLM_UNROLL
        for (std::size_t i = 0; i < N; ++i) sum[h][i] = load(query[h].weighted + d + i * lanes);
    }
    for (std::size_t j = begin; j < end; ++j) {
        Vec value[N];  // [64][value_stride]
        EIGENLM_UNROLL
        for (std::size_t i = 0; i < N; ++i) value[i] = load(values + j * a.value_stride + d + i * lanes);
        EIGENLM_UNROLL
        for (std::size_t h = 0; h < H; ++h) {
            const Vec weight = set1(weights[h][j]);
            EIGENLM_UNROLL
            for (std::size_t i = 0; i < N; ++i) sum[h][i] = fma(weight, value[i], sum[h][i]);
        }
    }
    EIGENLM_UNROLL
    for (std::size_t h = 0; h < H; ++h) {
        EIGENLM_UNROLL
        for (std::size_t i = 0; i < N; ++i) store(query[h].weighted + d + i * lanes, sum[h][i]);
    }
}
template <std::size_t H>
inline void add_values(const AttentionF32& a, const Query* query, const float* values, const float (*weights)[kv_block],
                       std::size_t begin, std::size_t end) {
    if (begin >= end) return;
    std::size_t d = 0;
    for (; d + 4 * lanes <= a.value_stride; d += 4 * lanes) add_columns<4, H>(a, query, values, weights, begin, end, d);
    for (; d < a.value_stride; d += lanes) add_columns<1, H>(a, query, values, weights, begin, end, d);
}

/// Takes one block of keys and values into H queries.
template <std::size_t H>
inline void attend_block(const AttentionF32& a, const Query (&query)[H], const float* block) {
    alignas(64) float weights[H][kv_block];
    block_scores(a, query, block, weights);
    std::size_t begin = 0, end = kv_block;  // of the positions that all attend to
    for (std::size_t h = 0; h < H; ++h) {
        block_weights(a, query[h], weights[h]);
        begin = query[h].begin > begin ? query[h].begin : begin;
        end = query[h].end < end ? query[h].end : end;
    }
    const float* const values = block + a.values_offset;
    if constexpr (H == 1) return add_values<1>(a, query, values, weights, begin, end);
    if (begin > end) begin = end = kv_block;  // there are none
    for (std::size_t h = 0; h < H; ++h)
        add_values<1>(a, query + h, values, weights + h, query[h].begin, query[h].end < begin ? query[h].end : begin);
    add_values<H>(a, query, values, weights, begin, end);
    for (std::size_t h = 0; h < H; ++h)
        add_values<1>(a, query + h, values, weights + h, query[h].begin > end ? query[h].begin : end, query[h].end);
}

/// H queries from number `first` on and the block that begins at position `begin`. Queries are numbered head by head,
/// row by row.
template <std::size_t H>
inline void attend(const AttentionF32& a, std::size_t first, std::size_t begin, const float* block) {
    Query query[H];
    for (std::size_t h = 0; h < H; ++h) {
        const std::size_t row = (first + h) / a.group, head = (first + h) % a.group;
        float* const weighted = a.scratch + (first + h) * (a.value_stride + 2);
        const std::size_t skipped = a.first(row), length = a.length(row);
        query[h] = {a.q[row] + head * a.head_dim,
                    weighted,
                    weighted + a.value_stride,
                    weighted + a.value_stride + 1,
                    skipped > begin ? skipped - begin : 0,
                    length - begin < kv_block ? length - begin : kv_block};
    }
    attend_block(a, query, block);
}

inline void attention_f32(const AttentionF32& a) {
    const std::size_t rows = a.q.rows, queries = rows * a.group;
    for (std::size_t i = 0; i < queries; ++i) {
        float* const weighted = a.scratch + i * (a.value_stride + 2);
        for (std::size_t d = 0; d < a.value_stride; ++d) weighted[d] = 0.0f;
        weighted[a.value_stride] = -__builtin_inff();
        weighted[a.value_stride + 1] = 0.0f;
    }
    for (std::size_t begin = a.first(0) / kv_block * kv_block; begin < a.length(rows - 1); begin += kv_block) {
        const float* const block = a.cache + a.blocks[begin / kv_block] * a.block_stride;
        // Rows before `from` lie before this block; the windows of those from `to` on begin behind it.
        const std::size_t from = begin > a.position ? begin - a.position : 0;
        std::size_t to = rows;
        while (a.first(to - 1) >= begin + kv_block) --to;
        std::size_t query = from * a.group;
        if constexpr (Tiles::queries > 1)
            for (; query + Tiles::queries <= to * a.group; query += Tiles::queries)
                attend<Tiles::queries>(a, query, begin, block);
        if constexpr (Tiles::queries > 2)
            for (; query + 2 <= to * a.group; query += 2) attend<2>(a, query, begin, block);
        for (; query < to * a.group; ++query) attend<1>(a, query, begin, block);
    }
    for (std::size_t i = 0; i < queries; ++i) {
        const float* const weighted = a.scratch + i * (a.value_stride + 2);
        const Vec inverse = set1(1.0f / weighted[a.value_stride + 1]);
        float* const out = a.out[i / a.group] + i % a.group * a.head_dim;
        each_vector(a.head_dim, [&](auto at, auto put) { put(out, mul(at(weighted), inverse)); });
    }
}
