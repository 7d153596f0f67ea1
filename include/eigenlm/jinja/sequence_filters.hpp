#pragma once
// Filters over lists and dicts.
//
// As in jinja2, map, select, reject, selectattr and rejectattr are generators that work when somebody asks for an item.
// Others that are generators there make all of their items at once here.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arithmetic.hpp"
#include "lookup.hpp"
#include "tests.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja::detail {

inline Value make_generator(Context& context, std::vector<Value> items) {
    return make_items(context, std::move(items), Type::iterator, "generator");
}

/// Strings in lower case; other values as they are.
inline Value without_case(Context& context, const Value& value) {
    if (!value.is(Type::string)) return value;
    context.scan(24 * text_of(value).size());
    return make_text(context, in_lower_case(text_of(value)));
}

/// A generator whose items come from `pull`, which goes through `source`.
inline Value make_lazy(Context& context, const Value& source, std::function<bool(Value&)> pull) {
    const auto items = std::make_shared<Items>(&context, std::vector<Value>(), source.depth() + 1, "generator");
    if (items->depth > max_value_depth)
        context.fail("generators nested deeper than " + std::to_string(max_value_depth));
    items->pull = std::move(pull);
    return Value(Type::iterator, items);
}

inline Value take_first(Arguments& arguments) {
    Value value = std::move(arguments.positional[0]);
    arguments.positional.erase(arguments.positional.begin());
    return value;
}

/// What `map` does with each item.
struct Mapping {
    explicit Mapping(Context& context, const Value& self, Arguments given)
        : cursor(context, self), arguments(std::move(given)) {
        for (const auto& [key, value] : arguments.named) {
            if (key == "attribute") path = value;
            if (key == "default") otherwise = value;
        }
        by_attribute = arguments.positional.empty() && !path.is(Type::undefined);
        if (by_attribute && arguments.named.size() > (otherwise.is(Type::none) ? 1u : 2u))
            context.fail("map: unexpected keyword argument");
        if (!by_attribute && arguments.positional.empty()) context.fail("map requires a filter argument");
        if (!by_attribute) name = take_first(arguments);
    }

    Cursor cursor;
    Arguments arguments;
    Value path, otherwise = Value::none(), name;
    bool by_attribute = false;
};

inline Value filter_map(Context& context, const Value& self, const Bound& given) {
    if (!is_true(self)) return make_generator(context, {});
    std::optional<Mapping> mapping;  // made when it is asked for, with the errors of its arguments
    return make_lazy(context, self, [&context, self, mapping, arguments = given.rest()](Value& item) mutable {
        const Context::Level level(context);
        if (!mapping) mapping.emplace(context, self, arguments);
        if (!mapping->cursor.next(item)) return false;
        item = mapping->by_attribute
                   ? get_path(context, item, mapping->path, &mapping->otherwise)
                   : call_by_name(context, find_filter, "filter", mapping->name, item, mapping->arguments);
        return true;
    });
}

/// What select, reject, selectattr and rejectattr ask of each item.
struct Selection {
    Selection(Context& context, const Value& self, Arguments given, bool by_attribute)
        : cursor(context, self), arguments(std::move(given)) {
        if (by_attribute && arguments.positional.empty()) context.fail("missing parameter for attribute name");
        if (by_attribute) path = take_first(arguments);
        tested = !arguments.positional.empty();
        if (tested) test = take_first(arguments);
    }
    bool accepts(Context& context, const Value& item) const {
        const Value value = get_path(context, item, path);
        return is_true(tested ? call_by_name(context, find_test, "test", test, value, arguments) : value);
    }

    Cursor cursor;
    Arguments arguments;
    Value path = Value::none(), test;
    bool tested = false;
};

inline Value filter_select(Context& context, const Value& self, const Bound& given, bool wanted, bool by_attribute) {
    if (!is_true(self)) return make_generator(context, {});
    std::optional<Selection> selection;
    return make_lazy(context, self,
                     [&context, self, selection, arguments = given.rest(), wanted, by_attribute](Value& item) mutable {
                         const Context::Level level(context);
                         if (!selection) selection.emplace(context, self, arguments, by_attribute);
                         while (selection->cursor.next(item))
                             if (selection->accepts(context, item) == wanted) return true;
                         return false;
                     });
}

using Keyed = std::vector<std::pair<std::vector<Value>, Value>>;  // what to sort by, and what

/// The argument `reverse` of a sort, which Python wants to be an integer.
inline bool is_reverse(const Bound& arguments, std::size_t i) { return arguments.integer(i) != 0; }

