// One program whose units were compiled with different flags: each gives the same ids, in any order. odr MODEL
#include <cstdint>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <vector>

using Answer = std::vector<std::uint32_t>(const char* model);
Answer answer_O0, answer_O2, answer_native, answer_avx2;

int main(int argc, char** argv) try {
    if (argc != 2) throw std::runtime_error("usage: odr MODEL");
    Answer* const answers[] = {EIGENLM_ANSWERS};
    const std::vector<std::uint32_t> ids = answers[0](argv[1]);
    for (int round = 0; round < 2; ++round)
        for (Answer* answer : answers)
            if (answer(argv[1]) != ids) throw std::runtime_error("units differ");
    for (const std::uint32_t id : ids) std::cout << id << '\n';
} catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
