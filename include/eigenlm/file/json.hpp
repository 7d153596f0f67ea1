#pragma once
// JSON from files that nobody vouches for: strict parsing, and field access that names the file and the field.
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "../base/error.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Parses `text` whole. Throws FormatError naming `where` on a syntax error or on a key that an object holds twice.
inline nlohmann::json parse_json(std::string_view text, const std::string& where) {
    using nlohmann::json;
    constexpr int max_depth = 64;  // real files need 8; a bound keeps hostile ones cheap
    std::vector<std::set<std::string>> open_objects;
    const json::parser_callback_t check = [&](int depth, json::parse_event_t event, json& value) {
        if (depth > max_depth) throw FormatError(where, "JSON nested deeper than " + std::to_string(max_depth));
        if (event == json::parse_event_t::object_start) open_objects.emplace_back();
        if (event == json::parse_event_t::object_end) open_objects.pop_back();
        if (event == json::parse_event_t::key && !open_objects.back().insert(value.get<std::string>()).second)
            throw FormatError(where, "duplicate key \"" + value.get<std::string>() + "\"");
        return true;
    };
    try {
        return json::parse(text.begin(), text.end(), check);
    } catch (const json::exception& e) {
        throw FormatError(where, std::string("not valid JSON: ") + e.what());
    }
}

/// One object of a JSON file, with lookups that check type and range and say where they failed.
class JsonObject {
  public:
    /// `where` is the file's path, for messages. Throws FormatError when `value` is not an object.
    JsonObject(const nlohmann::json& value, std::string where) : value_(&value), where_(std::move(where)) {
        if (!value.is_object())
            throw FormatError(where_, std::string("expected a JSON object, found ") + value.type_name());
    }

    const std::string& where() const { return where_; }
    const nlohmann::json& raw() const { return *value_; }
    /// False when the field is missing or null: configs write null for "not set".
    bool has(const char* key) const { return find(key) != nullptr; }
    /// The field's path for a message: "config.json: rope_scaling.factor".
    std::string path(const char* key) const {
        const bool nested = where_.find(": ") != std::string::npos;
        return where_ + (nested ? "." : ": ") + key;
    }

    /// The whole number `key`, within [low, high].
    std::int64_t integer(const char* key, std::int64_t low, std::int64_t high) const {
        return checked_integer(require(key), key, low, high);
    }
    std::int64_t integer_or(const char* key, std::int64_t fallback, std::int64_t low, std::int64_t high) const {
        const auto* value = find(key);
        return value ? checked_integer(*value, key, low, high) : fallback;
    }
    /// The number `key`, finite and within [low, high].
    double number(const char* key, double low, double high) const {
        return checked_number(require(key), key, low, high);
    }
    double number_or(const char* key, double fallback, double low, double high) const {
        const auto* value = find(key);
        return value ? checked_number(*value, key, low, high) : fallback;
    }
    bool boolean_or(const char* key, bool fallback) const {
        const auto* value = find(key);
        if (!value) return fallback;
        if (!value->is_boolean()) wrong_type(key, "true or false", *value);
        return value->get<bool>();
    }
    std::string string(const char* key) const { return checked_string(require(key), key); }
    std::string string_or(const char* key, std::string fallback) const {
        const auto* value = find(key);
        return value ? checked_string(*value, key) : std::move(fallback);
    }
    /// The object `key`, if it is there.
    std::optional<JsonObject> object(const char* key) const {
        const auto* value = find(key);
        if (!value) return std::nullopt;
        return JsonObject(*value, path(key));
    }
    /// The array `key`; throws FormatError when it is missing or something else.
    const nlohmann::json& array(const char* key) const {
        const auto& value = require(key);
        if (!value.is_array()) wrong_type(key, "an array", value);
        return value;
    }

  private:
    const nlohmann::json* find(const char* key) const {
        const auto it = value_->find(key);
        return it == value_->end() || it->is_null() ? nullptr : &*it;
    }
    const nlohmann::json& require(const char* key) const {
        const auto* value = find(key);
        if (!value) throw FormatError(path(key), "required field is missing");
        return *value;
    }
    [[noreturn]] void wrong_type(const char* key, const char* expected, const nlohmann::json& found) const {
        throw FormatError(path(key), std::string("expected ") + expected + ", found " + excerpt(found));
    }
    static std::string excerpt(const nlohmann::json& value) {
        if (value.is_structured()) return value.is_array() ? "an array" : "an object";
        const std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
        return text.size() <= 80 ? text : text.substr(0, 80) + "...";
    }
    std::int64_t checked_integer(const nlohmann::json& value, const char* key, std::int64_t low,
                                 std::int64_t high) const {
        const auto expected = [&] {
            return "a whole number in [" + std::to_string(low) + ", " + std::to_string(high) + "]";
        };
        if (!value.is_number_integer()) wrong_type(key, expected().c_str(), value);
        const bool too_big = value.is_number_unsigned() &&
                             value.get<std::uint64_t>() > std::uint64_t(std::numeric_limits<std::int64_t>::max());
        const std::int64_t number = too_big ? 0 : value.get<std::int64_t>();
        if (too_big || number < low || number > high) wrong_type(key, expected().c_str(), value);
        return number;
    }
    double checked_number(const nlohmann::json& value, const char* key, double low, double high) const {
        const double number = value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
        if (!(number >= low && number <= high)) {  // also refuses NaN
            const std::string expected = "a number in [" + nlohmann::json(low).dump() + ", " +
                                         nlohmann::json(high).dump() + "]";
            wrong_type(key, expected.c_str(), value);
        }
        return number;
    }
    std::string checked_string(const nlohmann::json& value, const char* key) const {
        if (!value.is_string()) wrong_type(key, "a string", value);
        return value.get<std::string>();
    }

    const nlohmann::json* value_;
    std::string where_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
