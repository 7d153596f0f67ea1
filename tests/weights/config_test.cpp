// config.json: every field that is read, in the old and the new way of writing it.
#include <gtest/gtest.h>

#include <cmath>
#include <eigenlm/file/checkpoint.hpp>
#include <eigenlm/weights/read_config.hpp>
#include <string>
#include <vector>

#include "support/expect_error.hpp"

namespace {

using eigenlm::ModelConfig;
using eigenlm::ModelFamily;
using eigenlm::RopeScaling;
using nlohmann::json;

ModelConfig read(const json& content) { return eigenlm::read_config(content, "config.json"); }

/// Nothing but what every config must say.
json least() {
    return {{"model_type", "llama"},   {"vocab_size", 100},      {"hidden_size", 64},
            {"intermediate_size", 96}, {"num_hidden_layers", 3}, {"num_attention_heads", 8}};
}
json with(json config, const json& fields) {
    config.update(fields);
    return config;
}

TEST(Config, ReadsTheSizes) {
    const auto c = read(with(least(), {{"model_type", "qwen2"},
                                       {"num_key_value_heads", 2},
                                       {"head_dim", 10},
                                       {"max_position_embeddings", 777},
                                       {"rms_norm_eps", 1e-5},
                                       {"rope_theta", 1e6},
                                       {"tie_word_embeddings", true}}));
    EXPECT_EQ(c.family, ModelFamily::qwen2);
    EXPECT_EQ(c.vocab_size, 100u);
    EXPECT_EQ(c.hidden_size, 64u);
    EXPECT_EQ(c.intermediate_size, 96u);
    EXPECT_EQ(c.num_layers, 3u);
    EXPECT_EQ(c.num_heads, 8u);
    EXPECT_EQ(c.num_kv_heads, 2u);
    EXPECT_EQ(c.head_dim, 10u);
    EXPECT_EQ(c.max_position_embeddings, 777u);
    EXPECT_EQ(c.rms_norm_eps, 1e-5f);
    EXPECT_EQ(c.rope_theta, 1e6);
    EXPECT_TRUE(c.tie_word_embeddings);
    EXPECT_EQ(c.query_size(), 80u);
    EXPECT_EQ(c.kv_size(), 20u);
    EXPECT_EQ(c.qkv_size(), 120u);
    EXPECT_EQ(c.group(), 4u);
}

TEST(Config, FieldsThatAreMissingOrNullHaveTransformersDefaults) {
    for (const json& unset : {json::object(), json{{"num_key_value_heads", nullptr},
                                                   {"head_dim", nullptr},
                                                   {"rms_norm_eps", nullptr},
                                                   {"rope_theta", nullptr},
                                                   {"rope_scaling", nullptr},
                                                   {"rope_parameters", nullptr},
                                                   {"sliding_window", nullptr},
                                                   {"eos_token_id", nullptr},
                                                   {"quantization_config", nullptr}}}) {
        const auto c = read(with(least(), unset));
        EXPECT_EQ(c.num_kv_heads, 8u);
        EXPECT_EQ(c.head_dim, 8u);
        EXPECT_EQ(c.max_position_embeddings, 2048u);
        EXPECT_EQ(c.rms_norm_eps, 1e-6f);
        EXPECT_EQ(c.rope_theta, 10000.0);
        EXPECT_EQ(c.rope_scaling.kind, RopeScaling::Kind::none);
        EXPECT_EQ(c.rope_layout, eigenlm::RopeLayout::half);
        EXPECT_FALSE(c.tie_word_embeddings);
        EXPECT_TRUE(c.eos_token_ids.empty());
    }
    EXPECT_EQ(read(with(least(), {{"model_type", "qwen2"}})).max_position_embeddings, 32768u);
}

TEST(Config, HeadDimNeedNotBeHiddenOverHeads) {
    const auto c = read(with(least(), {{"head_dim", 128}, {"hidden_size", 36}, {"num_attention_heads", 7}}));
    EXPECT_EQ(c.head_dim, 128u);
    EXPECT_EQ(c.query_size(), 7u * 128);
}

TEST(Config, ReadsOneEosIdOrAList) {
    EXPECT_EQ(read(with(least(), {{"eos_token_id", 2}})).eos_token_ids, (std::vector<eigenlm::TokenId>{2}));
    EXPECT_EQ(read(with(least(), {{"eos_token_id", {99, 0, 7}}})).eos_token_ids,
              (std::vector<eigenlm::TokenId>{99, 0, 7}));
    EXPECT_TRUE(read(with(least(), {{"eos_token_id", json::array()}})).eos_token_ids.empty());
}

/// The llama3 scaling under the key `name` of its kind.
json llama3(const char* name) {
    return {{name, "llama3"},
            {"factor", 8.0},
            {"low_freq_factor", 1.0},
            {"high_freq_factor", 4.0},
            {"original_max_position_embeddings", 8192}};
}

void expect_llama3(const ModelConfig& c, double theta) {
    EXPECT_EQ(c.rope_theta, theta);
    EXPECT_EQ(c.rope_scaling.kind, RopeScaling::Kind::llama3);
    EXPECT_EQ(c.rope_scaling.factor, 8.0);
    EXPECT_EQ(c.rope_scaling.low_freq_factor, 1.0);
    EXPECT_EQ(c.rope_scaling.high_freq_factor, 4.0);
    EXPECT_EQ(c.rope_scaling.original_max_position_embeddings, 8192u);
}

TEST(Config, ReadsRopeInTheOldAndTheNewWay) {
    expect_llama3(read(with(least(), {{"rope_theta", 5e5}, {"rope_scaling", llama3("rope_type")}})), 5e5);
    expect_llama3(read(with(least(), {{"rope_theta", 5e5}, {"rope_scaling", llama3("type")}})), 5e5);
    expect_llama3(read(with(least(), {{"rope_parameters", with(llama3("rope_type"), {{"rope_theta", 5e5}})}})), 5e5);
    const auto plain = read(with(least(), {{"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 123.0}}}}));
    EXPECT_EQ(plain.rope_theta, 123.0);
    EXPECT_EQ(plain.rope_scaling.kind, RopeScaling::Kind::none);
}

TEST(Config, IgnoresTheDtypeItWasSavedIn) {  // the tensors say theirs themselves
    for (const char* key : {"torch_dtype", "dtype"})
        for (const char* dtype : {"float32", "bfloat16", "float16"})
            EXPECT_NO_THROW(read(with(least(), {{key, dtype}})));
}

TEST(Config, TakesFieldsThatChangeNothing) {
    EXPECT_NO_THROW(read(with(least(), {{"attention_bias", false},
                                        {"mlp_bias", false},
                                        {"hidden_act", "silu"},
                                        {"use_sliding_window", false},
                                        {"layer_types", {"full_attention", "full_attention", "full_attention"}},
                                        {"partial_rotary_factor", 1.0},
                                        {"rope_scaling", {{"rope_type", "default"}}},
                                        {"pretraining_tp", 1},
                                        {"initializer_range", 0.02},
                                        {"something_new", {1, 2, 3}}})));
}

TEST(Config, AWindowAsLongAsTheContextHidesNothing) {
    const json context = {{"max_position_embeddings", 4096}};
    EXPECT_NO_THROW(read(with(with(least(), context), {{"sliding_window", 4096}})));
    support::expect_error<eigenlm::UnsupportedError>(
        [&] {
            read(with(with(least(), context), {{"sliding_window", 4095}}));
        },
        {"config.json: sliding_window"});
}

TEST(Config, QwensWindowCountsOnlyWhereItIsUsed) {  // Qwen2 checkpoints carry one that is switched off
    const json qwen = {{"model_type", "qwen2"}, {"sliding_window", 16}, {"max_window_layers", 1}};
    EXPECT_NO_THROW(read(with(least(), qwen)));
    EXPECT_NO_THROW(read(with(with(least(), qwen), {{"use_sliding_window", false}})));
    EXPECT_TRUE(read(with(with(least(), qwen), {{"sliding_window", 0}})).windows.empty());
}

using Windows = std::vector<std::size_t>;

TEST(Config, ReadsQwensWindows) {
    for (const char* family : {"qwen2", "qwen3"}) {
        const json qwen = with(least(), {{"model_type", family}, {"use_sliding_window", true}, {"sliding_window", 16}});
        EXPECT_EQ(read(with(qwen, {{"max_window_layers", 1}})).windows, (Windows{0, 16, 16}));
        EXPECT_EQ(read(with(qwen, {{"max_window_layers", 0}})).windows, (Windows{16, 16, 16}));
        EXPECT_EQ(read(with(qwen, {{"max_window_layers", 7}})).windows, (Windows{0, 0, 0}));
        EXPECT_EQ(read(qwen).windows, (Windows{0, 0, 0})) << "transformers' default is 28 layers";
        EXPECT_TRUE(read(with(qwen, {{"sliding_window", nullptr}, {"max_window_layers", 1}})).windows.empty());
        const json types = {"sliding_attention", "full_attention", "sliding_attention"};
        EXPECT_EQ(read(with(qwen, {{"layer_types", types}, {"max_window_layers", 0}})).windows, (Windows{16, 0, 16}));
        const json off = with(qwen, {{"use_sliding_window", false}, {"layer_types", types}});
        support::expect_error<eigenlm::FormatError>([&] { read(off); }, {"config.json: layer_types", "sliding_window"});
        const json few = with(qwen, {{"layer_types", {"full_attention"}}});
        support::expect_error<eigenlm::FormatError>([&] { read(few); },
                                                    {"config.json: layer_types", "3 layers", "found 1"});
    }
}

TEST(Config, ReadsMistralsWindow) {
    const json mistral = with(least(), {{"model_type", "mistral"}});
    EXPECT_EQ(read(with(mistral, {{"sliding_window", 16}})).windows, (Windows{16, 16, 16}));
    EXPECT_EQ(read(with(mistral, {{"sliding_window", nullptr}})).windows, (Windows{0, 0, 0}));
    EXPECT_EQ(read(mistral).windows, (Windows{4096, 4096, 4096})) << "transformers' default";
    EXPECT_EQ(read(mistral).max_position_embeddings, 131072u);
    const json mixed = with(
        mistral, {{"sliding_window", 16}, {"layer_types", {"full_attention", "sliding_attention", "full_attention"}}});
    support::expect_error<eigenlm::UnsupportedError>([&] { read(mixed); }, {"config.json: layer_types"});
}

TEST(Config, Qwen3HasAHeadDimOfItsOwn) {
    EXPECT_EQ(read(with(least(), {{"model_type", "qwen3"}})).head_dim, 128u);
    EXPECT_EQ(read(with(least(), {{"model_type", "qwen3"}, {"head_dim", 10}})).head_dim, 10u);
}

TEST(Config, Qwen2HasItsBiasesWhateverAttentionBiasSays) {
    for (const bool said : {true, false})
        EXPECT_NO_THROW(read(with(least(), {{"model_type", "qwen2"}, {"attention_bias", said}})));
}

json scaling(const json& fields) {
    return with(least(), {{"max_position_embeddings", 1000}, {"rope_scaling", fields}});
}

TEST(Config, ReadsLinearAndDynamicScaling) {
    const auto linear = read(scaling({{"type", "linear"}, {"factor", 2.5}}));
    EXPECT_EQ(linear.rope_scaling.kind, RopeScaling::Kind::linear);
    EXPECT_EQ(linear.rope_scaling.factor, 2.5);
    EXPECT_EQ(linear.max_context(), 2500u);
    const auto dynamic = read(scaling({{"rope_type", "dynamic"}, {"factor", 2.0}}));
    EXPECT_EQ(dynamic.rope_scaling.kind, RopeScaling::Kind::dynamic);
    EXPECT_EQ(dynamic.max_context(), 1000u);
    support::expect_error<eigenlm::FormatError>(
        [] {
            read(scaling({{"type", "linear"}, {"factor", 0.5}}));
        },
        {"rope_scaling.factor", "0.5"});
    support::expect_error<eigenlm::FormatError>(
        [] {
            read(scaling({{"type", "linear"}}));
        },
        {"rope_scaling.factor", "missing"});
}

TEST(Config, OfTwoRopeObjectsOneCounts) {  // as transformers' LlamaConfig.from_dict
    const json linear = {{"rope_type", "linear"}, {"factor", 2.0}},
               plain = {{"rope_type", "default"}, {"rope_theta", 1e6}};
    const auto scaled = read(with(least(), {{"rope_parameters", plain}, {"rope_scaling", linear}}));
    EXPECT_EQ(scaled.rope_scaling.kind, RopeScaling::Kind::linear);
    EXPECT_EQ(scaled.rope_theta, 10000);
    const auto empty = read(
        with(least(), {{"rope_parameters", with(linear, {{"rope_theta", 1e6}})}, {"rope_scaling", json::object()}}));
    EXPECT_EQ(empty.rope_scaling.kind, RopeScaling::Kind::linear);
    EXPECT_EQ(empty.rope_theta, 1e6);
}

TEST(Config, ReadsYarn) {
    const auto plain = read(scaling({{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 500}}));
    EXPECT_EQ(plain.rope_scaling.kind, RopeScaling::Kind::yarn);
    EXPECT_EQ(plain.rope_scaling.original_max_position_embeddings, 500u);
    EXPECT_EQ(plain.rope_scaling.beta_fast, 32);
    EXPECT_EQ(plain.rope_scaling.beta_slow, 1);
    EXPECT_TRUE(plain.rope_scaling.truncate);
    EXPECT_DOUBLE_EQ(plain.rope_scaling.attention_factor, 0.1 * std::log(4.0) + 1);
    EXPECT_EQ(plain.max_context(), 2000u);
    const json all = {{"rope_type", "yarn"}, {"factor", 2.0},     {"beta_fast", 20},
                      {"beta_slow", 2},      {"truncate", false}, {"attention_factor", 0.75}};
    const auto set = read(scaling(all)).rope_scaling;
    EXPECT_EQ(set.original_max_position_embeddings, 1000u);
    EXPECT_EQ(set.beta_fast, 20);
    EXPECT_EQ(set.beta_slow, 2);
    EXPECT_FALSE(set.truncate);
    EXPECT_EQ(set.attention_factor, 0.75);
    const auto deepseek =
        read(scaling({{"type", "yarn"}, {"factor", 4.0}, {"mscale", 2.0}, {"mscale_all_dim", 0.5}})).rope_scaling;
    EXPECT_DOUBLE_EQ(deepseek.attention_factor, (0.2 * std::log(4.0) + 1) / (0.05 * std::log(4.0) + 1));
    const auto ratio =
        read(scaling({{"type", "yarn"}, {"factor", nullptr}, {"original_max_position_embeddings", 250}}));
    EXPECT_EQ(ratio.rope_scaling.factor, 4.0);
    const auto above =
        read(with(scaling({{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 500}}),
                  {{"original_max_position_embeddings", 250}}));
    EXPECT_EQ(above.rope_scaling.original_max_position_embeddings, 250u) << "the config's own field goes first";
    support::expect_error<eigenlm::FormatError>(
        [] {
            read(with(scaling({{"type", "yarn"}, {"factor", 2.0}}), {{"rope_theta", 1}}));
        },
        {"rope_theta"});
}

struct Refusal {
    json fields;
    std::vector<std::string> words;
};

TEST(Config, RefusesWhatItWouldComputeWrongly) {
    const std::vector<Refusal> cases = {
        {{{"model_type", "gemma"}}, {"model_type", "gemma", "llama", "mistral", "qwen2", "qwen3"}},
        {{{"model_type", "qwen3"}, {"attention_bias", true}}, {"attention_bias"}},
        {{{"model_type", "LLAMA"}}, {"model_type"}},
        {{{"hidden_act", "gelu"}}, {"hidden_act", "gelu", "silu"}},
        {{{"attention_bias", true}}, {"attention_bias"}},
        {{{"mlp_bias", true}}, {"mlp_bias"}},
        {{{"model_type", "qwen2"}, {"mlp_bias", true}}, {"mlp_bias"}},
        {{{"use_sliding_window", true}}, {"use_sliding_window"}},
        {{{"sliding_window", 16}}, {"sliding_window"}},
        {{{"layer_types", {"full_attention", "sliding_attention"}}}, {"layer_types", "sliding_attention"}},
        {{{"layer_types", {7, 7, 7}}}, {"layer_types", "7"}},
        {{{"quantization_config", {{"bits", 4}}}}, {"quantization_config"}},
        {{{"partial_rotary_factor", 0.5}}, {"partial_rotary_factor"}},
        {{{"rope_parameters", {{"partial_rotary_factor", 0.5}}}}, {"rope_parameters.partial_rotary_factor"}},
        {{{"rope_parameters", {{"rope_type", "longrope"}}}}, {"rope_parameters.rope_type", "longrope"}},
        {{{"rope_scaling", {{"type", "su"}}}}, {"rope_scaling.type", "su"}},
    };
    for (const auto& refusal : cases)
        for (const std::string& word : refusal.words)
            support::expect_error<eigenlm::UnsupportedError>([&] { read(with(least(), refusal.fields)); },
                                                             {"config.json: ", word});
}

TEST(Config, RefusesTheGoldenWithBiases) {
    const auto path = std::filesystem::path(EIGENLM_TEST_DATA_DIR) / "goldens/llama-bias/config.json";
    support::expect_error<eigenlm::UnsupportedError>(
        [&] { eigenlm::read_config(eigenlm::read_json(path), path.string()); }, {path.string() + ": attention_bias"});
}

TEST(Config, NamesEachFieldThatIsMissing) {
    const json all = least();
    for (const auto& [key, value] : all.items()) {
        json config = all;
        config.erase(key);
        support::expect_error<eigenlm::FormatError>([&] { read(config); },
                                                    {"config.json: ", key, "required field is missing"});
    }
}

TEST(Config, SizesAreWholeNumbersAboveZeroAndBounded) {
    for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                            "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings"})
        for (const json& value : {json(0), json(-1), json(1.5), json("8"), json(true), json(json::array({8})),
                                  json(std::int64_t{1} << 62), json(~std::uint64_t{0})})
            support::expect_error<eigenlm::FormatError>(
                [&] {
                    read(with(least(), {{key, value}}));
                },
                {"config.json: ", key});
}

TEST(Config, RefusesValuesOutOfRange) {
    const auto bad_llama3 = [](const json& fields) {
        return json{{"rope_scaling", with(llama3("rope_type"), fields)}};
    };
    const std::vector<Refusal> cases = {
        {json::object({{"model_type", 7}}), {"model_type", "7"}},
        {{{"hidden_act", 7}}, {"hidden_act"}},
        {{{"rms_norm_eps", -1e-6}}, {"rms_norm_eps", "-1e-06"}},
        {{{"rms_norm_eps", 2}}, {"rms_norm_eps"}},
        {{{"rms_norm_eps", "1e-6"}}, {"rms_norm_eps"}},
        {{{"rope_theta", 0}}, {"rope_theta"}},
        {{{"rope_theta", -1e4}}, {"rope_theta"}},
        {{{"rope_theta", 1e300}}, {"rope_theta"}},
        {{{"rope_parameters", {{"rope_theta", 0.5}}}}, {"rope_parameters.rope_theta"}},
        {{{"rope_parameters", {1}}}, {"rope_parameters", "array"}},
        {{{"rope_scaling", "llama3"}}, {"rope_scaling", "string"}},
        {{{"rope_scaling", {{"rope_type", 3}}}}, {"rope_scaling.rope_type"}},
        {bad_llama3({{"factor", 0.5}}), {"rope_scaling.factor"}},
        {bad_llama3({{"factor", nullptr}}), {"rope_scaling.factor", "missing"}},
        {bad_llama3({{"low_freq_factor", 0}}), {"rope_scaling.low_freq_factor"}},
        {bad_llama3({{"high_freq_factor", 1.0}}), {"rope_scaling.high_freq_factor", "low_freq_factor"}},
        {bad_llama3({{"original_max_position_embeddings", 0}}), {"rope_scaling.original_max_position_embeddings"}},
        {{{"max_position_embeddings", 256},
          {"rope_scaling",
           {{"rope_type", "yarn"}, {"factor", nullptr}, {"original_max_position_embeddings", 1 << 24}}}},
         {"rope_scaling.original_max_position_embeddings", "at most 1000 times"}},
        {{{"head_dim", 514}}, {"head_dim", "at most 512", "514"}},
        {{{"hidden_size", 8 * 514}}, {"head_dim", "at most 512", "514"}},
        {{{"tie_word_embeddings", "yes"}}, {"tie_word_embeddings", "true or false"}},
        {{{"attention_bias", 1}}, {"attention_bias"}},
        {{{"layer_types", "full_attention"}}, {"layer_types", "an array"}},
        {{{"sliding_window", "16"}}, {"sliding_window"}},
        {{{"eos_token_id", 100}}, {"eos_token_id", "[0, 100)", "found 100"}},
        {{{"eos_token_id", 1.0}}, {"eos_token_id"}},
        {{{"eos_token_id", "2"}}, {"eos_token_id"}},
        {{{"eos_token_id", {2, ~std::uint64_t{0}}}}, {"eos_token_id", "18446744073709551615"}},
        {{{"eos_token_id", {2, {3}}}}, {"eos_token_id"}},
    };
    for (const auto& refusal : cases)
        for (const std::string& word : refusal.words)
            support::expect_error<eigenlm::FormatError>([&] { read(with(least(), refusal.fields)); },
                                                        {"config.json: ", word});
}

TEST(Config, HeadsMustDivide) {
    const auto expect = [](const json& fields, std::initializer_list<std::string_view> words) {
        support::expect_error<eigenlm::FormatError>([&] { read(with(least(), fields)); }, words);
    };
    expect({{"num_key_value_heads", 3}}, {"config.json: num_key_value_heads", "divisor", "8", "found 3"});
    expect({{"num_key_value_heads", 16}}, {"config.json: num_key_value_heads", "divisor", "found 16"});
    expect({{"hidden_size", 60}}, {"config.json: hidden_size", "num_attention_heads"});
    expect({{"hidden_size", 4}}, {"config.json: hidden_size"});
}

TEST(Config, HeadDimMustBeEven) {
    support::expect_error<eigenlm::FormatError>(
        [] {
            read(with(least(), {{"head_dim", 7}}));
        },
        {"config.json: head_dim", "even", "found 7"});
    support::expect_error<eigenlm::FormatError>(
        [] {
            read(with(least(), {{"hidden_size", 56}}));
        },
        {"config.json: head_dim", "even", "found 7"});
}

TEST(Config, IsAnObject) {
    for (const json& content : {json(), json::array(), json("text")})
        support::expect_error<eigenlm::FormatError>([&] { read(content); }, {"config.json", "a JSON object"});
}

}  // namespace
