#pragma once
// From a GGUF file's metadata to the parts of a tokenizer: byte-level BPE ("gpt2"), whose merges are listed, and
// SentencePiece's BPE ("llama"), whose merges follow from the tokens' scores.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/error.hpp"
#include "../base/types.hpp"
#include "../file/gguf_values.hpp"
#include "byte_level.hpp"
#include "tokenizer_parts.hpp"

namespace eigenlm::inline EIGENLM_ABI {

namespace detail {

/// tokenizer.ggml.token_type's values.
enum class GgufTokenType : std::int32_t { normal = 1, unknown, control, user_defined, unused, byte };

/// What a tokenizer.ggml.pre stands for: the settings that Hugging Face's tokenizer.json of the same models has.
struct GgufPreTokenizer {
    std::string_view name;
    SplitPattern pattern;
    bool single_digits = false;  // cut off before the pattern
    bool nfc = false;
    bool ignore_merges = false;
    bool add_bos = false;  // where tokenizer.ggml.add_bos_token does not say
};
inline constexpr GgufPreTokenizer gguf_pre_tokenizers[] = {
    {.name = "qwen2", .pattern = SplitPattern::qwen2, .nfc = true},
    {.name = "llama-bpe", .pattern = SplitPattern::llama3, .ignore_merges = true, .add_bos = true},
    {.name = "llama3", .pattern = SplitPattern::llama3, .ignore_merges = true, .add_bos = true},
    {.name = "llama-v3", .pattern = SplitPattern::llama3, .ignore_merges = true, .add_bos = true},
    {.name = "gpt-2", .pattern = SplitPattern::gpt2},
    {.name = "smollm", .pattern = SplitPattern::gpt2, .single_digits = true},
};

class GgufTokenizerReader {
  public:
    explicit GgufTokenizerReader(const GgufMetadata& metadata) : metadata_(metadata) {}
    TokenizerParts read();

  private:
    static constexpr const char* tokens_key = "tokenizer.ggml.tokens";
    static constexpr const char* types_key = "tokenizer.ggml.token_type";
    static constexpr const char* scores_key = "tokenizer.ggml.scores";
    static constexpr const char* merges_key = "tokenizer.ggml.merges";

    TokenizerParts read_byte_level();
    TokenizerParts read_sentence_piece();
    void refuse_unsupported() const;
    const GgufPreTokenizer& pre_tokenizer() const;

    std::vector<std::int32_t> read_types(std::size_t count) const;
    Vocab read_tokens(Symbols symbols);
    void add_token(TokenId id, std::string_view text, GgufTokenType type, Symbols symbols, VocabEntries& entries);
    std::vector<Bpe::Pair> read_merges(const Vocab& vocab) const;
    std::vector<std::uint32_t> read_ranks() const;
    SpecialFrame read_frame(const Vocab& vocab, bool add_bos) const;

