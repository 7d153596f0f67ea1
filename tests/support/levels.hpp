#pragma once
// The sets of kernels that this machine runs.
#include <eigenlm/kernels/cpu.hpp>
#include <vector>

namespace support {

/// All that are under the same-bits contract.
inline std::vector<eigenlm::Isa> exact_isas() {
    std::vector<eigenlm::Isa> found;
    for (const eigenlm::Isa isa : eigenlm::available_isas())
        if (isa != eigenlm::Isa::eigen) found.push_back(isa);
    return found;
}

}  // namespace support
