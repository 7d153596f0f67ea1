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

/// The sets of kernels ("levels"). All but `eigen` and `avx512_bf16` give the same bits.
enum class Isa {
    eigen,        ///< plain Eigen products, for comparison; outside the same-bits contract
    portable,     ///< what every supported CPU runs: SSE2 or NEON
    avx2,         ///< AVX2, FMA, F16C
    avx512,       ///< AVX-512 F, BW, DQ, VL
    avx512_bf16,  ///< the same, with AVX-512's instruction for bf16 products: bits of its own. See Numerics
    amx,          ///< avx512 and AMX's tiles of bf16 and of bytes
};

/// Which arithmetic is wanted, where there is a choice.
enum class Numerics {
    same_bits,  ///< what every machine and level computes
    fastest,    ///< what this machine is fastest at: products of numbers in bf16, attention's too, by `avx512_bf16` in
                ///< place of `avx512`, where it has that. Batches, chunks, threads and caches make no difference to
                ///< the bits; other levels do
};
/// Both.
inline constexpr Numerics all_numerics[] = {Numerics::same_bits, Numerics::fastest};
/// "same-bits", "fastest"
constexpr const char* to_string(Numerics numerics) noexcept {
    return numerics == Numerics::same_bits ? "same-bits" : "fastest";
}

/// Every level of this architecture, from the lowest to the highest.
#if defined(__x86_64__)
inline constexpr Isa all_isas[] = {Isa::eigen, Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx};
#else
inline constexpr Isa all_isas[] = {Isa::eigen, Isa::portable};
#endif

/// "eigen", "portable", "avx2", "avx512", "avx512_bf16", "amx": the names that EIGENLM_ISA takes.
constexpr const char* to_string(Isa isa) noexcept {
    constexpr const char* names[] = {"eigen", "portable", "avx2", "avx512", "avx512_bf16", "amx"};
    return names[static_cast<int>(isa)];
}

namespace detail {

#if defined(__x86_64__)
/// What the processor says of itself.
struct CpuId {
    unsigned a = 0, b = 0, c = 0, d = 0;
    explicit CpuId(unsigned leaf, unsigned part = 0) {
        if (!__get_cpuid_count(leaf, part, &a, &b, &c, &d)) a = b = c = d = 0;
    }
};

/// What the processor has and the system saves (Intel's Software Developer's Manual, volume 1, chapters 14 to 18).
inline Isa probe_isa() {
    const auto all = [](unsigned word, std::initializer_list<int> bits) {
        for (const int bit : bits)
            if ((word >> bit & 1u) == 0) return false;
        return true;
    };
    const CpuId basic(1), extended(7);
    if (!all(basic.c, {27})) return Isa::portable;  // xgetbv is there
    unsigned saved = 0, upper = 0;
    asm volatile("xgetbv" : "=a"(saved), "=d"(upper) : "c"(0));
    if (!all(saved, {1, 2})) return Isa::portable;                                       // ymm
    if (!all(basic.c, {12, 28, 29})) return Isa::portable;                               // fma avx f16c
    if (!all(extended.b, {3, 5, 8})) return Isa::portable;                               // bmi avx2 bmi2
    if (!all(saved, {5, 6, 7}) || !all(extended.b, {16, 17, 30, 31})) return Isa::avx2;  // zmm; f dq bw vl
    if (!all(saved, {17, 18}) || !all(extended.d, {22, 24, 25})) return Isa::avx512;     // tiles; bf16 tile int8
    if (!all(extended.c, {1, 11})) return Isa::avx512;                                   // vbmi vnni
    // Linux gives a process tiles only when it asks: ARCH_REQ_XCOMP_PERM for XFEATURE_XTILEDATA.
    return ::syscall(SYS_arch_prctl, 0x1023, 18) == 0 ? Isa::amx : Isa::avx512;
}
inline bool probe_avx512_bf16() { return (CpuId(7, 1).a >> 5 & 1u) != 0; }
inline bool probe_avx512_vnni() { return (CpuId(7).c >> 11 & 1u) != 0; }
#else
inline Isa probe_isa() { return Isa::portable; }
inline bool probe_avx512_bf16() { return false; }
inline bool probe_avx512_vnni() { return false; }
#endif

}  // namespace detail

/// The best level this machine runs of those that give the same bits. Asks the system for the permission to use AMX,
/// once in a process; where it is refused, the best level is one lower.
inline Isa best_isa() {
    static const Isa best = detail::probe_isa();
    return best;
}

/// Whether this machine runs a level.
inline bool runs(Isa isa) {
    if (isa == Isa::avx512_bf16) return best_isa() >= Isa::avx512 && detail::probe_avx512_bf16();
    return isa <= best_isa();
}

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

/// The level that takes this one's place for such numerics.
inline Isa with_numerics(Isa isa, Numerics numerics) {
    const bool faster = numerics == Numerics::fastest && isa == Isa::avx512 && runs(Isa::avx512_bf16);
    return faster ? Isa::avx512_bf16 : isa;
}

/// The level of that name; ArgumentError, naming `where` and the known ones, when there is none.
inline Isa isa_from_string(std::string_view name, const char* where) { return detail::named(all_isas, name, where); }

/// The numerics of that name; ArgumentError likewise.
inline Numerics numerics_from_string(std::string_view name, const char* where) {
    return detail::named(all_numerics, name, where);
}

/// The level that the environment variable EIGENLM_ISA names, or else the best one. Throws ArgumentError on a name that
/// is none, and on a level that this machine does not run.
inline Isa default_isa() {
    const char* wish = std::getenv("EIGENLM_ISA");
    return wish && *wish ? require_runs(isa_from_string(wish, "EIGENLM_ISA"), "EIGENLM_ISA") : best_isa();
}

}  // namespace eigenlm::inline EIGENLM_ABI
