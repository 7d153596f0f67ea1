#pragma once
// How far a model's predictions are from another one's: what a type of weights costs, say.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "score.hpp"

EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI {

/// A model beside its base, token by token: of ids 1, 2, ..., as Score has them.
struct Divergence {
    std::vector<double> kl;  ///< KL(base || model) of what the two expect there, in nats; exactly 0 for equal logits
    std::vector<std::uint8_t> same_top;  ///< 1 where both find the same id most likely, of equal ones the first; else 0
    Score model;                         ///< the text's score by the model, the bits of eigenlm::score
    Score base;                          ///< and by its base

    /// The mean of kl; NaN where it is empty, as in what follows.
    double mean_kl() const { return std::accumulate(kl.begin(), kl.end(), 0.0) / static_cast<double>(kl.size()); }
    /// The standard error of mean_kl, as if tokens were independent of each other; NaN for less than two.
    double kl_standard_error() const {
        const double mean = mean_kl(), count = static_cast<double>(kl.size());
        double squares = 0;
        for (const double value : kl) squares += (value - mean) * (value - mean);
        return kl.size() < 2 ? std::numeric_limits<double>::quiet_NaN() : std::sqrt(squares / (count - 1) / count);
    }
    /// What a share of the tokens, from 0 to 1, does not exceed: 0.5 is the median, 1 the maximum. Between two tokens
    /// on a straight line, as numpy's. Throws ArgumentError for a share that is none.
    double kl_quantile(double share) const {
        if (!(share >= 0 && share <= 1))
            throw ArgumentError("kl_quantile", "expected a share from 0 to 1, found " + std::to_string(share));
        if (kl.empty()) return std::numeric_limits<double>::quiet_NaN();
        std::vector<double> sorted = kl;
        std::sort(sorted.begin(), sorted.end());
        const double at = share * static_cast<double>(sorted.size() - 1);
        const auto below = static_cast<std::size_t>(at), above = std::min(below + 1, sorted.size() - 1);
        return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
    }
    /// Tokens in same_top, in per cent.
    double top1_agreement() const {
        const auto same = std::accumulate(same_top.begin(), same_top.end(), std::size_t{0});
        return 100 * static_cast<double>(same) / static_cast<double>(same_top.size());
    }
};

namespace detail {

/// KL(softmax(base) || softmax(model)) in nats, in double precision; not finite where a logit is not.
inline double kl_divergence(std::span<const float> base, std::span<const float> model) {
    // Of log p - log q, the logits' part is summed up weighted, and the logarithms of the two sums are added in the
    // end: equal logits leave a sum of zeros and the logarithm of 1.
    const auto largest = [](std::span<const float> x) {
        return static_cast<double>(*std::max_element(x.begin(), x.end()));
    };
    const double base_top = largest(base), model_top = largest(model);
    double base_total = 0, model_total = 0, difference = 0;
    for (std::size_t i = 0; i < base.size(); ++i) {
        const double p = static_cast<double>(base[i]) - base_top, q = static_cast<double>(model[i]) - model_top;
        const double weight = std::exp(p);
        base_total += weight;
        model_total += std::exp(q);
        difference += weight * (p - q);
    }
    const double kl = difference / base_total + std::log(model_total / base_total);
    return kl < 0 ? 0 : kl;  // by rounding alone; a NaN stays one
}

/// Appends what the logits of a piece that both have read differ in.
inline void compare(TextLogits& base, TextLogits& model, const TextPiece& piece, Divergence& result) {
    const std::size_t first = result.kl.size();
    result.kl.resize(first + piece.count);
    result.same_top.resize(first + piece.count);
    const Compute& compute = model.model().compute();
    compute.pool.for_each(piece.count, 1, [&](std::size_t i, std::size_t, std::size_t) {
        const std::span<const float> p = base.row(i), q = model.row(i);
        const auto top = [&](std::span<const float> x) { return compute.kernels.argmax(x.data(), x.size()); };
        result.kl[first + i] = kl_divergence(p, q);
        result.same_top[first + i] = top(p) == top(q);
    });
    for (std::size_t i = 0; i < piece.count; ++i) {
        if (result.kl[first + i] < std::numeric_limits<double>::infinity()) continue;
        const auto row = base.row(i);
        const bool good = std::all_of(row.begin(), row.end(), is_finite);
        throw StateError("divergence", std::string("the ") + (good ? "model" : "base") +
                                           "'s logits of the token at index " + std::to_string(piece.at + i + 1) +
                                           " are not finite");
    }
}

}  // namespace detail

/// How far `model` is from `base` on a text of at least two ids, in the windows of eigenlm::score; where no context is
/// asked for, it is the shorter of the two models'. The models take turns, each on its own threads. Throws what score
/// throws, ArgumentError for vocabularies of different sizes too, and StateError for logits that are not finite.
inline Divergence divergence(std::shared_ptr<const Model> model, std::shared_ptr<const Model> base,
                             std::span<const TokenId> ids, const ScoreOptions& options = {}) {
    detail::not_null(model, "divergence: model");
    detail::not_null(base, "divergence: base");
    const std::size_t vocab = model->config().vocab_size, base_vocab = base->config().vocab_size;
    if (vocab != base_vocab)
        throw ArgumentError("divergence", "expected a base of the model's " + std::to_string(vocab) +
                                              " ids, found one of " + std::to_string(base_vocab));
    const detail::TextWindows windows(ids.size(), options, std::min(model->context(), base->context()), "divergence");
    check_ids(ids, model->config(), "divergence");
    detail::TextLogits logits(std::move(model), ids, windows, options.cancel);
    detail::TextLogits base_logits(std::move(base), ids, windows, options.cancel);
    Divergence result;
    windows.for_each_piece([&](const detail::TextPiece& piece) {
        logits.read(piece);
        base_logits.read(piece);
        detail::compare(base_logits, logits, piece, result);
        logits.score(piece, result.model);
        base_logits.score(piece, result.base);
        if (options.progress) options.progress({Stage::prefill, result.kl.size(), ids.size() - 1});
    });
    return result;
}

}  // namespace eigenlm::inline EIGENLM_ABI
EIGENLM_EXACT_END
