// Cached decoding against naive recomputation, at the shapes of the reports this project reproduces
// (docs/performance.md).
//
// Every iteration runs both, one behind the other, on the same model with the same prompt, and compares their ids; the
// speed-up is the median of the iterations' own ratios (--benchmark_repetitions and the table's last column: how many).
// Weights are made up in memory.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdio>
#include <eigenlm/eigenlm.hpp>
#include <memory>
#include <string>
#include <vector>

#include "median.hpp"

namespace {

using bench::median;
using Clock = std::chrono::steady_clock;

struct Case {
    const char* shape;
    std::size_t layers, hidden, intermediate, heads, kv_heads, vocab;
    std::size_t tokens;
    const char* report;  // the speed-up that the reports give for this case
};

constexpr Case cases[] = {
    {"4x128", 4, 128, 512, 4, 2, 1536, 20, "3.98"},
    {"24x896", 24, 896, 4864, 14, 2, 151936, 50, "8-10"},  // Qwen2.5-0.5B
    {"24x896", 24, 896, 4864, 14, 2, 151936, 100, "10-15"},
};

constexpr eigenlm::TokenId prompt[] = {11, 5, 77, 42, 3, 250, 19, 8};

eigenlm::ModelConfig config_of(const Case& c) {
    eigenlm::ModelConfig config;
    config.family = eigenlm::ModelFamily::qwen2;
    config.num_layers = c.layers;
    config.hidden_size = c.hidden;
    config.intermediate_size = c.intermediate;
    config.num_heads = c.heads;
    config.num_kv_heads = c.kv_heads;
    config.head_dim = c.hidden / c.heads;
    config.vocab_size = c.vocab;
    config.max_position_embeddings = 32768;
    config.rope_theta = 1e6;
    config.tie_word_embeddings = true;
    return config;
}

/// The model of a case. Only the last one is kept: the larger shape takes 2 GB.
std::shared_ptr<const eigenlm::Model> model_of(const Case& c, eigenlm::Isa isa) {
    static std::shared_ptr<const eigenlm::Model> kept;
    static std::string kept_name;
    const std::string name = std::string(c.shape) + eigenlm::to_string(isa);
    if (name != kept_name) {
        kept.reset();
        kept = std::make_shared<const eigenlm::Model>(config_of(c), eigenlm::RandomWeights(1),
                                                      eigenlm::ModelOptions{.isa = isa});
        kept_name = name;
    }
    return kept;
}

struct Run {
    double seconds = 0;
    std::vector<eigenlm::TokenId> ids;
};

/// Greedy tokens behind the prompt, and the time for all of them, the prompt's included.
Run generate(const std::shared_ptr<const eigenlm::Model>& model, std::size_t tokens, bool use_cache) {
    eigenlm::Session session(model, {.context = std::size(prompt) + tokens, .use_cache = use_cache});
    eigenlm::Sampler greedy({}, model->config().vocab_size, model->compute().kernels);
    const auto begin = Clock::now();
    Run run;
    run.ids.push_back(greedy(session.prefill(prompt)));
    while (run.ids.size() < tokens) run.ids.push_back(greedy(session.decode(run.ids.back())));
    run.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return run;
}

struct Result {
    const Case* c;
    eigenlm::Isa isa;
    double naive_s, cached_s, speedup;
    bool same_ids;
    std::size_t runs;
};
std::vector<Result> results;
bool failed = false;

void compare(benchmark::State& state, const Case& c, eigenlm::Isa isa) {
    const auto model = model_of(c, isa);
    std::vector<double> naive_s, cached_s, speedups;
    bool same_ids = true;
    for (auto _ : state) {
        Run naive, cached;
        for (const bool use_cache : {speedups.size() % 2 == 0, speedups.size() % 2 != 0})  // who goes first, in turn
            (use_cache ? cached : naive) = generate(model, c.tokens, use_cache);
        naive_s.push_back(naive.seconds);
        cached_s.push_back(cached.seconds);
        speedups.push_back(naive.seconds / cached.seconds);
        same_ids = same_ids && naive.ids == cached.ids;
        state.SetIterationTime(cached.seconds);
    }
    // The Eigen backend reduces in another order for each shape, so its ids may differ where two tokens are nearly
    // equal.
    if (!same_ids && isa != eigenlm::Isa::eigen) {
        failed = true;
        state.SkipWithError("cached and naive ids differ");
    }
    results.push_back({&c, isa, median(naive_s), median(cached_s), median(speedups), same_ids, speedups.size()});
    state.counters["naive_s"] = results.back().naive_s;
    state.counters["cached_s"] = results.back().cached_s;
    state.counters["speedup"] = results.back().speedup;
    state.counters["same_ids"] = same_ids;
}

void print_table() {
    if (results.empty()) return;
    std::fprintf(stderr,
                 "\n| shape | tokens | kernels | naive, s | cached, s | speed-up | the reports' | same ids | runs |\n"
                 "|---|---|---|---|---|---|---|---|---|\n");
    for (const Result& r : results)
        std::fprintf(stderr, "| %s | %zu | %s | %.4g | %.4g | %.2fx | %sx | %s | %zu |\n", r.c->shape, r.c->tokens,
                     eigenlm::to_string(r.isa), r.naive_s, r.cached_s, r.speedup, r.c->report,
                     r.same_ids ? "yes" : "no", r.runs);
}

}  // namespace

int main(int argc, char** argv) {
    for (const eigenlm::Isa isa : eigenlm::available_isas())
        for (const Case& c : cases) {
            const std::string name =
                std::string("cache/") + c.shape + "/tokens:" + std::to_string(c.tokens) + "/" + eigenlm::to_string(isa);
            auto* bench =
                benchmark::RegisterBenchmark(name.c_str(), [&c, isa](benchmark::State& s) { compare(s, c, isa); });
            bench->UseManualTime()
                ->Unit(benchmark::kMillisecond)
                ->Iterations(c.layers == 4                   ? 9
                             : isa == eigenlm::Isa::portable ? 1
                                                             : 3);
        }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    print_table();
    return failed ? 1 : 0;
}
