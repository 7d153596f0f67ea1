#pragma once
// Threads that split one piece of work. Which thread takes which part never changes a result: parts are independent.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
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
#include "processors.hpp"
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

/// Threads of the host's, to compute on in place of our own.
class Executor {
  public:
    virtual ~Executor() = default;
    /// Calls that it runs at once, at best; always the same.
    virtual std::size_t size() const = 0;
    /// Calls task(i) once for each i < count, in any order, on any threads, and returns when all have returned. They
    /// never throw, and never wait for each other: it may run them one after the other.
    virtual void run(std::size_t count, const std::function<void(std::size_t)>& task) = 0;
};

/// `threads` threads in all, the caller among them. One caller at a time splits its work over them; a second one, from
/// another thread, does its own work alone meanwhile (same bits). Destruction joins the workers.
class ThreadPool {
  public:
    /// Starts threads - 1 workers; 0 stands for available_processors(). With an executor it starts none, and splits
    /// work into so many of its calls; 0 stands for the executor's size. Throws ArgumentError for more than 1,024
    /// threads, ResourceError when they cannot be had.
    explicit ThreadPool(std::size_t threads = 0, std::shared_ptr<Executor> executor = nullptr)
        : executor_(std::move(executor)) {
        const std::size_t processors = executor_ ? executor_->size() : available_processors();
        if (threads == 0) threads = std::clamp<std::size_t>(processors, 1, max_threads);
        if (threads > max_threads)
            throw ArgumentError(
                "threads", "expected at most " + std::to_string(max_threads) + ", found " + std::to_string(threads));
        spins_ = threads <= processors;
        shares_ = std::vector<Share>(threads);
        if (executor_) return;
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
    std::size_t size() const { return shares_.size(); }

    /// Calls f(begin, end, thread) over parts of [0, count), each of at most `grain` items, on all threads; returns
    /// when all are done. Threads take parts in ascending order. `thread` < size() is unique among the calls that one
    /// for_each runs at a time. Every call of f runs under FloatState. The first exception is thrown again here, after
    /// the other threads have stopped taking parts.
    void for_each(std::size_t count, std::size_t grain, RangeFunction f) {
        if (grain == 0) grain = 1;
        const Turn turn(busy_);
        if (count <= grain || size() == 1 || !turn.mine) return alone(count, grain, f);
        next_.store(0, std::memory_order_relaxed);
        run({&f, count, grain, false});
    }

    /// for_each where each thread begins with a share of its own, of consecutive items, and takes its parts in
    /// ascending order, so that it reads memory in one stream; who is done takes the last parts of another's share.
    /// Parts begin at multiples of `multiple`, of which `grain` is one; 0 stands for 1.
    void split(std::size_t count, std::size_t multiple, std::size_t grain, RangeFunction f) {
        multiple = std::max<std::size_t>(multiple, 1), grain = std::max(grain, multiple);
        const Turn turn(busy_);
        if (count <= multiple || size() == 1 || !turn.mine || count > max_shared) return alone(count, count, f);
        const std::size_t multiples = ceil_div(count, multiple);
        for (std::size_t i = 0; i < size(); ++i)
            shares_[i].set(std::min(count, multiples * i / size() * multiple),
                           std::min(count, multiples * (i + 1) / size() * multiple));
        run({&f, count, grain, true});
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
        bool shared;  // by shares_, or else by next_
    };

    /// Items [begin, end) that nobody has taken yet, in one number.
    static constexpr std::size_t max_shared = 0xffffffff;
    class alignas(64) Share {
      public:
        void set(std::size_t begin, std::size_t end) { range_.store(begin << 32 | end, std::memory_order_relaxed); }
        /// Takes `grain` items, or what is left. Whether there were any.
        bool take(std::size_t grain, bool last, std::size_t& begin, std::size_t& end) {
            for (std::uint64_t range = range_.load(std::memory_order_relaxed);;) {
                const std::size_t first = range >> 32, stop = range & max_shared;
                if (first >= stop) return false;
                begin = last ? first + (stop - first - 1) / grain * grain : first;
                end = last ? stop : std::min(stop, first + grain);
                const std::uint64_t left = last ? first << 32 | begin : end << 32 | stop;
                if (range_.compare_exchange_weak(range, left, std::memory_order_relaxed)) return true;
            }
        }

      private:
        std::atomic<std::uint64_t> range_{0};
    };

    void alone(std::size_t count, std::size_t grain, const RangeFunction& f) {
        const FloatState state;
        for (std::size_t begin = 0; begin < count; begin += grain)
            f(begin, count - begin > grain ? begin + grain : count, 0);
    }
    void run(const Job& job) {
        job_ = job;
        failure_ = nullptr;  // of an executor's call that it has left with an exception
        if (executor_)
            executor_->run(size(), take_parts_);
        else
            run_on_workers();
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    }
    /// Opens the door for the workers, works, and shuts it behind those who came: somebody whom the system has not
    /// woken in time is not waited for.
    void run_on_workers() {
        door_.store(open, std::memory_order_release);
        epoch_.fetch_add(1, std::memory_order_release);
        epoch_.notify_all();
        take_parts(0);
        door_.fetch_sub(open, std::memory_order_acq_rel);
        spin([this] { return door_.load(std::memory_order_acquire) == 0; });
        for (std::size_t left; (left = door_.load(std::memory_order_acquire)) != 0;) door_.wait(left);
    }

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
            for (std::size_t begin, end; next_part(thread, begin, end);) (*job_.f)(begin, end, thread);
        } catch (...) {
            next_.store(job_.count, std::memory_order_relaxed);
            for (Share& share : shares_) share.set(0, 0);
            const std::lock_guard<std::mutex> lock(failure_mutex_);
            if (!failure_) failure_ = std::current_exception();
        }
    }
    bool next_part(std::size_t thread, std::size_t& begin, std::size_t& end) {
        if (job_.shared) {
            for (std::size_t i = 0; i < size(); ++i)
                if (shares_[(thread + i) % size()].take(job_.grain, i != 0, begin, end)) return true;
            return false;
        }
        begin = next_.fetch_add(job_.grain, std::memory_order_relaxed);
        if (begin >= job_.count) return false;
        end = job_.count - begin > job_.grain ? begin + job_.grain : job_.count;
        return true;
    }

    /// Whether the door was open.
    bool enter() {
        for (std::size_t inside = door_.load(std::memory_order_relaxed); inside >= open;)
            if (door_.compare_exchange_weak(inside, inside + 1, std::memory_order_acquire, std::memory_order_relaxed))
                return true;
        return false;
    }
    void work(std::size_t thread) {
        for (std::size_t seen = 0;;) {
            spin([&] { return epoch_.load(std::memory_order_acquire) != seen; });
            epoch_.wait(seen, std::memory_order_acquire);
            seen = epoch_.load(std::memory_order_acquire);
            if (stopping_) return;
            if (!enter()) continue;
            take_parts(thread);
            if (door_.fetch_sub(1, std::memory_order_acq_rel) == 1) door_.notify_one();
        }
    }

    void stop() {
        stopping_ = true;
        epoch_.fetch_add(1, std::memory_order_release);
        epoch_.notify_all();
        for (auto& worker : workers_) worker.join();
        workers_.clear();
    }

    const std::shared_ptr<Executor> executor_;  // null: the workers
    const std::function<void(std::size_t)> take_parts_ = [this](std::size_t thread) { take_parts(thread); };
    bool spins_ = false;
    std::vector<std::thread> workers_;
    std::atomic_flag busy_;
    Job job_{};
    std::vector<Share> shares_;  // one for each thread
    std::atomic<std::size_t> next_{0}, epoch_{0};
    static constexpr std::size_t open = 1u << 16;
    std::atomic<std::size_t> door_{0};  // `open`, or 0; and the workers inside
    std::atomic<bool> stopping_{false};
    std::mutex failure_mutex_;
    std::exception_ptr failure_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
