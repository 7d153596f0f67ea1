#pragma once
// Which values are equal, which come first, and dicts, which find equal keys.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "value.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// The name of a value's type in Python, for messages.
inline const char* type_name(const Value& value) {
    constexpr const char* names[] = {"Undefined", "NoneType",    "bool",     "int",      "float",  "str",
                                     "list",      "tuple",       "view",     "iterator", "dict",   "range",
                                     "Namespace", "LoopContext", "function", "Macro",    "Joiner", "Cycler"};
    return names[static_cast<std::size_t>(value.type())];
}

/// Keys and their values.
using Entries = std::vector<std::pair<Value, Value>>;

/// Of Type::dict.
struct Dict : Object {
    /// `all` has no key twice; `keys_by_hash` are their hashes and places, sorted.
    Dict(Context* owner, Entries all, std::vector<std::pair<std::uint64_t, std::size_t>> keys_by_hash,
         std::size_t levels)
        : Object(owner, sizeof(Dict) + all.size() * (sizeof(all[0]) + sizeof(keys_by_hash[0])), levels),
          entries(std::move(all)),
          by_hash(std::move(keys_by_hash)) {}

    Entries entries;                                             ///< in the order they were added
    std::vector<std::pair<std::uint64_t, std::size_t>> by_hash;  ///< where keys are
};

inline bool equal(Context& context, const Value& a, const Value& b);

/// -1, 0 or 1 as a is less than, equal to or more than b; 2 when one is not a number.
inline int compare_numbers(const Value& a, const Value& b) {
    if (a.is_integral() && b.is_integral()) return a.integer() < b.integer() ? -1 : a.integer() > b.integer() ? 1 : 0;
    const auto exact = [](const Value& v) {  // has all 64 bits, unlike double
        return v.is_integral() ? static_cast<long double>(v.integer()) : static_cast<long double>(v.real());
    };
    const long double x = exact(a), y = exact(b);
    return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

/// Whether a value may be a key. (A tuple may hold another one twice, and that one a third twice, and so on: so steps
/// are counted.)
inline bool is_hashable(Context& context, const Value& value) {
    context.step();
    if (value.is(Type::tuple))
        return std::all_of(value.as<Items>().items.begin(), value.as<Items>().items.end(),
                           [&](const Value& item) { return is_hashable(context, item); });
    return !value.is(Type::list) && !value.is(Type::dict) && !value.is(Type::view);
}

/// Equal keys have equal hashes. Throws for values that may be no keys.
inline std::uint64_t hash_of(Context& context, const Value& value) {
    context.step();
    switch (value.type()) {
        case Type::boolean:
        case Type::integer:
            return std::hash<std::int64_t>()(value.integer()) * 0x9E3779B97F4A7C15u;
        case Type::real: {
            const double number = value.real();
            if (std::abs(number) < 9e18 && number == std::floor(number))
                return hash_of(context, Value::of(static_cast<std::int64_t>(number)));
            return std::hash<double>()(number);
        }
        case Type::string:
            context.scan(text_of(value).size());
            return std::hash<std::string_view>()(text_of(value));
        case Type::tuple: {
            std::uint64_t hash = 1;
            for (const Value& item : value.as<Items>().items) hash = hash * 1000003 + hash_of(context, item);
            return hash;
        }
        case Type::undefined:
        case Type::none:
            return static_cast<std::uint64_t>(value.type());
        default:
            if (!is_hashable(context, value)) context.fail(std::string("unhashable type: '") + type_name(value) + "'");
            return std::hash<const void*>()(&value.as<Object>());
    }
}

/// Where `key` is among keys whose hashes are sorted, or null.
inline const std::pair<Value, Value>* find_entry(Context& context, const Entries& entries,
                                                 const std::vector<std::pair<std::uint64_t, std::size_t>>& by_hash,
                                                 const Value& key) {
    const std::uint64_t hash = hash_of(context, key);
    auto it = std::lower_bound(by_hash.begin(), by_hash.end(), std::pair<std::uint64_t, std::size_t>(hash, 0));
    for (; it != by_hash.end() && it->first == hash; ++it)
        if (equal(context, entries[it->second].first, key)) return &entries[it->second];
    return nullptr;
}

/// The value of `key` in a dict, or null. Throws for what may be no key.
inline const Value* find_in(Context& context, const Dict& dict, const Value& key) {
    const auto* found = find_entry(context, dict.entries, dict.by_hash, key);
    return found ? &found->second : nullptr;
}

/// The same for a string.
inline const Value* find_in(Context& context, const Dict& dict, std::string_view key) {
    const std::pair<std::uint64_t, std::size_t> hash(std::hash<std::string_view>()(key), 0);
    context.scan(key.size());
    for (auto it = std::lower_bound(dict.by_hash.begin(), dict.by_hash.end(), hash);
         it != dict.by_hash.end() && it->first == hash.first; ++it) {
        context.step();
        const auto& [found, value] = dict.entries[it->second];
        if (found.is(Type::string) && text_of(found) == key) return &value;
    }
    return nullptr;
}

/// A dict. A key that comes again keeps its place and gets the later value, as in Python.
inline Value make_dict(Context& context, Entries entries) {
    std::vector<std::pair<std::uint64_t, std::size_t>> by_hash;
    std::size_t depth = 0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        by_hash.emplace_back(hash_of(context, entries[i].first), i);
        depth = std::max({depth, entries[i].first.depth(), entries[i].second.depth()});
    }
    if (depth >= max_value_depth) context.fail("values nested deeper than " + std::to_string(max_value_depth));
    std::sort(by_hash.begin(), by_hash.end());
    std::vector<bool> gone(entries.size());
    for (std::size_t i = 0; i < by_hash.size(); ++i) {
        if (gone[by_hash[i].second]) continue;
        for (std::size_t k = i + 1; k < by_hash.size() && by_hash[k].first == by_hash[i].first; ++k) {
            const std::size_t first = by_hash[i].second, later = by_hash[k].second;
            if (gone[later] || !equal(context, entries[first].first, entries[later].first)) continue;
            entries[first].second = entries[later].second;
            gone[later] = true;
        }
    }
    if (std::find(gone.begin(), gone.end(), true) != gone.end()) {
        Entries kept;
        for (std::size_t i = 0; i < entries.size(); ++i)
            if (!gone[i]) kept.push_back(std::move(entries[i]));
        return make_dict(context, std::move(kept));
    }
    return Value(Type::dict, std::make_shared<Dict>(&context, std::move(entries), std::move(by_hash), depth + 1));
}

