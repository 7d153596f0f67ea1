#pragma once
// The front door: a path in, text out.
#include <chrono>
#include <filesystem>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../file/checkpoint.hpp"
#include "../weights/read_gguf_config.hpp"
#include "conversation.hpp"
#include "divergence.hpp"
#include "generation.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// A model with its tokenizer. Cheap to copy (copies share the weights), immutable, usable from several threads.
class LanguageModel {
  public:
    /// Prefer eigenlm::load. Throws ArgumentError where `model` or `tokenizer` is null; without a `chat_template`
    /// conversations must bring theirs.
    LanguageModel(std::shared_ptr<const Model> model, std::shared_ptr<const Tokenizer> tokenizer,
                  GenerationDefaults defaults, std::shared_ptr<const DeferredChatTemplate> chat_template = nullptr)
        : model_(detail::not_null(std::move(model), "LanguageModel: model")),
          tokenizer_(detail::not_null(std::move(tokenizer), "LanguageModel: tokenizer")),
          defaults_(std::move(defaults)),
          chat_template_(std::move(chat_template)) {}

    /// An answer to `prompt`, computed while it is iterated over. Special tokens spelled out in the prompt count as
    /// such; the tokenizer's beginning-of-sequence token is put in front where the model wants one. Throws
    /// ArgumentError for options out of range and for a prompt that is empty or longer than the context.
    Generation generate(std::string_view prompt, GenerateOptions options = {}) const {
        return generate(encode(prompt), std::move(options));
    }
    /// The same for a prompt that is ids already.
    Generation generate(std::vector<TokenId> prompt, GenerateOptions options = {}) const {
        return Generation(model_, tokenizer_, defaults_, std::move(prompt), std::move(options));
    }

    /// A prompt's ids: the tokenizer's, or the beginning-of-sequence token alone for an empty text.
    std::vector<TokenId> encode(std::string_view text) const {
        std::vector<TokenId> ids = tokenizer_->encode(text);
        if (ids.empty() && defaults_.bos_token_id) ids.push_back(*defaults_.bos_token_id);
        return ids;
    }

    /// A conversation in the model's own format, without messages yet. Throws ArgumentError where neither the model nor
    /// the options have a chat template, and what chat_template() and Session's constructor throw.
    Conversation conversation(ConversationOptions options = {}) const {
        if (!options.chat_template) options.chat_template = chat_template();
        if (!options.chat_template)
            throw ArgumentError("conversation",
                                "expected a model with a chat template, or one in the options, found neither");
        return Conversation(model_, tokenizer_, defaults_, std::move(options));
    }
    /// What writes the model's conversations; null where its folder has none. A broken one does not keep the model from
    /// being loaded: it is here that its FormatError, UnsupportedError or IoError is thrown.
    std::shared_ptr<const ChatTemplate> chat_template() const {
        return chat_template_ ? chat_template_->get() : nullptr;
    }

    /// How likely the model finds a text of at least two ids; see eigenlm::score.
    Score score(std::span<const TokenId> ids, const ScoreOptions& options = {}) const {
        return eigenlm::score(model_, ids, options);
    }
    /// How far this model is from `base` on a text of at least two ids; see eigenlm::divergence. Throws ArgumentError
    /// also where an id of the text is another token in `base`.
    Divergence divergence(const LanguageModel& base, std::span<const TokenId> ids,
                          const ScoreOptions& options = {}) const {
        require_same_tokens(*base.tokenizer_, ids);
        return eigenlm::divergence(model_, base.model_, ids, options);
    }

    /// A sequence to run by hand, step by step.
    Session session(const SessionOptions& options = {}) const { return Session(model_, options); }

    /// Text <-> ids.
    const Tokenizer& tokenizer() const { return *tokenizer_; }
    /// The model's shape.
    const ModelConfig& config() const { return model_->config(); }
    /// What generation_config.json suggests.
    const GenerationDefaults& defaults() const { return defaults_; }
    /// The level of the kernels in use.
    Isa isa() const { return model_->compute().kernels.isa; }
    /// How the weights are stored.
    WeightType dtype() const { return model_->transformer().dtype(); }
    /// Threads that one call splits its work over.
    std::size_t threads() const { return model_->compute().pool.size(); }
    /// Positions a session can have at most.
    std::size_t context() const { return model_->context(); }
    /// Bytes of the packed weight matrices.
    std::size_t weight_bytes() const { return model_->transformer().weight_bytes(); }

  private:
    void require_same_tokens(const Tokenizer& base, std::span<const TokenId> ids) const {
        const auto written = [](const Tokenizer& t, TokenId id) {
            return t.contains(id) ? "\"" + std::string(t.token_bytes(id)) + "\"" : std::string("no token");
        };
        for (const TokenId id : ids)
            if (const std::string ours = written(*tokenizer_, id), theirs = written(base, id); ours != theirs)
                throw ArgumentError("divergence", "expected a base of the model's vocabulary, in which id " +
                                                      std::to_string(id) + " is " + ours + ", found " + theirs);
    }

    std::shared_ptr<const Model> model_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    GenerationDefaults defaults_;
    std::shared_ptr<const DeferredChatTemplate> chat_template_;
};

/// Loads a Hugging Face model folder: config.json, tokenizer.json, model.safetensors (or model.safetensors.index.json
/// and the files it names) and, where they are there, generation_config.json and the chat template. Or a GGUF file, or
/// all of them where it is one of several; weights stay as they are, each matrix in its own type, unless
/// options.dtype says otherwise. Throws IoError,
/// FormatError or UnsupportedError, naming file and field, for what cannot be used; ResourceError when memory does not
/// suffice; CancelledError when options.cancel asked for it. A broken chat template is LanguageModel::chat_template's
/// to throw.
EIGENLM_LARGE LanguageModel load(const std::filesystem::path& path, const ModelOptions& options = {});

#if EIGENLM_DEFINE_LARGE
namespace detail {

inline LanguageModel load_gguf(const std::filesystem::path& path, const ModelOptions& options) {
    const GgufFiles files(path);
    const ModelConfig config = read_config(files);
    const GgufTensors tensors(files, config);
    GenerationDefaults defaults = read_generation_defaults(config, files.metadata());
    auto tokenizer = std::make_shared<const Tokenizer>(read_gguf_tokenizer(files.metadata()));
    auto model = std::make_shared<const Model>(config, tensors, options);
    return LanguageModel(std::move(model), std::move(tokenizer), std::move(defaults),
                         std::make_shared<const DeferredChatTemplate>(files.metadata()));
}

inline LanguageModel load_folder(const std::filesystem::path& folder, const ModelOptions& options) {
    const Checkpoint checkpoint = Checkpoint::open(folder);
    const ModelConfig config = read_config(checkpoint);
    GenerationDefaults defaults = read_generation_defaults(config, checkpoint.config(), checkpoint.generation_config(),
                                                           checkpoint.generation_config_path());
    auto tokenizer = std::make_shared<const Tokenizer>(Tokenizer::load(folder));
    auto model = std::make_shared<const Model>(config, checkpoint.tensors(), options);
    return LanguageModel(std::move(model), std::move(tokenizer), std::move(defaults),
                         std::make_shared<const DeferredChatTemplate>(folder));
}

}  // namespace detail

EIGENLM_LARGE LanguageModel load(const std::filesystem::path& path, const ModelOptions& options) try {
    return is_gguf(path) ? detail::load_gguf(path, options) : detail::load_folder(path, options);
} catch (const std::bad_alloc&) {
    throw ResourceError(path.string(), "no memory left to load it");
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI
