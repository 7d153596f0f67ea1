#pragma once
// The kernels of one level, run over rows of activations on all threads.
#include <cstddef>

#include "../base/parallel.hpp"
#include "../kernels/dispatch.hpp"
#include "../weights/quantised.hpp"

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

/// Calls f(i, thread) for every i < count, on all threads when `work` (multiply-adds, roughly) is worth it; `grain` at
/// a time.
template <class F>
void each(const Compute& compute, std::size_t count, std::size_t grain, std::size_t work, const F& f) {
    const auto part = [&f](std::size_t begin, std::size_t end, std::size_t thread) {
        for (std::size_t i = begin; i < end; ++i) f(i, thread);
    };
    if (work < detail::parallel_work)
        part(0, count, 0);
    else
        compute.pool.for_each(count, grain, part);
}
/// The same for rows of activations: 16 rows are packed together.
template <class F>
void each_row(const Compute& compute, std::size_t rows, std::size_t work, const F& f) {
    each(compute, rows, rows < 32 * compute.pool.size() ? 1 : 16, work, f);
}

/// Floats that a row of a product's packed input takes at most.
constexpr std::size_t packed_input_size(std::size_t inputs) {
    const std::size_t bf16 = packed_bf16_stride(inputs), quantised = quantised_lines(inputs) * lanes;
    return bf16 > quantised ? bf16 : quantised;
}

/// What products of several rows need beside their input and output, allocated once.
struct ProductScratch {
    /// For products of up to `rows` rows, `inputs` inputs and `outputs` outputs.
    ProductScratch(std::size_t rows, std::size_t inputs, std::size_t outputs)
        : packed(checked_mul(round_up(rows, 16), packed_input_size(inputs), "workspace")),
          partial((checked_mul(rows + 16, outputs + 5 * lanes, "workspace"), matmul_partial(rows, outputs))) {}

    Buffer<float> packed;   ///< the input, as pack_bf16 or pack_quantised leaves it
    Buffer<float> partial;  ///< unfinished sums
};

namespace detail {

/// Panels [first, last) of a product.
/// @{
inline void run(const KernelTable& kernels, const Product& m, const Matrix<F32>& weight, std::size_t first,
                std::size_t last) {
    kernels.matmul_f32({m, weight.data()}, first, last);
}
inline void run(const KernelTable& kernels, const Product& m, const Matrix<F16>& weight, std::size_t first,
                std::size_t last) {
    kernels.matmul_f16({m, weight.data()}, first, last);
}
inline void run(const KernelTable& kernels, const Product& m, const Matrix<Bf16>& weight, std::size_t first,
                std::size_t last) {
    kernels.matmul_bf16({m, weight.data()}, first, last);
}
inline void run(const KernelTable& kernels, const Product& m, const QuantisedMatrix& weight, std::size_t first,
                std::size_t last) {
    kernels.matmul_quantised({m, weight.data(), weight.dtype()}, first, last);
}
/// @}

/// Panels that a thread takes at a time: few of those that are read for one row alone, so that all threads are done at
/// the same time; more where several rows share them, since each time the rows are read anew.
inline std::size_t panels_at_once(std::size_t rows, std::size_t panels, std::size_t threads) {
    return rows == 1 ? 8 : round_up(ceil_div(panels, 4 * threads), 8);
}

/// A product with a matrix of one type.
template <class M>
void multiply_part(const Compute& compute, const Product& product, const M& weight) {
    const auto panels = [&](std::size_t first, std::size_t last, std::size_t) {
        run(compute.kernels, product, weight, first, last);
    };
    const std::size_t rows = product.x.rows;
    if (rows * weight.inputs() * weight.outputs() < parallel_work)
        panels(0, weight.panels(), 0);
    else
        compute.pool.split(weight.panels(), 2, panels_at_once(rows, weight.panels(), compute.pool.size()), panels);
}
template <class Weight>
void multiply_parts(const Compute& compute, const Product& product, const Matrix<Weight>& weight) {
    multiply_part(compute, product, weight);
}
inline void multiply_parts(const Compute& compute, const Product& whole, const Matrix<Quantised>& weight) {
    std::size_t first = 0;
    for (const auto& any : weight.parts())
        std::visit(
            [&](const auto& part) {
                Product product = whole;
                product.outputs = part.outputs();
                if (weight.parts().size() > 1) {  // silu_mul's outputs are half as many, and all in one part
                    product.out = whole.out.columns(first, part.outputs());
                    if (whole.bias) product.bias = whole.bias + first;
                }
                multiply_part(compute, product, part);
                first += part.outputs();
            },
            any);
}

}  // namespace detail

/// Packs row r of x where products with this matrix want that. Called for every row, in any order.
template <class Weight>
void pack_row(const Compute& compute, const Matrix<Weight>& weight, Rows<const float> x, std::size_t r,
              ProductScratch& scratch) {
    if (weight.input() == ProductInput::bf16)  // as the hardware's instructions take them
        compute.kernels.pack_bf16(x[r], x.cols, r, x.rows, scratch.packed.data());
    else if (weight.input() == ProductInput::quantised)
        compute.kernels.pack_quantised(x[r], x.cols, r, x.rows, scratch.packed.data());
}

/// The input of products with this matrix where every row has been packed: x itself, or what pack_row has made of it.
template <class Weight>
Rows<const float> packed(const Matrix<Weight>& weight, Rows<const float> x, const ProductScratch& scratch) {
    if (weight.input() == ProductInput::plain) return x;
    const bool bf16 = weight.input() == ProductInput::bf16;
    return {scratch.packed.data(), x.rows, x.cols, bf16 ? packed_bf16_stride(x.cols) : quantised_lines(x.cols) * lanes};
}
/// Packs all rows of x, where that is wanted; the input of products with this matrix.
template <class Weight>
Rows<const float> pack(const Compute& compute, const Matrix<Weight>& weight, Rows<const float> x,
                       ProductScratch& scratch) {
    if (weight.input() != ProductInput::plain)
        each_row(compute, x.rows, x.rows * x.cols,
                 [&](std::size_t r, std::size_t) { pack_row(compute, weight, x, r, scratch); });
    return packed(weight, x, scratch);
}

/// out = x * weight^T + bias, or what the epilogue makes of it.   x: [rows, inputs], see pack; bias: [outputs] or
/// null; out: [rows, outputs], see Epilogue
template <class Weight>
void multiply(const Compute& compute, Rows<const float> x, const Matrix<Weight>& weight, const float* bias,
              Epilogue epilogue, Rows<float> out, ProductScratch& scratch) {
    detail::multiply_parts(
        compute, {x, weight.outputs(), bias, epilogue, out, scratch.partial.data(), scratch.partial.size()}, weight);
}

/// hidden += x, [rows, cols]
inline void add(const Compute& compute, Rows<const float> x, Rows<float> hidden) {
    each_row(compute, x.rows, x.rows * x.cols,
             [&](std::size_t r, std::size_t) { compute.kernels.add(x[r], x.cols, hidden[r]); });
}

}  // namespace eigenlm::inline EIGENLM_ABI
