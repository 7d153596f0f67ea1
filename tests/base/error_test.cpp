// The exceptions: each kind has a type of its own, all are caught as Error, and the message says where first.
#include <gtest/gtest.h>

#include <eigenlm/base/error.hpp>
#include <stdexcept>
#include <string>

namespace {

TEST(Error, TellsWhereThenWhat) {
    const eigenlm::FormatError error("config.json: vocab_size", "expected a number, found true");
    EXPECT_STREQ(error.what(), "config.json: vocab_size: expected a number, found true");
    EXPECT_EQ(error.where(), "config.json: vocab_size");
    EXPECT_EQ(error.kind(), eigenlm::ErrorKind::format);
}

TEST(Error, WithoutAPlaceIsJustWhatIsWrong) { EXPECT_STREQ(eigenlm::StateError("", "busy").what(), "busy"); }

template <class Kind>
void expect_kind(eigenlm::ErrorKind kind, const std::string& name) {
    const Kind error("here", "wrong");
    EXPECT_EQ(error.kind(), kind);
    EXPECT_EQ(to_string(error.kind()), name);
    EXPECT_THROW(throw error, eigenlm::Error);
    EXPECT_THROW(throw error, std::runtime_error);
}

TEST(Error, EveryKindHasATypeAndAName) {
    using eigenlm::ErrorKind;
    expect_kind<eigenlm::IoError>(ErrorKind::io, "io");
    expect_kind<eigenlm::FormatError>(ErrorKind::format, "format");
    expect_kind<eigenlm::UnsupportedError>(ErrorKind::unsupported, "unsupported");
    expect_kind<eigenlm::ArgumentError>(ErrorKind::argument, "argument");
    expect_kind<eigenlm::StateError>(ErrorKind::state, "state");
    expect_kind<eigenlm::CancelledError>(ErrorKind::cancelled, "cancelled");
    expect_kind<eigenlm::ResourceError>(ErrorKind::resource, "resource");
    expect_kind<eigenlm::TemplateError>(ErrorKind::render, "render");
}

}  // namespace
