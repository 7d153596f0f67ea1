// The small words: 16-bit floats widened exactly, sizes that do not overflow, views of rows.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <eigenlm/base/types.hpp>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "support/expect_error.hpp"

namespace {

/// What the bits of a binary format with that many exponent bits mean, by IEEE 754's formula.
double meaning(unsigned bits, int exponent_bits) {
    const int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = static_cast<int>(bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
    const int mantissa = static_cast<int>(bits) & ((1 << mantissa_bits) - 1);
    const double sign = bits & 0x8000 ? -1.0 : 1.0;
    if (exponent == (1 << exponent_bits) - 1)
        return mantissa ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
    if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
    return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

void expect_widens(float (*widen)(std::uint16_t), int exponent_bits) {
    for (unsigned bits = 0; bits < 0x10000; ++bits) {
        const double expected = meaning(bits, exponent_bits);
        const float found = widen(static_cast<std::uint16_t>(bits));
        ASSERT_EQ(std::signbit(found), (bits & 0x8000) != 0) << bits;
        if (std::isnan(expected))
            ASSERT_TRUE(std::isnan(found)) << bits;
        else
            ASSERT_EQ(static_cast<double>(found), expected) << bits;
    }
}

TEST(Types, EveryHalfPrecisionNumberIsWidenedExactly) { expect_widens(eigenlm::f16_to_f32, 5); }

TEST(Types, EveryBfloat16IsWidenedExactly) { expect_widens(eigenlm::bf16_to_f32, 8); }

TEST(Types, RoundingUp) {
    EXPECT_EQ(eigenlm::round_up(0, 16), 0u);
    EXPECT_EQ(eigenlm::round_up(1, 16), 16u);
    EXPECT_EQ(eigenlm::round_up(16, 16), 16u);
    EXPECT_EQ(eigenlm::round_up(17, 16), 32u);
    EXPECT_EQ(eigenlm::ceil_div(0, 64), 0u);
    EXPECT_EQ(eigenlm::ceil_div(64, 64), 1u);
    EXPECT_EQ(eigenlm::ceil_div(65, 64), 2u);
}

TEST(Types, ASizeThatOverflowsIsAnError) {
    constexpr std::size_t largest = std::numeric_limits<std::size_t>::max();
    EXPECT_EQ(eigenlm::checked_mul(largest / 3, 3, "here"), largest / 3 * 3);
    EXPECT_EQ(eigenlm::checked_mul(largest, 0, "here"), 0u);
    support::expect_error<eigenlm::ResourceError>([] { eigenlm::checked_mul(largest / 2 + 1, 2, "here"); },
                                                  {"here", "overflows", "9223372036854775808 x 2"});
}

TEST(Types, RowsAreViewsWithAStride) {
    std::vector<int> numbers(4 * 10);
    std::iota(numbers.begin(), numbers.end(), 0);
    const eigenlm::Rows<int> all{numbers.data(), 4, 7, 10};
    EXPECT_EQ(all[2][3], 23);
    EXPECT_EQ(all.row(3).size(), 7u);
    EXPECT_EQ(all.row(3).back(), 36);
    const auto part = all.middle(1, 2).columns(4, 3);
    EXPECT_EQ(part.rows, 2u);
    EXPECT_EQ(part.cols, 3u);
    EXPECT_EQ(part[0][0], 14);
    EXPECT_EQ(part[1][2], 26);
    const eigenlm::Rows<const int> constant = part;
    EXPECT_EQ(constant.row(1).data(), &numbers[24]);
}

/// The nearest of the neighbours of `x` among all numbers of a 16-bit type, ties to the even one.
template <class Widen>
float nearest(float x, std::uint16_t found, const Widen& widen) {
    float best = widen(found);
    for (const int step : {-1, 1}) {
        const auto bits = static_cast<std::uint16_t>(found + step);
        const float other = widen(bits);
        if (!std::isfinite(other) || !std::isfinite(best)) continue;
        const double here = std::abs(double{x} - double{best}), there = std::abs(double{x} - double{other});
        if (there < here || (there == here && bits % 2 == 0)) best = other;
    }
    return best;
}

TEST(Types, NarrowsToTheNearest) {
    std::mt19937 random(1);
    for (int i = 0; i < 200000; ++i) {
        const float x =
            std::ldexp(std::uniform_real_distribution<float>(-2, 2)(random), static_cast<int>(random() % 46) - 30);
        const std::uint16_t half = eigenlm::f32_to_f16(x), brain = eigenlm::f32_to_bf16(x);
        ASSERT_EQ(nearest(x, half, eigenlm::f16_to_f32), eigenlm::f16_to_f32(half)) << x;
        ASSERT_EQ(nearest(x, brain, eigenlm::bf16_to_f32), eigenlm::bf16_to_f32(brain)) << x;
    }
}

void expect_back(float (*widen)(std::uint16_t), std::uint16_t (*narrow)(float)) {
    for (std::uint32_t i = 0; i < 65536; ++i) {
        const auto bits = static_cast<std::uint16_t>(i);
        const std::uint16_t back = narrow(widen(bits));
        ASSERT_TRUE(std::isnan(widen(bits)) ? std::isnan(widen(back)) : back == bits) << bits;
    }
}

TEST(Types, NarrowingGivesEverySixteenBitNumberBack) {
    expect_back(eigenlm::f16_to_f32, eigenlm::f32_to_f16);
    expect_back(eigenlm::bf16_to_f32, eigenlm::f32_to_bf16);
}

TEST(Types, NarrowingRoundsTiesToEvenAndOverflowsToInfinity) {
    using eigenlm::f32_to_f16;
    EXPECT_EQ(f32_to_f16(65504), 0x7bff);
    EXPECT_EQ(f32_to_f16(65519.996f), 0x7bff);
    EXPECT_EQ(f32_to_f16(65520), 0x7c00);
    EXPECT_EQ(f32_to_f16(-1e30f), 0xfc00);
    EXPECT_EQ(f32_to_f16(0x1p-24f), 1);
    EXPECT_EQ(f32_to_f16(0x1p-25f), 0) << "half of the smallest: to even";
    EXPECT_EQ(f32_to_f16(0x1.000002p-25f), 1);
    EXPECT_EQ(f32_to_f16(0x1.8p-24f), 2) << "one and a half of it: to even";
    EXPECT_EQ(f32_to_f16(0x1.ffcp-15f), 0x0400) << "rounds up into the normal ones";
    EXPECT_EQ(f32_to_f16(-0.0f), 0x8000);
    EXPECT_EQ(f32_to_f16(1 + 0x1p-11f), 0x3c00);
    EXPECT_EQ(f32_to_f16(1 + 0x3p-11f), 0x3c02);
    EXPECT_EQ(eigenlm::f32_to_bf16(1 + 0x1p-8f), 0x3f80);
    EXPECT_EQ(eigenlm::f32_to_bf16(1 + 0x3p-8f), 0x3f82);
    EXPECT_EQ(eigenlm::f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
}

}  // namespace
