#pragma once
// Byte pair encoding: a piece of text starts as single bytes or characters, and neighbours are merged, the best-ranked
// pair first (of equal pairs the leftmost), until no merge applies. Source: Sennrich et al. 2016 (arXiv:1508.07909), on
// bytes as in GPT-2, or on characters with single bytes for those that are no token, as SentencePiece has it.
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
#include "piece_cache.hpp"
#include "unicode.hpp"
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
        const auto at = static_cast<std::size_t>(&slot - slots_.data());
        longest_way_ = std::max(longest_way_, (at - home_of(left, right)) & (slots_.size() - 1));
        return true;
    }
    /// How many slots a lookup passes at most. Merges that somebody made up to collide would take quadratic time.
    std::size_t longest_way() const { return longest_way_; }
    /// The merge of a pair; its rank is no_rank when there is none.
    Merge find(TokenId left, TokenId right) const {
        std::size_t at = home_of(left, right);
        for (std::size_t way = 0; way <= longest_way_; ++way, at = (at + 1) & (slots_.size() - 1)) {
            const Slot& slot = slots_[at];
            if (slot.left == left && slot.right == right) return slot.merge;
            if (slot.left == no_token) break;
        }
        return {};  // no pair is farther from its home
    }

  private:
    struct Slot {
        TokenId left = no_token, right = no_token;
        Merge merge;
    };

    std::size_t home_of(TokenId left, TokenId right) const {
        const std::uint64_t key =
            std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
        const std::uint64_t mixed = key * 0x9E3779B97F4A7C15u;  // 2^64 / golden ratio: the high bits are well mixed
        return (mixed ^ mixed >> 32) & (slots_.size() - 1);
    }
    std::size_t slot_of(TokenId left, TokenId right) const {
        std::size_t slot = home_of(left, right);
        while (slots_[slot].left != no_token && (slots_[slot].left != left || slots_[slot].right != right))
            slot = (slot + 1) & (slots_.size() - 1);
        return slot;
    }

    std::vector<Slot> slots_ = std::vector<Slot>(1);
    std::size_t longest_way_ = 0;
};

/// Working memory of Bpe::encode, to be reused from piece to piece. It remembers results: one object serves one Bpe.
class BpeScratch {
    friend class Bpe;
    struct Symbol {
        TokenId id;
        std::uint32_t previous, next;  // neighbours' indices; `none` at the ends
        MergeTable::Merge merge;       // with the next symbol
    };
    std::vector<Symbol> symbols_;
    std::vector<std::uint64_t> queue_;  // a heap of rank << 32 | index of the left symbol, least first
    PieceCache cache_;

  public:
    /// Makes room for a text of `bytes` to come.
    void expect(std::size_t bytes) { cache_.expect(bytes); }
};

/// What a piece of text consists of before anything is merged.
enum class Symbols : std::uint8_t {
    bytes,       ///< its bytes, each of which is a token
    characters,  ///< its characters; for one that is no token, its bytes, which have tokens named <0x00> to <0xFF>
};

/// How SentencePiece writes a space: U+2581.
inline constexpr std::string_view word_begin = "\u2581";

/// How a BPE works beside its vocabulary and merges.
struct BpeOptions {
    Symbols symbols = Symbols::bytes;  ///< what it starts from
    bool ignore_merges = false;        ///< a piece that is a token is that token, whatever the merges say
};

/// The BPE model: a vocabulary and its merges.
class Bpe {
  public:
    /// Two neighbours: left, right.
    using Pair = std::pair<TokenId, TokenId>;

    /// `merges` in order of rank, or with their own `ranks`, several of which may be equal: then the leftmost pair
    /// merges first. `where` names the file and model for errors. Throws FormatError when a merge names an id that is
    /// not in the vocabulary, stands there twice, or makes something that is no token; UnsupportedError when one of the
    /// 256 bytes has no token (Hugging Face then drops such bytes from the text, or has an unknown token for them).
    Bpe(Vocab vocab, std::span<const Pair> merges, const BpeOptions& options, const std::string& where,
        std::span<const std::uint32_t> ranks = {})
        : vocab_(std::move(vocab)), merges_(merges.size()), options_(options) {
        find_single_bytes(where);
        TokenId merged = no_token;
        for (std::size_t i = 0; i < merges.size(); ++i)
            add_merge(merges[i], i, ranks.empty() ? i : ranks[i], merged, where);
        cuts_words_ = options_.symbols == Symbols::characters && !options_.ignore_merges && words_begin_tokens();
    }

    /// The tokens it encodes to, as its pieces spell them.
    const Vocab& vocab() const { return vocab_; }
    /// What it starts from.
    Symbols symbols() const { return options_.symbols; }
    /// The token that stands for a byte by itself.
    TokenId byte_id(unsigned char byte) const { return byte_ids_[byte]; }

    /// Appends the tokens of `piece` (any bytes, not empty) to `ids`. O(n log n) for n bytes. Throws ResourceError
    /// above 4 GiB.
    void encode(std::string_view piece, BpeScratch& scratch, std::vector<TokenId>& ids) const {
        if (!cuts_words_) return encode_word(piece, scratch, ids);
        // No token has a beginning of a word behind something else, so nothing merges across one.
        for (std::size_t begin = 0; begin < piece.size();) {
            const std::size_t end = word_end(piece, begin);
            encode_word(piece.substr(begin, end - begin), scratch, ids);
            begin = end;
        }
    }

    /// Up to this many bytes a linear search for the best pair beats a heap, and quadratic time does not matter.
    static constexpr std::size_t short_piece = 64;

  private:
    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

    void find_single_bytes(const std::string& where);
    void add_merge(Pair pair, std::size_t number, std::size_t rank, TokenId& merged, const std::string& where);
    bool is_joined(TokenId whole, TokenId left, TokenId right) const;
    bool words_begin_tokens() const;
    static std::size_t word_end(std::string_view piece, std::size_t begin);

    void encode_word(std::string_view piece, BpeScratch& scratch, std::vector<TokenId>& ids) const;
    void merge_few(std::span<TokenId> symbols, std::vector<TokenId>& ids) const;
    void merge_many(BpeScratch& scratch, std::vector<TokenId>& ids) const;
    template <class Take>
    void for_each_symbol(std::string_view piece, const Take& take) const;
    void push(BpeScratch& scratch, std::uint32_t left) const;
    void merge_at(BpeScratch& scratch, std::uint32_t left) const;

    Vocab vocab_;
    MergeTable merges_;
    BpeOptions options_;
    std::array<TokenId, 256> byte_ids_{};   // the tokens of single bytes
    std::array<TokenId, 128> ascii_ids_{};  // of ASCII characters, or no_token
    bool cuts_words_ = false;
};

inline void Bpe::find_single_bytes(const std::string& where) {
    constexpr char digits[] = "0123456789ABCDEF";
    for (unsigned byte = 0; byte < 256; ++byte) {
        const char c = static_cast<char>(byte);
        const char name[] = {'<', '0', 'x', digits[byte / 16], digits[byte % 16], '>'};
        const bool by_name = options_.symbols == Symbols::characters;
        byte_ids_[byte] = vocab_.find(by_name ? std::string_view(name, 6) : std::string_view(&c, 1));
        if (byte < 128) ascii_ids_[byte] = vocab_.find({&c, 1});
        if (byte_ids_[byte] == no_token)
            throw UnsupportedError(where + ".vocab", "no token for the single byte " + std::to_string(byte));
    }
}

/// Whether a token says what two say together.
inline bool Bpe::is_joined(TokenId whole, TokenId left, TokenId right) const {
    if (!vocab_.has(whole)) return false;
    const std::string_view text = vocab_.bytes(whole), a = vocab_.bytes(left), b = vocab_.bytes(right);
    return text.size() == a.size() + b.size() && text.starts_with(a) && text.ends_with(b);
}

/// `merged`: what the merge before has made; becomes what this one makes.
inline void Bpe::add_merge(Pair pair, std::size_t number, std::size_t rank, TokenId& merged, const std::string& where) {
    constexpr std::size_t longest_way = 1024;  // a few dozen, unless somebody made the merges up to collide
    const auto [left, right] = pair;
    const auto fail = [&](const std::string& what) {
        throw FormatError(where + ".merges[" + std::to_string(number) + "]", what);
    };
    if (!vocab_.has(left) || !vocab_.has(right)) fail("merges a token that is not in the vocabulary");
    if (!is_joined(merged, left, right)) merged = merged + 1;  // files have them in the order of their ids
    if (!is_joined(merged, left, right))
        merged = vocab_.find(std::string(vocab_.bytes(left)).append(vocab_.bytes(right)));
    if (merged == no_token) fail("the merged token is not in the vocabulary");
    if (!merges_.insert(left, right, {static_cast<std::uint32_t>(rank), merged})) fail("the same pair again");
    if (merges_.longest_way() > longest_way) fail("the merges are made to collide");
}

/// Whether word_begin stands only at the beginning of tokens, there as often as it likes, and is a token itself.
inline bool Bpe::words_begin_tokens() const {
    for (TokenId id = 0; id < static_cast<TokenId>(vocab_.size()); ++id) {
        if (!vocab_.has(id)) continue;
        std::string_view rest = vocab_.bytes(id);
        while (rest.starts_with(word_begin)) rest.remove_prefix(word_begin.size());
        if (rest.find(word_begin) != std::string_view::npos) return false;
    }
    return vocab_.find(word_begin) != no_token;
}

