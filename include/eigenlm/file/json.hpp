#pragma once
// JSON from files that nobody vouches for: strict parsing, and field access that names the file and the field.
#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/error.hpp"
#include "../base/float_state.hpp"
#include "../base/types.hpp"

namespace eigenlm::inline EIGENLM_ABI {

namespace detail {

/// `text` for a message: as JSON writes it (one line, ASCII), cut after 400 bytes.
inline std::string json_excerpt(std::string_view text) {
    constexpr std::size_t enough = 400;
    const std::string json = nlohmann::json(std::string(text.substr(0, enough)))
                                 .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    return text.size() <= enough ? json : json + "...";
}

/// Builds a tree from events, with the checks of parse_json: no key twice, no deep nesting, not too many values.
class JsonTreeBuilder {
  public:
    JsonTreeBuilder(nlohmann::json& root, const std::string& where) : root_(root), where_(where) {}

    void value(nlohmann::json value) { add(std::move(value)); }
    void open(nlohmann::json container) {
        if (open_.size() == max_depth)
            throw FormatError(place(), "JSON nested deeper than " + std::to_string(max_depth));
        nlohmann::json* const value = add(std::move(container));
        open_.push_back({value, std::exchange(key_, {})});
    }
    void key(std::string& name) {
        key_ = std::move(name);
        if (open_.back().value->contains(key_)) throw FormatError(place(), "duplicate key " + json_excerpt(key_));
    }
    void close() {
        key_ = std::move(open_.back().key);
        open_.pop_back();
    }

    /// Whether the next value is the one of `key` in the object `parent` of the whole.
    bool next_is(std::string_view parent, std::string_view key) const {
        return open_.size() == 2 && open_[1].value->is_object() && open_[1].key == parent && key_ == key;
    }

    /// The file and the field that began last, for messages: "config.json: rope_scaling.factor".
    std::string place() const {
        std::string path;
        const auto append = [&path](const std::string& key) {
            if (!key.empty()) path += (path.empty() ? ": " : ".") + key;
        };
        for (const Level& level : open_) append(level.key);
        append(key_);
        return where_ + path;
    }

  private:
    static constexpr std::size_t max_depth = 64;  // real files need 6
    /// The largest models' indices have 2^17. A value of two bytes in the file takes up to a hundred in memory.
    static constexpr std::size_t max_values = std::size_t{1} << 20;
    struct Level {
        nlohmann::json* value;
        std::string key;  // under which it stands in its parent, when that is an object
    };

    nlohmann::json* add(nlohmann::json&& value) {
        if (++values_ > max_values)
            throw FormatError(place(), "more than " + std::to_string(max_values) + " JSON values");
        if (open_.empty()) return &(root_ = std::move(value));
        nlohmann::json& parent = *open_.back().value;
        if (parent.is_object()) return &(parent[key_] = std::move(value));
        parent.push_back(std::move(value));
        return &parent.back();
    }

    nlohmann::json& root_;
    const std::string& where_;
    std::vector<Level> open_;
    std::string key_;  // of the value that began last, when it is in an object
    std::size_t values_ = 0;
};

[[noreturn]] inline void throw_parse_error(const std::string& where, const nlohmann::json::exception& error) {
    constexpr std::size_t enough = 300;  // the message quotes the last token, which may be long
    throw FormatError(where, "not valid JSON: " + std::string(std::string_view(error.what()).substr(0, enough)));
}

/// Everything into one tree.
class JsonTreeHandler final : public nlohmann::json_sax<nlohmann::json> {
  public:
    JsonTreeHandler(nlohmann::json& root, const std::string& where) : tree_(root, where) {}

    bool null() override { return value(nullptr); }
    bool boolean(bool v) override { return value(v); }
    bool number_integer(number_integer_t v) override { return value(v); }
    bool number_unsigned(number_unsigned_t v) override { return value(v); }
    bool number_float(number_float_t v, const string_t&) override { return value(v); }
    bool string(string_t& v) override { return value(std::move(v)); }
    bool binary(binary_t&) override { return value(nullptr); }
    bool start_object(std::size_t) override { return open(nlohmann::json::object()); }
    bool start_array(std::size_t) override { return open(nlohmann::json::array()); }
    bool key(string_t& name) override { return tree_.key(name), true; }
    bool end_object() override { return tree_.close(), true; }
    bool end_array() override { return tree_.close(), true; }
    bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) override {
        throw_parse_error(tree_.place(), error);
    }

