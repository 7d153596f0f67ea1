#include "eigenlm/tokenizer/bpe.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace eigenlm;

struct Model {
    std::vector<std::string> tokens;  // by id
    std::vector<Bpe::Pair> merges;

    Bpe bpe(bool ignore_merges = false) const {
        VocabEntries entries;
        for (std::size_t id = 0; id < tokens.size(); ++id)
            entries.add(tokens[id], static_cast<TokenId>(id), "f: vocab");
        return Bpe(Vocab(std::move(entries), "f: vocab"), merges, {.ignore_merges = ignore_merges}, "f: model");
    }
};

/// The 256 bytes, then products of random pairs of tokens, mostly over the letters a to d.
Model random_model(std::mt19937& rng, std::size_t num_merges) {
    Model model;
    std::map<std::string, TokenId> ids;
    for (int byte = 0; byte < 256; ++byte) model.tokens.emplace_back(1, static_cast<char>(byte));
    std::vector<TokenId> usable = {'a', 'b', 'c', 'd'};
    for (std::size_t i = 0; i < model.tokens.size(); ++i) ids[model.tokens[i]] = static_cast<TokenId>(i);
    std::map<Bpe::Pair, bool> used;
    while (model.merges.size() < num_merges) {
        const Bpe::Pair pair{usable[rng() % usable.size()], usable[rng() % usable.size()]};
        if (!used.emplace(pair, true).second) continue;
        model.merges.push_back(pair);
        const auto product =
            model.tokens[static_cast<std::size_t>(pair.first)] + model.tokens[static_cast<std::size_t>(pair.second)];
        if (ids.emplace(product, static_cast<TokenId>(model.tokens.size())).second) {
            usable.push_back(static_cast<TokenId>(model.tokens.size()));
            model.tokens.push_back(product);
        }
    }
    std::shuffle(model.merges.begin(), model.merges.end(), rng);
    return model;
}

/// BPE by its definition.
std::vector<TokenId> reference(const Model& model, const std::string& piece) {
    std::map<std::string, TokenId> ids;
    for (std::size_t i = 0; i < model.tokens.size(); ++i) ids[model.tokens[i]] = static_cast<TokenId>(i);
    std::map<Bpe::Pair, std::size_t> ranks;
    for (std::size_t rank = 0; rank < model.merges.size(); ++rank) ranks[model.merges[rank]] = rank;
    std::vector<TokenId> symbols;
    for (const char byte : piece) symbols.push_back(static_cast<unsigned char>(byte));
    for (;;) {
        std::size_t best = model.merges.size(), at = 0;
        for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
            const auto it = ranks.find({symbols[i], symbols[i + 1]});
            if (it != ranks.end() && it->second < best) best = it->second, at = i;
        }
        if (best == model.merges.size()) return symbols;
        const auto [left, right] = model.merges[best];
        symbols[at] =
            ids.at(model.tokens[static_cast<std::size_t>(left)] + model.tokens[static_cast<std::size_t>(right)]);
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
}

TEST(Bpe, EqualsItsDefinitionForShortAndLongPieces) {
    std::mt19937 rng(1);
    BpeScratch scratch;
    for (int round = 0; round < 20; ++round) {
        const Model model = random_model(rng, 60);
        const Bpe bpe = model.bpe();
        for (const std::size_t length : {1u, 2u, 3u, 7u, 20u, 63u, 64u, 65u, 66u, 100u, 200u}) {
            for (int repeat = 0; repeat < 5; ++repeat) {
                std::string piece;
                for (std::size_t i = 0; i < length; ++i)
                    piece.push_back(static_cast<char>('a' + rng() % (repeat == 0 ? 1 : 4)));
                std::vector<TokenId> ids = {-7};  // what is there stays
                bpe.encode(piece, scratch, ids);
                auto expected = reference(model, piece);
                expected.insert(expected.begin(), -7);
                ASSERT_EQ(ids, expected) << piece;
            }
        }
    }
}

TEST(Bpe, AMegabyteWordEndsInTime) {
    Model model;
    for (int byte = 0; byte < 256; ++byte) model.tokens.emplace_back(1, static_cast<char>(byte));
    for (TokenId id = 'a'; model.tokens.back().size() < 1024; id = static_cast<TokenId>(model.tokens.size()) - 1) {
        model.merges.emplace_back(id, id);  // aa, aaaa, ...
        model.tokens.push_back(model.tokens[static_cast<std::size_t>(id)] + model.tokens[static_cast<std::size_t>(id)]);
    }
    const Bpe bpe = model.bpe();
    BpeScratch scratch;
    std::vector<TokenId> ids;
    bpe.encode(std::string((1 << 20) + 3, 'a'), scratch, ids);
    ASSERT_EQ(ids.size(), 1024u + 2);
    EXPECT_EQ(bpe.vocab().bytes(ids[1023]).size(), 1024u);
    EXPECT_EQ(bpe.vocab().bytes(ids[1024]), "aa");
    EXPECT_EQ(bpe.vocab().bytes(ids[1025]), "a");
}

TEST(Bpe, IgnoreMergesTakesWholeTokens) {
    Model model;
    for (int byte = 0; byte < 256; ++byte) model.tokens.emplace_back(1, static_cast<char>(byte));
    model.tokens.insert(model.tokens.end(), {"ab", "abc"});  // abc: no merge leads there
    model.merges = {{'a', 'b'}};
    BpeScratch scratch;
    std::vector<TokenId> by_merges, whole;
    model.bpe(false).encode("abc", scratch, by_merges);
    model.bpe(true).encode("abc", scratch, whole);
    EXPECT_EQ(by_merges, (std::vector<TokenId>{256, 'c'}));
    EXPECT_EQ(whole, (std::vector<TokenId>{257}));
}

TEST(Bpe, RefusesMergesThatDoNotFitTheVocabulary) {
    Model model;
    for (int byte = 0; byte < 256; ++byte) model.tokens.emplace_back(1, static_cast<char>(byte));
    model.tokens.push_back("ab");
    const auto with = [&](std::vector<Bpe::Pair> merges) {
        Model changed = model;
        changed.merges = std::move(merges);
        return changed;
    };
    EXPECT_NO_THROW(with({{'a', 'b'}}).bpe());
    EXPECT_THROW(with({{'a', 'c'}}).bpe(), FormatError);              // no "ac"
    EXPECT_THROW(with({{'a', 'b'}, {'a', 'b'}}).bpe(), FormatError);  // twice
    EXPECT_THROW(with({{'a', 257}}).bpe(), FormatError);
    EXPECT_THROW(with({{-1, 'b'}}).bpe(), FormatError);
    EXPECT_THROW(with({{256, 256}}).bpe(), FormatError);  // its product would be itself and more
    try {
        with({{'a', 'b'}, {'x', 'y'}}).bpe();
        FAIL();
    } catch (const FormatError& e) {
        EXPECT_EQ(e.where(), "f: model.merges[1]");
    }
}

TEST(Bpe, RefusesAVocabularyThatLacksAByte) {
    Model model;
    for (int byte = 0; byte < 255; ++byte) model.tokens.emplace_back(1, static_cast<char>(byte));
    EXPECT_THROW(model.bpe(), UnsupportedError);
}

}  // namespace
