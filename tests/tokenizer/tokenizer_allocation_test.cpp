// A program of its own: it replaces operator new to count.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <random>
#include <string>
#include <vector>

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
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
    ++allocations;
    const auto align = static_cast<std::size_t>(alignment);
    if (void* memory = std::aligned_alloc(align, (size + align - 1) / align * align)) return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

using namespace eigenlm;

class EncodeAllocation : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, EncodeAllocation, ::testing::ValuesIn(tests::families),
                         [](const auto& family) { return std::string(family.param); });

TEST_P(EncodeAllocation, NothingPerTextOnceItHasGrown) {
    const auto tokenizer = Tokenizer::load(tests::tokenizer_data() / GetParam());
    std::vector<std::string> texts;
    for (const auto& line : tests::read_json_lines(tests::tokenizer_data() / "corpus.jsonl"))
        texts.push_back(line.get<std::string>());
    EncodeScratch scratch;
    std::vector<TokenId> ids;
    std::size_t count = 0;
    const auto encode_all = [&] {
        for (const std::string& text : texts) tokenizer.encode(text, ids, scratch), count += ids.size();
    };
    encode_all();
    encode_all();
    const long before = allocations;
    encode_all();
    EXPECT_EQ(allocations, before);
    EXPECT_GT(count, 100'000u);
}

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
