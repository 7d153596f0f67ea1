#pragma once
// The tensors of a GGUF model under Hugging Face's names, as weights/load.hpp asks for them.
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "../file/gguf_splits.hpp"
#include "config.hpp"

namespace eigenlm::inline EIGENLM_ABI {

namespace detail {

/// A name of names.hpp, and the same tensor's name in GGUF files.
struct GgufName {
    std::string_view ours, theirs;
};
/// Outside of the blocks.
inline constexpr GgufName gguf_model_names[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
};
/// Behind "model.layers.0." and "blk.0.".
inline constexpr GgufName gguf_layer_names[] = {
    {"input_layernorm.weight", "attn_norm.weight"},
    {"self_attn.q_proj.weight", "attn_q.weight"},
    {"self_attn.k_proj.weight", "attn_k.weight"},
    {"self_attn.v_proj.weight", "attn_v.weight"},
    {"self_attn.q_proj.bias", "attn_q.bias"},
    {"self_attn.k_proj.bias", "attn_k.bias"},
    {"self_attn.v_proj.bias", "attn_v.bias"},
    {"self_attn.q_norm.weight", "attn_q_norm.weight"},
    {"self_attn.k_norm.weight", "attn_k_norm.weight"},
    {"self_attn.o_proj.weight", "attn_output.weight"},
    {"post_attention_layernorm.weight", "ffn_norm.weight"},
    {"mlp.gate_proj.weight", "ffn_gate.weight"},
    {"mlp.up_proj.weight", "ffn_up.weight"},
    {"mlp.down_proj.weight", "ffn_down.weight"},
};

/// What follows a prefix and a number with a point behind it: {7, "x.weight"} for "blk.", "blk.7.x.weight".
inline std::optional<std::pair<std::size_t, std::string_view>> layer_part(std::string_view prefix,
                                                                          std::string_view name) {
    if (!name.starts_with(prefix)) return std::nullopt;
    name.remove_prefix(prefix.size());
    std::size_t layer = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
    const auto digits = static_cast<std::size_t>(end - name.data());
    if (error != std::errc() || digits == name.size() || name[digits] != '.') return std::nullopt;
    return std::pair(layer, name.substr(digits + 1));
}

/// What GGUF files call a tensor of names.hpp; nothing for other names.
inline std::optional<std::string> gguf_name(std::string_view ours) {
    for (const GgufName& name : gguf_model_names)
        if (name.ours == ours) return std::string(name.theirs);
    if (const auto part = layer_part("model.layers.", ours))
        for (const GgufName& name : gguf_layer_names)
            if (name.ours == part->second) return "blk." + std::to_string(part->first) + "." + std::string(name.theirs);
    return std::nullopt;
}

/// Whether a model has a use for the tensor: another one would change its numbers.
inline bool has_use_for(const ModelConfig& config, std::string_view theirs) {
    for (const GgufName& name : gguf_model_names)
        if (name.theirs == theirs) return true;
    const auto part = layer_part("blk.", theirs);
    if (!part || part->first >= config.num_layers) return theirs == "rope_freqs.weight";
    if (part->second.ends_with(".bias") && config.family != ModelFamily::qwen2) return false;
    if (part->second.ends_with("_q_norm.weight") || part->second.ends_with("_k_norm.weight"))
        if (config.family != ModelFamily::qwen3) return false;
    return std::ranges::any_of(gguf_layer_names, [&](const auto& name) { return name.theirs == part->second; });
}

/// `tensor`, whose row `r` is the one that was row place(r).
template <class Place>
Tensor with_rows_moved(Tensor tensor, const Place& place) {
    const std::size_t cols = tensor.size() / tensor.shape.front();
    tensor.read_bytes = [inner = std::move(tensor.read_bytes), dtype = tensor.dtype, cols, place](
                            std::size_t first, std::span<std::byte> out) {
        while (!out.empty()) {
            const std::size_t row = first / cols, col = first % cols;
            const std::size_t bytes = std::min(out.size(), bytes_of(dtype, cols - col));
            inner(place(row) * cols + col, out.first(bytes));
            out = out.subspan(bytes);
            first = (row + 1) * cols;
        }
    };
    return tensor;
}

/// `tensor`, whose rows a converter has put into pairs for llama.cpp's way to rotate: row i of the first half of a head
/// and row i of its second half stand side by side. They are read in the order that they had before.
inline Tensor with_halves_apart(Tensor tensor, std::size_t heads) {
    const std::size_t head_dim = tensor.shape.front() / heads;
    return with_rows_moved(std::move(tensor), [head_dim](std::size_t row) {
        const std::size_t within = row % head_dim, half = head_dim / 2;
        return row - within + within % half * 2 + within / half;
    });
}
/// What a converter does, the inverse of that.
inline Tensor with_halves_in_pairs(Tensor tensor, std::size_t heads) {
    const std::size_t head_dim = tensor.shape.front() / heads;
    return with_rows_moved(std::move(tensor), [head_dim](std::size_t row) {
        const std::size_t within = row % head_dim, half = head_dim / 2;
        return row - within + within / 2 + within % 2 * half;
    });
}

/// How many heads' rows converters put into pairs in a tensor of names.hpp: they do so for the architecture llama,
/// which is llama and mistral here; 0 for other tensors.
inline std::size_t heads_put_into_pairs(const ModelConfig& config, std::string_view ours) {
    if (config.family != ModelFamily::llama && config.family != ModelFamily::mistral) return 0;
    if (ours.ends_with("self_attn.q_proj.weight")) return config.num_heads;
    return ours.ends_with("self_attn.k_proj.weight") ? config.num_kv_heads : 0;
}

}  // namespace detail

/// A GGUF model's tensors by the names of weights/names.hpp.
class GgufTensors final : public TensorSource {
  public:
    /// Refers to both arguments: a model's files, and what read_config made of them. Throws UnsupportedError, naming
    /// it, for a tensor that the model has no use for.
    GgufTensors(const GgufFiles& files, const ModelConfig& config) : files_(files), config_(config) {
        files.each_name([&](const std::string& name) {
            if (!detail::has_use_for(config, name))
                throw UnsupportedError(
                    files.tensor(name).where,
                    std::string("a tensor of this name is not supported in a model of ") + to_string(config.family));
        });
    }

    bool contains(std::string_view name) const override {
        const auto theirs = detail::gguf_name(name);
        return theirs && files_.contains(*theirs);
    }

    /// FormatError when it is missing or has another shape, UnsupportedError for an element type that is not read here.
    Tensor tensor(std::string_view name, std::span<const std::size_t> shape) const override {
        const auto theirs = detail::gguf_name(name);
        Tensor found = files_.tensor(theirs ? *theirs : std::string(name));
        if (!std::ranges::equal(found.shape, shape))
            throw FormatError(found.where, "expected shape " + to_string(shape) + ", found " + to_string(found.shape));
        const std::size_t heads = detail::heads_put_into_pairs(config_, name);
        return heads == 0 ? found : detail::with_halves_apart(std::move(found), heads);
    }

  private:
    const GgufFiles& files_;
    const ModelConfig& config_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
