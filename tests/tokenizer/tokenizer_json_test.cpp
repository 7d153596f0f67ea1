#include "eigenlm/tokenizer/tokenizer_json.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "fixtures.hpp"

namespace {

using namespace eigenlm;
using nlohmann::json;

using Change = std::function<void(json&)>;

/// The error that a changed tokenizer.json gives: its kind and its place in the file.
std::pair<std::string, std::string> error_of(const std::string& text) {
    try {
        (void)Tokenizer::from_json(text, "t.json");
    } catch (const Error& e) {
        EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << e.what();
        EXPECT_LT(std::string(e.what()).size(), 1000u);
        return {to_string(e.kind()), e.where()};
    }
    return {"none", ""};
}
std::pair<std::string, std::string> error_after(const Change& change) {
    json tree = tests::small_tokenizer();
    change(tree);
    return error_of(tree.dump());
}
void expect_error(const char* kind, const char* where, const Change& change) {
    const auto [found_kind, found_where] = error_after(change);
    EXPECT_EQ(found_kind, kind) << where;
    EXPECT_EQ(found_where, std::string("t.json") + where);
}

/// No added tokens, whose ids would have to follow a changed vocabulary.
void drop_added(json& tree) {
    tree["added_tokens"] = json::array();
    tree["post_processor"] = nullptr;
}
json& model(json& tree) { return tree["model"]; }
json& step(json& tree, int index) { return tree["pre_tokenizer"]["pretokenizers"][static_cast<std::size_t>(index)]; }
json added(TokenId id, const char* content) {
    return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
            {"rstrip", false}, {"normalized", false}, {"special", false}};
}

TEST(TokenizerJson, TheUnchangedFileLoads) { EXPECT_EQ(error_of(tests::small_tokenizer().dump()).first, "none"); }

TEST(TokenizerJson, BadJson) {
    const std::string text = tests::small_tokenizer().dump();
    for (const std::string& bad :
         {std::string(), std::string("null"), std::string("[]"), std::string("{"), text + "x", std::string("\xFF\xFE"),
          text.substr(0, 20) + "\xFF" + text.substr(20), std::string(100'000, '['), std::string(100'000, '"')})
        EXPECT_EQ(error_of(bad).first, "format") << bad.substr(0, 40);
    std::string deep = "1";
    for (int i = 0; i < 100; ++i) deep = "[" + deep + "]";
    EXPECT_EQ(error_of("{\"a\":" + deep + "}").first, "format");
}

TEST(TokenizerJson, EveryTruncationIsAnError) {
    const std::string text = tests::small_tokenizer().dump();
    for (std::size_t length = 0; length < text.size(); length += 7)
        ASSERT_EQ(error_of(text.substr(0, length)).first, "format") << length;
}

// Whatever single bytes are changed to, the result is a tokenizer or a typed error.
TEST(TokenizerJson, SpoiledBytesNeverEscapeTheErrorTypes) {
    const std::string text = tests::small_tokenizer().dump();
    std::mt19937 rng(11);
    for (int round = 0; round < 3000; ++round) {
        std::string spoiled = text;
        for (std::size_t i = 0; i <= rng() % 3; ++i) spoiled[rng() % text.size()] = "0\"{}[],:x9-\xC3"[rng() % 12];
        EXPECT_NO_THROW(error_of(spoiled));
    }
}

TEST(TokenizerJson, DuplicateKeys) {
    EXPECT_EQ(error_of("{\"model\":1,\"model\":2}"), (std::pair<std::string, std::string>("format", "t.json: model")));
    std::string text = tests::small_tokenizer().dump();
    text.insert(text.find("\"vocab\":{") + 9, "\"ab\":300,");
    EXPECT_EQ(error_of(text), (std::pair<std::string, std::string>("format", "t.json: model.vocab")));
}

TEST(TokenizerJson, WrongShapes) {
    expect_error("format", ": model.vocab", [](json& t) { model(t)["vocab"] = json::array(); });
    expect_error("format", ": model.vocab", [](json& t) { model(t).erase("vocab"); });
    expect_error("format", ": model.merges", [](json& t) { model(t)["merges"] = "a b"; });
    expect_error("format", ": model.merges", [](json& t) { model(t).erase("merges"); });
    expect_error("format", ": model.vocab[\"ab\"]", [](json& t) { model(t)["vocab"]["ab"] = "256"; });
    expect_error("format", ": model.vocab[\"ab\"]", [](json& t) { model(t)["vocab"]["ab"] = 256.0; });
    expect_error("format", ": model.vocab[\"ab\"]", [](json& t) { model(t)["vocab"]["ab"] = -1; });
    expect_error("format", ": model.vocab[\"ab\"]", [](json& t) { model(t)["vocab"]["ab"] = json::array({256}); });
    expect_error("format", ": model.vocab[\"ab\"]", [](json& t) { model(t)["vocab"]["ab"] = json::object(); });
    for (const json& merge : {json("ab"), json("a b c"), json(" b"), json("a "), json(1), json::object(),
                              json::array({"a"}), json::array({"a", "b", "c"}), json::array(), json::array({"a", 1}),
                              json::array({"a", json::array()}), json(nullptr)})
        expect_error("format", ": model.merges[1]", [&](json& t) { model(t)["merges"][1] = merge; });
}

TEST(TokenizerJson, WildIds) {
    expect_error("format", ": model.vocab[\"ab\"]", [](json& t) { model(t)["vocab"]["ab"] = std::uint64_t{1} << 63; });
    expect_error("format", ": model.vocab[\"ab\"]", [](json& t) { model(t)["vocab"]["ab"] = 1 << 24; });
    expect_error("format", ": model.vocab", [](json& t) { model(t)["vocab"]["ab"] = (1 << 24) - 1; });
    expect_error("format", ": model.vocab", [](json& t) { model(t)["vocab"]["ab"] = 257; });  // abc has it
    expect_error("format", ": added_tokens[0].id", [](json& t) { t["added_tokens"][0]["id"] = 260; });
    expect_error("format", ": added_tokens[0].id", [](json& t) { t["added_tokens"][0]["id"] = 0; });
    expect_error("format", ": added_tokens[0].id", [](json& t) { t["added_tokens"][0]["id"] = -1; });
    expect_error("format", ": added_tokens[0].id", [](json& t) { t["added_tokens"][0]["id"] = 1.5; });
    expect_error("format", ": post_processor.special_tokens.ids",
                 [](json& t) { t["post_processor"]["special_tokens"]["<s>"]["ids"] = json::array({260}); });
    expect_error("format", ": post_processor.special_tokens.ids",
                 [](json& t) { t["post_processor"]["special_tokens"]["<s>"]["ids"] = json::array({-1}); });
}

TEST(TokenizerJson, TokensThatAreNotBytes) {
    expect_error("format", ": model.vocab", [](json& t) {
        drop_added(t);
        model(t)["vocab"]["a b"] = 259;
    });
    expect_error("format", ": model.vocab", [](json& t) { model(t)["vocab"][""] = 259; });
    expect_error("format", ": model.merges[0]", [](json& t) { model(t)["merges"][0] = json::array({"▁a", "b"}); });
    // As an added token it is fine.
    json tree = tests::small_tokenizer();
    tree["added_tokens"] = json::array({added(259, "<a b>")});
    tree["post_processor"] = nullptr;
    model(tree)["vocab"]["<a b>"] = 259;
    EXPECT_EQ(tests::tokenizer_of(tree).encode("x<a b>"), (std::vector<TokenId>{'x', 259}));
    // Not with an id that makes the vocabulary look huge.
    tree["added_tokens"] = json::array({added((1 << 24) - 1, "<a b>")});
    model(tree)["vocab"]["<a b>"] = (1 << 24) - 1;
    EXPECT_EQ(error_of(tree.dump()).first, "format");
}

TEST(TokenizerJson, MergesThatDoNotFit) {
    expect_error("format", ": model.merges[2]", [](json& t) {
        model(t)["merges"].push_back(json::array({"a", "nosuch"}));
    });
    expect_error("format", ": model.merges[2]", [](json& t) { model(t)["merges"].push_back(json::array({"c", "d"})); });
    expect_error("format", ": model.merges[2]", [](json& t) { model(t)["merges"].push_back(json::array({"a", "b"})); });
    expect_error("format", ": model.merges[2]", [](json& t) {
        model(t)["merges"].push_back(json::array({"ab", "ab"}));
    });
    expect_error("unsupported", ": model.vocab", [](json& t) {
        drop_added(t);
        model(t)["vocab"].erase("z");
    });
}

TEST(TokenizerJson, MergesAsStrings) {
    json tree = tests::small_tokenizer();
    model(tree)["merges"] = {"#version: 0.2", "a b", "ab c"};  // the first line of an old merges.txt
    EXPECT_EQ(tests::tokenizer_of(tree).encode("xabc", {.add_special_tokens = false}),
              (std::vector<TokenId>{'x', 257}));
}

TEST(TokenizerJson, UnsupportedTopLevelSettings) {
    expect_error("unsupported", "", [](json& t) { t["new_setting"] = true; });
    expect_error("unsupported", ": version", [](json& t) { t["version"] = "2.0"; });
    expect_error("unsupported", ": truncation", [](json& t) { t["truncation"] = {{"max_length", 512}}; });
    expect_error("unsupported", ": padding", [](json& t) { t["padding"] = {{"strategy", "BatchLongest"}}; });
    expect_error("unsupported", ": normalizer.type", [](json& t) { t["normalizer"] = {{"type", "NFKC"}}; });
    expect_error("unsupported", ": normalizer.normalizers[1].type", [](json& t) {
        t["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "Lowercase"}}}}};
    });
    expect_error("unsupported", ": decoder", [](json& t) { t["decoder"] = nullptr; });
    expect_error("unsupported", ": decoder.type", [](json& t) { t["decoder"]["type"] = "Metaspace"; });
    // Without ByteLevel it is a model of characters, which has to have byte fallback.
    expect_error("unsupported", ": model.byte_fallback", [](json& t) { t["pre_tokenizer"] = nullptr; });
    expect_error("unsupported", ": model", [](json& t) { t.erase("model"); });
}

TEST(TokenizerJson, UnsupportedModels) {
    expect_error("unsupported", ": model.type", [](json& t) { model(t)["type"] = "Unigram"; });
    expect_error("unsupported", ": model", [](json& t) { model(t)["cache_capacity"] = 1; });
    expect_error("unsupported", ": model.dropout", [](json& t) { model(t)["dropout"] = 0.1; });
    expect_error("unsupported", ": model.continuing_subword_prefix",
                 [](json& t) { model(t)["continuing_subword_prefix"] = "##"; });
    expect_error("unsupported", ": model.end_of_word_suffix", [](json& t) { model(t)["end_of_word_suffix"] = "</w>"; });
    expect_error("unsupported", ": model.byte_fallback", [](json& t) { model(t)["byte_fallback"] = true; });
    expect_error("format", ": model.ignore_merges", [](json& t) { model(t)["ignore_merges"] = 1; });
    EXPECT_EQ(error_after([](json& t) { model(t)["end_of_word_suffix"] = ""; }).first, "none");
}

TEST(TokenizerJson, UnsupportedPreTokenizers) {
    expect_error("unsupported", ": pre_tokenizer.type", [](json& t) { t["pre_tokenizer"] = {{"type", "Whitespace"}}; });
    expect_error("unsupported", ": pre_tokenizer.pretokenizers[0].pattern.Regex",
                 [](json& t) { step(t, 0)["pattern"]["Regex"] = "\\s+"; });
    expect_error("unsupported", ": pre_tokenizer.pretokenizers[0].pattern", [](json& t) {
        step(t, 0)["pattern"] = {{"String", " "}};
    });
    expect_error("unsupported", ": pre_tokenizer.pretokenizers[0].behavior",
                 [](json& t) { step(t, 0)["behavior"] = "Removed"; });
    expect_error("unsupported", ": pre_tokenizer.pretokenizers[0].invert",
                 [](json& t) { step(t, 0)["invert"] = true; });
    expect_error("unsupported", ": pre_tokenizer.pretokenizers[2].type",
                 [](json& t) { t["pre_tokenizer"]["pretokenizers"].push_back(step(t, 0)); });
    for (const char* mark : {"", "ab"})
        expect_error("format", ": pre_tokenizer.replacement", [&](json& t) {
            t["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", mark}};
        });
    expect_error("unsupported", ": pre_tokenizer.prepend_scheme", [](json& t) {
        t["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "last"}};
    });
    expect_error("unsupported", ": pre_tokenizer", [](json& t) {
        t["pre_tokenizer"] = {{"type", "Digits"}, {"groups", 3}};
    });
}

/// The same vocabulary as one of characters: of the ASCII ones and the bytes by name.
json of_characters() {
    json tree = tests::small_tokenizer();
    json vocab;
    for (int c = 32; c < 127; ++c) vocab[std::string(1, static_cast<char>(c))] = vocab.size();
    for (const char* token : {"ab", "abc", "bc", "\u2581"}) vocab[token] = vocab.size();
    constexpr char digits[] = "0123456789ABCDEF";
    for (std::size_t byte = 0; byte < 256; ++byte)
        vocab[std::string("<0x") + digits[byte / 16] + digits[byte % 16] + ">"] = vocab.size();
    tree["model"]["vocab"] = vocab;
    tree["model"]["byte_fallback"] = true;
    tree["pre_tokenizer"] = nullptr;
    tree["decoder"] = {{"type", "Sequence"},
                       {"decoders", json::array({json{{"type", "ByteFallback"}}, json{{"type", "Fuse"}}})}};
    drop_added(tree);
    return tree;
}

TEST(TokenizerJson, StepsThatAskForMuch) {
    const json replace = {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(64, 'a')}};
    json tree = tests::small_tokenizer();
    tree["normalizer"] = {{"type", "Sequence"}, {"normalizers", json(std::vector<json>(16, replace))}};
    const Tokenizer tokenizer = tests::tokenizer_of(tree);
    EXPECT_EQ(tokenizer.encode("b").size(), 2u);
    EXPECT_THROW((void)tokenizer.encode("aa"), UnsupportedError);  // 64^16 letters
    expect_error("unsupported", ": normalizer.normalizers", [&](json& t) {
        t["normalizer"] = {{"type", "Sequence"}, {"normalizers", json(std::vector<json>(17, replace))}};
    });
    expect_error("unsupported", ": normalizer.content", [&](json& t) {
        t["normalizer"] = replace;
        t["normalizer"]["content"] = std::string(65, 'a');
    });
    expect_error("unsupported", ": normalizer.prepend", [](json& t) {
        t["normalizer"] = {{"type", "Prepend"}, {"prepend", std::string(65, 'a')}};
    });
    tree["normalizer"] = {
        {"type", "Sequence"},
        {"normalizers", json(std::vector<json>(16, json{{"type", "Prepend"}, {"prepend", std::string(64, 'a')}}))}};
    EXPECT_THROW((void)tests::tokenizer_of(tree).encode("a"), UnsupportedError);
    expect_error("unsupported", ": added_tokens[1].content",
                 [](json& t) { t["added_tokens"].push_back(added(260, std::string(257, 'a').c_str())); });
    expect_error("unsupported", ": pre_tokenizer.pretokenizers", [](json& t) {
        t["pre_tokenizer"]["pretokenizers"] = std::vector<json>(10'000, json{{"type", "Digits"}});
    });
}

// Tokens, or merges, that all hash to one place would make reading them, and every lookup, take quadratic time.
TEST(TokenizerJson, MadeUpCollisions) {
    json tree = tests::small_tokenizer();
    drop_added(tree);
    const auto home = [](const std::string& bytes) { return detail::hash_bytes(bytes) & 0xFFFF; };
    std::size_t found = 0;
    for (std::uint64_t i = 0; found < 1'100; ++i) {
        const std::string token = std::to_string(i * 7919);
        if (token.size() > 1 && home(token) < 64) model(tree)["vocab"][token] = 259 + found++;
    }
    // The table has 65,536 slots then, and 17 tokens wish for each of 64 in a row.
    for (std::size_t i = 0; i < 16'000; ++i) model(tree)["vocab"]["x" + std::to_string(i)] = 259 + found + i;
    EXPECT_EQ(error_of(tree.dump()), (std::pair<std::string, std::string>("format", "t.json: model.vocab")));
}

TEST(TokenizerJson, ModelsOfCharacters) {
    const Tokenizer tokenizer = tests::tokenizer_of(of_characters());
    const auto ids = tokenizer.encode("abcab\u00e9");
    ASSERT_EQ(ids.size(), 4u);
    EXPECT_EQ(ids[0], tokenizer.id_of("abc"));
    EXPECT_EQ(ids[1], tokenizer.id_of("ab"));
    EXPECT_EQ(ids[2], tokenizer.id_of("<0xC3>"));
    EXPECT_EQ(tokenizer.token_bytes(ids[2]), "\xC3");
    EXPECT_EQ(tokenizer.decode(ids), "abcab\u00e9");
    json whole = of_characters();  // only a whole piece is looked up, and this one is no token
    model(whole)["vocab"]["\u2581x"] = model(whole)["vocab"].size();
    model(whole)["ignore_merges"] = true;
    EXPECT_EQ(tests::tokenizer_of(whole).encode("x\u2581x").size(), 3u);
    EXPECT_EQ(tests::tokenizer_of(whole).encode("\u2581x").size(), 1u);
    json metaspace = of_characters();  // the first token loses marks, and no spaces
    metaspace["decoder"] = {{"type", "Sequence"},
                            {"decoders", json::array({json{{"type", "Metaspace"}, {"replacement", "\u2581"}},
                                                      json{{"type", "ByteFallback"}}})}};
    const Tokenizer spaces = tests::tokenizer_of(metaspace);
    const TokenId mark = *spaces.id_of("\u2581"), byte = *spaces.id_of("<0x20>"), a = *spaces.id_of("a");
    EXPECT_EQ(spaces.decode(std::vector{mark, a, mark, a}), "a a");
    EXPECT_EQ(spaces.decode(std::vector{byte, a}), " a");
    const auto fails = [](const char* kind, const char* where, const Change& change) {
        json tree = of_characters();
        change(tree);
        EXPECT_EQ(error_of(tree.dump()), (std::pair<std::string, std::string>(kind, std::string("t.json: ") + where)));
    };
    fails("unsupported", "model.vocab", [](json& t) { model(t)["vocab"].erase("<0x7F>"); });
    fails("unsupported", "model.byte_fallback", [](json& t) { model(t)["byte_fallback"] = false; });
    fails("unsupported", "decoder.type", [](json& t) { t["decoder"] = {{"type", "ByteLevel"}}; });
    const auto decoder = [&](const char* kind, const char* where, const json& steps) {
        fails(kind, (std::string("decoder.decoders") + where).c_str(),
              [&](json& t) { t["decoder"]["decoders"] = steps; });
    };
    const json fuse = {{"type", "Fuse"}}, fallback = {{"type", "ByteFallback"}};
    const json strip = {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}};
    const json replace = {{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}};
    decoder("unsupported", "[0].type", json::array({strip}));
    decoder("unsupported", "[2].type", json::array({fuse, strip, fuse}));
    decoder("unsupported", "[1].type", json::array({fallback, replace}));
    decoder("unsupported", "[1].type", json::array({fuse, replace}));
    json broken = strip;
    broken["stop"] = 1;
    decoder("unsupported", "[1].stop", json::array({fuse, broken}));
    broken = strip;
    broken["content"] = "";
    decoder("format", "[1].content", json::array({fuse, broken}));
    broken = replace;
    broken["pattern"] = {{"Regex", "x"}};
    decoder("unsupported", "[0].pattern", json::array({broken}));
    broken["pattern"] = {{"String", ""}};
    decoder("unsupported", "[0].pattern.String", json::array({broken}));
}

TEST(TokenizerJson, TheUnknownPatternIsNamed) {
    json tree = tests::small_tokenizer();
    step(tree, 0)["pattern"]["Regex"] = "[a-z]+";
    try {
        (void)tests::tokenizer_of(tree);
        FAIL();
    } catch (const UnsupportedError& e) {
        EXPECT_NE(std::string(e.what()).find("[a-z]+"), std::string::npos) << e.what();
    }
}

TEST(TokenizerJson, PostProcessors) {
    const json frame = tests::small_tokenizer()["post_processor"];
    const auto with = [](json processor) { return [processor](json& t) { t["post_processor"] = processor; }; };
    expect_error("unsupported", ": post_processor.type", with({{"type", "RobertaProcessing"}}));
    expect_error("unsupported", ": post_processor.processors[1].type",
                 with({{"type", "Sequence"}, {"processors", {frame, frame}}}));
    expect_error("unsupported", ": post_processor.processors[0].type",
                 with({{"type", "Sequence"}, {"processors", json::array({json{{"type", "BertProcessing"}}})}}));
    json broken = frame;
    broken["single"] = json::array({frame["single"][0]});
    expect_error("unsupported", ": post_processor.single", with(broken));
    broken["single"] = json::array({frame["single"][1], frame["single"][1]});
    expect_error("unsupported", ": post_processor.single[1].Sequence.id", with(broken));
    broken = frame;
    broken["single"][0]["SpecialToken"]["id"] = "<t>";
    expect_error("format", ": post_processor.single[0].SpecialToken.id", with(broken));
    broken = frame;
    broken["special_tokens"]["<s>"]["ids"] = json(std::vector<int>(65, 259));  // few pieces, many ids
    expect_error("unsupported", ": post_processor.single[0].SpecialToken", with(broken));

    json tree = tests::small_tokenizer();
    tree["post_processor"] = {{"type", "Sequence"},
                              {"processors", {{{"type", "ByteLevel"}, {"trim_offsets", false}}, frame}}};
    EXPECT_EQ(tests::tokenizer_of(tree).encode("a"), (std::vector<TokenId>{259, 'a'}));
    tree["post_processor"] = frame;
    tree["post_processor"]["single"].push_back(frame["single"][0]);
    EXPECT_EQ(tests::tokenizer_of(tree).encode("a"), (std::vector<TokenId>{259, 'a', 259}));
    tree["post_processor"] = {{"type", "ByteLevel"}};
    EXPECT_EQ(tests::tokenizer_of(tree).encode("a"), (std::vector<TokenId>{'a'}));
}

TEST(TokenizerJson, AddedTokens) {
    expect_error("format", ": added_tokens[0].normalized", [](json& t) { t["added_tokens"][0].erase("normalized"); });
    expect_error("format", ": added_tokens[0].content", [](json& t) { t["added_tokens"][0]["content"] = ""; });
    expect_error("format", ": added_tokens[0].content", [](json& t) { t["added_tokens"][0].erase("content"); });
    expect_error("unsupported", ": added_tokens[0]", [](json& t) { t["added_tokens"][0]["new"] = 1; });
    expect_error("format", ": added_tokens", [](json& t) { t["added_tokens"] = "x"; });
    expect_error("format", ": added_tokens[1]", [](json& t) { t["added_tokens"].push_back(added(260, "<s>")); });
    expect_error("format", ": added_tokens[1].id", [](json& t) { t["added_tokens"].push_back(added(262, "<t>")); });
    expect_error("format", ": added_tokens[1].id", [](json& t) { t["added_tokens"].push_back(added(261, "ab")); });
    // In the vocabulary "Ġ" is a space; as an added token it would be the letter.
    expect_error("unsupported", ": added_tokens[1].content",
                 [](json& t) { t["added_tokens"].push_back(added(' ', "Ġ")); });
    expect_error("unsupported", ": added_tokens[2]", [](json& t) {
        t["normalizer"] = {{"type", "NFC"}};
        for (const auto& [id, content] : {std::pair(260, "\u00e9 x"), std::pair(261, "e\u0301 x")}) {
            t["added_tokens"].push_back(added(id, content));
            t["added_tokens"].back()["normalized"] = true;
        }
    });
    expect_error("unsupported", ": added_tokens[0].content", [](json& t) {
        t["normalizer"] = {{"type", "Replace"}, {"pattern", {{"String", "<s>"}}}, {"content", ""}};
        t["added_tokens"][0]["normalized"] = true;
    });
    json tree = tests::small_tokenizer();
    tree["added_tokens"].push_back(added(256, "ab"));  // one of the model's own
    EXPECT_EQ(tests::tokenizer_of(tree).encode("cabc"), (std::vector<TokenId>{259, 'c', 256, 'c'}));
}

}  // namespace