/// Of a value and the place of its kind in `a` and `b`: whether the lists or tuples are equal item by item.
inline bool equal_items(Context& context, const std::vector<Value>& a, const std::vector<Value>& b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (!equal(context, a[i], b[i])) return false;
    return true;
}

/// a == b in Python.
inline bool equal(Context& context, const Value& a, const Value& b) {
    context.step();
    if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
    if (a.type() != b.type()) return false;
    switch (a.type()) {
        case Type::string:
            context.scan(std::min(text_of(a).size(), text_of(b).size()));
            return text_of(a) == text_of(b);
        case Type::list:
        case Type::tuple:
        case Type::view:
            return a.same(b) || equal_items(context, a.as<Items>().items, b.as<Items>().items);
        case Type::dict: {
            const Dict &x = a.as<Dict>(), &y = b.as<Dict>();
            if (a.same(b)) return true;
            if (x.entries.size() != y.entries.size()) return false;
            for (const auto& [key, value] : x.entries) {
                const Value* other = find_in(context, y, key);
                if (other == nullptr || !equal(context, value, *other)) return false;
            }
            return true;
        }
        case Type::range: {
            const Range &x = a.as<Range>(), &y = b.as<Range>();
            if (x.length != y.length) return false;
            return x.length == 0 || (x.start == y.start && (x.length == 1 || x.step == y.step));
        }
        default:
            return a.same(b);
    }
}

/// -1, 0 or 1 as a comes before b, is equal, or comes after it, 2 for NaN. Throws where Python's < does; `sign` is the
/// operator, for the message.
inline int compare(Context& context, const Value& a, const Value& b, const char* sign = "<") {
    context.step();
    if (a.is_number() && b.is_number()) return compare_numbers(a, b);
    if (a.is(Type::undefined) || b.is(Type::undefined)) {
        const std::string* name = a.is(Type::undefined) ? a.name() : b.name();
        context.fail("'" + (name ? *name : std::string("a value")) + "' is undefined");
    }
    if (a.is(Type::string) && b.is(Type::string)) {
        context.scan(std::min(text_of(a).size(), text_of(b).size()));
        const int order = text_of(a).compare(text_of(b));  // UTF-8 sorts as its code points do
        return order < 0 ? -1 : order > 0 ? 1 : 0;
    }
    if (a.type() != b.type() || (!a.is(Type::list) && !a.is(Type::tuple)))
        context.fail(std::string("'") + sign + "' not supported between instances of '" + type_name(a) + "' and '" +
                     type_name(b) + "'");
    const auto &x = a.as<Items>().items, &y = b.as<Items>().items;
    for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i)
        if (!equal(context, x[i], y[i])) return compare(context, x[i], y[i], sign);
    return x.size() < y.size() ? -1 : x.size() > y.size() ? 1 : 0;
}

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
