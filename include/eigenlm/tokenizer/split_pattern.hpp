#pragma once
// The split patterns: where text is cut into the pieces that are then encoded one by one.
//
// A pattern is known by its exact text in tokenizer.json and matched by code written for it. The semantics are those of
// a backtracking regular expression engine: the first alternative that matches wins, and gives back characters only
// where a later part of the same alternative needs them.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "../base/abi.hpp"
#include "unicode.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// GPT-2's pattern, and the one of tiktoken's cl100k family in the two forms that models use; they differ in how digits
/// group.
enum class SplitPattern : std::uint8_t {
    gpt2,    ///< GPT-2, SmolLM: of the pre-tokenizer ByteLevel with use_regex
    qwen2,   ///< Qwen2, Qwen2.5, Qwen3: every digit is a piece
    llama3,  ///< Llama 3: up to three digits are a piece
};

/// The pattern written as `regex` in tokenizer.json, if it is one of those known.
constexpr std::optional<SplitPattern> split_pattern_of(std::string_view regex) {
    if (regex == R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)")
        return SplitPattern::gpt2;
    if (regex ==
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)")
        return SplitPattern::qwen2;
    if (regex ==
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)")
        return SplitPattern::llama3;
    return std::nullopt;
}

namespace detail {

/// Matches the alternatives of a pattern at one place in a text.
class PieceScanner {
  public:
    constexpr explicit PieceScanner(std::string_view text) : text_(text) {}

    /// 's|'t|'re|'ve|'m|'ll|'d at `pos`, where an apostrophe stands: the match's end, or `pos`. Ignores case on
    /// request.
    constexpr std::size_t contraction(std::size_t pos, bool any_case) const {
        const Next first = at(pos + 1), second = at(first.end);
        const auto letter = [any_case](char32_t code) { return any_case ? folded(code) : code; };
        switch (letter(first.code)) {
            case U's':
            case U't':
            case U'm':
            case U'd':
                return first.end;
            case U'r':
            case U'v':
                return letter(second.code) == U'e' ? second.end : pos;
            case U'l':
                return letter(second.code) == U'l' ? second.end : pos;
            default:
                return pos;
        }
    }

    /// The end of the longest run of `wanted` from `pos`, of at most `limit` characters.
    constexpr std::size_t run(unicode::CharClass wanted, std::size_t pos, std::size_t limit = SIZE_MAX) const {
        for (std::size_t count = 0; pos < text_.size() && count < limit; ++count) {
            const Next c = at(pos);
            if (c.klass != wanted) break;
            pos = c.end;
        }
        return pos;
    }

    /// [\r\n]* from `pos`.
    constexpr std::size_t newlines(std::size_t pos) const {
        while (pos < text_.size() && is_newline(static_cast<unsigned char>(text_[pos]))) ++pos;
        return pos;
    }

    /// \s*[\r\n]+|\s+(?!\S)|\s+ at `pos`, where white space stands: through the last newline of the white space, where
    /// these count; without one, all of it at the text's end and otherwise all but its last character, unless that is
    /// the only one.
    constexpr std::size_t white_space(std::size_t pos, bool newlines_count) const {
        std::size_t end = pos, last_start = pos, newline_end = pos;
        while (end < text_.size()) {
            const Next c = at(end);
            if (c.klass != unicode::CharClass::space) break;
            last_start = end;
            end = c.end;
            if (newlines_count && is_newline(c.code)) newline_end = end;
        }
        if (newline_end != pos) return newline_end;
        return end == text_.size() || last_start == pos ? end : last_start;
    }

    struct Next {
        char32_t code = 0;
        unicode::CharClass klass = unicode::CharClass::other;
        std::size_t end = 0;
    };
    /// The character at `pos`; behind the text, something that nothing matches.
    constexpr Next at(std::size_t pos) const {
        if (pos >= text_.size()) return {unicode::invalid_base + 0x100, unicode::CharClass::space, pos};
        const auto c = unicode::decode_utf8(text_, pos);
        return {c.code, unicode::char_class(c.code), pos + c.length};
    }

    static constexpr bool is_newline(char32_t code) { return code == U'\r' || code == U'\n'; }

  private:
    /// Simple case folding as far as contractions need it: U+017F, the long s, is an s.
    static constexpr char32_t folded(char32_t code) {
        if (code >= U'A' && code <= U'Z') return code + (U'a' - U'A');
        return code == 0x17F ? U's' : code;
    }

    std::string_view text_;
};

}  // namespace detail

namespace detail {

/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
constexpr std::size_t gpt2_piece_end(PieceScanner scan, std::size_t pos) {
    using enum unicode::CharClass;
    const auto first = scan.at(pos);
    if (first.code == U'\'') {
        if (const std::size_t end = scan.contraction(pos, false); end != pos) return end;
    }
    const auto word = first.code == U' ' ? scan.at(first.end) : first;
    if (word.klass != space) return scan.run(word.klass, word.end);
    return scan.white_space(pos, false);
}

/// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
/// \s+(?!\S)|\s+
constexpr std::size_t cl100k_piece_end(PieceScanner scan, std::size_t pos, std::size_t digits) {
    using enum unicode::CharClass;
    const auto first = scan.at(pos);
    if (first.code == U'\'') {
        if (const std::size_t end = scan.contraction(pos, true); end != pos) return end;
    }
    // [^\r\n\p{L}\p{N}]?\p{L}+
    if (first.klass == letter) return scan.run(letter, first.end);
    if (first.klass == number) return scan.run(number, pos, digits);
    if (!scan.is_newline(first.code)) {
        if (const std::size_t end = scan.run(letter, first.end); end != first.end) return end;
    }
    //  ?[^\s\p{L}\p{N}]+[\r\n]*
    if (first.klass == other || first.code == U' ') {
        const std::size_t end = scan.run(other, first.end);
        if (first.klass == other || end != first.end) return scan.newlines(end);
    }
    return scan.white_space(pos, true);
}

}  // namespace detail

/// Where the piece that starts at `pos` ends: pos < the result <= text.size(). Needs pos < text.size(). The pieces of a
/// text are found by calling this again from each end; what stands before `pos` does not matter.
constexpr std::size_t piece_end(SplitPattern pattern, std::string_view text, std::size_t pos) {
    const detail::PieceScanner scan(text);
    if (pattern == SplitPattern::gpt2) return detail::gpt2_piece_end(scan, pos);
    return detail::cl100k_piece_end(scan, pos, pattern == SplitPattern::llama3 ? 3 : 1);
}

}  // namespace eigenlm::inline EIGENLM_ABI
