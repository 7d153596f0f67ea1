#pragma once
// A sequence at the lowest level: a cache and a workspace of its own, run by the free functions of run/.
#include <eigenlm/run/decode.hpp>
#include <eigenlm/run/naive.hpp>
#include <eigenlm/run/prefill.hpp>
#include <memory>
#include <span>
#include <vector>

#include "shapes.hpp"

namespace support {

using eigenlm::TokenId;

/// `count` ids that follow from the seed, all within a small vocabulary.
inline std::vector<TokenId> some_ids(std::size_t count, unsigned seed = 1, std::size_t vocab = 37) {
    std::vector<TokenId> ids(count);
    std::uint32_t state = seed;
    for (TokenId& id : ids) {
        state = state * 1664525u + 1013904223u;
        id = static_cast<TokenId>((state >> 8) % vocab);
    }
    return ids;
}

/// Options of a pass that only reports, may be stopped, or is looked at.
inline eigenlm::PassOptions watched(const eigenlm::ProgressFunction& progress, std::stop_token stop = {}) {
    return {.progress = &progress, .stop = std::move(stop), .tap = nullptr};
}
inline eigenlm::PassOptions tapped(const eigenlm::Tap& tap) { return {.progress = nullptr, .stop = {}, .tap = &tap}; }
inline eigenlm::PassOptions stoppable(std::stop_token stop) {
    return {.progress = nullptr, .stop = std::move(stop), .tap = nullptr};
}

struct Sequence {
    explicit Sequence(std::shared_ptr<const eigenlm::Model> shared, std::size_t capacity = 100,
                      std::size_t max_rows = 32)
        : model(std::move(shared)),
          cache(model->config(), capacity, model->cache_type()),
          workspace(model->config(), max_rows, model->compute().pool.size()) {}

    std::size_t vocab() const { return model->config().vocab_size; }
    /// The logits of the last `rows` of the ids.
    std::vector<float> prefill(std::span<const TokenId> ids, std::size_t rows = 1,
                               const eigenlm::PassOptions& options = {}) {
        std::vector<float> logits(rows * vocab());
        eigenlm::prefill(model->transformer(), model->compute(), model->rope(), cache, workspace, ids,
                         {logits.data(), rows, vocab(), vocab()}, options);
        return logits;
    }
    std::vector<float> decode(TokenId id, const eigenlm::PassOptions& options = {}) {
        std::vector<float> logits(vocab());
        eigenlm::KvCache* const caches[] = {&cache};
        eigenlm::decode(model->transformer(), model->compute(), model->rope(), caches, workspace, {&id, 1},
                        {logits.data(), 1, vocab(), vocab()}, options);
        return logits;
    }

    std::shared_ptr<const eigenlm::Model> model;
    eigenlm::KvCache cache;
    eigenlm::Workspace workspace;
};

}  // namespace support
