// The portable level's fused multiply-add is IEEE 754's, bit for bit, with subnormals flushed: operands before, results
// (tiny after rounding to 24 bits) behind.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <eigenlm/base/float_state.hpp>
#include <eigenlm/base/types.hpp>
#include <eigenlm/kernels/detail/portable_vector.hpp>
#include <limits>
#include <random>

#include "support/numbers.hpp"

namespace {

namespace portable = eigenlm::detail::portable;
using eigenlm::lanes;
using support::infinity;
using support::nan;

constexpr float smallest = std::numeric_limits<float>::min();  // normal
constexpr float greatest = std::numeric_limits<float>::max();

float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }

/// |a b + c| < 2^-126 (1 - 2^-25), exactly: the product of two floats is a double, and the error of a sum is one too.
bool tiny(float a, float b, float c) {
    const double limit = 0x1.ffffffp-127, product = double{a} * double{b}, sum = product + double{c};
    const double part = sum - product, error = (product - (sum - part)) + (double{c} - part);
    return std::abs(sum) < limit || (std::abs(sum) == limit && error * sum < 0);
}

float expected_fma(float a, float b, float c) {
    a = flushed(a), b = flushed(b), c = flushed(c);
    const float result = std::fma(a, b, c);
    if (std::abs(result) == smallest && tiny(a, b, c)) return std::copysign(0.0f, result);
    return flushed(result);
}

/// Collects triples and compares them sixteen at a time.
class Comparison {
  public:
    ~Comparison() {
        while (count_ != 0) add(1, 1, 1);
    }
    void add(float a, float b, float c) {
        a_[count_] = a, b_[count_] = b, c_[count_] = c;
        if (++count_ == lanes) compare();
    }
    void add_with_signs(float a, float b, float c) { add(a, b, c), add(a, b, -c), add(-a, b, c), add(-a, b, -c); }

  private:
    void compare() {
        std::array<float, lanes> found;
        {
            const eigenlm::FloatState state;
            portable::store(found.data(), portable::fma(portable::load(a_.data()), portable::load(b_.data()),
                                                        portable::load(c_.data())));
        }
        count_ = 0;
        for (std::size_t i = 0; i < lanes && failures_ < 10; ++i) {
            const float expected = expected_fma(a_[i], b_[i], c_[i]);
            if (support::same_bits(found[i], expected)) continue;
            ++failures_;
            ADD_FAILURE() << std::hexfloat << a_[i] << " * " << b_[i] << " + " << c_[i] << " is " << expected
                          << ", found " << found[i];
        }
    }

    std::array<float, lanes> a_{}, b_{}, c_{};
    std::size_t count_ = 0;
    int failures_ = 0;
};

class Random {
  public:
    explicit Random(unsigned seed) : random_(seed) {}
    float bits() { return std::bit_cast<float>(static_cast<std::uint32_t>(random_())); }
    int between(int low, int high) { return low + static_cast<int>(random_() % static_cast<unsigned>(high - low + 1)); }
    /// +-1.xxx times two to the power of `exponent`.
    float number(int exponent) {
        const auto fraction = static_cast<std::uint32_t>(random_());
        return std::ldexp(std::bit_cast<float>((fraction & 0x807fffffu) | 0x3f800000u), exponent);
    }

  private:
    std::mt19937 random_;
};

TEST(PortableFma, OfRandomBits) {
    Random random(1);
    Comparison compare;
    for (int i = 0; i < 1000000; ++i) compare.add(random.bits(), random.bits(), random.bits());
}

TEST(PortableFma, WhereProductAndAddendAreOfSimilarSize) {
    Random random(2);
    Comparison compare;
    for (int i = 0; i < 1000000; ++i) {
        const int a = random.between(-60, 60), b = random.between(-60, 60);
        compare.add(random.number(a), random.number(b), random.number(a + b + random.between(-50, 26)));
    }
}

TEST(PortableFma, WhereTheSumCancels) {
    Random random(3);
    Comparison compare;
    for (int i = 0; i < 200000; ++i) {
        const float a = random.number(random.between(-30, 30)), b = random.number(random.between(-30, 30));
        const float c = -(a * b);
        compare.add(a, b, c), compare.add(a, b, std::nextafter(c, infinity)),
            compare.add(a, b, std::nextafter(c, -infinity));
    }
}

/// Products of odd whole numbers with 25 bits lie midway between two floats: the addend alone decides, however small.
TEST(PortableFma, AtMidpointsBetweenTwoFloats) {
    Random random(4);
    Comparison compare;
    for (int i = 0; i < 200000; ++i) {
        const auto a = static_cast<float>(random.between(1 << 11, (1 << 12) - 1) * 2 + 1);
        const auto b = static_cast<float>(random.between(1 << 10, (1 << 11) - 1) * 2 + 1);
        const int scale = random.between(-60, 60);
        const float scaled = std::ldexp(a, scale);
        for (const float c : {0.0f, smallest, std::ldexp(1.0f, scale - random.between(0, 60)),
                              random.number(scale - random.between(20, 60))})
            compare.add_with_signs(scaled, b, c);
    }
}

/// A float plus half the distance to its neighbour, less the square of a rounding error: more bits than a double has.
TEST(PortableFma, AtMidpointsMadeByTheAddend) {
    Random random(5);
    Comparison compare;
    for (int i = 0; i < 200000; ++i) {
        const float c = random.number(0), half_step = 0x1p-24f;
        const float little = 0x1p-23f * static_cast<float>(random.between(0, 1000));
        compare.add_with_signs(half_step * (1 + little), 1 - little, c);
        compare.add_with_signs(half_step, 1 + little, c);
    }
}

TEST(PortableFma, AtTheEndsOfTheRange) {
    Random random(6);
    Comparison compare;
    for (int i = 0; i < 200000; ++i) {
        const int a = random.between(-126, 127);
        const int low = std::clamp(-126 - a + random.between(-3, 3), -126, 127);
        const int high = std::clamp(127 - a + random.between(-3, 3), -126, 127);
        compare.add(random.number(a), random.number(low), random.number(random.between(-126, -120)));
        compare.add(random.number(a), random.number(low), 0.0f);
        compare.add(random.number(a), random.number(high), random.number(random.between(100, 127)));
    }
}

/// Just below 2^-126: what 24 bits round up to 2^-126 stays, what they do not is flushed.
TEST(PortableFma, AtTheBorderOfWhatIsFlushed) {
    Comparison compare;
    for (int steps = 0; steps <= 64; ++steps)
        for (const float c : {0.0f, smallest, smallest * 2})
            for (int exponent = -30; exponent <= 0; ++exponent) {
                const float factor = 1 - static_cast<float>(steps) * 0x1p-24f;
                compare.add_with_signs(std::ldexp(factor, exponent), std::ldexp(smallest, -exponent), c);
                compare.add_with_signs(std::ldexp(1.0f, exponent), std::ldexp(smallest * factor * 1.5f, -exponent), c);
                compare.add_with_signs(0x1p-75f * factor, 0x1p-76f, c);  // 2^-151: a quarter step below
                compare.add_with_signs(0x1p-76f * factor, 0x1p-76f, c);
            }
}

TEST(PortableFma, OfSpecialNumbers) {
    constexpr float subnormal = 1e-40f;
    const float numbers[] = {0.0f, subnormal, smallest, 1.0f, 1.5f, 0x1p23f, 0x1.fffffep-1f, greatest, infinity, nan};
    Comparison compare;
    for (const float a : numbers)
        for (const float b : numbers)
            for (const float c : numbers) compare.add_with_signs(a, b, c), compare.add_with_signs(a, -b, c);
}

}  // namespace
