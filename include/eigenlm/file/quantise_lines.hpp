#pragma once
// Floats -> the blocks whose groups have a scale and a least value: Q2_K, Q4_K, Q5_K.
#include <cstddef>
#include <cstdint>

#include "dequantise.hpp"
#include "quantise_search.hpp"

EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI::detail::quants {

/// Four candidates for x = scale * code - least.
struct Lines {
    Four scale, least;     ///< neither is below 0
    Four code, code2, xc;  ///< sums of code, code^2 and x * code, weighted
    Four error;            ///< the weighted sum of squares
};

template <int most>
Four code_at(Four y) {
    return nearest_whole(between(0, y, most));
}

/// The scale and the least value that fit best to a line's sums, and the error that they leave.
template <std::size_t size>
void solve(const Group<size>& group, Lines& line) {
    const Four determinant = group.w * line.code2 - line.code * line.code;
    const FourInt flat = determinant <= 1e-6f * (group.w * line.code2);  // all codes are the same
    const Four scale = select(flat, four(0), quotient(group.w * line.xc - group.wx * line.code, determinant));
    const Four least = (scale * line.code - group.wx) / group.w;
    const FourInt below = least < four(0);
    line.scale = larger(select(below, quotient(line.xc, line.code2), scale), four(0));
    line.least = select(below, four(0), least);
    line.error = group.wxx - line.scale * (2.0f * line.xc - line.scale * line.code2) +
                 line.least * (2.0f * group.wx - 2.0f * (line.scale * line.code) + line.least * group.w);
}

/// Rounds the numbers to the codes that lines give them, and fits the lines to these codes.
template <int most, std::size_t size, std::size_t count>
void refit(const Group<size>& group, Lines (&lines)[count]) {
    Four inverse[count], least[count];
    for (std::size_t k = 0; k < count; ++k) {
        inverse[k] = quotient(four(1), lines[k].scale);
        least[k] = lines[k].least;
        lines[k] = Lines{};
    }
    for (std::size_t i = 0; i < size; ++i)
        for (std::size_t k = 0; k < count; ++k) {
            const Four code = code_at<most>((group.x[i] + least[k]) * inverse[k]), weighted = group.weights[i] * code;
            lines[k].code += weighted;
            lines[k].code2 += weighted * code;
            lines[k].xc += group.x[i] * weighted;
        }
    for (Lines& line : lines) solve(group, line);
}

/// A group of a block, and what is chosen for it.
template <std::size_t size, int most>
struct LineGroup : Group<size> {
    float scale = 0, least = 0;            ///< the best that were found, were they free
    float code = 0, code2 = 0, xc = 0;     ///< sums under their codes, as in Lines
    float error = 0;                       ///< of scale_code and least_code
    float scale_code = 0, least_code = 0;  ///< whole numbers

    using Group<size>::Group;

    /// What an error of the scale costs, the least value being free.
    float cost() const { return code2 - code * code / this->w; }
    /// The least value that suits another scale.
    float least_for(float other) const {
        const float free = (other * code - this->wx) / this->w;
        return free > 0 ? free : 0;
    }

    /// Eight lines from about the least to about the greatest number, each of which is refitted; the best one stays.
    /// `reach`: how much of the range they leave out at most.
    void search(float reach) {
        float low = 0, high = this->x[0];
        for (std::size_t i = 0; i < size; ++i) {
            low = this->x[i] < low ? this->x[i] : low;
            high = this->x[i] > high ? this->x[i] : high;
        }
        const float part = (high - low) * reach;
        Lines lines[2] = {};
        for (std::size_t k = 0; k < 2; ++k) {
            const float from = low + part * (k == 0 ? -0.25f : 0.25f);
            lines[k].scale = (high - from - part * Four{-0.25f, 0, 0.25f, 0.5f}) / static_cast<float>(most);
            lines[k].least = four(-from);
        }
        for (int round = 0; round < 3; ++round) refit<most>(*this, lines);
        const Lines* best = &lines[0];
        std::size_t lane = 0;
        for (std::size_t i = 1; i < 8; ++i)
            if (lines[i / 4].error[i % 4] < best->error[lane]) best = &lines[i / 4], lane = i % 4;
        take(*best, lane);
    }
    void take(const Lines& line, std::size_t lane) {
        scale = line.scale[lane];
        least = line.least[lane];
        code = line.code[lane];
        code2 = line.code2[lane];
        xc = line.xc[lane];
    }

    /// Chooses the codes of scale and least value, multiples of these steps: the best of four by three.
    void choose(float step, float least_step, float most_code) {
        const Four near = nearest_whole(between(0, quotient(four(scale), four(step)), most_code));
        const Four codes = between(0, near + Four{-1, 0, 1, 2}, most_code), scales = codes * step;
        const Four inverse = quotient(four(1), scales);
        const Four free_least = larger((scales * code - this->wx) / this->w, four(0));
        const Four near_least = nearest_whole(between(0, quotient(free_least, four(least_step)), most_code));
        Four least_codes[3], leasts[3], errors[3] = {};
        for (std::size_t k = 0; k < 3; ++k) {
            least_codes[k] = between(0, near_least + (static_cast<float>(k) - 1), most_code);
            leasts[k] = least_codes[k] * least_step;
        }
        for (std::size_t i = 0; i < size; ++i)
            for (std::size_t k = 0; k < 3; ++k) {
                const Four above = this->x[i] + leasts[k], rest = above - scales * code_at<most>(above * inverse);
                errors[k] += this->weights[i] * (rest * rest);
            }
        error = 3e38f;
        for (std::size_t k = 0; k < 3; ++k)
            for (std::size_t lane = 0; lane < 4; ++lane)
                if (errors[k][lane] < error) {
                    error = errors[k][lane];
                    scale_code = codes[lane];
                    least_code = least_codes[k][lane];
                }
    }
};

/// A block whose groups are lines: codes 0 to `most` of numbers, 0 to `most_code` of scales and of least values.
template <std::size_t size, int most, int most_code>
struct LineBlock {
    static constexpr std::size_t groups = 256 / size;
    static constexpr ScaleCodes scale_codes = {0, most_code, most_code};

    const Scaled<256>* scaled;
    LineGroup<size, most> group[groups];
    blocks::Half scale{}, least{};
    float step = 0, least_step = 0;  ///< what these two are in units
    float error = 0;
    std::uint8_t codes[256] = {};  ///< of the numbers, once they fit

    explicit LineBlock(const Scaled<256>& scaled_) : scaled(&scaled_) {}

    /// False when a scale is too large for a half.
    bool fit(float reach) {
        if (scaled->too_large()) return false;
        if (scaled->unit == 0) return true;
        for (std::size_t g = 0; g < groups; ++g) {
            group[g] = LineGroup<size, most>(scaled->x + g * size, scaled->weights + g * size);
            group[g].search(reach);
        }
        const blocks::Half first_scale =
            common([](const auto& g) { return g.scale; }, [](const auto& g) { return g.cost(); });
        if (!fitted(first_scale)) return false;
        const float first_step = scaled->value(first_scale);
        const auto least_of = [&](const auto& g) {
            const Four near = nearest_whole(between(0, quotient(four(g.scale), four(first_step)), most_code));
            return g.least_for(near[0] * first_step);
        };
        const blocks::Half first_least = common(least_of, [](const auto& g) { return g.w; });
        if (!fitted(first_least)) return false;
        choose(first_scale, first_least);
        improve();
        write_codes();
        return true;
    }
    /// The half of whose multiples the groups' values consist best.
    template <class Value, class Cost>
    blocks::Half common(const Value& value_of, const Cost& cost_of) const {
        float values[groups], costs[groups], largest = 0;
        for (std::size_t g = 0; g < groups; ++g) {
            values[g] = value_of(group[g]);
            costs[g] = cost_of(group[g]);
            largest = values[g] > largest ? values[g] : largest;
        }
        return scaled->half_that_reaches(common_step<groups>(values, costs, scale_codes, largest), scale_codes.reach(),
                                         largest);
    }
    void choose(blocks::Half new_scale, blocks::Half new_least) {
        scale = new_scale;
        least = new_least;
        step = scaled->value(scale);
        least_step = scaled->value(least);
        error = 0;
        for (auto& g : group) {
            g.choose(step, least_step, most_code);
            error += g.error;
        }
    }
    /// Least squares for the two steps, all codes being what they are; then all codes again. Stays if that is better.
    void improve() {
        LineBlock other = *this;
        double cc = 0, cl = 0, ll = 0, xc = 0, xl = 0;
        for (auto& g : other.group) {
            Lines line[1] = {};
            line[0].scale = four(step * g.scale_code);
            line[0].least = four(least_step * g.least_code);
            refit<most>(g, line);
            g.take(line[0], 0);
            const double s = g.scale_code, m = g.least_code;
            cc += s * s * static_cast<double>(g.code2);
            cl += s * m * static_cast<double>(g.code);
            ll += m * m * static_cast<double>(g.w);
            xc += s * static_cast<double>(g.xc);
            xl += m * static_cast<double>(g.wx);
        }
        const double determinant = cc * ll - cl * cl;
        const bool flat = determinant <= 1e-9 * cc * ll;
        const double new_step = flat ? (cc > 0 ? xc / cc : 0) : (xc * ll - xl * cl) / determinant;
        const double new_least = flat ? 0 : (new_step * cl - xl) / ll;
        if (!(new_step > 0) || !(new_least >= 0)) return;
        const blocks::Half half = scaled->half(static_cast<float>(new_step));
        const blocks::Half least_half = scaled->half(static_cast<float>(new_least));
        if (!fitted(half) || !fitted(least_half)) return;
        other.choose(half, least_half);
        if (other.error < error) *this = other;
    }
    int scale_code(std::size_t g) const { return static_cast<int>(group[g].scale_code); }
    int least_code(std::size_t g) const { return static_cast<int>(group[g].least_code); }
    void write_codes() {
        std::uint8_t* next = codes;
        for (const auto& g : group) {
            const Four inverse = quotient(four(1), four(step * g.scale_code));
            for (std::size_t i = 0; i < size; i += 4) {
                const Four code = code_at<most>((load(g.x + i) + least_step * g.least_code) * inverse);
                for (std::size_t k = 0; k < 4; ++k) *next++ = static_cast<std::uint8_t>(code[k]);
            }
        }
    }
};

}  // namespace eigenlm::inline EIGENLM_ABI::detail::quants
EIGENLM_EXACT_END
