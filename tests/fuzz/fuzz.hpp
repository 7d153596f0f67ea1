#pragma once
// What the fuzz targets share: the input as files of a folder, and what may come out of reading them.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <eigenlm/base/error.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "support/temporary_folder.hpp"

namespace fuzz {

/// Where the target's files lie; run.sh puts it into memory.
inline const support::TemporaryFolder& folder() {
    static const support::TemporaryFolder folder;
    return folder;
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

/// An input of two parts stands in one file with a line of three dashes between them; nothing: there is no such line.
inline std::pair<std::string, std::optional<std::string>> split(std::string_view input) {
    constexpr std::string_view line = "\n---\n";
    const std::size_t at = input.find(line);
    if (at == std::string_view::npos) return {std::string(input), std::nullopt};
    return {std::string(input.substr(0, at)), std::string(input.substr(at + line.size()))};
}

[[noreturn]] inline void fail(const char* promise, const std::string& found) {
    std::fprintf(stderr, "broken promise: %s; found: %s\n", promise, found.c_str());
    std::abort();
}

/// Calls `read`, and ends the process when it breaks a promise about files that nobody vouches for. (Exceptions of
/// other types end it too.)
template <class Read>
void expect_only_typed_errors(const Read& read) {
    using enum eigenlm::ErrorKind;
    try {
        read();
    } catch (const eigenlm::Error& e) {
        const std::string message = e.what();
        if (e.kind() != io && e.kind() != format && e.kind() != unsupported)
            fail("an error of a file's kinds", message);
        if (!message.starts_with(folder().path().string() + "/"))
            fail("a message begins with the file's path", message);
        if (message.find('\n') != std::string::npos) fail("a message is one line", message);
        if (message.size() > 1100) fail("a message is of bounded length", message);
    }
}

}  // namespace fuzz
