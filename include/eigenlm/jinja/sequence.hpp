#pragma once
// Values that hold others: going through them, lengths, slices, `in`.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compare.hpp"
#include "value.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// Ends with "'x' is undefined".
[[noreturn]] inline void fail_undefined(const Context& context, const Value& value) {
    context.fail((value.name() ? "'" + *value.name() + "'" : std::string("a value")) + " is undefined");
}

/// Whether a value counts as true.
inline bool is_true(const Value& value) {
    switch (value.type()) {
        case Type::undefined:
        case Type::none:
            return false;
        case Type::boolean:
        case Type::integer:
            return value.integer() != 0;
        case Type::real:
            return value.real() != 0;
        case Type::string:
            return !text_of(value).empty();
        case Type::list:
        case Type::tuple:
        case Type::view:
            return !value.as<Items>().items.empty();
        case Type::dict:
            return !value.as<Dict>().entries.empty();
        case Type::range:
            return value.as<Range>().length > 0;
        default:
            return true;
    }
}

/// len(value), or nothing where Python has no length.
inline std::optional<std::size_t> length_of(const Value& value) {
    switch (value.type()) {
        case Type::undefined:
            return 0;
        case Type::string:
            return value.as<Text>().length;
        case Type::list:
        case Type::tuple:
        case Type::view:
            return value.as<Items>().items.size();
        case Type::dict:
            return value.as<Dict>().entries.size();
        case Type::range:
            return value.as<Range>().length;
        default:
            return std::nullopt;
    }
}

/// Whether iter(value) works.
inline bool is_iterable(const Value& value) {
    return length_of(value).has_value() || value.is(Type::iterator) || value.is(Type::loop);
}

/// Goes through the items of a value: of a dict the keys, of a string the characters.
class Cursor {
  public:
    /// Throws when the value cannot be gone through.
    Cursor(Context& context, Value source) : context_(&context), source_(std::move(source)) {
        if (!is_iterable(source_) || source_.is(Type::loop))
            context.fail(std::string("'") + type_name(source_) + "' object is not iterable");
    }
    /// The next item, or false when there is none.
    bool next(Value& item) {
        context_->step();
        switch (source_.type()) {
            case Type::string:
                return next_character(item);
            case Type::dict:
                if (at_ == source_.as<Dict>().entries.size()) return false;
                item = source_.as<Dict>().entries[at_++].first;
                return true;
            case Type::range:
                if (at_ == source_.as<Range>().length) return false;
                item = Value::of(source_.as<Range>().at(at_++));
                return true;
            case Type::undefined:
                return false;
            default:
                break;
        }
        Items& all = source_.as<Items>();
        if (all.pull) return all.pull(item);
        std::size_t& at = source_.is(Type::iterator) ? all.next : at_;
        if (at == all.items.size()) return false;
        item = all.items[at++];
        return true;
    }
    /// What it goes through.
    const Value& source() const { return source_; }

  private:
    bool next_character(Value& item) {
        const std::string& text = text_of(source_);
        if (at_ == text.size()) return false;
        const std::size_t length = unicode::decode_utf8(text, at_).length;
        item = make_text(*context_, text.substr(at_, length));
        at_ += length;
        return true;
    }

    Context* context_;
    Value source_;
    std::size_t at_ = 0;
};

/// list(value).
inline std::vector<Value> items_of(Context& context, const Value& value) {
    std::vector<Value> items;
    if (const auto length = length_of(value)) {
        context.need(*length * sizeof(Value));
        items.reserve(*length);
    }
    Cursor cursor(context, value);
    for (Value item; cursor.next(item);) items.push_back(item);
    return items;
}

/// Part of a sequence of `length` items: start, start + step, ..., `count` of them.
struct Slice {
    std::int64_t start = 0;  ///< the first index
    std::int64_t step = 1;   ///< from one to the next
    std::size_t count = 0;   ///< how many
    std::int64_t stop = 0;   ///< where it ends, as it was asked for
};

/// What [start:stop:step] takes; each may be none. Throws as Python does.
inline Slice slice_of(Context& context, const Value& start, const Value& stop, const Value& step, std::size_t size) {
    const auto bound = [&](const Value& value, std::int64_t fallback) {
        if (value.is(Type::none)) return fallback;
        if (!value.is_integral()) context.fail("slice indices must be integers or None");
        return value.integer();
    };
    const std::int64_t length = static_cast<std::int64_t>(size);
    const std::int64_t by = bound(step, 1);
    if (by == 0) context.fail("slice step cannot be zero");
    if (by == std::numeric_limits<std::int64_t>::min()) context.fail("the slice step is too small");
    const std::int64_t low = by > 0 ? 0 : -1, high = by > 0 ? length : length - 1;
    const auto clipped = [&](const Value& value, std::int64_t fallback) {
        if (value.is(Type::none)) return fallback;
        std::int64_t index = bound(value, 0);
        if (index < 0) index += length;
        return std::clamp(index, low, high);
    };
    const std::int64_t from = clipped(start, by > 0 ? low : high), to = clipped(stop, by > 0 ? high : low);
    const std::int64_t distance = by > 0 ? to - from : from - to;
    if (distance <= 0) return {from, by, 0, to};
    return {from, by, static_cast<std::size_t>((distance - 1) / (by > 0 ? by : -by) + 1), to};
}

