#pragma once
// Chat templates: a conversation to the text that a model was trained to see, as transformers writes it.
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "../base/error.hpp"
#include "../file/file.hpp"
#include "../file/json.hpp"
#include "../jinja/template.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// How a conversation is rendered.
struct RenderOptions {
    /// What a template is told that asks for the time (strftime_now); default: the current time. It is shown as local
    /// time.
    std::optional<std::chrono::system_clock::time_point> now = std::nullopt;
};

/// The chat template of a model. Immutable, so any number of threads may use one object; copies share it.
class ChatTemplate {
  public:
    /// A template's text; `where` names it in messages. Throws FormatError, with line and column, for what is no
    /// template, and UnsupportedError for what docs/chat_templates.md leaves out.
    static ChatTemplate from_text(std::string_view source, const std::string& where);
    /// The same, with the special tokens of a folder, as load has them: a template in place of that folder's own.
    /// Throws what from_text throws, and IoError and FormatError for the files of the folder.
    static ChatTemplate from_text(std::string_view source, const std::string& where,
                                  const std::filesystem::path& folder);

    /// The one of a Hugging Face folder: chat_template.jinja, or else chat_template of tokenizer_config.json; nothing
    /// when the folder has neither. tokenizer_config.json may have several by name: `tool_use` is then for
    /// conversations with tools, and `default` for others. Its special tokens (bos_token, ...), and those of
    /// special_tokens_map.json, are variables of the template. Throws IoError and FormatError for these files, and what
    /// from_text does.
    static std::optional<ChatTemplate> load(const std::filesystem::path& folder);

    /// The prompt of a conversation. `variables`, an object: messages, tools, add_generation_prompt, and whatever else
    /// the template asks for. As in transformers, tools and documents are null and add_generation_prompt is false
    /// unless they are given. Throws TemplateError, with line and column, for what the template refuses or fails at.
    std::string render(const nlohmann::ordered_json& variables, const RenderOptions& options = {}) const;

    /// The text of the (default) template.
    const std::string& source() const { return parts_->source; }

  private:
    struct Parts {
        std::string source;
        jinja::Template main;
        std::optional<jinja::Template> with_tools;
        nlohmann::ordered_json special_tokens = nlohmann::ordered_json::object();
    };
    explicit ChatTemplate(Parts parts) : parts_(std::make_shared<const Parts>(std::move(parts))) {}

    static std::optional<Parts> read_config(const JsonObject& config);
    static void add_special_tokens(nlohmann::ordered_json& tokens, const JsonObject& file);
    static std::optional<nlohmann::json> read_object(const std::filesystem::path& file);
    static nlohmann::ordered_json special_tokens(const std::filesystem::path& folder,
                                                 const std::optional<nlohmann::json>& config);

    std::shared_ptr<const Parts> parts_;
};

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE ChatTemplate ChatTemplate::from_text(std::string_view source, const std::string& where) {
    return ChatTemplate({std::string(source), jinja::Template(source, where), std::nullopt});
}

EIGENLM_LARGE ChatTemplate ChatTemplate::from_text(std::string_view source, const std::string& where,
                                                   const std::filesystem::path& folder) {
    return ChatTemplate({std::string(source), jinja::Template(source, where), std::nullopt,
                         special_tokens(folder, read_object(folder / "tokenizer_config.json"))});
}

/// A JSON file's content, if the file is there.
EIGENLM_LARGE std::optional<nlohmann::json> ChatTemplate::read_object(const std::filesystem::path& file) {
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) return std::nullopt;
    return parse_json(read_text(file), file.string());
}

/// The special tokens that transformers hands to templates: strings, or objects with their content.
EIGENLM_LARGE void ChatTemplate::add_special_tokens(nlohmann::ordered_json& tokens, const JsonObject& file) {
    for (const char* name :
         {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
        if (!file.has(name)) continue;
        const auto object = file.raw()[name].is_object() ? file.object(name) : std::nullopt;
        tokens[name] = object ? object->string("content") : file.string(name);
    }
}

/// The templates of a tokenizer_config.json, if it has any.
EIGENLM_LARGE std::optional<ChatTemplate::Parts> ChatTemplate::read_config(const JsonObject& config) {
    if (!config.has("chat_template")) return std::nullopt;
    const std::string where = config.path("chat_template");
    if (!config.raw()["chat_template"].is_array()) {
        const std::string source = config.string("chat_template");
        return Parts{source, jinja::Template(source, where), std::nullopt};
    }
    std::optional<std::string> main, with_tools;
    for (const nlohmann::json& entry : config.array("chat_template")) {
        const JsonObject named(entry, where);
        const std::string name = named.string("name");
        if (name == "default") main = named.string("template");
        if (name == "tool_use") with_tools = named.string("template");
    }
    if (!main) throw FormatError(where, "expected a template of the name \"default\", found none");
    Parts parts{*main, jinja::Template(*main, where), std::nullopt};
    if (with_tools) parts.with_tools.emplace(*with_tools, where + " (tool_use)");
    return parts;
}

/// Those of a folder, whose tokenizer_config.json is `config`.
EIGENLM_LARGE nlohmann::ordered_json ChatTemplate::special_tokens(const std::filesystem::path& folder,
                                                                  const std::optional<nlohmann::json>& config) {
    nlohmann::ordered_json tokens = nlohmann::ordered_json::object();
    if (config) add_special_tokens(tokens, JsonObject(*config, (folder / "tokenizer_config.json").string()));
    // Newer folders say it all in the config, with added_tokens_decoder; transformers then ignores the other file.
    if (config && config->contains("added_tokens_decoder")) return tokens;
    const auto map = folder / "special_tokens_map.json";
    if (const auto content = read_object(map)) add_special_tokens(tokens, JsonObject(*content, map.string()));
    return tokens;
}

EIGENLM_LARGE std::optional<ChatTemplate> ChatTemplate::load(const std::filesystem::path& folder) {
    std::error_code ignored;
    const auto config = read_object(folder / "tokenizer_config.json");
    std::optional<Parts> parts;
    if (const auto file = folder / "chat_template.jinja"; std::filesystem::exists(file, ignored)) {
        const std::string source = read_text(file);
        parts = Parts{source, jinja::Template(source, file.string()), std::nullopt};
    } else if (config) {
        parts = read_config(JsonObject(*config, (folder / "tokenizer_config.json").string()));
    }
    if (!parts) return std::nullopt;
    parts->special_tokens = special_tokens(folder, config);
    return ChatTemplate(*std::move(parts));
}

EIGENLM_LARGE std::string ChatTemplate::render(const nlohmann::ordered_json& variables,
                                               const RenderOptions& options) const {
    if (!variables.is_object())
        throw ArgumentError("ChatTemplate::render",
                            std::string("expected an object of variables, found ") + variables.type_name());
    nlohmann::ordered_json all = variables;
    const auto set_default = [&](const std::string& name, nlohmann::ordered_json value) {
        if (!all.contains(name)) all[name] = std::move(value);
    };
    set_default("tools", nullptr);
    set_default("documents", nullptr);
    set_default("add_generation_prompt", false);
    for (auto it = parts_->special_tokens.begin(); it != parts_->special_tokens.end(); ++it)
        set_default(it.key(), it.value());
    const bool with_tools = parts_->with_tools && !all["tools"].is_null();
    const jinja::Template& chosen = with_tools ? *parts_->with_tools : parts_->main;
    return chosen.render(all, options.now.value_or(std::chrono::system_clock::now()));
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI
