#pragma once
// GGUF files: those of tools/make_gguf_goldens.py, and ones written by the tests themselves.
#include <cstdint>
#include <cstring>
#include <eigenlm/eigenlm.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "golden.hpp"

namespace support {

inline std::filesystem::path gguf_golden(const std::string& name) { return data_dir() / "gguf" / (name + ".gguf"); }

/// A GGUF file's model without its tokenizer; in f32 unless the options say otherwise.
inline std::shared_ptr<const eigenlm::Model> load_gguf_model(const std::filesystem::path& path,
                                                             eigenlm::ModelOptions options = {}) {
    options.dtype = options.dtype.value_or(eigenlm::WeightType::f32);
    const eigenlm::GgufFiles files(path);
    const eigenlm::ModelConfig config = eigenlm::read_config(files);
    return std::make_shared<const eigenlm::Model>(config, eigenlm::GgufTensors(files, config), options);
}

/// The bytes of a GGUF file, piece by piece; nothing is checked, so that they may be wrong.
class GgufBytes {
  public:
    using Type = eigenlm::GgufType;

    template <class T>
    static std::string number(T value) {
        std::string bytes(sizeof(T), '\0');
        std::memcpy(bytes.data(), &value, sizeof(T));  // little-endian, as this machine
        return bytes;
    }
    static std::string text(std::string_view text) { return number(std::uint64_t{text.size()}).append(text); }
    static std::string type(Type type) { return number(static_cast<std::uint32_t>(type)); }

    /// A pair of a key and a value that is bytes already, its type in front.
    GgufBytes& pair(std::string_view key, const std::string& value) {
        pairs_ += text(key) + value;
        ++pair_count;
        return *this;
    }
    GgufBytes& set(std::string_view key, std::uint32_t value) { return pair(key, type(Type::u32) + number(value)); }
    GgufBytes& set(std::string_view key, float value) { return pair(key, type(Type::f32) + number(value)); }
    GgufBytes& set(std::string_view key, bool value) { return pair(key, type(Type::boolean) + number(value)); }
    GgufBytes& set(std::string_view key, const char* value) { return pair(key, type(Type::string) + text(value)); }
    GgufBytes& set(std::string_view key, const std::vector<std::string>& values) {
        std::string bytes = array(Type::string, values.size());
        for (const std::string& value : values) bytes += text(value);
        return pair(key, bytes);
    }
    template <class T>
    GgufBytes& set(std::string_view key, const std::vector<T>& values) {
        std::string bytes = array(std::is_same_v<T, float> ? Type::f32 : Type::i32, values.size());
        for (const T value : values) bytes += number(value);
        return pair(key, bytes);
    }
    static std::string array(Type element, std::uint64_t count) {
        return type(Type::array) + type(element) + number(count);
    }
    /// A tensor, its sizes as files have them: the fastest first.
    GgufBytes& tensor(std::string_view name, const std::vector<std::uint64_t>& sizes, std::uint32_t type,
                      std::uint64_t offset) {
        infos_ += text(name) + number(static_cast<std::uint32_t>(sizes.size()));
        for (const std::uint64_t size : sizes) infos_ += number(size);
        infos_ += number(type) + number(offset);
        ++tensor_count;
        return *this;
    }
    GgufBytes& data(std::string bytes) {
        data_ = std::move(bytes);
        return *this;
    }
    std::string file(std::size_t alignment = 32) const {
        std::string file = magic + number(version) + number(tensor_count) + number(pair_count) + pairs_ + infos_;
        if (tensor_count > 0) file.resize(eigenlm::round_up(file.size(), alignment));
        return file + data_;
    }

    std::string magic = "GGUF";
    std::uint32_t version = 3;
    std::uint64_t tensor_count = 0, pair_count = 0;

  private:
    std::string pairs_, infos_, data_;
};

}  // namespace support
