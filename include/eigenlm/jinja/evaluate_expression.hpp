#pragma once
// The interpreter's other half: expressions, calls, and what the variable `loop` knows.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "evaluate.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

namespace detail {

#if EIGENLM_DEFINE_LARGE
inline Value loop_cycle(Context& context, const Value& self, const Bound& given) {
    const auto& items = given.rest().positional;
    if (items.empty() || !given.rest().named.empty()) context.fail("no items for cycling given");
    return items[static_cast<std::size_t>(self.as<Loop>().index0) % items.size()];
}

inline Value loop_changed(Context& context, const Value& self, const Bound& given) {
    Loop& loop = self.as<Loop>();
    const auto& now = given.rest().positional;
    if (!given.rest().named.empty()) context.fail("changed() takes no keyword arguments");
    if (depth_above(context, now) > loop.depth) loop.depth = depth_above(context, now);
    if (loop.was_changed && equal_items(context, loop.changed, now)) return Value::of(false);
    loop.was_changed = true;
    loop.changed = now;
    return Value::of(true);
}

inline constexpr Builtin loop_methods[] = {{"cycle", loop_cycle, "*"}, {"changed", loop_changed, "*"}};
#endif

}  // namespace detail

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE bool Interpreter::fetch(Loop& loop, Value& item) {
    while (loop.cursor.next(item)) {
        if (!loop.test) return true;
        const Inside inside(*this, loop.test);
        assign(loop.definition->parameters[0], item);
        if (is_true(evaluate(loop.definition->expressions[2]))) return true;
    }
    return false;
}

EIGENLM_LARGE bool Interpreter::next_item(Loop& loop) {
    Value item;
    if (!loop.ahead.empty()) {
        item = std::move(loop.ahead.front());
        loop.ahead.pop_front();
    } else if (!fetch(loop, item)) {
        return false;
    }
    ++loop.index0;
    loop.before = std::exchange(loop.current, std::move(item));
    return true;
}

EIGENLM_LARGE bool Interpreter::peek(Loop& loop) {
    Value item;
    if (loop.ahead.empty() && fetch(loop, item)) loop.ahead.push_back(std::move(item));
    return !loop.ahead.empty();
}

EIGENLM_LARGE std::size_t Interpreter::length(Loop& loop) {
    if (!loop.length && !loop.test) loop.length = length_of(loop.cursor.source());
    if (!loop.length) {
        for (Value item; fetch(loop, item);) {
            context_.need(loop.ahead.size() * sizeof(Value));
            loop.ahead.push_back(item);
        }
        loop.length = static_cast<std::size_t>(loop.index()) + loop.ahead.size();
    }
    return *loop.length;
}

EIGENLM_LARGE Value Interpreter::loop_attribute(const Value& value, const std::string& name) {
    Loop& loop = value.as<Loop>();
    const auto left = [&](std::int64_t done) { return Value::of(static_cast<std::int64_t>(length(loop)) - done); };
    if (name == "index") return Value::of(loop.index());
    if (name == "index0") return Value::of(loop.index0);
    if (name == "first") return Value::of(loop.index0 == 0);
    if (name == "last") return Value::of(!peek(loop));
    if (name == "length") return Value::of(length(loop));
    if (name == "revindex") return left(loop.index0);
    if (name == "revindex0") return left(loop.index());
    if (name == "depth") return Value::of(loop.depth0 + 1);
    if (name == "depth0") return Value::of(loop.depth0);
    if (name == "previtem") return loop.index0 == 0 ? Value::undefined(name) : loop.before;
    if (name == "nextitem") return peek(loop) ? loop.ahead.front() : Value::undefined(name);
    if (const Builtin* method = find_builtin(detail::loop_methods, name))
        return make_function(context_, *method, value);
    return Value::undefined(name);
}

EIGENLM_LARGE Value Interpreter::variable(const Expression& expression) {
    const Value& value = scope_->at(expression.place);
    return value.is(Type::undefined) && !value.name() ? Value::undefined(expression.name) : value;
}

