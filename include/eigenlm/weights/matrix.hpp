#pragma once
// A weight matrix in memory, packed once for the kernels that will read it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "../base/buffer.hpp"
#include "../file/tensor.hpp"
#include "../kernels/table.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// How the numbers of weight matrices are stored. Norm gains and biases are f32 always. Types from q8_0 on are
/// quantised: see Dtype, and quantised_type for what each matrix of a model takes then.
enum class WeightType { f32, bf16, f16, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl, iq4_xs };

/// Every type.
inline constexpr WeightType all_weight_types[] = {
    WeightType::f32,  WeightType::bf16, WeightType::f16,  WeightType::q8_0,   WeightType::q4_0,
    WeightType::q4_1, WeightType::q5_0, WeightType::q5_1, WeightType::q2_k,   WeightType::q3_k,
    WeightType::q4_k, WeightType::q5_k, WeightType::q6_k, WeightType::iq4_nl, WeightType::iq4_xs};
/// Those of single numbers.
inline constexpr WeightType plain_weight_types[] = {WeightType::f32, WeightType::bf16, WeightType::f16};

/// The others.
inline constexpr std::span<const WeightType> quantised_weight_types =
    std::span(all_weight_types).subspan(std::size(plain_weight_types));

/// "f32", "bf16", "f16", "q8_0", "q4_0", ..., "q4_K", ..., "iq4_xs": as llama.cpp's users know them
constexpr const char* to_string(WeightType type) {
    constexpr const char* names[] = {"f32",  "bf16", "f16",  "q8_0", "q4_0", "q4_1",   "q5_0",  "q5_1",
                                     "q2_K", "q3_K", "q4_K", "q5_K", "q6_K", "iq4_nl", "iq4_xs"};
    return names[static_cast<int>(type)];
}
/// The type of that name; ArgumentError, naming `where` and the known ones, when there is none.
inline WeightType weight_type_from_string(std::string_view name, const char* where) {
    return detail::named(all_weight_types, name, where);
}
/// The elements' type.
constexpr Dtype dtype_of(WeightType type) {
    if (type == WeightType::f32) return Dtype::f32;
    if (type == WeightType::bf16) return Dtype::bf16;
    if (type == WeightType::f16) return Dtype::f16;
    return static_cast<Dtype>(static_cast<int>(type) - static_cast<int>(WeightType::q8_0) +
                              static_cast<int>(Dtype::q8_0));
}
static_assert(dtype_of(WeightType::iq4_xs) == Dtype::iq4_xs);
/// The weight type of such elements, which are not whole numbers.
constexpr WeightType weight_type_of(Dtype dtype) {
    for (const WeightType type : all_weight_types)
        if (dtype_of(type) == dtype) return type;
    return WeightType::f32;
}
/// Whether a model of that type is quantised.
constexpr bool is_quantised(WeightType type) { return is_quantised(dtype_of(type)); }

/// What products take as inputs, beside plain floats.
enum class ProductInput {
    plain,      ///< the floats themselves
    bf16,       ///< what KernelTable::pack_bf16 makes of them
    quantised,  ///< what KernelTable::pack_quantised makes of them
};

/// A weight type at compile time. `Storage` is what a matrix holds, `narrow` rounds a float to it, to the nearest, and
/// `widen` is exact. Panels hold `side_by_side` inputs of an output next to each other, and fill inputs up with zeros
/// to a multiple of `input_multiple`.
struct F32 {
    /// What every weight type tells; see F32.
    /// @{
    static constexpr WeightType type = WeightType::f32;
    static constexpr Dtype dtype = Dtype::f32;
    static constexpr ProductInput input = ProductInput::plain;
    using Storage = float;
    static constexpr std::size_t side_by_side = 1, input_multiple = 1;
    static Storage narrow(float x) { return x; }
    static float widen(Storage x) { return x; }
    /// @}
};
/// bfloat16; see F32.
struct Bf16 {
    /// What every weight type tells; see F32.
    /// @{
    static constexpr WeightType type = WeightType::bf16;
    static constexpr Dtype dtype = Dtype::bf16;
    static constexpr ProductInput input = ProductInput::bf16;
    using Storage = std::uint16_t;
    static constexpr std::size_t side_by_side = 2, input_multiple = bf16_chunk;
    static Storage narrow(float x) { return f32_to_bf16(x); }
    static float widen(Storage x) { return bf16_to_f32(x); }
    /// @}
};
/// IEEE half precision; see F32.
struct F16 {
    /// What every weight type tells; see F32.
    /// @{
    static constexpr WeightType type = WeightType::f16;
    static constexpr Dtype dtype = Dtype::f16;
    static constexpr ProductInput input = ProductInput::plain;
    using Storage = std::uint16_t;
    static constexpr std::size_t side_by_side = 1, input_multiple = 1;
    static Storage narrow(float x) { return f32_to_f16(x); }
    static float widen(Storage x) { return f16_to_f32(x); }
    /// @}
};

/// [outputs, inputs]: output j is the dot product of row j with the input.
template <class Weight>
class Matrix {
  public:
    /// What one weight is held in.
    using Storage = typename Weight::Storage;

