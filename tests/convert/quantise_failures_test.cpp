// What keeps a model from being written as a GGUF file: the error, and that nothing is left of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <eigenlm/eigenlm.hpp>
#include <functional>
#include <memory>
#include <string>
#include <thread>
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

using convert::expect_nothing_left;
using convert::expect_refused;
using eigenlm::Dtype;
using support::gguf_golden;

TEST(QuantiseModel, LeavesNothingWhenItIsCancelled) {
    for (const int reports : {0, 1, 3}) {
        expect_nothing_left([&](const std::filesystem::path& out) {
            std::stop_source stop;
            int left = reports;
            eigenlm::QuantiseOptions options;
            options.cancel = stop.get_token();
            options.progress = [&](const eigenlm::Progress&) {
                EXPECT_EQ(std::distance(std::filesystem::directory_iterator(out.parent_path()), {}),
                          std::filesystem::exists(out) ? 2 : 1);
                if (--left == 0) stop.request_stop();
            };
            if (reports == 0) stop.request_stop();
            support::expect_error<eigenlm::CancelledError>(
                [&] { eigenlm::quantise_model(support::tiny_dir(), out, options); }, {"quantise", "stop"});
        });
    }
}

TEST(QuantiseModel, LeavesNothingWhenItIsCancelledBehindTheLastReport) {
    expect_nothing_left([&](const std::filesystem::path& out) {
        std::stop_source stop;
        eigenlm::QuantiseOptions options;
        options.cancel = stop.get_token();
        options.progress = [&](const eigenlm::Progress& p) {
            if (p.done == p.total) stop.request_stop();
        };
        EXPECT_THROW(eigenlm::quantise_model(support::tiny_dir(), out, options), eigenlm::CancelledError);
    });
}

TEST(QuantiseModel, LeavesNothingWhenTheCallersFunctionThrows) {
    expect_nothing_left([&](const std::filesystem::path& out) {
        eigenlm::QuantiseOptions options;
        options.progress = [](const eigenlm::Progress& p) {
            if (p.done > p.total / 2) throw std::runtime_error("enough");
        };
        EXPECT_THROW(eigenlm::quantise_model(support::tiny_dir(), out, options), std::runtime_error);
    });
}

TEST(QuantiseModel, LeavesNothingOnAFullDisk) {
    expect_nothing_left([&](const std::filesystem::path& out) {
        const support::FileLimit limit(500000);
        support::expect_error<eigenlm::IoError>(
            [&] { eigenlm::quantise_model(support::tiny_dir(), out, {.type = Dtype::q8_0}); },
            {out.string(), "cannot write"});
    });
}

// The disk was large enough in the beginning.
TEST(QuantiseModel, LeavesNothingWhenTheDiskFillsUpMeanwhile) {
    expect_nothing_left([&](const std::filesystem::path& out) {
        std::optional<support::FileLimit> limit;
        eigenlm::QuantiseOptions options;
        options.threads = 2;
        options.progress = [&](const eigenlm::Progress&) {
            if (!limit) limit.emplace(200000);
        };
        support::expect_error<eigenlm::IoError>([&] { eigenlm::quantise_model(support::tiny_dir(), out, options); },
                                                {out.string(), "cannot write"});
    });
}

void set_float(std::string& bytes, std::size_t at, float value) { std::memcpy(bytes.data() + 4 * at, &value, 4); }

TEST(QuantiseModel, RefusesBrokenTensors) {
    const auto broken = [](const std::function<void(support::StoredTensors&)>& change) {
        auto folder = std::make_unique<support::ModelFolder>("llama-gqa");  // f32
        folder->change_tensors(change);
        return folder;
    };
    const std::string k = "model.layers.1.self_attn.k_proj.weight", norm = "model.layers.2.input_layernorm.weight";
    expect_refused<eigenlm::FormatError>(broken([&](auto& t) { t.erase(k); })->path(), {k, "missing"});
    expect_refused<eigenlm::FormatError>(broken([&](auto& t) { t[k].shape = {27, 60}; })->path(), {k, "[60, 27]"});
    expect_refused<eigenlm::FormatError>(broken([&](auto& t) { t[k].dtype = "I32"; })->path(), {k, "I32"});
    for (const Dtype type : {Dtype::f32, Dtype::bf16, Dtype::q8_0}) {
        // Row 1 of the file's k is row 10 of the folder's: a head of 20 rows is put into pairs.
        const auto nan = broken([&](auto& t) { set_float(t[k].bytes, 27 * 10 + 5, std::nanf("")); });
        expect_refused<eigenlm::FormatError>(nan->path(), {k, "finite", "a NaN", "element 32"}, type);
        const auto infinite = broken([&](auto& t) { set_float(t[norm].bytes, 3, -INFINITY); });
        expect_refused<eigenlm::FormatError>(infinite->path(), {norm, "an infinity", "element 3"}, type);
    }
    const auto large = broken([&](auto& t) { set_float(t[k].bytes, 0, 1e6f); });
    expect_refused<eigenlm::UnsupportedError>(large->path(), {k, "F16", "element 0 is 1e+06"}, Dtype::f16);
    expect_refused<eigenlm::UnsupportedError>(large->path(), {k, "F16"}, Dtype::q8_0);  // rows of 27: F16
    const auto huge = broken([&](auto& t) { set_float(t[k].bytes, 0, 3.4e38f); });
    expect_refused<eigenlm::UnsupportedError>(huge->path(), {k, "BF16", "element 0"}, Dtype::bf16);
    const support::TemporaryFolder out;
    eigenlm::quantise_model(large->path(), out / "x.gguf", {.type = Dtype::bf16});
}

TEST(QuantiseModel, RefusesAScaleAboveTheLargestHalf) {
    support::ModelFolder folder("qwen2-yarn");  // f32, rows of 64
    const std::string gate = "model.layers.1.mlp.gate_proj.weight";
    folder.change_tensors([&](auto& t) { set_float(t[gate].bytes, 70, 1e37f); });
    for (const Dtype type : {Dtype::q8_0, Dtype::q4_0, Dtype::q5_1})
        expect_refused<eigenlm::UnsupportedError>(folder.path(), {gate, "element 70", to_string(type)}, type);
}

TEST(QuantiseModel, RefusesBrokenGgufModels) {
    const support::TemporaryFolder folder;
    const eigenlm::GgufFile golden(gguf_golden("qwen3"));
    const auto write = [&](auto change) {
        std::vector<eigenlm::GgufTensorInfo> infos;
        for (const auto& name : golden.names()) infos.push_back({name, golden.tensor(name).shape, Dtype::f32});
        change(infos);
        eigenlm::GgufWriter(folder / "in.gguf", golden.metadata(), infos).commit();
    };
    const auto find = [](auto& infos, std::string_view name) {
        return std::ranges::find(infos, name, &eigenlm::GgufTensorInfo::name);
    };
    const std::string q = "blk.1.attn_q.weight";
    write([&](auto& infos) { infos.erase(find(infos, q)); });
    expect_refused<eigenlm::FormatError>(folder / "in.gguf", {q, "missing"});
    write([&](auto& infos) { find(infos, q)->shape[1] += 2; });
    expect_refused<eigenlm::FormatError>(folder / "in.gguf", {q, "shape"});
    write([&](auto& infos) { find(infos, q)->name = "blk.1.attn_rot.weight"; });
    expect_refused<eigenlm::UnsupportedError>(folder / "in.gguf", {"blk.1.attn_rot.weight"});
}

TEST(QuantiseModel, RefusesWhatAGgufFileHasNoWordsFor) {
    expect_refused<eigenlm::UnsupportedError>(support::golden_dir("llama-yarn"), {"config.json", "attention_factor"});
    expect_refused<eigenlm::UnsupportedError>(support::golden_dir("llama-bias"), {"config.json", "attention_bias"});
    support::ModelFolder yarn("qwen2-yarn");
    const auto set_rope = [&](const nlohmann::json& rope) {
        yarn.set("rope_parameters", rope);
        return yarn.path();
    };
    const nlohmann::json good = {
        {"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 32}, {"rope_theta", 1e6}};
    auto rope = good;
    rope["truncate"] = false;
    expect_refused<eigenlm::UnsupportedError>(set_rope(rope), {"config.json", "truncate"});
    expect_refused<eigenlm::UnsupportedError>(set_rope({{"rope_type", "llama3"},
                                                        {"factor", 4},
                                                        {"low_freq_factor", 1},
                                                        {"high_freq_factor", 4},
                                                        {"original_max_position_embeddings", 32},
                                                        {"rope_theta", 1e6}}),
                                              {"config.json", "llama3", "qwen2"});
    rope = good;
    rope["beta_fast"] = 16;
    rope["beta_slow"] = 2;
    const support::TemporaryFolder out;
    eigenlm::quantise_model(set_rope(rope), out / "x.gguf", {.type = Dtype::f32});
    const auto scaling = read_config(eigenlm::GgufFiles(out / "x.gguf")).rope_scaling;
    EXPECT_EQ(std::pair(scaling.beta_fast, scaling.beta_slow), std::pair(16.0, 2.0));
}

TEST(QuantiseModel, RefusesToReplaceTheModelItself) {
    const auto refuses = [](const std::filesystem::path& in, const std::filesystem::path& out) {
        support::expect_error<eigenlm::ArgumentError>([&] { eigenlm::quantise_model(in, out); }, {"own"});
    };
    support::ModelFolder folder("qwen3");
    const auto before = folder.read("model.safetensors");
    refuses(folder.path(), folder.path());
    refuses(folder.path(), folder / "model.safetensors");
    refuses(folder.path(), folder.path() / "." / "config.json");
    std::filesystem::create_symlink("model.safetensors", folder / "link");
    refuses(folder.path(), folder / "link");
    EXPECT_EQ(folder.read("model.safetensors"), before);
    for (int i = 0; i < 2; ++i) eigenlm::quantise_model(folder.path(), folder / "x.gguf");  // this is another one
    refuses(folder / "x.gguf", folder / "x.gguf");
    for (const char* n : {"1", "2", "3"}) {
        const std::string name = std::string("long-0000") + n + "-of-00003";
        std::filesystem::copy(gguf_golden(name), folder / (name + ".gguf"));
    }
    refuses(folder / "long-00001-of-00003.gguf", folder / "long-00002-of-00003.gguf");
}

TEST(QuantiseModel, NeedsAModelAndAFolderToWriteInto) {
    const support::TemporaryFolder folder;
    const auto fails = [&](const std::filesystem::path& in, const std::filesystem::path& out,
                           std::initializer_list<std::string_view> words) {
        support::expect_error<eigenlm::IoError>([&] { eigenlm::quantise_model(in, out); }, words);
    };
    fails(folder / "nowhere", folder / "x.gguf", {"nowhere", "no such folder"});
    fails(folder.path(), folder / "x.gguf", {"config.json"});
    fails(support::tiny_dir(), folder / "nowhere" / "x.gguf", {"nowhere", "no such folder"});
    fails(support::tiny_dir(), folder.path(), {folder.path().string(), "folder"});
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
