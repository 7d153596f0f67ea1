#include "eigenlm/weights/rope_factors.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <eigenlm/model/rope_table.hpp>
#include <vector>

namespace {

using eigenlm::ModelConfig;
using eigenlm::RopeScaling;
using Kind = RopeScaling::Kind;

ModelConfig llama3(std::size_t head_dim, double theta, double factor, double low, double high, std::size_t original) {
    ModelConfig config;
    config.head_dim = head_dim;
    config.rope_theta = theta;
    config.rope_scaling.kind = Kind::llama3;
    config.rope_scaling.factor = factor;
    config.rope_scaling.low_freq_factor = low;
    config.rope_scaling.high_freq_factor = high;
    config.rope_scaling.original_max_position_embeddings = original;
    return config;
}

/// The config as a GGUF file tells it: by its factors alone.
ModelConfig read_back(ModelConfig config) {
    config.rope_scaling = scaling_of_factors(config, llama3_factors(config));
    return config;
}

TEST(RopeFactors, TellTheParametersOfLlama3) {
    for (const std::size_t head_dim : {64u, 80u, 128u})
        for (const double theta : {10000.0, 500000.0})
            for (const double factor : {4.0, 8.0, 16.0, 32.0})
                for (const double high : {2.0, 4.0, 8.0, 32.0})
                    for (const std::size_t original : {32u, 2048u, 3000u, 4096u, 8192u}) {
                        const ModelConfig config = llama3(head_dim, theta, factor, 1, high, original);
                        const ModelConfig found = read_back(config);
                        if (found.rope_scaling.kind == Kind::factors) {  // one blended factor leaves them open
                            EXPECT_EQ(original, 3000u);
                            continue;
                        }
                        ASSERT_EQ(rope_frequencies(found), rope_frequencies(config))
                            << head_dim << " " << theta << " " << factor << " " << high << " " << original << ", found "
                            << found.rope_scaling.high_freq_factor << " "
                            << found.rope_scaling.original_max_position_embeddings;
                    }
}

TEST(RopeFactors, OfLlama3sOwnModelsAreExactly) {
    for (const double factor : {8.0, 32.0}) {
        const auto found = read_back(llama3(factor == 8 ? 128 : 64, 500000, factor, 1, 4, 8192)).rope_scaling;
        EXPECT_EQ(found.kind, Kind::llama3);
        EXPECT_EQ(found.factor, factor);
        EXPECT_EQ(found.low_freq_factor, 1);
        EXPECT_EQ(found.high_freq_factor, 4);
        EXPECT_EQ(found.original_max_position_embeddings, 8192u);
    }
}

TEST(RopeFactors, OfAnotherLowFactorAreThoseOfProportionalParameters) {
    const ModelConfig config = llama3(128, 500000, 8, 2, 8, 8192), found = read_back(config);
    EXPECT_EQ(found.rope_scaling.high_freq_factor, 4);
    EXPECT_EQ(found.rope_scaling.original_max_position_embeddings, 4096u);
    const auto a = rope_frequencies(found), b = rope_frequencies(config);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i] / b[i], 1, 1e-6);
}

TEST(RopeFactors, OfOnesAreNoScaling) {
    ModelConfig config = llama3(64, 10000, 8, 1, 4, 8192);
    EXPECT_EQ(scaling_of_factors(config, std::vector<float>(32, 1.0f)).kind, Kind::none);
}

TEST(RopeFactors, ThatNoParametersFitDivideTheFrequencies) {
    ModelConfig config = llama3(8, 10000, 8, 1, 4, 8192);
    const std::vector<float> factors = {1, 3, 2, 5};
    config.rope_scaling = {};
    const auto plain = rope_frequencies(config);
    config.rope_scaling = scaling_of_factors(config, factors);
    ASSERT_EQ(config.rope_scaling.kind, Kind::factors);
    const auto found = rope_frequencies(config);
    for (std::size_t i = 0; i < factors.size(); ++i) EXPECT_EQ(found[i], plain[i] / factors[i]);
    // One that is off by more than rounding is not taken for its neighbours.
    const ModelConfig usual = llama3(64, 500000, 8, 1, 4, 8192);
    auto changed = llama3_factors(usual);
    changed[20] *= 1.001f;
    EXPECT_EQ(scaling_of_factors(usual, changed).kind, Kind::factors);
}

}  // namespace
