#pragma once
// The sets of kernels that this machine runs.
#include <eigenlm/kernels/cpu.hpp>
#include <vector>

namespace support {

/// All whose bits do not depend on chunks, batches, threads and caches.
inline std::vector<eigenlm::Isa> steady_isas() {
    std::vector<eigenlm::Isa> found;
    for (const eigenlm::Isa isa : eigenlm::available_isas())
        if (isa != eigenlm::Isa::eigen) found.push_back(isa);
    return found;
}
/// Those of them that give each other's bits.
inline std::vector<eigenlm::Isa> exact_isas() {
    std::vector<eigenlm::Isa> found = steady_isas();
    std::erase(found, eigenlm::Isa::avx512_bf16);
    return found;
}

}  // namespace support
