// The KV cache: what is stored is found again where kernels/table.hpp says, and nowhere else.
#include <gtest/gtest.h>

#include <algorithm>
#include <eigenlm/model/kv_cache.hpp>
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

    /// Number `i` of a position's block of one head.
    float number(KvCache& cache, std::size_t layer, std::size_t head, std::size_t position, std::size_t i) const {
        const eigenlm::LayerCache part = cache.layer(layer);
        const std::byte* const block = part.head(head) + part.blocks()[position / kv_block] * part.block_stride();
        return support::number_at(type(), block, i);
    }
};

TEST_P(KvCacheTest, GivesBackWhatItWasGivenWhereTheKernelsLook) {
    constexpr std::size_t positions = 150;
    KvCache cache(c, positions, type());
    fill(cache, c, positions);
    for (std::size_t l = 0; l < c.num_layers; ++l)
        for (std::size_t h = 0; h < c.num_kv_heads; ++h)
            for (std::size_t p = 0; p < positions; ++p)
                for (std::size_t d = 0; d < c.head_dim; ++d) {
                    ASSERT_EQ(number(cache, l, h, p, shape.key_at(p % kv_block, d)),
                              support::kept(type(), key_of(l, h, p, d)));
                    ASSERT_EQ(number(cache, l, h, p, shape.value_at(p % kv_block, d)),
                              support::kept(type(), value_of(l, h, p, d)));
                }
}

TEST_P(KvCacheTest, HasAPlaceOfItsOwnForEachNumber) {
    for (const std::size_t head_dim : {1u, 6u, 16u, 33u, 64u, 128u}) {
        const eigenlm::CacheShape of = {type(), head_dim};
        std::vector<int> taken(of.size() / of.number_size());
        for (std::size_t slot = 0; slot < kv_block; ++slot)
            for (std::size_t d = 0; d < head_dim; ++d) ++taken.at(of.key_at(slot, d)), ++taken.at(of.value_at(slot, d));
        EXPECT_EQ(std::ranges::max(taken), 1) << head_dim;
        EXPECT_EQ(std::ranges::count(taken, 1), static_cast<std::ptrdiff_t>(2 * kv_block * head_dim)) << head_dim;
    }
}

TEST_P(KvCacheTest, IsZeroWhereNothingWasStored) {
    KvCache cache(c, 70, type());
    fill(cache, c, 66);
    std::vector<bool> stored(shape.size() / shape.number_size());
    for (std::size_t slot = 0; slot < 2; ++slot)
        for (std::size_t d = 0; d < c.head_dim; ++d)
            stored[shape.key_at(slot, d)] = stored[shape.value_at(slot, d)] = true;
    for (std::size_t i = 0; i < stored.size(); ++i)
        if (!stored[i]) {
            ASSERT_EQ(number(cache, 1, 1, kv_block, i), 0.0f) << i;
        }
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
