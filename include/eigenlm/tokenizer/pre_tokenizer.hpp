#pragma once
// How a text is cut into pieces, none of which the model merges with another.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "../base/abi.hpp"
#include "split_pattern.hpp"
#include "unicode.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// The pre-tokenizers of a tokenizer.json, in order: each cuts the pieces of the one before. (ByteLevel's other part,
/// to write bytes as characters, is not done: the vocabulary is kept as bytes instead.)
class PreTokenizer {
  public:
    /// Cuts where a pattern says.
    struct Split {
        SplitPattern pattern;  ///< which
    };
    /// Cuts digits off from what is none.
    struct Digits {
        bool individual;  ///< and from each other
    };
    /// Puts a space in front of a piece that has none there.
    struct PrefixSpace {};
    /// Writes spaces as `mark`, puts one in front of a piece that has none there, and cuts before each.
    struct Metaspace {
        /// To which pieces: `first` is what the whole text begins with.
        enum class Prepend { always, first, never };
        std::string mark;                   ///< one character
        Prepend prepend = Prepend::always;  ///< where it is put in front
        bool split = true;                  ///< whether to cut at all
    };
    /// One of them.
    using Step = std::variant<Split, Digits, PrefixSpace, Metaspace>;

    /// Working memory, to be reused from text to text: what each step has rewritten.
    using Buffers = std::vector<std::string>;

    /// Nothing is cut.
    PreTokenizer() = default;
    /// These steps.
    explicit PreTokenizer(std::vector<Step> steps) : steps_(std::move(steps)) {}

    /// In order.
    const std::vector<Step>& steps() const { return steps_; }

    /// Calls piece(std::string_view), never with an empty one, for the pieces of `text` in order. `at_start`: whether
    /// it is the beginning of what a caller gave, before added tokens were cut out.
    template <class Piece>
    void operator()(std::string_view text, bool at_start, Buffers& buffers, const Piece& piece) const {
        if (buffers.size() < steps_.size()) buffers.resize(steps_.size());
        run(0, text, at_start, buffers, piece);
    }

  private:
    template <class Piece>
    void run(std::size_t at, std::string_view text, bool at_start, Buffers& buffers, const Piece& piece) const {
        if (text.empty()) return;
        if (at == steps_.size()) return piece(text);
        const Step& step = steps_[at];
        const char* const begin = text.data();
        const auto next = [&](std::string_view part) {
            run(at + 1, part, at_start && part.data() == begin, buffers, piece);
        };
        if (const auto* split = std::get_if<Split>(&step))
            cut(
                text, [&](std::size_t pos) { return piece_end(split->pattern, text, pos); }, next);
        else if (const auto* digits = std::get_if<Digits>(&step))
            cut(
                text, [&](std::size_t pos) { return digits_end(text, pos, digits->individual); }, next);
        else if (std::holds_alternative<PrefixSpace>(step))
            run(at + 1, text[0] == ' ' ? text : std::string_view(buffers[at].assign(1, ' ').append(text)), at_start,
                buffers, piece);
        else
            metaspace(*std::get_if<Metaspace>(&step), at, text, at_start, buffers, piece);
    }

    template <class End, class Next>
    static void cut(std::string_view text, const End& end_of, const Next& next) {
        for (std::size_t pos = 0; pos < text.size();) {
            const std::size_t end = end_of(pos);
            next(text.substr(pos, end - pos));
            pos = end;
        }
    }

    /// The end of the run of digits, or of others, that begins at `pos`.
    static std::size_t digits_end(std::string_view text, std::size_t pos, bool individual) {
        auto c = unicode::decode_utf8(text, pos);
        const bool digit = unicode::is_digit(c.code);
        do {
            pos += c.length;
            if (pos == text.size() || (digit && individual)) break;
            c = unicode::decode_utf8(text, pos);
        } while (unicode::is_digit(c.code) == digit);
        return pos;
    }

    template <class Piece>
    void metaspace(const Metaspace& step, std::size_t at, std::string_view text, bool at_start, Buffers& buffers,
                   const Piece& piece) const {
        const bool wanted =
            step.prepend == Metaspace::Prepend::always || (step.prepend == Metaspace::Prepend::first && at_start);
        std::string& out = buffers[at];
        out.clear();
        if (wanted && text[0] != ' ' && !text.starts_with(step.mark)) out = step.mark;
        for (const char c : text) c == ' ' ? out.append(step.mark) : out.append(1, c);
        if (!step.split) return run(at + 1, out, at_start, buffers, piece);
        const std::string_view marked = out;
        cut(
            marked, [&](std::size_t pos) { return std::min(marked.find(step.mark, pos + 1), marked.size()); },
            [&](std::string_view part) {
                run(at + 1, part, at_start && part.data() == marked.data(), buffers, piece);
            });
    }

    std::vector<Step> steps_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
