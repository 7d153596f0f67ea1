// Contract 2: logits and hidden states agree with transformers (float32, eager attention), greedy ids are equal.
#include "support/golden.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <eigenlm/eigenlm.hpp>
#include <map>
#include <string>
#include <vector>

namespace {

using support::Golden;

class GoldenTest : public testing::TestWithParam<std::tuple<std::string, eigenlm::Isa>> {
  protected:
    std::string name() const { return std::get<0>(GetParam()); }
    std::shared_ptr<const eigenlm::Model> model() const {
        return support::load_model(support::model_dir(name()), {.isa = std::get<1>(GetParam())});
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
        {"input_layernorm", "attn_norm"},
        {"q_proj", "q"},
        {"k_proj", "k"},
        {"v_proj", "v"},
        {"q_norm", "q_norm"},
        {"k_norm", "k_norm"},
        {"q_rope", "q_rope"},
        {"k_rope", "k_rope"},
        {"o_proj", "attn_out"},
        {"post_attention_layernorm", "mlp_norm"},
        {"down_proj", "mlp_out"},
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
    for (const auto& [key, error] : errors) EXPECT_LE(error, support::tolerance) << key;
    const std::size_t inside = name() == "llama-gqa" ? 9 : name() == "qwen3" ? 11 : 0;  // of layer 0
    EXPECT_EQ(errors.size(), shared->config().num_layers + 2 + inside);
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, GoldenTest,
                         testing::Combine(testing::ValuesIn(support::all_goldens()),
                                          testing::ValuesIn(eigenlm::available_isas())),
                         support::name_of_pair);

/// Mean over the rows of the Kullback-Leibler divergence of softmax(b) from softmax(a), in nats.
double mean_kl(const support::Table& a, std::span<const float> b) {
    const auto log_softmax = [&](std::span<const float> row) {
        const double largest = *std::ranges::max_element(row);
        double total = 0;
        for (const float x : row) total += std::exp(x - largest);
        std::vector<double> logs;
        for (const float x : row) logs.push_back(x - largest - std::log(total));
        return logs;
    };
    double sum = 0;
    for (std::size_t r = 0; r < a.rows; ++r) {
        const auto p = log_softmax(a.row(r)), q = log_softmax(b.subspan(r * a.cols, a.cols));
        for (std::size_t i = 0; i < p.size(); ++i) sum += std::exp(p[i]) * (p[i] - q[i]);
    }
    return sum / static_cast<double>(a.rows);
}

/// Checkpoints that are stored in 16 bits, run in that type. Ours and transformers' roundings there are other ones, so
/// both are measured by their distance from transformers in f32: we must be the nearer one, and no further from
/// transformers in the same type than independent errors put us.
class StoredTypeTest : public testing::TestWithParam<std::string> {
  protected:
    void SetUp() override {
        f32_ = golden_.table("logits"), theirs_ = golden_.table("logits_stored_dtype");
        their_error_ = support::rms_difference(theirs_.values, f32_.values), their_kl_ = mean_kl(f32_, theirs_.values);
    }
    std::shared_ptr<const eigenlm::Model> load(eigenlm::Isa isa) const {
        const auto folder = support::model_dir(GetParam());
        return support::load_model(folder, {.isa = isa, .dtype = support::stored_type_of(folder)});
    }
    /// Fails unless our error is at most `share` of theirs. Returns the logits.
    std::vector<float> expect_nearer(const eigenlm::Model& model, std::vector<float> logits, double share) const {
        const auto ours = support::golden_rows(golden_, logits);
        const double error = support::rms_difference(ours, f32_.values), kl = mean_kl(f32_, ours);
        const double between = support::rms_difference(ours, theirs_.values);
        std::printf("%s: rms %.3g of transformers' %.3g, between %.3g; KL %.3g, transformers' %.3g\n",
                    to_string(model.compute().kernels.isa), error, their_error_, between, kl, their_kl_);
        EXPECT_LT(error, share * their_error_);
        EXPECT_LT(kl, share * their_kl_);
        EXPECT_LT(between, 1.05 * std::hypot(error, their_error_));
        return logits;
    }

    const Golden golden_ = Golden::of(GetParam());
    support::Table f32_, theirs_;
    double their_error_ = 0, their_kl_ = 0;
};

TEST_P(StoredTypeTest, LogitsAreNearerToF32ThanTransformersInThatType) {
    for (const auto isa : eigenlm::available_isas()) {
        const auto model = load(isa);
        ASSERT_NE(model->transformer().dtype(), eigenlm::WeightType::f32);
        expect_nearer(*model, support::all_logits(model, golden_.text()), 0.7);
    }
}

TEST_P(StoredTypeTest, LogitsAreNearerStillWithACacheInF32) {
    for (const auto isa : eigenlm::available_isas()) {
        const auto model = load(isa);
        const auto logits =
            expect_nearer(*model, support::all_logits(model, golden_.text(), eigenlm::CacheType::f32), 0.6);
        if (model->transformer().dtype() == eigenlm::WeightType::f16) {  // f32's arithmetic on the same numbers
            EXPECT_LE(support::logits_error(golden_, logits), support::tolerance);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, StoredTypeTest,
                         testing::Values("qwen2-untied", "qwen2-window", "qwen2-outliers", "qwen3", "llama-linear",
                                         "llama-yarn", "llama31-scaled", "mistral", "tiny"),
                         support::name_of_parameter);

}  // namespace
