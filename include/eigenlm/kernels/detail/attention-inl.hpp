// Included inside each level's namespace: attention over the blocks of the KV cache.
//
// Online softmax (Milakov and Gimelshein, 2018; FlashAttention) with boundaries fixed at every 64 positions from 0:
// what a position gets depends on the keys before it alone, not on how many rows are computed at once. A sliding window
// leaves out the keys before its first one: whole blocks are passed over, in the first block that is left they weigh 0.

/// A head's state between blocks: the largest score so far, the weights' sum and the weighted sum of the values.
struct AttentionState {
    float* weighted;  // [value_stride]
    float* maximum;
    float* total;
};

/// A block of keys and values, and those of its positions that are attended to.
struct AttentionBlock {
    const float* keys;  // [4][head_dim][16], then the values
    std::size_t begin, end;

    /// The first panel of 16 that holds any.
    std::size_t first_panel() const { return begin / kv_panel * kv_panel; }
};

/// Scores of one head against one block of keys; the largest of them.
inline float block_scores(const AttentionF32& a, const float* q, const AttentionBlock& block, float* scores) {
    Vec largest = set1(-__builtin_inff());
    for (std::size_t first = block.first_panel(); first < block.end; first += kv_panel) {
        const float* panel = block.keys + first * a.head_dim;  // [head_dim][16]
        Vec score = set1(0.0f);
        for (std::size_t d = 0; d < a.head_dim; ++d) score = fma(set1(q[d]), load(panel + d * kv_panel), score);
        score = mul(score, set1(a.scale));
        if (block.end - first < kv_panel)
            score = select(first_lanes(block.end - first), score, set1(-__builtin_inff()));
        if (first < block.begin) score = select(first_lanes(block.begin - first), set1(-__builtin_inff()), score);
        store(scores + first, score);
        largest = max(largest, score);
    }
    return max(largest);
}

/// Takes one block of keys and values into a head's state.
inline void attend_block(const AttentionF32& a, const float* q, const AttentionBlock& block,
                         const AttentionState& state) {
    alignas(64) float weights[kv_block];
    const float block_maximum = block_scores(a, q, block, weights);
    const float maximum = *state.maximum < block_maximum ? block_maximum : *state.maximum;
    Vec totals = set1(0.0f);
    for (std::size_t first = block.first_panel(); first < block.end; first += kv_panel) {
        const Vec weight = exp(sub(load(weights + first), set1(maximum)));
        store(weights + first, weight);
        totals = add(totals, weight);
    }
    const Vec correction = exp(sub(set1(*state.maximum), set1(maximum)));
    alignas(64) float factor[lanes];
    store(factor, correction);
    *state.total = *state.total * factor[0] + sum(totals);
    *state.maximum = maximum;
    const float* values = block.keys + a.values_offset;  // [64][value_stride]
    for (std::size_t d = 0; d < a.value_stride; d += lanes) {
        Vec weighted = mul(load(state.weighted + d), correction);
        for (std::size_t j = block.begin; j < block.end; ++j)
            weighted = fma(set1(weights[j]), load(values + j * a.value_stride + d), weighted);
        store(state.weighted + d, weighted);
    }
}

inline void attention_f32(const AttentionF32& a) {
    const auto state_of = [&a](std::size_t head) {
        float* const weighted = a.scratch + head * (a.value_stride + 2);
        return AttentionState{weighted, weighted + a.value_stride, weighted + a.value_stride + 1};
    };
    for (std::size_t head = 0; head < a.group; ++head) {
        const AttentionState state = state_of(head);
        for (std::size_t d = 0; d < a.value_stride; ++d) state.weighted[d] = 0.0f;
        *state.maximum = -__builtin_inff();
        *state.total = 0.0f;
    }
    for (std::size_t begin = a.first / kv_block * kv_block; begin < a.length; begin += kv_block) {
        const AttentionBlock block = {a.cache + a.blocks[begin / kv_block] * a.block_stride,
                                      a.first > begin ? a.first - begin : 0,
                                      a.length - begin < kv_block ? a.length - begin : kv_block};
        for (std::size_t head = 0; head < a.group; ++head)  // a group shares each block while it is in cache
            attend_block(a, a.q + head * a.head_dim, block, state_of(head));
    }
    for (std::size_t head = 0; head < a.group; ++head) {
        const AttentionState state = state_of(head);
        const Vec inverse = set1(1.0f / *state.total);
        float* const out = a.out + head * a.head_dim;
        each_vector(a.head_dim, [&](auto at, auto put) { put(out, mul(at(state.weighted), inverse)); });
    }
}
