#pragma once
// The tokenizer of a model: text to token ids and back.
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/error.hpp"
#include "../base/parallel.hpp"
#include "../base/types.hpp"
#include "../file/file.hpp"
#include "../file/gguf_splits.hpp"
#include "added_tokens.hpp"
#include "bpe.hpp"
#include "normalizer.hpp"
#include "pre_tokenizer.hpp"
#include "read_gguf_tokenizer.hpp"
#include "token_text.hpp"
#include "tokenizer_json.hpp"
#include "tokenizer_parts.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// How a text becomes ids.
struct EncodeOptions {
    /// Put the tokens of the file's post-processor around the text (Llama 3: BOS before it). A text that begins with
    /// those before it does not get them again.
    bool add_special_tokens = true;
};

/// How ids become a text.
struct DecodeOptions {
    bool skip_special_tokens = true;  ///< leave special tokens out of the text
    /// The text goes on from another one. Else it begins, and tokenizers that put a space in front of a text when they
    /// encode it (Llama 2) drop one there.
    bool continues = false;
};

/// Working memory of Tokenizer::encode, for who encodes many texts: one object a thread and tokenizer. Words seen
/// before are found in it, and when it has grown nothing is allocated any more.
class EncodeScratch {
    friend class Tokenizer;
    BpeScratch bpe_;
    Normalizer::Buffers normalized_;
    PreTokenizer::Buffers pieces_;
};

/// Gives the ids of Hugging Face's `tokenizers` for the same tokenizer.json. Immutable, so any number of threads may
/// use one object. Pipeline: added tokens are cut out of the text, the rest is normalized and cut into pieces, and
/// every piece is encoded by the model.
///
/// Text is bytes. What is not UTF-8 is encoded byte by byte, and decoding gives back the bytes: without a normalizer
/// (and for text that it does not change) decode(encode(x)) == x for all x.
class Tokenizer {
  public:
    /// Reads `path`, a tokenizer.json or the folder that holds one, or a GGUF file, which needs no tensors. Throws
    /// IoError when it cannot be read, FormatError or UnsupportedError (see read_tokenizer_json and
    /// read_gguf_tokenizer) naming file and field. tokenizer_config.json is not read: with a
    /// tokenizer.json beside it, transformers 5 ignores its add_bos_token and add_eos_token, and the post-processor
    /// decides.
    static Tokenizer load(const std::filesystem::path& path);

    /// Like load, from the text of a tokenizer.json; `where` names it in messages.
    static Tokenizer from_json(std::string_view json, const std::string& where);

    /// Of parts that belong together.
    explicit Tokenizer(TokenizerParts&& parts);

    /// The ids of `text`. The contents of added tokens, special ones too, are recognised wherever they stand in it.
    /// Throws ArgumentError above 1 GiB, UnsupportedError where a file's normalizer makes it 16 times as long.
    std::vector<TokenId> encode(std::string_view text, EncodeOptions options = {}) const {
        EncodeScratch scratch;
        std::vector<TokenId> ids;
        encode(text, ids, scratch, options);
        return ids;
    }
    /// The same, in place of what is in `ids`.
    void encode(std::string_view text, std::vector<TokenId>& ids, EncodeScratch& scratch,
                EncodeOptions options = {}) const;
    /// The ids of each of `texts`, computed on `threads` threads; 0: as many as the process may keep busy.
    std::vector<std::vector<TokenId>> encode_batch(std::span<const std::string> texts, EncodeOptions options = {},
                                                   std::size_t threads = 0) const;

    /// What the tokens say, one after the other. Hugging Face puts U+FFFD for what is not UTF-8 in it (half a character
    /// at the end, say); here it stays as it is. An added token gives its content, in normalized form if that is
    /// searched for. (Hugging Face takes a content like "né" for byte-level text and gives the broken bytes of that.)
    /// Throws ArgumentError for an id that is no token.
    std::string decode(std::span<const TokenId> ids, DecodeOptions options = {}) const {
        std::string text;
        TextState state(options.continues);
        for (const TokenId id : ids) append(id, options, state, text);
        return text;
    }
    /// Appends what a token says where `state` is in a text, which may be nothing. Throws ArgumentError, with both
    /// unchanged, for an id that is no token.
    void append(TokenId id, DecodeOptions options, TextState& state, std::string& text) const {
        check(id);
        if (!options.skip_special_tokens || !texts_.is_special(id)) texts_.append(id, state, text);
    }

