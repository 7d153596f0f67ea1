#include "eigenlm/file/quantise.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <cstring>
#include <eigenlm/file/dequantise.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/numbers.hpp"

namespace {

using eigenlm::Dtype;
using Blocks = std::vector<std::byte>;
using Numbers = std::vector<float>;

constexpr Dtype exact[] = {Dtype::q8_0, Dtype::q4_0, Dtype::q4_1, Dtype::q5_0, Dtype::q5_1};
constexpr Dtype searched[] = {Dtype::q2_k, Dtype::q3_k,   Dtype::q4_k,  Dtype::q5_k,
                              Dtype::q6_k, Dtype::iq4_nl, Dtype::iq4_xs};
constexpr Dtype all[] = {Dtype::q8_0, Dtype::q4_0, Dtype::q4_1, Dtype::q5_0, Dtype::q5_1,   Dtype::q2_k,
                         Dtype::q3_k, Dtype::q4_k, Dtype::q5_k, Dtype::q6_k, Dtype::iq4_nl, Dtype::iq4_xs};

const auto name_of_type = [](const auto& dtype) { return std::string(to_string(dtype.param)); };

std::string file_of(const std::string& name) {
    const auto path = std::filesystem::path(EIGENLM_TEST_DATA_DIR) / "quantise" / name;
    std::ifstream stream(path, std::ios::binary);
    std::string file{std::istreambuf_iterator<char>(stream), {}};
    EXPECT_FALSE(file.empty()) << path;
    return file;
}
template <class T>
std::vector<T> values_of(const std::string& file) {
    std::vector<T> values(file.size() / sizeof(T));
    std::memcpy(values.data(), file.data(), values.size() * sizeof(T));
    return values;
}

Blocks quantised(Dtype dtype, std::span<const float> x) {
    Blocks blocks(bytes_of(dtype, x.size()));
    eigenlm::quantise(dtype, x, blocks);
    return blocks;
}

Numbers dequantised(Dtype dtype, const Blocks& blocks) {
    Numbers numbers(blocks.size() / layout_of(dtype).block_bytes * layout_of(dtype).block_elements);
    eigenlm::dequantise(dtype, blocks, numbers);
    return numbers;
}
Numbers there_and_back(Dtype dtype, std::span<const float> x) { return dequantised(dtype, quantised(dtype, x)); }

/// The mean of (x - y)^2, and that of x^2 (x - y)^2.
std::pair<double, double> errors_of(std::span<const float> x, std::span<const float> y) {
    double plain = 0, weighted = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double value = x[i], error = value - static_cast<double>(y[i]);
        plain += error * error;
        weighted += value * value * error * error;
    }
    return {plain / static_cast<double>(x.size()), weighted / static_cast<double>(x.size())};
}

class QuantiseExactly : public ::testing::TestWithParam<Dtype> {};
INSTANTIATE_TEST_SUITE_P(Types, QuantiseExactly, ::testing::ValuesIn(exact), name_of_type);

TEST_P(QuantiseExactly, GivesTheBytesOfTheReference) {
    const Numbers numbers = values_of<float>(file_of("numbers.bin"));
    const Blocks expected = values_of<std::byte>(file_of(to_string(GetParam()) + std::string(".bin")));
    const Blocks found = quantised(GetParam(), numbers);
    ASSERT_EQ(found.size(), expected.size());
    const std::size_t size = layout_of(GetParam()).block_bytes;
    std::size_t different = 0;
    for (std::size_t at = 0; at < found.size(); at += size)
        if (std::memcmp(found.data() + at, expected.data() + at, size) != 0 && different++ < 3)
            ADD_FAILURE() << "block " << at / size;
    EXPECT_EQ(different, 0u);
}

class QuantiseBySearch : public ::testing::TestWithParam<Dtype> {};
INSTANTIATE_TEST_SUITE_P(Types, QuantiseBySearch, ::testing::ValuesIn(searched), name_of_type);

// The weighted error of a row is that of a few large numbers, so only its mean over the rows is a yardstick.
TEST_P(QuantiseBySearch, LeavesNoMoreErrorThanGgml) {
    const Numbers numbers = values_of<float>(file_of("numbers.bin"));
    int rows = 0;
    double weighted_ratios = 0;
    for (const auto& row : nlohmann::json::parse(file_of("rows.json"))) {
        if (row["errors"].empty()) continue;
        const auto x = std::span(numbers).subspan(row["first"], row["count"]);
        const auto [plain, weighted] = errors_of(x, there_and_back(GetParam(), x));
        const double ggml_plain = row["errors"][to_string(GetParam())][0];
        const double ggml_weighted = row["errors"][to_string(GetParam())][1];
        EXPECT_LE(plain, 1.001 * ggml_plain) << row["row"];
        EXPECT_GE(plain, 0.5 * ggml_plain) << row["row"] << ": nobody can be that good";
        weighted_ratios += weighted / ggml_weighted;
        ++rows;
    }
    EXPECT_EQ(rows, 6);
    EXPECT_LE(weighted_ratios / rows, 1.001);
}

/// FNV-1a
std::uint64_t checksum_of(const Blocks& blocks) {
    std::uint64_t sum = 0xcbf29ce484222325;
    for (const std::byte b : blocks) sum = (sum ^ static_cast<std::uint64_t>(b)) * 0x100000001b3;
    return sum;
}

// The same bits whatever compiler and flags: whoever changes a search changes these with intent.
TEST_P(QuantiseBySearch, GivesTheBytesThatItGaveElsewhere) {
    const std::map<Dtype, std::uint64_t> expected = {
        {Dtype::q2_k, 0x8092a2b746f2d1f3}, {Dtype::q3_k, 0x84b70a81eed453fd}, {Dtype::q4_k, 0xd636491d7be1cb78},
        {Dtype::q5_k, 0xbc7657c42d96cb03}, {Dtype::q6_k, 0x1cf093ef72d49ef1}, {Dtype::iq4_nl, 0x64e1db16ae481ba4},
        {Dtype::iq4_xs, 0x27b8279a0bcda6},
    };
    const std::uint64_t found = checksum_of(quantised(GetParam(), values_of<float>(file_of("numbers.bin"))));
    EXPECT_EQ(found, expected.at(GetParam())) << std::hex << "0x" << found;
}

class Quantise : public ::testing::TestWithParam<Dtype> {};
INSTANTIATE_TEST_SUITE_P(Types, Quantise, ::testing::ValuesIn(all), name_of_type);

// Half a step of the coarsest scale that a block can have, and what halves and whole group scales add to it.
TEST_P(Quantise, NoNumberIsFarOff) {
    const std::map<Dtype, double> bounds = {
        {Dtype::q8_0, 0.5 / 127}, {Dtype::q4_0, 1.0 / 8},  {Dtype::q4_1, 1.0 / 15}, {Dtype::q5_0, 1.0 / 16},
        {Dtype::q5_1, 1.0 / 31},  {Dtype::q2_k, 0.5},      {Dtype::q3_k, 0.25},     {Dtype::q4_k, 0.1},
        {Dtype::q5_k, 0.05},      {Dtype::q6_k, 1.0 / 32}, {Dtype::iq4_nl, 0.17},   {Dtype::iq4_xs, 0.17},
    };
    constexpr double half_a_half = 127 * 0x1p-25;  // of subnormal scales
    for (const float deviation : {1e-3f, 0.02f, 1.0f, 100.0f}) {
        const Numbers x = support::random_numbers(16384, 7, deviation), y = there_and_back(GetParam(), x);
        for (std::size_t first = 0; first < x.size(); first += 256) {
            float largest = 0;
            for (std::size_t i = first; i < first + 256; ++i) largest = std::max(largest, std::abs(x[i]));
            for (std::size_t i = first; i < first + 256; ++i)
                ASSERT_NEAR(x[i], y[i], largest * (bounds.at(GetParam()) + 0.0006) + half_a_half)
                    << i << ", " << deviation;
        }
    }
}

