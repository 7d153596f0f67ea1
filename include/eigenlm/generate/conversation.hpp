#pragma once
// Several answers, one after the other: messages in a model's own format, over one cache that is kept between them.
#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/utf8.hpp"
#include "../tokenizer/chat_template.hpp"
#include "generation.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// How a conversation is held.
struct ConversationOptions {
    SessionOptions session = {};  ///< the room for all of it, and the cache
    /// What the template is told beside the messages: tools, documents, enable_thinking, ... An object. (Messages in it
    /// are not seen; add_generation_prompt is true unless it says otherwise.)
    nlohmann::ordered_json variables = nlohmann::ordered_json::object();
    std::shared_ptr<const ChatTemplate> chat_template = nullptr;  ///< default: the model's
    RenderOptions render = {};                                    ///< of the template
};

namespace detail {

/// What a conversation and its answer under way share.
struct ConversationState {
    std::shared_ptr<const Tokenizer> tokenizer;
    GenerationDefaults defaults;
    ConversationOptions options;
    Session session;
    std::vector<TokenId> held;  // the ids in the session, with room for all that it can hold
    nlohmann::ordered_json messages = nlohmann::ordered_json::array();
    bool answering = false;

    void keep_messages(std::size_t count) noexcept {
        auto& list = *messages.get_ptr<nlohmann::ordered_json::array_t*>();
        list.erase(list.begin() + static_cast<std::ptrdiff_t>(count), list.end());
    }
    /// What the session holds of these ids, which it was run on in this order. Never more than it has room for.
    void note_held(const std::vector<TokenId>& prompt, const std::vector<TokenId>& answer) noexcept {
        const std::size_t length = session.length(), of_prompt = std::min(length, prompt.size());
        held.assign(prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(of_prompt));
        held.insert(held.end(), answer.begin(), answer.begin() + static_cast<std::ptrdiff_t>(length - of_prompt));
    }
};

/// Appends text to a message: JSON's strings are UTF-8, so U+FFFD stands for what is none.
inline void append_valid_utf8(std::string& out, std::string_view piece) {
    constexpr char32_t replacement = 0xFFFD;
    for (std::size_t pos = 0; pos < piece.size();) {
        const unicode::Character c = unicode::decode_utf8(piece, pos);
        unicode::append_utf8(out, c.code < unicode::invalid_base ? c.code : replacement);
        pos += c.length;
    }
}

}  // namespace detail

/// The answer that a conversation is giving: a Generation whose text also becomes the conversation's last message while
/// it is handed out. The answer ends with its text, or where this object ends before; what was handed out stays in the
/// conversation. Only an answer that ends before it says anything, and not by the model's own decision (eos or stop),
/// is taken back, together with the question. Until the end the conversation takes no call that changes it.
class Answer {
  public:
    /// Made by Conversation::ask and Conversation::answer.
    Answer(std::shared_ptr<detail::ConversationState> state, Generation generation, std::size_t messages_before)
        : state_(std::move(state)), generation_(std::move(generation)), messages_before_(messages_before) {}
    /// Ends the answer.
    ~Answer() { end_answer(); }
    /// What was moved from has no more to say.
    Answer(Answer&&) = default;
    Answer& operator=(Answer&&) = delete;

    /// The next piece of text; see Generation::next. After an exception (a callback's, say) calling it again goes on
    /// without a loss.
    std::string_view next() {
        if (!state_) return {};
        const std::string_view piece = generation_.next();
        if (piece.empty())
            end_answer();
        else
            detail::append_valid_utf8(content(), piece);
        return piece;
    }
    /// All the text that is still to come.
    std::string text() {
        std::string all;
        for (std::string_view piece = next(); !piece.empty(); piece = next()) all += piece;
        return all;
    }
    /// Single-pass iteration over the pieces.
    using Iterator = PieceIterator<Answer>;
    /// Asks for the first piece. The text of earlier next() calls does not come again.
    Iterator begin() { return Iterator(*this); }
    /// Compares equal when the text has ended.
    std::default_sentinel_t end() const { return {}; }

    /// The whole conversation up to this answer, as the template writes it.
    const std::vector<TokenId>& prompt_ids() const { return generation_.prompt_ids(); }
    /// The answer's tokens so far, with an end-of-sequence token that ended it.
    const std::vector<TokenId>& ids() const { return generation_.ids(); }
    /// Why it ended; see Generation::stop_reason.
    StopReason stop_reason() const { return generation_.stop_reason(); }
    /// Times so far, and how many tokens of the prompt were in the cache.
    const GenerationTiming& timing() const { return generation_.timing(); }

  private:
    std::string& content() const { return state_->messages.back()["content"].get_ref<std::string&>(); }

    void end_answer() noexcept {
        if (!state_) return;
        const StopReason reason = generation_.stop_reason();
        if (content().empty() && reason != StopReason::eos && reason != StopReason::stop)
            state_->keep_messages(messages_before_);
        state_->note_held(generation_.prompt_ids(), generation_.ids());
        state_->answering = false;
        state_.reset();
    }

    std::shared_ptr<detail::ConversationState> state_;  // null once the answer has ended
    Generation generation_;
    std::size_t messages_before_;
};

/// Messages, and a model that answers them. What the model has read stays in the session's cache: an answer takes in
/// only what differs from there on, and has the bits of one that reads everything anew. Movable; for one thread at a
/// time. A call that throws leaves the messages as they were; whatever ends an answer, the next one can be asked for.
///
/// The template writes the whole text, with a beginning-of-sequence token where it wants one; special tokens that are
/// spelled out in messages count as such. Without further options the model's end-of-turn tokens end an answer: those
/// that generation_config.json has as eos_token_id.
class Conversation {
  public:
    /// Prefer LanguageModel::conversation. Throws ArgumentError where `model`, `tokenizer` or options.chat_template is
    /// null or options.variables is no object, and what Session's constructor throws.
    Conversation(std::shared_ptr<const Model> model, std::shared_ptr<const Tokenizer> tokenizer,
                 GenerationDefaults defaults, ConversationOptions options)
        : Conversation{Session(std::move(model), options.session), std::move(tokenizer), std::move(defaults),
                       std::move(options)} {}  // braces: in this order

    /// All of it so far: an array of objects with role, content, ...
    const nlohmann::ordered_json& messages() const { return state().messages; }
    /// Puts others in their place. Throws ArgumentError unless they are an array of objects with a role.
    void set_messages(nlohmann::ordered_json messages) {
        if (!messages.is_array()) refuse("messages", "an array", messages);
        for (const nlohmann::ordered_json& message : messages) check_message(message);
        idle().messages = std::move(messages);
    }
    /// Puts a message behind the others without asking for an answer: a tool's result, say. Throws ArgumentError unless
    /// it is an object with a role.
    void add(nlohmann::ordered_json message) {
        check_message(message);
        idle().messages.push_back(std::move(message));
    }
    /// Puts a system message in front, in place of one that stands there; none if the text is empty. The rest stays,
    /// and will be read anew.
    void set_system(std::string_view text) {
        nlohmann::ordered_json& all = idle().messages;
        if (text.empty()) {
            if (has_system()) all.erase(all.begin());
            return;
        }
        nlohmann::ordered_json system = message_of("system", text);
        if (has_system())
            all.front() = std::move(system);
        else
            all.insert(all.begin(), std::move(system));
    }
    /// Forgets everything but a system message in front.
    void reset() { idle().keep_messages(has_system() ? 1 : 0); }

    /// What the template is told beside the messages.
    const nlohmann::ordered_json& variables() const { return state().options.variables; }
    /// Changes that. Throws ArgumentError unless it is an object.
    void set_variables(nlohmann::ordered_json variables) {
        if (!variables.is_object()) refuse("variables", "an object", variables);
        idle().options.variables = std::move(variables);
    }

    /// Adds a user's message and answers it; `options` as for LanguageModel::generate, but that the context and the
    /// cache are the conversation's. Nothing is computed before the first piece is asked for. Throws StateError while
    /// an answer is under way, and where the conversation with this message has no room in the context; ArgumentError
    /// for options out of range; what the template throws. The messages are then what they were before.
    Answer ask(std::string_view text, GenerateOptions options = {}) {
        detail::ConversationState& s = idle();
        const std::size_t before = s.messages.size();
        s.messages.push_back(message_of("user", text));
        try {
            return answer_from(before, std::move(options));
        } catch (...) {
            s.keep_messages(before);
            throw;
        }
    }
    /// Answers the messages as they are; otherwise as ask.
    Answer answer(GenerateOptions options = {}) { return answer_from(idle().messages.size(), std::move(options)); }

