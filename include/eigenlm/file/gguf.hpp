#pragma once
// A GGUF file (versions 2 and 3, little-endian): metadata, and tensors by name. Source: ggml's docs/gguf.md.
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "file.hpp"
#include "gguf_values.hpp"
#include "tensor.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// An element type of the format, whether it is read here or not.
struct GgufTensorType {
    std::uint32_t number;        ///< in files
    const char* name;            ///< as ggml calls it
    std::size_t block_elements;  ///< see DtypeLayout
    std::size_t block_bytes;     ///< see DtypeLayout
    std::optional<Dtype> dtype;  ///< ours
};

namespace detail {

constexpr GgufTensorType known_tensor_type(std::uint32_t number, Dtype dtype) {
    const auto [name, elements, bytes] = layout_of(dtype);
    return {number, name, elements, bytes, dtype};
}

}  // namespace detail

/// All element types whose sizes are known: others cannot even be stepped over.
inline constexpr GgufTensorType gguf_tensor_types[] = {
    detail::known_tensor_type(0, Dtype::f32),
    detail::known_tensor_type(1, Dtype::f16),
    detail::known_tensor_type(2, Dtype::q4_0),
    detail::known_tensor_type(3, Dtype::q4_1),
    detail::known_tensor_type(6, Dtype::q5_0),
    detail::known_tensor_type(7, Dtype::q5_1),
    detail::known_tensor_type(8, Dtype::q8_0),
    {9, "Q8_1", 32, 40, {}},
    detail::known_tensor_type(10, Dtype::q2_k),
    detail::known_tensor_type(11, Dtype::q3_k),
    detail::known_tensor_type(12, Dtype::q4_k),
    detail::known_tensor_type(13, Dtype::q5_k),
    detail::known_tensor_type(14, Dtype::q6_k),
    {15, "Q8_K", 256, 292, {}},
    {16, "IQ2_XXS", 256, 66, {}},
    {17, "IQ2_XS", 256, 74, {}},
    {18, "IQ3_XXS", 256, 98, {}},
    {19, "IQ1_S", 256, 50, {}},
    detail::known_tensor_type(20, Dtype::iq4_nl),
    {21, "IQ3_S", 256, 110, {}},
    {22, "IQ2_S", 256, 82, {}},
    detail::known_tensor_type(23, Dtype::iq4_xs),
    {24, "I8", 1, 1, {}},
    {25, "I16", 1, 2, {}},
    {26, "I32", 1, 4, {}},
    {27, "I64", 1, 8, {}},
    {28, "F64", 1, 8, {}},
    {29, "IQ1_M", 256, 56, {}},
    detail::known_tensor_type(30, Dtype::bf16),
    {34, "TQ1_0", 256, 54, {}},
    {35, "TQ2_0", 256, 66, {}},
    {39, "MXFP4", 32, 17, {}},
    {40, "NVFP4", 64, 36, {}},
    {41, "Q1_0", 128, 18, {}},
};

/// What offsets of tensors are multiples of. Throws FormatError for what is no power of two up to 65,536.
inline std::size_t gguf_alignment(const GgufMetadata& metadata) {
    constexpr const char* key = "general.alignment";
    constexpr std::int64_t by_default = 32, most = 1 << 16;
    const auto alignment = static_cast<std::size_t>(metadata.integer_or(key, by_default, 1, most));
    if (!std::has_single_bit(alignment))
        throw FormatError(metadata.path(key), "expected a power of two, found " + std::to_string(alignment));
    return alignment;
}

/// Whether `path` is a file that says it is GGUF, by its name or by its first bytes.
inline bool is_gguf(const std::filesystem::path& path) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path, ignored)) return false;
    if (path.extension() == ".gguf") return true;
    const File file(path);
    return file.size() >= 4 && file.text(0, 4) == "GGUF";
}

/// One file, checked whole when it is opened: every length, type, shape and offset. Memory stays bounded by the file's
/// size.
class GgufFile {
  public:
    /// Throws IoError; FormatError for a file that breaks the format; UnsupportedError for another version, byte order
    /// or element type. All name the file and the key or tensor.
    explicit GgufFile(const std::filesystem::path& path);

    /// The path it was opened with.
    const std::string& path() const { return file_->path(); }
    /// Everything but the tensors.
    const GgufMetadata& metadata() const { return metadata_; }
    /// How many tensors the file holds.
    std::size_t tensor_count() const { return tensors_.size(); }
    /// Whether it holds a tensor of that name.
    bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
    /// The tensor of that name, its sizes with the slowest index first (files have them the other way round). Throws
    /// FormatError when it is missing, UnsupportedError for an element type that is not read here.
    Tensor tensor(std::string_view name) const;
    /// Calls f(name) for every tensor, sorted by name.
    template <class F>
    void each_name(const F& f) const {
        for (const auto& [name, entry] : tensors_) f(name);
    }
    /// All names in the order of the file.
    std::vector<std::string> names() const {
        std::vector<std::string> names(tensors_.size());
        for (const auto& [name, entry] : tensors_) names[entry.number] = name;
        return names;
    }

  private:
    struct Entry {
        std::size_t number = 0;  // in the order of the file
        const GgufTensorType* type = nullptr;
        std::vector<std::size_t> shape;
        std::size_t begin = 0, bytes = 0;  // begin: counted from data_begin_
    };
    class Cursor;

    void read_metadata(Cursor& cursor, std::uint64_t count);
    void read_value(Cursor& cursor, GgufValue& value, const std::string& where);
    void read_tensors(Cursor& cursor, std::uint64_t count);
    Entry read_entry(Cursor& cursor, const std::string& where);
    void check_places(const std::map<std::size_t, std::string_view>& by_begin) const;

    std::shared_ptr<const File> file_;  // tensors keep it open
    GgufMetadata metadata_;
    std::size_t alignment_ = 0, data_begin_ = 0;
    std::map<std::string, Entry, std::less<>> tensors_;
};

#if EIGENLM_DEFINE_LARGE
/// Reads a file's beginning from front to back, through a window.
class GgufFile::Cursor {
  public:
    /// Metadata above this is not read: the largest vocabularies with their merges have 20 MB.
    static constexpr std::size_t most = std::size_t{256} << 20;

    /// Before a file's first byte.
    explicit Cursor(const File& file) : file_(file), end_(std::min(file.size(), most)) {}

    /// Bytes read so far.
    std::size_t position() const { return window_begin_ + at_; }
    /// Bytes that may still be read.
    std::size_t left() const { return end_ - position(); }

    /// The next sizeof(T) bytes. `where` names what they are, for the error when they are not there.
    template <class T>
    T number(const std::string& where) {
        T value;
        const std::string_view bytes = take(sizeof(T), where);
        std::memcpy(&value, bytes.data(), sizeof(T));  // little-endian, as this machine
        return value;
    }
    /// A length and so many bytes.
    std::string string(std::size_t longest, const std::string& where) {
        std::string text;
        append(length(longest, where), text, where);
        return text;
    }
    /// A string's length, of bytes that are there.
    std::size_t length(std::size_t longest, const std::string& where) {
        const auto length = number<std::uint64_t>(where);
        if (length > longest)
            throw FormatError(where, "expected a string of at most " + std::to_string(longest) + " bytes, found " +
                                         std::to_string(length));
        check(length, where);
        return static_cast<std::size_t>(length);
    }
    /// Appends `size` bytes, which may be many.
    void append(std::size_t size, std::string& out, const std::string& where) {
        check(size, where);
        for (std::size_t piece; size > 0; size -= piece) {
            piece = std::min(size, window_size);
            out += take(piece, where);
        }
    }
    /// Throws unless `count` times `each` bytes are left.
    void check(std::uint64_t count, const std::string& where, std::size_t each = 1) const {
        if (count <= left() / each) return;
        const std::string size = std::to_string(count) + (each == 1 ? "" : " x " + std::to_string(each)) + " bytes",
                          place = " at byte " + std::to_string(position());
        if (end_ < file_.size())
            throw FormatError(where,
                              "expected metadata of at most " + std::to_string(most) + " bytes, found " + size + place);
        throw FormatError(where, "truncated: expected " + size + place + ", found " + std::to_string(left()));
    }

  private:
    static constexpr std::size_t window_size = std::size_t{1} << 16;

    std::string_view take(std::size_t size, const std::string& where) {  // at most window_size
        check(size, where);
        if (window_.size() - at_ < size) {
            window_begin_ += at_;
            at_ = 0;
            window_ = file_.text(window_begin_, std::min(window_size, end_ - window_begin_));
        }
        at_ += size;
        return std::string_view(window_).substr(at_ - size, size);
    }

