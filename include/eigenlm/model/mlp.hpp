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
            multiply(pass.compute, packed<Weight>(a.normed, a.scratch), gate_up_, nullptr, Epilogue::silu_mul, a.fed,
                     a.scratch);
        }
        add_product(pass, layer, a, a.fed, down_, "down_proj");
    }

  private:
    Matrix<Weight> gate_up_;  // [gate_up_outputs, hidden]
    Matrix<Weight> down_;     // [hidden, intermediate]
};

}  // namespace eigenlm::inline EIGENLM_ABI
