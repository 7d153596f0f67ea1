// Contract 1: the logits of a position are the same bits however the positions before it were computed.
#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <eigenlm/eigenlm.hpp>
#include <random>
#include <string>
#include <tuple>
#include <utility>

#include "support/golden.hpp"
#include "support/levels.hpp"
#include "support/sequence.hpp"

namespace {

using eigenlm::Session;
using eigenlm::TokenId;

/// Random ids, enough for several cache blocks.
std::vector<TokenId> random_text(std::size_t vocab, std::size_t length, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<TokenId> text(length);
    for (TokenId& id : text) id = static_cast<TokenId>(random() % vocab);
    return text;
}

/// Fails unless both are the same bytes.
void expect_same_bits(std::span<const float> found, std::span<const float> expected, const std::string& what) {
    ASSERT_EQ(found.size(), expected.size()) << what;
    if (std::memcmp(found.data(), expected.data(), expected.size_bytes()) == 0) return;
    for (std::size_t i = 0; i < expected.size(); ++i)
        ASSERT_EQ(std::bit_cast<std::uint32_t>(found[i]), std::bit_cast<std::uint32_t>(expected[i]))
            << what << ", logit " << i << ": " << found[i] << " and " << expected[i];
}

class SameBitsTest : public testing::TestWithParam<std::tuple<std::string, eigenlm::WeightType, eigenlm::Isa>> {
  protected:
    static constexpr std::size_t length = 150;  // two full blocks of 64 and a bit

    void SetUp() override {
        folder_ = support::model_dir(std::get<0>(GetParam()));
        model_ = load(1);
        text_ = random_text(vocab(), length, 7);
        expected_ = support::all_logits(model_, text_);
    }
    std::shared_ptr<const eigenlm::Model> load(std::size_t threads) const {
        return support::load_model(
            folder_, {.threads = threads, .isa = std::get<2>(GetParam()), .dtype = std::get<1>(GetParam())});
    }
    std::size_t vocab() const { return model_->config().vocab_size; }
    /// The logits behind the id at `position`, as one prefill of everything gives them.
    std::span<const float> expected(std::size_t position) const {
        return std::span(expected_).subspan(position * vocab(), vocab());
    }
    std::span<const TokenId> ids(std::size_t first, std::size_t count) const {
        return std::span(text_).subspan(first, count);
    }

