#pragma once
// How much memory there is, so that a model too large for it is an error and not the end of the host's process.
#include <algorithm>
#include <cstddef>
#include <fstream>
#include <limits>
#include <string>

#include "abi.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Bytes that this process can still use, as far as Linux tells: memory and swap, and its control group's limit. The
/// largest number where nothing is known.
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
    const auto read = [](const char* path, std::size_t otherwise) {
        std::size_t bytes = 0;
        return std::ifstream(path) >> bytes ? bytes : otherwise;  // "max" where there is no limit
    };
    const std::size_t limit = read("/sys/fs/cgroup/memory.max", unknown), used = read("/sys/fs/cgroup/memory.current", 0);
    const std::size_t group = limit == unknown ? unknown : limit - std::min(used, limit);
    return std::min(machine ? machine : unknown, group);
}

}  // namespace eigenlm::inline EIGENLM_ABI
