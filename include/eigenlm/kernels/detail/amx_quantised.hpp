#pragma once
// The AMX level's products with quantised weights: of many rows on tiles of bytes, of few on AVX-512's.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "amx.hpp"
#include "avx512_vnni.hpp"

EIGENLM_TARGET_BEGIN(EIGENLM_AMX_INT8)
namespace eigenlm::inline EIGENLM_ABI::detail::amx_quantised {

using namespace avx512_vnni;

/// Tiles 0 and 1 hold sums, 2 and 3 the numbers of 16 rows; 4 and 5 codes; 6 and 7 sums and numbers of fewer rows.
class ByteTiles {
  public:
    ByteTiles(std::size_t group, std::size_t fewer_rows) {
        amx::TileConfig config;
        const auto set = [&](int tile, std::size_t rows, std::size_t bytes_per_row) {
            config.rows[tile] = static_cast<std::uint8_t>(rows);
            config.bytes_per_row[tile] = static_cast<std::uint16_t>(bytes_per_row);
        };
        const std::size_t fewer = fewer_rows != 0 ? fewer_rows : 16;  // a tile of none would be an error
        set(0, 16, 64), set(1, 16, 64), set(6, fewer, 64);
        set(2, 16, group), set(3, 16, group), set(7, fewer, group);
        set(4, group / 4, 64), set(5, group / 4, 64);
        amx::tile_fence();
        _tile_loadconfig(&config);
    }
    ByteTiles(const ByteTiles&) = delete;
    ByteTiles& operator=(const ByteTiles&) = delete;
    ~ByteTiles() {
        amx::tile_fence();
        _tile_release();
    }

    template <std::size_t Group>
    void multiply(const std::int8_t* numbers, std::size_t stride, std::size_t rows, const std::uint8_t* codes,
                  std::int32_t* sums, std::size_t turn) const {
        amx::tile_fence();
        if (rows < 16) {
            _tile_zero(6);
            _tile_loadd(7, numbers, stride);
            _tile_loadd(4, codes, 64);
            _tile_dpbssd(6, 7, 4);
            _tile_stored(6, sums, 64);
        } else if (turn == 0) {
            _tile_zero(0);
            _tile_loadd(2, numbers, stride);
            _tile_loadd(4, codes, 64);
            _tile_dpbssd(0, 2, 4);
            _tile_stored(0, sums, 64);
        } else {
            _tile_zero(1);
            _tile_loadd(3, numbers, stride);
            _tile_loadd(5, codes, 64);
            _tile_dpbssd(1, 3, 5);
            _tile_stored(1, sums, 64);
        }
        amx::tile_fence();
    }
};

#include "quantised_tiles-inl.hpp"

inline void matmul_quantised(const MatmulQuantised& m, std::size_t first, std::size_t last) {
    matmul_quantised_on<ByteTiles>(m, first, last);
}

}  // namespace eigenlm::inline EIGENLM_ABI::detail::amx_quantised
EIGENLM_TARGET_END
#endif
