#pragma once
// Python's two ways to format: "%-5s" % values, and "{:<5}".format(values).
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "format.hpp"
#include "print.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// obj[key] and obj.key as templates have them; lookup.hpp has their bodies.
/// @{
Value get_item(Context& context, const Value& object, const Value& key);
Value get_attribute(Context& context, const Value& object, const std::string& name);
/// @}

/// Formats with %: the format, and what the values are taken from.
class PercentFormat {
  public:
    /// `values`: a tuple of them, a dict of names, or one value.
    PercentFormat(Context& context, std::string_view format, const Value& values)
        : context_(context), format_(format), values_(values) {}
    /// The text.
    std::string run();

  private:
    const Value& next_value() {
        const bool many = values_.is(Type::tuple);
        if (taken_ >= (many ? values_.as<Items>().items.size() : 1))
            context_.fail("not enough arguments for format string");
        return many ? values_.as<Items>().items[taken_++] : (++taken_, values_);
    }
    const Value& named_value(std::string_view name) {
        if (!values_.is(Type::dict)) context_.fail("format requires a mapping");
        const Value* found = find_in(context_, values_.as<Dict>(), name);
        if (found == nullptr) context_.fail("the format asks for '" + std::string(name) + "', which is missing");
        named_ = true;
        return *found;
    }
    int star_or_count(bool& left);
    std::string conversion();

    Context& context_;
    std::string_view format_;
    const Value& values_;
    std::size_t pos_ = 0, taken_ = 0;
    bool named_ = false;
};

/// Formats with {}: the format, and the arguments.
class BraceFormat {
  public:
    /// The arguments must outlive it.
    BraceFormat(Context& context, const Arguments& arguments) : context_(context), arguments_(arguments) {}
    /// The text. `depth`: formats inside formats, of which Python allows one.
    std::string run(std::string_view format, int depth = 0);

  private:
    std::string field(std::string_view inside, int depth);
    Value value_of(std::string_view name);

    Context& context_;
    const Arguments& arguments_;
    std::size_t next_ = 0;
    bool numbered_ = false;
};

/// value.__format__(spec), as of "{:spec}".
EIGENLM_LARGE std::string format_value(Context& context, const Value& value, std::string_view spec);

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE int PercentFormat::star_or_count(bool& left) {
    if (pos_ >= format_.size() || format_[pos_] != '*') return static_cast<int>(read_count(context_, format_, pos_));
    ++pos_;
    const Value& value = next_value();
    if (!value.is_integral()) context_.fail("* wants an integer in a format");
    const std::int64_t count = value.integer();
    if (count > 10000 || count < -10000) context_.fail("a width or precision above 10000 in a format");
    left = count < 0;
    return static_cast<int>(left ? -count : count);
}

EIGENLM_LARGE std::string PercentFormat::conversion() {
    Spec spec;
    const Value* value = nullptr;
    if (pos_ < format_.size() && format_[pos_] == '%') return ++pos_, "%";
    if (pos_ < format_.size() && format_[pos_] == '(') {
        std::size_t end = ++pos_;
        for (int open = 1; end < format_.size(); ++end) {
            open += format_[end] == '(' ? 1 : format_[end] == ')' ? -1 : 0;
            if (open == 0) break;
        }
        if (end == format_.size()) context_.fail("incomplete format key");
        value = &named_value(format_.substr(pos_, end - pos_));
        pos_ = end + 1;
    }
    bool left = false, zero = false;
    for (; pos_ < format_.size() && std::string_view("-+ #0").find(format_[pos_]) != std::string_view::npos; ++pos_) {
        const char flag = format_[pos_];
        left |= flag == '-';
        zero |= flag == '0';
        spec.alternate |= flag == '#';
        if (flag == '+' || (flag == ' ' && spec.sign != '+')) spec.sign = flag;
    }
    bool negative = false;
    spec.width = static_cast<std::size_t>(star_or_count(negative));
    left |= negative;
    if (pos_ < format_.size() && format_[pos_] == '.') {
        ++pos_;
        spec.precision = star_or_count(negative = false);
        if (negative) spec.precision = 0;
    }
    while (pos_ < format_.size() && std::string_view("hlL").find(format_[pos_]) != std::string_view::npos) ++pos_;
    if (pos_ >= format_.size()) context_.fail("incomplete format");
    spec.type = format_[pos_++];
    if (spec.type == 'i' || spec.type == 'u') spec.type = 'd';
    if (std::string_view("srdeEfFgGxXoca").find(spec.type) == std::string_view::npos)
        context_.fail(std::string("unsupported format character '") + spec.type + "'");
    spec.align = left ? '<' : zero ? '=' : '>';
    if (zero && !left) spec.fill = '0';
    return format_percent(context_, value != nullptr ? *value : next_value(), spec);
}

