#pragma once
// What templates can name without anybody having set it: range, dict, namespace, raise_exception, ...
#include <locale.h>

#include <chrono>
#include <clocale>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "print.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

namespace detail {

inline Value global_range(Context& context, const Value&, const Bound& given) {
    constexpr std::size_t most = 100000;  // the sandbox's
    const std::vector<Value>& arguments = given.rest().positional;
    if (!given.rest().named.empty()) context.fail("range() takes no keyword arguments");
    if (arguments.empty() || arguments.size() > 3) context.fail("range expected 1 to 3 arguments");
    std::int64_t numbers[3] = {0, 0, 1};
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (arguments[i].is(Type::undefined)) fail_undefined(context, arguments[i]);
        if (!arguments[i].is_integral())
            context.fail(std::string("'") + type_name(arguments[i]) + "' object cannot be interpreted as an integer");
        numbers[arguments.size() == 1 ? 1 : i] = arguments[i].integer();
    }
    const auto [start, stop, step] = numbers;
    if (step == 0) context.fail("range() arg 3 must not be zero");
    std::size_t length = 0;
    if (step > 0 ? start < stop : start > stop) {
        const std::uint64_t distance = step > 0 ? static_cast<std::uint64_t>(stop) - static_cast<std::uint64_t>(start)
                                                : static_cast<std::uint64_t>(start) - static_cast<std::uint64_t>(stop);
        const std::uint64_t by = step > 0 ? static_cast<std::uint64_t>(step) : 0 - static_cast<std::uint64_t>(step);
        length = (distance - 1) / by + 1;
    }
    if (length > most) context.fail("range too big: the sandbox blocks ranges larger than " + std::to_string(most));
    return Value(Type::range, std::make_shared<Range>(&context, start, stop, step, length));
}

inline Value global_dict(Context& context, const Value&, const Bound& given) {
    const std::vector<Value>& arguments = given.rest().positional;
    if (arguments.size() > 1) context.fail("dict expected at most 1 argument");
    Entries entries;
    if (!arguments.empty() && arguments[0].is(Type::undefined)) fail_undefined(context, arguments[0]);
    if (!arguments.empty() && arguments[0].is(Type::dict)) {
        entries = arguments[0].as<Dict>().entries;
    } else if (!arguments.empty()) {
        Cursor cursor(context, arguments[0]);
        for (Value item; cursor.next(item);) {
            const std::vector<Value> pair = items_of(context, item);
            if (pair.size() != 2) context.fail("dict: expected pairs, found " + std::to_string(pair.size()) + " items");
            entries.emplace_back(pair[0], pair[1]);
        }
    }
    for (const auto& [name, value] : given.rest().named) entries.emplace_back(make_text(context, name), value);
    return make_dict(context, std::move(entries));
}

inline Value global_namespace(Context& context, const Value& self, const Bound& given) {
    const auto space = std::make_shared<Space>(&context);
    context.keep(space);
    const Value attributes = global_dict(context, self, given);
    for (const auto& [name, value] : attributes.as<Dict>().entries)
        if (name.is(Type::string)) space->set(text_of(name), value);
    return Value(Type::space, space);
}

inline Value global_joiner(Context& context, const Value&, const Bound& arguments) {
    const Value separator = arguments.has(0) ? arguments[0] : make_text(context, ", ");
    const std::size_t depth = depth_above(context, {separator});
    return Value(Type::joiner, std::make_shared<Joiner>(&context, separator, depth));
}

inline Value global_cycler(Context& context, const Value&, const Bound& given) {
    const std::vector<Value>& items = given.rest().positional;
    if (items.empty() || !given.rest().named.empty()) context.fail("cycler: at least one item has to be provided");
    return Value(Type::cycler, std::make_shared<Cycler>(&context, items, depth_above(context, items)));
}

inline Value global_raise(Context& context, const Value&, const Bound& arguments) {
    context.fail(to_text(context, arguments[0]));
}

/// strftime of the local time, with the names of the C locale whatever the host's is.
inline std::string format_time(std::chrono::system_clock::time_point time, const std::string& format) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
    std::tm local{};
    ::localtime_r(&seconds, &local);
    std::string out(64 * format.size() + 64, '\0');
    const locale_t plain = ::newlocale(LC_ALL_MASK, "C", nullptr);
    out.resize(::strftime_l(out.data(), out.size(), format.c_str(), &local, plain));
    ::freelocale(plain);
    return out;
}

inline Value global_strftime_now(Context& context, const Value&, const Bound& arguments) {
    const std::string_view format = arguments.text(0);
    if (format.size() > 1000 || format.find('\0') != std::string_view::npos)
        context.fail("strftime_now: expected a format of at most 1000 bytes");
    const auto whole = std::chrono::floor<std::chrono::seconds>(context.now);
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(context.now - whole).count();
    std::string known;
    for (std::size_t i = 0; i < format.size(); ++i) {  // what Python adds to C
        if (format[i] != '%' || i + 1 == format.size()) {
            known.push_back(format[i]);
            continue;
        }
        const char letter = format[++i];
        const std::string digits = std::to_string(micros);
        if (letter == 'f')
            known += std::string(6 - std::min<std::size_t>(6, digits.size()), '0') + digits;
        else if (letter != 'z' && letter != 'Z')
            (known += '%') += letter;
    }
    return make_text(context, format_time(context.now, known));
}

inline Value not_made_here(Context& context, const Value&, const Bound&) { context.unsupported("this function"); }

#if EIGENLM_DEFINE_LARGE
inline constexpr Builtin globals[] = {
    {"range", global_range, "*"},
    {"dict", global_dict, "*"},
    {"namespace", global_namespace, "*"},
    {"joiner", global_joiner, "sep"},
    {"cycler", global_cycler, "*"},
    {"raise_exception", global_raise, "message", 1},
    {"strftime_now", global_strftime_now, "format", 1},
    {"lipsum", not_made_here, "*"},
};
#endif

}  // namespace detail

/// The function of that name, or null.
EIGENLM_LARGE const Builtin* find_global(std::string_view name);

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE const Builtin* find_global(std::string_view name) { return find_builtin(detail::globals, name); }
#endif

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
