// Rotations: frequencies as transformers has them, and cosines and sines that are right at far positions too.
#include <gtest/gtest.h>

#include <cmath>
#include <eigenlm/model/rope_table.hpp>
#include <numbers>
#include <random>
#include <vector>

#include "support/expect_error.hpp"

namespace {

using eigenlm::ModelConfig;
using eigenlm::RopeScaling;
using eigenlm::RopeTable;
using eigenlm::ThreadPool;

ModelConfig config_with(std::size_t head_dim, double theta) {
    ModelConfig config;
    config.head_dim = head_dim;
    config.rope_theta = theta;
    return config;
}

/// theta^(-2 i / head_dim)
long double plain_frequency(const ModelConfig& c, std::size_t i) {
    return std::pow(static_cast<long double>(c.rope_theta),
                    -2.0L * static_cast<long double>(i) / static_cast<long double>(c.head_dim));
}

/// Distance in units of the expected float's last place.
double ulps(float found, long double expected) {
    const float nearest = static_cast<float>(expected);
    const long double step = std::nextafter(std::abs(nearest), 2.0f) - std::abs(nearest);
    return static_cast<double>(std::abs(static_cast<long double>(found) - expected) / step);
}

TEST(RopeTable, HasTheFrequenciesOfThePaper) {
    for (const std::size_t head_dim : {2u, 6u, 64u, 128u})
        for (const double theta : {10000.0, 500000.0, 1e6}) {
            const auto config = config_with(head_dim, theta);
            const auto found = eigenlm::rope_frequencies(config);
            ASSERT_EQ(found.size(), head_dim / 2);
            EXPECT_EQ(found[0], 1.0f);
            for (std::size_t i = 0; i < found.size(); ++i)  // the exponent is a float: an error of 2^-25 * ln(theta)
                EXPECT_NEAR(found[i] / static_cast<double>(plain_frequency(config, i)), 1, 1e-6)
                    << head_dim << ", " << i;
        }
}

TEST(RopeTable, IsRightToOneUnitInTheLastPlaceAtFarPositions) {
    const auto config = config_with(16, 10000);
    const auto frequencies = eigenlm::rope_frequencies(config);
    ThreadPool pool(2);
    RopeTable table(config, 1000001);
    ASSERT_EQ(table.positions(), 1000001u);
    for (const std::size_t first : {0u, 30000u, 131000u, 524288u, 999000u}) {
        table.compute(first, first + 1001, pool);
        for (std::size_t p = first; p <= first + 1000; ++p)
            for (std::size_t i = 0; i < 8; ++i) {
                const float angle = static_cast<float>(p) * frequencies[i];
                ASSERT_LT(ulps(table.cos(p)[i], std::cos(static_cast<long double>(angle))), 1) << p << ", " << i;
                ASSERT_LT(ulps(table.sin(p)[i], std::sin(static_cast<long double>(angle))), 1) << p << ", " << i;
            }
    }
}

TEST(RopeTable, OfPositionZeroTurnsNothing) {
    ThreadPool pool(1);
    const RopeTable table(config_with(10, 10000), 1, pool);
    for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(table.cos(0)[i], 1.0f);
        EXPECT_EQ(table.sin(0)[i], 0.0f);
    }
}

TEST(RopeTable, IsRightForAngleOfAnySizeUpToTwentyTwoBits) {
    std::mt19937_64 random(1);
    for (int i = 0; i < 100000; ++i) {
        const auto fraction = static_cast<float>(1 + static_cast<double>(random() >> 11) * 0x1p-53);
        const float angle = std::ldexp(fraction, static_cast<int>(random() % 32) - 10);
        float sine = 0, cosine = 0;
        eigenlm::detail::sin_cos(static_cast<double>(angle), sine, cosine);
        ASSERT_LT(ulps(sine, std::sin(static_cast<long double>(angle))), 1) << angle;
        ASSERT_LT(ulps(cosine, std::cos(static_cast<long double>(angle))), 1) << angle;
    }
}

