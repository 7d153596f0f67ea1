// Matrix products at odd sizes, in every weight type: near the truth on every level, and on the portable one bit for
// bit the documented chains.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <eigenlm/base/float_state.hpp>
#include <eigenlm/kernels/dispatch.hpp>
#include <eigenlm/weights/matrix.hpp>
#include <limits>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "support/numbers.hpp"

namespace {

using eigenlm::Isa;
using eigenlm::Matrix;
using eigenlm::Rows;
using eigenlm::WeightType;

constexpr float untouched = -12345;

template <class Weight>
Matrix<Weight> packed(const std::vector<float>& weight, std::size_t n, std::size_t k, eigenlm::WeightLayout layout) {
    std::vector<typename Weight::Storage> narrow(weight.size());
    std::ranges::transform(weight, narrow.begin(), Weight::narrow);
    Matrix<Weight> matrix(n, k, layout);
    matrix.set_rows(0, n, narrow.data());
    return matrix;
}
template <class Weight>
void round_to(std::vector<float>& numbers) {
    for (float& x : numbers) x = Weight::widen(Weight::narrow(x));
}

/// One product: x [rows, k], weight [n, k], bias [n] or empty; x and out have strides of their own. Numbers are such as
/// the weight type holds (with bf16 those of x too).
struct Product {
    WeightType type;
    std::size_t rows, n, k;
    std::vector<float> x, weight, bias;
    std::size_t x_stride = k + 3, out_stride = n + 5;

    Product(WeightType type_, std::size_t rows_, std::size_t n_, std::size_t k_, bool wild = false)
        : type(type_), rows(rows_), n(n_), k(k_) {
        const auto numbers = wild ? support::wild_numbers : +[](std::size_t count, unsigned seed) {
            return support::random_numbers(count, seed);
        };
        x = numbers(rows * x_stride, 1), weight = numbers(n * k, 2);
        if (type == WeightType::f16) round_to<eigenlm::F16>(weight);
        if (type == WeightType::bf16) round_to<eigenlm::Bf16>(weight), round_to<eigenlm::Bf16>(x);
    }
    void add_bias() { bias = support::random_numbers(n, 3, 10); }

    /// [rows, out_stride], untouched where the kernel has not written
    std::vector<float> run(Isa isa, std::size_t first_panel, std::size_t last_panel) const {
        const auto& table = eigenlm::kernels(isa);
        std::vector<float> out(rows * out_stride, untouched);
        const float* b = bias.empty() ? nullptr : bias.data();
        const Rows<const float> in = {x.data(), rows, k, x_stride};
        const Rows<float> to = {out.data(), rows, n, out_stride};
        const eigenlm::FloatState state;
        if (type == WeightType::f32) {
            const auto matrix = packed<eigenlm::F32>(weight, n, k, table.layout);
            table.matmul_f32({in, matrix.data(), b, to}, first_panel, last_panel);
        } else if (type == WeightType::f16) {
            const auto matrix = packed<eigenlm::F16>(weight, n, k, table.layout);
            table.matmul_f16({in, matrix.data(), b, to}, first_panel, last_panel);
        } else {
            const auto matrix = packed<eigenlm::Bf16>(weight, n, k, table.layout);
            const std::size_t stride = eigenlm::round_up(k, eigenlm::bf16_chunk);
            std::vector<std::uint16_t> narrow(rows * stride, 0xffff);  // NaNs, where nothing is written
            for (std::size_t r = 0; r < rows; ++r) table.round_bf16(in[r], k, narrow.data() + r * stride);
            table.matmul_bf16({{narrow.data(), rows, k, stride}, matrix.data(), b, to}, first_panel, last_panel);
        }
        return out;
    }
    std::vector<float> run(Isa isa) const { return run(isa, 0, eigenlm::ceil_div(n, eigenlm::lanes)); }

