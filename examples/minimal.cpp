// Streams an answer to a prompt: minimal MODEL_FOLDER "Once upon a time"
#include <eigenlm/eigenlm.hpp>
#include <iostream>

int main(int argc, char** argv) try {
    auto lm = eigenlm::load(argc > 1 ? argv[1] : "examples/tiny");
    for (std::string_view piece : lm.generate(argc > 2 ? argv[2] : "Once upon a time", {.max_new_tokens = 64}))
        std::cout << piece << std::flush;
    std::cout << '\n';
} catch (const eigenlm::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
