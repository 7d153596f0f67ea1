// Made-up weights: they follow from seed, name and index alone, and keep activations of unit size.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <eigenlm/weights/random.hpp>
#include <numeric>
#include <vector>

namespace {

using eigenlm::RandomWeights;

std::vector<float> values(const RandomWeights& weights, std::string_view name, std::vector<std::size_t> shape) {
    std::vector<float> all(std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>()));
    weights.tensor(name, shape).read(0, all);
    return all;
}

TEST(RandomWeights, FollowFromSeedNameAndIndex) {
    const RandomWeights weights(7);
    const auto all = values(weights, "a", {10, 10});
    EXPECT_EQ(all, values(RandomWeights(7), "a", {10, 10}));
    EXPECT_NE(all, values(RandomWeights(8), "a", {10, 10}));
    EXPECT_NE(all, values(weights, "b", {10, 10}));
    std::vector<float> part(30);
    weights.tensor("a", std::array<std::size_t, 2>{10, 10}).read(50, part);
    EXPECT_EQ(part, std::vector<float>(all.begin() + 50, all.begin() + 80));
}

TEST(RandomWeights, OfAMatrixHaveTheDeviationThatKeepsActivationsOfUnitSize) {
    const auto all = values(RandomWeights(), "m", {400, 256});
    double sum = 0, squares = 0;
    for (const float x : all) sum += x, squares += double{x} * x;
    const auto n = static_cast<double>(all.size());
    EXPECT_NEAR(sum / n, 0, 0.001);
    EXPECT_NEAR(std::sqrt(squares / n), 1.0 / 16, 0.001);
}

TEST(RandomWeights, OfANormLieAroundOne) {
    for (const float x : values(RandomWeights(), "model.layers.0.input_layernorm.weight", {500})) {
        EXPECT_GE(x, 0.5f);
        EXPECT_LE(x, 1.5f);
    }
}

}  // namespace
