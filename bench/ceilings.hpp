#pragma once
// What this machine can do at most: bytes read from memory and multiply-adds a second, measured on the threads that do
// the work, in slices of a few hundredths of a second so that they can take turns with it.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <eigenlm/eigenlm.hpp>
#include <eigenlm/kernels/detail/amx.hpp>
#include <eigenlm/kernels/detail/portable_vector.hpp>
#include <eigenlm/kernels/target.hpp>
#include <string>
#include <vector>

#include "median.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ceilings {

inline double seconds_since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace ceilings

// Loops of independent multiply-adds on registers; each returns the operations it has done.
#if defined(__x86_64__)
EIGENLM_TARGET_BEGIN(EIGENLM_AVX2)
namespace ceilings::avx2 {
inline double fma_loop(std::size_t rounds) {
    __m256 sums[12], x = _mm256_set1_ps(0.5f);
    asm volatile("" : "+x"(x));
    for (auto& sum : sums) sum = x;
    for (std::size_t i = 0; i < rounds; ++i) {
        EIGENLM_UNROLL
        for (int j = 0; j < 12; ++j) sums[j] = _mm256_fmadd_ps(sums[j], x, x);
    }
    for (auto& sum : sums) asm volatile("" : : "x"(sum));
    return static_cast<double>(rounds) * 12 * 8 * 2;
}
inline double int8_loop(std::size_t rounds) {
    __m256i sums[12], x = _mm256_set1_epi8(55);
    const __m256i one = _mm256_set1_epi16(1);
    for (auto& sum : sums) sum = x;
    for (std::size_t i = 0; i < rounds; ++i) {
        EIGENLM_UNROLL
        for (int j = 0; j < 12; ++j) {
            asm volatile("" : "+x"(x));  // or all the products would be the same
            sums[j] = _mm256_add_epi32(sums[j], _mm256_madd_epi16(_mm256_maddubs_epi16(x, x), one));
        }
    }
    for (auto& sum : sums) asm volatile("" : : "x"(sum));
    return static_cast<double>(rounds) * 12 * 32 * 2;
}
}  // namespace ceilings::avx2
EIGENLM_TARGET_END

EIGENLM_TARGET_BEGIN(EIGENLM_AVX512)
namespace ceilings::avx512 {
inline double fma_loop(std::size_t rounds) {
    __m512 sums[12], x = _mm512_set1_ps(0.5f);
    asm volatile("" : "+v"(x));
    for (auto& sum : sums) sum = x;
    for (std::size_t i = 0; i < rounds; ++i) {
        EIGENLM_UNROLL
        for (int j = 0; j < 12; ++j) sums[j] = _mm512_fmadd_ps(sums[j], x, x);
    }
    for (auto& sum : sums) asm volatile("" : : "v"(sum));
    return static_cast<double>(rounds) * 12 * 16 * 2;
}
inline double bf16_loop(std::size_t rounds) {
    __m512 sums[12], x = _mm512_castsi512_ps(_mm512_set1_epi32(0x3f003f00));  // pairs of 0.5
    asm volatile("" : "+v"(x));
    EIGENLM_UNROLL
    for (auto& sum : sums) sum = x;
    for (std::size_t i = 0; i < rounds; ++i) {
        EIGENLM_UNROLL
        for (int j = 0; j < 12; ++j) asm("vdpbf16ps %1, %1, %0" : "+v"(sums[j]) : "v"(x));
    }
    EIGENLM_UNROLL  // or the sums would live in memory
    for (auto& sum : sums) asm volatile("" : : "v"(sum));
    return static_cast<double>(rounds) * 12 * 32 * 2;
}
}  // namespace ceilings::avx512
EIGENLM_TARGET_END

EIGENLM_TARGET_BEGIN(EIGENLM_AVX512_VNNI)
namespace ceilings::avx512_vnni {
inline double int8_loop(std::size_t rounds) {
    __m512i sums[12], x = _mm512_set1_epi8(55);
    asm volatile("" : "+v"(x));
    for (auto& sum : sums) sum = x;
    for (std::size_t i = 0; i < rounds; ++i) {
        EIGENLM_UNROLL
        for (int j = 0; j < 12; ++j) sums[j] = _mm512_dpbusd_epi32(sums[j], x, x);
    }
    for (auto& sum : sums) asm volatile("" : : "v"(sum));
    return static_cast<double>(rounds) * 12 * 64 * 2;
}
}  // namespace ceilings::avx512_vnni
EIGENLM_TARGET_END

EIGENLM_TARGET_BEGIN(EIGENLM_AMX_INT8)
namespace ceilings::amx {
/// A tile of bfloat16s between -1 and 1, or of any bytes. Multiplying zeros takes less power, and some processors then
/// run faster than they can at any real work.
struct Numbers {
    alignas(64) std::uint16_t values[512];
    explicit Numbers(bool bf16) {
        std::uint64_t state = 1;
        for (auto& value : values) {
            state = state * 6364136223846793005u + 1;
            value = bf16 ? eigenlm::f32_to_bf16(static_cast<float>(state >> 40) * 0x1p-23f - 1)
                         : static_cast<std::uint16_t>(state >> 48);
        }
    }
};
/// Sums of zero in tiles 0 to 3, numbers in 4 to 7.
inline void fill_tiles(const Numbers& numbers) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    asm volatile("" ::: "memory");
    _tile_loadd(4, numbers.values, 64);
    _tile_loadd(5, numbers.values, 64);
    _tile_loadd(6, numbers.values, 64);
    _tile_loadd(7, numbers.values, 64);
}
inline double bf16_loop(std::size_t rounds) {
    static const Numbers numbers(true);
    const eigenlm::detail::amx::TileState state(16);
    fill_tiles(numbers);
    for (std::size_t i = 0; i < rounds; ++i) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    return static_cast<double>(rounds) * 4 * 16 * 16 * 32 * 2;
}
inline double int8_loop(std::size_t rounds) {
    static const Numbers numbers(false);
    const eigenlm::detail::amx::TileState state(16);
    fill_tiles(numbers);
    for (std::size_t i = 0; i < rounds; ++i) {
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 4, 7);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    return static_cast<double>(rounds) * 4 * 16 * 16 * 64 * 2;
}
}  // namespace ceilings::amx
EIGENLM_TARGET_END
#endif

EIGENLM_EXACT_BEGIN  // as the kernels, or their functions would not be inlined
    namespace ceilings {
    /// Multiply-adds of bytes as the portable kernels do them: made 16 bits, and pairs of products added up.
    inline double plain_int8_loop(std::size_t rounds) {
        namespace portable = eigenlm::detail::portable;
        portable::QuadBits sums[12] = {};
        for (auto& sum : sums) sum += 55;
        for (std::size_t i = 0; i < rounds; ++i) {
            EIGENLM_UNROLL
            for (int j = 0; j < 12; ++j) {
                const auto x = (portable::Eight)sums[j];
                sums[j] += (portable::QuadBits)portable::multiply_pairs(x, x);
            }
        }
        portable::QuadBits total = {};
        for (const auto& sum : sums) total ^= sum;
        asm volatile("" : : "r"(&total) : "memory");
        return static_cast<double>(rounds) * 12 * 8 * 2;
    }
}  // namespace ceilings
EIGENLM_EXACT_END

namespace ceilings {

/// What any compiler makes of multiply-adds without special instructions (on aarch64: NEON's).
inline double plain_loop(std::size_t rounds) {
    typedef float Quad __attribute__((vector_size(16)));
    Quad sums[12] = {};
    for (std::size_t i = 0; i < rounds; ++i) {
        EIGENLM_UNROLL
        for (int j = 0; j < 12; ++j) sums[j] = sums[j] * sums[j] + 0.5f;
        asm volatile("" : : : "memory");
    }
    float total = 0;
    for (const Quad& sum : sums) total += sum[0];
    asm volatile("" : : "r"(&total) : "memory");
    return static_cast<double>(rounds) * 12 * 4 * 2;
}

/// Billions of operations a second of a loop on all threads of a pool, for about `seconds`.
inline double rate(eigenlm::ThreadPool& pool, double (*loop)(std::size_t), double seconds) {
    std::atomic<double> operations = 0;
    const auto begin = std::chrono::steady_clock::now();
    pool.for_each(pool.size(), 1, [&](std::size_t, std::size_t, std::size_t) {
        double own = 0;
        while (seconds_since(begin) < seconds) own += loop(4096);
        operations += own;
    });
    return operations / seconds_since(begin) * 1e-9;
}
/// f32 multiply-adds of the kernels' level.
inline double fma_f32_gflops(eigenlm::ThreadPool& pool, eigenlm::Isa isa, double seconds) {
#if defined(__x86_64__)
    if (isa >= eigenlm::Isa::avx512) return rate(pool, avx512::fma_loop, seconds);
    if (isa == eigenlm::Isa::avx2) return rate(pool, avx2::fma_loop, seconds);
#endif
    return rate(pool, plain_loop, seconds);
}
/// bf16 multiply-adds: tiles', or those of AVX-512's pairs, or what the f32 units do.
inline double bf16_gflops(eigenlm::ThreadPool& pool, eigenlm::Isa isa, double seconds) {
#if defined(__x86_64__)
    if (isa == eigenlm::Isa::amx) return rate(pool, amx::bf16_loop, seconds);
    if (isa == eigenlm::Isa::avx512_bf16) return rate(pool, avx512::bf16_loop, seconds);
#endif
    return fma_f32_gflops(pool, isa, seconds);
}
/// Multiply-adds of bytes: tiles', or those of AVX-512's or AVX2's instructions, or of what there is; plain Eigen has
/// floats instead. (That of tiles has not run on any machine yet.)
inline double int8_gops(eigenlm::ThreadPool& pool, eigenlm::Isa isa, double seconds) {
    if (isa == eigenlm::Isa::eigen) return fma_f32_gflops(pool, isa, seconds);
#if defined(__x86_64__)
    if (isa == eigenlm::Isa::amx) return rate(pool, amx::int8_loop, seconds);
    if (isa >= eigenlm::Isa::avx512 && eigenlm::detail::probe_avx512_vnni())
        return rate(pool, avx512_vnni::int8_loop, seconds);
    if (isa >= eigenlm::Isa::avx2) return rate(pool, avx2::int8_loop, seconds);
#endif
    return rate(pool, plain_int8_loop, seconds);
}

/// Reads memory as fast as it goes: in 1, 4 or 8 streams a thread, far apart or side by side in runs of 32 KiB, from
/// pages of 4 KiB or huge ones, with or without fetching ahead, whichever turns out best here.
class DramRead {
  public:
    /// Two buffers of `size` bytes, which should be several times the caches'.
    DramRead(eigenlm::ThreadPool& pool, std::size_t size)
        : small_(pool, size, MADV_NOHUGEPAGE), huge_(pool, size, MADV_HUGEPAGE) {
        struct Found {
            Way way;
            std::vector<double> rates;
        };
        std::vector<Found> found;
        for (const bool huge : {false, true})
            for (const std::size_t streams : {1u, 4u, 8u})
                for (const bool far_apart : {true, false})
                    for (const std::size_t ahead : {0u, 4096u, 8192u})
                        if (streams != 1 || far_apart) found.push_back({{huge, streams, far_apart, ahead}, {}});
        for (int round = 0; round < 5; ++round)  // in turns: the best of one moment need not be the best
            for (Found& f : found) f.rates.push_back(read(pool, f.way));
        best_ = std::ranges::max_element(found, {}, [](const Found& f) { return bench::median(f.rates); })->way;
        (best_.huge ? small_ : huge_) = {};
    }
    /// GB/s, once through everything.
    double gb_s(eigenlm::ThreadPool& pool) const { return read(pool, best_); }
    std::string how() const {
        return std::to_string(best_.streams) + (best_.streams == 1 ? " stream" : " streams") +
               (best_.far_apart ? "" : " side by side") + " a thread, " + (best_.huge ? "huge" : "4 KiB") + " pages" +
               (best_.ahead != 0 ? ", fetching " + std::to_string(best_.ahead / 1024) + " KiB ahead" : "");
    }

  private:
    typedef std::uint64_t Line __attribute__((vector_size(64), aligned(64), may_alias));
    struct Way {
        bool huge = false;
        std::size_t streams = 1;
        bool far_apart = true;
        std::size_t ahead = 0;  // bytes, see read_part
    };

    struct Pages {
        Pages() = default;
        Pages(eigenlm::ThreadPool& pool, std::size_t bytes, int advice) : size(bytes) {
            void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (memory == MAP_FAILED)
                throw eigenlm::ResourceError("memory", "cannot reserve " + std::to_string(size) + " bytes to read");
            data = static_cast<char*>(memory);
            ::madvise(memory, size, advice);
            pool.split(size / 4096, 1, 256, [&](std::size_t begin, std::size_t end, std::size_t) {
                for (std::size_t page = begin; page < end; ++page) data[page * 4096] = 1;
            });
        }
        Pages(const Pages&) = delete;
        Pages& operator=(Pages&& other) noexcept {
            std::swap(data, other.data);
            std::swap(size, other.size);
            return *this;
        }
        ~Pages() {
            if (data) ::munmap(data, size);
        }
        char* data = nullptr;
        std::size_t size = 0;
    };
    /// Each stream reads `run` bytes, then the streams go on behind the last one's. `bytes` is a multiple of all that.
    /// Each fetches 4 KiB ahead, or 8 KiB into the second-level cache, or nothing.
    template <std::size_t Streams, std::size_t Ahead>
    static void read_part(const char* data, std::size_t bytes, std::size_t run) {
        Line sums[Streams] = {};
        for (const char* const end = data + bytes; data != end; data += Streams * run)
            for (std::size_t i = 0; i < run; i += 64) {
                const std::size_t ahead = i + Ahead < run ? Ahead : Ahead + (Streams - 1) * run;
                EIGENLM_UNROLL
                for (std::size_t s = 0; s < Streams; ++s) {
                    if constexpr (Ahead != 0) __builtin_prefetch(data + s * run + i + ahead, 0, Ahead > 4096 ? 2 : 3);
                    sums[s] |= *reinterpret_cast<const Line*>(data + s * run + i);
                }
            }
        for (const Line& sum : sums) asm volatile("" : : "r"(&sum) : "memory");
    }
    template <std::size_t Ahead>
    static auto reader(std::size_t streams) {
        return streams == 1 ? read_part<1, Ahead> : streams == 4 ? read_part<4, Ahead> : read_part<8, Ahead>;
    }
    double read(eigenlm::ThreadPool& pool, const Way& way) const {
        const Pages& pages = way.huge ? huge_ : small_;
        std::size_t part = pages.size / pool.size() / 4096 * 4096;
        const std::size_t most = std::max<std::size_t>(part / way.streams / 64 * 64, 64),
                          run = way.far_apart ? most : std::min<std::size_t>(most, 32768);
        part = part / (way.streams * run) * (way.streams * run);
        const auto begin = std::chrono::steady_clock::now();
        pool.for_each(pool.size(), 1, [&](std::size_t i, std::size_t, std::size_t) {
            const auto read = way.ahead == 0      ? reader<0>(way.streams)
                              : way.ahead == 4096 ? reader<4096>(way.streams)
                                                  : reader<8192>(way.streams);
            read(pages.data + i * part, part, run);
        });
        return static_cast<double>(part * pool.size()) / seconds_since(begin) * 1e-9;
    }

    Pages small_, huge_;
    Way best_;
};

}  // namespace ceilings
