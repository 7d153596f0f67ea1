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
#include <string_view>
#include <vector>

#include "../base/memory.hpp"
#include "../base/parallel.hpp"
#include "../base/progress.hpp"
#include "../file/narrow.hpp"
#include "layer.hpp"
#include "names.hpp"
#include "quantised_types.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// How weights are loaded.
struct WeightOptions {
    WeightLayout layout = WeightLayout::panels;  ///< what the kernels want: KernelTable::layout
    bool qkv_bias = false;                       ///< the architecture has biases on q, k and v
    bool qk_norm = false;                        ///< the architecture normalises q and k
    std::optional<WeightType> dtype = {};        ///< of Quantised: what to quantise as; default: as the source has them
    ProgressFunction progress = nullptr;         ///< bytes of packed weights
    std::stop_token stop = {};                   ///< CancelledError once requested
};

/// The type that most elements of a source's block matrices have, and whether all matrices are of that one. Throws
/// what the source throws for a tensor that is missing or has another shape.
struct StoredType {
    WeightType type;  ///< of most
    bool of_all;      ///< embedding and head included
};
/// See StoredType.
inline StoredType stored_type(const ModelConfig& config, const TensorSource& source) {
    std::array<double, std::size(all_weight_types)> blocks = {}, all = {};  // elements of each type
    each_matrix(config, [&](const TensorNames& names, std::size_t, std::size_t inputs) {
        for (const TensorName& t : names) {
            const auto type =
                static_cast<std::size_t>(weight_type_of(source.tensor(t.name, std::array{t.rows, inputs}).dtype));
            const double size = static_cast<double>(t.rows) * static_cast<double>(inputs);
            all[type] += size;
            if (t.name.starts_with("model.layers.")) blocks[type] += size;
        }
    });
    const auto& counted = config.num_layers != 0 ? blocks : all;
    const auto most = std::max_element(counted.begin(), counted.end()) - counted.begin();
    return {static_cast<WeightType>(most), std::ranges::count(all, 0.0) + 1 == std::ssize(all)};
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
        weights.dtype = dtype();
        add(weights.embedding, embedding_names(config_), config_.vocab_size, config_.hidden_size);
        weights.layers.resize(config_.num_layers);
        for (std::size_t l = 0; l < config_.num_layers; ++l) layer(l, weights.layers[l]);
        weights.final_norm = vector(final_norm_names(config_));
        if (!config_.tie_word_embeddings) {
            add(weights.head, head_names(config_), config_.vocab_size, config_.hidden_size);
        }
        run();
        return weights;
    }

  private:
    static constexpr bool quantised = std::is_same_v<Weight, Quantised>;
    /// Rows [begin, end) of a tensor. Row 0 becomes the matrix's row `first`, row 16 its row first + `distance`.
    struct Piece {
        const Tensor* tensor;
        Matrix<Weight>* matrix;
        Dtype dtype;  // of the numbers; the matrix may hold them as floats
        std::size_t first, distance, begin, end;
    };
    /// One thread's rows on their way from the file into panels.
    struct Staging {
        std::vector<std::byte> bytes;  // as stored
        std::vector<float> wide;       // and, where the types differ, converted
        std::vector<std::byte> narrow;
    };

    void layer(std::size_t l, LayerWeights<Weight>& weights) {
        const std::size_t h = config_.hidden_size;
        const LayerNames names = layer_names(config_, l);
        weights.attention_norm = vector(names.attention_norm);
        add(weights.qkv, names.qkv, config_.qkv_size(), h);
        if (options_.qkv_bias) weights.qkv_bias = vector(names.qkv_bias);
        if (options_.qk_norm) weights.q_norm = vector(names.q_norm);
        if (options_.qk_norm) weights.k_norm = vector(names.k_norm);
        add(weights.attention_output, names.attention_output, h, config_.query_size());
        weights.mlp_norm = vector(names.mlp_norm);
        add(weights.gate_up, names.gate_up, gate_up_outputs(config_), h);
        add(weights.down, names.down, h, config_.intermediate_size);
    }

    /// Looks every tensor up once before anything is allocated, and counts the elements for the progress.
    void check_all_tensors() {
        const auto count = [this](const Tensor& tensor) {
            total_ += tensor.size();
            if (tensor.size() > largest_.size()) largest_ = tensor;
        };
        each_matrix(config_, [&](const TensorNames& names, std::size_t outputs, std::size_t inputs) {
            for (const TensorName& t : names) count(source_.tensor(t.name, std::array{t.rows, inputs}));
            packed_bytes_ += packed_bytes(names, outputs, inputs);
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
                                                    " bytes of memory in " + to_string(dtype()) + ", found " +
                                                    std::to_string(there) + " available");
    }

    /// What the weights' type is called.
    WeightType dtype() const {
        if constexpr (quantised)
            return options_.dtype ? *options_.dtype : stored_type(config_, source_).type;
        else
            return Weight::type;
    }
    /// The type that a tensor's numbers get.
    Dtype dtype_of_numbers([[maybe_unused]] const TensorNames& names, [[maybe_unused]] const Tensor& tensor) const {
        if constexpr (!quantised)
            return Weight::dtype;
        else
            return options_.dtype
                       ? quantised_type(dtype_of(*options_.dtype), is_head(config_, names), tensor.shape.back())
                       : tensor.dtype;
    }
    /// The parts of a matrix of Quantised.
    std::vector<typename Matrix<Quantised>::Shape> parts(const TensorNames& names, std::size_t outputs,
                                                         std::size_t inputs) const {
        std::vector<Dtype> types;
        for (const TensorName& t : names)
            types.push_back(dtype_of_numbers(names, source_.tensor(t.name, std::array{t.rows, inputs})));
        // A bf16 product of gates and ups rounds what it makes of them, as the input of another bf16 product.
        if (in_turn(names) && types[0] == Dtype::bf16 && type_of_down(names, inputs) != Dtype::bf16)
            types.assign(types.size(), Dtype::f32);
        return parts_of(types, names, outputs, in_turn(names), options_.layout);
    }
    /// The stored type of the matrix behind these gates and ups, which have so many inputs.
    Dtype type_of_down(const TensorNames& gate_up, std::size_t inputs) const {
        constexpr std::string_view gate = "gate_proj.weight";
        std::string name = gate_up.front().name;
        name.replace(name.size() - gate.size(), gate.size(), "down_proj.weight");
        return source_.tensor(name, std::array{inputs, gate_up.front().rows}).dtype;
    }
    std::size_t packed_bytes(const TensorNames& names, std::size_t outputs, std::size_t inputs) const {
        if constexpr (quantised)
            return Matrix<Weight>::packed_bytes(parts(names, outputs, inputs), inputs, options_.layout);
        else
            return Matrix<Weight>::packed_bytes(outputs, inputs, options_.layout);
    }
    /// Gates and ups: 16 rows of each in turn.
    static bool in_turn(const TensorNames& names) { return names.front().name.ends_with("mlp.gate_proj.weight"); }

    /// Makes a matrix, and notes down what goes into it: one tensor behind the other, or in turn.
    void add(Matrix<Weight>& matrix, const TensorNames& names, std::size_t outputs, std::size_t inputs) {
        if constexpr (quantised)
            matrix = Matrix<Weight>(parts(names, outputs, inputs), inputs, options_.layout);
        else
            matrix = Matrix<Weight>(outputs, inputs, options_.layout);
        std::size_t first = 0;
        for (const TensorName& t : names) {
            plan(matrix, names, t, first, in_turn(names) ? names.size() * lanes : lanes);
            first += in_turn(names) ? lanes : t.rows;
        }
    }
    /// A few panels' rows at a time, so that they are still in the cache of the thread that has read them when it packs
    /// them.
    void plan(Matrix<Weight>& matrix, const TensorNames& names, const TensorName& t, std::size_t first,
              std::size_t distance) {
        constexpr std::size_t elements = std::size_t{1} << 17;
        const std::size_t rows = round_up(std::max<std::size_t>(1, elements / matrix.inputs()), lanes);
        const Tensor& tensor = tensors_.emplace_back(source_.tensor(t.name, std::array{t.rows, matrix.inputs()}));
        for (std::size_t begin = 0; begin < t.rows; begin += rows)
            pieces_.push_back({&tensor, &matrix, dtype_of_numbers(names, tensor), first, distance, begin,
                               std::min(t.rows, begin + rows)});
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
        if (tensor.dtype != piece.dtype) convert(tensor, piece.dtype, rows * inputs, staging);
        Dtype held = piece.dtype;  // by the matrix: that, or f32
        if constexpr (quantised) held = piece.matrix->dtype(piece.first);
        if (held != piece.dtype) {
            staging.wide.resize(rows * inputs);
            widen(piece.dtype, staging.bytes, staging.wide);
            const auto bytes = std::as_bytes(std::span(staging.wide));
            staging.bytes.assign(bytes.begin(), bytes.end());
        }
        const std::byte* from = staging.bytes.data();
        for (std::size_t row = piece.begin; row < piece.end; row += lanes, from += bytes_of(held, lanes * inputs)) {
            const std::size_t to = piece.first + row / lanes * piece.distance, count = std::min(lanes, piece.end - row);
            if constexpr (quantised)
                piece.matrix->set_rows(to, count, from);
            else
                piece.matrix->set_rows(to, count, reinterpret_cast<const typename Weight::Storage*>(from));
        }
    }

    /// Makes staging.bytes numbers of another type, rounded to the nearest. Throws UnsupportedError for a number beyond
    /// its range.
    static void convert(const Tensor& tensor, Dtype dtype, std::size_t count, Staging& staging) {
        staging.wide.resize(count);
        staging.narrow.resize(bytes_of(dtype, count));
        widen(tensor.dtype, staging.bytes, staging.wide);
        try {
            narrow(dtype, staging.wide, staging.narrow);
        } catch (const UnsupportedError& e) {
            throw UnsupportedError(tensor.where, e.what());
        }
        staging.bytes.swap(staging.narrow);
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
        if (!options_.progress) return;
        // In proportion: a matrix's padding and a vector's numbers count as the weights do.
        const double share = static_cast<double>(done_) / static_cast<double>(total_);
        const auto bytes = static_cast<std::size_t>(share * static_cast<double>(packed_bytes_));
        options_.progress({Stage::load, done_ == total_ ? packed_bytes_ : bytes, packed_bytes_});
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
