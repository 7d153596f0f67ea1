#pragma once
// The weight type of models whose matrices each have a type of their own.
#include <cstddef>
#include <span>
#include <variant>
#include <vector>

#include "matrix.hpp"
#include "quantised_matrix.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Weights that are quantised, at least some of them: each matrix has a type of its own, or several, one for each of
/// the tensors that it is made of.
struct Quantised {};

/// [outputs, inputs], in parts one behind the other.
template <>
class Matrix<Quantised> {
  public:
    /// A part: outputs of one type.
    using Part = std::variant<Matrix<F32>, Matrix<Bf16>, Matrix<F16>, QuantisedMatrix>;
    /// What a part is to be.
    struct Shape {
        Dtype dtype;          ///< of its weights
        std::size_t outputs;  ///< rows
    };

    Matrix() = default;
    /// All zeros, to be filled by set_rows. Parts that are quantised exist in panels only. Throws ArgumentError where
    /// parts' products want inputs of different kinds, and for rows that are no whole blocks; ResourceError when the
    /// memory cannot be had.
    Matrix(std::span<const Shape> shapes, std::size_t inputs, WeightLayout layout) : inputs_(inputs), layout_(layout) {
        for (const Shape& shape : shapes) {
            parts_.push_back(part(shape, inputs, layout));
            if (input_of(shape.dtype) != input_of(shapes.front().dtype))
                throw ArgumentError("Matrix", std::string("expected parts that take the same inputs, found ") +
                                                  to_string(shape.dtype) + " and " + to_string(shapes.front().dtype));
            outputs_ += shape.outputs;
        }
    }
    /// What a matrix of these parts takes. Throws as the constructor does.
    static std::size_t packed_bytes(std::span<const Shape> shapes, std::size_t inputs, WeightLayout layout) {
        std::size_t total = 0;
        for (const Shape& s : shapes)
            total += s.dtype == Dtype::f32    ? Matrix<F32>::packed_bytes(s.outputs, inputs, layout)
                     : s.dtype == Dtype::bf16 ? Matrix<Bf16>::packed_bytes(s.outputs, inputs, layout)
                     : s.dtype == Dtype::f16  ? Matrix<F16>::packed_bytes(s.outputs, inputs, layout)
                                              : QuantisedMatrix::packed_bytes(s.dtype, s.outputs, inputs);
        return total;
    }
    /// What products with weights of this type take as inputs.
    static constexpr ProductInput input_of(Dtype dtype) {
        return is_quantised(dtype)    ? ProductInput::quantised
               : dtype == Dtype::bf16 ? ProductInput::bf16
                                      : ProductInput::plain;
    }

    /// Rows, as checkpoints have the matrix.
    std::size_t outputs() const { return outputs_; }
    /// Columns, without padding.
    std::size_t inputs() const { return inputs_; }
    /// How the numbers lie in memory: the kernels that read them must want it so.
    WeightLayout layout() const { return layout_; }
    /// Whether it has no outputs: a head that is tied to the embedding.
    bool empty() const { return outputs_ == 0; }
    /// The parts, in order.
    std::span<const Part> parts() const { return parts_; }
    /// What its products take as inputs.
    ProductInput input() const {
        return parts_.empty() ? ProductInput::plain
                              : std::visit([](const auto& part) { return input_of(part.dtype()); }, parts_.front());
    }
    /// Bytes of the packed numbers, padding included.
    std::size_t bytes() const {
        std::size_t total = 0;
        for (const Part& part : parts_) total += std::visit([](const auto& p) { return p.bytes(); }, part);
        return total;
    }

    /// The type of output `first`, which it must have.
    Dtype dtype(std::size_t first) const {
        return std::visit([](const auto& part) { return part.dtype(); }, parts_[part_of(first)]);
    }
    /// Packs rows of the checkpoint's matrix, the weights of outputs [first, first + count), all in one part, which it
    /// must have.   rows: [count, inputs] in that part's type, aligned as its numbers
    void set_rows(std::size_t first, std::size_t count, const std::byte* rows) {
        Part& part = parts_[part_of(first)];
        if (auto* const quantised = std::get_if<QuantisedMatrix>(&part)) return quantised->set_rows(first, count, rows);
        std::visit(
            [&](auto& to) {
                if constexpr (requires { to.layout(); })
                    to.set_rows(first, count, reinterpret_cast<decltype(to.data())>(rows));
            },
            part);
    }
    /// Gathers row `j` again.   row: [inputs]. Throws ArgumentError when there is no such row, or no room for it.
    void get_row(std::size_t j, std::span<float> row) const {
        if (j >= outputs_ || row.size() != inputs_)
            throw ArgumentError("Matrix::get_row", "expected a row below " + std::to_string(outputs_) +
                                                       " and room for " + std::to_string(inputs_) +
                                                       " numbers, found row " + std::to_string(j) + " and room for " +
                                                       std::to_string(row.size()));
        const Part& part = parts_[part_of(j)];
        std::visit([&](const auto& p) { p.get_row(j, row); }, part);
    }

  private:
    static Part part(const Shape& s, std::size_t inputs, WeightLayout layout) {
        if (s.dtype == Dtype::f32) return Matrix<F32>(s.outputs, inputs, layout);
        if (s.dtype == Dtype::bf16) return Matrix<Bf16>(s.outputs, inputs, layout);
        if (s.dtype == Dtype::f16) return Matrix<F16>(s.outputs, inputs, layout);
        return QuantisedMatrix(s.dtype, s.outputs, inputs);
    }
    /// The number of the part that has a row, whose number becomes the one within that part.
    std::size_t part_of(std::size_t& row) const {
        const auto size = [](const Part& p) { return std::visit([](const auto& m) { return m.outputs(); }, p); };
        std::size_t part = 0;
        for (; row >= size(parts_[part]); ++part) row -= size(parts_[part]);
        return part;
    }

    std::size_t outputs_ = 0, inputs_ = 0;
    WeightLayout layout_ = WeightLayout::panels;
    std::vector<Part> parts_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
