#pragma once
// Chat templates: a conversation to the text that a model was trained to see, as transformers writes it.
#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/error.hpp"
#include "../file/file.hpp"
#include "../file/gguf_splits.hpp"
#include "../file/json.hpp"
#include "../jinja/template.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// How a conversation is rendered.
struct RenderOptions {
    /// What a template is told that asks for the time (strftime_now); default: the current time. It is shown as local
    /// time.
    std::optional<std::chrono::system_clock::time_point> now = std::nullopt;
};

/// What a Hugging Face folder or a GGUF file says about its chat template: read, and not parsed yet.
struct ChatTemplateText {
    std::string where;                      ///< names the template in messages
    std::string source;                     ///< of the (default) template
    std::optional<std::string> with_tools;  ///< the one for conversations with tools, where there are two
    nlohmann::ordered_json special_tokens = nlohmann::ordered_json::object();  ///< variables of the template

    /// chat_template.jinja, or else chat_template of tokenizer_config.json; nothing when the folder has neither.
    /// tokenizer_config.json may have several by name: `tool_use` is then for conversations with tools, and `default`
    /// for others. The special tokens (bos_token, ...) are its own and those of special_tokens_map.json. Of a GGUF
    /// file: as from its metadata. Throws IoError and FormatError for these files.
    static std::optional<ChatTemplateText> read(const std::filesystem::path& path);
    /// tokenizer.chat_template and the one with .tool_use behind it, with the names of the special tokens whose ids are
    /// there. Throws FormatError.
    static std::optional<ChatTemplateText> read(const GgufMetadata& metadata);
    /// Those special tokens alone.
    /// @{
    static nlohmann::ordered_json read_special_tokens(const std::filesystem::path& path);
    static nlohmann::ordered_json read_special_tokens(const GgufMetadata& metadata);
    /// @}
};

/// The chat template of a model. Immutable, so any number of threads may use one object; copies share it.
class ChatTemplate {
  public:
    /// Parses it. Throws FormatError, with line and column, for what is no template, and UnsupportedError for what
    /// docs/chat_templates.md leaves out.
    explicit ChatTemplate(ChatTemplateText text);
    /// A template's text without special tokens; `where` names it in messages.
    static ChatTemplate from_text(std::string_view source, const std::string& where);
    /// The same, with the special tokens of a folder or GGUF file: a template in place of its own. Throws IoError and
    /// FormatError for these files, too.
    static ChatTemplate from_text(std::string_view source, const std::string& where, const std::filesystem::path& path);
    /// The one of a folder or GGUF file, if it has one. Throws what ChatTemplateText::read does, and parsing.
    static std::optional<ChatTemplate> load(const std::filesystem::path& path);

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
        nlohmann::ordered_json special_tokens;
    };

    std::shared_ptr<const Parts> parts_;
};

/// A chat template that is parsed when it is asked for the first time: programs that never do need no parser. For any
/// number of threads.
class DeferredChatTemplate {
  public:
    /// There is none.
    DeferredChatTemplate() = default;
    /// This one.
    explicit DeferredChatTemplate(ChatTemplateText text) : text_(std::move(text)) {}
    /// The one of a folder, or of a GGUF file's metadata. What is wrong with it is get()'s to throw.
    template <class Source>
    explicit DeferredChatTemplate(const Source& source) {
        try {
            text_ = ChatTemplateText::read(source);
        } catch (const Error&) {
            error_ = std::current_exception();
        }
    }

    /// The template; null where there is none. Throws what reading its files and parsing it throw.
    std::shared_ptr<const ChatTemplate> get() const {
        if (error_) std::rethrow_exception(error_);
        if (text_) std::call_once(once_, [this] { parsed_ = std::make_shared<const ChatTemplate>(*text_); });
        return parsed_;
    }

  private:
    std::optional<ChatTemplateText> text_;
    std::exception_ptr error_;
    mutable std::once_flag once_;
    mutable std::shared_ptr<const ChatTemplate> parsed_;
};

namespace detail {

/// A JSON file's content, if the file is there.
inline std::optional<nlohmann::json> read_json_if_there(const std::filesystem::path& file) {
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) return std::nullopt;
    return parse_json(read_text(file), file.string());
}

