#pragma once
// Names in a checkpoint -> packed matrices.
#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
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
    WeightLayout layout = WeightLayout::panels;  ///< what the kernels want: KernelTable::layout
    bool qkv_bias = false;                       ///< the architecture has biases on q, k and v
    bool qk_norm = false;                        ///< the architecture normalises q and k
    ProgressFunction progress = nullptr;         ///< bytes of packed weights
    std::stop_token stop = {};                   ///< CancelledError once requested
};

/// The type that a source's matrices have; f32, which holds all of them, where they have several or are quantised.
/// Throws what the source throws for a tensor that is missing or has another shape.
inline WeightType stored_type(const ModelConfig& config, const TensorSource& source) {
    std::optional<Dtype> common;
    bool mixed = false;
    each_matrix(config, [&](const TensorNames& names, std::size_t, std::size_t inputs) {
        for (const TensorName& t : names) {
            const Dtype dtype = source.tensor(t.name, std::array{t.rows, inputs}).dtype;
            mixed = mixed || dtype != common.value_or(dtype);
            common = dtype;
        }
    });
    if (mixed) return WeightType::f32;
    return common == Dtype::bf16 ? WeightType::bf16 : common == Dtype::f16 ? WeightType::f16 : WeightType::f32;
}

/// Loads ModelWeights. Throws what the source throws, before any matrix is allocated: memory stays bounded by what the
/// source really holds.
template <class Weight>
class WeightLoader {
  public:
    /// Refers to all of its arguments.
    WeightLoader(const ModelConfig& config, const TensorSource& source, ThreadPool& pool, const WeightOptions& options)
        : config_(config), source_(source), pool_(pool), options_(options), staging_(pool.size()) {}

    /// Reads everything, once.
    ModelWeights<Weight> load() {
        check(config_);
        check_all_tensors();
        check_memory();
        ModelWeights<Weight> weights;
        weights.config = config_;
        weights.embedding = matrix(config_.vocab_size, config_.hidden_size);
        plan(weights.embedding, embedding_names(config_));
        weights.layers.resize(config_.num_layers);
        for (std::size_t l = 0; l < config_.num_layers; ++l) layer(l, weights.layers[l]);
        weights.final_norm = vector(final_norm_names(config_));
        if (!config_.tie_word_embeddings) {
            weights.head = matrix(config_.vocab_size, config_.hidden_size);
            plan(weights.head, head_names(config_));
        }
        run();
        return weights;
    }

  private:
    using Storage = typename Weight::Storage;
    /// Rows [begin, end) of a tensor. Row 0 becomes the matrix's row `first`, row 16 its row first + `distance`.
    struct Piece {
        const Tensor* tensor;
        Matrix<Weight>* matrix;
        std::size_t first, distance, begin, end;
    };
    /// One thread's rows on their way from the file into panels.
    struct Staging {
        std::vector<std::byte> bytes;  // as stored
        std::vector<float> wide;       // and, where the types differ, converted
        std::vector<Storage> narrow;
    };

    void layer(std::size_t l, LayerWeights<Weight>& weights) {
        const std::size_t h = config_.hidden_size;
        const LayerNames names = layer_names(config_, l);
        weights.attention_norm = vector(names.attention_norm);
        plan(weights.qkv = matrix(config_.qkv_size(), h), names.qkv);
        if (options_.qkv_bias) weights.qkv_bias = vector(names.qkv_bias);
        if (options_.qk_norm) weights.q_norm = vector(names.q_norm);
        if (options_.qk_norm) weights.k_norm = vector(names.k_norm);
        plan(weights.attention_output = matrix(h, config_.query_size()), names.attention_output);
        weights.mlp_norm = vector(names.mlp_norm);
        plan_in_turn(weights.gate_up = matrix(gate_up_outputs(config_), h), names.gate_up);
        plan(weights.down = matrix(h, config_.intermediate_size), names.down);
    }

