#pragma once
// Weights made up in memory, for measuring a shape without a checkpoint.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "config.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// A source for load_weights whose every value follows from the seed, the tensor's name and the index: uniform, with the
/// standard deviation 1 / sqrt(inputs) that keeps activations of unit size; norm gains lie around 1.
class RandomWeights {
  public:
    explicit RandomWeights(std::uint64_t seed = 0) : seed_(seed) {}

    struct Tensor {
        std::uint64_t key;
        float center, width;

        void read(std::size_t first, std::span<float> out) const {
            for (std::size_t i = 0; i < out.size(); ++i) {
                const std::uint64_t bits = mix(key + first + i);
                out[i] = center + width * (static_cast<float>(bits >> 40) * 0x1p-23f - 1.0f);  // uniform in [-1, 1)
            }
        }
    };

    Tensor tensor(std::string_view name, std::span<const std::size_t> shape) const {
        std::uint64_t key = mix(seed_ + 1);
        for (const char c : name) key = mix(key ^ static_cast<unsigned char>(c));
        if (name.ends_with("norm.weight")) return {key, 1.0f, 0.5f};
        if (shape.size() == 1) return {key, 0.0f, 0.5f};
        const float deviation = 1.0f / std::sqrt(static_cast<float>(shape.back()));
        return {key, 0.0f, std::sqrt(3.0f) * deviation};  // a uniform distribution is sqrt(3) deviations wide
    }

  private:
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
