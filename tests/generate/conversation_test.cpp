// A conversation says what a model says that reads all of it anew, however much of it is in the cache, and whatever
// ended the answers before.
#include <gtest/gtest.h>

#include <algorithm>
#include <eigenlm/eigenlm.hpp>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/golden.hpp"
#include "support/temporary_folder.hpp"

namespace {

using eigenlm::Answer;
using eigenlm::ArgumentError;
using eigenlm::ChatTemplate;
using eigenlm::Conversation;
using eigenlm::ConversationOptions;
using eigenlm::GenerateOptions;
using eigenlm::LanguageModel;
using eigenlm::Progress;
using eigenlm::Stage;
using eigenlm::StateError;
using eigenlm::StopReason;
using eigenlm::TokenId;
using nlohmann::ordered_json;

std::shared_ptr<const ChatTemplate> template_of(std::string_view source) {
    return std::make_shared<const ChatTemplate>(ChatTemplate::from_text(source, "test.jinja"));
}

std::shared_ptr<const eigenlm::DeferredChatTemplate> templates_text(std::string_view source) {
    return std::make_shared<const eigenlm::DeferredChatTemplate>(
        eigenlm::ChatTemplateText{"test.jinja", std::string(source), {}, {}});
}

/// How a model that knows roles would have it.
constexpr std::string_view with_roles =
    "{{ extra }}{% for message in messages %}"
    "{% if message.content == 'raise' %}{{ raise_exception('no such thing') }}{% endif %}"
    "{{ message.role }}\n{{ message.content }}<|endoftext|>"
    "{% endfor %}{% if add_generation_prompt %}assistant\n{% endif %}";

class ConversationTest : public testing::Test {
  protected:
    static const LanguageModel& lm() {
        static const LanguageModel model = eigenlm::load(
            support::tiny_dir(), {.threads = 2, .isa = eigenlm::Isa::portable, .dtype = eigenlm::WeightType::f32});
        return model;
    }
    static ConversationOptions roles(std::size_t context = 0) {
        ConversationOptions options;
        options.session.context = context;
        options.chat_template = template_of(with_roles);
        return options;
    }
    static GenerateOptions greedy(std::size_t tokens = 20) {
        GenerateOptions options;
        options.max_new_tokens = tokens;
        options.temperature = 0.0f;
        options.ignore_eos = true;
        return options;
    }
    static GenerateOptions sampled(std::uint64_t seed) {
        GenerateOptions options = greedy();
        options.temperature = 1.5f;
        options.top_k = 0;
        options.top_p = 1.0f;
        options.seed = seed;
        return options;
    }
    static std::vector<TokenId> encode(std::string_view text) {
        return lm().tokenizer().encode(text, {.add_special_tokens = false});
    }
    /// The ids of an answer by a conversation that has taken in nothing before.
    static std::vector<TokenId> anew(const ordered_json& messages, const GenerateOptions& options,
                                     ConversationOptions how = roles()) {
        Conversation fresh = lm().conversation(std::move(how));
        fresh.set_messages(messages);
        Answer answer = fresh.answer(options);
        answer.text();
        EXPECT_EQ(answer.timing().reused_tokens, 0u);
        return answer.ids();
    }
    static ordered_json message(std::string_view role, std::string_view content) {
        return {{"role", std::string(role)}, {"content", std::string(content)}};
    }
    /// Fails unless a further answer is that of a conversation that reads everything anew.
    static void expect_goes_on(Conversation& conversation) {
        Answer answer = conversation.ask("The dog", sampled(11));
        answer.text();
        ordered_json question = conversation.messages();
        question.erase(question.size() - 1);
        EXPECT_EQ(answer.ids(), anew(question, sampled(11)));
    }
};

TEST_F(ConversationTest, AnswersWhatTheTemplateMakesOfTheMessages) {
    Conversation conversation = lm().conversation(roles());
    EXPECT_EQ(conversation.messages(), ordered_json::array());
    conversation.set_system("Be kind.");
    Answer answer = conversation.ask("Once upon a time", greedy());
    EXPECT_EQ(answer.prompt_ids(),
              encode("system\nBe kind.<|endoftext|>user\nOnce upon a time<|endoftext|>assistant\n"));
    std::string text;
    for (const std::string_view piece : answer) text += piece;
    EXPECT_EQ(text, lm().generate(answer.prompt_ids(), greedy()).text());
    EXPECT_EQ(answer.stop_reason(), StopReason::length);
    EXPECT_EQ(conversation.messages(),
              ordered_json::array(
                  {message("system", "Be kind."), message("user", "Once upon a time"), message("assistant", text)}));
    EXPECT_EQ(answer.text(), "") << "an end stays one";
}

TEST_F(ConversationTest, TakesInOnlyWhatIsNew) {
    Conversation conversation = lm().conversation(roles());
    std::vector<TokenId> held;
    for (const char* text : {"Once upon a time", "There was a cat.", "Then"}) {
        Answer answer = conversation.ask(text, greedy());
        const auto& prompt = answer.prompt_ids();
        const auto same = static_cast<std::size_t>(std::ranges::mismatch(held, prompt).in1 - held.begin());
        answer.text();
        EXPECT_EQ(answer.timing().reused_tokens, same);
        EXPECT_EQ(answer.timing().prefill_tokens, prompt.size() - same);
        EXPECT_EQ(same, held.size()) << "this template keeps all of what was said";
        held = prompt;
        held.insert(held.end(), answer.ids().begin(), answer.ids().end() - 1);
        EXPECT_EQ(conversation.length(), held.size());
    }
    conversation.reset();
    Answer again = conversation.ask("Once upon a time", greedy());
    again.text();
    EXPECT_EQ(again.timing().prefill_tokens + again.timing().reused_tokens, again.prompt_ids().size());
    EXPECT_EQ(again.timing().prefill_tokens, 1u) << "all of it is in the cache, but logits are wanted";
}

TEST_F(ConversationTest, HasTheIdsOfOneThatReadsEverythingAnew) {
    using eigenlm::CacheType;
    for (const std::optional<CacheType> type : {std::optional<CacheType>{}, std::optional(CacheType::q8_0)})
        for (const bool use_cache : {true, false}) {
            ConversationOptions how = roles(400);
            how.session.cache_type = type;
            how.session.use_cache = use_cache;
            how.session.prefill_rows = 7;  // in other pieces than what it is compared with
            Conversation conversation = lm().conversation(how);
            how.session.prefill_rows = 256;
            for (std::uint64_t turn = 0; turn < 3; ++turn) {
                GenerateOptions options = sampled(turn);
                options.max_new_tokens = use_cache ? 20 : 5;
                Answer answer = conversation.ask("Turn " + std::to_string(turn), options);
                answer.text();
                EXPECT_EQ(answer.timing().reused_tokens > 0, turn > 0);
                ordered_json question = conversation.messages();
                question.erase(question.size() - 1);
                EXPECT_EQ(answer.ids(), anew(question, options, how));
            }
        }
}

TEST_F(ConversationTest, KeepsWhatWasSaidBeforeItWasCancelled) {
    for (const std::size_t after : {1u, 7u}) {
        Conversation conversation = lm().conversation(roles());
        conversation.ask("Hello", greedy()).text();
        std::stop_source stop;
        GenerateOptions options = greedy();
        options.cancel = stop.get_token();
        options.progress = [&](const Progress& p) {
            if (p.stage == Stage::decode && p.done == after) stop.request_stop();
        };
        Answer answer = conversation.ask("Once upon a time", options);
        const std::string text = answer.text();
        EXPECT_EQ(answer.stop_reason(), StopReason::cancelled);
        EXPECT_EQ(answer.ids().size(), after);
        EXPECT_FALSE(text.empty());
        EXPECT_EQ(conversation.messages().size(), 4u);
        EXPECT_EQ(conversation.messages().back(), message("assistant", text));
        expect_goes_on(conversation);
    }
}

TEST_F(ConversationTest, CancelledBeforeAWordForgetsTheQuestion) {
    for (const bool at_once : {true, false}) {
        Conversation conversation = lm().conversation(roles());
        conversation.ask("Hello", greedy()).text();
        const ordered_json before = conversation.messages();
        const std::size_t length = conversation.length();
        std::stop_source stop;
        if (at_once) stop.request_stop();
        GenerateOptions options = greedy();
        options.cancel = stop.get_token();
        options.progress = [&](const Progress& p) {
            EXPECT_EQ(p.stage, Stage::prefill);
            stop.request_stop();
        };
        std::string question;
        for (int i = 0; i < 300; ++i) question += " word";
        Answer answer = conversation.ask(question, options);
        EXPECT_EQ(answer.text(), "");
        EXPECT_EQ(answer.stop_reason(), StopReason::cancelled);
        EXPECT_EQ(conversation.messages(), before);
        EXPECT_EQ(conversation.length(), length) << "what was read before is still there";
        expect_goes_on(conversation);
    }
}

TEST_F(ConversationTest, KeepsWhatWasHandedOutOfAnAnswerThatNobodyFinishes) {
    Conversation conversation = lm().conversation(roles());
    const ordered_json nothing = conversation.messages();
    conversation.ask("Never looked at", greedy());
    EXPECT_EQ(conversation.messages(), nothing);
    const std::string piece(conversation.ask("Once upon a time", greedy()).next());
    ASSERT_FALSE(piece.empty());
    EXPECT_EQ(conversation.messages().back(), message("assistant", piece));
    EXPECT_EQ(conversation.messages().size(), 2u);
    expect_goes_on(conversation);
}

TEST_F(ConversationTest, AMessageGrowsWithThePiecesAndNothingElseMayChangeMeanwhile) {
    Conversation conversation = lm().conversation(roles());
    {
        Answer answer = conversation.ask("Once upon a time", greedy());
        const std::string piece(answer.next());
        EXPECT_EQ(conversation.messages().back(), message("assistant", piece));
        const ordered_json before = conversation.messages();
        const auto refused = [&](const auto& call) {
            support::expect_error<StateError>(call, {"conversation", "under way"});
            EXPECT_EQ(conversation.messages(), before);
        };
        refused([&] { conversation.ask("And?"); });
        refused([&] { conversation.answer(); });
        refused([&] { conversation.add(message("user", "And?")); });
        refused([&] { conversation.set_messages(ordered_json::array()); });
        refused([&] { conversation.set_system("Be kind."); });
        refused([&] { conversation.set_variables(ordered_json::object()); });
        refused([&] { conversation.reset(); });
        Answer moved = std::move(answer);
        moved.text();
        EXPECT_EQ(moved.ids(), anew(ordered_json::array({message("user", "Once upon a time")}), greedy()));
        conversation.add(message("user", "The answer has ended, though it still lives."));
    }
    EXPECT_EQ(conversation.messages().size(), 3u);
    support::expect_error<StateError>(
        [&] {
            Conversation moved = std::move(conversation);
            conversation.messages();
        },
        {"conversation", "moved from"});
}

TEST_F(ConversationTest, AnAnswerOutlivesItsConversation) {
    std::optional<Conversation> conversation = lm().conversation(roles());
    Answer answer = conversation->ask("Once upon a time", greedy());
    answer.next();
    conversation.reset();
    answer.text();
    EXPECT_EQ(answer.ids(), anew(ordered_json::array({message("user", "Once upon a time")}), greedy()));
}

TEST_F(ConversationTest, ThatHasNoRoomIsRefusedUnchangedAndCanBeReset) {
    const std::size_t first = encode("user\nHello<|endoftext|>assistant\n").size();
    Conversation conversation = lm().conversation(roles(first + 10));
    Answer answer = conversation.ask("Hello", greedy(100));
    answer.text();
    EXPECT_EQ(answer.stop_reason(), StopReason::length);
    EXPECT_EQ(answer.ids().size(), 11u) << "the last token needs no position of its own";
    const ordered_json before = conversation.messages();
    std::string text;
    for (const ordered_json& m : before)
        text += m["role"].get<std::string>() + "\n" + m["content"].get<std::string>() + "<|endoftext|>";
    const std::size_t needed = encode(text + "user\nAnd then?<|endoftext|>assistant\n").size();
    support::expect_error<StateError>([&] { conversation.ask("And then?", greedy()); },
                                      {"the context is full", std::to_string(needed) + " tokens",
                                       "room for " + std::to_string(conversation.capacity())});
    EXPECT_EQ(conversation.messages(), before);
    EXPECT_EQ(conversation.length(), conversation.capacity());
    conversation.reset();
    EXPECT_EQ(conversation.messages(), ordered_json::array());
    EXPECT_EQ(conversation.ask("Hello", greedy(3)).text(), lm().generate(answer.prompt_ids(), greedy(3)).text());
}

TEST_F(ConversationTest, FillsTheContextToItsLastPosition) {
    const std::size_t prompt = encode("user\nHello<|endoftext|>assistant\n").size();
    Conversation exact = lm().conversation(roles(prompt)), less = lm().conversation(roles(prompt - 1));
    Answer answer = exact.ask("Hello", greedy());
    answer.text();
    EXPECT_EQ(answer.ids().size(), 1u);
    EXPECT_THROW(less.ask("Hello", greedy()), StateError);
}

TEST_F(ConversationTest, AStopTextIsNoPartOfTheMessage) {
    Conversation conversation = lm().conversation(roles());
    const std::string all = conversation.ask("Once upon a time", greedy(40)).text();
    ASSERT_GT(all.size(), 40u);
    conversation.reset();
    GenerateOptions options = greedy(40);
    options.stop = {all.substr(25, 3)};
    Answer answer = conversation.ask("Once upon a time", options);
    EXPECT_EQ(answer.text(), all.substr(0, all.find(options.stop[0])));
    EXPECT_EQ(answer.stop_reason(), StopReason::stop);
    EXPECT_EQ(conversation.messages().back(), message("assistant", all.substr(0, all.find(options.stop[0]))));
    expect_goes_on(conversation);
    options.stop = {all.substr(0, 4)};
    conversation.reset();
    EXPECT_EQ(conversation.ask("Once upon a time", options).text(), "");
    EXPECT_EQ(conversation.messages().size(), 2u) << "the model has answered, with nothing";
}

TEST_F(ConversationTest, EndsWithTheModelsEndOfTurn) {
    Conversation conversation = lm().conversation(roles());
    const std::vector<TokenId> all = anew(ordered_json::array({message("user", "Once upon a time")}), greedy());
    const auto tokenizer = std::make_shared<const eigenlm::Tokenizer>(eigenlm::Tokenizer::load(support::tiny_dir()));
    const LanguageModel model(support::load_model(support::tiny_dir(), {.isa = eigenlm::Isa::portable}), tokenizer,
                              {.sampling = {}, .eos_token_ids = {1, all[10]}, .bos_token_id = {}},
                              templates_text(with_roles));
    Conversation ends = model.conversation();
    Answer answer = ends.ask("Once upon a time");
    const std::string text = answer.text();
    const auto end = std::ranges::find(all, all[10]);
    EXPECT_EQ(answer.stop_reason(), StopReason::eos);
    EXPECT_EQ(answer.ids(), std::vector<TokenId>(all.begin(), end + 1));
    EXPECT_EQ(text, tokenizer->decode(std::vector<TokenId>(all.begin(), end)));
    EXPECT_EQ(ends.messages().back(), message("assistant", text));
}

TEST_F(ConversationTest, ItsSystemMessageCanBeChangedAndSurvivesAReset) {
    Conversation conversation = lm().conversation(roles());
    conversation.set_system("");
    EXPECT_TRUE(conversation.messages().empty());
    conversation.set_system("Be kind.");
    conversation.ask("Hello", greedy(5)).text();
    conversation.set_system("Be brief.");
    ASSERT_EQ(conversation.messages().size(), 3u);
    EXPECT_EQ(conversation.messages()[0], message("system", "Be brief."));
    EXPECT_EQ(conversation.messages()[1], message("user", "Hello"));
    expect_goes_on(conversation);
    conversation.reset();
    EXPECT_EQ(conversation.messages(), ordered_json::array({message("system", "Be brief.")}));
    conversation.set_system("");
    EXPECT_TRUE(conversation.messages().empty());
    conversation.add(message("user", "Hello"));
    conversation.set_system("");
    EXPECT_EQ(conversation.messages().size(), 1u);
    conversation.reset();
    EXPECT_TRUE(conversation.messages().empty());
}

TEST_F(ConversationTest, TellsTheTemplateFurtherVariables) {
    ConversationOptions options = roles();
    options.variables = {{"extra", "first"}};
    Conversation conversation = lm().conversation(options);
    conversation.add(message("user", "Hello"));
    EXPECT_EQ(conversation.prompt(), "firstuser\nHello<|endoftext|>assistant\n");
    conversation.set_variables({{"extra", "second"}, {"add_generation_prompt", false}});
    EXPECT_EQ(conversation.prompt(), "seconduser\nHello<|endoftext|>");
    EXPECT_EQ(conversation.answer(greedy(1)).prompt_ids(), encode("seconduser\nHello<|endoftext|>"));
    for (const ordered_json& wrong : {ordered_json(), ordered_json::array(), ordered_json("text")}) {
        support::expect_error<ArgumentError>([&] { conversation.set_variables(wrong); }, {"variables", "an object"});
        options.variables = wrong;
        support::expect_error<ArgumentError>([&] { lm().conversation(options); }, {"variables", "an object"});
    }
}

TEST_F(ConversationTest, SurvivesCallbacksThatThrow) {
    struct Mine {};
    GenerateOptions options = greedy();
    Conversation conversation = lm().conversation(roles());
    conversation.ask("Hello", greedy()).text();
    const ordered_json before = conversation.messages();
    options.progress = [&](const Progress&) { throw Mine(); };
    EXPECT_THROW(conversation.ask("Once upon a time", options).text(), Mine);
    EXPECT_EQ(conversation.messages(), before) << "nothing was said";

    options.progress = [&](const Progress& p) {
        if (p.stage == Stage::decode && p.done == 5) throw Mine();
    };
    EXPECT_THROW(conversation.ask("Once upon a time", options).text(), Mine);
    EXPECT_EQ(conversation.messages().size(), 4u);
    EXPECT_FALSE(conversation.messages().back()["content"].get<std::string>().empty());
    expect_goes_on(conversation);

    conversation.reset();
    Answer answer = conversation.ask("Once upon a time", options);
    std::string text;
    bool thrown = false;
    for (bool more = true; more;) {
        try {
            const std::string_view piece = answer.next();
            text += piece;
            more = !piece.empty();
        } catch (const Mine&) {
            thrown = true;
        }
    }
    EXPECT_TRUE(thrown);
    EXPECT_EQ(conversation.messages().back(), message("assistant", text));
    EXPECT_EQ(answer.ids(), anew(ordered_json::array({message("user", "Once upon a time")}), greedy()));
}

TEST_F(ConversationTest, ErrorsOfTemplateAndOptionsLeaveTheMessages) {
    Conversation conversation = lm().conversation(roles());
    conversation.ask("Hello", greedy()).text();
    const ordered_json before = conversation.messages();
    support::expect_error<eigenlm::TemplateError>([&] { conversation.ask("raise", greedy()); },
                                                  {"test.jinja", "no such thing"});
    EXPECT_EQ(conversation.messages(), before);
    GenerateOptions options = greedy();
    options.temperature = -1.0f;
    support::expect_error<ArgumentError>([&] { conversation.ask("Hello", options); }, {"temperature"});
    EXPECT_EQ(conversation.messages(), before);
    for (const ordered_json& wrong : {ordered_json(), ordered_json("text"), ordered_json::object(),
                                      ordered_json{{"role", 7}}, ordered_json{{"content", "who?"}}}) {
        support::expect_error<ArgumentError>([&] { conversation.add(wrong); }, {"conversation: message"});
        support::expect_error<ArgumentError>([&] { conversation.set_messages(ordered_json::array({wrong})); },
                                             {"conversation: message"});
    }
    support::expect_error<ArgumentError>([&] { conversation.set_messages(ordered_json::object()); },
                                         {"conversation: messages", "an array"});
    EXPECT_EQ(conversation.messages(), before);
    expect_goes_on(conversation);
}

TEST_F(ConversationTest, MessagesAreUtf8WhateverTheModelSays) {
    bool replaced = false;
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
        GenerateOptions options = sampled(seed);
        options.temperature = 5.0f;  // hot: bytes that are no character occur
        Conversation conversation = lm().conversation(roles());
        const std::string text = conversation.ask("Once upon a time", options).text();
        std::string content;
        ASSERT_NO_THROW(content = ordered_json::parse(conversation.messages().dump())[1]["content"]);
        replaced |= content != text;
        expect_goes_on(conversation);
    }
    EXPECT_TRUE(replaced) << "the test wants other seeds";
}

