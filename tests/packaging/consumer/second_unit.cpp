// The same answer step by step, in a unit of its own.
#include <eigenlm/eigenlm.hpp>

std::vector<eigenlm::TokenId> greedy_ids(const eigenlm::LanguageModel& lm, std::string_view prompt, std::size_t count) {
    eigenlm::Session session = lm.session({.context = 128});
    std::vector<eigenlm::TokenId> ids;
    std::span<const float> logits = session.prefill(lm.encode(prompt));
    while (ids.size() < count) {
        ids.push_back(static_cast<eigenlm::TokenId>(std::ranges::max_element(logits) - logits.begin()));
        logits = session.decode(ids.back());
    }
    return ids;
}
