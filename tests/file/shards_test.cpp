// Checkpoints in several files: the same tensors, and every index that is refused.
#include <gtest/gtest.h>

#include <eigenlm/eigenlm.hpp>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/golden.hpp"
#include "support/stored_tensors.hpp"
#include "support/temporary_folder.hpp"

namespace {

using eigenlm::FormatError;
using eigenlm::IoError;
using nlohmann::json;
using support::StoredTensors;

std::string shard_name(std::size_t i) { return "model-" + std::to_string(i + 1) + ".safetensors"; }

/// A golden's folder with its weights dealt out to several files.
class ShardedFolder : public support::TemporaryFolder {
  public:
    explicit ShardedFolder(std::size_t count = 3) : shards(count) {
        const auto golden = support::golden_dir("qwen2-untied");
        std::filesystem::copy(golden / "config.json", *this / "config.json");
        std::size_t next = 0;
        for (const auto& [name, tensor] : support::read_tensors(golden / "model.safetensors")) {
            index["weight_map"][name] = shard_name(next);
            shards[next][name] = tensor;
            next = (next + 1) % count;
        }
        write_all();
    }
    void write_all() const {
        write("model.safetensors.index.json", index.dump());
        for (std::size_t i = 0; i < shards.size(); ++i) write(shard_name(i), support::safetensors_file(shards[i]));
    }

    json index = {{"metadata", {{"total_size", 1}}}, {"weight_map", json::object()}};
    std::vector<StoredTensors> shards;
};

std::shared_ptr<const eigenlm::Model> load(const ShardedFolder& folder) {
    return support::load_model(folder.path(), {.threads = 1, .isa = eigenlm::Isa::portable});
}

template <class Error>
void expect_refused(const ShardedFolder& folder, std::initializer_list<std::string_view> words) {
    folder.write_all();
    support::expect_error<Error>([&] { load(folder); }, words);
    support::expect_error<Error>([&] { load(folder); }, {folder.path().string()});
}

TEST(Shards, HoldTheSameModel) {
    const auto text = std::vector<eigenlm::TokenId>{1, 2, 3, 4, 5};
    const auto whole =
        support::load_model(support::golden_dir("qwen2-untied"), {.threads = 1, .isa = eigenlm::Isa::portable});
    for (const std::size_t count : {1u, 2u, 7u})
        EXPECT_EQ(support::all_logits(load(ShardedFolder(count)), text), support::all_logits(whole, text)) << count;
}

TEST(Shards, OneFileGoesBeforeAnIndex) {  // as in transformers
    ShardedFolder folder;
    std::filesystem::copy(support::golden_dir("qwen2-untied") / "model.safetensors", folder / "model.safetensors");
    folder.index = json::array();
    folder.write_all();
    EXPECT_NO_THROW(load(folder));
}

TEST(Shards, FilesThatTheIndexDoesNotNameAreNotRead) {
    const ShardedFolder folder;
    folder.write("model-9.safetensors", "broken");
    EXPECT_NO_THROW(load(folder));
}

TEST(Shards, AnIndexIsAnObjectWithAMapOfNames) {
    ShardedFolder folder;
    const json good = folder.index;
    const auto refuse = [&](const json& index, std::initializer_list<std::string_view> words) {
        folder.index = index;
        expect_refused<FormatError>(folder, words);
    };
    refuse(json::array(), {"model.safetensors.index.json", "a JSON object"});
    refuse(json::object(), {"model.safetensors.index.json: weight_map", "missing"});
    refuse({{"weight_map", {1}}}, {"model.safetensors.index.json: weight_map", "array"});
    refuse({{"weight_map", json::object()}}, {"model.safetensors.index.json", "tensor is missing"});
    json other = good;
    other["weight_map"]["model.norm.weight"] = 3;
    refuse(other, {"weight_map.model.norm.weight", "a string", "found 3"});
}

TEST(Shards, FilesLieBesideTheirIndex) {
    ShardedFolder folder;
    for (const std::string name : {"../model-1.safetensors", "/etc/passwd", "sub/model-1.safetensors", "", ".", ".."}) {
        folder.index["weight_map"]["model.norm.weight"] = name;
        expect_refused<FormatError>(folder, {"weight_map.model.norm.weight", "the same folder"});
    }
    folder.index["weight_map"]["model.norm.weight"] = std::string("a\0b", 3);
    expect_refused<FormatError>(folder, {"weight_map.model.norm.weight", "the same folder"});
}

TEST(Shards, ThatAreMissingOrBrokenAreNamed) {
    ShardedFolder folder;
    folder.write_all();
    std::filesystem::remove(folder / "model-2.safetensors");
    support::expect_error<IoError>([&] { load(folder); }, {"model-2.safetensors", "No such file"});
    std::filesystem::create_directory(folder / "model-2.safetensors");
    support::expect_error<IoError>([&] { load(folder); }, {"model-2.safetensors", "regular file"});
    std::filesystem::remove(folder / "model-2.safetensors");
    folder.write("model-2.safetensors", "short");
    support::expect_error<FormatError>([&] { load(folder); }, {"model-2.safetensors", "truncated"});
}

TEST(Shards, HoldWhatTheIndexSays) {
    ShardedFolder folder;
    const std::string name = "model.norm.weight";
    for (StoredTensors& shard : folder.shards) shard.erase(name);
    expect_refused<FormatError>(folder, {".safetensors: model.norm.weight", "tensor is missing", "index.json"});
    folder.index["weight_map"].erase(name);
    expect_refused<FormatError>(folder, {"index.json: model.norm.weight", "tensor is missing"});
}

}  // namespace
