#pragma once
// What may stand behind `is`.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "arguments.hpp"
#include "arithmetic.hpp"
#include "string_methods.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// The test of that name, or null.
EIGENLM_LARGE const Builtin* find_test(std::string_view name);
/// The filter of that name, or null. See filters.hpp.
const Builtin* find_filter(std::string_view name);

/// Whether calling a value can work.
inline bool is_callable(const Value& value) {
    return value.is(Type::function) || value.is(Type::macro) || value.is(Type::joiner) || value.is(Type::loop) ||
           value.is(Type::undefined);
}

namespace detail {

template <Type... Types>
Value is_of(Context&, const Value& self, const Bound&) {
    return Value::of((self.is(Types) || ...));
}

inline Value leaves(Context& context, const Value& self, const Value& by, std::int64_t rest) {
    return Value::of(equal(context, modulo(context, self, by), Value::of(rest)));
}

inline Value names(const Value& self, const Builtin* (*find)(std::string_view)) {
    return Value::of(self.is(Type::string) && find(text_of(self)) != nullptr);
}

#if EIGENLM_DEFINE_LARGE
inline Value test_equal(Context& c, const Value& s, const Bound& a) { return Value::of(equal(c, s, a[0])); }
inline Value test_unequal(Context& c, const Value& s, const Bound& a) { return Value::of(!equal(c, s, a[0])); }
inline Value test_less(Context& c, const Value& s, const Bound& a) { return Value::of(compare(c, s, a[0], "<") == -1); }
inline Value test_more(Context& c, const Value& s, const Bound& a) { return Value::of(compare(c, s, a[0], ">") == 1); }
inline Value test_at_most(Context& c, const Value& s, const Bound& a) {
    const int order = compare(c, s, a[0], "<=");
    return Value::of(order == -1 || order == 0);
}
inline Value test_at_least(Context& c, const Value& s, const Bound& a) {
    const int order = compare(c, s, a[0], ">=");
    return Value::of(order == 1 || order == 0);
}

inline constexpr Builtin tests[] = {
    {"defined", [](Context&, const Value& s, const Bound&) { return Value::of(!s.is(Type::undefined)); }},
    {"undefined", is_of<Type::undefined>},
    {"none", is_of<Type::none>},
    {"boolean", is_of<Type::boolean>},
    {"integer", is_of<Type::integer>},
    {"float", is_of<Type::real>},
    {"number", is_of<Type::integer, Type::real, Type::boolean>},
    {"string", is_of<Type::string>},
    {"mapping", is_of<Type::dict>},
    {"sequence", is_of<Type::string, Type::list, Type::tuple, Type::dict, Type::range, Type::undefined>},
    {"iterable", [](Context&, const Value& s, const Bound&) { return Value::of(is_iterable(s)); }},
    {"callable", [](Context&, const Value& s, const Bound&) { return Value::of(is_callable(s)); }},
    {"true", [](Context&, const Value& s, const Bound&) { return Value::of(s.is(Type::boolean) && s.integer() != 0); }},
    {"false",
     [](Context&, const Value& s, const Bound&) { return Value::of(s.is(Type::boolean) && s.integer() == 0); }},
    {"odd", [](Context& c, const Value& s, const Bound&) { return leaves(c, s, Value::of(std::int64_t{2}), 1); }},
    {"even", [](Context& c, const Value& s, const Bound&) { return leaves(c, s, Value::of(std::int64_t{2}), 0); }},
    {"divisibleby", [](Context& c, const Value& s, const Bound& a) { return leaves(c, s, a[0], 0); }, "num", 1},
    {"lower", [](Context& c, const Value& s, const Bound&) { return Value::of(is_in_case(c, to_text(c, s), false)); }},
    {"upper", [](Context& c, const Value& s, const Bound&) { return Value::of(is_in_case(c, to_text(c, s), true)); }},
    {"escaped",
     [](Context&, const Value& s, const Bound&) { return Value::of(s.is(Type::string) && s.as<Text>().safe); }},
    {"filter", [](Context&, const Value& s, const Bound&) { return names(s, find_filter); }},
    {"test", [](Context&, const Value& s, const Bound&) { return names(s, find_test); }},
    {"in", [](Context& c, const Value& s, const Bound& a) { return Value::of(contains(c, a[0], s)); }, "seq", 1},
    {"sameas", [](Context&, const Value& s, const Bound& a) { return Value::of(s.same(a[0])); }, "other", 1},
    {"eq", test_equal, "/", 1},
    {"equalto", test_equal, "/", 1},
    {"==", test_equal, "/", 1},
    {"ne", test_unequal, "/", 1},
    {"!=", test_unequal, "/", 1},
    {"lt", test_less, "/", 1},
    {"lessthan", test_less, "/", 1},
    {"<", test_less, "/", 1},
    {"gt", test_more, "/", 1},
    {"greaterthan", test_more, "/", 1},
    {">", test_more, "/", 1},
    {"le", test_at_most, "/", 1},
    {"<=", test_at_most, "/", 1},
    {"ge", test_at_least, "/", 1},
    {">=", test_at_least, "/", 1},
};
#endif

}  // namespace detail

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE const Builtin* find_test(std::string_view name) { return find_builtin(detail::tests, name); }
#endif

/// Calls a filter or test by its name, as `map` and `select` do.
inline Value call_by_name(Context& context, const Builtin* (*find)(std::string_view), const char* kind,
                          const Value& name, const Value& self, const Arguments& arguments) {
    if (!name.is(Type::string)) context.fail(std::string("expected the name of a ") + kind);
    const Builtin* builtin = find(text_of(name));
    if (builtin == nullptr) context.fail(std::string("no ") + kind + " named '" + text_of(name) + "'");
    return builtin->call(context, self, Bound(context, *builtin, arguments));
}

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
