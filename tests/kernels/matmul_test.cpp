// Matrix products at odd sizes: near the truth on every level, and on the portable one bit for bit the documented
// chain.
#include <gtest/gtest.h>

#include <cmath>
#include <eigenlm/base/float_state.hpp>
#include <eigenlm/kernels/dispatch.hpp>
#include <eigenlm/weights/matrix.hpp>
#include <limits>
#include <string>
#include <vector>

#include "support/numbers.hpp"

namespace {

using eigenlm::Isa;
using eigenlm::Rows;

constexpr float untouched = -12345;

/// One product: x [rows, k], weight [n, k], bias [n] or empty; x and out have strides of their own.
struct Product {
    std::size_t rows, n, k;
    std::vector<float> x, weight, bias;
    std::size_t x_stride = k + 3, out_stride = n + 5;

    Product(std::size_t rows_, std::size_t n_, std::size_t k_, bool wild = false) : rows(rows_), n(n_), k(k_) {
        const auto numbers = wild ? support::wild_numbers : +[](std::size_t count, unsigned seed) {
            return support::random_numbers(count, seed);
        };
        x = numbers(rows * x_stride, 1), weight = numbers(n * k, 2);
    }
    void add_bias() { bias = support::random_numbers(n, 3, 10); }

    /// [rows, out_stride], untouched where the kernel has not written
    std::vector<float> run(Isa isa, std::size_t first_panel, std::size_t last_panel) const {
        const auto& table = eigenlm::kernels(isa);
        eigenlm::Matrix<eigenlm::F32> packed(n, k, table.layout);
        for (std::size_t j = 0; j < n; ++j) packed.set_row(j, std::span(weight).subspan(j * k, k));
        std::vector<float> out(rows * out_stride, untouched);
        const eigenlm::FloatState state;
        table.matmul_f32({{x.data(), rows, k, x_stride},
                          packed.data(),
                          bias.empty() ? nullptr : bias.data(),
                          {out.data(), rows, n, out_stride}},
                         first_panel, last_panel);
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
    /// One chain of fused multiply-adds from zero, then the bias.
    float chain(std::size_t r, std::size_t j) const {
        float sum = 0;
        for (std::size_t i = 0; i < k; ++i) sum = std::fma(x[r * x_stride + i], weight[j * k + i], sum);
        return bias.empty() ? sum : sum + bias[j];
    }
};

std::string sizes(const Product& p) {
    return std::to_string(p.rows) + " x " + std::to_string(p.n) + " x " + std::to_string(p.k);
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

void expect_chain(const Product& p) {
    const auto out = p.run(Isa::portable);
    for (std::size_t r = 0; r < p.rows; ++r)
        for (std::size_t j = 0; j < p.n; ++j)
            ASSERT_TRUE(support::same_bits(out[r * p.out_stride + j], p.chain(r, j)))
                << sizes(p) << ", at " << r << ", " << j << ": " << out[r * p.out_stride + j] << ", expected "
                << p.chain(r, j);
}

class MatmulTest : public testing::TestWithParam<Isa> {};

TEST_P(MatmulTest, IsNearTheTruthAtOddSizes) {
    for (std::size_t rows = 1; rows <= 9; ++rows)
        for (const std::size_t n : {1u, 7u, 15u, 16u, 17u, 33u, 65u, 70u})
            for (const std::size_t k : {1u, 2u, 15u, 16u, 31u, 70u}) expect_near_truth(Product(rows, n, k), GetParam());
}

TEST_P(MatmulTest, IsNearTheTruthWithABias) {
    for (std::size_t rows = 1; rows <= 9; ++rows)
        for (std::size_t n = 1; n <= 70; n += 3) {
            Product product(rows, n, 19);
            product.add_bias();
            expect_near_truth(product, GetParam());
        }
}

TEST_P(MatmulTest, IsNearTheTruthWhereSumsCancel) {
    for (const std::size_t rows : {1u, 5u})
        for (const std::size_t k : {64u, 333u, 1000u}) expect_near_truth(Product(rows, 37, k, true), GetParam());
}

TEST_P(MatmulTest, WritesTheAskedForPanelsOnly) {
    const Product product(3, 70, 9);
    const auto all = product.run(GetParam());
    for (std::size_t first = 0; first < 5; ++first)
        for (std::size_t last = first; last <= 5; ++last) {
            const auto part = product.run(GetParam(), first, last);
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
            Product product(rows, 37, 21);
            product.x[(rows - 1) * product.x_stride + 20] = bad;  // the last row's last number
            product.weight[36 * 21 + 4] = bad;                    // and a weight of the last output
            const auto out = product.run(GetParam());
            for (std::size_t r = 0; r < rows; ++r)
                for (std::size_t j = 0; j < 37; ++j)
                    ASSERT_EQ(std::isfinite(out[r * product.out_stride + j]), r + 1 < rows && j != 36)
                        << r << ", " << j;
        }
}

INSTANTIATE_TEST_SUITE_P(Levels, MatmulTest, testing::ValuesIn(eigenlm::all_isas),
                         [](const auto& p) { return to_string(p.param); });

TEST(PortableMatmul, IsTheDocumentedChainWhateverTheSize) {
    for (std::size_t rows = 1; rows <= 9; ++rows)
        for (const std::size_t n : {1u, 16u, 33u, 64u, 70u, 130u})
            for (const std::size_t k : {1u, 17u, 64u}) {
                Product product(rows, n, k);
                expect_chain(product);
                product.add_bias();
                expect_chain(product);
            }
    expect_chain(Product(5, 70, 1000, true));
}

TEST(PortableMatmul, GivesARowTheSameBitsAloneAndInCompany) {
    const Product many(9, 70, 50, true);
    const auto together = many.run(Isa::portable);
    for (std::size_t r = 0; r < many.rows; ++r) {
        Product one(1, 70, 50, true);
        std::copy_n(&many.x[r * many.x_stride], many.k, one.x.begin());
        const auto alone = one.run(Isa::portable);
        for (std::size_t j = 0; j < 70; ++j)
            ASSERT_TRUE(support::same_bits(alone[j], together[r * many.out_stride + j])) << r << ", " << j;
    }
}

}  // namespace
