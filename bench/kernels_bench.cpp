// Each kernel at each level that this machine runs, on one thread and data that is in its caches: what a pass is made
// of. Products report multiply-adds as 2 operations and the bytes of their weights.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <eigenlm/eigenlm.hpp>
#include <span>
#include <string>
#include <vector>

#include "made_up.hpp"

namespace {

using eigenlm::Epilogue;
using eigenlm::Isa;
using eigenlm::KernelTable;
using eigenlm::Rows;

std::vector<float> numbers(std::size_t count, std::uint64_t seed) {
    std::vector<float> found(count);
    for (float& x : found) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        x = static_cast<float>(seed >> 40) * 0x1p-23f - 1.0f;
    }
    return found;
}

/// One product of `rows` rows: a layer's of Qwen2.5-0.5B, or a part of one.
void product(benchmark::State& state, Isa isa, eigenlm::Dtype dtype, std::size_t rows, std::size_t outputs,
             std::size_t inputs, Epilogue epilogue) {
    const KernelTable& table = eigenlm::kernels(isa);
    eigenlm::ThreadPool pool(1);
    const eigenlm::Compute compute{table, pool};
    const auto weight = bench::MadeUpRows(dtype, inputs).matrix(outputs, table.layout);
    auto x = numbers(rows * inputs, 2);
    const std::size_t columns = epilogue == Epilogue::silu_mul ? outputs / 2 : outputs;
    std::vector<float> out(eigenlm::round_up(rows, 16) * eigenlm::packed_bf16_stride(columns));
    eigenlm::ProductScratch scratch(rows, inputs, outputs);
    const eigenlm::FloatState float_state;
    for (auto _ : state) {
        eigenlm::multiply(compute, eigenlm::pack(compute, weight, {x.data(), rows, inputs, inputs}, scratch), weight,
                          nullptr, epilogue, {out.data(), rows, columns, eigenlm::packed_bf16_stride(columns)},
                          scratch);
        benchmark::ClobberMemory();
    }
    const double operations = 2.0 * static_cast<double>(rows * outputs * inputs);
    state.counters["FLOP/s"] = benchmark::Counter(operations, benchmark::Counter::kIsIterationInvariantRate);
    state.counters["weight_B/s"] =
        benchmark::Counter(static_cast<double>(weight.bytes()), benchmark::Counter::kIsIterationInvariantRate);
}

/// Attention of a group of 7 query heads at `rows` positions, the last of which sees `length` keys.
void attention(benchmark::State& state, Isa isa, eigenlm::CacheType type, std::size_t rows, std::size_t length) {
    constexpr std::size_t group = 7, head_dim = 64, width = group * head_dim;
    const eigenlm::CacheShape shape = {type, head_dim};
    const std::size_t count = eigenlm::ceil_div(length, eigenlm::kv_block), queries = rows * group;
    const auto q = numbers(rows * width, 1), row = numbers(2 * head_dim, 2);
    std::vector<std::byte> cache(count * shape.size());
    for (std::size_t p = 0; p < count * eigenlm::kv_block; ++p)
        eigenlm::store_in_block(shape, cache.data() + p / eigenlm::kv_block * shape.size(), p % eigenlm::kv_block,
                                row.data() + p % head_dim, row.data() + p % 7);
    std::vector<std::uint32_t> blocks(count);
    for (std::uint32_t b = 0; b < count; ++b) blocks[b] = b;
    std::vector<float> out(rows * width), scratch(eigenlm::attention_scratch(queries, head_dim));
    std::vector<float> memory(2 * eigenlm::AttentionState::size(queries, head_dim));
    const eigenlm::AttentionState sum = {memory.data(), queries, head_dim};
    const eigenlm::AttentionState next = {memory.data() + memory.size() / 2, queries, head_dim};
    const eigenlm::AttentionCall call = {.q = {q.data(), rows, width, width},
                                         .cache = cache.data(),
                                         .blocks = blocks.data(),
                                         .block_stride = shape.size(),
                                         .position = length - rows,
                                         .window = length,
                                         .group = group,
                                         .head_dim = head_dim,
                                         .scale = 0.18f,
                                         .out = {out.data(), rows, width, width},
                                         .scratch = scratch.data()};
    const eigenlm::KernelTable& table = eigenlm::kernels(isa);
    const eigenlm::FloatState float_state;
    for (auto _ : state) {
        eigenlm::attend_to_all(table, type, call, sum, next);
        benchmark::ClobberMemory();
    }
    const double keys = static_cast<double>(rows) * (static_cast<double>(length) - static_cast<double>(rows - 1) / 2);
    state.counters["FLOP/s"] =
        benchmark::Counter(4.0 * static_cast<double>(width) * keys, benchmark::Counter::kIsIterationInvariantRate);
}