// What blocks say is what they are made of again. Not so for the searched ones: they weigh errors anew.
TEST_P(QuantiseExactly, TheSecondTimeChangesNothing) {
    for (const unsigned seed : {1u, 2u, 3u}) {
        const Numbers once = there_and_back(GetParam(), support::wild_numbers(8192, seed));
        EXPECT_EQ(there_and_back(GetParam(), once), once);
    }
}

// Powers of two change scales only, while these stay normal halves.
TEST_P(Quantise, PowersOfTwoGoThrough) {
    const Numbers x = support::random_numbers(1024, 3);
    const Numbers y = there_and_back(GetParam(), x);
    for (const float factor : {0x1p-2f, 0x1p1f, 0x1p9f}) {
        Numbers scaled = x;
        for (float& value : scaled) value *= factor;
        const Numbers found = there_and_back(GetParam(), scaled);
        for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(found[i], y[i] * factor) << i << ", " << factor;
    }
}

TEST_P(Quantise, ZerosStayZeros) {
    const float subnormal = std::numeric_limits<float>::denorm_min() * 1000;
    for (const float value : {0.0f, -0.0f, subnormal, -subnormal, 1e-38f, -1e-30f, 1e-12f})
        for (const float found : there_and_back(GetParam(), Numbers(512, value))) ASSERT_EQ(found, 0.0f) << value;
}

// With scales that are subnormal halves, blocks are no worse than zeros.
TEST_P(Quantise, SmallNumbersKeepTheirSize) {
    for (float size = 1e-9f; size < 1e-3f; size *= 3) {
        Numbers x = support::random_numbers(1024, 5);
        for (float& value : x) value = size * std::clamp(value, -2.0f, 2.0f);
        for (const float found : there_and_back(GetParam(), x))
            ASSERT_LE(std::abs(found), 2.5f * size + 0x1p-18f) << size;
        const Numbers zeros(x.size());
        if (GetParam() == Dtype::q4_1 || GetParam() == Dtype::q5_1)
            continue;  // their least values are not searched for
        EXPECT_LE(errors_of(x, there_and_back(GetParam(), x)).first, 1.05 * errors_of(x, zeros).first) << size;
    }
}

TEST_P(Quantise, ConstantsAreMet) {
    for (const float value : {1.0f, -1.0f, 0.37f, -0.37f, 300.0f})
        for (const float found : there_and_back(GetParam(), Numbers(512, value)))
            ASSERT_NEAR(found, value, 0.004 * std::abs(value));
}

TEST_P(Quantise, AnOutlierIsKeptAndSpoilsItsBlockOnly) {
    Numbers x = support::random_numbers(1024, 9, 0.01f);
    const Numbers without = there_and_back(GetParam(), x);
    for (const float outlier : {50.0f, -50.0f}) {
        x[300] = outlier;
        const Numbers y = there_and_back(GetParam(), x);
        EXPECT_NEAR(y[300], outlier, 0.07 * 50);
        const std::size_t elements = layout_of(GetParam()).block_elements, first = 300 / elements * elements;
        for (std::size_t i = 0; i < x.size(); ++i) {
            const bool same_block = i >= first && i < first + elements;
            ASSERT_TRUE(same_block || y[i] == without[i]) << i;
            ASSERT_TRUE(i == 300 || std::abs(y[i]) <= 3.5f) << i;
        }
    }
}

TEST_P(Quantise, RefusesWhatIsNoNumber) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    for (const std::size_t at : {0u, 31u, 255u, 256u, 300u, 511u}) {
        Numbers x = support::random_numbers(512, 1);
        Blocks blocks(bytes_of(GetParam(), x.size()));
        const auto call = [&] { eigenlm::quantise(GetParam(), x, blocks); };
        const std::string element = "element " + std::to_string(at) + " is ";
        x[at] = infinity;
        support::expect_error<eigenlm::UnsupportedError>(call, {"quantise", to_string(GetParam()), element + "inf"});
        x[at] = -infinity;
        support::expect_error<eigenlm::UnsupportedError>(call, {element + "-inf"});
        for (const float nan :
             {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::signaling_NaN()}) {
            x[at] = nan;
            support::expect_error<eigenlm::UnsupportedError>(call, {element, "nan"});
        }
        x[at] = -1e38f;
        support::expect_error<eigenlm::UnsupportedError>(call, {"half", element + "-1e+38"});
        x[at] = std::numeric_limits<float>::max();
        support::expect_error<eigenlm::UnsupportedError>(call, {"half", element + "3.40282e+38"});
    }
}

