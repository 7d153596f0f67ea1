// How far one model is from another: transformers' and numpy's numbers, exact zeros, and what is refused.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <eigenlm/eigenlm.hpp>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/golden.hpp"
#include "support/model_folder.hpp"
#include "support/sequence.hpp"

namespace {

using eigenlm::Divergence;
using eigenlm::WeightType;
using support::some_ids;
using support::TokenId;

std::shared_ptr<const eigenlm::Model> portable_model(const std::filesystem::path& folder,
                                                     WeightType dtype = WeightType::f32) {
    return support::load_model(folder, {.threads = 2, .isa = eigenlm::Isa::portable, .dtype = dtype});
}

/// Floats of a stored tensor, to be changed.
std::vector<float> floats_of(const support::StoredTensor& tensor) {
    EXPECT_EQ(tensor.dtype, "F32");
    std::vector<float> values(tensor.bytes.size() / 4);
    std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
    return values;
}
void set_floats(support::StoredTensor& tensor, const std::vector<float>& values) {
    std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
}

/// A checkpoint with its matrices rounded to bfloat16, and stored in singles as before.
class RoundedFolder : public support::ModelFolder {
  public:
    explicit RoundedFolder(const std::string& golden) : ModelFolder(golden) {
        change_tensors([](support::StoredTensors& tensors) {
            for (auto& [name, tensor] : tensors) {
                if (tensor.shape.size() != 2) continue;
                std::vector<float> values = floats_of(tensor);
                for (float& x : values) x = eigenlm::bf16_to_f32(eigenlm::f32_to_bf16(x));
                set_floats(tensor, values);
            }
        });
    }
};

/// A case of tools/make_divergence_goldens.py.
class DivergenceGolden : public testing::TestWithParam<std::tuple<std::string, eigenlm::Isa>> {
  protected:
    nlohmann::json golden() const {
        std::ifstream file(support::data_dir() / "divergence.json");
        return nlohmann::json::parse(file).at("cases").at(std::get<0>(GetParam()));
    }
    static Divergence divergence(const nlohmann::json& golden) {
        const std::string base = golden["base"], model = golden["model"];
        const eigenlm::ModelOptions options = {.isa = std::get<1>(GetParam())};
        const RoundedFolder rounded(model == "rounded" ? base : "qwen2-odd");
        const auto folder = model == "rounded" ? rounded.path() : support::golden_dir(model);
        return eigenlm::divergence(
            support::load_model(folder, options), support::load_model(support::golden_dir(base), options),
            golden["ids"].get<std::vector<TokenId>>(), {.context = golden["context"], .stride = golden["stride"]});
    }
    /// Logits that are off by e make a divergence off by about e times the root of it.
    static void expect_near(double found, const nlohmann::json& expected, const std::string& what) {
        const double value = expected;
        EXPECT_NEAR(found, value, 1e-4 * std::sqrt(value) + 1e-4 * value) << what;
    }
};

TEST_P(DivergenceGolden, AgreesWithTransformers) {
    const auto expected = golden();
    const Divergence found = divergence(expected);
    const auto kl = expected["kl"].get<std::vector<double>>();
    ASSERT_EQ(found.kl.size(), kl.size());
    for (std::size_t i = 0; i < kl.size(); ++i) expect_near(found.kl[i], kl[i], "token " + std::to_string(i + 1));
    EXPECT_EQ(found.same_top, expected["same_top"].get<std::vector<std::uint8_t>>());
    expect_near(found.mean_kl(), expected["mean"], "mean");
    expect_near(found.kl_standard_error(), expected["stderr"], "stderr");
    expect_near(found.kl_quantile(0.5), expected["median"], "median");
    expect_near(found.kl_quantile(0.9), expected["p90"], "p90");
    expect_near(found.kl_quantile(0.99), expected["p99"], "p99");
    expect_near(found.kl_quantile(1), expected["max"], "max");
    EXPECT_NEAR(found.top1_agreement(), expected["top1_agreement"], 1e-9);
    const double perplexity = expected["perplexity"], base_perplexity = expected["base_perplexity"];
    EXPECT_NEAR(found.model.perplexity(), perplexity, 2e-4 * perplexity);
    EXPECT_NEAR(found.base.perplexity(), base_perplexity, 2e-4 * base_perplexity);
}

INSTANTIATE_TEST_SUITE_P(Cases, DivergenceGolden,
                         testing::Combine(testing::Values("rounded", "rounded_windows", "another_model",
                                                          "another_model_windows"),
                                          testing::ValuesIn(eigenlm::available_isas())),
                         support::name_of_pair);

TEST(KlDivergence, OfDistributionsKnownInClosedForm) {
    using Row = std::vector<float>;
    const auto kl = [](const Row& base, const Row& model) { return eigenlm::detail::kl_divergence(base, model); };
    const float ln3 = std::log(3.0f);
    // (3/4, 1/4) from (1/2, 1/2), and back
    EXPECT_NEAR(kl({ln3, 0}, {7, 7}), 0.75 * std::log(1.5) + 0.25 * std::log(0.5), 1e-7);
    EXPECT_NEAR(kl({7, 7}, {ln3, 0}), 0.5 * std::log(2.0 / 3) + 0.5 * std::log(2.0), 1e-7);
    // all on one id, which the other finds one of four
    EXPECT_NEAR(kl({1e30f, 0, -5, 0}, {-3, -3, -3, -3}), std::log(4.0), 1e-15);
    // one of two on an id that the other finds e^-2000 times as likely, where its probability is a zero
    EXPECT_NEAR(kl({5, 5}, {-1000, 1000}), 0.5 * 2000 - std::log(2.0), 1e-12);
    EXPECT_EQ(kl({1, 2, 3}, {1, 2, 3}), 0.0);
    EXPECT_EQ(kl({-3e38f, 3e38f}, {-3e38f, 3e38f}), 0.0);
    EXPECT_EQ(kl({1, 2, 3}, {1025, 1026, 1027}), 0.0) << "what all logits have in common makes no difference";
    // A logit that is off by d: p (1 - p) d^2 / 2
    const float d = 1.0f / 1024 / 1024;
    EXPECT_NEAR(kl({1, 1}, {1, 1 + d}), 0.125 * d * d, 1e-15);
}

TEST(KlDivergence, IsNotFiniteWhereALogitIsNot) {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
    for (const float bad : {nan, -nan, infinity, -infinity})
        for (const std::size_t at : {0u, 1u, 2u}) {
            std::vector<float> good = {1, 2, 3}, broken = good;
            broken[at] = bad;
            EXPECT_FALSE(std::isfinite(eigenlm::detail::kl_divergence(good, broken))) << bad << " at " << at;
            EXPECT_FALSE(std::isfinite(eigenlm::detail::kl_divergence(broken, good))) << bad << " at " << at;
        }
}

TEST(KlDivergence, IsNeverBelowZero) {
    std::vector<float> base(500), model(500);
    for (unsigned seed = 1; seed < 400; ++seed) {
        const auto numbers = some_ids(1000, seed, 20001);
        const float spread = std::ldexp(1.0f, -static_cast<int>(seed % 40));
        for (std::size_t i = 0; i < 500; ++i) {
            base[i] = static_cast<float>(numbers[i]) / 1000;
            model[i] = base[i] + spread * (static_cast<float>(numbers[500 + i]) / 10000 - 1);
        }
        const double kl = eigenlm::detail::kl_divergence(base, model);
        EXPECT_GE(kl, 0) << seed;
        EXPECT_LE(kl, 2 * double{spread} + 1e-14) << seed;
        EXPECT_TRUE(kl > 0 || spread < 1e-3f) << seed;
    }
}

TEST(Divergence, OfEqualModelsIsExactlyZero) {
    for (const std::string name : {"tiny", "qwen2-untied", "long"}) {
        const auto ids = some_ids(150, 3);
        const auto model = portable_model(support::model_dir(name));
        const auto one = eigenlm::divergence(model, model, ids);
        const auto two = eigenlm::divergence(model, portable_model(support::model_dir(name)), ids, {.context = 40});
        for (const Divergence* d : {&one, &two}) {
            EXPECT_EQ(d->kl, std::vector<double>(149, 0.0));
            EXPECT_EQ(d->same_top, std::vector<std::uint8_t>(149, 1));
            EXPECT_EQ(d->mean_kl(), 0.0);
            EXPECT_EQ(d->kl_quantile(1), 0.0);
            EXPECT_EQ(d->top1_agreement(), 100.0);
            EXPECT_EQ(d->model.nll, d->base.nll);
        }
    }
}

TEST(Divergence, OfSixteenBitsFromThirtyTwoIsSmall) {
    const auto lm = eigenlm::load(support::tiny_dir(), {.dtype = WeightType::bf16});
    const auto base = eigenlm::load(support::tiny_dir(), {.dtype = WeightType::f32});
    const auto ids = lm.encode(
        "Once upon a time, in a cozy house by the road lived a young badger named Penny. One day the badger found a "
        "little boat by the river, and wanted to show it to a friend.");
    const Divergence d = lm.divergence(base, ids);
    EXPECT_GT(d.mean_kl(), 0);
    EXPECT_LT(d.mean_kl(), 1e-3);
    EXPECT_GE(d.top1_agreement(), 95);
    for (const double kl : d.kl) EXPECT_GE(kl, 0);
}

TEST(Divergence, HasTheScoresOfBothModelsInAnyWindows) {
    const auto base = portable_model(support::golden_dir("qwen3-window"));
    const auto model = portable_model(support::golden_dir("qwen2-outliers"));
    const auto ids = some_ids(150, 5, 149);
    for (const eigenlm::ScoreOptions& options : std::vector<eigenlm::ScoreOptions>{
             {}, {.context = 2}, {.context = 3, .stride = 1}, {.context = 65, .stride = 64}, {.context = 100}}) {
        const Divergence d = eigenlm::divergence(model, base, ids, options);
        EXPECT_EQ(d.model.nll, eigenlm::score(model, ids, options).nll) << options.context;
        EXPECT_EQ(d.base.nll, eigenlm::score(base, ids, options).nll) << options.context;
    }
}

TEST(Divergence, OfEveryTokenIsThatOfItsOwnPrefix) {
    const auto base = portable_model(support::golden_dir("qwen3-window"));
    const auto model = portable_model(support::golden_dir("qwen2-outliers"));
    const auto ids = some_ids(150, 5, 149);
    const auto whole = eigenlm::divergence(model, base, ids).kl;
    for (const std::size_t length : {2u, 3u, 64u, 65u, 66u, 129u}) {
        const auto part = eigenlm::divergence(model, base, std::span(ids).first(length)).kl;
        EXPECT_EQ(part, std::vector<double>(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length) - 1));
    }
}

TEST(Divergence, TakesTheShorterContext) {
    const auto base = portable_model(support::golden_dir("qwen2-yarn"));  // 128
    const auto model = portable_model(support::golden_dir("llama31-scaled"));
    const auto ids = some_ids(200, 5, 151);
    for (const auto& [a, b] : {std::pair(model, base), std::pair(base, model)}) {
        EXPECT_EQ(eigenlm::divergence(a, b, ids).kl, eigenlm::divergence(a, b, ids, {.context = 128}).kl);
        support::expect_error<eigenlm::ArgumentError>(
            [&, a = a, b = b] { eigenlm::divergence(a, b, ids, {.context = 129}); },
            {"divergence", "a context from 2 to 128", "found 129"});
    }
}

TEST(Divergence, IsSummedUpAsNumpyDoes) {
    Divergence d;
    EXPECT_TRUE(std::isnan(d.mean_kl()) && std::isnan(d.kl_quantile(0.5)) && std::isnan(d.top1_agreement()));
    d.kl = {4};
    d.same_top = {1};
    EXPECT_EQ(d.mean_kl(), 4);
    EXPECT_TRUE(std::isnan(d.kl_standard_error()));
    EXPECT_EQ(d.kl_quantile(0.9), 4);
    d.kl = {4, 1, 10, 2};
    d.same_top = {1, 0, 1, 1};
    EXPECT_EQ(d.mean_kl(), 4.25);
    EXPECT_NEAR(d.kl_standard_error(), 2.0155644370746373, 1e-15);
    EXPECT_EQ(d.kl_quantile(0), 1);
    EXPECT_EQ(d.kl_quantile(0.5), 3);
    EXPECT_NEAR(d.kl_quantile(0.9), 8.2, 1e-14);
    EXPECT_EQ(d.kl_quantile(1), 10);
    EXPECT_EQ(d.top1_agreement(), 75);
    for (const double bad : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()})
        support::expect_error<eigenlm::ArgumentError>([&] { d.kl_quantile(bad); }, {"a share from 0 to 1"});
}

TEST(Divergence, ReportsAndStops) {
    const auto model = portable_model(support::golden_dir("qwen2-odd"));
    const auto ids = some_ids(150);
    std::size_t last = 0;
    std::stop_source stop;
    eigenlm::ScoreOptions options;
    options.progress = [&](const eigenlm::Progress& p) {
        EXPECT_GT(p.done, last);
        EXPECT_EQ(p.total, 149u);
        last = p.done;
        if (last > 70) stop.request_stop();
    };
    eigenlm::divergence(model, model, ids, options);
    EXPECT_EQ(last, 149u);
    last = 0;
    stop = {};
    options.cancel = stop.get_token();
    support::expect_error<eigenlm::CancelledError>([&] { eigenlm::divergence(model, model, ids, options); }, {"stop"});
    EXPECT_EQ(last, 128u) << "stopped before the third piece";
}

TEST(Divergence, RefusesWhatCannotBeCompared) {
    const auto model = portable_model(support::golden_dir("qwen2-odd"));
    const auto refuse = [&](const auto& base, std::vector<TokenId> ids, const eigenlm::ScoreOptions& options,
                            std::initializer_list<std::string_view> words) {
        support::expect_error<eigenlm::ArgumentError>([&] { eigenlm::divergence(model, base, ids, options); }, words);
    };
    refuse(model, {}, {}, {"divergence", "at least 2 tokens", "found 0"});
    refuse(model, {1}, {}, {"divergence", "at least 2 tokens", "found 1"});
    refuse(model, {1, 211}, {}, {"divergence", "index 1", "211"});
    refuse(model, {1, 2}, {.context = 1}, {"divergence", "a context from 2 to 512", "found 1"});
    refuse(model, {1, 2}, {.context = 8, .stride = 8}, {"divergence", "a stride of less than the context", "found 8"});
    refuse(portable_model(support::golden_dir("qwen3")), {1, 2}, {}, {"divergence", "211 ids", "found one of 173"});
    refuse(std::shared_ptr<const eigenlm::Model>(), {1, 2}, {}, {"divergence: base", "found null"});
    support::expect_error<eigenlm::ArgumentError>([&] { eigenlm::divergence(nullptr, model, some_ids(3)); },
                                                  {"divergence: model", "found null"});
}

TEST(Divergence, TellsWhoseLogitsAreNotFiniteAndWhere) {
    const support::ModelFolder folder("qwen3-window");
    folder.change_tensors([](support::StoredTensors& tensors) {
        auto& embedding = tensors.at("model.embed_tokens.weight");
        std::vector<float> values = floats_of(embedding);
        values[40 * embedding.shape[1] + 3] = std::numeric_limits<float>::quiet_NaN();  // id 40, which some_ids lacks
        set_floats(embedding, values);
    });
    const auto good = portable_model(support::golden_dir("qwen3-window")), broken = portable_model(folder.path());
    auto ids = some_ids(150);
    EXPECT_EQ(eigenlm::divergence(broken, good, ids).mean_kl(), 0);
    for (const std::size_t at : {0u, 70u, 148u}) {
        const TokenId before = std::exchange(ids[at], 40);
        const std::string index = "index " + std::to_string(at + 1) + " ";
        support::expect_error<eigenlm::StateError>([&] { eigenlm::divergence(broken, good, ids); },
                                                   {"divergence", "the model's logits", index, "not finite"});
        support::expect_error<eigenlm::StateError>([&] { eigenlm::divergence(good, broken, ids); },
                                                   {"divergence", "the base's logits", index, "not finite"});
        ids[at] = before;
    }
    ids[149] = 40;  // nobody asks what follows it
    EXPECT_EQ(eigenlm::divergence(broken, good, ids).mean_kl(), 0);
}

TEST(Divergence, OfLanguageModelsWantsTheSameTokens) {
    const auto lm = eigenlm::load(support::tiny_dir());
    support::TemporaryFolder folder;
    for (const char* name : {"config.json", "model.safetensors"})
        std::filesystem::copy(support::tiny_dir() / name, folder / name);
    std::ifstream file(support::tiny_dir() / "tokenizer.json");
    auto tokenizer = nlohmann::json::parse(file);
    auto& vocabulary = tokenizer["model"]["vocab"];
    std::swap(vocabulary["A"], vocabulary["B"]);
    folder.write("tokenizer.json", tokenizer.dump());
    const auto other = eigenlm::load(folder.path());
    const auto id = [&](const char* token) { return lm.tokenizer().id_of(token).value(); };
    const std::vector<TokenId> swapped = {id("C"), id("A"), id("C")}, untouched = {id("C"), id("D"), id("C")};
    support::expect_error<eigenlm::ArgumentError>([&] { lm.divergence(other, swapped); },
                                                  {"divergence", "the model's vocabulary", "\"A\"", "found \"B\""});
    EXPECT_EQ(lm.divergence(other, untouched).mean_kl(), 0) << "tokens that the text lacks do not matter";
}

}  // namespace
