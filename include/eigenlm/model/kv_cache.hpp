#pragma once
// Keys and values of every position so far, of every layer, in blocks of 64 positions behind a block table.
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "../base/buffer.hpp"
#include "../kernels/table.hpp"
#include "../weights/config.hpp"
#include "../weights/matrix.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// The type of that name; ArgumentError, naming `where` and the known ones, when there is none.
inline CacheType cache_type_from_string(std::string_view name, const char* where) {
    return detail::named(all_cache_types, name, where);
}
/// How the cache of a model with such weights keeps its numbers, unless somebody wishes otherwise: as the weights.
constexpr CacheType default_cache_type(WeightType weights) {
    return weights == WeightType::f32 ? CacheType::f32 : weights == WeightType::bf16 ? CacheType::bf16 : CacheType::f16;
}

/// One layer's part of a KvCache. A block holds the keys and values of each kv head as CacheShape says.
class LayerCache {
  public:
    /// Made by KvCache::layer.
    LayerCache(std::byte* layer, const std::uint32_t* blocks, std::size_t block_stride, const CacheShape& shape)
        : layer_(layer), blocks_(blocks), block_stride_(block_stride), shape_(shape) {}

    /// Keeps one position's key and value of one kv head, [head_dim] each, rounded to the cache's type.
    void store(std::size_t position, std::size_t kv_head, const float* key, const float* value) const {
        std::byte* const block = layer_ + blocks_[position / kv_block] * block_stride_ + kv_head * shape_.size();
        store_in_block(shape_, block, position % kv_block, key, value);
    }

    /// What AttentionCall is told about one kv head and this layer; nothing is checked.
    /// @{
    const std::byte* head(std::size_t kv_head) const { return layer_ + kv_head * shape_.size(); }
    const std::uint32_t* blocks() const { return blocks_; }
    std::size_t block_stride() const { return block_stride_; }
    /// @}

  private:
    std::byte* layer_;
    const std::uint32_t* blocks_;
    std::size_t block_stride_;
    CacheShape shape_;
};

/// Room for `capacity` positions of one sequence, reserved when it is made. Memory is used as positions are written.
class KvCache {
  public:
    /// `type` is usually default_cache_type of the model's weights. Throws ArgumentError for a config that no model has
    /// (see check), ResourceError when the memory cannot be had.
    KvCache(const ModelConfig& config, std::size_t capacity, CacheType type)
        : capacity_(capacity),
          shape_{type, (check(config), config.head_dim)},
          layer_stride_(checked_mul(config.num_kv_heads, shape_.size(), "KV cache")),
          block_stride_(checked_mul(layer_stride_, config.num_layers, "KV cache")),
          storage_(checked_mul(block_stride_, ceil_div(capacity, kv_block), "KV cache")),
          blocks_(storage_.size() / block_stride_),
          state_size_(AttentionState::size(config.group(), config.head_dim)),
          states_(capacity <= kv_section
                      ? 0
                      : checked_mul(ceil_div(capacity, kv_section),
                                    checked_mul(config.num_kv_heads, state_size_, "KV cache"), "KV cache")) {
        std::iota(blocks_.begin(), blocks_.end(), 0u);
    }

    /// Positions there is room for.
    std::size_t capacity() const { return capacity_; }
    /// Whether it was made for models of this shape. One that was moved from fits none.
    bool fits(const ModelConfig& config) const {
        return shape_.head_dim == config.head_dim && layer_stride_ == config.num_kv_heads * shape_.size() &&
               block_stride_ == layer_stride_ * config.num_layers && blocks_.size() == ceil_div(capacity_, kv_block) &&
               state_size_ == AttentionState::size(config.group(), config.head_dim);
    }
    /// Positions held: the next token's position.
    std::size_t length() const { return length_; }
    /// Takes in positions that a pass has written; called once all layers have. Throws ArgumentError when there is no
    /// room for them.
    void advance(std::size_t positions) {
        if (positions > capacity_ - length_)
            throw ArgumentError("KvCache::advance", "expected at most " + std::to_string(capacity_ - length_) +
                                                        " positions, found " + std::to_string(positions));
        length_ += positions;
    }
    /// Forgets the positions from `length` on. Throws ArgumentError when there are fewer.
    void truncate(std::size_t length) {
        if (length > length_)
            throw ArgumentError("KvCache::truncate", "expected at most " + std::to_string(length_) +
                                                         " positions, found " + std::to_string(length));
        length_ = length;
    }

    /// Layer `l` < num_layers; not checked.
    LayerCache layer(std::size_t l) {
        return {storage_.data() + l * layer_stride_, blocks_.data(), block_stride_, shape_};
    }
    /// Bytes one position takes, over all layers.
    std::size_t bytes_per_position() const { return block_stride_ / kv_block; }
    /// How it keeps its numbers.
    CacheType type() const { return shape_.type; }

    /// Room for what the queries at one position gather from one section of keys, where threads share that work.
    /// Capacities of more than one section only.
    AttentionState state(std::size_t kv_head, std::size_t section, std::size_t group) {
        const std::size_t sections = ceil_div(capacity_, kv_section);
        return {states_.data() + (kv_head * sections + section) * state_size_, group, shape_.head_dim};
    }

  private:
    std::size_t capacity_;
    CacheShape shape_;
    std::size_t layer_stride_, block_stride_;  // bytes
    std::size_t length_ = 0;
    Buffer<std::byte> storage_;          // [physical block][layer][kv head][keys | values]
    std::vector<std::uint32_t> blocks_;  // block of positions [64 b, 64 b + 64) -> physical block
    std::size_t state_size_;
    Buffer<float> states_;  // [num_kv_heads, sections, state_size]
};

}  // namespace eigenlm::inline EIGENLM_ABI
