#pragma once
// Reads a tokenizer.json event by event: the vocabulary and the merges, which are nearly all of the file, go straight
// into flat arrays, the rest into a small tree. (A tree of everything takes three times as long and ten times the
// memory.)
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/error.hpp"
#include "../base/types.hpp"
#include "../file/json.hpp"
#include "vocab.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// What a tokenizer.json with a BPE holds, before anything but its grammar is checked.
struct TokenizerJson {
    nlohmann::json tree;  ///< everything but model.vocab and model.merges
    /// Whether the file has model.vocab and model.merges.
    /// @{
    bool has_vocab = false, has_merges = false;
    /// @}
    VocabEntries vocab;      ///< model.vocab, as written
    std::string merge_text;  ///< model.merges: left, right, left, right, ... as written
    std::vector<std::pair<std::uint32_t, std::uint32_t>> merge_lengths;  ///< of the left and right parts in merge_text
};

namespace detail {

/// nlohmann's SAX interface: routes every event to the tree, the vocabulary or the merges.
class TokenizerJsonHandler final : public nlohmann::json_sax<nlohmann::json> {
  public:
    TokenizerJsonHandler(TokenizerJson& out, const std::string& where)
        : out_(out), where_(where), tree_(out.tree, where) {}

    bool null() override { return scalar(nullptr, "null"); }
    bool boolean(bool value) override { return scalar(value, "a boolean"); }
    bool number_integer(number_integer_t value) override { return scalar(value, "a negative number"); }
    bool number_float(number_float_t value, const string_t&) override { return scalar(value, "a fraction"); }
    bool binary(binary_t&) override { return scalar(nullptr, "binary data"); }
    bool number_unsigned(number_unsigned_t value) override {
        if (place_ != Place::vocab) return scalar(value, "a number");
        if (value > static_cast<number_unsigned_t>(max_token_id)) wrong("an id above " + std::to_string(max_token_id));
        add_token(static_cast<TokenId>(value));
        return true;
    }
    bool string(string_t& value) override {
        switch (place_) {
            case Place::merges:
                add_merge(value);
                return true;
            case Place::pair:
                add_merge_part(value);
                return true;
            default:
                return scalar(value, "a string");
        }
    }
    bool start_object(std::size_t) override {
        if (place_ != Place::tree) wrong("an object");
        if (tree_.next_is("model", "vocab")) {
            place_ = Place::vocab;
            out_.has_vocab = true;
            tree_.value(nullptr);
        } else {
            tree_.open(nlohmann::json::object());
        }
        return true;
    }
    bool key(string_t& name) override {
        if (place_ == Place::vocab)
            token_.swap(name);
        else
            tree_.key(name);
        return true;
    }
    bool end_object() override {
        if (place_ == Place::vocab)
            place_ = Place::tree;
        else
            tree_.close();
        return true;
    }
    bool start_array(std::size_t) override {
        if (place_ == Place::merges) {
            place_ = Place::pair;
            parts_ = 0;
        } else if (place_ != Place::tree) {
            wrong("an array");
        } else if (tree_.next_is("model", "merges")) {
            place_ = Place::merges;
            out_.has_merges = true;
            tree_.value(nullptr);
        } else {
            tree_.open(nlohmann::json::array());
        }
        return true;
    }
    bool end_array() override {
        if (place_ == Place::pair) {
            if (parts_ != 2) wrong("an array of " + std::to_string(parts_));
            out_.merge_lengths.emplace_back(lengths_[0], lengths_[1]);
            place_ = Place::merges;
        } else if (place_ == Place::merges) {
            place_ = Place::tree;
        } else {
            tree_.close();
        }
        return true;
    }
    bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) override {
        throw_parse_error(tree_.place(), error);
    }

  private:
    enum class Place { tree, vocab, merges, pair };

    template <class T>
    bool scalar(T&& value, const char* name) {
        if (place_ != Place::tree) wrong(name);
        tree_.value(std::forward<T>(value));
        return true;
    }

    [[noreturn]] void wrong(const std::string& found) const {
        if (place_ == Place::vocab)
            throw FormatError(where_ + ": model.vocab[" + json_excerpt(token_) + "]",
                              "expected a token id, found " + found);
        throw FormatError(merge_where(), "expected \"left right\" or [\"left\", \"right\"], found " + found);
    }
    std::string merge_where() const {
        return where_ + ": model.merges[" + std::to_string(out_.merge_lengths.size()) + "]";
    }

    void add_token(TokenId id) { out_.vocab.add(token_, id, where_ + ": model.vocab"); }

    void add_merge(std::string_view text) {
        if (text.starts_with("#version")) return;  // the header of a merges.txt; Hugging Face skips it here too
        const std::size_t space = text.find(' ');
        if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos)
            wrong(json_excerpt(text));
        parts_ = 0;
        add_merge_part(text.substr(0, space));
        add_merge_part(text.substr(space + 1));
        out_.merge_lengths.emplace_back(lengths_[0], lengths_[1]);
    }

    void add_merge_part(std::string_view part) {
        if (parts_ == 2) wrong("a longer array");
        if (part.empty()) wrong("an empty part");
        if (part.size() > UINT32_MAX) wrong("a part above 4 GiB");
        out_.merge_text += part;
        lengths_[parts_++] = static_cast<std::uint32_t>(part.size());
    }

    TokenizerJson& out_;
    const std::string& where_;
    JsonTreeBuilder tree_;
    Place place_ = Place::tree;
    std::string token_;      // the vocabulary's key that waits for its id
    std::size_t parts_ = 0;  // of the merge being read
    std::uint32_t lengths_[2] = {};
};

}  // namespace detail

/// Reads the text of a tokenizer.json. `where` is the file's name. Throws FormatError on anything that is not JSON, on
/// keys that stand twice (in model.vocab, Vocab finds those), and on a vocabulary or merges of the wrong shape.
inline TokenizerJson parse_tokenizer_json(std::string_view text, const std::string& where) {
    TokenizerJson out;
    detail::TokenizerJsonHandler handler(out, where);
    detail::sax_parse(text, handler, where);
    return out;
}

}  // namespace eigenlm::inline EIGENLM_ABI
