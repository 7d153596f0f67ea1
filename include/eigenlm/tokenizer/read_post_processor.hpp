#pragma once
// The post-processor of a tokenizer.json: tokens around every text.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "../base/error.hpp"
#include "../base/types.hpp"
#include "../file/json.hpp"
#include "added_tokens.hpp"
#include "settings.hpp"
#include "vocab.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Tokens that stand around every text.
struct SpecialFrame {
    /// Ids in front of the text and behind it.
    /// @{
    std::vector<TokenId> before, after;
    /// @}
};

namespace detail {

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

inline SpecialFrame read_post_processor(const std::optional<JsonObject>& processor, const KnownIds& known) {
    SpecialFrame frame;
    bool template_seen = false;
    for (const auto& step : steps_of(processor, "processors")) {
        const std::string type = step.string("type");
        if (type == "ByteLevel") continue;  // moves offsets only
        if (type != "TemplateProcessing")
            unsupported_type(step, "\"TemplateProcessing\", \"ByteLevel\" or a \"Sequence\" of them");
        if (template_seen) throw UnsupportedError(step.path("type"), "a second template");
        frame = read_template(step, known);
        template_seen = true;
    }
    return frame;
}

}  // namespace detail

}  // namespace eigenlm::inline EIGENLM_ABI
