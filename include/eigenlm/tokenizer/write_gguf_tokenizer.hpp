#pragma once
// From a tokenizer.json to a GGUF file's metadata: the inverse of read_gguf_tokenizer.hpp. A GGUF file has names for
// whole tokenizers, not for their steps: what has no name is refused, and what is written is read back and compared.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "../base/error.hpp"
#include "../file/gguf_values.hpp"
#include "json_stream.hpp"
#include "read_gguf_tokenizer.hpp"
#include "tokenizer.hpp"
#include "tokenizer_json.hpp"

namespace eigenlm::inline EIGENLM_ABI {

namespace detail {

class GgufTokenizerWriter {
  public:
    /// Refers to `where` and `out`. `vocab_size`: rows of the model's embedding.
    GgufTokenizerWriter(std::string_view text, const std::string& where, std::size_t vocab_size, GgufMetadata& out)
        : where_(where),
          out_(out),
          vocab_size_(vocab_size),
          parts_(read_tokenizer_json(text, where)),
          json_(parse_tokenizer_json(text, where)) {}

    /// Once.
    Tokenizer write();

  private:
    static constexpr std::size_t longest_token = 1024;  // see GgufTokenizerReader::add_token

    [[noreturn]] void refuse(const std::string& field, const std::string& what) const {
        throw UnsupportedError(where_ + ": " + field, what + " cannot be written into a GGUF file");
    }
    std::string_view written(const VocabEntries::Entry& entry) const {
        return std::string_view(json_.vocab.arena).substr(entry.offset, entry.length);
    }

    bool is_added(TokenId id) const { return parts_.added.find(id) != nullptr; }
    /// "<0x0A>"
    static bool is_byte_name(std::string_view text) {
        constexpr std::string_view digits = "0123456789ABCDEF";
        return text.size() == 6 && text.starts_with("<0x") && text[5] == '>' && digits.find(text[3]) != digits.npos &&
               digits.find(text[4]) != digits.npos;
    }

    std::string_view pre_name() const;
    bool is_sentence_piece(bool prefix) const;
    void write_tokens(Symbols symbols) const;
    void check_added(const AddedToken& token) const;
    void write_merges() const;
    void write_scores() const;
    std::size_t ways_to_merge(std::string_view text) const;
    void write_frame() const;
    void write_frame(const std::vector<TokenId>& tokens, const char* flag, const char* id) const;
    void compare(const Tokenizer& found, const Tokenizer& expected) const;