TEST(RopeTable, IsRightNextToMultiplesOfAQuarterTurn) {
    for (int quarter = 0; quarter < 100000; quarter += 7) {
        const auto near = static_cast<float>(quarter * (std::numbers::pi / 2));
        for (const float angle : {near, std::nextafter(near, 1e9f), std::nextafter(near, 0.0f)}) {
            float sine = 0, cosine = 0;
            eigenlm::detail::sin_cos(static_cast<double>(angle), sine, cosine);
            ASSERT_LT(ulps(sine, std::sin(static_cast<long double>(angle))), 1) << angle;
            ASSERT_LT(ulps(cosine, std::cos(static_cast<long double>(angle))), 1) << angle;
        }
    }
}

TEST(RopeTable, IsTheSameHoweverItIsComputed) {
    const auto config = config_with(12, 10000);
    ThreadPool one(1), three(3);
    const RopeTable at_once(config, 300, three);
    RopeTable in_parts(config, 300);
    for (const auto& [first, last] : {std::pair(200, 300), std::pair(0, 1), std::pair(1, 130), std::pair(100, 200)})
        in_parts.compute(static_cast<std::size_t>(first), static_cast<std::size_t>(last), one);
    in_parts.compute(17, 17, one);  // none
    for (std::size_t p = 0; p < 300; ++p)
        for (std::size_t i = 0; i < 6; ++i) {
            ASSERT_EQ(at_once.cos(p)[i], in_parts.cos(p)[i]) << p;
            ASSERT_EQ(at_once.sin(p)[i], in_parts.sin(p)[i]) << p;
        }
}

TEST(RopeTable, Llama3ScalingHasThreeBands) {
    auto config = config_with(128, 500000);
    config.rope_scaling = {.kind = RopeScaling::Kind::llama3,
                           .factor = 8,
                           .original_max_position_embeddings = 8192,
                           .low_freq_factor = 1,
                           .high_freq_factor = 4};
    const auto plain = eigenlm::rope_frequencies(config_with(128, 500000)), scaled = eigenlm::rope_frequencies(config);
    std::size_t kept = 0, divided = 0, blended = 0;
    for (std::size_t i = 0; i < plain.size(); ++i) {
        const double frequency = plain[i], wavelength = 2 * std::numbers::pi / frequency;
        if (wavelength < 8192.0 / 4) {
            EXPECT_EQ(scaled[i], plain[i]) << i;
            ++kept;
        } else if (wavelength > 8192.0) {
            EXPECT_EQ(scaled[i], plain[i] / 8) << i;
            ++divided;
        } else {
            const double smooth = (8192 / wavelength - 1) / (4 - 1);
            EXPECT_NEAR(scaled[i], (1 - smooth) * frequency / 8 + smooth * frequency, 1e-6 * frequency) << i;
            EXPECT_LT(scaled[i], plain[i]);
            EXPECT_GT(scaled[i], plain[i] / 8);
            ++blended;
        }
    }
    EXPECT_GT(kept, 5u);
    EXPECT_GT(divided, 5u);
    EXPECT_GE(blended, 3u);
}

TEST(RopeTable, Llama3ScalingByOneChangesNothing) {
    auto config = config_with(64, 500000);
    const auto plain = eigenlm::rope_frequencies(config);
    config.rope_scaling = {RopeScaling::Kind::llama3, 1, 1, 4, 64};
    const auto scaled = eigenlm::rope_frequencies(config);
    for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(scaled[i], plain[i], 1e-7 * plain[i]) << i;
}

TEST(RopeTable, WhoseSizeOverflowsIsAnError) {
    support::expect_error<eigenlm::ResourceError>([] { RopeTable table(config_with(64, 10000), ~std::size_t{0} / 2); },
                                                  {"RoPE table", "overflows"});
}

}  // namespace
