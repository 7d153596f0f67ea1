// A thread pool whose memory runs out while its threads start: an exception, and no process killed. This program
// replaces operator new, and fails one allocation.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <eigenlm/base/parallel.hpp>
#include <new>

#include "support/sanitized.hpp"

#if !SANITIZED
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // new and delete below are both malloc's
#endif

namespace {
std::atomic<int> allocations_left{-1};  // below 0: as many as there is memory
}

void* operator new(std::size_t size) {
    if (allocations_left.load() >= 0 && allocations_left.fetch_sub(1) == 0) throw std::bad_alloc();
    if (void* p = std::malloc(size ? size : 1)) return p;
    throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

/// Exit status 0: no allocation failed. 1: one did, and there was an exception. Beside those that asking for the number
/// of processors takes, which does without what it cannot read.
[[noreturn]] void start_with(int allocations) {
    allocations_left = 10000;
    eigenlm::available_processors();
    allocations_left = 10000 - allocations_left + allocations;
    try {
        const eigenlm::ThreadPool pool(4);
    } catch (const std::exception&) {
        _exit(1);
    }
    _exit(0);
}

TEST(ThreadPoolDeathTest, EnoughMemoryIsEnough) { EXPECT_EXIT(start_with(1000), testing::ExitedWithCode(0), ""); }

TEST(ThreadPoolDeathTest, ThrowsWhicheverAllocationFails) {
    for (int allocations = 0; allocations < 4; ++allocations)  // a thread takes one, and the list of them some
        EXPECT_EXIT(start_with(allocations), testing::ExitedWithCode(1), "") << "after " << allocations;
}

}  // namespace

#else
TEST(ThreadPool, TheSanitizersOwnTheAllocator) { SUCCEED(); }
#endif
