#pragma once
// What the tokenizer's tests share: the committed tokenizers and goldens, and a tokenizer.json to spoil.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "eigenlm/tokenizer/byte_level.hpp"
#include "eigenlm/tokenizer/tokenizer.hpp"

namespace eigenlm::tests {

inline std::filesystem::path tokenizer_data() { return std::filesystem::path(EIGENLM_TEST_DATA_DIR) / "tokenizers"; }

/// The small tokenizers there: a pipeline each.
inline constexpr const char* families[] = {"tiny_qwen2",  "tiny_llama3",  "tiny_gpt2",      "tiny_smollm",
                                           "tiny_llama2", "tiny_mistral", "tiny_metaspace", "tiny_digits"};

/// One JSON value per line.
inline std::vector<nlohmann::json> read_json_lines(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot open " + path.string());
    std::vector<nlohmann::json> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
}

/// `bytes` as vocabularies in JSON write them.
inline std::string in_alphabet(std::string_view bytes) {
    std::string out;
    for (const char byte : bytes)
        for (char32_t code = 0; code < byte_level::alphabet_end; ++code)
            if (byte_level::byte_of[code] == static_cast<unsigned char>(byte)) unicode::append_utf8(out, code);
    return out;
}

/// A small and valid tokenizer.json: the 256 bytes (the id is the byte), "ab" 256, "abc" 257, "bc" 258, and the special
/// token "<s>" 259. Tests change it.
inline nlohmann::json small_tokenizer() {
    auto tree = nlohmann::json::parse(R"json({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{"id": 259, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                          "normalized": false, "special": true}],
        "normalizer": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": ""}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [259], "tokens": ["<s>"]}}},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                  "vocab": {}, "merges": [["a", "b"], ["ab", "c"]]}})json");
    tree["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] =
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    for (int byte = 0; byte < 256; ++byte)
        tree["model"]["vocab"][in_alphabet(std::string(1, static_cast<char>(byte)))] = byte;
    tree["model"]["vocab"]["ab"] = 256;
    tree["model"]["vocab"]["abc"] = 257;
    tree["model"]["vocab"]["bc"] = 258;
    return tree;
}

inline Tokenizer tokenizer_of(const nlohmann::json& tree) { return Tokenizer::from_json(tree.dump(), "test.json"); }

/// Bytes of every kind: text, half characters, noise.
inline std::string random_bytes(std::mt19937& rng, std::size_t length) {
    std::string out;
    while (out.size() < length) {
        switch (rng() % 4) {
            case 0:
                out.push_back(static_cast<char>(rng() % 256));
                break;
            case 1:
                out.push_back(static_cast<char>(rng() % 96 + 32));
                break;
            case 2:
                out += " the'S\r\n ";
                break;
            default:
                unicode::append_utf8(out, static_cast<char32_t>(rng() % 0x110000));
                break;  // surrogates too, which are not UTF-8
        }
    }
    out.resize(length);
    return out;
}

}  // namespace eigenlm::tests
