#pragma once
// JSON to values, and values to JSON as Python's json.dumps writes it.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "print.hpp"
#include "sequence.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// How json.dumps writes.
struct JsonStyle {
    bool ensure_ascii = false;          ///< everything but ASCII as escapes
    std::optional<std::string> indent;  ///< before each item, once for each level, on a line of its own
    std::string item_separator = ", ";  ///< between items
    std::string key_separator = ": ";   ///< behind keys
    bool sort_keys = false;             ///< keys in order
};

/// Writes one value as JSON.
class JsonWriter {
  public:
    /// Both must outlive it.
    JsonWriter(Context& context, const JsonStyle& style) : context_(context), style_(style) {}
    /// Appends a value. Throws for what JSON has no form for.
    void write(const Value& value);
    /// What was written.
    std::string text;

  private:
    void string(std::string_view value) {
        context_.scan(4 * value.size());
        context_.need(text.size() + 6 * value.size());
        text.push_back('"');
        for (std::size_t pos = 0; pos < value.size();) {
            const auto [code, length] = unicode::decode_utf8(value, pos);
            character(code, value.substr(pos, length));
            pos += length;
        }
        text.push_back('"');
    }
    void character(char32_t code, std::string_view bytes) {
        constexpr std::string_view special = "\"\\\b\f\n\r\t", letters = "\"\\bfnrt";
        const std::size_t at = code < 0x80 ? special.find(static_cast<char>(code)) : std::string_view::npos;
        if (at != std::string_view::npos) {
            text.push_back('\\');
            text.push_back(letters[at]);
        } else if (code < 0x20 || (style_.ensure_ascii && code > 0x7E)) {
            if (code > 0xFFFF) unit(0xD7C0 + (code >> 10));
            unit(code > 0xFFFF ? 0xDC00 + (code & 0x3FF) : code);
        } else {
            text += bytes;
        }
    }
    void unit(char32_t code) {
        text += "\\u";
        for (int shift = 12; shift >= 0; shift -= 4) text.push_back("0123456789abcdef"[code >> shift & 15]);
    }
    void number(double value) {
        if (std::isnan(value))
            text += "NaN";
        else
            text += std::isinf(value) ? (value < 0 ? "-Infinity" : "Infinity") : repr_of(value);
    }
    void key(const Value& value) {
        if (value.is(Type::string)) return string(text_of(value));
        if (!value.is_number() && !value.is(Type::none))
            context_.fail(std::string("keys must be str, int, float, bool or None, not ") + type_name(value));
        text.push_back('"');
        write(value);
        text.push_back('"');
    }
    void line(std::size_t depth) {
        if (!style_.indent) return;
        context_.need(text.size() + depth * style_.indent->size());
        text.push_back('\n');
        for (std::size_t i = 0; i < depth; ++i) text += *style_.indent;
    }
    void items(const std::vector<Value>& all);
    void entries(const Dict& dict);

    Context& context_;
    const JsonStyle& style_;
    std::size_t depth_ = 0;
};

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE void JsonWriter::items(const std::vector<Value>& all) {
    if (all.empty()) {
        text += "[]";
        return;
    }
    text.push_back('[');
    ++depth_;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (i > 0) text += style_.item_separator;
        line(depth_);
        write(all[i]);
    }
    line(--depth_);
    text.push_back(']');
}

EIGENLM_LARGE void JsonWriter::entries(const Dict& dict) {
    if (dict.entries.empty()) {
        text += "{}";
        return;
    }
    std::vector<const std::pair<Value, Value>*> order;
    for (const auto& entry : dict.entries) order.push_back(&entry);
    if (style_.sort_keys)
        std::stable_sort(order.begin(), order.end(),
                         [&](const auto* a, const auto* b) { return compare(context_, a->first, b->first) < 0; });
    text.push_back('{');
    ++depth_;
    for (std::size_t i = 0; i < order.size(); ++i) {
        if (i > 0) text += style_.item_separator;
        line(depth_);
        key(order[i]->first);
        text += style_.key_separator;
        write(order[i]->second);
    }
    line(--depth_);
    text.push_back('}');
}

EIGENLM_LARGE void JsonWriter::write(const Value& value) {
    const Context::Level level(context_);
    context_.step();
    context_.need(text.size());
    switch (value.type()) {
        case Type::none:
            text += "null";
            return;
        case Type::boolean:
            text += value.integer() != 0 ? "true" : "false";
            return;
        case Type::integer:
            text += std::to_string(value.integer());
            return;
        case Type::real:
            return number(value.real());
        case Type::string:
            return string(text_of(value));
        case Type::list:
        case Type::tuple:
            return items(value.as<Items>().items);
        case Type::dict:
            return entries(value.as<Dict>());
        default:
            context_.fail(std::string("an object of type ") + type_name(value) + " is not JSON serializable");
    }
}
#endif

/// A value of JSON. Throws for integers beyond 64 bits with sign.
EIGENLM_LARGE Value from_json(Context& context, const nlohmann::ordered_json& json);

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE Value from_json(Context& context, const nlohmann::ordered_json& json) {
    const Context::Level level(context);
    context.step();
    switch (json.type()) {
        case nlohmann::ordered_json::value_t::null:
            return Value::none();
        case nlohmann::ordered_json::value_t::boolean:
            return Value::of(json.get<bool>());
        case nlohmann::ordered_json::value_t::number_unsigned:
            if (json.get<std::uint64_t>() > std::uint64_t(std::numeric_limits<std::int64_t>::max()))
                context.unsupported("a variable has an integer of more than 63 bits: " +
                                    std::to_string(json.get<std::uint64_t>()));
            [[fallthrough]];
        case nlohmann::ordered_json::value_t::number_integer:
            return Value::of(json.get<std::int64_t>());
        case nlohmann::ordered_json::value_t::number_float:
            return Value::of(json.get<double>());
        case nlohmann::ordered_json::value_t::string:
            context.need(json.get_ref<const std::string&>().size());
            return make_text(context, json.get_ref<const std::string&>());
        case nlohmann::ordered_json::value_t::array: {
            std::vector<Value> items;
            context.need(json.size() * sizeof(Value));
            for (const auto& item : json) items.push_back(from_json(context, item));
            return make_items(context, std::move(items));
        }
        case nlohmann::ordered_json::value_t::object: {
            Entries entries;
            context.need(json.size() * sizeof(entries[0]));
            for (auto it = json.begin(); it != json.end(); ++it)
                entries.emplace_back(make_text(context, it.key()), from_json(context, it.value()));
            return make_dict(context, std::move(entries));
        }
        default:
            context.unsupported(std::string("a variable of JSON type ") + json.type_name());
    }
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
