#pragma once
// A Hugging Face folder as a GGUF file, as llama.cpp's converters write it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/utf8.hpp"
#include "../file/checkpoint.hpp"
#include "../generate/options.hpp"
#include "../tokenizer/chat_template.hpp"
#include "../tokenizer/write_gguf_tokenizer.hpp"
#include "../weights/rope_factors.hpp"
#include "../weights/write_gguf_config.hpp"
#include "plan.hpp"

namespace eigenlm::inline EIGENLM_ABI {

namespace detail {

/// Makes a plan of an opened folder.
class FolderPlanner {
  public:
    /// Refers to both.
    FolderPlanner(const Checkpoint& checkpoint, const ModelConfig& config)
        : checkpoint_(checkpoint), config_(config), plan_{GgufMetadata(checkpoint.folder().string()), {}} {}

    FilePlan plan(Dtype type);

  private:
    static constexpr const char* eos_key = "tokenizer.ggml.eos_token_id";
    static constexpr const char* bos_key = "tokenizer.ggml.bos_token_id";
    static constexpr const char* unknown_key = "tokenizer.ggml.unknown_token_id";

    void write_name();
    std::optional<Tokenizer> write_tokenizer();
    void write_special_ids(const std::optional<Tokenizer>& tokenizer);
    void write_ends(std::vector<TokenId> ids, std::optional<TokenId> first);
    void write_chat_template();
    void plan_rope_factors();
    void plan_tensor(const std::string& name, const std::vector<std::size_t>& shape, Dtype type);

    void set_id(const std::string& key, TokenId id) {
        plan_.metadata.set(key, gguf_number(static_cast<std::uint32_t>(id)));
    }