    const File& file_;
    std::size_t end_, window_begin_ = 0, at_ = 0;
    std::string window_;  // bytes from window_begin_ on
};

EIGENLM_LARGE GgufFile::GgufFile(const std::filesystem::path& path)
    : file_(std::make_shared<const File>(path)), metadata_(file_->path()) {
    Cursor cursor(*file_);
    const std::string& where = file_->path();
    if (cursor.number<std::uint32_t>(where) != 0x46554747)  // "GGUF"
        throw FormatError(where, "expected a file that begins with \"GGUF\"");
    const auto version = cursor.number<std::uint32_t>(where + ": version");
    if ((version & 0xffff) == 0 && version != 0)
        throw UnsupportedError(where + ": version", "a big-endian file is not supported");
    if (version != 2 && version != 3)
        throw UnsupportedError(where + ": version", "expected 2 or 3, found " + std::to_string(version));
    const auto tensors = cursor.number<std::uint64_t>(where + ": tensor_count");
    const auto pairs = cursor.number<std::uint64_t>(where + ": metadata_kv_count");
    const auto check = [&](const char* field, std::uint64_t count, std::size_t least_bytes) {
        if (count > cursor.left() / least_bytes)
            throw FormatError(where + ": " + field, "expected at most " + std::to_string(cursor.left() / least_bytes) +
                                                        " for the file's size, found " + std::to_string(count));
    };
    check("tensor_count", tensors, 25);     // a name of one byte, no dimension
    check("metadata_kv_count", pairs, 14);  // a key of one byte, a value of one
    read_metadata(cursor, pairs);
    alignment_ = gguf_alignment(metadata_);
    read_tensors(cursor, tensors);
}

EIGENLM_LARGE void GgufFile::read_metadata(Cursor& cursor, std::uint64_t count) {
    constexpr std::size_t longest_key = 65535;  // the format's own limit
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::string place = path() + ": metadata_kv[" + std::to_string(i) + "]";
        std::string key = cursor.string(longest_key, place + ".key");
        if (key.empty()) throw FormatError(place + ".key", "empty");
        const std::string where = metadata_.path(key);
        GgufValue value;
        read_value(cursor, value, where);
        if (!metadata_.insert(std::move(key), std::move(value))) throw FormatError(where, "the same key again");
    }
}

EIGENLM_LARGE void GgufFile::read_value(Cursor& cursor, GgufValue& value, const std::string& where) {
    const auto type = [&](const char* what) {
        const auto number = cursor.number<std::uint32_t>(where);
        if (number >= gguf_types)
            throw FormatError(where, std::string("expected a type of ") + what + " below " +
                                         std::to_string(gguf_types) + ", found " + std::to_string(number));
        return static_cast<GgufType>(number);
    };
    const auto check_truth = [&] {
        for (const char byte : value.bytes)
            if (byte != 0 && byte != 1)
                throw FormatError(where, "expected 0 or 1 for a truth value, found " +
                                             std::to_string(static_cast<unsigned char>(byte)));
    };
    value.type = type("value");
    if (value.type == GgufType::string) {
        value.bytes = cursor.string(Cursor::most, where);
        return;
    }
    if (value.type != GgufType::array) {
        cursor.append(size_of(value.type), value.bytes, where);
        if (value.type == GgufType::boolean) check_truth();
        return;
    }
    value.element = type("element");
    value.count = cursor.number<std::uint64_t>(where);
    if (value.element == GgufType::array) throw UnsupportedError(where, "an array of arrays is not supported");
    const std::size_t least = value.element == GgufType::string ? 8 : size_of(value.element);
    cursor.check(value.count, where, least);
    if (value.element != GgufType::string) {
        cursor.append(static_cast<std::size_t>(value.count) * least, value.bytes, where);
        if (value.element == GgufType::boolean) check_truth();
        return;
    }
    for (std::uint64_t i = 0; i < value.count; ++i) {
        const std::uint64_t length = cursor.length(Cursor::most, where);
        value.bytes.append(reinterpret_cast<const char*>(&length), sizeof(length));
        cursor.append(static_cast<std::size_t>(length), value.bytes, where);
    }
}

