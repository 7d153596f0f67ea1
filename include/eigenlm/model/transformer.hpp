#pragma once
// A decoder-only transformer: embedding, blocks, final norm, head.
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "arch.hpp"
#include "block.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// A model's weights and its arithmetic, of any architecture and weight type. Immutable: any number of threads may run
/// passes over it, each with Activations and caches of its own.
class AnyTransformer {
  public:
    virtual ~AnyTransformer() = default;

    /// ids -> a.hidden, the residual stream behind the last block, [ids.size(), hidden]. The rows' keys and values are
    /// written to their caches, whose lengths the caller advances. Throws CancelledError once pass.stop is requested.
    /// That ids, caches and activations fit the model is checked by the callers of passes: prefill and decode.
    virtual void forward(const Pass& pass, std::span<const TokenId> ids, Activations& a) const = 0;
    /// The logits of rows [first, first + out.rows) of a.hidden, as the last forward left it.   out: [rows, vocab]
    virtual void logits(const Pass& pass, std::size_t first, Activations& a, Rows<float> out) const = 0;

    /// The model's shape.
    const ModelConfig& config() const { return config_; }
    /// How the matrices are packed: passes must use kernels that want it so.
    WeightLayout layout() const { return layout_; }
    /// Bytes of the packed matrices.
    std::size_t weight_bytes() const { return weight_bytes_; }
    /// Those of them that every decode step reads, all sequences of it together: an embedding of its own, out of which
    /// rows are gathered, does not count.
    std::size_t streamed_bytes() const { return streamed_bytes_; }
    /// How the weights are stored: most of them, where they have several types.
    WeightType dtype() const { return dtype_; }

  protected:
    /// For Transformer.
    template <class Weight>
    explicit AnyTransformer(const ModelWeights<Weight>& weights)
        : config_(weights.config),
          dtype_(weights.dtype),
          layout_(weights.embedding.layout()),
          weight_bytes_(weights.bytes()),
          streamed_bytes_(weights.streamed_bytes()) {}

  private:
    ModelConfig config_;
    WeightType dtype_;
    WeightLayout layout_;
    std::size_t weight_bytes_, streamed_bytes_;
};

/// One architecture with one weight type; see AnyTransformer.
template <class Arch, class Weight>
class Transformer final : public AnyTransformer {
  public:
    /// Takes weights as load_weights makes them for this Arch; their shapes are not checked again.
    explicit Transformer(ModelWeights<Weight> weights)
        : AnyTransformer(weights),
          embedding_(std::move(weights.embedding)),
          final_norm_(std::move(weights.final_norm), config().rms_norm_eps),
          head_(std::move(weights.head)) {
        blocks_.reserve(weights.layers.size());
        for (std::size_t l = 0; l < weights.layers.size(); ++l)
            blocks_.emplace_back(config(), l, std::move(weights.layers[l]));
    }

    void forward(const Pass& pass, std::span<const TokenId> ids, Activations& a) const override {
        a.resize(ids.size());
        embed(pass, ids, a.hidden);
        for (std::size_t l = 0; l < blocks_.size(); ++l) {
            throw_if_stopped(pass.stop, pass.stage);
            blocks_[l](pass, l, a);
        }
    }

    void logits(const Pass& pass, std::size_t first, Activations& a, Rows<float> out) const override {
        const Rows<float> normed = a.normed.middle(first, out.rows);
        const Matrix<Weight>& head = head_.empty() ? embedding_ : head_;
        final_norm_.apply(pass, "norm", -1, a.hidden.middle(first, out.rows), normed, head, a.scratch);
        const Timed timed(pass, "lm_head", -1, product_cost(out.rows, head));
        multiply(pass.compute, packed(head, normed, a.scratch), head, nullptr, Epilogue::store, out, a.scratch);
    }

  private:
    void embed(const Pass& pass, std::span<const TokenId> ids, Rows<float> hidden) const {
        const Timed timed(pass, "embed_tokens", -1);
        for (std::size_t r = 0; r < ids.size(); ++r)
            embedding_.get_row(static_cast<std::size_t>(ids[r]), hidden.row(r));
        pass.show("embed_tokens", -1, hidden);
    }

    Matrix<Weight> embedding_;  // [vocab, hidden]
    std::vector<DecoderBlock<Arch, Weight>> blocks_;
    RmsNorm final_norm_;
    Matrix<Weight> head_;  // [vocab, hidden]; empty when tied to the embedding
};

#if defined(EIGENLM_EXTERN_TEMPLATES)
#if !EIGENLM_DEFINE_LARGE
#define EIGENLM_TRANSFORMER extern template class Transformer
#else
#define EIGENLM_TRANSFORMER template class Transformer
#endif
EIGENLM_TRANSFORMER<Llama, F32>;
EIGENLM_TRANSFORMER<Llama, Bf16>;
EIGENLM_TRANSFORMER<Llama, F16>;
EIGENLM_TRANSFORMER<Llama, Quantised>;
EIGENLM_TRANSFORMER<Qwen2, F32>;
EIGENLM_TRANSFORMER<Qwen2, Bf16>;
EIGENLM_TRANSFORMER<Qwen2, F16>;
EIGENLM_TRANSFORMER<Qwen2, Quantised>;
EIGENLM_TRANSFORMER<Qwen3, F32>;
EIGENLM_TRANSFORMER<Qwen3, Bf16>;
EIGENLM_TRANSFORMER<Qwen3, F16>;
EIGENLM_TRANSFORMER<Qwen3, Quantised>;
#undef EIGENLM_TRANSFORMER
#endif

}  // namespace eigenlm::inline EIGENLM_ABI