EIGENLM_LARGE std::string PercentFormat::run() {
    context_.scan(format_.size());
    std::string out;
    while (pos_ < format_.size()) {
        const std::size_t end = std::min(format_.find('%', pos_), format_.size());
        out += format_.substr(pos_, end - pos_);
        pos_ = end + 1;
        if (end == format_.size()) break;
        context_.step();
        out += conversion();
        context_.need(out.size());
    }
    const std::size_t given = values_.is(Type::tuple) ? values_.as<Items>().items.size() : 1;
    const bool may_be_left = named_ || values_.is(Type::dict) || values_.is(Type::list) ||
                             values_.is(Type::undefined) || values_.is(Type::range) || values_.is(Type::space);
    if (taken_ < given && !may_be_left) context_.fail("not all arguments converted during string formatting");
    return out;
}

/// The spec of "{:spec}". Throws for what is none.
inline Spec read_spec(Context& context, std::string_view text) {
    Spec spec;
    std::size_t pos = 0;
    const auto is_align = [&](std::size_t at) {
        return at < text.size() && std::string_view("<>=^").find(text[at]) != std::string_view::npos;
    };
    const unicode::Character first = text.empty() ? unicode::Character{} : unicode::decode_utf8(text, 0);
    const bool has_fill = first.length > 0 && is_align(first.length);
    if (has_fill) {
        spec.fill = first.code;
        spec.align = text[first.length];
        pos = first.length + 1;
    } else if (is_align(0)) {
        spec.align = text[pos++];
    }
    const auto take = [&](std::string_view any) -> char {
        return pos < text.size() && any.find(text[pos]) != std::string_view::npos ? text[pos++] : '\0';
    };
    if (const char sign = take("+- ")) spec.sign = sign;
    spec.alternate = take("#") != 0;
    if (take("0") != 0) {
        spec.zero = spec.align == 0;
        if (!has_fill) spec.fill = '0';
        if (spec.zero) spec.align = '=';
    }
    spec.width = read_count(context, text, pos);
    spec.group = take(",_");
    if (take(".") != 0) {
        const std::size_t begin = pos;
        spec.precision = static_cast<int>(read_count(context, text, pos));
        if (begin == pos) context.fail("format specifier missing precision");
    }
    if (pos < text.size()) spec.type = text[pos++];
    if (pos < text.size()) context.fail("invalid format specifier '" + std::string(text) + "'");
    return spec;
}

EIGENLM_LARGE std::string format_value(Context& context, const Value& value, std::string_view text) {
    if (text.empty()) return to_text(context, value);
    Spec spec = read_spec(context, text);
    const auto one_of = [&](std::string_view types) {
        return spec.type == 0 || types.find(spec.type) != std::string_view::npos;
    };
    const auto refuse = [&] {
        context.fail("invalid format '" + std::string(text) + "' for a value of type '" + type_name(value) + "'");
    };
    if (value.is(Type::string)) {
        if (spec.zero) spec.align = '<';
        if (!one_of("s") || spec.sign != 0 || spec.alternate || spec.group != 0 || spec.align == '=') refuse();
        spec.type = 's';
        if (spec.width > 0 && spec.align == 0) spec.align = '<';
        return format_percent(context, value, spec).empty() && spec.width == 0
                   ? std::string()
                   : padded(context, format_percent(context, value, {.precision = spec.precision, .type = 's'}), spec,
                            '<');
    }
    if (!value.is_number()) refuse();
    if (value.is_integral() && one_of("dxXobcn")) {
        if (spec.precision >= 0 || (spec.type == 'c' && spec.sign != 0)) refuse();
        if (spec.type == 'c') return padded(context, format_percent(context, value, {.type = 'c'}), spec, '<');
        return padded(context, format_integer(value.integer(), spec), spec, '>');
    }
    if (!one_of("eEfFgGn%")) refuse();
    return padded(context, format_float(value.real(), spec), spec, '>');
}

