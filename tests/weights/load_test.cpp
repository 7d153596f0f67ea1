// A model folder's way into memory, and every folder that is refused: which file, which field or tensor, and why.
#include <gtest/gtest.h>

#include <cstring>
#include <eigenlm/eigenlm.hpp>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/golden.hpp"
#include "support/model_folder.hpp"
#include "support/stored_tensors.hpp"
#include "support/temporary_folder.hpp"

namespace {

using eigenlm::ErrorKind;
using eigenlm::Isa;
using eigenlm::ModelOptions;
using support::ModelFolder;
using support::portable;
using support::StoredTensors;
using support::TemporaryFolder;

using eigenlm::FormatError;
using eigenlm::IoError;
using eigenlm::UnsupportedError;

TEST(Load, TakesTheGoodFolderThatTheOthersAreMadeFrom) {
    const ModelFolder folder;
    folder.change_tensors([](StoredTensors&) {});  // written anew by the tests' own code
    const std::vector<eigenlm::TokenId> text = {1, 2, 3, 4, 5};
    EXPECT_EQ(support::all_logits(support::load_model(folder.path(), portable()), text),
              support::all_logits(support::load_model(support::golden_dir("qwen2-untied"), portable()), text));
}

TEST(Load, WithoutGenerationConfigIsFine) {
    const ModelFolder folder;
    folder.remove("generation_config.json");
    EXPECT_NO_THROW(support::load_model(folder.path(), portable()));
}

TEST(Load, NamesAFileThatIsMissing) {
    for (const char* name : {"config.json", "model.safetensors"}) {
        const ModelFolder folder;
        folder.remove(name);
        expect_refused<IoError>(folder, {name, "No such file"});
    }
}

TEST(Load, NamesAFileThatIsAFolder) {
    for (const char* name : {"config.json", "generation_config.json", "model.safetensors"}) {
        const ModelFolder folder;
        folder.remove(name);
        std::filesystem::create_directory(folder / name);
        expect_refused<IoError>(folder, {name, "regular file"});
    }
}

TEST(Load, ALinkToNothingIsNotTheSameAsNoFile) {
    for (const char* name : {"generation_config.json", "model.safetensors", "model.safetensors.index.json"})
        for (const char* target : {"nowhere", name}) {
            const ModelFolder folder;
            folder.remove("model.safetensors");
            folder.remove(name);
            std::filesystem::create_symlink(target, folder / name);
            if (name == std::string_view("generation_config.json"))
                folder.write("model.safetensors", support::safetensors_file("{}"));
            expect_refused<IoError>(folder, {name, "cannot open"});
        }
}

TEST(Load, AGenerationConfigOfNullIsNotTheSameAsNoFile) {
    const ModelFolder folder;
    folder.write("generation_config.json", "null");
    expect_refused<FormatError>(folder, {"generation_config.json", "JSON object", "null"});
}

TEST(Load, NamesJsonThatIsBroken) {
    for (const char* name : {"config.json", "generation_config.json"})
        for (const char* content : {"", "{", "not json", "{\"a\": 1,}", "{\"a\": 1, \"a\": 2}"}) {
            const ModelFolder folder;
            folder.write(name, content);
            expect_refused<FormatError>(folder, {name});
        }
}

TEST(Load, RefusesAModelItDoesNotKnow) {
    const ModelFolder folder;
    folder.set("model_type", "mamba");
    expect_refused<UnsupportedError>(folder, {"config.json: model_type", "mamba"});
}

TEST(Load, RefusesWeightsThatAreCutOff) {
    const ModelFolder folder;
    const std::string whole = folder.read("model.safetensors");
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{5}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
        folder.write("model.safetensors", whole.substr(0, size));
        expect_refused<FormatError>(folder, {"model.safetensors", "truncated"});
    }
}

TEST(Load, NamesEveryTensorThatIsMissing) {
    const ModelFolder folder;
    const StoredTensors all = support::read_tensors(folder / "model.safetensors");
    for (const auto& [name, tensor] : all) {
        if (name.find(".layers.1.") != std::string::npos) continue;  // as layer 0
        StoredTensors rest = all;
        rest.erase(name);
        folder.write("model.safetensors", support::safetensors_file(rest));
        expect_refused<FormatError>(folder, {"model.safetensors: " + name, "tensor is missing"});
    }
}

TEST(Load, NamesATensorOfAnotherShape) {
    const ModelFolder folder;
    folder.change_tensors([](StoredTensors& tensors) {
        auto& shape = tensors.at("model.layers.0.mlp.gate_proj.weight").shape;
        std::swap(shape.at(0), shape.at(1));
    });
    expect_refused<FormatError>(folder, {"model.layers.0.mlp.gate_proj.weight", "expected shape [", "found ["});
}

TEST(Load, NamesATensorOfAnotherRank) {
    const ModelFolder folder;
    folder.change_tensors([](StoredTensors& tensors) {
        auto& shape = tensors.at("model.norm.weight").shape;
        shape.insert(shape.begin(), 1);
    });
    expect_refused<FormatError>(folder, {"model.norm.weight", "expected shape [", "found [1, "});
}

TEST(Load, RefusesAConfigThatItsWeightsDoNotFit) {
    for (const char* key : {"vocab_size", "hidden_size", "intermediate_size"}) {
        const ModelFolder folder;
        folder.set(key, 2048);
        expect_refused<FormatError>(folder, {"model.safetensors: ", "expected shape", "2048"});
    }
    const ModelFolder folder;
    folder.set("num_hidden_layers", 4096);
    folder.set("layer_types", nullptr);
    expect_refused<FormatError>(folder, {"model.layers.", "tensor is missing"});
}

TEST(Load, NamesATensorOfAnotherType) {
    const auto as = [](const char* dtype, std::size_t size) {
        return [=](StoredTensors& tensors) {
            auto& tensor = tensors.at("model.norm.weight");
            tensor.dtype = dtype;
            tensor.bytes.assign(tensor.shape.at(0) * size, '\0');
        };
    };
    const ModelFolder folder;
    folder.change_tensors(as("I64", 8));
    expect_refused<UnsupportedError>(folder, {"model.norm.weight", "I64"});
    folder.change_tensors(as("F8_E4M3", 1));
    expect_refused<UnsupportedError>(folder, {"model.norm.weight", "F8_E4M3"});
    folder.change_tensors(as("I32", 4));
    expect_refused<FormatError>(folder, {"model.norm.weight", "I32"});
    folder.change_tensors(as("F33", 4));
    expect_refused<FormatError>(folder, {"model.norm.weight", "F33"});
}

TEST(Load, RefusesDynamicScalingPastItsOriginalLength) {
    const auto folder = support::golden_dir("llama-dynamic");
    const auto load = [&](std::size_t context) {
        return support::load_model(folder, {.threads = 1, .isa = Isa::portable, .context = context});
    };
    EXPECT_EQ(load(0)->context(), 512u);
    EXPECT_EQ(load(512)->context(), 512u);
    support::expect_error<UnsupportedError>([&] { load(513); }, {"context", "dynamic", "512", "found 513"});
}

TEST(Load, StretchedModelsHaveLongerContexts) {
    const auto context = [](const char* golden, std::size_t wish) {
        return support::load_model(support::golden_dir(golden), {.threads = 1, .isa = Isa::portable, .context = wish})
            ->context();
    };
    EXPECT_EQ(context("llama-linear", 0), 512u);
    EXPECT_EQ(context("llama-linear", 2048), 2048u);
    EXPECT_EQ(context("qwen2-yarn", 0), 128u);
    support::expect_error<eigenlm::ArgumentError>([&] { context("llama-linear", 2049); }, {"context", "2048", "2049"});
    support::expect_error<eigenlm::ArgumentError>([&] { context("qwen2-yarn", 129); }, {"context", "128", "129"});
}

