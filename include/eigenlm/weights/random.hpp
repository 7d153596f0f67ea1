#pragma once
// Weights made up in memory, for measuring a shape without a checkpoint.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "../file/tensor.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Tensors whose every value follows from the seed, the tensor's name and the index: uniform, with the standard
/// deviation 1 / sqrt(inputs) that keeps activations of unit size; norm gains lie around 1.
class RandomWeights final : public TensorSource {
  public:
    /// One seed, one set of weights, on every machine.
    explicit RandomWeights(std::uint64_t seed = 0) : seed_(seed) {}

    /// Any name and any shape of at least one dimension: f32, never an error.
    Tensor tensor(std::string_view name, std::span<const std::size_t> shape) const override {
        std::uint64_t key = mix(seed_ + 1);
        for (const char c : name) key = mix(key ^ static_cast<unsigned char>(c));
        const bool norm = name.ends_with("norm.weight");
        const float center = norm ? 1.0f : 0.0f, width = norm || shape.size() == 1 ? 0.5f : matrix_width(shape.back());
        return {std::string(name),
                Dtype::f32,
                {shape.begin(), shape.end()},
                [=](std::size_t first, std::span<std::byte> out) {
                    for (std::size_t i = 0; i < out.size() / sizeof(float); ++i) {
                        const std::uint64_t bits = mix(key + first + i);
                        const float value =
                            center + width * (static_cast<float>(bits >> 40) * 0x1p-23f - 1.0f);  // in [-1, 1)
                        std::memcpy(out.data() + i * sizeof(float), &value, sizeof(float));
                    }
                }};
    }

    bool contains(std::string_view) const override { return true; }

  private:
    /// A uniform distribution is sqrt(3) deviations wide.
    static float matrix_width(std::size_t inputs) { return std::sqrt(3.0f) / std::sqrt(static_cast<float>(inputs)); }
    /// splitmix64's finaliser (Steele et al., 2014).
    static std::uint64_t mix(std::uint64_t x) {
        x += 0x9e3779b97f4a7c15u;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
        return x ^ (x >> 31);
    }

    std::uint64_t seed_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
