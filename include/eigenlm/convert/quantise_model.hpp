#pragma once
// A whole model into a GGUF file of another type.
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <new>
#include <span>
#include <stop_token>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/parallel.hpp"
#include "../base/progress.hpp"
#include "../file/narrow.hpp"
#include "../weights/read_config.hpp"
#include "../weights/read_gguf_config.hpp"
#include "plan.hpp"
#include "plan_folder.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// How a model is quantised.
struct QuantiseOptions {
    Dtype type = Dtype::q8_0;                      ///< of the matrices, as far as their rows allow: see quantised_type
    std::size_t threads = 0;                       ///< 0: as many as the process may keep busy
    std::shared_ptr<Executor> executor = nullptr;  ///< the host's threads; default: a pool for this call
    ProgressFunction progress = nullptr;           ///< bytes of the new file's tensors
    std::stop_token cancel = {};                   ///< ends it with a CancelledError
};

/// What a file has of one type.
struct TypeFigures {
    Dtype type = Dtype::f32;  ///< which
    std::size_t tensors = 0;  ///< how many
    std::size_t weights = 0;  ///< their elements
    std::size_t bytes = 0;    ///< ... in the file
};
/// What became of a model.
struct QuantisedModel {
    std::vector<TypeFigures> types;  ///< in the order of their first tensors
    std::size_t file_bytes = 0;      ///< of the new file
    bool requantised = false;        ///< weights were quantised before, otherwise: errors add up
    bool has_tokenizer = false;      ///< a folder may be without one
};

/// Reads a Hugging Face folder or a GGUF file (all of them where it is one of several) and writes a GGUF file in which
/// the matrices have the type asked for, as far as the lengths of their rows allow; vectors are f32. Quantised weights
/// become others by way of floats; those that have their type already are copied. The metadata of a GGUF file are kept,
/// but for general.file_type, general.quantization_version and split.*; those of a folder are what llama.cpp's
/// converters write. Memory: a few MB for each thread, and the metadata.
///
/// `out` is there when all of it is, and else is what it was before. Throws what opening `in` throws and what NewFile
/// throws; ArgumentError where `out` is a file of `in`'s or the type is none of all_file_types; FormatError for tensors
/// that are missing or have another shape, and for weights that are not finite; UnsupportedError, before anything is
/// written, for what a GGUF file has no words for, and for weights that the type has no room for; CancelledError;
/// ResourceError.
EIGENLM_LARGE QuantisedModel quantise_model(const std::filesystem::path& in, const std::filesystem::path& out,
                                            const QuantiseOptions& options = {});

#if EIGENLM_DEFINE_LARGE
namespace detail {

/// Carries a plan out.
class PlanWriter {
  public:
    /// Refers to all of its arguments.
    PlanWriter(const FilePlan& plan, ThreadPool& pool, const QuantiseOptions& options)
        : plan_(plan), pool_(pool), options_(options), staging_(pool.size()) {}

    /// The figures of the finished file, once.
    QuantisedModel write(const std::filesystem::path& out) {
        QuantisedModel model;
        model.has_tokenizer = plan_.metadata.string_or("tokenizer.ggml.model", "none") != "none";
        std::vector<GgufTensorInfo> infos;
        for (const PlannedTensor& tensor : plan_.tensors) {
            infos.push_back(tensor.info);
            count(tensor, model);
        }
        throw_if_stopped(options_.cancel, Stage::quantise);
        GgufWriter writer(out, plan_.metadata, std::move(infos));
        model.file_bytes = writer.size();
        run(writer);
        writer.commit();
        return model;
    }

  private:
    /// Elements [first, first + count) of a tensor: whole rows.
    struct Piece {
        std::size_t tensor, first, count, bytes;
    };
    /// One thread's rows on their way.
    struct Staging {
        std::vector<std::byte> before, after;
        std::vector<float> wide;
    };

    void count(const PlannedTensor& tensor, QuantisedModel& model) {
        const Dtype type = tensor.info.dtype, before = tensor.source.dtype;
        const std::size_t weights = tensor.source.size(), number = numbered_++;
        auto figures = std::ranges::find(model.types, type, &TypeFigures::type);
        if (figures == model.types.end()) figures = model.types.insert(figures, {type, 0, 0, 0});
        ++figures->tensors;
        figures->weights += weights;
        figures->bytes += bytes_of(type, weights);
        total_ += bytes_of(type, weights);
        model.requantised = model.requantised || (is_quantised(before) && type != before && is_quantised(type));
        constexpr std::size_t elements = std::size_t{1} << 16;
        const std::size_t row = tensor.source.shape.back(), step = std::max<std::size_t>(1, elements / row) * row;
        for (std::size_t first = 0; first < weights; first += step) {
            const std::size_t n = std::min(step, weights - first);
            pieces_.push_back({number, first, n, bytes_of(type, n)});
        }
    }

