#pragma once
// The vocabulary and the added tokens of a tokenizer.json: what its ids are called.
#include <algorithm>
#include <cstddef>
#include <map>
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
#include "normalizer.hpp"
#include "settings.hpp"
#include "vocab.hpp"

namespace eigenlm::inline EIGENLM_ABI {

namespace detail {

/// A model's vocabulary as its BPE looks tokens up.
struct ModelVocab {
    Symbols symbols;  // what pieces consist of, and so how tokens are spelled
    Vocab vocab;
    std::vector<std::pair<std::string, TokenId>> not_bytes;  // tokens outside of the byte-level alphabet, as written
};

/// `written`, with each token of a byte-level vocabulary as the bytes that it stands for.
inline ModelVocab model_vocab(VocabEntries&& written, Symbols symbols, const std::string& where) {
    ModelVocab model{symbols, {}, {}};
    if (symbols == Symbols::characters) {
        model.vocab = Vocab(std::move(written), where);
        return model;
    }
    VocabEntries entries;
    std::string bytes;
    for (const auto& entry : written.entries) {
        const auto text = std::string_view(written.arena).substr(entry.offset, entry.length);
        bytes.clear();
        if (byte_level::append_bytes(text, bytes))
            entries.add(bytes, entry.id, where);
        else
            model.not_bytes.emplace_back(text, entry.id);
    }
    model.vocab = Vocab(std::move(entries), where);
    return model;
}

/// Reads added_tokens and checks their ids. Hugging Face does not take the ids of this list from the file: it looks the
/// content up in the model's vocabulary, or else takes the next free id. The file must say the same.
class AddedTokensReader {
  public:
    AddedTokensReader(const ModelVocab& model, const Normalizer& normalizer, const std::string& where)
        : vocab_(model.vocab),
          symbols_(model.symbols),
          normalizer_(normalizer),
          num_model_tokens_(model.vocab.count() + model.not_bytes.size()) {
        for (const auto& [written, id] : model.not_bytes)
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
        AddedToken token;
        token.content = object.string("content");
        if (token.content.empty()) throw FormatError(object.path("content"), "empty");
        if (token.content.size() > max_added_content)
            throw UnsupportedError(object.path("content"),
                                   "longer than " + std::to_string(max_added_content) + " bytes");
        token.id = static_cast<TokenId>(object.integer("id", 0, max_token_id));
        token.special = object.boolean_or("special", false);
        token.normalized = object.boolean_or("normalized", false);
        token.single_word = object.boolean_or("single_word", false);
        token.lstrip = object.boolean_or("lstrip", false);
        token.rstrip = object.boolean_or("rstrip", false);
        token.text = token.normalized ? normalizer_(token.content) : token.content;
        if (token.text.empty()) throw UnsupportedError(object.path("content"), "empty when normalized");
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
        if (symbols_ == Symbols::characters) {
            if (const TokenId id = vocab_.find(content); id != no_token) return id;
        }
        std::string bytes;
        if (symbols_ == Symbols::bytes && byte_level::append_bytes(content, bytes)) {
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
    Symbols symbols_;
    const Normalizer& normalizer_;
    std::map<std::string, TokenId> not_bytes_;  // the vocabulary's tokens outside of the byte-level alphabet
    std::size_t num_model_tokens_;
    TokenId max_id_ = no_token;  // of the added tokens so far
    std::size_t num_added_ = 0;
};

}  // namespace detail

}  // namespace eigenlm::inline EIGENLM_ABI
