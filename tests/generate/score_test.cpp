// Scores of texts: transformers' numbers, in one window and in several.
#include <gtest/gtest.h>

#include <cmath>
#include <eigenlm/eigenlm.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/golden.hpp"
#include "support/sequence.hpp"

namespace {

using support::Golden;
using support::TokenId;

class ScoreTest : public testing::TestWithParam<std::tuple<std::string, eigenlm::Isa>> {
  protected:
    Golden golden() const { return Golden::of(std::get<0>(GetParam())); }
    std::shared_ptr<const eigenlm::Model> model() const {
        return support::load_model(support::model_dir(std::get<0>(GetParam())), {.isa = std::get<1>(GetParam())});
    }
    static double mean(const std::vector<float>& values) {
        return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
    }
    static void expect_agreement(const eigenlm::Score& score, const std::vector<float>& expected) {
        ASSERT_EQ(score.nll.size(), expected.size());
        EXPECT_NEAR(score.mean_nll(), mean(expected), 1e-4);
        EXPECT_NEAR(score.perplexity(), std::exp(mean(expected)), 2e-4 * std::exp(mean(expected)));
        for (std::size_t i = 0; i < expected.size(); ++i) {
            ASSERT_NEAR(score.nll[i], expected[i], 1e-4 * (1 + std::abs(expected[i]))) << "token " << i + 1;
        }
    }
};

TEST_P(ScoreTest, AgreesWithTransformers) {
    expect_agreement(eigenlm::score(model(), golden().text()), golden().vector("nll"));
}

TEST_P(ScoreTest, AgreesInOverlappingWindows) {
    const auto context = static_cast<std::size_t>(golden().ids("nll_context").at(0)),
               stride = static_cast<std::size_t>(golden().ids("nll_stride").at(0));
    const auto expected = golden().vector("nll_windowed");
    expect_agreement(eigenlm::score(model(), golden().text(), {.context = context, .stride = stride}), expected);
    expect_agreement(eigenlm::score(model(), golden().text(), {.context = context}), expected);  // half by default
    EXPECT_GT(std::abs(mean(expected) - mean(golden().vector("nll"))), 2e-4) << "windows change something";
}

INSTANTIATE_TEST_SUITE_P(Goldens, ScoreTest,
                         testing::Combine(testing::ValuesIn(support::all_goldens()),
                                          testing::ValuesIn(eigenlm::available_isas())),
                         support::name_of_pair);

TEST(Score, OfEveryTokenIsThatOfItsOwnPrefix) {
    const auto model = support::load_model(support::golden_dir("qwen2-odd"), {.isa = eigenlm::Isa::portable});
    const auto text = support::some_ids(150);
    const auto whole = eigenlm::score(model, text).nll;
    for (const std::size_t length : {2u, 3u, 64u, 65u, 66u, 129u, 150u}) {
        const auto part = eigenlm::score(model, std::span(text).first(length)).nll;
        EXPECT_EQ(part, std::vector<float>(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length) - 1));
    }
}

TEST(Score, ReportsAndStops) {
    const auto model = support::load_model(support::golden_dir("qwen2-odd"), {.isa = eigenlm::Isa::portable});
    const auto text = support::some_ids(150);
    std::size_t last = 0;
    std::stop_source stop;
    eigenlm::ScoreOptions options;
    options.progress = [&](const eigenlm::Progress& p) {
        EXPECT_GT(p.done, last);
        EXPECT_EQ(p.total, 149u);
        last = p.done;
        if (last > 70) stop.request_stop();
    };
    eigenlm::score(model, text, options);
    EXPECT_EQ(last, 149u);
    last = 0;
    options.cancel = stop.get_token();
    support::expect_error<eigenlm::CancelledError>([&] { eigenlm::score(model, text, options); }, {"stop"});
}

TEST(Score, RefusesWhatCannotBeScored) {
    const auto model = support::load_model(support::golden_dir("qwen2-odd"), {.isa = eigenlm::Isa::portable});
    const auto refuse = [&](std::vector<TokenId> ids, const eigenlm::ScoreOptions& options,
                            std::initializer_list<std::string_view> words) {
        support::expect_error<eigenlm::ArgumentError>([&] { eigenlm::score(model, ids, options); }, words);
    };
    refuse({}, {}, {"score", "at least 2 tokens", "found 0"});
    refuse({1}, {}, {"score", "at least 2 tokens", "found 1"});
    refuse({1, 211}, {}, {"score", "211"});
    refuse({1, -1}, {}, {"score", "-1"});
    refuse({1, 2}, {.context = 1}, {"a context from 2 to 512", "found 1"});
    refuse({1, 2}, {.context = 513}, {"a context from 2 to 512", "found 513"});
    refuse({1, 2}, {.context = 8, .stride = 8}, {"a stride of less than the context", "found 8"});
}

}  // namespace
