// A program of several units: prints what a model says, and checks that another unit gets the same. consumer MODEL
#include <eigenlm/eigenlm.hpp>
#include <iostream>
#include <type_traits>

static_assert(!EIGENLM_PROFILE && std::is_empty_v<eigenlm::Timed>, "by default nothing is timed");

std::vector<eigenlm::TokenId> greedy_ids(const eigenlm::LanguageModel& lm, std::string_view prompt, std::size_t count);

int main(int argc, char** argv) try {
    if (argc != 2) throw std::runtime_error("usage: consumer MODEL");
    const eigenlm::LanguageModel lm = eigenlm::load(argv[1]);
    auto answer = lm.generate("Once upon a time", {.max_new_tokens = 24, .temperature = 0.0f, .seed = 7});
    std::cout << answer.text() << '\n';
    if (answer.ids() != greedy_ids(lm, "Once upon a time", answer.ids().size()))
        throw std::runtime_error("the second unit gets other ids");
} catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
