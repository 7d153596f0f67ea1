#pragma once
// The safetensors format: 8 bytes of header length, a JSON header, then the tensors' bytes without gaps.
// https://huggingface.co/docs/safetensors
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "file.hpp"
#include "json.hpp"
#include "tensor.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// A safetensors file, checked whole when it is opened: every length, type, shape and offset.
class SafetensorsFile final : public TensorSource {
  public:
    /// Throws IoError or FormatError, naming the file and the tensor.
    explicit SafetensorsFile(const std::filesystem::path& path) : file_(std::make_shared<const File>(path)) {
        const std::size_t header_size = read_header_size();
        data_begin_ = 8 + header_size;
        data_size_ = file_->size() - data_begin_;
        const nlohmann::json json = parse_json(file_->text(8, header_size), file_->path());
        if (!json.is_object()) throw FormatError(file_->path(), "expected the header to be a JSON object");
        for (const auto& [name, entry] : json.items())
            if (name != "__metadata__") add_entry(name, entry);
        check_coverage();
    }

    /// The path it was opened with.
    const std::string& path() const { return file_->path(); }
    /// How many tensors the file holds.
    std::size_t tensor_count() const { return entries_.size(); }
    /// Whether it holds a tensor of that name.
    bool contains(std::string_view name) const override { return entries_.find(name) != entries_.end(); }

    /// The tensor of that name. FormatError when it is missing, has another shape, or a type that is no float.
    Tensor tensor(std::string_view name, std::span<const std::size_t> shape) const override {
        Tensor found = tensor(name);
        if (!std::ranges::equal(found.shape, shape))
            throw FormatError(found.where, "expected shape " + to_string(shape) + ", found " + to_string(found.shape));
        if (found.dtype == Dtype::i32)
            throw FormatError(found.where,
                              "expected dtype F32, F16 or BF16, found " + std::string(to_string(found.dtype)));
        return found;
    }
    /// The tensor of that name, whatever its shape and type. Throws UnsupportedError on a dtype that is none of
    /// Dtype's.
    Tensor tensor(std::string_view name) const {
        const std::string where = file_->path() + ": " + std::string(name);
        const auto it = entries_.find(name);
        if (it == entries_.end()) throw FormatError(where, "tensor is missing");
        const Entry& entry = it->second;
        const auto dtype = dtype_from_string(entry.dtype);
        if (!dtype)
            throw UnsupportedError(where, "dtype " + entry.dtype + " is not supported (expected F32, F16 or BF16)");
        const std::size_t begin = data_begin_ + entry.begin, element = bytes_of(*dtype, 1);
        return {where, *dtype, entry.shape,
                [file = file_, begin, element](std::size_t first, std::span<std::byte> out) {
                    file->read(begin + first * element, out);
                }};
    }

  private:
    struct Entry {
        std::string dtype;
        std::vector<std::size_t> shape;
        std::size_t begin = 0, end = 0;  // counted from data_begin_
    };

    /// Bytes per element of every dtype the format has, 0 for an unknown one.
    static std::size_t element_size(std::string_view dtype) {
        static constexpr std::pair<const char*, std::size_t> sizes[] = {
            {"F64", 8},  {"I64", 8}, {"U64", 8},         {"F32", 4},         {"I32", 4},     {"U32", 4},     {"F16", 2},
            {"BF16", 2}, {"I16", 2}, {"U16", 2},         {"BOOL", 1},        {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I8", 1},
            {"U8", 1},   {"C64", 8}, {"F8_E4M3FNUZ", 1}, {"F8_E5M2FNUZ", 1}, {"F8_E8M0", 1},
        };
        for (const auto& [name, size] : sizes)
            if (dtype == name) return size;
        return 0;
    }

    std::size_t read_header_size() const {
        constexpr std::size_t most = 100'000'000;  // the format's own limit
        if (file_->size() < 8)
            throw FormatError(file_->path(),
                              "truncated: expected at least 8 bytes, found " + std::to_string(file_->size()));
        std::uint64_t size = 0;  // little-endian, as this machine
        file_->read(0, std::as_writable_bytes(std::span(&size, 1)));
        if (size > file_->size() - 8)
            throw FormatError(file_->path(), "truncated: expected a header of " + std::to_string(size) +
                                                 " bytes, found " + std::to_string(file_->size() - 8));
        if (size > most)
            throw FormatError(file_->path(), "expected a header of at most " + std::to_string(most) + " bytes, found " +
                                                 std::to_string(size));
        return static_cast<std::size_t>(size);
    }

    void add_entry(const std::string& name, const nlohmann::json& json) {
        const JsonObject fields(json, file_->path() + ": " + name);
        Entry entry;
        entry.dtype = fields.string("dtype");
        std::size_t bytes = element_size(entry.dtype);
        if (bytes == 0) throw FormatError(fields.path("dtype"), "unknown dtype \"" + entry.dtype.substr(0, 80) + "\"");
        for (const auto& n : fields.array("shape")) {
            if (!n.is_number_unsigned())
                throw FormatError(fields.path("shape"), "expected whole numbers, found " + n.dump());
            entry.shape.push_back(n.get<std::size_t>());
            if (__builtin_mul_overflow(bytes, entry.shape.back(), &bytes))
                throw FormatError(fields.path("shape"), "size overflows: " + to_string(entry.shape));
        }
        const auto& offsets = fields.array("data_offsets");
        if (offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned())
            throw FormatError(fields.path("data_offsets"), "expected two whole numbers, found " + offsets.dump());
        entry.begin = offsets[0].get<std::size_t>();
        entry.end = offsets[1].get<std::size_t>();
        if (entry.begin > entry.end || entry.end > data_size_)
            throw FormatError(fields.path("data_offsets"), "expected a range within the file's " +
                                                               std::to_string(data_size_) + " data bytes, found " +
                                                               offsets.dump() + " (file truncated?)");
        if (entry.end - entry.begin != bytes)
            throw FormatError(fields.path("data_offsets"), "expected " + std::to_string(bytes) + " bytes for " +
                                                               entry.dtype + " " + to_string(entry.shape) + ", found " +
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
                throw FormatError(file_->path() + ": " + *name + ".data_offsets",
                                  "expected to begin at byte " + std::to_string(covered) +
                                      ", where the tensor before it ends, found " + std::to_string(entry->begin));
            covered = entry->end;
        }
        if (covered != data_size_)
            throw FormatError(file_->path(), "expected tensors to fill the file's " + std::to_string(data_size_) +
                                                 " data bytes, found " + std::to_string(covered));
    }

    std::shared_ptr<const File> file_;  // tensors keep it open
    std::size_t data_begin_ = 0, data_size_ = 0;
    std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
