#pragma once
// obj.name and obj[key], with jinja2's rules: the one looks for attributes first, the other for items.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "methods.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

namespace detail {

/// getattr(object, name): a method, or what namespaces and cyclers have. Undefined for what the sandbox forbids.
inline std::optional<Value> python_attribute(Context& context, const Value& object, const std::string& name) {
    if (object.is(Type::space)) {
        const Value* found = object.as<Space>().find(name);
        return found && !name.starts_with('_') ? std::optional(*found) : std::nullopt;
    }
    if (const Builtin* method = find_method(object, name)) return make_function(context, *method, object);
    if (is_forbidden(object, name)) return Value::undefined(name);
    if (object.is(Type::cycler) && name == "current") return object.as<Cycler>().items[object.as<Cycler>().next];
    if (object.is(Type::tuple) && std::string_view(object.as<Items>().name) == "group") {
        if (name == "grouper") return object.as<Items>().items[0];
        if (name == "list") return object.as<Items>().items[1];
    }
    if (object.is(Type::range) && (name == "start" || name == "stop" || name == "step")) {
        const Range& range = object.as<Range>();
        return Value::of(name == "start" ? range.start : name == "stop" ? range.stop : range.step);
    }
    return std::nullopt;
}

/// object[key], or nothing.
inline std::optional<Value> python_item(Context& context, const Value& object, const Value& key) {
    if (object.is(Type::undefined)) fail_undefined(context, object);
    if (object.is(Type::dict)) {
        if (!is_hashable(context, key)) return std::nullopt;
        const Value* found = find_in(context, object.as<Dict>(), key);
        return found ? std::optional(*found) : std::nullopt;
    }
    return key.is_integral() ? item_at(context, object, key.integer()) : std::nullopt;
}

}  // namespace detail

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE Value get_item(Context& context, const Value& object, const Value& key) {
    context.step();
    if (auto found = detail::python_item(context, object, key)) return *std::move(found);
    if (!key.is(Type::string)) return Value();
    auto found = detail::python_attribute(context, object, text_of(key));
    return found && !found->is(Type::undefined) ? *std::move(found) : Value();
}

EIGENLM_LARGE Value get_attribute(Context& context, const Value& object, const std::string& name) {
    context.step();
    if (object.is(Type::undefined)) fail_undefined(context, object);
    if (auto found = detail::python_attribute(context, object, name)) return *std::move(found);
    if (object.is(Type::dict))
        if (const Value* found = find_in(context, object.as<Dict>(), std::string_view(name))) return *found;
    return Value::undefined(name);
}
#endif

/// Looks up a path as filters do: "a.b.0", one name or number after the other; or an integer.
inline Value get_path(Context& context, Value item, const Value& path, const Value* otherwise = nullptr) {
    const auto replace = [&] {
        if (otherwise != nullptr && item.is(Type::undefined) && !otherwise->is(Type::none)) item = *otherwise;
    };
    if (path.is(Type::none)) return item;
    if (!path.is(Type::string)) {
        item = get_item(context, item, path);
        replace();
        return item;
    }
    for (const std::string_view part : pieces_of(context, text_of(path), ".", -1, false)) {
        const bool number =
            !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == std::string_view::npos;
        std::size_t pos = 0;
        item = get_item(context, item,
                        number ? Value::of(read_count(context, part, pos)) : make_text(context, std::string(part)));
        replace();
    }
    return item;
}

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
