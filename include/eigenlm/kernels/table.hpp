#pragma once
// The seam between the model and the machine: one table of plain functions per level. No vector type crosses it.
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <numeric>

#include "../base/types.hpp"
#include "cache_shape.hpp"
#include "cpu.hpp"
#include "quantised_panels.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// How a weight matrix [n, k] lies in memory.
enum class WeightLayout {
    rows,    ///< [n][k], as checkpoints have it
    panels,  ///< [ceil(n / 16)][k][16]: 16 outputs side by side, the last panel filled up with zeros; bf16:
             ///< [ceil(n / 16)][ceil(k / 32) 16][16][2], pairs of inputs side by side, k filled up with zeros
};

/// How the two halves of a rotated pair lie in a head of `head_dim` numbers.
enum class RopeLayout {
    half,         ///< pair i is (i, i + head_dim / 2): Hugging Face's Llama and Qwen2
    interleaved,  ///< pair i is (2 i, 2 i + 1): the original Llama code
};

/// What becomes of a product's sums.
enum class Epilogue {
    store,  ///< out = sum
    add,    ///< out += sum
    /// out = silu(gate) * up, where panels of 16 gates and of 16 ups lie in the matrix in turn: half as many columns. A
    /// bf16 product's are packed at once, as the next one's input: `out` is what pack_bf16 would make of them.
    silu_mul,
};

/// What a matrix product is about, whatever its weights: sum[r, j] = sum over k of x[r, k] * weight[j, k], + bias[j];
/// and then the epilogue.
struct Product {
    Rows<const float> x;       ///< [rows, k]; bf16 and quantised: what pack_bf16 or pack_quantised has made of that
    std::size_t outputs;       ///< n
    const float* bias;         ///< [outputs], or null
    Epilogue epilogue;         ///< what becomes of the sums
    Rows<float> out;           ///< [rows, outputs], of silu_mul [rows, at most outputs / 2]
    float* partial;            ///< room for unfinished sums: kernels that need it do without, but are slower
    std::size_t partial_size;  ///< of `partial`; best is matmul_partial(rows, outputs)
};
/// A product with weights in singles.
struct MatmulF32 : Product {
    const float* weight;  ///< [outputs, k], packed in the table's layout
};
/// A product with weights in halfs.
struct MatmulF16 : Product {
    const std::uint16_t* weight;  ///< [outputs, k], packed in the table's layout
};
/// A product with weights, and inputs, in bfloat16.
struct MatmulBf16 : Product {
    const std::uint16_t* weight;  ///< [outputs, k], packed in the table's layout
};

/// A product with quantised weights; its inputs are what pack_quantised has made of x.
struct MatmulQuantised : Product {
    const std::byte* weight;  ///< [outputs, k], packed in panels, as panel_format has them
    Dtype dtype;              ///< of the weights
};

/// Room for all unfinished sums of a product of many rows.
constexpr std::size_t matmul_partial(std::size_t rows, std::size_t outputs) {
    return (rows + 16) * (outputs + 5 * lanes);
}
/// Floats that one row of a bf16 product's packed input takes; rows are packed in groups of 16.
constexpr std::size_t packed_bf16_stride(std::size_t k) { return round_up(k, bf16_chunk); }

/// Floats of scratch that one call of attend needs: its queries, scores and weights of some of them, and room for two
/// blocks of keys and values as floats.
/// @{
constexpr std::size_t attention_block_scratch(std::size_t head_dim) {
    return 2 * kv_block * round_up(head_dim, bf16_chunk);
}
constexpr std::size_t attention_query_scratch(std::size_t queries, std::size_t head_dim) {
    return round_up(queries, lanes) * round_up(head_dim, bf16_chunk) + 3 * lanes * kv_block;
}
constexpr std::size_t attention_scratch(std::size_t queries, std::size_t head_dim) {
    return attention_query_scratch(queries, head_dim) + 2 * attention_block_scratch(head_dim);
}
/// @}

/// Softmax attention of one group of query heads, which share one key/value head, at consecutive positions of one
/// sequence. Queries are numbered row by row, head by head.
struct AttentionCall {
    Rows<const float> q;          ///< [rows, group * head_dim], rotated
    const std::byte* cache;       ///< this layer's and kv head's part of physical block 0, as CacheShape has it
    const std::uint32_t* blocks;  ///< block table: physical number of each block of 64 positions
    std::size_t block_stride;     ///< bytes from one physical block to the next
    std::size_t position;         ///< of row 0
    std::size_t window;           ///< keys that a row attends to at most, its own position's included; not 0
    std::size_t group;            ///< query heads
    std::size_t head_dim;         ///< of each
    float scale;                  ///< log2(e) / sqrt(head_dim): weights are powers of two
    Rows<float> out;              ///< [rows, group * head_dim]
    float* scratch;               ///< attention_scratch(queries(), head_dim) floats, this call's own

