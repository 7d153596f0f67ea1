// Our own exponential: its error over the whole range, and its ends.
#include <gtest/gtest.h>

#include <cmath>
#include <eigenlm/base/float_state.hpp>
#include <eigenlm/kernels/dispatch.hpp>
#include <limits>
#include <vector>

#include "support/levels.hpp"
#include "support/numbers.hpp"

namespace {

using eigenlm::Isa;
using support::infinity;

std::vector<float> exp_shifted(Isa isa, const std::vector<float>& x, float shift = 0) {
    std::vector<float> p(x.size());
    const eigenlm::FloatState state;
    eigenlm::kernels(isa).exp_shifted(x.data(), shift, x.size(), p.data());
    return p;
}

constexpr float lowest = -87.3365402f, highest = 88.7228317f;  // ln 2^-126, ln 2^128: where results are normal floats

/// Our own levels.
class ExactExp : public testing::TestWithParam<Isa> {
  protected:
    static float one_exp(float x) { return exp_shifted(GetParam(), {x}).front(); }
};

TEST_P(ExactExp, IsRightToTwoRoundingsOverTheWholeRange) {
    std::vector<float> xs;
    for (const float end : {lowest, highest})  // every 1009th float from the end to zero, so that all sizes occur
        for (float x = end; x != 0 && std::abs(x) > 1e-12f;
             x = std::copysign(std::bit_cast<float>(std::bit_cast<std::uint32_t>(std::abs(x)) - 1009), end))
            xs.push_back(x);
    ASSERT_GT(xs.size(), 500000u);
    const auto found = exp_shifted(GetParam(), xs);
    double worst = 0;
    float at = 0;
    for (std::size_t i = 0; i < xs.size(); ++i) {
        const double expected = std::exp(double{xs[i]}), error = std::abs(found[i] - expected) / expected;
        if (!(error <= worst)) worst = error, at = xs[i];
    }
    EXPECT_LT(worst, 2e-7) << "at " << at;
}

TEST_P(ExactExp, OfZeroIsExactlyOne) {
    EXPECT_EQ(one_exp(0.0f), 1.0f);
    EXPECT_EQ(one_exp(-0.0f), 1.0f);
    EXPECT_EQ(one_exp(1e-40f), 1.0f);
    for (const float max : {-3e38f, -17.3f, 0.1f, 100.0f, 3e38f})
        EXPECT_EQ(exp_shifted(GetParam(), {max}, max).front(), 1.0f);
}

TEST_P(ExactExp, IsZeroBelowTheRangeAndInfiniteAbove) {
    EXPECT_GE(one_exp(lowest), std::numeric_limits<float>::min());
    EXPECT_LE(one_exp(highest), std::numeric_limits<float>::max());
    for (const float x : {std::nextafter(lowest, -infinity), -87.34f, -100.0f, -1e10f, -3e38f, -infinity})
        EXPECT_EQ(one_exp(x), 0.0f) << x;
    for (const float x : {std::nextafter(highest, infinity), 89.0f, 1e10f, 3e38f, infinity})
        EXPECT_EQ(one_exp(x), infinity) << x;
}

TEST_P(ExactExp, GrowsWithItsArgument) {
    float before = 0;
    for (float x = lowest; x < highest; x += 0.0009765625f) {
        const float y = one_exp(x);
        ASSERT_GT(y, before) << x;
        before = y;
    }
}

INSTANTIATE_TEST_SUITE_P(Levels, ExactExp, testing::ValuesIn(support::exact_isas()),
                         [](const auto& p) { return to_string(p.param); });

class ExpTest : public testing::TestWithParam<Isa> {};

TEST_P(ExpTest, OfANaNIsANaNInItsOwnLaneOnly) {
    for (std::size_t n = 1; n <= 40; ++n)
        for (std::size_t at = 0; at < n; at += 3) {
            std::vector<float> x(n, 0.0f);
            x[at] = support::nan;
            const auto p = exp_shifted(GetParam(), x);
            for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(std::isnan(p[i]), i == at) << n << ", " << i;
        }
}

TEST_P(ExpTest, SubtractsTheShiftFirstAtAnySizeAndInPlace) {
    for (std::size_t n = 1; n <= 70; ++n) {
        auto x = support::random_numbers(n + 1, static_cast<unsigned>(n), 5);
        const float guard = x[n], shift = 7.25f;
        std::vector<double> expected(n);
        for (std::size_t i = 0; i < n; ++i) expected[i] = std::exp(double{x[i] - shift});
        const eigenlm::FloatState state;
        eigenlm::kernels(GetParam()).exp_shifted(x.data(), shift, n, x.data());
        for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(x[i] / expected[i], 1, 1e-6) << n << ", " << i;
        EXPECT_EQ(x[n], guard) << "written behind the end";
    }
}

INSTANTIATE_TEST_SUITE_P(Levels, ExpTest, testing::ValuesIn(eigenlm::available_isas()),
                         [](const auto& p) { return to_string(p.param); });

}  // namespace
