// What a model tells of its weights.
#include <gtest/gtest.h>

#include <eigenlm/eigenlm.hpp>
#include <utility>

#include "support/shapes.hpp"

namespace {

using eigenlm::WeightType;

TEST(Transformer, AnEmbeddingOfItsOwnIsNotReadByEveryStep) {
    eigenlm::ModelConfig tied = support::small_config();
    tied.hidden_size = 64;  // whole blocks
    eigenlm::ModelConfig untied = tied;
    untied.tie_word_embeddings = false;
    for (const WeightType dtype : {WeightType::f32, WeightType::bf16, WeightType::f16, WeightType::q8_0}) {
        const auto bytes = [&](const eigenlm::ModelConfig& config) {
            const eigenlm::Model model(config, eigenlm::RandomWeights(), {.threads = 1, .dtype = dtype});
            return std::pair(model.transformer().weight_bytes(), model.transformer().streamed_bytes());
        };
        EXPECT_LT(bytes(untied).second, bytes(untied).first) << to_string(dtype);
        EXPECT_EQ(bytes(tied).second, bytes(tied).first) << to_string(dtype);
        EXPECT_EQ(bytes(untied).second, bytes(tied).second) << to_string(dtype) << ": the head is as large";
    }
}

}  // namespace
