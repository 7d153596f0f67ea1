#pragma once
// A checkpoint in several safetensors files, and the index that says which tensor is where.
#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "safetensors.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// The JSON file at `path`, parsed. Throws IoError or FormatError naming it.
inline nlohmann::json read_json(const std::filesystem::path& path) {
    return parse_json(read_text(path), path.string());
}

/// The tensors that a model.safetensors.index.json lists, in the files beside it.
class ShardedTensors final : public TensorSource {
  public:
    /// Opens the index and every file it names, and checks that each holds what the index says. Throws IoError or
    /// FormatError.
    explicit ShardedTensors(const std::filesystem::path& index) : index_(index.string()) {
        const nlohmann::json content = read_json(index);
        const auto map = JsonObject(content, index_).object("weight_map");
        if (!map) throw FormatError(index_ + ": weight_map", "required field is missing");
        std::map<std::string, std::size_t> numbers;  // file name -> its place in files_
        for (const auto& [name, file] : map->raw().items()) {
            const std::string file_name = map->string(name.c_str());
            check_file_name(*map, name, file_name);
            const auto [it, is_new] = numbers.emplace(file_name, files_.size());
            if (is_new) files_.emplace_back(index.parent_path() / file_name);
            if (!files_[it->second].contains(name))
                throw FormatError(files_[it->second].path() + ": " + name,
                                  "tensor is missing, expected it where " + index_ + " says");
            places_.emplace(name, it->second);
        }
    }

    /// How many files the index names.
    std::size_t file_count() const { return files_.size(); }
    /// Out of the file that the index names; errors as SafetensorsFile::tensor's.
    Tensor tensor(std::string_view name, std::span<const std::size_t> shape) const override {
        const auto place = places_.find(name);
        if (place == places_.end()) throw FormatError(index_ + ": " + std::string(name), "tensor is missing");
        return files_[place->second].tensor(name, shape);
    }

    bool contains(std::string_view name) const override { return places_.find(name) != places_.end(); }

  private:
    /// Files lie beside their index: nobody else's file is read because an index names it.
    static void check_file_name(const JsonObject& map, const std::string& tensor, const std::string& name) {
        if (name.empty() || name == "." || name == ".." ||
            name.find_first_of(std::string_view("/\0", 2)) != std::string::npos)
            throw FormatError(map.path(tensor.c_str()),
                              "expected the name of a file in the same folder, found " + detail::json_excerpt(name));
    }

    std::string index_;
    std::vector<SafetensorsFile> files_;
    std::map<std::string, std::size_t, std::less<>> places_;  // tensor -> its file's place in files_
};

}  // namespace eigenlm::inline EIGENLM_ABI
