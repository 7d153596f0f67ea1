#pragma once
// How likely a model finds a text: the negative log likelihood of each token, given those before it.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "session.hpp"

EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI {

/// How a text is scored. A text longer than the context is scored in overlapping windows, each of which starts at
/// position 0 and adds the tokens that the windows before it did not reach (as transformers' guide on perplexity).
struct ScoreOptions {
    std::size_t context = 0;  ///< tokens of a window; 0: the model's context
    std::size_t stride = 0;   ///< from one window's begin to the next one's, less than context; 0: half of it
    ProgressFunction progress = nullptr;  ///< tokens scored
    std::stop_token cancel = {};          ///< CancelledError once requested
};

/// What a text costs the model, token by token.
struct Score {
    std::vector<float> nll;  ///< of ids 1, 2, ..., in nats; the first id only conditions

    /// The mean of nll, in nats per token, summed in double precision; NaN where nll is empty.
    double mean_nll() const { return std::accumulate(nll.begin(), nll.end(), 0.0) / static_cast<double>(nll.size()); }
    /// exp(mean_nll())
    double perplexity() const { return std::exp(mean_nll()); }
};

namespace detail {

/// -log softmax(logits)[target]; overwrites the logits.
inline float negative_log_likelihood(const KernelTable& kernels, std::span<float> logits, TokenId target) {
    float largest = logits[0];
    for (const float logit : logits) largest = largest < logit ? logit : largest;
    const double wanted = static_cast<double>(logits[static_cast<std::size_t>(target)]) - static_cast<double>(largest);
    kernels.exp_shifted(logits.data(), largest, logits.size(), logits.data());
    double total = 0;
    for (const float p : logits) total += static_cast<double>(p);
    return static_cast<float>(std::log(total) - wanted);
}

/// Scores a text window by window.
class Scorer {
  public:
    Scorer(std::shared_ptr<const Model> model, std::span<const TokenId> ids, const ScoreOptions& options,
           std::size_t context)
        : model_(std::move(model)),
          ids_(ids),
          options_(options),
          session_(model_, {.context = std::min(context, ids.size())}),
          logits_(checked_mul(rows, model_->config().vocab_size, "score")) {}

    /// Scores the ids [scored, end) of the window that begins at `begin`.
    void window(std::size_t begin, std::size_t scored, std::size_t end) {
        session_.truncate(0);
        const StepOptions step = {.progress = nullptr, .cancel = options_.cancel, .tap = nullptr};
        std::size_t at = scored - 1;  // its logits are the first that are wanted
        if (at > begin) session_.prefill(ids_.subspan(begin, at - begin), step);
        for (std::size_t next; at + 1 < end; at = next) {
            next = std::min(at + rows, end - 1);
            session_.prefill(ids_.subspan(at, next - at), logits_.span().first((next - at) * vocab()), step);
            take(at, next - at);
            if (options_.progress) options_.progress({Stage::prefill, result.nll.size(), ids_.size() - 1});
        }
    }

    Score result;

  private:
    static constexpr std::size_t rows = 64;  // of logits at a time

    std::size_t vocab() const { return model_->config().vocab_size; }
    /// The scores of the ids behind positions [at, at + count), whose logits are there.
    void take(std::size_t at, std::size_t count) {
        const std::size_t first = result.nll.size();
        result.nll.resize(first + count);
        model_->compute().pool.for_each(count, 1, [&](std::size_t i, std::size_t, std::size_t) {
            result.nll[first + i] = negative_log_likelihood(
                model_->compute().kernels, logits_.span().subspan(i * vocab(), vocab()), ids_[at + i + 1]);
        });
    }

    std::shared_ptr<const Model> model_;
    std::span<const TokenId> ids_;
    const ScoreOptions& options_;
    Session session_;
    Buffer<float> logits_;  // [rows, vocab]
};

}  // namespace detail

/// Scores a text of at least two ids. Throws ArgumentError for fewer, for a null model, for ids that are none and for
/// options out of range, CancelledError when options.cancel asked for it.
inline Score score(std::shared_ptr<const Model> model, std::span<const TokenId> ids, const ScoreOptions& options = {}) {
    const auto expect = [](bool good, const std::string& expected, std::size_t found) {
        if (!good) throw ArgumentError("score", "expected " + expected + ", found " + std::to_string(found));
    };
    detail::not_null(model, "score");
    expect(ids.size() >= 2, "a text of at least 2 tokens", ids.size());
    check_ids(ids, model->config(), "score");
    const std::size_t context = options.context ? options.context : model->context();
    expect(context >= 2 && context <= model->context(), "a context from 2 to " + std::to_string(model->context()),
           context);
    const std::size_t stride = options.stride ? options.stride : context / 2;
    expect(stride < context, "a stride of less than the context (" + std::to_string(context) + ")", stride);

    detail::Scorer scorer(model, ids, options, context);
    for (std::size_t begin = 0, scored = 1; scored < ids.size(); begin += stride) {
        const std::size_t end = std::min(begin + context, ids.size());
        scorer.window(begin, scored, end);
        scored = end;
    }
    return std::move(scorer.result);
}

}  // namespace eigenlm::inline EIGENLM_ABI
EIGENLM_EXACT_END
