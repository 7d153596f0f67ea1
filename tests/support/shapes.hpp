#pragma once
// Small models with made-up weights, of any shape.
#include <eigenlm/generate/model.hpp>
#include <eigenlm/weights/random.hpp>
#include <memory>

namespace support {

/// A small Qwen2 with odd sizes: two query heads per key/value head, head_dim that fills no vector.
inline eigenlm::ModelConfig small_config() {
    eigenlm::ModelConfig config;
    config.family = eigenlm::ModelFamily::qwen2;
    config.vocab_size = 37;
    config.hidden_size = 20;
    config.intermediate_size = 30;
    config.num_layers = 2;
    config.num_heads = 4;
    config.num_kv_heads = 2;
    config.head_dim = 6;
    config.max_position_embeddings = 256;
    config.tie_word_embeddings = true;
    return config;
}

inline std::shared_ptr<const eigenlm::Model> random_model(const eigenlm::ModelConfig& config = small_config(),
                                                          std::size_t threads = 1,
                                                          eigenlm::Isa isa = eigenlm::Isa::portable) {
    return std::make_shared<const eigenlm::Model>(config, eigenlm::RandomWeights(5),
                                                  eigenlm::ModelOptions{.threads = threads, .isa = isa});
}

}  // namespace support
