#pragma once
// What the tests of writing whole models share.
#include <gtest/gtest.h>

#include <algorithm>
#include <eigenlm/convert/quantise_model.hpp>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

namespace convert {

inline std::vector<std::string> file_names(const std::filesystem::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
}

/// Whatever ends the work: a file that was there before stays, and no other one is there.
inline void expect_nothing_left(const std::function<void(const std::filesystem::path&)>& fail) {
    const support::TemporaryFolder folder;
    fail(folder / "x.gguf");
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
    folder.write("x.gguf", "old");
    fail(folder / "x.gguf");
    EXPECT_EQ(file_names(folder.path()), (std::vector<std::string>{"x.gguf"}));
    EXPECT_EQ(folder.read("x.gguf"), "old");
}

/// Fails unless the folder is refused with these words, and nothing is left.
template <class Error>
void expect_refused(const std::filesystem::path& in, std::initializer_list<std::string_view> words,
                    eigenlm::Dtype type = eigenlm::Dtype::f32) {
    expect_nothing_left([&](const std::filesystem::path& out) {
        support::expect_error<Error>([&] { eigenlm::quantise_model(in, out, {.type = type}); }, words);
    });
}

}  // namespace convert
