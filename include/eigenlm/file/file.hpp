#pragma once
// A file's bytes, read piece by piece.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "../base/error.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// A regular file, open for reading. It is read, not mapped: a file that another process cuts off meanwhile is then an
/// error and not the end of ours, and its pages do not count as our memory beside the weights packed from them.
class File {
  public:
    /// Throws IoError when the file is missing, unreadable or not a regular file.
    explicit File(const std::filesystem::path& path) : path_(path.string()) {
        descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not block us
        if (descriptor_ < 0) throw IoError(path_, std::string("cannot open: ") + std::strerror(errno));
        struct stat info {};
        if (::fstat(descriptor_, &info) != 0 || !S_ISREG(info.st_mode)) {
            ::close(descriptor_);
            throw IoError(path_, "expected a regular file");
        }
        size_ = static_cast<std::size_t>(info.st_size);
    }
    /// Leaves `other` closed: reading from it is an IoError.
    File(File&& other) noexcept
        : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}
    /// Swaps the two.
    File& operator=(File&& other) noexcept {
        std::swap(path_, other.path_);
        std::swap(descriptor_, other.descriptor_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~File() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }

    /// The path it was opened with.
    const std::string& path() const { return path_; }
    /// Bytes it had when it was opened.
    std::size_t size() const { return size_; }

    /// Bytes [offset, offset + out.size()); several threads may read at once. Throws IoError when they are not there.
    void read(std::size_t offset, std::span<std::byte> out) const {
        while (!out.empty()) {
            const ssize_t count = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) throw IoError(path_, std::string("cannot read: ") + std::strerror(errno));
            if (count == 0) throw IoError(path_, "truncated: nothing at byte " + std::to_string(offset));
            offset += static_cast<std::size_t>(count);
            out = out.subspan(static_cast<std::size_t>(count));
        }
    }
    /// The same as text.
    std::string text(std::size_t offset, std::size_t size) const {
        std::string text(size, '\0');
        read(offset, std::as_writable_bytes(std::span(text)));
        return text;
    }

  private:
    std::string path_;
    int descriptor_ = -1;
    std::size_t size_ = 0;
};

/// A JSON file's content. Throws IoError, and FormatError for more than 256 MiB: real ones have 33 MB at most.
inline std::string read_text(const std::filesystem::path& path) {
    constexpr std::size_t most = std::size_t{256} << 20;
    const File file(path);
    if (file.size() > most)
        throw FormatError(file.path(),
                          "expected at most " + std::to_string(most) + " bytes, found " + std::to_string(file.size()));
    return file.text(0, file.size());
}

}  // namespace eigenlm::inline EIGENLM_ABI
