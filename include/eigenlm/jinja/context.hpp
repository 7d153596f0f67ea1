#pragma once
// One rendering: where in the template it is, for messages, and what it may still use of time and memory.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/error.hpp"
#include "text.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// What a rendering may use. A conversation of a hundred thousand tokens needs less than a hundredth of it.
struct Limits {
    std::size_t steps = 4'000'000;               ///< nodes evaluated, values visited, 64 bytes looked at
    std::size_t memory = std::size_t{64} << 20;  ///< bytes of the values that exist at one time
    std::size_t output = std::size_t{32} << 20;  ///< bytes written, those into variables and by macros included
    std::size_t depth = 400;                     ///< expressions, statements and macros inside one another
};

/// No list or dict holds others more than this many levels deep.
inline constexpr std::size_t max_value_depth = 150;

/// text.find(what, pos), in linear time whatever the two are.
inline std::size_t find_text(std::string_view text, std::string_view what, std::size_t pos = 0) {
    if (pos > text.size()) return std::string_view::npos;
    if (what.empty()) return pos;
    const void* const found = ::memmem(text.data() + pos, text.size() - pos, what.data(), what.size());
    if (found == nullptr) return std::string_view::npos;
    return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

/// "name: line 3, column 14", of a byte of a template.
inline std::string place_of(const std::string& name, std::string_view source, std::size_t offset) {
    offset = std::min(offset, source.size());
    std::size_t line = 1, begin = 0;
    for (std::size_t i = 0; i < offset; ++i)
        if (source[i] == '\n') ++line, begin = i + 1;
    const std::size_t column = count_characters(source.substr(begin, offset - begin)) + 1;
    return name + ": line " + std::to_string(line) + ", column " + std::to_string(column);
}

struct Cell;

/// The state that everything of a rendering shares.
class Context {
  public:
    /// `where` names the template in messages; it and `source` must outlive the context.
    Context(const std::string& where, std::string_view source, std::chrono::system_clock::time_point time,
            const Limits& limits)
        : now(time), where_(where), source_(source), limits_(limits) {}
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
    ~Context();

    /// Keeps something to the end of the rendering.
    void keep(std::shared_ptr<Cell> cell) { kept_.push_back(std::move(cell)); }

    /// Counts steps of work.
    void step(std::size_t count = 1) {
        steps_ += count;
        if (steps_ > limits_.steps) fail("the template takes more than " + std::to_string(limits_.steps) + " steps");
    }
    /// Counts the work of looking at so many bytes.
    void scan(std::size_t bytes) { step(bytes / 64 + 1); }
    /// Counts the work of a search from the end, whose time is the product.
    void scan_from_end(std::size_t bytes, std::size_t wanted) { step(bytes * wanted / 4096 + bytes / 64 + 1); }
    /// Counts bytes of output.
    void write(std::size_t bytes) {
        written_ += bytes;
        if (written_ > limits_.output)
            fail("the template writes more than " + std::to_string(limits_.output) + " bytes");
    }
    /// Throws when there is no room for so many more bytes of values.
    void need(std::size_t bytes) const {
        if (bytes > limits_.memory || taken_ > limits_.memory - bytes)
            fail("the template's values take more than " + std::to_string(limits_.memory) + " bytes");
    }
    /// need(), and counts them.
    void take(std::size_t bytes) {
        need(bytes);
        taken_ += bytes;
    }
    /// The other way round.
    void give(std::size_t bytes) noexcept { taken_ -= bytes; }

    /// What the template does is an error, at the place where it is now.
    [[noreturn]] void fail(const std::string& what) const { throw TemplateError(place_of(where_, source_, at), what); }
    /// The same for what this library does not do.
    [[noreturn]] void unsupported(const std::string& what) const {
        throw UnsupportedError(place_of(where_, source_, at), what);
    }

    /// For the lifetime of one, evaluation is a level deeper.
    class Level {
      public:
        /// Throws when that is too deep.
        explicit Level(Context& context) : context_(context) {
            if (context.depth_ >= context.limits_.depth)
                context.fail("nested deeper than " + std::to_string(context.limits_.depth) + " levels");
            ++context.depth_;
        }
        Level(const Level&) = delete;
        Level& operator=(const Level&) = delete;
        ~Level() { --context_.depth_; }

      private:
        Context& context_;
    };

    /// The byte of the source that is being worked on.
    std::size_t at = 0;
    /// What strftime_now tells.
    const std::chrono::system_clock::time_point now;

  private:
    const std::string& where_;
    std::string_view source_;
    Limits limits_;
    std::size_t steps_ = 0, written_ = 0, taken_ = 0, depth_ = 0;
    std::vector<std::shared_ptr<Cell>> kept_;
};

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
