#pragma once
// The gated feed-forward part of a block: SwiGLU (Shazeer, 2020).
#include "pass.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// The feed-forward part of one block.
template <class Weight>
class Mlp {
  public:
    /// gate_up: [2 intermediate, hidden], down: [hidden, intermediate]
    Mlp(Matrix<Weight> gate_up, Matrix<Weight> down) : gate_up_(std::move(gate_up)), down_(std::move(down)) {}

    /// a.projected = down(silu(gate(a.normed)) * up(a.normed))
    void operator()(const Pass& pass, Activations& a) const {
        multiply(pass.compute, a.normed, gate_up_, nullptr, a.gate_up, a.narrow);
        const Rows<float> gate = a.gate(), up = a.up();
        each_row(pass.compute, gate.rows, gate.rows * gate.cols * 8, [&](std::size_t r, std::size_t) {
            pass.compute.kernels.silu_mul(gate[r], up[r], gate.cols, gate[r]);
        });
        multiply(pass.compute, gate, down_, nullptr, a.projected, a.narrow);
    }

  private:
    Matrix<Weight> gate_up_;  // [2 intermediate, hidden]
    Matrix<Weight> down_;     // [hidden, intermediate]
};

}  // namespace eigenlm::inline EIGENLM_ABI
