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
#include "tokenizer_parts.hpp"

namespace eigenlm::inline EIGENLM_ABI {

namespace detail {

/// The merges' parts, left, right, left, right, ..., as the vocabulary spells them.
class MergeParts {
  public:
    /// Throws FormatError for what is not written in the vocabulary's alphabet.
    MergeParts(const JsonObject& model, const TokenizerJson& json, Symbols symbols) : where_(model.path("merges")) {
        parts_.reserve(2 * json.merge_lengths.size());
        std::string_view rest = json.merge_text;
        const auto take = [&](std::uint32_t length) {
            const std::size_t begin = bytes_.size();
            if (symbols == Symbols::characters)
                bytes_ += rest.substr(0, length);
            else if (!byte_level::append_bytes(rest.substr(0, length), bytes_))
                fail(parts_.size(), rest.substr(0, length), "is not a token in the byte-level alphabet");
            rest.remove_prefix(length);
            const std::string_view part = std::string_view(bytes_).substr(begin);
            parts_.push_back({Vocab::hash(part), begin, part.size()});
        };
        for (const auto& [left, right] : json.merge_lengths) take(left), take(right);
    }

    /// Their ids. Throws FormatError for parts that are no tokens.
    std::vector<Bpe::Pair> find(const Vocab& vocab) const {
        std::vector<Bpe::Pair> pairs(parts_.size() / 2);
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            if (i + Vocab::ahead < parts_.size()) vocab.prefetch(parts_[i + Vocab::ahead].hash);
            const std::string_view part = std::string_view(bytes_).substr(parts_[i].begin, parts_[i].size);
            const TokenId id = vocab.find(part, parts_[i].hash);
            if (id == no_token) fail(i, part, "is not in the vocabulary");
            (i % 2 == 0 ? pairs[i / 2].first : pairs[i / 2].second) = id;
        }
        return pairs;
    }

  private:
    struct Part {
        std::uint64_t hash;
        std::size_t begin, size;
    };

    [[noreturn]] void fail(std::size_t part, std::string_view text, const char* what) const {
        throw FormatError(where_ + "[" + std::to_string(part / 2) + "]", json_excerpt(text) + " " + what);
    }

    std::string where_, bytes_;
    std::vector<Part> parts_;
};

inline Bpe read_bpe(const JsonObject& model, const TokenizerJson& json, ModelVocab&& from) {
    const auto pairs = MergeParts(model, json, from.symbols).find(from.vocab);
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
    auto [pre_tokenizer, symbols] = detail::read_pre_tokenizer(file.object("pre_tokenizer"), normalizer);
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
