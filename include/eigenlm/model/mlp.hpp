#pragma once
// The gated feed-forward part of a block: SwiGLU (Shazeer, 2020).
#include "pass.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// The feed-forward part of one block.
template <class Weight>
class Mlp {
  public:
    /// gate_up: as LayerWeights has it, down: [hidden, intermediate]
    Mlp(Matrix<Weight> gate_up, Matrix<Weight> down) : gate_up_(std::move(gate_up)), down_(std::move(down)) {}

    /// a.hidden += down(silu(gate(a.normed)) * up(a.normed))
    void operator()(const Pass& pass, std::size_t layer, Activations& a) const {
        {
            const Timed timed(pass, "gate_up_proj", static_cast<int>(layer), product_cost(a.normed.rows, gate_up_));
            multiply(pass.compute, packed(gate_up_, a.normed, a.scratch), gate_up_, nullptr, Epilogue::silu_mul, a.fed,
                     a.scratch);
        }
        add_product(pass, layer, a, pack_fed(pass, layer, a), down_, "down_proj");
    }
    /// The matrix of the first product.
    const Matrix<Weight>& input() const { return gate_up_; }

  private:
    /// The second product's input: a bf16 product has packed what it made of its sums.
    Rows<const float> pack_fed(const Pass& pass, std::size_t layer, Activations& a) const {
        if (gate_up_.input() == ProductInput::bf16 || down_.input() == ProductInput::plain) return a.fed;
        const Timed timed(pass, "pack", static_cast<int>(layer));
        return pack(pass.compute, down_, a.fed, a.scratch);
    }

    Matrix<Weight> gate_up_;  // [gate_up_outputs, hidden]
    Matrix<Weight> down_;     // [hidden, intermediate]
};

}  // namespace eigenlm::inline EIGENLM_ABI
