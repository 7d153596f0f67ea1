#pragma once
// A template's text as tokens: data between tags, and what stands in them.
//
// With trim_blocks and lstrip_blocks, as transformers has it: a line's end behind a block goes, and so do blanks
// between a line's begin and a block.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/error.hpp"
#include "context.hpp"
#include "text.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// What a token is.
enum class TokenType : std::uint8_t {
    data,            ///< text outside of tags
    variable_begin,  ///< {{
    variable_end,    ///< }}
    block_begin,     ///< {%
    block_end,       ///< %}
    name,            ///< a name or keyword
    string,          ///< a string, without quotes and escapes
    integer,         ///< a whole number
    real,            ///< a number with a fraction or exponent
    sign,            ///< an operator or delimiter
    end,             ///< of the template
};

/// One token.
struct Token {
    TokenType type = TokenType::end;  ///< what it is
    std::size_t at = 0;               ///< its first byte in the source
    std::string text;                 ///< a name, a string's content, a sign
    std::int64_t integer = 0;         ///< an integer's value
    double real = 0;                  ///< a float's value

    /// Whether it is that sign.
    bool is_sign(std::string_view sign) const { return type == TokenType::sign && text == sign; }
    /// Whether it is that name.
    bool is_name(std::string_view name) const { return type == TokenType::name && text == name; }
};

/// `source` with \n for all ends of lines, without the last one.
inline std::string normalized(std::string_view source) {
    std::string out;
    for (std::size_t i = 0; i < source.size(); ++i) {
        const bool both = source.substr(i, 2) == "\r\n";
        out.push_back(source[i] == '\r' ? '\n' : source[i]);
        if (both) ++i;
    }
    if (out.ends_with('\n')) out.pop_back();
    return out;
}

/// Cuts a normalized source into tokens, one at a time. Throws FormatError for what is none.
class Lexer {
  public:
    /// Both must outlive it; `where` names the template in messages.
    Lexer(std::string_view source, const std::string& where) : source_(source), where_(where) {}

    /// The next one; at the end always the end.
    Token next();
    /// An error at a byte of the source.
    [[noreturn]] void fail(std::size_t at, const std::string& what) const {
        throw FormatError(place_of(where_, source_, at), what);
    }
    /// The same for what this library does not do.
    [[noreturn]] void unsupported(std::size_t at, const std::string& what) const {
        throw UnsupportedError(place_of(where_, source_, at), what);
    }

  private:
    enum class State { data, raw, variable, block };

    char peek(std::size_t ahead = 0) const { return pos_ + ahead < source_.size() ? source_[pos_ + ahead] : '\0'; }
    bool here(std::string_view text) const { return source_.substr(pos_, text.size()) == text; }
    bool is_digit(std::size_t at) const { return at < source_.size() && source_[at] >= '0' && source_[at] <= '9'; }
    std::size_t past_space(std::size_t at) const {
        while (at < source_.size() && is_space(unicode::decode_utf8(source_, at).code))
            at += unicode::decode_utf8(source_, at).length;
        return at;
    }
    /// Behind "%}" or "#}" at pos_, with what -, + or trim_blocks say of the text behind it.
    void close(char sign, std::size_t length) {
        pos_ += length;
        if (sign == '-')
            pos_ = past_space(pos_);
        else if (sign != '+' && peek() == '\n')
            ++pos_;
    }
    std::string_view stripped_before(std::string_view text, char sign, bool block) const;
    std::size_t end_of_raw_begin(std::size_t at) const;
    bool data_token(Token& token);
    bool raw_token(Token& token);
    void comment();
    bool tag_end(Token& token);
    void number(Token& token);
    std::size_t digits_end(std::size_t at) const;
    bool real_number(Token& token);
    void string(Token& token);
    void escape(std::string& out, std::size_t& at, std::size_t end);
    void sign(Token& token);

