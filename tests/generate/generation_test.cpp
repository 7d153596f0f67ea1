// One answer: its pieces, text, ids and the reason it ended say the same thing, however it ends. The model is the tiny
// one of the examples, whatever it says: nothing here depends on its words.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <eigenlm/eigenlm.hpp>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/golden.hpp"

namespace {

using eigenlm::GenerateOptions;
using eigenlm::Generation;
using eigenlm::LanguageModel;
using eigenlm::Stage;
using eigenlm::StopReason;
using eigenlm::TokenId;

struct GeneratedText {
    std::string text;
    std::vector<TokenId> ids;
    StopReason reason = StopReason::none;
    bool operator==(const GeneratedText&) const = default;
};
void PrintTo(const GeneratedText& a, std::ostream* out) {
    *out << testing::PrintToString(a.text) << ", " << a.ids.size() << " ids, " << to_string(a.reason);
}

class GenerationTest : public testing::Test {
  protected:
    /// The tiny model; loaded once.
    static const LanguageModel& lm() {
        static const LanguageModel model = eigenlm::load(
            support::tiny_dir(), {.threads = 2, .isa = eigenlm::Isa::portable, .dtype = eigenlm::WeightType::f32});
        return model;
    }
    static std::shared_ptr<const eigenlm::Tokenizer> tokenizer() {
        static const auto shared =
            std::make_shared<const eigenlm::Tokenizer>(eigenlm::Tokenizer::load(support::tiny_dir()));
        return shared;
    }
    /// The same weights with other suggestions of what to generate.
    static LanguageModel with_defaults(eigenlm::GenerationDefaults defaults) {
        static const auto model =
            support::load_model(support::tiny_dir(), {.threads = 2, .isa = eigenlm::Isa::portable});
        return LanguageModel(model, tokenizer(), std::move(defaults));
    }

    static GeneratedText finish(Generation generation) {
        GeneratedText answer;
        answer.text = generation.text();
        answer.ids = generation.ids();
        answer.reason = generation.stop_reason();
        return answer;
    }
    static GeneratedText answer(const GenerateOptions& options, std::string_view prompt = "Once upon a time") {
        return finish(lm().generate(prompt, options));
    }
    /// 40 tokens, the most likely each time.
    static GenerateOptions greedy(std::size_t tokens = 40) {
        GenerateOptions options;
        options.max_new_tokens = tokens;
        options.temperature = 0.0f;
        options.ignore_eos = true;
        return options;
    }
    static GenerateOptions sampled(std::uint64_t seed, float temperature = 1) {
        GenerateOptions options = greedy();
        options.temperature = temperature;
        options.top_k = 0;
        options.top_p = 1.0f;
        options.seed = seed;
        return options;
    }
    static std::string decoded(std::span<const TokenId> ids) { return tokenizer()->decode(ids); }
};

TEST_F(GenerationTest, EndsAtItsLength) {
    for (const std::size_t length : {1u, 2u, 17u}) {
        const GeneratedText found = answer(greedy(length));
        EXPECT_EQ(found.ids.size(), length);
        EXPECT_EQ(found.reason, StopReason::length);
        EXPECT_EQ(found.text, decoded(found.ids));
    }
}

TEST_F(GenerationTest, OfNothingIsEmptyAndComputesNothing) {
    GenerateOptions options = greedy(0);
    options.progress = [](const eigenlm::Progress&) { FAIL() << "there is nothing to do"; };
    Generation generation = lm().generate("Once upon a time", options);
    EXPECT_EQ(generation.text(), "");
    EXPECT_TRUE(generation.ids().empty());
    EXPECT_EQ(generation.stop_reason(), StopReason::length);
    EXPECT_EQ(generation.prompt_ids(), lm().encode("Once upon a time"));
    EXPECT_EQ(generation.timing().prefill_tokens, 0u);
}

TEST_F(GenerationTest, ShorterOnesAreBeginningsOfLongerOnes) {
    const GeneratedText all = answer(greedy(30)), part = answer(greedy(20));
    EXPECT_EQ(part.ids, std::vector<TokenId>(all.ids.begin(), all.ids.begin() + 20));
    EXPECT_EQ(all.text.substr(0, part.text.size()), part.text);
}

TEST_F(GenerationTest, StreamsPiecesThatMakeUpTheText) {
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
        const GenerateOptions options = sampled(seed, 3);  // hot: bytes of unfinished characters occur
        const GeneratedText whole = answer(options);
        std::string joined;
        Generation generation = lm().generate("Once upon a time", options);
        EXPECT_EQ(generation.stop_reason(), StopReason::none);
        for (const std::string_view piece : generation) {
            EXPECT_FALSE(piece.empty());
            joined += piece;
        }
        EXPECT_EQ(joined, whole.text);
        EXPECT_EQ(joined, decoded(whole.ids));
        EXPECT_EQ(generation.ids(), whole.ids);
        EXPECT_EQ(generation.next(), "") << "an end stays one";
        EXPECT_EQ(generation.text(), "");
        EXPECT_EQ(generation.ids().size(), whole.ids.size());
    }
}