TEST_F(ConversationTest, AddsNoBeginningOfSequenceToTheTemplates) {
    const auto tokenizer = std::make_shared<const eigenlm::Tokenizer>(
        eigenlm::Tokenizer::load(support::data_dir() / "tokenizers" / "tiny_llama3"));
    const std::vector<TokenId> bos = tokenizer->encode("");
    ASSERT_EQ(bos.size(), 1u) << "this tokenizer puts one in front of texts";
    eigenlm::ModelConfig config = eigenlm::read_config(eigenlm::Checkpoint::open(support::tiny_dir()));
    config.vocab_size = tokenizer->size();
    const auto model = std::make_shared<const eigenlm::Model>(config, eigenlm::RandomWeights(1));
    const std::string text(tokenizer->token_bytes(bos[0]));
    const LanguageModel speaks(model, tokenizer, {.sampling = {}, .eos_token_ids = {}, .bos_token_id = bos[0]},
                               templates_text(text + "{% for m in messages %}{{ m.content }}{% endfor %}"));
    Conversation conversation = speaks.conversation();
    EXPECT_EQ(conversation.ask("Hello", greedy(1)).prompt_ids(), tokenizer->encode("Hello"));
}

TEST_F(ConversationTest, WithoutATextBeginsAtTheBeginningOfSequenceToken) {
    ConversationOptions options;
    options.chat_template = template_of("");
    Conversation conversation = lm().conversation(options);
    EXPECT_EQ(conversation.answer(greedy(1)).prompt_ids(), lm().encode(""));
}

