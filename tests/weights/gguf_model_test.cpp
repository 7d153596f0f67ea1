// GGUF models against the folders they were converted from (tools/make_gguf_goldens.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <eigenlm/eigenlm.hpp>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/gguf.hpp"
#include "support/golden.hpp"
#include "support/stored_tensors.hpp"
#include "support/temporary_folder.hpp"

namespace {

using eigenlm::TokenId;
using eigenlm::WeightType;
using support::gguf_golden;

std::vector<TokenId> text_of(const std::string& golden) {
    auto text = support::Golden::of(golden).text();
    text.resize(std::min<std::size_t>(text.size(), 164));
    return text;
}

std::vector<TokenId> greedy(std::shared_ptr<const eigenlm::Model> model, std::span<const TokenId> prompt,
                            std::size_t count) {
    eigenlm::Session session(model, {.context = prompt.size() + count});
    std::span<const float> logits = session.prefill(prompt);
    std::vector<TokenId> ids;
    while (ids.size() < count) {
        ids.push_back(static_cast<TokenId>(std::ranges::max_element(logits) - logits.begin()));
        logits = session.decode(ids.back());
    }
    return ids;
}

std::filesystem::path file_of(const std::string& name) {
    return gguf_golden(name == "long" ? "long-00002-of-00003" : name);  // any of several opens them all
}

class GgufGolden : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Checkpoints, GgufGolden,
                         ::testing::Values("long", "llama31-scaled", "qwen2-untied", "qwen3", "mistral"),
                         [](const auto& name) { return support::identifier(name.param); });

TEST_P(GgufGolden, GivesTheBitsOfItsFolder) {
    const auto text = text_of(GetParam());
    for (const auto dtype : {WeightType::f32, support::stored_type_of(support::golden_dir(GetParam()))}) {
        const auto ours = support::load_gguf_model(file_of(GetParam()), {.dtype = dtype});
        const auto folder = support::load_model(support::golden_dir(GetParam()), {.dtype = dtype});
        const auto found = support::all_logits(ours, text), expected = support::all_logits(folder, text);
        ASSERT_EQ(found.size(), expected.size());
        EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)), 0) << to_string(dtype);
        const std::span prompt = std::span(text).first(20);
        EXPECT_EQ(greedy(ours, prompt, 24), greedy(folder, prompt, 24));
    }
}

TEST_P(GgufGolden, IsKeptInTheTypeThatItHas) {
    const eigenlm::GgufFiles files(file_of(GetParam()));
    const auto config = read_config(files);
    EXPECT_EQ(stored_type(config, eigenlm::GgufTensors(files, config)).type,
              support::stored_type_of(support::golden_dir(GetParam())));
}

TEST_P(GgufGolden, HasTheConfigOfItsFolder) {
    const auto found = read_config(eigenlm::GgufFiles(file_of(GetParam())));
    const auto expected = read_config(eigenlm::Checkpoint::open(support::golden_dir(GetParam())));
    const auto fields = [](const eigenlm::ModelConfig& c) {
        return std::tuple(c.family, c.vocab_size, c.hidden_size, c.intermediate_size, c.num_layers, c.num_heads,
                          c.num_kv_heads, c.head_dim, c.max_position_embeddings, c.rms_norm_eps, c.rope_theta,
                          c.tie_word_embeddings);
    };
    EXPECT_EQ(fields(found), fields(expected));
    const auto scaling = [](const eigenlm::RopeScaling& s) {
        return std::tuple(s.kind, s.factor, s.original_max_position_embeddings, s.low_freq_factor, s.high_freq_factor);
    };
    EXPECT_EQ(scaling(found.rope_scaling), scaling(expected.rope_scaling));
    EXPECT_EQ(found.eos_token_ids, expected.eos_token_ids);
    for (std::size_t l = 0; l < found.num_layers; ++l) EXPECT_EQ(found.window(l), expected.window(l));
}

// What random models know of themselves.
nlohmann::json facts(const std::string& name) {
    std::ifstream file(gguf_golden(name).replace_extension(".json"));
    return nlohmann::json::parse(file);
}

