#pragma once
// The step level: one sequence, run by hand.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../run/decode.hpp"
#include "../run/naive.hpp"
#include "../run/prefill.hpp"
#include "model.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// How a sequence is kept.
struct SessionOptions {
    std::size_t context = 0;         ///< room for this many positions; 0: the model's context, at most 4,096
    std::size_t prefill_rows = 256;  ///< rows of one pass: memory against speed, never results
    bool use_cache = true;           ///< false: every call recomputes the whole text (the baseline)
    std::optional<CacheType> cache_type = std::nullopt;  ///< default: the model's cache_type()
};

/// How one call is watched and stopped. All fields are optional.
struct StepOptions {
    ProgressFunction progress = nullptr;  ///< tokens of a prefill taken in so far
    std::stop_token cancel = {};  ///< CancelledError once requested; the session stays as it was before the call
    Tap tap = nullptr;            ///< sees intermediate results, e.g. hidden states
};

/// One sequence: its ids so far live in the KV cache. Calls on one session must not overlap (StateError if two threads
/// try); sessions of one model may run in different threads. Keeps its model alive.
class Session {
  public:
    /// Reserves memory for options.context positions. Throws ArgumentError where `model` is null or has no room for
    /// them, ResourceError when the memory cannot be had.
    explicit Session(std::shared_ptr<const Model> model, const SessionOptions& options = {})
        : s_(std::make_unique<State>(std::move(model), options)) {}

    /// Takes in `ids` behind what is there. Returns the logits of the position behind them, [vocab], valid until the
    /// next call. Throws ArgumentError (no ids, ids that are none), StateError (full context) or CancelledError, and
    /// then leaves the session as it was.
    std::span<const float> prefill(std::span<const TokenId> ids, const StepOptions& options = {}) {
        State& s = state();
        run(s, ids, s.last_logits(), options);
        return s.logits.span();
    }
    /// As prefill, with the logits behind each of the ids.   logits: [ids.size(), vocab]
    void prefill(std::span<const TokenId> ids, std::span<float> logits, const StepOptions& options = {}) {
        const std::size_t vocab = config().vocab_size;
        if (logits.size() != checked_mul(ids.size(), vocab, "logits"))
            throw ArgumentError("prefill", "expected room for " + std::to_string(ids.size()) + " x " +
                                               std::to_string(vocab) + " logits, found " +
                                               std::to_string(logits.size()));
        run(state(), ids, {logits.data(), ids.size(), vocab, vocab}, options);
    }
    /// Takes in one id; errors and result as prefill's.
    std::span<const float> decode(TokenId id, const StepOptions& options = {}) {
        State& s = state();
        const InUse guard(s);
        const PassOptions pass = pass_options(options);
        if (s.use_cache) {
            KvCache* const cache = &s.cache;
            const Model& m = *s.model;
            eigenlm::decode(m.transformer(), m.compute(), m.rope(), {&cache, 1}, s.workspace, {&id, 1}, s.last_logits(),
                            pass);
        } else {
            recompute(s, {&id, 1}, s.last_logits(), pass);
        }
        return s.logits.span();
    }

    /// Positions taken in so far. Not to be asked while another thread is in a call on this session.
    std::size_t length() const { return state().length(); }
    /// Positions there is room for.
    std::size_t capacity() const { return state().cache.capacity(); }
    /// Forgets the positions from `length` on. Throws ArgumentError when there are fewer.
    void truncate(std::size_t length) {
        State& s = state();
        const InUse guard(s);
        if (length > s.length())
            throw ArgumentError("truncate", "expected at most " + std::to_string(s.length()) + " positions, found " +
                                                std::to_string(length));
        if (s.use_cache)
            s.cache.truncate(length);
        else
            s.ids.resize(length);
    }
    /// The model's shape.
    const ModelConfig& config() const { return model().config(); }
    /// The model, alive as long as this session.
    const Model& model() const { return *state().model; }

  private:
    struct State {
        State(std::shared_ptr<const Model> shared, const SessionOptions& o)
            : model(detail::not_null(std::move(shared), "Session: model")),
              use_cache(o.use_cache),
              cache(model->config(), context(*model, o.context),
                    o.cache_type ? *o.cache_type : model->cache_type()),
              workspace(model->config(), std::clamp<std::size_t>(o.prefill_rows, 1, cache.capacity()),
                        model->compute().pool.size()),
              logits(model->config().vocab_size) {
            if (use_cache) return;
            ids.reserve(cache.capacity());
            own_rope.emplace(model->config(), cache.capacity());
        }
        static std::size_t context(const Model& model, std::size_t wish) {
            constexpr std::size_t most_by_default = 4096;
            if (wish == 0) return std::min(model.context(), most_by_default);
            if (wish > model.context())
                throw ArgumentError("context", "expected at most the model's context (" +
                                                   std::to_string(model.context()) + "), found " +
                                                   std::to_string(wish));
            return wish;
        }
        std::size_t length() const { return use_cache ? cache.length() : ids.size(); }
        Rows<float> last_logits() { return {logits.data(), 1, logits.size(), logits.size()}; }

        std::shared_ptr<const Model> model;
        bool use_cache;
        KvCache cache;
        Workspace workspace;
        Buffer<float> logits;               // [vocab]
        std::vector<TokenId> ids;           // without a cache: the text, and
        std::optional<RopeTable> own_rope;  // rotations computed again for every call
        std::atomic_flag in_use;
    };

    State& state() const {
        if (!s_) throw StateError("session", "it was moved from");
        return *s_;
    }

    /// Refuses a second call: another thread's, or a callback's.
    class InUse {
      public:
        explicit InUse(State& state) : flag_(state.in_use) {
            if (flag_.test_and_set(std::memory_order_acquire)) throw StateError("session", "in use by another call");
        }
        ~InUse() { flag_.clear(std::memory_order_release); }
        InUse(const InUse&) = delete;
        InUse& operator=(const InUse&) = delete;

      private:
        std::atomic_flag& flag_;
    };

    static PassOptions pass_options(const StepOptions& o) {
        return {o.progress ? &o.progress : nullptr, o.cancel, o.tap ? &o.tap : nullptr};
    }

    static void run(State& s, std::span<const TokenId> ids, Rows<float> logits, const StepOptions& options) {
        const InUse guard(s);
        const Model& m = *s.model;
        if (s.use_cache)
            eigenlm::prefill(m.transformer(), m.compute(), m.rope(), s.cache, s.workspace, ids, logits,
                             pass_options(options));
        else
            recompute(s, ids, logits, pass_options(options));
    }

    static void recompute(State& s, std::span<const TokenId> ids, Rows<float> logits, const PassOptions& options) {
        std::vector<TokenId>& text = s.ids;
        const std::size_t before = text.size(), capacity = s.cache.capacity();
        if (ids.empty()) throw ArgumentError("prefill", "expected at least one id, found none");
        if (ids.size() > capacity - before)
            throw StateError("prefill", "the context is full: " + std::to_string(before) + " positions held and " +
                                            std::to_string(ids.size()) + " to come, room for " +
                                            std::to_string(capacity));
        text.insert(text.end(), ids.begin(), ids.end());
        try {
            const Model& m = *s.model;
            naive(m.transformer(), m.compute(), *s.own_rope, s.cache, s.workspace, text, logits, options);
        } catch (...) {
            text.resize(before);
            throw;
        }
    }

    std::unique_ptr<State> s_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
