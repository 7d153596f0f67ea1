// A GGUF file. What is accepted can be read: its tensors, its config, its tokenizer.
#include <algorithm>
#include <array>
#include <eigenlm/tokenizer/tokenizer.hpp>
#include <eigenlm/weights/names.hpp>
#include <eigenlm/weights/read_gguf_config.hpp>
#include <vector>

#include "fuzz.hpp"

namespace {

void read_tensors(const eigenlm::GgufFiles& files) {
    files.each_name([&](const std::string& name) {
        fuzz::expect_only_typed_errors([&] {
            const eigenlm::Tensor tensor = files.tensor(name);
            const std::size_t block = layout_of(tensor.dtype).block_elements;
            std::vector<std::byte> bytes(bytes_of(tensor.dtype, block));
            tensor.read_bytes(tensor.size() - block, bytes);
            std::vector<float> last(std::min<std::size_t>(tensor.size(), 3));
            tensor.read(tensor.size() - last.size(), last);
        });
    });
}

void read_model(const eigenlm::GgufFiles& files) {
    const eigenlm::ModelConfig config = eigenlm::read_config(files);
    check(config);
    const eigenlm::GgufTensors tensors(files, config);
    each_matrix(config, [&](const eigenlm::TensorNames& names, std::size_t, std::size_t inputs) {
        for (const auto& t : names) {
            const eigenlm::Tensor tensor = tensors.tensor(t.name, std::array{t.rows, inputs});
            std::vector<float> last(std::min<std::size_t>(tensor.size(), 3));
            tensor.read(tensor.size() - last.size(), last);
        }
    });
}

void read_tokenizer(const eigenlm::GgufFiles& files) {
    const eigenlm::Tokenizer tokenizer(read_gguf_tokenizer(files.metadata()));
    const auto ids = tokenizer.encode("Hello \r\n  w\xC3\xB6rld <s> ababab abc abab");
    for (const eigenlm::TokenId id : ids)
        if (!tokenizer.contains(id)) fuzz::fail("encoding gives tokens", std::to_string(id));
    (void)tokenizer.decode(ids, {.skip_special_tokens = false});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::folder().write("model.gguf", std::string(fuzz::text_of(data, size)));
    fuzz::expect_only_typed_errors([] {
        const eigenlm::GgufFiles files(fuzz::folder() / "model.gguf");
        read_tensors(files);
        fuzz::expect_only_typed_errors([&] { read_model(files); });
        read_tokenizer(files);
    });
    return 0;
}
