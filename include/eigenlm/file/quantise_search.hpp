#pragma once
// What the searches for quantised blocks have in common: four candidates at once, a block's numbers brought to the same
// size, and the choice of the number that the scales of a block's groups are multiples of.
//
// All of them minimise the sum of weight * error^2 over a block. The weights are 1 + emphasis * x^2 / (the mean of
// x^2): between the plain squared error, and the one in which large numbers count more, as they do in models. Least
// squares give scales for codes, rounding gives codes for scales; the two in turns lead from several beginnings to a
// minimum.
#include <bit>
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "../base/types.hpp"
#include "quantise_simple.hpp"

EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI::detail::quants {

/// A number for each of four candidates: one candidate is one lane, and sums over a group need no order but its own.
typedef float Four __attribute__((vector_size(16)));
typedef std::int32_t FourInt __attribute__((vector_size(16)));

inline Four four(float x) { return Four{x, x, x, x}; }
/// Four numbers that follow each other.
inline Four load(const float* p) { return Four{p[0], p[1], p[2], p[3]}; }
inline float sum(Four v) { return (v[0] + v[1]) + (v[2] + v[3]); }
inline Four select(FourInt mask, Four yes, Four no) { return (Four)((mask & (FourInt)yes) | (~mask & (FourInt)no)); }
#if defined(__x86_64__)
inline Four smaller(Four a, Four b) { return _mm_min_ps(a, b); }
inline Four larger(Four a, Four b) { return _mm_max_ps(a, b); }
#else
inline Four smaller(Four a, Four b) { return select(a < b, a, b); }
inline Four larger(Four a, Four b) { return select(a > b, a, b); }
#endif
inline Four between(float least, Four v, float greatest) { return smaller(larger(v, four(least)), four(greatest)); }
/// a / b, and 0 where b is 0.
inline Four quotient(Four a, Four b) {
    const FourInt zero = b == four(0);
    return select(zero, four(0), a / select(zero, four(1), b));
}
/// The nearest whole number, ties to even, of magnitudes below 2^22.
inline Four nearest_whole(Four y) { return (y + 12582912.0f) - 12582912.0f; }  // 1.5 * 2^23: no fraction fits in

/// A block's numbers, divided by a power of two that leaves the largest between 1 and 2, and how much their errors
/// count. So sums of squares neither overflow nor vanish.
template <std::size_t count>
struct Scaled {
    float x[count];
    float weights[count];
    float unit = 0;  ///< that power; 0: all numbers are so small that zeros are as good, and there are no others

    Scaled(const float* numbers, float emphasis) {
        const std::int32_t exponent = largest_magnitude_bits(numbers, count) >> 23;
        if (exponent < 127 - 60) return;
        unit = std::bit_cast<float>(exponent << 23);
        if (too_large()) return;
        const float inverse_unit = 1 / unit;
        Four squares{};
        for (std::size_t i = 0; i < count; ++i) x[i] = numbers[i] * inverse_unit;
        for (std::size_t i = 0; i < count; i += 4) squares += load(x + i) * load(x + i);
        const float factor = emphasis * static_cast<float>(count) / sum(squares);
        for (std::size_t i = 0; i < count; ++i) weights[i] = 1 + factor * (x[i] * x[i]);
    }
    /// Far above what any type holds, or not finite; there are no numbers then.
    bool too_large() const { return unit > 0x1p60f; }

    /// The half nearest to d times unit.
    blocks::Half half(float d) const { return to_half(d * unit); }
    /// What a half stands for among these numbers.
    float value(blocks::Half half_) const { return half_ / unit; }
    /// The half nearest to d, or the next one if that one times `farthest` is below `largest`: so among subnormal
    /// halves.
    blocks::Half half_that_reaches(float d, float farthest, float largest) const {
        const blocks::Half near = half(d);
        const float end = value(near) * farthest;
        if (largest > 0 ? end >= largest : end <= largest) return near;
        const std::uint16_t next = static_cast<std::uint16_t>((near.bytes[0] | near.bytes[1] << 8) + 1);
        return {{static_cast<std::uint8_t>(next & 255), static_cast<std::uint8_t>(next >> 8)}};
    }
};

/// Some numbers of a block that have a scale of their own, and sums that do not depend on codes.
template <std::size_t size>
struct Group {
    const float* x = nullptr;
    const float* weights = nullptr;
    float w = 0, wx = 0, wxx = 0;

    Group() = default;
    Group(const float* x_, const float* weights_) : x(x_), weights(weights_) {
        Four ws{}, wxs{}, wxxs{};
        for (std::size_t i = 0; i < size; i += 4) {
            const Four product = load(weights + i) * load(x + i);
            ws += load(weights + i);
            wxs += product;
            wxxs += product * load(x + i);
        }
        w = sum(ws);
        wx = sum(wxs);
        wxx = sum(wxxs);
    }
};

/// What codes a block's group scales can have: whole numbers, of which the one at the end reaches farthest.
struct ScaleCodes {
    float least, greatest, end;
    /// Just before what the code behind the end would be the nearest for.
    float reach() const { return end > 0 ? end + 0.45f : end - 0.45f; }
};

/// The number whose multiples are near to `scales`, an error of which costs its square times `costs`. The scale of the
/// largest magnitude gets the code at the end or one up to a quarter below, whichever is best.
template <std::size_t groups>
float common_step(const float* scales, const float* costs, ScaleCodes codes, float largest) {
    if (largest == 0) return 0;
    constexpr int quads = 8;
    Four best{}, least_cost = four(3e38f);
    for (int quad = 0; quad < quads; ++quad) {
        const Four below = (static_cast<float>(4 * quad) + Four{0, 1, 2, 3}) / static_cast<float>(4 * quads);
        const Four step = largest / (codes.reach() + (0.75f * codes.end - codes.reach()) * below), inverse = 1 / step;
        Four cost{};
        for (std::size_t g = 0; g < groups; ++g) {
            const Four rest =
                scales[g] - between(codes.least, nearest_whole(scales[g] * inverse), codes.greatest) * step;
            cost += costs[g] * (rest * rest);
        }
        best = select(cost < least_cost, step, best);
        least_cost = smaller(cost, least_cost);
    }
    std::size_t lane = 0;
    for (std::size_t i = 1; i < 4; ++i)
        if (least_cost[i] < least_cost[lane]) lane = i;
    return best[lane];
}

}  // namespace eigenlm::inline EIGENLM_ABI::detail::quants
EIGENLM_EXACT_END
