#pragma once
// The Eigen backend: the same operations as plain Eigen expressions over our memory. It stands in the benchmarks beside
// our own kernels and is outside the same-bits contract: Eigen reduces in an order of its own for each shape.
//
// A host may use Eigen, too, compiled with other flags; where both have a function of one name, the linker keeps one
// body, and Eigen's differ in alignment and in how memory is allocated: the host crashes. So nothing here runs Eigen's
// allocating code (its own matrices; general products), and all maps have a stride type of ours, which is part of the
// name of what they instantiate. Programs all of whose units have the same flags may define EIGENLM_EIGEN_GEMM:
// products of many rows are then Eigen's general ones, two to three times as fast. Our examples and benchmarks do.
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <type_traits>
#include <vector>

#include "../table.hpp"

namespace eigenlm::inline EIGENLM_ABI::detail::eigen {

using Index = Eigen::Index;
using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
struct RowStride : Eigen::OuterStride<> {
    using Eigen::OuterStride<>::OuterStride;
};
struct NoStride : Eigen::Stride<0, 0> {};
template <class Plain>
using MatrixMap = Eigen::Map<Plain, Eigen::Unaligned, RowStride>;
using ConstMatrix = MatrixMap<const RowMajor>;
using Matrix = MatrixMap<RowMajor>;
using ConstVector = Eigen::Map<const Eigen::ArrayXf, Eigen::Unaligned, NoStride>;
using Vector = Eigen::Map<Eigen::ArrayXf, Eigen::Unaligned, NoStride>;

inline Index index(std::size_t n) { return static_cast<Index>(n); }
inline ConstMatrix map(const float* data, std::size_t rows, std::size_t cols, std::size_t stride) {
    return ConstMatrix(data, index(rows), index(cols), RowStride(index(stride)));
}
inline ConstVector map(const float* data, std::size_t n) { return ConstVector(data, index(n)); }
inline Vector map(float* data, std::size_t n) { return Vector(data, index(n)); }

/// Eigen writes whole products: the epilogue is a second step. A bf16 product's result is rounded for the next one.
template <class M>
void finish(const M& m, std::size_t begin, std::size_t end, const float* sums) {
    const std::size_t columns = end - begin;
    for (std::size_t r = 0; r < m.x.rows; ++r, sums += columns) {
        if (m.epilogue == Epilogue::add) {
            map(m.out[r] + begin, columns) += map(sums, columns);
            continue;
        }
        for (std::size_t j = 0; j < columns; j += 2 * lanes) {
            const std::size_t column = (begin + j) / 2, left = column < m.out.cols ? m.out.cols - column : 0;
            const std::size_t width = left < lanes ? left : lanes;
            const auto gate = map(sums + j, width), up = map(sums + j + lanes, width);
            map(m.out[r] + column, width) = gate / (1.0f + (-gate).exp()) * up;
            if constexpr (std::is_same_v<M, MatmulBf16>)
                for (std::size_t i = column; i < (left <= lanes ? m.out.stride : column + lanes); ++i)
                    m.out[r][i] = i < m.out.cols ? bf16_to_f32(f32_to_bf16(m.out[r][i])) : 0.0f;
        }
    }
}

/// Outputs [begin, end) of the product of x [rows, k] with `weight`, their rows [end - begin, k].
template <class M>
void multiply(const M& m, const ConstMatrix& x, const ConstMatrix& weight, std::size_t begin) {
    const std::size_t columns = static_cast<std::size_t>(weight.rows());
    const bool direct = m.epilogue == Epilogue::store;
    std::vector<float> sums(direct ? 0 : m.x.rows * columns);
    Matrix to(direct ? m.out.data + begin : sums.data(), x.rows(), weight.rows(),
              RowStride(index(direct ? m.out.stride : columns)));
#if defined(EIGENLM_EIGEN_GEMM)
    if (x.rows() == 1)  // a matrix-vector product where it is one
        to.row(0).transpose().noalias() = weight * x.row(0).transpose();
    else
        to.noalias() = x * weight.transpose();
#else
    to.noalias() = x.lazyProduct(weight.transpose());
#endif
    if (m.bias) to.array().rowwise() += map(m.bias + begin, columns).transpose();
    if (!direct) finish(m, begin, begin + columns, sums.data());
}

/// Where panel `panel` of a matrix begins.
inline std::size_t column_of(const Product& m, std::size_t panel) {
    return panel * lanes < m.outputs ? panel * lanes : m.outputs;
}

inline void matmul_f32(const MatmulF32& m, std::size_t first, std::size_t last) {
    const std::size_t k = m.x.cols, begin = column_of(m, first), end = column_of(m, last);
    multiply(m, map(m.x.data, m.x.rows, k, m.x.stride), map(m.weight + begin * k, end - begin, k, k), begin);
}

/// 16-bit weights, widened a few outputs at a time.
template <class Scalar, class M>
void matmul_widened(const M& m, const ConstMatrix& x, std::size_t first, std::size_t last) {
    const std::size_t k = m.x.cols, stop = column_of(m, last);
    using Stored = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    std::vector<float> wide(64 * k);
    for (std::size_t begin = column_of(m, first), end; begin < stop; begin = end) {
        end = begin + 64 < stop ? begin + 64 : stop;
        const auto* const stored = reinterpret_cast<const Scalar*>(m.weight + begin * k);
        Matrix(wide.data(), index(end - begin), index(k), RowStride(index(k))) =
            MatrixMap<const Stored>(stored, index(end - begin), index(k), RowStride(index(k))).template cast<float>();
        multiply(m, x, map(wide.data(), end - begin, k, k), begin);
    }
}
inline void matmul_f16(const MatmulF16& m, std::size_t first, std::size_t last) {
    matmul_widened<Eigen::half>(m, map(m.x.data, m.x.rows, m.x.cols, m.x.stride), first, last);
}
inline void matmul_bf16(const MatmulBf16& m, std::size_t first, std::size_t last) {
    const auto x = map(m.x.data, m.x.rows, m.x.cols, packed_bf16_stride(m.x.cols));
    matmul_widened<Eigen::bfloat16>(m, x, first, last);
}
inline void pack_bf16(const float* x, std::size_t n, std::size_t row, std::size_t, float* packed) {
    const std::size_t stride = packed_bf16_stride(n);
    for (std::size_t i = 0; i < stride; ++i) packed[row * stride + i] = i < n ? bf16_to_f32(f32_to_bf16(x[i])) : 0.0f;
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

/// One query and a section of keys: a plain softmax over all of them.
template <CacheType type>
void attend_query(const AttentionCall& a, std::size_t query, std::size_t section, const AttentionState& state) {
    const std::size_t row = query / a.group, end = std::min(a.length(row), (section + 1) * kv_section);
    const std::size_t first = std::max(a.first(row), section * kv_section), d = a.head_dim;
    Vector sums = map(state.weighted(query), d);
    sums.setZero();
    state.total()[query] = 0;
    state.maximum()[query] = std::numeric_limits<float>::lowest();
    if (first >= end) return;
    const CacheShape shape = {type, d};
    const std::size_t count = end - first;
    std::vector<float> wide(2 * count * d + d + count);
    float *const keys = wide.data(), *const values = keys + count * d, *const q_data = values + count * d;
    for (std::size_t j = 0; j < d; ++j) {
        const float x = a.q[row][query % a.group * d + j];
        q_data[j] = in_pairs(type) ? bf16_to_f32(f32_to_bf16(x)) : x;
    }
    for (std::size_t i = 0; i < count; ++i) {
        const auto* const block = a.block<std::byte>(first + i);
        for (std::size_t j = 0; j < d; ++j) {
            keys[i * d + j] = key_in_block(shape, block, (first + i) % kv_block, j);
            values[i * d + j] = value_in_block(shape, block, (first + i) % kv_block, j);
        }
    }
    const Vector q = map(q_data, d);
    Vector weights = map(q_data + d, count);
    for (std::size_t i = 0; i < count; ++i) weights[index(i)] = (q * map(keys + i * d, d)).sum() * a.scale;
    const float largest = std::round(weights.maxCoeff());
    weights = ((weights - largest) * std::numbers::ln2_v<float>).exp();
    for (std::size_t i = 0; i < count; ++i) sums += weights[index(i)] * map(values + i * d, d);
    state.total()[query] = weights.sum();
    state.maximum()[query] = largest;
}
template <CacheType type>
void attend(const AttentionCall& a, std::size_t section, const AttentionState& state) {
    for (std::size_t query = 0; query < a.queries(); ++query) attend_query<type>(a, query, section, state);
}
inline void attend_f32(const AttentionCall& a, std::size_t section, const AttentionState& state) {
    attend<CacheType::f32>(a, section, state);
}
inline void attend_bf16(const AttentionCall& a, std::size_t section, const AttentionState& state) {
    attend<CacheType::bf16>(a, section, state);
}
inline void attend_f16(const AttentionCall& a, std::size_t section, const AttentionState& state) {
    attend<CacheType::f16>(a, section, state);
}
inline void attend_q8_0(const AttentionCall& a, std::size_t section, const AttentionState& state) {
    attend<CacheType::q8_0>(a, section, state);
}
inline void merge_attention(const AttentionState& later, const AttentionState& sum) {
    for (std::size_t i = 0; i < sum.queries; ++i) {
        const float largest = std::max(sum.maximum()[i], later.maximum()[i]);
        const float ours = std::exp2(sum.maximum()[i] - largest), theirs = std::exp2(later.maximum()[i] - largest);
        sum.maximum()[i] = largest;
        sum.total()[i] = sum.total()[i] * ours + later.total()[i] * theirs;
        map(sum.weighted(i), sum.head_dim) =
            map(sum.weighted(i), sum.head_dim) * ours + map(later.weighted(i), sum.head_dim) * theirs;
    }
}
inline void finish_attention(const AttentionCall& a, const AttentionState& state) {
    for (std::size_t i = 0; i < a.queries(); ++i)
        map(a.out[i / a.group] + i % a.group * a.head_dim, a.head_dim) =
            map(state.weighted(i), a.head_dim) / state.total()[i];
}

inline void silu_mul(const float* gate, const float* up, std::size_t n, float* out) {
    const auto g = map(gate, n);
    map(out, n) = g / (1.0f + (-g).exp()) * map(up, n);
}
inline void add(const float* x, std::size_t n, float* sum) { map(sum, n) += map(x, n); }
inline void exp_shifted(const float* x, float max, std::size_t n, float* p) { map(p, n) = (map(x, n) - max).exp(); }
inline std::size_t argmax(const float* x, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i)
        if (is_nan(x[i])) return n;
    Index best = 0;
    map(x, n).maxCoeff(&best);
    return static_cast<std::size_t>(best);
}

}  // namespace eigenlm::inline EIGENLM_ABI::detail::eigen
