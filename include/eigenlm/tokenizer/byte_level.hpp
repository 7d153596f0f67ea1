#pragma once
// The byte-level alphabet of GPT-2: how vocabularies in JSON files write tokens that are arbitrary bytes.
// Source: bytes_to_unicode() of github.com/openai/gpt-2, src/encoder.py.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "../base/abi.hpp"
#include "unicode.hpp"

namespace eigenlm::inline EIGENLM_ABI::byte_level {

/// Bytes that print stand for themselves as U+0021 to U+00FF; the other 68 count up from U+0100, in byte order.
constexpr bool stands_for_itself(unsigned byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/// How many code points the alphabet spans: 256 + 68.
inline constexpr std::size_t alphabet_end = 0x144;

/// The byte that each code point of the alphabet stands for; -1 in the gaps.
inline constexpr auto byte_of = [] {
    std::array<std::int16_t, alphabet_end> table{};
    table.fill(-1);
    std::size_t next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte)
        table[stands_for_itself(byte) ? byte : next++] = static_cast<std::int16_t>(byte);
    return table;
}();

/// Appends to `out` the bytes that `text`, written in the alphabet, stands for. False (and an unspecified tail of
/// `out`) when a character is outside of the alphabet.
inline bool append_bytes(std::string_view text, std::string& out) {
    for (std::size_t pos = 0; pos < text.size();) {
        const auto c = unicode::decode_utf8(text, pos);
        if (c.code >= alphabet_end || byte_of[c.code] < 0) return false;
        out.push_back(static_cast<char>(byte_of[c.code]));
        pos += c.length;
    }
    return true;
}

}  // namespace eigenlm::inline EIGENLM_ABI::byte_level