EIGENLM_LARGE Value Interpreter::attribute(const Value& object, const Expression& expression) {
    context_.at = expression.at;
    if (object.is(Type::loop)) return loop_attribute(object, expression.name);
    if (object.is(Type::macro) && expression.name == "name")
        return make_text(context_, object.as<Macro>().definition->name);
    return get_attribute(context_, object, expression.name);
}

EIGENLM_LARGE Value Interpreter::evaluate(const Expression& expression) {
    if (expression.operation == Operation::constant) return expression.value;
    if (expression.operation == Operation::name) return variable(expression);
    const Context::Level level(context_);
    context_.step();
    return compute(expression);
}

EIGENLM_LARGE Value Interpreter::compute(const Expression& expression) {
    switch (expression.operation) {
        case Operation::attribute:
            return attribute(evaluate(expression.parts[0]), expression);
        case Operation::tuple:
        case Operation::list:
        case Operation::dict:
            return collection(expression);
        case Operation::negation:
            return Value::of(!is_true(evaluate(expression.parts[0])));
        case Operation::conjunction: {
            Value left = evaluate(expression.parts[0]);
            return is_true(left) ? evaluate(expression.parts[1]) : left;
        }
        case Operation::disjunction: {
            Value left = evaluate(expression.parts[0]);
            return is_true(left) ? left : evaluate(expression.parts[1]);
        }
        case Operation::concat:
            return concatenation(expression);
        case Operation::compare:
            return comparison(expression);
        case Operation::conditional:
            return conditional(expression);
        case Operation::call:
            return call(expression);
        case Operation::filter:
            return filter(expression);
        case Operation::test:
            return test(expression);
        case Operation::captured:
            return std::move(captured_);
        default:
            return arithmetic(expression);
    }
}

EIGENLM_LARGE Value Interpreter::arithmetic(const Expression& expression) {
    const Value a = evaluate(expression.parts[0]);
    const Value b = expression.parts.size() > 1 ? evaluate(expression.parts[1]) : Value();
    context_.at = expression.at;
    switch (expression.operation) {
        case Operation::negative:
        case Operation::positive:
            return with_sign(context_, a, expression.operation == Operation::negative);
        case Operation::add:
            return add(context_, a, b);
        case Operation::subtract:
            return subtract(context_, a, b);
        case Operation::multiply:
            return multiply(context_, a, b);
        case Operation::divide:
            return divide(context_, a, b);
        case Operation::floor:
            return divide_floor(context_, a, b, "//").first;
        case Operation::modulo:
            return modulo(context_, a, b);
        case Operation::power:
            return power(context_, a, b);
        case Operation::item: {
            if (a.is(Type::loop) && b.is(Type::string)) context_.unsupported("loop[...]: write loop.name");
            const Value item = get_item(context_, a, b);
            const Expression& key = expression.parts[1];
            const bool known = key.operation == Operation::constant && key.value.is(Type::string);
            return item.is(Type::undefined) && !item.name() && known ? Value::undefined(text_of(key.value)) : item;
        }
        default: {  // a slice
            const Value stop = evaluate(expression.parts[2]), step = evaluate(expression.parts[3]);
            context_.at = expression.at;
            return slice_value(context_, a, b, stop, step);
        }
    }
}

EIGENLM_LARGE Value Interpreter::collection(const Expression& expression) {
    std::vector<Value> parts;
    for (const Expression& part : expression.parts) parts.push_back(evaluate(part));
    context_.at = expression.at;
    if (expression.operation != Operation::dict)
        return make_items(context_, std::move(parts),
                          expression.operation == Operation::list ? Type::list : Type::tuple);
    Entries entries;
    for (std::size_t i = 0; i < parts.size(); i += 2) entries.emplace_back(parts[i], parts[i + 1]);
    return make_dict(context_, std::move(entries));
}

EIGENLM_LARGE bool Interpreter::holds(const std::string& sign, const Value& a, const Value& b) {
    if (sign == "==") return equal(context_, a, b);
    if (sign == "!=") return !equal(context_, a, b);
    if (sign == "in") return contains(context_, b, a);
    if (sign == "not in") return !contains(context_, b, a);
    const int order = compare(context_, a, b, sign.c_str());
    if (order == 2) return false;
    return sign == "<" ? order < 0 : sign == ">" ? order > 0 : sign == "<=" ? order <= 0 : order >= 0;
}

