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

    /// The folder it was opened with.
    const std::filesystem::path& folder() const { return folder_; }
    /// Where config.json lies, for messages.
    std::string config_path() const { return (folder_ / "config.json").string(); }
    /// Where generation_config.json would lie, for messages.
    std::string generation_config_path() const { return (folder_ / "generation_config.json").string(); }
    /// config.json's content; read_config makes a ModelConfig of it.
    const nlohmann::json& config() const { return config_; }
    /// generation_config.json's content; null where the folder has none.
    const nlohmann::json& generation_config() const { return generation_config_; }
    /// The weights, read only when they are asked for.
    const TensorSource& tensors() const { return *tensors_; }

  private:
    explicit Checkpoint(const std::filesystem::path& folder)
        : folder_(folder), config_(read_json(folder / "config.json")), tensors_(open_weights(folder)) {
        const auto path = folder / "generation_config.json";
        if (!is_there(path)) return;
        generation_config_ = read_json(path);
        JsonObject(generation_config_, path.string());  // null would stand for no file
    }

    /// Also for a link to nothing: what is there and cannot be read is an error, and not the same as no file.
    static bool is_there(const std::filesystem::path& path) {
        std::error_code ignored;
        return std::filesystem::exists(std::filesystem::symlink_status(path, ignored));
    }

    static void require_folder(const std::filesystem::path& folder) {
        std::error_code ignored;
        const auto status = std::filesystem::status(folder, ignored);
        if (std::filesystem::is_directory(status)) return;
        if (!std::filesystem::exists(status)) throw IoError(folder.string(), "no such folder");
        throw IoError(folder.string(), "expected a model folder or a GGUF file, found a file of another kind");
    }
    static std::unique_ptr<const TensorSource> open_weights(const std::filesystem::path& folder) {
        const auto file = folder / "model.safetensors", index = folder / "model.safetensors.index.json",
                   pickle = folder / "pytorch_model.bin";
        if (is_there(file)) return std::make_unique<SafetensorsFile>(file);
        if (is_there(index)) return std::make_unique<ShardedTensors>(index);
        if (is_there(pickle))
            throw UnsupportedError(pickle.string(), "pickled weights are not supported (expected model.safetensors)");
        throw IoError(file.string(), "No such file, and no model.safetensors.index.json");
    }

    std::filesystem::path folder_;
    nlohmann::json config_;
    nlohmann::json generation_config_;
    std::unique_ptr<const TensorSource> tensors_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