    /// All pieces on all threads. They wait for each other only where progress is reported: about a hundred times.
    void run(const GgufWriter& writer) {
        std::size_t done = 0;
        for (std::size_t begin = 0, end; begin < pieces_.size(); begin = end) {
            std::size_t bytes = 0;
            for (end = begin; end < pieces_.size() && (end == begin || bytes < total_ / 100); ++end)
                bytes += pieces_[end].bytes;
            pool_.for_each(end - begin, 1, [&](std::size_t i, std::size_t, std::size_t thread) {
                throw_if_stopped(options_.cancel, Stage::quantise);
                convert(pieces_[begin + i], staging_[thread], writer);
            });
            done += bytes;
            if (options_.progress) options_.progress({Stage::quantise, done, total_});
        }
        throw_if_stopped(options_.cancel, Stage::quantise);
    }

    void convert(const Piece& piece, Staging& staging, const GgufWriter& writer) const {
        const auto& [info, source] = plan_.tensors[piece.tensor];
        staging.before.resize(bytes_of(source.dtype, piece.count));
        source.read_bytes(piece.first, staging.before);
        staging.wide.resize(piece.count);
        widen(source.dtype, staging.before, staging.wide);
        check_finite(source, piece.first, staging.wide);
        if (source.dtype == info.dtype) return writer.write(piece.tensor, piece.first, staging.before);
        staging.after.resize(piece.bytes);
        try {
            narrow(info.dtype, staging.wide, staging.after);
        } catch (const UnsupportedError& e) {
            throw UnsupportedError(source.where + ", from element " + std::to_string(piece.first) + " on", e.what());
        }
        writer.write(piece.tensor, piece.first, staging.after);
    }

    static void check_finite(const Tensor& source, std::size_t first, std::span<const float> values) {
        bool good = true;
        for (const float value : values) good = good & is_finite(value);
        if (good) return;
        const auto at = static_cast<std::size_t>(std::ranges::find_if_not(values, is_finite) - values.begin());
        throw FormatError(source.where, std::string("expected finite numbers, found ") +
                                            (is_nan(values[at]) ? "a NaN" : "an infinity") + " as element " +
                                            std::to_string(first + at));
    }

    const FilePlan& plan_;
    ThreadPool& pool_;
    const QuantiseOptions& options_;
    std::vector<Piece> pieces_;
    std::vector<Staging> staging_;          // [threads]
    std::size_t total_ = 0, numbered_ = 0;  // bytes of the new file's tensors; tensors counted so far
};

/// Nobody's model is replaced by one that is made of it.
inline void check_out(const std::filesystem::path& in, const std::filesystem::path& out) {
    std::error_code ignored;
    const auto same = [&](const std::filesystem::path& a, const std::filesystem::path& b) {
        return std::filesystem::exists(a, ignored) && std::filesystem::exists(b, ignored) &&
               std::filesystem::equivalent(a, b, ignored);
    };
    const auto refuse = [&] {
        throw ArgumentError(out.string(), "expected another file than the model's own, " + in.string());
    };
    if (same(in, out)) refuse();
    if (std::filesystem::is_directory(in, ignored))
        for (const auto& entry : std::filesystem::directory_iterator(in, ignored))
            if (entry.path().extension() != ".gguf" && same(entry.path(), out)) refuse();
}

inline QuantisedModel quantise_gguf(const std::filesystem::path& in, const std::filesystem::path& out,
                                    const QuantiseOptions& options, ThreadPool& pool) {
    const GgufFiles files(in);
    for (const GgufFile& file : files.files()) check_out(file.path(), out);
    const FilePlan plan = plan_file(files, read_config(files), options.type);
    return PlanWriter(plan, pool, options).write(out);
}

inline QuantisedModel quantise_folder(const std::filesystem::path& in, const std::filesystem::path& out,
                                      const QuantiseOptions& options, ThreadPool& pool) {
    const Checkpoint checkpoint = Checkpoint::open(in);
    const ModelConfig config = read_config(checkpoint);
    const FilePlan plan = FolderPlanner(checkpoint, config).plan(options.type);
    return PlanWriter(plan, pool, options).write(out);
}

}  // namespace detail

EIGENLM_LARGE QuantisedModel quantise_model(const std::filesystem::path& in, const std::filesystem::path& out,
                                            const QuantiseOptions& options) try {
    if (std::ranges::find(all_file_types, options.type) == std::end(all_file_types))
        throw ArgumentError("quantise_model: type",
                            std::string("expected a type of floats, found ") + to_string(options.type));
    detail::check_out(in, out);
    ThreadPool pool(options.threads, options.executor);
    return is_gguf(in) ? detail::quantise_gguf(in, out, options, pool)
                       : detail::quantise_folder(in, out, options, pool);
} catch (const std::bad_alloc&) {
    throw ResourceError(in.string(), "no memory left to quantise it");
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI
