// JSON that nobody vouches for: strict parsing, and lookups that say which file and which field.
#include <gtest/gtest.h>

#include <eigenlm/file/json.hpp>
#include <limits>
#include <string>

#include "support/expect_error.hpp"

namespace {

using eigenlm::FormatError;
using eigenlm::JsonObject;
using eigenlm::parse_json;

/// Fails unless the text is refused as JSON, naming the file and `word`.
void expect_refused(const std::string& text, std::string_view word) {
    support::expect_error<FormatError>([&] { parse_json(text, "model/config.json"); }, {"model/config.json: ", word});
}

TEST(Json, ParsesAWholeFile) {
    const auto json = parse_json(" {\"a\": [1, 2.5, null, true, \"\\u00e9\"]}\n", "f");
    EXPECT_EQ(json.at("a").size(), 5u);
    EXPECT_EQ(json.at("a")[4], "\xc3\xa9");
}

TEST(Json, RefusesWhatIsNoJson) {
    for (const char* text : {"",
                             " ",
                             "{",
                             "{\"a\": 1",
                             "{\"a\" 1}",
                             "{'a': 1}",
                             "{\"a\": 01}",
                             "[1,]",
                             "{\"a\": 1,}",
                             "nul",
                             "\"open",
                             "{} {}",
                             "{}x",
                             "// comment\n{}",
                             "{\"a\": NaN}",
                             "{\"a\": Infinity}",
                             "{\"a\": .5}",
                             "\"\xff\xfe\"",
                             "\"a\nb\"",
                             "\"\\ud800\"",
                             "{\"a\": +1}",
                             "\x01"})
        expect_refused(text, "not valid JSON");
}

TEST(Json, RefusesNumbersThatNoDoubleHolds) {
    expect_refused("{\"a\": 1e999}", "not valid JSON");
    expect_refused("[-1e400]", "not valid JSON");
}

TEST(Json, RefusesAByteBehindANul) { expect_refused(std::string("{}\0{}", 5), "not valid JSON"); }

TEST(Json, RefusesAKeyThatAnObjectHoldsTwice) {
    expect_refused("{\"a\": 1, \"b\": 2, \"a\": 1}", "duplicate key \"a\"");
    expect_refused("{\"a\": {\"x\": 1, \"y\": 2, \"x\": 3}}", "duplicate key \"x\"");
    expect_refused("[{\"\": 1, \"\": 2}]", "duplicate key \"\"");
    expect_refused("{\"a\": 1, \"\\u0061\": 2}", "duplicate key \"a\"");
}

TEST(Json, TheSameKeyInDifferentObjectsIsFine) {
    EXPECT_NO_THROW(
        parse_json("{\"a\": {\"a\": {\"a\": 1}, \"b\": {\"a\": 2}}, \"b\": [{\"a\": 1}, {\"a\": 2}]}", "f"));
}

TEST(Json, BoundsTheDepth) {
    const auto nested = [](std::size_t depth, const char* open, const char* close) {
        std::string text;
        for (std::size_t i = 0; i < depth; ++i) text += open;
        text += "1";
        for (std::size_t i = 0; i < depth; ++i) text += close;
        return text;
    };
    EXPECT_NO_THROW(parse_json(nested(64, "[", "]"), "f"));
    EXPECT_NO_THROW(parse_json(nested(64, "{\"a\":", "}"), "f"));
    expect_refused(nested(65, "[", "]"), "nested deeper than 64");
    expect_refused(nested(65, "{\"a\":", "}"), "nested deeper than 64");
    expect_refused(std::string(1000000, '['), "nested deeper than 64");
}

TEST(Json, BoundsTheNumberOfValues) {
    const auto list = [](std::size_t values) {  // itself among them
        std::string text = "{\"a\": [";
        for (std::size_t i = 3; i < values; ++i) text += "0,";
        return text + "0]}";
    };
    EXPECT_NO_THROW(parse_json(list(std::size_t{1} << 20), "f"));
    expect_refused(list((std::size_t{1} << 20) + 1), "a: more than 1048576 JSON values");
}

TEST(Json, NamesTheFieldThatBeganLast) {
    for (const auto& [text, field] : {
             std::pair("{\"a\": NaN}", "a"),
             {"{\"a\": {\"b\": NaN}}", "a.b"},
             {"{\"a\": {\"b\": 1}, \"c\": NaN}", "c"},
             {"{\"a\": {\"b\": 1} NaN}", "a"},
             {"{\"a\": {\"b\": {}, \"c\": [1, {\"d\": NaN}]}}", "a.c.d"},
             {"{\"a\": {\"b\": [{\"c\": 1}, NaN]}}", "a.b"},
             {"{\"a\": 1, \"b", "a"},
         })
        expect_refused(text, "model/config.json: " + std::string(field) + ": not valid JSON");
    expect_refused("{\"a\": {\"b\": 1, \"b\": 2}}", "model/config.json: a.b: duplicate key");
    expect_refused("{\"a\": " + std::string(100, '['), "model/config.json: a: JSON nested deeper");
}

TEST(Json, AMessageIsOneLineOfBoundedLengthWhateverTheFileHolds) {
    expect_refused("{\"a\\nb\": 1, \"a\\nb\": 2}", "duplicate key");
    const std::string key(100000, 'k');
    expect_refused("{\"" + key + "\": 1, \"" + key + "\": 2}", "duplicate key");
}

class JsonObjectTest : public testing::Test {
  protected:
    /// Fails unless `lookup` on the object refuses its field, naming file and field and `word`.
    template <class Lookup>
    void expect_refused(const Lookup& lookup, std::initializer_list<std::string_view> words) const {
        support::expect_error<FormatError>([&] { (void)lookup(object_); }, words);
    }

    const nlohmann::json json_ = parse_json(R"({"int": 7, "negative": -7, "large": 9223372036854775807,
        "larger": 9223372036854775808, "largest": 18446744073709551616, "real": 2.5, "whole_real": 7.0, "tiny": 1e-300,
        "string": "text", "true": true, "null": null, "list": [1], "object": {"inner": 1, "bad": "x"}})",
                                            "c.json");
    const JsonObject object_{json_, "c.json"};
};

TEST_F(JsonObjectTest, ReadsFieldsOfTheRightTypeAndRange) {
    EXPECT_EQ(object_.integer("int", 7, 7), 7);
    EXPECT_EQ(object_.integer("negative", -7, 0), -7);
    EXPECT_EQ(object_.integer("large", 0, std::numeric_limits<std::int64_t>::max()), 9223372036854775807);
    EXPECT_EQ(object_.number("int", 0, 10), 7.0);
    EXPECT_EQ(object_.number("real", 2.5, 2.5), 2.5);
    EXPECT_EQ(object_.string("string"), "text");
    EXPECT_TRUE(object_.boolean_or("true", false));
    EXPECT_EQ(object_.array("list").size(), 1u);
    EXPECT_EQ(object_.object("object")->integer("inner", 0, 1), 1);
    EXPECT_TRUE(object_.has("int"));
}

TEST_F(JsonObjectTest, AMissingFieldAndNullMeanTheFallback) {
    for (const char* key : {"missing", "null"}) {
        EXPECT_FALSE(object_.has(key));
        EXPECT_EQ(object_.integer_or(key, 3, 0, 1), 3) << "the fallback need not be in range";
        EXPECT_EQ(object_.number_or(key, 0.5, 1, 2), 0.5);
        EXPECT_EQ(object_.string_or(key, "else"), "else");
        EXPECT_TRUE(object_.boolean_or(key, true));
        EXPECT_FALSE(object_.object(key).has_value());
        for (const auto& lookup : {+[](const JsonObject&o, const char*k) { (void)o.integer(k, 0, 1); },
                                   +[](const JsonObject&o, const char*k) { (void)o.number(k, 0, 1); },
                                   +[](const JsonObject&o, const char*k) { (void)o.string(k); },
                                   +[](const JsonObject&o, const char*k) { (void)o.array(k); }})
            expect_refused([&](const JsonObject& o) { return lookup(o, key), 0; },
                           {"c.json: ", key, "required field is missing"});
    }
}

TEST_F(JsonObjectTest, RefusesWholeNumbersOutOfRange) {
    for (const char* key : {"int", "negative", "large", "larger"}) {
        expect_refused([&](const JsonObject& o) { return o.integer(key, 0, 6); },
                       {"c.json: ", key, "a whole number in [0, 6]"});
        expect_refused([&](const JsonObject& o) { return o.integer_or(key, 1, 0, 6); }, {"c.json: ", key});
    }
    expect_refused([](const JsonObject& o) { return o.integer("larger", 0, std::numeric_limits<std::int64_t>::max()); },
                   {"c.json: larger", "found 9223372036854775808"});
}

TEST_F(JsonObjectTest, RefusesWhatIsNoWholeNumber) {
    for (const char* key : {"real", "whole_real", "largest", "string", "true", "list", "object"})
        expect_refused([&](const JsonObject& o) { return o.integer(key, 0, std::numeric_limits<std::int64_t>::max()); },
                       {"c.json: ", key, "a whole number", "found"});
}

TEST_F(JsonObjectTest, RefusesNumbersOutOfRangeAndOtherTypes) {
    expect_refused([](const JsonObject& o) { return o.number("real", 3, 4); },
                   {"c.json: real", "a number in [3.0, 4.0]", "found 2.5"});
    expect_refused([](const JsonObject& o) { return o.number("tiny", 1e-6, 1); }, {"c.json: tiny", "found 1e-300"});
    for (const char* key : {"string", "true", "list", "object"})
        expect_refused([&](const JsonObject& o) { return o.number(key, -1e300, 1e300); },
                       {"c.json: ", key, "a number in"});
}

TEST_F(JsonObjectTest, RefusesANaNThatNoFileCanHold) {
    const nlohmann::json made = {{"nan", std::numeric_limits<double>::quiet_NaN()},
                                 {"infinite", std::numeric_limits<double>::infinity()}};
    const JsonObject object(made, "c.json");
    for (const char* key : {"nan", "infinite"})
        support::expect_error<FormatError>([&] { (void)object.number(key, -1e308, 1e308); }, {"c.json: ", key});
}

TEST_F(JsonObjectTest, RefusesOtherTypes) {
    expect_refused([](const JsonObject& o) { return o.boolean_or("int", true); },
                   {"c.json: int", "true or false", "7"});
    expect_refused([](const JsonObject& o) { return o.string("int"); }, {"c.json: int", "a string", "found 7"});
    expect_refused([](const JsonObject& o) { return o.string_or("list", ""); }, {"c.json: list", "found an array"});
    expect_refused([](const JsonObject& o) { return o.array("object").size(); }, {"c.json: object", "found an object"});
    expect_refused([](const JsonObject& o) { return o.object("list").has_value(); }, {"c.json", "list", "found array"});
}

TEST_F(JsonObjectTest, NamesNestedFieldsByTheirPath) {
    expect_refused([](const JsonObject& o) { return o.object("object")->integer("bad", 0, 1); },
                   {"c.json: object.bad: expected", "found \"x\""});
    expect_refused([](const JsonObject& o) { return o.object("object")->integer("gone", 0, 1); },
                   {"c.json: object.gone: required field is missing"});
}

TEST(JsonObject, IsAnObjectOrNothing) {
    for (const char* text : {"[]", "1", "\"x\"", "null", "true"})
        support::expect_error<FormatError>([&] { JsonObject(parse_json(text, "c.json"), "c.json"); },
                                           {"c.json: expected a JSON object, found"});
}

TEST(JsonObject, ShortensLongValuesInMessages) {
    const auto json = nlohmann::json{{"a", std::string(100000, 'x')}};
    support::expect_error<FormatError>([&] { (void)JsonObject(json, "c.json").integer("a", 0, 1); },
                                       {"c.json: a", "xxx", "..."});
}

}  // namespace
