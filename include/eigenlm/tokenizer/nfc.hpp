#pragma once
// Unicode normalization form C: decompose canonically, order the combining marks, compose (UAX #15).
//
// The result is that of Hugging Face tokenizers, whose NFC knows fewer combining marks than the current Unicode: see
// unicode_data.hpp. Bytes that are not UTF-8 stay where they are and nothing composes across them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "../base/abi.hpp"
#include "unicode.hpp"

namespace eigenlm::inline EIGENLM_ABI::unicode {

namespace detail {

// Hangul syllables are computed (The Unicode Standard, section 3.12): 19 leading, 21 vowel and 27 trailing jamo.
inline constexpr char32_t hangul_syllable = 0xAC00, hangul_lead = 0x1100, hangul_vowel = 0x1161, hangul_tail = 0x11A7;
inline constexpr char32_t num_leads = 19, num_vowels = 21, num_tails = 28;  // tails count "none"
inline constexpr char32_t num_syllables = num_leads * num_vowels * num_tails;
inline constexpr std::uint32_t needs_nfc_flag = 0x100;

constexpr bool between(char32_t code, char32_t first, char32_t count) { return code >= first && code - first < count; }

/// Below U+0300 everything is its own NFC and has combining class 0.
constexpr std::uint32_t normalization_of(char32_t code) { return code < 0x300 ? 0 : normalization[code]; }

constexpr std::uint32_t combining_class(char32_t code) { return normalization_of(code) & 0xFF; }

/// A character before which NFC never reaches back, and that it never changes by itself.
constexpr bool is_boundary(char32_t code) { return normalization_of(code) == 0; }

inline void append_decomposed(char32_t code, std::vector<char32_t>& out) {
    if (between(code, hangul_syllable, num_syllables)) {
        const char32_t index = code - hangul_syllable;
        out.push_back(hangul_lead + index / (num_vowels * num_tails));
        out.push_back(hangul_vowel + index % (num_vowels * num_tails) / num_tails);
        if (index % num_tails != 0) out.push_back(hangul_tail + index % num_tails);
        return;
    }
    char32_t seconds[8];  // the longest chain has 3 steps
    std::size_t count = 0;
    while (count < std::size(seconds)) {
        const auto* entry = std::lower_bound(std::begin(data::decompositions), std::end(data::decompositions), code,
                                             [](const auto& e, char32_t c) { return e.composed < c; });
        if (entry == std::end(data::decompositions) || entry->composed != code) break;
        if (entry->second != 0) seconds[count++] = entry->second;
        code = entry->first;
    }
    out.push_back(code);
    while (count > 0) out.push_back(seconds[--count]);
}

/// The character that stands for `first` followed by `second`, if there is one.
inline std::optional<char32_t> compose(char32_t first, char32_t second) {
    if (between(first, hangul_lead, num_leads) && between(second, hangul_vowel, num_vowels))
        return hangul_syllable + ((first - hangul_lead) * num_vowels + (second - hangul_vowel)) * num_tails;
    if (between(first, hangul_syllable, num_syllables) && (first - hangul_syllable) % num_tails == 0 &&
        between(second, hangul_tail + 1, num_tails - 1))
        return first + (second - hangul_tail);
    const auto* entry = std::lower_bound(
        std::begin(data::compositions), std::end(data::compositions), std::pair(first, second),
        [](const auto& e, const auto& key) { return std::tie(e.first, e.second) < std::tie(key.first, key.second); });
    if (entry == std::end(data::compositions) || entry->first != first || entry->second != second) return std::nullopt;
    return entry->composed;
}

/// Sorts every run of combining marks by class, stably; a run may be as long as the text.
inline void order_marks(std::vector<char32_t>& chars) {
    const auto is_mark = [](char32_t c) { return combining_class(c) != 0; };
    const auto before = [](char32_t a, char32_t b) { return combining_class(a) < combining_class(b); };
    for (auto begin = chars.begin(); begin != chars.end();) {
        begin = std::find_if(begin, chars.end(), is_mark);
        const auto end = std::find_if_not(begin, chars.end(), is_mark);
        if (end - begin > 64)
            std::stable_sort(begin, end, before);
        else  // by insertion: real runs are short, and stable_sort allocates
            for (auto mark = begin; mark != end; ++mark)
                std::rotate(std::upper_bound(begin, mark, *mark, before), mark, mark + 1);
        begin = end;
    }
}

/// Composes `chars`, decomposed and ordered, in place, and appends the result to `out`.
inline void append_composed(std::vector<char32_t>& chars, std::string& out) {
    std::size_t size = 0;                // of the result, which never outgrows what has been read
    std::optional<std::size_t> starter;  // index in it of the last character of class 0
    std::uint32_t last_class = 0;        // of the character before this one, when it was not composed away
    for (const char32_t code : chars) {
        const std::uint32_t this_class = combining_class(code);
        if (starter && (last_class == 0 || last_class < this_class)) {
            if (const auto one = compose(chars[*starter], code)) {
                chars[*starter] = *one;
                continue;
            }
        }
        if (this_class == 0) starter = size;
        last_class = this_class;
        chars[size++] = code;
    }
    for (std::size_t i = 0; i < size; ++i) append_utf8(out, chars[i]);
}

}  // namespace detail

/// `text` in normalization form C: itself where it is that already by the looks of each character, or else in `out`.
/// Takes linear time, apart from the sorting of runs of combining marks. `chars` is working memory.
inline std::string_view nfc(std::string_view text, std::string& out, std::vector<char32_t>& chars) {
    out.clear();
    std::size_t copied = 0;    // text before this is in `out`
    std::size_t boundary = 0;  // start of the last boundary character
    for (std::size_t pos = 0; pos < text.size();) {
        Character c = decode_utf8(text, pos);
        if (detail::is_boundary(c.code)) {
            boundary = pos;
            pos += c.length;
            continue;
        }
        // From the boundary before to the one after, the text may change.
        out.append(text, copied, boundary - copied);
        chars.clear();
        for (pos = boundary; pos < text.size(); pos += c.length) {
            c = decode_utf8(text, pos);
            if (pos != boundary && detail::is_boundary(c.code)) break;
            detail::append_decomposed(c.code, chars);
        }
        detail::order_marks(chars);
        detail::append_composed(chars, out);
        copied = boundary = pos;
    }
    return copied == 0 ? text : std::string_view(out.append(text, copied));
}

/// The same as a string.
inline std::string nfc(std::string_view text) {
    std::string out;
    std::vector<char32_t> chars;
    return std::string(nfc(text, out, chars));
}

}  // namespace eigenlm::inline EIGENLM_ABI::unicode