TEST(Load, UntiedNeedsAHead) {
    const ModelFolder folder;
    folder.change_tensors([](StoredTensors& tensors) { ASSERT_EQ(tensors.erase("lm_head.weight"), 1u); });
    expect_refused<FormatError>(folder, {"lm_head.weight", "tensor is missing"});
    folder.set("tie_word_embeddings", true);
    EXPECT_NO_THROW(support::load_model(folder.path(), portable()));
}

TEST(Load, AHeadThatDiffersFromTheEmbeddingIsNotTied) {  // whatever the config says: as in transformers
    const ModelFolder untied, same;
    const std::vector<eigenlm::TokenId> text = {1, 2, 3, 4, 5};
    const auto logits = [&](const ModelFolder& folder) {
        return support::all_logits(support::load_model(folder.path(), portable()), text);
    };
    const auto expected = logits(untied);
    untied.set("tie_word_embeddings", true);
    EXPECT_EQ(logits(untied), expected);
    same.change_tensors(
        [](StoredTensors& tensors) { tensors.at("lm_head.weight") = tensors.at("model.embed_tokens.weight"); });
    const auto bytes = [&] { return support::load_model(same.path(), portable())->transformer().weight_bytes(); };
    const std::size_t twice = bytes();
    same.set("tie_word_embeddings", true);
    EXPECT_LT(bytes(), twice) << "an equal one is held once";
}

TEST(Load, CountsWhatPackingFillsUp) {  // a wide vocabulary of one number each takes 32 numbers each in bf16
    eigenlm::ModelConfig config;
    config.vocab_size = 1 << 24;
    config.hidden_size = 1;
    config.intermediate_size = 1 << 22;
    config.num_layers = 4096;
    config.num_heads = config.num_kv_heads = 1;
    config.head_dim = 2;
    config.max_position_embeddings = 16;
    support::expect_error<eigenlm::ResourceError>(
        [&] {
            eigenlm::Model(config, eigenlm::RandomWeights(),
                           {.threads = 1, .isa = Isa::portable, .dtype = eigenlm::WeightType::bf16});
        },
        {"bytes of memory in bf16", "available"});
}

TEST(Load, IgnoresTensorsThatNobodyAsksFor) {
    const ModelFolder folder;
    folder.change_tensors([](StoredTensors& tensors) {
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = {"I64", {1}, std::string(8, '\0')};
    });
    EXPECT_NO_THROW(support::load_model(folder.path(), portable()));
}

TEST(Load, RefusesOtherKindsOfCheckpointsByName) {
    const ModelFolder folder;
    folder.remove("model.safetensors");
    folder.write("pytorch_model.bin", "pickled");
    expect_refused<UnsupportedError>(folder, {"pytorch_model.bin", "model.safetensors"});
}

TEST(Load, RefusesWhatIsNoFolder) {
    const TemporaryFolder folder;
    folder.write("model.gguf", "GGUF");
    folder.write("model.bin", "bytes");
    const auto load = [&](const std::string& name) { return [path = folder / name] { eigenlm::load(path); }; };
    support::expect_error<FormatError>(load("model.gguf"), {(folder / "model.gguf").string(), "version", "truncated"});
    support::expect_error<IoError>(load("model.bin"), {(folder / "model.bin").string(), "folder", "found a file"});
    support::expect_error<IoError>(load("nowhere"), {(folder / "nowhere").string(), "no such folder"});
    support::expect_error<IoError>([] { eigenlm::load(""); }, {"no such folder"});
    support::expect_error<IoError>([&] { eigenlm::load(folder.path()); }, {"config.json", "No such file"});
}

TEST(Load, TheFrontDoorNeedsATokenizer) {
    const ModelFolder folder;
    support::expect_error<IoError>([&] { eigenlm::load(folder.path()); }, {"tokenizer.json", "No such file"});
}

TEST(Load, TheFrontDoorRefusesABrokenGenerationConfig) {
    const auto refused = [](const char* content, std::initializer_list<std::string_view> words) {
        const TemporaryFolder folder;
        folder.copy_from(support::tiny_dir());
        folder.write("generation_config.json", content);
        support::expect_error<FormatError>([&] { eigenlm::load(folder.path()); }, words);
    };
    refused("[]", {"generation_config.json", "JSON object"});
    refused(R"({"do_sample": true, "top_p": 1.5})", {"generation_config.json: top_p", "1.5"});
    refused(R"({"eos_token_id": 123456789})", {"generation_config.json: eos_token_id", "123456789"});
}

class LoadProgress : public testing::TestWithParam<std::string> {
  protected:
    static std::shared_ptr<const eigenlm::Model> load(eigenlm::ProgressFunction progress, std::stop_token cancel = {}) {
        return support::load_model(
            support::golden_dir(GetParam()),
            {.threads = 2, .isa = Isa::portable, .progress = std::move(progress), .cancel = cancel});
    }
};

TEST_P(LoadProgress, GrowsToTheTotal) {
    std::size_t last = 0, total = 0, calls = 0;
    const auto model = load([&](const eigenlm::Progress& p) {
        EXPECT_EQ(p.stage, eigenlm::Stage::load);
        EXPECT_GT(p.done, last);
        EXPECT_LE(p.done, p.total);
        EXPECT_EQ(p.total, calls++ == 0 ? p.total : total);
        last = p.done;
        total = p.total;
    });
    EXPECT_GT(calls, 10u);
    EXPECT_EQ(last, total);
    EXPECT_EQ(total, model->transformer().weight_bytes());
}

TEST_P(LoadProgress, StopsWhenAsked) {
    std::stop_source stop;
    std::size_t calls = 0;
    const auto stop_at_third = [&](const eigenlm::Progress&) {
        if (++calls == 3) stop.request_stop();
    };
    support::expect_error<eigenlm::CancelledError>([&] { load(stop_at_third, stop.get_token()); }, {"load", "stop"});
    EXPECT_EQ(calls, 3u);
    support::expect_error<eigenlm::CancelledError>([&] { load(nullptr, stop.get_token()); }, {"load", "stop"});
}

TEST_P(LoadProgress, PassesOnWhatItsCallbackThrows) {
    struct Mine {};
    std::size_t calls = 0;
    EXPECT_THROW(load([&](const eigenlm::Progress&) {
                     if (++calls == 2) throw Mine();
                 }),
                 Mine);
    EXPECT_EQ(calls, 2u);
}

INSTANTIATE_TEST_SUITE_P(Goldens, LoadProgress, testing::ValuesIn(support::short_goldens()),
                         support::name_of_parameter);

TEST(Load, RefusesAContextThatTheModelDoesNotHave) {
    support::expect_error<eigenlm::ArgumentError>(
        [] { support::load_model(support::golden_dir("llama31-scaled"), {.threads = 1, .context = 257}); },
        {"context", "256", "257"});
    const auto model = support::load_model(support::golden_dir("llama31-scaled"), {.threads = 1, .context = 100});
    EXPECT_EQ(model->context(), 100u);
}

TEST(Load, WorksFromRandomWeightsOfAnyShape) {
    eigenlm::ModelConfig config;
    config.vocab_size = 77;
    config.hidden_size = 36;
    config.intermediate_size = 50;
    config.num_layers = 2;
    config.num_heads = 6;
    config.num_kv_heads = 2;
    config.head_dim = 10;
    config.max_position_embeddings = 64;
    for (const auto family : eigenlm::all_families) {
        config.family = family;
        const auto model = std::make_shared<const eigenlm::Model>(config, eigenlm::RandomWeights(3), portable());
        const auto logits = support::all_logits(model, std::vector<eigenlm::TokenId>{1, 76, 0});
        for (const float logit : logits) ASSERT_TRUE(std::isfinite(logit));
        EXPECT_EQ(model->transformer().dtype(), eigenlm::WeightType::f32);
        EXPECT_GT(model->transformer().weight_bytes(), 2u * 77 * 36 * 4);
    }
}

}  // namespace
