// A safetensors file. An input of two parts is its header, whose length is put in front of it, and its data; an input
// of one part is the whole file as it stands.
#include <algorithm>
#include <eigenlm/file/safetensors.hpp>
#include <vector>

#include "fuzz.hpp"
#include "support/stored_tensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto [first, second] = fuzz::split(fuzz::text_of(data, size));
    fuzz::folder().write("model.safetensors", second ? support::safetensors_file(first, *second) : first);
    fuzz::expect_only_typed_errors([] {
        const eigenlm::SafetensorsFile file(fuzz::folder() / "model.safetensors");
        for (const char* name : {"a", "b", "c", "model.norm.weight", "model.layers.0.self_attn.q_proj.bias"}) {
            if (!file.contains(name)) continue;
            const eigenlm::Tensor tensor = file.tensor(name);
            std::vector<std::byte> bytes(bytes_of(tensor.dtype, tensor.size()));
            tensor.read_bytes(0, bytes);
            std::vector<float> last(std::min<std::size_t>(tensor.size(), 3));
            if (tensor.dtype != eigenlm::Dtype::i32) tensor.read(tensor.size() - last.size(), last);
            (void)file.tensor(name, std::vector<std::size_t>{2, 3});
        }
    });
    return 0;
}
