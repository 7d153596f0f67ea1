#pragma once
// Arguments of calls, and the functions, filters, tests and methods that take them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sequence.hpp"
#include "value.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// What stands between the parentheses of a call.
struct Arguments {
    std::vector<Value> positional;  ///< in order
    std::vector<Named> named;       ///< in order
};

class Bound;

/// Something that templates know by name and call.
struct Builtin {
    std::string_view name;                                               ///< in templates
    Value (*call)(Context&, const Value& self, const Bound& arguments);  ///< `self`: what it is a filter or method of
    /// The parameters' names, with spaces between them. "/" is one without a name, and "*" at the end takes all others.
    std::string_view parameters = "";
    std::size_t required = 0;  ///< how many of them must be given
};

/// Arguments, each at its parameter.
class Bound {
  public:
    /// Throws, as Python does, for arguments that the parameters do not take.
    Bound(Context& context, const Builtin& builtin, Arguments given);

    /// Whether parameter `i` was given.
    bool has(std::size_t i) const { return i < given_.size() && given_[i]; }
    /// What was given for it, or else undefined.
    const Value& operator[](std::size_t i) const { return values_[i]; }
    /// ... or else none.
    Value or_none(std::size_t i) const { return has(i) ? values_[i] : Value::none(); }
    /// Whether it was given, and not as none.
    bool is_set(std::size_t i) const { return has(i) && !values_[i].is(Type::none); }
    /// Whether it counts as true.
    bool truth(std::size_t i, bool fallback = false) const { return has(i) ? is_true(values_[i]) : fallback; }
    /// It as an integer; throws when it is something else.
    std::int64_t integer(std::size_t i, std::int64_t fallback = 0) const {
        if (!has(i)) return fallback;
        if (!values_[i].is_integral()) fail_type(values_[i], "an integer");
        return values_[i].integer();
    }
    /// It as a string; throws when it is something else.
    std::string_view text(std::size_t i, std::string_view fallback = {}) const {
        if (!has(i)) return fallback;
        if (!values_[i].is(Type::string)) fail_type(values_[i], "a string");
        return text_of(values_[i]);
    }
    /// What a "*" took.
    const Arguments& rest() const { return rest_; }

  private:
    [[noreturn]] void fail_type(const Value& found, const char* expected) const {
        if (found.is(Type::undefined)) fail_undefined(context_, found);
        context_.fail(std::string(name_) + ": expected " + expected + ", found '" + type_name(found) + "'");
    }
    [[noreturn]] void fail(const std::string& what) const { context_.fail(std::string(name_) + ": " + what); }

    Context& context_;
    std::string_view name_;
    std::vector<Value> values_;
    std::vector<bool> given_;
    Arguments rest_;
};

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE Bound::Bound(Context& context, const Builtin& builtin, Arguments given)
    : context_(context), name_(builtin.name), rest_(std::move(given)) {
    std::vector<std::string_view> names;
    for (std::string_view left = builtin.parameters; !left.empty();) {
        const std::size_t end = std::min(left.find(' '), left.size());
        names.push_back(left.substr(0, end));
        left.remove_prefix(std::min(end + 1, left.size()));
    }
    const bool takes_all = !names.empty() && names.back() == "*";
    if (takes_all) names.pop_back();
    values_.resize(names.size());
    given_.resize(names.size());
    std::size_t taken = 0;
    for (; taken < std::min(names.size(), rest_.positional.size()); ++taken) {
        values_[taken] = rest_.positional[taken];
        given_[taken] = true;
    }
    rest_.positional.erase(rest_.positional.begin(), rest_.positional.begin() + static_cast<std::ptrdiff_t>(taken));
    if (!takes_all && !rest_.positional.empty())
        fail("expected at most " + std::to_string(names.size()) + " arguments");
    std::vector<Named> others;
    for (Named& argument : rest_.named) {
        const auto it = std::find(names.begin(), names.end(), argument.first);
        if (it == names.end() || argument.first == "/") {
            if (!takes_all) fail("unexpected keyword argument '" + argument.first + "'");
            others.push_back(std::move(argument));
            continue;
        }
        const std::size_t i = static_cast<std::size_t>(it - names.begin());
        if (given_[i]) fail("multiple values for argument '" + argument.first + "'");
        values_[i] = std::move(argument.second);
        given_[i] = true;
    }
    rest_.named = std::move(others);
    for (std::size_t i = 0; i < builtin.required; ++i)
        if (!given_[i]) fail("expected at least " + std::to_string(builtin.required) + " arguments");
}
#endif

/// Of Type::function: a function, or a method with what it belongs to.
struct Function : Object {
    /// `object` is undefined for a plain function.
    Function(Context* owner, const Builtin& what, Value object)
        : Object(owner, sizeof(Function), object.depth() + 1), builtin(&what), self(std::move(object)) {
        if (owner != nullptr && depth > max_value_depth) owner->fail("values nested too deep");
    }

    const Builtin* builtin;  ///< what it does
    Value self;              ///< to what
};

/// A function or method as a value.
inline Value make_function(Context& context, const Builtin& builtin, const Value& self = {}) {
    return Value(Type::function, std::make_shared<Function>(&context, builtin, self));
}

/// The entry called `name` of a table, or null.
template <std::size_t N>
const Builtin* find_builtin(const Builtin (&table)[N], std::string_view name) {
    for (const Builtin& entry : table)
        if (entry.name == name) return &entry;
    return nullptr;
}

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
