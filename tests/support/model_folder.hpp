#pragma once
// A golden's folder, made to be broken.
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "expect_error.hpp"
#include "golden.hpp"
#include "stored_tensors.hpp"
#include "temporary_folder.hpp"

namespace support {

inline eigenlm::ModelOptions portable() { return {.threads = 1, .isa = eigenlm::Isa::portable}; }

/// A good folder, made to be broken.
class ModelFolder : public TemporaryFolder {
  public:
    explicit ModelFolder(const std::string& golden = "qwen2-untied") {
        for (const char* name : {"config.json", "generation_config.json", "model.safetensors"})
            std::filesystem::copy(golden_dir(golden) / name, *this / name);
    }
    void remove(const std::string& name) const { std::filesystem::remove(*this / name); }
    void rename(const std::string& from, const std::string& to) const {
        std::filesystem::rename(*this / from, *this / to);
    }
    void set(const std::string& key, const nlohmann::json& value) const {
        auto config = nlohmann::json::parse(read("config.json"));
        config[key] = value;
        write("config.json", config.dump());
    }
    void change_tensors(const std::function<void(StoredTensors&)>& change) const {
        StoredTensors tensors = read_tensors(*this / "model.safetensors");
        change(tensors);
        write("model.safetensors", safetensors_file(tensors));
    }
};

/// Fails unless the folder is refused with these words in the message, its path among them.
template <class Error>
void expect_refused(const ModelFolder& folder, std::initializer_list<std::string_view> words) {
    const auto load = [&] { load_model(folder.path(), portable()); };
    expect_error<Error>(load, words);
    expect_error<Error>(load, {folder.path().string()});
}

}  // namespace support
