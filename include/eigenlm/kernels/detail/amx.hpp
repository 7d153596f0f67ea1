#pragma once
// The AMX level: bf16 products of several rows on tiles; the rest is AVX-512's. TDPBF16PS adds up in the order that
// docs/numerics.md gives for bf16, and always flushes subnormals, so that both give the same bits.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "avx512_bf16.hpp"

// What goes into tiles and comes out of them: functions of AVX-512, so that its templates can inline them.
EIGENLM_TARGET_BEGIN(EIGENLM_AVX512)
namespace eigenlm::inline EIGENLM_ABI::detail::amx {

/// Rows of a tile of inputs: packed inputs are [ceil(rows / height)][k / 32][height][32] bf16.
inline std::size_t tile_height(std::size_t rows) { return rows < 16 ? rows : 16; }

using avx512_bf16::store_bf16;  // every processor with tiles has the instruction
/// Where the 32 inputs from `k` on of a row begin among the packed inputs of `rows` rows.
inline std::uint16_t* packed_at(float* packed, std::size_t n, std::size_t row, std::size_t rows, std::size_t k) {
    const std::size_t height = tile_height(rows), first = row < 16 ? 0 : row / 16 * 16;
    return reinterpret_cast<std::uint16_t*>(packed) + first * packed_bf16_stride(n) +
           (k / bf16_chunk * height + row - first) * bf16_chunk;
}

/// What silu_mul makes of several rows becomes tiles again. N rows are of one tile.
struct Tiles {
    template <std::size_t N>
    static void put(const Product& m, std::size_t row, std::size_t column, const avx512::Vec (&v)[N]) {
        std::uint16_t* const out = packed_at(m.out.data, m.out.cols, row, m.x.rows, column) + column % bf16_chunk;
        const auto held = avx512::first_lanes(avx512::width_at(column, m.out.cols));
        const bool fill = column + lanes >= m.out.cols && column % bf16_chunk == 0;
        EIGENLM_UNROLL
        for (std::size_t i = 0; i < N; ++i) {
            store_bf16(out + i * bf16_chunk, avx512::select(held, v[i], avx512::set1(0.0f)));
            if (fill) store_bf16(out + i * bf16_chunk + lanes, avx512::set1(0.0f));
        }
    }
};

/// Fetches where two panels' results of some rows will be put: the stores would wait for memory one by one.
inline void prefetch_out(const Product& m, std::size_t row, std::size_t stop, std::size_t panel) {
    const std::size_t column = panel * lanes;
    for (; row < stop; ++row) {
        if (m.epilogue == Epilogue::silu_mul) {
            __builtin_prefetch(packed_at(m.out.data, m.out.cols, row, m.x.rows, column / 2), 1, 2);
        } else {
            __builtin_prefetch(m.out[row] + column, 1, 2);
            __builtin_prefetch(m.out[row] + column + lanes, 1, 2);
        }
    }
}

/// The epilogue of tiles that are done, in pieces beside the next tiles' products, which need other units.
class Pending {
  public:
    Pending(const Product& m, std::size_t last) : m_(m), last_(last) {}
    Pending(const Pending&) = delete;
    Pending& operator=(const Pending&) = delete;
    /// Takes over the sums of rows [row, stop) and two panels.
    void begin(std::size_t row, std::size_t stop, std::size_t panel, const float* sums) {
        row_ = row, stop_ = stop, panel_ = panel, sums_ = sums;
        prefetch_out(m_, row, stop, panel);
    }
    void step() {
        if (row_ == stop_) return;
        const std::size_t count = stop_ - row_ < 4 ? stop_ - row_ : 4;
        avx512::finish<Tiles, 4>(m_, row_, count, panel_, panel_ + 2 < last_ ? panel_ + 2 : last_, sums_, 2 * lanes);
        row_ += count, sums_ += count * 2 * lanes;
    }
    void finish() {
        while (row_ != stop_) step();
    }

  private:
    const Product& m_;
    std::size_t last_, row_ = 0, stop_ = 0, panel_ = 0;
    const float* sums_ = nullptr;
};

/// One row as AVX-512 wants it; several as tiles.
inline void pack_bf16(const float* x, std::size_t n, std::size_t row, std::size_t rows, float* packed) {
    if (rows == 1) return avx512::pack_bf16(x, n, row, rows, packed);
    const std::size_t tile = tile_height(rows) * bf16_chunk;
    std::uint16_t* out = packed_at(packed, n, row, rows, 0);
    for (std::size_t k = 0; k < packed_bf16_stride(n); k += bf16_chunk, out += tile)
        for (std::size_t i = 0; i < bf16_chunk; i += lanes) {
            const std::size_t left = k + i < n ? n - k - i : 0;
            store_bf16(out + i, avx512::load_first(x + k + i, left < lanes ? left : lanes));
        }
}

}  // namespace eigenlm::inline EIGENLM_ABI::detail::amx
EIGENLM_TARGET_END

EIGENLM_TARGET_BEGIN(EIGENLM_AMX)
namespace eigenlm::inline EIGENLM_ABI::detail::amx {

// g++ 12's tile intrinsics have no memory operand, so that stores before them may be dropped or moved behind them.
[[gnu::always_inline]] inline void tile_fence() { asm volatile("" ::: "memory"); }

struct alignas(64) TileConfig {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t bytes_per_row[16] = {};
    std::uint8_t rows[16] = {};
};

/// Tiles 0 to 3 hold sums, 4 and 5 inputs, all of `rows` rows; 6 and 7 weights. Released at the end of its life: the
/// system would save 8 KiB at each change of threads.
struct TileState {
    explicit TileState(std::size_t rows) {
        TileConfig config;
        for (int tile = 0; tile < 8; ++tile) {
            config.bytes_per_row[tile] = 64;
            config.rows[tile] = static_cast<std::uint8_t>(tile < 6 ? rows : 16);
        }
        tile_fence();
        _tile_loadconfig(&config);
    }
    TileState(const TileState&) = delete;
    TileState& operator=(const TileState&) = delete;
    ~TileState() {
        tile_fence();
        _tile_release();
    }
};

/// One or two tiles of rows by two panels, over the 32s [part.begin, part.end) of inputs.
template <int RowTiles>
inline void multiply_tiles(const std::uint16_t* x, std::size_t height, std::size_t chunks,
                           const std::uint16_t* const (&weight)[2], const avx512::Part& part, avx512::Prefetch& fetch,
                           Pending& pending) {
    constexpr int row = 2 * lanes * sizeof(float);  // of the sums, in bytes
    float* const lower = part.sums + height * part.stride;
    const std::uint16_t* const x1 = x + height * chunks * bf16_chunk;
    tile_fence();
    if (part.begin == 0) {
        _tile_zero(0);
        _tile_zero(1);
        if constexpr (RowTiles == 2) {
            _tile_zero(2);
            _tile_zero(3);
        }
    } else {
        _tile_loadd(0, part.sums, row);
        _tile_loadd(1, part.sums + lanes, row);
        if constexpr (RowTiles == 2) {
            _tile_loadd(2, lower, row);
            _tile_loadd(3, lower + lanes, row);
        }
    }
    // The weights' part stays in the first-level cache for all rows. The inputs pass through (stream), lest they drive
    // it out.
    for (std::size_t k = part.begin; k < part.end; ++k) {
        _tile_loadd(6, weight[0] + k * bf16_chunk * lanes, 64);
        _tile_stream_loadd(4, x + k * height * bf16_chunk, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, weight[1] + k * bf16_chunk * lanes, 64);
        _tile_dpbf16ps(1, 4, 7);
        if constexpr (RowTiles == 2) {
            _tile_stream_loadd(5, x1 + k * height * bf16_chunk, 64);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        fetch.step();
        pending.step();
    }
    pending.finish();  // its sums may lie where these go
    tile_fence();
    _tile_stored(0, part.sums, row);
    _tile_stored(1, part.sums + lanes, row);
    if constexpr (RowTiles == 2) {
        _tile_stored(2, lower, row);
        _tile_stored(3, lower + lanes, row);
    }
    tile_fence();
}

inline void multiply_blocks(const MatmulBf16& m, std::size_t first, std::size_t last) {
    const std::size_t chunks = packed_bf16_stride(m.x.cols) / bf16_chunk, height = tile_height(m.x.rows);
    const auto* const x = reinterpret_cast<const std::uint16_t*>(m.x.data);
    const TileState state(height);
    Pending pending(m, last);
    const auto multiply = [&](std::size_t row, std::size_t stop, std::size_t panel,
                              const std::uint16_t* const(&weight)[2], const avx512::Part& part,
                              avx512::Prefetch& fetch) {
        avx512::Part tiles = {part.begin / bf16_chunk, part.end / bf16_chunk, part.sums, part.stride};
        for (std::size_t r = row; r < stop; r += 2 * height, tiles.sums += 2 * height * part.stride) {
            if (r + height < stop)
                multiply_tiles<2>(x + r * chunks * bf16_chunk, height, chunks, weight, tiles, fetch, pending);
            else
                multiply_tiles<1>(x + r * chunks * bf16_chunk, height, chunks, weight, tiles, fetch, pending);
            if (tiles.end == chunks) pending.begin(r, r + 2 * height < stop ? r + 2 * height : stop, panel, tiles.sums);
        }
    };
    alignas(64) float local[avx512::local_sums<2>];
    avx512::multiply_many<2, std::uint16_t, 32768>(m, first, last, 2 * height, bf16_chunk, local, multiply);
    pending.finish();
}

inline void matmul_bf16(const MatmulBf16& m, std::size_t first, std::size_t last) {
    if (m.x.rows == 1)
        avx512::matmul_bf16(m, first, last);
    else
        multiply_blocks(m, first, last);
}

}  // namespace eigenlm::inline EIGENLM_ABI::detail::amx
EIGENLM_TARGET_END
#endif
