#pragma once
// Matrices to measure products with.
#include <algorithm>
#include <cstddef>
#include <eigenlm/eigenlm.hpp>
#include <vector>

namespace bench {

/// A matrix of any one type.
using AnyMatrix = eigenlm::Matrix<eigenlm::Quantised>;

/// 16 rows of made-up weights, as files hold them, for matrices that repeat them: quantising takes longer than packing.
class MadeUpRows {
  public:
    MadeUpRows(eigenlm::Dtype dtype, std::size_t inputs)
        : dtype_(dtype), inputs_(inputs), bytes_(count * eigenlm::bytes_of(dtype, inputs)) {
        const std::size_t shape[] = {count, inputs};
        std::vector<float> values(count * inputs);
        eigenlm::RandomWeights().tensor("weight", shape).read(0, values);
        eigenlm::narrow(dtype, values, {bytes_.data(), bytes_.size()});
    }
    AnyMatrix matrix(std::size_t outputs, eigenlm::WeightLayout layout) const {
        const AnyMatrix::Shape part = {dtype_, outputs};
        AnyMatrix found({&part, 1}, inputs_, layout);
        for (std::size_t j = 0; j < outputs; j += count) found.set_rows(j, std::min(count, outputs - j), bytes_.data());
        return found;
    }
    std::size_t bytes(std::size_t outputs, eigenlm::WeightLayout layout) const {
        const AnyMatrix::Shape part = {dtype_, outputs};
        return AnyMatrix::packed_bytes({&part, 1}, inputs_, layout);
    }

  private:
    static constexpr std::size_t count = 16;
    eigenlm::Dtype dtype_;
    std::size_t inputs_;
    eigenlm::Buffer<std::byte> bytes_;
};

}  // namespace bench
