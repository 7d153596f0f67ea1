#pragma once
// Logits -> the next token.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "../base/float_state.hpp"
#include "../base/types.hpp"
#include "../kernels/table.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// How the next token is drawn. The filters apply in the order of the fields, as transformers applies them.
struct SamplingOptions {
    float repeat_penalty =
        1;  ///< > 0: divides positive and multiplies negative logits of ids that occurred (Keskar et al., 2019)
    float temperature = 0;   ///< below 1e-6: greedy, the largest logit, the lowest id among equals
    std::size_t top_k = 0;   ///< keep the k most likely; 0: all
    float top_p = 1;         ///< keep the fewest most likely whose probabilities reach p (Holtzman et al., 2020)
    float min_p = 0;         ///< keep those at least min_p times as likely as the most likely (Nguyen et al., 2024)
    std::uint64_t seed = 0;  ///< one seed, one text, on every machine
};

/// Throws ArgumentError, naming the option, unless every one is in its range.
inline void check(const SamplingOptions& o) {
    const auto require = [](bool good, const char* name, const char* expected, float found) {
        if (!good) throw ArgumentError(name, std::string("expected ") + expected + ", found " + std::to_string(found));
    };
    require(o.temperature >= 0 && o.temperature <= 1e6f, "temperature", "a number in [0, 1e6]", o.temperature);
    require(o.top_p > 0 && o.top_p <= 1, "top_p", "a number in (0, 1]", o.top_p);
    require(o.min_p >= 0 && o.min_p <= 1, "min_p", "a number in [0, 1]", o.min_p);
    require(o.repeat_penalty > 0 && o.repeat_penalty <= 1e6f, "repeat_penalty", "a number in (0, 1e6]",
            o.repeat_penalty);
}

}  // namespace eigenlm::inline EIGENLM_ABI

EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI {

/// Draws tokens; keeps the random state and the ids seen so far. Allocates nothing after its construction.
class Sampler {
  public:
    /// For logits of `vocab_size` tokens; `kernels` must outlive it. Throws ArgumentError for options out of range.
    Sampler(const SamplingOptions& options, std::size_t vocab_size, const KernelTable& kernels)
        : options_((check(options), options)),
          kernels_(kernels),
          random_(options.seed),
          seen_(vocab_size),
          candidates_(vocab_size),
          probabilities_(vocab_size) {
        distinct_.reserve(vocab_size);
    }

    /// Counts an id of the text so far for the repeat penalty. Throws ArgumentError for an id outside the vocabulary.
    void accept(TokenId id) {
        if (id < 0 || static_cast<std::size_t>(id) >= seen_.size())
            throw ArgumentError("Sampler::accept", "expected an id in [0, " + std::to_string(seen_.size()) +
                                                       "), found " + std::to_string(id));
        if (seen_[static_cast<std::size_t>(id)]) return;
        seen_[static_cast<std::size_t>(id)] = true;
        distinct_.push_back(id);
    }

    /// The next token. logits: [vocab]. Throws StateError when they are not numbers (a NaN, or no finite largest one),
    /// ArgumentError when there are not `vocab` of them.
    TokenId operator()(std::span<const float> logits) {
        if (logits.empty() || logits.size() != seen_.size())
            throw ArgumentError("Sampler", "expected " + std::to_string(seen_.size()) + " logits, found " +
                                               std::to_string(logits.size()));
        const FloatState state;
        if (greedy() && options_.repeat_penalty == 1) return largest(logits);
        fill_candidates(logits);
        const Candidate best = *std::min_element(candidates_.begin(), candidates_.end(), more_likely);
        require_finite(is_finite(best.logit));
        if (greedy()) return best.id;
        return draw(keep_likely(best.logit));
    }

  private:
    struct Candidate {
        float logit;
        TokenId id;
    };
    static bool more_likely(const Candidate& a, const Candidate& b) {
        return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
    }

    bool greedy() const { return options_.temperature < 1e-6f; }

    static void require_finite(bool finite) {
        if (!finite) throw StateError("sampler", "the logits are not finite");
    }

    TokenId largest(std::span<const float> logits) const {
        const std::size_t best = kernels_.argmax(logits.data(), logits.size());
        require_finite(best < logits.size() && is_finite(logits[best]));
        return static_cast<TokenId>(best);
    }

    void fill_candidates(std::span<const float> logits) {
        candidates_.resize(logits.size());
        for (std::size_t i = 0; i < logits.size(); ++i) {
            if (is_nan(logits[i]))
                throw StateError("sampler", "the logit of id " + std::to_string(i) + " is not a number");
            candidates_[i] = {logits[i], static_cast<TokenId>(i)};
        }
        if (options_.repeat_penalty == 1) return;
        for (const TokenId id : distinct_) {
            float& logit = candidates_[static_cast<std::size_t>(id)].logit;
            logit = logit < 0 ? logit * options_.repeat_penalty : logit / options_.repeat_penalty;
        }
    }

    /// Leaves the candidates that the filters keep, most likely first, with their unnormalised probabilities. Returns
    /// the sum of those.
    double keep_likely(float largest) {
        const std::size_t k = options_.top_k == 0 ? candidates_.size() : std::min(options_.top_k, candidates_.size());
        const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(k);
        std::partial_sort(candidates_.begin(), end, candidates_.end(), more_likely);
        candidates_.resize(k);
        for (std::size_t i = 0; i < k; ++i) probabilities_[i] = (candidates_[i].logit - largest) / options_.temperature;
        kernels_.exp_shifted(probabilities_.data(), 0.0f, k, probabilities_.data());
        double all = 0;
        for (std::size_t i = 0; i < k; ++i) all += static_cast<double>(probabilities_[i]);
        double kept = 0;
        std::size_t count = 0;
        while (count < k) {
            const bool reached = count > 0 && kept >= static_cast<double>(options_.top_p) * all;
            if (reached || probabilities_[count] < options_.min_p * probabilities_[0]) break;
            kept += static_cast<double>(probabilities_[count++]);
        }
        candidates_.resize(count);
        return kept;
    }

    TokenId draw(double total) {
        const double target = static_cast<double>(random_() >> 11) * 0x1p-53 * total;  // uniform in [0, total)
        double sum = 0;
        for (std::size_t i = 0; i < candidates_.size(); ++i) {
            sum += static_cast<double>(probabilities_[i]);
            if (target < sum) return candidates_[i].id;
        }
        return candidates_.back().id;  // only when the sum's rounding left target == total
    }

    SamplingOptions options_;
    const KernelTable& kernels_;
    std::mt19937_64 random_;  // the standard fixes its numbers
    std::vector<bool> seen_;
    std::vector<TokenId> distinct_;
    std::vector<Candidate> candidates_;
    std::vector<float> probabilities_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
EIGENLM_EXACT_END
