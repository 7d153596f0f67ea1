// Whole models written as GGUF files, and read back.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <eigenlm/eigenlm.hpp>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "convert/fixtures.hpp"
#include "support/expect_error.hpp"
#include "support/file_limit.hpp"
#include "support/gguf.hpp"
#include "support/golden.hpp"
#include "support/model_folder.hpp"
#include "support/stored_tensors.hpp"
#include "support/temporary_folder.hpp"

namespace {

using convert::expect_refused;
using eigenlm::Dtype;
using eigenlm::TokenId;
using eigenlm::WeightType;
using support::gguf_golden;

std::vector<float> values_of(const eigenlm::Tensor& tensor) {
    std::vector<float> values(tensor.size());
    tensor.read(0, values);
    return values;
}
std::string stored_bytes_of(const eigenlm::Tensor& tensor) {
    std::string bytes(eigenlm::bytes_of(tensor.dtype, tensor.size()), '\0');
    tensor.read_bytes(0, std::as_writable_bytes(std::span(bytes)));
    return bytes;
}

std::vector<TokenId> text_of(const std::string& golden) {
    auto text = support::Golden::of(golden).text();
    text.resize(std::min<std::size_t>(text.size(), 164));
    return text;
}

std::vector<TokenId> greedy(std::shared_ptr<const eigenlm::Model> model, std::span<const TokenId> prompt) {
    eigenlm::Session session(model, {.context = prompt.size() + 24});
    std::span<const float> logits = session.prefill(prompt);
    std::vector<TokenId> ids;
    while (ids.size() < 24) {
        ids.push_back(static_cast<TokenId>(std::ranges::max_element(logits) - logits.begin()));
        logits = session.decode(ids.back());
    }
    return ids;
}

/// Every golden folder that a GGUF file has words for.
std::vector<std::string> writable_goldens() {
    auto names = support::all_goldens();
    std::erase(names, "llama-yarn");
    return names;
}

class FolderToGguf : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Goldens, FolderToGguf, ::testing::ValuesIn(writable_goldens()), support::name_of_parameter);

TEST_P(FolderToGguf, GivesTheBitsOfTheFolderInEveryFloatType) {
    const support::TemporaryFolder folder;
    const auto in = support::model_dir(GetParam());
    const auto text = text_of(GetParam());
    for (const auto& [type, weights] :
         {std::pair(Dtype::f32, WeightType::f32), {Dtype::f16, WeightType::f16}, {Dtype::bf16, WeightType::bf16}}) {
        eigenlm::quantise_model(in, folder / "x.gguf", {.type = type});
        const auto ours = support::load_gguf_model(folder / "x.gguf", {.dtype = weights});
        const auto expected = support::load_model(in, {.dtype = weights});
        EXPECT_EQ(ours->transformer().dtype(), weights);
        const auto a = support::all_logits(ours, text), b = support::all_logits(expected, text);
        ASSERT_EQ(a.size(), b.size());
        EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0) << to_string(type);
        EXPECT_EQ(greedy(ours, std::span(text).first(20)), greedy(expected, std::span(text).first(20)));
    }
}

TEST_P(FolderToGguf, HasTheConfigOfTheFolder) {
    const support::TemporaryFolder folder;
    const auto checkpoint = eigenlm::Checkpoint::open(support::model_dir(GetParam()));
    eigenlm::quantise_model(checkpoint.folder(), folder / "x.gguf", {.type = Dtype::f16});
    const eigenlm::GgufFiles files(folder / "x.gguf");
    const auto found = read_config(files), expected = read_config(checkpoint);
    const auto fields = [](const eigenlm::ModelConfig& c) {
        return std::tuple(c.vocab_size, c.hidden_size, c.intermediate_size, c.num_layers, c.num_heads, c.num_kv_heads,
                          c.head_dim, c.max_position_embeddings, c.rms_norm_eps, c.rope_theta, c.tie_word_embeddings);
    };
    EXPECT_EQ(fields(found), fields(expected));
    for (std::size_t l = 0; l < found.num_layers; ++l) EXPECT_EQ(found.window(l), expected.window(l)) << l;
    EXPECT_EQ(
        read_generation_defaults(found, files.metadata()).eos_token_ids,
        read_generation_defaults(expected, checkpoint.config(), checkpoint.generation_config(), "x/y").eos_token_ids);
    EXPECT_EQ(files.metadata().string("general.name"), checkpoint.folder().filename().string());
    EXPECT_EQ(files.metadata().integer("general.file_type", 0, 99), 1);
    EXPECT_EQ(files.metadata().integer("general.quantization_version", 0, 99), 2);
}

