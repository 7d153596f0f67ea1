// The kernels that work on one row, against the same formulas in double precision, at every size from 1 to 70.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <eigenlm/base/float_state.hpp>
#include <eigenlm/kernels/dispatch.hpp>
#include <functional>
#include <limits>
#include <vector>

#include "support/levels.hpp"
#include "support/numbers.hpp"

namespace {

using eigenlm::Isa;
using eigenlm::KernelTable;
using eigenlm::RopeLayout;
using support::infinity;
using support::nan;
using support::random_numbers;

class RowKernelsTest : public testing::TestWithParam<Isa> {
  protected:
    const KernelTable& table() const { return eigenlm::kernels(GetParam()); }

    std::vector<float> rms_norm(const std::vector<float>& x, const std::vector<float>& gain, float epsilon) const {
        std::vector<float> out(x.size() + 1, 99);
        const eigenlm::FloatState state;
        table().rms_norm(x.data(), gain.data(), epsilon, x.size(), out.data());
        EXPECT_EQ(out.back(), 99) << "written behind the end";
        out.pop_back();
        return out;
    }
    std::vector<float> silu_mul(const std::vector<float>& gate, const std::vector<float>& up) const {
        std::vector<float> out(gate.size() + 1, 99);
        const eigenlm::FloatState state;
        table().silu_mul(gate.data(), up.data(), gate.size(), out.data());
        EXPECT_EQ(out.back(), 99) << "written behind the end";
        out.pop_back();
        return out;
    }
};

std::vector<double> exact_rms_norm(const std::vector<float>& x, const std::vector<float>& gain, double epsilon) {
    double squares = 0;
    for (const float v : x) squares += double{v} * double{v};
    const double inverse = 1 / std::sqrt(squares / static_cast<double>(x.size()) + epsilon);
    std::vector<double> out;
    for (std::size_t i = 0; i < x.size(); ++i) out.push_back(double{x[i]} * inverse * double{gain[i]});
    return out;
}

TEST_P(RowKernelsTest, RmsNormIsNearTheTruth) {
    for (unsigned n = 1; n <= 70; ++n)
        for (const float size : {1e-10f, 1.0f, 1e15f})
            for (const float epsilon : {1e-5f, 1e-6f}) {
                const auto x = random_numbers(n, n, size), gain = random_numbers(n, n + 1);
                const auto expected = exact_rms_norm(x, gain, double{epsilon});
                EXPECT_LT(support::relative_error_of(rms_norm(x, gain, epsilon), expected), 1e-6) << n << ", " << size;
            }
    const auto x = support::wild_numbers(4097, 5), gain = random_numbers(4097, 6);
    EXPECT_LT(support::relative_error_of(rms_norm(x, gain, 1e-6f), exact_rms_norm(x, gain, 1e-6)), 1e-5);
}

TEST_P(RowKernelsTest, RmsNormOfZerosIsZeroAndOfANaNIsAllNaN) {
    for (const std::size_t n : {1u, 16u, 19u}) {
        EXPECT_EQ(rms_norm(std::vector<float>(n), random_numbers(n, 1), 1e-6f), std::vector<float>(n));
        auto x = random_numbers(n, 2);
        x.back() = nan;
        for (const float y : rms_norm(x, random_numbers(n, 1), 1e-6f)) EXPECT_TRUE(std::isnan(y));
        x.back() = infinity;
        EXPECT_TRUE(std::isnan(rms_norm(x, random_numbers(n, 1), 1e-6f).back()));
    }
}

TEST_P(RowKernelsTest, SiluMulIsNearTheTruthAlsoInPlace) {
    for (unsigned n = 1; n <= 70; ++n) {
        const auto gate = random_numbers(n, n, 8), up = random_numbers(n, n + 1);
        std::vector<double> expected;
        for (std::size_t i = 0; i < n; ++i)
            expected.push_back(double{gate[i]} / (1 + std::exp(-double{gate[i]})) * double{up[i]});
        const auto out = silu_mul(gate, up);
        for (std::size_t i = 0; i < n; ++i)
            ASSERT_NEAR(out[i], expected[i], 1e-6 * std::abs(expected[i]) + 1e-30) << n << ", " << i;
        auto in_gate = gate, in_up = up;
        const eigenlm::FloatState state;
        table().silu_mul(in_gate.data(), up.data(), n, in_gate.data());
        table().silu_mul(gate.data(), in_up.data(), n, in_up.data());
        if (GetParam() == Isa::eigen) {  // whose bits follow from where the numbers lie
            for (std::size_t i = 0; i < n; ++i) {
                EXPECT_FLOAT_EQ(in_gate[i], out[i]);
                EXPECT_FLOAT_EQ(in_up[i], out[i]);
            }
        } else {
            EXPECT_EQ(in_gate, out);
            EXPECT_EQ(in_up, out);
        }
    }
}

TEST_P(RowKernelsTest, SiluMulHoldsAtTheEndsAndPassesNaNsOn) {
    const auto out = silu_mul({100, -100, 0, nan, 1, infinity}, {2, 2, 2, 1, nan, 1});
    EXPECT_NEAR(out[0], 200, 1e-4);
    EXPECT_NEAR(out[1], 0, 1e-30);
    EXPECT_EQ(out[2], 0);
    EXPECT_TRUE(std::isnan(out[3]));
    EXPECT_TRUE(std::isnan(out[4]));
    EXPECT_FALSE(std::isfinite(out[5]));
}

TEST_P(RowKernelsTest, AddIsExactlyRoundedAtEverySize) {
    for (unsigned n = 1; n <= 70; ++n) {
        const auto x = random_numbers(n, n), before = random_numbers(n + 1, n + 1);
        auto sum = before;
        const eigenlm::FloatState state;
        table().add(x.data(), n, sum.data());
        for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(sum[i], before[i] + x[i]) << n << ", " << i;
        EXPECT_EQ(sum[n], before[n]) << "written behind the end";
    }
}

/// The two halves' indices of pair i.
std::pair<std::size_t, std::size_t> pair_of(std::size_t i, std::size_t head_dim, RopeLayout layout) {
    if (layout == RopeLayout::half) return {i, i + head_dim / 2};
    return {2 * i, 2 * i + 1};
}

TEST_P(RowKernelsTest, RopeTurnsEveryPairByItsAngle) {
    for (const RopeLayout layout : {RopeLayout::half, RopeLayout::interleaved})
        for (unsigned head_dim = 2; head_dim <= 140; head_dim += 2) {
            const auto angles = random_numbers(head_dim / 2, head_dim, 10),
                       head = random_numbers(head_dim + 1, head_dim + 1);
            std::vector<float> cos, sin;
            for (const float a : angles) cos.push_back(std::cos(a)), sin.push_back(std::sin(a));
            auto turned = head;
            const eigenlm::FloatState state;
            table().rope(turned.data(), cos.data(), sin.data(), head_dim, layout);
            for (std::size_t i = 0; i < head_dim / 2; ++i) {
                const auto [first, second] = pair_of(i, head_dim, layout);
                const double a = head[first], b = head[second], c = cos[i], s = sin[i];
                const double bound = 3e-7 * (std::abs(a) + std::abs(b));
                ASSERT_NEAR(turned[first], a * c - b * s, bound) << head_dim << ", pair " << i;
                ASSERT_NEAR(turned[second], b * c + a * s, bound) << head_dim << ", pair " << i;
            }
            EXPECT_EQ(turned[head_dim], head[head_dim]) << "written behind the end";
        }
}

TEST_P(RowKernelsTest, RopeInterleavedIsRopeOfHalvesBehindAPermutation) {
    for (unsigned head_dim = 2; head_dim <= 70; head_dim += 2) {
        const auto head = random_numbers(head_dim, head_dim), cos = random_numbers(head_dim / 2, 1),
                   sin = random_numbers(head_dim / 2, 2);
        auto interleaved = head, halves = head;
        for (std::size_t i = 0; i < head_dim / 2; ++i)
            halves[i] = head[2 * i], halves[i + head_dim / 2] = head[2 * i + 1];
        const eigenlm::FloatState state;
        table().rope(interleaved.data(), cos.data(), sin.data(), head_dim, RopeLayout::interleaved);
        table().rope(halves.data(), cos.data(), sin.data(), head_dim, RopeLayout::half);
        for (std::size_t i = 0; i < head_dim / 2; ++i) {
            ASSERT_TRUE(support::same_bits(interleaved[2 * i], halves[i])) << head_dim;
            ASSERT_TRUE(support::same_bits(interleaved[2 * i + 1], halves[i + head_dim / 2])) << head_dim;
        }
    }
}

TEST_P(RowKernelsTest, RopePassesANaNOnToItsPairAlone) {
    for (const RopeLayout layout : {RopeLayout::half, RopeLayout::interleaved})
        for (std::size_t bad = 0; bad < 18; ++bad) {
            auto head = random_numbers(18, 3);
            const std::vector<float> cos(9, 0.5f), sin(9, 0.5f);
            head[bad] = nan;
            const eigenlm::FloatState state;
            table().rope(head.data(), cos.data(), sin.data(), 18, layout);
            for (std::size_t i = 0; i < 9; ++i) {
                const auto [first, second] = pair_of(i, 18, layout);
                const bool hit = first == bad || second == bad;
                EXPECT_EQ(std::isnan(head[first]), hit);
                EXPECT_EQ(std::isnan(head[second]), hit);
            }
        }
}

TEST_P(RowKernelsTest, ArgmaxIsTheFirstOfTheLargest) {
    for (unsigned n : {1u, 2u, 15u, 16u, 17u, 70u, 1023u, 1024u, 1025u, 5000u}) {
        auto x = random_numbers(n, n);
        const auto expected = [&] { return static_cast<std::size_t>(std::ranges::max_element(x) - x.begin()); };
        for (auto& v : x) v -= 20;  // all are below zero, which nothing that is filled up may win against
        EXPECT_EQ(table().argmax(x.data(), n), expected()) << n;
        for (const std::size_t at : {0u, n / 2, n - 1}) {
            auto tied = x;
            tied[at] = tied[n - 1] = 5;
            EXPECT_EQ(table().argmax(tied.data(), n), at) << n;
            tied[at] = infinity;
            EXPECT_EQ(table().argmax(tied.data(), n), at) << n;
            tied[at] = nan;
            EXPECT_EQ(table().argmax(tied.data(), n), n) << n << ", " << at;
        }
        const std::vector<float> none(n, -infinity);
        EXPECT_EQ(table().argmax(none.data(), n), 0u);
        std::vector<float> zeros(n, 0.0f);
        zeros[0] = -0.0f;
        EXPECT_EQ(table().argmax(zeros.data(), n), 0u) << "zeros are equal";
    }
}

class ExactRows : public testing::TestWithParam<Isa> {};

TEST_P(ExactRows, HaveThePortableLevelsBits) {
    const auto &ours = eigenlm::kernels(GetParam()), &portable = eigenlm::kernels(Isa::portable);
    for (unsigned n = 1; n <= 300; n += n < 70 ? 1 : 23) {
        auto x = random_numbers(n, n, 30);
        const auto y = random_numbers(n, n + 1);
        if (n % 7 == 0) x[n / 2] = nan, x[n / 3] = infinity, x[n / 4] = -infinity, x[n / 5] = 1e-40f;
        std::vector<float> a(n + 16), b(n + 16);
        const auto expect_equal = [&](const char* what) {
            for (std::size_t i = 0; i < a.size(); ++i)
                ASSERT_TRUE(support::same_bits(a[i], b[i]))
                    << what << " of " << n << ", " << i << ": " << a[i] << ", " << b[i];
        };
        const eigenlm::FloatState state;
        ours.rms_norm(x.data(), y.data(), 1e-6f, n, a.data()),
            portable.rms_norm(x.data(), y.data(), 1e-6f, n, b.data());
        expect_equal("rms_norm");
        ours.silu_mul(x.data(), y.data(), n, a.data()), portable.silu_mul(x.data(), y.data(), n, b.data());
        expect_equal("silu_mul");
        ours.exp_shifted(x.data(), 2.5f, n, a.data()), portable.exp_shifted(x.data(), 2.5f, n, b.data());
        expect_equal("exp_shifted");
        ours.add(x.data(), n, a.data()), portable.add(x.data(), n, b.data());
        expect_equal("add");
        for (const RopeLayout layout : {RopeLayout::half, RopeLayout::interleaved}) {
            std::ranges::copy(y, a.begin()), std::ranges::copy(y, b.begin());
            const std::size_t head_dim = n / 2 * 2;
            ours.rope(a.data(), x.data(), y.data(), head_dim, layout);
            portable.rope(b.data(), x.data(), y.data(), head_dim, layout);
            expect_equal("rope");
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Levels, ExactRows, testing::ValuesIn(support::exact_isas()),
                         [](const auto& p) { return to_string(p.param); });

INSTANTIATE_TEST_SUITE_P(Levels, RowKernelsTest, testing::ValuesIn(eigenlm::available_isas()),
                         [](const auto& p) { return to_string(p.param); });

}  // namespace
