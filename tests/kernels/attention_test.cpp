// Attention over a cache in blocks, against a plain softmax in double precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <eigenlm/base/float_state.hpp>
#include <eigenlm/kernels/dispatch.hpp>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include "support/levels.hpp"
#include "support/numbers.hpp"

namespace {

using eigenlm::Isa;
using eigenlm::kv_block;
using eigenlm::kv_panel;
using eigenlm::round_up;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// Queries of one group at up to 70 positions, keys and values, and a cache of `capacity` positions whose free slots
/// hold what a longer text left there: NaNs. Physical blocks lie in an order of their own, with gaps.
struct Scene {
    std::size_t group, head_dim, capacity;
    std::vector<float> q, keys, values;  // [70, group, head_dim], [capacity, head_dim] each
    std::vector<std::uint32_t> blocks;
    std::size_t value_stride = round_up(head_dim, eigenlm::lanes), values_offset = kv_block * head_dim;
    std::size_t block_stride = kv_block * (head_dim + value_stride) + 48;

    Scene(std::size_t group_, std::size_t head_dim_, std::size_t capacity_, float sharpness = 1)
        : group(group_), head_dim(head_dim_), capacity(capacity_) {
        q = support::random_numbers(70 * group * head_dim, 1, sharpness);
        keys = support::random_numbers(capacity * head_dim, 2);
        values = support::random_numbers(capacity * head_dim, 3);
        for (std::uint32_t b = 0; b < eigenlm::ceil_div(capacity, kv_block); ++b) blocks.push_back(2 * b + 1);
        std::ranges::shuffle(blocks, std::mt19937(4));
    }

    /// The cache with positions [first, length), laid out as kernels/table.hpp says.
    std::vector<float> cache(std::size_t first, std::size_t length) const {
        std::vector<float> storage((2 * blocks.size() + 1) * block_stride, 0.0f);
        for (std::size_t p = 0; p < blocks.size() * kv_block; ++p) {
            const std::size_t slot = p % kv_block, block = blocks[p / kv_block] * block_stride;
            for (std::size_t d = 0; d < head_dim; ++d) {
                const std::size_t key = slot / kv_panel * kv_panel * head_dim + d * kv_panel + slot % kv_panel;
                const bool held = p >= first && p < length;
                storage[block + key] = held ? keys[p * head_dim + d] : nan;
                storage[block + values_offset + slot * value_stride + d] = held ? values[p * head_dim + d] : nan;
            }
        }
        return storage;
    }

    /// The first query of each head at position length - 1, over the keys [first, length).
    std::vector<float> run(Isa isa, std::size_t length, std::size_t first = 0) const {
        return run_rows(isa, 0, 1, length - 1, length - first, cache(first, length));
    }
    /// Queries [row, row + rows) at the positions from `position` on.
    std::vector<float> run_rows(Isa isa, std::size_t row, std::size_t rows, std::size_t position, std::size_t window,
                                const std::vector<float>& storage) const {
        const std::size_t width = group * head_dim;
        std::vector<float> out(rows * width + 1, 99), scratch(eigenlm::attention_scratch(rows * group, head_dim), nan);
        {
            const eigenlm::FloatState state;
            eigenlm::kernels(isa).attention_f32({.q = {q.data() + row * width, rows, width, width},
                                                 .cache = storage.data(),
                                                 .blocks = blocks.data(),
                                                 .block_stride = block_stride,
                                                 .values_offset = values_offset,
                                                 .value_stride = value_stride,
                                                 .position = position,
                                                 .window = window,
                                                 .group = group,
                                                 .head_dim = head_dim,
                                                 .scale = scale(),
                                                 .out = {out.data(), rows, width, width},
                                                 .scratch = scratch.data()});
        }
        EXPECT_EQ(out.back(), 99) << "written behind the end";
        out.pop_back();
        return out;
    }
    float scale() const { return 1 / std::sqrt(static_cast<float>(head_dim)); }

    std::vector<double> exact(std::size_t length, std::size_t first = 0) const {
        std::vector<double> out;
        for (std::size_t h = 0; h < group; ++h) {
            std::vector<double> weights(length, -HUGE_VAL);
            for (std::size_t p = first; p < length; ++p) {
                weights[p] = 0;
                for (std::size_t d = 0; d < head_dim; ++d)
                    weights[p] += double{q[h * head_dim + d]} * double{keys[p * head_dim + d]};
                weights[p] *= double{scale()};
            }
            const double largest = *std::ranges::max_element(weights);
            double total = 0;
            for (double& w : weights) total += w = std::exp(w - largest);
            for (std::size_t d = 0; d < head_dim; ++d) {
                double sum = 0;
                for (std::size_t p = first; p < length; ++p) sum += weights[p] * double{values[p * head_dim + d]};
                out.push_back(sum / total);
            }
        }
        return out;
    }
};

class AttentionTest : public testing::TestWithParam<Isa> {
  protected:
    static void expect_near_truth(const Scene& scene, std::size_t length, double bound = 1e-5) {
        EXPECT_LT(support::relative_error_of(scene.run(GetParam(), length), scene.exact(length)), bound)
            << "length " << length << ", group " << scene.group << ", head_dim " << scene.head_dim;
    }
};

TEST_P(AttentionTest, IsNearTheTruthAtEveryLength) {
    const Scene scene(2, 16, 200);
    for (std::size_t length = 1; length <= 200; ++length) expect_near_truth(scene, length);
}

TEST_P(AttentionTest, IsNearTheTruthForGroupsAndOddHeads) {
    for (std::size_t group = 1; group <= 4; ++group)
        for (const std::size_t head_dim : {1u, 2u, 5u, 6u, 15u, 17u, 31u, 64u, 80u, 128u}) {
            const Scene scene(group, head_dim, 192);
            for (const std::size_t length : {1u, 16u, 63u, 64u, 65u, 129u, 192u}) expect_near_truth(scene, length);
        }
}

TEST_P(AttentionTest, IsNearTheTruthWhereOneKeyTakesAll) {
    const Scene scene(3, 24, 150, 40);  // scores differ by hundreds: most weights are nothing
    for (const std::size_t length : {1u, 17u, 64u, 100u, 150u}) expect_near_truth(scene, length, 1e-4);
}

TEST_P(AttentionTest, IsNearTheTruthWhereScoresRise) {  // each block has a new largest score, and the old ones shrink
    Scene scene(2, 8, 200);
    for (std::size_t p = 0; p < scene.capacity; ++p)
        for (std::size_t d = 0; d < 8; ++d) scene.keys[p * 8 + d] = scene.q[d] * static_cast<float>(p) * 0.05f;
    for (const std::size_t length : {64u, 65u, 200u}) expect_near_truth(scene, length, 1e-4);
}

TEST_P(AttentionTest, IsNearTheTruthInEveryWindow) {  // what lies before the window are NaNs
    const Scene scene(2, 20, 200);
    for (const std::size_t length : {1u, 20u, 64u, 65u, 150u, 200u})
        for (std::size_t first = 0; first < length; ++first)
            EXPECT_LT(support::relative_error_of(scene.run(GetParam(), length, first), scene.exact(length, first)),
                      1e-5)
                << "keys " << first << " to " << length;
}

TEST_P(AttentionTest, OfOneKeyIsItsValue) {
    const Scene scene(2, 7, 64);
    const auto out = scene.run(GetParam(), 1);
    for (std::size_t h = 0; h < 2; ++h)
        for (std::size_t d = 0; d < 7; ++d) EXPECT_FLOAT_EQ(out[h * 7 + d], scene.values[d]);
}

TEST_P(AttentionTest, NaNsInReachSurface) {
    for (const std::size_t at : {0u, 63u, 64u, 99u}) {
        Scene bad_key(2, 6, 128), bad_value(2, 6, 128), bad_query(2, 6, 128);
        bad_key.keys[at * 6 + 3] = nan;
        bad_value.values[at * 6 + 3] = nan;
        bad_query.q[6] = nan;  // of the second head
        for (const float x : bad_key.run(GetParam(), 100)) EXPECT_TRUE(std::isnan(x)) << at;
        const auto values = bad_value.run(GetParam(), 100), queries = bad_query.run(GetParam(), 100);
        for (std::size_t i = 0; i < 12; ++i) {
            EXPECT_EQ(std::isnan(values[i]), i % 6 == 3) << at << ", " << i;
            EXPECT_EQ(std::isnan(queries[i]), i >= 6) << i;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Levels, AttentionTest, testing::ValuesIn(eigenlm::available_isas()),
                         [](const auto& p) { return to_string(p.param); });

class ExactAttention : public testing::TestWithParam<Isa> {};

TEST_P(ExactAttention, DoesNotDependOnWhereBlocksLieOrOnTheRestOfTheGroup) {
    Scene scene(5, 20, 200);
    const auto scattered = scene.run(GetParam(), 200);
    std::ranges::sort(scene.blocks);
    EXPECT_EQ(scene.run(GetParam(), 200), scattered);
    for (std::size_t h = 0; h < 5; ++h) {
        Scene alone(1, 20, 200);
        alone.q.assign(scene.q.begin() + static_cast<std::ptrdiff_t>(h * 20),
                       scene.q.begin() + static_cast<std::ptrdiff_t>(h * 20 + 20));
        const auto out = alone.run(GetParam(), 200);
        EXPECT_TRUE(std::equal(out.begin(), out.end(), scattered.begin() + static_cast<std::ptrdiff_t>(h * 20)));
    }
}

TEST_P(ExactAttention, OfRowsTogetherIsThatOfEachAlone) {
    for (const std::size_t group : {1u, 2u, 3u, 7u})
        for (const std::size_t head_dim : {6u, 64u, 80u}) {
            const Scene scene(group, head_dim, 260, 3);
            for (const auto& [position, rows] :
                 {std::pair{0u, 2u}, {0u, 64u}, {60u, 9u}, {63u, 70u}, {64u, 64u}, {100u, 5u}, {190u, 70u}})
                for (const std::size_t window :
                     {std::size_t{1000}, std::size_t{1}, std::size_t{7}, std::size_t{64}, std::size_t{90}}) {
                    const auto storage = scene.cache(0, position + rows);
                    const auto together = scene.run_rows(GetParam(), 0, rows, position, window, storage);
                    for (std::size_t r = 0; r < rows; ++r) {
                        const auto alone = scene.run_rows(GetParam(), r, 1, position + r, window, storage);
                        ASSERT_TRUE(std::ranges::equal(
                            alone, std::span(together).subspan(r * group * head_dim, group * head_dim)))
                            << group << " heads of " << head_dim << ", row " << r << " of " << rows << " from "
                            << position << ", window " << window;
                    }
                }
        }
}

TEST_P(ExactAttention, OfARowDoesNotSeeLaterPositions) {  // NaNs there, which even a weight of 0 would let through
    for (const std::size_t group : {1u, 3u, 7u}) {
        Scene scene(group, 20, 192, 3);
        const auto storage = scene.cache(0, 192);
        const std::size_t width = group * 20;
        const auto finite = scene.run_rows(GetParam(), 0, 60, 70, 1000, storage);
        for (const std::size_t at : {0u, 1u, 5u, 57u, 58u, 59u}) {
            for (std::size_t d = 0; d < 20; ++d)
                scene.keys[(70 + at) * 20 + d] = scene.values[(70 + at) * 20 + d] = nan;
            const auto out = scene.run_rows(GetParam(), 0, 60, 70, 1000, scene.cache(0, 192));
            for (std::size_t i = 0; i < out.size(); ++i) {
                ASSERT_EQ(std::isnan(out[i]), i / width >= at) << i << ", NaN from row " << at;
                if (i / width < at) {
                    ASSERT_EQ(out[i], finite[i]);
                }
            }
            scene = Scene(group, 20, 192, 3);
        }
    }
}

TEST_P(ExactAttention, HasThePortableLevelsBits) {
    for (std::size_t group = 1; group <= 5; ++group)
        for (const std::size_t head_dim : {1u, 6u, 16u, 17u, 64u, 80u, 128u}) {
            const Scene scene(group, head_dim, 192, 3);
            for (const std::size_t length : {1u, 16u, 17u, 63u, 64u, 65u, 100u, 129u, 192u})
                for (const std::size_t first : {std::size_t{0}, length / 2, length - 1})
                    ASSERT_EQ(scene.run(GetParam(), length, first), scene.run(Isa::portable, length, first))
                        << group << " heads of " << head_dim << ", keys " << first << " to " << length;
        }
}

INSTANTIATE_TEST_SUITE_P(Levels, ExactAttention, testing::ValuesIn(support::exact_isas()),
                         [](const auto& p) { return to_string(p.param); });

}  // namespace