    /// What the model reads before it answers: the messages as the template writes them, ready for the answer.
    std::string prompt() const {
        const detail::ConversationState& s = state();
        nlohmann::ordered_json all = s.options.variables;
        all["messages"] = s.messages;
        if (!all.contains("add_generation_prompt")) all["add_generation_prompt"] = true;
        return s.options.chat_template->render(all, s.options.render);
    }
    /// Positions in the cache.
    std::size_t length() const { return state().session.length(); }
    /// Positions there is room for.
    std::size_t capacity() const { return state().session.capacity(); }

  private:
    Conversation(Session session, std::shared_ptr<const Tokenizer> tokenizer, GenerationDefaults defaults,
                 ConversationOptions options)
        : state_(std::make_shared<detail::ConversationState>(
              detail::ConversationState{detail::not_null(std::move(tokenizer), "Conversation: tokenizer"),
                                        std::move(defaults),
                                        std::move(options),
                                        std::move(session),
                                        {}})) {
        detail::not_null(state_->options.chat_template, "Conversation: chat template");
        if (!variables().is_object()) refuse("variables", "an object", variables());
        state_->held.reserve(state_->session.capacity());
    }

    detail::ConversationState& state() const {
        if (!state_) throw StateError("conversation", "it was moved from");
        return *state_;
    }
    detail::ConversationState& idle() const {
        if (state().answering) throw StateError("conversation", "an answer is under way");
        return *state_;
    }

    [[noreturn]] static void refuse(const char* what, const char* expected, const nlohmann::ordered_json& found) {
        throw ArgumentError(std::string("conversation: ") + what,
                            std::string("expected ") + expected + ", found " + found.type_name());
    }
    static void check_message(const nlohmann::ordered_json& message) {
        if (!message.is_object()) refuse("message", "an object", message);
        const auto role = message.find("role");
        if (role == message.end() || !role->is_string())
            throw ArgumentError("conversation: message", "expected a role that is a string");
    }
    static nlohmann::ordered_json message_of(const char* role, std::string_view text) {
        std::string valid;
        detail::append_valid_utf8(valid, text);
        return {{"role", role}, {"content", std::move(valid)}};
    }
    bool has_system() const {
        const auto& all = state().messages;
        return !all.empty() && all.front()["role"] == "system";
    }

    /// Answers the messages; if nothing comes of it, the first `before` are kept.
    Answer answer_from(std::size_t before, GenerateOptions options) {
        detail::ConversationState& s = state();
        std::vector<TokenId> ids = encode(prompt());
        if (ids.size() > capacity())
            throw StateError("conversation", "the context is full: the conversation has " + std::to_string(ids.size()) +
                                                 " tokens, room for " + std::to_string(capacity()));
        const auto same = static_cast<std::size_t>(std::ranges::mismatch(s.held, ids).in1 - s.held.begin());
        const std::size_t kept = std::min(same, std::max<std::size_t>(ids.size(), 1) - 1);  // the last gives the logits
        s.session.truncate(kept);
        s.held.resize(kept);
        options.continues = false;
        Generation generation(s.session, s.tokenizer, s.defaults, std::move(ids), std::move(options));
        s.messages.push_back(message_of("assistant", ""));
        s.answering = true;
        return Answer(state_, std::move(generation), before);
    }
    /// The template has written all special tokens; where it has written nothing, a text from nothing begins.
    std::vector<TokenId> encode(std::string_view text) const {
        const detail::ConversationState& s = state();
        std::vector<TokenId> ids = s.tokenizer->encode(text, {.add_special_tokens = false});
        if (ids.empty() && s.defaults.bos_token_id) ids.push_back(*s.defaults.bos_token_id);
        return ids;
    }

    std::shared_ptr<detail::ConversationState> state_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
