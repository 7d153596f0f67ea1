#pragma once
// Frequent pieces of text, with the ids they became the last time.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "../base/types.hpp"
#include "hash.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Remembers the ids of short pieces. A text's words repeat: nine of ten are found here. It grows with the text seen,
/// up to a fixed size; a newer piece takes an older one's place.
class PieceCache {
  public:
    /// Pieces and results up to these lengths are remembered: an entry fills one cache line.
    /// @{
    static constexpr std::size_t max_bytes = 34, max_ids = 7;
    /// @}

    /// Makes room for a text of `bytes` to come.
    void expect(std::size_t bytes) {
        constexpr std::size_t bytes_per_entry = 16, least = 256;  // a table for a few words costs more than it saves
        seen_ = std::min(seen_ + bytes, most * bytes_per_entry);
        if (seen_ / bytes_per_entry < std::max(least, 2 * entries_.size())) return;
        std::size_t size = least;
        while (2 * size <= seen_ / bytes_per_entry) size *= 2;
        entries_.assign(size, Entry{});
    }

    /// Where the ids of a piece are, or would be.
    class Place {
        friend class PieceCache;
        std::size_t index = 0;
    };

    /// The ids of `piece`, or none; `place` is then where they go.
    std::span<const TokenId> find(std::string_view piece, Place& place) const {
        if (entries_.empty() || piece.size() > max_bytes) return {};
        place.index = detail::hash_bytes(piece) & (entries_.size() - 1);
        const Entry& entry = entries_[place.index];
        if (entry.bytes != piece.size() || std::memcmp(entry.text.data(), piece.data(), piece.size()) != 0) return {};
        return {entry.ids.data(), entry.count};
    }
    /// Keeps what find(piece, place) did not find.
    void insert(std::string_view piece, Place place, std::span<const TokenId> ids) {
        if (entries_.empty() || piece.size() > max_bytes || ids.size() > max_ids) return;
        Entry& entry = entries_[place.index];
        entry.bytes = static_cast<std::uint8_t>(piece.size());
        entry.count = static_cast<std::uint8_t>(ids.size());
        std::copy(piece.begin(), piece.end(), entry.text.begin());
        std::copy(ids.begin(), ids.end(), entry.ids.begin());
    }

  private:
    static constexpr std::size_t most = std::size_t{1} << 14;  // entries: 1 MiB
    struct alignas(64) Entry {
        std::array<TokenId, max_ids> ids{};
        std::uint8_t count = 0, bytes = 0;  // 0 bytes: free
        std::array<char, max_bytes> text{};
    };
    static_assert(sizeof(Entry) == 64);

    std::vector<Entry> entries_;  // a power of two, or none
    std::size_t seen_ = 0;        // bytes of text
};

}  // namespace eigenlm::inline EIGENLM_ABI
