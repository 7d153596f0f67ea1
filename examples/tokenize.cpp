// Text to token ids and back.
#include <charconv>
#include <sstream>
#include <string>
#include <vector>

#include "command_line.hpp"

namespace {

using nlohmann::ordered_json;

struct Arguments {
    std::string model, prompt, file, lines, decode;
    bool no_special = false, json = false;
};

/// Ids in any common notation: "1 2 3", "1,2,3", "[1, 2, 3]".
std::vector<eigenlm::TokenId> parse_ids(std::string text) {
    for (char& c : text)
        if (c == ',' || c == '[' || c == ']') c = ' ';
    std::vector<eigenlm::TokenId> ids;
    std::istringstream words(text);
    for (std::string word; words >> word;) {
        eigenlm::TokenId id = 0;
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
        if (error != std::errc() || end != word.data() + word.size())
            throw CLI::ValidationError("--decode", "expected ids, found \"" + word + "\"");
        ids.push_back(id);
    }
    return ids;
}

std::string dump(const ordered_json& json) { return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace); }

void encode_lines(const eigenlm::Tokenizer& tokenizer, const Arguments& a) {
    std::istringstream lines(command_line::read_text(a.lines));
    std::size_t number = 0;
    for (std::string line; std::getline(lines, line);) {
        const std::string where = a.lines + ":" + std::to_string(++number);
        const nlohmann::json text = eigenlm::parse_json(line, where);
        if (!text.is_string())
            throw eigenlm::FormatError(where, "expected a JSON string, found " + std::string(text.type_name()));
        std::cout << dump(tokenizer.encode(text.get<std::string>(), {.add_special_tokens = !a.no_special})) << '\n';
    }
}

void encode_text(const eigenlm::Tokenizer& tokenizer, const Arguments& a) {
    const std::string text = a.file.empty() ? a.prompt : command_line::read_text(a.file);
    const auto ids = tokenizer.encode(text, {.add_special_tokens = !a.no_special});
    if (!a.json) {
        std::cout << dump(ids) << '\n';
        return;
    }
    ordered_json tokens = ordered_json::array();
    for (const eigenlm::TokenId id : ids) tokens.push_back(std::string(tokenizer.token_bytes(id)));
    std::cout << dump({{"ids", ids}, {"tokens", tokens}, {"count", ids.size()}}) << '\n';
}

void tokenize(const CLI::App& app, const Arguments& a) {
    const bool decode = app.count("--decode") != 0;
    const auto ids = decode ? parse_ids(a.decode) : std::vector<eigenlm::TokenId>{};
    if (!decode && !app.count("--prompt") && a.file.empty() && a.lines.empty())
        throw CLI::RequiredError("one of --prompt, --file, --lines and --decode");
    const auto tokenizer = eigenlm::Tokenizer::load(command_line::model_path(a.model));
    if (!a.lines.empty()) return encode_lines(tokenizer, a);
    if (!decode) return encode_text(tokenizer, a);
    const std::string text = tokenizer.decode(ids, {.skip_special_tokens = a.no_special});
    std::cout << (a.json ? dump({{"text", text}}) : text) << '\n';
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Turns text into token ids, and ids into text.", "tokenize");
    Arguments a;
    app.add_option("-m,--model", a.model,
                   "model folder, tokenizer.json or GGUF file (default: the embedded tiny model's)");
    auto* input = app.add_option_group("input");
    input->add_option("-p,--prompt", a.prompt, "text to encode");
    input->add_option("-f,--file", a.file, "encode this file, - for stdin");
    input->add_option("--lines", a.lines, "file with one JSON string a line: prints one JSON array of ids for each");
    input->add_option("--decode", a.decode, "ids to decode, e.g. \"1,2,3\"");
    input->require_option(0, 1);
    app.add_flag("--no-special", a.no_special,
                 "add no beginning-of-sequence token; with --decode: leave special tokens out");
    app.add_flag("--json", a.json, "print a JSON object");
    return command_line::run(app, argc, argv, [&] { tokenize(app, a); });
}
