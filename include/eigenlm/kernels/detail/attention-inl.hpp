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
};

/// Scores of H heads against one block of keys: all of its panels, for what is not attended to is masked. H chains of
/// four panels each keep the multiply-adds busy.
template <std::size_t H>
inline void block_scores(const AttentionF32& a, const float* q, const AttentionBlock& block,
                         float (&scores)[H][kv_block]) {
    constexpr std::size_t panels = kv_block / kv_panel;
    Vec score[H][panels];
    EIGENLM_UNROLL
    for (std::size_t h = 0; h < H; ++h) {
        EIGENLM_UNROLL
        for (std::size_t p = 0; p < panels; ++p) score[h][p] = set1(0.0f);
    }
    for (std::size_t d = 0; d < a.head_dim; ++d) {
        Vec keys[panels];  // [4][head_dim][16]
        EIGENLM_UNROLL
        for (std::size_t p = 0; p < panels; ++p) keys[p] = load(block.keys + (p * a.head_dim + d) * kv_panel);
        EIGENLM_UNROLL
        for (std::size_t h = 0; h < H; ++h) {
            const Vec in = set1(q[h * a.head_dim + d]);
            EIGENLM_UNROLL
            for (std::size_t p = 0; p < panels; ++p) score[h][p] = fma(in, keys[p], score[h][p]);
        }
    }
    const Vec none = set1(-__builtin_inff()), scale = set1(a.scale);
    for (std::size_t p = 0; p < panels; ++p) {
        const std::size_t first = p * kv_panel;
        const auto lanes_below = [first](std::size_t position) {
            return first_lanes(position <= first ? 0 : position - first < kv_panel ? position - first : kv_panel);
        };
        const Mask held = lanes_below(block.end), skipped = lanes_below(block.begin);
        for (std::size_t h = 0; h < H; ++h)
            store(scores[h] + first, select(skipped, none, select(held, mul(score[h][p], scale), none)));
    }
}

/// Weights of one head: scores -> exp(score - maximum) in place. Returns the factor for what the head has so far.
inline Vec block_weights(float (&scores)[kv_block], const AttentionState& state) {
    Vec largest = set1(-__builtin_inff());
    for (std::size_t first = 0; first < kv_block; first += lanes) largest = max(load(scores + first), largest);
    const float block_maximum = max(largest), before = *state.maximum;
    const float maximum = before < block_maximum ? block_maximum : before;
    Vec weights[kv_block / lanes], totals = set1(0.0f);
    for (std::size_t i = 0; i < kv_block / lanes; ++i) weights[i] = sub(load(scores + i * lanes), set1(maximum));
    exp(weights);
    for (std::size_t i = 0; i < kv_block / lanes; ++i) {
        store(scores + i * lanes, weights[i]);
        totals = add(totals, weights[i]);
    }
    const Vec correction = exp(sub(set1(before), set1(maximum)));
    alignas(64) float factor[lanes];
    store(factor, correction);
    *state.total = *state.total * factor[0] + sum(totals);
    *state.maximum = maximum;
    return correction;
}

/// Adds the weighted values of one block to H heads' sums, 16 N numbers of each from `d` on.
template <std::size_t N, std::size_t H>
inline void add_values(const AttentionF32& a, const AttentionBlock& block, std::size_t d,
                       const float (&weights)[H][kv_block], const Vec (&correction)[H], float* const (&sums)[H]) {
    const float* const values = block.keys + a.values_offset + d;  // [64][value_stride]
    Vec sum[H][N];
    EIGENLM_UNROLL
    for (std::size_t h = 0; h < H; ++h) {
        EIGENLM_UNROLL
        for (std::size_t i = 0; i < N; ++i) sum[h][i] = mul(load(sums[h] + d + i * lanes), correction[h]);
    }
    for (std::size_t j = block.begin; j < block.end; ++j) {
        Vec value[N];
        EIGENLM_UNROLL
        for (std::size_t i = 0; i < N; ++i) value[i] = load(values + j * a.value_stride + i * lanes);
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
        for (std::size_t i = 0; i < N; ++i) store(sums[h] + d + i * lanes, sum[h][i]);
    }
}

/// Takes one block of keys and values into the states of H heads.
template <std::size_t H>
inline void attend_block(const AttentionF32& a, const float* q, const AttentionBlock& block,
                         const AttentionState (&states)[H]) {
    alignas(64) float weights[H][kv_block];
    block_scores(a, q, block, weights);
    Vec correction[H];
    float* sums[H];
    for (std::size_t h = 0; h < H; ++h) {
        correction[h] = block_weights(weights[h], states[h]);
        sums[h] = states[h].weighted;
    }
    std::size_t d = 0;
    for (; d + 4 * lanes <= a.value_stride; d += 4 * lanes) add_values<4>(a, block, d, weights, correction, sums);
    for (; d < a.value_stride; d += lanes) add_values<1>(a, block, d, weights, correction, sums);
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
        std::size_t head = 0;  // a group shares each block while it is in cache
        if constexpr (Tiles::heads == 2)
            for (; head + 2 <= a.group; head += 2)
                attend_block<2>(a, a.q + head * a.head_dim, block, {state_of(head), state_of(head + 1)});
        for (; head < a.group; ++head) attend_block<1>(a, a.q + head * a.head_dim, block, {state_of(head)});
    }
    for (std::size_t head = 0; head < a.group; ++head) {
        const AttentionState state = state_of(head);
        const Vec inverse = set1(1.0f / *state.total);
        float* const out = a.out + head * a.head_dim;
        each_vector(a.head_dim, [&](auto at, auto put) { put(out, mul(at(state.weighted), inverse)); });
    }
}