    const Checkpoint& checkpoint_;
    const ModelConfig& config_;
    FilePlan plan_;
};

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE FilePlan FolderPlanner::plan(Dtype type) {
    write_gguf_config(config_, checkpoint_.config_path(), plan_.metadata);
    write_name();
    set_file_type(type, plan_.metadata);
    write_special_ids(write_tokenizer());
    write_chat_template();
    plan_rope_factors();
    each_tensor(config_, [&](const std::string& name, const std::vector<std::size_t>& shape) {
        plan_tensor(name, shape, type);
    });
    return std::move(plan_);
}

EIGENLM_LARGE void FolderPlanner::write_name() {
    std::error_code failed;
    const std::string bytes = std::filesystem::canonical(checkpoint_.folder(), failed).filename().string();
    std::string name;
    for (std::size_t at = 0, length; at < bytes.size(); at += length) {  // folders may have other names than UTF-8
        const auto character = unicode::decode_utf8(bytes, at);
        length = character.length;
        name += character.code < unicode::invalid_base ? bytes.substr(at, length) : "?";
    }
    plan_.metadata.set("general.type", gguf_text("model"));
    plan_.metadata.set("general.name", gguf_text(name));
}

/// Nothing where the folder has none: a model of ids is a model still.
EIGENLM_LARGE std::optional<Tokenizer> FolderPlanner::write_tokenizer() {
    std::error_code ignored;
    const auto file = checkpoint_.folder() / "tokenizer.json";
    if (std::filesystem::exists(std::filesystem::symlink_status(file, ignored)))
        return write_gguf_tokenizer(read_text(file), file.string(), config_.vocab_size, plan_.metadata);
    for (const char* name : {"tokenizer.model", "vocab.json", "merges.txt"})
        if (std::filesystem::exists(checkpoint_.folder() / name, ignored))
            throw UnsupportedError((checkpoint_.folder() / name).string(),
                                   "a tokenizer without tokenizer.json is not supported");
    plan_.metadata.set("tokenizer.ggml.model", gguf_text("none"));
    return std::nullopt;
}

/// The ids of tokens that tokenizer_config.json names, and of those that generation_config.json or config.json does.
EIGENLM_LARGE void FolderPlanner::write_special_ids(const std::optional<Tokenizer>& tokenizer) {
    const GenerationDefaults defaults = read_generation_defaults(
        config_, checkpoint_.config(), checkpoint_.generation_config(), checkpoint_.generation_config_path());
    const auto names =
        tokenizer ? ChatTemplateText::read_special_tokens(checkpoint_.folder()) : nlohmann::ordered_json();
    const auto named = [&](const char* name) -> std::optional<TokenId> {
        if (!names.contains(name)) return std::nullopt;
        return tokenizer->id_of(names[name].get<std::string>());
    };
    if (!plan_.metadata.has(bos_key))
        if (const auto bos = named("bos_token") ? named("bos_token") : defaults.bos_token_id) set_id(bos_key, *bos);
    if (const auto unknown = named("unk_token"); unknown && !plan_.metadata.has(unknown_key))
        set_id(unknown_key, *unknown);
    if (const auto padding = named("pad_token")) set_id("tokenizer.ggml.padding_token_id", *padding);
    write_ends(defaults.eos_token_ids, named("eos_token"));
}

/// A file has places for three ids that end a text. `first`: the one that is called so, if it is one of them.
EIGENLM_LARGE void FolderPlanner::write_ends(std::vector<TokenId> ids, std::optional<TokenId> first) {
    static constexpr const char* keys[] = {eos_key, "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};
    if (plan_.metadata.has(eos_key))  // the tokenizer puts it behind every text
        first = static_cast<TokenId>(plan_.metadata.integer(eos_key, 0, max_token_id));
    if (ids.empty() && first) ids.push_back(*first);
    if (first)
        if (const auto at = std::ranges::find(ids, *first); at != ids.end()) std::rotate(ids.begin(), at, at + 1);
    const bool fits = !plan_.metadata.has(eos_key) || ids.front() == *first;
    if (ids.size() > std::size(keys) || !fits)
        throw UnsupportedError(checkpoint_.generation_config_path() + ": eos_token_id",
                               fits ? "more than 3 ids cannot be written into a GGUF file"
                                    : "a list without the token that tokenizer.json puts behind every text cannot be "
                                      "written into a GGUF file");
    for (std::size_t i = 0; i < ids.size(); ++i) set_id(keys[i], ids[i]);
}

EIGENLM_LARGE void FolderPlanner::write_chat_template() {
    const auto text = ChatTemplateText::read(checkpoint_.folder());
    if (!text) return;
    plan_.metadata.set("tokenizer.chat_template", gguf_text(text->source));
    if (!text->with_tools) return;
    GgufValue names = gguf_texts();
    append_text(names, "tool_use");
    plan_.metadata.set("tokenizer.chat_templates", std::move(names));
    plan_.metadata.set("tokenizer.chat_template.tool_use", gguf_text(*text->with_tools));
}

EIGENLM_LARGE void FolderPlanner::plan_rope_factors() {
    if (config_.rope_scaling.kind != RopeScaling::Kind::llama3) return;
    const auto factors = std::make_shared<const std::vector<float>>(llama3_factors(config_));
    Tensor source{checkpoint_.config_path() + ": rope_scaling",
                  Dtype::f32,
                  {factors->size()},
                  [factors](std::size_t first, std::span<std::byte> out) {
                      std::memcpy(out.data(), factors->data() + first, out.size());
                  }};
    plan_.tensors.push_back({{"rope_freqs.weight", source.shape, Dtype::f32}, std::move(source)});
}

EIGENLM_LARGE void FolderPlanner::plan_tensor(const std::string& name, const std::vector<std::size_t>& shape,
                                              Dtype type) {
    const std::string theirs = *gguf_name(name);
    Tensor source = checkpoint_.tensors().tensor(name, shape);
    if (const std::size_t heads = heads_put_into_pairs(config_, name); heads != 0)
        source = with_halves_in_pairs(std::move(source), heads);
    const Dtype dtype = planned_type(type, theirs, shape, config_.tie_word_embeddings);
    plan_.tensors.push_back({{theirs, shape, dtype}, std::move(source)});
}
#endif

}  // namespace detail

}  // namespace eigenlm::inline EIGENLM_ABI
