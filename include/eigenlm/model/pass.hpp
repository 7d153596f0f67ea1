#pragma once
// What one forward pass works on: which rows belong to which sequence, and the activations.
#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <string_view>
#include <utility>

#include "../base/buffer.hpp"
#include "../base/profile.hpp"
#include "../base/progress.hpp"
#include "../weights/names.hpp"
#include "compute.hpp"
#include "kv_cache.hpp"
#include "rope_table.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Consecutive rows of a pass that are consecutive positions of one sequence: many in a prefill, one in a decode step.
/// They take the positions from cache->length() on.
struct Segment {
    KvCache* cache = nullptr;   ///< the sequence
    std::size_t first_row = 0;  ///< of the pass
    std::size_t rows = 0;       ///< how many

    /// The position of a row of the pass.
    std::size_t position(std::size_t row) const { return cache->length() + row - first_row; }
};

/// Sees intermediate results, under Hugging Face's names: "embed_tokens", then per layer "input_layernorm", "q_proj",
/// "k_proj", "v_proj", in Qwen3 "q_norm" and "k_norm", "q_rope", "k_rope", "o_proj", "post_attention_layernorm",
/// "down_proj" and "layer" (the block's output), then "norm". `layer` is -1 outside the layers. Values are valid during
/// the call.
using Tap = std::function<void(std::string_view name, int layer, Rows<const float> values)>;

class Activations;

/// One forward pass over `rows` rows.
struct Pass {
    const Compute& compute;             ///< kernels and threads
    const RopeTable& rope;              ///< reaches all positions of the pass
    std::span<const Segment> segments;  ///< the rows, by sequence
    const Tap* tap = nullptr;           ///< null: nobody looks
    const FloatState* state = nullptr;  ///< the state the pass runs under, so that the tap sees the host's
    Stage stage = Stage::prefill;       ///< for the message of CancelledError
    std::stop_token stop = {};          ///< asked between layers
#if EIGENLM_PROFILE
    Profile* profile = nullptr;  ///< null: nothing is timed
#endif

    /// Calls the tap, if there is one, under the host's floating-point state.
    void show(std::string_view name, int layer, Rows<const float> values) const {
        if (!tap) return;
        if (state)
            FloatState::with_host_state(*state, [&] { (*tap)(name, layer, values); });
        else
            (*tap)(name, layer, values);
    }
    /// The parts of a.qkv under these names; v's may be null.
    void show_qkv(std::size_t layer, const Activations& a, const char* q, const char* k, const char* v = nullptr) const;
};

#if EIGENLM_PROFILE
/// Its own life, as a part of a pass's profile.
class Timed {
  public:
    /// Begins part `name`, a literal.
    Timed(const Pass& pass, const char* name, int layer, const Cost& cost = {})
        : profile_(pass.profile), part_{name, layer, profile_ ? profile_->now() : 0, 0, cost} {}
    Timed(const Timed&) = delete;
    Timed& operator=(const Timed&) = delete;
    ~Timed() {
        if (!profile_) return;
        part_.seconds = profile_->now() - part_.begin;
        profile_->add(part_);
    }

  private:
    Profile* profile_;
    ProfilePart part_;
};
#else
/// Nothing: see base/profile.hpp.
struct Timed {
    /// Does nothing.
    Timed(const Pass&, const char*, int, const Cost& = {}) {}
    Timed(const Timed&) = delete;
    Timed& operator=(const Timed&) = delete;
};
#endif
/// Of a product of so many rows.
template <class Weight>
Cost product_cost(std::size_t rows, const Matrix<Weight>& weight) {
    return {static_cast<double>(weight.bytes()),
            2.0 * static_cast<double>(rows) * static_cast<double>(weight.inputs() * weight.outputs())};
}

/// What attention needs beside its input and output.
struct AttentionRoom {
    AttentionState sum;   ///< what the queries gather from all sections so far
    AttentionState next;  ///< and from one more
    float* scratch;       ///< see attention_scratch
};

/// Every intermediate of a pass, allocated once for as many rows as a pass may have.
class Activations {
  public:
    /// Room for `max_rows` rows on `threads` threads. Throws ArgumentError for no rows and for a config that no
    /// model has (see check), ResourceError when the memory cannot be had.
    Activations(const ModelConfig& c, std::size_t max_rows, std::size_t threads)
        : scratch((check(c), checked_rows(max_rows)), widest_input(c), widest_output(c)),
          max_rows_(max_rows),
          storage_(checked_mul(round_up(max_rows, 16), row_size(c), "workspace")),
          attention_size_(attention_size(c, max_rows)),
          attention_(checked_mul(attention_size_, threads, "workspace")),
          config_(c) {
        resize(max_rows);
    }
    /// Leaves a workspace that fits no model.
    Activations(Activations&&) = default;

