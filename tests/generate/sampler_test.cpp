// Logits to tokens: which tokens may be drawn and how often, against a plain reference; one seed, one text.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <eigenlm/generate/sampler.hpp>
#include <eigenlm/kernels/dispatch.hpp>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "support/expect_error.hpp"
#include "support/numbers.hpp"

namespace {

using eigenlm::Sampler;
using eigenlm::SamplingOptions;
using eigenlm::TokenId;

constexpr float infinity = std::numeric_limits<float>::infinity();

Sampler make(const SamplingOptions& options, std::size_t vocab) {
    return Sampler(options, vocab, eigenlm::kernels(eigenlm::Isa::portable));
}
TokenId greedy(const std::vector<float>& logits) { return make({}, logits.size())(logits); }

/// The tokens that may be drawn, with their probabilities: the filters as transformers defines them, in its order.
std::map<TokenId, double> reference(std::vector<float> logits, const SamplingOptions& o,
                                    const std::set<TokenId>& seen = {}) {
    for (const TokenId id : seen) {
        float& x = logits[static_cast<std::size_t>(id)];
        x = x < 0 ? x * o.repeat_penalty : x / o.repeat_penalty;
    }
    std::vector<std::pair<double, TokenId>> order;  // most likely first, the lower id among equals
    for (std::size_t i = 0; i < logits.size(); ++i)
        order.emplace_back(-double{logits[i]} / double{o.temperature}, static_cast<TokenId>(i));
    std::ranges::sort(order);
    if (o.top_k != 0) order.resize(std::min(o.top_k, order.size()));
    const double best = order.front().first;
    double all = 0;
    for (const auto& [energy, id] : order) all += std::exp(best - energy);
    std::map<TokenId, double> kept;
    double sum = 0;
    for (const auto& [energy, id] : order) {
        const double probability = std::exp(best - energy) / all;
        if (!kept.empty() && sum >= double{o.top_p}) break;
        if (std::exp(best - energy) < double{o.min_p}) break;
        sum += kept[id] = probability;
    }
    for (auto& [id, probability] : kept) probability /= sum;
    return kept;
}

/// Draws once with each of many seeds; every outcome must be allowed, and as frequent as its probability says.
void expect_drawn_as_the_reference(const std::vector<float>& logits, SamplingOptions options,
                                   const std::set<TokenId>& seen = {}) {
    constexpr int draws = 4000;
    const auto allowed = reference(logits, options, seen);
    std::map<TokenId, int> counts;
    for (int seed = 0; seed < draws; ++seed) {
        options.seed = static_cast<std::uint64_t>(seed);
        Sampler sampler = make(options, logits.size());
        for (const TokenId id : seen) sampler.accept(id), sampler.accept(id);  // twice is as good as once
        ++counts[sampler(logits)];
    }
    for (const auto& [id, count] : counts)
        EXPECT_TRUE(allowed.contains(id)) << "id " << id << ", " << count << " times";
    for (const auto& [id, probability] : allowed) {
        const double expected = probability * draws, deviation = std::sqrt(expected * (1 - probability));
        EXPECT_NEAR(counts[id], expected, 5 * deviation + 1e-9) << "id " << id;
    }
}

TEST(Sampler, GreedyTakesTheLargestLogitAndTheLowestIdAmongEquals) {
    EXPECT_EQ(greedy({0.5f, 2, 1}), 1);
    EXPECT_EQ(greedy({1, 3, 3, 3, 2}), 1);
    EXPECT_EQ(greedy({-5, -5, -5}), 0);
    EXPECT_EQ(greedy({-0.0f, 0.0f}), 0);
    EXPECT_EQ(greedy({-infinity, -3e38f}), 1);
    EXPECT_EQ(greedy({7}), 0);
    auto many = support::random_numbers(1000, 1);
    many[617] = many[618] = 100;
    EXPECT_EQ(greedy(many), 617);
}

TEST(Sampler, GreedyIgnoresTheOtherFilters) {
    for (const std::uint64_t seed : {0u, 1u, 2u})
        EXPECT_EQ(make({.top_k = 2, .top_p = 0.1f, .min_p = 1, .seed = seed}, 3)(std::vector<float>{1, 2, 3}), 2);
}

TEST(Sampler, DrawsByTheSoftmaxOfTheLogits) {
    const auto logits = support::random_numbers(12, 3, 2);
    for (const float temperature : {0.3f, 0.7f, 1.0f, 2.5f, 1e6f})
        expect_drawn_as_the_reference(logits, {.temperature = temperature});
}

TEST(Sampler, TopKKeepsTheKMostLikely) {
    const auto logits = support::random_numbers(12, 4);
    for (const std::size_t k : {1u, 2u, 5u, 11u, 12u, 13u, 1000u})
        expect_drawn_as_the_reference(logits, {.temperature = 1, .top_k = k});
    expect_drawn_as_the_reference({1, 1, 1, 1, 1}, {.temperature = 1, .top_k = 2});  // the lower ids among equals
}

TEST(Sampler, TopPKeepsTheFewestThatReachP) {
    const std::vector<float> logits = {std::log(0.1f), std::log(0.4f), std::log(0.2f), std::log(0.3f)};
    for (const float p : {1e-6f, 0.39f, 0.41f, 0.69f, 0.71f, 0.89f, 0.91f, 1.0f})
        expect_drawn_as_the_reference(logits, {.temperature = 1, .top_p = p});
    EXPECT_EQ(reference(logits, {.temperature = 1, .top_p = 0.69f}).size(), 2u);
    EXPECT_EQ(reference(logits, {.temperature = 1, .top_p = 0.71f}).size(), 3u);
}

TEST(Sampler, MinPKeepsWhatIsLikelyEnough) {
    const std::vector<float> logits = {std::log(0.1f), std::log(0.4f), std::log(0.2f), std::log(0.3f)};
    for (const float p : {0.0f, 0.24f, 0.26f, 0.49f, 0.51f, 0.74f, 0.76f, 1.0f})
        expect_drawn_as_the_reference(logits, {.temperature = 1, .min_p = p});
    EXPECT_EQ(reference(logits, {.temperature = 1, .min_p = 0.51f}).size(), 2u);
}

TEST(Sampler, FiltersWorkTogetherInTransformersOrder) {
    for (unsigned i = 0; i < 6; ++i) {
        const auto logits = support::random_numbers(15, 10 + i, 1.5f);
        expect_drawn_as_the_reference(logits,
                                      {.repeat_penalty = 1.3f,
                                       .temperature = 0.5f + 0.3f * static_cast<float>(i),
                                       .top_k = 3 + i,
                                       .top_p = 0.6f + 0.05f * static_cast<float>(i),
                                       .min_p = 0.02f * static_cast<float>(i)},
                                      {0, 3, 7});
    }
}

TEST(Sampler, RepeatPenaltyDividesPositiveAndMultipliesNegativeLogits) {
    expect_drawn_as_the_reference({2, 1, -1, -2}, {.repeat_penalty = 2, .temperature = 1}, {0, 3});
    expect_drawn_as_the_reference({2, 1, -1, -2}, {.repeat_penalty = 0.5f, .temperature = 1}, {1, 2});
    Sampler sampler = make({.repeat_penalty = 1.5f}, 3);
    const std::vector<float> logits = {3, 2.5f, 0};
    EXPECT_EQ(sampler(logits), 0);
    sampler.accept(0);
    EXPECT_EQ(sampler(logits), 1);  // 3 / 1.5 < 2.5
    sampler.accept(1);
    EXPECT_EQ(sampler(logits), 0);
}

TEST(Sampler, NeverDrawsWhatHasNoProbability) {
    const std::vector<float> logits = {-infinity, 1, -infinity, 0, -200};
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        const TokenId id = make({.temperature = 1, .seed = seed}, 5)(logits);
        EXPECT_TRUE(id == 1 || id == 3) << id;
    }
}

