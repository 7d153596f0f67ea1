// Chat templates: conversations against what transformers makes of them, and where templates come from.
#include "eigenlm/tokenizer/chat_template.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "jinja/fixtures.hpp"
#include "support/temporary_folder.hpp"

namespace eigenlm::tests {
namespace {

/// Compares the templates of a folder with a file of goldens, and says how many were refused.
int expect_goldens(const std::filesystem::path& templates, const char* goldens) {
    const auto conversations = read_ordered_lines(template_data() / "conversations.jsonl");
    int refused = 0;
    for (const auto& line : read_ordered_lines(template_data() / goldens)) {
        const std::string name = line["template"];
        const auto chat = ChatTemplate::from_text(read_file(templates / name), name);
        for (std::size_t i = 0; i < conversations.size(); ++i) {
            const auto& expected = line["outputs"][i];
            SCOPED_TRACE(name + ", conversation " + std::to_string(i));
            try {
                const std::string text = chat.render(conversations[i]["variables"], {.now = golden_time()});
                EXPECT_EQ(nlohmann::ordered_json(text), expected);
            } catch (const TemplateError& e) {
                EXPECT_TRUE(expected.is_null()) << e.what();
                EXPECT_EQ(std::string(e.what()).find(name + ": line "), 0u) << e.what();
                ++refused;
            }
        }
    }
    return refused;
}

TEST(ChatTemplate, RendersConversationsAsTransformersDoes) {
    EXPECT_GT(expect_goldens(std::filesystem::path(EIGENLM_TEST_DATA_DIR) / "chat_templates", "ours.jsonl"), 20);
}

// The templates of well-known models, where EIGENLM_TEST_DATA names a folder that has them.
TEST(ChatTemplate, RendersRealTemplatesAsTransformersDoes) {
    const char* data = std::getenv("EIGENLM_TEST_DATA");
    if (data == nullptr) GTEST_SKIP() << "EIGENLM_TEST_DATA is not set";
    const auto templates = std::filesystem::path(data) / "chat_templates";
    if (!std::filesystem::exists(templates)) GTEST_SKIP() << templates << " is not there";
    EXPECT_GT(expect_goldens(templates, "real.jsonl"), 20);
}

const nlohmann::ordered_json hello = {{"messages", {{{"role", "user"}, {"content", "Hi"}}}}};

TEST(ChatTemplate, WhatIsAbsentIsAsInTransformers) {
    const auto chat = ChatTemplate::from_text(
        "{{ tools is none }} {{ documents is none }} {{ add_generation_prompt }} {{ bos_token is defined }}", "t");
    EXPECT_EQ(chat.render(hello), "True True False False");
    EXPECT_EQ(
        chat.render({{"messages", nlohmann::ordered_json::array()}, {"tools", {1}}, {"add_generation_prompt", true}}),
        "False True True False");
    EXPECT_THROW(chat.render(nlohmann::ordered_json::array()), ArgumentError);
}

TEST(ChatTemplate, ComesFromItsOwnFileFirst) {
    const support::TemporaryFolder folder;
    EXPECT_FALSE(ChatTemplate::load(folder.path()).has_value());
    folder.write("tokenizer_config.json", R"({"bos_token": "<s>"})");
    EXPECT_FALSE(ChatTemplate::load(folder.path()).has_value());
    folder.write("tokenizer_config.json", R"({"chat_template": "config {{ bos_token }}", "bos_token": "<s>"})");
    EXPECT_EQ(ChatTemplate::load(folder.path())->render(hello), "config <s>");
    folder.write("chat_template.jinja", "file {{ bos_token }}\n");
    EXPECT_EQ(ChatTemplate::load(folder.path())->render(hello), "file <s>");
    EXPECT_EQ(ChatTemplate::load(folder.path())->source(), "file {{ bos_token }}\n");
}

TEST(ChatTemplate, SpecialTokensAreVariables) {
    const support::TemporaryFolder folder;
    folder.write("chat_template.jinja",
                 "{{ bos_token }}|{{ eos_token }}|{{ pad_token }}|{{ unk_token }}|{{ image_token }}");
    folder.write("tokenizer_config.json",
                 R"({"bos_token": {"__type": "AddedToken", "content": "<b>", "lstrip": false}, "eos_token": "<e>",
                     "pad_token": null, "image_token": "<i>"})");
    EXPECT_EQ(ChatTemplate::load(folder.path())->render(hello), "<b>|<e>|||");
    folder.write("special_tokens_map.json", R"({"eos_token": {"content": "<map>"}, "unk_token": "<u>"})");
    EXPECT_EQ(ChatTemplate::load(folder.path())->render(hello), "<b>|<map>||<u>|");
    nlohmann::ordered_json given = hello;
    given["bos_token"] = "mine";
    EXPECT_EQ(ChatTemplate::load(folder.path())->render(given), "mine|<map>||<u>|");
    folder.write("tokenizer_config.json", R"({"eos_token": "<e>", "added_tokens_decoder": {}})");
    EXPECT_EQ(ChatTemplate::load(folder.path())->render(hello), "|<e>|||");  // the map is of no account then
}

TEST(ChatTemplate, NamedTemplatesAreChosenByTools) {
    const support::TemporaryFolder folder;
    folder.write("tokenizer_config.json", R"({"chat_template": [{"name": "default", "template": "plain"},
        {"name": "tool_use", "template": "tools {{ tools|length }}"}, {"name": "rag", "template": "{{ broken"}]})");
    const auto chat = ChatTemplate::load(folder.path());
    nlohmann::ordered_json with_tools = hello;
    with_tools["tools"] = {1, 2};
    EXPECT_EQ(chat->render(hello), "plain");
    EXPECT_EQ(chat->render(with_tools), "tools 2");
    EXPECT_EQ(chat->source(), "plain");
    folder.write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "x"}]})");
    EXPECT_THROW(ChatTemplate::load(folder.path()), FormatError);
    folder.write("tokenizer_config.json", R"({"chat_template": 5})");
    EXPECT_THROW(ChatTemplate::load(folder.path()), FormatError);
}

TEST(ChatTemplate, ThreadsShareOne) {
    const auto chat =
        ChatTemplate::from_text("{% for m in messages %}{{ m.content|upper }}{{ 'constant' }}{% endfor %}", "t");
    std::vector<std::string> texts(4);
    {
        std::vector<std::jthread> threads;
        for (std::string& text : texts)
            threads.emplace_back([&] {
                for (int i = 0; i < 200; ++i) text = chat.render(hello);
            });
    }
    for (const std::string& text : texts) EXPECT_EQ(text, "HIconstant");
}

}  // namespace
}  // namespace eigenlm::tests
