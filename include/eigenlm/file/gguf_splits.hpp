#pragma once
// A GGUF model in one file or in several: "x-00001-of-00003.gguf" and its siblings.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gguf.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// All files of a model. The first one has the metadata.
class GgufFiles {
  public:
    /// Opens `path` and, where it is one of several, those beside it. Throws what GgufFile throws, IoError naming a
    /// sibling that is missing, FormatError for files that do not belong together.
    explicit GgufFiles(const std::filesystem::path& path);

    /// The path of the file that has the metadata.
    const std::string& path() const { return files_.front().path(); }
    /// How many files there are.
    std::size_t file_count() const { return files_.size(); }
    /// The files, in their own order.
    const std::vector<GgufFile>& files() const { return files_; }
    /// Everything but the tensors.
    const GgufMetadata& metadata() const { return files_.front().metadata(); }
    /// Whether there is a tensor of that name.
    bool contains(std::string_view name) const { return find(name) != nullptr; }
    /// The tensor of that name; errors as GgufFile::tensor's.
    Tensor tensor(std::string_view name) const {
        const GgufFile* const file = find(name);
        return (file != nullptr ? *file : files_.front()).tensor(name);
    }
    /// Calls f(name) for every tensor.
    template <class F>
    void each_name(const F& f) const {
        for (const GgufFile& file : files_) file.each_name(f);
    }

  private:
    const GgufFile* find(std::string_view name) const {
        for (const GgufFile& file : files_)
            if (file.contains(name)) return &file;
        return nullptr;
    }
    void open_siblings(const std::filesystem::path& path, std::size_t number, std::size_t count);
    void check_tensors() const;

    std::vector<GgufFile> files_;
};

#if EIGENLM_DEFINE_LARGE
namespace detail {

/// split.no and split.count of a file; {0, 1} for one that stands alone.
inline std::pair<std::size_t, std::size_t> split_of(const GgufMetadata& metadata) {
    constexpr std::int64_t most = 9999;                                         // files are open all at once
    const std::int64_t count = metadata.integer_or("split.count", 1, 0, most);  // 0, too, says that there is no other
    if (count <= 1) return {0, 1};
    return {static_cast<std::size_t>(metadata.integer("split.no", 0, count - 1)), static_cast<std::size_t>(count)};
}

/// "-00002-of-00003.gguf" for 1 and 3.
inline std::string split_ending(std::size_t number, std::size_t count) {
    char text[64];
    std::snprintf(text, sizeof(text), "-%05zu-of-%05zu.gguf", number + 1, count);
    return text;
}

}  // namespace detail

EIGENLM_LARGE GgufFiles::GgufFiles(const std::filesystem::path& path) {
    GgufFile opened(path);
    const auto [number, count] = detail::split_of(opened.metadata());
    if (count == 1)
        files_.push_back(std::move(opened));
    else
        open_siblings(path, number, count);
}

EIGENLM_LARGE void GgufFiles::open_siblings(const std::filesystem::path& path, std::size_t number, std::size_t count) {
    const std::string name = path.filename().string(), ending = detail::split_ending(number, count);
    if (!name.ends_with(ending))
        throw FormatError(path.string() + ": split.no", "expected the name of a file that is number " +
                                                            std::to_string(number + 1) + " of " +
                                                            std::to_string(count) + " to end in \"" + ending + "\"");
    const std::string stem = name.substr(0, name.size() - ending.size());
    for (std::size_t i = 0; i < count; ++i) {
        files_.emplace_back(path.parent_path() / (stem + detail::split_ending(i, count)));
        const GgufMetadata& metadata = files_.back().metadata();
        if (detail::split_of(metadata) != std::pair(i, count))
            throw FormatError(metadata.path("split.no"), "expected file " + std::to_string(i) + " of " +
                                                             std::to_string(count) + ", counted from 0");
    }
    check_tensors();
}

/// No tensor is in two files, and none is lost.
EIGENLM_LARGE void GgufFiles::check_tensors() const {
    std::map<std::string_view, const GgufFile*> owners;
    for (const GgufFile& file : files_)
        file.each_name([&](const std::string& name) {
            const auto [it, is_new] = owners.emplace(name, &file);
            if (!is_new) throw FormatError(file.path() + ": " + name, "is in " + it->second->path() + ", too");
        });
    const auto found = static_cast<std::int64_t>(owners.size());
    if (metadata().integer_or("split.tensors.count", found, 0, INT64_MAX) != found)
        throw FormatError(metadata().path("split.tensors.count"),
                          "expected " + std::to_string(found) + ", as many tensors as the files have");
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI
