// Attention over a cache in blocks, against a plain softmax in double precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <eigenlm/base/float_state.hpp>
#include <eigenlm/kernels/detail/exp2_table.hpp>
#include <eigenlm/kernels/dispatch.hpp>
#include <limits>
#include <numbers>
#include <random>
#include <span>
#include <tuple>
#include <vector>

#include "support/levels.hpp"
#include "support/numbers.hpp"

namespace {

using eigenlm::CacheShape;
using eigenlm::CacheType;
using eigenlm::Isa;
using eigenlm::kv_block;
using eigenlm::kv_section;
using support::infinity;
using support::nan;

/// Queries of one group at up to 70 positions, keys and values, and a cache of `capacity` positions whose free slots
/// hold what a longer text left there: NaNs. Physical blocks lie in an order of their own, with gaps.
struct Scene {
    CacheType type;
    std::size_t group, head_dim, capacity;
    std::vector<float> q, keys, values;  // [70, group, head_dim], [capacity, head_dim] each
    std::vector<std::uint32_t> blocks;
    CacheShape shape = {type, head_dim};
    std::size_t block_stride = shape.size() + 192;

    Scene(CacheType type_, std::size_t group_, std::size_t head_dim_, std::size_t capacity_, float sharpness = 1)
        : type(type_), group(group_), head_dim(head_dim_), capacity(capacity_) {
        q = support::random_numbers(70 * group * head_dim, 1, sharpness);
        keys = support::random_numbers(capacity * head_dim, 2);
        values = support::random_numbers(capacity * head_dim, 3);
        for (std::uint32_t b = 0; b < eigenlm::ceil_div(capacity, kv_block); ++b) blocks.push_back(2 * b + 1);
        std::ranges::shuffle(blocks, std::mt19937(4));
    }

    /// The cache with positions [first, length), laid out as kernels/table.hpp says.
    std::vector<std::byte> cache(std::size_t first, std::size_t length) const {
        std::vector<std::byte> storage((2 * blocks.size() + 1) * block_stride);
        const std::vector<float> none(head_dim, nan);
        for (std::size_t p = 0; p < blocks.size() * kv_block; ++p) {
            std::byte* const block = storage.data() + blocks[p / kv_block] * block_stride;
            const bool held = p >= first && p < length;
            eigenlm::store_in_block(shape, block, p % kv_block, held ? keys.data() + p * head_dim : none.data(),
                                    held ? values.data() + p * head_dim : none.data());
        }
        return storage;
    }

    /// The first query of each head at position length - 1, over the keys [first, length).
    std::vector<float> run(Isa isa, std::size_t length, std::size_t first = 0) const {
        return run_rows(isa, 0, 1, length - 1, length - first, cache(first, length));
    }
    /// Queries [row, row + rows) at the positions from `position` on.
    std::vector<float> run_rows(Isa isa, std::size_t row, std::size_t rows, std::size_t position, std::size_t window,
                                const std::vector<std::byte>& storage) const {
        const std::size_t width = group * head_dim, queries = rows * group;
        std::vector<float> out(rows * width + 1, 99), scratch(eigenlm::attention_scratch(queries, head_dim), nan);
        std::vector<float> memory(2 * eigenlm::AttentionState::size(queries, head_dim), nan);
        const eigenlm::AttentionState sum = {memory.data(), queries, head_dim};
        const eigenlm::AttentionState next = {memory.data() + memory.size() / 2, queries, head_dim};
        const eigenlm::AttentionCall call = {.q = {q.data() + row * width, rows, width, width},
                                             .cache = storage.data(),
                                             .blocks = blocks.data(),
                                             .block_stride = block_stride,
                                             .position = position,
                                             .window = window,
                                             .group = group,
                                             .head_dim = head_dim,
                                             .scale = static_cast<float>(scale() * std::numbers::log2e),
                                             .out = {out.data(), rows, width, width},
                                             .scratch = scratch.data()};
        {
            const eigenlm::FloatState state;
            eigenlm::attend_to_all(eigenlm::kernels(isa), type, call, sum, next);
        }
        EXPECT_EQ(out.back(), 99) << "written behind the end";
        out.pop_back();
        return out;
    }
    /// Rows of head_dim numbers as the cache keeps them.
    std::vector<float> kept(const std::vector<float>& rows) const {
        std::vector<float> all;
        for (std::size_t i = 0; i < rows.size(); i += head_dim)
            for (const float x : support::kept(type, std::span(rows).subspan(i, head_dim))) all.push_back(x);
        return all;
    }
    double scale() const { return 1 / std::sqrt(static_cast<double>(head_dim)); }

    /// max |found - truth| / max of the weighted sum of the values' sizes, infinite where `found` is no number
    double error_of(const std::vector<float>& found, std::size_t length, std::size_t first = 0) const {
        double error = 0, size = 0;
        const auto kept_keys = kept(keys), kept_values = kept(values);
        for (std::size_t h = 0; h < group; ++h) {
            const std::span<const float> given = std::span(q).subspan(h * head_dim, head_dim);
            const auto query = support::kept(in_pairs(type) ? CacheType::bf16 : CacheType::f32, given);
            std::vector<double> weights(length, -HUGE_VAL);
            for (std::size_t p = first; p < length; ++p) {
                weights[p] = 0;
                for (std::size_t d = 0; d < head_dim; ++d)
                    weights[p] += double{query[d]} * double{kept_keys[p * head_dim + d]};
                weights[p] *= scale();
            }
            const double largest = *std::ranges::max_element(weights);
            double total = 0;
            for (double& w : weights) total += w = std::exp(w - largest);
            for (std::size_t d = 0; d < head_dim; ++d) {
                double sum = 0, sizes = 0;
                for (std::size_t p = first; p < length; ++p) {
                    const double term = weights[p] / total * double{kept_values[p * head_dim + d]};
                    sum += term;
                    sizes += std::abs(term);
                }
                const double difference = std::abs(double{found[h * head_dim + d]} - sum);
                if (!(difference < HUGE_VAL)) return HUGE_VAL;
                error = std::max(error, difference);
                size = std::max(size, sizes);
            }
        }
        return error / size;
    }
};

constexpr auto name_of_pair = [](const auto& p) {
    return std::string(to_string(std::get<0>(p.param))) + "_" + to_string(std::get<1>(p.param));
};

/// In bfloat16, weights are cut to 8 bits.
class AttentionTest : public testing::TestWithParam<std::tuple<Isa, CacheType>> {
  protected:
    static Isa isa() { return std::get<0>(GetParam()); }
    static CacheType type() { return std::get<1>(GetParam()); }
    static double bound(double exact) { return in_pairs(type()) ? 0x1p-8 : exact; }

    static void expect_near_truth(const Scene& scene, std::size_t length, double exact = 1e-5) {
        EXPECT_LT(scene.error_of(scene.run(isa(), length), length), bound(exact))
            << "length " << length << ", group " << scene.group << ", head_dim " << scene.head_dim;
    }
};

TEST_P(AttentionTest, IsNearTheTruthAtEveryLength) {
    const Scene scene(type(), 2, 16, 200);
    for (std::size_t length = 1; length <= 200; ++length) expect_near_truth(scene, length);
}

TEST_P(AttentionTest, IsNearTheTruthForGroupsAndOddHeads) {
    for (std::size_t group = 1; group <= 4; ++group)
        for (const std::size_t head_dim : {1u, 2u, 5u, 6u, 15u, 17u, 31u, 64u, 80u, 128u}) {
            const Scene scene(type(), group, head_dim, 192);
            for (const std::size_t length : {1u, 16u, 63u, 64u, 65u, 129u, 192u}) expect_near_truth(scene, length);
        }
}

TEST_P(AttentionTest, IsNearTheTruthWhereOneKeyTakesAll) {
    const Scene scene(type(), 3, 24, 150, 40);  // scores differ by hundreds: most weights are nothing
    for (const std::size_t length : {1u, 17u, 64u, 100u, 150u}) expect_near_truth(scene, length, 1e-4);
}

TEST_P(AttentionTest, IsNearTheTruthWhereScoresRise) {  // each block has a new largest score, and the old ones shrink
    Scene scene(type(), 2, 8, 200);
    for (std::size_t p = 0; p < scene.capacity; ++p)
        for (std::size_t d = 0; d < 8; ++d) scene.keys[p * 8 + d] = scene.q[d] * static_cast<float>(p) * 0.05f;
    for (const std::size_t length : {64u, 65u, 200u}) expect_near_truth(scene, length, 1e-4);
}

TEST_P(AttentionTest, IsNearTheTruthInEveryWindow) {  // what lies before the window are NaNs
    const Scene scene(type(), 2, 20, 200);
    for (const std::size_t length : {1u, 20u, 64u, 65u, 150u, 200u})
        for (std::size_t first = 0; first < length; ++first)
            EXPECT_LT(scene.error_of(scene.run(isa(), length, first), length, first), bound(1e-5))
                << "keys " << first << " to " << length;
}

TEST_P(AttentionTest, IsNearTheTruthOverSections) {
    const Scene scene(type(), 2, 20, 2 * kv_section + 100, 2);
    for (const std::size_t length : {kv_section, kv_section + 1, 2 * kv_section, 2 * kv_section + 100})
        for (const std::size_t first : {std::size_t{0}, std::size_t{70}, kv_section - 1, kv_section, length - 1})
            if (first < length) {
                EXPECT_LT(scene.error_of(scene.run(isa(), length, first), length, first), bound(1e-5))
                    << "keys " << first << " to " << length;
            }
}

TEST_P(AttentionTest, OfOneKeyIsItsValue) {
    const Scene scene(type(), 2, 7, 64);
    const auto out = scene.run(isa(), 1), kept = support::kept(type(), std::span(scene.values).first(7));
    for (std::size_t h = 0; h < 2; ++h)
        for (std::size_t d = 0; d < 7; ++d) EXPECT_FLOAT_EQ(out[h * 7 + d], kept[d]);
}

TEST_P(AttentionTest, NaNsInReachSurface) {
    for (const std::size_t at : {0u, 63u, 64u, 99u}) {
        Scene bad_key(type(), 2, 6, 128), bad_value(type(), 2, 6, 128), bad_query(type(), 2, 6, 128);
        bad_key.keys[at * 6 + 3] = nan;
        bad_value.values[at * 6 + 3] = nan;
        bad_query.q[6] = nan;  // of the second head
        for (const float x : bad_key.run(isa(), 100)) EXPECT_TRUE(std::isnan(x)) << at;
        const auto values = bad_value.run(isa(), 100), queries = bad_query.run(isa(), 100);
        for (std::size_t i = 0; i < 12; ++i) {
            // Numbers that share a scale share its fate.
            EXPECT_EQ(std::isnan(values[i]), type() == CacheType::q8_0 || i % 6 == 3) << at << ", " << i;
            EXPECT_EQ(std::isnan(queries[i]), i >= 6) << i;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Levels, AttentionTest,
                         testing::Combine(testing::ValuesIn(eigenlm::available_isas()),
                                          testing::ValuesIn(eigenlm::all_cache_types)),
                         name_of_pair);

class SteadyAttention : public AttentionTest {};

TEST_P(SteadyAttention, DoesNotDependOnWhereBlocksLieOrOnTheRestOfTheGroup) {
    Scene scene(type(), 5, 20, 200);
    const auto scattered = scene.run(isa(), 200);
    std::ranges::sort(scene.blocks);
    EXPECT_EQ(scene.run(isa(), 200), scattered);
    for (std::size_t h = 0; h < 5; ++h) {
        Scene alone(type(), 1, 20, 200);
        alone.q.assign(scene.q.begin() + static_cast<std::ptrdiff_t>(h * 20),
                       scene.q.begin() + static_cast<std::ptrdiff_t>(h * 20 + 20));
        const auto out = alone.run(isa(), 200);
        EXPECT_TRUE(std::equal(out.begin(), out.end(), scattered.begin() + static_cast<std::ptrdiff_t>(h * 20)));
    }
}

TEST_P(SteadyAttention, OfRowsTogetherIsThatOfEachAlone) {
    for (const std::size_t group : {1u, 2u, 3u, 7u})
        for (const std::size_t head_dim : {6u, 64u, 80u}) {
            const Scene scene(type(), group, head_dim, 260, 3);
            for (const auto& [position, rows] :
                 {std::pair{0u, 2u}, {0u, 64u}, {60u, 9u}, {63u, 70u}, {64u, 64u}, {100u, 5u}, {190u, 70u}})
                for (const std::size_t window :
                     {std::size_t{1000}, std::size_t{1}, std::size_t{7}, std::size_t{64}, std::size_t{90}}) {
                    const auto storage = scene.cache(0, position + rows);
                    const auto together = scene.run_rows(isa(), 0, rows, position, window, storage);
                    for (std::size_t r = 0; r < rows; ++r) {
                        const auto alone = scene.run_rows(isa(), r, 1, position + r, window, storage);
                        ASSERT_TRUE(std::ranges::equal(
                            alone, std::span(together).subspan(r * group * head_dim, group * head_dim)))
                            << group << " heads of " << head_dim << ", row " << r << " of " << rows << " from "
                            << position << ", window " << window;
                    }
                }
        }
}

TEST_P(SteadyAttention, OfRowsOverSectionsIsThatOfEachAlone) {
    const Scene scene(type(), 3, 20, 2 * kv_section + 64, 3);
    const auto storage = scene.cache(0, scene.capacity);
    for (const std::size_t position : {kv_section - 30, 2 * kv_section - 3})
        for (const std::size_t window : {std::size_t{1} << 20, std::size_t{10}, std::size_t{40}, kv_section}) {
            const auto together = scene.run_rows(isa(), 0, 60, position, window, storage);
            for (std::size_t r = 0; r < 60; ++r)
                ASSERT_TRUE(std::ranges::equal(scene.run_rows(isa(), r, 1, position + r, window, storage),
                                               std::span(together).subspan(r * 60, 60)))
                    << "row " << r << " from " << position << ", window " << window;
        }
}

// What is no number, and what is not finite, would come through even a weight of 0.
TEST_P(SteadyAttention, OfARowSeesNothingButItsWindow) {
    for (const std::size_t group : {1u, 3u, 7u})
        for (const std::size_t window : {1000u, 10u})
            for (const float bad : {nan, infinity}) {
                const Scene good(type(), group, 20, 192, 3);
                const std::size_t width = group * 20;
                const auto finite = good.run_rows(isa(), 0, 60, 70, window, good.cache(0, 192));
                for (const std::size_t at : {0u, 1u, 5u, 30u, 57u, 58u, 59u}) {
                    Scene scene = good;
                    for (std::size_t d = 0; d < 20; ++d)
                        scene.keys[(70 + at) * 20 + d] = scene.values[(70 + at) * 20 + d] = bad;
                    const auto out = scene.run_rows(isa(), 0, 60, 70, window, scene.cache(0, 192));
                    for (std::size_t i = 0; i < out.size(); ++i) {
                        const bool seen = i / width >= at && i / width < at + window;
                        ASSERT_EQ(std::isnan(out[i]), seen) << i << ", " << bad << " from row " << at;
                        if (!seen) {
                            ASSERT_EQ(out[i], finite[i]) << i << ", " << bad << " from row " << at;
                        }
                    }
                }
            }
}

INSTANTIATE_TEST_SUITE_P(Levels, SteadyAttention,
                         testing::Combine(testing::ValuesIn(support::steady_isas()),
                                          testing::ValuesIn(eigenlm::all_cache_types)),
                         name_of_pair);

class ExactAttention : public AttentionTest {};

TEST_P(ExactAttention, HasThePortableLevelsBitsOverSections) {
    const Scene scene(type(), 3, 20, 2 * kv_section + 64, 3);
    const auto storage = scene.cache(0, scene.capacity);
    for (const std::size_t position : {kv_section - 30, 2 * kv_section - 3})
        for (const std::size_t window : {std::size_t{1} << 20, std::size_t{40}, kv_section})
            EXPECT_EQ(scene.run_rows(isa(), 0, 60, position, window, storage),
                      scene.run_rows(Isa::portable, 0, 60, position, window, storage))
                << "from " << position << ", window " << window;
}

TEST_P(ExactAttention, HasThePortableLevelsBits) {
    for (std::size_t group = 1; group <= 5; ++group)
        for (const std::size_t head_dim : {1u, 6u, 16u, 17u, 64u, 80u, 128u}) {
            const Scene scene(type(), group, head_dim, 192, 3);
            for (const std::size_t length : {1u, 16u, 17u, 63u, 64u, 65u, 100u, 129u, 192u})
                for (const std::size_t first : {std::size_t{0}, length / 2, length - 1})
                    ASSERT_EQ(scene.run(isa(), length, first), scene.run(Isa::portable, length, first))
                        << group << " heads of " << head_dim << ", keys " << first << " to " << length;
        }
}

INSTANTIATE_TEST_SUITE_P(Levels, ExactAttention,
                         testing::Combine(testing::ValuesIn(support::exact_isas()),
                                          testing::ValuesIn(eigenlm::all_cache_types)),
                         name_of_pair);

/// What docs/numerics.md says of the first query of head h over the keys [first, length), all of one section, where
/// pairs are multiplied as VDPBF16PS does it.
std::vector<float> documented_in_pairs(const Scene& scene, std::size_t h, std::size_t length, std::size_t first) {
    const std::size_t n = scene.head_dim;
    const auto keys = scene.kept(scene.keys), values = scene.kept(scene.values);
    const auto query = support::kept(CacheType::bf16, std::span(scene.q).subspan(h * n, n));
    const auto scale = static_cast<float>(scene.scale() * std::numbers::log2e);
    const auto held = [&](std::size_t p) { return p >= first && p < length; };
    std::vector<float> sums(n);
    float maximum = std::numeric_limits<float>::lowest(), total = 0;
    for (std::size_t block = first / kv_block * kv_block; block < length; block += kv_block) {
        std::vector<float> w(kv_block);
        for (std::size_t i = 0; i < kv_block; ++i) {
            for (std::size_t d = 0; held(block + i) && d < n; d += 2)
                for (const std::size_t at : {d + 1, d})  // the second one first
                    if (at < n) w[i] = std::fma(query[at], keys[(block + i) * n + at], w[i]);
            if (!held(block + i)) w[i] = -HUGE_VALF;
        }
        const float before = maximum;
        maximum = std::max(maximum, std::nearbyint(*std::ranges::max_element(w) * scale));
        const float correction = std::exp2(before - maximum);
        for (float& x : w) {
            x = std::max(std::fma(x, scale, 98304 + 127 - maximum), 98304.0f);
            const auto bits = std::bit_cast<std::uint32_t>(x) & 0xffffu;
            x = std::bit_cast<float>((bits - eigenlm::detail::exp2_lag[bits % 128]) << 16);
        }
        for (float& x : sums) x *= correction;
        for (std::size_t d = 0; d < n; ++d)
            for (std::size_t i = 0; i < kv_block; i += i % 32 == 15 ? 17 : 1)
                for (const std::size_t at : {i + 16, i})
                    if (held(block + at)) sums[d] = std::fma(w[at], values[(block + at) * n + d], sums[d]);
        for (std::size_t i = 16; i < kv_block; ++i) w[i % 16] += w[i];
        for (std::size_t half = 8; half != 0; half /= 2)
            for (std::size_t i = 0; i < half; ++i) w[i] += w[i + half];
        total = std::fma(total, correction, w[0]);
    }
    for (float& x : sums) x *= 1 / total;
    return sums;
}

TEST(AttentionInPairs, HasTheDocumentedBits) {
    if (!eigenlm::runs(Isa::avx512_bf16)) GTEST_SKIP() << "this machine has no VDPBF16PS";
    for (const CacheType type : {CacheType::bf16, CacheType::q8_0})
        for (const std::size_t group : {1u, 4u, 7u, 17u})  // 17 queries are taken as many are
            for (const std::size_t head_dim : {1u, 6u, 17u, 64u, 80u, 128u}) {
                const Scene scene(type, group, head_dim, 192, 3);
                for (const std::size_t length : {1u, 17u, 64u, 100u, 192u})
                    for (const std::size_t first : {std::size_t{0}, length / 2, length - 1}) {
                        const auto found = scene.run(Isa::avx512_bf16, length, first);
                        for (std::size_t h = 0; h < group; ++h)
                            ASSERT_TRUE(std::ranges::equal(documented_in_pairs(scene, h, length, first),
                                                           std::span(found).subspan(h * head_dim, head_dim)))
                                << to_string(type) << ", head " << h << " of " << group << ", head_dim " << head_dim
                                << ", keys " << first << " to " << length;
                    }
            }
}

}  // namespace
