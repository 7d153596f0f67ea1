// The goldens can fail: a forward pass that lacks one thing is far outside their tolerance.
#include <gtest/gtest.h>

#include <algorithm>
#include <eigenlm/eigenlm.hpp>
#include <functional>
#include <string>

#include "support/golden.hpp"

namespace {

using eigenlm::ModelWeights;
using Weights = ModelWeights<eigenlm::F32>;

/// The error of a golden checkpoint's logits after `mutate` has changed its weights.
template <class Arch>
double error_as(const std::string& name, const std::function<void(Weights&)>& mutate) {
    const auto checkpoint = eigenlm::Checkpoint::open(support::golden_dir(name));
    eigenlm::ThreadPool pool(1);
    const eigenlm::Compute compute{eigenlm::kernels(eigenlm::Isa::portable), pool};
    auto weights = eigenlm::load_weights<eigenlm::F32>(
        support::config_of(checkpoint), checkpoint.tensors(), pool,
        {.layout = compute.kernels.layout, .qkv_bias = Arch::qkv_bias, .qk_norm = Arch::qk_norm});
    mutate(weights);
    const auto mutated = weights.config;
    const eigenlm::Transformer<Arch, eigenlm::F32> model(std::move(weights));

    const auto golden = support::Golden::of(name);
    const auto text = golden.text();
    const eigenlm::RopeTable rope(mutated, text.size(), pool);
    eigenlm::KvCache cache(mutated, text.size(), eigenlm::CacheType::f32);
    eigenlm::Workspace workspace(mutated, text.size(), 1);
    std::vector<float> logits(text.size() * mutated.vocab_size);
    eigenlm::prefill(model, compute, rope, cache, workspace, text,
                     {logits.data(), text.size(), mutated.vocab_size, mutated.vocab_size});
    return support::logits_error(golden, logits);
}

eigenlm::ModelConfig golden_config(const std::string& name) {
    return support::config_of(eigenlm::Checkpoint::open(support::golden_dir(name)));
}

double error_after(const std::string& name, const std::function<void(Weights&)>& mutate) {
    switch (golden_config(name).family) {
        case eigenlm::ModelFamily::llama:
            return error_as<eigenlm::Llama>(name, mutate);
        case eigenlm::ModelFamily::mistral:
            return error_as<eigenlm::Mistral>(name, mutate);
        case eigenlm::ModelFamily::qwen2:
            return error_as<eigenlm::Qwen2>(name, mutate);
        case eigenlm::ModelFamily::qwen3:
            return error_as<eigenlm::Qwen3>(name, mutate);
    }
    return 0;
}

/// Far outside the tolerance: no such model passes.
constexpr double clearly_wrong = 100 * support::tolerance;

class MutationTest : public testing::TestWithParam<std::string> {};

TEST_P(MutationTest, UnchangedPasses) {
    EXPECT_LE(error_after(GetParam(), [](Weights&) {}), support::tolerance);
}

TEST_P(MutationTest, DroppingRopeFails) {
    EXPECT_GT(error_after(GetParam(),
                          [](Weights& w) {  // every frequency divided by a million
                              w.config.rope_scaling = {.kind = eigenlm::RopeScaling::Kind::linear, .factor = 1e6};
                          }),
              clearly_wrong);
}

TEST_P(MutationTest, InterleavedRopeFails) {
    EXPECT_GT(error_after(GetParam(), [](Weights& w) { w.config.rope_layout = eigenlm::RopeLayout::interleaved; }),
              clearly_wrong);
}

TEST_P(MutationTest, DroppingANormGainFails) {
    const auto ones = [](eigenlm::Buffer<float>& gain) { std::ranges::fill(gain, 1.0f); };
    EXPECT_GT(error_after(GetParam(), [&](Weights& w) { ones(w.layers.back().attention_norm); }), clearly_wrong);
    EXPECT_GT(error_after(GetParam(), [&](Weights& w) { ones(w.layers.front().mlp_norm); }), clearly_wrong);
    EXPECT_GT(error_after(GetParam(), [&](Weights& w) { ones(w.final_norm); }), clearly_wrong);
}

TEST_P(MutationTest, DroppingABiasFails) {
    const auto config = golden_config(GetParam());
    if (config.family != eigenlm::ModelFamily::qwen2) return;  // has none
    const std::size_t ends[] = {0, config.query_size(), config.query_size() + config.kv_size(), config.qkv_size()};
    for (int part = 0; part < 3; ++part)  // q, k, v
        EXPECT_GT(error_after(GetParam(),
                              [&](Weights& w) {
                                  auto bias = w.layers.front().qkv_bias.span();
                                  std::ranges::fill(bias.subspan(ends[part], ends[part + 1] - ends[part]), 0.0f);
                              }),
                  clearly_wrong)
            << "part " << part;
}

/// Query head h reads kv head h % num_kv_heads instead of h / group: the same as moving head h to a slot of that group.
void mix_up_heads(Weights& w) {
    const auto& c = w.config;
    for (auto& layer : w.layers) {
        const auto qkv = layer.qkv.inputs(), d = c.head_dim;
        auto rows = [&](const eigenlm::Matrix<eigenlm::F32>& m) {
            std::vector<std::vector<float>> all(m.outputs(), std::vector<float>(m.inputs()));
            for (std::size_t j = 0; j < all.size(); ++j) m.get_row(j, all[j]);
            return all;
        };
        const auto slot = [&](std::size_t h) { return h % c.num_kv_heads * c.group() + h / c.num_kv_heads; };
        const auto q = rows(layer.qkv), o = rows(layer.attention_output);
        ASSERT_EQ(q.front().size(), qkv);
        for (std::size_t h = 0; h < c.num_heads; ++h)
            for (std::size_t i = 0; i < d; ++i) layer.qkv.set_rows(slot(h) * d + i, 1, q[h * d + i].data());
        if (!layer.qkv_bias.span().empty()) {
            const std::vector<float> bias(layer.qkv_bias.begin(), layer.qkv_bias.end());
            for (std::size_t h = 0; h < c.num_heads; ++h)
                for (std::size_t i = 0; i < d; ++i) layer.qkv_bias[slot(h) * d + i] = bias[h * d + i];
        }
        for (std::size_t j = 0; j < o.size(); ++j) {
            std::vector<float> row(o[j].size());
            for (std::size_t h = 0; h < c.num_heads; ++h)
                for (std::size_t i = 0; i < d; ++i) row[slot(h) * d + i] = o[j][h * d + i];
            layer.attention_output.set_rows(j, 1, row.data());
        }
    }
}

TEST_P(MutationTest, WrongGqaMappingFails) {
    const auto config = golden_config(GetParam());
    if (config.num_kv_heads == 1) return;  // nothing to mix up
    EXPECT_GT(error_after(GetParam(), mix_up_heads), clearly_wrong);
}

using Kind = eigenlm::RopeScaling::Kind;

TEST_P(MutationTest, DroppingTheScalingFails) {
    const Kind kind = golden_config(GetParam()).rope_scaling.kind;
    if (kind == Kind::none || kind == Kind::dynamic) return;  // within its original length that one changes nothing
    EXPECT_GT(error_after(GetParam(), [](Weights& w) { w.config.rope_scaling = {}; }), clearly_wrong);
}

TEST_P(MutationTest, DroppingAPartOfYarnFails) {
    if (golden_config(GetParam()).rope_scaling.kind != Kind::yarn) return;
    const auto error_with = [](const std::function<void(eigenlm::RopeScaling&)>& change) {
        return error_after(GetParam(), [&](Weights& w) { change(w.config.rope_scaling); });
    };
    EXPECT_GT(error_with([](auto& s) { s.attention_factor = 1; }), clearly_wrong);
    EXPECT_GT(error_with([](auto& s) { s.original_max_position_embeddings *= 4; }), clearly_wrong);
    EXPECT_GT(error_with([](auto& s) { s.beta_fast = s.beta_slow + 0.5; }), clearly_wrong);
    if (GetParam() == "llama-yarn") {
        EXPECT_GT(error_with([](auto& s) { s.truncate = true; }), clearly_wrong);
    }
}

TEST_P(MutationTest, AnotherWindowFails) {
    const auto windows = golden_config(GetParam()).windows;
    if (std::ranges::count(windows, 0u) == std::ranges::ssize(windows)) return;
    const auto error_with = [](const std::function<std::size_t(std::size_t)>& other) {
        return error_after(
            GetParam(), [&](Weights& w) { std::ranges::transform(w.config.windows, w.config.windows.begin(), other); });
    };
    const std::size_t window = std::ranges::max(windows);
    EXPECT_GT(error_with([](std::size_t) { return 0; }), clearly_wrong);
    EXPECT_GT(error_with([](std::size_t w) { return w ? w + 1 : 0; }), clearly_wrong);
    EXPECT_GT(error_with([](std::size_t w) { return w ? w - 1 : 0; }), clearly_wrong);
    if (std::ranges::count(windows, 0u) != 0) {
        EXPECT_GT(error_with([=](std::size_t) { return window; }), clearly_wrong);
        EXPECT_GT(error_with([=](std::size_t w) { return w ? 0 : window; }), clearly_wrong);
    }
}

TEST_P(MutationTest, DroppingAQkNormGainFails) {
    if (golden_config(GetParam()).family != eigenlm::ModelFamily::qwen3) return;
    const auto ones = [](eigenlm::Buffer<float>& gain) { std::ranges::fill(gain, 1.0f); };
    EXPECT_GT(error_after(GetParam(), [&](Weights& w) { ones(w.layers.front().q_norm); }), clearly_wrong);
    EXPECT_GT(error_after(GetParam(), [&](Weights& w) { ones(w.layers.front().k_norm); }), clearly_wrong);
    EXPECT_GT(error_as<eigenlm::Llama>(GetParam(), [](Weights&) {}), clearly_wrong) << "without the norms";
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, MutationTest, testing::ValuesIn(support::short_goldens()),
                         support::name_of_parameter);

}  // namespace
