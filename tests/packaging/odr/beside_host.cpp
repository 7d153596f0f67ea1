// A program with eigenlm and a host's Eigen library side by side, each compiled with flags of its own. beside_host
// MODEL
#include <cstdint>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <vector>

std::vector<std::uint32_t> EIGENLM_ANSWER(const char* model);
bool host_eigen_works();

int main(int argc, char** argv) try {
    if (argc != 2) throw std::runtime_error("usage: beside_host MODEL");
    std::vector<std::uint32_t> ids;
    for (int round = 0; round < 2; ++round) {
        if (!host_eigen_works()) throw std::runtime_error("the host's Eigen is wrong");
        ids = EIGENLM_ANSWER(argv[1]);
    }
    for (const std::uint32_t id : ids) std::cout << id << '\n';
} catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
