#pragma once
// One decoder block.
#include "attention.hpp"
#include "mlp.hpp"
#include "norm.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// One decoder block: attention and feed-forward part, each normalised first and added to the residual stream.
template <class Arch, class Weight>
class DecoderBlock {
  public:
    /// Block number `layer` of a model.
    DecoderBlock(const ModelConfig& config, std::size_t layer, LayerWeights<Weight> w)
        : attention_norm_(std::move(w.attention_norm), config.rms_norm_eps),
          attention_(config, layer, w),
          mlp_norm_(std::move(w.mlp_norm), config.rms_norm_eps),
          mlp_(std::move(w.gate_up), std::move(w.down)) {}

    /// Takes the residual stream a.hidden through block number `layer`.
    void operator()(const Pass& pass, std::size_t layer, Activations& a) const {
        const int number = static_cast<int>(layer);
        attention_norm_.apply(pass, "input_layernorm", number, a.hidden, a.normed, attention_.input(), a.scratch);
        attention_(pass, a);

        mlp_norm_.apply(pass, "post_attention_layernorm", number, a.hidden, a.normed, mlp_.input(), a.scratch);
        mlp_(pass, layer, a);
        pass.show("layer", number, a.hidden);
    }

  private:
    RmsNorm attention_norm_;
    Attention<Arch, Weight> attention_;
    RmsNorm mlp_norm_;
    Mlp<Weight> mlp_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
