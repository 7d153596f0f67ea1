#pragma once
// Text as Python's str sees it: code points, classes of characters, and cases.
//
// Strings are UTF-8 here. A byte that is no part of well-formed UTF-8 counts as one character of no class, and stays
// the byte it is (base/utf8.hpp).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "../base/utf8.hpp"
#include "unicode_data.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// How many characters `text` has.
inline std::size_t count_characters(std::string_view text) {
    std::size_t count = 0;
    for (std::size_t pos = 0; pos < text.size(); ++count) pos += unicode::decode_utf8(text, pos).length;
    return count;
}

/// The flags of a character, of those in jinja::data.
inline std::uint32_t flags_of(char32_t code) {
    if (code >= unicode::invalid_base) return data::printable;
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
    unicode::append_utf8(out, static_cast<char32_t>(static_cast<std::int32_t>(code) + run.difference));
    return true;
}

template <std::size_t N>
bool append_sequence(std::string& out, char32_t code, const data::CaseSequence (&rows)[N]) {
    for (const data::CaseSequence& row : rows) {
        if (row.code != code) continue;
        for (const char32_t part : row.into)
            if (part != 0) unicode::append_utf8(out, part);
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
        before -= unicode::decode_utf8_before(text, before).length;
        flags = flags_of(unicode::decode_utf8(text, before).code);
    }
    if ((flags & cased) == 0 || (flags & data::ignorable) != 0) return false;
    for (std::size_t after = pos + 2; after < text.size();) {
        const unicode::Character next = unicode::decode_utf8(text, after);
        flags = flags_of(next.code);
        if ((flags & data::ignorable) == 0) return (flags & cased) == 0;
        after += next.length;
    }
    return true;
}

}  // namespace detail

/// Appends the character at text[pos] in another case.
inline void append_in_case(std::string& out, std::string_view text, std::size_t pos, Case to) {
    const char32_t code = unicode::decode_utf8(text, pos).code;
    if (code < 0x80) {
        const bool letter = (code | 32) >= 'a' && (code | 32) <= 'z';
        out.push_back(static_cast<char>(!letter ? code : to == Case::lower ? code | 32 : code & ~32u));
        return;
    }
    if (to == Case::lower) {
        if (code == 0x3A3 && detail::is_final_sigma(text, pos)) return unicode::append_utf8(out, 0x3C2);
        if (detail::append_sequence(out, code, data::to_lower_sequence) ||
            detail::append_run(out, code, data::to_lower))
            return;
        return unicode::append_utf8(out, code);
    }
    if (to == Case::title &&
        (detail::append_sequence(out, code, data::to_title_sequence) || detail::append_run(out, code, data::to_title)))
        return;
    if (detail::append_sequence(out, code, data::to_upper_sequence) || detail::append_run(out, code, data::to_upper))
        return;
    unicode::append_utf8(out, code);
}

/// All of `text` in upper or lower case.
inline std::string in_case(std::string_view text, Case to) {
    std::string out;
    for (std::size_t pos = 0; pos < text.size(); pos += unicode::decode_utf8(text, pos).length)
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
    for (std::size_t pos = 0; pos < text.size(); pos += unicode::decode_utf8(text, pos).length)
        append_in_case(out, text, pos, pos == 0 ? Case::title : Case::lower);
    return out;
}

/// str.title: letters behind other letters in lower case, the others in title case.
inline std::string titled(std::string_view text) {
    std::string out;
    bool inside = false;
    for (std::size_t pos = 0; pos < text.size();) {
        const unicode::Character next = unicode::decode_utf8(text, pos);
        append_in_case(out, text, pos, inside ? Case::lower : Case::title);
        inside = has_flag(next.code, data::upper | data::lower | data::title);
        pos += next.length;
    }
    return out;
}

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