// Everything below the least power of two that is refused gives finite numbers, and good ones.
TEST_P(Quantise, HalvesEndScales) {
    const Numbers x = support::random_numbers(256, 4);
    int accepted = 0;
    for (int exponent = 0; exponent < 128; ++exponent) {
        Numbers large = x;
        for (float& value : large) value = std::ldexp(value, exponent - 2);
        try {
            const Numbers y = there_and_back(GetParam(), large);
            EXPECT_EQ(accepted, exponent) << "a smaller one was refused";
            const double size = std::ldexp(1.0, exponent - 2);
            EXPECT_LE(errors_of(large, y).first, 0.15 * size * size) << exponent;
            ++accepted;
        } catch (const eigenlm::UnsupportedError&) {
        }
    }
    EXPECT_GE(accepted, 15);
    EXPECT_LE(accepted, 35);
}

TEST_P(Quantise, BlocksDoNotDependOnEachOtherNorOnTheirPlaces) {
    const Numbers numbers = values_of<float>(file_of("numbers.bin"));
    const Blocks expected = quantised(GetParam(), numbers);
    const auto [name, elements, size] = layout_of(GetParam());
    Blocks found(expected.size() + 1, std::byte{0x5a});
    for (std::size_t b = 0; b < numbers.size() / elements; ++b)
        eigenlm::quantise(GetParam(), std::span(numbers).subspan(b * elements, elements),
                          std::span(found).subspan(1 + b * size, size));
    EXPECT_EQ(std::memcmp(found.data() + 1, expected.data(), expected.size()), 0);
    EXPECT_EQ(found[0], std::byte{0x5a});
}

TEST_P(Quantise, TheHostsRoundingDoesNotMatter) {
    const Numbers numbers = values_of<float>(file_of("numbers.bin"));
    const Blocks expected = quantised(GetParam(), numbers);
    for (const int rounding : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
        std::fesetround(rounding);
        const Blocks found = quantised(GetParam(), numbers);
        EXPECT_EQ(std::fegetround(), rounding);
        std::fesetround(FE_TONEAREST);
        EXPECT_EQ(found, expected);
    }
}

TEST_P(Quantise, ChecksSizes) {
    const std::size_t elements = layout_of(GetParam()).block_elements;
    const Numbers x(2 * elements);
    Blocks blocks(bytes_of(GetParam(), x.size()) + 1);
    eigenlm::quantise(GetParam(), {}, {});
    for (const std::size_t count : {std::size_t{1}, elements - 1, elements + 1, 2 * elements - 1})
        support::expect_error<eigenlm::ArgumentError>(
            [&] { eigenlm::quantise(GetParam(), std::span(x).first(count), blocks); },
            {"quantise", to_string(GetParam()), std::to_string(count)});
    for (const std::size_t size : {std::size_t{0}, blocks.size() - 2, blocks.size()})
        support::expect_error<eigenlm::ArgumentError>(
            [&] { eigenlm::quantise(GetParam(), x, std::span(blocks).first(size)); },
            {"quantise", to_string(GetParam()), std::to_string(size)});
}

TEST(Quantise, RefusesTypesThatAreNotQuantised) {
    for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::i32}) {
        const Numbers x(256);
        Blocks blocks(bytes_of(dtype, x.size()));
        support::expect_error<eigenlm::ArgumentError>([&] { eigenlm::quantise(dtype, x, blocks); },
                                                      {"quantise", to_string(dtype)});
    }
}

}  // namespace
