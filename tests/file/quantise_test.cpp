#include "eigenlm/file/quantise.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <eigenlm/file/dequantise.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/numbers.hpp"

namespace {

using eigenlm::Dtype;
using Blocks = std::vector<std::byte>;
using Numbers = std::vector<float>;

constexpr Dtype exact[] = {Dtype::q8_0, Dtype::q4_0, Dtype::q4_1, Dtype::q5_0, Dtype::q5_1};

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

}  // namespace
