#pragma once
// The safetensors format: 8 bytes of header length, a JSON header, then the tensors' bytes without gaps.
// https://huggingface.co/docs/safetensors
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/types.hpp"
#include "json.hpp"
#include "mapped_file.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Element types that files hold and this library reads.
enum class Dtype { f32, f16, bf16, i32 };

constexpr const char* to_string(Dtype dtype) {
    constexpr const char* names[] = {"F32", "F16", "BF16", "I32"};
    return names[static_cast<int>(dtype)];
}
constexpr std::size_t size_of(Dtype dtype) { return dtype == Dtype::f32 || dtype == Dtype::i32 ? 4 : 2; }

inline std::optional<Dtype> dtype_from_string(std::string_view name) {
    for (const Dtype d : {Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::i32})
        if (name == to_string(d)) return d;
    return std::nullopt;
}

/// "[3, 4]"
inline std::string to_string(std::span<const std::size_t> shape) {
    std::string text = "[";
    for (const std::size_t n : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
    return text + "]";
}

/// A tensor inside a mapped file: its type, its shape, and its bytes, which no alignment is promised for.
struct TensorView {
    std::string where;  // "path: tensor name", for messages
    Dtype dtype = Dtype::f32;
    std::vector<std::size_t> shape;
    std::span<const std::byte> bytes;

    /// Elements [first, first + out.size()) in row-major order, as floats (16-bit types widened exactly).
    void read(std::size_t first, std::span<float> out) const {
        const std::byte* const from = bytes.data() + first * size_of(dtype);
        if (dtype == Dtype::f32) {
            if (!out.empty()) std::memcpy(out.data(), from, out.size() * 4);
            return;
        }
        const auto widen = dtype == Dtype::bf16 ? bf16_to_f32 : f16_to_f32;
        for (std::size_t i = 0; i < out.size(); ++i) {
            std::uint16_t bits;
            std::memcpy(&bits, from + i * 2, 2);
            out[i] = widen(bits);
        }
    }
};

/// A safetensors file, checked whole when it is opened: every length, type, shape and offset.
class SafetensorsFile {
  public:
    /// Throws IoError or FormatError, naming the file and the tensor.
    explicit SafetensorsFile(const std::filesystem::path& path) : file_(path) {
        const std::size_t header_size = read_header_size();
        const std::string_view header = file_.text().substr(8, header_size);
        data_ = file_.bytes().subspan(8 + header_size);
        const nlohmann::json json = parse_json(header, file_.path());
        if (!json.is_object()) throw FormatError(file_.path(), "expected the header to be a JSON object");
        for (const auto& [name, entry] : json.items())
            if (name != "__metadata__") add_entry(name, entry);
        check_coverage();
    }

    const std::string& path() const { return file_.path(); }
    std::size_t tensor_count() const { return entries_.size(); }
    bool contains(std::string_view name) const { return entries_.find(name) != entries_.end(); }

    /// The tensor of that name. FormatError when it is missing, has another shape, or a type that is no float.
    TensorView tensor(std::string_view name, std::span<const std::size_t> shape) const {
        TensorView view = tensor(name);
        if (!std::ranges::equal(view.shape, shape))
            throw FormatError(view.where, "expected shape " + to_string(shape) + ", found " + to_string(view.shape));
        if (view.dtype == Dtype::i32)
            throw FormatError(view.where, "expected dtype F32, F16 or BF16, found " + std::string(to_string(view.dtype)));
        return view;
    }
    /// The tensor of that name, whatever its shape and type. Throws UnsupportedError on a dtype that is none of Dtype's.
    TensorView tensor(std::string_view name) const {
        const std::string where = file_.path() + ": " + std::string(name);
        const auto it = entries_.find(name);
        if (it == entries_.end()) throw FormatError(where, "tensor is missing");
        const Entry& entry = it->second;
        const auto dtype = dtype_from_string(entry.dtype);
        if (!dtype)
            throw UnsupportedError(where, "dtype " + entry.dtype + " is not supported (expected F32, F16 or BF16)");
        return {where, *dtype, entry.shape, data_.subspan(entry.begin, entry.end - entry.begin)};
    }

  private:
    struct Entry {
        std::string dtype;
        std::vector<std::size_t> shape;
        std::size_t begin = 0, end = 0;  // in data_
    };

    /// Bytes per element of every dtype the format has, 0 for an unknown one.
    static std::size_t element_size(std::string_view dtype) {
        static constexpr std::pair<const char*, std::size_t> sizes[] = {
            {"F64", 8}, {"I64", 8}, {"U64", 8},  {"F32", 4},     {"I32", 4},     {"U32", 4}, {"F16", 2}, {"BF16", 2},
            {"I16", 2}, {"U16", 2}, {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I8", 1},  {"U8", 1},
        };
        for (const auto& [name, size] : sizes)
            if (dtype == name) return size;
        return 0;
    }

    std::size_t read_header_size() const {
        const auto bytes = file_.bytes();
        if (bytes.size() < 8)
            throw FormatError(file_.path(), "truncated: expected at least 8 bytes, found " + std::to_string(bytes.size()));
        std::uint64_t size = 0;
        std::memcpy(&size, bytes.data(), 8);
        if (size > bytes.size() - 8)
            throw FormatError(file_.path(), "truncated: expected a header of " + std::to_string(size) + " bytes, found " +
                                                std::to_string(bytes.size() - 8));
        return static_cast<std::size_t>(size);
    }

    void add_entry(const std::string& name, const nlohmann::json& json) {
        const JsonObject fields(json, file_.path() + ": " + name);
        Entry entry;
        entry.dtype = fields.string("dtype");
        std::size_t bytes = element_size(entry.dtype);
        if (bytes == 0) throw FormatError(fields.path("dtype"), "unknown dtype \"" + entry.dtype.substr(0, 80) + "\"");
        for (const auto& n : fields.array("shape")) {
            if (!n.is_number_unsigned()) throw FormatError(fields.path("shape"), "expected whole numbers, found " + n.dump());
            entry.shape.push_back(n.get<std::size_t>());
            if (__builtin_mul_overflow(bytes, entry.shape.back(), &bytes))
                throw FormatError(fields.path("shape"), "size overflows: " + to_string(entry.shape));
        }
        const auto& offsets = fields.array("data_offsets");
        if (offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned())
            throw FormatError(fields.path("data_offsets"), "expected two whole numbers, found " + offsets.dump());
        entry.begin = offsets[0].get<std::size_t>();
        entry.end = offsets[1].get<std::size_t>();
        if (entry.begin > entry.end || entry.end > data_.size())
            throw FormatError(fields.path("data_offsets"), "expected a range within the file's " + std::to_string(data_.size()) +
                                                               " data bytes, found " + offsets.dump() + " (file truncated?)");
        if (entry.end - entry.begin != bytes)
            throw FormatError(fields.path("data_offsets"), "expected " + std::to_string(bytes) + " bytes for " + entry.dtype +
                                                               " " + to_string(entry.shape) + ", found " +
                                                               std::to_string(entry.end - entry.begin));
        entries_.emplace(name, std::move(entry));
    }

    /// The format allows neither overlaps nor bytes that belong to no tensor.
    void check_coverage() const {
        std::vector<std::pair<const Entry*, const std::string*>> order;
        for (const auto& [name, entry] : entries_) order.emplace_back(&entry, &name);
        std::ranges::sort(order, {}, [](const auto& e) { return std::pair(e.first->begin, e.first->end); });
        std::size_t covered = 0;
        for (const auto& [entry, name] : order) {
            if (entry->begin != covered)
                throw FormatError(file_.path() + ": " + *name + ".data_offsets",
                                  "expected to begin at byte " + std::to_string(covered) +
                                      ", where the tensor before it ends, found " + std::to_string(entry->begin));
            covered = entry->end;
        }
        if (covered != data_.size())
            throw FormatError(file_.path(), "expected tensors to fill the file's " + std::to_string(data_.size()) +
                                                " data bytes, found " + std::to_string(covered));
    }

    MappedFile file_;
    std::span<const std::byte> data_;
    std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
