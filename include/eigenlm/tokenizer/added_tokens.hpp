#pragma once
// Added tokens: contents that are found in the text as they stand and cut out of it before anything else happens.
#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/types.hpp"
#include "unicode.hpp"
#include "vocab.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Longer contents are not taken: at each place of a text, all of one may have to be looked at.
inline constexpr std::size_t max_added_content = 256;  // bytes; real ones have 80 at most

/// One token of tokenizer.json's added_tokens.
struct AddedToken {
    std::string content;       ///< UTF-8, not empty
    std::string text;          ///< what is searched for and decoded to: the content, or its normalized form
    TokenId id = no_token;     ///< its number
    bool special = false;      ///< decode leaves it out on request
    bool normalized = false;   ///< searched for in the normalized text
    bool single_word = false;  ///< not found with a letter, digit or the like beside it
    /// Takes the white space before it along, or the white space behind it.
    /// @{
    bool lstrip = false, rstrip = false;
    /// @}
};

/// Finds a set of strings in a text: at each place the longest one, and no two overlap.
class StringMatcher {
  public:
    /// Where a string was found.
    struct Match {
        /// The bytes [begin, end) of the text.
        /// @{
        std::size_t begin = 0, end = 0;  // bytes of the text
        /// @}
        TokenId id = no_token;  ///< no_token: there is no match
    };

    StringMatcher() = default;
    /// Strings must not be empty. Of equal strings the first counts.
    explicit StringMatcher(std::vector<std::pair<std::string, TokenId>> strings) : strings_(std::move(strings)) {
        const auto by_content = [](const auto& a, const auto& b) { return a.first < b.first; };
        std::stable_sort(strings_.begin(), strings_.end(), by_content);
        for (const auto& entry : strings_) starts_[static_cast<unsigned char>(entry.first[0])] = true;
    }

    /// Whether there is nothing to find.
    bool empty() const { return strings_.empty(); }

    /// The first match in text[pos, end). A place is looked at closer only when some string starts with the byte there,
    /// and then as far as one of them goes on.
    Match find(std::string_view text, std::size_t pos) const {
        for (; !strings_.empty() && pos < text.size(); ++pos) {
            if (!starts_[static_cast<unsigned char>(text[pos])]) continue;
            const Match match = longest_at(text, pos);
            if (match.id != no_token) return match;
        }
        return {text.size(), text.size(), no_token};
    }

  private:
    /// Narrows the sorted strings, byte by byte, to those that the text starts with.
    Match longest_at(std::string_view text, std::size_t pos) const {
        Match best;
        auto low = strings_.begin(), high = strings_.end();
        for (std::size_t depth = 0; pos + depth < text.size(); ++depth) {
            const auto byte = static_cast<unsigned char>(text[pos + depth]);
            // Strings that end before this depth sort first, as if their next byte were -1.
            const auto byte_at = [depth](const auto& entry) {
                return entry.first.size() <= depth ? -1 : int{static_cast<unsigned char>(entry.first[depth])};
            };
            low = std::lower_bound(low, high, int{byte}, [&](const auto& entry, int b) { return byte_at(entry) < b; });
            high = std::upper_bound(low, high, int{byte}, [&](int b, const auto& entry) { return b < byte_at(entry); });
            if (low == high) break;
            if (low->first.size() == depth + 1) best = {pos, pos + depth + 1, low->second};
        }
        return best;
    }

    std::vector<std::pair<std::string, TokenId>> strings_;  // sorted by content
    std::array<bool, 256> starts_{};                        // bytes that some string starts with
};

/// The added tokens of a tokenizer, by id.
class AddedTokens {
  public:
    AddedTokens() = default;
    /// Ids must differ.
    explicit AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
        std::sort(tokens_.begin(), tokens_.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    }

