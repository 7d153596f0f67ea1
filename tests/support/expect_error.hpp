#pragma once
// What a typed error must be: its exact type, one line, and the words that tell a reader where and what is wrong.
#include <gtest/gtest.h>

#include <eigenlm/base/error.hpp>
#include <initializer_list>
#include <string>
#include <string_view>
#include <typeinfo>

namespace support {

/// Fails unless `call` throws exactly `Expected`, in one line that contains all of `words`.
template <class Expected, class Call>
void expect_error(const Call& call, std::initializer_list<std::string_view> words) {
    try {
        call();
        ADD_FAILURE() << "expected " << typeid(Expected).name() << ", nothing was thrown";
    } catch (const eigenlm::Error& e) {
        const std::string message = e.what();
        EXPECT_EQ(typeid(e), typeid(Expected)) << to_string(e.kind()) << ": " << message;
        for (const std::string_view word : words)
            EXPECT_NE(message.find(word), std::string::npos) << "\"" << word << "\" is missing in: " << message;
        EXPECT_EQ(message.find('\n'), std::string::npos) << "more than one line: " << message;
        EXPECT_LT(message.size(), 2000u) << "a message is for reading";
    } catch (const std::exception& e) {
        ADD_FAILURE() << "expected an eigenlm::Error, found " << typeid(e).name() << ": " << e.what();
    }
}

/// The same for a kind that is known at run time only, in tables of cases.
template <class Call>
void expect_error(eigenlm::ErrorKind kind, const Call& call, std::initializer_list<std::string_view> words) {
    using eigenlm::ErrorKind;
    switch (kind) {
        case ErrorKind::io:
            return expect_error<eigenlm::IoError>(call, words);
        case ErrorKind::format:
            return expect_error<eigenlm::FormatError>(call, words);
        case ErrorKind::unsupported:
            return expect_error<eigenlm::UnsupportedError>(call, words);
        case ErrorKind::argument:
            return expect_error<eigenlm::ArgumentError>(call, words);
        case ErrorKind::state:
            return expect_error<eigenlm::StateError>(call, words);
        case ErrorKind::cancelled:
            return expect_error<eigenlm::CancelledError>(call, words);
        case ErrorKind::resource:
            return expect_error<eigenlm::ResourceError>(call, words);
        case ErrorKind::render:
            return expect_error<eigenlm::TemplateError>(call, words);
    }
}

}  // namespace support