std::string fnv1a(std::span<const float> values) {
    std::uint64_t state = 0xCBF29CE484222325u;
    for (const std::byte byte : std::as_bytes(values))
        state = (state ^ static_cast<std::uint8_t>(byte)) * 0x100000001B3u;
    char text[17];
    std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(state));
    return text;
}

/// All tensors of a GGUF model in float32, by Hugging Face's names.
std::map<std::string, eigenlm::Tensor> tensors_of(const eigenlm::ModelConfig& config,
                                                  const eigenlm::GgufTensors& source) {
    std::map<std::string, eigenlm::Tensor> all;
    const auto add = [&](const eigenlm::TensorNames& names, std::size_t inputs) {
        for (const auto& t : names) {
            std::vector<std::size_t> shape{t.rows};
            if (inputs != 0) shape.push_back(inputs);
            if (source.contains(t.name)) all.emplace(t.name, source.tensor(t.name, shape));
        }
    };
    each_matrix(config, [&](const auto& names, std::size_t, std::size_t inputs) { add(names, inputs); });
    for (std::size_t l = 0; l < config.num_layers; ++l) {
        const auto names = layer_names(config, l);
        for (const auto* vectors : {&names.attention_norm, &names.mlp_norm, &names.qkv_bias}) add(*vectors, 0);
    }
    add(final_norm_names(config), 0);
    return all;
}

class GgufRandom : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Models, GgufRandom, ::testing::Values("quantised", "story"),
                         [](const auto& name) { return std::string(name.param); });

TEST_P(GgufRandom, EveryTensorIsDequantisedAsInTheReference) {
    const eigenlm::GgufFiles files(gguf_golden(GetParam()));
    const auto config = read_config(files);
    const eigenlm::GgufTensors source(files, config);
    std::map<std::string, std::string> found;
    for (const auto& [name, tensor] : tensors_of(config, source)) {
        std::vector<float> values(tensor.size());
        tensor.read(0, values);
        found[name] = fnv1a(values);
    }
    EXPECT_EQ(found, (facts(GetParam())["sums"].get<std::map<std::string, std::string>>()));
}

TEST_P(GgufRandom, GreedyIdsAreThoseOfTheReference) {
    const auto prompt = facts(GetParam())["prompt_ids"].get<std::vector<TokenId>>();
    const auto expected = facts(GetParam())["greedy_ids"].get<std::vector<TokenId>>();
    EXPECT_EQ(greedy(support::load_gguf_model(gguf_golden(GetParam())), prompt, expected.size()), expected);
}

// Matrices are packed block by block; a folder with the same numbers has them in f32.
TEST_P(GgufRandom, GivesTheBitsOfAFolderWithTheSameNumbers) {
    const eigenlm::GgufFiles files(gguf_golden(GetParam()));
    const auto config = read_config(files);
    const eigenlm::GgufTensors source(files, config);
    support::StoredTensors stored;
    for (const auto& [name, tensor] : tensors_of(config, source)) {
        std::vector<float> values(tensor.size());
        tensor.read(0, values);
        stored[name] = {"F32", tensor.shape,
                        std::string(reinterpret_cast<const char*>(values.data()), 4 * values.size())};
    }
    const support::TemporaryFolder folder;
    folder.write("model.safetensors", support::safetensors_file(stored));
    const eigenlm::SafetensorsFile copy(folder / "model.safetensors");
    const auto text = facts(GetParam())["prompt_ids"].get<std::vector<TokenId>>();
    for (const auto dtype : eigenlm::plain_weight_types) {
        const eigenlm::ModelOptions options{.threads = 2, .dtype = dtype};
        const auto a = support::all_logits(std::make_shared<const eigenlm::Model>(config, source, options), text);
        const auto b = support::all_logits(std::make_shared<const eigenlm::Model>(config, copy, options), text);
        EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0) << to_string(dtype);
    }
}

TEST(GgufModel, QuantisedWeightsStayAsTheyAreUnlessSomebodyWishesOtherwise) {
    EXPECT_EQ(eigenlm::load(gguf_golden("story")).dtype(), WeightType::q8_0);
    EXPECT_EQ(eigenlm::load(gguf_golden("story"), {.dtype = WeightType::bf16}).dtype(), WeightType::bf16);
}

