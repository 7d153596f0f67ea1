#pragma once
// A file that appears whole or not at all.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "../base/error.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// A file that is written under another name in its folder and takes its own when it is complete. Until then, and where
/// that never comes, what had the name before keeps it; the other name is gone with the object.
class NewFile {
  public:
    /// Makes it, of `size` bytes that are 0 so far. Throws IoError where the folder is missing, the name is one of
    /// something else than a regular file, or the disk has no room for so many bytes.
    NewFile(const std::filesystem::path& path, std::size_t size) : path_(place_of(path)) {
        create();
        try {
            reserve(static_cast<off_t>(size));
        } catch (...) {
            discard();
            throw;
        }
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;
    ~NewFile() { discard(); }

    /// Puts bytes at `offset`; several threads may do so at once. Throws IoError, for a full disk, say.
    void write(std::size_t offset, std::span<const std::byte> bytes) const {
        while (!bytes.empty()) {
            const ssize_t count = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
            if (count < 0 && errno == EINTR) continue;
            if (count <= 0) fail("cannot write", count < 0 ? errno : ENOSPC);
            offset += static_cast<std::size_t>(count);
            bytes = bytes.subspan(static_cast<std::size_t>(count));
        }
    }

    /// Gives it its name, in place of what has had it, when all bytes are on the disk. Throws IoError; the file is then
    /// gone. Nothing can be written behind it.
    void commit() {
        if (::fsync(descriptor_) != 0) fail("cannot write", errno);
        const int descriptor = std::exchange(descriptor_, -1);
        if (::close(descriptor) != 0) fail("cannot write", errno);
        if (std::rename(unfinished_.c_str(), path_.c_str()) != 0) fail("cannot give the new file its name", errno);
        unfinished_.clear();
        sync_folder();
    }

  private:
    [[noreturn]] void fail(const char* what, int error) const {
        throw IoError(path_.string(), std::string(what) + ": " + std::strerror(error));
    }

    /// Where the file will lie: what a link leads to is replaced, and not the link.
    static std::filesystem::path place_of(const std::filesystem::path& path) {
        std::error_code ignored;
        const auto status = std::filesystem::status(path, ignored);
        if (std::filesystem::is_directory(status) || path.filename().empty())
            throw IoError(path.string(), "expected the name of a file, found a folder");
        if (std::filesystem::is_regular_file(status)) return std::filesystem::canonical(path);
        if (std::filesystem::exists(status)) throw IoError(path.string(), "expected the name of a regular file");
        const auto folder = folder_of(path);
        if (!std::filesystem::is_directory(folder, ignored)) throw IoError(folder.string(), "no such folder");
        return path;
    }
    static std::filesystem::path folder_of(const std::filesystem::path& path) {
        return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    }

    /// Under a name of its own, with the rights that new files have here.
    void create() {
        constexpr int most = 1000;
        for (int i = 0; descriptor_ < 0; ++i) {
            unfinished_ =
                folder_of(path_) / (".eigenlm-" + std::to_string(::getpid()) + "-" + std::to_string(i) + ".unfinished");
            descriptor_ = ::open(unfinished_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
            const int error = errno;
            if (descriptor_ >= 0 || (error == EEXIST && i < most)) continue;
            unfinished_.clear();
            fail("cannot write into its folder", error);
        }
    }
    /// Asks for all blocks now: a full disk is better known before hours of work.
    void reserve(off_t size) const {
        int error = 0;
        do error = size > 0 && ::fallocate(descriptor_, 0, 0, size) != 0 ? errno : 0;
        while (error == EINTR);
        if (error == ENOSPC || error == EFBIG || error == EDQUOT) fail("cannot write", error);
        if (::ftruncate(descriptor_, size) != 0) fail("cannot write", errno);  // file systems that cannot reserve
    }
    void discard() {
        if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
        if (!unfinished_.empty()) ::unlink(unfinished_.c_str());
        unfinished_.clear();
    }
    /// So that the name outlives a power failure; where a file system cannot do that, nothing is lost here.
    void sync_folder() const {
        const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0) return;
        ::fsync(folder);
        ::close(folder);
    }

    std::filesystem::path path_, unfinished_;  // unfinished_ is empty once there is no such file
    int descriptor_ = -1;
};

}  // namespace eigenlm::inline EIGENLM_ABI
