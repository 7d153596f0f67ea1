// Threads that split one piece of work: every item once, exceptions passed on, and no surprises for a second caller.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <eigenlm/base/parallel.hpp>
#include <functional>
#include <latch>
#include <limits>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/sanitized.hpp"
#include "support/subnormals.hpp"

namespace {

using eigenlm::ThreadPool;
using support::flushes_subnormals;

/// Counts how often each item of [0, count) is visited, and checks the parts.
std::vector<int> visits(ThreadPool& pool, std::size_t count, std::size_t grain) {
    std::vector<std::atomic<int>> items(count);
    std::vector<std::atomic<int>> inside(pool.size());
    pool.for_each(count, grain, [&](std::size_t begin, std::size_t end, std::size_t thread) {
        ASSERT_LT(thread, pool.size());
        EXPECT_EQ(inside[thread].fetch_add(1), 0) << "two calls at one time have the same thread number";
        ASSERT_LT(begin, end);
        ASSERT_LE(end, count);
        EXPECT_LE(end - begin, grain ? grain : 1);
        for (std::size_t i = begin; i < end; ++i) ++items[i];
        --inside[thread];
    });
    return {items.begin(), items.end()};
}

TEST(ThreadPool, VisitsEachItemExactlyOnce) {
    constexpr std::size_t largest = std::numeric_limits<std::size_t>::max();
    for (const std::size_t threads : {1u, 2u, 3u, 4u, 7u, 16u}) {
        ThreadPool pool(threads);
        ASSERT_EQ(pool.size(), threads);
        for (const std::size_t count : {0u, 1u, 2u, 15u, 64u, 65u, 1000u})
            for (const std::size_t grain : {std::size_t{0}, std::size_t{1}, std::size_t{3}, std::size_t{64}, largest})
                EXPECT_EQ(visits(pool, count, grain), std::vector<int>(count, 1))
                    << threads << " threads, " << count << " items by " << grain;
    }
}

TEST(ThreadPool, SplitsIntoMultiples) {
    for (const std::size_t threads : {1u, 2u, 3u, 5u}) {
        ThreadPool pool(threads);
        for (const std::size_t count : {0u, 1u, 8u, 16u, 17u, 100u, 1000u})
            for (const std::size_t grain : {8u, 16u, 1u << 20}) {
                std::mutex mutex;
                std::vector<int> items(count);
                pool.split(count, 8, grain, [&](std::size_t begin, std::size_t end, std::size_t) {
                    const std::lock_guard<std::mutex> lock(mutex);
                    EXPECT_EQ(begin % 8, 0u);
                    if (threads > 1) {
                        EXPECT_LE(end - begin, grain);
                    }
                    for (std::size_t i = begin; i < end; ++i) ++items.at(i);
                });
                EXPECT_EQ(items, std::vector<int>(count, 1)) << threads << " threads, " << count << " by " << grain;
            }
    }
}

TEST(ThreadPool, SharesOfThreadsThatAreHeldUpAreTakenByOthers) {
    ThreadPool pool(3);
    std::mutex mutex;
    std::vector<std::size_t> held_up;  // the parts that a thread was held up in
    std::atomic<std::size_t> done = 0;
    pool.split(300, 1, 10, [&](std::size_t begin, std::size_t, std::size_t thread) {
        if (thread != 0) {  // the caller does all but one part of each of the others
            {
                const std::lock_guard<std::mutex> lock(mutex);
                held_up.push_back(begin);
            }
            while (done < 28) std::this_thread::yield();
        }
        ++done;
    });
    EXPECT_EQ(done, 30u);
    EXPECT_LE(held_up.size(), 2u);
}

TEST(ThreadPool, TakesItsOwnShareInAscendingOrder) {
    ThreadPool pool(2);
    std::vector<std::size_t> begins;
    std::atomic<bool> begun = false;
    pool.split(100, 2, 10, [&](std::size_t begin, std::size_t, std::size_t thread) {
        if (thread != 0) {  // in its first part until the caller has gone through its own share
            while (!begun) std::this_thread::yield();
            return;
        }
        if (begin < 50) begins.push_back(begin);
        if (begins.size() == 5) begun = true;
    });
    EXPECT_EQ(begins, (std::vector<std::size_t>{0, 10, 20, 30, 40}));
}

/// Calls f(thread) once on every thread of the pool: no part returns before all have begun.
template <class F>
void on_every_thread(ThreadPool& pool, const F& f) {
    std::latch all_here(static_cast<std::ptrdiff_t>(pool.size()));
    pool.for_each(pool.size(), 1, [&](std::size_t, std::size_t, std::size_t thread) {
        all_here.arrive_and_wait();
        f(thread);
    });
}

TEST(ThreadPool, WorksOnAllThreadsAtOnceUnderOurFloatState) {
    ThreadPool pool(5);
    std::mutex mutex;
    std::set<std::size_t> numbers;
    std::set<std::thread::id> threads;
    on_every_thread(pool, [&](std::size_t thread) {
        const std::lock_guard<std::mutex> lock(mutex);
        EXPECT_TRUE(flushes_subnormals()) << "thread " << thread;
        numbers.insert(thread);
        threads.insert(std::this_thread::get_id());
    });
    EXPECT_EQ(numbers.size(), 5u);
    EXPECT_EQ(threads.size(), 5u);
    EXPECT_TRUE(threads.contains(std::this_thread::get_id())) << "the caller works too";
    EXPECT_FALSE(flushes_subnormals()) << "the caller's state is back";
}

TEST(ThreadPool, WorksUnderOurFloatStateAlsoAlone) {
    ThreadPool pool(1);
    bool flushed = false;
    pool.for_each(1, 1, [&](std::size_t, std::size_t, std::size_t) { flushed = flushes_subnormals(); });
    EXPECT_TRUE(flushed);
    EXPECT_FALSE(flushes_subnormals());
}

TEST(ThreadPool, PassesAnExceptionOnFromAnyThread) {
    for (const std::size_t threads : {1u, 2u, 4u}) {
        ThreadPool pool(threads);
        for (std::size_t thrower = 0; thrower < threads; ++thrower) {
            const auto f = [&](std::size_t thread) {
                if (thread == thrower) throw std::out_of_range("thread " + std::to_string(thread));
            };
            try {
                on_every_thread(pool, f);
                ADD_FAILURE() << "nothing was thrown";
            } catch (const std::out_of_range& e) {
                EXPECT_EQ(e.what(), "thread " + std::to_string(thrower));
            }
            EXPECT_FALSE(flushes_subnormals());
            EXPECT_EQ(visits(pool, 100, 1), std::vector<int>(100, 1)) << "the pool is usable afterwards";
        }
    }
}

TEST(ThreadPool, ThrowsOneOfSeveralExceptionsOnce) {
    ThreadPool pool(4);
    EXPECT_THROW(on_every_thread(pool, [](std::size_t) { throw std::out_of_range("all"); }), std::out_of_range);
    EXPECT_NO_THROW(pool.for_each(8, 1, [](std::size_t, std::size_t, std::size_t) {}));
}

TEST(ThreadPool, LetsASecondCallerWorkAloneMeanwhile) {
    ThreadPool pool(3);
    std::vector<int> items(100);
    std::atomic<bool> done = false;
    pool.for_each(2, 1, [&](std::size_t begin, std::size_t, std::size_t) {
        if (begin != 0) return;
        std::thread([&] {  // the first caller waits in here for the second
            pool.for_each(items.size(), 7, [&](std::size_t first, std::size_t last, std::size_t thread) {
                EXPECT_EQ(thread, 0u);
                EXPECT_TRUE(flushes_subnormals());
                for (std::size_t i = first; i < last; ++i) ++items[i];
            });
            done = true;
        })
            .join();
    });
    EXPECT_TRUE(done);
    EXPECT_EQ(items, std::vector<int>(100, 1));
}

TEST(ThreadPool, ServesTwoHostThreadsThatKeepCalling) {
    ThreadPool pool(3);
    const auto keep_calling = [&pool] {
        for (int round = 0; round < 200; ++round) ASSERT_EQ(visits(pool, 40, 3), std::vector<int>(40, 1));
    };
    std::thread other(keep_calling);
    keep_calling();
    other.join();
}

TEST(ThreadPool, TakesNestedCalls) {
    ThreadPool pool(3);
    std::vector<std::atomic<int>> items(6 * 20);
    pool.for_each(6, 1, [&](std::size_t outer, std::size_t, std::size_t) {
        pool.for_each(20, 4, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t i = begin; i < end; ++i) ++items[outer * 20 + i];
        });
        EXPECT_TRUE(flushes_subnormals());
    });
    EXPECT_EQ(std::vector<int>(items.begin(), items.end()), std::vector<int>(6 * 20, 1));
}

