#include "eigenlm/tokenizer/stream_decoder.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "fixtures.hpp"

namespace {

using namespace eigenlm;

std::vector<std::string> pieces_of(const Tokenizer& tokenizer, const std::vector<TokenId>& ids,
                                   DecodeOptions options = {}) {
    StreamDecoder stream(tokenizer, options);
    std::vector<std::string> pieces;
    for (const TokenId id : ids) pieces.emplace_back(stream.push(id));
    pieces.emplace_back(stream.flush());
    return pieces;
}

/// In small_tokenizer the ids below 256 are the bytes.
std::vector<TokenId> as_bytes(std::string_view text) {
    std::vector<TokenId> ids;
    for (const char byte : text) ids.push_back(static_cast<unsigned char>(byte));
    return ids;
}

TEST(StreamDecoder, JoinsToWhatDecodeGives) {
    std::mt19937 rng(13);
    for (const char* name : {"tiny_qwen2", "tiny_llama3"}) {
        const auto tokenizer = Tokenizer::load(tests::tokenizer_data() / name);
        for (int round = 0; round < 500; ++round) {
            std::vector<TokenId> ids(rng() % 40);
            for (TokenId& id : ids) id = static_cast<TokenId>(rng() % (round % 2 ? 256 : tokenizer.size()));
            for (const bool skip : {true, false}) {
                const DecodeOptions options{.skip_special_tokens = skip};
                std::string joined;
                for (const auto& piece : pieces_of(tokenizer, ids, options)) joined += piece;
                ASSERT_EQ(joined, tokenizer.decode(ids, options));
            }
        }
    }
}

TEST(StreamDecoder, NeverGivesHalfACharacter) {
    const auto tokenizer = tests::tokenizer_of(tests::small_tokenizer());
    EXPECT_EQ(pieces_of(tokenizer, as_bytes("a\u00e9\U0001F999")),
              (std::vector<std::string>{"a", "", "\u00e9", "", "", "", "\U0001F999", ""}));
    std::mt19937 rng(17);
    for (int round = 0; round < 500; ++round) {
        std::string text;
        for (int i = 0; i < 20; ++i)
            unicode::append_utf8(text, static_cast<char32_t>(rng() % 2 ? rng() % 0xD800 : 0xE000 + rng() % 0x102000));
        for (const auto& piece : pieces_of(tokenizer, as_bytes(text)))
            for (std::size_t pos = 0; pos < piece.size();) {
                const auto c = unicode::decode_utf8(piece, pos);
                ASSERT_LT(c.code, unicode::invalid_base);
                pos += c.length;
            }
    }
}

TEST(StreamDecoder, PassesBytesThatCannotBecomeACharacter) {
    const auto tokenizer = tests::tokenizer_of(tests::small_tokenizer());
    EXPECT_EQ(pieces_of(tokenizer, as_bytes("\x80\xFF")), (std::vector<std::string>{"\x80", "\xFF", ""}));
    EXPECT_EQ(pieces_of(tokenizer, as_bytes("\xE2\x82z")), (std::vector<std::string>{"", "", "\xE2\x82z", ""}));
    EXPECT_EQ(pieces_of(tokenizer, as_bytes("\xE0\x80")), (std::vector<std::string>{"", "\xE0\x80", ""}));  // overlong
    EXPECT_EQ(pieces_of(tokenizer, as_bytes("\xED\xA0")), (std::vector<std::string>{"", "\xED\xA0", ""}));  // surrogate
    EXPECT_EQ(pieces_of(tokenizer, as_bytes("\xF0\x9F\xC3")), (std::vector<std::string>{"", "", "\xF0\x9F", "\xC3"}));
    EXPECT_EQ(pieces_of(tokenizer, as_bytes("\xF0\x9F")), (std::vector<std::string>{"", "", "\xF0\x9F"}));  // by flush
}

TEST(StreamDecoder, SpecialTokensMayComeInsideACharacter) {
    const auto tokenizer = tests::tokenizer_of(tests::small_tokenizer());
    EXPECT_EQ(pieces_of(tokenizer, {0xC3, 259, 0xA9}), (std::vector<std::string>{"", "", "\u00e9", ""}));
    EXPECT_EQ(pieces_of(tokenizer, {0xC3, 259}, {.skip_special_tokens = false}),
              (std::vector<std::string>{"", "\xC3<s>", ""}));
}

TEST(StreamDecoder, ABadIdChangesNothing) {
    const auto tokenizer = tests::tokenizer_of(tests::small_tokenizer());
    StreamDecoder stream(tokenizer);
    EXPECT_EQ(stream.push(0xC3), "");
    EXPECT_THROW(stream.push(260), ArgumentError);
    EXPECT_THROW(stream.push(-1), ArgumentError);
    EXPECT_EQ(stream.push(0xA9), "\u00e9");
    EXPECT_EQ(stream.flush(), "");
    EXPECT_EQ(stream.push('a'), "a");  // after flush it starts anew
}

}  // namespace