TEST_F(ConversationTest, NeedsATemplate) {
    const auto tokenizer = std::make_shared<const eigenlm::Tokenizer>(eigenlm::Tokenizer::load(support::tiny_dir()));
    const auto model = support::load_model(support::tiny_dir());
    const LanguageModel mute(model, tokenizer, {});
    EXPECT_EQ(mute.chat_template(), nullptr);
    support::expect_error<ArgumentError>([&] { mute.conversation(); }, {"conversation", "chat template", "neither"});
    for (const auto& call : std::vector<std::function<void()>>{
             [&] { Conversation(nullptr, tokenizer, {}, roles()); },
             [&] { Conversation(model, nullptr, {}, roles()); },
             [&] { Conversation(model, tokenizer, {}, {}); },
         })
        support::expect_error<ArgumentError>(call, {"expected an object, found null"});
}

TEST_F(ConversationTest, ABrokenTemplateIsNoConcernOfThoseWhoDoNotChat) {
    const support::TemporaryFolder folder;
    folder.copy_from(support::tiny_dir());
    std::filesystem::remove(folder / "chat_template.jinja");
    EXPECT_EQ(eigenlm::load(folder.path()).chat_template(), nullptr);
    folder.write("chat_template.jinja", "{% broken");
    const LanguageModel broken = eigenlm::load(folder.path());
    EXPECT_EQ(broken.generate("Once", greedy(3)).text().size(), lm().generate("Once", greedy(3)).text().size());
    for (int again = 0; again < 2; ++again) {
        support::expect_error<eigenlm::FormatError>([&] { broken.chat_template(); }, {"chat_template.jinja"});
        support::expect_error<eigenlm::FormatError>([&] { broken.conversation(); }, {"chat_template.jinja"});
    }
    EXPECT_EQ(broken.conversation(roles()).ask("Hello", greedy(3)).text(),
              eigenlm::load(support::tiny_dir()).conversation(roles()).ask("Hello", greedy(3)).text());
    folder.write("chat_template.jinja", "{{ messages[0].content }}");
    const LanguageModel good = eigenlm::load(folder.path());
    ASSERT_NE(good.chat_template(), nullptr);
    EXPECT_EQ(good.chat_template()->source(), "{{ messages[0].content }}");
}

}  // namespace