  private:
    bool value(nlohmann::json v) { return tree_.value(std::move(v)), true; }
    bool open(nlohmann::json container) { return tree_.open(std::move(container)), true; }

    JsonTreeBuilder tree_;
};

/// The one instantiation of nlohmann's parser: each takes a second to compile.
EIGENLM_LARGE void sax_parse(std::string_view text, nlohmann::json_sax<nlohmann::json>& handler,
                             const std::string& where);
#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE void sax_parse(std::string_view text, nlohmann::json_sax<nlohmann::json>& handler,
                             const std::string& where) {
    if (text.find('\0') != std::string_view::npos)  // the parser takes it for the end
        throw FormatError(where, "not valid JSON: a byte 0 at offset " + std::to_string(text.find('\0')));
    const FloatState state;  // decimal fractions round the same whatever the host's rounding mode
    nlohmann::json::sax_parse(text.begin(), text.end(), &handler);
}
#endif

}  // namespace detail

/// Parses `text` whole. Throws FormatError naming `where` and the field on a syntax error, on a key that an object
/// holds twice, on nesting deeper than 64, and on more than 2^20 values.
inline nlohmann::json parse_json(std::string_view text, const std::string& where) {
    nlohmann::json tree;
    detail::JsonTreeHandler handler(tree, where);
    detail::sax_parse(text, handler, where);
    return tree;
}

/// One object of a JSON file, with lookups that check type and range and say where they failed.
class JsonObject {
  public:
    /// `where` is the file's path, for messages. Throws FormatError when `value` is not an object.
    JsonObject(const nlohmann::json& value, std::string where) : value_(&value), where_(std::move(where)) {
        if (!value.is_object())
            throw FormatError(where_, std::string("expected a JSON object, found ") + value.type_name());
    }

    /// The file, and the object's own path in it where it is nested.
    const std::string& where() const { return where_; }
    /// The object itself.
    const nlohmann::json& raw() const { return *value_; }
    /// False when the field is missing or null: configs write null for "not set".
    bool has(const char* key) const { return find(key) != nullptr; }
    /// The field's path for a message: "config.json: rope_scaling.factor".
    std::string path(const char* key) const {
        const bool nested = where_.find(": ") != std::string::npos;
        return where_ + (nested ? "." : ": ") + key;
    }

    /// The whole number `key`, within [low, high]. As every lookup here it throws FormatError, naming file and field,
    /// for a value of a wrong type or range, and where there is no fallback also for one that is missing or null.
    std::int64_t integer(const char* key, std::int64_t low, std::int64_t high) const {
        return checked_integer(require(key), key, low, high);
    }
    /// The same, or `fallback`.
    std::int64_t integer_or(const char* key, std::int64_t fallback, std::int64_t low, std::int64_t high) const {
        const auto* value = find(key);
        return value ? checked_integer(*value, key, low, high) : fallback;
    }
    /// The number `key`, finite and within [low, high].
    double number(const char* key, double low, double high) const {
        return checked_number(require(key), key, low, high);
    }
    /// The same, or `fallback`.
    double number_or(const char* key, double fallback, double low, double high) const {
        const auto* value = find(key);
        return value ? checked_number(*value, key, low, high) : fallback;
    }
    /// The truth value `key`, or `fallback`.
    bool boolean_or(const char* key, bool fallback) const {
        const auto* value = find(key);
        if (!value) return fallback;
        if (!value->is_boolean()) wrong_type(key, "true or false", *value);
        return value->get<bool>();
    }
    /// The text `key`.
    std::string string(const char* key) const { return checked_string(require(key), key); }
    /// The same, or `fallback`.
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
        if (value.is_string()) return detail::json_excerpt(value.get_ref<const std::string&>());
        return value.dump();
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
        const double number = value.is_number() ? value.get<double>() : 0;
        if (!value.is_number() || number < low || number > high || is_nan(static_cast<float>(number))) {
            const std::string expected =
                "a number in [" + nlohmann::json(low).dump() + ", " + nlohmann::json(high).dump() + "]";
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
