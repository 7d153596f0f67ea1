#include "eigenlm/tokenizer/unicode.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

#include "eigenlm/tokenizer/byte_level.hpp"

namespace {

using namespace eigenlm;
using namespace std::string_view_literals;
using unicode::CharClass;

bool is_surrogate(char32_t code) { return code >= 0xD800 && code <= 0xDFFF; }

TEST(Utf8, EveryScalarValueRoundTrips) {
    for (char32_t code = 0; code < 0x110000; ++code) {
        if (is_surrogate(code)) continue;
        std::string text;
        unicode::append_utf8(text, code);
        const auto c = unicode::decode_utf8(text, 0);
        ASSERT_EQ(c.code, code);
        ASSERT_EQ(c.length, text.size());
        ASSERT_EQ(unicode::utf8_length(static_cast<unsigned char>(text[0])), text.size());
    }
}

TEST(Utf8, BytesThatAreNotUtf8StandForThemselves) {
    // Lone continuation, overlong, surrogate, above U+10FFFF, bytes that never occur, truncated.
    for (const auto text :
         {"\x80"sv, "\xC0\x80"sv, "\xC1\xBF"sv, "\xE0\x9F\xBF"sv, "\xED\xA0\x80"sv, "\xF4\x90\x80\x80"sv,
          "\xF5\x80\x80\x80"sv, "\xFF"sv, "\xE2\x82"sv, "\xF0\x9F\x98"sv, "\xF0\x8F\xBF\xBF"sv, "\xC3("sv}) {
        const auto c = unicode::decode_utf8(text, 0);
        EXPECT_EQ(c.code, unicode::invalid_base + static_cast<unsigned char>(text[0]));
        EXPECT_EQ(c.length, 1u);
        std::string back;
        unicode::append_utf8(back, c.code);
        EXPECT_EQ(back, text.substr(0, 1));
        EXPECT_EQ(unicode::char_class(c.code), CharClass::other);
    }
}

TEST(Utf8, AnUnfinishedCharacterAtTheEndIsSeen) {
    const std::string_view text = "\xF0\x9F\xA6\x99";
    for (std::size_t length = 1; length < 4; ++length)
        EXPECT_EQ(unicode::incomplete_utf8_suffix(text.substr(0, length)), length);
    for (const auto complete : {""sv, "a"sv, text, "\x80"sv, "a\x80\x80\x80"sv, "\xC3\xA9"sv, "\xE0\x80"sv,
                                "\xED\xA0"sv, "\xF4\x90"sv, "\xC3z"sv, "\xFF"sv, "\xE2\x82\xAC\x82"sv})
        EXPECT_EQ(unicode::incomplete_utf8_suffix(complete), 0u) << complete;
    EXPECT_EQ(unicode::incomplete_utf8_suffix("abc\xE2\x82"), 2u);
    EXPECT_EQ(unicode::incomplete_utf8_suffix("\xE2\x82\xC3"), 1u);
}

// The counts are those of tokenizers' regular expressions, printed by tools/make_unicode_tables.py.
TEST(CharClasses, HaveAsManyMembersAsTheReference) {
    std::array<int, 4> counts{};
    for (char32_t code = 0; code < 0x110000; ++code) ++counts[static_cast<std::size_t>(unicode::char_class(code))];
    EXPECT_EQ(counts[1], 141028);
    EXPECT_EQ(counts[2], 1911);
    EXPECT_EQ(counts[3], 25);
}

TEST(CharClasses, TheShortcutForAsciiAgreesWithTheTable) {
    for (char32_t code = 0; code < 0x80; ++code)
        EXPECT_EQ(unicode::char_class(code), static_cast<CharClass>(unicode::detail::properties[code] & 3));
}

TEST(CharClasses, WordsAndDigitsOfTheReference) {
    int words = 0, digits = 0;
    for (char32_t code = 0; code < 0x110000; ++code) words += unicode::is_word(code), digits += unicode::is_digit(code);
    EXPECT_GT(words, 140'000);
    EXPECT_GT(digits, 1'800);
    for (const char32_t code : {U'a', U'Z', U'0', U'_', U'\u00e9', U'\u0301', U'\u200d', U'\u4e00', U'\u0663'})
        EXPECT_TRUE(unicode::is_word(code)) << static_cast<std::uint32_t>(code);
    for (const char32_t code :
         {U' ', U'-', U'\'', U'\u3000', U'\u00bd', char32_t{0x1F600}, char32_t{unicode::invalid_base + 0xFF}})
        EXPECT_FALSE(unicode::is_word(code)) << static_cast<std::uint32_t>(code);
    for (const char32_t code : {U'0', U'9', U'\u00b2', U'\u00bd', U'\u2167', U'\u0663'})
        EXPECT_TRUE(unicode::is_digit(code));
    for (const char32_t code : {U'a', U' ', U'\u4e00'}) EXPECT_FALSE(unicode::is_digit(code));
}

TEST(CharClasses, Samples) {
    static_assert(unicode::char_class(U'é') == CharClass::letter);
    static_assert(unicode::char_class(0x3000) == CharClass::space);
    for (const char32_t code : {0x17Fu, 0x4E00u, 0xAC00u, 0x2EBF0u})
        EXPECT_EQ(unicode::char_class(code), CharClass::letter);
    for (const char32_t code : {0xBDu, 0x2167u, 0x663u}) EXPECT_EQ(unicode::char_class(code), CharClass::number);
    for (const char32_t code : {0x85u, 0xA0u, 0x2028u}) EXPECT_EQ(unicode::char_class(code), CharClass::space);
    for (const char32_t code : {0x301u, 0x200Bu, 0x1F999u, 0x10FFFFu, 0xFEFFu})
        EXPECT_EQ(unicode::char_class(code), CharClass::other);
}

TEST(ByteLevel, TheAlphabetIsABijectionOfTheBytes) {
    std::array<int, 256> seen{};
    for (const int byte : byte_level::byte_of)
        if (byte >= 0) ++seen[static_cast<std::size_t>(byte)];
    for (const int count : seen) EXPECT_EQ(count, 1);
}

TEST(ByteLevel, KnownNames) {
    std::string bytes;
    EXPECT_TRUE(byte_level::append_bytes("ĠaĊ", bytes));
    EXPECT_EQ(bytes, " a\n");
    bytes.clear();
    EXPECT_TRUE(byte_level::append_bytes("Ã©", bytes));
    EXPECT_EQ(bytes, "\xC3\xA9");
    EXPECT_FALSE(byte_level::append_bytes(" ", bytes));
    EXPECT_FALSE(byte_level::append_bytes("▁", bytes));
    EXPECT_FALSE(byte_level::append_bytes("\xC3", bytes));
}

}  // namespace