    std::filesystem::path folder_;
    std::shared_ptr<const eigenlm::Model> model_;
    std::vector<TokenId> text_;
    std::vector<float> expected_;
};

TEST_P(SameBitsTest, TokenByToken) {
    Session session(model_);
    for (std::size_t i = 0; i < length; ++i)
        expect_same_bits(session.decode(text_[i]), expected(i), "decode " + std::to_string(i));
}

TEST_P(SameBitsTest, RandomChunks) {
    std::mt19937 random(3);
    for (int round = 0; round < 6; ++round) {
        Session session(model_, {.prefill_rows = 1 + random() % 70});  // passes have borders of their own
        std::vector<float> logits;
        for (std::size_t begin = 0; begin < length;) {
            const std::size_t count = std::min<std::size_t>(length - begin, 1 + random() % 60);
            logits.resize(count * vocab());
            session.prefill(ids(begin, count), std::span<float>(logits));
            for (std::size_t i = 0; i < count; ++i)
                expect_same_bits(std::span(logits).subspan(i * vocab(), vocab()), expected(begin + i),
                                 "round " + std::to_string(round) + ", position " + std::to_string(begin + i));
            begin += count;
        }
    }
}

TEST_P(SameBitsTest, NaiveRecomputation) {
    Session naive(model_, {.context = length, .use_cache = false});
    naive.prefill(ids(0, 5));
    for (std::size_t i = 5; i < length; i += i < 70 ? 1 : 13) {
        expect_same_bits(naive.prefill(ids(naive.length(), i + 1 - naive.length())), expected(i),
                         "naive " + std::to_string(i));
        EXPECT_EQ(naive.length(), i + 1);
    }
}

TEST_P(SameBitsTest, AnyNumberOfThreads) {
    for (std::size_t threads = 2; threads <= 5; ++threads)
        expect_same_bits(support::all_logits(load(threads), text_), expected_, std::to_string(threads) + " threads");
}

TEST_P(SameBitsTest, WatchedOrNot) {  // products that are added at once must be shown to a tap first
    std::size_t seen = 0;
    Session watched(model_, {.context = length});
    std::vector<float> logits(length * vocab());
    watched.prefill(text_, std::span<float>(logits),
                    {.tap = [&](std::string_view, int, eigenlm::Rows<const float>) { ++seen; }});
    expect_same_bits(logits, expected_, "watched");
    EXPECT_GT(seen, 10u);
}

TEST_P(SameBitsTest, AfterTruncation) {
    Session session(model_);
    session.prefill(random_text(vocab(), length, 8));
    session.truncate(0);
    session.prefill(ids(0, 100));
    session.truncate(70);
    expect_same_bits(session.prefill(ids(70, 80)), expected(length - 1), "after truncation");
}

TEST_P(SameBitsTest, AnyBatch) {
    // Sequences of different lengths, each decoded alone and in changing company.
    const auto& m = *model_;
    const std::size_t lengths[] = {3, 64, 65, 100, 17};
    constexpr std::size_t count = std::size(lengths);
    eigenlm::Workspace workspace(m.config(), 128, 1);
    std::vector<eigenlm::KvCache> caches;
    std::vector<std::vector<TokenId>> texts;
    for (std::size_t s = 0; s < count; ++s) {
        caches.emplace_back(m.config(), length, m.cache_type());
        texts.push_back(random_text(vocab(), lengths[s] + 12, static_cast<unsigned>(s)));
        eigenlm::prefill(m.transformer(), m.compute(), m.rope(), caches[s], workspace,
                         std::span<const TokenId>(texts[s]).first(lengths[s]), {});
    }
    std::mt19937 random(11);
    for (int step = 0; step < 12; ++step) {
        std::vector<eigenlm::KvCache*> batch;
        std::vector<TokenId> ids;
        std::vector<std::size_t> members;
        for (std::size_t s = 0; s < count; ++s)
            if (random() % 3 != 0 && caches[s].length() < texts[s].size()) members.push_back(s);
        std::ranges::shuffle(members, random);
        for (const std::size_t s : members) {
            batch.push_back(&caches[s]);
            ids.push_back(texts[s][caches[s].length()]);
        }
        if (batch.empty()) continue;
        std::vector<float> logits(batch.size() * vocab());
        eigenlm::decode(m.transformer(), m.compute(), m.rope(), batch, workspace, ids,
                        {logits.data(), batch.size(), vocab(), vocab()});
        for (std::size_t i = 0; i < members.size(); ++i) {
            const std::size_t s = members[i], so_far = caches[s].length();
            const auto alone = support::all_logits(model_, std::span(texts[s]).first(so_far));
            expect_same_bits(std::span(logits).subspan(i * vocab(), vocab()),
                             std::span(alone).subspan((so_far - 1) * vocab()), "sequence " + std::to_string(s));
        }
    }
}

/// FNV-1a over the bits of numbers.
std::uint64_t hash_of(std::span<const float> numbers) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const float number : numbers) hash = (hash ^ std::bit_cast<std::uint32_t>(number)) * 0x100000001b3u;
    return hash;
}

// The bits themselves, which compilers, their flags and machines share. A change here is a change of docs/numerics.md.
struct Bits {
    const char* name;
    std::uint64_t f32, bf16, f16;
};
class SameBitsEverywhere : public testing::TestWithParam<eigenlm::WeightType> {};

TEST_P(SameBitsEverywhere, AreTheseBits) {
    const Bits expected[] = {
        {"qwen2-odd", 0x5e0e2dc6f90ea9d2u, 0x0444b2b935d8cf1eu, 0x0c9807c42a0696e3u},
        {"qwen2-untied", 0xe6059fa2a942c9acu, 0x0846b3deac3550f1u, 0xd57d64be95a2e2f3u},
        {"llama-gqa", 0x742ad3d3fd88668au, 0x7b692d47f2f0e550u, 0x572e195051ff8847u},
        {"llama31-scaled", 0xae7f837146f15ef2u, 0x25e2d92c4d9facecu, 0xe0cf774dd74068c1u},
        {"qwen3-window", 0x41822a260d6d9026u, 0x8a3bad7db2afd37bu, 0x20d3faa792556397u},
        {"mistral", 0x5fb3e526f32d5ea5u, 0x16579a540bb8b375u, 0x627f01aca2a184e5u},
        {"llama-yarn", 0x28a8eb8d69ebdef8u, 0xacc015da206fdb5bu, 0x5ecaaaddfc1a68b1u},
        {"tiny", 0x5c92eb28e4858befu, 0x6ad1bafb456a0b4fu, 0xcdebd712452bb073u},  // the trained one
    };
    for (const Bits& bits : expected) {
        const std::uint64_t hashes[] = {bits.f32, bits.bf16, bits.f16};
        for (const eigenlm::Isa isa : support::exact_isas()) {
            const auto model = support::load_model(support::model_dir(bits.name), {.isa = isa, .dtype = GetParam()});
            std::uint32_t state = 1;
            std::vector<TokenId> text(150);
            for (TokenId& id : text) {
                state = state * 1103515245u + 12345u;
                id = static_cast<TokenId>((state >> 16) % model->config().vocab_size);
            }
            EXPECT_EQ(hash_of(support::all_logits(model, text)), hashes[static_cast<std::size_t>(GetParam())])
                << bits.name << ", " << to_string(isa);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Types, SameBitsEverywhere, testing::ValuesIn(eigenlm::plain_weight_types),
                         [](const auto& p) { return to_string(p.param); });

TEST(SameBits, HalfsComputeAsTheSameNumbersInF32) {
    const auto logits = [](eigenlm::WeightType dtype) {
        const auto folder = support::golden_dir("llama31-scaled");  // stored as halfs
        const auto model = support::load_model(folder, {.isa = eigenlm::Isa::portable, .dtype = dtype});
        return support::all_logits(model, random_text(100, 90, 1), eigenlm::CacheType::f32);
    };
    expect_same_bits(logits(eigenlm::WeightType::f16), logits(eigenlm::WeightType::f32), "f16 and f32");
}

/// Positions that attend to more than one section of keys, whose attention threads share.
class SameBitsFarTest : public testing::TestWithParam<std::tuple<eigenlm::WeightType, eigenlm::Isa>> {};

TEST_P(SameBitsFarTest, AsOnePassInStepsOnAnyNumberOfThreads) {
    const auto dtype = std::get<0>(GetParam());
    const auto isa = std::get<1>(GetParam());
    const auto load = [&](std::size_t threads) {
        return support::load_model(support::golden_dir("long"), {.threads = threads, .isa = isa, .dtype = dtype});
    };
    const auto model = load(1);
    const std::size_t vocab = model->config().vocab_size, length = 2 * eigenlm::kv_section + 70;
    const auto text = random_text(vocab, length, 5);
    const auto expected = support::all_logits(model, text);
    const auto row = [&](std::size_t position) { return std::span(expected).subspan(position * vocab, vocab); };
    for (std::size_t threads = 1; threads <= 3; ++threads) {
        Session session(load(threads), {.context = length, .prefill_rows = 100 * threads});
        for (const std::size_t border : {eigenlm::kv_section, 2 * eigenlm::kv_section}) {
            const std::size_t before = border - 5 - session.length();
            expect_same_bits(session.prefill(std::span(text).subspan(session.length(), before)), row(border - 6),
                             std::to_string(threads) + " threads, before " + std::to_string(border));
            for (std::size_t position = session.length(); position < border + 20; ++position)
                expect_same_bits(session.decode(text[position]), row(position),
                                 std::to_string(threads) + " threads, " + std::to_string(position));
        }
    }
}

/// Every type of cache, whatever the weights are: over several blocks, in windows and without, and behind a section.
class SameBitsCacheTest : public testing::TestWithParam<std::tuple<eigenlm::CacheType, eigenlm::Isa>> {
  protected:
    static eigenlm::CacheType type() { return std::get<0>(GetParam()); }
    static std::shared_ptr<const eigenlm::Model> load(const std::string& name, std::size_t threads,
                                                      eigenlm::Isa isa = std::get<1>(GetParam())) {
        return support::load_model(support::model_dir(name), {.threads = threads, .isa = isa});
    }
    /// Of one pass, as the portable level has them, unless the level has bits of its own.
    static std::vector<float> truth(const std::string& name, std::span<const TokenId> text) {
        const auto isa = std::get<1>(GetParam());
        const bool own = isa == eigenlm::Isa::avx512_bf16 && in_pairs(type());
        return support::all_logits(load(name, 1, own ? isa : eigenlm::Isa::portable), text, type());
    }
};

TEST_P(SameBitsCacheTest, InAnySteps) {
    for (const std::string name : {"llama-gqa", "qwen3-window", "mistral"}) {
        const auto model = load(name, 1);
        const std::size_t vocab = model->config().vocab_size, length = 330;
        const auto text = random_text(vocab, length, 5), some = random_text(length, 20, 6);
        const auto expected = truth(name, text);
        const auto row = [&](std::size_t position) { return std::span(expected).subspan(position * vocab, vocab); };
        Session one_by_one(model, {.context = length, .cache_type = type()});
        for (std::size_t i = 0; i < length; ++i)
            expect_same_bits(one_by_one.decode(text[i]), row(i), name + ", decode " + std::to_string(i));
        for (std::size_t threads = 1; threads <= 5; ++threads) {
            Session chunks(load(name, threads),
                           {.context = length, .prefill_rows = 30 * threads, .cache_type = type()});
            for (std::size_t i = threads; i < 20 && chunks.length() < length; ++i) {
                const auto count = std::min(length - chunks.length(), static_cast<std::size_t>(some[i]) % 90 + 1);
                const auto found = chunks.prefill(std::span(text).subspan(chunks.length(), count));
                expect_same_bits(found, row(chunks.length() - 1), name + ", to " + std::to_string(chunks.length()));
            }
        }
    }
}

TEST_P(SameBitsCacheTest, BehindASectionOnAnyNumberOfThreads) {
    const std::size_t vocab = load("long", 1)->config().vocab_size, length = eigenlm::kv_section + 70;
    const auto text = random_text(vocab, length, 7);
    const auto expected = truth("long", text);
    for (std::size_t threads = 1; threads <= 5; ++threads) {
        Session session(load("long", threads), {.context = length, .cache_type = type()});
        session.prefill(std::span(text).first(eigenlm::kv_section - 2));
        while (session.length() < length) {
            const std::size_t i = session.length();
            expect_same_bits(session.decode(text[i]), std::span(expected).subspan(i * vocab, vocab),
                             std::to_string(threads) + " threads, " + std::to_string(i));
        }
    }
}

TEST(SameBitsOfCachesEverywhere, AreTheseBits) {
    const std::pair<const char*, std::uint64_t> expected[] = {{"llama-gqa", 0x36ad4117637c85dcu},
                                                              {"qwen3-window", 0x4c42810876986121u}};
    for (const auto& [name, hash] : expected)
        for (const eigenlm::Isa isa : support::exact_isas()) {
            const auto model = support::load_model(support::model_dir(name), {.isa = isa});
            const auto text = support::some_ids(150, 1, model->config().vocab_size);
            EXPECT_EQ(hash_of(support::all_logits(model, text, eigenlm::CacheType::q8_0)), hash)
                << name << ", " << to_string(isa);
        }
}

INSTANTIATE_TEST_SUITE_P(
    Types, SameBitsCacheTest,
    testing::Combine(testing::ValuesIn(eigenlm::all_cache_types), testing::ValuesIn(support::steady_isas())),
    [](const auto& p) { return std::string(to_string(std::get<0>(p.param))) + "_" + to_string(std::get<1>(p.param)); });

INSTANTIATE_TEST_SUITE_P(
    Levels, SameBitsFarTest,
    testing::Combine(testing::ValuesIn(eigenlm::plain_weight_types), testing::ValuesIn(support::steady_isas())),
    [](const auto& p) { return std::string(to_string(std::get<0>(p.param))) + "_" + to_string(std::get<1>(p.param)); });

INSTANTIATE_TEST_SUITE_P(
    Models, SameBitsTest,
    testing::Combine(testing::Values("qwen2-odd", "llama-gqa", "qwen3-window", "mistral", "llama-yarn"),
                     testing::ValuesIn(eigenlm::plain_weight_types), testing::ValuesIn(support::steady_isas())),
    support::name_of_triple);
INSTANTIATE_TEST_SUITE_P(Trained, SameBitsTest,
                         testing::Combine(testing::Values("tiny"), testing::Values(eigenlm::WeightType::bf16),
                                          testing::ValuesIn(support::steady_isas())),
                         support::name_of_triple);

}  // namespace