TEST(ThreadPool, IdleThreadsUseNoProcessor) {  // they spin for a moment, then sleep until there is work again
    ThreadPool pool(4);
    const auto processor_time = [] {
        timespec time{};
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
        return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
    };
    for (int round = 0; round < 2; ++round) {
        std::atomic<int> visits{0};
        pool.for_each(
            100, 1, [&](std::size_t begin, std::size_t end, std::size_t) { visits += static_cast<int>(end - begin); });
        EXPECT_EQ(visits, 100);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        const auto before = processor_time();
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        EXPECT_LT(processor_time() - before, std::chrono::milliseconds(20));  // of 800 that four threads could use
    }
}

TEST(ThreadPool, HasAThreadForEachProcessorThatItMayUse) {
    const ThreadPool pool;
    EXPECT_EQ(pool.size(), eigenlm::available_processors());
    std::thread([] {  // the mask is a thread's own
        cpu_set_t mask;
        ASSERT_EQ(sched_getaffinity(0, sizeof mask, &mask), 0);
        int first = 0;
        while (!CPU_ISSET(first, &mask)) ++first;
        CPU_ZERO(&mask);
        CPU_SET(first, &mask);
        ASSERT_EQ(sched_setaffinity(0, sizeof mask, &mask), 0);
        EXPECT_EQ(ThreadPool().size(), 1u);
    })
        .join();
}

