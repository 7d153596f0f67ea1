// generation_config.json: what it suggests, and the caller's wishes over it.
#include <gtest/gtest.h>

#include <eigenlm/generate/options.hpp>
#include <string>
#include <vector>

#include "support/expect_error.hpp"

namespace {

using eigenlm::GenerationDefaults;
using nlohmann::json;

GenerationDefaults read(const json& generation, const json& model = json::object()) {
    eigenlm::ModelConfig config;
    config.vocab_size = 100;
    config.eos_token_ids = {7};
    return eigenlm::read_generation_defaults(config, model, generation, "generation_config.json");
}

TEST(GenerationDefaults, WithoutTheFileAreGreedyWithTheModelsIds) {
    const auto defaults = read(json(), {{"bos_token_id", 3}});
    EXPECT_EQ(defaults.eos_token_ids, (std::vector<eigenlm::TokenId>{7}));
    EXPECT_EQ(defaults.bos_token_id, 3);
    EXPECT_EQ(defaults.sampling.temperature, 0);
    EXPECT_EQ(defaults.sampling.repeat_penalty, 1);
    EXPECT_FALSE(read(json()).bos_token_id.has_value());
}

TEST(GenerationDefaults, ReadEveryField) {
    const auto defaults = read({{"do_sample", true},
                                {"temperature", 0.25},
                                {"top_k", 11},
                                {"top_p", 0.5},
                                {"min_p", 0.125},
                                {"repetition_penalty", 1.5},
                                {"eos_token_id", {9, 10}},
                                {"bos_token_id", 4}},
                               {{"bos_token_id", 3}});
    EXPECT_EQ(defaults.sampling.temperature, 0.25f);
    EXPECT_EQ(defaults.sampling.top_k, 11u);
    EXPECT_EQ(defaults.sampling.top_p, 0.5f);
    EXPECT_EQ(defaults.sampling.min_p, 0.125f);
    EXPECT_EQ(defaults.sampling.repeat_penalty, 1.5f);
    EXPECT_EQ(defaults.eos_token_ids, (std::vector<eigenlm::TokenId>{9, 10}));
    EXPECT_EQ(defaults.bos_token_id, 4) << "before config.json's";
}

TEST(GenerationDefaults, SampleAsTransformersDoesWhereFieldsAreMissing) {
    const auto defaults = read({{"do_sample", true}, {"temperature", nullptr}});
    EXPECT_EQ(defaults.sampling.temperature, 1);
    EXPECT_EQ(defaults.sampling.top_k, 50u);
    EXPECT_EQ(defaults.sampling.top_p, 1);
    EXPECT_EQ(defaults.sampling.min_p, 0);
}

TEST(GenerationDefaults, WithoutDoSampleAreGreedyButPenalised) {
    for (const json& sampling : {json{{"do_sample", false}}, json::object()}) {
        json content = {{"temperature", 0.5}, {"top_k", 3}, {"repetition_penalty", 1.25}};
        content.update(sampling);
        EXPECT_EQ(read(content).sampling.temperature, 0);
        EXPECT_EQ(read(content).sampling.repeat_penalty, 1.25f);
    }
}

TEST(GenerationDefaults, NameTheFieldThatIsWrong) {
    const std::vector<std::pair<const char*, json>> cases = {
        {"do_sample", 1},
        {"temperature", -1},
        {"temperature", "hot"},
        {"top_k", -2},
        {"top_k", 2.5},
        {"top_p", 0},
        {"top_p", 1.5},
        {"min_p", 2},
        {"repetition_penalty", 0},
        {"eos_token_id", 100},
        {"eos_token_id", "</s>"},
        {"bos_token_id", 100},
        {"bos_token_id", -2},
        {"bos_token_id", json{1, 2}},
    };
    for (const auto& [key, value] : cases) {
        json content = {{"do_sample", true}};
        content[key] = value;
        support::expect_error<eigenlm::FormatError>([&] { read(content); }, {"generation_config.json: ", key});
    }
    support::expect_error<eigenlm::FormatError>(
        [] {
            read(json(), {{"bos_token_id", 100}});
        },
        {"config.json: bos_token_id"});
    support::expect_error<eigenlm::FormatError>(
        [] {
            eigenlm::read_generation_defaults({}, {{"bos_token_id", -2}}, json(), "folder/generation_config.json");
        },
        {"folder/config.json: bos_token_id"});
    support::expect_error<eigenlm::FormatError>([] { read(json::array()); }, {"generation_config.json", "JSON object"});
}

TEST(GenerationDefaults, TakeMinusOneAndNullForNone) {
    const auto defaults = read(
        {{"do_sample", true}, {"eos_token_id", -1}, {"bos_token_id", -1}, {"top_k", -1}, {"temperature", nullptr}});
    EXPECT_TRUE(defaults.eos_token_ids.empty());
    EXPECT_FALSE(defaults.bos_token_id);
    EXPECT_EQ(defaults.sampling.top_k, 0u);
    EXPECT_EQ(defaults.sampling.temperature, 1.0f);
    EXPECT_EQ(read({{"do_sample", true}, {"top_k", nullptr}}).sampling.top_k, 0u);
    EXPECT_EQ(read({{"do_sample", true}}).sampling.top_k, 50u);
    EXPECT_EQ(read({{"top_k", 7}}).sampling.top_k, 7u) << "for a caller who sets a temperature";
}

TEST(GenerationDefaults, RefuseSearchesThatAreNotDone) {
    for (const auto& [key, value] : {std::pair("num_beams", 4), std::pair("no_repeat_ngram_size", 2)}) {
        json content;
        content[key] = value;
        support::expect_error<eigenlm::UnsupportedError>([&] { read(content); }, {"generation_config.json: ", key});
    }
}

TEST(GenerateOptions, SetFieldsWinOverTheDefaults) {
    const eigenlm::SamplingOptions defaults{
        .repeat_penalty = 1.5f, .temperature = 0.25f, .top_k = 11, .top_p = 0.5f, .min_p = 0.125f, .seed = 99};
    const auto unset = eigenlm::resolve({}, defaults);
    EXPECT_EQ(unset.repeat_penalty, 1.5f);
    EXPECT_EQ(unset.temperature, 0.25f);
    EXPECT_EQ(unset.top_k, 11u);
    EXPECT_EQ(unset.top_p, 0.5f);
    EXPECT_EQ(unset.min_p, 0.125f);
    EXPECT_EQ(unset.seed, 0u) << "the seed is the caller's alone";
    const auto set = eigenlm::resolve(
        {.temperature = 0.0f, .top_k = 0, .top_p = 1.0f, .min_p = 0.0f, .repeat_penalty = 1.0f, .seed = 5}, defaults);
    EXPECT_EQ(set.repeat_penalty, 1);
    EXPECT_EQ(set.temperature, 0);
    EXPECT_EQ(set.top_k, 0u);
    EXPECT_EQ(set.top_p, 1);
    EXPECT_EQ(set.min_p, 0);
    EXPECT_EQ(set.seed, 5u);
}

}  // namespace
