// Contract 4: once a session is set up, prefill, decode, sampling and streaming allocate nothing. This program replaces
// malloc and its kin, operator new and mmap, and counts.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <eigenlm/eigenlm.hpp>
#include <new>

#include "support/golden.hpp"
#include "support/levels.hpp"
#include "support/sanitized.hpp"

#if !SANITIZED
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // new and delete below are both malloc's
#endif

namespace {

std::atomic<bool> counting{false};
std::atomic<std::size_t> allocations{0};

void count() {
    if (counting.load(std::memory_order_relaxed)) allocations.fetch_add(1, std::memory_order_relaxed);
}

/// Allocations of all threads during `body`.
template <class Body>
std::size_t allocations_during(const Body& body) {
    allocations = 0;
    counting = true;
    body();
    counting = false;
    return allocations;
}

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t size) { return count(), __libc_malloc(size); }
void* calloc(std::size_t n, std::size_t size) { return count(), __libc_calloc(n, size); }
void* realloc(void* p, std::size_t size) { return count(), __libc_realloc(p, size); }
void* memalign(std::size_t alignment, std::size_t size) { return count(), __libc_memalign(alignment, size); }
void* aligned_alloc(std::size_t alignment, std::size_t size) { return count(), __libc_memalign(alignment, size); }
int posix_memalign(void** p, std::size_t alignment, std::size_t size) {
    count();
    *p = __libc_memalign(alignment, size);
    return *p ? 0 : ENOMEM;
}
void* mmap(void* address, std::size_t length, int protection, int flags, int file, off_t offset) {
    count();
    return reinterpret_cast<void*>(syscall(SYS_mmap, address, length, protection, flags, file, offset));
}
}

void* operator new(std::size_t size) {
    count();
    if (void* p = __libc_malloc(size ? size : 1)) return p;
    throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    count();
    if (void* p = __libc_memalign(static_cast<std::size_t>(alignment), size)) return p;
    throw std::bad_alloc();
}
void operator delete(void* p) noexcept { free(p); }
void operator delete(void* p, std::size_t) noexcept { free(p); }
void operator delete(void* p, std::align_val_t) noexcept { free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { free(p); }

namespace {

TEST(Allocation, TheCounterCounts) {
    void* volatile kept = nullptr;
    EXPECT_GE(allocations_during([&] { kept = malloc(100); }), 1u);
    free(kept);
    EXPECT_GE(allocations_during([&] { kept = std::aligned_alloc(64, 128); }), 1u);
    free(kept);
    EXPECT_GE(allocations_during([&] { kept = ::operator new(100); }), 1u);
    ::operator delete(kept);
    EXPECT_GE(allocations_during([&] { const eigenlm::Buffer<float> pages(100); }), 1u);  // mmap
}

using Setting = std::tuple<std::string, eigenlm::WeightType, std::size_t, eigenlm::Isa>;
class AllocationTest : public testing::TestWithParam<Setting> {};

TEST_P(AllocationTest, StepsAllocateNothing) {
    const auto& [name, dtype, threads, isa] = GetParam();
    const auto model = support::load_model(support::model_dir(name), {.threads = threads, .isa = isa, .dtype = dtype});
    std::vector<eigenlm::TokenId> prompt(100);
    for (std::size_t i = 0; i < prompt.size(); ++i)
        prompt[i] = static_cast<eigenlm::TokenId>(i % model->config().vocab_size);
    for (const bool use_cache : {true, false}) {
        eigenlm::Session session(model, {.context = 200, .prefill_rows = 48, .use_cache = use_cache});
        eigenlm::Sampler sampler({.repeat_penalty = 1.1f, .temperature = 0.8f, .top_k = 40, .top_p = 0.9f},
                                 model->config().vocab_size, model->compute().kernels);
        const std::size_t found = allocations_during([&] {
            eigenlm::TokenId id = sampler(session.prefill(prompt));
            for (int step = 0; step < (use_cache ? 40 : 6); ++step) {
                sampler.accept(id);
                id = sampler(session.decode(id));
            }
        });
        EXPECT_EQ(found, 0u) << (use_cache ? "cached" : "naive");
    }
}

INSTANTIATE_TEST_SUITE_P(Models, AllocationTest,
                         testing::Combine(testing::Values("qwen2-odd", "llama-gqa", "qwen3-window", "mistral", "tiny"),
                                          testing::ValuesIn(eigenlm::plain_weight_types), testing::Values(1u, 3u),
                                          testing::ValuesIn(support::steady_isas())));

INSTANTIATE_TEST_SUITE_P(Quantised, AllocationTest,
                         testing::Combine(testing::Values("llama-gqa", "tiny"),
                                          testing::Values(eigenlm::WeightType::q8_0, eigenlm::WeightType::q4_k),
                                          testing::Values(1u, 3u), testing::ValuesIn(support::steady_isas())));

/// Runs tasks one after the other, without threads of its own.
struct InTurn : eigenlm::Executor {
    std::size_t size() const override { return 3; }
    void run(std::size_t count, const std::function<void(std::size_t)>& task) override {
        for (std::size_t i = 0; i < count; ++i) task(i);
        runs += 1;
    }
    std::size_t runs = 0;
};

TEST(ExecutorAllocation, StepsOnTheHostsThreadsAllocateNothing) {
    const auto executor = std::make_shared<InTurn>();
    const auto model = support::load_model(support::golden_dir("long"), {.executor = executor});
    const std::vector<eigenlm::TokenId> prompt(eigenlm::kv_section + 2, 1);
    eigenlm::Session session(model, {.context = prompt.size() + 10});
    const std::size_t before = executor->runs, found = allocations_during([&] {
                                                   session.prefill(prompt);
                                                   for (eigenlm::TokenId id = 0; id < 10; ++id) session.decode(id);
                                               });
    EXPECT_EQ(found, 0u);
    EXPECT_GT(executor->runs, before + 20);
}

/// Behind a section of keys threads share the attention of one position; their room is the cache's.
class FarAllocationTest : public testing::TestWithParam<std::tuple<eigenlm::CacheType, std::size_t, eigenlm::Isa>> {};

TEST_P(FarAllocationTest, StepsBehindASectionOfKeysAllocateNothing) {
    const auto& [cache_type, threads, isa] = GetParam();
    const auto model = support::load_model(support::golden_dir("long"), {.threads = threads, .isa = isa});
    std::vector<eigenlm::TokenId> prompt(eigenlm::kv_section - 2);
    for (std::size_t i = 0; i < prompt.size(); ++i)
        prompt[i] = static_cast<eigenlm::TokenId>(i % model->config().vocab_size);
    eigenlm::Session session(model, {.context = prompt.size() + 10, .cache_type = cache_type});
    const std::size_t found = allocations_during([&] {
        session.prefill(prompt);
        for (eigenlm::TokenId id = 0; id < 10; ++id) session.decode(id);
    });
    EXPECT_EQ(found, 0u);
}

INSTANTIATE_TEST_SUITE_P(Levels, FarAllocationTest,
                         testing::Combine(testing::ValuesIn(eigenlm::all_cache_types), testing::Values(1u, 3u),
                                          testing::ValuesIn(support::steady_isas())));

TEST(Allocation, StreamedTextAllocatesNothingPerToken) {
    const auto lm = eigenlm::load(support::tiny_dir(), {.isa = eigenlm::Isa::portable});
    auto answer = lm.generate("Once upon a time",
                              {.max_new_tokens = 60, .temperature = 0.8f, .stop = {"never said"}, .ignore_eos = true});
    std::size_t bytes = answer.next().size();  // the prefill sets up nothing either, but the first piece may come late
    const std::size_t found = allocations_during([&] {
        for (std::string_view piece = answer.next(); !piece.empty(); piece = answer.next()) bytes += piece.size();
    });
    EXPECT_EQ(found, 0u);
    EXPECT_GT(bytes, 100u);
    EXPECT_EQ(answer.ids().size(), 60u);
}

}  // namespace

#else
TEST(Allocation, TheSanitizersOwnTheAllocator) { SUCCEED(); }
#endif
