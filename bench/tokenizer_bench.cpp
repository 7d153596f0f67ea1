// How fast a tokenizer.json is loaded, and a text encoded on one thread and decoded again.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "command_line.hpp"

namespace {

/// The fewest seconds of `rounds` calls.
double fastest(std::size_t rounds, const std::function<void()>& work) {
    double best = 1e30;
    for (std::size_t i = 0; i < rounds; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        work();
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    return best;
}

void measure(const std::string& model, const std::string& file, std::size_t rounds, bool json) {
    const std::string text = command_line::read_text(file);
    const double load_s = fastest(rounds, [&] { (void)eigenlm::Tokenizer::load(model); });
    const auto tokenizer = eigenlm::Tokenizer::load(model);
    std::vector<eigenlm::TokenId> ids;
    // Each round has seen no word before: so it is for who encodes one text.
    const double encode_s = fastest(rounds, [&] { ids = tokenizer.encode(text); });
    const double decode_s = fastest(rounds, [&] { (void)tokenizer.decode(ids); });
    const double mb = static_cast<double>(text.size()) / 1e6;
    if (json)
        std::cout << nlohmann::ordered_json{{"load_s", load_s},
                                            {"encode_mb_per_s", mb / encode_s},
                                            {"decode_mb_per_s", mb / decode_s},
                                            {"ids", ids.size()}}
                  << '\n';
    else
        std::printf("load %.0f ms | encode %.1f MB/s | decode %.0f MB/s | %.1f MB, %zu ids\n", load_s * 1e3,
                    mb / encode_s, mb / decode_s, mb, ids.size());
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Measures a tokenizer: loading, encoding on one thread, decoding.", "tokenizer_bench");
    std::string model, file;
    std::size_t rounds = 3;
    bool json = false;
    app.add_option("-m,--model", model, "model folder or tokenizer.json (default: the embedded tiny model's)");
    app.add_option("-f,--file", file, "text to encode, - for stdin")->required();
    app.add_option("-r,--repetitions", rounds, "rounds, of which the fastest counts")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    app.add_flag("--json", json, "print a JSON object");
    return command_line::run(app, argc, argv,
                             [&] { measure(command_line::model_path(model).string(), file, rounds, json); });
}
