#pragma once
// What tokens say: the decoder of a tokenizer.json, applied to every token once.
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/types.hpp"
#include "added_tokens.hpp"
#include "bpe.hpp"
#include "normalizer.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// How tokens become text.
struct DecodeRules {
    Normalizer replacements;      ///< in each token
    bool byte_fallback = false;   ///< a token <0x0A> is that byte
    std::string strip;            ///< dropped from a text's start ...
    std::size_t strip_count = 0;  ///< ... so many times at most
    /// In a text's first token, in place of those (Metaspace's mark is no space there); none: the same.
    std::optional<Normalizer> first_replacements = std::nullopt;
};

/// How far a text has come that tokens are appended to.
class TextState {
    friend class TokenTexts;
    std::size_t stripped_ = 0;
    bool first_ = true;

  public:
    /// `continues`: something stands before this text, so that nothing is dropped from its start.
    explicit TextState(bool continues = false) : stripped_(continues ? SIZE_MAX : 0), first_(!continues) {}
};

/// The text of every token, by id.
class TokenTexts {
  public:
    /// No tokens.
    TokenTexts() = default;
    /// Those of a model and the added ones.
    TokenTexts(const Bpe& bpe, const AddedTokens& added, DecodeRules rules) : rules_(std::move(rules)) {
        entries_.resize(std::max(bpe.vocab().size(), added.size()));
        Normalizer::Buffers buffers;
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            const auto id = static_cast<TokenId>(i);
            const AddedToken* const token = added.find(id);
            if (token == nullptr && !bpe.vocab().has(id)) continue;
            const std::string_view written = token != nullptr ? token->text : bpe.vocab().bytes(id);
            set(entries_[i], rules_.replacements(written, buffers));
            entries_[i].special = token != nullptr && token->special;
            if (!rules_.first_replacements) continue;
            first_.resize(entries_.size());
            first_[i] = (*rules_.first_replacements)(written, buffers);
            if (const auto byte = byte_of(first_[i])) first_[i].assign(1, *byte);
        }
    }

    /// One more than the largest id.
    std::size_t size() const { return entries_.size(); }
    /// Whether `id` is a token.
    bool has(TokenId id) const { return id >= 0 && static_cast<std::size_t>(id) < size() && entry(id).token; }
    /// Whether `id`, which must be a token, is an added one marked as special.
    bool is_special(TokenId id) const { return entry(id).special; }
    /// What a token says within a text; has(id) must hold.
    std::string_view operator[](TokenId id) const { return {arena_.data() + entry(id).offset, entry(id).length}; }
    /// Appends what a token says where `state` is; has(id) must hold.
    void append(TokenId id, TextState& state, std::string& text) const {
        std::string_view rest = (*this)[id];
        if (std::exchange(state.first_, false) && !first_.empty()) rest = first_[static_cast<std::size_t>(id)];
        while (state.stripped_ < rules_.strip_count && !rest.empty()) {
            const bool drops = rest.starts_with(rules_.strip);
            state.stripped_ = drops ? state.stripped_ + 1 : SIZE_MAX;
            if (drops) rest.remove_prefix(rules_.strip.size());
        }
        text += rest;
    }
    /// The length in bytes of the longest.
    std::size_t longest() const { return longest_; }

  private:
    struct Entry {
        std::size_t offset = 0;  // in the arena, bytes
        std::uint32_t length = 0;
        bool token = false, special = false;
    };

    const Entry& entry(TokenId id) const { return entries_[static_cast<std::size_t>(id)]; }

    /// The byte that a token stands for by its name.
    std::optional<char> byte_of(std::string_view text) const {
        if (!rules_.byte_fallback || text.size() != 6 || !text.starts_with("<0x") || text[5] != '>')
            return std::nullopt;
        unsigned byte = 0;
        const auto [end, error] = std::from_chars(text.data() + 3, text.data() + 5, byte, 16);
        if (error != std::errc() || end != text.data() + 5) return std::nullopt;
        return static_cast<char>(byte);
    }

    void set(Entry& entry, std::string_view text) {
        const auto byte = byte_of(text);
        if (byte) text = {&*byte, 1};
        entry = {arena_.size(), static_cast<std::uint32_t>(text.size()), true, entry.special};
        arena_ += text;
        longest_ = std::max(longest_, text.size());
    }

    DecodeRules rules_;
    std::string arena_;
    std::vector<Entry> entries_;      // [size()]
    std::vector<std::string> first_;  // what they say at a text's beginning, where that differs: [size()]
    std::size_t longest_ = 0;
};

}  // namespace eigenlm::inline EIGENLM_ABI
