#pragma once
// The processor's floating-point state while our arithmetic runs: the same in every thread, and the host's afterwards.
#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "abi.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// For its lifetime: round to nearest, no traps, subnormals read and written as zero (what AMX does in hardware, and so
/// what every level does). Restores the caller's state, its exception flags included.
class FloatState {
  public:
#if defined(__x86_64__)
    FloatState() : saved_(_mm_getcsr()) { _mm_setcsr(0x9fc0); }  // FTZ | DAZ | all exceptions masked
    ~FloatState() { _mm_setcsr(static_cast<unsigned>(saved_)); }
#else
    FloatState() : saved_(read()) { write(std::uint64_t{1} << 24); }  // FPCR.FZ
    ~FloatState() { write(saved_); }
#endif
    FloatState(const FloatState&) = delete;
    FloatState& operator=(const FloatState&) = delete;

    /// Runs `call` (a user's callback) under the state the host had.
    template <class Call>
    static void with_host_state(const FloatState& state, const Call& call) {
        struct Ours {
            explicit Ours(std::uint64_t host) : ours(read()) { write(host); }
            ~Ours() { write(ours); }
            std::uint64_t ours;
        } ours(state.saved_);
        call();
    }

  private:
#if defined(__x86_64__)
    static std::uint64_t read() { return _mm_getcsr(); }
    static void write(std::uint64_t state) { _mm_setcsr(static_cast<unsigned>(state)); }
#else
    static std::uint64_t read() {
        std::uint64_t state;
        asm volatile("mrs %0, fpcr" : "=r"(state));
        return state;
    }
    static void write(std::uint64_t state) { asm volatile("msr fpcr, %0" : : "r"(state)); }
#endif
    std::uint64_t saved_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
