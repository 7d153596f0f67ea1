// Our floating-point state is ours only: while it lives, arithmetic flushes subnormals and rounds to nearest; before,
// behind and in callbacks the host's own state holds.
#include <gtest/gtest.h>

#include <cfenv>
#include <eigenlm/base/float_state.hpp>
#include <stdexcept>

#include "support/subnormals.hpp"

namespace {

using eigenlm::FloatState;
using support::flushes_subnormals;

/// Where a number a little above 1 is rounded to: asked of the arithmetic, as fegetround asks the x87 unit alone.
float little_above_one() {
    volatile float one = 1.0f, little = 0x1p-30f;
    return one + little;
}
float little_below_one() {
    volatile float one = 1.0f, little = 0x1p-30f;
    return one - little;
}

/// Sets the host's rounding for a test, and puts it back.
struct HostRounding {
    explicit HostRounding(int mode) { std::fesetround(mode); }
    ~HostRounding() {
        std::fesetround(FE_TONEAREST);
        std::feclearexcept(FE_ALL_EXCEPT);
    }
};

TEST(FloatState, FlushesSubnormalsForItsLifetimeOnly) {
    EXPECT_FALSE(flushes_subnormals());
    {
        const FloatState state;
        EXPECT_TRUE(flushes_subnormals());
        volatile float small = 0x1p-100f;
        EXPECT_EQ(small * small, 0.0f);
        volatile float result = 0x1p-126f, half = 0.5f;
        EXPECT_EQ(result * half, 0.0f) << "results are flushed, not operands alone";
    }
    EXPECT_FALSE(flushes_subnormals());
}

TEST(FloatState, RoundsToNearestWhateverTheHostDoes) {
    const HostRounding upward(FE_UPWARD);
    EXPECT_GT(little_above_one(), 1.0f);
    {
        const FloatState state;
        EXPECT_EQ(little_above_one(), 1.0f);
    }
    EXPECT_GT(little_above_one(), 1.0f);
}

TEST(FloatState, LeavesTheHostsExceptionFlagsAlone) {
    std::feclearexcept(FE_ALL_EXCEPT);
    std::feraiseexcept(FE_DIVBYZERO);
    {
        const FloatState state;
        volatile float zero = 0, one = 1, huge = 3e38f;
        volatile float invalid = zero / zero, overflow = huge * huge, inexact = one / 3;
        (void)invalid, (void)overflow, (void)inexact;
    }
    EXPECT_EQ(std::fetestexcept(FE_ALL_EXCEPT), FE_DIVBYZERO);
    std::feclearexcept(FE_ALL_EXCEPT);
}

#if defined(__x86_64__)
TEST(FloatState, MasksTrapsThatTheHostHasSet) {
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before & ~unsigned{_MM_MASK_DIV_ZERO | _MM_MASK_INVALID});
    const unsigned trapping = _mm_getcsr();
    {
        const FloatState state;
        volatile float zero = 0, one = 1;
        volatile float infinite = one / zero, invalid = zero / zero;  // would kill the process
        EXPECT_GT(infinite, 1.0f);
        EXPECT_NE(invalid, invalid);
    }
    const unsigned behind = _mm_getcsr();
    _mm_setcsr(before);
    EXPECT_EQ(behind, trapping);
}
#endif

TEST(FloatState, NestsWithoutLoss) {
    const FloatState outer;
    { const FloatState inner; }
    EXPECT_TRUE(flushes_subnormals());
}

TEST(FloatState, CallbacksRunUnderTheHostsState) {
    const HostRounding downward(FE_DOWNWARD);
    const FloatState state;
    bool called = false;
    FloatState::with_host_state(state, [&] {
        called = true;
        EXPECT_FALSE(flushes_subnormals());
        EXPECT_LT(little_below_one(), 1.0f);
    });
    EXPECT_TRUE(called);
    EXPECT_TRUE(flushes_subnormals());
    EXPECT_EQ(little_below_one(), 1.0f);
}

TEST(FloatState, IsBackAfterACallbackThatThrows) {
    const FloatState state;
    EXPECT_THROW(FloatState::with_host_state(state, [] { throw std::logic_error("callback"); }), std::logic_error);
    EXPECT_TRUE(flushes_subnormals());
}

}  // namespace