    /// Looks every tensor up once before anything is allocated, and counts the elements for the progress.
    void check_all_tensors() {
        const auto count = [this](const Tensor& tensor) {
            total_ += tensor.size();
            if (tensor.size() > largest_.size()) largest_ = tensor;
        };
        each_matrix(config_, [&](const TensorNames& names, std::size_t outputs, std::size_t inputs) {
            for (const TensorName& t : names) count(source_.tensor(t.name, std::array{t.rows, inputs}));
            packed_bytes_ += Matrix<Weight>::packed_bytes(outputs, inputs, options_.layout);
        });
        const auto check = [&](const TensorNames& names) {
            for (const TensorName& t : names) count(source_.tensor(t.name, std::array{t.rows}));
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
        if (const std::size_t there = available_memory(); packed_bytes_ > there)
            throw ResourceError(largest_.where, "the largest of weights that need " + std::to_string(packed_bytes_) +
                                                    " bytes of memory in " + to_string(Weight::type) + ", found " +
                                                    std::to_string(there) + " available");
    }

    Matrix<Weight> matrix(std::size_t outputs, std::size_t inputs) const {
        return Matrix<Weight>(outputs, inputs, options_.layout);
    }
    /// Notes down what goes into a matrix, one tensor behind the other.
    void plan(Matrix<Weight>& matrix, const TensorNames& names) {
        std::size_t first = 0;
        for (const TensorName& t : names) {
            plan(matrix, t, first, lanes);
            first += t.rows;
        }
    }
    /// The same, 16 rows of each tensor in turn.
    void plan_in_turn(Matrix<Weight>& matrix, const TensorNames& names) {
        for (std::size_t i = 0; i < names.size(); ++i) plan(matrix, names[i], i * lanes, names.size() * lanes);
    }
    /// A few panels' rows at a time, so that they are still in the cache of the thread that has read them when it packs
    /// them.
    void plan(Matrix<Weight>& matrix, const TensorName& t, std::size_t first, std::size_t distance) {
        constexpr std::size_t elements = std::size_t{1} << 17;
        const std::size_t rows = round_up(std::max<std::size_t>(1, elements / matrix.inputs()), lanes);
        const Tensor& tensor = tensors_.emplace_back(source_.tensor(t.name, std::array{t.rows, matrix.inputs()}));
        for (std::size_t begin = 0; begin < t.rows; begin += rows)
            pieces_.push_back({&tensor, &matrix, first, distance, begin, std::min(t.rows, begin + rows)});
    }
    /// Reads and packs all pieces on all threads. They wait for each other only where progress is reported: about a
    /// hundred times in all.
    void run() {
        const std::size_t batch = total_ / 100;
        for (std::size_t begin = 0, end; begin < pieces_.size(); begin = end) {
            std::size_t elements = 0;
            for (end = begin; end < pieces_.size() && (end == begin || elements < batch); ++end)
                elements += (pieces_[end].end - pieces_[end].begin) * pieces_[end].matrix->inputs();
            pool_.for_each(end - begin, 1, [&](std::size_t i, std::size_t, std::size_t thread) {
                pack(pieces_[begin + i], staging_[thread]);
            });
            report(elements);
        }
    }

    void pack(const Piece& piece, Staging& staging) {
        const std::size_t inputs = piece.matrix->inputs(), rows = piece.end - piece.begin;
        const Tensor& tensor = *piece.tensor;
        staging.bytes.resize(bytes_of(tensor.dtype, rows * inputs));
        tensor.read_bytes(piece.begin * inputs, staging.bytes);
        const Storage* from = reinterpret_cast<const Storage*>(staging.bytes.data());
        if (tensor.dtype != Weight::dtype) from = convert(tensor, rows * inputs, staging);
        for (std::size_t row = piece.begin; row < piece.end; row += lanes, from += lanes * inputs)
            piece.matrix->set_rows(piece.first + row / lanes * piece.distance, std::min(lanes, piece.end - row), from);
    }

    /// staging.bytes in another type, rounded to the nearest. Throws UnsupportedError for a number beyond its range.
    static const Storage* convert(const Tensor& tensor, std::size_t count, Staging& staging) {
        staging.wide.resize(count);
        staging.narrow.resize(count);
        widen(tensor.dtype, staging.bytes, staging.wide);
        for (std::size_t i = 0; i < count; ++i) {
            staging.narrow[i] = Weight::narrow(staging.wide[i]);
            if (!is_finite(Weight::widen(staging.narrow[i])) && is_finite(staging.wide[i]))
                throw UnsupportedError(tensor.where, "a weight of " + std::to_string(staging.wide[i]) +
                                                         " does not fit into " + to_string(Weight::type));
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
    std::deque<Tensor> tensors_;
    std::vector<Piece> pieces_;
    std::vector<Staging> staging_;  // [threads]
    Tensor largest_;
    std::size_t packed_bytes_ = 0;      // of all matrices, filled up
    std::size_t done_ = 0, total_ = 0;  // elements
};

/// A model's weights out of `source`, converted to Weight and packed. Throws what the source throws, ResourceError when
/// memory does not suffice, UnsupportedError for a number beyond Weight's range, CancelledError.
template <class Weight>
ModelWeights<Weight> load_weights(const ModelConfig& config, const TensorSource& source, ThreadPool& pool,
                                  const WeightOptions& options) {
    return WeightLoader<Weight>(config, source, pool, options).load();
}

}  // namespace eigenlm::inline EIGENLM_ABI