    Matrix() = default;
    /// All zeros, to be filled by set_rows. Throws ResourceError when the memory cannot be had.
    Matrix(std::size_t outputs, std::size_t inputs, WeightLayout layout)
        : outputs_(outputs), inputs_(inputs), layout_(layout), data_(packed_size(outputs, inputs, layout)) {}

    /// What a matrix of this shape takes. Throws ResourceError where that is no number.
    static std::size_t packed_bytes(std::size_t outputs, std::size_t inputs, WeightLayout layout) {
        return checked_mul(packed_size(outputs, inputs, layout), sizeof(Storage), "weight matrix");
    }

    /// Rows, as checkpoints have the matrix.
    std::size_t outputs() const { return outputs_; }
    /// Columns, without padding.
    std::size_t inputs() const { return inputs_; }
    /// The type of its numbers.
    static constexpr Dtype dtype() { return Weight::dtype; }
    /// What its products take as inputs.
    static constexpr ProductInput input() { return Weight::input; }
    /// How the numbers lie in memory: the kernels that read them must want it so.
    WeightLayout layout() const { return layout_; }
    /// Groups of 16 outputs, the last one filled up: what kernels are given ranges of.
    std::size_t panels() const { return ceil_div(outputs_, lanes); }
    /// Whether it has no outputs: a head that is tied to the embedding.
    bool empty() const { return outputs_ == 0; }
    /// The packed numbers.
    const Storage* data() const { return data_.data(); }
    /// Bytes of the packed numbers, padding included.
    std::size_t bytes() const { return data_.size() * sizeof(Storage); }

    /// Packs rows of the checkpoint's matrix, the weights of outputs [first, first + count).   rows: [count, inputs].
    /// Throws ArgumentError when there are fewer outputs.
    void set_rows(std::size_t first, std::size_t count, const Storage* rows) {
        require_rows(first, count, "Matrix::set_rows");
        if (layout_ == WeightLayout::rows) {
            std::copy_n(rows, count * inputs_, data_.data() + first * inputs_);
            return;
        }
        for (const std::size_t end = first + count; first < end;) {
            const std::size_t lane = first % lanes, width = std::min(lanes - lane, end - first);
            Storage* const to = data_.data() + offset(first);
            if (width == lanes)
                interleave<lanes>(rows, to, lanes);  // the number known at compile time: twice as fast
            else
                interleave<0>(rows, to, width);
            rows += width * inputs_;
            first += width;
        }
    }
    /// Gathers row `j` again, e.g. a token's embedding out of a tied head.   row: [inputs]. Throws ArgumentError when
    /// there is no such row, or no room for it.
    void get_row(std::size_t j, std::span<float> row) const {
        require_rows(j, 1, "Matrix::get_row");
        if (row.size() != inputs_)
            throw ArgumentError("Matrix::get_row", "expected room for " + std::to_string(inputs_) + " numbers, found " +
                                                       std::to_string(row.size()));
        const Storage* const from = data_.data() + offset(j);
        for (std::size_t k = 0; k < inputs_; ++k)
            row[k] = Weight::widen(layout_ == WeightLayout::rows ? from[k] : from[k / pair * pair * lanes + k % pair]);
    }

  private:
    static constexpr std::size_t pair = Weight::side_by_side;

    void require_rows(std::size_t first, std::size_t count, const char* where) const {
        if (first <= outputs_ && count <= outputs_ - first) return;
        throw ArgumentError(where, "expected rows of " + std::to_string(outputs_) + ", found " + std::to_string(count) +
                                       " from " + std::to_string(first) + " on");
    }

    static std::size_t padded(std::size_t inputs) { return round_up(inputs, Weight::input_multiple); }
    static std::size_t packed_size(std::size_t outputs, std::size_t inputs, WeightLayout layout) {
        if (layout == WeightLayout::rows) return checked_mul(outputs, inputs, "weight matrix");
        return checked_mul(round_up(outputs, lanes), padded(inputs), "weight matrix");
    }
    std::size_t offset(std::size_t j) const {
        return layout_ == WeightLayout::rows ? j * inputs_ : j / lanes * lanes * padded(inputs_) + j % lanes * pair;
    }
    /// `width` rows side by side into a panel: every `pair` inputs of each.
    template <std::size_t Width>
    void interleave(const Storage* rows, Storage* to, std::size_t width) const {
        if constexpr (Width != 0) width = Width;
        std::size_t k = 0;
        for (; k + pair <= inputs_; k += pair)
            for (std::size_t j = 0; j < width; ++j)
                std::memcpy(to + k * lanes + j * pair, rows + j * inputs_ + k, pair * sizeof(Storage));
        for (; k < inputs_; ++k)  // half a pair
            for (std::size_t j = 0; j < width; ++j)
                to[k / pair * pair * lanes + j * pair + k % pair] = rows[j * inputs_ + k];
    }

    std::size_t outputs_ = 0, inputs_ = 0;
    WeightLayout layout_ = WeightLayout::panels;
    Buffer<Storage> data_;  // panels: [ceil(outputs / 16)][padded inputs / pair][16][pair]
};

}  // namespace eigenlm::inline EIGENLM_ABI
