#pragma once
// Root mean square normalisation (Zhang and Sennrich, 2019).
#include "../base/buffer.hpp"
#include "pass.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Root mean square normalisation with a gain.
class RmsNorm {
  public:
    /// gain: [size]
    RmsNorm(Buffer<float> gain, float epsilon) : gain_(std::move(gain)), epsilon_(epsilon) {}

    /// out = x / sqrt(mean(x^2) + epsilon) * gain, row by row; packed at once as the input of products with
    /// `next`. Shown under `name`.
    template <class Weight>
    void apply(const Pass& pass, const char* name, int layer, Rows<const float> x, Rows<float> out,
               const Matrix<Weight>& next, ProductScratch& scratch) const {
        {
            const Timed timed(pass, name, layer);
            each_row(pass.compute, x.rows, x.rows * x.cols, [&](std::size_t r, std::size_t) {
                pass.compute.kernels.rms_norm(x[r], gain_.data(), epsilon_, x.cols, out[r]);
                pack_row(pass.compute, next, out, r, scratch);
            });
        }
        pass.show(name, layer, out);
    }
    /// x, [size], in place.
    void operator()(const KernelTable& kernels, float* x) const {
        kernels.rms_norm(x, gain_.data(), epsilon_, gain_.size(), x);
    }

  private:
    Buffer<float> gain_;
    float epsilon_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
