#pragma once
// The kernels of one level, run over rows of activations on all threads.
#include <cstddef>

#include "../base/parallel.hpp"
#include "../kernels/dispatch.hpp"
#include "../weights/matrix.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Where and with what a pass computes. Both outlive it.
struct Compute {
    const KernelTable& kernels;  ///< what computes; its layout must be the weights'
    ThreadPool& pool;            ///< the threads it computes on
};

namespace detail {
/// Multiply-adds below which waking the other threads costs more than they save.
inline constexpr std::size_t parallel_work = 1 << 16;
}  // namespace detail

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

/// Room for the rows of a product's input in another type.   [max rows, largest number of inputs, filled up]
using NarrowRows = Buffer<std::uint16_t>;

namespace detail {

template <class Weight>
auto product(const Compute&, Rows<const float> x, const Matrix<Weight>& weight, const float* bias, Rows<float> out,
             NarrowRows&) {
    return Matmul<float, typename Weight::Storage>{x, weight.data(), bias, out};
}
/// bf16 weights take bf16 inputs, as the hardware's instructions do.
inline MatmulBf16 product(const Compute& compute, Rows<const float> x, const Matrix<Bf16>& weight, const float* bias,
                          Rows<float> out, NarrowRows& narrow) {
    const Rows<std::uint16_t> rounded = {narrow.data(), x.rows, x.cols, round_up(x.cols, bf16_chunk)};
    each_row(compute, x.rows, x.rows * x.cols,
             [&](std::size_t r, std::size_t) { compute.kernels.round_bf16(x[r], x.cols, rounded[r]); });
    return {rounded, weight.data(), bias, out};
}

inline void run(const KernelTable& kernels, const MatmulF32& m, std::size_t first, std::size_t last) {
    kernels.matmul_f32(m, first, last);
}
inline void run(const KernelTable& kernels, const MatmulF16& m, std::size_t first, std::size_t last) {
    kernels.matmul_f16(m, first, last);
}
inline void run(const KernelTable& kernels, const MatmulBf16& m, std::size_t first, std::size_t last) {
    kernels.matmul_bf16(m, first, last);
}

}  // namespace detail

/// out = x * weight^T + bias.   x: [rows, inputs], bias: [outputs] or null, out: [rows, outputs]
template <class Weight>
void multiply(const Compute& compute, Rows<const float> x, const Matrix<Weight>& weight, const float* bias,
              Rows<float> out, NarrowRows& narrow) {
    const auto product = detail::product(compute, x, weight, bias, out, narrow);
    const auto panels = [&](std::size_t first, std::size_t last, std::size_t) {
        detail::run(compute.kernels, product, first, last);
    };
    if (x.rows * weight.inputs() * weight.outputs() < detail::parallel_work)
        panels(0, weight.panels(), 0);
    else
        compute.pool.split(weight.panels(), 1, panels);
}

/// hidden += x, [rows, cols]
inline void add(const Compute& compute, Rows<const float> x, Rows<float> hidden) {
    each_row(compute, x.rows, x.rows * x.cols,
             [&](std::size_t r, std::size_t) { compute.kernels.add(x[r], x.cols, hidden[r]); });
}

}  // namespace eigenlm::inline EIGENLM_ABI