    std::string_view source_;
    const std::string& where_;
    std::size_t pos_ = 0;
    State state_ = State::data;
    bool tag_begun_ = false;  // its begin has been a token
    std::string open_;        // parentheses that are to be closed, the closing ones
};

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE std::string_view Lexer::stripped_before(std::string_view text, char sign, bool block) const {
    if (sign == '-') {
        while (!text.empty()) {
            const std::size_t last = text.size() - unicode::decode_utf8_before(text, text.size()).length;
            if (!is_space(unicode::decode_utf8(text, last).code)) break;
            text = text.substr(0, last);
        }
    } else if (sign != '+' && block) {
        const std::size_t line = text.rfind('\n') + 1;  // 0 when there is none
        const bool at_begin = line > 0 || pos_ == 0 || source_[pos_ - 1] == '\n';
        std::size_t at = line;
        while (at < text.size() && is_space(unicode::decode_utf8(text, at).code))
            at += unicode::decode_utf8(text, at).length;
        if (at_begin && at == text.size()) text = text.substr(0, line);
    }
    return text;
}

EIGENLM_LARGE std::size_t Lexer::end_of_raw_begin(std::size_t at) const {
    at += 2;
    if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) ++at;
    at = past_space(at);
    if (source_.substr(at, 3) != "raw") return std::string_view::npos;
    at = past_space(at + 3);
    if (source_.substr(at, 3) == "-%}") return past_space(at + 3);
    return source_.substr(at, 2) == "%}" ? at + 2 : std::string_view::npos;
}

EIGENLM_LARGE bool Lexer::data_token(Token& token) {
    std::size_t begin = pos_;
    while (begin < source_.size()) {
        begin = std::min(source_.find('{', begin), source_.size());
        const char kind = begin + 1 < source_.size() ? source_[begin + 1] : '\0';
        if (kind == '{' || kind == '%' || kind == '#') break;
        if (begin < source_.size()) ++begin;
    }
    std::string_view text = source_.substr(pos_, begin - pos_);
    token.at = pos_;
    token.type = TokenType::data;
    if (begin < source_.size()) {
        const char kind = source_[begin + 1], mark = begin + 2 < source_.size() ? source_[begin + 2] : '\0';
        const bool marked = mark == '-' || mark == '+';
        text = stripped_before(text, marked ? mark : '\0', kind != '{');
        const std::size_t raw = kind == '%' ? end_of_raw_begin(begin) : std::string_view::npos;
        pos_ = raw != std::string_view::npos ? raw : begin + (marked ? 3 : 2);
        if (raw != std::string_view::npos)
            state_ = State::raw;
        else if (kind == '#')
            comment();
        else
            state_ = kind == '{' ? State::variable : State::block;
    } else {
        pos_ = begin;
    }
    token.text = text;
    return !text.empty();
}

EIGENLM_LARGE void Lexer::comment() {
    if (pos_ == source_.size()) return;  // jinja2 does not mind
    const std::size_t end = source_.find("#}", pos_);
    if (end == std::string_view::npos) fail(pos_, "missing end of comment tag");
    const char mark = end > pos_ ? source_[end - 1] : '\0';
    pos_ = end;
    close(mark, 2);
}

EIGENLM_LARGE bool Lexer::raw_token(Token& token) {
    for (std::size_t begin = source_.find("{%", pos_); begin != std::string_view::npos;
         begin = source_.find("{%", begin + 1)) {
        std::size_t at = begin + 2;
        const char mark = at < source_.size() ? source_[at] : '\0';
        const bool marked = mark == '-' || mark == '+';
        at = past_space(at + (marked ? 1 : 0));
        if (source_.substr(at, 6) != "endraw") continue;
        at = past_space(at + 6);
        const char last = at < source_.size() ? source_[at] : '\0';
        const std::size_t length = last == '-' || last == '+' ? 3 : 2;
        if (source_.substr(at + length - 2, 2) != "%}") continue;
        token.at = pos_;
        token.type = TokenType::data;
        token.text = stripped_before(source_.substr(pos_, begin - pos_), marked ? mark : '\0', true);
        pos_ = at;
        close(length == 3 ? last : '\0', length);
        state_ = State::data;
        return !token.text.empty();
    }
    if (pos_ < source_.size()) fail(pos_, "missing end of raw directive");
    state_ = State::data;
    return false;
}

EIGENLM_LARGE bool Lexer::tag_end(Token& token) {
    if (!open_.empty()) return false;
    const bool variable = state_ == State::variable;
    const std::string_view end = variable ? "}}" : "%}";
    const char mark = peek() == '-' || (!variable && peek() == '+') ? peek() : '\0';
    if (source_.substr(pos_ + (mark ? 1 : 0), 2) != end) return false;
    token.type = variable ? TokenType::variable_end : TokenType::block_end;
    close(variable && mark == '\0' ? '+' : mark, mark ? 3 : 2);  // behind }} the line's end stays
    state_ = State::data;
    return true;
}

EIGENLM_LARGE std::size_t Lexer::digits_end(std::size_t at) const {
    while (is_digit(at) || (source_.substr(at, 1) == "_" && is_digit(at - 1) && is_digit(at + 1))) ++at;
    return at;
}

EIGENLM_LARGE bool Lexer::real_number(Token& token) {
    if (pos_ > 0 && source_[pos_ - 1] == '.') return false;
    std::size_t end = digits_end(pos_);
    bool real = false;
    if (source_.substr(end, 1) == "." && is_digit(end + 1)) {
        end = digits_end(end + 1);
        real = true;
    }
    if (end < source_.size() && (source_[end] | 32) == 'e') {
        const std::size_t first = end + 1 + (source_.substr(end + 1, 1).find_first_of("+-") == 0 ? 1 : 0);
        if (is_digit(first)) {
            end = digits_end(first);
            real = true;
        }
    }
    if (!real) return false;
    std::string digits(source_.substr(pos_, end - pos_));
    digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
    token.type = TokenType::real;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), token.real);
    if (result.ec != std::errc()) token.real = digits.find("e-") == digits.find("E-") ? HUGE_VAL : 0;  // both npos
    pos_ = end;
    return true;
}

EIGENLM_LARGE void Lexer::number(Token& token) {
    if (real_number(token)) return;
    token.type = TokenType::integer;
    const char letter = static_cast<char>(peek(1) | 32);
    const int base = peek() != '0' ? 10 : letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
    const auto fits = [&](std::size_t at) {
        if (at >= source_.size()) return false;
        const char c = source_[at];
        const int value = c >= '0' && c <= '9'                 ? c - '0'
                          : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                               : 99;
        return base == 10 && peek() == '0' ? c == '0' : value < base;
    };
    std::size_t at = pos_ + (base == 10 ? 0 : 2);
    std::string digits;
    for (; fits(at) || (source_.substr(at, 1) == "_" && fits(at + 1) && (base != 10 || at > pos_)); ++at)
        if (source_[at] != '_') digits.push_back(source_[at]);
    if (digits.empty()) {  // "0x" and nothing behind it: 0, and then a name
        digits = "0";
        at = pos_ + 1;
    }
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), token.integer, base);
    if (result.ec != std::errc()) fail(pos_, "integers of more than 64 bits: " + digits.substr(0, 50));
    pos_ = at;
}

