#include "eigenlm/file/dequantise.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <eigenlm/base/float_state.hpp>
#include <eigenlm/file/tensor.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "support/expect_error.hpp"

namespace {

using eigenlm::Dtype;

constexpr Dtype quantised_types[] = {Dtype::q8_0, Dtype::q4_0, Dtype::q4_1, Dtype::q5_0, Dtype::q5_1,   Dtype::q2_k,
                                     Dtype::q3_k, Dtype::q4_k, Dtype::q5_k, Dtype::q6_k, Dtype::iq4_nl, Dtype::iq4_xs};

/// A file of tools/make_quant_goldens.py: blocks, and what PyPI's gguf makes of them.
struct Golden {
    explicit Golden(Dtype dtype) {
        const auto path =
            std::filesystem::path(EIGENLM_TEST_DATA_DIR) / "quants" / (to_string(dtype) + std::string(".bin"));
        std::ifstream stream(path, std::ios::binary);
        const std::string file{std::istreambuf_iterator<char>(stream), {}};
        const auto [name, elements, size] = layout_of(dtype);
        const std::size_t count = file.size() / (size + 4 * elements);
        EXPECT_GE(count, 12u) << path;
        EXPECT_EQ(file.size(), count * (size + 4 * elements)) << path;
        blocks.resize(count * size);
        std::memcpy(blocks.data(), file.data(), blocks.size());
        values.resize(count * elements);
        std::memcpy(values.data(), file.data() + blocks.size(), 4 * values.size());
    }
    std::vector<std::byte> blocks;
    std::vector<float> values;
};

/// How many floats have other bits. All NaNs are one: which of them a product gives depends on the processor.
std::size_t differences(std::span<const float> a, std::span<const float> b) {
    EXPECT_EQ(a.size(), b.size());
    std::size_t count = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        count += std::memcmp(&a[i], &b[i], 4) != 0 && !(eigenlm::is_nan(a[i]) && eigenlm::is_nan(b[i]));
    return count;
}

class Dequantise : public ::testing::TestWithParam<Dtype> {};
INSTANTIATE_TEST_SUITE_P(Types, Dequantise, ::testing::ValuesIn(quantised_types),
                         [](const auto& dtype) { return std::string(to_string(dtype.param)); });

TEST_P(Dequantise, GivesTheBitsOfTheReference) {
    const Golden golden(GetParam());
    std::vector<float> found(golden.values.size());
    eigenlm::dequantise(GetParam(), golden.blocks, found);
    EXPECT_EQ(differences(found, golden.values), 0u);
    eigenlm::widen(GetParam(), golden.blocks, found);
    EXPECT_EQ(differences(found, golden.values), 0u);
}

// In one block at least: a group whose scale is 0 hides its codes.
TEST_P(Dequantise, EveryBitOfABlockCounts) {
    const Golden golden(GetParam());
    const auto [name, elements, size] = layout_of(GetParam());
    std::vector<float> found(golden.values.size());
    for (std::size_t i = 0; i < size; ++i)
        for (const int mask : {1, 2, 4, 8, 16, 32, 64, 128}) {
            std::vector<std::byte> blocks = golden.blocks;
            for (std::size_t at = i; at < blocks.size(); at += size) blocks[at] ^= static_cast<std::byte>(mask);
            eigenlm::dequantise(GetParam(), blocks, found);
            EXPECT_NE(differences(found, golden.values), 0u) << "byte " << i << ", bit " << mask;
        }
}

TEST_P(Dequantise, TensorsAreReadFromAnyElementOn) {
    const Golden golden(GetParam());
    const eigenlm::Tensor tensor{
        "test", GetParam(), {golden.values.size()}, [&](std::size_t first, std::span<std::byte> out) {
            ASSERT_EQ(first % layout_of(GetParam()).block_elements, 0u);
            if (!out.empty()) std::memcpy(out.data(), golden.blocks.data() + bytes_of(GetParam(), first), out.size());
        }};
    for (const std::size_t first : {0u, 1u, 31u, 32u, 100u, 255u, 256u, 300u})
        for (const std::size_t count : {0u, 1u, 32u, 64u, 500u}) {
            std::vector<float> found(count);
            tensor.read(first, found);
            EXPECT_EQ(differences(found, std::span(golden.values).subspan(first, count)), 0u) << first << " " << count;
        }
}

TEST(Dequantise, RefusesTypesThatAreNotQuantised) {
    float value = 0;
    for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::i32})
        support::expect_error<eigenlm::ArgumentError>(
            [&] { eigenlm::dequantise(dtype, std::as_bytes(std::span(&value, 1)), std::span(&value, 1)); },
            {"dequantise", to_string(dtype)});
}

}  // namespace
