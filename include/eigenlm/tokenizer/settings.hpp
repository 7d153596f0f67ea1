#pragma once
// Settings of a tokenizer.json: every one is either known here, or refused by name. A file that asks for more than this
// library does must never give other ids than Hugging Face would.
#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/error.hpp"
#include "../file/json.hpp"

namespace eigenlm::inline EIGENLM_ABI {

namespace detail {

/// Refuses fields that are not in `known`: what they would do is not known either.
inline void only_fields(const JsonObject& object, std::initializer_list<std::string_view> known) {
    for (const auto& [name, value] : object.raw().items())
        if (std::find(known.begin(), known.end(), name) == known.end())
            throw UnsupportedError(object.where(), "unknown field " + json_excerpt(name));
}

/// Refuses a field that is set to anything but null or the empty string.
inline void must_be_unset(const JsonObject& object, const char* field) {
    if (object.has(field) && object.raw()[field] != "")
        throw UnsupportedError(object.path(field), "expected null, found a value");
}

inline void must_be(const JsonObject& object, const char* field, bool expected, bool fallback) {
    if (object.boolean_or(field, fallback) != expected)
        throw UnsupportedError(object.path(field),
                               expected ? "expected true, found false" : "expected false, found true");
}

[[noreturn]] inline void unsupported_type(const JsonObject& object, const std::string& expected) {
    throw UnsupportedError(object.path("type"),
                           "expected " + expected + ", found " + json_excerpt(object.string("type")));
}

inline void must_be_type(const JsonObject& object, std::string_view type) {
    if (object.string("type") != type) unsupported_type(object, "\"" + std::string(type) + "\"");
}

/// The objects of the array `field`, each with its own place for messages.
inline std::vector<JsonObject> objects_of(const JsonObject& object, const char* field) {
    std::vector<JsonObject> out;
    for (const auto& value : object.array(field))
        out.emplace_back(value, object.path(field) + "[" + std::to_string(out.size()) + "]");
    return out;
}

inline JsonObject required_object(const JsonObject& object, const char* field) {
    auto found = object.object(field);
    if (!found) throw UnsupportedError(object.path(field), "expected an object, found null or nothing");
    return *std::move(found);
}

/// The steps of a normalizer, pre-tokenizer, post-processor or decoder: itself, or the members of a "Sequence" of them,
/// whose field is called `members`.
inline std::vector<JsonObject> steps_of(const std::optional<JsonObject>& step, const char* members) {
    constexpr std::size_t most = 16;  // real files have up to 4
    if (!step) return {};
    if (step->string("type") != "Sequence") return {*step};
    only_fields(*step, {"type", members});
    auto steps = objects_of(*step, members);
    if (steps.size() > most)
        throw UnsupportedError(step->path(members), "more than " + std::to_string(most) + " steps");
    return steps;
}

/// A text that is put into other texts, or searched for in them. Bounded: it may be put there often.
inline std::string short_text(const JsonObject& step, const char* field) {
    constexpr std::size_t most = 64;  // real files have one character
    std::string text = step.string(field);
    if (text.size() > most)
        throw UnsupportedError(step.path(field), "a text of more than " + std::to_string(most) + " bytes");
    return text;
}

/// The text of {"String": text}, the one kind of pattern that is no regular expression; not empty.
inline std::string literal_pattern(const JsonObject& step) {
    const JsonObject pattern = required_object(step, "pattern");
    only_fields(pattern, {"String"});
    std::string text = short_text(pattern, "String");
    if (text.empty()) throw UnsupportedError(pattern.path("String"), "an empty text");
    return text;
}

}  // namespace detail

}  // namespace eigenlm::inline EIGENLM_ABI
