#pragma once
// A weight matrix in memory, packed once for the kernels that will read it.
#include <cstddef>
#include <span>

#include "../base/buffer.hpp"
#include "../kernels/table.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Weight types: how a matrix is stored. Activations are f32 for this one.
struct F32 {
    static constexpr const char* name = "f32";
    using Storage = float;
};

/// [outputs, inputs]: output j is the dot product of row j with the input.
template <class Weight>
class Matrix {
  public:
    using Storage = typename Weight::Storage;

    Matrix() = default;
    Matrix(std::size_t outputs, std::size_t inputs, WeightLayout layout)
        : outputs_(outputs), inputs_(inputs), layout_(layout), data_(packed_size(outputs, inputs, layout)) {}

    std::size_t outputs() const { return outputs_; }
    std::size_t inputs() const { return inputs_; }
    std::size_t panels() const { return ceil_div(outputs_, lanes); }
    bool empty() const { return outputs_ == 0; }
    const Storage* data() const { return data_.data(); }
    std::size_t bytes() const { return data_.size() * sizeof(Storage); }

    /// Packs one row of the checkpoint's matrix: the weights of output `j`, [inputs].
    void set_row(std::size_t j, std::span<const float> row) {
        Storage* const to = data_.data() + offset(j);
        for (std::size_t k = 0; k < inputs_; ++k) to[k * step()] = row[k];
    }
    /// Gathers that row again, e.g. a token's embedding out of a tied head.
    void get_row(std::size_t j, std::span<float> row) const {
        const Storage* const from = data_.data() + offset(j);
        for (std::size_t k = 0; k < inputs_; ++k) row[k] = from[k * step()];
    }

  private:
    static std::size_t packed_size(std::size_t outputs, std::size_t inputs, WeightLayout layout) {
        return checked_mul(layout == WeightLayout::panels ? round_up(outputs, lanes) : outputs, inputs, "weight matrix");
    }
    std::size_t offset(std::size_t j) const {
        return layout_ == WeightLayout::panels ? j / lanes * lanes * inputs_ + j % lanes : j * inputs_;
    }
    std::size_t step() const { return layout_ == WeightLayout::panels ? lanes : 1; }

    std::size_t outputs_ = 0, inputs_ = 0;
    WeightLayout layout_ = WeightLayout::panels;
    Buffer<Storage> data_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
