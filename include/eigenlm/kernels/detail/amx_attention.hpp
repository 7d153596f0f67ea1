#pragma once
// Attention over a bf16 cache on tiles: avx512's arithmetic. Tiles multiply while vectors weigh: the scores of the next
// queries and the weighted sums of the ones before are computed, a product at a time, beside the weights of these.
#if defined(__x86_64__)
#include <optional>

#include "amx.hpp"

EIGENLM_TARGET_BEGIN(EIGENLM_AMX)
namespace eigenlm::inline EIGENLM_ABI::detail::amx {

/// One tile of rows by some panels, four panels at a time with their sums in tiles 0 to 3, in steps of one tile
/// product. Where there are fewer panels the last one stands again, its sums where nobody looks.
class PanelProduct {
  public:
    PanelProduct() = default;
    /// x: [chunks][height][32]; weight: [panels][chunks][16][16][2]; sums: [height, stride], from zero or resumed
    PanelProduct(const std::uint16_t* x, std::size_t height, std::size_t chunks, const std::uint16_t* weight,
                 std::size_t panels, float* sums, std::size_t stride, bool resumed)
        : x_(x),
          weight_(weight),
          sums_(sums),
          height_(height),
          chunks_(chunks),
          left_(panels),
          row_(static_cast<int>(stride * sizeof(float))),
          resumed_(resumed) {}

    /// Steps to come.
    std::size_t steps() const { return round_up(left_, 4) * chunks_ - 4 * chunk_ - part_; }

    [[gnu::always_inline]] void step() {
        const std::uint16_t* const weight = weight_ + chunk_ * chunk_size;
        const std::size_t panel = chunks_ * chunk_size;  // numbers
        switch (part_++) {
            case 0:
                if (chunk_ == 0) begin();
                _tile_loadd(4, x_ + chunk_ * height_ * bf16_chunk, 64);
                _tile_loadd(6, weight, 64);
                _tile_dpbf16ps(0, 4, 6);
                break;
            case 1:
                _tile_loadd(7, weight + (left_ > 1 ? panel : 0), 64);
                _tile_dpbf16ps(1, 4, 7);
                break;
            case 2:
                _tile_loadd(6, weight + (left_ > 2 ? 2 * panel : 0), 64);
                _tile_dpbf16ps(2, 4, 6);
                break;
            default:
                _tile_loadd(7, weight + (left_ > 3 ? 3 * panel : 0), 64);
                _tile_dpbf16ps(3, 4, 7);
                part_ = 0;
                if (++chunk_ == chunks_) end();
        }
    }
    void finish() {
        while (left_ != 0) step();
    }

  private:
    static constexpr std::size_t chunk_size = bf16_chunk * lanes;

    void begin() {
        tile_fence();
        if (resumed_) {
            _tile_loadd(0, sums_, row_);
            _tile_loadd(1, sums_ + lanes, row_);
            _tile_loadd(2, sums_ + 2 * lanes, row_);
            _tile_loadd(3, sums_ + 3 * lanes, row_);
        } else {
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
        }
    }
    void end() {
        _tile_stored(0, sums_, row_);
        _tile_stored(1, sums_ + lanes, row_);
        _tile_stored(2, sums_ + 2 * lanes, row_);
        _tile_stored(3, sums_ + 3 * lanes, row_);
        tile_fence();
        weight_ += 4 * chunks_ * chunk_size;
        sums_ += 4 * lanes;
        left_ -= left_ < 4 ? left_ : 4;
        chunk_ = 0;
    }

    const std::uint16_t *x_ = nullptr, *weight_ = nullptr;
    float* sums_ = nullptr;
    std::size_t height_ = 0, chunks_ = 0, left_ = 0, chunk_ = 0;
    unsigned part_ = 0;
    int row_ = 0;
    bool resumed_ = false;
};

/// Two products, one after the other, beside which somebody else works.
struct Beside {
    PanelProduct first, second;
    avx512::Prefetch& fetch;

