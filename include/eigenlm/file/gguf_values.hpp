#pragma once
// The metadata of a GGUF file: keys with typed values, and lookups that check type and range and say where they failed.
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/error.hpp"
#include "../base/types.hpp"
#include "json.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Types of values, numbered as files number them.
enum class GgufType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

/// How many types there are.
inline constexpr std::uint32_t gguf_types = 13;

/// "u8", ..., "f64", "boolean", "string", "array".
constexpr const char* to_string(GgufType type) {
    constexpr const char* names[gguf_types] = {"u8",      "i8",     "u16",   "i16", "u32", "i32", "f32",
                                               "boolean", "string", "array", "u64", "i64", "f64"};
    return names[static_cast<std::uint32_t>(type)];
}
/// Bytes of a number or truth value; 0 for strings and arrays, whose values say it themselves.
constexpr std::size_t size_of(GgufType type) {
    constexpr std::uint8_t sizes[gguf_types] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return sizes[static_cast<std::uint32_t>(type)];
}

/// One value, as the file has it.
struct GgufValue {
    GgufType type = GgufType::u8;     ///< what it is
    GgufType element = GgufType::u8;  ///< an array's elements; never arrays
    std::uint64_t count = 1;          ///< an array's elements
    /// A number's bytes, a text, or an array's elements one behind the other (before each string its length in 8
    /// bytes): 280,000 strings are one allocation. They lie within, and truth values are 0 or 1.
    std::string bytes;
};

/// The type that numbers of a type of ours have in files.
template <class T>
inline constexpr GgufType gguf_type_of = std::same_as<T, float>           ? GgufType::f32
                                         : std::same_as<T, bool>          ? GgufType::boolean
                                         : std::same_as<T, std::int32_t>  ? GgufType::i32
                                         : std::same_as<T, std::uint32_t> ? GgufType::u32
                                                                          : GgufType::array;  // not a number's

/// Values as files have them: a float, bool, std::int32_t or std::uint32_t; a text; numbers; texts, none so far.
/// @{
template <class T>
GgufValue gguf_number(T number) {
    static_assert(size_of(gguf_type_of<T>) == sizeof(T));
    return {gguf_type_of<T>, {}, 1, std::string(reinterpret_cast<const char*>(&number), sizeof(T))};
}
inline GgufValue gguf_text(std::string_view text) { return {GgufType::string, {}, 1, std::string(text)}; }
template <class T>
GgufValue gguf_numbers(const std::vector<T>& numbers) {
    GgufValue array{GgufType::array, gguf_type_of<T>, numbers.size(), {}};
    for (const T number : numbers) array.bytes += gguf_number(number).bytes;
    return array;
}
inline GgufValue gguf_texts() { return {GgufType::array, GgufType::string, 0, {}}; }
/// @}
/// Appends to an array of texts.
inline void append_text(GgufValue& array, std::string_view text) {
    const std::uint64_t length = text.size();
    array.bytes.append(reinterpret_cast<const char*>(&length), sizeof(length)).append(text);
    ++array.count;
}

/// What a file says beside its tensors.
class GgufMetadata {
  public:
    /// Nothing yet. `where` is the file's path, for messages.
    explicit GgufMetadata(std::string where) : where_(std::move(where)) {}

    /// False, with nothing changed, when the key is there already.
    bool insert(std::string key, GgufValue value) { return values_.emplace(std::move(key), std::move(value)).second; }
    /// In place of what the key had, if it had anything.
    void set(std::string key, GgufValue value) { values_.insert_or_assign(std::move(key), std::move(value)); }
    /// Forgets the key, if it is there.
    void erase(std::string_view key) {
        if (const auto it = values_.find(key); it != values_.end()) values_.erase(it);
    }

    /// The file.
    const std::string& where() const { return where_; }
    /// All keys with their values.
    const std::map<std::string, GgufValue, std::less<>>& all() const { return values_; }
    /// Whether there is a value of that key.
    bool has(std::string_view key) const { return find(key) != nullptr; }
    /// The key's place for a message: "x.gguf: general.alignment".
    std::string path(std::string_view key) const { return where_ + ": " + std::string(key); }

