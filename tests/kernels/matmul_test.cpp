// Matrix products at odd sizes, in every weight type: near the truth on every level, and on all of ours bit for bit the
// documented chains.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <eigenlm/base/float_state.hpp>
#include <eigenlm/kernels/dispatch.hpp>
#include <eigenlm/model/compute.hpp>
#include <eigenlm/weights/matrix.hpp>
#include <limits>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "support/levels.hpp"
#include "support/numbers.hpp"

namespace {

using eigenlm::Epilogue;
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

/// What a packed bf16 input of `rows` rows holds at [r, j], on this level.
float unpacked(Isa isa, const float* packed, std::size_t rows, std::size_t n, std::size_t r, std::size_t j) {
    const std::size_t stride = eigenlm::packed_bf16_stride(n), height = std::min<std::size_t>(rows, 16);
    const bool tiles = isa == Isa::amx && rows != 1;
    if (!tiles && isa != Isa::avx512_bf16) return packed[r * stride + j];
    std::uint16_t bits;
    const std::size_t at =
        tiles ? r / height * height * stride + (j / 32 * height + r % height) * 32 + j % 32 : r * stride + j;
    std::memcpy(&bits, reinterpret_cast<const char*>(packed) + 2 * at, 2);
    return eigenlm::bf16_to_f32(bits);
}

/// One product: x [rows, k], weight [n, k], bias [n] or empty; x and out have strides of their own. Numbers are such as
/// the weight type holds (with bf16 those of x too). Where sums are to be added, there are `before` already.
void call(const eigenlm::KernelTable& table, const eigenlm::MatmulF32& m, std::size_t first, std::size_t last) {
    table.matmul_f32(m, first, last);
}
void call(const eigenlm::KernelTable& table, const eigenlm::MatmulF16& m, std::size_t first, std::size_t last) {
    table.matmul_f16(m, first, last);
}
void call(const eigenlm::KernelTable& table, const eigenlm::MatmulBf16& m, std::size_t first, std::size_t last) {
    table.matmul_bf16(m, first, last);
}

struct FloatProduct {
    WeightType type;
    std::size_t rows, n, k;
    std::vector<float> x, weight, bias, before;
    Epilogue epilogue = Epilogue::store;
    bool room = true;  ///< for unfinished sums
    std::size_t x_stride = k + 3, out_stride = n + 5;

    FloatProduct(WeightType type_, std::size_t rows_, std::size_t n_, std::size_t k_, bool wild = false)
        : type(type_), rows(rows_), n(n_), k(k_) {
        const auto numbers = wild ? support::wild_numbers : +[](std::size_t count, unsigned seed) {
            return support::random_numbers(count, seed);
        };
        x = numbers(rows * x_stride, 1), weight = numbers(n * k, 2);
        if (type == WeightType::f16) round_to<eigenlm::F16>(weight);
        if (type == WeightType::bf16) round_to<eigenlm::Bf16>(weight), round_to<eigenlm::Bf16>(x);
    }
    void add_bias() { bias = support::random_numbers(n, 3, 10); }

    /// [rows, out_stride], untouched where the kernel has not written; of silu_mul [rows, n / 2 or a bit less]
    std::vector<float> run(Isa isa, std::size_t first_panel, std::size_t last_panel) const {
        if (type == WeightType::f32) return run<eigenlm::F32, eigenlm::MatmulF32>(isa, first_panel, last_panel);
        if (type == WeightType::f16) return run<eigenlm::F16, eigenlm::MatmulF16>(isa, first_panel, last_panel);
        return run<eigenlm::Bf16, eigenlm::MatmulBf16>(isa, first_panel, last_panel);
    }
    std::vector<float> run(Isa isa) const { return run(isa, 0, eigenlm::ceil_div(n, eigenlm::lanes)); }
    std::size_t fed() const { return n / 2 - (n > 32 ? 3 : 0); }

