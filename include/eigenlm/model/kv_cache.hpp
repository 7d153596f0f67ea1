#pragma once
// Keys and values of every position so far, of every layer, in blocks of 64 positions behind a block table.
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "../base/buffer.hpp"
#include "../kernels/table.hpp"
#include "../weights/config.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// One layer's part of a KvCache.
///
/// A block holds, for each kv head, its keys as [4][head_dim][16] (panels of 16 positions, as the score kernels read
/// them) and then its values as [64][value_stride].
class LayerCache {
  public:
    /// Made by KvCache::layer.
    LayerCache(float* layer, const std::uint32_t* blocks, std::size_t block_stride, std::size_t head_dim)
        : layer_(layer), blocks_(blocks), block_stride_(block_stride), head_dim_(head_dim) {}

    /// Floats from one position's value to the next one's.
    static constexpr std::size_t value_stride(std::size_t head_dim) { return round_up(head_dim, lanes); }
    /// Floats of one kv head in one block.
    static constexpr std::size_t head_size(std::size_t head_dim) {
        return kv_block * (head_dim + value_stride(head_dim));
    }

    /// Keeps one position's key and value of one kv head, [head_dim] each.
    void store(std::size_t position, std::size_t kv_head, const float* key, const float* value) const {
        float* const block = layer_ + blocks_[position / kv_block] * block_stride_ + kv_head * head_size(head_dim_);
        const std::size_t slot = position % kv_block;
        float* const panel = block + slot / kv_panel * kv_panel * head_dim_ + slot % kv_panel;
        for (std::size_t d = 0; d < head_dim_; ++d) panel[d * kv_panel] = key[d];
        float* const values = block + values_offset() + slot * value_stride(head_dim_);
        for (std::size_t d = 0; d < head_dim_; ++d) values[d] = value[d];
    }

    /// What AttentionF32 is told about one kv head and this layer; nothing is checked.
    /// @{
    const float* head(std::size_t kv_head) const { return layer_ + kv_head * head_size(head_dim_); }
    const std::uint32_t* blocks() const { return blocks_; }
    std::size_t block_stride() const { return block_stride_; }
    std::size_t values_offset() const { return kv_block * head_dim_; }
    /// @}

  private:
    float* layer_;
    const std::uint32_t* blocks_;
    std::size_t block_stride_;
    std::size_t head_dim_;
};

/// Room for `capacity` positions of one sequence, reserved when it is made. Memory is used as positions are written.
class KvCache {
  public:
    /// Throws ArgumentError for a config that no model has (see check), ResourceError when the memory cannot be had.
    KvCache(const ModelConfig& config, std::size_t capacity)
        : capacity_(capacity),
          head_dim_((check(config), config.head_dim)),
          layer_stride_(checked_mul(config.num_kv_heads, LayerCache::head_size(config.head_dim), "KV cache")),
          block_stride_(checked_mul(layer_stride_, config.num_layers, "KV cache")),
          storage_(checked_mul(block_stride_, ceil_div(capacity, kv_block), "KV cache")),
          blocks_(storage_.size() / block_stride_) {
        std::iota(blocks_.begin(), blocks_.end(), 0u);
    }

    /// Positions there is room for.
    std::size_t capacity() const { return capacity_; }
    /// Whether it was made for models of this shape. One that was moved from fits none.
    bool fits(const ModelConfig& config) const {
        return head_dim_ == config.head_dim &&
               layer_stride_ == config.num_kv_heads * LayerCache::head_size(head_dim_) &&
               block_stride_ == layer_stride_ * config.num_layers && blocks_.size() == ceil_div(capacity_, kv_block);
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
        return {storage_.data() + l * layer_stride_, blocks_.data(), block_stride_, head_dim_};
    }
    /// Bytes one position takes, over all layers.
    std::size_t bytes_per_position() const { return block_stride_ / kv_block * sizeof(float); }

  private:
    std::size_t capacity_, head_dim_, layer_stride_, block_stride_;
    std::size_t length_ = 0;
    Buffer<float> storage_;              // [physical block][layer][kv head][keys | values]
    std::vector<std::uint32_t> blocks_;  // block of positions [64 b, 64 b + 64) -> physical block
};

}  // namespace eigenlm::inline EIGENLM_ABI
