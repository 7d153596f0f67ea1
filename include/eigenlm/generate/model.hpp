#pragma once
// A model of any architecture, ready to run: weights, rotations, kernels, threads.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "../base/progress.hpp"
#include "../model/transformer.hpp"
#include "../weights/load.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// How a model is made from weights.
struct ModelOptions {
    std::size_t threads = 0;                         ///< 0: as many as the process may keep busy
    std::shared_ptr<Executor> executor = nullptr;    ///< the host's threads; default: a pool of the model's own
    std::optional<Isa> isa = std::nullopt;           ///< default: EIGENLM_ISA, or else the best there is
    Numerics numerics = Numerics::same_bits;         ///< fastest: gives up other machines' bits where that is faster
    std::optional<WeightType> dtype = std::nullopt;  ///< default: as the checkpoint has them, each matrix its own
    std::size_t context = 0;                         ///< most positions of a session; 0: the model's, at most 32,768
    ProgressFunction progress = nullptr;             ///< bytes of packed weights
    std::stop_token cancel = {};                     ///< ends the load with a CancelledError
};

/// Everything that sessions share. Immutable but for its threads, which one session at a time splits its work over.
class Model {
  public:
    /// Reads the weights from `source` (see load_weights). Throws what the source throws, ArgumentError for options out
    /// of range, ResourceError when memory does not suffice.
    Model(const ModelConfig& config, const TensorSource& source, const ModelOptions& options = {})
        : pool_((check(config), options.threads), options.executor),
          compute_{kernels(with_numerics(options.isa ? *options.isa : default_isa(), options.numerics)), pool_},
          context_(context_of(config, options.context)),
          transformer_(make(config, source, options)),  // before the table: the config may lie, the weights show it
          rope_(config, context_, pool_) {}

    /// The model's shape.
    const ModelConfig& config() const { return transformer_->config(); }
    /// Weights and arithmetic, for the functions of run/.
    const AnyTransformer& transformer() const { return *transformer_; }
    /// Its kernels and threads. The pool is shared by all of its sessions.
    const Compute& compute() const { return compute_; }
    /// Rotations of context() positions.
    const RopeTable& rope() const { return rope_; }
    /// Positions a session can have at most.
    std::size_t context() const { return context_; }
    /// How its sessions' caches keep their numbers, unless somebody wishes otherwise.
    CacheType cache_type() const { return default_cache_type(transformer_->dtype()); }

  private:
    std::unique_ptr<const AnyTransformer> make(const ModelConfig&, const TensorSource&, const ModelOptions&);
    template <class Arch>
    std::unique_ptr<const AnyTransformer> make_as(const ModelConfig&, const TensorSource&, const ModelOptions&);
    template <class Arch, class Weight>
    std::unique_ptr<const AnyTransformer> make_as(const ModelConfig&, const TensorSource&, const ModelOptions&);

    static std::size_t context_of(const ModelConfig& config, std::size_t wish) {
        constexpr std::size_t most_by_default = 32768;
        if (wish == 0) return std::min(config.max_position_embeddings, most_by_default);
        if (wish <= config.max_context()) return wish;
        const std::string found = std::to_string(config.max_context()) + "), found " + std::to_string(wish);
        if (config.rope_scaling.kind == RopeScaling::Kind::dynamic)
            throw UnsupportedError("context", "dynamic RoPE scaling past its original length (" + found +
                                                  ") is not supported: "
                                                  "it would change the keys that are cached already");
        throw ArgumentError("context", "expected at most what the model's rotations are made for (" + found);
    }

    ThreadPool pool_;
    Compute compute_;
    std::size_t context_;
    std::unique_ptr<const AnyTransformer> transformer_;
    RopeTable rope_;
};

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE std::unique_ptr<const AnyTransformer> Model::make(const ModelConfig& config, const TensorSource& source,
                                                                const ModelOptions& options) {
    switch (config.family) {
        case ModelFamily::llama:
            return make_as<Llama>(config, source, options);
        case ModelFamily::mistral:
            return make_as<Mistral>(config, source, options);
        case ModelFamily::qwen2:
            return make_as<Qwen2>(config, source, options);
        case ModelFamily::qwen3:
            return make_as<Qwen3>(config, source, options);
    }
    throw UnsupportedError("model_type", "unknown architecture");
}

template <class Arch>
std::unique_ptr<const AnyTransformer> Model::make_as(const ModelConfig& config, const TensorSource& source,
                                                     const ModelOptions& options) {
    const StoredType stored = stored_type(config, source);
    const WeightType type = options.dtype ? *options.dtype : stored.type;
    if (std::ranges::find(all_weight_types, type) == std::end(all_weight_types))
        throw UnsupportedError("dtype", "unknown weight type");
    if (is_quantised(type) || (!options.dtype && !stored.of_all))
        return make_as<Arch, Quantised>(config, source, options);
    if (type == WeightType::bf16) return make_as<Arch, Bf16>(config, source, options);
    if (type == WeightType::f16) return make_as<Arch, F16>(config, source, options);
    return make_as<Arch, F32>(config, source, options);
}

template <class Arch, class Weight>
std::unique_ptr<const AnyTransformer> Model::make_as(const ModelConfig& config, const TensorSource& source,
                                                     const ModelOptions& options) {
    return std::make_unique<Transformer<Arch, Weight>>(load_weights<Weight>(
        config, source, pool_,
        {compute_.kernels.layout, Arch::qkv_bias, Arch::qk_norm, options.dtype, options.progress, options.cancel}));
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI
