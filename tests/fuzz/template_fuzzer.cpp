// A chat template's text, rendered with one conversation. Whatever it is, it gives a text or a typed error that says
// where.
#include <chrono>
#include <eigenlm/tokenizer/chat_template.hpp>

#include "fuzz.hpp"

namespace {

/// Small enough that an input takes a moment, large enough that every limit can be met.
constexpr eigenlm::jinja::Limits limits = {
    .steps = 50'000, .memory = std::size_t{1} << 20, .output = std::size_t{1} << 18, .depth = 400};

const nlohmann::ordered_json& variables() {
    static const auto json = nlohmann::ordered_json::parse(R"json({
        "messages": [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "Straße 你好 👍🏽 <think>a</think>"},
                     {"role": "assistant", "content": null, "tool_calls": [{"id": "123456789", "type": "function",
                         "function": {"name": "f", "arguments": {"a": [1, 2.5, true, null], "b": "it's"}}}]},
                     {"role": "tool", "content": "{}", "tool_call_id": "123456789"},
                     {"role": "user", "content": [{"type": "text", "text": "part"}]}],
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object",
                  "properties": {"a": {"type": "array", "items": {"type": "number"}}, "b": {"type": "string"}}}}}],
        "documents": null, "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>",
        "n": 7, "f": 2.5, "s": "Hello, World", "l": [3, 1, 2], "d": {"b": 1, "a": 2}})json");
    return json;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using enum eigenlm::ErrorKind;
    try {
        const eigenlm::jinja::Template parsed(fuzz::text_of(data, size), "chat.jinja");
        const std::string text =
            parsed.render(variables(), std::chrono::system_clock::time_point(std::chrono::seconds(1721995200)), limits);
        if (text.size() > limits.output) fuzz::fail("no text above the limit", std::to_string(text.size()));
    } catch (const eigenlm::Error& e) {
        const std::string message = e.what();
        if (e.kind() != format && e.kind() != unsupported && e.kind() != render)
            fuzz::fail("an error of a template's kinds", message);
        if (!message.starts_with("chat.jinja: ")) fuzz::fail("a message begins with the template's name", message);
        if (message.find('\n') != std::string::npos) fuzz::fail("a message is one line", message);
        if (message.size() > 1100) fuzz::fail("a message is of bounded length", message);
    }
    return 0;
}
