#pragma once
// Numbers to compute with, and how far results may be from the truth.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <eigenlm/base/types.hpp>
#include <eigenlm/kernels/table.hpp>
#include <limits>
#include <random>
#include <span>
#include <vector>

namespace support {

inline constexpr float infinity = std::numeric_limits<float>::infinity();
inline constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// Normally distributed numbers.
inline std::vector<float> random_numbers(std::size_t count, unsigned seed, float deviation = 1) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, deviation);
    std::vector<float> numbers(count);
    for (float& x : numbers) x = normal(random);
    return numbers;
}

/// Numbers of very different sizes, whose sums cancel: what a sloppy order of additions shows itself on.
inline std::vector<float> wild_numbers(std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    auto numbers = random_numbers(count, seed + 1);
    for (float& x : numbers) x = std::ldexp(x, static_cast<int>(random() % 21) - 10);
    for (std::size_t i = 1; i < count; i += 2) numbers[i] = -numbers[i - 1] * (1 + 1e-3f * numbers[i]);
    return numbers;
}

/// A row of numbers as the keys of such a cache are computed with; its values are, too.
inline std::vector<float> kept(eigenlm::CacheType type, std::span<const float> row) {
    const eigenlm::CacheShape shape = {type, row.size()};
    std::vector<std::byte> block(shape.size());
    eigenlm::store_in_block(shape, block.data(), 0, row.data(), row.data());
    std::vector<float> numbers(row.size());
    for (std::size_t d = 0; d < row.size(); ++d) numbers[d] = eigenlm::key_in_block(shape, block.data(), 0, d);
    return numbers;
}

inline eigenlm::Rows<const float> rows_of(const std::vector<float>& values, std::size_t rows, std::size_t cols) {
    return {values.data(), rows, cols, cols};
}

/// Equal as bits; a NaN equals every NaN.
inline bool same_bits(float a, float b) {
    return (std::isnan(a) && std::isnan(b)) || std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

/// max |found - expected| / max |expected|, infinite where either is no number
inline double relative_error_of(std::span<const float> found, std::span<const double> expected) {
    double error = 0, largest = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double difference = std::abs(static_cast<double>(found[i]) - expected[i]);
        if (!(difference < HUGE_VAL)) return HUGE_VAL;
        error = std::max(error, difference);
        largest = std::max(largest, std::abs(expected[i]));
    }
    return error == 0 ? 0 : error / largest;
}

}  // namespace support