TEST(GgufModel, TheFrontDoorGivesTextOutOfAFile) {
    const auto lm = eigenlm::load(gguf_golden("story"));
    const auto prompt = facts("story")["prompt_ids"].get<std::vector<TokenId>>();
    const auto expected = facts("story")["greedy_ids"].get<std::vector<TokenId>>();
    auto answer = lm.generate(prompt, {.max_new_tokens = expected.size()});
    EXPECT_EQ(answer.text(), lm.tokenizer().decode(expected, {.continues = true}));
    EXPECT_EQ(answer.ids(), expected);
    EXPECT_EQ(lm.defaults().eos_token_ids, (std::vector<TokenId>{1533}));
    EXPECT_EQ(lm.defaults().bos_token_id, 1533);
    EXPECT_EQ(lm.encode(""), (std::vector<TokenId>{1533}));
}

TEST(GgufModel, ItsTokenizerIsTheFolders) {
    const auto ours = eigenlm::Tokenizer::load(gguf_golden("story"));
    const auto folder = eigenlm::Tokenizer::load(support::tiny_dir());
    ASSERT_EQ(ours.size(), folder.size());
    for (TokenId id = 0; id < static_cast<TokenId>(folder.size()); ++id) {
        ASSERT_EQ(ours.contains(id), folder.contains(id)) << id;
        if (!folder.contains(id)) continue;
        EXPECT_EQ(ours.token_bytes(id), folder.token_bytes(id));
        EXPECT_EQ(ours.is_special(id), folder.is_special(id));
    }
    for (const char* text :
         {"Once upon a time", "e\u0301 \u00e9 <|im_start|>user\n12345 don't<|im_end|>", "\xff\xfe  \t\n"})
        EXPECT_EQ(ours.encode(text), folder.encode(text)) << text;
}

TEST(GgufModel, HasItsChatTemplate) {
    const auto lm = eigenlm::load(gguf_golden("story"));
    ASSERT_NE(lm.chat_template(), nullptr);
    EXPECT_EQ(lm.chat_template()->source(), "{% for message in messages %}{{ message.content }}{% endfor %}");
    EXPECT_FALSE(eigenlm::ChatTemplate::load(gguf_golden("qwen3")).has_value());
    const auto other = eigenlm::ChatTemplate::from_text("{{ bos_token }}{{ eos_token }}", "test", gguf_golden("story"));
    const auto ids = lm.defaults();
    ASSERT_FALSE(ids.eos_token_ids.empty());
    std::string expected;
    if (ids.bos_token_id) expected += lm.tokenizer().token_bytes(*ids.bos_token_id);
    expected += lm.tokenizer().token_bytes(ids.eos_token_ids[0]);
    EXPECT_EQ(other.render(nlohmann::ordered_json::object()), expected);
}

TEST(GgufModel, IsKnownByItsFirstBytesToo) {
    const support::TemporaryFolder folder;
    std::filesystem::copy(gguf_golden("story"), folder / "story");
    EXPECT_EQ(eigenlm::load(folder / "story").config().vocab_size, 1536u);
}

TEST(GgufModel, AFileOfSeveralThatIsMissingIsNamed) {
    const support::TemporaryFolder folder;
    for (const char* name : {"long-00001-of-00003", "long-00003-of-00003"})
        std::filesystem::copy(gguf_golden(name), folder / (std::string(name) + ".gguf"));
    for (const char* name : {"long-00001-of-00003.gguf", "long-00003-of-00003.gguf"})
        support::expect_error<eigenlm::IoError>([&] { eigenlm::load(folder / name); }, {"long-00002-of-00003.gguf"});
    std::filesystem::copy(gguf_golden("long-00001-of-00003"), folder / "renamed.gguf");
    support::expect_error<eigenlm::FormatError>([&] { eigenlm::load(folder / "renamed.gguf"); },
                                                {"renamed.gguf", "split.no", "-00001-of-00003.gguf"});
    std::filesystem::copy(gguf_golden("long-00003-of-00003"), folder / "long-00002-of-00003.gguf");
    support::expect_error<eigenlm::FormatError>([&] { eigenlm::load(folder / "long-00001-of-00003.gguf"); },
                                                {"long-00002-of-00003.gguf", "split.no"});
}

}  // namespace
