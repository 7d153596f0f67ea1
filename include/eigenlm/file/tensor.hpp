#pragma once
// Tensors as files hold them: a type, a shape, and numbers that are read piece by piece.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../base/types.hpp"
#include "dequantise.hpp"
#include "dtype.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// "[3, 4]"
inline std::string to_string(std::span<const std::size_t> shape) {
    std::string text = "[";
    for (const std::size_t n : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
    return text + "]";
}

/// Elements in a file's bytes -> floats, exactly; quantised ones as `dequantise` has them. `bytes` holds out.size()
/// elements, in whole blocks, and need not be aligned. Throws ArgumentError for whole numbers.
inline void widen(Dtype dtype, std::span<const std::byte> bytes, std::span<float> out) {
    if (dtype == Dtype::i32) throw ArgumentError("widen", "expected F32, F16, BF16 or a quantised type, found I32");
    if (is_quantised(dtype)) return dequantise(dtype, bytes, out);
    if (dtype == Dtype::f32) {
        if (!out.empty()) std::memcpy(out.data(), bytes.data(), out.size_bytes());
        return;
    }
    const auto each = [&](auto to_f32) {
        for (std::size_t i = 0; i < out.size(); ++i) {
            std::uint16_t bits;
            std::memcpy(&bits, bytes.data() + 2 * i, 2);
            out[i] = to_f32(bits);
        }
    };
    if (dtype == Dtype::bf16)
        each([](std::uint16_t bits) { return bf16_to_f32(bits); });
    else
        each([](std::uint16_t bits) { return f16_to_f32(bits); });
}

/// A tensor of some source.
struct Tensor {
    std::string where;               ///< "path: tensor name", for messages
    Dtype dtype = Dtype::f32;        ///< of the elements
    std::vector<std::size_t> shape;  ///< sizes, the slowest index first; empty: one element
    /// Fills `out` with the elements from `first` on, in row-major order and in the tensor's own type: whole blocks of
    /// it. Several threads may call it at once.
    std::function<void(std::size_t first, std::span<std::byte> out)> read_bytes;

    /// Elements.
    std::size_t size() const {
        std::size_t product = 1;
        for (const std::size_t n : shape) product *= n;
        return product;
    }
    /// Elements [first, first + out.size()) in row-major order, as floats. They must lie within the tensor, which is
    /// not checked. Throws ArgumentError for whole numbers, and what the source throws when it reads.
    void read(std::size_t first, std::span<float> out) const {
        const std::size_t block = layout_of(dtype).block_elements, begin = first / block * block;
        const std::size_t count = round_up(first + out.size(), block) - begin;
        std::vector<std::byte> bytes(bytes_of(dtype, count));
        read_bytes(begin, bytes);
        if (count == out.size()) return widen(dtype, bytes, out);
        std::vector<float> whole(count);
        widen(dtype, bytes, whole);
        std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(first - begin), out.size(), out.begin());
    }
};

/// Where weights come from: a file, several files, or a formula.
class TensorSource {
  public:
    virtual ~TensorSource() = default;
    /// The tensor of that name. Throws FormatError when there is none, or when it has another shape or no float type.
    virtual Tensor tensor(std::string_view name, std::span<const std::size_t> shape) const = 0;
    /// Whether there is a tensor of that name.
    virtual bool contains(std::string_view name) const = 0;
};

}  // namespace eigenlm::inline EIGENLM_ABI
