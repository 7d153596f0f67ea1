#pragma once
// The filters: those of text, and the table of all.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "number_filters.hpp"
#include "sequence_filters.hpp"
#include "to_json.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

namespace detail {

/// A filter of strings: other values are printed first.
template <class Change>
Value change_text(Context& context, const Value& self, const Change& change) {
    const Value text = to_text_value(context, self);
    context.scan(24 * text_of(text).size());
    return make_text(context, change(std::string_view(text_of(text))), text.as<Text>().safe);
}

/// Words with a capital, as the filter `title` has them: "it's" -> "It's".
inline std::string title_words(std::string_view text) {
    std::string out;
    bool begins = true;
    for (std::size_t pos = 0; pos < text.size();) {
        const auto [code, length] = unicode::decode_utf8(text, pos);
        const bool separates =
            is_space(code) ||
            (code < 0x80 && std::string_view("-({[<").find(static_cast<char>(code)) != std::string_view::npos);
        if (separates) {
            out += text.substr(pos, length);
            pos += length;
            begins = true;
        } else if (begins) {
            append_in_case(out, text.substr(pos, length), 0, Case::upper);
            pos += length;
            begins = false;
        } else {
            std::size_t end = pos;
            while (end < text.size()) {
                const unicode::Character next = unicode::decode_utf8(text, end);
                if (is_space(next.code) || (next.code < 0x80 && std::string_view("-({[<").find(static_cast<char>(
                                                                    next.code)) != std::string_view::npos))
                    break;
                end += next.length;
            }
            out += in_case(text.substr(pos, end - pos), Case::lower);
            pos = end;
        }
    }
    return out;
}

inline Value filter_indent(Context& context, const Value& self, const Bound& arguments) {
    if (self.is(Type::undefined)) fail_undefined(context, self);
    if (!self.is(Type::string)) context.fail(std::string("indent: expected a string, found '") + type_name(self) + "'");
    std::string indention;
    if (arguments.has(0) && arguments[0].is(Type::string)) {
        indention = text_of(arguments[0]);
    } else {
        const std::int64_t width = arguments.integer(0, 4);
        context.need(width > 0 ? static_cast<std::size_t>(width) : 0);
        indention.assign(width > 0 ? static_cast<std::size_t>(width) : 0, ' ');
    }
    const std::string text = text_of(self) + "\n";
    context.scan(4 * text.size());
    const bool blank = arguments.truth(2);
    std::string out = arguments.truth(1) ? indention : "";
    bool first = true;
    for (const std::string_view line : lines_of(context, text, false)) {
        if (!first) {
            out.push_back('\n');
            if (blank || !line.empty()) out += indention;
        }
        first = false;
        out += line;
        context.need(out.size());
    }
    return make_text(context, std::move(out), self.as<Text>().safe);
}

inline Value filter_truncate(Context& context, const Value& self, const Bound& arguments) {
    const std::int64_t length = arguments.integer(0, 255), leeway = arguments.is_set(3) ? arguments.integer(3) : 5;
    const Value end = arguments.has(2) ? arguments[2] : make_text(context, "...");
    if (!end.is(Type::string)) context.fail("truncate: expected a string as the end");
    const std::int64_t tail = static_cast<std::int64_t>(end.as<Text>().length);
    if (length < tail || leeway < 0) context.fail("truncate: expected a length of the end's at least, and a leeway");
    const std::int64_t size = filter_length(context, self, arguments).integer();
    if (size <= length || size - length <= leeway) return self;
    if (!self.is(Type::string)) context.fail("truncate: expected a string");
    const Value cut = slice_text(context, self, {0, 1, static_cast<std::size_t>(length - tail)});
    std::string text = text_of(cut);
    if (!arguments.truth(1)) text.resize(std::min(text.rfind(' '), text.size()));
    return make_text(context, text + text_of(end));
}

inline Value filter_wordcount(Context& context, const Value& self, const Bound&) {
    const std::string text = to_text(context, self);
    context.scan(4 * text.size());
    std::int64_t words = 0;
    bool inside = false;
    for (std::size_t pos = 0; pos < text.size(); pos += unicode::decode_utf8(text, pos).length) {
        const bool word = is_word(unicode::decode_utf8(text, pos).code);
        words += word && !inside ? 1 : 0;
        inside = word;
    }
    return Value::of(words);
}

inline Value filter_tojson(Context& context, const Value& self, const Bound& arguments) {
    JsonStyle style;
    style.ensure_ascii = arguments.truth(0);
    style.sort_keys = arguments.truth(3);
    if (arguments.is_set(1)) {
        style.item_separator = ",";
        if (arguments[1].is(Type::string)) {
            style.indent = text_of(arguments[1]);
        } else {
            const std::int64_t width = arguments.integer(1);
            context.need(width > 0 ? static_cast<std::size_t>(width) : 0);
            style.indent.emplace(width > 0 ? static_cast<std::size_t>(width) : 0, ' ');
        }
    }
    if (arguments.is_set(2)) {
        const std::vector<Value> separators = items_of(context, arguments[2]);
        if (separators.size() != 2 || !separators[0].is(Type::string) || !separators[1].is(Type::string))
            context.fail("tojson: expected two strings as separators");
        style.item_separator = text_of(separators[0]);
        style.key_separator = text_of(separators[1]);
    }
    JsonWriter writer(context, style);
    writer.write(self);
    return make_text(context, std::move(writer.text));
}

inline Value filter_replace(Context& context, const Value& self, const Bound& arguments) {
    const std::int64_t count = arguments.is_set(2) ? arguments.integer(2) : -1;
    return make_text(context, replaced(context, to_text(context, self), to_text(context, arguments[0]),
                                       to_text(context, arguments[1]), count));
}

inline Value filter_format(Context& context, const Value& self, const Bound& arguments) {
    const Arguments& given = arguments.rest();
    if (!given.positional.empty() && !given.named.empty())
        context.fail("can't handle positional and keyword arguments at the same time");
    Value values = make_items(context, given.positional, Type::tuple);
    if (!given.named.empty()) {
        Entries entries;
        for (const auto& [name, value] : given.named) entries.emplace_back(make_text(context, name), value);
        values = make_dict(context, std::move(entries));
    }
    return modulo(context, to_text_value(context, self), values);
}

inline Value filter_escape(Context& context, const Value& self, bool again) {
    if (!again && self.is(Type::string) && self.as<Text>().safe) return self;
    const std::string text = to_text(context, self);
    context.need(6 * text.size());
    return make_text(context, html_escaped(text), true);
}

inline Value filter_default(Context&, const Value& self, const Bound& arguments, const Value& otherwise) {
    return self.is(Type::undefined) || (arguments.truth(1) && !is_true(self)) ? otherwise : self;
}

inline Value not_filtered_here(Context& context, const Value&, const Bound&) { context.unsupported("this filter"); }

#if EIGENLM_DEFINE_LARGE
inline Value default_value(C& c, const V& s, const B& a) {
    return filter_default(c, s, a, a.has(0) ? a[0] : make_text(c, ""));
}

inline constexpr Builtin filters[] = {
    {"abs", absolute},
    {"attr", filter_attr, "name", 1},
    {"batch", filter_batch, "linecount fill_with", 1},
    {"capitalize", [](C& c, const V& s, const B&) { return change_text(c, s, capitalized); }},
    {"center",
     [](C& c, const V& s, const B& a) {
         static constexpr Builtin center{"center", nullptr, "/ /", 1};
         const V width = a.has(0) ? a[0] : V::of(std::int64_t{80});
         return fill_to_width(c, to_text_value(c, s), Bound(c, center, {{width}, {}}), '^');
     },
     "width"},
    {"count", filter_length},
    {"d", default_value, "default_value boolean"},
    {"default", default_value, "default_value boolean"},
    {"dictsort", filter_dictsort, "case_sensitive by reverse"},
    {"e", [](C& c, const V& s, const B&) { return filter_escape(c, s, false); }},
    {"escape", [](C& c, const V& s, const B&) { return filter_escape(c, s, false); }},
    {"first", filter_first},
    {"float", to_float, "default"},
    {"forceescape", [](C& c, const V& s, const B&) { return filter_escape(c, s, true); }},
    {"format", filter_format, "*"},
    {"groupby", filter_groupby, "attribute default case_sensitive", 1},
    {"indent", filter_indent, "width first blank"},
    {"int", to_integer, "default base"},
    {"items", filter_items},
    {"join", filter_join, "d attribute"},
    {"last", filter_last},
    {"length", filter_length},
    {"list", [](C& c, const V& s, const B&) { return make_items(c, items_of(c, s)); }},
    {"lower", [](C& c, const V& s, const B&) { return change_text(c, s, in_lower_case); }},
    {"map", filter_map, "*"},
    {"max", [](C& c, const V& s, const B& a) { return filter_extreme(c, s, a, 1); }, "case_sensitive attribute"},
    {"min", [](C& c, const V& s, const B& a) { return filter_extreme(c, s, a, -1); }, "case_sensitive attribute"},
    {"reject", [](C& c, const V& s, const B& a) { return filter_select(c, s, a, false, false); }, "*"},
    {"rejectattr", [](C& c, const V& s, const B& a) { return filter_select(c, s, a, false, true); }, "*"},
    {"replace", filter_replace, "old new count", 2},
    {"reverse", filter_reverse},
    {"round", rounded, "precision method"},
    {"safe", [](C& c, const V& s, const B&) { return make_text(c, to_text(c, s), true); }},
    {"select", [](C& c, const V& s, const B& a) { return filter_select(c, s, a, true, false); }, "*"},
    {"selectattr", [](C& c, const V& s, const B& a) { return filter_select(c, s, a, true, true); }, "*"},
    {"slice", filter_slice, "slices fill_with", 1},
    {"sort", filter_sort, "reverse case_sensitive attribute"},
    {"string", [](C& c, const V& s, const B&) { return to_text_value(c, s); }},
    {"sum", filter_sum, "attribute start"},
    {"title", [](C& c, const V& s, const B&) { return change_text(c, s, title_words); }},
    {"tojson", filter_tojson, "ensure_ascii indent separators sort_keys"},
    {"trim", [](C& c, const V& s, const B& a) { return strip_value(c, to_text_value(c, s), a.or_none(0), Ends::both); },
     "chars"},
    {"truncate", filter_truncate, "length killwords end leeway"},
    {"unique", filter_unique, "case_sensitive attribute"},
    {"upper", [](C& c, const V& s, const B&) { return change_text(c, s, in_upper_case); }},
    {"wordcount", filter_wordcount},
    {"filesizeformat", not_filtered_here, "*"},
    {"pprint", not_filtered_here, "*"},
    {"random", not_filtered_here, "*"},
    {"striptags", not_filtered_here, "*"},
    {"urlencode", not_filtered_here, "*"},
    {"urlize", not_filtered_here, "*"},
    {"wordwrap", not_filtered_here, "*"},
    {"xmlattr", not_filtered_here, "*"},
};
#endif

}  // namespace detail

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE const Builtin* find_filter(std::string_view name) { return find_builtin(detail::filters, name); }
#endif

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