    const GgufMetadata& metadata_;
    std::vector<AddedToken> added_;
    std::vector<TokenId> normal_;  // what SentencePiece's merges may make
};

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE TokenizerParts GgufTokenizerReader::read() {
    const std::string& model = metadata_.string("tokenizer.ggml.model");
    refuse_unsupported();
    if (model == "gpt2") return read_byte_level();
    if (model == "llama") return read_sentence_piece();
    throw UnsupportedError(metadata_.path("tokenizer.ggml.model"),
                           json_excerpt(model.substr(0, 80)) + " is not supported (expected \"gpt2\" or \"llama\")");
}

EIGENLM_LARGE void GgufTokenizerReader::refuse_unsupported() const {
    for (const char* key : {"tokenizer.ggml.add_sep_token", "tokenizer.ggml.remove_extra_whitespaces"})
        if (metadata_.boolean_or(key, false)) throw UnsupportedError(metadata_.path(key), "true is not supported");
    const char* const charsmap = "tokenizer.ggml.precompiled_charsmap";
    if (metadata_.has(charsmap)) throw UnsupportedError(metadata_.path(charsmap), "a normalizer is not supported");
}

EIGENLM_LARGE const GgufPreTokenizer& GgufTokenizerReader::pre_tokenizer() const {
    const char* const key = "tokenizer.ggml.pre";
    if (!metadata_.has(key))
        throw UnsupportedError(metadata_.path(key), "a file that does not say how it cuts text is not supported");
    const std::string& name = metadata_.string(key);
    const auto found = std::ranges::find(gguf_pre_tokenizers, name, &GgufPreTokenizer::name);
    if (found != std::end(gguf_pre_tokenizers)) return *found;
    std::string known;
    for (const auto& pre : gguf_pre_tokenizers) known += (known.empty() ? "" : ", ") + std::string(pre.name);
    throw UnsupportedError(metadata_.path(key),
                           json_excerpt(name.substr(0, 80)) + " is not supported (expected one of " + known + ")");
}

EIGENLM_LARGE TokenizerParts GgufTokenizerReader::read_byte_level() {
    const GgufPreTokenizer& pre = pre_tokenizer();
    if (metadata_.boolean_or("tokenizer.ggml.add_space_prefix", false))
        throw UnsupportedError(metadata_.path("tokenizer.ggml.add_space_prefix"),
                               "true is not supported for tokenizer.ggml.model \"gpt2\"");
    Vocab vocab = read_tokens(Symbols::bytes);
    const std::vector<Bpe::Pair> merges = read_merges(vocab);
    SpecialFrame frame = read_frame(vocab, pre.add_bos);
    std::vector<Normalizer::Step> normalizer;
    if (pre.nfc) normalizer.emplace_back(Normalizer::Nfc{});
    std::vector<PreTokenizer::Step> steps;
    if (pre.single_digits) steps.emplace_back(PreTokenizer::Digits{true});
    steps.emplace_back(PreTokenizer::Split{pre.pattern});
    return {Bpe(std::move(vocab), merges, {Symbols::bytes, pre.ignore_merges}, metadata_.path("tokenizer.ggml")),
            AddedTokens(std::move(added_)),
            Normalizer(std::move(normalizer)),
            PreTokenizer(std::move(steps)),
            {},
            std::move(frame)};
}

/// As Hugging Face's tokenizer.json of Llama 2: a space before every text between added tokens, all spaces as U+2581.
EIGENLM_LARGE TokenizerParts GgufTokenizerReader::read_sentence_piece() {
    constexpr std::size_t most_merges = std::size_t{1} << 22;  // real ones have 2^16; a made-up file, one for each byte
    Vocab vocab = read_tokens(Symbols::characters);
    const std::vector<std::uint32_t> token_ranks = read_ranks();
    std::vector<Bpe::Pair> merges;
    std::vector<std::uint32_t> ranks;
    for (const TokenId id : normal_) {
        const std::string_view text = vocab.bytes(id);
        for (std::size_t cut = 1; cut < text.size(); ++cut) {
            const TokenId left = vocab.find(text.substr(0, cut));
            const TokenId right = left == no_token ? no_token : vocab.find(text.substr(cut));
            if (right == no_token) continue;
            if (merges.size() == most_merges)
                throw UnsupportedError(metadata_.path(tokens_key),
                                       "more than " + std::to_string(most_merges) + " ways to merge");
            merges.emplace_back(left, right);
            ranks.push_back(token_ranks[static_cast<std::size_t>(id)]);
        }
    }
    SpecialFrame frame = read_frame(vocab, true);
    const bool prefix = metadata_.boolean_or("tokenizer.ggml.add_space_prefix", true);
    std::vector<Normalizer::Step> normalizer;
    if (prefix) normalizer.emplace_back(Normalizer::Prepend{std::string(word_begin)});
    normalizer.emplace_back(Normalizer::Replace{" ", std::string(word_begin)});
    DecodeRules decoding{Normalizer({Normalizer::Replace{std::string(word_begin), " "}}), true, " ", prefix ? 1u : 0u};
    return {Bpe(std::move(vocab), merges, {Symbols::characters, false}, metadata_.path("tokenizer.ggml"), ranks),
            AddedTokens(std::move(added_)),
            Normalizer(std::move(normalizer)),
            PreTokenizer(),
            std::move(decoding),
            std::move(frame)};
}

EIGENLM_LARGE std::vector<std::int32_t> GgufTokenizerReader::read_types(std::size_t count) const {
    std::vector<std::int32_t> types = metadata_.numbers<std::int32_t>(types_key);
    if (types.size() != count)
        throw FormatError(metadata_.path(types_key), "expected one for each of the " + std::to_string(count) +
                                                         " tokens, found " + std::to_string(types.size()));
    return types;
}

EIGENLM_LARGE Vocab GgufTokenizerReader::read_tokens(Symbols symbols) {
    const std::size_t count = metadata_.count_strings(tokens_key);
    if (count > static_cast<std::size_t>(max_token_id))
        throw UnsupportedError(metadata_.path(tokens_key), "expected at most " + std::to_string(max_token_id) +
                                                               " tokens, found " + std::to_string(count));
    const std::vector<std::int32_t> types = read_types(count);
    VocabEntries entries;
    metadata_.each_string(tokens_key, [&](std::size_t id, std::string_view text) {
        if (types[id] < 1 || types[id] > static_cast<std::int32_t>(GgufTokenType::byte))
            throw FormatError(metadata_.path(types_key) + "[" + std::to_string(id) + "]",
                              "expected a type from 1 to 6, found " + std::to_string(types[id]));
        add_token(static_cast<TokenId>(id), text, static_cast<GgufTokenType>(types[id]), symbols, entries);
    });
    return Vocab(std::move(entries), metadata_.path(tokens_key));
}

EIGENLM_LARGE void GgufTokenizerReader::add_token(TokenId id, std::string_view text, GgufTokenType type,
                                                  Symbols symbols, VocabEntries& entries) {
    constexpr std::size_t longest = 1024;  // all the places where it may be cut are tried; real ones have 48 bytes
    using enum GgufTokenType;
    const auto fail = [&](const std::string& what) {
        throw FormatError(metadata_.path(tokens_key) + "[" + std::to_string(id) + "]", json_excerpt(text) + what);
    };
    // Converters fill holes with such names. Older ones called them user-defined.
    const bool hole = text.empty() || text == "[PAD" + std::to_string(id) + "]";
    if (type == unused || (hole && type != normal)) return;
    if (type == unknown || type == control || type == user_defined) {
        const std::string content(text);
        if (text.size() > max_added_content) fail(" is longer than " + std::to_string(max_added_content) + " bytes");
        added_.push_back({.content = content, .text = content, .id = id, .special = type != user_defined});
        return;
    }
    if (symbols == Symbols::characters) {
        if (text.size() > longest) fail(" is longer than " + std::to_string(longest) + " bytes");
        if (type == normal) normal_.push_back(id);
        return entries.add(text, id, metadata_.path(tokens_key));
    }
    std::string bytes;
    if (type == byte) fail(" is of type 6 (a byte), which is not for tokenizer.ggml.model \"gpt2\"");
    if (!byte_level::append_bytes(text, bytes)) fail(" is not a token in the byte-level alphabet");
    entries.add(bytes, id, metadata_.path(tokens_key));
}

EIGENLM_LARGE std::vector<Bpe::Pair> GgufTokenizerReader::read_merges(const Vocab& vocab) const {
    std::vector<Bpe::Pair> merges;
    merges.reserve(metadata_.count_strings(merges_key));
    std::string bytes;
    metadata_.each_string(merges_key, [&](std::size_t number, std::string_view text) {
        const auto fail = [&](std::string_view part, const char* what) {
            throw FormatError(metadata_.path(merges_key) + "[" + std::to_string(number) + "]",
                              json_excerpt(part) + what);
        };
        const auto part = [&](std::string_view written) {
            bytes.clear();
            if (!byte_level::append_bytes(written, bytes)) fail(written, " is not a token in the byte-level alphabet");
            const TokenId id = vocab.find(bytes);
            if (id == no_token) fail(written, " is not in the vocabulary");
            return id;
        };
        const std::size_t space = text.find(' ');
        if (space == text.npos) fail(text, " is not two tokens with a space between them");
        const TokenId left = part(text.substr(0, space));
        merges.emplace_back(left, part(text.substr(space + 1)));
    });
    return merges;
}

/// Of every token: how many better scores there are.
EIGENLM_LARGE std::vector<std::uint32_t> GgufTokenizerReader::read_ranks() const {
    const std::vector<float> scores = metadata_.numbers<float>(scores_key);
    if (scores.size() != metadata_.count_strings(tokens_key))
        throw FormatError(metadata_.path(scores_key),
                          "expected one for each token, found " + std::to_string(scores.size()));
    for (std::size_t i = 0; i < scores.size(); ++i)
        if (is_nan(scores[i]))
            throw FormatError(metadata_.path(scores_key) + "[" + std::to_string(i) + "]", "not a number");
    std::vector<float> sorted = scores;
    std::ranges::sort(sorted, std::greater<>{});
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    std::vector<std::uint32_t> ranks(scores.size());
    for (std::size_t i = 0; i < scores.size(); ++i) {
        const auto place = std::ranges::lower_bound(sorted, scores[i], std::greater<>{});
        ranks[i] = static_cast<std::uint32_t>(place - sorted.begin());
    }
    return ranks;
}

EIGENLM_LARGE SpecialFrame GgufTokenizerReader::read_frame(const Vocab& vocab, bool add_bos) const {
    SpecialFrame frame;
    const auto id_of = [&](const char* key) {
        const auto id = static_cast<TokenId>(metadata_.integer(key, 0, max_token_id));
        const bool added = std::ranges::find(added_, id, &AddedToken::id) != added_.end();
        if (!added && !vocab.has(id)) throw FormatError(metadata_.path(key), std::to_string(id) + " is no token");
        return id;
    };
    if (metadata_.boolean_or("tokenizer.ggml.add_bos_token", add_bos))
        frame.before.push_back(id_of("tokenizer.ggml.bos_token_id"));
    if (metadata_.boolean_or("tokenizer.ggml.add_eos_token", false))
        frame.after.push_back(id_of("tokenizer.ggml.eos_token_id"));
    return frame;
}
#endif

}  // namespace detail

/// The tokenizer that a GGUF file holds: of tokenizer.ggml.model "gpt2" with the tokenizer.ggml.pre of Qwen2, Llama 3,
/// GPT-2 or SmolLM, or "llama". Control tokens become special added tokens, user-defined ones added tokens; unused ones
/// are none. Throws FormatError for metadata that contradict themselves, UnsupportedError, naming file and key, for
/// other tokenizers.
inline TokenizerParts read_gguf_tokenizer(const GgufMetadata& metadata) {
    return detail::GgufTokenizerReader(metadata).read();
}

}  // namespace eigenlm::inline EIGENLM_ABI
