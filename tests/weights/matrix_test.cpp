// A packed matrix gives back the rows it was packed from, in either layout, and is zero where it is filled up.
#include <gtest/gtest.h>

#include <eigenlm/weights/matrix.hpp>
#include <numeric>
#include <vector>

#include "support/expect_error.hpp"

namespace {

using eigenlm::WeightLayout;
using Matrix = eigenlm::Matrix<eigenlm::F32>;

/// Row j holds 1000 j + 1, 1000 j + 2, ...
Matrix numbered(std::size_t outputs, std::size_t inputs, WeightLayout layout) {
    Matrix matrix(outputs, inputs, layout);
    std::vector<float> row(inputs);
    for (std::size_t j = 0; j < outputs; ++j) {
        std::iota(row.begin(), row.end(), static_cast<float>(1000 * j + 1));
        matrix.set_rows(j, 1, row.data());
    }
    return matrix;
}

class MatrixTest : public testing::TestWithParam<WeightLayout> {};

TEST_P(MatrixTest, GivesItsRowsBack) {
    for (const std::size_t outputs : {1u, 15u, 16u, 17u, 40u})
        for (const std::size_t inputs : {1u, 7u, 16u, 33u}) {
            const Matrix matrix = numbered(outputs, inputs, GetParam());
            EXPECT_EQ(matrix.outputs(), outputs);
            EXPECT_EQ(matrix.inputs(), inputs);
            std::vector<float> row(inputs), expected(inputs);
            for (std::size_t j = 0; j < outputs; ++j) {
                matrix.get_row(j, row);
                std::iota(expected.begin(), expected.end(), static_cast<float>(1000 * j + 1));
                EXPECT_EQ(row, expected) << outputs << " x " << inputs << ", row " << j;
            }
        }
}

INSTANTIATE_TEST_SUITE_P(Layouts, MatrixTest, testing::Values(WeightLayout::rows, WeightLayout::panels),
                         [](const auto& p) { return p.param == WeightLayout::rows ? "rows" : "panels"; });

TEST(Matrix, PanelsLieAsTheKernelsReadThem) {
    const Matrix matrix = numbered(20, 3, WeightLayout::panels);
    ASSERT_EQ(matrix.panels(), 2u);
    ASSERT_EQ(matrix.bytes(), 2 * 3 * 16 * sizeof(float));
    for (std::size_t j = 0; j < 32; ++j)
        for (std::size_t k = 0; k < 3; ++k)
            EXPECT_EQ(matrix.data()[j / 16 * 3 * 16 + k * 16 + j % 16],
                      j < 20 ? static_cast<float>(1000 * j + k + 1) : 0.0f);
}

TEST(Matrix, RowsLieAsInACheckpoint) {
    const Matrix matrix = numbered(5, 3, WeightLayout::rows);
    ASSERT_EQ(matrix.bytes(), 5 * 3 * sizeof(float));
    for (std::size_t j = 0; j < 5; ++j)
        for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(matrix.data()[j * 3 + k], static_cast<float>(1000 * j + k + 1));
}

TEST(Matrix, WhoseSizeOverflowsIsAnError) {
    support::expect_error<eigenlm::ResourceError>(
        [] { Matrix matrix(std::size_t{1} << 40, std::size_t{1} << 30, WeightLayout::panels); },
        {"weight matrix", "overflows"});
}

TEST(Matrix, ThatIsEmptySaysSo) {
    EXPECT_TRUE(Matrix().empty());
    EXPECT_EQ(Matrix().bytes(), 0u);
    EXPECT_FALSE(numbered(1, 1, WeightLayout::rows).empty());
}

}  // namespace
