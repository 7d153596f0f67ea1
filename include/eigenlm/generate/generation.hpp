#pragma once
// One answer: drawn token by token, handed out as text while it grows.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../tokenizer/stream_decoder.hpp"
#include "../tokenizer/tokenizer.hpp"
#include "options.hpp"
#include "session.hpp"
#include "stop.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Why a generation ended.
enum class StopReason {
    none,       ///< it has not
    length,     ///< max_new_tokens, or the context was full
    eos,        ///< an end-of-sequence token (the last of ids())
    stop,       ///< one of the stop texts
    cancelled,  ///< the caller's stop token
};

/// The reason's name: "none", "length", ...
constexpr const char* to_string(StopReason reason) {
    constexpr const char* names[] = {"none", "length", "eos", "stop", "cancelled"};
    return names[static_cast<int>(reason)];
}

/// Where the time of a generation went.
struct GenerationTiming {
    double prefill_seconds = 0;      ///< taking in the prompt
    std::size_t prefill_tokens = 0;  ///< of the prompt, without those that the session held already
    std::size_t reused_tokens = 0;   ///< of the prompt that the session held already
    double decode_seconds = 0;       ///< all later steps of the model
    std::size_t decode_tokens = 0;   ///< steps of the model behind the prefill

    /// tokens / seconds; 0 where no time has passed.
    static double rate(std::size_t tokens, double seconds) {
        return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
    }
    /// Tokens taken in by the time of the prefill.
    double prefill_tokens_per_second() const { return rate(prefill_tokens, prefill_seconds); }
    /// Steps by their time; sampling and text are not counted.
    double decode_tokens_per_second() const { return rate(decode_tokens, decode_seconds); }
};

/// Single-pass iteration over the pieces of text that Source::next() gives.
template <class Source>
class PieceIterator {
  public:
    /// An input iterator's members; incrementing computes, and throws what next() throws.
    /// @{
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    explicit PieceIterator(Source& source) : source_(&source), piece_(source.next()) {}
    std::string_view operator*() const { return piece_; }
    PieceIterator& operator++() {
        piece_ = source_->next();
        return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return piece_.empty(); }
    /// @}

  private:
    Source* source_;
    std::string_view piece_;
};

/// A growing answer. Iterate over it for pieces of text as they come, or take text() at once; ids(), stop_reason() and
/// timing() tell the rest. Single pass, movable, not for two threads at once. Nothing is computed before the first
/// piece is asked for.
class Generation {
  public:
    /// Prefer LanguageModel::generate. Throws ArgumentError where `model` or `tokenizer` is null, for options out of
    /// range, and for a prompt that is empty, has ids that are none, or is longer than the context.
    Generation(std::shared_ptr<const Model> model, std::shared_ptr<const Tokenizer> tokenizer,
               const GenerationDefaults& defaults, std::vector<TokenId> prompt, GenerateOptions options)
        : Generation(Parts{own_session(std::move(model), prompt, options), std::move(tokenizer), std::move(prompt),
                           std::move(options)},  // braces: in this order
                     defaults) {}

    /// Over a session of somebody else's, which holds the first session.length() ids of `prompt` (this is not checked):
    /// only the rest is taken in, with the bits that all of it would give. The session must outlive the generation and
    /// be left alone until its end. It then holds prompt and answer, but for an id at the end that the model was not
    /// run on. Its context, its cache and the cache's type are what they are, whatever `options` say. Throws
    /// ArgumentError as the other constructor, and where nothing is left to take in.
    Generation(Session& session, std::shared_ptr<const Tokenizer> tokenizer, const GenerationDefaults& defaults,
               std::vector<TokenId> prompt, GenerateOptions options)
        : Generation(Parts{std::shared_ptr<Session>(std::shared_ptr<void>(), &session), std::move(tokenizer),
                           std::move(prompt), std::move(options)},
                     defaults) {}

    /// The next piece of text, whole characters, never empty but at the end; valid until the next call. Throws what
    /// Session::prefill and the callbacks throw; calling it again then goes on without a loss.
    std::string_view next() {
        for (;;) {
            if (!unseen_.empty()) return std::exchange(unseen_, {});
            if (finished()) return flush();
            step();
        }
    }
    /// All the text that is still to come.
    std::string text() {
        std::string all;
        for (std::string_view piece = next(); !piece.empty(); piece = next()) all += piece;
        return all;
    }

    /// Single-pass iteration over the pieces.
    using Iterator = PieceIterator<Generation>;
    /// Asks for the first piece. The text of earlier next() calls does not come again.
    Iterator begin() { return Iterator(*this); }
    /// Compares equal when the text has ended.
    std::default_sentinel_t end() const { return {}; }

    /// The prompt, with the tokens put in front of it.
    const std::vector<TokenId>& prompt_ids() const { return prompt_; }
    /// The new tokens so far, with an end-of-sequence token that ended them.
    const std::vector<TokenId>& ids() const { return ids_; }
    /// Why it ended; none until next() has returned an empty piece or the last one.
    StopReason stop_reason() const { return reason_; }
    /// Times so far.
    const GenerationTiming& timing() const { return timing_; }

  private:
    using Clock = std::chrono::steady_clock;

    struct Parts {
        std::shared_ptr<Session> session;  // owns nothing where the session is somebody else's
        std::shared_ptr<const Tokenizer> tokenizer;
        std::vector<TokenId> prompt;
        GenerateOptions options;
    };
    Generation(Parts&& parts, const GenerationDefaults& defaults)
        : options_(std::move(parts.options)),
          prompt_(std::move(parts.prompt)),
          eos_(options_.ignore_eos ? std::vector<TokenId>{} : defaults.eos_token_ids),
          tokenizer_(detail::not_null(std::move(parts.tokenizer), "generate: tokenizer")),
          session_(std::move(parts.session)),
          sampler_(resolve(options_, defaults.sampling), session_->config().vocab_size,
                   session_->model().compute().kernels),
          decoder_(*tokenizer_, {.continues = options_.continues}),
          stop_(options_.stop, tokenizer_->longest_token() + 4) {
        check_prompt(prompt_, session_->model(), session_->length(), session_->capacity());
        timing_.reused_tokens = session_->length();
        ids_.reserve(std::min(options_.max_new_tokens, session_->capacity()));
    }

    static void check_prompt(std::span<const TokenId> ids, const Model& model, std::size_t held, std::size_t room) {
        if (ids.empty()) throw ArgumentError("generate", "the prompt has no tokens");
        check_ids(ids, model.config(), "generate");
        if (ids.size() > room)
            throw ArgumentError("generate", "the prompt has " + std::to_string(ids.size()) + " tokens, the context " +
                                                std::to_string(room));
        if (ids.size() <= held)
            throw ArgumentError("generate", "the prompt has " + std::to_string(ids.size()) +
                                                " tokens, and the session holds " + std::to_string(held) +
                                                " already: expected at least one more");
    }
    static std::shared_ptr<Session> own_session(std::shared_ptr<const Model> model, std::span<const TokenId> ids,
                                                const GenerateOptions& o) {
        detail::not_null(model, "generate: model");
        const std::size_t most = o.context ? std::min(o.context, model->context()) : model->context();
        check_prompt(ids, *model, 0, most);
        SessionOptions session;
        session.context = ids.size() + std::min(o.max_new_tokens, most - ids.size());
        session.cache_type = o.cache_type;
        session.use_cache = o.use_cache;
        return std::make_shared<Session>(std::move(model), session);
    }

    Session& session() const {
        if (!session_) throw StateError("session", "it was moved from");
        return *session_;
    }
    bool finished() const { return reason_ != StopReason::none; }

    /// Draws one token into ids_, and its text into unseen_. The progress callback comes last: it may throw.
    void step() {
        if (options_.cancel.stop_requested()) return finish(StopReason::cancelled);
        if (ids_.size() == options_.max_new_tokens) return finish(StopReason::length);
        if (session().length() < prompt_.size() + ids_.size()) {  // else the last call ended behind the model's part
            if (session().length() == session().capacity()) return finish(StopReason::length);
            run_model();
            if (finished()) return;
        }
        const TokenId id = sampler_(logits_);
        sampler_.accept(id);
        ids_.push_back(id);
        if (std::ranges::find(eos_, id) != eos_.end())
            finish(StopReason::eos);
        else
            unseen_ = stop_.push(text_of(id));
        if (stop_.stopped()) finish(StopReason::stop);
        if (options_.progress) options_.progress({Stage::decode, ids_.size(), most_new_tokens()});
    }
    void finish(StopReason reason) { reason_ = reason; }
    std::size_t most_new_tokens() const {
        return std::min(options_.max_new_tokens, session().capacity() - prompt_.size());
    }

    void run_model() {
        try {
            if (ids_.empty())
                prefill();
            else
                decode();
        } catch (const CancelledError&) {
            finish(StopReason::cancelled);
        }
    }
    void prefill() {
        const auto begin = Clock::now();
        const auto rest = std::span<const TokenId>(prompt_).subspan(timing_.reused_tokens);
        logits_ = session().prefill(rest, {.progress = options_.progress, .cancel = options_.cancel});
        timing_.prefill_seconds = seconds_since(begin);
        timing_.prefill_tokens = rest.size();
        for (const TokenId id : prompt_) sampler_.accept(id);
    }
    void decode() {
        const auto begin = Clock::now();
        logits_ = session().decode(ids_.back(), {.cancel = options_.cancel});
        timing_.decode_seconds += seconds_since(begin);
        ++timing_.decode_tokens;
    }
    static double seconds_since(Clock::time_point begin) {
        return std::chrono::duration<double>(Clock::now() - begin).count();
    }

    /// The characters that an id completes: none for an id that is no token (heads are often padded beyond the
    /// vocabulary).
    std::string_view text_of(TokenId id) { return tokenizer_->contains(id) ? decoder_.push(id) : std::string_view(); }

    /// What the decoder and the stop filter still hold, once.
    std::string_view flush() {
        if (flushed_ || reason_ == StopReason::stop) return {};
        flushed_ = true;
        tail_ = stop_.push(decoder_.flush());
        if (stop_.stopped())
            reason_ = StopReason::stop;
        else
            tail_ += stop_.flush();
        return tail_;
    }

    GenerateOptions options_;
    std::vector<TokenId> prompt_, ids_;
    std::vector<TokenId> eos_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    std::shared_ptr<Session> session_;
    Sampler sampler_;
    StreamDecoder decoder_;
    StopFilter stop_;
    std::span<const float> logits_;
    std::string_view unseen_;  // text that next() has not returned yet
    std::string tail_;
    bool flushed_ = false;
    StopReason reason_ = StopReason::none;
    GenerationTiming timing_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
