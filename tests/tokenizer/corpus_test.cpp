// Twenty thousand strings: the ids of each against checksums of the reference's (tools/make_tokenizer_corpus.py).
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "eigenlm/tokenizer/stream_decoder.hpp"
#include "fixtures.hpp"

namespace {

using namespace eigenlm;
using Ids = std::vector<TokenId>;

std::vector<std::string> corpus() {
    std::vector<std::string> texts;
    for (const auto& line : tests::read_json_lines(tests::tokenizer_data() / "corpus.jsonl"))
        texts.push_back(line.get<std::string>());
    return texts;
}

/// FNV-1a of the ids and a -1 behind them, as 32-bit little-endian numbers.
void add_to(std::uint64_t& checksum, const Ids& ids) {
    const auto add = [&](TokenId id) {
        for (int shift = 0; shift < 32; shift += 8)
            checksum = (checksum ^ (static_cast<std::uint32_t>(id) >> shift & 0xFF)) * 0x100000001B3u;
    };
    for (const TokenId id : ids) add(id);
    add(-1);
}

void check(const Tokenizer& tokenizer, const std::string& name) {
    constexpr std::size_t strings_a_line = 20;
    const auto texts = corpus();
    ASSERT_GE(texts.size(), 20'000u);
    const auto all = tokenizer.encode_batch(texts, {.add_special_tokens = false});
    std::ifstream file(tests::tokenizer_data() / (name + ".sums"));
    std::size_t begin = 0, wrong = 0;
    for (std::string line; std::getline(file, line); begin += strings_a_line) {
        std::uint64_t checksum = 0xCBF29CE484222325u;
        for (std::size_t i = begin; i < begin + strings_a_line; ++i) add_to(checksum, all.at(i));
        if (checksum == std::stoull(line, nullptr, 16)) continue;
        ADD_FAILURE() << "among the strings of lines " << begin + 1 << " to " << begin + strings_a_line;
        if (++wrong == 5) break;
    }
    EXPECT_EQ(begin, texts.size());
    StreamDecoder stream(tokenizer);
    for (const Ids& ids : all) {
        std::string joined;
        for (const TokenId id : ids) joined += stream.push(id);
        ASSERT_EQ(joined += stream.flush(), tokenizer.decode(ids));
    }
}

class Corpus : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, Corpus, ::testing::ValuesIn(tests::families),
                         [](const auto& family) { return std::string(family.param); });
TEST_P(Corpus, AgreesWithTheReference) { check(Tokenizer::load(tests::tokenizer_data() / GetParam()), GetParam()); }

// The vocabularies of real models, where EIGENLM_TEST_DATA names a folder that has them.
class RealCorpus : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Models, RealCorpus, ::testing::Values("qwen2", "llama3", "llama2"),
                         [](const auto& model) { return std::string(model.param); });
TEST_P(RealCorpus, AgreesWithTheReference) {
    const char* data = std::getenv("EIGENLM_TEST_DATA");
    if (data == nullptr) GTEST_SKIP() << "EIGENLM_TEST_DATA is not set";
    check(Tokenizer::load(std::filesystem::path(data) / "tokenizers" / GetParam()), GetParam());
}
TEST_P(RealCorpus, OfGgufFilesAgreesWithTheReference) {
    const char* data = std::getenv("EIGENLM_TEST_DATA");
    if (data == nullptr) GTEST_SKIP() << "EIGENLM_TEST_DATA is not set";
    const std::string model = GetParam(), name = model == "llama3"   ? "llama-bpe"
                                                 : model == "llama2" ? "llama-spm"
                                                                     : model;
    check(Tokenizer::load(std::filesystem::path(data) / "vocab" / ("ggml-vocab-" + name + ".gguf")), model);
}

}  // namespace
