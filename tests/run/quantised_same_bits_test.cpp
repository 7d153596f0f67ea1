// Quantised models keep contract 1: the bits of a position's logits are one pass's, in any chunks and steps, on any
// number of threads, at every level; and they are these.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <eigenlm/generate/session.hpp>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "support/golden.hpp"
#include "support/levels.hpp"
#include "support/sequence.hpp"

namespace {

using eigenlm::CacheType;
using eigenlm::Isa;
using eigenlm::TokenId;
using eigenlm::WeightType;

constexpr std::size_t text_length = 70, vocabulary = 101;

/// Rows of whole blocks of every type; panels that are not full, an odd number of units, heads of 48.
std::shared_ptr<const eigenlm::Model> model_of(WeightType type, std::size_t threads, Isa isa) {
    eigenlm::ModelConfig config = support::small_config();
    config.hidden_size = 256;
    config.intermediate_size = 768;
    config.num_layers = 1;
    config.num_heads = 6;
    config.num_kv_heads = 2;
    config.head_dim = 48;
    config.vocab_size = vocabulary;
    return std::make_shared<const eigenlm::Model>(config, eigenlm::RandomWeights(5),
                                                  eigenlm::ModelOptions{.threads = threads, .isa = isa, .dtype = type});
}
std::vector<TokenId> text_of(std::size_t count, unsigned seed = 1) {
    return support::some_ids(count, seed, vocabulary);
}

void expect_same(std::span<const float> found, std::span<const float> expected, const std::string& what) {
    ASSERT_EQ(found.size(), expected.size()) << what;
    EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size_bytes()), 0) << what;
}

/// The logits of one pass at the portable level, or at the one that has bits of its own with some caches.
const std::vector<float>& truth(WeightType type, CacheType cache = CacheType::f16, Isa isa = Isa::portable) {
    static std::map<std::tuple<WeightType, CacheType, Isa>, std::vector<float>> truths;
    const bool own = isa == Isa::avx512_bf16 && in_pairs(cache);
    const Isa level = own ? isa : Isa::portable;
    auto& found = truths[{type, cache, level}];
    if (found.empty()) found = support::all_logits(model_of(type, 1, level), text_of(text_length), cache);
    return found;
}
std::span<const float> row_of(std::span<const float> logits, std::size_t row) {
    return logits.subspan(row * vocabulary, vocabulary);
}

class QuantisedSameBits : public testing::TestWithParam<std::tuple<WeightType, Isa>> {};

TEST_P(QuantisedSameBits, InAnyStepsOnAnyNumberOfThreads) {
    const auto [type, isa] = GetParam();
    const auto text = text_of(text_length);
    const auto& expected = truth(type);
    const auto row = [&](std::size_t position) { return row_of(expected, position); };
    expect_same(support::all_logits(model_of(type, 2, isa), text), expected, "one pass");
    for (const std::size_t threads : {1u, 3u}) {
        const auto model = model_of(type, threads, isa);
        eigenlm::Session steps(model, {.context = text_length});
        if (threads != 1) steps.prefill(std::span(text).first(text_length - 9));
        for (std::size_t i = steps.length(); i < text_length; ++i)
            expect_same(steps.decode(text[i]), row(i), std::to_string(threads) + " threads, " + std::to_string(i));
        eigenlm::Session chunks(model, {.context = text_length, .prefill_rows = 7 * threads});
        for (std::size_t count = threads; chunks.length() < text_length; count = count * 2 + 1) {
            const auto part = std::span(text).subspan(chunks.length(), std::min(count, text_length - chunks.length()));
            const auto found = chunks.prefill(part);
            expect_same(found, row(chunks.length() - 1), std::to_string(threads) + " threads, a chunk");
        }
    }
}

std::string name_of(const testing::TestParamInfo<std::tuple<WeightType, Isa>>& p) {
    return std::string(to_string(std::get<0>(p.param))) + "_" + to_string(std::get<1>(p.param));
}
INSTANTIATE_TEST_SUITE_P(Types, QuantisedSameBits,
                         testing::Combine(testing::ValuesIn(eigenlm::quantised_weight_types),
                                          testing::ValuesIn(support::steady_isas())),
                         name_of);

/// One type of each kind: codes of 8 bits, of 5 with least values, groups of 16, groups with least values, a table.
class SomeQuantisedSameBits : public QuantisedSameBits {};
INSTANTIATE_TEST_SUITE_P(Types, SomeQuantisedSameBits,
                         testing::Combine(testing::Values(WeightType::q8_0, WeightType::q5_1, WeightType::q3_k,
                                                          WeightType::q4_k, WeightType::iq4_xs),
                                          testing::ValuesIn(support::steady_isas())),
                         name_of);

TEST_P(SomeQuantisedSameBits, WithEveryTypeOfCache) {
    const auto [type, isa] = GetParam();
    const auto text = text_of(text_length);
    for (const std::size_t threads : {1u, 3u}) {
        const auto model = model_of(type, threads, isa);
        for (const CacheType cache : eigenlm::all_cache_types) {
            const auto& expected = truth(type, cache, isa);
            const std::string what = std::string(to_string(cache)) + ", " + std::to_string(threads) + " threads";
            expect_same(support::all_logits(model, text, cache), expected, what);
            eigenlm::Session steps(model, {.context = text_length, .cache_type = cache});
            if (threads != 1) steps.prefill(std::span(text).first(text_length - 9));
            for (std::size_t i = steps.length(); i < text_length; ++i)
                expect_same(steps.decode(text[i]), row_of(expected, i), what + ", " + std::to_string(i));
        }
    }
}

TEST_P(SomeQuantisedSameBits, InAnyCompany) {
    const auto [type, isa] = GetParam();
    constexpr std::size_t begins[] = {3, 64, 1, 17, 63, 30, 2}, steps = std::size(begins);
    std::vector<std::vector<TokenId>> texts;
    std::vector<std::vector<float>> alone;
    const auto portable = model_of(type, 1, Isa::portable);
    for (const std::size_t begin : begins) {
        texts.push_back(text_of(begin + steps, static_cast<unsigned>(begin)));
        alone.push_back(support::all_logits(portable, texts.back()));
    }
    for (const std::size_t threads : {1u, 3u}) {
        const auto model = model_of(type, threads, isa);
        std::vector<std::unique_ptr<support::Sequence>> sequences;
        for (std::size_t s = 0; s < std::size(begins); ++s) {
            sequences.push_back(std::make_unique<support::Sequence>(model));
            sequences[s]->prefill(std::span(texts[s]).first(begins[s]));
        }
        for (std::size_t size = std::size(begins), first = 0; size > 0; first += size, --size) {  // 7, 6, ... 1
            std::vector<eigenlm::KvCache*> caches;
            std::vector<TokenId> ids;
            for (std::size_t i = 0; i < size; ++i) {
                const std::size_t s = (first + i) % std::size(begins);
                caches.push_back(&sequences[s]->cache);
                ids.push_back(texts[s][sequences[s]->cache.length()]);
            }
            std::vector<float> logits(size * vocabulary);
            eigenlm::decode(model->transformer(), model->compute(), model->rope(), caches, sequences[0]->workspace, ids,
                            {logits.data(), size, vocabulary, vocabulary});
            for (std::size_t i = 0; i < size; ++i)
                expect_same(row_of(logits, i), row_of(alone[(first + i) % std::size(begins)], caches[i]->length() - 1),
                            std::to_string(threads) + " threads, " + std::to_string(size) + " sequences");
        }
    }
}

class QuantisedWithoutVnni : public testing::TestWithParam<WeightType> {};
INSTANTIATE_TEST_SUITE_P(Types, QuantisedWithoutVnni, testing::ValuesIn(eigenlm::quantised_weight_types),
                         [](const auto& p) { return std::string(to_string(p.param)); });

// What processors that have AVX-512 and no VNNI compute with, on any that has AVX-512.
TEST_P(QuantisedWithoutVnni, GivesTheSameBits) {
    if (!eigenlm::runs(Isa::avx512)) GTEST_SKIP() << "no AVX-512";
    const WeightType type = GetParam();
    const auto model = model_of(type, 1, Isa::avx512);
    const eigenlm::Compute compute{eigenlm::detail::table_of(Isa::avx512, false), model->compute().pool};
    support::Sequence sequence(model, text_length, text_length);
    std::vector<float> logits(text_length * vocabulary);
    eigenlm::prefill(model->transformer(), compute, model->rope(), sequence.cache, sequence.workspace,
                     text_of(text_length), {logits.data(), text_length, vocabulary, vocabulary});
    expect_same(logits, truth(type), "one pass");
    sequence.cache.truncate(text_length - 3);
    eigenlm::KvCache* const caches[] = {&sequence.cache};
    for (std::size_t i = text_length - 3; i < text_length; ++i) {
        const TokenId id = text_of(text_length)[i];
        eigenlm::decode(model->transformer(), compute, model->rope(), caches, sequence.workspace, {&id, 1},
                        {logits.data(), 1, vocabulary, vocabulary});
        expect_same(row_of(logits, 0), row_of(truth(type), i), "step " + std::to_string(i));
    }
}

// A change here is a change of docs/numerics.md, or of how weights are quantised.
TEST(QuantisedSameBits, AreTheseBits) {
    const std::pair<WeightType, std::uint64_t> expected[] = {
        {WeightType::q8_0, 0xc15fc35aefeeb5fbu},   {WeightType::q4_0, 0x15228f8f67e37e1u},
        {WeightType::q4_1, 0x7d79aaa0478ee452u},   {WeightType::q5_0, 0x85b02c373ec3c758u},
        {WeightType::q5_1, 0x885ed4249a2bd3aau},   {WeightType::q2_k, 0x3a59482091d1f3b3u},
        {WeightType::q3_k, 0x7773c0c6ae5dae3du},   {WeightType::q4_k, 0xd1df9633979e9098u},
        {WeightType::q5_k, 0xd58342ea66081444u},   {WeightType::q6_k, 0x1d9b32dfd07497a9u},
        {WeightType::iq4_nl, 0x8985e941699cdf60u}, {WeightType::iq4_xs, 0xd3841a1c28db8bfdu},
    };
    for (const auto& [type, hash] : expected) {
        std::uint64_t found = 0xcbf29ce484222325u;  // FNV-1a
        for (const float x : support::all_logits(model_of(type, 2, support::exact_isas().back()), text_of(60)))
            found = (found ^ std::bit_cast<std::uint32_t>(x)) * 0x100000001b3u;
        EXPECT_EQ(found, hash) << to_string(type) << ": 0x" << std::hex << found;
    }
}

}  // namespace