TEST_F(GenerationTest, EndsAtAnEndOfSequenceTokenWhichIsCountedButNotShown) {
    const GeneratedText all = answer(greedy());
    const TokenId eos = all.ids[20];
    const auto first = std::ranges::find(all.ids, eos);
    const std::vector<TokenId> before(all.ids.begin(), first);
    const LanguageModel model = with_defaults({.sampling = {}, .eos_token_ids = {1, eos, 2}, .bos_token_id = {}});
    GenerateOptions options = greedy();
    options.ignore_eos = false;
    const GeneratedText found = finish(model.generate("Once upon a time", options));
    EXPECT_EQ(found.reason, StopReason::eos);
    EXPECT_EQ(found.ids, std::vector<TokenId>(all.ids.begin(), first + 1));
    EXPECT_EQ(found.text, decoded(before));
    EXPECT_EQ(finish(model.generate("Once upon a time", greedy())), all) << "ignored";
}

TEST_F(GenerationTest, EndsBeforeAStopTextAndShowsNothingOfIt) {
    const GeneratedText all = answer(greedy());
    ASSERT_GT(all.text.size(), 40u);
    for (const std::size_t length : {1u, 3u, 10u}) {  // within a token, and across several
        GenerateOptions options = greedy();
        options.stop = {"\x01 never", all.text.substr(25, length)};
        const GeneratedText found = answer(options);
        EXPECT_EQ(found.reason, StopReason::stop);
        EXPECT_EQ(found.text, all.text.substr(0, all.text.find(options.stop[1])));
        ASSERT_LE(found.ids.size(), all.ids.size());
        EXPECT_EQ(found.ids, std::vector<TokenId>(all.ids.begin(),
                                                  all.ids.begin() + static_cast<std::ptrdiff_t>(found.ids.size())));
        EXPECT_NE(decoded(found.ids).find(options.stop[1]), std::string::npos) << "the last id completes it";
    }
}

TEST_F(GenerationTest, ThatMeetsNoStopTextLosesNothing) {
    const GeneratedText all = answer(greedy());
    GenerateOptions options = greedy();
    options.stop = {all.text.substr(all.text.size() - 3) + "\x01", "\x01"};  // held back to the end
    EXPECT_EQ(answer(options), all);
}

TEST_F(GenerationTest, StopsWhenAskedAfterAnyToken) {
    const GeneratedText all = answer(greedy());
    for (const std::size_t after : {0u, 1u, 7u}) {
        std::stop_source stop;
        if (after == 0) stop.request_stop();
        GenerateOptions options = greedy();
        options.cancel = stop.get_token();
        options.progress = [&](const eigenlm::Progress& p) {
            if (p.stage == Stage::decode && p.done == after) stop.request_stop();
        };
        const GeneratedText found = answer(options);
        EXPECT_EQ(found.reason, StopReason::cancelled);
        EXPECT_EQ(found.ids,
                  std::vector<TokenId>(all.ids.begin(), all.ids.begin() + static_cast<std::ptrdiff_t>(after)));
        EXPECT_EQ(found.text, decoded(found.ids));
    }
}

