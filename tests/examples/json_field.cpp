// Reads one JSON value from stdin and prints parts of it, one a line, for the scripts beside this file:
// json_field /ids /timing/load_s ... (JSON pointers; strings come out as they are, arrays and objects as JSON)
// json_field --size /ids              the number of elements
// json_field --keys                   the keys of the object
// Exit status 1 when stdin is not one JSON object, or a part is missing.
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

int main(int argc, char** argv) try {
    const auto json = nlohmann::ordered_json::parse(std::cin);  // refuses anything behind the first value
    if (!json.is_object()) throw std::runtime_error("expected an object");
    const bool size = argc > 1 && std::string(argv[1]) == "--size", keys = argc > 1 && std::string(argv[1]) == "--keys";
    if (keys)
        for (const auto& [key, value] : json.items()) std::cout << key << '\n';
    for (int i = size || keys ? 2 : 1; i < argc; ++i) {
        const auto& part = json.at(nlohmann::ordered_json::json_pointer(argv[i]));
        if (size)
            std::cout << part.size() << '\n';
        else
            std::cout << (part.is_string() ? part.get<std::string>() : part.dump()) << '\n';
    }
} catch (const std::exception& e) {
    std::cerr << "json_field: " << e.what() << '\n';
    return 1;
}
