// Misuse of the parts below a session: every wrong call is a typed error, and the sequence goes on as if there had been
// none.
#include <gtest/gtest.h>

#include <atomic>
#include <eigenlm/weights/load.hpp>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/sequence.hpp"

namespace {

using eigenlm::ArgumentError;
using eigenlm::ErrorKind;
using eigenlm::KvCache;
using eigenlm::ModelConfig;
using eigenlm::RopeTable;
using eigenlm::Workspace;
using support::Sequence;
using support::small_config;
using support::some_ids;

constexpr std::size_t huge = std::numeric_limits<std::size_t>::max();

ModelConfig other_config() {
    ModelConfig config = small_config();
    config.head_dim = 8;
    return config;
}

/// What a pass of one row needs. The cases replace a part by one that does not fit.
struct Parts {
    const eigenlm::Compute* compute;
    const RopeTable* rope;
    KvCache* cache;
    Workspace* workspace;
    eigenlm::Rows<float> logits;
};

TEST(Misuse, OfPassesWithPartsThatDoNotFitTogether) {
    const auto model = support::random_model(small_config(), 3);
    const ModelConfig& config = model->config();
    Sequence sequence(model, 12, 4);
    sequence.prefill(some_ids(5), 0);
    std::vector<float> numbers(2 * 40);

    const RopeTable other_rope(other_config(), 12), empty_rope, short_rope(config, 5);
    const auto type = eigenlm::CacheType::f32;
    KvCache other_cache(other_config(), 12, type), moved_cache(config, 12, type), none(config, 0, type);
    KvCache(std::move(moved_cache));
    Workspace other_workspace(other_config(), 4, 3), one_thread(config, 4, 1), no_thread(config, 4, 0);
    Workspace moved_workspace(config, 4, 3);
    Workspace(std::move(moved_workspace));
    const eigenlm::Compute eigen{eigenlm::kernels(eigenlm::Isa::eigen), model->compute().pool};

    const struct {
        const char* name;
        std::function<void(Parts&)> spoil;
        const char* word;
        ErrorKind kind = ErrorKind::argument;
    } cases[] = {
        {"rotations of another shape", [&](Parts& p) { p.rope = &other_rope; }, "RoPE table"},
        {"rotations of nothing", [&](Parts& p) { p.rope = &empty_rope; }, "RoPE table"},
        {"rotations that end before", [&](Parts& p) { p.rope = &short_rope; }, "has 5 positions, expected at least 6"},
        {"a cache of another shape", [&](Parts& p) { p.cache = &other_cache; }, "KV cache"},
        {"a cache that was moved from", [&](Parts& p) { p.cache = &moved_cache; }, "KV cache"},
        {"a cache of no capacity", [&](Parts& p) { p.cache = &none; }, "full: 0 positions", ErrorKind::state},
        {"a workspace of another shape", [&](Parts& p) { p.workspace = &other_workspace; }, "workspace"},
        {"a workspace for one thread", [&](Parts& p) { p.workspace = &one_thread; }, "fewer threads"},
        {"a workspace for no thread", [&](Parts& p) { p.workspace = &no_thread; }, "fewer threads"},
        {"a workspace that was moved from", [&](Parts& p) { p.workspace = &moved_workspace; }, "workspace"},
        {"kernels for another layout", [&](Parts& p) { p.compute = &eigen; }, "kernels"},
        {"too many rows", [&](Parts& p) { p.logits.rows = 2; }, "found [2, 37]"},
        {"another vocabulary", [&](Parts& p) { p.logits.cols = 36; }, "found [1, 36]"},
        {"rows over each other", [&](Parts& p) { p.logits.stride = 36; }, "a row every 36"},
        {"no memory for logits", [&](Parts& p) { p.logits.data = nullptr; }, "at null"},
    };
    const eigenlm::TokenId id = 1;
    for (const auto& c : cases) {
        SCOPED_TRACE(c.name);
        Parts p{&model->compute(), &model->rope(), &sequence.cache, &sequence.workspace, {numbers.data(), 1, 37, 40}};
        c.spoil(p);
        support::expect_error(
            c.kind,
            [&] {
                eigenlm::prefill(model->transformer(), *p.compute, *p.rope, *p.cache, *p.workspace, {&id, 1}, p.logits);
            },
            {"prefill: ", c.word});
        KvCache* const caches[] = {p.cache};
        support::expect_error(
            c.kind,
            [&] {
                eigenlm::decode(model->transformer(), *p.compute, *p.rope, caches, *p.workspace, {&id, 1}, p.logits);
            },
            {"decode: ", c.word});

        ASSERT_EQ(sequence.cache.length(), 5u);
        Sequence fresh(model, 12, 4);
        fresh.prefill(some_ids(5), 0);
        EXPECT_EQ(sequence.decode(9), fresh.decode(9));
        sequence.cache.truncate(5);
    }
}

TEST(Misuse, OfABatchWithASequenceThatIsNull) {
    const auto model = support::random_model();
    Sequence sequence(model, 12, 4);
    KvCache* const caches[] = {&sequence.cache, nullptr};
    std::vector<float> logits(2 * 37);
    support::expect_error<ArgumentError>(
        [&] {
            eigenlm::decode(model->transformer(), model->compute(), model->rope(), caches, sequence.workspace,
                            some_ids(2), {logits.data(), 2, 37, 37});
        },
        {"decode", "null"});
    EXPECT_EQ(sequence.cache.length(), 0u);
}

TEST(Misuse, OfNaiveLeavesAnEmptyCacheThatGoesOn) {
    const auto model = support::random_model();
    Sequence sequence(model, 12, 4);
    RopeTable rope(model->config(), 12);
    std::vector<float> logits(37);
    const auto naive = [&](std::vector<eigenlm::TokenId> ids) {
        eigenlm::naive(model->transformer(), model->compute(), rope, sequence.cache, sequence.workspace, ids,
                       {logits.data(), 1, 37, 37});
    };
    const std::vector<std::vector<eigenlm::TokenId>> refused = {{}, {1, -1}, {1, 37}};
    for (const auto& ids : refused) {
        support::expect_error<ArgumentError>([&] { naive(ids); }, {"prefill"});
        EXPECT_EQ(sequence.cache.length(), 0u);
        naive({1, 2, 3});
        Sequence fresh(model, 12, 4);
        EXPECT_EQ(logits, fresh.prefill(std::vector<eigenlm::TokenId>{1, 2, 3}));
    }
}

TEST(Misuse, OfPartsBySizesThatCannotBe) {
    const ModelConfig config = small_config(), zeros;
    eigenlm::ThreadPool pool(2);
    const auto type = eigenlm::CacheType::bf16;
    KvCache cache(config, 12, type);
    cache.advance(5);
    RopeTable rope(config, 10);
    Workspace workspace(config, 4, 1);
    eigenlm::Matrix<eigenlm::F32> matrix(3, 2, eigenlm::WeightLayout::panels);
    std::vector<float> row(2), no_room(1), rows(4 * 2);
    const struct {
        std::function<void()> call;
        const char* word;
        ErrorKind kind = ErrorKind::argument;
    } cases[] = {
        {[&] { KvCache(zeros, 10, type); }, "config.vocab_size"},
        {[&] { KvCache(config, huge, type); }, "KV cache", ErrorKind::resource},
        {[&] { KvCache(config, huge / 2, type); }, "KV cache", ErrorKind::resource},
        {[&] { cache.advance(8); }, "KvCache::advance: expected at most 7 positions, found 8"},
        {[&] { cache.advance(huge); }, "KvCache::advance"},
        {[&] { cache.truncate(6); }, "KvCache::truncate"},
        {[&] { Workspace(zeros, 4, 1); }, "config.vocab_size"},
        {[&] { Workspace(config, 0, 1); }, "workspace: expected room for at least 1 row"},
        {[&] { Workspace(config, huge, 1); }, "workspace", ErrorKind::resource},
        {[&] { Workspace(config, std::size_t{1} << 50, 1); }, "cannot reserve", ErrorKind::resource},
        {[&] { Workspace(config, 4, huge); }, "workspace", ErrorKind::resource},
        {[&] { workspace.activations.resize(5); }, "workspace: expected at most 4 rows, found 5"},
        {[&] { rope.compute(0, 11, pool); }, "RopeTable::compute: expected positions of 10, found [0, 11)"},
        {[&] { rope.compute(3, 2, pool); }, "RopeTable::compute"},
        {[&] { RopeTable(config, huge, pool); }, "RoPE table", ErrorKind::resource},
        {[&] { eigenlm::widen(eigenlm::Dtype::i32, std::as_bytes(std::span(row)), row); }, "widen: expected F32"},
        {[&] { matrix.set_rows(0, 4, rows.data()); }, "Matrix::set_rows: expected rows of 3, found 4 from 0 on"},
        {[&] { matrix.set_rows(4, 0, rows.data()); }, "Matrix::set_rows"},
        {[&] { matrix.set_rows(1, huge, rows.data()); }, "Matrix::set_rows"},
        {[&] { matrix.get_row(3, row); }, "Matrix::get_row: expected rows of 3, found 1 from 3 on"},
        {[&] { matrix.get_row(0, no_room); }, "Matrix::get_row: expected room for 2 numbers, found 1"},
        {[&] { eigenlm::Matrix<eigenlm::F32>(huge / 2, 4, eigenlm::WeightLayout::rows); }, "overflows",
         ErrorKind::resource},
        {[&] { eigenlm::load_weights<eigenlm::F32>(zeros, eigenlm::RandomWeights(), pool, {}); }, "config.vocab_size"},
    };
    for (const auto& c : cases) support::expect_error(c.kind, c.call, {c.word});
    EXPECT_EQ(cache.length(), 5u);
    std::atomic<std::size_t> visited = 0;
    pool.split(10, 0, 0, [&](std::size_t begin, std::size_t end, std::size_t) { visited += end - begin; });
    EXPECT_EQ(visited, 10u) << "multiples of 0 are multiples of 1";
}

TEST(Misuse, OfAModelByAConfigMadeByHand) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
    using Change = std::function<void(ModelConfig&)>;
    using eigenlm::RopeScaling;
    using enum RopeScaling::Kind;
    const auto scaled = [](RopeScaling scaling) { return [scaling](ModelConfig& c) { c.rope_scaling = scaling; }; };
    std::vector<std::pair<const char*, Change>> cases = {
        {"num_kv_heads", [](ModelConfig& c) { c.num_kv_heads = 3; }},
        {"num_kv_heads", [](ModelConfig& c) { c.num_kv_heads = 8; }},
        {"head_dim", [](ModelConfig& c) { c.head_dim = 5; }},
        {"windows", [](ModelConfig& c) { c.windows = {4}; }},
        {"rope_scaling.factor", scaled({.kind = linear, .factor = 0})},
        {"rope_scaling.factor", scaled({.kind = linear, .factor = -1})},
        {"rope_scaling.original_max_position_embeddings", scaled({.kind = yarn})},
        {"rope_scaling.original_max_position_embeddings", scaled({.kind = llama3})},
        {"rope_scaling.high_freq_factor", scaled({.kind = llama3, .original_max_position_embeddings = 64})},
        {"rope_scaling.beta_fast", scaled({.kind = yarn, .original_max_position_embeddings = 64, .beta_fast = 0})},
        {"rope_scaling.beta_slow", scaled({.kind = yarn, .original_max_position_embeddings = 64, .beta_slow = nan})},
        {"rope_scaling.attention_factor", scaled({.attention_factor = nan})},
    };
    for (const auto& [name, field] : std::vector<std::pair<const char*, std::size_t ModelConfig::*>>{
             {"vocab_size", &ModelConfig::vocab_size},
             {"hidden_size", &ModelConfig::hidden_size},
             {"intermediate_size", &ModelConfig::intermediate_size},
             {"num_layers", &ModelConfig::num_layers},
             {"num_heads", &ModelConfig::num_heads},
             {"num_kv_heads", &ModelConfig::num_kv_heads},
             {"head_dim", &ModelConfig::head_dim},
             {"max_position_embeddings", &ModelConfig::max_position_embeddings}})
        for (const std::size_t value : {std::size_t{0}, std::size_t{1} << 60, huge - 1})
            cases.emplace_back(name, [field = field, value](ModelConfig& c) { c.*field = value; });
    for (const double value : {nan, infinity, -infinity, -1.0, 0.5}) {
        cases.emplace_back("rope_theta", [value](ModelConfig& c) { c.rope_theta = value; });
        if (value != 0.5)
            cases.emplace_back("rms_norm_eps", [value](ModelConfig& c) { c.rms_norm_eps = static_cast<float>(value); });
    }
    for (const auto& [field, change] : cases) {
        ModelConfig config = small_config();
        change(config);
        support::expect_error<ArgumentError>([&] { support::random_model(config); }, {std::string("config.") + field});
    }
    EXPECT_NO_THROW(eigenlm::check(small_config()));
}

