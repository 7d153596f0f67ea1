// Tokenizers out of GGUF metadata. Those of real models are in tokenizer_test.cpp and corpus_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "eigenlm/tokenizer/tokenizer.hpp"
#include "fixtures.hpp"
#include "support/expect_error.hpp"
#include "support/gguf.hpp"
#include "support/temporary_folder.hpp"

namespace {

using namespace eigenlm;
using Ids = std::vector<TokenId>;

/// What tokenizer.ggml.* of a file say; tests change it.
struct Settings {
    std::string model = {}, pre = {};
    std::vector<std::string> tokens = {}, merges = {};
    std::vector<std::int32_t> types = {};
    std::vector<float> scores = {};
    std::function<void(support::GgufBytes&)> more = [](auto&) {};

    void add(const std::string& token, std::int32_t type, float score = 0) {
        tokens.push_back(token);
        types.push_back(type);
        scores.push_back(score);
    }
    std::filesystem::path write(const support::TemporaryFolder& folder) const {
        support::GgufBytes file;
        file.set("tokenizer.ggml.model", model.c_str());
        if (!pre.empty()) file.set("tokenizer.ggml.pre", pre.c_str());
        file.set("tokenizer.ggml.tokens", tokens).set("tokenizer.ggml.token_type", types);
        if (model == "gpt2") file.set("tokenizer.ggml.merges", merges);
        if (model == "llama") file.set("tokenizer.ggml.scores", scores);
        more(file);
        folder.write("t.gguf", file.file());
        return folder / "t.gguf";
    }
    Tokenizer tokenizer() const { return Tokenizer::load(write(support::TemporaryFolder())); }
};

/// Ids 0 to 255 are the bytes, 256 "ab", 257 "abc", 258 <s> (control), 259 "word" (user-defined), 260 unused.
Settings byte_level(const std::string& pre) {
    Settings s{.model = "gpt2", .pre = pre, .merges = {"a b", "ab c"}};
    for (int byte = 0; byte < 256; ++byte) s.add(tests::in_alphabet(std::string(1, static_cast<char>(byte))), 1);
    s.add("ab", 1), s.add("abc", 1), s.add("<s>", 3), s.add("word", 4), s.add("[PAD260]", 5);
    s.more = [](auto& file) { file.set("tokenizer.ggml.bos_token_id", 258u); };
    return s;
}

constexpr TokenId first_word = 259;  // behind <unk>, <s>, </s> and the bytes

Settings sentence_piece() {
    Settings s{.model = "llama"};
    s.add("<unk>", 2), s.add("<s>", 3), s.add("</s>", 3);
    for (int byte = 0; byte < 256; ++byte) {
        char name[7];
        std::snprintf(name, sizeof(name), "<0x%02X>", static_cast<unsigned>(byte));
        s.add(name, 6);
    }
    s.more = [](auto& file) { file.set("tokenizer.ggml.bos_token_id", 1u).set("tokenizer.ggml.eos_token_id", 2u); };
    return s;
}

TEST(GgufTokenizer, ByteLevel) {
    const auto tokenizer = byte_level("qwen2").tokenizer();
    EXPECT_EQ(tokenizer.size(), 260u);
    EXPECT_FALSE(tokenizer.contains(260));
    EXPECT_TRUE(tokenizer.is_special(258));
    EXPECT_FALSE(tokenizer.is_special(259));
    EXPECT_EQ(tokenizer.encode("abc ab<s>wordab"), (Ids{257, ' ', 256, 258, 259, 256}));
    EXPECT_EQ(tokenizer.encode("[PAD260]").front(), '[');
    EXPECT_EQ(tokenizer.encode("e\u0301"), (Ids{0xC3, 0xA9}));  // NFC
    EXPECT_EQ(tokenizer.decode(Ids{257, 258, 259}), "abcword");
}

TEST(GgufTokenizer, PreTokenizersAreThoseOfTheModels) {
    for (const char* pre : {"llama-bpe", "llama3", "llama-v3"}) {
        Settings s = byte_level(pre);
        s.merges.pop_back();  // "abc" is only found because merges are ignored for whole pieces
        EXPECT_EQ(s.tokenizer().encode("abc"), (Ids{258, 257})) << pre;
        EXPECT_EQ(s.tokenizer().encode("e\u0301"), (Ids{258, 'e', 0xCC, 0x81})) << pre;
    }
    Settings digits = byte_level("smollm");
    digits.add("12", 1);
    digits.merges.push_back("1 2");
    EXPECT_EQ(digits.tokenizer().encode("12"), (Ids{'1', '2'}));
    digits.pre = "gpt-2";
    EXPECT_EQ(digits.tokenizer().encode("12"), (Ids{261}));
    digits.pre = "qwen2";
    EXPECT_EQ(digits.tokenizer().encode("12"), (Ids{'1', '2'}));
    digits.pre = "llama-bpe";
    EXPECT_EQ(digits.tokenizer().encode("12"), (Ids{258, 261}));
}

TEST(GgufTokenizer, FramesFollowTheFile) {
    Settings s = byte_level("llama-bpe");
    s.more = [](auto& file) { file.set("tokenizer.ggml.add_bos_token", false); };
    EXPECT_EQ(s.tokenizer().encode("ab"), (Ids{256}));
    s = byte_level("qwen2");
    s.more = [](auto& file) {
        file.set("tokenizer.ggml.bos_token_id", 258u).set("tokenizer.ggml.eos_token_id", 65u);
        file.set("tokenizer.ggml.add_bos_token", true).set("tokenizer.ggml.add_eos_token", true);
    };
    EXPECT_EQ(s.tokenizer().encode("ab"), (Ids{258, 256, 65}));
}

TEST(GgufTokenizer, SentencePiece) {
    Settings s = sentence_piece();
    for (const char* token : {"\u2581", "a", "b", "\u2581a", "ab"})
        s.add(token, 1, -static_cast<float>(s.tokens.size()));
    s.add("word", 4), s.add("unused", 5);
    const auto tokenizer = s.tokenizer();
    const TokenId space = first_word, b = space + 2, space_a = space + 3, ab = space + 4, word = space + 5;
    EXPECT_EQ(tokenizer.encode("ab"), (Ids{1, space_a, b}));
    EXPECT_EQ(tokenizer.encode(" ab"), (Ids{1, space, space_a, b}));
    EXPECT_EQ(tokenizer.encode("bab\n"), (Ids{1, space, b, ab, 3 + '\n'}));
    EXPECT_EQ(tokenizer.encode("word</s>b"), (Ids{1, word, 2, space, b}));
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(" ab\n")), " ab\n");
    EXPECT_EQ(tokenizer.size(), static_cast<std::size_t>(word) + 1);
    s.more = [](auto& file) {
        file.set("tokenizer.ggml.add_space_prefix", false).set("tokenizer.ggml.add_bos_token", false);
    };
    EXPECT_EQ(s.tokenizer().encode("ab"), (Ids{ab}));
    EXPECT_EQ(s.tokenizer().decode(s.tokenizer().encode(" ab")), " ab");
}