/// A kernel over one row of n numbers.
template <class F>
void row_kernel(benchmark::State& state, std::size_t n, const F& f) {
    auto x = numbers(n, 1), y = numbers(n, 2);
    std::vector<float> out(n + 64);
    const eigenlm::FloatState float_state;
    for (auto _ : state) {
        f(x.data(), y.data(), out.data());
        benchmark::ClobberMemory();
    }
    state.counters["numbers/s"] =
        benchmark::Counter(static_cast<double>(n), benchmark::Counter::kIsIterationInvariantRate);
}

template <class F>
void add(const std::string& name, Isa isa, const F& f) {
    benchmark::RegisterBenchmark((name + "/" + to_string(isa)).c_str(), [isa, f](benchmark::State& s) { f(s, isa); });
}

void add_products(Isa isa) {
    for (const std::size_t rows : {1u, 4u, 16u, 64u, 256u}) {
        for (const eigenlm::WeightType type : eigenlm::all_weight_types) {
            const auto add_product = [&](const char* what, std::size_t outputs, std::size_t inputs, Epilogue epilogue) {
                add(to_string(type) + std::string(what) + "/rows:" + std::to_string(rows), isa,
                    [=](auto& s, Isa i) { product(s, i, dtype_of(type), rows, outputs, inputs, epilogue); });
            };
            if (896 % eigenlm::layout_of(dtype_of(type)).block_elements == 0)
                add_product("_896x896", 896, 896, Epilogue::store);
            else
                add_product("_768x1024", 768, 1024, Epilogue::store);
            if (type != eigenlm::WeightType::bf16) continue;
            add_product("_silu_2048x896", 2048, 896, Epilogue::silu_mul);
            add_product("_add_448x4864", 448, 4864, Epilogue::add);
        }
    }
}

void add_rows(Isa isa) {
    const KernelTable& t = eigenlm::kernels(isa);
    const auto row = [isa](const char* name, std::size_t n, auto f) {
        add(name, isa, [=](auto& s, Isa) { row_kernel(s, n, f); });
    };
    row("rms_norm_896", 896, [&t](const float* x, const float* y, float* out) { t.rms_norm(x, y, 1e-6f, 896, out); });
    row("rope_64", 64,
        [&t](const float* x, const float* y, float* out) { t.rope(out, x, y, 64, eigenlm::RopeLayout::half); });
    row("silu_mul_4864", 4864, [&t](const float* x, const float* y, float* out) { t.silu_mul(x, y, 4864, out); });
    row("add_896", 896, [&t](const float* x, const float*, float* out) { t.add(x, 896, out); });
    row("pack_bf16_896", 896, [&t](const float* x, const float*, float* out) { t.pack_bf16(x, 896, 0, 1, out); });
    row("exp_shifted_4864", 4864, [&t](const float* x, const float*, float* out) { t.exp_shifted(x, 1, 4864, out); });
    row("argmax_151936", 151936,
        [&t](const float* x, const float*, float*) { benchmark::DoNotOptimize(t.argmax(x, 151936)); });
    for (const std::size_t rows : {1u, 9u})
        for (const std::size_t length : {64u, 1024u, 4096u})
            for (const eigenlm::CacheType type : eigenlm::all_cache_types)
                add(std::string("attention_7x64/") + to_string(type) + "/rows:" + std::to_string(rows) +
                        "/keys:" + std::to_string(length),
                    isa, [=](auto& s, Isa i) { attention(s, i, type, rows, length); });
}

}  // namespace

int main(int argc, char** argv) {
    for (const Isa isa : eigenlm::available_isas()) {
        add_products(isa);
        add_rows(isa);
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