    /// Rows that one pass may have.
    std::size_t max_rows() const { return max_rows_; }
    /// Whether it was made for models of this shape and for so many threads.
    bool fits(const ModelConfig& c, std::size_t threads) const {
        return hidden.cols == c.hidden_size && qkv.cols == c.qkv_size() && attended.cols == c.query_size() &&
               fed.cols == c.intermediate_size && attention_.size() >= attention_size_ * threads &&
               attention_size_ >= attention_size(c, max_rows_);
    }
    /// The rows of the coming pass. Throws ArgumentError for more than max_rows().
    void resize(std::size_t rows) {
        if (rows > max_rows_)
            throw ArgumentError(
                "workspace", "expected at most " + std::to_string(max_rows_) + " rows, found " + std::to_string(rows));
        float* next = storage_.data();
        for (const auto& [view, cols] : {std::pair(&hidden, config_.hidden_size),
                                         {&normed, config_.hidden_size},
                                         {&projected, config_.hidden_size},
                                         {&qkv, config_.qkv_size()},
                                         {&attended, config_.query_size()}}) {
            *view = {next, rows, cols, stride(cols)};
            next += max_rows_ * stride(cols);
        }
        fed = {next, rows, config_.intermediate_size, packed_bf16_stride(config_.intermediate_size)};
    }

    Rows<float> hidden;      ///< [rows, hidden]: the residual stream
    Rows<float> normed;      ///< [rows, hidden]
    Rows<float> projected;   ///< [rows, hidden]: what a sub-block adds to the stream, where somebody looks
    Rows<float> qkv;         ///< [rows, query_size + 2 kv_size]
    Rows<float> attended;    ///< [rows, query_size]: the heads' outputs
    Rows<float> fed;         ///< [rows, intermediate]: silu(gate) * up, packed as the next product's input
    ProductScratch scratch;  ///< of the products

    /// The parts of qkv, of the pass's rows.
    /// @{
    Rows<float> q() const { return qkv.columns(0, config_.query_size()); }
    Rows<float> k() const { return qkv.columns(config_.query_size(), config_.kv_size()); }
    Rows<float> v() const { return qkv.columns(config_.query_size() + config_.kv_size(), config_.kv_size()); }
    /// @}
    /// One thread's own room for the attention of so many queries at once.
    AttentionRoom attention(std::size_t thread, std::size_t queries) {
        float* const sum = attention_.data() + thread * attention_size_;
        float* const next = sum + AttentionState::size(queries, config_.head_dim);
        return {{sum, queries, config_.head_dim},
                {next, queries, config_.head_dim},
                next + AttentionState::size(queries, config_.head_dim)};
    }

  private:
    /// No sum of rows overflows below this limit, which no memory reaches.
    static std::size_t checked_rows(std::size_t rows) {
        if (rows == 0) throw ArgumentError("workspace", "expected room for at least 1 row, found none");
        if (rows > std::size_t{1} << 40)
            throw ResourceError("workspace", "cannot reserve room for " + std::to_string(rows) + " rows");
        return rows;
    }
    static std::size_t widest_input(const ModelConfig& c) {
        return std::max({c.hidden_size, c.query_size(), c.intermediate_size});
    }
    static std::size_t widest_output(const ModelConfig& c) {
        return std::max({c.hidden_size, c.qkv_size(), gate_up_outputs(c)});
    }
    /// Floats of one thread's scratch for attention.
    static std::size_t attention_size(const ModelConfig& c, std::size_t max_rows) {
        const std::size_t queries = std::min(attention_rows(c.group()), max_rows) * c.group();
        return round_up(2 * AttentionState::size(queries, c.head_dim) + attention_scratch(queries, c.head_dim), 64);
    }
    /// From one row to the next: rows that lie 4 KiB or a multiple apart would share a few lines of the caches.
    static std::size_t stride(std::size_t cols) {
        const std::size_t padded = round_up(cols, lanes);
        return padded % 1024 == 0 ? padded + lanes : padded;
    }
    /// Floats of one row of everything.
    static std::size_t row_size(const ModelConfig& c) {
        return 3 * stride(c.hidden_size) + stride(c.qkv_size()) + stride(c.query_size()) +
               packed_bf16_stride(c.intermediate_size);
    }

    std::size_t max_rows_;
    Buffer<float> storage_;  // of all views: one buffer, so that it gets huge pages
    std::size_t attention_size_;
    Buffer<float> attention_;  // [threads, attention_size]
    ModelConfig config_;
};

inline void Pass::show_qkv(std::size_t layer, const Activations& a, const char* q, const char* k, const char* v) const {
    show(q, static_cast<int>(layer), a.q());
    show(k, static_cast<int>(layer), a.k());
    if (v) show(v, static_cast<int>(layer), a.v());
}

/// a.hidden += x * weight^T (x as multiply takes it), in one go unless somebody wants to see the product under
/// `name`: the same bits.
template <class Weight>
void add_product(const Pass& pass, std::size_t layer, Activations& a, Rows<const float> x, const Matrix<Weight>& weight,
                 const char* name) {
    const Timed timed(pass, name, static_cast<int>(layer), product_cost(x.rows, weight));
    if (!pass.tap) return multiply(pass.compute, x, weight, nullptr, Epilogue::add, a.hidden, a.scratch);
    multiply(pass.compute, x, weight, nullptr, Epilogue::store, a.projected, a.scratch);
    pass.show(name, static_cast<int>(layer), a.projected);
    add(pass.compute, a.projected, a.hidden);
}

}  // namespace eigenlm::inline EIGENLM_ABI
