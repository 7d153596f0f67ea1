#pragma once
// What a caller of the passes keeps between them, so that no pass allocates.
#include <array>
#include <cstddef>
#include <stop_token>
#include <vector>

#include "../base/progress.hpp"
#include "../model/transformer.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Room for the intermediates of passes of up to `max_rows` rows.
struct Workspace {
    /// For passes on a pool of at most `threads` threads. Throws as Activations.
    Workspace(const ModelConfig& config, std::size_t max_rows, std::size_t threads)
        : activations(config, max_rows, threads), segments(max_rows) {}

    Activations activations;        ///< intermediates
    std::vector<Segment> segments;  ///< [max_rows]
};

/// How one pass is watched and stopped. All fields are optional.
struct PassOptions {
    const ProgressFunction* progress = nullptr;  ///< prefill only: after each pass of at most the workspace's rows
    std::stop_token stop;                        ///< asked before each layer
    const Tap* tap = nullptr;                    ///< sees intermediate results
#if EIGENLM_PROFILE
    Profile* profile = nullptr;  ///< collects where the time goes
#endif
};

/// A pass of these rows, watched as the caller wants. Refers to all of them.
inline Pass pass_of(const Compute& compute, const RopeTable& rope, std::span<const Segment> segments,
                    const FloatState& state, Stage stage, const PassOptions& options) {
    Pass pass{compute, rope, segments, options.tap, &state, stage, options.stop};
#if EIGENLM_PROFILE
    pass.profile = options.profile;
#endif
    return pass;
}

/// Throws ArgumentError unless every id is one of the model's.
inline void check_ids(std::span<const TokenId> ids, const ModelConfig& config, const char* where) {
    for (std::size_t i = 0; i < ids.size(); ++i)
        if (ids[i] < 0 || static_cast<std::size_t>(ids[i]) >= config.vocab_size)
            throw ArgumentError(where, "expected ids in [0, " + std::to_string(config.vocab_size) + "), found " +
                                           std::to_string(ids[i]) + " at index " + std::to_string(i));
}

/// Throws ArgumentError unless the parts of a pass were made for each other.
inline void check_fit(const AnyTransformer& model, const Compute& compute, const RopeTable& rope, const KvCache& cache,
                      const Workspace& workspace, const char* where) {
    if (compute.kernels.layout != model.layout())
        throw ArgumentError(where, "the kernels want weights that are packed in another way than this model's");
    if (!cache.fits(model.config()) || rope.head_dim() != model.config().head_dim)
        throw ArgumentError(where, "the KV cache or the RoPE table was made for a model of another shape");
    if (!workspace.activations.fits(model.config(), compute.pool.size()))
        throw ArgumentError(where, "the workspace was made for a model of another shape, or for fewer threads");
}

/// Throws ArgumentError unless `logits` has `least` to `most` rows of the model's vocabulary.
inline void check_logits(Rows<float> logits, std::size_t least, std::size_t most, const ModelConfig& config,
                         const char* where) {
    const bool room = logits.data && logits.cols == config.vocab_size && logits.stride >= logits.cols;
    if (logits.rows >= least && logits.rows <= most && (room || logits.rows == 0)) return;
    throw ArgumentError(where, std::string("expected room for logits [") + (least == most ? "" : "at most ") +
                                   std::to_string(most) + ", " + std::to_string(config.vocab_size) + "], found [" +
                                   std::to_string(logits.rows) + ", " + std::to_string(logits.cols) +
                                   "], a row every " + std::to_string(logits.stride) + " numbers" +
                                   (logits.data ? "" : ", at null"));
}

/// Throws StateError unless `cache` has room for `count` more positions, ArgumentError unless `rope` reaches them.
inline void check_room(const KvCache& cache, const RopeTable& rope, std::size_t count, const char* where) {
    if (count > cache.capacity() - cache.length())
        throw StateError(where, "the context is full: " + std::to_string(cache.length()) + " positions held and " +
                                    std::to_string(count) + " to come, room for " + std::to_string(cache.capacity()));
    if (cache.length() + count > rope.positions())
        throw ArgumentError(where, "the RoPE table has " + std::to_string(rope.positions()) +
                                       " positions, expected at least " + std::to_string(cache.length() + count));
}

}  // namespace eigenlm::inline EIGENLM_ABI
