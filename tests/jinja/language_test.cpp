// The language of templates, against what jinja2 makes of the same ones (tools/make_template_goldens.py).
#include <gtest/gtest.h>

#include <string>

#include "jinja/fixtures.hpp"

namespace eigenlm::tests {
namespace {

TEST(Jinja, RendersAsJinja2Does) {
    const auto cases = read_ordered_lines(template_data() / "language.jsonl");
    const nlohmann::ordered_json& variables = cases[0]["variables"];
    ASSERT_GT(cases.size(), 2500u);
    int errors = 0;
    for (std::size_t i = 1; i < cases.size(); ++i) {
        const std::string source = cases[i]["template"];
        const bool raises = cases[i].contains("error");
        errors += raises ? 1 : 0;
        try {
            const std::string text = render(source, variables);
            EXPECT_FALSE(raises) << source << "\nis an error in jinja2, here " << text;
            if (!raises) {
                EXPECT_EQ(text, cases[i]["output"].get<std::string>()) << source;
            }
        } catch (const Error& e) {
            EXPECT_TRUE(raises) << source << "\n" << e.what() << "\nin jinja2 " << cases[i].value("output", "");
            EXPECT_NE(std::string(e.what()).find("test.jinja: line "), std::string::npos) << e.what();
            EXPECT_NE(std::string(e.what()).find(", column "), std::string::npos) << e.what();
        }
    }
    EXPECT_GT(errors, 500);
}

std::string failure(std::string_view source, ErrorKind kind,
                    const nlohmann::ordered_json& variables = nlohmann::ordered_json::object()) {
    try {
        return "no error, but the text " + render(source, variables);
    } catch (const Error& e) {
        EXPECT_EQ(to_string(e.kind()), std::string(to_string(kind))) << source << "\n" << e.what();
        return e.what();
    }
}

TEST(Jinja, ErrorsSayWhere) {
    EXPECT_EQ(failure("a\n  {{ x + 1 }}", ErrorKind::render), "test.jinja: line 2, column 8: 'x' is undefined");
    EXPECT_EQ(failure("é {{ 1 + }}", ErrorKind::format),
              "test.jinja: line 1, column 10: expected an expression, found '}}'");
    EXPECT_EQ(failure("{% if 1 %}\n{% foo %}{% endif %}", ErrorKind::format),
              "test.jinja: line 2, column 4: unknown statement 'foo'");
    EXPECT_EQ(failure("{% if 1 %}", ErrorKind::format),
              "test.jinja: line 1, column 11: expected {% endif %}, found the template's end");
    EXPECT_EQ(failure("{{ 1|nosuch }}", ErrorKind::format), "test.jinja: line 1, column 6: no filter named 'nosuch'");
    EXPECT_EQ(failure("{{ [1] is nosuch }}", ErrorKind::format),
              "test.jinja: line 1, column 11: no test named 'nosuch'");
    EXPECT_EQ(failure("{{ x.y.z }}", ErrorKind::render, {{"x", {{"a", 1}}}}),
              "test.jinja: line 1, column 8: 'y' is undefined");
    EXPECT_EQ(failure("{{ raise_exception('no\nway') }}", ErrorKind::render), "test.jinja: line 1, column 19: no?way");
    EXPECT_EQ(failure("{{ 'a'.nosuch() }}", ErrorKind::render), "test.jinja: line 1, column 14: 'nosuch' is undefined");
}

TEST(Jinja, NamesWhatItDoesNotDo) {
    for (const char* source :
         {"{% include 'x' %}", "{% extends 'x' %}", "{% block a %}{% endblock %}", "{% import 'x' as y %}",
          "{% from 'x' import y %}", "{% autoescape true %}{% endautoescape %}", "{{ 1|pprint }}", "{{ 'a'.encode() }}",
          "{{ lipsum() }}", "{{ (-8) ** 0.5 }}", "{{ '\\N{DASH}' }}", "{{ '\\ud83d' }}", "{{ [1][0:1, 2] }}"})
        EXPECT_NE(failure(source, ErrorKind::unsupported).find("test.jinja: line 1, column"), std::string::npos)
            << source;
}

// Python's integers have no end; these have, and say so.
TEST(Jinja, IntegersHave64Bits) {
    for (const char* source :
         {"{{ 9223372036854775807 + 1 }}", "{{ -9223372036854775807 - 2 }}", "{{ 3037000500 * 3037000500 }}",
          "{{ 2 ** 63 }}", "{{ 1e19|int }}", "{{ '9223372036854775808'|int }}", "{{ -x }}", "{{ x // -1 }}",
          "{{ x|abs }}", "{{ [9223372036854775807, 1]|sum }}"})
        EXPECT_NE(failure(source, ErrorKind::render, {{"x", std::numeric_limits<std::int64_t>::min()}})
                      .find("more than 64 bits"),
                  std::string::npos)
            << source;
    EXPECT_NE(failure("{{ 9223372036854775808 }}", ErrorKind::format).find("more than 64 bits"), std::string::npos);
    EXPECT_NE(failure("", ErrorKind::unsupported, {{"x", std::numeric_limits<std::uint64_t>::max()}}).find("63 bits"),
              std::string::npos);
    EXPECT_EQ(render("{{ x }}", {{"x", std::numeric_limits<std::int64_t>::max()}}), "9223372036854775807");
}

TEST(Jinja, KeepsBytesThatAreNotText) {
    EXPECT_EQ(render("\xff{{ s }}{{ s|length }}{{ s[::-1] }}", {{"s", "a\xc3"}}),
              "\xff"
              "a\xc3"
              "2\xc3"
              "a");
}

TEST(Jinja, TellsTheTimeItWasGiven) {
    const jinja::Template clock("{{ strftime_now('%Y %j') }}", "test.jinja");
    EXPECT_EQ(clock.render(nlohmann::ordered_json::object(), golden_time()), "2024 208");
    EXPECT_EQ(clock.render(nlohmann::ordered_json::object(), golden_time() + std::chrono::hours(24 * 365)), "2025 207");
}

}  // namespace
}  // namespace eigenlm::tests