    std::size_t steps() const { return first.steps() + second.steps(); }
    [[gnu::always_inline]] void step() {
        if (first.steps() != 0)
            first.step();
        else if (second.steps() != 0)
            second.step();
        fetch.step();
    }
    void finish() {
        first.finish();
        second.finish();
    }
};

/// 32 scores of a query -> their weights (see avx512::Bf16Weights), 16 apart in pairs.
inline __m512i weigh(const float* scores, __m512 scale, __m512 base) {
    const __m512 lowest = _mm512_set1_ps(exp2_rounder);
    const __m512 lower =
        _mm512_maskz_max_ps(avx512::all_lanes, lowest, _mm512_fmadd_ps(_mm512_loadu_ps(scores), scale, base));
    const __m512 upper =
        _mm512_maskz_max_ps(avx512::all_lanes, lowest, _mm512_fmadd_ps(_mm512_loadu_ps(scores + lanes), scale, base));
    const __m512i x =  // the lower halves of both: first & 0xffff | second
        _mm512_ternarylogic_epi32(_mm512_castps_si512(lower), _mm512_set1_epi32(0xffff),
                                  _mm512_maskz_slli_epi32(avx512::all_lanes, _mm512_castps_si512(upper), 16), 0xea);
    const __m512i lag = _mm512_maskz_permutex2var_epi8(0x5555555555555555u, _mm512_load_si512(exp2_lag), x,
                                                       _mm512_load_si512(exp2_lag + 64));
    return _mm512_sub_epi16(x, lag);
}
/// The first and the second ones of pairs of bfloat16.
/// @{
inline __m512 firsts(__m512i pairs) {
    return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(avx512::all_lanes, pairs, 16));
}
inline __m512 seconds(__m512i pairs) { return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-65536))); }
/// @}

/// avx512::weigh. The weights become tiles, [2][height][32].
inline void weigh(const avx512::QueryTile& tile, const float* scores, std::uint16_t* weights, std::size_t height,
                  Beside& beside) {
    alignas(64) float folded[lanes * lanes], bases[lanes], corrections[lanes];
    const avx512::Vec correction = avx512::raise(tile, scores);
    const avx512::Vec maximum = avx512::load(tile.state.maximum() + tile.first);
    avx512::store(bases, avx512::sub(avx512::set1(exp2_rounder + 127.0f), maximum));
    const __m512 scale = _mm512_set1_ps(tile.a.scale);
    const std::size_t steps = ceil_div(beside.steps(), tile.count);
    for (std::size_t r = 0; r < tile.count; ++r) {
        const __m512 base = _mm512_set1_ps(bases[r]);
        const __m512i lower = weigh(scores + r * kv_block, scale, base);
        const __m512i upper = weigh(scores + r * kv_block + 2 * lanes, scale, base);
        _mm512_storeu_si512(weights + r * bf16_chunk, lower);
        _mm512_storeu_si512(weights + (height + r) * bf16_chunk, upper);
        __m512 total = _mm512_add_ps(firsts(lower), seconds(lower));
        total = _mm512_add_ps(total, firsts(upper));
        _mm512_store_ps(folded + r * lanes, _mm512_add_ps(total, seconds(upper)));
        for (std::size_t i = 0; i < steps; ++i) beside.step();
    }
    avx512::add_totals(tile, folded, correction);
    const avx512::Mask changed = _mm512_cmp_ps_mask(correction.v, _mm512_set1_ps(1.0f), _CMP_NEQ_UQ);
    if ((changed & avx512::first_lanes(tile.count)) == 0) return;
    avx512::store(corrections, correction);
    avx512::correct(tile, corrections);
}

/// One call's attention to one section of a bf16 or q8_0 cache.
template <CacheType T>
class SectionAttention {
  public:
    SectionAttention(const AttentionCall& a, const AttentionState& state)
        : a_(a), state_(state), height_(tile_height(a.queries())), chunks_(ceil_div(a.head_dim, bf16_chunk)) {
        pack_queries();
        avx512::clear(state);
    }