/// SentencePiece's algorithm as it is told: again and again the two neighbours whose token has the best score, of equal
/// ones the leftmost.
std::vector<std::string> merged_by_score(std::vector<std::string> symbols, const std::map<std::string, float>& scores) {
    for (;;) {
        std::size_t best = symbols.size();
        float score = 0;
        for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
            const auto token = scores.find(symbols[i] + symbols[i + 1]);
            if (token == scores.end() || (best != symbols.size() && token->second <= score)) continue;
            best = i;
            score = token->second;
        }
        if (best == symbols.size()) return symbols;
        symbols[best] += symbols[best + 1];
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
}

// Few scores for many tokens: the leftmost counts all the time, within short pieces and within long ones.
TEST(GgufTokenizer, OfEqualScoresTheLeftmostPairMerges) {
    std::mt19937 rng(11);
    std::size_t longer_than_short = 0;
    for (int round = 0; round < 60; ++round) {
        Settings s = sentence_piece();
        std::map<std::string, float> scores;
        const auto add = [&](const std::string& token, float score) {
            if (scores.emplace(token, score).second) s.add(token, 1, score);
        };
        for (const char* token : {"a", "b", "c", "\u2581"}) add(token, 0);
        for (int i = 0; i < 40; ++i) {
            std::string token;
            for (auto length = 2 + rng() % 6; token.size() < length;) token += "abc"[rng() % 3];
            add(token, -static_cast<float>(rng() % 4));
        }
        const auto tokenizer = s.tokenizer();
        for (int text = 0; text < 40; ++text) {
            std::vector<std::string> symbols{"\u2581"};
            std::string plain;
            for (auto length = 1 + rng() % 200; plain.size() < length;) plain += "abc"[rng() % (text % 2 ? 2 : 3)];
            for (const char c : plain) symbols.emplace_back(1, c);
            longer_than_short += plain.size() > Bpe::short_piece;
            Ids expected;
            for (const std::string& token : merged_by_score(symbols, scores))
                expected.push_back(*tokenizer.id_of(token));
            ASSERT_EQ(tokenizer.encode(plain, {.add_special_tokens = false}), expected) << plain;
        }
    }
    EXPECT_GT(longer_than_short, 500u);
}

struct Broken {
    const char* name;
    ErrorKind kind;
    std::vector<std::string_view> words;
    std::function<void(Settings&)> change;
    bool sentence_piece = false;
};

std::function<void(Settings&)> with(std::function<void(support::GgufBytes&)> more) {
    return [=](Settings& s) { s.more = more; };
}

