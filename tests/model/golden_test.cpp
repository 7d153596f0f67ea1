// Contract 2: logits and hidden states agree with transformers (float32, eager attention), greedy ids are equal.
#include <map>
#include <string>

#include <eigenlm/eigenlm.hpp>
#include <gtest/gtest.h>

#include "support/golden.hpp"

namespace {

using support::Golden;


class GoldenTest : public testing::TestWithParam<std::tuple<std::string, eigenlm::Isa>> {
  protected:
    std::string name() const { return std::get<0>(GetParam()); }
    /// The trained model's golden lies with the others, its folder with the examples.
    std::filesystem::path folder() const { return name() == "tiny" ? support::tiny_dir() : support::golden_dir(name()); }
    std::shared_ptr<const eigenlm::Model> model() const {
        return support::load_model(folder(), {.isa = std::get<1>(GetParam())});
    }
    Golden golden() const { return Golden::of(name()); }
};

TEST_P(GoldenTest, LogitsAgree) {
    const Golden golden = this->golden();
    EXPECT_LE(support::logits_error(golden, support::all_logits(model(), golden.text())), support::tolerance);
}

TEST_P(GoldenTest, GreedyIdsAreEqual) {
    const Golden golden = this->golden();
    if (!golden.has("greedy_ids")) return;  // the long one compares logits only
    const auto expected = golden.ids("greedy_ids");
    ASSERT_EQ(expected.size(), 64u);
    const auto shared = model();
    eigenlm::Session session(shared);
    eigenlm::Sampler greedy({}, shared->config().vocab_size, shared->compute().kernels);
    std::vector<eigenlm::TokenId> found{greedy(session.prefill(golden.ids("prompt_ids")))};
    while (found.size() < expected.size()) found.push_back(greedy(session.decode(found.back())));
    EXPECT_EQ(found, expected);
}

/// Golden tables by the names our taps use.
std::string golden_name(std::string_view tap, int layer) {
    static const std::map<std::string, std::string, std::less<>> inside = {
        {"input_layernorm", "attn_norm"}, {"q_proj", "q"}, {"k_proj", "k"}, {"v_proj", "v"}, {"q_rope", "q_rope"},
        {"k_rope", "k_rope"}, {"o_proj", "attn_out"}, {"post_attention_layernorm", "mlp_norm"}, {"down_proj", "mlp_out"},
    };
    if (tap == "embed_tokens") return "embed";
    if (tap == "norm") return "final_norm";
    const std::string prefix = "layer." + std::to_string(layer);
    return tap == "layer" ? prefix : prefix + "." + inside.at(std::string(tap));
}

TEST_P(GoldenTest, HiddenStatesAgree) {
    const Golden golden = this->golden();
    const auto positions = golden.ids("hidden_positions");
    const auto text = golden.text();
    const auto shared = model();
    eigenlm::Session session(shared, {.context = text.size(), .prefill_rows = text.size()});  // one pass
    std::map<std::string, double> errors;
    const eigenlm::Tap tap = [&](std::string_view name, int layer, eigenlm::Rows<const float> values) {
        const std::string key = golden_name(name, layer);
        if (!golden.has(key)) return;
        const auto expected = golden.table(key);
        ASSERT_EQ(values.rows, text.size()) << key;
        ASSERT_EQ(values.cols, expected.cols) << key;
        for (std::size_t r = 0; r < positions.size(); ++r) {
            const auto found = values.row(static_cast<std::size_t>(positions[r]));
            errors[key] = std::max(errors[key], support::relative_error(found, expected.row(r)));
        }
    };
    std::vector<float> logits(text.size() * shared->config().vocab_size);
    session.prefill(text, std::span<float>(logits), {.tap = tap});
    EXPECT_GE(errors.size(), shared->config().num_layers + 2);
    for (const auto& [key, error] : errors) EXPECT_LE(error, support::tolerance) << key;
    if (name() == "llama-gqa") {
        EXPECT_EQ(errors.size(), shared->config().num_layers + 2 + 9) << "with layer 0's inside";
    }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, GoldenTest,
                         testing::Combine(testing::Values("qwen2-odd", "qwen2-untied", "llama-gqa", "llama31-scaled", "long",
                                                          "tiny"),
                                          testing::ValuesIn(eigenlm::all_isas)),
                         [](const auto& parameter) {
                             return support::identifier(std::get<0>(parameter.param)) + "_" +
                                    eigenlm::to_string(std::get<1>(parameter.param));
                         });

}  // namespace