/// The byte at which character `index` of a string begins.
inline std::size_t byte_of(Context& context, const Text& string, std::size_t index) {
    if (string.is_ascii()) return index;
    context.scan(string.text.size());
    std::size_t pos = 0;
    for (; index > 0; --index) pos += unicode::decode_utf8(string.text, pos).length;
    return pos;
}

/// Characters of a string, as `slice` says.
inline Value slice_text(Context& context, const Value& string, const Slice& slice) {
    const Text& text = string.as<Text>();
    std::string out;
    context.need(4 * slice.count);
    context.scan(text.text.size());
    if (slice.count > 0 && slice.step == 1) {
        const std::size_t begin = byte_of(context, text, static_cast<std::size_t>(slice.start));
        std::size_t end = begin;
        if (text.is_ascii()) end += slice.count;
        for (std::size_t i = 0; !text.is_ascii() && i < slice.count; ++i)
            end += unicode::decode_utf8(text.text, end).length;
        out = text.text.substr(begin, end - begin);
    } else if (slice.count > 0) {
        context.need(sizeof(char32_t) * text.length);
        std::u32string characters;
        characters.reserve(text.length);
        for (std::size_t pos = 0; pos < text.text.size(); pos += unicode::decode_utf8(text.text, pos).length)
            characters.push_back(unicode::decode_utf8(text.text, pos).code);
        for (std::size_t i = 0; i < slice.count; ++i)
            unicode::append_utf8(out, characters[static_cast<std::size_t>(slice.start + slice.step * std::int64_t(i))]);
    }
    return make_text(context, std::move(out), text.safe);
}

/// value[start:stop:step]. Throws as Python does.
inline Value slice_value(Context& context, const Value& value, const Value& start, const Value& stop,
                         const Value& step) {
    if (value.is(Type::undefined)) fail_undefined(context, value);
    const bool has_slices = value.is(Type::string) || value.is(Type::list) || value.is(Type::tuple);
    if (!has_slices && !value.is(Type::range))
        context.fail(std::string("'") + type_name(value) + "' object is not subscriptable");
    const Slice slice = slice_of(context, start, stop, step, *length_of(value));
    context.step(slice.count / 16);
    if (value.is(Type::string)) return slice_text(context, value, slice);
    if (value.is(Type::range)) {
        const Range& range = value.as<Range>();
        std::int64_t offset = 0, first = 0, by = 0, end = 0;
        if (__builtin_mul_overflow(range.step, slice.start, &offset) ||
            __builtin_add_overflow(range.start, offset, &first) ||
            __builtin_mul_overflow(range.step, slice.step, &by) ||
            __builtin_mul_overflow(range.step, slice.stop, &offset) ||
            __builtin_add_overflow(range.start, offset, &end))
            context.fail("integers of more than 64 bits");
        return Value(Type::range, std::make_shared<Range>(&context, first, end, by, slice.count));
    }
    std::vector<Value> items;
    context.need(slice.count * sizeof(Value));
    items.reserve(slice.count);
    for (std::size_t i = 0; i < slice.count; ++i)
        items.push_back(value.as<Items>().items[static_cast<std::size_t>(slice.start + slice.step * std::int64_t(i))]);
    return make_items(context, std::move(items), value.type());
}

/// item in container. Throws as Python does.
inline bool contains(Context& context, const Value& container, const Value& item) {
    if (container.is(Type::dict)) return find_in(context, container.as<Dict>(), item) != nullptr;
    if (container.is(Type::string)) {
        if (!item.is(Type::string))
            context.fail(std::string("'in <string>' requires string as left operand, not ") + type_name(item));
        context.scan(text_of(container).size());
        return find_text(text_of(container), text_of(item)) != std::string::npos;
    }
    Cursor cursor(context, container);
    for (Value other; cursor.next(other);)
        if (other.same(item) || equal(context, other, item)) return true;
    return false;
}

/// sequence[index], or nothing: for strings, lists, tuples and ranges.
inline std::optional<Value> item_at(Context& context, const Value& value, std::int64_t index) {
    const auto length = value.is(Type::view) || value.is(Type::dict) ? std::nullopt : length_of(value);
    if (!length) return std::nullopt;
    if (index < 0) index += static_cast<std::int64_t>(*length);
    if (index < 0 || index >= static_cast<std::int64_t>(*length)) return std::nullopt;
    const std::size_t at = static_cast<std::size_t>(index);
    if (value.is(Type::range)) return Value::of(value.as<Range>().at(at));
    if (value.is(Type::string)) return slice_text(context, value, {index, 1, 1});
    return value.as<Items>().items[at];
}

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
