// Stop texts: found across pieces, never shown, and nothing held back that need not be.
#include <gtest/gtest.h>

#include <algorithm>
#include <eigenlm/generate/stop.hpp>
#include <random>
#include <string>
#include <vector>

#include "support/expect_error.hpp"

namespace {

using eigenlm::StopFilter;

struct Result {
    std::string text;
    bool stopped = false;
    bool operator==(const Result&) const = default;
};
void PrintTo(const Result& r, std::ostream* out) { *out << "\"" << r.text << (r.stopped ? "\", stopped" : "\""); }

/// What all pieces together give.
Result filter(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
    StopFilter stop(stops);
    Result result;
    for (const std::string& piece : pieces) {
        result.text += stop.push(piece);
        if (stop.stopped()) return {result.text, true};
    }
    result.text += stop.flush();
    return result;
}

/// The text before the stop text that is complete first: of several that end in one place, the one that begins first.
Result expected(const std::vector<std::string>& stops, const std::string& text) {
    for (std::size_t end = 1; end <= text.size(); ++end) {
        std::size_t begin = std::string::npos;
        for (const std::string& stop : stops)
            if (end >= stop.size() && text.compare(end - stop.size(), stop.size(), stop) == 0)
                begin = std::min(begin, end - stop.size());
        if (begin != std::string::npos) return {text.substr(0, begin), true};
    }
    return {text, false};
}

TEST(StopFilter, WithoutStopTextsPassesEverythingOnAtOnce) {
    StopFilter stop({});
    EXPECT_EQ(stop.push("one"), "one");
    EXPECT_EQ(stop.push(""), "");
    EXPECT_EQ(stop.push(" two"), " two");
    EXPECT_EQ(stop.flush(), "");
    EXPECT_FALSE(stop.stopped());
}

TEST(StopFilter, EndsBeforeTheStopText) {
    StopFilter stop({"END"});
    EXPECT_EQ(stop.push("a story END and more"), "a story ");
    EXPECT_TRUE(stop.stopped());
    EXPECT_EQ(stop.push("nothing is shown any more"), "");
    EXPECT_EQ(stop.flush(), "");
}

TEST(StopFilter, HoldsBackOnlyWhatMayBecomeAStopText) {
    StopFilter stop({"END"});
    EXPECT_EQ(stop.push("abc E"), "abc ");
    EXPECT_EQ(stop.push("N"), "");
    EXPECT_EQ(stop.push("E"), "EN");  // the new E may begin one
    EXPECT_EQ(stop.push("x"), "Ex");
    EXPECT_EQ(stop.push("ENDING"), "");
    EXPECT_TRUE(stop.stopped());
}

TEST(StopFilter, GivesOutWhatItHeldBackAtTheEnd) {
    StopFilter stop({"END"});
    EXPECT_EQ(stop.push("the EN"), "the ");
    EXPECT_EQ(stop.flush(), "EN");
    EXPECT_EQ(stop.flush(), "") << "once";
    EXPECT_FALSE(stop.stopped());
}

TEST(StopFilter, FindsAStopTextAcrossManyPieces) {
    EXPECT_EQ(filter({"</story>"}, {"x", "<", "/", "st", "or", "y>", "y"}), (Result{"x", true}));
    EXPECT_EQ(filter({"\n\n"}, {"a\n", "b\n", "\nc"}), (Result{"a\nb", true}));
}

TEST(StopFilter, FindsAStopTextThatOverlapsItself) {
    EXPECT_EQ(filter({"aab"}, {"a", "a", "a", "b"}), (Result{"a", true}));
    EXPECT_EQ(filter({"abab"}, {"aba", "abab"}), (Result{"aba", true}));
}

TEST(StopFilter, TakesTheEarliestOfSeveral) {
    EXPECT_EQ(filter({"two", "one"}, {"x one two"}), (Result{"x ", true}));
    EXPECT_EQ(filter({"bc", "abcd"}, {"x", "a", "b", "c", "d"}), (Result{"xa", true})) << "complete before the other";
    EXPECT_EQ(filter({"b", "ab"}, {"xab"}), (Result{"x", true}));
    EXPECT_EQ(filter({"abc", "b"}, {"xab"}), (Result{"xa", true}));
}

TEST(StopFilter, IsNotFooledByOneThatDoesNotComeAbout) {
    EXPECT_EQ(filter({"abcd", "bx"}, {"ab", "c", "e"}), (Result{"abce", false}));
    EXPECT_EQ(filter({"abcd", "bce"}, {"ab", "c", "e"}), (Result{"a", true}));
}

TEST(StopFilter, RefusesAnEmptyStopText) {
    support::expect_error<eigenlm::ArgumentError>(
        [] {
            StopFilter stop({"a", ""});
        },
        {"stop", "at least one character"});
}

/// Cuts a text into pieces at random.
std::vector<std::string> cut(const std::string& text, std::mt19937& random) {
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < text.size(); at += pieces.back().size())
        pieces.push_back(text.substr(at, random() % 4));
    return pieces;
}

