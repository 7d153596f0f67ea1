// The type that weights are kept in: as stored, or as asked for.
#include <gtest/gtest.h>

#include <cstring>
#include <eigenlm/eigenlm.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "support/model_folder.hpp"

namespace {

using eigenlm::WeightType;
using support::ModelFolder;
using support::StoredTensors;

/// Every tensor of a folder in another type.
void convert(const ModelFolder& folder, const std::function<const char*(const std::string&)>& dtype_of) {
    folder.change_tensors([&](StoredTensors& tensors) {
        for (auto& [name, tensor] : tensors) {
            const std::string wish = dtype_of(name);
            if (wish == tensor.dtype) continue;
            ASSERT_EQ(tensor.dtype, "BF16");
            std::string bytes;
            for (std::size_t i = 0; i + 1 < tensor.bytes.size(); i += 2) {
                std::uint16_t bits;
                std::memcpy(&bits, tensor.bytes.data() + i, 2);
                const float wide = eigenlm::bf16_to_f32(bits);
                const std::uint16_t half = eigenlm::f32_to_f16(wide);
                bytes.append(
                    wish == "F32" ? reinterpret_cast<const char*>(&wide) : reinterpret_cast<const char*>(&half),
                    wish == "F32" ? 4 : 2);
            }
            tensor = {wish, tensor.shape, bytes};
        }
    });
}

WeightType loaded_type(const ModelFolder& folder, std::optional<WeightType> wish = {}) {
    const auto checkpoint = eigenlm::Checkpoint::open(folder.path());
    return eigenlm::Model(support::config_of(checkpoint), checkpoint.tensors(),
                          {.threads = 1, .isa = eigenlm::Isa::portable, .dtype = wish})
        .transformer()
        .dtype();
}

TEST(WeightType, KeepsWeightsAsTheyAreStored) {
    const ModelFolder bf16, f16, f32, mixed;
    convert(f16, [](const std::string&) { return "F16"; });
    convert(f32, [](const std::string&) { return "F32"; });
    convert(mixed, [](const std::string& name) { return name == "lm_head.weight" ? "F32" : "BF16"; });
    EXPECT_EQ(loaded_type(bf16), WeightType::bf16);
    EXPECT_EQ(loaded_type(f16), WeightType::f16);
    EXPECT_EQ(loaded_type(f32), WeightType::f32);
    EXPECT_EQ(loaded_type(mixed), WeightType::bf16) << "most of them";
    for (const WeightType wish : eigenlm::all_weight_types) EXPECT_EQ(loaded_type(bf16, wish), wish);
    const ModelFolder norms;  // vectors have no say
    convert(norms, [](const std::string& name) { return name.find("norm") == std::string::npos ? "BF16" : "F32"; });
    EXPECT_EQ(loaded_type(norms), WeightType::bf16);
}

TEST(WeightType, ConvertsWithoutLossWhereItCan) {
    const ModelFolder bf16, f32;
    convert(f32, [](const std::string&) { return "F32"; });
    const std::vector<eigenlm::TokenId> text = {1, 2, 3, 4, 5};
    for (const WeightType dtype : {WeightType::f32, WeightType::bf16}) {
        const eigenlm::ModelOptions options = {.threads = 1, .isa = eigenlm::Isa::portable, .dtype = dtype};
        EXPECT_EQ(support::all_logits(support::load_model(bf16.path(), options), text),
                  support::all_logits(support::load_model(f32.path(), options), text));
    }
}

// Products of bf16 weights round their inputs, and gates and ups in bf16 what they make: not where the next one is f32.
TEST(WeightType, RoundsNothingBetweenGatesAndAnF32Product) {
    const ModelFolder mixed;
    convert(mixed, [](const std::string& name) {
        return name.find("gate_proj") != std::string::npos || name.find("up_proj") != std::string::npos ? "BF16"
                                                                                                        : "F32";
    });
    const auto checkpoint = eigenlm::Checkpoint::open(mixed.path());
    const std::vector<eigenlm::TokenId> text = {1, 2, 3, 4, 5};
    for (const eigenlm::Isa isa : eigenlm::available_isas()) {
        const auto logits = [&](std::optional<WeightType> dtype) {
            return support::all_logits(
                std::make_shared<const eigenlm::Model>(support::config_of(checkpoint), checkpoint.tensors(),
                                                       eigenlm::ModelOptions{.threads = 1, .isa = isa, .dtype = dtype}),
                text, eigenlm::CacheType::f32);
        };
        EXPECT_EQ(logits(std::nullopt), logits(WeightType::f32)) << to_string(isa);
    }
}

TEST(WeightType, HoldsSixteenBitWeightsInTwoBytes) {
    const auto bytes = [](WeightType dtype) {
        return support::load_model(support::golden_dir("long"),
                                   {.threads = 1, .isa = eigenlm::Isa::portable, .dtype = dtype})
            ->transformer()
            .weight_bytes();
    };
    EXPECT_EQ(2 * bytes(WeightType::f16), bytes(WeightType::f32));
    EXPECT_GE(2 * bytes(WeightType::bf16), bytes(WeightType::f32));  // inputs are filled up to a multiple of 32
    EXPECT_LE(bytes(WeightType::bf16), bytes(WeightType::f32) * 6 / 10);
}

TEST(WeightType, RefusesWeightsThatDoNotFitTheTypeAskedFor) {
    const ModelFolder folder;
    folder.change_tensors([](StoredTensors& tensors) {
        const std::uint16_t large = eigenlm::f32_to_bf16(70000);
        std::memcpy(tensors.at("model.layers.1.mlp.down_proj.weight").bytes.data() + 10, &large, 2);
    });
    const auto load = [&](WeightType dtype) {
        return support::load_model(folder.path(), {.threads = 2, .isa = eigenlm::Isa::portable, .dtype = dtype});
    };
    support::expect_error<eigenlm::UnsupportedError>([&] { load(WeightType::f16); },
                                                     {"model.layers.1.mlp.down_proj.weight", "F16 has no room for it"});
    EXPECT_NO_THROW(load(WeightType::bf16));
}

}  // namespace
