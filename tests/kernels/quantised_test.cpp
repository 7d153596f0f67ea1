// Products with quantised weights: what docs/numerics.md says, to the bit, at every level and for any number of rows.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <eigenlm/base/float_state.hpp>
#include <eigenlm/kernels/detail/portable.hpp>
#include <eigenlm/kernels/dispatch.hpp>
#include <eigenlm/weights/quantised_matrix.hpp>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "support/levels.hpp"
#include "support/numbers.hpp"

// What a level does that multiplies tiles of bytes (AMX's), on the portable level with a unit that any machine has.
EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI::detail::portable {

inline VecInt load_int(const std::int32_t* p) {
    VecInt v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

#include <eigenlm/kernels/detail/quantised_tiles-inl.hpp>

/// Tiles as AMX has them: configured for one size of groups, and for one number of rows below 16.
struct PlainTiles {
    PlainTiles(std::size_t group_, std::size_t fewer_rows_) : group(group_), fewer_rows(fewer_rows_) {}
    std::size_t group, fewer_rows;
    template <std::size_t Group>
    void multiply(const std::int8_t* numbers, std::size_t stride, std::size_t rows, const std::uint8_t* codes,
                  std::int32_t* sums, std::size_t turn) const {
        EXPECT_LT(turn, 2u);
        EXPECT_EQ(Group, group);
        EXPECT_TRUE(rows == 16 || rows == fewer_rows) << rows;
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t n = 0; n < 16; ++n) {
                sums[r * 16 + n] = 0;
                for (std::size_t k = 0; k < Group; ++k)
                    sums[r * 16 + n] +=
                        numbers[r * stride + k] * static_cast<std::int8_t>(codes[k / 4 * 64 + 4 * n + k % 4]);
            }
    }
};

}  // namespace eigenlm::inline EIGENLM_ABI::detail::portable
EIGENLM_EXACT_END

namespace {

using eigenlm::Dtype;
using eigenlm::Epilogue;
using eigenlm::Isa;

constexpr Dtype types[] = {Dtype::q8_0, Dtype::q4_0, Dtype::q4_1, Dtype::q5_0, Dtype::q5_1,   Dtype::q2_k,
                           Dtype::q3_k, Dtype::q4_k, Dtype::q5_k, Dtype::q6_k, Dtype::iq4_nl, Dtype::iq4_xs};

/// Random blocks: any bits are codes; scales are halfs of about `size`.
template <class Block>
void make_block(Block& block, std::mt19937& random) {
    auto* const bytes = reinterpret_cast<std::uint8_t*>(&block);
    for (std::size_t i = 0; i < sizeof(Block); ++i) bytes[i] = static_cast<std::uint8_t>(random());
    const auto half = [&] {
        const float size = std::ldexp(static_cast<float>(random() % 2048) - 1024, -20);
        const std::uint16_t bits = eigenlm::f32_to_f16(size);
        return eigenlm::blocks::Half{{static_cast<std::uint8_t>(bits & 255), static_cast<std::uint8_t>(bits >> 8)}};
    };
    block.scale = half();
    if constexpr (requires { block.least; }) block.least = half();
}
std::vector<std::byte> random_blocks(Dtype dtype, std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::byte> bytes(count * eigenlm::layout_of(dtype).block_bytes);
    eigenlm::detail::with_block(dtype, [&](auto block) {
        for (std::size_t b = 0; b < count; ++b) {
            make_block(block, random);
            std::memcpy(bytes.data() + b * sizeof block, &block, sizeof block);
        }
    });
    return bytes;
}

/// 32 inputs as docs/numerics.md has them packed.
struct Inputs {
    int numbers[32] = {};
    float scale = 0;
    explicit Inputs(const float* x) {
        float largest = 0;
        for (int i = 0; i < 32; ++i) {
            if (!std::isfinite(x[i])) {
                scale = std::numeric_limits<float>::quiet_NaN();
                return;
            }
            largest = std::max(largest, std::abs(x[i]));
        }
        if (largest < 0x1p-100f) return;
        scale = largest / 127.0f;
        const float inverse = 127.0f / largest;
        for (int i = 0; i < 32; ++i) numbers[i] = static_cast<int>(std::nearbyint(x[i] * inverse));
    }
    int sum(std::size_t first, std::size_t count) const {
        int total = 0;
        for (std::size_t i = first; i < first + count; ++i) total += numbers[i];
        return total;
    }
};

/// A matrix [n, k] of blocks, and rows of inputs.
struct Product {
    Dtype dtype;
    std::size_t rows, n, k;
    std::vector<std::byte> blocks;
    std::vector<float> x, bias, before;
    Epilogue epilogue = Epilogue::store;

