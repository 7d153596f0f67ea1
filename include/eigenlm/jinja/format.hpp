#pragma once
// How Python formats one value: widths, signs, precisions.
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "print.hpp"
#include "sequence.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// How one value is to be formatted.
struct Spec {
    char32_t fill = ' ';     ///< what fills up to the width
    char align = 0;          ///< '<', '>', '^', '=' or not given
    char sign = 0;           ///< '+', ' ', '-' or not given
    bool alternate = false;  ///< '#'
    bool zero = false;       ///< '0' in front of the width, without an alignment
    std::size_t width = 0;   ///< least characters
    char group = 0;          ///< ',' or '_' between thousands
    int precision = -1;      ///< not given below 0
    char type = 0;           ///< 'd', 'f', 's', ... or not given
};

/// A number in a format, at `pos` of it; 0 without digits. Throws above 10,000: nobody wants that many blanks.
inline std::size_t read_count(Context& context, std::string_view text, std::size_t& pos) {
    std::size_t count = 0;
    for (; pos < text.size() && text[pos] >= '0' && text[pos] <= '9'; ++pos) {
        count = count * 10 + static_cast<std::size_t>(text[pos] - '0');
        if (count > 10000) context.fail("a width or precision above 10000 in a format");
    }
    return count;
}

/// `text`, filled up to the width.
inline std::string padded(Context& context, std::string_view text, const Spec& spec, char align) {
    const std::size_t length = count_characters(text);
    if (length >= spec.width) return std::string(text);
    const std::size_t missing = spec.width - length;
    context.need(4 * missing);
    if (spec.align != 0) align = spec.align;
    std::size_t before = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
    std::string out;
    std::string_view head, rest = text;
    if (align == '=') {  // between the sign, with its prefix, and the digits
        std::size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+' || text[0] == ' ') ? 1 : 0;
        if (spec.alternate && text.size() > sign + 1 && text[sign] == '0' && text[sign + 1] > '9') sign += 2;
        head = text.substr(0, sign);
        rest = text.substr(sign);
    }
    out += head;
    for (std::size_t i = 0; i < before; ++i) unicode::append_utf8(out, spec.fill);
    out += rest;
    for (std::size_t i = before; i < missing; ++i) unicode::append_utf8(out, spec.fill);
    return out;
}

/// The sign that a number gets.
inline std::string sign_text(bool negative, const Spec& spec) {
    return negative ? "-" : spec.sign == '+' || spec.sign == ' ' ? std::string(1, spec.sign) : "";
}

/// `digits`, which begin with whole ones, with the group's character between thousands.
inline std::string grouped(std::string digits, char group, std::size_t size = 3) {
    if (group == 0) return digits;
    std::size_t whole = 0;
    while (whole < digits.size() && (digits[whole] >= '0' && digits[whole] <= '9')) ++whole;
    for (std::size_t i = whole; i > size; i -= size) digits.insert(i - size, 1, group);
    return digits;
}

/// An integer in the base of the type.
inline std::string format_integer(std::int64_t value, const Spec& spec) {
    const bool upper = spec.type == 'X';
    const int base = spec.type == 'x' || upper ? 16 : spec.type == 'o' ? 8 : spec.type == 'b' ? 2 : 10;
    const std::uint64_t size = value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
    char buffer[72];
    const auto end = std::to_chars(buffer, std::end(buffer), size, base);
    std::string digits(buffer, end.ptr);
    if (upper) digits = in_case(digits, Case::upper);
    if (spec.precision > 0 && digits.size() < static_cast<std::size_t>(spec.precision))
        digits.insert(0, static_cast<std::size_t>(spec.precision) - digits.size(), '0');
    const std::string prefix = !spec.alternate || base == 10 ? "" : std::string("0") + spec.type;
    return sign_text(value < 0, spec) + prefix + (base == 10 ? grouped(digits, spec.group) : digits);
}

/// A finite float that is not negative, of type e, f, g or without one.
inline std::string float_digits(double value, const Spec& spec) {
    const char type = spec.type == 0 ? 'r' : static_cast<char>(spec.type | 32);
    if (type == 'r' && spec.precision < 0) return repr_of(value);
    const bool general = type == 'g' || type == 'n' || type == 'r';
    int precision = spec.precision < 0 ? 6 : spec.precision;
    if (general && precision == 0) precision = 1;
    std::string out(static_cast<std::size_t>(precision) + 400, '\0');
    const auto format = general       ? std::chars_format::general
                        : type == 'e' ? std::chars_format::scientific
                                      : std::chars_format::fixed;
    const auto end = std::to_chars(out.data(), out.data() + out.size(), value, format, precision);
    out.resize(static_cast<std::size_t>(end.ptr - out.data()));
    if (type == 'r' && out.find_first_of(".e") == std::string::npos) out += ".0";
    return out;
}

/// A float.
inline std::string format_float(double value, Spec spec) {
    const bool percent = spec.type == '%';
    if (percent) {
        value *= 100;
        spec.type = 'f';
    }
    std::string digits = std::isnan(value) ? "nan" : std::isinf(value) ? "inf" : float_digits(std::abs(value), spec);
    if (spec.type == 'E' || spec.type == 'F' || spec.type == 'G') digits = in_case(digits, Case::upper);
    return sign_text(std::signbit(value) && !std::isnan(value), spec) + grouped(digits, spec.group) +
           (percent ? "%" : "");
}

/// A float's whole part as an integer. Throws when there is none, or it does not fit.
inline std::int64_t whole_part(Context& context, double value) {
    if (std::isnan(value) || std::isinf(value)) context.fail("cannot convert " + repr_of(value) + " to an integer");
    if (std::abs(value) >= 9223372036854775808.0) context.fail("integers of more than 64 bits");
    return static_cast<std::int64_t>(value);
}

/// One value of a % format.
inline std::string format_percent(Context& context, const Value& value, Spec spec) {
    if (spec.type == 's' || spec.type == 'r' || spec.type == 'a') {
        std::string text = spec.type == 's' ? to_text(context, value) : repr_of(context, value);
        if (spec.precision >= 0) {
            std::size_t end = 0;
            for (int i = 0; i < spec.precision && end < text.size(); ++i) end += unicode::decode_utf8(text, end).length;
            text.resize(end);
        }
        spec.fill = ' ';
        if (spec.align == '=') spec.align = '>';
        return padded(context, text, spec, '>');
    }
    if (spec.type == 'c') {
        std::string text;
        if (value.is_integral() && value.integer() >= 0 && value.integer() < 0x110000)
            unicode::append_utf8(text, static_cast<char32_t>(value.integer()));
        else if (value.is(Type::string) && value.as<Text>().length == 1)
            text = text_of(value);
        else
            context.fail("%c requires an integer or a character");
        return padded(context, text, spec, '>');
    }
    if (value.is(Type::undefined)) fail_undefined(context, value);
    if (!value.is_number())
        context.fail(std::string("%") + spec.type + " format: a number is required, not " + type_name(value));
    if (std::string_view("eEfFgG").find(spec.type) != std::string_view::npos)
        return padded(context, format_float(value.real(), spec), spec, '>');
    if (value.is(Type::real) && spec.type != 'd')
        context.fail(std::string("%") + spec.type + " format: an integer is required, not float");
    const std::int64_t whole = value.is(Type::real) ? whole_part(context, value.real()) : value.integer();
    return padded(context, format_integer(whole, spec), spec, '>');
}

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
