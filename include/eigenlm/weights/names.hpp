#pragma once
// What a checkpoint calls the tensors of a model, and which of them make one matrix.
#include <cstddef>
#include <string>
#include <vector>

#include "config.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// A tensor, and its rows: a matrix's outputs, or a vector's numbers.
struct TensorName {
    std::string name;  ///< in the checkpoint
    std::size_t rows;  ///< see above
};
/// Tensors that are kept one behind the other in one matrix or vector; or, gates and ups, 16 rows of each in turn.
using TensorNames = std::vector<TensorName>;

/// Rows of the matrix of gates and ups: as many of each, filled up with zeros to whole panels.
inline std::size_t gate_up_outputs(const ModelConfig& config) { return 2 * round_up(config.intermediate_size, lanes); }

/// The tensors of one block. Not every family has biases or norms of q and k.
struct LayerNames {
    /// What makes up the field of LayerWeights of that name.
    /// @{
    TensorNames attention_norm, qkv, qkv_bias, q_norm, k_norm, attention_output, mlp_norm, gate_up, down;
    /// @}
};

/// Hugging Face's names in Llama, Mistral, Qwen2 and Qwen3.
inline LayerNames layer_names(const ModelConfig& config, std::size_t l) {
    const std::string layer = "model.layers." + std::to_string(l) + ".", attention = layer + "self_attn.",
                      mlp = layer + "mlp.";
    const std::size_t h = config.hidden_size, q = config.query_size(), kv = config.kv_size(), d = config.head_dim;
    return {
        .attention_norm = {{layer + "input_layernorm.weight", h}},
        .qkv = {{attention + "q_proj.weight", q}, {attention + "k_proj.weight", kv}, {attention + "v_proj.weight", kv}},
        .qkv_bias = {{attention + "q_proj.bias", q}, {attention + "k_proj.bias", kv}, {attention + "v_proj.bias", kv}},
        .q_norm = {{attention + "q_norm.weight", d}},
        .k_norm = {{attention + "k_norm.weight", d}},
        .attention_output = {{attention + "o_proj.weight", h}},
        .mlp_norm = {{layer + "post_attention_layernorm.weight", h}},
        .gate_up = {{mlp + "gate_proj.weight", config.intermediate_size},
                    {mlp + "up_proj.weight", config.intermediate_size}},
        .down = {{mlp + "down_proj.weight", h}},
    };
}
/// The tensors outside the blocks, each [vocab, hidden] or [hidden].
/// @{
inline TensorNames embedding_names(const ModelConfig& config) {
    return {{"model.embed_tokens.weight", config.vocab_size}};
}
inline TensorNames final_norm_names(const ModelConfig& config) { return {{"model.norm.weight", config.hidden_size}}; }
inline TensorNames head_names(const ModelConfig& config) { return {{"lm_head.weight", config.vocab_size}}; }
/// @}

/// Calls f(names, outputs, inputs) for every weight matrix of a model.
template <class F>
void each_matrix(const ModelConfig& config, const F& f) {
    f(embedding_names(config), config.vocab_size, config.hidden_size);
    for (std::size_t l = 0; l < config.num_layers; ++l) {
        const LayerNames names = layer_names(config, l);
        f(names.qkv, config.qkv_size(), config.hidden_size);
        f(names.attention_output, config.hidden_size, config.query_size());
        f(names.gate_up, gate_up_outputs(config), config.hidden_size);
        f(names.down, config.hidden_size, config.intermediate_size);
    }
    if (!config.tie_word_embeddings) f(head_names(config), config.vocab_size, config.hidden_size);
}

/// Calls f(name, shape) for every tensor that a model's family has, matrices and vectors, in the order of the model.
template <class F>
void each_tensor(const ModelConfig& config, const F& f) {
    const auto matrices = [&f](const TensorNames& names, std::size_t inputs) {
        for (const TensorName& t : names) f(t.name, std::vector{t.rows, inputs});
    };
    const auto vectors = [&f](const TensorNames& names) {
        for (const TensorName& t : names) f(t.name, std::vector{t.rows});
    };
    matrices(embedding_names(config), config.hidden_size);
    for (std::size_t l = 0; l < config.num_layers; ++l) {
        const LayerNames names = layer_names(config, l);
        vectors(names.attention_norm);
        matrices(names.qkv, config.hidden_size);
        if (config.family == ModelFamily::qwen2) vectors(names.qkv_bias);
        if (config.family == ModelFamily::qwen3) vectors(names.q_norm), vectors(names.k_norm);
        matrices(names.attention_output, config.query_size());
        vectors(names.mlp_norm);
        matrices(names.gate_up, config.hidden_size);
        matrices(names.down, config.intermediate_size);
    }
    vectors(final_norm_names(config));
    if (!config.tie_word_embeddings) matrices(head_names(config), config.hidden_size);
}

}  // namespace eigenlm::inline EIGENLM_ABI
