#pragma once
// Grouped-query attention (Ainslie et al., 2023) over the KV cache. Rows carry their own positions, so prefill (many
// rows of one sequence, causal by attending to keys up to the row's own position) and decode (one row a sequence, which
// sees the whole cache and needs no mask) are one piece of code.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>

#include "../weights/layer.hpp"
#include "norm.hpp"
#include "pass.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// What lies between the projections, whatever the weights' type: heads are normalised, rotated and kept, and attend.
class AttentionHeads {
  public:
    /// Those of block number `layer`. The norms' gains, [head_dim] each, may be empty where norm() is not called.
    AttentionHeads(const ModelConfig& config, std::size_t layer, Buffer<float> q_norm, Buffer<float> k_norm)
        : num_heads_(config.num_heads),
          num_kv_heads_(config.num_kv_heads),
          head_dim_(config.head_dim),
          layer_(layer),
          num_layers_(config.num_layers),
          window_(config.window(layer) != 0 ? config.window(layer) : std::numeric_limits<std::size_t>::max()),
          rope_layout_(config.rope_layout),
          scale_(scale(config.head_dim)),
          q_norm_(std::move(q_norm), config.rms_norm_eps),
          k_norm_(std::move(k_norm), config.rms_norm_eps) {}

    /// The number of the block it belongs to.
    std::size_t layer() const { return layer_; }

    /// RMSNorm of each head of a.q() and a.k(), in place.
    void norm(const Pass& pass, Activations& a) const {
        const Timed timed(pass, "qk_norm", static_cast<int>(layer_));
        each_row(pass.compute, a.qkv.rows, a.qkv.rows * a.qkv.cols, [&](std::size_t row, std::size_t) {
            for (std::size_t h = 0; h < num_heads_; ++h) q_norm_(pass.compute.kernels, a.q()[row] + h * head_dim_);
            for (std::size_t h = 0; h < num_kv_heads_; ++h) k_norm_(pass.compute.kernels, a.k()[row] + h * head_dim_);
        });
    }

    /// Rotates a.q() and a.k() in place; keys and values go into the rows' caches.
    void rotate_and_store(const Pass& pass, Activations& a) const {
        const Timed timed(pass, "rope", static_cast<int>(layer_));
        const std::size_t d = head_dim_, heads = num_heads_ + num_kv_heads_;
        for (const Segment& segment : pass.segments) {
            const LayerCache cache = segment.cache->layer(layer_);
            each_row(pass.compute, segment.rows, segment.rows * a.qkv.cols, [&](std::size_t i, std::size_t) {
                const std::size_t row = segment.first_row + i, position = segment.position(row);
                const float *cos = pass.rope.cos(position), *sin = pass.rope.sin(position);
                for (std::size_t h = 0; h < heads; ++h)  // k's heads follow q's
                    pass.compute.kernels.rope(a.qkv[row] + h * d, cos, sin, d, rope_layout_);
                for (std::size_t h = 0; h < num_kv_heads_; ++h)
                    cache.store(position, h, a.k()[row] + h * d, a.v()[row] + h * d);
            });
        }
    }

    /// a.q() and the caches -> a.attended
    void attend(const Pass& pass, Activations& a) const {
        const Timed timed(pass, "attention", static_cast<int>(layer_), cost(pass));
        for (const Segment& segment : pass.segments) {
            const std::size_t length = segment.cache->length() + segment.rows;
            if (segment.rows == 1 && length > kv_section && pass.compute.pool.size() > 1)
                attend_in_sections(pass, segment, a);
            else
                attend_in_rows(pass, segment, a);
        }
    }

  private:
    /// Threads split rows and heads.
    void attend_in_rows(const Pass& pass, const Segment& segment, Activations& a) const {
        const std::size_t group = num_heads_ / num_kv_heads_;
        // Several parts for each thread: they take different times.
        const std::size_t share = ceil_div(segment.rows * num_kv_heads_, 4 * pass.compute.pool.size());
        const std::size_t at_once = std::min(attention_rows(group), share), parts = ceil_div(segment.rows, at_once);
        each(pass.compute, parts * num_kv_heads_, 1, work(segment), [&](std::size_t task, std::size_t thread) {
            const std::size_t part = parts - 1 - task / num_kv_heads_;  // those with the most keys first
            const std::size_t rows = std::min(at_once, segment.rows - part * at_once);
            const AttentionRoom room = a.attention(thread, rows * group);
            const AttentionCall call =
                this->call(segment, a, segment.first_row + part * at_once, rows, task % num_kv_heads_, room.scratch);
            attend_to_all(pass.compute.kernels, segment.cache->type(), call, room.sum, room.next);
        });
    }
    /// One position that attends to many: threads split sections and heads.
    void attend_in_sections(const Pass& pass, const Segment& segment, Activations& a) const {
        const KernelTable& kernels = pass.compute.kernels;
        const std::size_t group = num_heads_ / num_kv_heads_, type = static_cast<std::size_t>(segment.cache->type());
        const auto call_of = [&](std::size_t kv_head, std::size_t thread) {
            return call(segment, a, segment.first_row, 1, kv_head, a.attention(thread, group).scratch);
        };
        const AttentionCall any = call_of(0, 0);
        const std::size_t first = any.first_section(), sections = any.last_section() - first;
        each(pass.compute, num_kv_heads_ * sections, 1, work(segment), [&](std::size_t task, std::size_t thread) {
            const std::size_t kv_head = task / sections, section = first + task % sections;
            kernels.attend[type](call_of(kv_head, thread), section, segment.cache->state(kv_head, section, group));
        });
        for (std::size_t kv_head = 0; kv_head < num_kv_heads_; ++kv_head) {
            const AttentionState sum = segment.cache->state(kv_head, first, group);
            for (std::size_t section = first + 1; section < first + sections; ++section)
                kernels.merge_attention(segment.cache->state(kv_head, section, group), sum);
            kernels.finish_attention(call_of(kv_head, 0), sum);
        }
    }

    AttentionCall call(const Segment& segment, Activations& a, std::size_t row, std::size_t rows, std::size_t kv_head,
                       float* scratch) const {
        const std::size_t group = num_heads_ / num_kv_heads_, width = group * head_dim_;  // that share a kv head
        const LayerCache cache = segment.cache->layer(layer_);
        return {.q = a.q().middle(row, rows).columns(kv_head * width, width),
                .cache = cache.head(kv_head),
                .blocks = cache.blocks(),
                .block_stride = cache.block_stride(),
                .position = segment.position(row),
                .window = window_,
                .group = group,
                .head_dim = head_dim_,
                .scale = scale_,
                .out = a.attended.middle(row, rows).columns(kv_head * width, width),
                .scratch = scratch};
    }
    /// Of all rows: each position's keys and values are counted once for its sequence.
    Cost cost(const Pass& pass) const {
        Cost sum;
        for (const Segment& segment : pass.segments) {
            const std::size_t before = segment.cache->length(), length = before + segment.rows;
            const std::size_t first = before + 1 > window_ ? before + 1 - window_ : 0;
            double keys = 0;  // of all rows
            for (std::size_t position = before; position < length; ++position)
                keys += static_cast<double>(std::min(position + 1, window_));
            sum.bytes += static_cast<double>(length - first) *
                         static_cast<double>(segment.cache->bytes_per_position() / num_layers_);
            sum.operations += 4 * keys * static_cast<double>(num_heads_ * head_dim_);
        }
        return sum;
    }
    /// Multiply-adds, roughly.
    std::size_t work(const Segment& segment) const {
        return segment.rows * std::min(segment.cache->length() + segment.rows, window_) * num_heads_ * head_dim_;
    }
    static float scale(std::size_t head_dim) {
        const FloatState state;
        return static_cast<float>(std::numbers::log2e / std::sqrt(static_cast<double>(head_dim)));
    }

    std::size_t num_heads_, num_kv_heads_, head_dim_;
    std::size_t layer_, num_layers_;
    std::size_t window_;  // positions that one attends to at most, its own included
    RopeLayout rope_layout_;
    float scale_;
    RmsNorm q_norm_, k_norm_;  // [head_dim], or empty
};

/// The attention of one block: its projections, rotations and softmax.
template <class Arch, class Weight>
class Attention {
  public:
    /// Takes its part of the layer's weights.
    Attention(const ModelConfig& config, std::size_t layer, LayerWeights<Weight>& w)
        : heads_(config, layer, std::move(w.q_norm), std::move(w.k_norm)),
          qkv_(std::move(w.qkv)),
          qkv_bias_(std::move(w.qkv_bias)),
          output_(std::move(w.attention_output)) {}

    /// a.hidden += what attention makes of a.normed; the rows' keys and values go into their caches.
    void operator()(const Pass& pass, Activations& a) const {
        const float* bias = Arch::qkv_bias ? qkv_bias_.data() : nullptr;
        const int layer = static_cast<int>(heads_.layer());
        {
            const Timed timed(pass, "qkv_proj", layer, product_cost(a.normed.rows, qkv_));
            multiply(pass.compute, packed(qkv_, a.normed, a.scratch), qkv_, bias, Epilogue::store, a.qkv, a.scratch);
        }
        pass.show_qkv(heads_.layer(), a, "q_proj", "k_proj", "v_proj");
        if constexpr (Arch::qk_norm) {
            heads_.norm(pass, a);
            pass.show_qkv(heads_.layer(), a, "q_norm", "k_norm");
        }
        heads_.rotate_and_store(pass, a);
        pass.show_qkv(heads_.layer(), a, "q_rope", "k_rope");
        heads_.attend(pass, a);
        {
            const Timed timed(pass, "pack", layer);
            pack(pass.compute, output_, a.attended, a.scratch);
        }
        add_product(pass, heads_.layer(), a, packed(output_, a.attended, a.scratch), output_, "o_proj");
    }
    /// The matrix of the first product.
    const Matrix<Weight>& input() const { return qkv_; }

  private:
    AttentionHeads heads_;
    Matrix<Weight> qkv_;      // [query_size + 2 kv_size, hidden]
    Buffer<float> qkv_bias_;  // [query_size + 2 kv_size], or empty
    Matrix<Weight> output_;   // [hidden, query_size]
};

}  // namespace eigenlm::inline EIGENLM_ABI
