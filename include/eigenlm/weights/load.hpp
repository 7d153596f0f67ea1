#pragma once
// Names in a checkpoint -> packed matrices.
#include <array>
#include <cstddef>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "../base/memory.hpp"
#include "../base/parallel.hpp"
#include "../base/progress.hpp"
#include "layer.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// How weights are loaded.
struct WeightOptions {
    WeightLayout layout = WeightLayout::panels;
    bool qkv_bias = false;  // the architecture has biases on q, k and v
    ProgressFunction progress = nullptr;
    std::stop_token stop = {};
};

/// Loads ModelWeights from a Source: anything with `tensor(name, shape)` returning an object with
/// `read(first_element, span<float>)`, e.g. a SafetensorsFile. Throws what the source throws, before any matrix of that
/// name is allocated: memory stays bounded by what the source really holds.
template <class Weight, class Source>
class WeightLoader {
  public:
    WeightLoader(const ModelConfig& config, const Source& source, ThreadPool& pool, const WeightOptions& options)
        : config_(config), source_(source), pool_(pool), options_(options) {}

    ModelWeights<Weight> load() {
        const std::size_t h = config_.hidden_size;
        check_all_tensors();
        check_memory();
        ModelWeights<Weight> weights;
        weights.config = config_;
        weights.embedding = matrix(h, {{"model.embed_tokens.weight", config_.vocab_size}});
        for (std::size_t l = 0; l < config_.num_layers; ++l) weights.layers.push_back(layer(l));
        weights.final_norm = vector({{"model.norm.weight", h}});
        if (!config_.tie_word_embeddings) weights.head = matrix(h, {{"lm_head.weight", config_.vocab_size}});
        return weights;
    }

  private:
    struct Part {
        std::string name;
        std::size_t outputs;
    };
    using Parts = std::vector<Part>;

    struct LayerParts {
        Parts attention_norm, qkv, qkv_bias, attention_output, mlp_norm, gate_up, down;
    };
    LayerParts layer_parts(std::size_t l) const {
        const std::string layer = "model.layers." + std::to_string(l) + ".";
        const std::size_t h = config_.hidden_size, q = config_.query_size(), kv = config_.kv_size();
        const auto attention = [&layer](const char* name) { return layer + "self_attn." + name; };
        return {
            .attention_norm = {{layer + "input_layernorm.weight", h}},
            .qkv = {{attention("q_proj.weight"), q}, {attention("k_proj.weight"), kv}, {attention("v_proj.weight"), kv}},
            .qkv_bias = {{attention("q_proj.bias"), q}, {attention("k_proj.bias"), kv}, {attention("v_proj.bias"), kv}},
            .attention_output = {{attention("o_proj.weight"), h}},
            .mlp_norm = {{layer + "post_attention_layernorm.weight", h}},
            .gate_up = {{layer + "mlp.gate_proj.weight", config_.intermediate_size},
                        {layer + "mlp.up_proj.weight", config_.intermediate_size}},
            .down = {{layer + "mlp.down_proj.weight", h}},
        };
    }

    LayerWeights<Weight> layer(std::size_t l) {
        const std::size_t h = config_.hidden_size;
        const LayerParts parts = layer_parts(l);
        LayerWeights<Weight> weights;
        weights.attention_norm = vector(parts.attention_norm);
        weights.qkv = matrix(h, parts.qkv);
        if (options_.qkv_bias) weights.qkv_bias = vector(parts.qkv_bias);
        weights.attention_output = matrix(config_.query_size(), parts.attention_output);
        weights.mlp_norm = vector(parts.mlp_norm);
        weights.gate_up = matrix(h, parts.gate_up);
        weights.down = matrix(config_.intermediate_size, parts.down);
        return weights;
    }

    /// Looks every tensor up once before anything is allocated, and counts the elements for the progress.
    void check_all_tensors() {
        const auto check = [this](const Parts& parts, std::size_t inputs) {
            for (const Part& part : parts) {
                if (inputs == 0)
                    (void)source_.tensor(part.name, std::array{part.outputs});
                else
                    (void)source_.tensor(part.name, std::array{part.outputs, inputs});
                total_ += part.outputs * (inputs ? inputs : 1);
            }
        };
        const std::size_t h = config_.hidden_size;
        check({{"model.embed_tokens.weight", config_.vocab_size}}, h);
        for (std::size_t l = 0; l < config_.num_layers; ++l) {
            const LayerParts parts = layer_parts(l);
            check(parts.attention_norm, 0);
            check(parts.qkv, h);
            if (options_.qkv_bias) check(parts.qkv_bias, 0);
            check(parts.attention_output, config_.query_size());
            check(parts.mlp_norm, 0);
            check(parts.gate_up, h);
            check(parts.down, config_.intermediate_size);
        }
        check({{"model.norm.weight", h}}, 0);
        if (!config_.tie_word_embeddings) check({{"lm_head.weight", config_.vocab_size}}, h);
    }

    /// Pages are promised freely and used up later, when the only answer left is the end of the process: so ask before.
    void check_memory() const {
        const std::size_t needed = checked_mul(total_, sizeof(typename Weight::Storage), "weights");
        if (const std::size_t there = available_memory(); needed > there)
            throw ResourceError("weights", "expected " + std::to_string(needed) + " bytes of memory in " + Weight::name +
                                               ", found " + std::to_string(there) + " available");
    }

    /// Several [outputs, inputs] tensors of the source, one behind the other, packed.
    Matrix<Weight> matrix(std::size_t inputs, const Parts& parts) {
        std::size_t outputs = 0;
        for (const Part& part : parts) outputs += part.outputs;
        Matrix<Weight> packed(outputs, inputs, options_.layout);
        std::size_t first = 0;
        for (const Part& part : parts) {
            const auto tensor = source_.tensor(part.name, std::array{part.outputs, inputs});
            constexpr std::size_t grain = 64;  // rows: a few panels, so that threads rarely share a cache line
            pool_.for_each(part.outputs, grain, [&](std::size_t begin, std::size_t end, std::size_t) {
                std::vector<float> row(inputs);
                for (std::size_t j = begin; j < end; ++j) {
                    tensor.read(j * inputs, row);
                    packed.set_row(first + j, row);
                }
            });
            first += part.outputs;
            report(part.outputs * inputs);
        }
        return packed;
    }

    Buffer<float> vector(const Parts& parts) {
        std::size_t size = 0;
        for (const Part& part : parts) size += part.outputs;
        Buffer<float> values(size);
        std::size_t first = 0;
        for (const Part& part : parts) {
            source_.tensor(part.name, std::array{part.outputs}).read(0, values.span().subspan(first, part.outputs));
            first += part.outputs;
            report(part.outputs);
        }
        return values;
    }

    void report(std::size_t elements) {
        done_ += elements;
        throw_if_stopped(options_.stop, Stage::load);
        constexpr std::size_t bytes = sizeof(typename Weight::Storage);
        if (options_.progress) options_.progress({Stage::load, done_ * bytes, total_ * bytes});
    }

    const ModelConfig& config_;
    const Source& source_;
    ThreadPool& pool_;
    const WeightOptions& options_;
    std::size_t done_ = 0, total_ = 0;
};

template <class Weight, class Source>
ModelWeights<Weight> load_weights(const ModelConfig& config, const Source& source, ThreadPool& pool,
                                  const WeightOptions& options) {
    return WeightLoader<Weight, Source>(config, source, pool, options).load();
}

}  // namespace eigenlm::inline EIGENLM_ABI
