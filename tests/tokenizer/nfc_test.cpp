#include "eigenlm/tokenizer/nfc.hpp"

#include <gtest/gtest.h>

#include <string>

#include "fixtures.hpp"

namespace {

using namespace eigenlm;

TEST(Nfc, Goldens) {
    const auto pairs = tests::read_json_lines(tests::tokenizer_data() / "nfc.jsonl");
    ASSERT_GE(pairs.size(), 500u);
    for (const auto& pair : pairs) {
        const auto expected = pair[1].get<std::string>();
        EXPECT_EQ(unicode::nfc(pair[0].get<std::string>()), expected) << pair;
        EXPECT_EQ(unicode::nfc(expected), expected) << pair;
    }
}

TEST(Nfc, KnownForms) {
    EXPECT_EQ(unicode::nfc(""), "");
    EXPECT_EQ(unicode::nfc("plain ASCII\r\n"), "plain ASCII\r\n");
    EXPECT_EQ(unicode::nfc("e\u0301"), "\u00e9");
    EXPECT_EQ(unicode::nfc("\u0301e"), "\u0301e");
    EXPECT_EQ(unicode::nfc("\u212b"), "\u00c5");                              // a singleton
    EXPECT_EQ(unicode::nfc("\u1112\u1161\u11ab"), "\ud55c");                  // jamo
    EXPECT_EQ(unicode::nfc("\uac00\u11a8"), "\uac01");                        // syllable and tail
    EXPECT_EQ(unicode::nfc("q\u0307\u0323"), "q\u0323\u0307");                // order only
    EXPECT_EQ(unicode::nfc("a\u0323\u0302"), "\u1ead");                       // two steps
    EXPECT_EQ(unicode::nfc("\u0958"), "\u0915\u093c");                        // excluded from composition
    EXPECT_EQ(unicode::nfc("a\u0305\u0301b\u0301"), "a\u0305\u0301b\u0301");  // blocked
}

TEST(Nfc, BytesThatAreNotUtf8StayAndSeparate) {
    EXPECT_EQ(unicode::nfc("e\xFF\u0301"), "e\xFF\u0301");
    EXPECT_EQ(unicode::nfc("\xE2\x82"
                           "e\u0301\xC3"),
              "\xE2\x82\u00e9\xC3");
}

TEST(Nfc, AMegabyteOfMarksIsOrderedInTime) {
    std::string text = "a", above, below;
    for (int i = 0; i < 250'000; ++i) {
        text += "\u0307\u0323";  // classes 230 and 220
        above += "\u0307";
        below += "\u0323";
    }
    // The first mark below composes: U+1EA1; no mark above does, for it is blocked or out of the pairs by then.
    const std::string expected = "\u1ea1" + below.substr(2) + above;
    EXPECT_EQ(unicode::nfc(text), expected);
}

}  // namespace
