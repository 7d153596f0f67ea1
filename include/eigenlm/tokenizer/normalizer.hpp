#pragma once
// What happens to a text before it is cut into pieces: a few steps, each of which rewrites all of it.
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "../base/error.hpp"
#include "nfc.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// The normalizers of a tokenizer.json, in order. Each one of them leaves an empty text alone.
class Normalizer {
  public:
    /// Normalization form C.
    struct Nfc {};
    /// Puts `text` in front.
    struct Prepend {
        std::string text;  ///< UTF-8
    };
    /// Puts `content` wherever `pattern` stands, from left to right.
    struct Replace {
        std::string pattern;  ///< not empty
        std::string content;  ///< may be
    };
    /// One of them.
    using Step = std::variant<Nfc, Prepend, Replace>;

    /// Working memory, to be reused from text to text.
    class Buffers {
        friend class Normalizer;
        std::string texts_[2];
        std::vector<char32_t> chars_;
    };

    Normalizer() = default;
    /// `where` names the file and field, for errors.
    explicit Normalizer(std::vector<Step> steps, std::string where = "normalizer")
        : steps_(std::move(steps)), where_(std::move(where)) {}

    /// In order.
    const std::vector<Step>& steps() const { return steps_; }
    /// Whether a step does more than NFC.
    bool replaces() const {
        return std::any_of(steps_.begin(), steps_.end(), [](const Step& s) { return !std::holds_alternative<Nfc>(s); });
    }

    /// `text` normalized: itself where nothing changes it, or else in `buffers`. Throws UnsupportedError where it
    /// becomes more than 16 times (and 64 bytes) as long: by the steps of real tokenizers it becomes three times as
    /// long at most, but a file may have steps that make each other's output grow.
    std::string_view operator()(std::string_view text, Buffers& buffers) const {
        const std::size_t most = 16 * text.size() + 64;
        for (const Step& step : steps_) {
            std::string& out = buffers.texts_[text.data() == buffers.texts_[0].data() ? 1 : 0];
            if (text.empty()) return text;
            if (std::holds_alternative<Nfc>(step))
                text = unicode::nfc(text, out, buffers.chars_);
            else if (const auto* prepend = std::get_if<Prepend>(&step))
                text = out.assign(prepend->text).append(text);
            else
                text = replace(*std::get_if<Replace>(&step), text, out, most);
            if (text.size() > most) fail();
        }
        return text;
    }
    /// The same as a string.
    std::string operator()(std::string_view text) const {
        Buffers buffers;
        return std::string((*this)(text, buffers));
    }

  private:
    std::string_view replace(const Replace& step, std::string_view text, std::string& out, std::size_t most) const {
        out.clear();
        std::size_t copied = 0;
        for (std::size_t at = text.find(step.pattern); at != text.npos; at = text.find(step.pattern, copied)) {
            out.append(text, copied, at - copied).append(step.content);
            copied = at + step.pattern.size();
            if (out.size() > most) fail();
        }
        return copied == 0 ? text : std::string_view(out.append(text, copied));
    }

    [[noreturn]] void fail() const { throw UnsupportedError(where_, "makes a text more than 16 times as long"); }

    std::vector<Step> steps_;
    std::string where_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