TEST_F(GenerationTest, StopsWhenAskedDuringALongPrompt) {
    std::stop_source stop;
    GenerateOptions options = greedy();
    options.cancel = stop.get_token();
    options.progress = [&](const eigenlm::Progress& p) {
        EXPECT_EQ(p.stage, Stage::prefill);
        stop.request_stop();
    };
    const GeneratedText found = finish(lm().generate(std::vector<TokenId>(600, 5), options));
    EXPECT_EQ(found, (GeneratedText{"", {}, StopReason::cancelled}));
}

TEST_F(GenerationTest, EndsWhereTheContextIsFull) {
    const std::size_t prompt = lm().encode("Once upon a time").size();
    for (const bool use_cache : {true, false})
        for (const std::size_t room : {0u, 1u, 5u}) {
            GenerateOptions options = greedy();
            options.context = prompt + room;
            options.use_cache = use_cache;
            const GeneratedText found = answer(options);
            EXPECT_EQ(found.reason, StopReason::length);
            EXPECT_EQ(found.ids.size(), room + 1) << "the last token needs no position of its own";
        }
}

TEST_F(GenerationTest, TakesAContextLargerThanTheModelsAsTheModels) {
    GenerateOptions options = greedy(3);
    options.context = lm().context() + 1000;
    EXPECT_EQ(answer(options), answer(greedy(3)));
}

TEST_F(GenerationTest, WithoutACacheIsTheSame) {
    GenerateOptions cold = greedy(24), hot = sampled(3);
    hot.max_new_tokens = 24;
    for (GenerateOptions options : {cold, hot}) {
        const GeneratedText cached = answer(options);
        options.use_cache = false;
        EXPECT_EQ(answer(options), cached);
    }
}

TEST_F(GenerationTest, OneSeedOneTextAndOtherSeedsOthers) {
    std::set<std::string> texts;
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
        const GeneratedText once = answer(sampled(seed));
        EXPECT_EQ(answer(sampled(seed)), once);
        texts.insert(once.text);
    }
    EXPECT_GT(texts.size(), 3u);
}

TEST_F(GenerationTest, OptionsThatAreNotSetAreTheModels) {
    const LanguageModel model = with_defaults(
        {.sampling = {.repeat_penalty = 1.2f, .temperature = 1.5f, .top_k = 30, .top_p = 0.9f, .min_p = 0.01f},
         .eos_token_ids = {},
         .bos_token_id = {}});
    GenerateOptions unset, set = greedy();
    unset.max_new_tokens = 40;
    unset.seed = set.seed = 9;
    set.temperature = 1.5f, set.top_k = 30, set.top_p = 0.9f, set.min_p = 0.01f, set.repeat_penalty = 1.2f;
    const GeneratedText expected = answer(set);
    EXPECT_EQ(finish(model.generate("Once upon a time", unset)), expected);
    EXPECT_NE(finish(model.generate("Once upon a time", greedy())).ids, expected.ids) << "what is set wins";
}

TEST_F(GenerationTest, AnEmptyPromptStartsFromTheBeginningOfSequenceToken) {
    const LanguageModel model = with_defaults({.sampling = {}, .eos_token_ids = {}, .bos_token_id = 17});
    Generation generation = model.generate("", greedy(5));
    EXPECT_EQ(generation.prompt_ids(), (std::vector<TokenId>{17}));
    EXPECT_EQ(finish(std::move(generation)), finish(model.generate(std::vector<TokenId>{17}, greedy(5))));
    const LanguageModel without = with_defaults({.sampling = {}, .eos_token_ids = {}, .bos_token_id = {}});
    support::expect_error<eigenlm::ArgumentError>([&] { without.generate("", greedy()); }, {"generate", "no tokens"});
    EXPECT_EQ(lm().generate("").prompt_ids().size(), 1u) << "the tiny model has one";
}

