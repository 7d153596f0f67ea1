// Included inside each level's namespace: attention's softmax, of the scores that up to 16 queries have with one block
// of keys.

/// Of a block's positions, those that a query attends to.
struct Reach {
    std::size_t begin, end;
    bool holds(std::size_t slot) const { return slot >= begin && slot < end; }
};
inline Reach reach(const AttentionCall& a, std::size_t query, std::size_t block) {
    const std::size_t row = query / a.group, first = a.first(row), length = a.length(row);
    const auto within = [block](std::size_t p) { return p <= block ? 0 : p - block < kv_block ? p - block : kv_block; };
    return {within(first), within(length)};
}

/// Up to 16 queries of a call, and one block of keys and values.
struct QueryTile {
    const AttentionCall& a;
    const AttentionState& state;
    std::size_t first, count;  // of the queries
    std::size_t block;         // its first position

    /// Whether all attend to all of the block.
    bool whole() const {
        const Reach earliest = reach(a, first, block), latest = reach(a, first + count - 1, block);
        return earliest.end == kv_block && latest.begin == 0;
    }
};

/// Makes the scores of what is not attended to -infinity, whatever is there.   scores: [count, 64]
inline void mask(const QueryTile& tile, float* scores) {
    const Vec none = set1(-__builtin_inff());
    for (std::size_t r = 0; r < tile.count; ++r) {
        const Reach held = reach(tile.a, tile.first + r, tile.block);
        for (std::size_t i = 0; i < kv_block; i += lanes) {
            const auto lanes_below = [i](std::size_t end) {
                return first_lanes(end <= i ? 0 : end - i < lanes ? end - i : lanes);
            };
            float* const at = scores + r * kv_block + i;
            store(at, select(lanes_below(held.begin), none, select(lanes_below(held.end), load(at), none)));
        }
    }
}

/// Scores of one query -> their weights in bf16.
inline void weights_in_bf16(float scale, float maximum, Vec (&w)[4]) {
    const Vec base = set1(exp2_rounder + 127.0f - maximum), lowest = set1(exp2_rounder);
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < 4; ++i) w[i] = exp2_bf16(max(fma(w[i], set1(scale), base), lowest));
}

/// Scores of one query -> their weights, 2^(scale * score - maximum), as the next product's input, and as they are to
/// be summed up.
/// @{
struct Weights {
    float* data;  // [16, 64]
    void weigh(std::size_t row, float scale, float maximum, Vec (&w)[4]) const {
        const Vec base = set1(-maximum);
        EIGENLM_UNROLL
        for (std::size_t i = 0; i < 4; ++i) w[i] = fma(w[i], set1(scale), base);
        exp2(w);
        EIGENLM_UNROLL
        for (std::size_t i = 0; i < 4; ++i) store(data + row * kv_block + i * lanes, w[i]);
    }
};
/// bf16: the exponent is rounded to 128ths, the power to 8 bits. Weights below 2^-126 are 0. A NaN's weight is 0.
struct Bf16Weights {
    float* data;  // [16, 2, 16, 2]
    void weigh(std::size_t row, float scale, float maximum, Vec (&w)[4]) const {
        weights_in_bf16(scale, maximum, w);
        EIGENLM_UNROLL
        for (std::size_t i = 0; i < 4; i += 2) store_in_turn(data + row * kv_block + i * lanes, w[i], w[i + 1]);
    }
};
/// @}

/// A query's new largest score -> what its sums so far are multiplied by: a power of two.
inline void correct(const QueryTile& tile, const float (&correction)[lanes]) {
    const std::size_t stride = AttentionState::stride(tile.a.head_dim);
    for (std::size_t r = 0; r < tile.count; ++r) {
        if (correction[r] == 1.0f) continue;
        float* const weighted = tile.state.weighted(tile.first + r);
        for (std::size_t d = 0; d < stride; d += lanes)
            store(weighted + d, mul(load(weighted + d), set1(correction[r])));
    }
}

/// The largest score of each of 16 queries -> the maximum so far, a whole power of two, and, as the result, what the
/// sums so far are multiplied by: 2^(the maximum before - the new one).   scores: [16, 64], those of queries there are
/// not being anything
inline Vec raise(const QueryTile& tile, const float* scores) {
    alignas(64) float folded[lanes * lanes];
    for (std::size_t r = 0; r < lanes; ++r) {
        const float* const row = scores + r * kv_block;
        Vec largest = max(load(row), set1(-__builtin_inff()));
        EIGENLM_UNROLL
        for (std::size_t i = lanes; i < kv_block; i += lanes) largest = max(load(row + i), largest);
        store(folded + r * lanes, largest);
    }
    float* const maximum = tile.state.maximum() + tile.first;
    const Vec before = load(maximum);
    const Vec now = max(before, round_to_whole(mul(max_of_each(folded), set1(tile.a.scale))));
    store(maximum, now);
    Vec change[] = {sub(before, now)};
    exp2(change);
    return change[0];
}

/// Takes the weights' sums, a vector for each of 16 queries, into the total so far.
inline void add_totals(const QueryTile& tile, const float* folded, const Vec& correction) {
    float* const total = tile.state.total() + tile.first;
    store(total, fma(load(total), correction, sum_of_each(folded)));
}

/// Scores -> weights; what the queries have so far is brought to the new maximum.   scores: as raise
template <class Out>
inline void weigh(const QueryTile& tile, const float* scores, const Out& out) {
    alignas(64) float folded[lanes * lanes], corrections[lanes];
    const Vec correction = raise(tile, scores);
    for (std::size_t r = 0; r < tile.count; ++r) {
        Vec w[kv_block / lanes];
        EIGENLM_UNROLL
        for (std::size_t i = 0; i < kv_block / lanes; ++i) w[i] = load(scores + r * kv_block + i * lanes);
        out.weigh(r, tile.a.scale, tile.state.maximum()[tile.first + r], w);
        EIGENLM_UNROLL
        for (std::size_t i = 1; i < kv_block / lanes; ++i) w[0] = add(w[0], w[i]);
        store(folded + r * lanes, w[0]);
    }
    add_totals(tile, folded, correction);
    store(corrections, correction);
    correct(tile, corrections);
}

/// Whether there may be NaNs.   scores: [count, 64]
inline bool has_nans(const float* scores, std::size_t count) {
    const Vec infinite = set1(__builtin_inff());
    Vec found[2] = {set1(0.0f), set1(0.0f)};
    for (std::size_t i = 0; i < count * kv_block; i += 2 * lanes) {
        EIGENLM_UNROLL
        for (std::size_t j = 0; j < 2; ++j)
            found[j] = select(less(load(scores + i + j * lanes), infinite), found[j], infinite);
    }
    return max(max(found[0], found[1])) > 0;
}
/// Makes totals of NaNs, whose weights in bf16 are 0, NaNs.   scores: [count, 64], masked
[[gnu::noinline]] inline void surface_nans(const QueryTile& tile, const float* scores) {
    for (std::size_t r = 0; r < tile.count; ++r)
        for (std::size_t j = 0; j < kv_block; ++j)
            if (is_nan(scores[r * kv_block + j])) tile.state.total()[tile.first + r] = __builtin_nanf("");
}
