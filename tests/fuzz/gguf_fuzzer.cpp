// A GGUF file. What is accepted can be read: its tensors, its tokenizer. And a model that is accepted can be computed
// with: it is loaded as eigenlm::load does it, as it is and converted, and has the same logits in steps and at once, at
// the lowest level and at the best one. The weights lie in the file, so that a model is as small as the input.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <eigenlm/generate/language_model.hpp>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
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

/// The logits of a model's positions, as one pass gives them or one step after the other.
std::vector<float> logits_of(const eigenlm::GgufFiles& files, eigenlm::ModelOptions options, bool in_steps) {
    const eigenlm::ModelConfig config = eigenlm::read_config(files);
    const eigenlm::GgufTensors tensors(files, config);
    (void)read_generation_defaults(config, files.metadata());
    const std::size_t vocab = config.vocab_size, length = std::min<std::size_t>(config.max_context(), 3);
    const eigenlm::TokenId last = static_cast<eigenlm::TokenId>(vocab - 1), text[] = {last, 0, last / 2};
    options.threads = 1;
    options.context = length;
    eigenlm::Session session(std::make_shared<const eigenlm::Model>(config, tensors, options));
    std::vector<float> logits(length * vocab);
    if (!in_steps) session.prefill(std::span(text).first(length), std::span<float>(logits));
    for (std::size_t i = session.length(); i < length; ++i)
        std::ranges::copy(session.decode(text[i]), logits.begin() + static_cast<std::ptrdiff_t>(i * vocab));
    return logits;
}

/// Equal as bits; a NaN equals every NaN.
bool same_bits(float a, float b) {
    return (eigenlm::is_nan(a) && eigenlm::is_nan(b)) ||
           std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

void run_model(const eigenlm::GgufFiles& files, std::optional<eigenlm::WeightType> dtype) {
    const auto pass = logits_of(files, {.isa = eigenlm::Isa::portable, .dtype = dtype}, false);
    const auto steps = logits_of(files, {.isa = eigenlm::best_isa(), .dtype = dtype}, true);
    for (std::size_t i = 0; i < pass.size(); ++i)
        if (!same_bits(pass[i], steps[i]))
            fuzz::fail("steps and levels give the same logits",
                       std::to_string(pass[i]) + " and " + std::to_string(steps[i]) + ", number " + std::to_string(i));
}

void read_tokenizer(const eigenlm::GgufFiles& files) {
    const eigenlm::Tokenizer tokenizer(read_gguf_tokenizer(files.metadata()));
    const auto ids = tokenizer.encode("Hello \r\n  w\xC3\xB6rld <s> ababab abc abab");
    for (const eigenlm::TokenId id : ids)
        if (!tokenizer.contains(id)) fuzz::fail("encoding gives tokens", std::to_string(id));
    (void)tokenizer.decode(ids, {.skip_special_tokens = false});
}

/// A type to convert weights to, another one for nearly every change of the input.
eigenlm::WeightType type_for(std::string_view input) {
    std::size_t sum = 0;
    for (const char c : input) sum += static_cast<unsigned char>(c);
    return eigenlm::all_weight_types[sum % std::size(eigenlm::all_weight_types)];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::folder().write("model.gguf", std::string(fuzz::text_of(data, size)));
    fuzz::expect_only_typed_errors([&] {
        const eigenlm::GgufFiles files(fuzz::folder() / "model.gguf");
        read_tensors(files);
        fuzz::expect_only_typed_errors([&] { read_model(files); });
        fuzz::expect_only_typed_errors([&] { run_model(files, std::nullopt); });
        fuzz::expect_only_typed_errors([&] { run_model(files, type_for(fuzz::text_of(data, size))); });
        read_tokenizer(files);
    });
    return 0;
}