EIGENLM_LARGE GgufFile::Entry GgufFile::read_entry(Cursor& cursor, const std::string& where) {
    Entry entry;
    const auto dimensions = cursor.number<std::uint32_t>(where);
    if (dimensions > 4) throw FormatError(where, "expected at most 4 dimensions, found " + std::to_string(dimensions));
    std::size_t elements = 1;
    for (std::uint32_t d = 0; d < dimensions; ++d) {
        entry.shape.insert(entry.shape.begin(), cursor.number<std::uint64_t>(where));
        if (entry.shape.front() == 0) throw FormatError(where, "a dimension of 0");
        if (__builtin_mul_overflow(elements, entry.shape.front(), &elements))
            throw FormatError(where, "size overflows: " + to_string(entry.shape));
    }
    const auto number = cursor.number<std::uint32_t>(where);
    entry.begin = cursor.number<std::uint64_t>(where);
    entry.type = std::ranges::find(gguf_tensor_types, number, &GgufTensorType::number);
    if (entry.type == std::end(gguf_tensor_types))
        throw UnsupportedError(where, "elements of type " + std::to_string(number) + " are not known");
    const std::size_t row = entry.shape.empty() ? 1 : entry.shape.back(), block = entry.type->block_elements;
    if (row % block != 0)
        throw FormatError(where, "expected rows of a multiple of " + std::to_string(block) + " elements for " +
                                     entry.type->name + ", found " + std::to_string(row));
    if (__builtin_mul_overflow(elements / block, entry.type->block_bytes, &entry.bytes))
        throw FormatError(where, "size overflows: " + to_string(entry.shape));
    if (entry.begin % alignment_ != 0)
        throw FormatError(where, "expected an offset that is a multiple of " + std::to_string(alignment_) + ", found " +
                                     std::to_string(entry.begin));
    return entry;
}

EIGENLM_LARGE void GgufFile::read_tensors(Cursor& cursor, std::uint64_t count) {
    constexpr std::size_t longest_name = 1024;  // ggml's own limit is 64
    std::map<std::size_t, std::string_view> by_begin;
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::string place = path() + ": tensor[" + std::to_string(i) + "]";
        std::string name = cursor.string(longest_name, place + ".name");
        if (name.empty()) throw FormatError(place + ".name", "empty");
        const std::string where = path() + ": " + name;
        const auto [it, is_new] = tensors_.emplace(std::move(name), read_entry(cursor, where));
        it->second.number = static_cast<std::size_t>(i);
        if (!is_new) throw FormatError(where, "the same tensor again");
        if (const auto [other, free] = by_begin.emplace(it->second.begin, it->first); !free)
            throw FormatError(where, "begins where " + std::string(other->second) + " does");
    }
    data_begin_ = round_up(cursor.position(), alignment_);
    check_places(by_begin);
}

/// Every tensor lies within the file, and no two overlap.
EIGENLM_LARGE void GgufFile::check_places(const std::map<std::size_t, std::string_view>& by_begin) const {
    const std::size_t there = file_->size() > data_begin_ ? file_->size() - data_begin_ : 0;
    std::size_t covered = 0;
    for (const auto& [begin, name] : by_begin) {
        const Entry& entry = tensors_.find(name)->second;
        const std::string where = path() + ": " + std::string(name);
        if (begin < covered)
            throw FormatError(where, "expected to begin at byte " + std::to_string(covered) +
                                         " or later, where the tensor before it ends, found " + std::to_string(begin));
        if (begin > there || entry.bytes > there - begin)
            throw FormatError(where, "expected to lie within the file's " + std::to_string(there) +
                                         " data bytes, found " + std::to_string(entry.bytes) + " at " +
                                         std::to_string(begin) + " (file truncated?)");
        covered = begin + entry.bytes;
    }
}

EIGENLM_LARGE Tensor GgufFile::tensor(std::string_view name) const {
    const std::string where = path() + ": " + std::string(name);
    const auto it = tensors_.find(name);
    if (it == tensors_.end()) throw FormatError(where, "tensor is missing");
    const Entry& entry = it->second;
    if (!entry.type->dtype)
        throw UnsupportedError(where, std::string("elements of type ") + entry.type->name + " are not supported");
    const Dtype dtype = *entry.type->dtype;
    const std::size_t begin = data_begin_ + entry.begin;
    return {where, dtype, entry.shape, [file = file_, begin, dtype](std::size_t first, std::span<std::byte> out) {
                file->read(begin + bytes_of(dtype, first), out);
            }};
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI
