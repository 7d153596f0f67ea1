#pragma once
// Text as Python's str sees it: code points, classes of characters, and cases.
//
// Strings are UTF-8 here. A byte that is no part of well-formed UTF-8 counts as one character of no class, and stays
// the byte it is.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "../base/abi.hpp"
#include "unicode_data.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// Code points from here up to +0xFF stand for single bytes that are not UTF-8.
inline constexpr char32_t stray_byte = 0x110000;

/// One character of a text.
struct Character {
    char32_t code = 0;       ///< its code point, or stray_byte + byte
    std::size_t length = 0;  ///< bytes it takes, 1 to 4
};

/// The character at text[pos]; pos < text.size().
inline Character character_at(std::string_view text, std::size_t pos) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[pos + i]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    const std::size_t length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    if (length == 0 || text.size() - pos < length) return {stray_byte + lead, 1};
    char32_t code = lead & (0x7Fu >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return {stray_byte + lead, 1};
        code = code << 6 | (byte(i) & 0x3Fu);
    }
    const bool overlong = code < (length == 3 ? 0x800u : length == 4 ? 0x10000u : 0x80u);
    if (overlong || (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF) return {stray_byte + lead, 1};
    return {code, length};
}

/// Where the character that ends before `pos` begins; pos > 0.
inline std::size_t character_before(std::string_view text, std::size_t pos) {
    for (std::size_t length = std::min<std::size_t>(4, pos); length > 1; --length)
        if (character_at(text, pos - length).length == length) return pos - length;
    return pos - 1;
}

/// Appends the UTF-8 form of `code`, or the byte that it stands for.
inline void append_character(std::string& out, char32_t code) {
    const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (code < 0x80) return put(code);
    if (code >= stray_byte) return put(code - stray_byte);
    if (code < 0x800) {
        put(0xC0 | code >> 6);
    } else {
        if (code < 0x10000) {
            put(0xE0 | code >> 12);
        } else {
            put(0xF0 | code >> 18);
            put(0x80 | (code >> 12 & 0x3F));
        }
        put(0x80 | (code >> 6 & 0x3F));
    }
    put(0x80 | (code & 0x3F));
}

/// How many characters `text` has.
inline std::size_t count_characters(std::string_view text) {
    std::size_t count = 0;
    for (std::size_t pos = 0; pos < text.size(); ++count) pos += character_at(text, pos).length;
    return count;
}

/// The flags of a character, of those in jinja::data.
inline std::uint32_t flags_of(char32_t code) {
    if (code >= stray_byte) return data::printable;
    const auto* next = std::upper_bound(std::begin(data::classes), std::end(data::classes),
                                        static_cast<std::uint32_t>(code) << 10 | 0x3FF);
    return *(next - 1) & 0x3FF;  // the table begins with code point 0
}

/// Whether a character has one of `flags`.
inline bool has_flag(char32_t code, std::uint32_t flags) { return (flags_of(code) & flags) != 0; }

/// str.isspace of one character.
inline bool is_space(char32_t code) {
    if (code < 0x80) return code == ' ' || (code >= 9 && code <= 13) || (code >= 0x1C && code <= 0x1F);
    return has_flag(code, data::space);
}

/// Whether a character is part of a word, as regular expressions see it.
inline bool is_word(char32_t code) {
    if (code < 0x80) return (code >= '0' && code <= '9') || ((code | 32) >= 'a' && (code | 32) <= 'z') || code == '_';
    return has_flag(code, data::alpha | data::decimal | data::digit | data::numeric);
}

/// Whether str.splitlines ends a line at a character.
inline bool is_line_end(char32_t code) {
    return (code >= 10 && code <= 13) || (code >= 0x1C && code <= 0x1E) || code == 0x85 || code == 0x2028 ||
           code == 0x2029;
}

/// The three that change cases.
enum class Case { upper, lower, title };

namespace detail {

template <std::size_t N>
bool append_run(std::string& out, char32_t code, const data::CaseRun (&runs)[N]) {
    const auto* next = std::upper_bound(std::begin(runs), std::end(runs), code,
                                        [](char32_t c, const data::CaseRun& run) { return c < run.first; });
    if (next == std::begin(runs)) return false;
    const data::CaseRun& run = *(next - 1);
    if (code > run.last || (code - run.first) % run.step != 0) return false;
    append_character(out, static_cast<char32_t>(static_cast<std::int32_t>(code) + run.difference));
    return true;
}

template <std::size_t N>
bool append_sequence(std::string& out, char32_t code, const data::CaseSequence (&rows)[N]) {
    for (const data::CaseSequence& row : rows) {
        if (row.code != code) continue;
        for (const char32_t part : row.into)
            if (part != 0) append_character(out, part);
        return true;
    }
    return false;
}

/// A capital sigma becomes a final one behind a letter when none follows, characters such as ' left out.
inline bool is_final_sigma(std::string_view text, std::size_t pos) {
    const std::uint32_t cased = data::upper | data::lower | data::title;
    std::size_t before = pos;
    std::uint32_t flags = data::ignorable;
    while (before > 0 && (flags & data::ignorable) != 0) {
        before = character_before(text, before);
        flags = flags_of(character_at(text, before).code);
    }
    if ((flags & cased) == 0 || (flags & data::ignorable) != 0) return false;
    for (std::size_t after = pos + 2; after < text.size();) {
        const Character next = character_at(text, after);
        flags = flags_of(next.code);
        if ((flags & data::ignorable) == 0) return (flags & cased) == 0;
        after += next.length;
    }
    return true;
}

}  // namespace detail

/// Appends the character at text[pos] in another case.
inline void append_in_case(std::string& out, std::string_view text, std::size_t pos, Case to) {
    const char32_t code = character_at(text, pos).code;
    if (code < 0x80) {
        const bool letter = (code | 32) >= 'a' && (code | 32) <= 'z';
        out.push_back(static_cast<char>(!letter ? code : to == Case::lower ? code | 32 : code & ~32u));
        return;
    }
    if (to == Case::lower) {
        if (code == 0x3A3 && detail::is_final_sigma(text, pos)) return append_character(out, 0x3C2);
        if (detail::append_sequence(out, code, data::to_lower_sequence) ||
            detail::append_run(out, code, data::to_lower))
            return;
        return append_character(out, code);
    }
    if (to == Case::title &&
        (detail::append_sequence(out, code, data::to_title_sequence) || detail::append_run(out, code, data::to_title)))
        return;
    if (detail::append_sequence(out, code, data::to_upper_sequence) || detail::append_run(out, code, data::to_upper))
        return;
    append_character(out, code);
}

/// All of `text` in upper or lower case.
inline std::string in_case(std::string_view text, Case to) {
    std::string out;
    for (std::size_t pos = 0; pos < text.size(); pos += character_at(text, pos).length)
        append_in_case(out, text, pos, to);
    return out;
}

/// str.upper and str.lower.
/// @{
inline std::string in_upper_case(std::string_view text) { return in_case(text, Case::upper); }
inline std::string in_lower_case(std::string_view text) { return in_case(text, Case::lower); }
/// @}

/// str.capitalize: the first character in title case, the others in lower case.
inline std::string capitalized(std::string_view text) {
    std::string out;
    for (std::size_t pos = 0; pos < text.size(); pos += character_at(text, pos).length)
        append_in_case(out, text, pos, pos == 0 ? Case::title : Case::lower);
    return out;
}

/// str.title: letters behind other letters in lower case, the others in title case.
inline std::string titled(std::string_view text) {
    std::string out;
    bool inside = false;
    for (std::size_t pos = 0; pos < text.size();) {
        const Character next = character_at(text, pos);
        append_in_case(out, text, pos, inside ? Case::lower : Case::title);
        inside = has_flag(next.code, data::upper | data::lower | data::title);
        pos += next.length;
    }
    return out;
}

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