    const std::string& where_;
    GgufMetadata& out_;
    std::size_t vocab_size_;
    TokenizerParts parts_;
    TokenizerJson json_;
};

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE Tokenizer GgufTokenizerWriter::write() {
    const Symbols symbols = parts_.bpe.symbols();
    const bool bytes = symbols == Symbols::bytes;
    out_.set("tokenizer.ggml.model", gguf_text(bytes ? "gpt2" : "llama"));
    write_tokens(symbols);
    if (bytes) {
        out_.set("tokenizer.ggml.pre", gguf_text(pre_name()));
        write_merges();
    } else {
        const bool prefix = is_sentence_piece(true);
        if (!prefix && !is_sentence_piece(false))
            throw UnsupportedError(where_ + ": normalizer",
                                   "expected, with pre_tokenizer and decoder, what Llama 2 has: a GGUF file has no "
                                   "name for other tokenizers of characters");
        out_.set("tokenizer.ggml.pre", gguf_text("default"));
        out_.set("tokenizer.ggml.add_space_prefix", gguf_number(prefix));
        write_scores();
    }
    write_frame();
    try {
        const Tokenizer found(read_gguf_tokenizer(out_));
        Tokenizer expected(std::move(parts_));
        compare(found, expected);
        return expected;
    } catch (const Error& e) {
        throw UnsupportedError(where_, std::string("cannot be written into a GGUF file: ") + e.what());
    }
}

/// The name of a byte-level tokenizer's steps.
EIGENLM_LARGE std::string_view GgufTokenizerWriter::pre_name() const {
    const auto& normalizer = parts_.normalizer.steps();
    const auto& steps = parts_.pre_tokenizer.steps();
    const bool nfc = normalizer.size() == 1 && std::holds_alternative<Normalizer::Nfc>(normalizer[0]);
    const auto* const digits = steps.empty() ? nullptr : std::get_if<PreTokenizer::Digits>(&steps[0]);
    const bool single_digits = digits != nullptr && digits->individual;
    const std::size_t at = single_digits ? 1 : 0;
    const auto* const split = steps.size() == at + 1 ? std::get_if<PreTokenizer::Split>(&steps[at]) : nullptr;
    const bool ignore_merges = JsonObject(json_.tree, where_).object("model")->boolean_or("ignore_merges", false);
    if (split != nullptr && (nfc || normalizer.empty()))
        for (const GgufPreTokenizer& pre : gguf_pre_tokenizers)
            if (pre.pattern == split->pattern && pre.single_digits == single_digits && pre.nfc == nfc &&
                pre.ignore_merges == ignore_merges)
                return pre.name;
    throw UnsupportedError(where_ + ": pre_tokenizer",
                           "expected, with normalizer and ignore_merges, what Qwen2, Llama 3, GPT-2 or SmolLM have: a "
                           "GGUF file has no tokenizer.ggml.pre for others");
}

/// Whether all steps are those that read_gguf_tokenizer has for Llama 2, with a space in front or without.
EIGENLM_LARGE bool GgufTokenizerWriter::is_sentence_piece(bool prefix) const {
    const auto replaces = [](const Normalizer::Step& step, std::string_view from, std::string_view to) {
        const auto* const replace = std::get_if<Normalizer::Replace>(&step);
        return replace != nullptr && replace->pattern == from && replace->content == to;
    };
    const auto& steps = parts_.normalizer.steps();
    const auto* const prepend = steps.empty() ? nullptr : std::get_if<Normalizer::Prepend>(&steps[0]);
    const bool prepends = prepend != nullptr && prepend->text == word_begin;
    const DecodeRules& decoding = parts_.decoding;
    const auto& replacements = decoding.replacements.steps();
    return steps.size() == (prefix ? 2 : 1) && prepends == prefix && replaces(steps.back(), " ", word_begin) &&
           parts_.pre_tokenizer.steps().empty() && replacements.size() == 1 &&
           replaces(replacements[0], word_begin, " ") && decoding.byte_fallback && !decoding.first_replacements &&
           decoding.strip_count == (prefix ? 1 : 0) && (!prefix || decoding.strip == " ") &&
           !JsonObject(json_.tree, where_).object("model")->boolean_or("ignore_merges", false);
}

/// By id, holes filled as converters do.
EIGENLM_LARGE void GgufTokenizerWriter::write_tokens(Symbols symbols) const {
    using enum GgufTokenType;
    std::vector<std::string_view> texts(vocab_size_);
    std::vector<std::int32_t> types(vocab_size_, static_cast<std::int32_t>(unused));
    const auto set = [&](TokenId id, std::string_view text, GgufTokenType type) {
        const auto at = static_cast<std::size_t>(id);
        if (at >= vocab_size_)
            throw FormatError(where_, "token " + std::to_string(id) + " is beyond the model's vocab_size, " +
                                          std::to_string(vocab_size_));
        texts[at] = text;
        types[at] = static_cast<std::int32_t>(type);
    };
    for (const auto& entry : json_.vocab.entries) {
        const std::string_view text = written(entry);
        set(entry.id, text, symbols == Symbols::characters && is_byte_name(text) ? byte : normal);
    }
    const std::string unk = JsonObject(json_.tree, where_).object("model")->string_or("unk_token", "");
    for (const AddedToken& token : parts_.added.all()) {
        check_added(token);
        if (token.content == unk)
            out_.set("tokenizer.ggml.unknown_token_id", gguf_number(static_cast<std::uint32_t>(token.id)));
        set(token.id, token.content, !token.special ? user_defined : token.content == unk ? unknown : control);
    }
    GgufValue list = gguf_texts();
    for (std::size_t id = 0; id < vocab_size_; ++id)
        append_text(list, texts[id].empty() ? "[PAD" + std::to_string(id) + "]" : texts[id]);
    out_.set("tokenizer.ggml.tokens", std::move(list));
    out_.set("tokenizer.ggml.token_type", gguf_numbers(types));
}

EIGENLM_LARGE void GgufTokenizerWriter::check_added(const AddedToken& token) const {
    const auto field = [&] { return "added_tokens: " + json_excerpt(token.content); };
    if (token.lstrip || token.rstrip || token.single_word)
        refuse(field(), "a token with lstrip, rstrip or single_word");
    const auto differs = [&](const AddedToken& other) { return other.normalized != token.normalized; };
    // Where nothing is normalized it makes no difference, unless one kind of tokens is searched for before the other.
    if (token.normalized && (!parts_.normalizer.steps().empty() || std::ranges::any_of(parts_.added.all(), differs)))
        refuse(field(), "a token that is searched for in normalized text");
}

EIGENLM_LARGE void GgufTokenizerWriter::write_merges() const {
    GgufValue list = gguf_texts();
    std::string_view rest = json_.merge_text;
    std::string merge;
    for (const auto& [left, right] : json_.merge_lengths) {
        merge.assign(rest.substr(0, left)).append(1, ' ').append(rest.substr(left, right));
        rest.remove_prefix(std::size_t{left} + right);
        append_text(list, merge);
    }
    out_.set("tokenizer.ggml.merges", std::move(list));
}

/// Scores that make read_gguf_tokenizer, and llama.cpp, merge as the list of merges says: there every way to cut a
/// token into two is a merge, all of one rank. Hugging Face's converter writes lists like that.
EIGENLM_LARGE void GgufTokenizerWriter::write_scores() const {
    const Vocab& vocab = parts_.bpe.vocab();
    std::vector<float> scores(vocab_size_, 0.0f);
    std::vector<std::size_t> merges(vocab.size(), 0);  // of each token
    std::string_view rest = json_.merge_text;
    TokenId last = no_token;
    float score = 0;
    for (const auto& [left, right] : json_.merge_lengths) {
        const std::string_view whole = rest.substr(0, std::size_t{left} + right);
        rest.remove_prefix(whole.size());
        const TokenId id = vocab.find(whole);
        const auto at = static_cast<std::size_t>(id);
        const bool added =
            is_added(id) || is_added(vocab.find(whole.substr(0, left))) || is_added(vocab.find(whole.substr(left)));
        if (added && whole.find(word_begin) == whole.npos) continue;  // its text is cut out before anything is merged
        if (added || (id != last && merges[at] != 0))
            refuse("model.merges", "a merge that makes " + json_excerpt(whole) + " where it stands");
        if (id != last) scores[at] = score -= 1;
        last = id;
        ++merges[at];
    }
    for (const auto& entry : json_.vocab.entries) {
        if (is_added(entry.id)) continue;
        const auto at = static_cast<std::size_t>(entry.id);
        if (const std::size_t ways = ways_to_merge(written(entry)); ways != merges[at])
            refuse("model.merges", json_excerpt(written(entry)) + ", which " + std::to_string(ways) +
                                       " pairs of tokens spell and " + std::to_string(merges[at]) + " merges make,");
        if (merges[at] == 0 && !is_byte_name(written(entry))) scores[at] = score - 1;
    }
    out_.set("tokenizer.ggml.scores", gguf_numbers(scores));
}

/// How many merges make a token where all pairs of tokens merge that can; 0 for the names of bytes, which none makes.
EIGENLM_LARGE std::size_t GgufTokenizerWriter::ways_to_merge(std::string_view text) const {
    const Vocab& vocab = parts_.bpe.vocab();
    if (text.size() > longest_token) refuse("model.vocab", "a token of more than 1024 bytes");
    if (is_byte_name(text)) return 0;
    const auto is_part = [&](std::string_view part) {
        const TokenId id = vocab.find(part);
        return id != no_token && !is_added(id);
    };
    std::size_t ways = 0;
    for (std::size_t cut = 1; cut < text.size(); ++cut)
        if (is_part(text.substr(0, cut)) && is_part(text.substr(cut))) ++ways;
    return ways;
}

EIGENLM_LARGE void GgufTokenizerWriter::write_frame() const {
    write_frame(parts_.frame.before, "tokenizer.ggml.add_bos_token", "tokenizer.ggml.bos_token_id");
    write_frame(parts_.frame.after, "tokenizer.ggml.add_eos_token", "tokenizer.ggml.eos_token_id");
}
EIGENLM_LARGE void GgufTokenizerWriter::write_frame(const std::vector<TokenId>& tokens, const char* flag,
                                                    const char* id) const {
    if (tokens.size() > 1) refuse("post_processor", "more than one token on one side of a text");
    out_.set(flag, gguf_number(!tokens.empty()));
    if (!tokens.empty()) out_.set(id, gguf_number(static_cast<std::uint32_t>(tokens[0])));
}

EIGENLM_LARGE void GgufTokenizerWriter::compare(const Tokenizer& found, const Tokenizer& expected) const {
    for (std::size_t i = 0; i < std::max(found.size(), expected.size()); ++i) {
        const auto id = static_cast<TokenId>(i);
        if (!found.contains(id) && !expected.contains(id)) continue;
        if (found.contains(id) && expected.contains(id) && found.is_special(id) == expected.is_special(id) &&
            found.token_bytes(id) == expected.token_bytes(id))
            continue;
        throw UnsupportedError("token " + std::to_string(id), "another one when it is read back");
    }
}
#endif

}  // namespace detail

/// Sets the tokenizer.ggml keys of the tokenizer.json with this text for a model of `vocab_size` ids, and gives the
/// tokenizer. `where` is the file's name for messages. Throws what read_tokenizer_json throws; FormatError for a token
/// beyond vocab_size; UnsupportedError, naming it, for what a GGUF file has no words for.
inline Tokenizer write_gguf_tokenizer(std::string_view text, const std::string& where, std::size_t vocab_size,
                                      GgufMetadata& out) {
    return detail::GgufTokenizerWriter(text, where, vocab_size, out).write();
}

}  // namespace eigenlm::inline EIGENLM_ABI