std::vector<TokenId> draw_many(const SamplingOptions& options, std::size_t count) {
    std::vector<float> logits(50);
    for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i * 7 % 11) * 0.25f;
    Sampler sampler = make(options, logits.size());
    std::vector<TokenId> ids;
    while (ids.size() < count) {
        ids.push_back(sampler(logits));
        sampler.accept(ids.back());
    }
    return ids;
}

TEST(Sampler, OneSeedDrawsOneTextOnEveryMachine) {
    const SamplingOptions options{.repeat_penalty = 1.1f, .temperature = 0.9f, .top_k = 40, .top_p = 0.95f, .seed = 42};
    EXPECT_EQ(draw_many(options, 16),
              (std::vector<TokenId>{45, 1, 45, 25, 29, 14, 31, 17, 25, 28, 3, 20, 34, 12, 37, 32}));
    EXPECT_EQ(draw_many(options, 100), draw_many(options, 100));
}

TEST(Sampler, OtherSeedsDrawOtherTexts) {
    std::set<std::vector<TokenId>> texts;
    for (std::uint64_t seed = 0; seed < 20; ++seed) texts.insert(draw_many({.temperature = 1, .seed = seed}, 12));
    EXPECT_EQ(texts.size(), 20u);
}

TEST(Sampler, RefusesLogitsThatAreNoNumbers) {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    for (const float temperature : {0.0f, 1.0f}) {
        Sampler sampler = make({.temperature = temperature}, 3);
        support::expect_error<eigenlm::StateError>(
            [&] {
                sampler(std::vector<float>{1, nan, 2});
            },
            {"sampler: the logit", "not"});
        support::expect_error<eigenlm::StateError>(
            [&] {
                sampler(std::vector<float>{1, infinity, 2});
            },
            {"sampler", "not finite"});
        support::expect_error<eigenlm::StateError>([&] { sampler(std::vector<float>(3, -infinity)); },
                                                   {"sampler", "not finite"});
        EXPECT_GE(sampler(std::vector<float>{1, 2, 3}), 0) << "and goes on afterwards";
    }
}

TEST(Sampler, RefusesOptionsOutOfRange) {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    const auto expect_refused = [](const SamplingOptions& options, std::string_view name) {
        support::expect_error<eigenlm::ArgumentError>([&] { make(options, 3); },
                                                      {name, "expected a number in", "found"});
    };
    for (const float bad : {-1e-6f, -1.0f, 2e6f, infinity, nan}) expect_refused({.temperature = bad}, "temperature");
    for (const float bad : {0.0f, -0.5f, 1.0001f, nan}) expect_refused({.top_p = bad}, "top_p");
    for (const float bad : {-0.1f, 1.1f, nan}) expect_refused({.min_p = bad}, "min_p");
    for (const float bad : {0.0f, -1.0f, infinity, nan}) expect_refused({.repeat_penalty = bad}, "repeat_penalty");
}

TEST(Sampler, ATinyTemperatureIsNearlyGreedy) {
    const std::vector<float> logits = {1, 12, 3, 11.5f};
    for (const float temperature : {1e-6f, 1e-20f, 1e-37f, 1.2e-38f, 1e-40f})
        for (std::uint64_t seed = 0; seed < 20; ++seed)
            EXPECT_EQ(make({.temperature = temperature, .seed = seed}, 4)(logits), 1) << temperature;
}

TEST(Sampler, RefusesIdsAndLogitsThatAreNotTheModels) {
    Sampler sampler = make({.repeat_penalty = 2}, 3);
    for (const TokenId id : {-1, 3}) support::expect_error<eigenlm::ArgumentError>([&] { sampler.accept(id); }, {"3"});
    sampler.accept(2);
    support::expect_error<eigenlm::ArgumentError>([&] { sampler(std::vector<float>{1, 2}); }, {"3", "2"});
    support::expect_error<eigenlm::ArgumentError>([&] { sampler(std::vector<float>{}); }, {"3", "0"});
}

}  // namespace
