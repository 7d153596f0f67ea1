#pragma once
// One model with everything a measurement needs, and what it has to compute.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <eigenlm/eigenlm.hpp>
#include <memory>
#include <span>
#include <vector>

#include "ceilings.hpp"

namespace bench {

/// Parameters of the matrices inside the blocks.
inline double block_parameters(const eigenlm::ModelConfig& c) {
    return static_cast<double>(c.num_layers * c.hidden_size *
                               (c.qkv_size() + c.query_size() + 3 * c.intermediate_size));
}
/// Operations of a prefill: the blocks' matrices, causal attention, one row of the head.
inline double prefill_operations(const eigenlm::ModelConfig& c, std::size_t tokens, std::size_t depth) {
    const auto n = static_cast<double>(tokens), keys = n * static_cast<double>(depth) + n * (n + 1) / 2;
    return 2 * block_parameters(c) * n + 4 * static_cast<double>(c.query_size() * c.num_layers) * keys +
           2 * static_cast<double>(c.hidden_size * c.vocab_size);
}

/// One model with everything a measurement needs.
class Runner {
  public:
    Runner(std::shared_ptr<const eigenlm::Model> model, std::size_t context, std::size_t batch,
           std::size_t prefill_rows, eigenlm::CacheType cache_type)
        : model_(std::move(model)),
          workspace_(config(), std::max(batch, prefill_rows), pool().size()),
          logits_(batch * config().vocab_size),
          sampler_({}, config().vocab_size, model_->compute().kernels) {
        for (std::size_t i = 0; i < batch; ++i) caches_.emplace_back(config(), context, cache_type);
        for (eigenlm::KvCache& cache : caches_) all_.push_back(&cache);
        ids_.resize(batch);
    }
    const eigenlm::ModelConfig& config() const { return model_->config(); }
    const eigenlm::Model& model() const { return *model_; }
    eigenlm::ThreadPool& pool() const { return model_->compute().pool; }
    std::size_t cache_bytes_per_position() const { return caches_.front().bytes_per_position(); }

    /// All sequences hold `depth` positions.
    void fill(std::size_t depth) {
        for (eigenlm::KvCache& cache : caches_) {
            if (cache.length() > depth) cache.truncate(depth);
            if (cache.length() < depth) prefill(cache, depth - cache.length());
        }
    }
    /// Seconds that a prefill of every sequence takes.
    double prefill(std::size_t tokens) {
        const auto begin = std::chrono::steady_clock::now();
        for (eigenlm::KvCache& cache : caches_) prefill(cache, tokens);
        return ceilings::seconds_since(begin);
    }
    /// Seconds that the only sequence's prefill and the choice of the next id take.
    double prefill(std::span<const eigenlm::TokenId> text) {
        const auto begin = std::chrono::steady_clock::now();
        prefill(caches_.front(), text);
        ids_.front() = sampler_(logits_.span());
        return ceilings::seconds_since(begin);
    }
    /// From now on, the parts of all passes are added to it; null: no more.
    void watch(eigenlm::Profile* profile) { options_.profile = profile; }
    /// Each sequence's newest id.
    const std::vector<eigenlm::TokenId>& ids() const { return ids_; }
    /// Seconds that some greedy tokens of every sequence take.
    double decode(std::size_t tokens) {
        const auto begin = std::chrono::steady_clock::now();
        const std::size_t vocab = config().vocab_size;
        for (std::size_t t = 0; t < tokens; ++t) {
            eigenlm::decode(model_->transformer(), model_->compute(), model_->rope(), all_, workspace_, ids_,
                            {logits_.data(), ids_.size(), vocab, vocab}, options_);
            for (std::size_t i = 0; i < ids_.size(); ++i) ids_[i] = sampler_(logits_.span().subspan(i * vocab, vocab));
        }
        return ceilings::seconds_since(begin);
    }

  private:
    void prefill(eigenlm::KvCache& cache, std::size_t tokens) {
        std::vector<eigenlm::TokenId> text(tokens);
        for (auto& id : text)
            id = static_cast<eigenlm::TokenId>((state_ = state_ * 6364136223846793005u + 1) >> 33) %
                 static_cast<eigenlm::TokenId>(config().vocab_size);
        prefill(cache, text);
    }
    void prefill(eigenlm::KvCache& cache, std::span<const eigenlm::TokenId> text) {
        eigenlm::prefill(model_->transformer(), model_->compute(), model_->rope(), cache, workspace_, text,
                         {logits_.data(), 1, config().vocab_size, config().vocab_size}, options_);
    }

    std::shared_ptr<const eigenlm::Model> model_;
    eigenlm::Workspace workspace_;
    eigenlm::Buffer<float> logits_;
    eigenlm::Sampler sampler_;
    std::vector<eigenlm::KvCache> caches_;
    std::vector<eigenlm::KvCache*> all_;
    std::vector<eigenlm::TokenId> ids_;
    eigenlm::PassOptions options_;
    std::uint64_t state_ = 1;
};

}  // namespace bench
