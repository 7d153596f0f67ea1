// A program of its own: it replaces operator new to count.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <random>

#include "eigenlm/tokenizer/stream_decoder.hpp"
#include "fixtures.hpp"

namespace {
std::atomic<long> allocations{0};
}

// noinline: g++ 12 otherwise sees malloc paired with delete, and warns.
[[gnu::noinline]] void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace eigenlm;

TEST(StreamDecoderAllocation, NothingPerToken) {
    const auto tokenizer = Tokenizer::load(tests::tokenizer_data() / "tiny_llama3");
    StreamDecoder stream(tokenizer, {.skip_special_tokens = false});
    std::mt19937 rng(19);
    std::size_t bytes = 0;
    const long before = allocations;
    for (int i = 0; i < 10'000; ++i) bytes += stream.push(static_cast<TokenId>(rng() % tokenizer.size())).size();
    bytes += stream.flush().size();
    EXPECT_EQ(allocations, before);
    EXPECT_GT(bytes, 10'000u);
}

}  // namespace
