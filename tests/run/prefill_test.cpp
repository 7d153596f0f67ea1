// Prefill's promises beside the numbers: which logits come out, what is refused, and that a call that fails, whoever's
// fault it is, leaves the sequence as it was.
#include <gtest/gtest.h>

#include <limits>
#include <stop_token>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/sequence.hpp"

namespace {

using eigenlm::ArgumentError;
using eigenlm::Progress;
using eigenlm::ProgressFunction;
using support::Sequence;
using support::some_ids;

class PrefillTest : public testing::Test {
  protected:
    std::shared_ptr<const eigenlm::Model> model_ = support::random_model();
    Sequence sequence_{model_};
    std::vector<eigenlm::TokenId> ids_ = some_ids(80);

    /// What `sequence_` says next must be what one says that took in `held` ids and nothing else.
    void expect_holds(std::size_t held) {
        ASSERT_EQ(sequence_.cache.length(), held);
        Sequence fresh(model_);
        if (held != 0) fresh.prefill(std::span(ids_).first(held), 0);
        const auto next = some_ids(40, 9);
        EXPECT_EQ(sequence_.prefill(next, 40), fresh.prefill(next, 40));
        sequence_.cache.truncate(held);
    }
    /// Fails unless the call throws `Error` with these words and changes nothing.
    template <class Error, class Call>
    void expect_refused(const Call& call, std::initializer_list<std::string_view> words) {
        const std::size_t held = sequence_.cache.length();
        support::expect_error<Error>(call, words);
        expect_holds(held);
    }
};

TEST_F(PrefillTest, GivesTheLogitsOfTheLastRowsAskedFor) {
    const auto all = sequence_.prefill(ids_, ids_.size());
    for (const std::size_t rows : {0u, 1u, 2u, 31u, 32u, 33u, 48u, 79u}) {  // passes have 32 rows
        Sequence other(model_);
        const auto last = other.prefill(ids_, rows);
        EXPECT_EQ(last, std::vector<float>(all.end() - static_cast<std::ptrdiff_t>(rows * other.vocab()), all.end()))
            << rows;
        EXPECT_EQ(other.cache.length(), 80u);
    }
}

TEST_F(PrefillTest, RefusesNoIds) {
    expect_refused<ArgumentError>([&] { sequence_.prefill({}, 0); }, {"prefill", "at least one id"});
}

TEST_F(PrefillTest, RefusesIdsThatAreNone) {
    sequence_.prefill(std::span(ids_).first(10), 0);
    for (const eigenlm::TokenId bad :
         {-1, 37, std::numeric_limits<eigenlm::TokenId>::max(), std::numeric_limits<eigenlm::TokenId>::min()}) {
        auto ids = ids_;
        ids[70] = bad;  // in the third pass: the first two must not have happened either
        expect_refused<ArgumentError>([&] { sequence_.prefill(ids); },
                                      {"prefill", "[0, 37)", "found " + std::to_string(bad), "index 70"});
    }
}

TEST_F(PrefillTest, RefusesMoreThanTheContextHolds) {
    sequence_.prefill(std::span(ids_).first(30), 0);
    expect_refused<eigenlm::StateError>([&] { sequence_.prefill(some_ids(71)); },
                                        {"prefill", "full", "30 positions held", "71 to come", "room for 100"});
    EXPECT_NO_THROW(sequence_.prefill(some_ids(70)));
    EXPECT_EQ(sequence_.cache.length(), 100u);
    support::expect_error<eigenlm::StateError>([&] { sequence_.prefill(some_ids(1)); }, {"prefill", "full"});
}

TEST_F(PrefillTest, RefusesLogitsOfAWrongShape) {
    std::vector<float> logits(10 * 40);
    const auto prefill_into = [&](std::size_t rows, std::size_t cols) {
        eigenlm::prefill(model_->transformer(), model_->compute(), model_->rope(), sequence_.cache, sequence_.workspace,
                         std::span(ids_).first(5), {logits.data(), rows, cols, 40});
    };
    expect_refused<ArgumentError>([&] { prefill_into(6, 37); }, {"prefill", "[at most 5, 37]", "found [6, 37]"});
    expect_refused<ArgumentError>([&] { prefill_into(1, 36); }, {"prefill", "found [1, 36]"});
    expect_refused<ArgumentError>([&] { prefill_into(1, 38); }, {"prefill", "found [1, 38]"});
    EXPECT_NO_THROW(prefill_into(5, 37));
}

TEST_F(PrefillTest, RefusesPositionsThatTheRotationsDoNotReach) {
    eigenlm::RopeTable ten(model_->config(), 10, model_->compute().pool);
    expect_refused<ArgumentError>(
        [&] {
            eigenlm::prefill(model_->transformer(), model_->compute(), ten, sequence_.cache, sequence_.workspace,
                             std::span(ids_).first(11), {});
        },
        {"prefill", "10"});
}

TEST_F(PrefillTest, ReportsEveryPassAndAsMuchAsThereIs) {
    std::vector<std::size_t> done;
    const ProgressFunction progress = [&](const Progress& p) {
        EXPECT_EQ(p.stage, eigenlm::Stage::prefill);
        EXPECT_EQ(p.total, 80u);
        done.push_back(p.done);
    };
    sequence_.prefill(ids_, 1, support::watched(progress));
    EXPECT_EQ(done, (std::vector<std::size_t>{32, 64, 80}));
}

TEST_F(PrefillTest, StopsBetweenPassesAndForgetsThem) {
    sequence_.prefill(std::span(ids_).first(7), 0);
    for (int stop_after = 0; stop_after < 3; ++stop_after) {
        std::stop_source stop;
        int passes = 0;
        if (stop_after == 0) stop.request_stop();
        const ProgressFunction progress = [&](const Progress&) {
            if (++passes == stop_after) stop.request_stop();
        };
        expect_refused<eigenlm::CancelledError>(
            [&] { sequence_.prefill(ids_, 1, support::watched(progress, stop.get_token())); }, {"prefill", "stop"});
        EXPECT_EQ(passes, stop_after);
    }
}

TEST_F(PrefillTest, ForgetsWhatItDidWhenACallbackThrows) {
    struct Mine {};
    sequence_.prefill(std::span(ids_).first(3), 0);
    for (int at = 1; at <= 3; ++at) {
        int calls = 0;
        const ProgressFunction progress = [&](const Progress&) {
            if (++calls == at) throw Mine();
        };
        EXPECT_THROW(sequence_.prefill(ids_, 1, support::watched(progress)), Mine);
        expect_holds(3);
    }
    const int taps_of_a_pass = 1 + 2 * 10;
    for (const int at : {1, 2, 9, taps_of_a_pass, taps_of_a_pass + 5, 3 * taps_of_a_pass + 1}) {
        int calls = 0;
        const eigenlm::Tap tap = [&](std::string_view, int, eigenlm::Rows<const float>) {
            if (++calls == at) throw Mine();
        };
        EXPECT_THROW(sequence_.prefill(ids_, 1, support::tapped(tap)), Mine) << at;
        expect_holds(3);
    }
}

TEST_F(PrefillTest, CallbacksRunUnderTheHostsFloatState) {
    const auto flushes = [] {
        volatile float subnormal = 1e-40f, factor = 0x1p20f;
        return subnormal * factor == 0.0f;
    };
    const ProgressFunction progress = [&](const Progress&) { EXPECT_FALSE(flushes()); };
    const eigenlm::Tap tap = [&](std::string_view name, int, eigenlm::Rows<const float>) {
        EXPECT_FALSE(flushes()) << name;
    };
    sequence_.prefill(ids_, 1, {.progress = &progress, .stop = {}, .tap = &tap});
    sequence_.decode(1, support::tapped(tap));
    EXPECT_FALSE(flushes());
}

TEST_F(PrefillTest, ShowsIntermediatesByNameInOrder) {
    std::vector<std::string> seen;
    std::vector<std::pair<std::size_t, std::size_t>> shapes;
    const eigenlm::Tap tap = [&](std::string_view name, int layer, eigenlm::Rows<const float> values) {
        seen.push_back(std::string(name) + " " + std::to_string(layer));
        shapes.emplace_back(values.rows, values.cols);
    };
    const auto logits = sequence_.prefill(std::span(ids_).first(5), 2, support::tapped(tap));
    std::vector<std::string> expected = {"embed_tokens -1"};
    std::vector<std::pair<std::size_t, std::size_t>> expected_shapes = {{5, 20}};
    for (int layer = 0; layer < 2; ++layer)
        for (const auto& [name, cols] :
             std::vector<std::pair<std::string, std::size_t>>{{"input_layernorm", 20},
                                                              {"q_proj", 24},
                                                              {"k_proj", 12},
                                                              {"v_proj", 12},
                                                              {"q_rope", 24},
                                                              {"k_rope", 12},
                                                              {"o_proj", 20},
                                                              {"post_attention_layernorm", 20},
                                                              {"down_proj", 20},
                                                              {"layer", 20}}) {
            expected.push_back(name + " " + std::to_string(layer));
            expected_shapes.emplace_back(5, cols);
        }
    expected.push_back("norm -1");
    expected_shapes.emplace_back(2, 20);  // of the rows that logits are wanted of
    EXPECT_EQ(seen, expected);
    EXPECT_EQ(shapes, expected_shapes);
    Sequence untapped(model_);
    EXPECT_EQ(untapped.prefill(std::span(ids_).first(5), 2), logits) << "looking changes nothing";
}

TEST_F(PrefillTest, TappedValuesAreWhatTheStreamIsMadeOf) {  // layer = stream before + o_proj + down_proj
    std::vector<float> stream;
    const eigenlm::Tap tap = [&](std::string_view name, int, eigenlm::Rows<const float> values) {
        std::vector<float> now;
        for (std::size_t r = 0; r < values.rows; ++r) now.insert(now.end(), values.row(r).begin(), values.row(r).end());
        if (name == "embed_tokens") stream = now;
        if (name == "o_proj" || name == "down_proj")
            for (std::size_t i = 0; i < stream.size(); ++i) stream[i] += now[i];
        if (name == "layer") {
            EXPECT_EQ(now, stream);
        }
    };
    sequence_.prefill(std::span(ids_).first(6), 1, support::tapped(tap));
    EXPECT_FALSE(stream.empty());
}

}  // namespace
