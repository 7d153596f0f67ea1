// A config.json and, in an input of two parts, a generation_config.json. What is accepted can be computed with.
#include <eigenlm/file/checkpoint.hpp>
#include <eigenlm/generate/options.hpp>
#include <eigenlm/model/rope_table.hpp>

#include "fuzz.hpp"
#include "support/stored_tensors.hpp"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    fuzz::folder().write("model.safetensors", support::safetensors_file("{}"));
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto [config_text, generation_text] = fuzz::split(fuzz::text_of(data, size));
    fuzz::folder().write("config.json", config_text);
    std::filesystem::remove(fuzz::folder() / "generation_config.json");
    if (generation_text) fuzz::folder().write("generation_config.json", *generation_text);
    fuzz::expect_only_typed_errors([] {
        const auto checkpoint = eigenlm::Checkpoint::open(fuzz::folder().path());
        const auto config = eigenlm::read_config(checkpoint.config(), checkpoint.config_path());
        eigenlm::check(config);
        for (const float frequency : eigenlm::rope_frequencies(config))
            if (!eigenlm::is_finite(frequency)) fuzz::fail("rotations are finite", std::to_string(frequency));
        const auto defaults = eigenlm::read_generation_defaults(
            config, checkpoint.config(), checkpoint.generation_config(), checkpoint.generation_config_path());
        for (const eigenlm::TokenId id : defaults.eos_token_ids)
            if (id < 0 || static_cast<std::size_t>(id) >= config.vocab_size)
                fuzz::fail("ids are in the vocabulary", std::to_string(id));
    });
    return 0;
}
