#pragma once
// Writing a GGUF file (version 3, little-endian): metadata, then tensors in any order and piece by piece. Source:
// ggml's docs/gguf.md.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../base/types.hpp"
#include "gguf.hpp"
#include "new_file.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// A tensor that a file is to have.
struct GgufTensorInfo {
    std::string name;                ///< as files have it
    std::vector<std::size_t> shape;  ///< sizes, the slowest index first; rows of whole blocks
    Dtype dtype = Dtype::f32;        ///< of the elements
};

/// A file on its way. Of its tensors only those pieces are in memory that somebody writes.
class GgufWriter {
  public:
    /// Begins the file, see NewFile. Throws IoError; ArgumentError for tensors that a file cannot have, FormatError for
    /// a general.alignment that it cannot have.
    GgufWriter(const std::filesystem::path& path, const GgufMetadata& metadata, std::vector<GgufTensorInfo> tensors);

    /// Bytes of the whole file.
    std::size_t size() const { return size_; }
    /// Elements of tensor number `tensor` from `first` on, in its own type: whole blocks of it, as Tensor::read_bytes
    /// gives them. Several threads may write at once. What is never written is 0. Throws IoError.
    void write(std::size_t tensor, std::size_t first, std::span<const std::byte> bytes) const {
        file_->write(begins_[tensor] + bytes_of(tensors_[tensor].dtype, first), bytes);
    }
    /// The file takes its name; see NewFile::commit.
    void commit() { file_->commit(); }

  private:
    std::string header(const GgufMetadata& metadata);

    std::vector<GgufTensorInfo> tensors_;
    std::vector<std::size_t> begins_;  // of the tensors, in the file
    std::size_t size_ = 0;
    std::optional<NewFile> file_;
};

namespace detail {

/// Bytes of a tensor. Throws ArgumentError for one that no file can have.
inline std::size_t stored_bytes(const GgufTensorInfo& tensor) {
    constexpr std::size_t most_sizes = 4;
    const std::string where = "GgufWriter: " + tensor.name;
    const std::size_t block = layout_of(tensor.dtype).block_elements;
    if (tensor.shape.empty() || tensor.shape.size() > most_sizes || tensor.shape.back() % block != 0)
        throw ArgumentError(where, "expected 1 to 4 sizes, and rows of whole blocks of " + std::to_string(block) +
                                       " elements, found " + to_string(tensor.shape));
    std::size_t elements = 1;
    for (const std::size_t size : tensor.shape) elements = checked_mul(elements, size, where.c_str());
    if (elements == 0) throw ArgumentError(where, "a size of 0");
    return checked_mul(elements / block, layout_of(tensor.dtype).block_bytes, where.c_str());
}

inline void append_gguf(std::string& out, std::uint32_t number) { out += gguf_number(number).bytes; }
inline void append_gguf(std::string& out, std::uint64_t number) {
    append_gguf(out, static_cast<std::uint32_t>(number));
    append_gguf(out, static_cast<std::uint32_t>(number >> 32));
}
inline void append_gguf(std::string& out, std::string_view text) {
    append_gguf(out, std::uint64_t{text.size()});
    out += text;
}
inline void append_gguf(std::string& out, const GgufValue& value) {
    append_gguf(out, static_cast<std::uint32_t>(value.type));
    if (value.type == GgufType::string) return append_gguf(out, std::string_view(value.bytes));
    if (value.type == GgufType::array) {
        append_gguf(out, static_cast<std::uint32_t>(value.element));
        append_gguf(out, value.count);
    }
    out += value.bytes;
}

}  // namespace detail

#if EIGENLM_DEFINE_LARGE
/// Everything before the tensors' bytes. Fills begins_ and size_.
EIGENLM_LARGE std::string GgufWriter::header(const GgufMetadata& metadata) {
    constexpr std::uint32_t magic = 0x46554747, version = 3;  // "GGUF"
    const std::size_t alignment = gguf_alignment(metadata);
    std::string out;
    detail::append_gguf(out, magic);
    detail::append_gguf(out, version);
    detail::append_gguf(out, std::uint64_t{tensors_.size()});
    detail::append_gguf(out, std::uint64_t{metadata.all().size()});
    for (const auto& [key, value] : metadata.all()) {
        detail::append_gguf(out, std::string_view(key));
        detail::append_gguf(out, value);
    }
    for (const GgufTensorInfo& tensor : tensors_) {
        const auto type = std::ranges::find(gguf_tensor_types, std::optional(tensor.dtype), &GgufTensorType::dtype);
        if (type == std::end(gguf_tensor_types))
            throw ArgumentError("GgufWriter: " + tensor.name, "elements of a type that GGUF files do not have");
        begins_.push_back(size_);
        detail::append_gguf(out, std::string_view(tensor.name));
        detail::append_gguf(out, static_cast<std::uint32_t>(tensor.shape.size()));
        for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size)
            detail::append_gguf(out, std::uint64_t{*size});
        detail::append_gguf(out, type->number);
        detail::append_gguf(out, std::uint64_t{size_});
        size_ += round_up(detail::stored_bytes(tensor), alignment);
    }
    out.resize(round_up(out.size(), alignment));
    for (std::size_t& begin : begins_) begin += out.size();
    size_ += out.size();
    return out;
}

EIGENLM_LARGE GgufWriter::GgufWriter(const std::filesystem::path& path, const GgufMetadata& metadata,
                                     std::vector<GgufTensorInfo> tensors)
    : tensors_(std::move(tensors)) {
    const std::string begin = header(metadata);
    file_.emplace(path, size_);
    file_->write(0, std::as_bytes(std::span(begin)));
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI
