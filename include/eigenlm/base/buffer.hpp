#pragma once
// Owned memory for numbers: aligned, zeroed, fixed in size, and cheap until it is touched.
#include <sys/mman.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "error.hpp"
#include "types.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// `size` zeros in pages of their own. Pages cost memory only once they are written, so that a KV cache may be
/// reserved for its whole context. Large buffers ask for huge pages: a weight stream reads twice as fast from them.
template <class T>
class Buffer {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    Buffer() = default;
    /// Throws ResourceError when the memory cannot be had.
    explicit Buffer(std::size_t size) : size_(size) {
        if (size == 0) return;
        const std::size_t bytes = mapped_bytes();
        void* memory =
            ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) throw ResourceError("memory", "cannot reserve " + std::to_string(bytes) + " bytes");
        constexpr std::size_t huge_page = std::size_t{2} << 20;
        if (bytes >= 2 * huge_page) ::madvise(memory, bytes, MADV_HUGEPAGE);  // advice: refusal is no error
        data_ = static_cast<T*>(memory);
    }
    /// Leaves `other` empty.
    Buffer(Buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    /// Swaps the two.
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() {
        if (data_) ::munmap(data_, mapped_bytes());
    }

    /// The numbers as a contiguous range; indices are not checked. Empty: data() is null.
    /// @{
    T* data() { return data_; }
    const T* data() const { return data_; }
    std::size_t size() const { return size_; }
    T& operator[](std::size_t i) { return data_[i]; }
    const T& operator[](std::size_t i) const { return data_[i]; }
    T* begin() { return data_; }
    T* end() { return data_ + size_; }
    const T* begin() const { return data_; }
    const T* end() const { return data_ + size_; }
    std::span<T> span() { return {data_, size_}; }
    std::span<const T> span() const { return {data_, size_}; }
    /// @}

  private:
    std::size_t mapped_bytes() const {
        const std::size_t bytes = checked_mul(size_, sizeof(T), "memory");
        if (bytes > ~std::size_t{0} / 2)
            throw ResourceError("memory", "cannot reserve " + std::to_string(bytes) + " bytes");
        return round_up(bytes, 4096);
    }

    T* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace eigenlm::inline EIGENLM_ABI
