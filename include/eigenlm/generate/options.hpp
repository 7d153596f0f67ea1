#pragma once
// What a caller may ask of a generation, and what the model's own generation_config.json suggests where it does not.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "../base/progress.hpp"
#include "../file/gguf_values.hpp"
#include "../kernels/table.hpp"
#include "../weights/read_config.hpp"
#include "sampler.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// What to generate. Sampling fields that are not set come from the model's generation_config.json, or else are greedy.
struct GenerateOptions {
    std::size_t max_new_tokens = 128;                 ///< 0: nothing is computed
    std::optional<float> temperature = std::nullopt;  ///< 0: greedy; see SamplingOptions for these
    std::optional<std::size_t> top_k = std::nullopt;  ///< keep the k most likely; 0: all
    std::optional<float> top_p = std::nullopt;        ///< keep the fewest that reach p, in (0, 1]
    std::optional<float> min_p = std::nullopt;  ///< keep those at least min_p times as likely as the best, in [0, 1]
    std::optional<float> repeat_penalty = std::nullopt;  ///< for ids of the prompt and the answer, > 0
    std::uint64_t seed = 0;                              ///< one seed, one text
    std::vector<std::string> stop = {};                  ///< texts that end the generation and are not part of it
    /// The answer's text goes on from the prompt's. An answer that is a text of its own begins: tokenizers that put a
    /// space in front of a text (Llama 2) drop it there.
    bool continues = true;
    bool ignore_eos = false;                             ///< go on after an end-of-sequence token
    bool use_cache = true;                               ///< false: recompute the whole text for every token
    std::size_t context = 0;                             ///< most positions to use; 0: as many as the model has
    std::optional<CacheType> cache_type = std::nullopt;  ///< of the KV cache; default: the model's cache_type()
    ProgressFunction progress = nullptr;                 ///< tokens of the prompt, then of the answer
    std::stop_token cancel = {};                         ///< ends the generation with StopReason::cancelled
};

/// What generation_config.json says; config.json's ids where there is none.
struct GenerationDefaults {
    SamplingOptions sampling;             ///< how to draw where the caller does not say
    std::vector<TokenId> eos_token_ids;   ///< end a generation
    std::optional<TokenId> bos_token_id;  ///< starts a text from nothing
};

/// Reads the defaults. `where` is generation_config.json's path; config.json lies beside it. Without `do_sample` the
/// temperature is 0; the filters are then those of a caller who sets one. Throws FormatError for fields of a wrong type
/// or range, UnsupportedError for searches that are not done here.
inline GenerationDefaults read_generation_defaults(const ModelConfig& config, const nlohmann::json& model_json,
                                                   const nlohmann::json& content, const std::string& where) {
    GenerationDefaults defaults;
    defaults.eos_token_ids = config.eos_token_ids;
    const nlohmann::json nothing = nlohmann::json::object();
    const JsonObject json(content.is_null() ? nothing : content, where);
    if (json.has("eos_token_id")) defaults.eos_token_ids = detail::read_eos(json, config.vocab_size);
    const auto most = static_cast<std::int64_t>(config.vocab_size) - 1;
    const auto model_path = std::filesystem::path(where).replace_filename("config.json").string();
    for (const JsonObject& source : {json, JsonObject(model_json, model_path)}) {
        const std::int64_t bos = source.integer_or("bos_token_id", -1, -1, most);  // -1: none
        if (!defaults.bos_token_id && bos >= 0) defaults.bos_token_id = static_cast<TokenId>(bos);
    }
    if (json.integer_or("num_beams", 1, 1, 1 << 20) != 1)
        throw UnsupportedError(json.path("num_beams"), "beam search is not supported");
    if (json.integer_or("no_repeat_ngram_size", 0, 0, 1 << 20) != 0)
        throw UnsupportedError(json.path("no_repeat_ngram_size"), "a size other than 0 is not supported");
    const bool sample = json.boolean_or("do_sample", false);
    SamplingOptions& sampling = defaults.sampling;
    sampling.repeat_penalty = static_cast<float>(json.number_or("repetition_penalty", 1, 1e-6, 1e6));
    if (sample) sampling.temperature = static_cast<float>(json.number_or("temperature", 1, 0, 1e6));
    const bool top_k_is_off = json.raw().contains("top_k") && !json.has("top_k");  // null
    const std::int64_t top_k = json.integer_or("top_k", sample && !top_k_is_off ? 50 : 0, -1, 1 << 24);
    sampling.top_k = static_cast<std::size_t>(std::max<std::int64_t>(top_k, 0));
    sampling.top_p = static_cast<float>(json.number_or("top_p", 1, 1e-6, 1));
    sampling.min_p = static_cast<float>(json.number_or("min_p", 0, 0, 1));
    return defaults;
}

/// What a GGUF file says: ids, and nothing of sampling. Throws FormatError for an id that is out of range.
inline GenerationDefaults read_generation_defaults(const ModelConfig& config, const GgufMetadata& metadata) {
    GenerationDefaults defaults;
    defaults.eos_token_ids = config.eos_token_ids;
    const char* const bos = "tokenizer.ggml.bos_token_id";
    if (metadata.has(bos))
        defaults.bos_token_id =
            static_cast<TokenId>(metadata.integer(bos, 0, static_cast<std::int64_t>(config.vocab_size) - 1));
    return defaults;
}

/// The caller's wishes over the model's defaults.
inline SamplingOptions resolve(const GenerateOptions& wish, const SamplingOptions& defaults) {
    SamplingOptions sampling;
    sampling.temperature = wish.temperature.value_or(defaults.temperature);
    sampling.top_k = wish.top_k.value_or(defaults.top_k);
    sampling.top_p = wish.top_p.value_or(defaults.top_p);
    sampling.min_p = wish.min_p.value_or(defaults.min_p);
    sampling.repeat_penalty = wish.repeat_penalty.value_or(defaults.repeat_penalty);
    sampling.seed = wish.seed;
    return sampling;
}

}  // namespace eigenlm::inline EIGENLM_ABI