TEST(Misuse, OfAModelByItsOptions) {
    struct Mine {};
    std::stop_source stopped;
    stopped.request_stop();
    ModelConfig strange = small_config();
    strange.family = static_cast<eigenlm::ModelFamily>(99);
    const auto make = [](const eigenlm::ModelOptions& options, const ModelConfig& config = small_config()) {
        return [=] { eigenlm::Model(config, eigenlm::RandomWeights(5), options); };
    };
    const struct {
        std::function<void()> call;
        const char* word;
        ErrorKind kind = ErrorKind::argument;
    } cases[] = {
        {make({.threads = 1025}), "threads"},
        {make({.threads = huge}), "threads"},
        {make({.threads = 1, .context = 257}), "256), found 257"},
        {make({.threads = 1, .context = huge}), "context"},
        {make({.threads = 1, .dtype = static_cast<eigenlm::WeightType>(99)}), "dtype", ErrorKind::unsupported},
        {make({.threads = 1}, strange), "model_type", ErrorKind::unsupported},
        {make({.threads = 1, .cancel = stopped.get_token()}), "load: stop requested", ErrorKind::cancelled},
    };
    for (const auto& c : cases) support::expect_error(c.kind, c.call, {c.word});
    EXPECT_THROW(make({.threads = 2, .progress = [](const eigenlm::Progress&) { throw Mine(); }})(), Mine);
}

}  // namespace