/// Runs calls as somebody's pool might.
class TestExecutor : public eigenlm::Executor {
  public:
    TestExecutor(std::size_t size, bool at_once) : size_(size), at_once_(at_once) {}
    std::size_t size() const override { return size_; }
    void run(std::size_t count, const std::function<void(std::size_t)>& task) override {
        ++runs;
        if (fails) throw std::runtime_error("no threads today");
        if (!at_once_) {
            for (std::size_t i = count; i-- > 0;) task(i);
            return;
        }
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < count; ++i) threads.emplace_back(task, i);
    }
    std::atomic<int> runs = 0;
    bool fails = false;

  private:
    std::size_t size_;
    bool at_once_;
};

TEST(ThreadPool, ComputesOnAnExecutorsThreads) {
    for (const bool at_once : {false, true}) {
        const auto executor = std::make_shared<TestExecutor>(3, at_once);
        ThreadPool pool(0, executor);
        EXPECT_EQ(pool.size(), 3u);
        EXPECT_EQ(ThreadPool(2, executor).size(), 2u);
        for (const std::size_t count : {1u, 7u, 40u, 100u})
            for (const std::size_t grain : {1u, 3u}) {
                EXPECT_EQ(visits(pool, count, grain), std::vector<int>(count, 1));
                std::vector<std::atomic<int>> items(count);
                pool.split(count, 1, grain, [&](std::size_t begin, std::size_t end, std::size_t) {
                    EXPECT_TRUE(flushes_subnormals());
                    for (std::size_t i = begin; i < end; ++i) ++items[i];
                });
                EXPECT_EQ(std::vector<int>(items.begin(), items.end()), std::vector<int>(count, 1));
            }
        EXPECT_GT(executor->runs, 0);
        EXPECT_FALSE(flushes_subnormals());
    }
}

TEST(ThreadPool, PassesExceptionsThroughAnExecutor) {
    const auto executor = std::make_shared<TestExecutor>(3, true);
    ThreadPool pool(0, executor);
    const auto odd = [](std::size_t begin, std::size_t, std::size_t) {
        if (begin % 2) throw std::logic_error("odd");
    };
    EXPECT_THROW(pool.for_each(40, 1, odd), std::logic_error);
    EXPECT_THROW(pool.split(40, 1, 1, odd), std::logic_error);
    executor->fails = true;
    EXPECT_THROW(visits(pool, 40, 1), std::runtime_error);
    executor->fails = false;
    EXPECT_EQ(visits(pool, 40, 1), std::vector<int>(40, 1));
}

TEST(ThreadPool, RefusesAbsurdNumbersOfThreads) {
    support::expect_error<eigenlm::ArgumentError>([] { ThreadPool pool(1025); }, {"threads", "at most 1024", "1025"});
    support::expect_error<eigenlm::ArgumentError>([] { ThreadPool pool(std::numeric_limits<std::size_t>::max()); },
                                                  {"threads"});
}

#if !SANITIZED
/// Leaves this process `spare` bytes of address space: far less than 1,000 stacks take.
void limit_memory(std::size_t spare) {
    std::size_t pages = 0;
    std::FILE* const statm = std::fopen("/proc/self/statm", "r");
    if (!statm || std::fscanf(statm, "%zu", &pages) != 1) _exit(2);
    std::fclose(statm);
    const rlim_t most = pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) + spare;
    const rlimit limit{most, most};
    if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
}

TEST(ThreadPoolDeathTest, SaysSoWhenThreadsCannotBeHad) {
    const auto start_too_many = [] {
        limit_memory(std::size_t{64} << 20);
        try {
            ThreadPool pool(1000);
        } catch (const eigenlm::ResourceError& e) {
            std::fprintf(stderr, "%s", e.what());
            _exit(0);
        }
        _exit(1);
    };
    EXPECT_EXIT(start_too_many(), testing::ExitedWithCode(0), "threads: cannot start a thread");
}
#endif

}  // namespace
