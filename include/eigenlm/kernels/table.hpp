#pragma once
// The seam between the model and the machine: one table of plain functions per level. No vector type crosses it.
#include <cstddef>
#include <cstdint>
#include <numeric>

#include "../base/types.hpp"
#include "cpu.hpp"

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

/// Inputs that a bf16 product takes in at a time (the depth of an AMX tile): inputs are filled up with zeros to a
/// multiple.
inline constexpr std::size_t bf16_chunk = 32;

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
    Rows<const float> x;       ///< [rows, k]; bf16: what pack_bf16 has made of that
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

/// Room for all unfinished sums of a product of many rows.
constexpr std::size_t matmul_partial(std::size_t rows, std::size_t outputs) {
    return (rows + 16) * (outputs + 5 * lanes);
}
/// Floats that one row of a bf16 product's packed input takes; rows are packed in groups of 16.
constexpr std::size_t packed_bf16_stride(std::size_t k) { return round_up(k, bf16_chunk); }

/// Softmax attention of one group of query heads, which share one key/value head, at consecutive positions of one
/// sequence.
struct AttentionF32 {
    Rows<const float> q;          ///< [rows, group * head_dim], rotated
    const float* cache;           ///< this layer's and kv head's part of physical block 0
    const std::uint32_t* blocks;  ///< block table: physical number of each block of 64 positions
    std::size_t block_stride;     ///< floats from one physical block to the next
    std::size_t values_offset;    ///< floats from a block's keys [4][head_dim][16] to its values [64][value_stride]
    std::size_t value_stride;     ///< head_dim rounded up to 16
    std::size_t position;         ///< of row 0
    std::size_t window;           ///< keys that a row attends to at most, its own position's included; not 0
    std::size_t group;            ///< query heads
    std::size_t head_dim;         ///< even
    float scale;                  ///< 1 / sqrt(head_dim)
    Rows<float> out;              ///< [rows, group * head_dim]
    float* scratch;               ///< attention_scratch(rows * group, head_dim) floats, this call's own

    /// Row r attends to the keys of positions [first(r), length(r)).
    /// @{
    std::size_t length(std::size_t row) const { return position + row + 1; }
    std::size_t first(std::size_t row) const { return length(row) > window ? length(row) - window : 0; }
    /// @}
};

/// Positions in one block of the KV cache, and keys in one panel of it: attention reduces block by block.
inline constexpr std::size_t kv_block = 64;
/// See kv_block.
inline constexpr std::size_t kv_panel = 16;

/// Floats of scratch that one call of attention_f32 needs: for each query the weighted sum of values, the maximum and
/// the sum of weights.
constexpr std::size_t attention_scratch(std::size_t queries, std::size_t head_dim) {
    return queries * (round_up(head_dim, lanes) + 2);
}
/// Rows that are best taken by one call: some dozens of queries share each block of keys and values while it is near.
/// Kernels take up to six queries at once.
constexpr std::size_t attention_rows(std::size_t group) {
    const std::size_t sixes = 6 / std::gcd(std::size_t{6}, group), rows = 96 / group / sixes * sixes;
    return rows != 0 ? rows : 1;
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
    /// out = x / sqrt(mean(x^2) + epsilon) * gain, n numbers; out may be x
    void (*rms_norm)(const float* x, const float* gain, float epsilon, std::size_t n, float* out);
    /// Rotates one head in place by the angles of its position; cos and sin hold head_dim / 2 numbers.
    void (*rope)(float* head, const float* cos, const float* sin, std::size_t head_dim, RopeLayout layout);
    /// One group of query heads at some positions; writes `out` and `scratch`.
    void (*attention_f32)(const AttentionF32&);
    /// out = silu(gate) * up, n numbers; out may be gate or up
    void (*silu_mul)(const float* gate, const float* up, std::size_t n, float* out);
    /// sum += x, n numbers
    void (*add)(const float* x, std::size_t n, float* sum);
    /// p = exp(x - max), n numbers, NaN where x is NaN; p may be x
    void (*exp_shifted)(const float* x, float max, std::size_t n, float* p);
    /// The index of the largest of n numbers, the first of equals; n when a NaN is among them.
    std::size_t (*argmax)(const float* x, std::size_t n);
};

}  // namespace eigenlm::inline EIGENLM_ABI
