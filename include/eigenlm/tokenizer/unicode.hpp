#pragma once
// The three character classes that the split patterns ask for, and what goes with them. Bytes that are not UTF-8 (see
// base/utf8.hpp) are of class `other`. (Hugging Face never meets the case: it takes text that was decoded before.)
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "../base/utf8.hpp"
#include "unicode_data.hpp"

namespace eigenlm::inline EIGENLM_ABI::unicode {

namespace detail {

/// Looks up tables of (first code point << 11) | value: sorted, the first entry's code point is 0, and each value holds
/// up to the next entry's code point. An index by blocks of 128 code points leaves a few entries to search.
template <std::size_t N>
class RangeTable {
  public:
    constexpr explicit RangeTable(const std::uint32_t (&entries)[N]) : entries_(entries) {
        static_assert(N < 0x10000);
        std::size_t at = 0;
        for (std::size_t block = 0; block < std::size(starts_); ++block) {
            while (at + 1 < N && entries[at + 1] >> (11 + block_bits) < block) ++at;
            while (at + 1 < N && entries[at + 1] >> 11 <= block << block_bits) ++at;
            starts_[block] = static_cast<std::uint16_t>(at);
        }
    }
    /// The value of `code`, up to invalid_base + 0xFF.
    constexpr std::uint32_t operator[](char32_t code) const {
        std::size_t at = starts_[code >> block_bits];
        while (at + 1 < N && entries_[at + 1] >> 11 <= code) ++at;
        return entries_[at] & 0x7FF;
    }

  private:
    static constexpr unsigned block_bits = 7;

    const std::uint32_t (&entries_)[N];
    std::uint16_t starts_[(invalid_base + 0x100) >> block_bits] = {};  // the last entry at or before a block's start
};

inline constexpr RangeTable properties(data::properties);
inline constexpr RangeTable normalization(data::normalization);

}  // namespace detail

/// Which of `\p{L}`, `\p{N}` and `\s` (White_Space) a character is in; they are disjoint. The values are
/// unicode_data.hpp's.
enum class CharClass : std::uint8_t { other = 0, letter = 1, number = 2, space = 3 };

/// The class of a code point, as the regular expressions of Hugging Face tokenizers see it (unicode_data.hpp says which
/// version). Code points from invalid_base on are `other`.
constexpr CharClass char_class(char32_t code) {
    if (code < 0x80) {
        if ((code | 0x20) >= U'a' && (code | 0x20) <= U'z') return CharClass::letter;
        if (code >= U'0' && code <= U'9') return CharClass::number;
        return code == U' ' || (code >= 9 && code <= 13) ? CharClass::space : CharClass::other;
    }
    return static_cast<CharClass>(detail::properties[code] & 3);
}

/// `\w`: what single_word looks for beside an added token.
constexpr bool is_word(char32_t code) { return (detail::properties[code] & data::word) != 0; }
/// What the Digits pre-tokenizer takes for a digit: numeric characters of a newer Unicode than `\p{N}`'s.
constexpr bool is_digit(char32_t code) { return (detail::properties[code] & data::digit) != 0; }

}  // namespace eigenlm::inline EIGENLM_ABI::unicode
