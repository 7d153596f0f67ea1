#pragma once
// Floats -> the blocks whose groups have a scale only: Q3_K, Q6_K, IQ4_NL, IQ4_XS.
#include <cstddef>
#include <cstdint>

#include "dequantise.hpp"
#include "quantise_search.hpp"

EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI::detail::quants {

/// Codes that stand for whole numbers from `least_code` to `greatest_code`.
template <int least_code, int greatest_code>
struct WholeNumbers {
    static constexpr float least = least_code, greatest = greatest_code;
    /// The number nearest to each.
    static Four nearest(Four y) { return nearest_whole(between(least, y, greatest)); }
    /// The code of one of them.
    static int code_of(float value) { return static_cast<int>(value) - least_code; }
};

/// For every half of a whole number from -128 on: which entry of blocks::not_linear is nearest to all up to the next.
struct NearestNotLinear {
    float values[512] = {};
    std::uint8_t codes[512] = {};
    constexpr NearestNotLinear() {
        std::uint8_t code = 0;
        for (int i = 0; i < 512; ++i) {
            while (code < 15 && i - 256 >= blocks::not_linear[code] + blocks::not_linear[code + 1]) ++code;
            codes[i] = code;
            values[i] = blocks::not_linear[code];
        }
    }
};
inline constexpr NearestNotLinear nearest_not_linear{};

/// Codes that stand for the numbers of blocks::not_linear.
struct NotLinear {
    static constexpr float least = blocks::not_linear[0], greatest = blocks::not_linear[15];
    /// As in WholeNumbers.
    static Four nearest(Four y) {
        const FourInt at = __builtin_convertvector(between(least, y, greatest) * 2 + 256, FourInt);
        const float* const values = nearest_not_linear.values;
        return Four{values[at[0]], values[at[1]], values[at[2]], values[at[3]]};
    }
    static int code_of(float value) { return nearest_not_linear.codes[static_cast<int>(value) * 2 + 256]; }
};

/// Four candidates for x = scale * value.
struct Multiples {
    Four scale;
    Four value2, xv;  ///< sums of value^2 and x * value, weighted
    Four error;       ///< the weighted sum of squares
};

/// Rounds the numbers to the values that scales give them, and fits the scales to these.
template <class Codes, std::size_t size, std::size_t count>
void refit(const Group<size>& group, Multiples (&multiples)[count]) {
    Four inverse[count];
    for (std::size_t k = 0; k < count; ++k) {
        inverse[k] = quotient(four(1), multiples[k].scale);
        multiples[k] = Multiples{};
    }
    for (std::size_t i = 0; i < size; ++i)
        for (std::size_t k = 0; k < count; ++k) {
            const Four value = Codes::nearest(group.x[i] * inverse[k]), weighted = group.weights[i] * value;
            multiples[k].value2 += weighted * value;
            multiples[k].xv += group.x[i] * weighted;
        }
    for (Multiples& m : multiples) {
        m.scale = quotient(m.xv, m.value2);
        m.error = group.wxx - m.scale * m.xv;
    }
}

/// Where to begin the search for a group's scale: the codes at the two ends stand for the number of the largest
/// magnitude times factors from `from` to `to`, 4 * `eights` of them.
struct Beginnings {
    float from, to;
    int eights;
};

/// A group of a block, and what is chosen for it.
template <std::size_t size, class Codes>
struct MultipleGroup : Group<size> {
    float scale = 0;           ///< the best that was found, were it free
    float value2 = 0, xv = 0;  ///< sums under its codes, as in Multiples
    float error = 0;           ///< of scale_code
    float scale_code = 0;      ///< a whole number

    using Group<size>::Group;

    /// Eight scales, or 8 * `eights`, each of which is refitted; the best one stays.
    void search(Beginnings begin) {
        const float largest = this->x[largest_at(this->x, size)];
        error = 3e38f;
        for (int i = 0; i < begin.eights; ++i) {
            const Four part = (static_cast<float>(4 * i) + Four{0, 1, 2, 3}) / static_cast<float>(4 * begin.eights - 1);
            const Four farther = largest * (begin.from + (begin.to - begin.from) * part);
            Multiples m[2] = {};
            m[0].scale = farther / Codes::least;
            m[1].scale = farther / Codes::greatest;
            for (int round = 0; round < 2; ++round) refit<Codes>(*this, m);
            for (std::size_t k = 0; k < 8; ++k)
                if (m[k / 4].error[k % 4] < error) take(m[k / 4], k % 4);
        }
    }
    void take(const Multiples& m, std::size_t lane) {
        scale = m.scale[lane];
        value2 = m.value2[lane];
        xv = m.xv[lane];
        error = m.error[lane];
    }
    /// Chooses the code of the scale, a multiple of this step: the best of four.
    void choose(float step, ScaleCodes scale_codes) {
        const auto limited = [&](Four code) { return between(scale_codes.least, code, scale_codes.greatest); };
        const Four codes = limited(nearest_whole(limited(quotient(four(scale), four(step)))) + Four{-1, 0, 1, 2});
        const Four scales = codes * step, inverse = quotient(four(1), scales);
        Four errors{};
        for (std::size_t i = 0; i < size; ++i) {
            const Four rest = this->x[i] - scales * Codes::nearest(this->x[i] * inverse);
            errors += this->weights[i] * (rest * rest);
        }
        std::size_t best = 0;
        for (std::size_t lane = 1; lane < 4; ++lane)
            if (errors[lane] < errors[best]) best = lane;
        error = errors[best];
        scale_code = codes[best];
    }
    /// The numbers' codes under some scale.
    void write_codes(float chosen, std::uint8_t* codes) const {
        const Four inverse = quotient(four(1), four(chosen));
        for (std::size_t i = 0; i < size; i += 4) {
            const Four value = Codes::nearest(load(this->x + i) * inverse);
            for (std::size_t k = 0; k < 4; ++k) codes[i + k] = static_cast<std::uint8_t>(Codes::code_of(value[k]));
        }
    }
};

/// A block whose groups are multiples of their scales, which have codes -`half` to `half` - 1.
template <std::size_t size, class Codes, int half>
struct MultipleBlock {
    static constexpr std::size_t groups = 256 / size;
    static constexpr ScaleCodes scale_codes = {-half, half - 1, -half};

    const Scaled<256>* scaled;
    MultipleGroup<size, Codes> group[groups];
    blocks::Half scale{};
    float step = 0;  ///< that in units
    float error = 0;
    std::uint8_t codes[256] = {};  ///< of the numbers, once they fit

    explicit MultipleBlock(const Scaled<256>& scaled_) : scaled(&scaled_) {}

    /// False when the scale is too large for a half.
    bool fit(Beginnings begin) {
        if (scaled->too_large()) return false;
        if (scaled->unit == 0) return true;
        float scales[groups], costs[groups], largest = 0;
        for (std::size_t g = 0; g < groups; ++g) {
            group[g] = MultipleGroup<size, Codes>(scaled->x + g * size, scaled->weights + g * size);
            group[g].search(begin);
            scales[g] = group[g].scale;
            costs[g] = group[g].value2;
            largest = magnitude_bits(scales[g]) > magnitude_bits(largest) ? scales[g] : largest;
        }
        const float common = common_step<groups>(scales, costs, scale_codes, largest);
        const blocks::Half first = scaled->half_that_reaches(common, scale_codes.reach(), largest);
        if (!fitted(first)) return false;
        choose(first);
        improve();
        write_codes();
        return true;
    }
    void choose(blocks::Half new_scale) {
        scale = new_scale;
        step = scaled->value(scale);
        error = 0;
        for (auto& g : group) {
            g.choose(step, scale_codes);
            error += g.error;
        }
    }
    /// Least squares for the step, all codes being what they are; then all codes again. Stays if that is better.
    void improve() {
        MultipleBlock other = *this;
        double ss = 0, xs = 0;
        for (auto& g : other.group) {
            Multiples m[1] = {};
            m[0].scale = four(step * g.scale_code);
            refit<Codes>(g, m);
            g.take(m[0], 0);
            const double code = g.scale_code;
            ss += code * code * static_cast<double>(g.value2);
            xs += code * static_cast<double>(g.xv);
        }
        if (!(ss > 0)) return;
        const blocks::Half better = scaled->half(static_cast<float>(xs / ss));
        if (!fitted(better)) return;
        other.choose(better);
        if (other.error < error) *this = other;
    }
    int scale_code(std::size_t g) const { return static_cast<int>(group[g].scale_code) + half; }
    void write_codes() {
        for (std::size_t g = 0; g < groups; ++g) group[g].write_codes(step * group[g].scale_code, codes + g * size);
    }
};

}  // namespace eigenlm::inline EIGENLM_ABI::detail::quants
EIGENLM_EXACT_END
