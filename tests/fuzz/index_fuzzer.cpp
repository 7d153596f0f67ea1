// A model.safetensors.index.json beside two good shards, a broken one and a folder.
#include <eigenlm/file/shards.hpp>
#include <vector>

#include "fuzz.hpp"
#include "support/stored_tensors.hpp"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    const support::StoredTensor three{"F32", {3}, std::string(12, '\1')};
    fuzz::folder().write("1.safetensors", support::safetensors_file({{"a", three}, {"b", three}}));
    fuzz::folder().write("2.safetensors", support::safetensors_file({{"c", three}}));
    fuzz::folder().write("3.safetensors", "cut off");
    std::filesystem::create_directory(fuzz::folder() / "4.safetensors");
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::folder().write("model.safetensors.index.json", std::string(fuzz::text_of(data, size)));
    fuzz::expect_only_typed_errors([] {
        const eigenlm::ShardedTensors tensors(fuzz::folder() / "model.safetensors.index.json");
        std::vector<float> values(3);
        for (const char* name : {"a", "b", "c"}) tensors.tensor(name, std::vector<std::size_t>{3}).read(0, values);
    });
    return 0;
}
