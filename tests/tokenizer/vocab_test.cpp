#include "eigenlm/tokenizer/vocab.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace {

using namespace eigenlm;

Vocab make(const std::vector<std::pair<std::string, TokenId>>& tokens) {
    VocabEntries entries;
    for (const auto& [bytes, id] : tokens) entries.add(bytes, id, "f: vocab");
    return Vocab(std::move(entries), "f: vocab");
}

TEST(Vocab, FindsBothWays) {
    std::vector<std::pair<std::string, TokenId>> tokens;
    for (TokenId id = 0; id < 1000; ++id)
        tokens.emplace_back(std::string("t").append(std::to_string(id * 7)), 1001 - id);
    tokens.emplace_back(std::string("\0\xFF", 2), 1);
    const Vocab vocab = make(tokens);
    EXPECT_EQ(vocab.size(), 1002u);
    EXPECT_EQ(vocab.count(), 1001u);
    EXPECT_EQ(vocab.longest(), 5u);
    for (const auto& [bytes, id] : tokens) {
        EXPECT_EQ(vocab.find(bytes), id);
        EXPECT_TRUE(vocab.has(id));
        EXPECT_EQ(vocab.bytes(id), bytes);
    }
    for (const TokenId id : {-1, 0, 1002, max_token_id}) EXPECT_FALSE(vocab.has(id)) << id;
    EXPECT_EQ(vocab.find("missing"), no_token);
    EXPECT_EQ(vocab.find(""), no_token);
}

TEST(Vocab, EmptyIsUsable) {
    EXPECT_EQ(Vocab().find("a"), no_token);
    EXPECT_EQ(make({}).find("a"), no_token);
    EXPECT_EQ(make({}).size(), 0u);
}

TEST(Vocab, CopiesOwnTheirBytes) {
    Vocab copy;
    {
        const Vocab original = make({{"a long enough token to live on the heap", 0}});
        copy = original;
    }
    EXPECT_EQ(copy.bytes(0), "a long enough token to live on the heap");
}

TEST(Vocab, RefusesContradictions) {
    EXPECT_THROW(make({{"a", 0}, {"b", 0}}), FormatError);
    EXPECT_THROW(make({{"a", 0}, {"a", 1}}), FormatError);
    EXPECT_THROW(make({{"", 0}}), FormatError);
    EXPECT_THROW(make({{"a", -1}}), FormatError);
    EXPECT_THROW(make({{"a", max_token_id}}), FormatError);  // would need memory for 2^24 ids
    EXPECT_THROW(make({{"a", max_token_id + 1}}), FormatError);
}

}  // namespace
