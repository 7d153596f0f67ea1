#pragma once
// The normalizer, the pre-tokenizer and the decoder of a tokenizer.json.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/error.hpp"
#include "../file/json.hpp"
#include "bpe.hpp"
#include "normalizer.hpp"
#include "pre_tokenizer.hpp"
#include "settings.hpp"
#include "split_pattern.hpp"
#include "token_text.hpp"

namespace eigenlm::inline EIGENLM_ABI {

namespace detail {

inline Normalizer read_normalizer(const JsonObject& file) {
    const auto normalizer = file.object("normalizer");
    std::vector<Normalizer::Step> steps;
    for (const auto& step : steps_of(normalizer, "normalizers")) {
        const std::string type = step.string("type");
        if (type == "NFC") {
            only_fields(step, {"type"});
            steps.emplace_back(Normalizer::Nfc{});
        } else if (type == "Prepend") {
            only_fields(step, {"type", "prepend"});
            steps.emplace_back(Normalizer::Prepend{short_text(step, "prepend")});
        } else if (type == "Replace") {
            only_fields(step, {"type", "pattern", "content"});
            steps.emplace_back(Normalizer::Replace{literal_pattern(step), short_text(step, "content")});
        } else {
            unsupported_type(step, "\"NFC\", \"Prepend\", \"Replace\" or a \"Sequence\" of them");
        }
    }
    return Normalizer(std::move(steps), file.path("normalizer"));
}

inline PreTokenizer::Split read_split(const JsonObject& split) {
    only_fields(split, {"type", "pattern", "behavior", "invert"});
    if (const auto behavior = split.string("behavior"); behavior != "Isolated")
        throw UnsupportedError(split.path("behavior"), "expected \"Isolated\", found " + json_excerpt(behavior));
    must_be(split, "invert", false, false);
    const JsonObject pattern = required_object(split, "pattern");
    only_fields(pattern, {"Regex"});
    const std::string regex = pattern.string("Regex");
    const auto known = split_pattern_of(regex);
    if (!known) throw UnsupportedError(pattern.path("Regex"), "unknown split pattern " + json_excerpt(regex));
    return {*known};
}

/// One character.
inline std::string read_mark(const JsonObject& metaspace) {
    std::string mark = metaspace.string("replacement");
    if (mark.empty() || unicode::decode_utf8(mark, 0).length != mark.size())
        throw FormatError(metaspace.path("replacement"), "expected one character, found " + json_excerpt(mark));
    return mark;
}

/// Older files say add_prefix_space, newer ones prepend_scheme.
inline PreTokenizer::Metaspace::Prepend read_prepend(const JsonObject& metaspace) {
    using Prepend = PreTokenizer::Metaspace::Prepend;
    const bool prefix = metaspace.boolean_or("add_prefix_space", true);
    const std::string scheme = metaspace.string_or("prepend_scheme", prefix ? "always" : "never");
    if (scheme == "always") return Prepend::always;
    if (scheme == "first") return Prepend::first;
    if (scheme == "never") return Prepend::never;
    throw UnsupportedError(metaspace.path("prepend_scheme"),
                           "expected \"always\", \"first\" or \"never\", found " + json_excerpt(scheme));
}

inline void only_metaspace_fields(const JsonObject& metaspace) {
    only_fields(metaspace, {"type", "replacement", "str_rep", "add_prefix_space", "prepend_scheme", "split"});
}

/// What a pre-tokenizer says.
struct PreTokenizerSettings {
    PreTokenizer pre_tokenizer;
    Symbols symbols = Symbols::characters;  // bytes, where its last step is ByteLevel
};

inline PreTokenizerSettings read_pre_tokenizer(const std::optional<JsonObject>& pre_tokenizer,
                                               const Normalizer& normalizer) {
    std::vector<PreTokenizer::Step> steps;
    Symbols symbols = Symbols::characters;
    for (const auto& step : steps_of(pre_tokenizer, "pretokenizers")) {
        const std::string type = step.string("type");
        if (symbols == Symbols::bytes) throw UnsupportedError(step.path("type"), "a step behind \"ByteLevel\"");
        if (type == "Split") {
            steps.emplace_back(read_split(step));
        } else if (type == "Digits") {
            only_fields(step, {"type", "individual_digits"});
            steps.emplace_back(PreTokenizer::Digits{step.boolean_or("individual_digits", false)});
        } else if (type == "Metaspace") {
            only_metaspace_fields(step);
            const auto prepend = read_prepend(step);
            // Hugging Face asks where a piece began before the normalizer wrote the text anew.
            if (prepend == PreTokenizer::Metaspace::Prepend::first && normalizer.replaces())
                throw UnsupportedError(step.path("prepend_scheme"), "\"first\" behind a normalizer but NFC");
            steps.emplace_back(PreTokenizer::Metaspace{read_mark(step), prepend, step.boolean_or("split", true)});
        } else if (type == "ByteLevel") {
            only_fields(step, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
            if (step.boolean_or("add_prefix_space", true)) steps.emplace_back(PreTokenizer::PrefixSpace{});
            if (step.boolean_or("use_regex", true)) steps.emplace_back(PreTokenizer::Split{SplitPattern::gpt2});
            symbols = Symbols::bytes;
        } else {
            unsupported_type(step, "\"Split\", \"Digits\", \"Metaspace\", \"ByteLevel\" or a \"Sequence\" of them");
        }
    }
    return {PreTokenizer(std::move(steps)), symbols};
}

/// The decoders of a SentencePiece model, in the order that files have them: Replace, ByteFallback, Fuse, Strip; or
/// Metaspace.
class DecoderReader {
  public:
    DecodeRules read(const JsonObject& decoder) {
        for (const auto& step : steps_of(decoder, "decoders")) read_step(step);
        DecodeRules rules{Normalizer(std::move(replacements_), decoder.where()), byte_fallback_, strip_, strip_count_};
        if (metaspace_) rules.first_replacements = Normalizer(std::move(first_), decoder.where());
        return rules;
    }

  private:
    void read_step(const JsonObject& step) {
        const std::string type = step.string("type");
        if (strip_count_ > 0) throw UnsupportedError(step.path("type"), "a step behind \"Strip\"");
        if (type == "Fuse") {
            only_fields(step, {"type"});
            fused_ = true;
            return;
        }
        if (type == "Strip") return read_strip(step);
        if (fused_ || byte_fallback_)  // it would see other texts than those of single tokens
            throw UnsupportedError(step.path("type"),
                                   "a step before \"Fuse\" and \"ByteFallback\" only, found " + json_excerpt(type));
        if (type == "Replace") {
            only_fields(step, {"type", "pattern", "content"});
            const Normalizer::Replace replace{literal_pattern(step), short_text(step, "content")};
            replacements_.emplace_back(replace);
            first_.emplace_back(replace);
        } else if (type == "ByteFallback") {
            only_fields(step, {"type"});
            byte_fallback_ = true;
        } else if (type == "Metaspace") {
            only_metaspace_fields(step);
            if (metaspace_) throw UnsupportedError(step.path("type"), "a second \"Metaspace\"");
            metaspace_ = true;
            const bool puts_one = read_prepend(step) != PreTokenizer::Metaspace::Prepend::never;
            replacements_.emplace_back(Normalizer::Replace{read_mark(step), " "});
            first_.emplace_back(Normalizer::Replace{read_mark(step), puts_one ? "" : " "});
        } else {
            unsupported_type(step, "\"Replace\", \"ByteFallback\", \"Fuse\", \"Strip\" or \"Metaspace\"");
        }
    }
    /// Strip takes single characters from the whole text, so it has to stand behind Fuse.
    void read_strip(const JsonObject& step) {
        only_fields(step, {"type", "content", "start", "stop"});
        if (!fused_) throw UnsupportedError(step.path("type"), "\"Strip\" without \"Fuse\" before it");
        if (step.integer("stop", 0, 1 << 20) != 0)
            throw UnsupportedError(step.path("stop"), "expected 0: the end of a text that streams is not known");
        strip_ = short_text(step, "content");
        if (strip_.empty()) throw FormatError(step.path("content"), "empty");
        strip_count_ = static_cast<std::size_t>(step.integer("start", 0, 1 << 20));
    }

    std::vector<Normalizer::Step> replacements_, first_;  // in all tokens; in a text's first one
    bool byte_fallback_ = false, fused_ = false, metaspace_ = false;
    std::string strip_;
    std::size_t strip_count_ = 0;
};

inline DecodeRules read_decoder(const JsonObject& decoder, Symbols symbols) {
    if (symbols == Symbols::bytes) {
        must_be_type(decoder, "ByteLevel");
        return {};
    }
    return DecoderReader().read(decoder);
}

}  // namespace detail

}  // namespace eigenlm::inline EIGENLM_ABI
