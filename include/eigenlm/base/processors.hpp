#pragma once
// How many processors this process may keep busy.
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "abi.hpp"

namespace eigenlm::inline EIGENLM_ABI {

namespace detail {

/// Processors that this thread may run on.
inline std::size_t affine_processors() {
    for (std::size_t most = 1024; most <= 1u << 20; most *= 2) {
        const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(most), [](cpu_set_t* s) { CPU_FREE(s); });
        if (!set) break;
        if (::sched_getaffinity(0, CPU_ALLOC_SIZE(most), set.get()) == 0)
            return static_cast<std::size_t>(CPU_COUNT_S(CPU_ALLOC_SIZE(most), set.get()));
    }
    return std::thread::hardware_concurrency();
}

/// The stricter of two limits, where 0 is none.
inline double stricter(double a, double b) { return a > 0 && (b <= 0 || a < b) ? a : b; }

/// Processors' time that a control group at `path` below `root` may use, and each one above it: the least of that. 0
/// where nothing limits it. `quota` and `period` are the files' names; version 2 has both numbers in one.
inline double group_processors(const std::string& root, std::string path, const char* quota, const char* period) {
    const auto limit = [&](const std::string& group) {
        double most = 0, each = 0;  // where they cannot be read: "max" is no number
        std::ifstream file(group + '/' + quota);
        file >> most;
        if (period)
            std::ifstream(group + '/' + period) >> each;
        else
            file >> each;
        return most > 0 && each > 0 ? most / each : 0;
    };
    for (double least = 0;; path.resize(path.rfind('/'))) {
        while (!path.empty() && path.back() == '/') path.pop_back();
        least = stricter(limit(root + path), least);
        if (path.find('/') == std::string::npos) return least;
    }
}
/// The same for the groups in `list`, a file as /proc/self/cgroup is one: "number:controllers:path" in each line.
inline double group_processors(const std::string& root, const std::string& list) {
    double least = 0;
    std::ifstream file(list);
    for (std::string line; std::getline(file, line);) {
        const std::size_t first = line.find(':'), second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = ',' + line.substr(first + 1, second - first - 1) + ',';
        const std::string path = line.substr(second + 1);
        if (controllers == ",,") least = stricter(group_processors(root, path, "cpu.max", nullptr), least);
        if (controllers.find(",cpu,") != std::string::npos)
            least = stricter(group_processors(root + "/cpu", path, "cpu.cfs_quota_us", "cpu.cfs_period_us"), least);
    }
    return least;
}

}  // namespace detail

/// Processors that this process may keep busy, as far as Linux tells: those in its affinity mask, and at most as many
/// as its control group's quota of time is worth, rounded up. At least 1.
inline std::size_t available_processors() {
    const double group = std::ceil(detail::group_processors("/sys/fs/cgroup", "/proc/self/cgroup"));
    const std::size_t affine = std::max<std::size_t>(detail::affine_processors(), 1);
    return group >= 1 && group < static_cast<double>(affine) ? static_cast<std::size_t>(group) : affine;
}

}  // namespace eigenlm::inline EIGENLM_ABI
