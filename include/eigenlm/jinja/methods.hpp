#pragma once
// The methods of values: tables by type. Those that would change a list or dict are unknown, as in jinja2's sandbox.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "string_methods.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

namespace detail {

inline Value text_like(Context& context, const Value& self, std::string text) {
    return make_text(context, std::move(text), self.as<Text>().safe);
}

/// A change of cases.
template <class Change>
Value changed_text(Context& context, const Value& self, const Change& change) {
    context.scan(24 * text_of(self).size());
    return text_like(context, self, change(std::string_view(text_of(self))));
}

inline Value fill_to_width(Context& context, const Value& self, const Bound& arguments, char align) {
    const std::string_view fill = arguments.text(1, " ");
    if (count_characters(fill) != 1) context.fail("the fill character must be exactly one character long");
    const std::int64_t width = arguments.integer(0);
    Spec spec{.fill = unicode::decode_utf8(fill, 0).code};
    const std::size_t length = self.as<Text>().length;
    spec.width = width > 0 ? static_cast<std::size_t>(width) : 0;
    if (align != '^' || spec.width <= length)
        return text_like(context, self, padded(context, text_of(self), spec, align));
    const std::size_t missing = spec.width - length;  // str.center rounds in a way of its own
    const std::size_t before = missing / 2 + (missing & spec.width & 1);
    context.need(4 * missing);
    spec.width = length + before;
    const std::string left = padded(context, text_of(self), spec, '>');
    spec.width = length + missing;
    return text_like(context, self, padded(context, left, spec, '<'));
}

inline Value zero_filled(Context& context, const Value& self, const Bound& arguments) {
    const std::int64_t width = arguments.integer(0);
    const Spec spec{.fill = '0', .width = width > 0 ? static_cast<std::size_t>(width) : 0};
    const bool blank = text_of(self).starts_with(' ');  // no sign for zfill
    return text_like(context, self, padded(context, text_of(self), spec, blank ? '>' : '='));
}

inline Value swapped_case(Context& context, const Value& self, const Bound&) {
    std::string out;
    const std::string& text = text_of(self);
    context.scan(24 * text.size());
    for (std::size_t pos = 0; pos < text.size();) {
        const auto [code, length] = unicode::decode_utf8(text, pos);
        if (has_flag(code, data::upper | data::lower))
            append_in_case(out, text, pos, has_flag(code, data::upper) ? Case::lower : Case::upper);
        else
            out.append(text, pos, length);
        pos += length;
    }
    return text_like(context, self, std::move(out));
}

inline Value count_in_text(Context& context, const Value& self, const Bound& arguments) {
    const Window window = window_of(context, self, arguments, 1);
    const std::string_view what = arguments.text(0);
    if (!window.inside) return Value::of(std::int64_t{0});
    if (what.empty()) return Value::of(count_characters(window.text) + 1);
    return Value::of(pieces_of(context, window.text, what, -1, false).size() - 1);
}

inline Value is_titled(Context& context, const Value& self, const Bound&) {
    bool inside = false, any = false;
    const std::string& text = text_of(self);
    context.scan(16 * text.size());
    for (std::size_t pos = 0; pos < text.size(); pos += unicode::decode_utf8(text, pos).length) {
        const std::uint32_t flags = flags_of(unicode::decode_utf8(text, pos).code);
        const bool begins = (flags & (data::upper | data::title)) != 0;
        if ((begins && inside) || ((flags & data::lower) != 0 && !inside)) return Value::of(false);
        inside = begins || (flags & data::lower) != 0;
        any |= inside;
    }
    return Value::of(any);
}

inline Value is_ascii_text(Context&, const Value& self, const Bound&) { return Value::of(self.as<Text>().is_ascii()); }

inline Value is_printable(Context& context, const Value& self, const Bound&) {
    return Value::of(text_of(self).empty() || is_true(all_have(context, self, data::printable)));
}

inline Value not_done_here(Context& context, const Value& self, const Bound&) {
    context.unsupported(std::string("this method of '") + type_name(self) + "'");
}

inline Value dict_view(Context& context, const Value& self, int part) {
    std::vector<Value> items;
    for (const auto& [key, value] : self.as<Dict>().entries) {
        context.step();
        items.push_back(part == 0 ? key : part == 1 ? value : make_items(context, {key, value}, Type::tuple));
    }
    constexpr const char* names[] = {"dict_keys", "dict_values", "dict_items"};
    return make_items(context, std::move(items), Type::view, names[part]);
}

inline Value index_in_items(Context& context, const Value& self, const Bound& arguments) {
    const auto& items = self.as<Items>().items;
    const Value start = arguments.has(1) ? arguments[1] : Value::none(),
                stop = arguments.has(2) ? arguments[2] : Value::none();
    const Slice slice = slice_of(context, start, stop, Value::of(std::int64_t{1}), items.size());
    for (std::size_t i = 0; i < slice.count; ++i) {
        const std::size_t at = static_cast<std::size_t>(slice.start) + i;
        if (items[at].same(arguments[0]) || equal(context, items[at], arguments[0])) return Value::of(at);
    }
    context.fail("index: the value is not in the list");
}

inline Value count_in_items(Context& context, const Value& self, const Bound& arguments) {
    std::int64_t count = 0;
    for (const Value& item : self.as<Items>().items)
        count += item.same(arguments[0]) || equal(context, item, arguments[0]) ? 1 : 0;
    return Value::of(count);
}

inline Value cycler_next(Context&, const Value& self, const Bound&) {
    Cycler& cycler = self.as<Cycler>();
    const std::size_t at = std::exchange(cycler.next, (cycler.next + 1) % cycler.items.size());
    return cycler.items[at];
}

using C = Context;
using V = Value;
using B = Bound;

#if EIGENLM_DEFINE_LARGE
inline constexpr Builtin text_methods[] = {
    {"strip", [](C& c, const V& s, const B& a) { return strip_value(c, s, a.or_none(0), Ends::both); }, "/"},
    {"lstrip", [](C& c, const V& s, const B& a) { return strip_value(c, s, a.or_none(0), Ends::left); }, "/"},
    {"rstrip", [](C& c, const V& s, const B& a) { return strip_value(c, s, a.or_none(0), Ends::right); }, "/"},
    {"split", [](C& c, const V& s, const B& a) { return split_with(c, s, a, false); }, "sep maxsplit"},
    {"rsplit", [](C& c, const V& s, const B& a) { return split_with(c, s, a, true); }, "sep maxsplit"},
    {"splitlines",
     [](C& c, const V& s, const B& a) {
         c.scan(4 * text_of(s).size());
         return make_texts(c, lines_of(c, text_of(s), a.integer(0) != 0), s.as<Text>().safe);
     },
     "keepends"},
    {"partition", [](C& c, const V& s, const B& a) { return partition_with(c, s, a, false); }, "/", 1},
    {"rpartition", [](C& c, const V& s, const B& a) { return partition_with(c, s, a, true); }, "/", 1},
    {"startswith", [](C& c, const V& s, const B& a) { return has_end(c, s, a, false); }, "/ / /", 1},
    {"endswith", [](C& c, const V& s, const B& a) { return has_end(c, s, a, true); }, "/ / /", 1},
    {"replace",
     [](C& c, const V& s, const B& a) {
         const std::string with = s.as<Text>().safe ? html_escaped(a.text(1)) : std::string(a.text(1));
         return text_like(c, s, replaced(c, text_of(s), a.text(0), with, a.integer(2, -1)));
     },
     "/ / /", 2},
    {"upper", [](C& c, const V& s, const B&) { return changed_text(c, s, in_upper_case); }},
    {"lower", [](C& c, const V& s, const B&) { return changed_text(c, s, in_lower_case); }},
    {"title", [](C& c, const V& s, const B&) { return changed_text(c, s, titled); }},
    {"capitalize", [](C& c, const V& s, const B&) { return changed_text(c, s, capitalized); }},
    {"swapcase", swapped_case},
    {"find", [](C& c, const V& s, const B& a) { return V::of(find_with(c, s, a, false)); }, "/ / /", 1},
    {"rfind", [](C& c, const V& s, const B& a) { return V::of(find_with(c, s, a, true)); }, "/ / /", 1},
    {"index", [](C& c, const V& s, const B& a) { return find_or_fail(c, s, a, false); }, "/ / /", 1},
    {"rindex", [](C& c, const V& s, const B& a) { return find_or_fail(c, s, a, true); }, "/ / /", 1},
    {"count", count_in_text, "/ / /", 1},
    {"join", [](C& c, const V& s, const B& a) { return join_texts(c, s, a[0], false); }, "/", 1},
    {"removeprefix",
     [](C& c, const V& s, const B& a) {
         std::string_view text = text_of(s);
         if (text.starts_with(a.text(0))) text.remove_prefix(a.text(0).size());
         return text_like(c, s, std::string(text));
     },
     "/", 1},
    {"removesuffix",
     [](C& c, const V& s, const B& a) {
         std::string_view text = text_of(s);
         if (text.ends_with(a.text(0))) text.remove_suffix(a.text(0).size());
         return text_like(c, s, std::string(text));
     },
     "/", 1},
    {"format", [](C& c, const V& s, const B& a) { return text_like(c, s, BraceFormat(c, a.rest()).run(text_of(s))); },
     "*"},
    {"isdigit", [](C& c, const V& s, const B&) { return all_have(c, s, data::digit); }},
    {"isdecimal", [](C& c, const V& s, const B&) { return all_have(c, s, data::decimal); }},
    {"isnumeric", [](C& c, const V& s, const B&) { return all_have(c, s, data::numeric); }},
    {"isalpha", [](C& c, const V& s, const B&) { return all_have(c, s, data::alpha); }},
    {"isalnum", [](C& c, const V& s,
                   const B&) { return all_have(c, s, data::alpha | data::decimal | data::digit | data::numeric); }},
    {"isspace", [](C& c, const V& s, const B&) { return all_have(c, s, data::space); }},
    {"isupper", [](C& c, const V& s, const B&) { return V::of(is_in_case(c, text_of(s), true)); }},
    {"islower", [](C& c, const V& s, const B&) { return V::of(is_in_case(c, text_of(s), false)); }},
    {"istitle", is_titled},
    {"isascii", is_ascii_text},
    {"isprintable", is_printable},
    {"zfill", zero_filled, "/", 1},
    {"ljust", [](C& c, const V& s, const B& a) { return fill_to_width(c, s, a, '<'); }, "/ /", 1},
    {"rjust", [](C& c, const V& s, const B& a) { return fill_to_width(c, s, a, '>'); }, "/ /", 1},
    {"center", [](C& c, const V& s, const B& a) { return fill_to_width(c, s, a, '^'); }, "/ /", 1},
    {"casefold", not_done_here, "*"},
    {"encode", not_done_here, "*"},
    {"expandtabs", not_done_here, "*"},
    {"translate", not_done_here, "*"},
    {"maketrans", not_done_here, "*"},
    {"isidentifier", not_done_here, "*"},
    {"format_map", not_done_here, "*"},
};

inline constexpr Builtin dict_methods[] = {
    {"items", [](C& c, const V& s, const B&) { return dict_view(c, s, 2); }},
    {"keys", [](C& c, const V& s, const B&) { return dict_view(c, s, 0); }},
    {"values", [](C& c, const V& s, const B&) { return dict_view(c, s, 1); }},
    {"get",
     [](C& c, const V& s, const B& a) {
         const V* found = find_in(c, s.as<Dict>(), a[0]);
         return found ? *found : a.or_none(1);
     },
     "/ /", 1},
    {"copy", [](C&, const V& s, const B&) { return s; }},
    {"fromkeys", not_done_here, "*"},
};

inline constexpr Builtin list_methods[] = {
    {"index", index_in_items, "/ / /", 1},
    {"count", count_in_items, "/", 1},
    {"copy", [](C&, const V& s, const B&) { return s; }},
};

inline constexpr Builtin cycler_methods[] = {
    {"next", cycler_next},
    {"reset",
     [](C&, const V& s, const B&) {
         s.as<Cycler>().next = 0;
         return V::none();
     }},
};
#endif

}  // namespace detail

