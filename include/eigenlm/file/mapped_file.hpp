#pragma once
// A file's bytes, mapped read-only.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "../base/error.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// The bytes of a regular file for as long as this object lives. As with every mapping, another process that truncates
/// the file meanwhile makes reads fault: a model's files must not change while they load.
class MappedFile {
  public:
    /// Throws IoError when the file is missing, unreadable or not a regular file.
    explicit MappedFile(const std::filesystem::path& path) : path_(path.string()) {
        const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not block us
        if (file < 0) throw IoError(path_, std::string("cannot open: ") + std::strerror(errno));
        struct stat info {};
        if (::fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
            ::close(file);
            throw IoError(path_, "expected a regular file");
        }
        size_ = static_cast<std::size_t>(info.st_size);
        void* memory = size_ == 0 ? nullptr : ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
        const int error = errno;
        ::close(file);
        if (memory == MAP_FAILED) throw IoError(path_, std::string("cannot map: ") + std::strerror(error));
        data_ = static_cast<const std::byte*>(memory);
    }
    MappedFile(MappedFile&& other) noexcept
        : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    MappedFile& operator=(MappedFile&& other) noexcept {
        std::swap(path_, other.path_);
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~MappedFile() {
        if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
    }

    const std::string& path() const { return path_; }
    std::span<const std::byte> bytes() const { return {data_, size_}; }
    std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

  private:
    std::string path_;
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace eigenlm::inline EIGENLM_ABI
