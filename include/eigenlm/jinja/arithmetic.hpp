#pragma once
// Python's operators: + - * / // % ** on what they take, with its errors for the rest. Integers have 64 bits here.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format_text.hpp"
#include "sequence.hpp"
#include "value.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// `text` with the characters that HTML gives a meaning to written as entities.
inline std::string html_escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '\'':
                out += "&#39;";
                break;
            case '"':
                out += "&#34;";
                break;
            default:
                out.push_back(c);
        }
    }
    return out;
}

/// Ends with what Python says of operands that an operator does not take.
[[noreturn]] inline void fail_operands(const Context& context, const char* sign, const Value& a, const Value& b) {
    if (a.is(Type::undefined)) fail_undefined(context, a);
    if (b.is(Type::undefined)) fail_undefined(context, b);
    context.fail(std::string("unsupported operand types for ") + sign + ": '" + type_name(a) + "' and '" +
                 type_name(b) + "'");
}

/// Ends with the word that integers have 64 bits here.
[[noreturn]] inline void fail_overflow(const Context& context) { context.fail("integers of more than 64 bits"); }

/// a + b.
inline Value add(Context& context, const Value& a, const Value& b) {
    if (a.is_integral() && b.is_integral()) {
        std::int64_t sum = 0;
        if (__builtin_add_overflow(a.integer(), b.integer(), &sum)) fail_overflow(context);
        return Value::of(sum);
    }
    if (a.is_number() && b.is_number()) return Value::of(a.real() + b.real());
    if (a.is(Type::string) && b.is(Type::string)) {
        const bool a_safe = a.as<Text>().safe, b_safe = b.as<Text>().safe;
        context.need(6 * (text_of(a).size() + text_of(b).size()));
        const auto escaped = [&](const Value& v, bool safe) { return safe ? text_of(v) : html_escaped(text_of(v)); };
        if (a_safe || b_safe) return make_text(context, escaped(a, a_safe) + escaped(b, b_safe), true);
        return make_text(context, text_of(a) + text_of(b));
    }
    if (a.type() == b.type() && (a.is(Type::list) || a.is(Type::tuple))) {
        const auto &x = a.as<Items>().items, &y = b.as<Items>().items;
        context.need((x.size() + y.size()) * sizeof(Value));
        std::vector<Value> items(x);
        items.insert(items.end(), y.begin(), y.end());
        return make_items(context, std::move(items), a.type());
    }
    fail_operands(context, "+", a, b);
}

/// a - b.
inline Value subtract(Context& context, const Value& a, const Value& b) {
    if (!a.is_number() || !b.is_number()) fail_operands(context, "-", a, b);
    if (!a.is_integral() || !b.is_integral()) return Value::of(a.real() - b.real());
    std::int64_t difference = 0;
    if (__builtin_sub_overflow(a.integer(), b.integer(), &difference)) fail_overflow(context);
    return Value::of(difference);
}

/// A string, list or tuple `count` times over.
inline Value repeated(Context& context, const Value& value, std::int64_t count) {
    const std::size_t times = count > 0 ? static_cast<std::size_t>(count) : 0;
    std::size_t size = 0;
    const std::size_t unit = value.is(Type::string) ? text_of(value).size() : value.as<Items>().items.size();
    if (__builtin_mul_overflow(times, unit * (value.is(Type::string) ? 1 : sizeof(Value)), &size))
        size = std::numeric_limits<std::size_t>::max();
    context.need(size);
    const std::size_t rounds = unit == 0 ? 0 : times;
    if (value.is(Type::string)) {
        std::string text;
        text.reserve(size);
        for (std::size_t i = 0; i < rounds; ++i) text += text_of(value);
        return make_text(context, std::move(text), value.as<Text>().safe);
    }
    std::vector<Value> items;
    items.reserve(unit * rounds);
    for (std::size_t i = 0; i < rounds; ++i)
        items.insert(items.end(), value.as<Items>().items.begin(), value.as<Items>().items.end());
    return make_items(context, std::move(items), value.type());
}

/// a * b.
inline Value multiply(Context& context, const Value& a, const Value& b) {
    if (a.is_integral() && b.is_integral()) {
        std::int64_t product = 0;
        if (__builtin_mul_overflow(a.integer(), b.integer(), &product)) fail_overflow(context);
        return Value::of(product);
    }
    if (a.is_number() && b.is_number()) return Value::of(a.real() * b.real());
    const auto repeats = [](const Value& v) { return v.is(Type::string) || v.is(Type::list) || v.is(Type::tuple); };
    if (repeats(a) && b.is_integral()) return repeated(context, a, b.integer());
    if (repeats(b) && a.is_integral()) return repeated(context, b, a.integer());
    fail_operands(context, "*", a, b);
}

/// a / b, always a float.
inline Value divide(Context& context, const Value& a, const Value& b) {
    if (!a.is_number() || !b.is_number()) fail_operands(context, "/", a, b);
    if (b.real() == 0) context.fail("division by zero");
    if (!a.is_integral() || !b.is_integral()) return Value::of(a.real() / b.real());
    const long double quotient = static_cast<long double>(a.integer()) / static_cast<long double>(b.integer());
    return Value::of(static_cast<double>(quotient));
}

/// The quotient towards minus infinity and what is left, of b's sign.
inline std::pair<Value, Value> divide_floor(Context& context, const Value& a, const Value& b, const char* sign) {
    if (!a.is_number() || !b.is_number()) fail_operands(context, sign, a, b);
    if (b.real() == 0) context.fail("integer division or modulo by zero");
    if (a.is_integral() && b.is_integral()) {
        const std::int64_t x = a.integer(), y = b.integer();
        if (y == -1) return {subtract(context, Value::of(std::int64_t{0}), a), Value::of(std::int64_t{0})};
        const std::int64_t rest = x % y;
        const bool down = rest != 0 && (rest < 0) != (y < 0);
        return {Value::of(x / y - (down ? 1 : 0)), Value::of(down ? rest + y : rest)};
    }
    const double x = a.real(), y = b.real();
    double rest = std::fmod(x, y), quotient = (x - rest) / y;
    if (rest == 0) {
        rest = std::copysign(0.0, y);
    } else if ((rest < 0) != (y < 0)) {
        rest += y;
        quotient -= 1;
    }
    double whole = quotient == 0 ? std::copysign(0.0, x / y) : std::floor(quotient);
    if (quotient - whole > 0.5) whole += 1;
    return {Value::of(whole), Value::of(rest)};
}

/// a % b: what is left of a division, or a format.
inline Value modulo(Context& context, const Value& a, const Value& b) {
    if (!a.is(Type::string)) return divide_floor(context, a, b, "%").second;
    return make_text(context, PercentFormat(context, text_of(a), b).run(), a.as<Text>().safe);
}

/// a ** b.
inline Value power(Context& context, const Value& a, const Value& b) {
    if (!a.is_number() || !b.is_number()) fail_operands(context, "**", a, b);
    if (a.is_integral() && b.is_integral() && b.integer() >= 0) {
        std::int64_t result = 1, base = a.integer();
        for (std::int64_t left = b.integer(); left > 0;) {
            if ((left & 1) != 0 && __builtin_mul_overflow(result, base, &result)) fail_overflow(context);
            left >>= 1;
            if (left > 0 && __builtin_mul_overflow(base, base, &base)) fail_overflow(context);
        }
        return Value::of(result);
    }
    const double x = a.real(), y = b.real();
    if (x == 0 && y < 0) context.fail("0.0 cannot be raised to a negative power");
    if (x < 0 && std::isfinite(x) && std::isfinite(y) && y != std::floor(y))
        context.unsupported("complex numbers: a negative number to the power of a fraction");
    const double result = std::pow(x, y);
    if (std::isinf(result) && std::isfinite(x) && std::isfinite(y)) context.fail("numerical result out of range");
    return Value::of(result);
}

/// -a, or +a.
inline Value with_sign(Context& context, const Value& a, bool negative) {
    if (a.is(Type::undefined)) fail_undefined(context, a);
    if (!a.is_number()) context.fail(std::string("bad operand type for a sign: '") + type_name(a) + "'");
    if (a.is(Type::real)) return Value::of(negative ? -a.real() : a.real());
    return negative ? subtract(context, Value::of(std::int64_t{0}), a) : Value::of(a.integer());
}

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
