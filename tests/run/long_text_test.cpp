// 10,000 tokens generated one by one, through ten sections of the cache: the bits of recomputing the whole text.
#include <gtest/gtest.h>

#include <cstring>
#include <eigenlm/generate/sampler.hpp>
#include <string>
#include <vector>

#include "support/levels.hpp"
#include "support/sanitized.hpp"
#include "support/sequence.hpp"

namespace {

class LongTextTest : public testing::TestWithParam<eigenlm::WeightType> {};

TEST_P(LongTextTest, HasTheBitsOfRecomputation) {
    constexpr std::size_t length = SANITIZED ? 2500 : 10000;  // sanitizers take minutes for more
    eigenlm::ModelConfig config = support::small_config();
    config.max_position_embeddings = length;
    const auto model = std::make_shared<const eigenlm::Model>(
        config, eigenlm::RandomWeights(5),
        eigenlm::ModelOptions{
            .threads = 2, .isa = support::exact_isas().back(), .dtype = GetParam(), .context = length});
    support::Sequence cached(model, length), whole(model, length, 512);
    eigenlm::Sampler sampler({.temperature = 1, .seed = 3}, config.vocab_size, model->compute().kernels);
    std::vector<eigenlm::TokenId> text = {1};
    std::vector<std::vector<float>> logits;
    for (std::size_t i = 0; i < length; ++i) {
        logits.push_back(cached.decode(text.back()));
        text.push_back(sampler(logits.back()));
    }
    text.pop_back();
    const std::vector<float> expected = whole.prefill(text, length);
    for (std::size_t i = 0; i < length; ++i)
        ASSERT_EQ(std::memcmp(logits[i].data(), &expected[i * config.vocab_size], config.vocab_size * sizeof(float)), 0)
            << "position " << i;
}

// At the best level alone: others need minutes, and have its bits.
INSTANTIATE_TEST_SUITE_P(Types, LongTextTest,
                         testing::Values(eigenlm::WeightType::f32, eigenlm::WeightType::bf16, eigenlm::WeightType::f16,
                                         eigenlm::WeightType::q8_0),
                         [](const auto& test) { return std::string(to_string(test.param)); });

}  // namespace