inline void sort_keyed(Context& context, Keyed& items, bool reverse) {
    const auto less = [&](const auto& a, const auto& b) {
        for (std::size_t i = 0; i < a.first.size(); ++i)
            if (a.first.size() == 1 || !equal(context, a.first[i], b.first[i]))
                return compare(context, a.first[i], b.first[i]) == -1;
        return false;
    };
    std::stable_sort(items.begin(), items.end(),
                     [&](const auto& a, const auto& b) { return reverse ? less(b, a) : less(a, b); });
}

inline Value sorted_values(Context& context, Keyed items, bool reverse) {
    sort_keyed(context, items, reverse);
    std::vector<Value> out;
    for (auto& item : items) out.push_back(std::move(item.second));
    return make_items(context, std::move(out));
}

inline Value filter_sort(Context& context, const Value& self, const Bound& arguments) {
    std::vector<Value> paths(1, arguments.or_none(2));
    if (paths[0].is(Type::string)) {
        const Value all = std::exchange(paths, {})[0];
        for (const std::string_view path : pieces_of(context, text_of(all), ",", -1, false))
            paths.push_back(make_text(context, std::string(path)));
    }
    Keyed items;
    Cursor cursor(context, self);
    for (Value item; cursor.next(item);) {
        std::vector<Value> keys;
        for (const Value& path : paths) {
            const Value key = get_path(context, item, path);
            keys.push_back(arguments.truth(1) ? key : without_case(context, key));
        }
        // The one key that there is stands in a list in jinja2: equal ones are not compared.
        if (keys.size() == 1) keys = {make_items(context, std::move(keys))};
        items.emplace_back(std::move(keys), item);
    }
    return sorted_values(context, std::move(items), is_reverse(arguments, 0));
}

inline Value filter_dictsort(Context& context, const Value& self, const Bound& arguments) {
    const std::string_view by = arguments.text(1, "key");
    if (by != "key" && by != "value") context.fail("dictsort: you can only sort by either \"key\" or \"value\"");
    if (self.is(Type::undefined)) fail_undefined(context, self);
    if (!self.is(Type::dict)) context.fail("dictsort: expected a dict");
    Keyed items;
    for (const auto& [key, value] : self.as<Dict>().entries) {
        const Value& sorted = by == "key" ? key : value;
        items.emplace_back(std::vector<Value>{arguments.truth(0) ? sorted : without_case(context, sorted)},
                           make_items(context, {key, value}, Type::tuple));
    }
    return sorted_values(context, std::move(items), is_reverse(arguments, 2));
}

inline Value filter_groupby(Context& context, const Value& self, const Bound& arguments) {
    Keyed items;
    Cursor cursor(context, self);
    const Value otherwise = arguments.or_none(1);
    const auto key_of = [&](const Value& item) { return get_path(context, item, arguments[0], &otherwise); };
    const bool with_case = arguments.truth(2);
    for (Value item; cursor.next(item);) {
        const Value key = key_of(item);
        items.emplace_back(std::vector<Value>{with_case ? key : without_case(context, key)}, item);
    }
    sort_keyed(context, items, false);
    std::vector<Value> groups;
    for (std::size_t i = 0; i < items.size();) {
        const std::size_t first = i;
        std::vector<Value> group;
        for (; i < items.size() && equal(context, items[i].first[0], items[first].first[0]); ++i)
            group.push_back(items[i].second);
        if (i == first) group.push_back(items[i++].second);  // NaN
        Value key = key_of(group[0]);
        groups.push_back(make_items(context, {key, make_items(context, std::move(group))}, Type::tuple, "group"));
    }
    return make_items(context, std::move(groups));
}

inline Value filter_extreme(Context& context, const Value& self, const Bound& arguments, int sign) {
    Value best, best_key;
    bool any = false;
    Cursor cursor(context, self);
    for (Value item; cursor.next(item); any = true) {
        Value key = get_path(context, item, arguments.or_none(1));
        if (!arguments.truth(0)) key = without_case(context, key);
        if (any && compare(context, key, best_key) != sign) continue;
        best = item;
        best_key = key;
    }
    return best;
}

inline Value filter_unique(Context& context, const Value& self, const Bound& arguments) {
    std::multimap<std::uint64_t, Value> seen;
    std::vector<Value> out;
    Cursor cursor(context, self);
    for (Value item; cursor.next(item);) {
        Value key = get_path(context, item, arguments.or_none(1));
        if (!arguments.truth(0)) key = without_case(context, key);
        const std::uint64_t hash = hash_of(context, key);
        const auto [begin, end] = seen.equal_range(hash);
        if (std::any_of(begin, end, [&](const auto& entry) { return equal(context, entry.second, key); })) continue;
        seen.emplace(hash, key);
        out.push_back(item);
    }
    return make_generator(context, std::move(out));
}

inline Value filter_sum(Context& context, const Value& self, const Bound& arguments) {
    Value sum = arguments.has(1) ? arguments[1] : Value::of(std::int64_t{0});
    if (sum.is(Type::string)) context.fail("sum() can't sum strings");
    Cursor cursor(context, self);
    for (Value item; cursor.next(item);) sum = add(context, sum, get_path(context, item, arguments.or_none(0)));
    return sum;
}

