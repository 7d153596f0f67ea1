#pragma once
// Names in a checkpoint -> packed matrices.
#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "../base/memory.hpp"
#include "../base/parallel.hpp"
#include "../base/progress.hpp"
#include "layer.hpp"
#include "names.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// How weights are loaded.
struct WeightOptions {
    WeightLayout layout = WeightLayout::panels;
    bool qkv_bias = false;  // the architecture has biases on q, k and v
    bool qk_norm = false;   // the architecture normalises q and k
    ProgressFunction progress = nullptr;
    std::stop_token stop = {};
};

/// The type that a source's matrices have; f32, which holds all of them, where they have several. Throws what the
/// source throws for a tensor that is missing or has another shape.
inline WeightType stored_type(const ModelConfig& config, const TensorSource& source) {
    std::optional<Dtype> common;
    bool mixed = false;
    each_matrix(config, [&](const TensorNames& names, std::size_t inputs) {
        for (const TensorName& t : names) {
            const Dtype dtype = source.tensor(t.name, std::array{t.rows, inputs}).dtype;
            mixed = mixed || dtype != common.value_or(dtype);
            common = dtype;
        }
    });
    if (mixed || common == Dtype::f32) return WeightType::f32;
    return common == Dtype::bf16 ? WeightType::bf16 : WeightType::f16;
}

/// Loads ModelWeights. Throws what the source throws, before any matrix is allocated: memory stays bounded by what the
/// source really holds.
template <class Weight>
class WeightLoader {
  public:
    WeightLoader(const ModelConfig& config, const TensorSource& source, ThreadPool& pool, const WeightOptions& options)
        : config_(config), source_(source), pool_(pool), options_(options), staging_(pool.size()) {}

    ModelWeights<Weight> load() {
        check_all_tensors();
        check_memory();
        ModelWeights<Weight> weights;
        weights.config = config_;
        weights.embedding = matrix(config_.hidden_size, embedding_names(config_));
        for (std::size_t l = 0; l < config_.num_layers; ++l) weights.layers.push_back(layer(l));
        weights.final_norm = vector(final_norm_names(config_));
        if (!config_.tie_word_embeddings) weights.head = matrix(config_.hidden_size, head_names(config_));
        return weights;
    }

  private:
    using Storage = typename Weight::Storage;
    /// One thread's rows on their way from the file into panels.
    struct Staging {
        std::vector<std::byte> bytes;  // as stored
        std::vector<float> wide;       // and, where the types differ, converted
        std::vector<Storage> narrow;
    };

    LayerWeights<Weight> layer(std::size_t l) {
        const std::size_t h = config_.hidden_size;
        const LayerNames names = layer_names(config_, l);
        LayerWeights<Weight> weights;
        weights.attention_norm = vector(names.attention_norm);
        weights.qkv = matrix(h, names.qkv);
        if (options_.qkv_bias) weights.qkv_bias = vector(names.qkv_bias);
        if (options_.qk_norm) weights.q_norm = vector(names.q_norm);
        if (options_.qk_norm) weights.k_norm = vector(names.k_norm);
        weights.attention_output = matrix(config_.query_size(), names.attention_output);
        weights.mlp_norm = vector(names.mlp_norm);
        weights.gate_up = matrix(h, names.gate_up);
        weights.down = matrix(config_.intermediate_size, names.down);
        return weights;
    }

    /// Looks every tensor up once before anything is allocated, and counts the elements for the progress.
    void check_all_tensors() {
        each_matrix(config_, [this](const TensorNames& names, std::size_t inputs) {
            for (const TensorName& t : names) total_ += source_.tensor(t.name, std::array{t.rows, inputs}).size();
        });
        const auto check = [this](const TensorNames& names) {
            for (const TensorName& t : names) total_ += source_.tensor(t.name, std::array{t.rows}).size();
        };
        for (std::size_t l = 0; l < config_.num_layers; ++l) {
            const LayerNames names = layer_names(config_, l);
            check(names.attention_norm);
            check(names.mlp_norm);
            if (options_.qkv_bias) check(names.qkv_bias);
            if (options_.qk_norm) check(names.q_norm);
            if (options_.qk_norm) check(names.k_norm);
        }
        check(final_norm_names(config_));
    }

