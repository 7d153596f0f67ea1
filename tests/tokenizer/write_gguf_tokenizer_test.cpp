// tokenizer.json -> GGUF metadata -> the same tokenizer.
#include "eigenlm/tokenizer/write_gguf_tokenizer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "fixtures.hpp"
#include "support/expect_error.hpp"

namespace {

using namespace eigenlm;
using nlohmann::json;

json committed(const std::string& name) {
    std::ifstream file(tests::tokenizer_data() / name / "tokenizer.json");
    return json::parse(file);
}

/// Without the added tokens that GGUF files have no words for, which those of the goldens have for the most part.
json with_added(json tree, std::size_t count) {
    auto& added = tree["added_tokens"];
    added.erase(added.begin() + static_cast<std::ptrdiff_t>(count), added.end());
    return tree;
}

/// All merges that the tokens of a vocabulary allow, as transformers' converter lists them for SentencePiece: the score
/// of a token is its negated id.
json with_all_merges(json tree) {
    std::vector<std::pair<TokenId, std::string>> tokens;
    const json& vocab = tree["model"]["vocab"];
    for (const auto& [text, id] : vocab.items()) tokens.emplace_back(id, text);
    std::ranges::sort(tokens);
    auto merges = json::array();
    for (const auto& [id, text] : tokens)
        for (std::size_t cut = text.size(); cut-- > 1;)
            if (const std::string left = text.substr(0, cut), right = text.substr(cut);
                vocab.contains(left) && vocab.contains(right))
                merges.push_back(left + " " + right);
    tree["model"]["merges"] = merges;
    return tree;
}

struct Case {
    const char* name;
    const char* model;
    const char* pre;
    std::function<json()> tokenizer;
};
const Case cases[] = {
    {"tiny_qwen2", "gpt2", "qwen2", [] { return with_added(committed("tiny_qwen2"), 5); }},
    {"tiny_llama3", "gpt2", "llama-bpe", [] { return with_added(committed("tiny_llama3"), 15); }},
    {"tiny_smollm", "gpt2", "smollm", [] { return with_added(committed("tiny_smollm"), 2); }},
    {"tiny_gpt2", "gpt2", "gpt-2",
     [] {
         auto tree = with_added(committed("tiny_gpt2"), 1);
         tree["added_tokens"][0]["normalized"] = true;  // as in GPT-2's own
         for (const char* step : {"pre_tokenizer", "post_processor", "decoder"}) tree[step]["add_prefix_space"] = false;
         return tree;
     }},
    {"tiny_llama2", "llama", "default", [] { return with_all_merges(with_added(committed("tiny_llama2"), 3)); }},
};

class WrittenTokenizer : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Kinds, WrittenTokenizer, ::testing::ValuesIn(cases),
                         [](const auto& kind) { return std::string(kind.param.name); });

GgufMetadata write(const json& tree, std::size_t vocab_size = 1000) {
    GgufMetadata metadata("out.gguf");
    write_gguf_tokenizer(tree.dump(), "tokenizer.json", vocab_size, metadata);
    return metadata;
}

TEST_P(WrittenTokenizer, GivesTheSameIdsBothWays) {
    const json tree = GetParam().tokenizer();
    const GgufMetadata metadata = write(tree);
    EXPECT_EQ(metadata.string("tokenizer.ggml.model"), GetParam().model);
    EXPECT_EQ(metadata.string("tokenizer.ggml.pre"), GetParam().pre);
    EXPECT_EQ(metadata.count_strings("tokenizer.ggml.tokens"), 1000u);
    const Tokenizer found(read_gguf_tokenizer(metadata)), expected = tests::tokenizer_of(tree);
    std::size_t texts = 0;
    for (const char* file : {"corpus.jsonl", "nfc.jsonl"})
        for (const json& line : tests::read_json_lines(tests::tokenizer_data() / file)) {
            const auto text = line.is_string() ? line.get<std::string>() : line.dump();
            const auto ids = expected.encode(text);
            ASSERT_EQ(found.encode(text), ids) << line;
            ASSERT_EQ(found.decode(ids, {.skip_special_tokens = false}),
                      expected.decode(ids, {.skip_special_tokens = false}));
            if (++texts % 5000 == 0) break;
        }
    EXPECT_GE(texts, 1000u);
    for (const json& line : tests::read_json_lines(tests::tokenizer_data() / GetParam().name / "goldens.jsonl")) {
        const auto text = line["text"].get<std::string>();
        ASSERT_EQ(found.encode(text), expected.encode(text)) << line;
    }
}

TEST_P(WrittenTokenizer, ATokenBeyondTheModelIsAnError) {
    const json tree = GetParam().tokenizer();
    const std::size_t size = tests::tokenizer_of(tree).size();
    write(tree, size);
    support::expect_error<FormatError>([&] { write(tree, size - 1); },
                                       {"tokenizer.json", "token " + std::to_string(size - 1), "vocab_size"});
}

TEST(WriteGgufTokenizer, TypesAndHolesAreThoseOfConverters) {
    auto tree = with_added(committed("tiny_llama2"), 3);
    tree["added_tokens"].push_back(tree["added_tokens"][0]);
    tree["added_tokens"][3].update({{"id", 904}, {"content", "<mine>"}, {"special", false}});
    const auto metadata = write(with_all_merges(tree), 908);
    const auto types = metadata.numbers<std::int32_t>("tokenizer.ggml.token_type");
    ASSERT_EQ(types.size(), 908u);
    EXPECT_EQ(types[0], 2);  // <unk>
    EXPECT_EQ(types[1], 3);  // <s>
    EXPECT_EQ(types[3], 6);  // <0x00>
    EXPECT_EQ(types[300], 1);
    EXPECT_EQ(types[904], 4);  // <mine>
    EXPECT_EQ(types[905], 5);
    std::vector<std::string> texts;
    metadata.each_string("tokenizer.ggml.tokens",
                         [&](std::size_t, std::string_view text) { texts.emplace_back(text); });
    EXPECT_EQ(texts[3], "<0x00>");
    EXPECT_EQ(texts[904], "<mine>");
    EXPECT_EQ(texts[907], "[PAD907]");
    EXPECT_TRUE(metadata.boolean_or("tokenizer.ggml.add_bos_token", false));
    EXPECT_FALSE(metadata.boolean_or("tokenizer.ggml.add_eos_token", true));
    EXPECT_TRUE(metadata.boolean_or("tokenizer.ggml.add_space_prefix", false));
    EXPECT_EQ(metadata.integer("tokenizer.ggml.bos_token_id", 0, 1000), 1);
    EXPECT_EQ(metadata.integer("tokenizer.ggml.unknown_token_id", 0, 1000), 0);
    EXPECT_EQ(metadata.numbers<float>("tokenizer.ggml.scores")[3], 0);
}

TEST(WriteGgufTokenizer, WithoutASpaceInFront) {
    auto tree = with_all_merges(with_added(committed("tiny_llama2"), 3));
    tree["normalizer"]["normalizers"].erase(0);
    tree["decoder"]["decoders"].erase(3);
    const auto metadata = write(tree);
    EXPECT_FALSE(metadata.boolean_or("tokenizer.ggml.add_space_prefix", true));
    const Tokenizer found(read_gguf_tokenizer(metadata)), expected = tests::tokenizer_of(tree);
    for (const char* text : {"one two", " x", "a</s> b"}) {
        EXPECT_EQ(found.encode(text), expected.encode(text));
        EXPECT_EQ(found.decode(found.encode(text)), expected.decode(expected.encode(text)));
    }
}

TEST(WriteGgufTokenizer, TokensBehindEveryTextAreWritten) {
    auto tree = cases[1].tokenizer();
    auto& single = tree["post_processor"]["processors"][1]["single"];
    std::swap(single[0], single[1]);
    const auto metadata = write(tree);
    EXPECT_FALSE(metadata.boolean_or("tokenizer.ggml.add_bos_token", true));
    EXPECT_TRUE(metadata.boolean_or("tokenizer.ggml.add_eos_token", false));
    EXPECT_EQ(Tokenizer(read_gguf_tokenizer(metadata)).encode("x"), tests::tokenizer_of(tree).encode("x"));
    single.push_back(single[1]);
    support::expect_error<UnsupportedError>([&] { write(tree); }, {"tokenizer.json", "post_processor"});
}

/// Fails unless `change` makes a tokenizer that can be read and not be written, with these words in the message.
void expect_refused(json tree, const std::function<void(json&)>& change,
                    std::initializer_list<std::string_view> words) {
    change(tree);
    tests::tokenizer_of(tree);
    support::expect_error<UnsupportedError>([&] { write(tree); }, {"tokenizer.json: "});
    support::expect_error<UnsupportedError>([&] { write(tree); }, words);
}

TEST(WriteGgufTokenizer, StepsWithoutANameAreRefused) {
    const auto qwen = cases[0].tokenizer(), llama3 = cases[1].tokenizer(), smollm = cases[2].tokenizer();
    write(qwen);
    expect_refused(qwen, [](json& t) { t["normalizer"] = nullptr; }, {"pre_tokenizer"});
    expect_refused(qwen, [](json& t) { t["model"]["ignore_merges"] = true; }, {"pre_tokenizer"});
    expect_refused(llama3, [](json& t) { t["model"]["ignore_merges"] = false; }, {"pre_tokenizer"});
    expect_refused(llama3, [](json& t) { t["normalizer"] = {{"type", "NFC"}}; }, {"pre_tokenizer"});
    expect_refused(smollm, [](json& t) { t["pre_tokenizer"]["pretokenizers"][0]["individual_digits"] = false; },
                   {"pre_tokenizer"});
    expect_refused(smollm,
                   [](json& t) {
                       t["pre_tokenizer"]["pretokenizers"].erase(1);
                       t["pre_tokenizer"]["pretokenizers"].push_back(
                           {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}});
                   },
                   {"pre_tokenizer"});
    expect_refused(with_added(committed("tiny_gpt2"), 1), [](json&) {}, {"pre_tokenizer"});  // a space in front
    for (const char* name : {"tiny_mistral", "tiny_metaspace", "tiny_digits"})
        expect_refused(with_added(committed(name), 3), [](json&) {}, {"normalizer"});
    const auto llama2 = cases[4].tokenizer();
    expect_refused(llama2, [](json& t) { t["decoder"]["decoders"][3]["start"] = 2; }, {"normalizer"});
    expect_refused(llama2, [](json& t) { t["decoder"]["decoders"].erase(3); }, {"normalizer"});
    expect_refused(llama2, [](json& t) { t["normalizer"]["normalizers"].erase(0); }, {"normalizer"});
    expect_refused(llama2, [](json& t) { t["model"]["ignore_merges"] = true; }, {"normalizer"});
    expect_refused(llama2, [](json& t) { t["normalizer"]["normalizers"][0]["prepend"] = "x"; }, {"normalizer"});
}

TEST(WriteGgufTokenizer, ParticularAddedTokensAreRefused) {
    const auto llama3 = cases[1].tokenizer();
    for (const char* flag : {"lstrip", "rstrip", "single_word"})
        expect_refused(llama3, [&](json& t) { t["added_tokens"][1][flag] = true; },
                       {"added_tokens", "<|end_of_text|>", flag});
    expect_refused(llama3, [](json& t) { t["added_tokens"][1]["normalized"] = true; }, {"added_tokens", "normalized"});
    expect_refused(cases[0].tokenizer(), [](json& t) { t["added_tokens"][1]["normalized"] = true; },
                   {"added_tokens", "<|im_start|>", "normalized"});
    // One that would be taken for a hole, and one that merges make.
    expect_refused(llama3,
                   [](json& t) {
                       t["added_tokens"][2].update({{"content", "[PAD905]"}, {"special", false}});
                   },
                   {"token 905"});
    auto merged = llama3;
    merged["model"]["vocab"]["qqq"] = 903;
    merged["model"]["vocab"]["qq"] = 904;
    merged["model"]["merges"].push_back({"q", "q"});
    merged["model"]["merges"].push_back({"qq", "q"});
    merged["added_tokens"] = json::array({llama3["added_tokens"][0]});
    merged["added_tokens"][0].update({{"id", 903}, {"content", "qqq"}});
    merged["post_processor"] = nullptr;
    expect_refused(merged, [](json&) {}, {"merges"});
}

TEST(WriteGgufTokenizer, MergesThatNoScoresGiveAreRefused) {
    const auto llama2 = cases[4].tokenizer();
    auto& merges = llama2["model"]["merges"];
    const std::size_t count = merges.size();
    expect_refused(llama2, [&](json& t) { t["model"]["merges"].erase(count - 1); }, {"model.merges"});
    // The first and the last merge of a token that has several, with others between them.
    expect_refused(llama2,
                   [&](json& t) {
                       auto& list = t["model"]["merges"];
                       const auto whole = [&](std::size_t i) {
                           auto text = list[i].template get<std::string>();
                           text.erase(text.find(' '), 1);
                           return text;
                       };
                       std::size_t i = 1;
                       while (whole(i) != whole(i - 1)) ++i;
                       const json moved = list[i];
                       list.erase(i);
                       list.push_back(moved);
                   },
                   {"model.merges"});
    expect_refused(committed("tiny_llama2"), [](json& t) { t = with_added(t, 3); }, {"model.merges"});
}

}  // namespace
