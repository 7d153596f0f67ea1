#pragma once
// Which set of kernels runs: the best one this machine has, or a lower one that somebody asked for.
#include <cstdlib>
#include <string>
#include <string_view>

#include "../base/error.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// The sets of kernels ("levels"). All but `eigen` give the same bits.
enum class Isa {
    eigen,     ///< plain Eigen products, for comparison; outside the same-bits contract
    portable,  ///< what every supported CPU runs
};

/// Every level.
inline constexpr Isa all_isas[] = {Isa::eigen, Isa::portable};

/// "eigen", "portable": the names that EIGENLM_ISA takes.
constexpr const char* to_string(Isa isa) noexcept {
    constexpr const char* names[] = {"eigen", "portable"};
    return names[static_cast<int>(isa)];
}

/// The level of that name; ArgumentError, naming `where` and the known ones, when there is none.
inline Isa isa_from_string(std::string_view name, const char* where) {
    std::string known;
    for (const Isa isa : all_isas) {
        if (name == to_string(isa)) return isa;
        known += std::string(known.empty() ? "" : ", ") + to_string(isa);
    }
    throw ArgumentError(where, "expected one of " + known + ", found \"" + std::string(name) + "\"");
}

/// The best level this machine runs.
inline Isa best_isa() { return Isa::portable; }

/// The level that the environment variable EIGENLM_ISA names, or else the best one. Throws ArgumentError on a name that
/// is none.
inline Isa default_isa() {
    const char* wish = std::getenv("EIGENLM_ISA");
    return wish && *wish ? isa_from_string(wish, "EIGENLM_ISA") : best_isa();
}

}  // namespace eigenlm::inline EIGENLM_ABI