std::string random_text(std::size_t length, std::mt19937& random) {
    std::string text;
    while (text.size() < length) text += "aab"[random() % 3];  // two letters: many near misses
    return text;
}

TEST(StopFilter, GivesTheSameByteByByteAsTheDefinition) {
    std::mt19937 random(1);
    for (int round = 0; round < 20000; ++round) {
        std::vector<std::string> stops;
        for (std::size_t i = 0; i < 1 + random() % 3; ++i) stops.push_back(random_text(1 + random() % 5, random));
        const std::string text = random_text(random() % 20, random);
        std::vector<std::string> bytes;
        for (const char c : text) bytes.emplace_back(1, c);
        ASSERT_EQ(filter(stops, bytes), expected(stops, text)) << text << ", " << testing::PrintToString(stops);
    }
}

TEST(StopFilter, GivesTheSameForOneStopTextHoweverTheTextIsCut) {
    std::mt19937 random(2);
    for (int round = 0; round < 20000; ++round) {
        const std::vector<std::string> stops = {random_text(1 + random() % 5, random)};
        const std::string text = random_text(random() % 20, random);
        const auto pieces = cut(text, random);
        ASSERT_EQ(filter(stops, pieces), expected(stops, text))
            << testing::PrintToString(pieces) << ", stop " << stops[0];
    }
}

TEST(StopFilter, GivesTheSameForSeveralStopTextsHoweverTheTextIsCut) {
    std::mt19937 random(4);
    for (int round = 0; round < 20000; ++round) {
        std::vector<std::string> stops;
        for (std::size_t i = 0; i < 2 + random() % 2; ++i) stops.push_back(random_text(1 + random() % 5, random));
        const std::string text = random_text(random() % 20, random);
        const auto pieces = cut(text, random);
        ASSERT_EQ(filter(stops, pieces), expected(stops, text))
            << testing::PrintToString(pieces) << ", " << testing::PrintToString(stops);
    }
}

TEST(StopFilter, NeverShowsAStopTextNorLosesTextHoweverItIsCut) {
    std::mt19937 random(3);
    for (int round = 0; round < 20000; ++round) {
        std::vector<std::string> stops;
        for (std::size_t i = 0; i < 1 + random() % 3; ++i) stops.push_back(random_text(1 + random() % 5, random));
        const std::string text = random_text(random() % 20, random);
        const auto pieces = cut(text, random);
        const Result found = filter(stops, pieces);
        ASSERT_EQ(found.stopped, expected(stops, text).stopped);
        ASSERT_EQ(text.substr(0, found.text.size()), found.text);
        for (const std::string& stop : stops)
            ASSERT_EQ(found.text.find(stop), std::string::npos) << text << ", " << stop;
        ASSERT_TRUE(found.stopped || found.text == text);
    }
}

}  // namespace