    Product(Dtype dtype_, std::size_t rows_, std::size_t n_, std::size_t k_, bool wild = false)
        : dtype(dtype_),
          rows(rows_),
          n(n_),
          k(k_),
          blocks(random_blocks(dtype, n * k / eigenlm::layout_of(dtype).block_elements, 7)),
          x(wild ? support::wild_numbers(rows * k, 1) : support::random_numbers(rows * k, 1)) {
        if (dtype != Dtype::q8_0 || wild) return;
        // Without -128, as quantisers make them: such weights are multiplied in another way.
        for (std::size_t i = 0; i < n * k; ++i)
            if (weight(i) == std::byte{0x80}) weight(i) = std::byte{0x81};
    }
    /// Of q8_0: number i of the matrix.
    std::byte& weight(std::size_t i) { return blocks[i / 32 * 34 + 2 + i % 32]; }

    eigenlm::QuantisedMatrix matrix() const {
        eigenlm::QuantisedMatrix packed(dtype, n, k);
        for (std::size_t first = 0; first < n; first += 5)  // in pieces that are no panels
            packed.set_rows(first, std::min<std::size_t>(5, n - first),
                            blocks.data() + first * eigenlm::bytes_of(dtype, k));
        return packed;
    }
    std::size_t columns() const { return epilogue == Epilogue::silu_mul ? n / 2 : n; }

    std::vector<float> run(Isa isa) const { return run(eigenlm::kernels(isa)); }
    std::vector<float> run(const eigenlm::KernelTable& table) const {
        const eigenlm::QuantisedMatrix weight = matrix();
        std::vector<float> out = before;
        out.resize(rows * columns());
        const std::size_t stride = eigenlm::quantised_lines(k) * eigenlm::lanes;
        eigenlm::Buffer<float> packed(rows * stride);
        std::ranges::fill(packed, std::numeric_limits<float>::quiet_NaN());
        const eigenlm::FloatState state;
        for (std::size_t r = 0; r < rows; ++r) table.pack_quantised(x.data() + r * k, k, r, rows, packed.data());
        const eigenlm::MatmulQuantised product = {{{packed.data(), rows, k, stride},
                                                   n,
                                                   bias.empty() ? nullptr : bias.data(),
                                                   epilogue,
                                                   {out.data(), rows, columns(), columns()},
                                                   nullptr,
                                                   0},
                                                  weight.data(),
                                                  dtype};
        const std::size_t panels = weight.panels(), middle = panels / 4 * 2;
        table.matmul_quantised(product, middle, panels);  // in two ranges, the later one first
        if (middle != 0) table.matmul_quantised(product, 0, middle);
        return out;
    }

