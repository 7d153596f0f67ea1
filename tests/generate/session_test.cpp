// A session is a sequence that survives its callers' mistakes: every call that fails leaves it as it was.
#include <gtest/gtest.h>

#include <eigenlm/generate/session.hpp>
#include <limits>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/sequence.hpp"

namespace {

using eigenlm::ArgumentError;
using eigenlm::Session;
using eigenlm::StateError;
using eigenlm::StepOptions;
using eigenlm::TokenId;
using support::some_ids;

/// With and without a cache: the promises are the same.
class SessionTest : public testing::TestWithParam<bool> {
  protected:
    static constexpr std::size_t context = 60;

    Session make() const { return Session(model_, {.context = context, .prefill_rows = 16, .use_cache = GetParam()}); }
    /// The next logits of a session that took in `ids` and nothing else.
    std::vector<float> logits_behind(std::span<const TokenId> ids, TokenId next) const {
        Session fresh = make();
        fresh.prefill(ids);
        const auto logits = fresh.decode(next);
        return {logits.begin(), logits.end()};
    }
    /// Fails unless the session holds `ids`, by what it says next. Takes that back again.
    void expect_holds(Session& session, std::span<const TokenId> ids) const {
        ASSERT_EQ(session.length(), ids.size());
        const auto logits = session.decode(7);
        EXPECT_EQ(std::vector<float>(logits.begin(), logits.end()), logits_behind(ids, 7));
        session.truncate(ids.size());
    }
    /// Calls both ways of taking in one or many ids with these options; each must throw an `Error`, and change nothing.
    template <class Error>
    void expect_both_refused(Session& session, std::span<const TokenId> held, const StepOptions& options) const {
        const auto ids = some_ids(20, 3);
        EXPECT_THROW(session.prefill(ids, options), Error);
        expect_holds(session, held);
        std::vector<float> all(20 * 37);
        EXPECT_THROW(session.prefill(ids, std::span<float>(all), options), Error);
        expect_holds(session, held);
        EXPECT_THROW(session.decode(5, options), Error);
        expect_holds(session, held);
    }

    std::shared_ptr<const eigenlm::Model> model_ = support::random_model();
};

INSTANTIATE_TEST_SUITE_P(Cache, SessionTest, testing::Bool(),
                         [](const auto& p) { return p.param ? "cached" : "naive"; });

TEST_P(SessionTest, CountsItsPositions) {
    Session session = make();
    EXPECT_EQ(session.capacity(), context);
    EXPECT_EQ(session.length(), 0u);
    session.prefill(some_ids(20));
    EXPECT_EQ(session.length(), 20u);
    session.decode(1);
    EXPECT_EQ(session.length(), 21u);
    session.truncate(3);
    EXPECT_EQ(session.length(), 3u);
    EXPECT_EQ(session.config().vocab_size, 37u);
}

TEST_P(SessionTest, AStepIsAPrefillOfOne) {
    Session one = make(), other = make();
    const auto ids = some_ids(10);
    one.prefill(ids);
    other.prefill(ids);
    const auto a = one.decode(3), b = other.prefill(std::vector<TokenId>{3});
    EXPECT_TRUE(std::ranges::equal(a, b));
}

TEST_P(SessionTest, MayStartWithAStepOrGoOnAfterForgettingAll) {
    Session session = make();
    const auto first = session.decode(5);
    const std::vector<float> expected(first.begin(), first.end());
    session.prefill(some_ids(10));
    session.truncate(0);
    EXPECT_TRUE(std::ranges::equal(session.decode(5), expected));
}

TEST_P(SessionTest, RefusesBadArgumentsAndStaysAsItWas) {
    Session session = make();
    const auto held = some_ids(30);
    session.prefill(held);
    support::expect_error<ArgumentError>([&] { session.prefill({}); }, {"prefill", "at least one id"});
    expect_holds(session, held);
    for (const TokenId bad : {-1, 37, std::numeric_limits<TokenId>::min()}) {
        support::expect_error<ArgumentError>([&] { session.decode(bad); }, {"[0, 37)", std::to_string(bad)});
        expect_holds(session, held);
        auto ids = some_ids(20);
        ids[19] = bad;
        support::expect_error<ArgumentError>([&] { session.prefill(ids); },
                                             {"prefill", "[0, 37)", std::to_string(bad)});
        expect_holds(session, held);
    }
    for (const std::size_t size : {0u, 1u, 36u, 38u, 73u, 75u}) {
        std::vector<float> logits(size);
        support::expect_error<ArgumentError>([&] { session.prefill(some_ids(2), std::span<float>(logits)); },
                                             {"prefill", "2 x 37", "found " + std::to_string(size)});
        expect_holds(session, held);
    }
    support::expect_error<ArgumentError>([&] { session.truncate(31); }, {"truncate", "at most 30", "found 31"});
    expect_holds(session, held);
}

TEST_P(SessionTest, RefusesMoreThanItsContextAndTakesWhatFits) {
    Session session = make();
    const auto held = some_ids(50);
    session.prefill(held);
    support::expect_error<StateError>([&] { session.prefill(some_ids(11)); },
                                      {"full", "50 positions held", "11 to come", "room for 60"});
    expect_holds(session, held);
    session.prefill(some_ids(10));
    EXPECT_EQ(session.length(), context);
    support::expect_error<StateError>([&] { session.decode(1); }, {"full", "60 positions held", "1 to come"});
    EXPECT_EQ(session.length(), context);
    session.truncate(50);
    expect_holds(session, held);
}

TEST_P(SessionTest, ThatIsCancelledStaysAsItWas) {
    Session session = make();
    const auto held = some_ids(18);
    session.prefill(held);
    std::stop_source stop;
    stop.request_stop();
    expect_both_refused<eigenlm::CancelledError>(session, held, {.cancel = stop.get_token()});
    std::stop_source later;
    const StepOptions after_a_pass{.progress = [&](const eigenlm::Progress&) { later.request_stop(); },
                                   .cancel = later.get_token()};
    EXPECT_THROW(session.prefill(some_ids(20), after_a_pass), eigenlm::CancelledError);
    expect_holds(session, held);
}

TEST_P(SessionTest, WhoseCallbackThrowsStaysAsItWas) {
    struct Mine {};
    Session session = make();
    const auto held = some_ids(18);
    session.prefill(held);
    for (const std::string_view name : {"embed_tokens", "k_rope", "layer", "norm"}) {
        const StepOptions options{.tap = [&](std::string_view tapped, int, eigenlm::Rows<const float>) {
            if (tapped == name) throw Mine();
        }};
        expect_both_refused<Mine>(session, held, options);
    }
    const StepOptions reporting{.progress = [](const eigenlm::Progress&) { throw Mine(); }};
    EXPECT_THROW(session.prefill(some_ids(20), reporting), Mine);
    expect_holds(session, held);
}

TEST_P(SessionTest, RefusesASecondCallerAndFinishesTheFirst) {
    Session session = make();
    const auto held = some_ids(18);
    session.prefill(held);
    int refused = 0;
    const auto call_in_between = [&] {
        for (const auto& call : {+[](Session& s) { s.decode(1); }, +[](Session& s) { s.prefill(some_ids(2)); },
                                 +[](Session& s) { s.truncate(0); }})
            support::expect_error<StateError>([&] { call(session); }, {"session", "in use"});
        ++refused;
    };
    const StepOptions options{.tap = [&](std::string_view name, int, eigenlm::Rows<const float>) {
        if (name != "norm") return;
        call_in_between();                    // from this thread, in the middle of a call
        std::thread(call_in_between).join();  // and from another one
    }};
    const auto logits = session.decode(7, options);
    EXPECT_EQ(refused, 2);
    EXPECT_EQ(std::vector<float>(logits.begin(), logits.end()), logits_behind(held, 7));
    session.truncate(18);
    expect_holds(session, held);
}

TEST_P(SessionTest, ServesItsCallerWhileOthersUseTheModel) {
    const auto shared = support::random_model(support::small_config(), 3);
    const auto text = some_ids(40);
    const auto run = [&] {
        Session session(shared, {.context = context, .use_cache = GetParam()});
        std::vector<float> all(40 * 37);
        session.prefill(text, std::span<float>(all));
        return all;
    };
    const auto expected = run();
    std::vector<std::vector<float>> found(3);
    {
        std::vector<std::jthread> threads;
        for (auto& result : found) threads.emplace_back([&result, &run] { result = run(); });
    }
    for (const auto& result : found) EXPECT_EQ(result, expected);
}

TEST_P(SessionTest, MovesAndKeepsItsModelAlive) {
    auto model = support::random_model();
    const auto held = some_ids(10);
    Session session(model, {.context = 20, .use_cache = GetParam()});
    model.reset();
    session.prefill(held);
    Session moved = std::move(session);
    EXPECT_EQ(moved.length(), 10u);
    EXPECT_TRUE(std::ranges::equal(moved.decode(7), logits_behind(held, 7)));
}

TEST(Session, HasTheModelsContextUpTo4096) {
    EXPECT_EQ(Session(support::random_model()).capacity(), 256u);
    auto config = support::small_config();
    config.max_position_embeddings = 5000;
    EXPECT_EQ(Session(support::random_model(config)).capacity(), 4096u);
    EXPECT_EQ(Session(support::random_model(config), {.context = 5000}).capacity(), 5000u);
    support::expect_error<ArgumentError>([] { Session(support::random_model(), {.context = 257}); },
                                         {"context", "256", "257"});
}

TEST(Session, KeepsItsCacheInTheTypeThatIsAskedFor) {
    const auto model = support::random_model();  // in f32
    const auto logits = [&](std::optional<eigenlm::CacheType> type) {
        Session session(model, {.cache_type = type});
        const auto row = session.prefill(some_ids(70));
        return std::vector<float>(row.begin(), row.end());
    };
    const auto f32 = logits(eigenlm::CacheType::f32), bf16 = logits(eigenlm::CacheType::bf16);
    EXPECT_EQ(logits(std::nullopt), f32);
    EXPECT_NE(bf16, f32);
    EXPECT_NE(logits(eigenlm::CacheType::f16), f32);
    EXPECT_NE(logits(eigenlm::CacheType::f16), bf16);
    EXPECT_NE(logits(eigenlm::CacheType::q8_0), bf16);
}

TEST(Session, TakesAnyNumberOfRowsPerPass) {
    const auto model = support::random_model();
    const auto text = some_ids(30);
    Session usual(model, {.context = 30});
    const auto expected = usual.prefill(text);
    for (const std::size_t rows :
         {std::size_t{0}, std::size_t{1}, std::size_t{29}, std::numeric_limits<std::size_t>::max()}) {
        Session session(model, {.context = 30, .prefill_rows = rows});
        EXPECT_TRUE(std::ranges::equal(session.prefill(text), expected)) << rows;
    }
}

}  // namespace
