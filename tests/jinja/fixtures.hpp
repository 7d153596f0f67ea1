#pragma once
// What the tests of templates share: a rendering in one line, and the committed goldens.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "eigenlm/jinja/template.hpp"

namespace eigenlm::tests {

/// The time that the goldens were made at: 26 July 2024, noon in UTC.
inline std::chrono::system_clock::time_point golden_time() {
    return std::chrono::system_clock::time_point(std::chrono::seconds(1721995200));
}

/// What a template makes of variables.
inline std::string render(std::string_view source,
                          const nlohmann::ordered_json& variables = nlohmann::ordered_json::object(),
                          const jinja::Limits& limits = {}) {
    return jinja::Template(source, "test.jinja").render(variables, golden_time(), limits);
}

inline std::filesystem::path template_data() { return std::filesystem::path(EIGENLM_TEST_DATA_DIR) / "templates"; }

/// One JSON value per line, the order of keys kept.
inline std::vector<nlohmann::ordered_json> read_ordered_lines(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot open " + path.string());
    std::vector<nlohmann::ordered_json> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::ordered_json::parse(line));
    return lines;
}

/// A whole file.
inline std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot open " + path.string());
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace eigenlm::tests
