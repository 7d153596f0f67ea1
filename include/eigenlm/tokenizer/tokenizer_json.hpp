#pragma once
// From a tokenizer.json to the parts of a tokenizer.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/error.hpp"
#include "../base/types.hpp"
#include "../file/json.hpp"
#include "added_tokens.hpp"
#include "bpe.hpp"
#include "byte_level.hpp"
#include "json_stream.hpp"
#include "normalizer.hpp"
#include "pre_tokenizer.hpp"
#include "read_added_tokens.hpp"
#include "read_post_processor.hpp"
#include "read_steps.hpp"
#include "settings.hpp"
#include "token_text.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// What a tokenizer is made of.
struct TokenizerParts {
    Bpe bpe;                     ///< vocabulary and merges
    AddedTokens added;           ///< found in the text before anything else
    Normalizer normalizer;       ///< rewrites text
    PreTokenizer pre_tokenizer;  ///< cuts it
    DecodeRules decoding;        ///< from tokens back to text
    SpecialFrame frame;          ///< the post-processor's
};

namespace detail {

inline Bpe read_bpe(const JsonObject& model, const TokenizerJson& json, ModelVocab&& from) {
    std::vector<Bpe::Pair> pairs;
    pairs.reserve(json.merge_lengths.size());
    const std::string_view text = json.merge_text;
    std::size_t offset = 0;
    std::string bytes;
    const auto part = [&](std::uint32_t length) {
        const std::string_view written = text.substr(offset, length);
        const auto fail = [&](const char* what) {
            throw FormatError(model.path("merges") + "[" + std::to_string(pairs.size()) + "]",
                              json_excerpt(written) + what);
        };
        offset += length;
        bytes.clear();
        if (from.symbols == Symbols::characters)
            bytes = written;
        else if (!byte_level::append_bytes(written, bytes))
            fail(" is not a token in the byte-level alphabet");
        const TokenId id = from.vocab.find(bytes);
        if (id == no_token) fail(" is not in the vocabulary");
        return id;
    };
    for (const auto& [left, right] : json.merge_lengths) {
        const TokenId left_id = part(left);
        pairs.emplace_back(left_id, part(right));
    }
    const BpeOptions options{from.symbols, model.boolean_or("ignore_merges", false)};
    return Bpe(std::move(from.vocab), pairs, options, model.where());
}

/// Bytes always have tokens, so that the settings for what has none do nothing: unk_token, fuse_unk.
inline void check_model(const JsonObject& model, const TokenizerJson& json, Symbols symbols) {
    must_be_type(model, "BPE");
    only_fields(model, {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                        "byte_fallback", "ignore_merges", "vocab", "merges"});
    for (const char* field : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"})
        must_be_unset(model, field);
    must_be(model, "byte_fallback", symbols == Symbols::characters, false);
    if (!json.has_vocab) throw FormatError(model.path("vocab"), "expected an object");
    if (!json.has_merges) throw FormatError(model.path("merges"), "expected an array");
}

}  // namespace detail

/// Reads the text of a tokenizer.json that describes a BPE: byte-level as GPT-2, Qwen and Llama 3 have it, or of
/// characters with byte fallback as Llama 2, TinyLlama and Mistral have it from SentencePiece. Known are the
/// normalizers NFC, Prepend and Replace, the pre-tokenizers Split (with the patterns of split_pattern.hpp), Digits,
/// Metaspace and ByteLevel, the decoders ByteLevel, or Replace, ByteFallback, Fuse, Strip and Metaspace, and as
/// post-processor a template around one text. `where` is the file's name for messages. Throws FormatError for a file
/// that contradicts itself, and UnsupportedError, naming file and field, for any setting but these.
inline TokenizerParts read_tokenizer_json(std::string_view text, const std::string& where) {
    TokenizerJson json = parse_tokenizer_json(text, where);
    const JsonObject file(json.tree, where);
    detail::only_fields(file, {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                               "post_processor", "decoder", "model"});
    if (const auto version = file.string_or("version", "1.0"); version != "1.0")
        throw UnsupportedError(file.path("version"), "expected \"1.0\", found " + detail::json_excerpt(version));
    for (const char* field : {"truncation", "padding"}) detail::must_be_unset(file, field);
    const JsonObject model = detail::required_object(file, "model");
    Normalizer normalizer = detail::read_normalizer(file);
    auto [pre_tokenizer, symbols] = detail::read_pre_tokenizer(file.object("pre_tokenizer"));
    detail::check_model(model, json, symbols);
    DecodeRules decoding = detail::read_decoder(detail::required_object(file, "decoder"), symbols);
    auto from = detail::model_vocab(std::move(json.vocab), symbols, model.path("vocab"));
    AddedTokens added = detail::AddedTokensReader(from, normalizer, where).read(file);
    SpecialFrame frame = detail::read_post_processor(file.object("post_processor"), {from.vocab, added});
    return {detail::read_bpe(model, json, std::move(from)),
            std::move(added),
            std::move(normalizer),
            std::move(pre_tokenizer),
            std::move(decoding),
            std::move(frame)};
}

}  // namespace eigenlm::inline EIGENLM_ABI