    void operator()(std::size_t section) {
        const TileState tiles(height_);
        const std::size_t steps = 4 * chunks_ + 2 * round_up(shape_.value_panels(), 4);
        avx512::each_tile(a_, section, state_, CacheShape{T, a_.head_dim}.size(), steps,
                          [&](const avx512::QueryTile& tile, bool first, avx512::Prefetch& fetch) {
                              if (first) take(tile.block);
                              const bool nans =
                                  first ? !moderate_ || !within(moderate, keys(tile.block), shape_.keys()) : nans_;
                              attend(tile, fetch);
                              nans_ = nans;
                          });
        avx512::Prefetch none{};
        if (current_) weigh_current({}, none);
        values_.finish();
    }

  private:
    /// This tile's scores, and beside them the weights of the one before.
    void attend(const avx512::QueryTile& tile, avx512::Prefetch& fetch) {
        PanelProduct scores = product_with_keys(tile, this->scores(which_ ^ 1));
        if (current_)
            weigh_current(scores, fetch);
        else
            scores.finish();
        current_.emplace(tile);
        which_ ^= 1;
    }
    /// The weights of the current tile, and beside them the values' sums of the one before, and the next one's scores:
    /// all are done before sums are brought to new maxima.
    void weigh_current(const PanelProduct& next, avx512::Prefetch& fetch) {
        const avx512::QueryTile& tile = *current_;
        const bool whole = tile.whole();
        if (!whole) avx512::mask(tile, scores(which_));
        Beside beside = {values_, next, fetch};
        weigh(tile, scores(which_), weights(which_), height_, beside);
        beside.finish();
        if (nans_) avx512::surface_nans(tile, scores(which_));
        values_ = product_with_values(tile, weights(which_));
        if (whole || within(1, values(tile.block), shape_.value_panels() * kv_block * lanes)) return;
        add_reached_values(tile);
        values_ = {};
    }
    /// The values' part where something that one query does not attend to is not finite.
    void add_reached_values(const avx512::QueryTile& tile) const {
        alignas(64) float rounded[lanes * kv_block];
        for (std::size_t r = 0; r < tile.count; ++r)
            for (std::size_t j = 0; j < kv_block; ++j)
                rounded[r * kv_block + j] =
                    bf16_to_f32(weights(which_)[(j / bf16_chunk * height_ + r) * bf16_chunk + j % bf16_chunk]);
        const float* const widened = avx512::Kind<T>::take(a_, tile.block) + shape_.keys();
        avx512::add_reached_values<avx512::Kind<T>>(tile, rounded, widened);
    }

    /// Makes pairs of a q8_0 block. They take the place of the last block but one, whose values may be wanted until
    /// now.
    void take(std::size_t block) {
        if constexpr (T == CacheType::q8_0) {
            values_.finish();
            std::uint16_t* const pairs = restored(block);
            avx512::restore(q8_0_, a_.block<std::byte>(block),
                            [pairs](std::size_t i, const avx512::Vec& even, const avx512::Vec& odd) {
                                _mm512_storeu_ps(pairs + i, avx512_bf16::join(even, odd).v);
                            });
        }
    }
    std::uint16_t* restored(std::size_t block) const {
        return reinterpret_cast<std::uint16_t*>(a_.block_scratch(1)) + block / kv_block % 2 * shape_.numbers();
    }
    const std::uint16_t* keys(std::size_t block) const {
        if constexpr (T == CacheType::q8_0)
            return restored(block);
        else
            return a_.block<std::uint16_t>(block);
    }
    const std::uint16_t* values(std::size_t block) const { return keys(block) + shape_.keys(); }
    /// Numbers below 2^58: up to 512 products of them cannot overflow.
    static constexpr float moderate = 0x1p70f;
    /// Whether numbers, a multiple of 32 of them, are finite, and no larger than the largest float / factor.
    static bool within(float factor, const std::uint16_t* numbers, std::size_t count) {
        avx512::Vec zeros[2] = {avx512::set1(0.0f), avx512::set1(0.0f)};
        const avx512::Vec zero = zeros[0], scale = avx512::set1(factor);
        for (std::size_t i = 0; i < count; i += 2 * lanes) {
            zeros[0] = avx512::fma(avx512::mul(avx512::load_even_bf16(numbers + i), scale), zero, zeros[0]);
            zeros[1] = avx512::fma(avx512::mul(avx512::load_odd_bf16(numbers + i), scale), zero, zeros[1]);
        }
        return !is_nan(avx512::sum(avx512::add(zeros[0], zeros[1])));
    }

    /// Queries as tiles: [tiles][ceil(head_dim / 32)][height][32].
    void pack_queries() {
        for (std::size_t i = 0; i < round_up(a_.queries(), height_); ++i) {
            const float* const q = i < a_.queries() ? a_.q[i / a_.group] + i % a_.group * a_.head_dim : nullptr;
            std::uint16_t* const out = queries() + (i / height_ * chunks_ * height_ + i % height_) * bf16_chunk;
            for (std::size_t d = 0; d < chunks_ * bf16_chunk; d += lanes) {
                const std::size_t left = q == nullptr || d >= a_.head_dim ? 0 : a_.head_dim - d;
                const auto v = left == 0 ? avx512::set1(0.0f) : avx512::load_first(q + d, left < lanes ? left : lanes);
                const __m512 size = _mm512_abs_ps(v.v);
                moderate_ = moderate_ && _mm512_cmp_ps_mask(size, _mm512_set1_ps(0x1p58f), _CMP_NLT_UQ) == 0;
                store_bf16(out + d / bf16_chunk * height_ * bf16_chunk + d % bf16_chunk, v);
            }
        }
    }
    std::uint16_t* queries() const { return reinterpret_cast<std::uint16_t*>(a_.scratch); }
    float* scores(std::size_t which) const {  // [2][16, 64]
        return a_.scratch + round_up(a_.queries(), lanes) * chunks_ * bf16_chunk + which * lanes * kv_block;
    }
    std::uint16_t* weights(std::size_t which) const {  // [2][2][16][32]
        return reinterpret_cast<std::uint16_t*>(scores(2)) + which * lanes * kv_block;
    }

    PanelProduct product_with_keys(const avx512::QueryTile& tile, float* scores) const {
        return {queries() + tile.first * chunks_ * bf16_chunk,
                height_,
                chunks_,
                keys(tile.block),
                kv_block / lanes,
                scores,
                kv_block,
                false};
    }
    PanelProduct product_with_values(const avx512::QueryTile& tile, const std::uint16_t* weights) const {
        return {weights,
                height_,
                kv_block / bf16_chunk,
                values(tile.block),
                shape_.value_panels(),
                state_.weighted(tile.first),
                AttentionState::stride(a_.head_dim),
                true};
    }

    const AttentionCall& a_;
    const AttentionState& state_;
    const CacheShape shape_ = {CacheType::bf16, a_.head_dim}, q8_0_ = {CacheType::q8_0, a_.head_dim};
    std::size_t height_, chunks_;
    bool moderate_ = true, nans_ = false;
    std::optional<avx512::QueryTile> current_;
    std::size_t which_ = 0;  // of the buffers for scores and weights
    PanelProduct values_;
};

inline void attend_bf16(const AttentionCall& a, std::size_t section, const AttentionState& state) {
    SectionAttention<CacheType::bf16> attention(a, state);
    attention(section);
}
inline void attend_q8_0(const AttentionCall& a, std::size_t section, const AttentionState& state) {
    SectionAttention<CacheType::q8_0> attention(a, state);
    attention(section);
}

}  // namespace eigenlm::inline EIGENLM_ABI::detail::amx
EIGENLM_TARGET_END
#endif
