#include "eigenlm/tokenizer/split_pattern.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "fixtures.hpp"

namespace {

using namespace eigenlm;
using Pieces = std::vector<std::string>;

Pieces split(SplitPattern pattern, std::string_view text) {
    Pieces pieces;
    for (std::size_t pos = 0; pos < text.size();) {
        const std::size_t end = piece_end(pattern, text, pos);
        if (end <= pos || end > text.size()) throw std::logic_error("no progress");
        pieces.emplace_back(text.substr(pos, end - pos));
        pos = end;
    }
    return pieces;
}
Pieces split(std::string_view text) { return split(SplitPattern::qwen2, text); }

TEST(SplitPattern, IsKnownByItsExactText) {
    constexpr std::string_view qwen2 =
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    static_assert(split_pattern_of(qwen2) == SplitPattern::qwen2);
    std::string llama3(qwen2);
    llama3.insert(llama3.find(R"(\p{N}| )") + 5, "{1,3}");
    EXPECT_EQ(split_pattern_of(llama3), SplitPattern::llama3);
    EXPECT_EQ(split_pattern_of(std::string(qwen2) + " "), std::nullopt);
    EXPECT_EQ(split_pattern_of(""), std::nullopt);
}

TEST(SplitPattern, Words) {
    EXPECT_EQ(split("Hello world"), (Pieces{"Hello", " world"}));
    EXPECT_EQ(split("\tTab (paren)\u00a0nbsp"), (Pieces{"\tTab", " (", "paren", ")", "\u00a0nbsp"}));
    EXPECT_EQ(split("e\u0301te\u0301"), (Pieces{"e", "\u0301te", "\u0301"}));  // marks are no letters
    EXPECT_EQ(split("\nword"), (Pieces{"\n", "word"}));
    EXPECT_EQ(split("!word"), (Pieces{"!word"}));
    EXPECT_EQ(split("!!word"), (Pieces{"!!", "word"}));
}

TEST(SplitPattern, Contractions) {
    EXPECT_EQ(split("I'm they'RE we'Ll"), (Pieces{"I", "'m", " they", "'RE", " we", "'Ll"}));
    EXPECT_EQ(split("it'\u017fx"), (Pieces{"it", "'\u017f", "x"}));  // the long s folds to s
    EXPECT_EQ(split("'sun"), (Pieces{"'s", "un"}));
    EXPECT_EQ(split("'rx 'l 'v"), (Pieces{"'rx", " '", "l", " '", "v"}));
    EXPECT_EQ(split("'"), (Pieces{"'"}));
    EXPECT_EQ(split("'r"), (Pieces{"'r"}));
    EXPECT_EQ(split("''s"), (Pieces{"''", "s"}));
}

TEST(SplitPattern, Digits) {
    EXPECT_EQ(split("x1234"), (Pieces{"x", "1", "2", "3", "4"}));
    EXPECT_EQ(split(SplitPattern::llama3, "x1234567"), (Pieces{"x", "123", "456", "7"}));
    EXPECT_EQ(split(SplitPattern::llama3, " 12"), (Pieces{" ", "12"}));
    EXPECT_EQ(split(SplitPattern::llama3, "\u00bd\u0663\u216711"), (Pieces{"\u00bd\u0663\u2167", "11"}));
}

TEST(SplitPattern, WhiteSpaceLeavesItsLastCharacterToTheNextPiece) {
    EXPECT_EQ(split("a   b"), (Pieces{"a", "  ", " b"}));
    EXPECT_EQ(split("a  1"), (Pieces{"a", " ", " ", "1"}));
    EXPECT_EQ(split("a   "), (Pieces{"a", "   "}));
    EXPECT_EQ(split("a \u3000\u3000b"), (Pieces{"a", " \u3000", "\u3000b"}));
    EXPECT_EQ(split("  "), (Pieces{"  "}));
}

TEST(SplitPattern, NewlinesEndAPiece) {
    EXPECT_EQ(split("a \n  \r\n  b"), (Pieces{"a", " \n  \r\n", " ", " b"}));
    EXPECT_EQ(split("};\r\n\r\n  x"), (Pieces{"};\r\n\r\n", " ", " x"}));
    EXPECT_EQ(split(" ...\n y"), (Pieces{" ...\n", " y"}));
    EXPECT_EQ(split("\n \n"), (Pieces{"\n \n"}));
    EXPECT_EQ(split("\u2028\u2028"), (Pieces{"\u2028\u2028"}));  // no newline here
}

TEST(SplitPattern, BytesThatAreNotUtf8ArePunctuation) {
    EXPECT_EQ(split("a \xFF\xC3\n b"), (Pieces{"a", " \xFF\xC3\n", " b"}));
    EXPECT_EQ(split("\xC3word"), (Pieces{"\xC3word"}));
}

TEST(SplitPattern, PiecesJoinToTheText) {
    std::mt19937 rng(3);
    for (int round = 0; round < 2000; ++round) {
        const std::string text = tests::random_bytes(rng, rng() % 60);
        for (const auto pattern : {SplitPattern::qwen2, SplitPattern::llama3}) {
            std::string joined;
            for (const auto& piece : split(pattern, text)) joined += piece;
            ASSERT_EQ(joined, text);
        }
    }
}

TEST(SplitPattern, AMegabyteOfWhiteSpaceIsLinear) {
    const std::string spaces(1 << 20, ' ');
    EXPECT_EQ(split(spaces + "x").size(), 2u);
    std::string lines;
    for (int i = 0; i < (1 << 19); ++i) lines += " \n";
    EXPECT_EQ(split(lines + "   x").size(), 3u);
}

}  // namespace