    /// Pages are promised freely and used up later, when the only answer left is the end of the process: so ask before.
    void check_memory() const {
        const std::size_t needed = checked_mul(total_, sizeof(Storage), "weights");
        if (const std::size_t there = available_memory(); needed > there)
            throw ResourceError("weights", "expected " + std::to_string(needed) + " bytes of memory in " + to_string(Weight::type) +
                                               ", found " + std::to_string(there) + " available");
    }

    /// Several [rows, inputs] tensors of the source, one behind the other, packed.
    Matrix<Weight> matrix(std::size_t inputs, const TensorNames& names) {
        constexpr std::size_t slab = std::size_t{32} << 20;  // elements between two reports
        std::size_t outputs = 0;
        for (const TensorName& t : names) outputs += t.rows;
        Matrix<Weight> packed(outputs, inputs, options_.layout);
        std::size_t first = 0;
        for (const TensorName& t : names) {
            const Tensor tensor = source_.tensor(t.name, std::array{t.rows, inputs});
            for (std::size_t row = 0, end; row < t.rows; row = end) {
                end = std::min(t.rows, row + std::max<std::size_t>(1, slab / inputs));
                pack(tensor, row, end, inputs, packed, first);
                report((end - row) * inputs);
            }
            first += t.rows;
        }
        return packed;
    }

    /// Rows [begin, end) of a tensor into the matrix, whose row `first` is the tensor's row 0. Each thread reads a few
    /// panels' rows at a time, so that they are still in its cache when it packs them.
    void pack(const Tensor& tensor, std::size_t begin, std::size_t end, std::size_t inputs, Matrix<Weight>& packed,
              std::size_t first) {
        constexpr std::size_t piece = std::size_t{1} << 17;  // elements
        const std::size_t grain = round_up(std::max<std::size_t>(1, piece / inputs), lanes);
        pool_.for_each(end - begin, grain, [&](std::size_t from, std::size_t to, std::size_t thread) {
            Staging& staging = staging_[thread];
            const std::size_t row = begin + from, count = to - from;
            staging.bytes.resize(count * inputs * size_of(tensor.dtype));
            tensor.read_bytes(row * inputs, staging.bytes);
            const Storage* rows = reinterpret_cast<const Storage*>(staging.bytes.data());
            if (tensor.dtype != Weight::dtype) rows = convert(tensor, count * inputs, staging);
            packed.set_rows(first + row, count, rows);
        });
    }

    /// staging.bytes in another type, rounded to the nearest. Throws UnsupportedError for a number beyond its range.
    static const Storage* convert(const Tensor& tensor, std::size_t count, Staging& staging) {
        staging.wide.resize(count);
        staging.narrow.resize(count);
        widen(tensor.dtype, staging.bytes, staging.wide);
        for (std::size_t i = 0; i < count; ++i) {
            staging.narrow[i] = Weight::narrow(staging.wide[i]);
            if (!is_finite(Weight::widen(staging.narrow[i])) && is_finite(staging.wide[i]))
                throw UnsupportedError(tensor.where, "a weight of " + std::to_string(staging.wide[i]) + " does not fit into " +
                                                         to_string(Weight::type));
        }
        return staging.narrow.data();
    }

    Buffer<float> vector(const TensorNames& names) {
        std::size_t size = 0;
        for (const TensorName& t : names) size += t.rows;
        Buffer<float> values(size);
        std::size_t first = 0;
        for (const TensorName& t : names) {
            source_.tensor(t.name, std::array{t.rows}).read(0, values.span().subspan(first, t.rows));
            first += t.rows;
            report(t.rows);
        }
        return values;
    }

    void report(std::size_t elements) {
        done_ += elements;
        throw_if_stopped(options_.stop, Stage::load);
        if (options_.progress) options_.progress({Stage::load, done_ * sizeof(Storage), total_ * sizeof(Storage)});
    }

    const ModelConfig& config_;
    const TensorSource& source_;
    ThreadPool& pool_;
    const WeightOptions& options_;
    std::vector<Staging> staging_;
    std::size_t done_ = 0, total_ = 0;
};

template <class Weight>
ModelWeights<Weight> load_weights(const ModelConfig& config, const TensorSource& source, ThreadPool& pool,
                                  const WeightOptions& options) {
    return WeightLoader<Weight>(config, source, pool, options).load();
}

}  // namespace eigenlm::inline EIGENLM_ABI
