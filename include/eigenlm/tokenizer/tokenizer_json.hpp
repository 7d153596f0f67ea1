#pragma once
// From a tokenizer.json to the parts of a tokenizer: every setting is either one whose effect is known here, or refused
// by name. A file that asks for more than this library does must never give other ids than Hugging Face would.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
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
#include "nfc.hpp"
#include "pre_tokenizer.hpp"
#include "vocab.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Tokens that stand around every text.
struct SpecialFrame {
    /// Ids in front of the text and behind it.
    /// @{
    std::vector<TokenId> before, after;
    /// @}
};

/// What a tokenizer is made of.
struct TokenizerParts {
    Bpe bpe;                                   ///< vocabulary and merges
    AddedTokens added;                         ///< found in the text before anything else
    bool nfc = false;                          ///< the normalizer: NFC or nothing
    SplitPattern split = SplitPattern::qwen2;  ///< how text is cut into pieces
    SpecialFrame frame;                        ///< the post-processor's
};

namespace detail {

/// Refuses fields that are not in `known`: what they would do is not known either.
inline void only_fields(const JsonObject& object, std::initializer_list<std::string_view> known) {
    for (const auto& [name, value] : object.raw().items())
        if (std::find(known.begin(), known.end(), name) == known.end())
            throw UnsupportedError(object.where(), "unknown field " + json_excerpt(name));
}

/// Refuses a field that is set to anything but null or the empty string.
inline void must_be_unset(const JsonObject& object, const char* field) {
    if (object.has(field) && object.raw()[field] != "")
        throw UnsupportedError(object.path(field), "expected null, found a value");
}

inline void must_be(const JsonObject& object, const char* field, bool expected, bool fallback) {
    if (object.boolean_or(field, fallback) != expected)
        throw UnsupportedError(object.path(field),
                               expected ? "expected true, found false" : "expected false, found true");
}

[[noreturn]] inline void unsupported_type(const JsonObject& object, const std::string& expected) {
    throw UnsupportedError(object.path("type"),
                           "expected " + expected + ", found " + json_excerpt(object.string("type")));
}

inline void must_be_type(const JsonObject& object, std::string_view type) {
    if (object.string("type") != type) unsupported_type(object, "\"" + std::string(type) + "\"");
}

/// The objects of the array `field`, each with its own place for messages.
inline std::vector<JsonObject> objects_of(const JsonObject& object, const char* field) {
    std::vector<JsonObject> out;
    for (const auto& value : object.array(field))
        out.emplace_back(value, object.path(field) + "[" + std::to_string(out.size()) + "]");
    return out;
}

inline JsonObject required_object(const JsonObject& object, const char* field) {
    auto found = object.object(field);
    if (!found) throw UnsupportedError(object.path(field), "expected an object, found null or nothing");
    return *std::move(found);
}

/// Whether a normalizer is NFC (alone or in a sequence); an empty sequence is none.
inline bool read_normalizer(const JsonObject& normalizer) {
    const std::string type = normalizer.string("type");
    if (type == "NFC") {
        only_fields(normalizer, {"type"});
        return true;
    }
    if (type != "Sequence") unsupported_type(normalizer, "\"NFC\" or a \"Sequence\" of it");
    only_fields(normalizer, {"type", "normalizers"});
    bool nfc = false;
    for (const auto& step : objects_of(normalizer, "normalizers")) {
        must_be_type(step, "NFC");
        only_fields(step, {"type"});
        nfc = true;
    }
    return nfc;
}

/// The pattern of Sequence[Split(pattern), ByteLevel].
inline SplitPattern read_pre_tokenizer(const JsonObject& sequence) {
    must_be_type(sequence, "Sequence");
    only_fields(sequence, {"type", "pretokenizers"});
    const auto steps = objects_of(sequence, "pretokenizers");
    if (steps.size() != 2)
        throw UnsupportedError(sequence.path("pretokenizers"),
                               "expected [Split, ByteLevel], found " + std::to_string(steps.size()) + " steps");
    const JsonObject &split = steps[0], &byte_level = steps[1];
    must_be_type(split, "Split");
    only_fields(split, {"type", "pattern", "behavior", "invert"});
    if (const auto behavior = split.string("behavior"); behavior != "Isolated")
        throw UnsupportedError(split.path("behavior"), "expected \"Isolated\", found " + json_excerpt(behavior));
    must_be(split, "invert", false, false);
    must_be_type(byte_level, "ByteLevel");
    only_fields(byte_level, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
    must_be(byte_level, "add_prefix_space", false, true);
    must_be(byte_level, "use_regex", false, true);
    const JsonObject pattern = required_object(split, "pattern");
    only_fields(pattern, {"Regex"});
    const std::string regex = pattern.string("Regex");
    const auto known = split_pattern_of(regex);
    if (!known) throw UnsupportedError(pattern.path("Regex"), "unknown split pattern " + json_excerpt(regex));
    return *known;
}

/// Reads added_tokens and checks their ids. Hugging Face does not take the ids of this list from the file: it looks the
/// content up in the model's vocabulary, or else takes the next free id. The file must say the same.
class AddedTokensReader {
  public:
    AddedTokensReader(const Vocab& vocab, const TokenizerJson& json, bool nfc, const std::string& where)
        : vocab_(vocab), nfc_(nfc), num_model_tokens_(vocab.count() + json.not_bytes.size()) {
        for (const auto& [written, id] : json.not_bytes)
            if (!not_bytes_.emplace(written, id).second)
                throw FormatError(where + ": model.vocab", json_excerpt(written) + " stands there twice");
    }

    AddedTokens read(const JsonObject& file) {
        std::vector<AddedToken> tokens;
        std::set<std::string> contents;
        std::set<TokenId> ids;
        std::set<std::string> normalized_texts;
        if (file.has("added_tokens")) {
            for (const auto& object : objects_of(file, "added_tokens")) {
                tokens.push_back(read_one(object));
                if (!contents.insert(tokens.back().content).second || !ids.insert(tokens.back().id).second)
                    throw FormatError(object.where(), "the same token or id as one before");
                // Hugging Face would take one of the two by chance.
                if (tokens.back().normalized && !normalized_texts.insert(tokens.back().text).second)
                    throw UnsupportedError(object.where(), "the same as one before when normalized");
            }
        }
        for (const auto& [written, id] : not_bytes_)
            if (!contents.contains(written))
                throw FormatError(file.where() + ": model.vocab",
                                  json_excerpt(written) + " is not in the byte-level alphabet, and no added token");
        return AddedTokens(std::move(tokens));
    }

  private:
    AddedToken read_one(const JsonObject& object) {
        only_fields(object, {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
        for (const char* field : {"single_word", "lstrip", "rstrip", "normalized", "special"})
            if (!object.has(field)) throw FormatError(object.path(field), "required field is missing");
        for (const char* field : {"single_word", "lstrip", "rstrip"}) must_be(object, field, false, false);
        AddedToken token;
        token.content = object.string("content");
        if (token.content.empty()) throw FormatError(object.path("content"), "empty");
        token.id = static_cast<TokenId>(object.integer("id", 0, max_token_id));
        token.special = object.boolean_or("special", false);
        token.normalized = object.boolean_or("normalized", false);
        token.text = token.normalized && nfc_ ? unicode::nfc(token.content) : token.content;
        const TokenId expected = expected_id(token.content, object);
        if (token.id != expected)
            throw FormatError(object.path("id"),
                              "expected " + std::to_string(expected) + ", found " + std::to_string(token.id));
        max_id_ = std::max(max_id_, token.id);
        ++num_added_;
        return token;
    }

    TokenId expected_id(const std::string& content, const JsonObject& object) const {
        if (const auto it = not_bytes_.find(content); it != not_bytes_.end()) return checked_free(it->second, object);
        std::string bytes;
        if (byte_level::append_bytes(content, bytes)) {
            const TokenId id = vocab_.find(bytes);
            // One id with two meanings: as an added token these characters, in the model the bytes they stand for.
            if (id != no_token && bytes != content)
                throw UnsupportedError(object.path("content"),
                                       json_excerpt(content) + " is written like a model token of other bytes");
            if (id != no_token) return id;
        }
        const auto next = max_id_ == no_token ? std::size_t{0} : static_cast<std::size_t>(max_id_) + 1;
        return checked_free(static_cast<TokenId>(std::max(num_model_tokens_, next)), object);
    }

    TokenId checked_free(TokenId id, const JsonObject& object) const {
        if (!Vocab::is_plausible(id, num_model_tokens_ + num_added_))
            throw FormatError(object.path("id"), "expected about as many ids as tokens, found " + std::to_string(id));
        if (vocab_.has(id))
            throw FormatError(object.path("id"), std::to_string(id) + " is another token of model.vocab");
        return id;
    }

    const Vocab& vocab_;
    bool nfc_;
    std::map<std::string, TokenId> not_bytes_;  // the vocabulary's tokens outside of the byte-level alphabet
    std::size_t num_model_tokens_;
    TokenId max_id_ = no_token;  // of the added tokens so far
    std::size_t num_added_ = 0;
};

/// The ids that a template may name.
struct KnownIds {
    const Vocab& vocab;
    const AddedTokens& added;
    bool has(TokenId id) const { return vocab.has(id) || added.find(id) != nullptr; }
};

/// Tokens before a text, or after it; real files have one.
inline constexpr std::size_t max_frame = 64;

/// The ids of the special token that an entry of a template stands for.
inline void append_template_ids(const JsonObject& entry, const JsonObject& special_tokens, const KnownIds& known,
                                std::vector<TokenId>& out) {
    const std::string name = entry.string("id");
    const auto found = special_tokens.raw().find(name);
    if (found == special_tokens.raw().end())
        throw FormatError(entry.path("id"), json_excerpt(name) + " is not among special_tokens");
    const JsonObject token(*found, special_tokens.where());
    for (const auto& id : token.array("ids")) {
        const bool in_range = id.is_number_unsigned() && id.get<std::uint64_t>() <= std::uint64_t{max_token_id};
        if (!in_range || !known.has(id.get<TokenId>())) throw FormatError(token.path("ids"), "not ids of tokens");
        // Few pieces that each name many ids would ask for more memory than the file has bytes.
        if (out.size() == max_frame)
            throw UnsupportedError(entry.where(), "more than " + std::to_string(max_frame) + " tokens");
        out.push_back(id.get<TokenId>());
    }
}

/// The template for a single text; the one for pairs is not used.
inline SpecialFrame read_template(const JsonObject& processor, const KnownIds& known) {
    only_fields(processor, {"type", "single", "pair", "special_tokens"});
    const JsonObject special_tokens = required_object(processor, "special_tokens");
    SpecialFrame frame;
    bool text_seen = false;
    for (const auto& piece : objects_of(processor, "single")) {
        only_fields(piece, {"SpecialToken", "Sequence"});
        if (const auto special = piece.object("SpecialToken")) {
            append_template_ids(*special, special_tokens, known, text_seen ? frame.after : frame.before);
        } else {
            const JsonObject sequence = required_object(piece, "Sequence");
            if (sequence.string("id") != "A" || text_seen)
                throw UnsupportedError(sequence.path("id"), "expected the one text \"A\"");
            text_seen = true;
        }
    }
    if (!text_seen) throw UnsupportedError(processor.path("single"), "a template without the text \"A\"");
    return frame;
}

inline SpecialFrame read_post_processor(const JsonObject& processor, const KnownIds& known) {
    const std::string type = processor.string("type");
    if (type == "TemplateProcessing") return read_template(processor, known);
    if (type == "ByteLevel") return {};  // moves offsets only
    if (type != "Sequence")
        unsupported_type(processor, "\"TemplateProcessing\", \"ByteLevel\" or a \"Sequence\" of them");
    only_fields(processor, {"type", "processors"});
    SpecialFrame frame;
    bool template_seen = false;
    for (const auto& step : objects_of(processor, "processors")) {
        if (step.string("type") == "ByteLevel") continue;
        must_be_type(step, "TemplateProcessing");
        if (template_seen) throw UnsupportedError(step.path("type"), "a second template");
        frame = read_template(step, known);
        template_seen = true;
    }
    return frame;
}

inline Bpe read_bpe(const JsonObject& model, const TokenizerJson& json, Vocab vocab) {
    std::vector<Bpe::Pair> pairs;
    pairs.reserve(json.merge_lengths.size());
    const std::string_view bytes = json.merge_bytes;
    std::size_t offset = 0;
    for (const auto& [left, right] : json.merge_lengths) {
        const auto part = [&](std::uint32_t length) {
            const TokenId id = vocab.find(bytes.substr(offset, length));
            if (id == no_token)
                throw FormatError(model.path("merges") + "[" + std::to_string(pairs.size()) + "]",
                                  json_excerpt(bytes.substr(offset, length)) + " is not in the vocabulary");
            offset += length;
            return id;
        };
        const TokenId left_id = part(left);
        pairs.emplace_back(left_id, part(right));
    }
    return Bpe(std::move(vocab), pairs, model.boolean_or("ignore_merges", false), model.where());
}

inline void check_model(const JsonObject& model, const TokenizerJson& json) {
    must_be_type(model, "BPE");
    only_fields(model, {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                        "byte_fallback", "ignore_merges", "vocab", "merges"});
    for (const char* field : {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"})
        must_be_unset(model, field);
    for (const char* field : {"fuse_unk", "byte_fallback"}) must_be(model, field, false, false);
    if (!json.has_vocab) throw FormatError(model.path("vocab"), "expected an object");
    if (!json.has_merges) throw FormatError(model.path("merges"), "expected an array");
}

}  // namespace detail

/// Reads the text of a tokenizer.json that describes a byte-level BPE as Qwen2, Qwen2.5 and Llama 3 have it: normalizer
/// none or NFC, the split patterns of pre_tokenizer.hpp, decoder ByteLevel, post-processor none, ByteLevel or a
/// template around one text. `where` is the file's name for messages. Throws FormatError for a file that contradicts
/// itself, and UnsupportedError, naming file and field, for any setting but these.
inline TokenizerParts read_tokenizer_json(std::string_view text, const std::string& where) {
    TokenizerJson json = parse_tokenizer_json(text, where);
    const JsonObject file(json.tree, where);
    detail::only_fields(file, {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                               "post_processor", "decoder", "model"});
    if (const auto version = file.string_or("version", "1.0"); version != "1.0")
        throw UnsupportedError(file.path("version"), "expected \"1.0\", found " + detail::json_excerpt(version));
    for (const char* field : {"truncation", "padding"}) detail::must_be_unset(file, field);
    const JsonObject model = detail::required_object(file, "model");
    detail::check_model(model, json);
    detail::must_be_type(detail::required_object(file, "decoder"), "ByteLevel");
    const auto normalizer = file.object("normalizer");
    const auto post_processor = file.object("post_processor");
    const bool nfc = normalizer && detail::read_normalizer(*normalizer);
    const SplitPattern split = detail::read_pre_tokenizer(detail::required_object(file, "pre_tokenizer"));
    Vocab vocab(std::move(json.vocab), model.path("vocab"));
    AddedTokens added = detail::AddedTokensReader(vocab, json, nfc, where).read(file);
    SpecialFrame frame;
    if (post_processor) frame = detail::read_post_processor(*post_processor, {vocab, added});
    return {detail::read_bpe(model, json, std::move(vocab)), std::move(added), nfc, split, std::move(frame)};
}

}  // namespace eigenlm::inline EIGENLM_ABI
