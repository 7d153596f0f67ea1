// A unit of its own flags: loads the model and answers. Its function is called EIGENLM_ANSWER and hands out plain
// types.
#include <eigenlm/eigenlm.hpp>

std::vector<std::uint32_t> EIGENLM_ANSWER(const char* model) {
    const eigenlm::LanguageModel lm = eigenlm::load(model);
    auto answer = lm.generate("Once upon a time", {.max_new_tokens = 12, .temperature = 0.0f, .ignore_eos = true});
    answer.text();
    return {answer.ids().begin(), answer.ids().end()};
}