inline std::size_t Bpe::word_end(std::string_view piece, std::size_t begin) {
    std::size_t pos = begin;
    while (piece.substr(pos).starts_with(word_begin)) pos += word_begin.size();
    return std::min(piece.find(word_begin, pos), piece.size());
}

/// Calls take(id) for each symbol of `piece`.
template <class Take>
void Bpe::for_each_symbol(std::string_view piece, const Take& take) const {
    if (options_.symbols == Symbols::bytes) {
        for (const char byte : piece) take(byte_ids_[static_cast<unsigned char>(byte)]);
        return;
    }
    for (std::size_t pos = 0; pos < piece.size();) {
        const auto character = unicode::decode_utf8(piece, pos);
        const std::string_view bytes = piece.substr(pos, character.length);
        const TokenId id = character.code < 128 ? ascii_ids_[character.code] : vocab_.find(bytes);
        if (id != no_token)
            take(id);
        else
            for (const char byte : bytes) take(byte_ids_[static_cast<unsigned char>(byte)]);
        pos += character.length;
    }
}

inline void Bpe::encode_word(std::string_view piece, BpeScratch& scratch, std::vector<TokenId>& ids) const {
    PieceCache::Place place;
    if (const auto known = scratch.cache_.find(piece, place); !known.empty()) {
        ids.insert(ids.end(), known.begin(), known.end());
        return;
    }
    const std::size_t before = ids.size();
    const TokenId whole = options_.ignore_merges ? vocab_.find(piece) : no_token;
    if (whole != no_token) {
        ids.push_back(whole);
    } else if (piece.size() <= short_piece) {
        std::array<TokenId, short_piece> symbols;
        std::size_t count = 0;
        for_each_symbol(piece, [&](TokenId id) { symbols[count++] = id; });
        merge_few({symbols.data(), count}, ids);
    } else {
        if (piece.size() >= none) throw ResourceError("Bpe::encode", "a piece of more than 4 GiB");
        scratch.symbols_.clear();
        for_each_symbol(piece, [&](TokenId id) {
            const auto i = static_cast<std::uint32_t>(scratch.symbols_.size());
            scratch.symbols_.push_back({id, i == 0 ? none : i - 1, i + 1, {}});
        });
        scratch.symbols_.back().next = none;
        merge_many(scratch, ids);
    }
    scratch.cache_.insert(piece, place, std::span(ids).subspan(before));
}

/// Merges in place, and appends what is left to `ids`.
inline void Bpe::merge_few(std::span<TokenId> symbols, std::vector<TokenId>& ids) const {
    std::array<MergeTable::Merge, short_piece> pairs;  // pairs[i]: of symbols i and i + 1
    std::size_t count = symbols.size();
    for (std::size_t i = 0; i + 1 < count; ++i) pairs[i] = merges_.find(symbols[i], symbols[i + 1]);
    while (count > 1) {
        std::size_t at = 0;
        for (std::size_t i = 1; i + 1 < count; ++i)
            if (pairs[i].rank < pairs[at].rank) at = i;
        if (pairs[at].rank == MergeTable::no_rank) break;
        symbols[at] = pairs[at].merged;
        --count;
        std::copy(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 2,
                  symbols.begin() + static_cast<std::ptrdiff_t>(count) + 1,
                  symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
        if (at + 1 < count) {
            std::copy(pairs.begin() + at + 1, pairs.begin() + count, pairs.begin() + at);
            pairs[at] = merges_.find(symbols[at], symbols[at + 1]);
        }
        if (at > 0) pairs[at - 1] = merges_.find(symbols[at - 1], symbols[at]);
    }
    ids.insert(ids.end(), symbols.begin(), symbols.begin() + static_cast<std::ptrdiff_t>(count));
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

inline void Bpe::merge_many(BpeScratch& scratch, std::vector<TokenId>& ids) const {
    auto& symbols = scratch.symbols_;
    auto& queue = scratch.queue_;
    queue.clear();
    for (std::uint32_t i = 0; i < symbols.size(); ++i) push(scratch, i);
    while (!queue.empty()) {
        std::pop_heap(queue.begin(), queue.end(), std::greater<>{});
        const std::uint64_t best = queue.back();
        queue.pop_back();
        // An entry is stale when its symbol's pair has another rank by now. Where the pair is another one of the same
        // rank, it has an entry just like this one: they come one behind the other, and the first merges it.
        const auto left = static_cast<std::uint32_t>(best);
        if (symbols[left].merge.rank == best >> 32) merge_at(scratch, left);
    }
    for (std::uint32_t i = 0; i != none; i = symbols[i].next) ids.push_back(symbols[i].id);
}

}  // namespace eigenlm::inline EIGENLM_ABI