/// The special tokens that transformers hands to templates: strings, or objects with their content.
inline void add_special_tokens(nlohmann::ordered_json& tokens, const JsonObject& file) {
    for (const char* name :
         {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
        if (!file.has(name)) continue;
        const auto object = file.raw()[name].is_object() ? file.object(name) : std::nullopt;
        tokens[name] = object ? object->string("content") : file.string(name);
    }
}

/// Those of a folder, whose tokenizer_config.json is `config`.
inline nlohmann::ordered_json special_tokens(const std::filesystem::path& folder,
                                             const std::optional<nlohmann::json>& config) {
    nlohmann::ordered_json tokens = nlohmann::ordered_json::object();
    if (config) add_special_tokens(tokens, JsonObject(*config, (folder / "tokenizer_config.json").string()));
    // Newer folders say it all in the config, with added_tokens_decoder; transformers then ignores the other file.
    if (config && config->contains("added_tokens_decoder")) return tokens;
    const auto map = folder / "special_tokens_map.json";
    if (const auto content = read_json_if_there(map)) add_special_tokens(tokens, JsonObject(*content, map.string()));
    return tokens;
}

/// The templates of a tokenizer_config.json, if it has any.
inline std::optional<ChatTemplateText> template_of(const JsonObject& config) {
    if (!config.has("chat_template")) return std::nullopt;
    ChatTemplateText text;
    text.where = config.path("chat_template");
    if (!config.raw()["chat_template"].is_array()) {
        text.source = config.string("chat_template");
        return text;
    }
    bool found = false;
    for (const nlohmann::json& entry : config.array("chat_template")) {
        const JsonObject named(entry, text.where);
        const std::string name = named.string("name");
        if (name == "default") text.source = named.string("template"), found = true;
        if (name == "tool_use") text.with_tools = named.string("template");
    }
    if (!found) throw FormatError(text.where, "expected a template of the name \"default\", found none");
    return text;
}

}  // namespace detail

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE nlohmann::ordered_json ChatTemplateText::read_special_tokens(const GgufMetadata& metadata) {
    std::map<std::int64_t, std::vector<std::string>> wanted;
    for (const char* name : {"bos", "eos", "unknown", "seperator", "padding", "cls", "mask"}) {  // ggml's spelling
        const std::string key = std::string("tokenizer.ggml.") + name + "_token_id";
        const std::int64_t id = metadata.integer_or(key, -1, -1, std::numeric_limits<std::uint32_t>::max());
        const std::string_view ggml = name;
        const std::string ours = ggml == "unknown"     ? "unk"
                                 : ggml == "seperator" ? "sep"
                                 : ggml == "padding"   ? "pad"
                                                       : name;
        if (id >= 0) wanted[id].push_back(ours + "_token");
    }
    nlohmann::ordered_json tokens = nlohmann::ordered_json::object();
    if (!metadata.has("tokenizer.ggml.tokens")) return tokens;
    metadata.each_string("tokenizer.ggml.tokens", [&](std::size_t id, std::string_view text) {
        if (const auto found = wanted.find(static_cast<std::int64_t>(id)); found != wanted.end())
            for (const std::string& name : found->second) tokens[name] = text;
    });
    return tokens;
}

EIGENLM_LARGE std::optional<ChatTemplateText> ChatTemplateText::read(const GgufMetadata& metadata) {
    constexpr const char *key = "tokenizer.chat_template", *tools_key = "tokenizer.chat_template.tool_use";
    if (!metadata.has(key)) return std::nullopt;
    ChatTemplateText text{metadata.path(key), metadata.string(key), std::nullopt, read_special_tokens(metadata)};
    if (metadata.has(tools_key)) text.with_tools = metadata.string(tools_key);
    return text;
}

EIGENLM_LARGE std::optional<ChatTemplateText> ChatTemplateText::read(const std::filesystem::path& folder) {
    if (is_gguf(folder)) return read(GgufFiles(folder).metadata());
    std::error_code ignored;
    const auto config = detail::read_json_if_there(folder / "tokenizer_config.json");
    std::optional<ChatTemplateText> text;
    if (const auto file = folder / "chat_template.jinja"; std::filesystem::exists(file, ignored))
        text = ChatTemplateText{file.string(), read_text(file), std::nullopt};
    else if (config)
        text = detail::template_of(JsonObject(*config, (folder / "tokenizer_config.json").string()));
    if (text) text->special_tokens = detail::special_tokens(folder, config);
    return text;
}

EIGENLM_LARGE nlohmann::ordered_json ChatTemplateText::read_special_tokens(const std::filesystem::path& folder) {
    if (is_gguf(folder)) return read_special_tokens(GgufFiles(folder).metadata());
    return detail::special_tokens(folder, detail::read_json_if_there(folder / "tokenizer_config.json"));
}

EIGENLM_LARGE ChatTemplate::ChatTemplate(ChatTemplateText text) {
    Parts parts{text.source, jinja::Template(text.source, text.where), std::nullopt, std::move(text.special_tokens)};
    if (text.with_tools) parts.with_tools.emplace(*text.with_tools, text.where + " (tool_use)");
    parts_ = std::make_shared<const Parts>(std::move(parts));
}

EIGENLM_LARGE ChatTemplate ChatTemplate::from_text(std::string_view source, const std::string& where) {
    return ChatTemplate(ChatTemplateText{where, std::string(source), std::nullopt});
}

EIGENLM_LARGE ChatTemplate ChatTemplate::from_text(std::string_view source, const std::string& where,
                                                   const std::filesystem::path& folder) {
    return ChatTemplate({where, std::string(source), std::nullopt, ChatTemplateText::read_special_tokens(folder)});
}

EIGENLM_LARGE std::optional<ChatTemplate> ChatTemplate::load(const std::filesystem::path& folder) {
    auto text = ChatTemplateText::read(folder);
    if (!text) return std::nullopt;
    return ChatTemplate(*std::move(text));
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
