#pragma once
// Safetensors files written by the tests themselves: good ones, and ones that are broken in one place.
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// A safetensors file with this header, whatever it says, and these data bytes.
inline std::string safetensors_file(std::string_view header, std::string_view data = {}) {
    const std::uint64_t size = header.size();
    std::string file(8, '\0');
    std::memcpy(file.data(), &size, 8);  // both are little-endian
    return file.append(header).append(data);
}

struct StoredTensor {
    std::string dtype;
    std::vector<std::size_t> shape;
    std::string bytes;
};
using StoredTensors = std::map<std::string, StoredTensor>;

/// A well-formed file with these tensors.
inline std::string safetensors_file(const StoredTensors& tensors) {
    nlohmann::json header = {{"__metadata__", {{"format", "pt"}}}};
    std::string data;
    for (const auto& [name, t] : tensors) {
        header[name] = {
            {"dtype", t.dtype}, {"shape", t.shape}, {"data_offsets", {data.size(), data.size() + t.bytes.size()}}};
        data += t.bytes;
    }
    return safetensors_file(header.dump(), data);
}

/// The tensors of a well-formed file.
inline StoredTensors read_tensors(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    const std::string file{std::istreambuf_iterator<char>(stream), {}};
    std::uint64_t size = 0;
    std::memcpy(&size, file.data(), 8);
    StoredTensors tensors;
    const auto header = nlohmann::json::parse(file.substr(8, size));
    for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__") continue;
        const auto begin = entry["data_offsets"][0].get<std::size_t>(),
                   end = entry["data_offsets"][1].get<std::size_t>();
        tensors[name] = {entry["dtype"], entry["shape"], file.substr(8 + size + begin, end - begin)};
    }
    return tensors;
}

}  // namespace support
