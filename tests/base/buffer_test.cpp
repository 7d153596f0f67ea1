// Owned memory: zeroed, aligned, moved and not copied, and a typed error where it cannot be had.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <eigenlm/base/buffer.hpp>
#include <limits>
#include <type_traits>
#include <utility>

#include "support/expect_error.hpp"

namespace {

using eigenlm::Buffer;
using eigenlm::ResourceError;

static_assert(!std::is_copy_constructible_v<Buffer<float>> && !std::is_copy_assignable_v<Buffer<float>>);
static_assert(std::is_nothrow_move_constructible_v<Buffer<float>> && std::is_nothrow_move_assignable_v<Buffer<float>>);

TEST(Buffer, IsZeroedAlignedAndWritable) {
    for (const std::size_t size : {std::size_t{1}, std::size_t{17}, std::size_t{4096}, std::size_t{3} << 20}) {
        Buffer<float> buffer(size);
        ASSERT_EQ(buffer.size(), size);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0u);
        EXPECT_TRUE(std::ranges::all_of(buffer, [](float x) { return x == 0; })) << size;
        std::ranges::fill(buffer, 1.5f);
        EXPECT_EQ(buffer[0], 1.5f);
        EXPECT_EQ(buffer[size - 1], 1.5f);
    }
}

TEST(Buffer, ThatIsEmptyHoldsNothing) {
    const Buffer<float> none, zero(0);
    for (const auto* buffer : {&none, &zero}) {
        EXPECT_EQ(buffer->size(), 0u);
        EXPECT_EQ(buffer->data(), nullptr);
        EXPECT_EQ(buffer->begin(), buffer->end());
        EXPECT_TRUE(buffer->span().empty());
    }
}

TEST(Buffer, ThatIsMovedLeavesAnEmptyOne) {
    Buffer<int> first(100);
    first[99] = 7;
    int* const data = first.data();
    Buffer<int> second(std::move(first));
    EXPECT_EQ(second.data(), data);
    EXPECT_EQ(second.size(), 100u);
    EXPECT_EQ(second[99], 7);
    EXPECT_EQ(first.data(), nullptr);  // NOLINT: what a moved-from buffer is, is what we ask
    EXPECT_EQ(first.size(), 0u);
}

TEST(Buffer, ThatIsMoveAssignedTakesTheOthersMemory) {
    Buffer<int> first(10), second(20);
    first[9] = 1;
    int* const data = first.data();
    second = std::move(first);
    EXPECT_EQ(second.data(), data);
    EXPECT_EQ(second.size(), 10u);
    EXPECT_EQ(second[9], 1);
    Buffer<int>& same = second;
    second = std::move(same);
    EXPECT_EQ(second.data(), data);
    EXPECT_EQ(second[9], 1);
}

TEST(Buffer, WhoseSizeOverflowsIsAnError) {
    constexpr std::size_t largest = std::numeric_limits<std::size_t>::max();
    support::expect_error<ResourceError>([] { Buffer<double> b(largest); }, {"memory", "overflows"});
    support::expect_error<ResourceError>([] { Buffer<double> b(largest / 8 + 1); }, {"memory", "overflows"});
    support::expect_error<ResourceError>([] { Buffer<char> b(largest); }, {"memory", "cannot reserve"});
    support::expect_error<ResourceError>([] { Buffer<char> b(largest - 4095); }, {"memory", "cannot reserve"});
    support::expect_error<ResourceError>([] { Buffer<char> b(largest / 2 + 1); }, {"memory", "cannot reserve"});
}

TEST(Buffer, BeyondTheAddressSpaceIsAnError) {
    support::expect_error<ResourceError>([] { Buffer<char> b(std::size_t{1} << 60); },
                                         {"memory", "cannot reserve 1152921504606846976 bytes"});
}

}  // namespace
