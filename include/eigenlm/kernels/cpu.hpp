#pragma once
// Which set of kernels runs: the best one this machine has, or a lower one that somebody asked for.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "../base/error.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// The sets of kernels ("levels"). All but `eigen` give the same bits.
enum class Isa {
    eigen,     ///< plain Eigen products, for comparison; outside the same-bits contract
    portable,  ///< what every supported CPU runs: SSE2 or NEON
    avx2,      ///< AVX2, FMA, F16C
    avx512,    ///< AVX-512 F, BW, DQ, VL
    amx,       ///< the same and AMX's bf16 tiles
};

/// Every level of this architecture, from the lowest to the highest.
#if defined(__x86_64__)
inline constexpr Isa all_isas[] = {Isa::eigen, Isa::portable, Isa::avx2, Isa::avx512, Isa::amx};
#else
inline constexpr Isa all_isas[] = {Isa::eigen, Isa::portable};
#endif

/// "eigen", "portable", "avx2", "avx512", "amx": the names that EIGENLM_ISA takes.
constexpr const char* to_string(Isa isa) noexcept {
    constexpr const char* names[] = {"eigen", "portable", "avx2", "avx512", "amx"};
    return names[static_cast<int>(isa)];
}

namespace detail {

#if defined(__x86_64__)
/// What the processor has and the system saves (Intel's Software Developer's Manual, volume 1, chapters 14 to 18).
inline Isa probe_isa() {
    struct Registers {
        unsigned a = 0, b = 0, c = 0, d = 0;
    };
    const auto cpuid = [](unsigned leaf) {
        Registers r;
        if (!__get_cpuid_count(leaf, 0, &r.a, &r.b, &r.c, &r.d)) r = {};
        return r;
    };
    const auto all = [](unsigned word, std::initializer_list<int> bits) {
        for (const int bit : bits)
            if ((word >> bit & 1u) == 0) return false;
        return true;
    };
    const Registers basic = cpuid(1), extended = cpuid(7);
    if (!all(basic.c, {27})) return Isa::portable;  // xgetbv is there
    unsigned saved = 0, upper = 0;
    asm volatile("xgetbv" : "=a"(saved), "=d"(upper) : "c"(0));
    if (!all(saved, {1, 2})) return Isa::portable;                                       // ymm
    if (!all(basic.c, {12, 28, 29})) return Isa::portable;                               // fma avx f16c
    if (!all(extended.b, {3, 5, 8})) return Isa::portable;                               // bmi avx2 bmi2
    if (!all(saved, {5, 6, 7}) || !all(extended.b, {16, 17, 30, 31})) return Isa::avx2;  // zmm; f dq bw vl
    if (!all(saved, {17, 18}) || !all(extended.d, {22, 24})) return Isa::avx512;         // tiles; bf16 tile
    if (!all(extended.c, {1})) return Isa::avx512;                                       // vbmi
    // Linux gives a process tiles only when it asks: ARCH_REQ_XCOMP_PERM for XFEATURE_XTILEDATA.
    return ::syscall(SYS_arch_prctl, 0x1023, 18) == 0 ? Isa::amx : Isa::avx512;
}
#else
inline Isa probe_isa() { return Isa::portable; }
#endif

}  // namespace detail

/// The best level this machine runs. Asks the system for the permission to use AMX, once in a process; where it is
/// refused, the best level is one lower.
inline Isa best_isa() {
    static const Isa best = detail::probe_isa();
    return best;
}

/// Whether this machine runs a level.
inline bool runs(Isa isa) { return isa <= best_isa(); }

/// The levels that this machine runs, from the lowest to the highest.
inline std::vector<Isa> available_isas() {
    std::vector<Isa> found;
    for (const Isa isa : all_isas)
        if (runs(isa)) found.push_back(isa);
    return found;
}

/// `isa`; ArgumentError, naming `where`, when this machine does not run it.
inline Isa require_runs(Isa isa, const char* where) {
    if (!runs(isa))
        throw ArgumentError(where, std::string("expected at most ") + to_string(best_isa()) +
                                       ", the best that this machine runs, found " + to_string(isa));
    return isa;
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

/// The level that the environment variable EIGENLM_ISA names, or else the best one. Throws ArgumentError on a name that
/// is none, and on a level that this machine does not run.
inline Isa default_isa() {
    const char* wish = std::getenv("EIGENLM_ISA");
    return wish && *wish ? require_runs(isa_from_string(wish, "EIGENLM_ISA"), "EIGENLM_ISA") : best_isa();
}

}  // namespace eigenlm::inline EIGENLM_ABI
