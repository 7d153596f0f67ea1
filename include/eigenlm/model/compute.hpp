#pragma once
// The kernels of one level, run over rows of activations on all threads.
#include <cstddef>

#include "../base/parallel.hpp"
#include "../kernels/dispatch.hpp"
#include "../weights/matrix.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Where and with what a pass computes. Both outlive it.
struct Compute {
    const KernelTable& kernels;
    ThreadPool& pool;
};

namespace detail {
/// Multiply-adds below which waking the other threads costs more than they save.
inline constexpr std::size_t parallel_work = 1 << 16;
}  // namespace detail

/// out = x * weight^T + bias.   x: [rows, inputs], bias: [outputs] or null, out: [rows, outputs]
inline void multiply(const Compute& compute, Rows<const float> x, const Matrix<F32>& weight, const float* bias,
                     Rows<float> out) {
    const MatmulF32 product{x, weight.data(), bias, out};
    const auto panels = [&](std::size_t first, std::size_t last, std::size_t) {
        compute.kernels.matmul_f32(product, first, last);
    };
    if (x.rows * weight.inputs() * weight.outputs() < detail::parallel_work)
        panels(0, weight.panels(), 0);
    else
        compute.pool.split(weight.panels(), 1, panels);
}

/// Calls f(row, thread) for every row, on all threads when `work` (multiply-adds, roughly) is worth it.
template <class F>
void each_row(const Compute& compute, std::size_t rows, std::size_t work, const F& f) {
    const auto part = [&f](std::size_t begin, std::size_t end, std::size_t thread) {
        for (std::size_t r = begin; r < end; ++r) f(r, thread);
    };
    if (work < detail::parallel_work)
        part(0, rows, 0);
    else
        compute.pool.for_each(rows, 1, part);
}

/// hidden += x, [rows, cols]
inline void add(const Compute& compute, Rows<const float> x, Rows<float> hidden) {
    each_row(compute, x.rows, x.rows * x.cols, [&](std::size_t r, std::size_t) {
        compute.kernels.add(x[r], x.cols, hidden[r]);
    });
}

}  // namespace eigenlm::inline EIGENLM_ABI