/// Hugging Face's names -> the floats of a source.
std::map<std::string, std::vector<float>> floats_of(const eigenlm::ModelConfig& config,
                                                    const eigenlm::TensorSource& source) {
    std::map<std::string, std::vector<float>> floats;
    each_tensor(config, [&](const std::string& name, const std::vector<std::size_t>& shape) {
        floats[name] = values_of(source.tensor(name, shape));
    });
    return floats;
}

class ToType : public ::testing::TestWithParam<Dtype> {};
INSTANTIATE_TEST_SUITE_P(Types, ToType, ::testing::ValuesIn(eigenlm::all_file_types),
                         [](const auto& type) { return std::string(to_string(type.param)); });

// The tiny model's rows are 128 and 512 wide, qwen2-untied's 56 and 84; "quantised" has rows of 256.
TEST_P(ToType, HoldsTheFoldersWeightsQuantised) {
    const support::TemporaryFolder folder;
    for (const char* golden : {"tiny", "qwen2-untied", "llama-gqa", "qwen2-yarn"}) {
        const auto checkpoint = eigenlm::Checkpoint::open(support::model_dir(golden));
        const auto config = read_config(checkpoint);
        const auto figures = eigenlm::quantise_model(checkpoint.folder(), folder / "x.gguf", {.type = GetParam()});
        EXPECT_EQ(figures.file_bytes, std::filesystem::file_size(folder / "x.gguf"));
        EXPECT_EQ(figures.has_tokenizer, golden == std::string("tiny"));
        EXPECT_FALSE(figures.requantised);
        const eigenlm::GgufFiles files(folder / "x.gguf");
        const eigenlm::GgufTensors found(files, config);
        const auto expected = floats_of(config, checkpoint.tensors());
        std::map<Dtype, std::size_t> counts;
        each_tensor(config, [&](const std::string& name, const std::vector<std::size_t>& shape) {
            const bool head = name == (config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight");
            const Dtype type = shape.size() == 1                   ? Dtype::f32
                               : eigenlm::is_quantised(GetParam()) ? eigenlm::quantised_type(GetParam(), head, shape[1])
                                                                   : GetParam();
            const auto tensor = found.tensor(name, shape);
            EXPECT_EQ(tensor.dtype, type) << name;
            std::vector<float> floats = expected.at(name);
            std::vector<std::byte> bytes(eigenlm::bytes_of(type, floats.size()));
            eigenlm::narrow(type, floats, bytes);
            eigenlm::widen(type, bytes, floats);
            EXPECT_EQ(values_of(tensor), floats) << name;
            ++counts[type];
        });
        ASSERT_EQ(figures.types.size(), counts.size());
        for (const auto& f : figures.types) EXPECT_EQ(f.tensors, counts[f.type]);
    }
}

TEST_P(ToType, KeepsAGgufFilesMetadataAndOrder) {
    const support::TemporaryFolder folder;
    for (const char* golden : {"quantised", "story", "mistral"}) {
        const eigenlm::GgufFiles before(gguf_golden(golden));
        const auto figures = eigenlm::quantise_model(gguf_golden(golden), folder / "x.gguf", {.type = GetParam()});
        const eigenlm::GgufFiles after(folder / "x.gguf");
        EXPECT_EQ(after.files()[0].names(), before.files()[0].names());
        const auto config = read_config(before);
        bool requantised = false;
        for (const auto& name : after.files()[0].names()) {
            const auto from = before.tensor(name), to = after.tensor(name);
            EXPECT_EQ(to.shape, from.shape);
            EXPECT_TRUE(from.shape.size() == 2 || to.dtype == Dtype::f32) << name;
            if (to.dtype == from.dtype) {
                EXPECT_EQ(stored_bytes_of(to), stored_bytes_of(from)) << name;
                continue;
            }
            requantised = requantised || (is_quantised(from.dtype) && is_quantised(to.dtype));
            std::vector<float> floats = values_of(from);
            std::vector<std::byte> bytes(eigenlm::bytes_of(to.dtype, floats.size()));
            eigenlm::narrow(to.dtype, floats, bytes);
            eigenlm::widen(to.dtype, bytes, floats);
            EXPECT_EQ(values_of(to), floats) << name;
        }
        EXPECT_EQ(figures.requantised, requantised);
        EXPECT_EQ(after.metadata().integer("general.quantization_version", 2, 2), 2);
        for (const auto& [key, value] : before.metadata().all())
            EXPECT_EQ(after.metadata().all().at(key).bytes, value.bytes) << key;
    }
}

TEST(QuantiseModel, FileTypesAreThoseOfLlamaCpp) {
    const support::TemporaryFolder folder;
    const std::map<Dtype, int> expected = {
        {Dtype::f32, 0},   {Dtype::f16, 1},   {Dtype::q4_0, 2},  {Dtype::q4_1, 3},    {Dtype::q8_0, 7},
        {Dtype::q5_0, 8},  {Dtype::q5_1, 9},  {Dtype::q2_k, 10}, {Dtype::q3_k, 11},   {Dtype::q4_k, 14},
        {Dtype::q5_k, 16}, {Dtype::q6_k, 18}, {Dtype::bf16, 32}, {Dtype::iq4_nl, 25}, {Dtype::iq4_xs, 30},
    };
    EXPECT_EQ(expected.size(), std::size(eigenlm::all_file_types));
    for (const auto& [type, number] : expected) {
        eigenlm::quantise_model(support::golden_dir("llama-gqa"), folder / "x.gguf", {.type = type});
        EXPECT_EQ(eigenlm::GgufFile(folder / "x.gguf").metadata().integer("general.file_type", 0, 99), number);
    }
}

TEST(QuantiseModel, NamesOfTypesAreTakenInAnyCase) {
    EXPECT_EQ(eigenlm::file_type_from_string("q4_K", "test"), Dtype::q4_k);
    EXPECT_EQ(eigenlm::file_type_from_string("IQ4_xs", "test"), Dtype::iq4_xs);
    EXPECT_EQ(eigenlm::file_type_from_string("f32", "test"), Dtype::f32);
    support::expect_error<eigenlm::ArgumentError>([] { eigenlm::file_type_from_string("i32", "test"); },
                                                  {"test", "Q4_K", "I32"});
    const support::TemporaryFolder folder;
    const auto whole_numbers = [&] {
        eigenlm::quantise_model(support::tiny_dir(), folder / "x.gguf", {.type = Dtype::i32});
    };
    support::expect_error<eigenlm::ArgumentError>(whole_numbers, {"type", "I32"});
}

// Unknown keys too, of all types, and an alignment; split.* goes.
TEST(QuantiseModel, SeveralFilesBecomeOne) {
    const support::TemporaryFolder folder;
    const eigenlm::GgufFiles before(gguf_golden("long-00003-of-00003"));
    ASSERT_EQ(before.file_count(), 3u);
    eigenlm::quantise_model(gguf_golden("long-00003-of-00003"), folder / "x.gguf", {.type = Dtype::f32});
    const eigenlm::GgufFiles after(folder / "x.gguf");
    EXPECT_EQ(after.file_count(), 1u);
    std::vector<std::string> names;
    for (const auto& file : before.files())
        for (const auto& name : file.names()) names.push_back(name);
    EXPECT_EQ(after.files()[0].names(), names);
    for (const auto& [key, value] : after.metadata().all()) EXPECT_FALSE(key.starts_with("split.")) << key;
    for (const auto& name : names) EXPECT_EQ(stored_bytes_of(after.tensor(name)), stored_bytes_of(before.tensor(name)));
}

TEST(QuantiseModel, KeysThatNobodyKnowsAreKept) {
    const support::TemporaryFolder folder;
    const eigenlm::GgufFile golden(gguf_golden("qwen3"));
    eigenlm::GgufMetadata metadata = golden.metadata();
    metadata.set("general.alignment", eigenlm::gguf_number(std::uint32_t{256}));
    metadata.set("general.file_type", eigenlm::gguf_text("nonsense"));
    metadata.set("mine.u64", {eigenlm::GgufType::u64, {}, 1, std::string(8, '\xff')});
    metadata.set("mine.f64s", {eigenlm::GgufType::array, eigenlm::GgufType::f64, 2, std::string(16, '\x7f')});
    eigenlm::GgufValue texts = eigenlm::gguf_texts();
    append_text(texts, "\xff not UTF-8");
    metadata.set("mine.texts", texts);
    std::vector<eigenlm::GgufTensorInfo> infos;
    auto names = golden.names();
    std::ranges::reverse(names);
    for (const auto& name : names) infos.push_back({name, golden.tensor(name).shape, golden.tensor(name).dtype});
    eigenlm::GgufWriter writer(folder / "in.gguf", metadata, infos);
    for (std::size_t i = 0; i < names.size(); ++i) {
        const std::string bytes = stored_bytes_of(golden.tensor(names[i]));
        writer.write(i, 0, std::as_bytes(std::span(bytes)));
    }
    writer.commit();
    eigenlm::quantise_model(folder / "in.gguf", folder / "out.gguf", {.type = Dtype::bf16});
    const eigenlm::GgufFile found(folder / "out.gguf");
    EXPECT_EQ(found.names(), names);
    EXPECT_EQ(found.metadata().integer("general.file_type", 0, 99), 32);
    EXPECT_EQ(found.metadata().all().size(), metadata.all().size() + 1);  // general.quantization_version
    for (const auto& [key, value] : metadata.all()) {
        if (key == "general.file_type") continue;
        const auto& other = found.metadata().all().at(key);
        EXPECT_EQ(std::tuple(other.type, other.count, other.bytes), std::tuple(value.type, value.count, value.bytes));
    }
}

TEST(QuantiseModel, ThreadsChangeNothing) {
    const support::TemporaryFolder folder;
    std::set<std::string> files;
    for (const std::size_t threads : {1u, 2u, 5u}) {
        eigenlm::quantise_model(support::tiny_dir(), folder / "x.gguf", {.type = Dtype::q4_0, .threads = threads});
        files.insert(folder.read("x.gguf"));
    }
    EXPECT_EQ(files.size(), 1u);
}

TEST(QuantiseModel, TellsHowFarItIs) {
    const support::TemporaryFolder folder;
    std::vector<eigenlm::Progress> reports;
    const auto caller = std::this_thread::get_id();
    const auto progress = [&](const eigenlm::Progress& p) {
        EXPECT_EQ(std::this_thread::get_id(), caller);
        EXPECT_EQ(p.stage, eigenlm::Stage::quantise);
        reports.push_back(p);
    };
    const auto figures = eigenlm::quantise_model(support::tiny_dir(), folder / "x.gguf", {.progress = progress});
    ASSERT_GT(reports.size(), 5u);
    std::size_t bytes = 0;
    for (const auto& f : figures.types) bytes += f.bytes;
    for (std::size_t i = 0; i < reports.size(); ++i) {
        EXPECT_EQ(reports[i].total, bytes);
        EXPECT_GT(reports[i].done, i == 0 ? 0 : reports[i - 1].done);
    }
    EXPECT_EQ(reports.back().done, bytes);
}

TEST(QuantiseModel, TheTinyModelIsWholeInItsFile) {
    const support::TemporaryFolder folder;
    eigenlm::quantise_model(support::tiny_dir(), folder / "x.gguf", {.type = Dtype::bf16});
    const auto ours = eigenlm::load(folder / "x.gguf"), expected = eigenlm::load(support::tiny_dir());
    EXPECT_EQ(ours.chat_template()->source(), expected.chat_template()->source());
    EXPECT_EQ(ours.defaults().eos_token_ids, expected.defaults().eos_token_ids);
    EXPECT_EQ(ours.defaults().bos_token_id, expected.defaults().bos_token_id);
    EXPECT_EQ(ours.dtype(), expected.dtype());
    EXPECT_EQ(ours.encode("Once upon a time"), expected.encode("Once upon a time"));
    const eigenlm::GenerateOptions options{.max_new_tokens = 60, .temperature = 0.0f};
    EXPECT_EQ(ours.generate("Once upon a time", options).text(), expected.generate("Once upon a time", options).text());
}

/// The tiny model with other files beside its weights.
class TinyFolder : public support::TemporaryFolder {
  public:
    TinyFolder() { copy_from(support::tiny_dir()); }
    void set(const std::string& file, const std::string& key, const nlohmann::json& value) const {
        auto json = nlohmann::json::parse(read(file));
        json[key] = value;
        write(file, json.dump());
    }
    eigenlm::GgufMetadata written() const {
        const support::TemporaryFolder out;
        eigenlm::quantise_model(path(), out / "x.gguf", {.type = Dtype::bf16});
        return eigenlm::GgufFile(out / "x.gguf").metadata();
    }
};

std::int64_t id_of(const eigenlm::GgufMetadata& metadata, const std::string& name) {
    return metadata.integer_or("tokenizer.ggml." + name + "_token_id", -1, 0, 1 << 20);
}

TEST(QuantiseModel, WritesTheIdsOfSpecialTokens) {
    const TinyFolder folder;
    folder.set("generation_config.json", "eos_token_id", {1533, 1535, 7});
    folder.set("tokenizer_config.json", "eos_token", "<|im_end|>");
    folder.set("tokenizer_config.json", "unk_token", {{"content", "<|im_start|>"}});
    folder.set("tokenizer_config.json", "bos_token", "<|im_start|>");
    const auto metadata = folder.written();
    EXPECT_EQ(id_of(metadata, "eos"), 1535);  // the one that the tokenizer calls so comes first
    EXPECT_EQ(id_of(metadata, "eot"), 1533);
    EXPECT_EQ(id_of(metadata, "eom"), 7);
    EXPECT_EQ(id_of(metadata, "unknown"), 1534);
    EXPECT_EQ(id_of(metadata, "padding"), 1533);
    EXPECT_EQ(id_of(metadata, "bos"), 1534);
    EXPECT_FALSE(metadata.boolean_or("tokenizer.ggml.add_bos_token", true));
    folder.set("generation_config.json", "eos_token_id", {1533, 1535, 7, 8});
    expect_refused<eigenlm::UnsupportedError>(folder.path(), {"generation_config.json: eos_token_id", "3 ids"});
    folder.set("generation_config.json", "eos_token_id", nullptr);
    folder.set("config.json", "eos_token_id", nullptr);
    EXPECT_EQ(id_of(folder.written(), "eos"), 1535);
}

TEST(QuantiseModel, WritesBothChatTemplates) {
    const TinyFolder folder;
    std::filesystem::remove(folder / "chat_template.jinja");
    EXPECT_FALSE(folder.written().has("tokenizer.chat_template"));
    folder.set("tokenizer_config.json", "chat_template",
               {{{"name", "default"}, {"template", "plain"}}, {{"name", "tool_use"}, {"template", "tools"}}});
    const auto metadata = folder.written();
    EXPECT_EQ(metadata.string("tokenizer.chat_template"), "plain");
    EXPECT_EQ(metadata.string("tokenizer.chat_template.tool_use"), "tools");
    EXPECT_EQ(metadata.count_strings("tokenizer.chat_templates"), 1u);
    const auto text = eigenlm::ChatTemplateText::read(metadata);
    ASSERT_TRUE(text);
    EXPECT_EQ(text->source, "plain");
    EXPECT_EQ(text->with_tools, "tools");
}

TEST(QuantiseModel, ATokenizerInAnotherFileIsRefused) {
    const TinyFolder folder;
    std::filesystem::remove(folder / "tokenizer.json");
    EXPECT_EQ(folder.written().string("tokenizer.ggml.model"), "none");
    folder.write("tokenizer.model", "");
    expect_refused<eigenlm::UnsupportedError>(folder.path(), {"tokenizer.model", "tokenizer.json"});
}

}  // namespace