EIGENLM_LARGE Value BraceFormat::value_of(std::string_view name) {
    const std::size_t end = std::min(name.find_first_of(".["), name.size());
    const std::string_view first = name.substr(0, end);
    Value value;
    const bool number = !first.empty() && first.find_first_not_of("0123456789") == std::string_view::npos;
    if (name.empty() || number) {
        std::size_t pos = 0;
        if ((name.empty() && numbered_) || (end == name.size() && number && next_ > 0))
            context_.fail("cannot switch between automatic and manual field numbering");
        numbered_ |= number && end == name.size();
        const std::size_t index = name.empty() ? next_++ : read_count(context_, first, pos);
        if (index >= arguments_.positional.size()) context_.fail("a replacement index is out of range");
        value = arguments_.positional[index];
    } else {
        const auto it = std::find_if(arguments_.named.begin(), arguments_.named.end(),
                                     [&](const Named& argument) { return argument.first == first; });
        if (it == arguments_.named.end())
            context_.fail("the format asks for '" + std::string(first) + "', which is missing");
        value = it->second;
    }
    for (std::size_t pos = end; pos < name.size();) {
        const bool item = name[pos] == '[';
        const std::size_t stop = std::min(item ? name.find(']', pos) : name.find_first_of(".[", pos + 1), name.size());
        const std::string key(name.substr(pos + 1, stop - pos - 1));
        if ((name[pos] != '.' && !item) || key.empty() || (item && stop == name.size()))
            context_.fail("malformed format field");
        std::size_t digits = 0;
        if (item && key.size() < 10 && key.find_first_not_of("0123456789") == std::string::npos)
            value = get_item(context_, value, Value::of(read_count(context_, key, digits)));
        else
            value = item ? get_item(context_, value, make_text(context_, key)) : get_attribute(context_, value, key);
        if (value.is(Type::undefined)) value = Value();  // its name does not live long enough
        pos = item ? stop + 1 : stop;
    }
    return value;
}

EIGENLM_LARGE std::string BraceFormat::field(std::string_view inside, int depth) {
    std::size_t end = 0;
    for (int open = 0; end < inside.size(); ++end) {
        open += inside[end] == '[' ? 1 : inside[end] == ']' ? -1 : 0;
        if (open <= 0 && (inside[end] == '!' || inside[end] == ':')) break;
    }
    Value value = value_of(inside.substr(0, end));
    if (end < inside.size() && inside[end] == '!') {
        const char conversion = end + 1 < inside.size() ? inside[end + 1] : '\0';
        if (conversion != 's' && conversion != 'r' && conversion != 'a') context_.fail("unknown conversion specifier");
        value = make_text(context_, conversion == 's' ? to_text(context_, value) : repr_of(context_, value));
        end += 2;
        if (end < inside.size() && inside[end] != ':') context_.fail("expected ':' after conversion specifier");
    }
    const std::string spec = end < inside.size() ? run(inside.substr(end + 1), depth + 1) : std::string();
    return format_value(context_, value, spec);
}

EIGENLM_LARGE std::string BraceFormat::run(std::string_view format, int depth) {
    if (depth > 1) context_.fail("max string recursion exceeded");
    context_.scan(format.size());
    std::string out;
    for (std::size_t pos = 0; pos < format.size(); ++pos) {
        const char c = format[pos];
        if (c != '{' && c != '}') {
            out.push_back(c);
            continue;
        }
        if (pos + 1 < format.size() && format[pos + 1] == c) {
            out.push_back(format[pos++]);
            continue;
        }
        std::size_t end = pos + 1;
        int open = 1;
        for (; c == '{' && end < format.size(); ++end) {
            open += format[end] == '{' ? 1 : format[end] == '}' ? -1 : 0;
            if (open == 0) break;
        }
        if (c == '}' || open > 0) context_.fail(std::string("single '") + c + "' in a format string");
        context_.step();
        out += field(format.substr(pos + 1, end - pos - 1), depth);
        context_.need(out.size());
        pos = end;
    }
    return out;
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