inline void fill_up(Context& context, std::vector<Value>& items, std::int64_t size, const Bound& arguments) {
    const auto there = static_cast<std::int64_t>(items.size());
    if (!arguments.is_set(1) || size <= there) return;
    const std::int64_t missing = size - there;
    context.need(static_cast<std::size_t>(std::min(missing, std::int64_t{1} << 40)) * sizeof(Value));
    context.step(static_cast<std::size_t>(missing));
    items.insert(items.end(), static_cast<std::size_t>(missing), arguments[1]);
}

inline Value filter_batch(Context& context, const Value& self, const Bound& arguments) {
    const std::int64_t size = arguments.integer(0);
    std::vector<Value> out, batch;
    Cursor cursor(context, self);
    for (Value item; cursor.next(item);) {
        if (static_cast<std::int64_t>(batch.size()) == size)
            out.push_back(make_items(context, std::exchange(batch, {})));
        batch.push_back(item);
    }
    if (!batch.empty()) {
        fill_up(context, batch, size, arguments);
        out.push_back(make_items(context, std::move(batch)));
    }
    return make_generator(context, std::move(out));
}

inline Value filter_slice(Context& context, const Value& self, const Bound& arguments) {
    const std::vector<Value> items = items_of(context, self);
    const std::int64_t slices = arguments.integer(0);
    if (slices == 0) context.fail("integer division or modulo by zero");
    std::vector<Value> out;
    if (slices < 0) return make_generator(context, std::move(out));
    const std::size_t count = static_cast<std::size_t>(slices), each = items.size() / count,
                      more = items.size() % count;
    for (std::size_t i = 0, begin = 0; i < count; ++i) {
        const std::size_t size = each + (i < more ? 1 : 0);
        const auto first = items.begin() + static_cast<std::ptrdiff_t>(begin);
        std::vector<Value> slice(first, first + static_cast<std::ptrdiff_t>(size));
        if (i >= more && arguments.is_set(1)) slice.push_back(arguments[1]);
        out.push_back(make_items(context, std::move(slice)));
        begin += size;
    }
    return make_generator(context, std::move(out));
}

inline Value filter_first(Context& context, const Value& self, const Bound&) {
    Value item;
    Cursor cursor(context, self);
    return cursor.next(item) ? item : Value();
}

inline bool is_reversible(const Value& value) { return length_of(value).has_value(); }

inline Value filter_last(Context& context, const Value& self, const Bound&) {
    if (!is_reversible(self)) context.fail(std::string("'") + type_name(self) + "' object is not reversible");
    if (self.is(Type::dict)) return self.as<Dict>().entries.empty() ? Value() : self.as<Dict>().entries.back().first;
    if (self.is(Type::view)) return self.as<Items>().items.empty() ? Value() : self.as<Items>().items.back();
    return item_at(context, self, -1).value_or(Value());
}

inline Value filter_reverse(Context& context, const Value& self, const Bound&) {
    if (self.is(Type::string))
        return slice_value(context, self, Value::none(), Value::none(), Value::of(std::int64_t{-1}));
    std::vector<Value> items = items_of(context, self);
    std::reverse(items.begin(), items.end());
    if (!is_reversible(self)) return make_items(context, std::move(items));
    return make_items(context, std::move(items), Type::iterator, "reversed");
}

inline Value filter_items(Context& context, const Value& self, const Bound&) {
    if (self.is(Type::undefined)) return make_generator(context, {});
    if (!self.is(Type::dict)) context.fail("can only get item pairs from a mapping");
    return make_generator(context, dict_view(context, self, 2).as<Items>().items);
}

inline Value filter_length(Context& context, const Value& self, const Bound&) {
    const auto length = length_of(self);
    if (!length) context.fail(std::string("object of type '") + type_name(self) + "' has no len()");
    return Value::of(*length);
}

inline Value filter_join(Context& context, const Value& self, const Bound& arguments) {
    const Value separator = make_text(context, arguments.has(0) ? to_text(context, arguments[0]) : std::string());
    if (!arguments.is_set(1)) return join_texts(context, separator, self, true);
    std::vector<Value> items;
    Cursor cursor(context, self);
    for (Value item; cursor.next(item);) items.push_back(get_path(context, item, arguments[1]));
    return join_texts(context, separator, make_items(context, std::move(items)), true);
}

inline Value filter_attr(Context& context, const Value& self, const Bound& arguments) {
    const auto found = python_attribute(context, self, std::string(arguments.text(0)));
    return found && !found->is(Type::undefined) ? *found : Value();
}

}  // namespace eigenlm::inline EIGENLM_ABI::jinja::detail
