#pragma once
// The methods of strings, as Python's str has them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "arithmetic.hpp"
#include "format_text.hpp"
#include "print.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// Which ends of a text.
enum class Ends { left, right, both };

/// `text` without the characters of `chars` (null: white space) at its ends.
inline std::string_view stripped(std::string_view text, const std::string_view* chars, Ends ends) {
    const auto goes = [&](std::size_t at, std::size_t length) {
        if (chars == nullptr) return is_space(unicode::decode_utf8(text, at).code);
        for (std::size_t i = 0; i < chars->size(); i += unicode::decode_utf8(*chars, i).length)
            if (chars->substr(i, unicode::decode_utf8(*chars, i).length) == text.substr(at, length)) return true;
        return false;
    };
    while (ends != Ends::right && !text.empty()) {
        const std::size_t length = unicode::decode_utf8(text, 0).length;
        if (!goes(0, length)) break;
        text.remove_prefix(length);
    }
    while (ends != Ends::left && !text.empty()) {
        const std::size_t at = text.size() - unicode::decode_utf8_before(text, text.size()).length;
        if (!goes(at, text.size() - at)) break;
        text = text.substr(0, at);
    }
    return text;
}

/// str(text) without what is to be stripped off; none: white space.
inline Value strip_value(Context& context, const Value& self, const Value& chars, Ends ends) {
    context.scan(4 * text_of(self).size());
    if (chars.is(Type::none))
        return make_text(context, std::string(stripped(text_of(self), nullptr, ends)), self.as<Text>().safe);
    if (!chars.is(Type::string)) context.fail("strip arg must be None or str");
    const std::string_view these = text_of(chars);
    context.step(these.size() * text_of(self).size() / 64);  // where all of it is stripped
    return make_text(context, std::string(stripped(text_of(self), &these, ends)), self.as<Text>().safe);
}

/// `text` with at most `count` (below 0: all) of `old` replaced.
inline std::string replaced(Context& context, std::string_view text, std::string_view old, std::string_view with,
                            std::int64_t count) {
    std::string out;
    std::size_t pos = 0;
    context.scan(text.size());
    for (; count != 0; --count) {
        const std::size_t found = find_text(text, old, pos);
        if (found == std::string_view::npos) break;
        context.step();
        std::size_t end = found + old.size();
        out += text.substr(pos, found - pos);
        out += with;
        context.need(out.size());
        if (old.empty()) {
            if (found == text.size()) return out;
            end = found + unicode::decode_utf8(text, found).length;
            out += text.substr(found, end - found);
        }
        pos = end;
    }
    return out.append(text.substr(pos));
}

/// One piece more of a text, if there is room for the strings that become of them.
inline void add_piece(const Context& context, std::vector<std::string_view>& pieces, std::string_view piece) {
    context.need(pieces.size() * (sizeof(Text) + sizeof(Value)));
    pieces.push_back(piece);
}

/// Lines with or without their ends, as str.splitlines cuts them.
inline std::vector<std::string_view> lines_of(Context& context, std::string_view text, bool keep_ends) {
    std::vector<std::string_view> lines;
    for (std::size_t begin = 0, pos = 0; begin < text.size();) {
        while (pos < text.size() && !is_line_end(unicode::decode_utf8(text, pos).code))
            pos += unicode::decode_utf8(text, pos).length;
        const std::size_t stop = pos;
        if (pos < text.size()) pos += text.substr(pos, 2) == "\r\n" ? 2 : unicode::decode_utf8(text, pos).length;
        add_piece(context, lines, text.substr(begin, (keep_ends ? pos : stop) - begin));
        begin = pos;
    }
    return lines;
}

/// Pieces between white space, at most `most` cuts (below 0: all), counted from the left or the right.
inline std::vector<std::string_view> words_of(Context& context, std::string_view text, std::int64_t most,
                                              bool from_right) {
    std::vector<std::string_view> words;
    while (true) {
        text = stripped(text, nullptr, from_right ? Ends::right : Ends::left);
        if (text.empty()) break;
        if (most-- == 0) {
            add_piece(context, words, stripped(text, nullptr, from_right ? Ends::right : Ends::left));
            break;
        }
        std::size_t pos = from_right ? text.size() : 0;
        if (from_right) {
            while (pos > 0 && !is_space(unicode::decode_utf8_before(text, pos).code))
                pos -= unicode::decode_utf8_before(text, pos).length;
            add_piece(context, words, text.substr(pos));
            text = text.substr(0, pos);
        } else {
            while (pos < text.size() && !is_space(unicode::decode_utf8(text, pos).code))
                pos += unicode::decode_utf8(text, pos).length;
            add_piece(context, words, text.substr(0, pos));
            text.remove_prefix(pos);
        }
    }
    if (from_right) std::reverse(words.begin(), words.end());
    return words;
}

/// Pieces between separators.
inline std::vector<std::string_view> pieces_of(Context& context, std::string_view text, std::string_view separator,
                                               std::int64_t most, bool from_right) {
    std::vector<std::string_view> pieces;
    for (; most != 0; --most) {
        const std::size_t at = from_right ? text.rfind(separator) : find_text(text, separator);
        if (at == std::string_view::npos) break;
        add_piece(context, pieces, from_right ? text.substr(at + separator.size()) : text.substr(0, at));
        text = from_right ? text.substr(0, at) : text.substr(at + separator.size());
    }
    pieces.push_back(text);
    if (from_right) std::reverse(pieces.begin(), pieces.end());
    return pieces;
}

/// A list (or tuple) of strings.
inline Value make_texts(Context& context, const std::vector<std::string_view>& texts, bool safe,
                        Type type = Type::list) {
    std::vector<Value> items;
    for (const std::string_view text : texts) items.push_back(make_text(context, std::string(text), safe));
    return make_items(context, std::move(items), type);
}

