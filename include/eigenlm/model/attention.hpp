#pragma once
// Grouped-query attention (Ainslie et al., 2023) over the KV cache. Rows carry their own positions, so prefill (many rows
// of one sequence, causal by attending to keys up to the row's own position) and decode (one row a sequence, which sees
// the whole cache and needs no mask) are one piece of code.
#include <cmath>
#include <cstddef>

#include "pass.hpp"

namespace eigenlm::inline EIGENLM_ABI {

template <class Arch, class Weight>
class Attention {
  public:
    Attention(const ModelConfig& config, Matrix<Weight> qkv, Buffer<float> qkv_bias, Matrix<Weight> output)
        : config_(config),
          scale_(scale(config.head_dim)),
          qkv_(std::move(qkv)),
          qkv_bias_(std::move(qkv_bias)),
          output_(std::move(output)) {}

    /// a.normed -> a.projected; the rows' keys and values go into layer `layer` of their caches.
    void operator()(const Pass& pass, std::size_t layer, Activations& a) const {
        const float* bias = Arch::qkv_bias ? qkv_bias_.data() : nullptr;
        multiply(pass.compute, a.normed, qkv_, bias, a.qkv);
        show(pass, layer, a, "q_proj", "k_proj", "v_proj");
        rotate_and_store(pass, layer, a);
        show(pass, layer, a, "q_rope", "k_rope", nullptr);
        attend(pass, layer, a);
        multiply(pass.compute, a.attended, output_, nullptr, a.projected);
        pass.show("o_proj", static_cast<int>(layer), a.projected);
    }

  private:
    static float scale(std::size_t head_dim) {
        const FloatState state;
        return static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
    }
    static void show(const Pass& pass, std::size_t layer, const Activations& a, const char* q, const char* k, const char* v) {
        if (!pass.tap) return;
        pass.show(q, static_cast<int>(layer), a.q());
        pass.show(k, static_cast<int>(layer), a.k());
        if (v) pass.show(v, static_cast<int>(layer), a.v());
    }

    void rotate_and_store(const Pass& pass, std::size_t layer, Activations& a) const {
        const std::size_t d = config_.head_dim, heads = config_.num_heads + config_.num_kv_heads;
        for (const Segment& segment : pass.segments) {
            const LayerCache cache = segment.cache->layer(layer);
            each_row(pass.compute, segment.rows, segment.rows * a.qkv.cols, [&](std::size_t i, std::size_t) {
                const std::size_t row = segment.first_row + i, position = segment.position(row);
                const float *cos = pass.rope.cos(position), *sin = pass.rope.sin(position);
                for (std::size_t h = 0; h < heads; ++h)  // k's heads follow q's
                    pass.compute.kernels.rope(a.qkv[row] + h * d, cos, sin, d, config_.rope_layout);
                for (std::size_t h = 0; h < config_.num_kv_heads; ++h)
                    cache.store(position, h, a.k()[row] + h * d, a.v()[row] + h * d);
            });
        }
    }

    void attend(const Pass& pass, std::size_t layer, Activations& a) const {
        const std::size_t kv_heads = config_.num_kv_heads, d = config_.head_dim;
        for (const Segment& segment : pass.segments) {
            const LayerCache cache = segment.cache->layer(layer);
            const std::size_t work = segment.rows * (segment.cache->length() + segment.rows) * config_.query_size();
            each_row(pass.compute, segment.rows * kv_heads, work, [&](std::size_t task, std::size_t thread) {
                const std::size_t row = segment.first_row + task / kv_heads, kv_head = task % kv_heads;
                const std::size_t first = kv_head * config_.group() * d;  // this group's query heads
                pass.compute.kernels.attention_f32({
                    .q = a.q()[row] + first,
                    .cache = cache.head(kv_head),
                    .blocks = cache.blocks(),
                    .block_stride = cache.block_stride(),
                    .values_offset = cache.values_offset(),
                    .value_stride = LayerCache::value_stride(d),
                    .length = segment.position(row) + 1,
                    .group = config_.group(),
                    .head_dim = d,
                    .scale = scale_,
                    .out = a.attended[row] + first,
                    .scratch = a.scratch(thread),
                });
            });
        }
    }

    ModelConfig config_;
    float scale_;
    Matrix<Weight> qkv_;      // [query_size + 2 kv_size, hidden]
    Buffer<float> qkv_bias_;  // [query_size + 2 kv_size], or empty
    Matrix<Weight> output_;   // [hidden, query_size]
};

}  // namespace eigenlm::inline EIGENLM_ABI