/// The method of a value, or null.
EIGENLM_LARGE const Builtin* find_method(const Value& value, std::string_view name);
/// Whether Python has an attribute of that name that the sandbox keeps away from templates.
EIGENLM_LARGE bool is_forbidden(const Value& value, std::string_view name);

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE const Builtin* find_method(const Value& value, std::string_view name) {
    switch (value.type()) {
        case Type::string:
            return find_builtin(detail::text_methods, name);
        case Type::dict:
            return find_builtin(detail::dict_methods, name);
        case Type::list:
            return find_builtin(detail::list_methods, name);
        case Type::tuple:
        case Type::range:
            return name == "copy" || value.is(Type::range) ? nullptr : find_builtin(detail::list_methods, name);
        case Type::cycler:
            return find_builtin(detail::cycler_methods, name);
        default:
            return nullptr;
    }
}

EIGENLM_LARGE bool is_forbidden(const Value& value, std::string_view name) {
    if (name.starts_with("__") && name.ends_with("__") && name.size() > 4) return true;
    constexpr std::string_view of_lists[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"};
    constexpr std::string_view of_dicts[] = {"clear", "pop", "popitem", "setdefault", "update"};
    if (value.is(Type::list)) return std::find(std::begin(of_lists), std::end(of_lists), name) != std::end(of_lists);
    return value.is(Type::dict) && std::find(std::begin(of_dicts), std::end(of_dicts), name) != std::end(of_dicts);
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
