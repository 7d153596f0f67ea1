#pragma once
// Byte pair encoding: a piece of text starts as single bytes, and neighbours are merged, the best-ranked pair first (of
// equal pairs the leftmost), until no merge applies. Source: Sennrich et al. 2016 (arXiv:1508.07909), on bytes as in
// GPT-2.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/error.hpp"
#include "../base/types.hpp"
#include "vocab.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Pairs of neighbouring tokens that may become one. Flat, so that a lookup touches one cache line.
class MergeTable {
  public:
    /// The rank of pairs that do not merge.
    static constexpr std::uint32_t no_rank = std::numeric_limits<std::uint32_t>::max();
    /// What a pair becomes, and when.
    struct Merge {
        std::uint32_t rank = no_rank;  ///< lower merges first
        TokenId merged = no_token;     ///< the token that stands for both
    };

    MergeTable() = default;
    /// An empty table with room for `count` merges.
    explicit MergeTable(std::size_t count) {
        std::size_t slots = 16;
        while (slots < count + count / 2) slots *= 2;
        slots_.resize(slots);
    }

    /// False when the pair is there already. At most as many calls as the constructor was told.
    bool insert(TokenId left, TokenId right, Merge merge) {
        Slot& slot = slots_[slot_of(left, right)];
        if (slot.left != no_token) return false;
        slot = {left, right, merge};
        return true;
    }
    /// The merge of a pair; its rank is no_rank when there is none.
    Merge find(TokenId left, TokenId right) const { return slots_[slot_of(left, right)].merge; }

  private:
    struct Slot {
        TokenId left = no_token, right = no_token;
        Merge merge;
    };

    std::size_t slot_of(TokenId left, TokenId right) const {
        const std::uint64_t key =
            std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
        const std::uint64_t mixed = key * 0x9E3779B97F4A7C15u;  // 2^64 / golden ratio: the high bits are well mixed
        std::size_t slot = (mixed ^ mixed >> 32) & (slots_.size() - 1);
        while (slots_[slot].left != no_token && (slots_[slot].left != left || slots_[slot].right != right))
            slot = (slot + 1) & (slots_.size() - 1);
        return slot;
    }

    std::vector<Slot> slots_ = std::vector<Slot>(1);
};

/// Working memory of Bpe::encode, to be reused from piece to piece.
class BpeScratch {
    friend class Bpe;
    struct Symbol {
        TokenId id;
        std::uint32_t previous, next;  // neighbours' indices; `none` at the ends
        MergeTable::Merge merge;       // with the next symbol
    };
    std::vector<Symbol> symbols_;
    std::vector<std::uint64_t> queue_;  // a heap of rank << 32 | index of the left symbol, least first
};

/// The BPE model: a vocabulary and its merges.
class Bpe {
  public:
    /// Two neighbours: left, right.
    using Pair = std::pair<TokenId, TokenId>;

    /// `merges` in order of rank. With `ignore_merges` a piece that is a token is that token, whatever the merges say.
    /// `where` names the file and model for errors. Throws FormatError when a merge names an id that is not in the
    /// vocabulary, stands there twice, or makes bytes that are no token; UnsupportedError when one of the 256 bytes is
    /// no token (Hugging Face then drops such bytes from the text).
    Bpe(Vocab vocab, std::span<const Pair> merges, bool ignore_merges, const std::string& where)
        : vocab_(std::move(vocab)), merges_(merges.size()), ignore_merges_(ignore_merges) {
        for (unsigned byte = 0; byte < 256; ++byte) {
            const char c = static_cast<char>(byte);
            byte_ids_[byte] = vocab_.find({&c, 1});
            if (byte_ids_[byte] == no_token)
                throw UnsupportedError(where + ".vocab", "no token for the single byte " + std::to_string(byte));
        }
        std::string bytes;
        for (std::size_t rank = 0; rank < merges.size(); ++rank) {
            const auto [left, right] = merges[rank];
            const auto fail = [&](const std::string& what) {
                throw FormatError(where + ".merges[" + std::to_string(rank) + "]", what);
            };
            if (!vocab_.has(left) || !vocab_.has(right)) fail("merges a token that is not in the vocabulary");
            bytes.assign(vocab_.bytes(left)).append(vocab_.bytes(right));
            const TokenId merged = vocab_.find(bytes);
            if (merged == no_token) fail("the merged token is not in the vocabulary");
            if (!merges_.insert(left, right, {static_cast<std::uint32_t>(rank), merged})) fail("the same pair again");
        }
    }

    /// The tokens it encodes to.
    const Vocab& vocab() const { return vocab_; }

    /// Appends the tokens of `piece` (any bytes, below 4 GiB) to `ids`. O(n log n) for n bytes.
    void encode(std::string_view piece, BpeScratch& scratch, std::vector<TokenId>& ids) const {
        if (ignore_merges_) {
            if (const TokenId whole = vocab_.find(piece); whole != no_token) {
                ids.push_back(whole);
                return;
            }
        }
        if (piece.size() <= short_piece)
            encode_short(piece, ids);
        else
            encode_long(piece, scratch, ids);
    }

    /// Up to this many bytes a linear search for the best pair beats a heap, and quadratic time does not matter.
    static constexpr std::size_t short_piece = 64;

  private:
    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

    void encode_short(std::string_view piece, std::vector<TokenId>& ids) const;
    void encode_long(std::string_view piece, BpeScratch& scratch, std::vector<TokenId>& ids) const;
    TokenId byte_id(char byte) const { return byte_ids_[static_cast<unsigned char>(byte)]; }
    void push(BpeScratch& scratch, std::uint32_t left) const;
    void merge_at(BpeScratch& scratch, std::uint32_t left) const;

    Vocab vocab_;
    MergeTable merges_;
    std::array<TokenId, 256> byte_ids_{};
    bool ignore_merges_ = false;
};

inline void Bpe::encode_short(std::string_view piece, std::vector<TokenId>& ids) const {
    std::array<TokenId, short_piece> symbols;
    std::array<MergeTable::Merge, short_piece> pairs;  // pairs[i]: of symbols i and i + 1
    std::size_t count = piece.size();
    for (std::size_t i = 0; i < count; ++i) symbols[i] = byte_id(piece[i]);
    for (std::size_t i = 0; i + 1 < count; ++i) pairs[i] = merges_.find(symbols[i], symbols[i + 1]);
    while (count > 1) {
        const auto by_rank = [](const auto& a, const auto& b) { return a.rank < b.rank; };
        const auto at = static_cast<std::size_t>(std::min_element(pairs.begin(), pairs.begin() + count - 1, by_rank) -
                                                 pairs.begin());
        if (pairs[at].rank == MergeTable::no_rank) break;
        symbols[at] = pairs[at].merged;
        --count;
        std::move(symbols.begin() + at + 2, symbols.begin() + count + 1, symbols.begin() + at + 1);
        if (at + 1 < count) {
            std::move(pairs.begin() + at + 1, pairs.begin() + count, pairs.begin() + at);
            pairs[at] = merges_.find(symbols[at], symbols[at + 1]);
        }
        if (at > 0) pairs[at - 1] = merges_.find(symbols[at - 1], symbols[at]);
    }
    ids.insert(ids.end(), symbols.begin(), symbols.begin() + count);
}

inline void Bpe::push(BpeScratch& scratch, std::uint32_t left) const {
    auto& symbol = scratch.symbols_[left];
    symbol.merge =
        symbol.next == none ? MergeTable::Merge{} : merges_.find(symbol.id, scratch.symbols_[symbol.next].id);
    if (symbol.merge.rank == MergeTable::no_rank) return;
    scratch.queue_.push_back(std::uint64_t{symbol.merge.rank} << 32 | left);
    std::push_heap(scratch.queue_.begin(), scratch.queue_.end(), std::greater<>{});
}

inline void Bpe::merge_at(BpeScratch& scratch, std::uint32_t left) const {
    auto& symbols = scratch.symbols_;
    auto& gone = symbols[symbols[left].next];
    symbols[left].id = symbols[left].merge.merged;
    symbols[left].next = gone.next;
    gone.merge = {};  // what the queue still holds of it is stale now
    if (gone.next != none) symbols[gone.next].previous = left;
    push(scratch, left);
    if (symbols[left].previous != none) push(scratch, symbols[left].previous);
}

inline void Bpe::encode_long(std::string_view piece, BpeScratch& scratch, std::vector<TokenId>& ids) const {
    auto& symbols = scratch.symbols_;
    auto& queue = scratch.queue_;
    const auto count = static_cast<std::uint32_t>(piece.size());
    symbols.resize(count);
    queue.clear();
    for (std::uint32_t i = 0; i < count; ++i)
        symbols[i] = {byte_id(piece[i]), i == 0 ? none : i - 1, i + 1 == count ? none : i + 1, {}};
    for (std::uint32_t i = 0; i < count; ++i) push(scratch, i);
    while (!queue.empty()) {
        std::pop_heap(queue.begin(), queue.end(), std::greater<>{});
        const std::uint64_t best = queue.back();
        queue.pop_back();
        // A rank belongs to one pair, so an entry is stale exactly when its symbol's pair has another rank by now.
        const auto left = static_cast<std::uint32_t>(best);
        if (symbols[left].merge.rank == best >> 32) merge_at(scratch, left);
    }
    for (std::uint32_t i = 0; i < count; i = symbols[i].next) {
        ids.push_back(symbols[i].id);
        if (symbols[i].next == none) break;
    }
}

}  // namespace eigenlm::inline EIGENLM_ABI
