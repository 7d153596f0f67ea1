// Misuse of sessions, generations and scores: objects that are not there, callbacks that call back, threads that meet.
#include <gtest/gtest.h>

#include <atomic>
#include <eigenlm/eigenlm.hpp>
#include <functional>
#include <limits>
#include <optional>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/golden.hpp"
#include "support/sequence.hpp"

namespace {

using eigenlm::ArgumentError;
using eigenlm::GenerateOptions;
using eigenlm::Generation;
using eigenlm::Progress;
using eigenlm::Session;
using eigenlm::StateError;
using eigenlm::TokenId;
using support::some_ids;

constexpr std::size_t huge = std::numeric_limits<std::size_t>::max();

/// With and without a cache: the promises are the same.
class SessionMisuse : public testing::TestWithParam<bool> {
  protected:
    Session make() const { return Session(model_, {.context = 60, .prefill_rows = 16, .use_cache = GetParam()}); }
    /// The logits behind 30 ids and one more.
    static std::vector<float> answer(Session& session) {
        session.prefill(some_ids(30));
        const auto logits = session.decode(7);
        return {logits.begin(), logits.end()};
    }

    std::shared_ptr<const eigenlm::Model> model_ = support::random_model(support::small_config(), 2);
};

INSTANTIATE_TEST_SUITE_P(Cache, SessionMisuse, testing::Bool(),
                         [](const auto& p) { return p.param ? "cached" : "naive"; });

TEST_P(SessionMisuse, OfOneThatWasMovedFrom) {
    Session session = make(), fresh = make();
    const auto expected = answer(fresh);
    session.prefill(some_ids(30));
    Session moved = std::move(session);
    std::vector<float> all(37);
    for (const auto& call : std::vector<std::function<void(Session&)>>{
             [](Session& s) { s.prefill(some_ids(1)); },
             [&](Session& s) { s.prefill(some_ids(1), all); },
             [](Session& s) { s.decode(1); },
             [](Session& s) { s.length(); },
             [](Session& s) { s.capacity(); },
             [](Session& s) { s.truncate(0); },
             [](Session& s) { s.config(); },
         })
        support::expect_error<StateError>([&] { call(session); }, {"session", "moved from"});
    EXPECT_TRUE(std::ranges::equal(moved.decode(7), expected));
    session = make();
    EXPECT_EQ(answer(session), expected);
}

TEST_P(SessionMisuse, OfContextsThatAreNotThere) {
    for (const std::size_t context : {std::size_t{257}, huge})
        support::expect_error<ArgumentError>([&] { Session(model_, {.context = context, .use_cache = GetParam()}); },
                                             {"context", "256", std::to_string(context)});
    Session one(model_, {.context = 1, .use_cache = GetParam()});
    support::expect_error<StateError>([&] { one.prefill(some_ids(2)); }, {"full", "room for 1"});
    one.decode(1);
    support::expect_error<StateError>([&] { one.decode(1); }, {"full", "1 positions held"});
    EXPECT_EQ(one.length(), 1u);
}

TEST_P(SessionMisuse, OfACallbackThatCallsItsOwnSession) {
    Session session = make(), fresh = make();
    const auto expected = answer(fresh);
    for (const auto& call : std::vector<std::function<void()>>{
             [&] { session.prefill(some_ids(3)); },
             [&] { session.decode(1); },
             [&] { session.truncate(0); },
         }) {
        const auto refuse = [&](const eigenlm::StepOptions& options) {
            support::expect_error<StateError>([&] { session.prefill(some_ids(20), options); }, {"session", "in use"});
            EXPECT_EQ(session.length(), 0u);
        };
        refuse({.progress = [&](const Progress&) { call(); }});
        refuse({.tap = [&](std::string_view, int, eigenlm::Rows<const float>) { call(); }});
    }
    EXPECT_EQ(answer(session), expected);
}

TEST_P(SessionMisuse, OfACallbackThatCallsAnotherSessionWorks) {
    Session fresh = make();
    const auto expected = answer(fresh);
    Session outer = make(), inner = make();
    int nested = 0;
    const auto call = [&] {
        inner.truncate(0);
        EXPECT_EQ(answer(inner), expected);
        ++nested;
    };
    const eigenlm::StepOptions options{.progress = [&](const Progress&) { call(); },
                                       .tap =
                                           [&](std::string_view name, int, eigenlm::Rows<const float>) {
                                               if (name == "k_rope") call();
                                           }};
    outer.prefill(some_ids(30), options);
    EXPECT_TRUE(std::ranges::equal(outer.decode(7, options), expected));
    EXPECT_GT(nested, 5);
}

TEST_P(SessionMisuse, ByTwoThreadsLosesNoCall) {
    Session session = make();
    std::atomic<std::size_t> taken = 0, refused = 0;
    const auto call = [&] {
        for (int i = 0; i < 25; ++i) try {
                session.decode(5);
                ++taken;
            } catch (const StateError&) {
                ++refused;
            }
    };
    { const std::jthread one(call), two(call); }
    EXPECT_EQ(taken + refused, 50u);
    ASSERT_EQ(session.length(), taken);
    Session fresh = make();
    fresh.prefill(std::vector<TokenId>(taken, 5));
    EXPECT_TRUE(std::ranges::equal(session.decode(7), fresh.decode(7)));
}

/// Generations of a small random model that speaks the tiny model's tokens.
class GenerationMisuse : public testing::Test {
  protected:
    static GenerateOptions greedy(std::size_t tokens = 10) {
        GenerateOptions options;
        options.max_new_tokens = tokens;
        return options;
    }
    Generation make(std::vector<TokenId> prompt, const GenerateOptions& options) const {
        return Generation(model_, tokenizer_, {}, std::move(prompt), options);
    }