EIGENLM_LARGE void Lexer::escape(std::string& out, std::size_t& at, std::size_t end) {
    const char letter = source_[at];
    constexpr std::string_view letters = "\n\\'\"abfnrtv", into("\0\\'\"\a\b\f\n\r\t\v", 11);
    const std::size_t known = letters.find(letter);
    const std::size_t width = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    char32_t code = 0;
    if (known != std::string_view::npos) {
        if (known > 0) out.push_back(into[known]);
        ++at;
    } else if (width > 0) {
        const std::size_t stop = std::min(at + 1 + width, end);
        std::uint32_t value = 0;
        const auto result = std::from_chars(source_.data() + at + 1, source_.data() + stop, value, 16);
        code = value;
        if (stop - at - 1 != width || result.ptr != source_.data() + stop || code > 0x10FFFF)
            fail(at - 1, std::string("a truncated or impossible \\") + letter + " escape");
        if (code >= 0xD800 && code < 0xE000) unsupported(at - 1, "half a surrogate pair in a string");
        unicode::append_utf8(out, code);
        at = stop;
    } else if (letter >= '0' && letter <= '7') {
        const std::size_t stop = std::min(at + 3, end);
        for (; at < stop && source_[at] >= '0' && source_[at] <= '7'; ++at)
            code = code * 8 + static_cast<char32_t>(source_[at] - '0');
        unicode::append_utf8(out, code);
    } else if (letter == 'N') {
        unsupported(at - 1, "\\N{...} in a string");
    } else {  // Python has by then written the others as escapes, and sees a backslash before one
        out.push_back('\\');
        const auto [other, length] = unicode::decode_utf8(source_, at);
        if (other < 0x80) {
            out.push_back(letter);
        } else {
            std::string escaped;
            const int hex = other < 0x100 ? 2 : other < 0x10000 ? 4 : 8;
            for (int i = hex - 1; i >= 0; --i) escaped.push_back("0123456789abcdef"[other >> (4 * i) & 15]);
            out += (hex == 2 ? "x" : hex == 4 ? "u" : "U") + escaped;
        }
        at += length;
    }
}

EIGENLM_LARGE void Lexer::string(Token& token) {
    token.type = TokenType::string;
    std::size_t end = pos_ + 1;
    while (end < source_.size() && source_[end] != peek()) end += source_[end] == '\\' ? 2u : 1u;
    if (end >= source_.size()) fail(pos_, "a string that does not end");
    for (std::size_t at = pos_ + 1; at < end;) {
        if (source_[at] == '\\')
            escape(token.text, ++at, end);
        else
            token.text.push_back(source_[at++]);
    }
    pos_ = end + 1;
}

EIGENLM_LARGE void Lexer::sign(Token& token) {
    token.type = TokenType::sign;
    for (const std::string_view two : {"**", "//", "==", "!=", ">=", "<="})
        if (here(two)) token.text = two;
    constexpr std::string_view ones = "+-/*%~[](){}><=.:|,;";
    if (token.text.empty() && ones.find(peek()) == std::string_view::npos) {
        const auto [code, length] = unicode::decode_utf8(source_, pos_);
        fail(pos_, "unexpected character '" + std::string(source_.substr(pos_, length)) + "'");
    }
    if (token.text.empty()) token.text = peek();
    const char c = token.text[0];
    if (c == '(' || c == '[' || c == '{') open_.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    if (c == ')' || c == ']' || c == '}') {
        if (open_.empty()) fail(pos_, std::string("unexpected '") + c + "'");
        if (open_.back() != c) fail(pos_, std::string("unexpected '") + c + "', expected '" + open_.back() + "'");
        open_.pop_back();
    }
    pos_ += token.text.size();
}

EIGENLM_LARGE Token Lexer::next() {
    Token token;
    while (state_ == State::raw || (state_ == State::data && pos_ < source_.size()))
        if (state_ == State::data ? data_token(token) : raw_token(token)) return token;
    token = Token();
    token.at = pos_;
    if (state_ == State::data) return token;
    if (!tag_begun_) {
        tag_begun_ = true;
        token.type = state_ == State::variable ? TokenType::variable_begin : TokenType::block_begin;
        return token;
    }
    while (true) {
        token.at = pos_;
        if (tag_end(token)) {
            tag_begun_ = false;
            return token;
        }
        const std::size_t after = past_space(pos_);
        if (after == pos_) break;
        pos_ = after;
    }
    if (pos_ == source_.size()) return token;
    if (is_digit(pos_)) {
        number(token);
    } else if (is_word(unicode::decode_utf8(source_, pos_).code)) {
        token.type = TokenType::name;
        for (; pos_ < source_.size() && is_word(unicode::decode_utf8(source_, pos_).code);)
            pos_ += unicode::decode_utf8(source_, pos_).length;
        token.text = source_.substr(token.at, pos_ - token.at);
    } else if (peek() == '\'' || peek() == '"') {
        string(token);
    } else {
        sign(token);
    }
    return token;
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