namespace detail {

inline Value split_with(Context& context, const Value& self, const Bound& arguments, bool from_right) {
    const std::string& text = text_of(self);
    const std::int64_t most = arguments.integer(1, -1);
    context.scan(4 * text.size());
    const bool safe = self.as<Text>().safe;
    if (!arguments.is_set(0)) return make_texts(context, words_of(context, text, most, from_right), safe);
    const std::string_view separator = arguments.text(0);
    if (separator.empty()) context.fail("empty separator");
    if (from_right) context.scan_from_end(text.size(), separator.size());
    return make_texts(context, pieces_of(context, text, separator, most, from_right), safe);
}

inline Value partition_with(Context& context, const Value& self, const Bound& arguments, bool from_right) {
    const std::string_view text = text_of(self), separator = arguments.text(0);
    if (separator.empty()) context.fail("empty separator");
    context.scan_from_end(text.size(), from_right ? separator.size() : 0);
    const std::size_t at = from_right ? text.rfind(separator) : find_text(text, separator);
    std::vector<std::string_view> parts;
    if (at != std::string_view::npos)
        parts = {text.substr(0, at), separator, text.substr(at + separator.size())};
    else if (from_right)
        parts = {"", "", text};
    else
        parts = {text, "", ""};
    return make_texts(context, parts, self.as<Text>().safe, Type::tuple);
}

/// The part of a string that the arguments from `first` on, start and end, leave; nothing when start is behind it.
struct Window {
    std::string_view text;
    std::size_t begin = 0;  // in characters
    bool inside = true;
};
inline Window window_of(Context& context, const Value& self, const Bound& arguments, std::size_t first) {
    const Text& text = self.as<Text>();
    context.scan(4 * text.text.size());
    if (!arguments.has(first)) return {text.text};
    const Value one = Value::of(std::int64_t{1});
    const Slice slice = slice_of(context, arguments.or_none(first), arguments.or_none(first + 1), one, text.length);
    const bool inside = !arguments.is_set(first) || arguments.integer(first) <= static_cast<std::int64_t>(text.length);
    const std::size_t from = static_cast<std::size_t>(slice.start);
    const std::size_t begin = byte_of(context, text, from), end = byte_of(context, text, from + slice.count);
    const bool backwards = slice.count == 0 && arguments.is_set(first + 1) &&
                           slice_of(context, Value::none(), arguments[first + 1], one, text.length).count < from;
    return {std::string_view(text.text).substr(begin, end - begin), from, inside && !backwards};
}

inline std::int64_t find_with(Context& context, const Value& self, const Bound& arguments, bool last) {
    const Window window = window_of(context, self, arguments, 1);
    const std::string_view what = arguments.text(0);
    context.scan_from_end(window.text.size(), last ? what.size() : 0);
    const std::size_t at = !window.inside ? std::string_view::npos
                           : last         ? window.text.rfind(what)
                                          : find_text(window.text, what);
    if (at == std::string_view::npos) return -1;
    return static_cast<std::int64_t>(window.begin + count_characters(window.text.substr(0, at)));
}

inline Value find_or_fail(Context& context, const Value& self, const Bound& arguments, bool last) {
    const std::int64_t at = find_with(context, self, arguments, last);
    if (at < 0) context.fail("substring not found");
    return Value::of(at);
}

inline Value has_end(Context& context, const Value& self, const Bound& arguments, bool at_end) {
    const Window window = window_of(context, self, arguments, 1);
    const auto fits = [&](const Value& part) {
        if (!part.is(Type::string)) context.fail("startswith and endswith want a str or a tuple of str");
        const std::string_view text = text_of(part);
        context.scan(text.size());
        return window.inside && (at_end ? window.text.ends_with(text) : window.text.starts_with(text));
    };
    if (!arguments[0].is(Type::tuple)) return Value::of(fits(arguments[0]));
    const auto& parts = arguments[0].as<Items>().items;
    return Value::of(std::any_of(parts.begin(), parts.end(), fits));
}

/// Whether there are characters, and all have one of `flags`.
inline Value all_have(Context& context, const Value& self, std::uint32_t flags) {
    const std::string& text = text_of(self);
    context.scan(16 * text.size());
    for (std::size_t pos = 0; pos < text.size(); pos += unicode::decode_utf8(text, pos).length)
        if (!has_flag(unicode::decode_utf8(text, pos).code, flags)) return Value::of(false);
    return Value::of(!text.empty());
}

}  // namespace detail

/// Whether there are letters with cases, and all are in this one.
inline bool is_in_case(Context& context, std::string_view text, bool upper) {
    bool any = false;
    context.scan(16 * text.size());
    for (std::size_t pos = 0; pos < text.size(); pos += unicode::decode_utf8(text, pos).length) {
        const std::uint32_t flags = flags_of(unicode::decode_utf8(text, pos).code);
        if ((flags & (data::title | (upper ? data::lower : data::upper))) != 0) return false;
        any |= (flags & (upper ? data::upper : data::lower)) != 0;
    }
    return any;
}

/// str.join.
inline Value join_texts(Context& context, const Value& separator, const Value& items, bool convert) {
    std::string out;
    bool first = true;
    const bool safe = separator.as<Text>().safe && !convert;
    Cursor cursor(context, items);
    for (Value item; cursor.next(item); first = false) {
        if (!first) out += text_of(separator);
        if (!convert && !item.is(Type::string)) context.fail("join: expected str items");
        const std::string text = to_text(context, item);
        out += safe && !item.as<Text>().safe ? html_escaped(text) : text;
        context.need(out.size());
    }
    return make_text(context, std::move(out), safe);
}

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
