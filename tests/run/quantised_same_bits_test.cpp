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

using eigenlm::Isa;
using eigenlm::TokenId;
using eigenlm::WeightType;

/// Rows of whole blocks of every type; panels that are not full, an odd number of units, heads of 48.
std::shared_ptr<const eigenlm::Model> model_of(WeightType type, std::size_t threads, Isa isa) {
    eigenlm::ModelConfig config = support::small_config();
    config.hidden_size = 256;
    config.intermediate_size = 768;
    config.num_layers = 1;
    config.num_heads = 6;
    config.num_kv_heads = 2;
    config.head_dim = 48;
    config.vocab_size = 101;
    return std::make_shared<const eigenlm::Model>(config, eigenlm::RandomWeights(5),
                                                  eigenlm::ModelOptions{.threads = threads, .isa = isa, .dtype = type});
}
std::vector<TokenId> text_of(std::size_t length) { return support::some_ids(length, 1, 101); }

void expect_same(std::span<const float> found, std::span<const float> expected, const std::string& what) {
    ASSERT_EQ(found.size(), expected.size()) << what;
    EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size_bytes()), 0) << what;
}

class QuantisedSameBits : public testing::TestWithParam<std::tuple<WeightType, Isa>> {};

TEST_P(QuantisedSameBits, InAnyStepsOnAnyNumberOfThreads) {
    const auto [type, isa] = GetParam();
    constexpr std::size_t length = 70, vocab = 101;
    const auto text = text_of(length);
    static std::map<WeightType, std::vector<float>> truths;  // of the portable level
    if (!truths.contains(type)) truths[type] = support::all_logits(model_of(type, 1, Isa::portable), text);
    const auto& expected = truths[type];
    const auto row = [&](std::size_t position) { return std::span(expected).subspan(position * vocab, vocab); };
    expect_same(support::all_logits(model_of(type, 2, isa), text), expected, "one pass");
    for (const std::size_t threads : {1, 3}) {
        const auto model = model_of(type, threads, isa);
        eigenlm::Session steps(model, {.context = length});
        if (threads != 1) steps.prefill(std::span(text).first(length - 9));
        for (std::size_t i = steps.length(); i < length; ++i)
            expect_same(steps.decode(text[i]), row(i), std::to_string(threads) + " threads, " + std::to_string(i));
        eigenlm::Session chunks(model, {.context = length, .prefill_rows = 7 * threads});
        for (std::size_t count = threads; chunks.length() < length; count = count * 2 + 1) {
            const auto part = std::span(text).subspan(chunks.length(), std::min(count, length - chunks.length()));
            const auto found = chunks.prefill(part);
            expect_same(found, row(chunks.length() - 1), std::to_string(threads) + " threads, a chunk");
        }
    }
}

INSTANTIATE_TEST_SUITE_P(
    Types, QuantisedSameBits,
    testing::Combine(testing::ValuesIn(eigenlm::quantised_weight_types), testing::ValuesIn(support::steady_isas())),
    [](const auto& p) { return std::string(to_string(std::get<0>(p.param))) + "_" + to_string(std::get<1>(p.param)); });

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
