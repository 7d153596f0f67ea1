#pragma once
// One position of each of several sequences.
#include <cstddef>
#include <span>

#include "workspace.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Appends ids[i] to the sequence in caches[i]; logits: [ids.size(), vocab]. At most as many sequences as the workspace
/// has rows, each only once. Errors as prefill's; none of the caches has changed then.
inline void decode(const AnyTransformer& model, const Compute& compute, const RopeTable& rope,
                   std::span<KvCache* const> caches, Workspace& workspace, std::span<const TokenId> ids,
                   Rows<float> logits, const PassOptions& options = {}) {
    if (ids.empty() || ids.size() != caches.size() || ids.size() > workspace.activations.max_rows())
        throw ArgumentError("decode", "expected as many ids as sequences, from 1 to " +
                                          std::to_string(workspace.activations.max_rows()) + ", found " +
                                          std::to_string(ids.size()) + " and " + std::to_string(caches.size()));
    check_logits(logits, ids.size(), ids.size(), model.config(), "decode");
    check_ids(ids, model.config(), "decode");
    for (std::size_t i = 0; i < caches.size(); ++i) {
        check_fit(model, compute, rope, *detail::not_null(caches[i], "decode"), workspace, "decode");
        check_room(*caches[i], rope, 1, "decode");
        for (std::size_t j = 0; j < i; ++j)
            if (caches[i] == caches[j])
                throw ArgumentError("decode", "expected each sequence once, found one at indices " + std::to_string(j) +
                                                  " and " + std::to_string(i));
        workspace.segments[i] = {caches[i], i, 1};
    }
    {
        const FloatState state;
        const std::span<const Segment> segments(workspace.segments.data(), ids.size());
        const Pass pass = pass_of(compute, rope, segments, state, Stage::decode, options);
        model.forward(pass, ids, workspace.activations);
        model.logits(pass, 0, workspace.activations, logits);
    }
    for (KvCache* cache : caches) cache->advance(1);
}

}  // namespace eigenlm::inline EIGENLM_ABI