    /// The whole number `key`, of any width, within [low, high]. As every lookup here it throws FormatError, naming
    /// file and key, for a value of a wrong type or range, and where there is no fallback also for one that is missing.
    std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high) const;
    /// The same, or `fallback`.
    std::int64_t integer_or(std::string_view key, std::int64_t fallback, std::int64_t low, std::int64_t high) const {
        return has(key) ? integer(key, low, high) : fallback;
    }
    /// The f32 or f64 `key`, finite and within [low, high].
    double number(std::string_view key, double low, double high) const;
    /// The same, or `fallback`.
    double number_or(std::string_view key, double fallback, double low, double high) const {
        return has(key) ? number(key, low, high) : fallback;
    }
    /// The truth value `key`, or `fallback`.
    bool boolean_or(std::string_view key, bool fallback) const {
        return has(key) ? require(key, GgufType::boolean).bytes[0] != 0 : fallback;
    }
    /// The text `key`.
    const std::string& string(std::string_view key) const { return require(key, GgufType::string).bytes; }
    /// The same, or `fallback`.
    std::string string_or(std::string_view key, std::string fallback) const {
        return has(key) ? string(key) : std::move(fallback);
    }
    /// Whether `key` is an array.
    bool is_array(std::string_view key) const {
        const GgufValue* const value = find(key);
        return value != nullptr && value->type == GgufType::array;
    }
    /// The array `key` of exactly this type: bool, std::int32_t or float.
    template <class T>
    std::vector<T> numbers(std::string_view key) const {
        constexpr GgufType type = gguf_type_of<T>;
        static_assert(size_of(type) == sizeof(T));
        const GgufValue& value = require_array(key, type);
        std::vector<T> out(static_cast<std::size_t>(value.count));
        for (std::size_t i = 0; i < out.size(); ++i) {
            T element;
            std::memcpy(&element, value.bytes.data() + i * sizeof(T), sizeof(T));
            out[i] = element;
        }
        return out;
    }
    /// How many strings the array `key` has.
    std::size_t count_strings(std::string_view key) const {
        return static_cast<std::size_t>(require_array(key, GgufType::string).count);
    }
    /// Calls f(index, std::string_view) for each string of the array `key`, in order.
    template <class F>
    void each_string(std::string_view key, const F& f) const {
        const GgufValue& value = require_array(key, GgufType::string);
        const char* at = value.bytes.data();
        for (std::size_t i = 0; i < value.count; ++i) {
            std::uint64_t length = 0;
            std::memcpy(&length, at, sizeof(length));
            at += sizeof(length);
            f(i, std::string_view(at, static_cast<std::size_t>(length)));
            at += length;
        }
    }

  private:
    const GgufValue* find(std::string_view key) const {
        const auto it = values_.find(key);
        return it == values_.end() ? nullptr : &it->second;
    }
    const GgufValue& require(std::string_view key) const {
        const GgufValue* const value = find(key);
        if (value == nullptr) throw FormatError(path(key), "required key is missing");
        return *value;
    }
    const GgufValue& require(std::string_view key, GgufType type) const {
        const GgufValue& value = require(key);
        if (value.type != type) wrong_type(key, std::string("a ") + to_string(type), value);
        return value;
    }
    const GgufValue& require_array(std::string_view key, GgufType element) const {
        const GgufValue& value = require(key);
        if (value.type != GgufType::array || value.element != element)
            wrong_type(key, std::string("an array of ") + to_string(element), value);
        return value;
    }
    [[noreturn]] void wrong_type(std::string_view key, const std::string& expected, const GgufValue& found) const {
        throw FormatError(path(key), "expected " + expected + ", found " + describe(found));
    }

    static std::string describe(const GgufValue& value);

    std::string where_;
    std::map<std::string, GgufValue, std::less<>> values_;
};

namespace detail {

constexpr bool is_integer(GgufType type) {
    using enum GgufType;
    return type <= i32 || type == u64 || type == i64;
}
constexpr bool is_fraction(GgufType type) { return type == GgufType::f32 || type == GgufType::f64; }

/// The first bytes of a value.
template <class T>
T first_of(const GgufValue& value) {
    T number;
    std::memcpy(&number, value.bytes.data(), sizeof(T));
    return number;
}

/// The number of a type that is_integer; nothing where it is above 2^63 - 1.
inline std::optional<std::int64_t> whole_number(const GgufValue& value) {
    switch (value.type) {
        case GgufType::u8:
            return first_of<std::uint8_t>(value);
        case GgufType::i8:
            return first_of<std::int8_t>(value);
        case GgufType::u16:
            return first_of<std::uint16_t>(value);
        case GgufType::i16:
            return first_of<std::int16_t>(value);
        case GgufType::u32:
            return first_of<std::uint32_t>(value);
        case GgufType::i32:
            return first_of<std::int32_t>(value);
        default:
            const auto number = first_of<std::int64_t>(value);
            return value.type == GgufType::u64 && number < 0 ? std::nullopt : std::optional(number);
    }
}

/// The number of a type that is_fraction.
inline double fraction(const GgufValue& value) {
    return value.type == GgufType::f32 ? static_cast<double>(first_of<float>(value)) : first_of<double>(value);
}

}  // namespace detail

#if EIGENLM_DEFINE_LARGE
/// For messages.
EIGENLM_LARGE std::string GgufMetadata::describe(const GgufValue& value) {
    const std::string type = to_string(value.type);
    if (value.type == GgufType::array) return "an array of " + std::string(to_string(value.element));
    if (value.type == GgufType::string) return detail::json_excerpt(value.bytes);
    if (value.type == GgufType::boolean) return value.bytes[0] != 0 ? "true" : "false";
    if (detail::is_fraction(value.type)) return type + " " + nlohmann::json(detail::fraction(value)).dump();
    const auto number = detail::whole_number(value);
    return type + " " + (number ? std::to_string(*number) : std::to_string(detail::first_of<std::uint64_t>(value)));
}

EIGENLM_LARGE std::int64_t GgufMetadata::integer(std::string_view key, std::int64_t low, std::int64_t high) const {
    const GgufValue& value = require(key);
    const auto number = detail::is_integer(value.type) ? detail::whole_number(value) : std::nullopt;
    if (!number || *number < low || *number > high)
        wrong_type(key, "a whole number in [" + std::to_string(low) + ", " + std::to_string(high) + "]", value);
    return *number;
}

EIGENLM_LARGE double GgufMetadata::number(std::string_view key, double low, double high) const {
    const GgufValue& value = require(key);
    const double number = detail::is_fraction(value.type) ? detail::fraction(value) : 0;
    // A NaN is refused by its bits: comparisons mean nothing for it in a unit built with -ffast-math.
    if (!detail::is_fraction(value.type) || is_nan(static_cast<float>(number)) || number < low || number > high)
        wrong_type(key, "an f32 in [" + nlohmann::json(low).dump() + ", " + nlohmann::json(high).dump() + "]", value);
    return number;
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI
