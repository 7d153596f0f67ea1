#pragma once
// The weights of a model, by layer, as the blocks read them.
#include <vector>

#include "../base/buffer.hpp"
#include "config.hpp"
#include "matrix.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// One block's weights. A matrix's shape is [outputs, inputs].
template <class Weight>
struct LayerWeights {
    Buffer<float> attention_norm;  ///< [hidden]
    Matrix<Weight> qkv;            ///< [query_size + 2 kv_size, hidden]: q, k and v rows one behind the other
    Buffer<float> qkv_bias;        ///< [query_size + 2 kv_size], or empty
    /// Gains over a head of q and k, [head_dim], or empty.
    /// @{
    Buffer<float> q_norm, k_norm;  // [head_dim], or empty
    /// @}
    Matrix<Weight> attention_output;  ///< [hidden, query_size]
    Buffer<float> mlp_norm;           ///< [hidden]
    Matrix<Weight> gate_up;           ///< [gate_up_outputs, hidden]: 16 gates, their 16 ups, and so on
    Matrix<Weight> down;              ///< [hidden, intermediate]
};

/// A whole model's weights, as load_weights makes them and Transformer takes them.
template <class Weight>
struct ModelWeights {
    ModelConfig config;                        ///< the shapes that all of them have
    WeightType dtype;                          ///< of most of the blocks' weights
    Matrix<Weight> embedding;                  ///< [vocab, hidden]
    std::vector<LayerWeights<Weight>> layers;  ///< [num_layers]
    Buffer<float> final_norm;                  ///< [hidden]
    Matrix<Weight> head;                       ///< [vocab, hidden]; empty when tied to the embedding

    /// Bytes of all packed matrices.
    std::size_t bytes() const {
        std::size_t total = embedding.bytes() + head.bytes();
        for (const auto& l : layers)
            total += l.qkv.bytes() + l.attention_output.bytes() + l.gate_up.bytes() + l.down.bytes();
        return total;
    }
    /// Bytes of those that every step reads: all, but of an embedding that is not the head, too, only rows are.
    std::size_t streamed_bytes() const { return head.empty() ? bytes() : bytes() - embedding.bytes(); }
};

}  // namespace eigenlm::inline EIGENLM_ABI
