#pragma once
// Threads that split one piece of work. Which thread takes which part never changes a result: parts are independent.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "error.hpp"
#include "float_state.hpp"
#include "types.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// A callable by reference, without allocation: `void(std::size_t begin, std::size_t end, std::size_t thread)`.
class RangeFunction {
  public:
    /// Refers to `f`, which must live as long as this object is called.
    template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, RangeFunction>) RangeFunction(const F& f)
        : object_(&f), call_([](const void* object, std::size_t begin, std::size_t end, std::size_t thread) {
              (*static_cast<const F*>(object))(begin, end, thread);
          }) {}
    /// Calls it for the items [begin, end), as thread number `thread`.
    void operator()(std::size_t begin, std::size_t end, std::size_t thread) const {
        call_(object_, begin, end, thread);
    }

  private:
    const void* object_;
    void (*call_)(const void*, std::size_t, std::size_t, std::size_t);
};

/// `threads` threads in all, the caller among them. One caller at a time splits its work over them; a second one, from
/// another thread, does its own work alone meanwhile (same bits). Destruction joins the workers.
class ThreadPool {
  public:
    /// Starts threads - 1 workers; 0 stands for the machine's number of threads. Throws ArgumentError for more than
    /// 1,024, ResourceError when they cannot be had.
    explicit ThreadPool(std::size_t threads = 0) {
        if (threads == 0) threads = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, max_threads);
        if (threads > max_threads)
            throw ArgumentError(
                "threads", "expected at most " + std::to_string(max_threads) + ", found " + std::to_string(threads));
        spins_ = threads <= std::thread::hardware_concurrency();
        try {
            for (std::size_t i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
        } catch (const std::system_error& e) {
            stop();
            throw ResourceError("threads", std::string("cannot start a thread: ") + e.what());
        } catch (...) {  // no memory: the threads there are must not outlive us
            stop();
            throw;
        }
    }
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    ~ThreadPool() { stop(); }

    /// Threads, the caller's included.
    std::size_t size() const { return workers_.size() + 1; }

    /// Calls f(begin, end, thread) over parts of [0, count), each of at most `grain` items, on all threads; returns
    /// when all are done. `thread` < size() is unique among the calls that one for_each runs at a time. Every call of f
    /// runs under FloatState. The first exception is thrown again here, after the other threads have stopped taking
    /// parts.
    void for_each(std::size_t count, std::size_t grain, RangeFunction f) {
        if (count == 0) return;
        if (grain == 0) grain = 1;
        const Turn turn(busy_);
        if (count <= grain || workers_.empty() || !turn.mine) {
            const FloatState state;
            for (std::size_t begin = 0; begin < count; begin += grain)
                f(begin, begin + grain < count ? begin + grain : count, 0);
            return;
        }
        job_ = {&f, count, grain};
        next_.store(0, std::memory_order_relaxed);
        running_.store(workers_.size(), std::memory_order_relaxed);
        epoch_.fetch_add(1, std::memory_order_release);
        epoch_.notify_all();
        take_parts(0);
        spin([this] { return running_.load(std::memory_order_acquire) == 0; });
        for (std::size_t left; (left = running_.load(std::memory_order_acquire)) != 0;) running_.wait(left);
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    }

    /// for_each with one part per thread of about equal size, in multiples of `multiple`.
    void split(std::size_t count, std::size_t multiple, RangeFunction f) {
        for_each(count, round_up(ceil_div(count, size()), std::max<std::size_t>(multiple, 1)), f);
    }

  private:
    static constexpr std::size_t max_threads = 1024;
    /// One call's hold on the workers, if nobody else has it: another thread's call, or one that this call is part of.
    struct Turn {
        explicit Turn(std::atomic_flag& f) : flag(f), mine(!f.test_and_set(std::memory_order_acquire)) {}
        ~Turn() {
            if (mine) flag.clear(std::memory_order_release);
        }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        std::atomic_flag& flag;
        const bool mine;
    };
    struct Job {
        const RangeFunction* f;
        std::size_t count, grain;
    };

    /// Waits for `done` without sleep for a moment: waking a thread takes longer than most of what a model's pass does
    /// between two of its parallel parts. With more threads than processors, somebody who works needs this one.
    template <class Done>
    void spin(const Done& done) const {
        if (!spins_) return;
        const auto begin = std::chrono::steady_clock::now();
        do {
            for (int i = 0; i < 32; ++i) {
                if (done()) return;
#if defined(__x86_64__)
                _mm_pause();
#else
                asm volatile("yield");
#endif
            }
        } while (std::chrono::steady_clock::now() - begin < std::chrono::microseconds(100));
    }

    void take_parts(std::size_t thread) {
        const FloatState state;
        try {
            for (;;) {
                const std::size_t begin = next_.fetch_add(job_.grain, std::memory_order_relaxed);
                if (begin >= job_.count) return;
                (*job_.f)(begin, begin + job_.grain < job_.count ? begin + job_.grain : job_.count, thread);
            }
        } catch (...) {
            next_.store(job_.count, std::memory_order_relaxed);
            const std::lock_guard<std::mutex> lock(failure_mutex_);
            if (!failure_) failure_ = std::current_exception();
        }
    }

    void work(std::size_t thread) {
        for (std::size_t seen = 0;;) {
            spin([&] { return epoch_.load(std::memory_order_acquire) != seen; });
            epoch_.wait(seen, std::memory_order_acquire);
            seen = epoch_.load(std::memory_order_acquire);
            if (stopping_) return;
            take_parts(thread);
            if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_one();
        }
    }

    void stop() {
        stopping_ = true;
        epoch_.fetch_add(1, std::memory_order_release);
        epoch_.notify_all();
        for (auto& worker : workers_) worker.join();
        workers_.clear();
    }

    bool spins_ = false;
    std::vector<std::thread> workers_;
    std::atomic_flag busy_;
    Job job_{};
    std::atomic<std::size_t> next_{0}, running_{0}, epoch_{0};
    std::atomic<bool> stopping_{false};
    std::mutex failure_mutex_;
    std::exception_ptr failure_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