TEST_F(GenerationTest, RefusesPromptsThatItCannotTakeIn) {
    using eigenlm::ArgumentError;
    const auto generate = [](std::vector<TokenId> ids, std::size_t context = 0) {
        return [ids = std::move(ids), context] {
            GenerateOptions options = greedy(1);
            options.context = context;
            lm().generate(ids, options);
        };
    };
    const std::size_t most = lm().context();
    support::expect_error<ArgumentError>(generate(std::vector<TokenId>(most + 1, 5)),
                                         {"generate", std::to_string(most + 1) + " tokens", std::to_string(most)});
    support::expect_error<ArgumentError>(generate({1, 2, 3, 4, 5}, 4), {"generate", "5 tokens", "the context 4"});
    support::expect_error<ArgumentError>(generate({}), {"generate", "no tokens"});
    const auto vocab = static_cast<TokenId>(lm().config().vocab_size);
    for (const TokenId bad : {-1, vocab})
        support::expect_error<ArgumentError>(generate({1, bad}),
                                             {"generate", "found " + std::to_string(bad), "index 1"});
}

TEST_F(GenerationTest, RefusesOptionsOutOfRangeBeforeItComputes) {
    const auto expect_refused = [](std::string_view name, const std::function<void(GenerateOptions&)>& change) {
        GenerateOptions options = greedy();
        options.progress = [](const eigenlm::Progress&) { FAIL() << "computes already"; };
        change(options);
        support::expect_error<eigenlm::ArgumentError>([&] { lm().generate("Once", options); }, {name});
    };
    expect_refused("temperature", [](GenerateOptions& o) { o.temperature = -1.0f; });
    expect_refused("top_p", [](GenerateOptions& o) { o.top_p = 0.0f; });
    expect_refused("min_p", [](GenerateOptions& o) { o.min_p = 2.0f; });
    expect_refused("repeat_penalty", [](GenerateOptions& o) { o.repeat_penalty = 0.0f; });
    expect_refused("stop", [](GenerateOptions& o) { o.stop = {""}; });
}

TEST_F(GenerationTest, ReportsThePromptAndThenEachToken) {
    std::vector<std::size_t> prefilled, decoded_tokens;
    GenerateOptions options = greedy(5);
    options.progress = [&](const eigenlm::Progress& p) {
        (p.stage == Stage::prefill ? prefilled : decoded_tokens).push_back(p.done);
        EXPECT_EQ(p.total, p.stage == Stage::prefill ? 600u : 5u);
    };
    Generation generation = lm().generate(std::vector<TokenId>(600, 5), options);
    generation.text();
    EXPECT_EQ(prefilled, (std::vector<std::size_t>{256, 512, 600}));
    EXPECT_EQ(decoded_tokens, (std::vector<std::size_t>{1, 2, 3, 4, 5}));
    EXPECT_EQ(generation.timing().prefill_tokens, 600u);
    EXPECT_EQ(generation.timing().decode_tokens, 4u);
    EXPECT_GT(generation.timing().prefill_tokens_per_second(), 0);
    EXPECT_GT(generation.timing().decode_tokens_per_second(), 0);
}

TEST_F(GenerationTest, GoesOnWithoutALossAfterACallbackThatThrew) {
    struct Mine {};
    const GeneratedText all = answer(greedy(10));
    for (const auto& [stage, at] :
         {std::pair(Stage::prefill, 4), std::pair(Stage::decode, 1), std::pair(Stage::decode, 5)}) {
        bool thrown = false;
        GenerateOptions options = greedy(10);
        options.progress = [&, stage = stage, at = static_cast<std::size_t>(at)](const eigenlm::Progress& p) {
            if (p.stage == stage && p.done >= at && !std::exchange(thrown, true)) throw Mine();
        };
        Generation generation = lm().generate("Once upon a time", options);
        std::string text;
        for (bool more = true; more;) {
            try {
                const std::string_view piece = generation.next();
                text += piece;
                more = !piece.empty();
            } catch (const Mine&) {
            }
        }
        EXPECT_TRUE(thrown);
        EXPECT_EQ(generation.ids(), all.ids);
        EXPECT_EQ(text, all.text);
    }
}

TEST_F(GenerationTest, OverASessionThatHoldsABeginningTakesInTheRestWithTheSameBits) {
    const std::vector<TokenId> prompt = lm().encode("Once upon a time there was a little dog.");
    const GeneratedText expected = finish(lm().generate(prompt, sampled(3)));
    for (const std::size_t held : {std::size_t{0}, std::size_t{1}, prompt.size() - 1}) {
        eigenlm::Session session = lm().session({.context = 200}), fresh = lm().session({.context = 100});
        if (held) session.prefill(std::span(prompt).first(held));
        Generation generation(session, tokenizer(), lm().defaults(), prompt, sampled(3));
        EXPECT_EQ(session.length(), held) << "nothing is computed yet";
        const std::string text = generation.text();
        EXPECT_EQ((GeneratedText{text, generation.ids(), generation.stop_reason()}), expected);
        EXPECT_EQ(generation.timing().reused_tokens, held);
        EXPECT_EQ(generation.timing().prefill_tokens, prompt.size() - held);

        std::vector<TokenId> all = prompt;
        all.insert(all.end(), generation.ids().begin(), generation.ids().end() - 1);
        ASSERT_EQ(session.length(), all.size()) << "all but the last id, which the model has not seen";
        fresh.prefill(all);
        const auto found = session.decode(7), wanted = fresh.decode(7);
        EXPECT_EQ(std::memcmp(found.data(), wanted.data(), wanted.size_bytes()), 0);
    }
}

TEST_F(GenerationTest, OverASessionThatHasNoUseForThePromptIsRefused) {
    eigenlm::Session session = lm().session({.context = 4});
    const auto refused = [&](std::vector<TokenId> prompt, std::initializer_list<std::string_view> words) {
        support::expect_error<eigenlm::ArgumentError>(
            [&] { Generation(session, tokenizer(), {}, std::move(prompt), greedy(1)); }, words);
        EXPECT_EQ(session.length(), 2u);
    };
    session.prefill(std::vector<TokenId>{1, 2});
    refused({1, 2}, {"generate", "2 tokens", "holds 2 already"});
    refused({1}, {"generate", "1 tokens", "holds 2 already"});
    refused({}, {"generate", "no tokens"});
    refused({1, 2, 3, 4, 5}, {"generate", "5 tokens", "the context 4"});
    refused({1, 2, -1}, {"generate", "index 2", "-1"});
}

TEST_F(GenerationTest, CopiesOfAModelServeSeveralThreads) {
    const GeneratedText expected = answer(greedy(12));
    std::vector<GeneratedText> found(3);
    {
        std::vector<std::jthread> threads;
        for (GeneratedText& a : found)
            threads.emplace_back([&a, copy = lm()] { a = finish(copy.generate("Once upon a time", greedy(12))); });
    }
    for (const GeneratedText& a : found) EXPECT_EQ(a, expected);
}

TEST_F(GenerationTest, OutlivesTheLanguageModelAndMoves) {
    Generation generation = [] { return with_defaults({}).generate("Once upon a time", greedy(8)); }();
    generation.next();
    Generation moved = std::move(generation);
    moved.text();
    EXPECT_EQ(moved.ids(), answer(greedy(8)).ids);
}

TEST_F(GenerationTest, TheModelTellsWhatItRunsOn) {
    EXPECT_EQ(lm().isa(), eigenlm::Isa::portable);
    EXPECT_EQ(lm().dtype(), eigenlm::WeightType::f32);
    EXPECT_EQ(lm().threads(), 2u);
    EXPECT_GE(lm().weight_bytes(), lm().config().vocab_size * lm().config().hidden_size * sizeof(float));
}

}  // namespace