    template <class Weight, class Matmul>
    std::vector<float> run(Isa isa, std::size_t first_panel, std::size_t last_panel) const {
        const auto& table = eigenlm::kernels(isa);
        const auto matrix = packed<Weight>(weight, n, k, table.layout);
        eigenlm::ProductScratch scratch(rows, k, room ? n : 1);
        const bool silu = epilogue == Epilogue::silu_mul, packs = type == WeightType::bf16;
        const std::size_t columns = silu ? fed() : n;
        const std::size_t stride = silu && packs ? eigenlm::packed_bf16_stride(columns) : out_stride;
        std::vector<float> out(eigenlm::round_up(rows, 16) * stride, untouched);
        std::ranges::copy(before, out.begin());
        Rows<const float> in = {x.data(), rows, k, x_stride};
        const eigenlm::FloatState state;
        if (packs) {
            std::ranges::fill(scratch.packed, std::numeric_limits<float>::quiet_NaN());
            for (std::size_t r = 0; r < rows; ++r) table.pack_bf16(in[r], k, r, rows, scratch.packed.data());
            in = {scratch.packed.data(), rows, k, eigenlm::packed_bf16_stride(k)};
        }
        const Matmul product = {{in,
                                 n,
                                 bias.empty() ? nullptr : bias.data(),
                                 epilogue,
                                 {out.data(), rows, columns, stride},
                                 room ? scratch.partial.data() : nullptr,
                                 room ? scratch.partial.size() : 0},
                                matrix.data()};
        call(table, product, first_panel, last_panel);
        if (!silu) {
            out.resize(rows * out_stride);
            return out;
        }
        std::vector<float> plain;
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t j = 0; j < columns; ++j)
                plain.push_back(packs ? unpacked(isa, out.data(), rows, columns, r, j) : out[r * stride + j]);
        return plain;
    }

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
    float documented(Isa isa, std::size_t r, std::size_t j) const {
        const float *in = &x[r * x_stride], *w = &weight[j * k];
        float sum = 0;
        if (type != WeightType::bf16) {
            for (std::size_t i = 0; i < k; ++i) sum = std::fma(in[i], w[i], sum);
        } else if (isa == Isa::avx512_bf16) {
            for (std::size_t i = 0; i < k; i += 2) {
                if (i + 1 < k) sum = std::fma(in[i + 1], w[i + 1], sum);
                sum = std::fma(in[i], w[i], sum);
            }
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

std::string sizes(const FloatProduct& p) {
    return std::string(to_string(p.type)) + ", " + std::to_string(p.rows) + " x " + std::to_string(p.n) + " x " +
           std::to_string(p.k);
}

void expect_near_truth(const FloatProduct& p, Isa isa) {
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

void expect_documented(const FloatProduct& p, Isa isa) {
    const auto out = p.run(isa);
    for (std::size_t r = 0; r < p.rows; ++r)
        for (std::size_t j = 0; j < p.n; ++j)
            ASSERT_TRUE(support::same_bits(out[r * p.out_stride + j], p.documented(isa, r, j)))
                << sizes(p) << ", at " << r << ", " << j << ": " << out[r * p.out_stride + j] << ", expected "
                << p.documented(isa, r, j);
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
                expect_near_truth(FloatProduct(type(), rows, n, k), isa());
}

TEST_P(MatmulTest, IsNearTheTruthWithABias) {
    for (std::size_t rows = 1; rows <= 9; ++rows)
        for (std::size_t n = 1; n <= 70; n += 3) {
            FloatProduct product(type(), rows, n, 19);
            product.add_bias();
            expect_near_truth(product, isa());
        }
}

TEST_P(MatmulTest, IsNearTheTruthWhereSumsCancel) {
    for (const std::size_t rows : {1u, 5u})
        for (const std::size_t k : {64u, 333u, 1000u})
            expect_near_truth(FloatProduct(type(), rows, 37, k, true), isa());
}

TEST_P(MatmulTest, WritesTheAskedForPanelsOnly) {
    const FloatProduct product(type(), 3, 70, 9);
    const auto all = product.run(isa());
    for (std::size_t first = 0; first < 5; first += 2)
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
            FloatProduct product(type(), rows, 37, 21);
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
    testing::Combine(testing::ValuesIn(eigenlm::plain_weight_types), testing::ValuesIn(eigenlm::available_isas())),
    [](const auto& p) { return std::string(to_string(std::get<0>(p.param))) + "_" + to_string(std::get<1>(p.param)); });

class ExactMatmul : public testing::TestWithParam<std::tuple<WeightType, Isa>> {
  protected:
    static WeightType type() { return std::get<0>(GetParam()); }
    static Isa isa() { return std::get<1>(GetParam()); }
};

TEST_P(ExactMatmul, IsTheDocumentedArithmeticWhateverTheSize) {
    for (const std::size_t rows : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 9u, 13u, 17u, 31u, 33u})
        for (const std::size_t n : {1u, 16u, 33u, 64u, 70u, 130u})
            for (const std::size_t k : {1u, 17u, 32u, 63u, 64u}) {
                FloatProduct product(type(), rows, n, k);
                expect_documented(product, isa());
                product.add_bias();
                expect_documented(product, isa());
            }
    for (const std::size_t rows : {1u, 5u, 40u}) expect_documented(FloatProduct(type(), rows, 70, 1000, true), isa());
}

TEST_P(ExactMatmul, GivesARowTheSameBitsAloneAndInAnyCompany) {  // up to where sums wait in memory between inputs
    constexpr std::size_t most = 300, n = 37, k = 2000;
    const FloatProduct many(type(), most, n, k, true);
    const auto together = many.run(isa());
    for (std::size_t rows = 1; rows < most; rows += rows < 35 ? 1 : 19)
        for (const bool room : {true, false}) {
            FloatProduct some(type(), rows, n, k, true);
            some.x.assign(many.x.begin(), many.x.begin() + static_cast<std::ptrdiff_t>(rows * many.x_stride));
            some.room = room;
            const auto out = some.run(isa());
            for (std::size_t i = 0; i < out.size(); ++i)
                ASSERT_TRUE(support::same_bits(out[i], together[i])) << rows << " rows, at " << i;
        }
}

TEST_P(ExactMatmul, EpiloguesAreTheirStepsOneByOne) {
    const auto& table = eigenlm::kernels(isa());
    for (const std::size_t rows : {1u, 2u, 5u, 13u, 40u, 256u, 290u})
        for (const std::size_t n : {32u, 64u, 160u})
            for (const std::size_t k : {33u, 2100u}) {
                if (rows * n > 10000 && k < 100) continue;
                FloatProduct product(type(), rows, n, k);
                product.room = rows != 256 && n != 64;
                product.add_bias();
                const auto sums = product.run(isa());
                FloatProduct added = product;
                added.epilogue = Epilogue::add;
                added.before = support::random_numbers(rows * product.out_stride, 9);
                const auto total = added.run(isa());
                product.epilogue = Epilogue::silu_mul;
                const auto fed = product.run(isa());
                const std::size_t columns = product.fed();
                for (std::size_t r = 0; r < rows; ++r) {
                    const float* const row = &sums[r * product.out_stride];
                    for (std::size_t j = 0; j < n; ++j)
                        ASSERT_EQ(total[r * product.out_stride + j], added.before[r * product.out_stride + j] + row[j]);
                    for (std::size_t j = 0; j < columns; ++j) {
                        const float *gate = row + j / 16 * 32 + j % 16, *up = gate + 16;
                        float expected;
                        {
                            const eigenlm::FloatState state;
                            table.silu_mul(gate, up, 1, &expected);
                        }
                        if (type() == WeightType::bf16)
                            expected = eigenlm::Bf16::widen(eigenlm::Bf16::narrow(expected));
                        ASSERT_TRUE(support::same_bits(fed[r * columns + j], expected))
                            << rows << " x " << n << " x " << k << ", at " << r << ", " << j;
                    }
                }
            }
}

/// `weights`, one a row, each times 1: [rows, weights.size()]
template <class Weight>
std::vector<float> times_one(Isa isa, const std::vector<std::uint16_t>& weights, std::size_t rows) {
    const auto& table = eigenlm::kernels(isa);
    eigenlm::ThreadPool pool(1);
    const eigenlm::Compute compute{table, pool};
    Matrix<Weight> matrix(weights.size(), 1, table.layout);
    matrix.set_rows(0, weights.size(), weights.data());
    eigenlm::ProductScratch scratch(rows, 1, weights.size());
    std::vector<float> out(weights.size() * rows), ones(rows, 1.0f);
    const eigenlm::FloatState state;
    eigenlm::multiply(compute, eigenlm::pack(compute, matrix, {ones.data(), rows, 1, 1}, scratch), matrix, nullptr,
                      Epilogue::store, {out.data(), rows, weights.size(), weights.size()}, scratch);
    return out;
}

TEST_P(ExactMatmul, ReadsEveryWeightThereIs) {  // all 65,536 of the 16-bit types, through a product with 1
    if (type() == WeightType::f32) return;
    const bool half = type() == WeightType::f16;
    std::vector<std::uint16_t> all(65536);
    std::iota(all.begin(), all.end(), std::uint16_t{0});
    for (const std::size_t rows : {1u, 20u}) {
        const auto out = (half ? times_one<eigenlm::F16> : times_one<eigenlm::Bf16>)(isa(), all, rows);
        for (std::size_t i = 0; i < out.size(); ++i) {
            const std::uint16_t bits = all[i % all.size()];
            const float exact = half ? eigenlm::f16_to_f32(bits) : eigenlm::bf16_to_f32(bits);
            const float expected =
                exact == 0 || std::fpclassify(exact) == FP_SUBNORMAL ? 0 : exact;  // bf16 subnormals are flushed
            ASSERT_TRUE(out[i] == expected || (std::isnan(out[i]) && std::isnan(expected))) << i << ": " << out[i];
        }
    }
}

TEST_P(ExactMatmul, PacksBf16AsTheNearest) {
    if (type() != WeightType::bf16) return;
    std::vector<float> x;
    for (std::uint64_t bits = 0; bits < (1ull << 32); bits += 65521)
        x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
    for (const std::uint32_t bits :
         {0x3f808000u, 0x3f818000u, 0x3f807fffu, 0x7f7fffffu, 0x7f800001u, 0xff800000u, 0x8000u})
        x.push_back(std::bit_cast<float>(bits));
    for (const std::size_t rows : {1u, 3u, 18u}) {
        const std::size_t n = 61;
        eigenlm::ProductScratch scratch(rows, n, 1);
        for (std::size_t first = 0; first + n <= x.size(); first += n) {
            eigenlm::kernels(isa()).pack_bf16(&x[first], n, rows - 1, rows, scratch.packed.data());
            for (std::size_t j = 0; j < eigenlm::packed_bf16_stride(n); ++j) {
                const float expected = j < n ? eigenlm::bf16_to_f32(eigenlm::f32_to_bf16(x[first + j])) : 0;
                const float found = unpacked(isa(), scratch.packed.data(), rows, n, rows - 1, j);
                const bool both_small = std::abs(found) < 1.2e-38f && std::abs(expected) < 1.2e-38f;  // count as zero
                ASSERT_TRUE(support::same_bits(found, expected) || both_small) << x[first + j] << ": " << found;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(
    Levels, ExactMatmul,
    testing::Combine(testing::ValuesIn(eigenlm::plain_weight_types), testing::ValuesIn(support::steady_isas())),
    [](const auto& p) { return std::string(to_string(std::get<0>(p.param))) + "_" + to_string(std::get<1>(p.param)); });

}  // namespace
