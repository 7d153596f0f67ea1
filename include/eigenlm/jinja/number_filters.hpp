#pragma once
// Filters that make numbers.
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "arguments.hpp"
#include "arithmetic.hpp"
#include "string_methods.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// The text of a number without white space around it and single underscores between its digits; nothing when there
/// are other underscores.
inline std::optional<std::string> plain_number(std::string_view text) {
    text = stripped(text, nullptr, Ends::both);
    const auto is_digit = [&](std::size_t i) {
        return i < text.size() && is_word(static_cast<unsigned char>(text[i])) && text[i] != '_';
    };
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '_')
            out.push_back(text[i]);
        else if (i == 0 || !is_digit(i - 1) || !is_digit(i + 1))
            return std::nullopt;
    }
    return out;
}

/// int(text, base), or nothing where Python has a ValueError.
inline std::optional<std::int64_t> parse_integer(Context& context, std::string_view text, std::int64_t base) {
    const auto plain = plain_number(text);
    if (!plain || base < 0 || base > 36 || base == 1) return std::nullopt;
    std::string_view digits = *plain;
    const bool negative = digits.starts_with('-');
    if (negative || digits.starts_with('+')) digits.remove_prefix(1);
    const std::string_view letters = "box";
    const char letter = digits.size() > 2 && digits[0] == '0' ? static_cast<char>(digits[1] | 32) : '\0';
    const std::size_t at = letter == '\0' ? std::string_view::npos : letters.find(letter);
    const std::int64_t meant = at == 0 ? 2 : at == 1 ? 8 : at == 2 ? 16 : 0;
    if (meant != 0 && (base == 0 || base == meant)) {
        digits.remove_prefix(2);
        base = meant;
    }
    if (base == 0) base = 10;
    const std::string signed_digits = (negative ? "-" : "") + std::string(digits);
    if (digits.empty() || digits[0] == '-' || digits[0] == '+') return std::nullopt;
    std::int64_t value = 0;
    const char* const end = signed_digits.data() + signed_digits.size();
    const auto result = std::from_chars(signed_digits.data(), end, value, static_cast<int>(base));
    if (result.ptr != end) return std::nullopt;
    if (result.ec != std::errc()) fail_overflow(context);
    return value;
}

/// float(text), or nothing where Python has a ValueError.
inline std::optional<double> parse_float(std::string_view text) {
    const auto plain = plain_number(text);
    if (!plain) return std::nullopt;
    std::string_view digits = *plain;
    const bool negative = digits.starts_with('-');
    if (negative || digits.starts_with('+')) digits.remove_prefix(1);
    if (digits.empty() || digits[0] == '-' || digits[0] == '+' || digits.find('(') != std::string_view::npos)
        return std::nullopt;
    double value = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (result.ptr != digits.data() + digits.size()) return std::nullopt;
    if (result.ec == std::errc::result_out_of_range)
        value =
            digits.find("e-") == std::string_view::npos && digits.find("E-") == std::string_view::npos ? HUGE_VAL : 0;
    return negative ? -value : value;
}

namespace detail {

inline Value to_integer(Context& context, const Value& self, const Bound& arguments) {
    const Value otherwise = arguments.has(0) ? arguments[0] : Value::of(std::int64_t{0});
    if (self.is(Type::undefined)) fail_undefined(context, self);
    if (self.is_integral()) return Value::of(self.integer());
    if (self.is(Type::real)) return std::isnan(self.real()) ? otherwise : Value::of(whole_part(context, self.real()));
    if (!self.is(Type::string)) return otherwise;
    context.scan(16 * text_of(self).size());
    if (const auto value = parse_integer(context, text_of(self), arguments.integer(1, 10))) return Value::of(*value);
    const auto number = parse_float(text_of(self));
    return number && std::isfinite(*number) ? Value::of(whole_part(context, *number)) : otherwise;
}

inline Value to_float(Context& context, const Value& self, const Bound& arguments) {
    const Value otherwise = arguments.has(0) ? arguments[0] : Value::of(0.0);
    if (self.is(Type::undefined)) fail_undefined(context, self);
    if (self.is_number()) return Value::of(self.real());
    if (!self.is(Type::string)) return otherwise;
    context.scan(8 * text_of(self).size());
    const auto number = parse_float(text_of(self));
    return number ? Value::of(*number) : otherwise;
}

inline Value absolute(Context& context, const Value& self, const Bound&) {
    if (self.is_number() && self.real() < 0) return with_sign(context, self, true);
    if (self.is(Type::real)) return Value::of(std::abs(self.real()));
    return with_sign(context, self, false);
}

/// round(value, digits), to even in the middle.
inline Value round_to_even(Context& context, const Value& value, std::int64_t digits) {
    if (value.is_integral()) {
        if (digits >= 0) return Value::of(value.integer());
        if (digits < -18) return Value::of(std::int64_t{0});
        const Value unit = power(context, Value::of(std::int64_t{10}), Value::of(-digits));
        const auto [quotient, rest] = divide_floor(context, value, unit, "round");
        const std::int64_t half = unit.integer() / 2;
        const bool up = rest.integer() > half || (rest.integer() == half && (quotient.integer() & 1) != 0);
        return multiply(context, add(context, quotient, Value::of(std::int64_t{up ? 1 : 0})), unit);
    }
    const double number = value.real();
    if (!std::isfinite(number) || digits > 330) return value;
    if (digits < 0) {
        const double unit = std::pow(10.0, -static_cast<double>(std::max<std::int64_t>(digits, -400)));
        return Value::of(std::isinf(unit) ? std::copysign(0.0, number) : std::nearbyint(number / unit) * unit);
    }
    const std::string text = float_digits(std::abs(number), {.precision = static_cast<int>(digits), .type = 'f'});
    return Value::of(std::copysign(parse_float(text).value_or(0), number));
}

inline Value rounded(Context& context, const Value& self, const Bound& arguments) {
    const std::string_view method = arguments.text(1, "common");
    const std::int64_t digits = arguments.integer(0, 0);
    if (method != "common" && method != "ceil" && method != "floor")
        context.fail("round: method must be common, ceil or floor");
    if (self.is(Type::undefined)) fail_undefined(context, self);
    if (!self.is_number()) context.fail(std::string("round: '") + type_name(self) + "' is not a number");
    if (method == "common") return round_to_even(context, self, digits);
    const Value unit = power(context, Value::of(std::int64_t{10}), Value::of(digits));
    const Value scaled = multiply(context, self, unit);
    const double whole = method == "ceil" ? std::ceil(scaled.real()) : std::floor(scaled.real());
    return divide(context, scaled.is_integral() ? scaled : Value::of(whole_part(context, whole)), unit);
}

}  // namespace detail

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