    /// The sum that docs/numerics.md has for one output.
    float documented(std::size_t r, std::size_t j) const {
        float total = 0;
        const std::size_t elements = eigenlm::layout_of(dtype).block_elements;
        const std::byte* bytes = blocks.data() + j * eigenlm::bytes_of(dtype, k);
        eigenlm::detail::with_block(dtype, [&](auto block) {
            for (std::size_t i = 0; i < k; i += elements, bytes += sizeof block) {
                std::memcpy(&block, bytes, sizeof block);
                total = add_block(block, x.data() + r * k + i, total);
            }
        });
        return total;
    }
    template <class Block>
    float add_block(const Block& block, const float* at, float total) const {
        const eigenlm::PanelFormat f = eigenlm::panel_format(dtype);
        std::uint8_t codes[256];
        eigenlm::detail::codes_of(block, codes);
        for (std::size_t i = 0; i < eigenlm::layout_of(dtype).block_elements; i += f.group) {
            const Inputs in(at + i / 32 * 32);
            int sum = 0;
            for (std::size_t e = 0; e < f.group; ++e) sum += number(f, codes[i + e]) * in.numbers[(i + e) % 32];
            float scale = block.scale, least = 0;
            if constexpr (requires { block.least; }) least = block.least;
            if constexpr (requires { eigenlm::detail::group_scale(block, 0); }) {
                const int both = eigenlm::detail::group_scale(block, i / f.group);
                scale *= static_cast<float>(f.nibbles ? both & 15 : both);
                if constexpr (requires { eigenlm::detail::group_least(block, 0); })
                    least *= static_cast<float>(-eigenlm::detail::group_least(block, i / f.group));
                else
                    least *= static_cast<float>(-(both >> 4));
            }
            total = std::fma(static_cast<float>(sum) * scale, in.scale, total);
            if (f.minimum) total = std::fma(least, in.scale * static_cast<float>(in.sum(i % 32, f.group)), total);
        }
        return total;
    }
    static int number(const eigenlm::PanelFormat& f, std::uint8_t code) {
        if (f.table) return eigenlm::blocks::not_linear[code];
        return f.zero_shift < 0 ? code : code - (1 << f.zero_shift);
    }
};

class QuantisedProduct : public testing::TestWithParam<std::tuple<Dtype, Isa>> {
  protected:
    Dtype dtype() const { return std::get<0>(GetParam()); }
    Isa isa() const { return std::get<1>(GetParam()); }
    std::size_t block() const { return eigenlm::layout_of(dtype()).block_elements; }
};

void expect_same(std::span<const float> found, std::span<const float> expected, const std::string& what) {
    ASSERT_EQ(found.size(), expected.size());
    std::size_t different = 0;
    for (std::size_t i = 0; i < found.size(); ++i)
        if (!support::same_bits(found[i], expected[i]) && ++different <= 3)
            ADD_FAILURE() << what << ", number " << i << ": " << found[i] << ", expected " << expected[i];
    EXPECT_EQ(different, 0u) << what;
}

TEST_P(QuantisedProduct, IsWhatIsDocumented) {
    for (const std::size_t rows : {1u, 2u, 3u, 5u, 7u, 13u, 51u})
        for (const std::size_t n : {1u, 37u, 64u, 131u})
            for (const std::size_t blocks : {1u, 2u, 3u, 9u}) {
                const Product product(dtype(), rows, n, blocks * block(), n == 64);
                std::vector<float> expected;
                for (std::size_t r = 0; r < rows; ++r)
                    for (std::size_t j = 0; j < n; ++j) expected.push_back(product.documented(r, j));
                expect_same(
                    product.run(isa()), expected,
                    std::to_string(rows) + " rows, [" + std::to_string(n) + ", " + std::to_string(product.k) + "]");
            }
}

// What is summed up in 16 bits on the way must fit there.
TEST_P(QuantisedProduct, HoldsTheLargestSums) {
    for (const int byte : {0xff, 0x00, 0x80, 0x7f})
        for (const std::size_t rows : {1u, 13u, 51u}) {
            Product product(dtype(), rows, rows == 1 ? 131 : 37, 2 * block());
            eigenlm::detail::with_block(dtype(), [&](auto b) {
                for (std::byte* at = product.blocks.data(); at != product.blocks.data() + product.blocks.size();
                     at += sizeof b) {
                    std::memcpy(&b, at, sizeof b);
                    auto filled = b;
                    std::memset(&filled, byte, sizeof filled);
                    filled.scale = b.scale;
                    if constexpr (requires { b.least; }) filled.least = b.least;
                    std::memcpy(at, &filled, sizeof filled);
                }
            });
            for (std::size_t i = 0; i < product.x.size(); ++i)  // one sign, the other, and in turns
                product.x[i] = i / product.k % 3 == 0 || (i / product.k % 3 == 1 && i % 2 == 0) ? -1.0f : 1.0f;
            std::vector<float> expected;
            for (std::size_t r = 0; r < rows; ++r)
                for (std::size_t j = 0; j < product.n; ++j) expected.push_back(product.documented(r, j));
            expect_same(product.run(isa()), expected, std::to_string(rows) + " rows of " + std::to_string(byte));
        }
}

// A weight of -128 is alone among bytes in that its opposite is none.
class Q8Product : public testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Levels, Q8Product, testing::ValuesIn(support::steady_isas()),
                         [](const auto& p) { return std::string(to_string(p.param)); });