    std::shared_ptr<const eigenlm::Model> model_ = support::random_model();
    std::shared_ptr<const eigenlm::Tokenizer> tokenizer_ =
        std::make_shared<const eigenlm::Tokenizer>(eigenlm::Tokenizer::load(support::tiny_dir()));
};

TEST_F(GenerationMisuse, OfObjectsThatAreNull) {
    for (const auto& call : std::vector<std::function<void()>>{
             [] { Session session(nullptr); },
             [&] { eigenlm::LanguageModel(nullptr, tokenizer_, {}); },
             [&] { eigenlm::LanguageModel(model_, nullptr, {}); },
             [&] { Generation(nullptr, tokenizer_, {}, {1}, {}); },
             [&] { Generation(model_, nullptr, {}, {1}, {}); },
             [] { eigenlm::score(nullptr, some_ids(3)); },
         })
        support::expect_error<ArgumentError>(call, {"expected an object, found null"});
}

TEST_F(GenerationMisuse, OfPromptsThatAreNone) {
    support::expect_error<ArgumentError>([&] { make({}, greedy()); }, {"generate", "no tokens"});
    for (const TokenId bad : {-1, 37})
        support::expect_error<ArgumentError>(
            [&] {
                make({1, bad}, greedy());
            },
            {"generate", "index 1", std::to_string(bad)});
    support::expect_error<ArgumentError>([&] { make(some_ids(257), greedy()); }, {"generate", "257 tokens", "256"});
}

TEST_F(GenerationMisuse, OfOptionsWithoutEndTakesWhatTheModelHas) {
    GenerateOptions options = greedy(huge);
    options.context = huge;
    options.temperature = 1.0f;
    options.top_k = huge;
    Generation generation = make(some_ids(200), options);
    generation.text();
    EXPECT_EQ(generation.ids().size(), 57u) << "the last token needs no position of its own";
    EXPECT_EQ(generation.stop_reason(), eigenlm::StopReason::length);
}

TEST_F(GenerationMisuse, OfACallbackThatAsksForTheNextPieceLosesNothing) {
    Generation alone = make(some_ids(5), greedy());
    alone.text();
    std::optional<Generation> generation;
    GenerateOptions options = greedy();
    int refused = 0;
    options.progress = [&](const Progress& p) {
        if (p.stage != eigenlm::Stage::prefill) return;
        EXPECT_THROW(generation->next(), eigenlm::Error);
        ++refused;
    };
    generation.emplace(make(some_ids(5), options));
    generation->text();
    EXPECT_EQ(refused, 1);
    EXPECT_EQ(generation->ids(), alone.ids());
}

TEST_F(GenerationMisuse, OfOneThatWasMovedFrom) {
    Generation generation = make(some_ids(5), greedy());
    generation.next();
    Generation moved = std::move(generation);
    support::expect_error<StateError>([&] { generation.next(); }, {"session", "moved from"});
    moved.text();
    EXPECT_EQ(moved.ids().size(), 10u);
}

TEST_F(GenerationMisuse, OfASamplerWithoutLogits) {
    const eigenlm::KernelTable& kernels = eigenlm::kernels(eigenlm::Isa::portable);
    eigenlm::Sampler none({}, 0, kernels), sampler({}, 3, kernels);
    support::expect_error<ArgumentError>([&] { none({}); }, {"Sampler"});
    const eigenlm::Sampler moved = std::move(sampler);
    support::expect_error<ArgumentError>([&] { sampler({}); }, {"Sampler"});
}

TEST_F(GenerationMisuse, OfACallbackThatScoresAgainWorks) {
    const auto text = some_ids(100);
    const auto expected = eigenlm::score(model_, text).nll;
    int nested = 0;
    eigenlm::ScoreOptions options;
    options.progress = [&](const Progress&) {
        EXPECT_EQ(eigenlm::score(model_, text).nll, expected);
        ++nested;
    };
    EXPECT_EQ(eigenlm::score(model_, text, options).nll, expected);
    EXPECT_EQ(nested, 2);
}

}  // namespace