    /// All of them, by ascending id.
    const std::vector<AddedToken>& all() const { return tokens_; }
    /// The token with this id, or nullptr.
    const AddedToken* find(TokenId id) const {
        const auto it = std::lower_bound(tokens_.begin(), tokens_.end(), id,
                                         [](const AddedToken& token, TokenId wanted) { return token.id < wanted; });
        return it != tokens_.end() && it->id == id ? &*it : nullptr;
    }
    /// The token with this content, or nullptr.
    const AddedToken* find(std::string_view content) const {
        const auto it =
            std::find_if(tokens_.begin(), tokens_.end(), [&](const auto& t) { return t.content == content; });
        return it == tokens_.end() ? nullptr : &*it;
    }
    /// One more than the largest id; 0 when there are no tokens.
    std::size_t size() const { return tokens_.empty() ? 0 : static_cast<std::size_t>(tokens_.back().id) + 1; }

  private:
    std::vector<AddedToken> tokens_;  // sorted by id
};

/// Cuts one kind of added tokens out of texts.
class AddedTokenCutter {
  public:
    AddedTokenCutter() = default;
    /// For those of `tokens` that are searched for in normalized text, or in text as it comes.
    AddedTokenCutter(const AddedTokens& tokens, bool normalized) {
        std::vector<std::pair<std::string, TokenId>> strings;
        for (const AddedToken& token : tokens.all()) {
            if (token.normalized != normalized || token.text.empty()) continue;
            strings.emplace_back(token.text, token.id);
            if (token.single_word || token.lstrip || token.rstrip) particular_.push_back(token);
        }
        matcher_ = StringMatcher(std::move(strings));
    }

    /// Calls plain(text, whether it is the beginning) for what stands between the tokens and found(id) for each token,
    /// in order.
    template <class Plain, class Found>
    void operator()(std::string_view text, const Plain& plain, const Found& found) const {
        std::size_t done = 0, spaces_end = 0;
        for (std::size_t pos = 0; pos < text.size();) {
            auto match = matcher_.find(text, pos);
            if (match.id == no_token) break;
            pos = match.end;
            if (!particular_.empty() && !fits(text, match, done, spaces_end)) continue;
            if (match.begin > done) plain(text.substr(done, match.begin - done), done == 0);
            if (match.begin < match.end) found(match.id);
            done = match.end;  // which may lie in white space that one before took along: so does Hugging Face's
        }
        if (done < text.size()) plain(text.substr(done), done == 0);
    }

  private:
    /// Applies what is particular about the token found: false where it stands within a word. `spaces_end`: the end of
    /// the white space that was passed last, so that no white space is passed twice.
    bool fits(std::string_view text, StringMatcher::Match& match, std::size_t done, std::size_t& spaces_end) const {
        const auto it = std::lower_bound(particular_.begin(), particular_.end(), match.id,
                                         [](const AddedToken& token, TokenId id) { return token.id < id; });
        if (it == particular_.end() || it->id != match.id) return true;
        if (it->single_word) {
            if (match.begin > 0 && unicode::is_word(unicode::decode_utf8_before(text, match.begin).code)) return false;
            if (match.end < text.size() && unicode::is_word(unicode::decode_utf8(text, match.end).code)) return false;
        }
        if (it->rstrip) {
            if (match.end >= spaces_end) spaces_end = space_end(text, match.end);
            match.end = spaces_end;
        }
        if (it->lstrip) match.begin = std::max(match.begin, done);
        while (it->lstrip && match.begin > done) {
            const auto before = unicode::decode_utf8_before(text, match.begin);
            if (unicode::char_class(before.code) != unicode::CharClass::space) break;
            match.begin -= before.length;
        }
        return true;
    }
    static std::size_t space_end(std::string_view text, std::size_t pos) {
        while (pos < text.size()) {
            const auto c = unicode::decode_utf8(text, pos);
            if (unicode::char_class(c.code) != unicode::CharClass::space) break;
            pos += c.length;
        }
        return pos;
    }

    StringMatcher matcher_;
    std::vector<AddedToken> particular_;  // those for which a match is not all, by ascending id
};

}  // namespace eigenlm::inline EIGENLM_ABI