TEST_P(Q8Product, TakesWeightsWithoutAnOpposite) {
    for (const std::size_t rows : {1u, 51u}) {
        Product product(Dtype::q8_0, rows, 131, 320);
        product.weight(3 * product.k + 10) = std::byte{0x80};    // among the first 32 outputs and 256 inputs,
        product.weight(40 * product.k + 300) = std::byte{0x80};  // and among the next ones
        std::vector<float> expected;
        for (std::size_t r = 0; r < product.rows; ++r)
            for (std::size_t j = 0; j < product.n; ++j) expected.push_back(product.documented(r, j));
        expect_same(product.run(GetParam()), expected, "-128, " + std::to_string(rows) + " rows");
    }
}

TEST_P(QuantisedProduct, OfManyRowsIsEachRowsOwn) {
    const Product many(dtype(), 531, 96, 6 * block());
    const auto found = many.run(isa());
    for (const std::size_t r : {0u, 1u, 255u, 256u, 257u, 511u, 512u, 529u, 530u}) {
        Product one = many;
        one.rows = 1;
        one.x.assign(many.x.begin() + static_cast<std::ptrdiff_t>(r * many.k),
                     many.x.begin() + static_cast<std::ptrdiff_t>((r + 1) * many.k));
        expect_same(std::span(found).subspan(r * many.n, many.n), one.run(isa()), "row " + std::to_string(r));
    }
}

TEST_P(QuantisedProduct, EndsWithItsEpilogue) {
    for (const std::size_t rows : {1u, 7u, 51u})
        for (const Epilogue epilogue : {Epilogue::store, Epilogue::add, Epilogue::silu_mul}) {
            Product product(dtype(), rows, 64, 2 * block());
            const auto sums = product.run(Isa::portable);
            product.epilogue = epilogue;
            product.bias = support::random_numbers(product.n, 3);
            product.before = support::random_numbers(rows * product.columns(), 4);
            const auto found = product.run(isa());
            const auto& table = eigenlm::kernels(Isa::portable);
            const eigenlm::FloatState state;
            std::vector<float> expected(found.size());
            for (std::size_t r = 0; r < rows; ++r)
                for (std::size_t j = 0; j < product.columns(); ++j) {
                    const auto biased = [&](std::size_t at) { return sums[r * product.n + at] + product.bias[at]; };
                    float& out = expected[r * product.columns() + j];
                    if (epilogue == Epilogue::store) out = biased(j);
                    if (epilogue == Epilogue::add) out = product.before[r * product.columns() + j] + biased(j);
                    if (epilogue != Epilogue::silu_mul) continue;
                    const std::size_t gate = j / 16 * 32 + j % 16;
                    const float g = biased(gate), u = biased(gate + 16);
                    table.silu_mul(&g, &u, 1, &out);
                }
            expect_same(found, expected, std::to_string(rows) + " rows");
        }
}

TEST_P(QuantisedProduct, OfNumbersThatAreNoneIsNone) {
    for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
        Product product(dtype(), 3, 20, 2 * block());
        product.x[product.k + 5] = bad;  // of row 1
        const auto found = product.run(isa());
        for (std::size_t i = 0; i < found.size(); ++i)
            EXPECT_EQ(std::isnan(found[i]), i / product.n == 1) << "number " << i << ": " << found[i];
    }
    Product tiny(dtype(), 2, 20, block());
    for (float& x : tiny.x) x *= 0x1p-120f;
    for (const float x : tiny.run(isa())) EXPECT_EQ(x, 0.0f);
}

INSTANTIATE_TEST_SUITE_P(
    Types, QuantisedProduct, testing::Combine(testing::ValuesIn(types), testing::ValuesIn(support::steady_isas())),
    [](const auto& p) { return std::string(to_string(std::get<0>(p.param))) + "_" + to_string(std::get<1>(p.param)); });

