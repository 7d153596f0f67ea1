#include "eigenlm/tokenizer/tokenizer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "eigenlm/tokenizer/stream_decoder.hpp"
#include "fixtures.hpp"

namespace {

using namespace eigenlm;
using Ids = std::vector<TokenId>;

class TinyTokenizer : public ::testing::TestWithParam<const char*> {
  protected:
    std::filesystem::path folder_ = tests::tokenizer_data() / GetParam();
    Tokenizer tokenizer_ = Tokenizer::load(folder_);
    /// Those with Metaspace: a space at a text's beginning is as if the tokenizer had put it there.
    bool loses_spaces_ = folder_.filename() == "tiny_metaspace" || folder_.filename() == "tiny_mistral" ||
                         folder_.filename() == "tiny_digits";
};
INSTANTIATE_TEST_SUITE_P(Families, TinyTokenizer, ::testing::ValuesIn(tests::families),
                         [](const auto& family) { return std::string(family.param); });

TEST_P(TinyTokenizer, GoldensOfTheReference) {
    const auto goldens = tests::read_json_lines(folder_ / "goldens.jsonl");
    ASSERT_GE(goldens.size(), 1000u);
    EncodeScratch scratch;
    Ids ids;
    for (const auto& golden : goldens) {
        const auto text = golden["text"].get<std::string>();
        auto expected = golden["ids"].get<Ids>();
        EXPECT_EQ(tokenizer_.decode(expected), golden.value("decoded", text)) << golden["text"];
        const bool twice = expected.size() > 1 && expected[0] == expected[1] && tokenizer_.is_special(expected[0]);
        if (twice && !tokenizer_.encode("").empty()) expected.erase(expected.begin());  // the one difference: never two
        EXPECT_EQ(tokenizer_.encode(text), expected) << golden["text"];
        tokenizer_.encode(text, ids, scratch);
        EXPECT_EQ(ids, expected) << golden["text"];
    }
}

TEST_P(TinyTokenizer, RandomIdsDecodeAsInTheReference) {
    const auto lines = tests::read_json_lines(folder_ / "decoded.jsonl");
    ASSERT_GE(lines.size(), 300u);
    for (const auto& line : lines) {
        const auto ids = line[0].get<Ids>();
        EXPECT_EQ(tokenizer_.decode(ids, {.skip_special_tokens = false}), line[1].get<std::string>()) << line;
        EXPECT_EQ(tokenizer_.decode(ids), line[2].get<std::string>()) << line;
    }
}

TEST_P(TinyTokenizer, StreamsOfRandomIdsAreTheSameText) {
    std::mt19937 rng(23);
    for (const DecodeOptions options :
         {DecodeOptions{}, DecodeOptions{.skip_special_tokens = false}, DecodeOptions{.continues = true}}) {
        StreamDecoder stream(tokenizer_, options);
        for (int round = 0; round < 500; ++round) {
            Ids ids(rng() % 12);
            for (TokenId& id : ids) id = static_cast<TokenId>(rng() % (round % 2 ? tokenizer_.size() : 270));
            std::string joined;
            for (const TokenId id : ids) joined += stream.push(id);
            ASSERT_EQ(joined += stream.flush(), tokenizer_.decode(ids, options));
        }
    }
}

TEST_P(TinyTokenizer, AnyBytesComeBack) {
    std::mt19937 rng(7);
    const std::string name = GetParam();
    const bool normalizes = name == "tiny_qwen2" || name == "tiny_metaspace";
    for (int round = 0; round < 2000; ++round) {
        std::string text = tests::random_bytes(rng, rng() % 80);
        const auto ids = tokenizer_.encode(text, {.add_special_tokens = false});
        if (normalizes) text = unicode::nfc(text);
        std::string back = tokenizer_.decode(ids, {.skip_special_tokens = false});
        if (name == "tiny_gpt2" && !text.starts_with(' ') && !text.empty()) text.insert(0, 1, ' ');
        if (loses_spaces_) text.erase(0, text.find_first_not_of(' ')), back.erase(0, back.find_first_not_of(' '));
        ASSERT_EQ(back, text);
    }
}

TEST_P(TinyTokenizer, EveryTokenIsItsBytes) {
    std::size_t longest = 0, special = 0;
    for (TokenId id = 0; id < static_cast<TokenId>(tokenizer_.size()); ++id) {
        const auto bytes = tokenizer_.token_bytes(id);
        longest = std::max(longest, bytes.size());
        special += tokenizer_.is_special(id);
        EXPECT_EQ(tokenizer_.decode(std::vector{id}, {.continues = true}), tokenizer_.is_special(id) ? "" : bytes);
    }
    EXPECT_EQ(tokenizer_.longest_token(), longest);
    EXPECT_GE(special, 1u - (GetParam() == std::string("tiny_metaspace")));
}

TEST_P(TinyTokenizer, BatchesAndLongTextsGiveTheSameIds) {
    std::vector<std::string> texts;
    std::string all;
    for (const auto& golden : tests::read_json_lines(folder_ / "goldens.jsonl")) {
        texts.push_back(golden["text"].get<std::string>());
        all += texts.back();
    }
    const auto batch = tokenizer_.encode_batch(texts, {}, 3);
    for (std::size_t i = 0; i < texts.size(); ++i) ASSERT_EQ(batch[i], tokenizer_.encode(texts[i]));
    // With every word seen before and without.
    EncodeScratch scratch;
    Ids first, second;
    tokenizer_.encode(all, first, scratch);
    tokenizer_.encode(all, second, scratch);
    EXPECT_EQ(first, second);
    EXPECT_EQ(first, tokenizer_.encode(all));
}

TEST_P(TinyTokenizer, IdsThatAreNoTokensAreArgumentErrors) {
    for (const TokenId id :
         {-1, static_cast<TokenId>(tokenizer_.size()), max_token_id, std::numeric_limits<TokenId>::min()}) {
        EXPECT_THROW(tokenizer_.token_bytes(id), ArgumentError);
        EXPECT_THROW(tokenizer_.decode(std::vector{id}), ArgumentError);
        EXPECT_FALSE(tokenizer_.is_special(id));
    }
    EXPECT_EQ(tokenizer_.id_of("no such token"), std::nullopt);
}

TEST_P(TinyTokenizer, AMegabyteWordAndAMegabyteOfSpaces) {
    for (const std::string& unit :
         {std::string("a"), std::string("the"), std::string(" "), std::string("\u0301"), std::string("<|")}) {
        std::string text;
        while (text.size() < (1u << 20)) text += unit;
        std::string back = tokenizer_.decode(tokenizer_.encode(text));
        if (GetParam() == std::string("tiny_gpt2") && unit != " ") back.erase(0, 1);
        if (unit == " " && loses_spaces_)
            EXPECT_EQ(back.find_first_not_of(' '), std::string::npos);
        else
            EXPECT_TRUE(back == text) << unit;
    }
}

TEST(Tokenizer, LoadsAFolderOrAFile) {
    const auto folder = tests::tokenizer_data() / "tiny_qwen2";
    EXPECT_EQ(Tokenizer::load(folder).size(), Tokenizer::load(folder / "tokenizer.json").size());
    EXPECT_THROW(Tokenizer::load(folder / "missing"), IoError);
    EXPECT_THROW(Tokenizer::load(tests::tokenizer_data()), IoError);  // a folder without one
    EXPECT_THROW(Tokenizer::load(folder / "goldens.jsonl"), FormatError);
}

TEST(Tokenizer, SpecialTokensFollowTheOptions) {
    const auto tokenizer = tests::tokenizer_of(tests::small_tokenizer());
    EXPECT_EQ(tokenizer.encode("abc<s>bc"), (Ids{259, 257, 259, 'b', 'c'}));
    EXPECT_EQ(tokenizer.encode("abc<s>bc", {.add_special_tokens = false}), (Ids{257, 259, 'b', 'c'}));
    EXPECT_EQ(tokenizer.decode(Ids{259, 257, 259, 'b'}), "abcb");
    EXPECT_EQ(tokenizer.decode(Ids{259, 257, 259, 'b'}, {.skip_special_tokens = false}), "<s>abc<s>b");
    EXPECT_EQ(tokenizer.encode(""), (Ids{259}));
    EXPECT_EQ(tokenizer.decode({}), "");
}

TEST(Tokenizer, NormalizedTokensAreFoundAfterNormalization) {
    auto tree = tests::small_tokenizer();
    tree["normalizer"] = {{"type", "Sequence"},
                          {"normalizers", nlohmann::json::array({nlohmann::json{{"type", "NFC"}}})}};
    for (const bool normalized : {true, false})
        tree["added_tokens"].push_back({{"id", normalized ? 260 : 261},
                                        {"content", normalized ? "e\u0301 x" : "o\u0301 x"},
                                        {"single_word", false},
                                        {"lstrip", false},
                                        {"rstrip", false},
                                        {"normalized", normalized},
                                        {"special", false}});
    const auto tokenizer = tests::tokenizer_of(tree);
    const EncodeOptions bare{.add_special_tokens = false};
    EXPECT_EQ(tokenizer.encode("\u00e9 x", bare), (Ids{260}));
    EXPECT_EQ(tokenizer.encode("e\u0301 x", bare), (Ids{260}));
    EXPECT_EQ(tokenizer.encode("o\u0301 x", bare), (Ids{261}));
    EXPECT_EQ(tokenizer.decode(Ids{260, 261}), "\u00e9 xo\u0301 x");
    EXPECT_EQ(tokenizer.id_of("e\u0301 x"), 260);
    EXPECT_EQ(tokenizer.encode("\u00f3 x", bare), (Ids{0xC3, 0xB3, ' ', 'x'}));
}

// What Hugging Face's does there, found by comparing made-up tokenizers.
TEST(Tokenizer, AddedTokensInWhiteSpaceThatOneBeforeTookAlong) {
    auto tree = tests::small_tokenizer();
    for (const auto& [id, content, rstrip] : {std::tuple(260, "<x>", true), std::tuple(261, "\n", false)})
        tree["added_tokens"].push_back({{"id", id},
                                        {"content", content},
                                        {"single_word", false},
                                        {"lstrip", false},
                                        {"rstrip", rstrip},
                                        {"normalized", false},
                                        {"special", false}});
    const auto tokenizer = tests::tokenizer_of(tree);
    const EncodeOptions bare{.add_special_tokens = false};
    EXPECT_EQ(tokenizer.encode("<x>\n\nH", bare), (Ids{260, 261, 261, 'H'}));
    EXPECT_EQ(tokenizer.encode("<x> \n H", bare), (Ids{260, 261, ' ', 'H'}));
    EXPECT_EQ(tokenizer.encode("<x>  H", bare), (Ids{260, 'H'}));
}

TEST(Tokenizer, HolesInTheVocabularyAreNoTokens) {
    auto tree = tests::small_tokenizer();
    tree["model"]["vocab"]["bc"] = 300;
    tree["added_tokens"] = nlohmann::json::array();
    tree["post_processor"] = nullptr;
    const auto tokenizer = tests::tokenizer_of(tree);
    EXPECT_EQ(tokenizer.size(), 301u);
    EXPECT_EQ(tokenizer.token_bytes(300), "bc");
    EXPECT_THROW(tokenizer.token_bytes(299), ArgumentError);
}

TEST(Tokenizer, CopiesAndMovesStandAlone) {
    auto original = std::make_unique<Tokenizer>(Tokenizer::load(tests::tokenizer_data() / "tiny_llama3"));
    const Tokenizer copy = *original;
    const auto ids = copy.encode("Hello <|eot_id|> 12345");
    const Tokenizer moved = std::move(*original);
    original.reset();
    EXPECT_EQ(moved.encode("Hello <|eot_id|> 12345"), ids);
    EXPECT_EQ(moved.decode(ids), copy.decode(ids));
}

// The vocabularies of the real models, with the cases of llama.cpp, where EIGENLM_TEST_DATA names a folder that has
// them.
void check_real(const std::string& path, const std::string& cases) {
    const char* data = std::getenv("EIGENLM_TEST_DATA");
    if (data == nullptr) GTEST_SKIP() << "EIGENLM_TEST_DATA is not set";
    const std::filesystem::path folder = data;
    const auto tokenizer = Tokenizer::load(folder / path);
    const auto read = [&](const char* extension) {
        std::ifstream file(folder / "vocab" / (cases + extension), std::ios::binary);
        EXPECT_TRUE(file.good());
        return std::string(std::istreambuf_iterator<char>(file), {});
    };
    const std::string separator = "\n__ggml_vocab_test__\n", texts = read(".inp");
    std::istringstream expected(read(".out"));
    std::size_t count = 0;
    for (std::size_t begin = 0; begin < texts.size(); ++count) {
        const std::size_t end = std::min(texts.find(separator, begin), texts.size());
        const std::string text = texts.substr(begin, end - begin);
        std::string line;
        EXPECT_TRUE(std::getline(expected, line));
        std::istringstream numbers(line);
        const Ids ids{std::istream_iterator<TokenId>(numbers), {}};
        EXPECT_EQ(tokenizer.encode(text, {.add_special_tokens = false}), ids) << text;
        EXPECT_EQ(tokenizer.decode(ids), text);
        begin = end + separator.size();
    }
    EXPECT_GE(count, 46u);
}

TEST(RealTokenizer, Qwen2) { check_real("tokenizers/qwen2", "ggml-vocab-qwen2.gguf"); }
TEST(RealTokenizer, Llama2) { check_real("tokenizers/llama2", "ggml-vocab-llama-spm.gguf"); }
TEST(RealTokenizer, Llama3) { check_real("tokenizers/llama3", "ggml-vocab-llama-bpe.gguf"); }
TEST(RealTokenizer, Qwen2OfGguf) { check_real("vocab/ggml-vocab-qwen2.gguf", "ggml-vocab-qwen2.gguf"); }
TEST(RealTokenizer, Llama2OfGguf) { check_real("vocab/ggml-vocab-llama-spm.gguf", "ggml-vocab-llama-spm.gguf"); }
TEST(RealTokenizer, Llama3OfGguf) { check_real("vocab/ggml-vocab-llama-bpe.gguf", "ggml-vocab-llama-bpe.gguf"); }

}  // namespace
