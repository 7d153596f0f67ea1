// The KV cache: what is stored is found again where kernels/table.hpp says, and nowhere else.
#include <gtest/gtest.h>

#include <eigenlm/model/kv_cache.hpp>
#include <vector>

#include "support/expect_error.hpp"
#include "support/shapes.hpp"

namespace {

using eigenlm::kv_block;
using eigenlm::kv_panel;
using eigenlm::KvCache;
using eigenlm::LayerCache;

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

TEST(KvCache, GivesBackWhatItWasGivenWhereTheKernelsLook) {
    const auto c = support::small_config();
    constexpr std::size_t positions = 150;
    KvCache cache(c, positions);
    fill(cache, c, positions);
    for (std::size_t l = 0; l < c.num_layers; ++l) {
        const LayerCache layer = cache.layer(l);
        for (std::size_t h = 0; h < c.num_kv_heads; ++h)
            for (std::size_t p = 0; p < positions; ++p) {
                const float* const block = layer.head(h) + layer.blocks()[p / kv_block] * layer.block_stride();
                const std::size_t slot = p % kv_block;
                for (std::size_t d = 0; d < c.head_dim; ++d) {
                    ASSERT_EQ(block[slot / kv_panel * c.head_dim * kv_panel + d * kv_panel + slot % kv_panel],
                              key_of(l, h, p, d));
                    ASSERT_EQ(block[layer.values_offset() + slot * LayerCache::value_stride(c.head_dim) + d],
                              value_of(l, h, p, d));
                }
            }
    }
}

TEST(KvCache, IsZeroWhereNothingWasStored) {
    const auto c = support::small_config();
    KvCache cache(c, 70);
    fill(cache, c, 66);
    const LayerCache layer = cache.layer(1);
    const float* const block = layer.head(1) + layer.blocks()[1] * layer.block_stride();
    for (std::size_t slot = 2; slot < kv_block; ++slot)
        for (std::size_t d = 0; d < c.head_dim; ++d) {
            ASSERT_EQ(block[slot / kv_panel * c.head_dim * kv_panel + d * kv_panel + slot % kv_panel], 0.0f);
            ASSERT_EQ(block[layer.values_offset() + slot * LayerCache::value_stride(c.head_dim) + d], 0.0f);
        }
    for (std::size_t d = c.head_dim; d < LayerCache::value_stride(c.head_dim); ++d)  // kernels read whole vectors
        ASSERT_EQ(block[layer.values_offset() + d], 0.0f);
}

TEST(KvCache, HasRoomForPartsOfBlocks) {
    const auto c = support::small_config();
    for (const std::size_t capacity : {1u, 63u, 64u, 65u, 200u}) {
        KvCache cache(c, capacity);
        EXPECT_EQ(cache.capacity(), capacity);
        EXPECT_EQ(cache.length(), 0u);
        fill(cache, c, capacity);  // the sanitizers see whether there is memory for all
    }
}

TEST(KvCache, CountsItsBytes) {
    const auto c = support::small_config();  // 2 layers of 2 heads of 6 numbers, values filled up to 16
    EXPECT_EQ(KvCache(c, 100).bytes_per_position(), 2 * 2 * (6 + 16) * sizeof(float));
}

TEST(KvCache, AdvancesAndForgets) {
    KvCache cache(support::small_config(), 100);
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
        support::expect_error<eigenlm::ResourceError>([&] { KvCache cache(support::small_config(), capacity); }, words);
    };
    refuse(std::size_t{1} << 50, {"memory", "cannot reserve"});
    refuse(~std::size_t{0}, {"KV cache", "overflows"});
}

TEST(KvCache, OfAbsurdCapacityIsTheSameError) {  // and not first a block table of 2^54 entries
    support::expect_error<eigenlm::ResourceError>([] { KvCache cache(support::small_config(), std::size_t{1} << 60); },
                                                  {});
}

}  // namespace