    /// The truth, and the sum of the terms' sizes, which errors are measured by.
    std::pair<double, double> exact(std::size_t r, std::size_t j) const {
        double sum = bias.empty() ? 0 : bias[j], size = std::abs(sum);
        for (std::size_t i = 0; i < k; ++i) {
            const double term = double{x[r * x_stride + i]} * double{weight[j * k + i]};
            sum += term, size += std::abs(term);
        }
        return {sum, size};
    }
    /// What docs/numerics.md says.
    float documented(std::size_t r, std::size_t j) const {
        const float *in = &x[r * x_stride], *w = &weight[j * k];
        float sum = 0;
        if (type != WeightType::bf16) {
            for (std::size_t i = 0; i < k; ++i) sum = std::fma(in[i], w[i], sum);
        } else {
            for (std::size_t begin = 0; begin < k; begin += 32) {
                float half[2] = {0, 0};  // the even ones, the odd ones
                for (std::size_t i = begin; i < std::min(k, begin + 32); ++i)
                    half[i % 2] = std::fma(in[i], w[i], half[i % 2]);
                sum += half[0] + half[1];
            }
        }
        return bias.empty() ? sum : sum + bias[j];
    }
};

std::string sizes(const Product& p) {
    return std::string(to_string(p.type)) + ", " + std::to_string(p.rows) + " x " + std::to_string(p.n) + " x " +
           std::to_string(p.k);
}

void expect_near_truth(const Product& p, Isa isa) {
    const auto out = p.run(isa);
    for (std::size_t r = 0; r < p.rows; ++r)
        for (std::size_t j = 0; j < p.out_stride; ++j) {
            const float found = out[r * p.out_stride + j];
            if (j >= p.n) {
                ASSERT_EQ(found, untouched) << sizes(p) << ": written behind row " << r;
                continue;
            }
            const auto [expected, size] = p.exact(r, j);
            const double bound = static_cast<double>(p.k + 1) * 0x1p-24 * size;  // of any order of summation
            ASSERT_LE(std::abs(found - expected), bound) << sizes(p) << ", at " << r << ", " << j;
        }
}

void expect_documented(const Product& p) {
    const auto out = p.run(Isa::portable);
    for (std::size_t r = 0; r < p.rows; ++r)
        for (std::size_t j = 0; j < p.n; ++j)
            ASSERT_TRUE(support::same_bits(out[r * p.out_stride + j], p.documented(r, j)))
                << sizes(p) << ", at " << r << ", " << j << ": " << out[r * p.out_stride + j] << ", expected "
                << p.documented(r, j);
}

class MatmulTest : public testing::TestWithParam<std::tuple<WeightType, Isa>> {
  protected:
    static WeightType type() { return std::get<0>(GetParam()); }
    static Isa isa() { return std::get<1>(GetParam()); }
};

TEST_P(MatmulTest, IsNearTheTruthAtOddSizes) {
    for (std::size_t rows = 1; rows <= 9; ++rows)
        for (const std::size_t n : {1u, 7u, 15u, 16u, 17u, 33u, 65u, 70u})
            for (const std::size_t k : {1u, 2u, 15u, 16u, 31u, 70u})
                expect_near_truth(Product(type(), rows, n, k), isa());
}

TEST_P(MatmulTest, IsNearTheTruthWithABias) {
    for (std::size_t rows = 1; rows <= 9; ++rows)
        for (std::size_t n = 1; n <= 70; n += 3) {
            Product product(type(), rows, n, 19);
            product.add_bias();
            expect_near_truth(product, isa());
        }
}

TEST_P(MatmulTest, IsNearTheTruthWhereSumsCancel) {
    for (const std::size_t rows : {1u, 5u})
        for (const std::size_t k : {64u, 333u, 1000u}) expect_near_truth(Product(type(), rows, 37, k, true), isa());
}

TEST_P(MatmulTest, WritesTheAskedForPanelsOnly) {
    const Product product(type(), 3, 70, 9);
    const auto all = product.run(isa());
    for (std::size_t first = 0; first < 5; ++first)
        for (std::size_t last = first; last <= 5; ++last) {
            const auto part = product.run(isa(), first, last);
            for (std::size_t r = 0; r < 3; ++r)
                for (std::size_t j = 0; j < 70; ++j) {
                    const bool inside = j >= 16 * first && j < 16 * last;
                    const float found = part[r * product.out_stride + j];
                    if (inside)
                        ASSERT_NEAR(found, all[r * product.out_stride + j], 1e-5) << first << ".." << last << ": " << j;
                    else
                        ASSERT_EQ(found, untouched) << first << ".." << last << ": " << j;
                }
        }
}

TEST_P(MatmulTest, NaNsAndInfinitiesSurfaceWhereTheyBelong) {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
        for (const std::size_t rows : {1u, 6u}) {
            Product product(type(), rows, 37, 21);
            product.x[(rows - 1) * product.x_stride + 20] = bad;  // the last row's last number
            product.weight[36 * 21 + 4] = bad;                    // and a weight of the last output
            const auto out = product.run(isa());
            for (std::size_t r = 0; r < rows; ++r)
                for (std::size_t j = 0; j < 37; ++j)
                    ASSERT_EQ(std::isfinite(out[r * product.out_stride + j]), r + 1 < rows && j != 36)
                        << r << ", " << j;
        }
}

INSTANTIATE_TEST_SUITE_P(
    Levels, MatmulTest,
    testing::Combine(testing::ValuesIn(eigenlm::all_weight_types), testing::ValuesIn(eigenlm::all_isas)),
    [](const auto& p) { return std::string(to_string(std::get<0>(p.param))) + "_" + to_string(std::get<1>(p.param)); });

class PortableMatmul : public testing::TestWithParam<WeightType> {};

TEST_P(PortableMatmul, IsTheDocumentedArithmeticWhateverTheSize) {
    for (std::size_t rows = 1; rows <= 9; ++rows)
        for (const std::size_t n : {1u, 16u, 33u, 64u, 70u, 130u})
            for (const std::size_t k : {1u, 17u, 32u, 63u, 64u}) {
                Product product(GetParam(), rows, n, k);
                expect_documented(product);
                product.add_bias();
                expect_documented(product);
            }
    expect_documented(Product(GetParam(), 5, 70, 1000, true));
}

TEST_P(PortableMatmul, GivesARowTheSameBitsAloneAndInCompany) {
    const Product many(GetParam(), 9, 70, 50, true);
    const auto together = many.run(Isa::portable);
    for (std::size_t r = 0; r < many.rows; ++r) {
        Product one(GetParam(), 1, 70, 50, true);
        std::copy_n(&many.x[r * many.x_stride], many.k, one.x.begin());
        const auto alone = one.run(Isa::portable);
        for (std::size_t j = 0; j < 70; ++j)
            ASSERT_TRUE(support::same_bits(alone[j], together[r * many.out_stride + j])) << r << ", " << j;
    }
}

TEST_P(PortableMatmul, ReadsEveryWeightThereIs) {  // all 65,536 of the 16-bit types, through a product with 1
    if (GetParam() == WeightType::f32) return;
    std::vector<std::uint16_t> all(65536);
    std::iota(all.begin(), all.end(), std::uint16_t{0});
    std::vector<float> out(all.size()), one = {1};
    const auto& table = eigenlm::kernels(Isa::portable);
    const Rows<float> to = {out.data(), 1, all.size(), all.size()};
    const bool half = GetParam() == WeightType::f16;
    {
        const eigenlm::FloatState state;
        if (half) {
            Matrix<eigenlm::F16> matrix(all.size(), 1, table.layout);
            matrix.set_rows(0, all.size(), all.data());
            table.matmul_f16({{one.data(), 1, 1, 1}, matrix.data(), nullptr, to}, 0, matrix.panels());
        } else {
            Matrix<eigenlm::Bf16> matrix(all.size(), 1, table.layout);
            matrix.set_rows(0, all.size(), all.data());
            std::vector<std::uint16_t> in(32);
            table.round_bf16(one.data(), 1, in.data());
            table.matmul_bf16({{in.data(), 1, 1, 32}, matrix.data(), nullptr, to}, 0, matrix.panels());
        }
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
        const float exact = half ? eigenlm::f16_to_f32(all[i]) : eigenlm::bf16_to_f32(all[i]);
        const float expected =
            exact == 0 || std::fpclassify(exact) == FP_SUBNORMAL ? 0 : exact;  // bf16 subnormals are flushed
        ASSERT_TRUE(out[i] == expected || (std::isnan(out[i]) && std::isnan(expected))) << i << ": " << out[i];
    }
}

INSTANTIATE_TEST_SUITE_P(Types, PortableMatmul, testing::ValuesIn(eigenlm::all_weight_types),
                         [](const auto& p) { return to_string(p.param); });

}  // namespace