EIGENLM_LARGE Value Interpreter::comparison(const Expression& expression) {
    Value left = evaluate(expression.parts[0]);
    for (std::size_t i = 0; i < expression.names.size(); ++i) {
        Value right = evaluate(expression.parts[i + 1]);
        context_.at = expression.at;
        if (!holds(expression.names[i], left, right)) return Value::of(false);
        left = std::move(right);
    }
    return Value::of(true);
}

EIGENLM_LARGE Value Interpreter::conditional(const Expression& expression) {
    if (is_true(evaluate(expression.parts[0]))) return evaluate(expression.parts[1]);
    return expression.parts.size() > 2 ? evaluate(expression.parts[2]) : Value();
}

EIGENLM_LARGE Value Interpreter::concatenation(const Expression& expression) {
    std::string out;
    for (const Expression& part : expression.parts) {
        const Value value = evaluate(part);
        context_.at = expression.at;
        out += to_text(context_, value);
        context_.need(out.size());
    }
    return make_text(context_, std::move(out));
}

EIGENLM_LARGE Arguments Interpreter::arguments(const Expression& call) {
    Arguments out;
    const std::size_t stars = (call.star ? 1u : 0u) + (call.double_star ? 1u : 0u);
    const std::size_t first_named = call.parts.size() - stars - call.names.size();
    for (std::size_t i = 1; i < first_named; ++i) out.positional.push_back(evaluate(call.parts[i]));
    for (std::size_t i = 0; i < call.names.size(); ++i)
        out.named.emplace_back(call.names[i], evaluate(call.parts[first_named + i]));
    const std::size_t first_star = first_named + call.names.size();
    if (call.star)
        for (Value& item : items_of(context_, evaluate(call.parts[first_star])))
            out.positional.push_back(std::move(item));
    if (!call.double_star) return out;
    const Value more = evaluate(call.parts.back());
    if (!more.is(Type::dict)) context_.fail("the argument behind ** must be a mapping");
    for (const auto& [name, value] : more.as<Dict>().entries) {
        if (!name.is(Type::string)) context_.fail("keywords must be strings");
        for (const Named& given : out.named)
            if (given.first == text_of(name))
                context_.fail("multiple values for keyword argument '" + given.first + "'");
        context_.step(out.named.size() / 16 + 1);
        out.named.emplace_back(text_of(name), value);
    }
    return out;
}

EIGENLM_LARGE Value Interpreter::filter(const Expression& expression) {
    const Value self = evaluate(expression.parts[0]);
    Arguments given = arguments(expression);
    context_.at = expression.at;
    if (expression.builtin == nullptr) context_.fail("no filter named '" + expression.name + "'");
    return expression.builtin->call(context_, self, Bound(context_, *expression.builtin, std::move(given)));
}

EIGENLM_LARGE Value Interpreter::test(const Expression& expression) {
    const Value self = evaluate(expression.parts[0]);
    Arguments given = arguments(expression);
    context_.at = expression.at;
    if (expression.builtin == nullptr) context_.fail("no test named '" + expression.name + "'");
    return expression.builtin->call(context_, self, Bound(context_, *expression.builtin, std::move(given)));
}

EIGENLM_LARGE Value Interpreter::call(const Expression& expression, const Value* caller) {
    const Expression& callee = expression.parts[0];
    Value object, function;
    const Builtin* method = nullptr;
    if (callee.operation == Operation::attribute) {  // a method needs no value of its own
        object = evaluate(callee.parts[0]);
        method = find_method(object, callee.name);
        if (method == nullptr) function = attribute(object, callee);
    } else {
        function = evaluate(callee);
    }
    Arguments given = arguments(expression);
    if (caller != nullptr) given.named.emplace_back("caller", *caller);
    context_.at = expression.at;
    if (method != nullptr) return method->call(context_, object, Bound(context_, *method, std::move(given)));
    return call_value(function, std::move(given));
}

EIGENLM_LARGE Value Interpreter::call_value(const Value& callee, Arguments given) {
    const Context::Level level(context_);
    if (callee.is(Type::macro)) return call_macro(callee.as<Macro>(), std::move(given));
    if (callee.is(Type::function)) {
        const Function& function = callee.as<Function>();
        return function.builtin->call(context_, function.self, Bound(context_, *function.builtin, std::move(given)));
    }
    static constexpr Builtin none{"joiner", nullptr}, one{"loop", nullptr, "iterable", 1};
    if (callee.is(Type::joiner)) {
        const Bound nothing(context_, none, std::move(given));
        const bool used = std::exchange(callee.as<Joiner>().used, true);
        return used ? callee.as<Joiner>().separator : make_text(context_, "");
    }
    if (callee.is(Type::loop)) {
        Loop& loop = callee.as<Loop>();
        if (!loop.definition->recursive || !loop.scope) context_.fail("the loop is not recursive, or has ended");
        const Bound source(context_, one, std::move(given));
        const Inside inside(*this, loop.scope);
        return captured([&] { go_through(*loop.definition, source[0], loop.depth0 + 1); });
    }
    if (callee.is(Type::undefined)) fail_undefined(context_, callee);
    context_.fail(std::string("'") + type_name(callee) + "' object is not callable");
}

/// Puts what was given into the parameters, and marks those that are missing. What is left stays in `given`.
EIGENLM_LARGE void Interpreter::set_parameters(const Statement& definition, Arguments& given,
                                               std::vector<bool>& missing) {
    const std::size_t count = definition.parameters.size(), some = std::min(count, given.positional.size());
    bool found_caller = some == count && std::any_of(definition.parameters.begin(), definition.parameters.end(),
                                                     [](const Expression& p) { return p.name == "caller"; });
    const auto take = [&](std::string_view name, Value& to) {
        const auto it = std::find_if(given.named.begin(), given.named.end(),
                                     [&](const Named& argument) { return argument.first == name; });
        if (it == given.named.end()) return false;
        to = std::move(it->second);
        given.named.erase(it);
        return true;
    };
    for (std::size_t i = 0; i < count; ++i) {
        Value& slot = scope_->at(definition.parameters[i].place);
        found_caller |= i >= some && definition.parameters[i].name == "caller";
        missing[i] = i >= some && !take(definition.parameters[i].name, slot);
        if (i < some) slot = given.positional[i];
    }
    given.positional.erase(given.positional.begin(), given.positional.begin() + static_cast<std::ptrdiff_t>(some));
    if (!definition.uses_special || found_caller) return;
    Value& caller = scope_->at(definition.caller);
    if (!take("caller", caller) || caller.is(Type::none)) caller = Value();
}

EIGENLM_LARGE Value Interpreter::call_macro(const Macro& macro, Arguments given) {
    const Statement& definition = *macro.definition;
    const std::string name = definition.type == StatementType::macro ? definition.name : "caller";
    const std::size_t at = context_.at, count = definition.parameters.size();
    const std::size_t first_default = definition.type == StatementType::call ? 1 : 0;
    const std::size_t defaults = definition.expressions.size() - first_default;
    std::vector<bool> missing(count);
    const Inside inside(*this, enter(definition.frames[0], macro.scope));
    set_parameters(definition, given, missing);
    if (definition.uses_kwargs) {
        Entries entries;
        for (const auto& [key, value] : given.named) entries.emplace_back(make_text(context_, key), value);
        scope_->at(definition.kwargs) = make_dict(context_, std::move(entries));
    } else if (!given.named.empty()) {
        context_.fail("macro '" + name + "' takes no keyword argument '" + given.named[0].first + "'");
    }
    if (definition.uses_varargs)
        scope_->at(definition.varargs) = make_items(context_, std::move(given.positional), Type::tuple);
    else if (!given.positional.empty())
        context_.fail("macro '" + name + "' takes not more than " + std::to_string(count) + " arguments");
    for (std::size_t i = 0; i < count; ++i) {
        if (!missing[i]) continue;
        Value& slot = scope_->at(definition.parameters[i].place);
        slot = Value();
        if (i + defaults >= count) slot = evaluate(definition.expressions[first_default + i + defaults - count]);
    }
    Value text = captured([&] { run(definition.bodies[0]); });
    context_.at = at;
    return text;
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
