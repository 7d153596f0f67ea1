#pragma once
// A Hugging Face model folder: config.json, generation_config.json, weights in one safetensors file or several.
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "shards.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// An opened model folder.
class Checkpoint {
  public:
    /// Throws IoError when the folder or a file in it is missing, FormatError when one is broken, and UnsupportedError
    /// for kinds of checkpoints that this library does not read.
    static Checkpoint open(const std::filesystem::path& folder) {
        require_folder(folder);
        return Checkpoint(folder);
    }

    const std::filesystem::path& folder() const { return folder_; }
    std::string config_path() const { return (folder_ / "config.json").string(); }
    std::string generation_config_path() const { return (folder_ / "generation_config.json").string(); }
    const nlohmann::json& config() const { return config_; }
    /// generation_config.json's content; null where the folder has none.
    const nlohmann::json& generation_config() const { return generation_config_; }
    const TensorSource& tensors() const { return *tensors_; }

  private:
    explicit Checkpoint(const std::filesystem::path& folder)
        : folder_(folder), config_(read_json(folder / "config.json")), tensors_(open_weights(folder)) {
        const auto path = folder / "generation_config.json";
        std::error_code ignored;
        if (std::filesystem::exists(path, ignored)) generation_config_ = read_json(path);
    }

    static void require_folder(const std::filesystem::path& folder) {
        std::error_code ignored;
        const auto status = std::filesystem::status(folder, ignored);
        if (std::filesystem::is_directory(status)) return;
        if (!std::filesystem::exists(status)) throw IoError(folder.string(), "no such folder");
        if (folder.extension() == ".gguf") throw UnsupportedError(folder.string(), "GGUF files are not supported");
        throw IoError(folder.string(), "expected a Hugging Face model folder, found a file");
    }
    static std::unique_ptr<const TensorSource> open_weights(const std::filesystem::path& folder) {
        const auto file = folder / "model.safetensors", index = folder / "model.safetensors.index.json",
                   pickle = folder / "pytorch_model.bin";
        const auto exists = [](const std::filesystem::path& path) {
            std::error_code ignored;
            return std::filesystem::exists(path, ignored);
        };
        if (exists(file)) return std::make_unique<SafetensorsFile>(file);
        if (exists(index)) return std::make_unique<ShardedTensors>(index);
        if (exists(pickle))
            throw UnsupportedError(pickle.string(), "pickled weights are not supported (expected model.safetensors)");
        throw IoError(file.string(), "No such file, and no model.safetensors.index.json");
    }

    std::filesystem::path folder_;
    nlohmann::json config_;
    nlohmann::json generation_config_;
    std::unique_ptr<const TensorSource> tensors_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