const std::vector<Broken>& broken_tokenizers() {
    using enum ErrorKind;
    static const std::vector<Broken> all = {
        {"Model", unsupported, {"tokenizer.ggml.model", "bert"}, [](Settings& s) { s.model = "bert"; }},
        {"Pre", unsupported, {"tokenizer.ggml.pre", "falcon", "qwen2"}, [](Settings& s) { s.pre = "falcon"; }},
        {"PreDefault", unsupported, {"tokenizer.ggml.pre", "default"}, [](Settings& s) { s.pre = "default"; }},
        {"NoPre", unsupported, {"tokenizer.ggml.pre"}, [](Settings& s) { s.pre = ""; }},
        {"TypesCount", format, {"tokenizer.ggml.token_type", "260"}, [](Settings& s) { s.types.pop_back(); }},
        {"Type0", format, {"tokenizer.ggml.token_type[5]", "0"}, [](Settings& s) { s.types[5] = 0; }},
        {"Type7", format, {"tokenizer.ggml.token_type[5]", "7"}, [](Settings& s) { s.types[5] = 7; }},
        {"TypeByte", format, {"tokenizer.ggml.tokens[5]", "byte"}, [](Settings& s) { s.types[5] = 6; }},
        {"NotInTheAlphabet", format, {"tokenizer.ggml.tokens[257]"}, [](Settings& s) { s.tokens[257] = "a b"; }},
        {"TwiceTheSame", format, {"tokenizer.ggml.tokens", "256", "257"}, [](Settings& s) { s.tokens[257] = "ab"; }},
        {"NoByte", unsupported, {"byte 5"}, [](Settings& s) { s.types[5] = 5; }},
        {"MergeOfOne", format, {"tokenizer.ggml.merges[1]", "abc"}, [](Settings& s) { s.merges[1] = "abc"; }},
        {"MergeOfUnknown", format, {"tokenizer.ggml.merges[1]"}, [](Settings& s) { s.merges[1] = "xy z"; }},
        {"MergeToUnknown", format, {"tokenizer.ggml.merges[1]"}, [](Settings& s) { s.merges[1] = "x y"; }},
        {"MergeTwice", format, {"tokenizer.ggml.merges[1]"}, [](Settings& s) { s.merges[1] = "a b"; }},
        {"MergeOfBytes", format, {"tokenizer.ggml.merges[1]"}, [](Settings& s) { s.merges[1] = "\xff \xff"; }},
        {"Bos", format, {"tokenizer.ggml.bos_token_id", "300"}, with([](auto& file) {
             file.set("tokenizer.ggml.bos_token_id", 300u).set("tokenizer.ggml.add_bos_token", true);
         })},
        {"NoBos", format, {"tokenizer.ggml.bos_token_id", "missing"}, with([](auto& file) {
             file.set("tokenizer.ggml.add_bos_token", true);
         })},
        {"SpacePrefix", unsupported, {"tokenizer.ggml.add_space_prefix"}, with([](auto& file) {
             file.set("tokenizer.ggml.add_space_prefix", true);
         })},
        {"Separator", unsupported, {"tokenizer.ggml.add_sep_token"}, with([](auto& file) {
             file.set("tokenizer.ggml.add_sep_token", true);
         })},
        {"ExtraSpaces", unsupported, {"tokenizer.ggml.remove_extra_whitespaces"}, with([](auto& file) {
             file.set("tokenizer.ggml.remove_extra_whitespaces", true);
         })},
        {"ScoresCount", format, {"tokenizer.ggml.scores"}, [](Settings& s) { s.scores.pop_back(); }, true},
        {"ScoreNan", format, {"tokenizer.ggml.scores[7]"}, [](Settings& s) { s.scores[7] = NAN; }, true},
        {"NoByteName", unsupported, {"byte 7"}, [](Settings& s) { s.tokens[10] = "<0x7>"; }, true},
        {"LongToken",
         format,
         {"tokenizer.ggml.tokens[259]", "1024"},
         [](Settings& s) { s.add(std::string(5000, 'a'), 1); },
         true},
    };
    return all;
}

class BrokenGgufTokenizer : public ::testing::TestWithParam<Broken> {};
INSTANTIATE_TEST_SUITE_P(Files, BrokenGgufTokenizer, ::testing::ValuesIn(broken_tokenizers()),
                         [](const auto& broken) { return std::string(broken.param.name); });

TEST_P(BrokenGgufTokenizer, IsRefused) {
    Settings s = GetParam().sentence_piece ? sentence_piece() : byte_level("qwen2");
    GetParam().change(s);
    const support::TemporaryFolder folder;
    const auto path = s.write(folder);
    const auto load = [&] { Tokenizer::load(path); };
    support::expect_error(GetParam().kind, load, {path.string()});
    for (const std::string_view word : GetParam().words) support::expect_error(GetParam().kind, load, {word});
}

}  // namespace
