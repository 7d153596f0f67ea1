// The KV cache: what is stored is found again where kernels/table.hpp says, and nowhere else.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <eigenlm/model/kv_cache.hpp>
#include <limits>
#include <vector>

#include "support/expect_error.hpp"
#include "support/numbers.hpp"
#include "support/shapes.hpp"

namespace {

using eigenlm::CacheType;
using eigenlm::kv_block;
using eigenlm::KvCache;

/// A number that names its place.
float key_of(std::size_t layer, std::size_t head, std::size_t position, std::size_t d) {
    return static_cast<float>(1 + d + 10 * position + 10000 * head + 100000 * layer);
}
float value_of(std::size_t layer, std::size_t head, std::size_t position, std::size_t d) {
    return -key_of(layer, head, position, d);
}

void fill(KvCache& cache, const eigenlm::ModelConfig& c, std::size_t positions) {
    std::vector<float> key(c.head_dim), value(c.head_dim);
    for (std::size_t l = 0; l < c.num_layers; ++l)
        for (std::size_t p = 0; p < positions; ++p)
            for (std::size_t h = 0; h < c.num_kv_heads; ++h) {
                for (std::size_t d = 0; d < c.head_dim; ++d)
                    key[d] = key_of(l, h, p, d), value[d] = value_of(l, h, p, d);
                cache.layer(l).store(p, h, key.data(), value.data());
            }
}

class KvCacheTest : public testing::TestWithParam<CacheType> {
  protected:
    static CacheType type() { return GetParam(); }
    const eigenlm::ModelConfig c = support::small_config();
    const eigenlm::CacheShape shape = {type(), c.head_dim};

    /// Where a position's block of one head is.
    static const std::byte* block(KvCache& cache, std::size_t layer, std::size_t head, std::size_t position) {
        const eigenlm::LayerCache part = cache.layer(layer);
        return part.head(head) + part.blocks()[position / kv_block] * part.block_stride();
    }
};

TEST_P(KvCacheTest, GivesBackWhatItWasGivenWhereTheKernelsLook) {
    constexpr std::size_t positions = 150;
    KvCache cache(c, positions, type());
    fill(cache, c, positions);
    for (std::size_t l = 0; l < c.num_layers; ++l)
        for (std::size_t h = 0; h < c.num_kv_heads; ++h)
            for (std::size_t p = 0; p < positions; ++p) {
                std::vector<float> key, value;
                for (std::size_t d = 0; d < c.head_dim; ++d)
                    key.push_back(key_of(l, h, p, d)), value.push_back(value_of(l, h, p, d));
                key = support::kept(type(), key), value = support::kept(type(), value);
                for (std::size_t d = 0; d < c.head_dim; ++d) {
                    ASSERT_EQ(key_in_block(shape, block(cache, l, h, p), p % kv_block, d), key[d]);
                    ASSERT_EQ(value_in_block(shape, block(cache, l, h, p), p % kv_block, d), value[d]);
                }
            }
}

TEST_P(KvCacheTest, HasAPlaceOfItsOwnForEachNumber) {
    for (const std::size_t head_dim : {1u, 6u, 16u, 33u, 64u, 128u}) {
        const eigenlm::CacheShape of = {type(), head_dim};
        std::vector<int> taken(of.numbers());
        for (std::size_t slot = 0; slot < kv_block; ++slot)
            for (std::size_t d = 0; d < head_dim; ++d) ++taken.at(of.key_at(slot, d)), ++taken.at(of.value_at(slot, d));
        EXPECT_EQ(std::ranges::max(taken), 1) << head_dim;
        EXPECT_EQ(std::ranges::count(taken, 1), static_cast<std::ptrdiff_t>(2 * kv_block * head_dim)) << head_dim;
    }
}

TEST_P(KvCacheTest, IsZeroWhereNothingWasStored) {
    KvCache cache(c, 70, type());
    fill(cache, c, 66);
    std::vector<bool> stored(shape.size());
    const auto mark = [&](std::size_t byte, std::size_t size) {
        for (std::size_t i = 0; i < size; ++i) stored[byte + i] = true;
    };
    for (std::size_t slot = 0; slot < 2; ++slot) {
        for (std::size_t d = 0; d < c.head_dim; ++d)
            for (const std::size_t at : {shape.key_at(slot, d), shape.value_at(slot, d)})
                mark(at * shape.number_size(), shape.number_size());
        if (type() == CacheType::q8_0)
            for (const std::size_t at : {shape.key_scale_at(slot, 0), shape.value_scale_at(slot, 0)})
                mark(shape.numbers() + 2 * at, 2);
    }
    const std::byte* const bytes = block(cache, 1, 1, kv_block);
    for (std::size_t i = 0; i < stored.size(); ++i)
        if (!stored[i]) {
            ASSERT_EQ(bytes[i], std::byte{0}) << i;
        }
}

TEST(Q8_0, KeepsNumbersWithinHalfAStepOfTheirScale) {
    for (const std::size_t count : {1u, 6u, 31u, 32u}) {
        auto x = support::random_numbers(count, 5, 3);
        x[count / 2] = 12.5f;  // the largest
        std::vector<std::int8_t> numbers(count);
        const auto put = [&](std::size_t d, std::int8_t number) { numbers[d] = number; };
        const float scale = eigenlm::bf16_to_f32(eigenlm::quantize_q8_0(x.data(), count, put));
        EXPECT_NEAR(scale, 12.5 / 127, 12.5 / 127 * 0x1p-8);
        EXPECT_EQ(numbers[count / 2], 127);
        for (std::size_t d = 0; d < count; ++d) EXPECT_NEAR(x[d], numbers[d] * scale, scale * 0.500001f) << d;
    }
}

TEST(Q8_0, KeepsZerosTinyAndHugeNumbersAndPassesOnWhatIsNone) {
    constexpr float infinite = std::numeric_limits<float>::infinity(), large = 3e38f;
    const auto kept = [](std::vector<float> row) { return support::kept(CacheType::q8_0, row); };
    EXPECT_EQ(kept({0, -0.0f, 0}), (std::vector<float>{0, 0, 0}));
    EXPECT_EQ(kept({1e-39f, -1e-40f, 1e-37f}), (std::vector<float>{0, 0, 0}));
    EXPECT_EQ(kept({127, -64, 1}), (std::vector<float>{127, -64, 1}));
    for (const float x : kept({large, -large})) EXPECT_NEAR(std::abs(x) / large, 1, 0x1p-7);
    for (const float bad : {infinite, -infinite, std::numeric_limits<float>::quiet_NaN()})
        for (const float x : kept({1, bad, 0})) EXPECT_TRUE(std::isnan(x)) << bad;
    std::vector<float> two(40, 1);
    two[33] = infinite;  // of the second 32
    const auto of_two = kept(two);
    for (std::size_t i = 0; i < 40; ++i) EXPECT_EQ(std::isnan(of_two[i]), i >= 32) << i;
}

INSTANTIATE_TEST_SUITE_P(Types, KvCacheTest, testing::ValuesIn(eigenlm::all_cache_types),
                         [](const auto& p) { return to_string(p.param); });

TEST(KvCache, HasRoomForPartsOfBlocks) {
    const auto c = support::small_config();
    for (const std::size_t capacity : {1u, 63u, 64u, 65u, 200u}) {
        KvCache cache(c, capacity, CacheType::bf16);
        EXPECT_EQ(cache.capacity(), capacity);
        EXPECT_EQ(cache.length(), 0u);
        fill(cache, c, capacity);  // the sanitizers see whether there is memory for all
    }
}

TEST(KvCache, CountsItsBytes) {
    const auto c = support::small_config();  // 2 layers of 2 heads of 6 numbers, filled up to 16, bf16's keys to 32
    EXPECT_EQ(KvCache(c, 100, CacheType::f32).bytes_per_position(), 2 * 2 * (6 + 16) * 4u);
    EXPECT_EQ(KvCache(c, 100, CacheType::f16).bytes_per_position(), 2 * 2 * (6 + 16) * 2u);
    EXPECT_EQ(KvCache(c, 100, CacheType::bf16).bytes_per_position(), 2 * 2 * (32 + 16) * 2u);
    EXPECT_EQ(KvCache(c, 100, CacheType::q8_0).bytes_per_position(), 2 * 2 * (32 + 16 + 2 * 2u));
}

TEST(KvCache, AdvancesAndForgets) {
    KvCache cache(support::small_config(), 100, CacheType::f32);
    cache.advance(70);
    cache.advance(1);
    EXPECT_EQ(cache.length(), 71u);
    cache.truncate(71);
    EXPECT_EQ(cache.length(), 71u);
    cache.truncate(5);
    EXPECT_EQ(cache.length(), 5u);
    support::expect_error<eigenlm::ArgumentError>([&] { cache.truncate(6); },
                                                  {"KvCache::truncate", "at most 5", "found 6"});
    EXPECT_EQ(cache.length(), 5u);
    cache.truncate(0);
    EXPECT_EQ(cache.length(), 0u);
}

TEST(KvCache, ThatCannotBeHadIsAnError) {
    const auto refuse = [](std::size_t capacity, std::initializer_list<std::string_view> words) {
        support::expect_error<eigenlm::ResourceError>(
            [&] { KvCache cache(support::small_config(), capacity, CacheType::f32); }, words);
    };
    refuse(std::size_t{1} << 50, {"memory", "cannot reserve"});
    refuse(~std::size_t{0}, {"KV cache", "overflows"});
}

TEST(KvCache, OfAbsurdCapacityIsTheSameError) {  // and not first a block table of 2^54 entries
    support::expect_error<eigenlm::ResourceError>(
        [] { KvCache cache(support::small_config(), std::size_t{1} << 60, CacheType::f32); }, {});
}

}  // namespace
