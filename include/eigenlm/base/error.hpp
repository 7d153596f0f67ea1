#pragma once
// The one family of exceptions: a kind to act on, and a message that says where, what was expected and what was found.
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "abi.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// What went wrong, coarsely enough to act on.
enum class ErrorKind {
    io,           ///< a file is missing, unreadable or not a regular file
    format,       ///< a file's content breaks its format: truncated, bad JSON, offsets outside, wrong shape or dtype
    unsupported,  ///< a valid file asks for something this library does not do (the message names it)
    argument,     ///< a caller's argument is out of range
    state,        ///< a call that the object cannot take now: a full context, a session in use by another thread
    cancelled,    ///< the caller's stop token asked to stop
    resource,     ///< memory or threads could not be had
    render,       ///< a chat template refuses what it was given, or fails with it, or takes more than it may
};

/// The field's name of a kind: "io", "format", ...
constexpr const char* to_string(ErrorKind kind) noexcept {
    constexpr const char* names[] = {"io", "format", "unsupported", "argument", "state", "cancelled", "resource",
                                     "render"};
    return names[static_cast<int>(kind)];
}

namespace detail {

/// A message's text: one line of bounded length, whatever the names and values in it (they come from files).
inline std::string one_line(std::string text) {
    constexpr std::size_t enough = 1000;
    if (text.size() > enough) text = text.substr(0, enough / 2) + " ... " + text.substr(text.size() - enough / 2);
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    return text;
}

}  // namespace detail

/// Base of everything this library throws on purpose. what() is one line: "where: what is wrong (expected, found)".
class Error : public std::runtime_error {
  public:
    /// `where` may be empty. Control characters become '?', and a text above 1,000 bytes loses its middle.
    Error(ErrorKind kind, std::string where, const std::string& what_is_wrong)
        : std::runtime_error(detail::one_line(where.empty() ? what_is_wrong : where + ": " + what_is_wrong)),
          kind_(kind),
          where_(std::move(where)) {}

    /// What to act on; the same as the exception's type.
    ErrorKind kind() const noexcept { return kind_; }
    /// The file, and inside it the field or tensor, or the function and argument.
    const std::string& where() const noexcept { return where_; }

  private:
    ErrorKind kind_;
    std::string where_;
};

/// One exception type per kind, so that a caller can catch just what it can mend.
template <ErrorKind Kind>
class ErrorOf : public Error {
  public:
    /// `where` and `what_is_wrong` make up what(), as in Error.
    ErrorOf(std::string where, const std::string& what_is_wrong) : Error(Kind, std::move(where), what_is_wrong) {}
};

using IoError = ErrorOf<ErrorKind::io>;                    ///< see ErrorKind::io
using FormatError = ErrorOf<ErrorKind::format>;            ///< see ErrorKind::format
using UnsupportedError = ErrorOf<ErrorKind::unsupported>;  ///< see ErrorKind::unsupported
using ArgumentError = ErrorOf<ErrorKind::argument>;        ///< see ErrorKind::argument
using StateError = ErrorOf<ErrorKind::state>;              ///< see ErrorKind::state
using CancelledError = ErrorOf<ErrorKind::cancelled>;      ///< see ErrorKind::cancelled
using ResourceError = ErrorOf<ErrorKind::resource>;        ///< see ErrorKind::resource
using TemplateError = ErrorOf<ErrorKind::render>;          ///< see ErrorKind::render

namespace detail {

/// `pointer`, unless it is null.
template <class Pointer>
Pointer not_null(Pointer pointer, const char* where) {
    if (!pointer) throw ArgumentError(where, "expected an object, found null");
    return pointer;
}

/// Which of `all` to_string calls `name`; ArgumentError, naming `where` and all of them, when there is none.
template <class T, std::size_t N>
T named(const T (&all)[N], std::string_view name, const char* where) {
    std::string known;
    for (const T value : all) {
        if (name == to_string(value)) return value;
        known += std::string(known.empty() ? "" : ", ") + to_string(value);
    }
    throw ArgumentError(where, "expected one of " + known + ", found \"" + std::string(name) + "\"");
}

}  // namespace detail

}  // namespace eigenlm::inline EIGENLM_ABI