class Avx512WithoutVnni : public testing::TestWithParam<Dtype> {};
INSTANTIATE_TEST_SUITE_P(Types, Avx512WithoutVnni, testing::ValuesIn(types),
                         [](const auto& p) { return std::string(to_string(p.param)); });

// What processors of that kind choose, on any that runs AVX-512.
TEST_P(Avx512WithoutVnni, GivesTheBitsOfEveryLevel) {
    if (!eigenlm::runs(Isa::avx512)) GTEST_SKIP() << "no AVX-512";
    const auto& table = eigenlm::detail::table_of(Isa::avx512, false);
    const auto& with = eigenlm::detail::table_of(Isa::avx512, true);
    EXPECT_EQ(table.isa, Isa::avx512);
    EXPECT_EQ(table.matmul_f32, with.matmul_f32);
    EXPECT_EQ(table.matmul_quantised, eigenlm::kernels(Isa::avx2).matmul_quantised);
    EXPECT_NE(table.matmul_quantised, with.matmul_quantised);
    for (const std::size_t rows : {1u, 5u, 13u, 51u})
        for (const std::size_t n : {37u, 64u}) {
            const std::size_t k = 4 * eigenlm::layout_of(GetParam()).block_elements;
            const Product product(GetParam(), rows, n, k, n == 64);
            const auto what = std::to_string(rows) + " rows, [" + std::to_string(n) + ", " + std::to_string(k) + "]";
            expect_same(product.run(table), product.run(Isa::portable), what);
        }
}

class TilesOfBytes : public testing::TestWithParam<Dtype> {};
INSTANTIATE_TEST_SUITE_P(Types, TilesOfBytes, testing::ValuesIn(types),
                         [](const auto& p) { return std::string(to_string(p.param)); });

// AMX's tiles themselves are tested as every level is, where they are.
TEST_P(TilesOfBytes, GiveTheBitsOfEveryLevel) {
    eigenlm::KernelTable table = eigenlm::kernels(Isa::portable);
    table.matmul_quantised = eigenlm::detail::portable::matmul_quantised_on<eigenlm::detail::portable::PlainTiles>;
    for (const std::size_t rows : {15u, 16u, 17u, 47u, 300u})
        for (const std::size_t n : {37u, 64u}) {
            const std::size_t k = 3 * eigenlm::layout_of(GetParam()).block_elements;
            const Product product(GetParam(), rows, n, k, n == 64);
            const auto what = std::to_string(rows) + " rows, [" + std::to_string(n) + ", " + std::to_string(k) + "]";
            expect_same(product.run(table), product.run(Isa::portable), what);
        }
}

class QuantisedMatrix : public testing::TestWithParam<Dtype> {};
INSTANTIATE_TEST_SUITE_P(Types, QuantisedMatrix, testing::ValuesIn(types),
                         [](const auto& p) { return std::string(to_string(p.param)); });

TEST_P(QuantisedMatrix, GivesItsRowsBackAsTheyWere) {
    const std::size_t elements = eigenlm::layout_of(GetParam()).block_elements;
    const Product product(GetParam(), 1, 37, 3 * elements);
    const auto matrix = product.matrix();
    std::vector<float> expected(product.n * product.k), row(product.k);
    eigenlm::dequantise(GetParam(), product.blocks, expected);
    for (std::size_t j = 0; j < product.n; ++j) {
        matrix.get_row(j, row);
        expect_same(row, std::span(expected).subspan(j * product.k, product.k), "row " + std::to_string(j));
    }
}

TEST_P(QuantisedMatrix, TakesHardlyMoreThanItsBlocks) {
    const eigenlm::QuantisedMatrix matrix(GetParam(), 32, 4096);
    const double blocks = static_cast<double>(eigenlm::bytes_of(GetParam(), 32 * 4096));
    EXPECT_GE(static_cast<double>(matrix.bytes()), blocks);
    EXPECT_LE(static_cast<double>(matrix.bytes()), blocks * 1.06);
}

}  // namespace