    /// What one token says within a text, valid as long as the tokenizer. Throws ArgumentError for an id that is no
    /// token.
    std::string_view token_bytes(TokenId id) const { return check(id), texts_[id]; }
    /// Whether `id` is a token. A model's logits may have ids that are none.
    bool contains(TokenId id) const { return texts_.has(id); }
    /// Whether `id` is an added token marked as special. False for ids that are no token.
    bool is_special(TokenId id) const { return texts_.has(id) && texts_.is_special(id); }
    /// The token that is written like this: an added one, by its content in the file, or else one of the model, by its
    /// bytes (in a byte-level vocabulary) or its name ("\u2581the" and "<0x0A>" in one of characters).
    std::optional<TokenId> id_of(std::string_view written) const {
        if (const AddedToken* token = added_.find(written)) return token->id;
        const TokenId id = bpe_.vocab().find(written);
        return id == no_token ? std::nullopt : std::optional(id);
    }
    /// One more than the largest id. (A model's embedding may have more rows.)
    std::size_t size() const { return texts_.size(); }
    /// The length in bytes of the longest token.
    std::size_t longest_token() const { return texts_.longest(); }

  private:
    void check(TokenId id) const {
        if (!texts_.has(id))
            throw ArgumentError("token id",
                                std::to_string(id) + " is not in the vocabulary (size " + std::to_string(size()) + ")");
    }
    void encode_plain(std::string_view text, bool at_start, EncodeScratch& scratch, std::vector<TokenId>& ids) const;

    Bpe bpe_;
    AddedTokens added_;
    AddedTokenCutter in_text_;        // added tokens that are searched for in the text as it came
    AddedTokenCutter in_normalized_;  // ... and after normalization
    Normalizer normalizer_;
    PreTokenizer pre_tokenizer_;
    SpecialFrame frame_;
    TokenTexts texts_;
};

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE Tokenizer::Tokenizer(TokenizerParts&& parts)
    : bpe_(std::move(parts.bpe)),
      added_(std::move(parts.added)),
      in_text_(added_, false),
      in_normalized_(added_, true),
      normalizer_(std::move(parts.normalizer)),
      pre_tokenizer_(std::move(parts.pre_tokenizer)),
      frame_(std::move(parts.frame)),
      texts_(bpe_, added_, std::move(parts.decoding)) {}

EIGENLM_LARGE Tokenizer Tokenizer::from_json(std::string_view json, const std::string& where) {
    return Tokenizer(read_tokenizer_json(json, where));
}

EIGENLM_LARGE Tokenizer Tokenizer::load(const std::filesystem::path& path) {
    if (is_gguf(path)) return Tokenizer(read_gguf_tokenizer(GgufFiles(path).metadata()));
    std::error_code ignored;
    const auto file = std::filesystem::is_directory(path, ignored) ? path / "tokenizer.json" : path;
    return from_json(read_text(file), file.string());
}

EIGENLM_LARGE void Tokenizer::encode(std::string_view text, std::vector<TokenId>& ids, EncodeScratch& scratch,
                                     EncodeOptions options) const {
    constexpr std::size_t limit = std::size_t{1} << 30;  // normalizers triple it, and tokens take four times that
    if (text.size() > limit)
        throw ArgumentError("Tokenizer::encode",
                            "expected at most 1 GiB of text, found " + std::to_string(text.size()) + " bytes");
    ids.clear();
    scratch.bpe_.expect(text.size());
    in_text_(
        text, [&](std::string_view plain, bool at_start) { encode_plain(plain, at_start, scratch, ids); },
        [&](TokenId id) { ids.push_back(id); });
    if (!options.add_special_tokens) return;
    const auto& before = frame_.before;
    const bool there = ids.size() >= before.size() && std::equal(before.begin(), before.end(), ids.begin());
    if (!there) ids.insert(ids.begin(), before.begin(), before.end());
    ids.insert(ids.end(), frame_.after.begin(), frame_.after.end());
}

EIGENLM_LARGE void Tokenizer::encode_plain(std::string_view text, bool at_start, EncodeScratch& scratch,
                                           std::vector<TokenId>& ids) const {
    const auto encode_piece = [&](std::string_view piece) { bpe_.encode(piece, scratch.bpe_, ids); };
    in_normalized_(
        normalizer_(text, scratch.normalized_),
        [&](std::string_view plain, bool first) {
            pre_tokenizer_(plain, at_start && first, scratch.pieces_, encode_piece);
        },
        [&](TokenId id) { ids.push_back(id); });
}

EIGENLM_LARGE std::vector<std::vector<TokenId>> Tokenizer::encode_batch(std::span<const std::string> texts,
                                                                        EncodeOptions options,
                                                                        std::size_t threads) const {
    std::vector<std::vector<TokenId>> all(texts.size());
    ThreadPool pool(threads);
    std::vector<EncodeScratch> scratch(pool.size());
    pool.for_each(texts.size(), 1, [&](std::size_t begin, std::size_t end, std::size_t thread) {
        for (std::size_t i = begin; i < end; ++i) encode(texts[i], all[i], scratch[thread], options);
    });
    return all;
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI
