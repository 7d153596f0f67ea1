#pragma once
// Full recomputation: the whole text through the model for every new token, its rotations computed again each time. The
// baseline that a cache is measured against, built from the same blocks.
#include <span>

#include "prefill.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// The logits behind the last of `ids`, [1, vocab], from nothing but the ids: `cache` is emptied and `rope` computed
/// anew. Errors as prefill's; the cache is empty then.
inline void naive(const AnyTransformer& model, const Compute& compute, RopeTable& rope, KvCache& cache,
                  Workspace& workspace, std::span<const TokenId> ids, Rows<float> logits,
                  const PassOptions& options = {}) {
    cache.truncate(0);
    check_room(cache, rope, ids.size(), "naive");
    rope.compute(0, ids.size(), compute.pool);
    prefill(model, compute, rope, cache, workspace, ids, logits, options);
}

}  // namespace eigenlm::inline EIGENLM_ABI
