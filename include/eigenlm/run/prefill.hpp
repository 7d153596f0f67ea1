#pragma once
// Many positions of one sequence at once.
#include <algorithm>
#include <cstddef>
#include <span>

#include "workspace.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Appends `ids` to the sequence in `cache`, as many rows at a time as the workspace holds.
///
/// logits: [rows, vocab]; the logits behind the last `logits.rows` of the ids: 1 row to go on generating, ids.size()
/// rows to score a text. Throws ArgumentError (no ids, an id out of range, a wrong size of logits, parts that do not
/// fit together), StateError (the context is full) or CancelledError; whatever is thrown, also by the callbacks, the
/// cache then holds what it held before.
inline void prefill(const AnyTransformer& model, const Compute& compute, const RopeTable& rope, KvCache& cache,
                    Workspace& workspace, std::span<const TokenId> ids, Rows<float> logits,
                    const PassOptions& options = {}) {
    if (ids.empty()) throw ArgumentError("prefill", "expected at least one id, found none");
    check_fit(model, compute, rope, cache, workspace, "prefill");
    check_ids(ids, model.config(), "prefill");
    check_room(cache, rope, ids.size(), "prefill");
    check_logits(logits, 0, ids.size(), model.config(), "prefill");
    Activations& a = workspace.activations;
    const std::size_t before = cache.length(), first_logits = ids.size() - logits.rows;
    try {
        for (std::size_t begin = 0; begin < ids.size();) {
            const std::size_t rows = std::min(a.max_rows(), ids.size() - begin), end = begin + rows;
            const Segment segment{&cache, 0, rows};
            {
                const FloatState state;
                const Pass pass = pass_of(compute, rope, {&segment, 1}, state, Stage::prefill, options);
                model.forward(pass, ids.subspan(begin, rows), a);
                if (end > first_logits) {
                    const std::size_t wanted = std::max(begin, first_logits);
                    model.logits(pass, wanted - begin, a, logits.middle(wanted - first_logits, end - wanted));
                }
            }
            cache.advance(rows);
            begin = end;
            if (options.progress && *options.progress) (*options.progress)({Stage::prefill, end, ids.size()});
        }
    } catch (...) {
        cache.truncate(before);
        throw;
    }
}

}  // namespace eigenlm::inline EIGENLM_ABI
