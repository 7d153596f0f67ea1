#pragma once
// The tokenizer of a model: text to token ids and back.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/error.hpp"
#include "../base/types.hpp"
#include "../file/file.hpp"
#include "added_tokens.hpp"
#include "bpe.hpp"
#include "nfc.hpp"
#include "pre_tokenizer.hpp"
#include "tokenizer_json.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// How a text becomes ids.
struct EncodeOptions {
    /// Put the tokens of the file's post-processor around the text (Llama 3: BOS before it). A text that already starts
    /// with them gets them twice.
    bool add_special_tokens = true;
};

/// How ids become a text.
struct DecodeOptions {
    /// Leave special tokens out of the text.
    bool skip_special_tokens = true;
};

/// Gives the ids of Hugging Face's `tokenizers` for the same tokenizer.json. Immutable, so any number of threads may
/// use one object. Pipeline: added tokens are cut out of the text, the rest is normalized and split by the pattern, and
/// every piece is encoded by the model.
///
/// Text is bytes. What is not UTF-8 is encoded byte by byte, and decoding gives back the bytes: without a normalizer
/// (and for text that it does not change) decode(encode(x)) == x for all x.
class Tokenizer {
  public:
    /// Reads `path`, a tokenizer.json or the folder that holds one. Throws IoError when it cannot be read, FormatError
    /// or UnsupportedError (see read_tokenizer_json) naming file and field. tokenizer_config.json is not read: with a
    /// tokenizer.json beside it, transformers 5 ignores its add_bos_token and add_eos_token, and the post-processor
    /// decides.
    static Tokenizer load(const std::filesystem::path& path);

    /// Like load, from the text of a tokenizer.json; `where` names it in messages.
    static Tokenizer from_json(std::string_view json, const std::string& where);

    /// The ids of `text`. The contents of added tokens, special ones too, are recognised wherever they stand in it.
    /// Throws ArgumentError above 1 GiB.
    std::vector<TokenId> encode(std::string_view text, EncodeOptions options = {}) const;

    /// The bytes of the tokens, one after the other. Hugging Face puts U+FFFD for what is not UTF-8 in them (half a
    /// character at the end, say); here it stays as it is. An added token gives its content, in normalized form if that
    /// is searched for. (Hugging Face takes a content like "né" for byte-level text and gives the broken bytes of
    /// that.) Throws ArgumentError for an id that is no token.
    std::string decode(std::span<const TokenId> ids, DecodeOptions options = {}) const {
        std::string text;
        for (const TokenId id : ids)
            if (!options.skip_special_tokens || !is_special(id)) text += token_bytes(id);
        return text;
    }

    /// The bytes of one token, valid as long as the tokenizer. Throws ArgumentError for an id that is no token.
    std::string_view token_bytes(TokenId id) const {
        if (bpe_.vocab().has(id)) return bpe_.vocab().bytes(id);
        if (const AddedToken* token = added_.find(id)) return token->text;
        throw ArgumentError("token id",
                            std::to_string(id) + " is not in the vocabulary (size " + std::to_string(size()) + ")");
    }
    /// Whether `id` is a token. A model's logits may have ids that are none.
    bool contains(TokenId id) const { return bpe_.vocab().has(id) || added_.find(id) != nullptr; }
    /// Whether `id` is an added token marked as special. False for ids that are no token.
    bool is_special(TokenId id) const {
        const AddedToken* token = added_.find(id);
        return token != nullptr && token->special;
    }
    /// The token that is exactly these bytes: an added one, by its content in the file, or else one of the model.
    std::optional<TokenId> id_of(std::string_view bytes) const {
        if (const AddedToken* token = added_.find(bytes)) return token->id;
        const TokenId id = bpe_.vocab().find(bytes);
        return id == no_token ? std::nullopt : std::optional(id);
    }
    /// One more than the largest id. (A model's embedding may have more rows.)
    std::size_t size() const { return std::max(bpe_.vocab().size(), added_.size()); }
    /// The length in bytes of the longest token.
    std::size_t longest_token() const { return longest_token_; }

