#pragma once
// Text as bytes and as code points: UTF-8.
//
// Text may be any bytes. A byte that is not part of well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates,
// nothing above U+10FFFF) becomes a character of its own: the code point invalid_base + byte, which encodes back to
// that byte. Nothing is replaced by U+FFFD and nothing is lost.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "abi.hpp"

namespace eigenlm::inline EIGENLM_ABI::unicode {

/// Code points from here up to +0xFF stand for single bytes that are not UTF-8.
inline constexpr char32_t invalid_base = 0x110000;

/// One character of a text: its code point, and how many bytes it takes.
struct Character {
    char32_t code = 0;         ///< up to 0x10FFFF, or invalid_base + byte
    std::uint32_t length = 0;  ///< 1 to 4
};

/// How many bytes a UTF-8 sequence that starts with `lead` has; 0 when none does.
constexpr std::uint32_t utf8_length(unsigned char lead) {
    if (lead < 0x80) return 1;
    if (lead < 0xC2) return 0;
    if (lead < 0xE0) return 2;
    if (lead < 0xF0) return 3;
    return lead < 0xF5 ? 4 : 0;
}

/// Whether `second` may follow `lead`, which starts a sequence of two to four bytes.
constexpr bool utf8_second_fits(unsigned char lead, unsigned char second) {
    const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;   // below: overlong
    const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;  // above: surrogates, > U+10FFFF
    return second >= low && second <= high;
}

/// The character at text[pos]; pos < text.size(). See the top of this file for bytes that are not UTF-8.
constexpr Character decode_utf8(std::string_view text, std::size_t pos) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[pos + i]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    const Character invalid{invalid_base + lead, 1};
    const std::uint32_t length = utf8_length(lead);
    if (length == 0 || text.size() - pos < length || !utf8_second_fits(lead, byte(1))) return invalid;
    char32_t code = lead & (0x7Fu >> length);
    for (std::uint32_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return invalid;
        code = code << 6 | (byte(i) & 0x3Fu);
    }
    return {code, length};
}

/// The character that ends at text[pos]; 0 < pos <= text.size().
constexpr Character decode_utf8_before(std::string_view text, std::size_t pos) {
    for (std::size_t length = 1; length <= 4 && length <= pos; ++length) {
        const Character c = decode_utf8(text, pos - length);
        if (c.code < invalid_base && c.length == length) return c;
    }
    return {invalid_base + static_cast<unsigned char>(text[pos - 1]), 1};
}

/// Appends the UTF-8 form of `code`, or the single byte that an invalid_base code point stands for.
inline void append_utf8(std::string& out, char32_t code) {
    const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
    const auto put_tail = [&](char32_t bits) { put(0x80 | (bits & 0x3F)); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xC0 | code >> 6);
        put_tail(code);
    } else if (code < 0x10000) {
        put(0xE0 | code >> 12);
        put_tail(code >> 6);
        put_tail(code);
    } else if (code < invalid_base) {
        put(0xF0 | code >> 18);
        put_tail(code >> 12);
        put_tail(code >> 6);
        put_tail(code);
    } else {
        put(code - invalid_base);
    }
}

/// How many bytes at the end of `text` may still become a character when more bytes follow: 0 to 3.
constexpr std::size_t incomplete_utf8_suffix(std::string_view text) {
    for (std::size_t length = 1; length <= std::min<std::size_t>(3, text.size()); ++length) {
        const auto* tail = text.data() + (text.size() - length);
        const auto lead = static_cast<unsigned char>(tail[0]);
        if ((lead & 0xC0) == 0x80) continue;  // a continuation byte: its lead stands before it
        const bool fits = length == 1 || utf8_second_fits(lead, static_cast<unsigned char>(tail[1]));
        return utf8_length(lead) > length && fits ? length : 0;
    }
    return 0;
}

}  // namespace eigenlm::inline EIGENLM_ABI::unicode
