// A tokenizer.json and, in an input of two parts, a text for it. What is accepted encodes and decodes.
#include <eigenlm/tokenizer/stream_decoder.hpp>
#include <eigenlm/tokenizer/tokenizer.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto parts = fuzz::split(fuzz::text_of(data, size));
    fuzz::expect_only_typed_errors([&] {
        const std::string where = (fuzz::folder() / "tokenizer.json").string();
        const auto tokenizer = eigenlm::Tokenizer::from_json(parts.first, where);
        const auto ids = tokenizer.encode(parts.second.value_or("Hello \r\n  w\xC3\xB6rld <s>"));
        for (const eigenlm::TokenId id : ids)
            if (!tokenizer.contains(id)) fuzz::fail("encoding gives tokens", std::to_string(id));
        const std::string decoded = tokenizer.decode(ids, {.skip_special_tokens = false});
        eigenlm::StreamDecoder stream(tokenizer, {.skip_special_tokens = false});
        std::string streamed;
        for (const eigenlm::TokenId id : ids) streamed += stream.push(id);
        if ((streamed += stream.flush()) != decoded) fuzz::fail("a stream gives the same text", streamed);
    });
    return 0;
}
