#pragma once
// How Python prints values: str() and repr().
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compare.hpp"
#include "value.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// Digits of a float and the power of ten of the first one.
struct Decimal {
    std::string digits;  ///< "1", "314159", ...
    int exponent = 0;    ///< digits[0] counts 10^exponent
};

/// The fewest digits that read back as `number`, finite and not negative; or, with `precision`, so many behind the
/// first, correctly rounded.
inline Decimal decimal_of(double number, int precision = -1) {
    char buffer[1200];
    const auto end = precision < 0
                         ? std::to_chars(buffer, std::end(buffer), number, std::chars_format::scientific)
                         : std::to_chars(buffer, std::end(buffer), number, std::chars_format::scientific, precision);
    const std::string_view text(buffer, static_cast<std::size_t>(end.ptr - buffer));
    const std::size_t e = text.find('e');
    Decimal out;
    out.digits = std::string(1, text[0]) +
                 std::string(text.substr(std::min<std::size_t>(2, e), e - std::min<std::size_t>(2, e)));
    for (std::size_t i = e + 2; i < text.size(); ++i) out.exponent = out.exponent * 10 + (text[i] - '0');
    if (text[e + 1] == '-') out.exponent = -out.exponent;
    return out;
}

/// The exponent of scientific notation: "e+16", "e-05".
inline std::string exponent_text(int exponent) {
    const std::string digits = std::to_string(std::abs(exponent));
    return (exponent < 0 ? "e-" : "e+") + std::string(digits.size() < 2 ? "0" : "") + digits;
}

/// repr of a float: the fewest digits that read back as the same number.
inline std::string repr_of(double number) {
    if (std::isnan(number)) return "nan";
    const std::string sign = std::signbit(number) ? "-" : "";
    if (std::isinf(number)) return sign + "inf";
    auto [digits, exponent] = decimal_of(std::abs(number));
    if (exponent < -4 || exponent >= 16) {
        if (digits.size() > 1) digits.insert(1, ".");
        return sign + digits + exponent_text(exponent);
    }
    if (exponent < 0) return sign + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
    const std::size_t whole = static_cast<std::size_t>(exponent) + 1;
    if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
    return sign + digits.insert(whole, ".");
}

/// Appends "\x1f", "\u2028" or "\U000e0001".
inline void append_escape(std::string& out, char32_t code) {
    constexpr char hex[] = "0123456789abcdef";
    const int width = code < 0x100 ? 2 : code < 0x10000 ? 4 : 8;
    out += width == 2 ? "\\x" : width == 4 ? "\\u" : "\\U";
    for (int i = width - 1; i >= 0; --i) out.push_back(hex[code >> (4 * i) & 15]);
}

/// repr of a string: in quotes, with what cannot be printed escaped.
inline std::string repr_of(std::string_view text) {
    const bool single = text.find('\'') != std::string_view::npos;
    const char quote = single && text.find('"') == std::string_view::npos ? '"' : '\'';
    std::string out(1, quote);
    for (std::size_t pos = 0; pos < text.size();) {
        const auto [code, length] = unicode::decode_utf8(text, pos);
        if (code == static_cast<unsigned char>(quote) || code == '\\') {
            out.push_back('\\');
            out.push_back(static_cast<char>(code));
        } else if (code == '\n' || code == '\r' || code == '\t') {
            out += code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t";
        } else if (code < 0x80 ? code < 0x20 || code == 0x7F : !has_flag(code, data::printable)) {
            append_escape(out, code);
        } else {
            out += text.substr(pos, length);
        }
        pos += length;
    }
    out.push_back(quote);
    return out;
}

/// Prints values into one string.
class Printer {
  public:
    /// Counts its work and room there.
    explicit Printer(Context& context) : context_(context) {}

    /// Appends repr(value).
    void repr(const Value& value);
    /// What has been printed.
    std::string text;

  private:
    void list(const std::vector<Value>& items, std::string_view open, std::string_view close) {
        text += open;
        for (std::size_t i = 0; i < items.size(); ++i) {
            if (i > 0) text += ", ";
            repr(items[i]);
        }
        text += close;
    }
    void dict(const Entries& entries) {
        text += "{";
        for (std::size_t i = 0; i < entries.size(); ++i) {
            if (i > 0) text += ", ";
            repr(entries[i].first);
            text += ": ";
            repr(entries[i].second);
        }
        text += "}";
    }
    void space(const Space& value) {
        for (const Space* open : open_)
            if (open == &value) {
                text += "<Namespace {...}>";
                return;
            }
        open_.push_back(&value);
        text += "<Namespace {";
        for (std::size_t i = 0; i < value.attributes.size(); ++i) {
            if (i > 0) text += ", ";
            text += repr_of(std::string_view(value.attributes[i].first)) + ": ";
            repr(value.attributes[i].second);
        }
        text += "}>";
        open_.pop_back();
    }

    Context& context_;
    std::vector<const Space*> open_;  // a namespace may hold itself
};

/// "<Macro 'name'>"; scope.hpp knows macros.
std::string repr_of_macro(const Value& macro);

/// What repr prints of a value without items.
inline std::string repr_of_one(const Value& value) {
    switch (value.type()) {
        case Type::undefined:
            return "Undefined";
        case Type::none:
            return "None";
        case Type::boolean:
            return value.integer() != 0 ? "True" : "False";
        case Type::integer:
            return std::to_string(value.integer());
        case Type::real:
            return repr_of(value.real());
        case Type::range: {
            const Range& range = value.as<Range>();
            const std::string step = range.step == 1 ? "" : ", " + std::to_string(range.step);
            return "range(" + std::to_string(range.start) + ", " + std::to_string(range.stop) + step + ")";
        }
        case Type::macro:
            return repr_of_macro(value);
        default:  // Python adds an address
            return std::string("<") + type_name(value) + " object>";
    }
}

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE void Printer::repr(const Value& value) {
    const Context::Level level(context_);
    context_.step();
    context_.need(text.size());
    switch (value.type()) {
        case Type::string: {
            context_.scan(4 * text_of(value).size());
            context_.need(text.size() + 4 * text_of(value).size());
            const std::string quoted = repr_of(std::string_view(text_of(value)));
            text += value.as<Text>().safe ? "Markup(" + quoted + ")" : quoted;
            return;
        }
        case Type::list:
            return list(value.as<Items>().items, "[", "]");
        case Type::tuple:
            return list(value.as<Items>().items, "(", value.as<Items>().items.size() == 1 ? ",)" : ")");
        case Type::view:
            return list(value.as<Items>().items, std::string(value.as<Items>().name) + "([", "])");
        case Type::dict:
            return dict(value.as<Dict>().entries);
        case Type::space:
            return space(value.as<Space>());
        default:
            text += repr_of_one(value);
    }
}
#endif

/// repr(value).
inline std::string repr_of(Context& context, const Value& value) {
    Printer printer(context);
    printer.repr(value);
    return std::move(printer.text);
}

/// str(value).
inline std::string to_text(Context& context, const Value& value) {
    if (value.is(Type::string)) {
        context.scan(text_of(value).size());
        return text_of(value);
    }
    return value.is(Type::undefined) ? std::string() : repr_of(context, value);
}

/// str(value) as a value; a string stays itself.
inline Value to_text_value(Context& context, const Value& value) {
    return value.is(Type::string) ? value : make_text(context, to_text(context, value));
}

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
