#pragma once
// The model's vocabulary: token bytes <-> id. All bytes lie in one arena; lookups need no allocation.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/error.hpp"
#include "../base/types.hpp"
#include "hash.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Not a token.
inline constexpr TokenId no_token = -1;
/// Ids stay below this (the largest vocabularies in use have about 2^18 tokens).
inline constexpr TokenId max_token_id = (1 << 24) - 1;

/// Tokens in any order, on their way into a Vocab.
class VocabEntries {
  public:
    /// One token: its number and its bytes.
    struct Entry {
        TokenId id;  ///< not checked yet
        /// Bytes [offset, offset + length) of the arena.
        /// @{
        std::uint32_t offset, length;  // in the arena, bytes
        /// @}
    };

    /// Adds the token with these bytes. `where` names the file and field, for the error of an arena above 4 GiB.
    void add(std::string_view bytes, TokenId id, const std::string& where) {
        if (bytes.size() > std::numeric_limits<std::uint32_t>::max() - arena.size())
            throw UnsupportedError(where, "a vocabulary of more than 4 GiB of bytes");
        entries.push_back({id, static_cast<std::uint32_t>(arena.size()), static_cast<std::uint32_t>(bytes.size())});
        arena += bytes;
    }

    std::string arena;           ///< all tokens' bytes, one behind the other
    std::vector<Entry> entries;  ///< in the order of the calls
};

/// A finished vocabulary. Ids need not be dense, but nearly: memory is bounded by the number of tokens.
class Vocab {
  public:
    Vocab() = default;

    /// Takes the tokens. Throws FormatError naming `where` (file and field) for an id that is negative, or too large
    /// for the number of tokens, for an empty token, and for two with the same id or bytes.
    Vocab(VocabEntries&& tokens, const std::string& where)
        : arena_(std::move(tokens.arena)), count_(tokens.entries.size()) {
        std::size_t size = 0;
        for (const auto& entry : tokens.entries) {
            if (!is_plausible(entry.id, count_))
                throw FormatError(
                    where, "token id " + std::to_string(entry.id) + " among " + std::to_string(count_) + " tokens");
            size = std::max(size, static_cast<std::size_t>(entry.id) + 1);
        }
        by_id_.assign(size, Span{});
        std::size_t slots = 16;
        while (slots < 2 * count_) slots *= 2;
        slots_.assign(slots, no_token);
        std::vector<std::uint64_t> hashes(count_);
        for (std::size_t i = 0; i < count_; ++i)
            hashes[i] = hash({arena_.data() + tokens.entries[i].offset, tokens.entries[i].length});
        for (std::size_t i = 0; i < count_; ++i) {
            if (i + ahead < count_) prefetch(hashes[i + ahead]);
            insert(tokens.entries[i], hashes[i], where);
        }
    }

    /// Whether a vocabulary of `count` tokens may have this id. Real files leave few holes; without a bound, one huge
    /// id would make a small file allocate much.
    static constexpr bool is_plausible(TokenId id, std::size_t count) {
        return id >= 0 && id <= max_token_id && static_cast<std::size_t>(id) < 2 * count + 1024;
    }

    /// One more than the largest id.
    std::size_t size() const { return by_id_.size(); }
    /// How many tokens there are: size() minus the holes.
    std::size_t count() const { return count_; }
    /// The longest token's length in bytes.
    std::size_t longest() const { return longest_; }
    /// Whether `id` is a token.
    bool has(TokenId id) const {
        return id >= 0 && static_cast<std::size_t>(id) < by_id_.size() &&
               by_id_[static_cast<std::size_t>(id)].length != 0;
    }
    /// The bytes of a token; has(id) must hold. Valid as long as the vocabulary.
    std::string_view bytes(TokenId id) const { return view(by_id_[static_cast<std::size_t>(id)]); }
    /// The token with exactly these bytes, or no_token.
    TokenId find(std::string_view bytes) const { return find(bytes, hash(bytes)); }

    /// For many lookups one after the other: whoever has prefetched hashes `ahead` of them waits less for memory.
    /// @{
    static constexpr std::size_t ahead = 16;
    static std::uint64_t hash(std::string_view bytes) { return detail::hash_bytes(bytes); }
    void prefetch(std::uint64_t hash) const {
        if (!slots_.empty()) __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]);
    }
    TokenId find(std::string_view bytes, std::uint64_t hash) const {
        if (slots_.empty()) return no_token;
        std::size_t at = hash & (slots_.size() - 1);
        for (std::size_t way = 0; way <= longest_way_; ++way, at = (at + 1) & (slots_.size() - 1))
            if (slots_[at] == no_token || this->bytes(slots_[at]) == bytes) return slots_[at];
        return no_token;  // no token is farther from its home
    }
    /// @}

  private:
    struct Span {
        std::uint32_t offset = 0;
        std::uint32_t length = 0;  // 0: no token has this id
    };

    /// Tokens that a lookup passes at most. In vocabularies that grew by themselves it is a few dozen; those that
    /// somebody made up to collide would take quadratic time.
    static constexpr std::size_t max_distance = 1024;

    std::string_view view(const Span& span) const { return {arena_.data() + span.offset, span.length}; }

    /// Where a token with these bytes is, or would go. At most half of the slots are in use.
    std::size_t slot_of(std::string_view bytes, std::uint64_t hash) const {
        std::size_t slot = hash & (slots_.size() - 1);
        while (slots_[slot] != no_token && this->bytes(slots_[slot]) != bytes) slot = (slot + 1) & (slots_.size() - 1);
        return slot;
    }

    void insert(const VocabEntries::Entry& entry, std::uint64_t hash, const std::string& where) {
        Span& span = by_id_[static_cast<std::size_t>(entry.id)];
        if (span.length != 0) throw FormatError(where, "two tokens have the id " + std::to_string(entry.id));
        if (entry.length == 0) throw FormatError(where, "token " + std::to_string(entry.id) + " is empty");
        span = {entry.offset, entry.length};
        const std::size_t slot = slot_of(view(span), hash);
        longest_way_ = std::max<std::size_t>(longest_way_, (slot - hash) & (slots_.size() - 1));
        if (longest_way_ > max_distance)
            throw FormatError(where, "its tokens are made to collide: " + std::to_string(max_distance) + " in a row");
        if (slots_[slot] != no_token)
            throw FormatError(where, "tokens " + std::to_string(slots_[slot]) + " and " + std::to_string(entry.id) +
                                         " are the same bytes");
        slots_[slot] = entry.id;
        longest_ = std::max<std::size_t>(longest_, entry.length);
    }

    std::string arena_;
    std::vector<Span> by_id_;     // [size()]
    std::vector<TokenId> slots_;  // open addressing by the hash of the bytes, a power of two
    std::size_t count_ = 0;
    std::size_t longest_ = 0;
    std::size_t longest_way_ = 0;  // from a token's home to its slot
};

}  // namespace eigenlm::inline EIGENLM_ABI
