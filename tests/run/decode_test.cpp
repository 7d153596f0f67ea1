// Decoding batches at the lowest level: what is refused, and that none of the sequences has changed then.
#include <gtest/gtest.h>

#include <stop_token>
#include <vector>

#include "support/expect_error.hpp"
#include "support/sequence.hpp"

namespace {

using eigenlm::ArgumentError;
using eigenlm::KvCache;
using eigenlm::TokenId;
using support::Sequence;
using support::some_ids;

class DecodeTest : public testing::Test {
  protected:
    void SetUp() override {
        for (std::size_t i = 0; i < 3; ++i) {
            sequences_.emplace_back(model_, 12, 4);
            sequences_[i].prefill(some_ids(5 + i, static_cast<unsigned>(i)), 0);
        }
    }
    /// A step of the sequences with these numbers, with one of their workspaces.
    std::vector<float> step(const std::vector<std::size_t>& members, const std::vector<TokenId>& ids,
                            const eigenlm::PassOptions& options = {}) {
        std::vector<KvCache*> caches;
        for (const std::size_t i : members) caches.push_back(&sequences_[i].cache);
        std::vector<float> logits(members.size() * vocab());
        eigenlm::decode(model_->transformer(), model_->compute(), model_->rope(), caches, sequences_[0].workspace, ids,
                        {logits.data(), members.size(), vocab(), vocab()}, options);
        return logits;
    }
    std::size_t vocab() const { return model_->config().vocab_size; }

    template <class Error, class Call>
    void expect_refused(const Call& call, std::initializer_list<std::string_view> words) {
        support::expect_error<Error>(call, words);
        expect_unchanged();
    }
    /// All sequences go on as if nothing had been asked of them.
    void expect_unchanged() {
        for (std::size_t i = 0; i < 3; ++i) {
            ASSERT_EQ(sequences_[i].cache.length(), 5 + i);
            Sequence fresh(model_, 12, 4);
            fresh.prefill(some_ids(5 + i, static_cast<unsigned>(i)), 0);
            EXPECT_EQ(sequences_[i].decode(9), fresh.decode(9)) << "sequence " << i;
            sequences_[i].cache.truncate(5 + i);
        }
    }

    std::shared_ptr<const eigenlm::Model> model_ = support::random_model();
    std::vector<Sequence> sequences_;
};

TEST_F(DecodeTest, TakesSequencesInAnyOrder) {
    const auto logits = step({2, 0, 1}, {1, 2, 3});
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(sequences_[i].cache.length(), 6 + i);
    const TokenId ids[] = {2, 3, 1};
    const std::size_t rows[] = {1, 2, 0};
    for (std::size_t i = 0; i < 3; ++i) {
        Sequence alone(model_, 12, 4);
        alone.prefill(some_ids(5 + i, static_cast<unsigned>(i)), 0);
        const auto expected = alone.decode(ids[i]);
        const auto found = std::span(logits).subspan(rows[i] * vocab(), vocab());
        EXPECT_TRUE(std::ranges::equal(found, expected)) << i;
    }
}

TEST_F(DecodeTest, RefusesNothingAndTooMuch) {
    expect_refused<ArgumentError>([&] { step({}, {}); }, {"decode", "from 1 to 4", "found 0 and 0"});
    expect_refused<ArgumentError>([&] { step({0, 1}, {1}); }, {"decode", "found 1 and 2"});
    expect_refused<ArgumentError>([&] { step({0}, {1, 2}); }, {"decode", "found 2 and 1"});
    expect_refused<ArgumentError>(
        [&] {
            step({0, 1, 2, 0, 1}, {1, 2, 3, 4, 5});
        },
        {"decode", "from 1 to 4", "found 5"});
}

TEST_F(DecodeTest, RefusesASequenceThatIsThereTwice) {
    expect_refused<ArgumentError>([&] { step({0, 1, 0}, {1, 2, 3}); }, {"decode", "once", "indices 0 and 2"});
}

TEST_F(DecodeTest, RefusesIdsThatAreNone) {
    expect_refused<ArgumentError>([&] { step({0, 1}, {1, 37}); }, {"decode", "[0, 37)", "found 37", "index 1"});
    expect_refused<ArgumentError>([&] { step({0, 1}, {-1, 1}); }, {"decode", "found -1", "index 0"});
}

TEST_F(DecodeTest, RefusesAFullContextWhicheverSequenceHasIt) {
    sequences_[2].prefill(some_ids(5, 7), 0);  // 12 of 12
    support::expect_error<eigenlm::StateError>(
        [&] {
            step({0, 2}, {1, 2});
        },
        {"decode", "full", "12 positions held", "room for 12"});
    sequences_[2].cache.truncate(7);
    expect_unchanged();
}

TEST_F(DecodeTest, RefusesLogitsOfAWrongShape) {
    std::vector<float> logits(4 * 40);
    KvCache* const caches[] = {&sequences_[0].cache, &sequences_[1].cache};
    const TokenId ids[] = {1, 2};
    for (const auto& [rows, cols] :
         {std::pair(1, 37), std::pair(3, 37), std::pair(2, 36), std::pair(2, 38), std::pair(0, 0)})
        expect_refused<ArgumentError>(
            [&, r = static_cast<std::size_t>(rows), c = static_cast<std::size_t>(cols)] {
                eigenlm::decode(model_->transformer(), model_->compute(), model_->rope(), caches,
                                sequences_[0].workspace, ids, {logits.data(), r, c, 40});
            },
            {"decode", "[2, 37]", "found [" + std::to_string(rows) + ", " + std::to_string(cols) + "]"});
}

TEST_F(DecodeTest, ChangesNothingWhenItIsStoppedOrItsTapThrows) {
    std::stop_source stop;
    stop.request_stop();
    expect_refused<eigenlm::CancelledError>(
        [&] {
            step({0, 1}, {1, 2}, support::stoppable(stop.get_token()));
        },
        {"decode", "stop"});
    struct Mine {};
    const eigenlm::Tap tap = [](std::string_view name, int layer, eigenlm::Rows<const float>) {
        if (name == "k_rope" && layer == 1) throw Mine();  // keys are in the cache already
    };
    EXPECT_THROW(step({0, 1, 2}, {1, 2, 3}, support::tapped(tap)), Mine);
    expect_unchanged();
}

TEST_F(DecodeTest, NaiveGivesTheSameFromNothingButTheIds) {
    Sequence naive(model_, 12, 4);
    eigenlm::RopeTable rope(model_->config(), 12);
    auto ids = some_ids(5, 0);
    for (const TokenId id : {4, 5, 6}) {
        ids.push_back(id);
        std::vector<float> logits(vocab());
        eigenlm::naive(model_->transformer(), model_->compute(), rope, naive.cache, naive.workspace, ids,
                       {logits.data(), 1, vocab(), vocab()});
        EXPECT_EQ(logits, sequences_[0].decode(id));
    }
    support::expect_error<eigenlm::StateError>(
        [&] {
            eigenlm::naive(model_->transformer(), model_->compute(), rope, naive.cache, naive.workspace, some_ids(13),
                           {});
        },
        {"full", "13 to come", "room for 12"});
}

}  // namespace
