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

/// Some consecutive ids of a text, which are scored together.
struct TextPiece {
    std::size_t begin;  // of their window
    std::size_t at;     // the position whose logits are about the first of them, which is at + 1
    std::size_t count;  // at most TextWindows::rows
};

/// Where a text is cut.
class TextWindows {
  public:
    static constexpr std::size_t rows = 64;  // of logits at a time

    /// Throws ArgumentError, naming `where`, for options out of range and for a text of less than 2 ids. `most`: the
    /// longest context there can be
    TextWindows(std::size_t ids, const ScoreOptions& options, std::size_t most, const char* where)
        : ids_(ids),
          context_(options.context ? options.context : most),
          stride_(options.stride ? options.stride : context_ / 2) {
        const auto expect = [where](bool good, const std::string& expected, std::size_t found) {
            if (!good) throw ArgumentError(where, "expected " + expected + ", found " + std::to_string(found));
        };
        expect(ids_ >= 2, "a text of at least 2 tokens", ids_);
        expect(context_ >= 2 && context_ <= most, "a context from 2 to " + std::to_string(most), context_);
        expect(stride_ < context_, "a stride of less than the context (" + std::to_string(context_) + ")", stride_);
    }

    /// The longest window.
    std::size_t longest() const { return std::min(context_, ids_); }

    /// Calls f(TextPiece) for all of the text but its first id, in order.
    template <class F>
    void for_each_piece(const F& f) const {
        for (std::size_t begin = 0, scored = 1; scored < ids_; begin += stride_) {
            const std::size_t end = std::min(begin + context_, ids_);
            for (std::size_t count; scored < end; scored += count) {
                count = std::min(rows, end - scored);
                f(TextPiece{begin, scored - 1, count});
            }
        }
    }

  private:
    std::size_t ids_, context_, stride_;
};

/// A model's logits of a text, one piece at a time.
class TextLogits {
  public:
    TextLogits(std::shared_ptr<const Model> model, std::span<const TokenId> ids, const TextWindows& windows,
               std::stop_token cancel)
        : ids_(ids),
          session_(std::move(model), {.context = windows.longest()}),
          logits_(checked_mul(TextWindows::rows, session_.config().vocab_size, "score")) {
        step_.cancel = std::move(cancel);
    }

    /// Takes in a piece, and of its window what stands before it and is not there yet.
    void read(const TextPiece& piece) {
        if (piece.begin != begin_) session_.truncate(0);
        begin_ = piece.begin;
        const std::size_t there = begin_ + session_.length();
        if (there < piece.at) session_.prefill(ids_.subspan(there, piece.at - there), step_);
        session_.prefill(ids_.subspan(piece.at, piece.count), logits_.span().first(piece.count * vocab()), step_);
    }
    /// The logits about the i-th id of the piece.
    std::span<float> row(std::size_t i) { return logits_.span().subspan(i * vocab(), vocab()); }
    /// Appends the scores of the piece that was read; overwrites its logits.
    void score(const TextPiece& piece, Score& score) {
        const std::size_t first = score.nll.size();
        score.nll.resize(first + piece.count);
        const Compute& compute = session_.model().compute();
        compute.pool.for_each(piece.count, 1, [&](std::size_t i, std::size_t, std::size_t) {
            score.nll[first + i] = negative_log_likelihood(compute.kernels, row(i), ids_[piece.at + i + 1]);
        });
    }
    const Model& model() const { return session_.model(); }

  private:
    std::size_t vocab() const { return session_.config().vocab_size; }

    std::span<const TokenId> ids_;
    StepOptions step_;
    Session session_;
    std::size_t begin_ = 0;  // of the window that the session is in
    Buffer<float> logits_;   // [rows, vocab]
};

}  // namespace detail

/// Scores a text of at least two ids. Throws ArgumentError for fewer, for a null model, for ids that are none and for
/// options out of range, CancelledError when options.cancel asked for it.
inline Score score(std::shared_ptr<const Model> model, std::span<const TokenId> ids, const ScoreOptions& options = {}) {
    detail::not_null(model, "score");
    const detail::TextWindows windows(ids.size(), options, model->context(), "score");
    check_ids(ids, model->config(), "score");
    detail::TextLogits logits(std::move(model), ids, windows, options.cancel);
    Score result;
    windows.for_each_piece([&](const detail::TextPiece& piece) {
        logits.read(piece);
        logits.score(piece, result);
        if (options.progress) options.progress({Stage::prefill, result.nll.size(), ids.size() - 1});
    });
    return result;
}

}  // namespace eigenlm::inline EIGENLM_ABI
EIGENLM_EXACT_END
