#pragma once
// How much memory there is, so that a model too large for it is an error and not the end of the host's process.
#include <algorithm>
#include <cstddef>
#include <fstream>
#include <limits>
#include <string>

#include "abi.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Bytes that this process can use, as far as Linux tells: free memory and swap, and at most its control group's limit.
/// The largest number where nothing is known.
inline std::size_t available_memory() {
    constexpr std::size_t unknown = std::numeric_limits<std::size_t>::max();
    std::size_t machine = 0;
    std::ifstream meminfo("/proc/meminfo");
    for (std::string name, unit; meminfo >> name;) {
        std::size_t kib = 0;
        meminfo >> kib;
        std::getline(meminfo, unit);
        if (name == "MemAvailable:" || name == "SwapFree:") machine += kib * 1024;
    }
    std::size_t group = 0;  // "max" where there is no limit; what the group uses already is mostly cached files
    if (!(std::ifstream("/sys/fs/cgroup/memory.max") >> group)) group = unknown;
    return std::min(machine ? machine : unknown, group);
}

}  // namespace eigenlm::inline EIGENLM_ABI
