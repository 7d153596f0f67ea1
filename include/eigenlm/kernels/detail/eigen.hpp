#pragma once
// The Eigen backend: the same operations as plain Eigen expressions over our memory. It stands in the benchmarks beside
// our own kernels and is outside the same-bits contract: Eigen reduces in an order of its own for each shape.
#include <cmath>
#include <cstddef>

#include <Eigen/Core>

#include "../table.hpp"

namespace eigenlm::inline EIGENLM_ABI::detail::eigen {

using Index = Eigen::Index;
using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstMatrix = Eigen::Map<const RowMajor, Eigen::Unaligned, Eigen::OuterStride<>>;
using Matrix = Eigen::Map<RowMajor, Eigen::Unaligned, Eigen::OuterStride<>>;
using ConstVector = Eigen::Map<const Eigen::ArrayXf>;
using Vector = Eigen::Map<Eigen::ArrayXf>;

inline Index index(std::size_t n) { return static_cast<Index>(n); }
inline ConstMatrix map(const float* data, std::size_t rows, std::size_t cols, std::size_t stride) {
    return ConstMatrix(data, index(rows), index(cols), Eigen::OuterStride<>(index(stride)));
}
inline ConstVector map(const float* data, std::size_t n) { return ConstVector(data, index(n)); }
inline Vector map(float* data, std::size_t n) { return Vector(data, index(n)); }

inline void matmul_f32(const MatmulF32& m, std::size_t first, std::size_t last) {
    const std::size_t k = m.x.cols, begin = first * lanes, end = last * lanes < m.out.cols ? last * lanes : m.out.cols;
    const auto x = map(m.x.data, m.x.rows, k, m.x.stride);
    const auto weight = map(m.weight + begin * k, end - begin, k, k);
    Matrix out(m.out.data + begin, index(m.out.rows), index(end - begin), Eigen::OuterStride<>(index(m.out.stride)));
    if (m.x.rows == 1)  // a matrix-vector product where it is one
        out.row(0).transpose().noalias() = weight * x.row(0).transpose();
    else
        out.noalias() = x * weight.transpose();
    if (m.bias) out.array().rowwise() += map(m.bias + begin, end - begin).transpose();
}

inline void rms_norm(const float* x, const float* gain, float epsilon, std::size_t n, float* out) {
    const auto v = map(x, n);
    map(out, n) = v * (1.0f / std::sqrt(v.square().mean() + epsilon)) * map(gain, n);
}

inline void rope(float* head, const float* cos, const float* sin, std::size_t head_dim, RopeLayout layout) {
    const std::size_t half = head_dim / 2, step = layout == RopeLayout::half ? 1 : 2;
    for (std::size_t i = 0; i < half; ++i) {
        float &a = head[i * step], &b = head[i * step + (layout == RopeLayout::half ? half : 1)];
        const float rotated = a * cos[i] - b * sin[i];
        b = b * cos[i] + a * sin[i];
        a = rotated;
    }
}

inline void attention_f32(const AttentionF32& a) {
    const auto q = map(a.q, a.group, a.head_dim, a.head_dim);
    RowMajor weights(index(a.group), index(a.length));  // a plain softmax over the whole row
    for (std::size_t begin = 0; begin < a.length; begin += kv_panel) {
        const float* block = a.cache + a.blocks[begin / kv_block] * a.block_stride;
        const auto keys = map(block + begin % kv_block * a.head_dim, a.head_dim, kv_panel, kv_panel);
        const Index valid = index(a.length - begin < kv_panel ? a.length - begin : kv_panel);
        weights.middleCols(index(begin), valid).noalias() = a.scale * q * keys.leftCols(valid);
    }
    for (Index head = 0; head < weights.rows(); ++head) {
        auto row = weights.row(head).array();
        row = (row - row.maxCoeff()).exp();
        row /= row.sum();
    }
    Matrix out(a.out, index(a.group), index(a.head_dim), Eigen::OuterStride<>(index(a.head_dim)));
    out.setZero();
    for (std::size_t begin = 0; begin < a.length; begin += kv_block) {
        const float* block = a.cache + a.blocks[begin / kv_block] * a.block_stride;
        const std::size_t valid = a.length - begin < kv_block ? a.length - begin : kv_block;
        const auto values = map(block + a.values_offset, valid, a.head_dim, a.value_stride);
        out.noalias() += weights.middleCols(index(begin), index(valid)) * values;
    }
}

inline void silu_mul(const float* gate, const float* up, std::size_t n, float* out) {
    const auto g = map(gate, n);
    map(out, n) = g / (1.0f + (-g).exp()) * map(up, n);
}
inline void add(const float* x, std::size_t n, float* sum) { map(sum, n) += map(x, n); }
inline void exp_shifted(const float* x, float max, std::size_t n, float* p) { map(p, n) = (map(x, n) - max).exp(); }

}  // namespace eigenlm::inline EIGENLM_ABI::detail::eigen
