#pragma once
// Tensors as files hold them: a type, a shape, and numbers that are read piece by piece.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../base/types.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Element types that files hold and this library reads.
enum class Dtype { f32, f16, bf16, i32 };

/// "F32", "F16", "BF16", "I32": the names that safetensors files use.
constexpr const char* to_string(Dtype dtype) {
    constexpr const char* names[] = {"F32", "F16", "BF16", "I32"};
    return names[static_cast<int>(dtype)];
}
/// Bytes of one element.
constexpr std::size_t size_of(Dtype dtype) { return dtype == Dtype::f32 || dtype == Dtype::i32 ? 4 : 2; }

/// The type of that name, or nothing.
inline std::optional<Dtype> dtype_from_string(std::string_view name) {
    for (const Dtype d : {Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::i32})
        if (name == to_string(d)) return d;
    return std::nullopt;
}

/// "[3, 4]"
inline std::string to_string(std::span<const std::size_t> shape) {
    std::string text = "[";
    for (const std::size_t n : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
    return text + "]";
}

/// Elements in a file's bytes -> floats, exactly. `bytes` holds out.size() elements and need not be aligned.
/// Throws ArgumentError for whole numbers.
inline void widen(Dtype dtype, std::span<const std::byte> bytes, std::span<float> out) {
    if (dtype == Dtype::i32) throw ArgumentError("widen", "expected F32, F16 or BF16, found I32");
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
    /// Fills `out` with the elements from `first` on, in row-major order and in the tensor's own type. Several threads
    /// may call it at once.
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
        std::vector<std::byte> bytes(out.size() * size_of(dtype));
        read_bytes(first, bytes);
        widen(dtype, bytes, out);
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