    /// How many there are.
    std::size_t queries() const { return q.rows * group; }
    /// Row r attends to the keys of positions [first(r), length(r)).
    /// @{
    std::size_t length(std::size_t row) const { return position + row + 1; }
    std::size_t first(std::size_t row) const { return length(row) > window ? length(row) - window : 0; }
    /// @}
    /// The sections in which any row has keys: [first_section(), last_section()).
    /// @{
    std::size_t first_section() const { return first(0) / kv_section; }
    std::size_t last_section() const { return ceil_div(length(q.rows - 1), kv_section); }
    /// @}
    /// Scratch for one block, number 0 or 1.
    float* block_scratch(std::size_t i) const {
        return scratch + attention_query_scratch(queries(), head_dim) + i * attention_block_scratch(head_dim);
    }
    /// The keys and values of the block that begins at position `begin`.
    template <class Number>
    const Number* block(std::size_t begin) const {
        return reinterpret_cast<const Number*>(cache + blocks[begin / kv_block] * block_stride);
    }
};

/// What queries have gathered from some of their keys.
struct AttentionState {
    float* data;           ///< size(queries, head_dim) floats
    std::size_t queries;   ///< how many
    std::size_t head_dim;  ///< of each

    /// Floats of it all.
    static constexpr std::size_t size(std::size_t queries, std::size_t head_dim) {
        return round_up(queries, lanes) * (2 + stride(head_dim));
    }
    /// Floats from one query's weighted values to the next one's.
    static constexpr std::size_t stride(std::size_t head_dim) { return round_up(head_dim, 4 * lanes); }
    /// The largest score, a whole power of two. [queries]
    float* maximum() const { return data; }
    /// The weights' sum. [queries]
    float* total() const { return data + round_up(queries, lanes); }
    /// The weighted sum of the values. [head_dim]
    float* weighted(std::size_t query) const { return data + 2 * round_up(queries, lanes) + query * stride(head_dim); }
};

/// Rows that are best taken by one call: a few hundred queries share each block of keys and values while it is near.
/// A multiple of 48 queries fills the kernels' tiles.
constexpr std::size_t attention_rows(std::size_t group) {
    const std::size_t unit = 48 / std::gcd(std::size_t{48}, group), most = 240 / (unit * group);
    return unit * (most != 0 ? most : 1);
}

/// One level's kernels. docs/numerics.md states what each computes, to the bit.
struct KernelTable {
    Isa isa;              ///< the level
    WeightLayout layout;  ///< how its products want matrices packed

    /// The outputs of panels [first, last), i.e. of columns [16 first, 16 last). `first` is even.
    void (*matmul_f32)(const MatmulF32&, std::size_t first, std::size_t last);
    /// The same of bf16 inputs and weights.
    void (*matmul_bf16)(const MatmulBf16&, std::size_t first, std::size_t last);
    /// The same of f16 weights.
    void (*matmul_f16)(const MatmulF16&, std::size_t first, std::size_t last);
    /// Row `row` of a bf16 product's input of `rows` rows: x, n numbers, rounded to bfloat16, and zeros behind them, in
    /// this level's order. packed: round_up(rows, 16) * packed_bf16_stride(n) floats, for all rows
    void (*pack_bf16)(const float* x, std::size_t n, std::size_t row, std::size_t rows, float* packed);
    /// The same of quantised weights. Not where the layout is `rows`.
    void (*matmul_quantised)(const MatmulQuantised&, std::size_t first, std::size_t last);
    /// Row `row` of its input: x, n numbers, as QuantisedInputs, and zeros up to a multiple of 64.
    /// packed: rows * quantised_lines(n) lines of 16 floats, for all rows
    void (*pack_quantised)(const float* x, std::size_t n, std::size_t row, std::size_t rows, float* packed);
    /// out = x / sqrt(mean(x^2) + epsilon) * gain, n numbers; out may be x
    void (*rms_norm)(const float* x, const float* gain, float epsilon, std::size_t n, float* out);
    /// Rotates one head in place by the angles of its position; cos and sin hold head_dim / 2 numbers.
    void (*rope)(float* head, const float* cos, const float* sin, std::size_t head_dim, RopeLayout layout);
    /// What the queries gather from the keys of one section, by the cache's type.
    void (*attend[std::size(all_cache_types)])(const AttentionCall&, std::size_t section, const AttentionState&);
    /// Takes what was gathered from a later section into `sum`.
    void (*merge_attention)(const AttentionState& later, const AttentionState& sum);
    /// out = the weighted values, brought to weights whose sum is 1
    void (*finish_attention)(const AttentionCall&, const AttentionState&);
    /// out = silu(gate) * up, n numbers; out may be gate or up
    void (*silu_mul)(const float* gate, const float* up, std::size_t n, float* out);
    /// sum += x, n numbers
    void (*add)(const float* x, std::size_t n, float* sum);
    /// p = exp(x - max), n numbers, NaN where x is NaN; p may be x
    void (*exp_shifted)(const float* x, float max, std::size_t n, float* p);
    /// The index of the largest of n numbers, the first of equals; n when a NaN is among them.
    std::size_t (*argmax)(const float* x, std::size_t n);
};

/// Attention to all sections, one after the other. `sum` and `next` are room for what the call's queries gather.
inline void attend_to_all(const KernelTable& kernels, CacheType type, const AttentionCall& call,
                          const AttentionState& sum, const AttentionState& next) {
    const auto attend = kernels.attend[static_cast<std::size_t>(type)];
    attend(call, call.first_section(), sum);
    for (std::size_t section = call.first_section() + 1; section < call.last_section(); ++section) {
        attend(call, section, next);
        kernels.merge_attention(next, sum);
    }
    kernels.finish_attention(call, sum);
}

}  // namespace eigenlm::inline EIGENLM_ABI
