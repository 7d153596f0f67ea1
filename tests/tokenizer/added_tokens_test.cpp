#include "eigenlm/tokenizer/added_tokens.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace eigenlm;

TEST(StringMatcher, TakesTheLongestOfTheLeftmost) {
    const StringMatcher matcher({{"<a", 1}, {"<a>", 2}, {"a><b", 3}, {"<a><b><c>", 4}});
    const auto check = [&](std::string_view text, std::size_t pos, std::size_t begin, std::size_t end, TokenId id) {
        const auto match = matcher.find(text, pos);
        EXPECT_EQ(match.begin, begin) << text;
        EXPECT_EQ(match.end, end) << text;
        EXPECT_EQ(match.id, id) << text;
    };
    check("x<a><b <a", 0, 1, 4, 2);
    check("x<a><b <a", 4, 7, 9, 1);
    check("x<a><b <a", 9, 9, 9, no_token);
    check("<a><b><", 0, 0, 3, 2);
    check("<a><b><c>", 0, 0, 9, 4);
    check("a><b", 0, 0, 4, 3);
    check("<", 0, 1, 1, no_token);
    check("", 0, 0, 0, no_token);
}

TEST(StringMatcher, EmptyFindsNothing) {
    EXPECT_EQ(StringMatcher().find("abc", 1).id, no_token);
    EXPECT_EQ(StringMatcher().find("abc", 1).begin, 3u);
}

TEST(StringMatcher, AgreesWithASearchForEach) {
    std::mt19937 rng(5);
    const auto random_string = [&](std::size_t length) {
        std::string out;
        for (std::size_t i = 0; i < length; ++i) out.push_back("ab\xFF"[rng() % 3]);
        return out;
    };
    for (int round = 0; round < 3000; ++round) {
        std::vector<std::pair<std::string, TokenId>> strings;
        for (TokenId id = 0; id < 6; ++id) strings.emplace_back(random_string(1 + rng() % 5), id);
        const std::string text = random_string(rng() % 30);
        StringMatcher::Match expected{text.size(), text.size(), no_token};
        for (const auto& [content, id] : strings) {
            const std::size_t at = text.find(content);
            if (at == std::string::npos) continue;
            const bool longer = at == expected.begin && at + content.size() > expected.end;
            if (at < expected.begin || longer) expected = {at, at + content.size(), id};
        }
        const auto match = StringMatcher(strings).find(text, 0);
        ASSERT_EQ(match.begin, expected.begin);
        ASSERT_EQ(match.end, expected.end);
        ASSERT_EQ(match.id, expected.id);
    }
}

TEST(AddedTokens, FindsByIdAndContent) {
    const AddedTokens tokens({{"b", "b", 9, true, false}, {"a", "a", 4, false, true}});
    EXPECT_EQ(tokens.size(), 10u);
    ASSERT_NE(tokens.find(TokenId{9}), nullptr);
    EXPECT_EQ(tokens.find(TokenId{9})->content, "b");
    EXPECT_EQ(tokens.find(TokenId{5}), nullptr);
    EXPECT_EQ(tokens.find(TokenId{-1}), nullptr);
    EXPECT_EQ(tokens.find("a")->id, 4);
    EXPECT_EQ(tokens.find("c"), nullptr);
    EXPECT_EQ(AddedTokens().size(), 0u);
}

}  // namespace