  private:
    explicit Tokenizer(TokenizerParts&& parts);

    void encode_plain(std::string_view text, BpeScratch& scratch, std::vector<TokenId>& ids) const;
    void encode_normalized(std::string_view text, BpeScratch& scratch, std::vector<TokenId>& ids) const;

    Bpe bpe_;
    AddedTokens added_;
    StringMatcher in_text_;        // added tokens that are searched for in the text as it came
    StringMatcher in_normalized_;  // ... and after normalization
    bool nfc_ = false;
    SplitPattern split_ = SplitPattern::qwen2;
    SpecialFrame frame_;
    std::size_t longest_token_ = 0;
};

namespace detail {

/// Calls plain(text) for what stands between the matches of `matcher` and found(id) for each match, in order.
template <class Plain, class Found>
void split_at_matches(const StringMatcher& matcher, std::string_view text, Plain&& plain, Found&& found) {
    for (std::size_t pos = 0; pos < text.size();) {
        const auto match = matcher.find(text, pos);
        if (match.begin > pos) plain(text.substr(pos, match.begin - pos));
        if (match.id != no_token) found(match.id);
        pos = match.end;
    }
}

}  // namespace detail

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE Tokenizer::Tokenizer(TokenizerParts&& parts)
    : bpe_(std::move(parts.bpe)),
      added_(std::move(parts.added)),
      nfc_(parts.nfc),
      split_(parts.split),
      frame_(std::move(parts.frame)),
      longest_token_(bpe_.vocab().longest()) {
    std::vector<std::pair<std::string, TokenId>> in_text, in_normalized;
    for (const AddedToken& token : added_.all()) {
        longest_token_ = std::max(longest_token_, token.text.size());
        (token.normalized ? in_normalized : in_text).emplace_back(token.text, token.id);
    }
    in_text_ = StringMatcher(std::move(in_text));
    in_normalized_ = StringMatcher(std::move(in_normalized));
}

EIGENLM_LARGE Tokenizer Tokenizer::from_json(std::string_view json, const std::string& where) {
    return Tokenizer(read_tokenizer_json(json, where));
}

EIGENLM_LARGE Tokenizer Tokenizer::load(const std::filesystem::path& path) {
    std::error_code ignored;
    const auto file = std::filesystem::is_directory(path, ignored) ? path / "tokenizer.json" : path;
    return from_json(read_text(file), file.string());
}

EIGENLM_LARGE std::vector<TokenId> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
    constexpr std::size_t limit = std::size_t{1} << 30;  // NFC at most triples it, and a piece has 32-bit positions
    if (text.size() > limit)
        throw ArgumentError("Tokenizer::encode",
                            "expected at most 1 GiB of text, found " + std::to_string(text.size()) + " bytes");
    std::vector<TokenId> ids;
    BpeScratch scratch;
    if (options.add_special_tokens) ids = frame_.before;
    detail::split_at_matches(
        in_text_, text, [&](std::string_view plain) { encode_plain(plain, scratch, ids); },
        [&](TokenId id) { ids.push_back(id); });
    if (options.add_special_tokens) ids.insert(ids.end(), frame_.after.begin(), frame_.after.end());
    return ids;
}

EIGENLM_LARGE void Tokenizer::encode_plain(std::string_view text, BpeScratch& scratch,
                                           std::vector<TokenId>& ids) const {
    const std::string normalized = nfc_ ? unicode::nfc(text) : std::string();
    detail::split_at_matches(
        in_normalized_, nfc_ ? std::string_view(normalized) : text,
        [&](std::string_view plain) { encode_normalized(plain, scratch, ids); },
        [&](TokenId id) { ids.push_back(id); });
}

EIGENLM_LARGE void Tokenizer::encode_normalized(std::string_view text, BpeScratch& scratch,
                                                std::vector<TokenId>& ids) const {
    for (std::size_t pos = 0; pos < text.size();) {
        const std::size_t end = piece_end(split_, text, pos);
        bpe_.encode(text.substr(pos, end - pos), scratch, ids);
        pos = end;
    }
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI
