// How fast whole models run, and how near that is to what the machine can do: prefill against its multiply-adds,
// decode against its memory. Ceiling and work take turns; the figures are medians over the rounds.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <eigenlm/eigenlm.hpp>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "ceilings.hpp"
#include "command_line.hpp"
#include "profile.hpp"
#include "runner.hpp"

namespace {

using bench::median;
using bench::Runner;

struct Options {
    std::string model, shape = "qwen2.5-0.5b", output = "md";
    std::vector<std::string> dtypes;  // none: the checkpoint's, or f32 and bf16
    std::vector<std::size_t> threads = {eigenlm::available_processors()};
    std::vector<std::size_t> prompts = {256}, generated = {32}, depths = {0}, batches = {1};
    std::size_t rounds = 9, prefill_rows = 512, dram_mib = 2048;
    std::string cache_type, numerics, trace;
    bool serve = false, profile = false;
};

/// "LxHxIxQxKVxDxV": layers, hidden, intermediate, query heads, key/value heads, head dimension, vocabulary.
eigenlm::ModelConfig config_of(const std::string& shape) {
    using enum eigenlm::ModelFamily;
    struct Named {
        const char *name, *sizes;
        eigenlm::ModelFamily family;
        bool tied;
        double theta;
    };
    constexpr Named named[] = {
        {"qwen2.5-0.5b", "24x896x4864x14x2x64x151936", qwen2, true, 1e6},
        {"llama-3.2-1b", "16x2048x8192x32x8x64x128256", llama, true, 5e5},
        {"tinyllama-1.1b", "22x2048x5632x32x4x64x32000", llama, false, 1e4},
    };
    Named found = {shape.c_str(), shape.c_str(), llama, true, 1e4};
    for (const Named& n : named)
        if (shape == n.name) found = n;
    eigenlm::ModelConfig c;
    c.family = found.family;
    c.tie_word_embeddings = found.tied;
    c.rope_theta = found.theta;
    c.max_position_embeddings = 32768;
    const auto fields = {&c.num_layers,   &c.hidden_size, &c.intermediate_size, &c.num_heads,
                         &c.num_kv_heads, &c.head_dim,    &c.vocab_size};
    std::istringstream text(found.sizes);
    char separator = 'x';
    for (std::size_t* field : fields)
        if (separator != 'x' || !(text >> *field) || !(text >> separator)) separator = text.eof() ? '.' : '?';
    if (separator != '.' || c.vocab_size == 0)
        throw eigenlm::ArgumentError("--shape", "expected a known name or LxHxIxQxKVxDxV, found \"" + shape + "\"");
    eigenlm::check(c);
    return c;
}

std::string cpu_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
    return "unknown";
}

struct Row {
    std::string model, dtype, test, ceiling;
    std::size_t threads, depth, batch;
    std::vector<double> tokens_per_s, ceilings, shares;
    double bytes_per_token;
    bench::ProfileSums profile;

    /// `steps`: of a round
    nlohmann::ordered_json profile_json(double steps) const {
        const bool memory = ceiling == "dram_read_gb_s";
        const double all = steps * static_cast<double>(shares.size()), most = median(ceilings);
        return profile.json(all, memory ? most : 0, memory ? 0 : most);
    }
    nlohmann::ordered_json json() const {
        return {{"model", model},
                {"dtype", dtype},
                {"threads", threads},
                {"test", test},
                {"depth", depth},
                {"batch", batch},
                {"tokens_per_s", median(tokens_per_s)},
                {"min", *std::ranges::min_element(tokens_per_s)},
                {"max", *std::ranges::max_element(tokens_per_s)},
                {"bytes_per_token", bytes_per_token},
                {"ceiling", ceiling},
                {"ceiling_value", median(ceilings)},
                {"share", median(shares)},
                {"share_min", *std::ranges::min_element(shares)},
                {"share_max", *std::ranges::max_element(shares)}};
    }
};

class Bench {
  public:
    explicit Bench(const Options& options) : options_(options) {
        if (!options.trace.empty()) trace_.emplace(options.trace);
    }

    void run() {
        if (options_.model.empty()) config_of(options_.shape);  // complain before anything else
        std::vector<std::string> dtypes = options_.dtypes;
        if (dtypes.empty() && options_.model.empty()) dtypes = {"f32", "bf16"};
        if (dtypes.empty()) dtypes = {""};
        if (options_.output == "md")
            std::printf(
                "| model | dtype | threads | test | depth | batch | tok/s | min .. max | ceiling | share | min .. max "
                "|\n"
                "|---|---|---|---|---|---|---|---|---|---|---|\n");
        for (const std::size_t threads : options_.threads)
            for (const std::string& dtype : dtypes) measure_model(dtype, threads);
        if (trace_) trace_->write();
        if (options_.output == "json")
            std::cout << nlohmann::ordered_json{{"machine", machine_}, {"rows", rows_}}.dump(2) << '\n';
        else {
            for (const auto& row : rows_)
                if (options_.profile) bench::print_profile(row);
            std::printf("\n%s, %s kernels; DRAM read: %s\n", machine_["cpu"].get<std::string>().c_str(),
                        machine_["isa"].get<std::string>().c_str(), machine_["dram_read"].get<std::string>().c_str());
        }
    }

    /// Answers requests from standard input, a JSON document a line, as bench/compare_peers/engines.py says.
    void serve() {
        const auto model = load(options_.dtypes.empty() ? "" : options_.dtypes.front(), options_.threads.front());
        const std::size_t context =
            longest(options_.depths) + longest(options_.prompts) + longest(options_.generated) + 1;
        Runner runner(model, context, 1, options_.prefill_rows, cache_type(*model));
        const auto answer = [](const nlohmann::ordered_json& json) { std::cout << json.dump() << std::endl; };
        answer(
            {{"about", std::string("eigenlm ") + std::to_string(EIGENLM_VERSION_MAJOR) + "." +
                           std::to_string(EIGENLM_VERSION_MINOR) + "." + std::to_string(EIGENLM_VERSION_PATCH) + "; " +
                           to_string(model->transformer().dtype()) + " weights, " + to_string(cache_type(*model)) +
                           " cache, " + to_string(model->compute().kernels.isa) + " kernels"}});
        for (std::string line; std::getline(std::cin, line);) {
            const auto request = nlohmann::json::parse(line);
            const auto text = [&](const char* name) { return request.value(name, std::vector<eigenlm::TokenId>()); };
            runner.fill(0);
            if (const auto behind = text("behind"); !behind.empty()) runner.prefill(behind);
            const double prefill = runner.prefill(text("prompt"));
            std::vector<eigenlm::TokenId> ids = runner.ids();
            double decode = 0;
            for (std::size_t left = request.at("generate"); left > 0; --left) {
                decode += runner.decode(1);
                ids.push_back(runner.ids().front());
            }
            answer({{"prefill", prefill}, {"decode", decode}, {"ids", ids}});
        }
    }

  private:
    static std::size_t longest(const std::vector<std::size_t>& sizes) {
        return sizes.empty() ? 0 : *std::ranges::max_element(sizes);
    }

    std::shared_ptr<const eigenlm::Model> load(const std::string& dtype, std::size_t threads) const {
        const eigenlm::ModelOptions model_options = {.threads = threads,
                                                     .numerics = command_line::numerics(options_.numerics),
                                                     .dtype = command_line::weight_type(dtype),
                                                     .progress = command_line::progress_line()};
        if (options_.model.empty())
            return std::make_shared<eigenlm::Model>(config_of(options_.shape), eigenlm::RandomWeights(), model_options);
        if (eigenlm::is_gguf(options_.model)) {
            const eigenlm::GgufFiles files(options_.model);
            const auto config = read_config(files);
            return std::make_shared<eigenlm::Model>(config, eigenlm::GgufTensors(files, config), model_options);
        }
        const auto checkpoint = eigenlm::Checkpoint::open(options_.model);
        return std::make_shared<eigenlm::Model>(eigenlm::read_config(checkpoint), checkpoint.tensors(), model_options);
    }

    eigenlm::CacheType cache_type(const eigenlm::Model& model) const {
        return command_line::cache_type(options_.cache_type).value_or(model.cache_type());
    }

    void measure_model(const std::string& dtype, std::size_t threads) {
        const auto model = load(dtype, threads);
        eigenlm::ThreadPool& pool = model->compute().pool;
        const eigenlm::Isa isa = model->compute().kernels.isa;
        if (!dram_) dram_.emplace(pool, options_.dram_mib << 20);
        machine_ = {{"cpu", cpu_name()},
                    {"isa", to_string(isa)},
                    {"threads", threads},
                    {"dram_read", dram_->how()},
                    {"ceilings",
                     {{"dram_read_gb_s", dram_->gb_s(pool)},
                      {"fma_f32_gflops", ceilings::fma_f32_gflops(pool, isa, 0.05)},
                      {"bf16_gflops", ceilings::bf16_gflops(pool, isa, 0.05)},
                      {"int8_gops", ceilings::int8_gops(pool, isa, 0.05)}}}};
        if (options_.profile || trace_) {  // with room for all parts of a round
            const std::size_t prefills = eigenlm::ceil_div(longest(options_.prompts), options_.prefill_rows);
            const std::size_t passes = std::max(longest(options_.generated), longest(options_.batches) * prefills);
            profile_.emplace(passes * (10 * model->config().num_layers + 3));
        }
        for (const std::size_t batch : options_.batches) {
            Runner runner(
                model, longest(options_.depths) + std::max(longest(options_.prompts), longest(options_.generated)) + 1,
                batch, options_.prefill_rows, cache_type(*model));
            for (const std::size_t depth : options_.depths) {
                for (const std::size_t tokens : options_.prompts)
                    if (tokens) report(prefill(runner, tokens, depth, batch), 1);
                for (const std::size_t tokens : options_.generated)
                    if (tokens) report(decode(runner, tokens, depth, batch), static_cast<double>(tokens));
            }
        }
    }

    /// What the products of a model's type can do at most.
    struct Ceiling {
        const char* name;
        double (*measure)(eigenlm::ThreadPool&, eigenlm::Isa, double seconds);
    };
    static Ceiling ceiling_of(eigenlm::WeightType type) {
        if (is_quantised(type)) return {"int8_gops", ceilings::int8_gops};
        if (type == eigenlm::WeightType::bf16) return {"bf16_gflops", ceilings::bf16_gflops};
        return {"fma_f32_gflops", ceilings::fma_f32_gflops};
    }

    Row prefill(Runner& runner, std::size_t tokens, std::size_t depth, std::size_t batch) {
        const Ceiling most = ceiling_of(runner.model().transformer().dtype());
        Row row = row_of(runner, "pp" + std::to_string(tokens), most.name, depth, batch);
        const double gflop =
            bench::prefill_operations(runner.config(), tokens, depth) * static_cast<double>(batch) * 1e-9;
        const auto ceiling = [&] { return most.measure(runner.pool(), runner.model().compute().kernels.isa, 0.02); };
        row.bytes_per_token =
            static_cast<double>(runner.model().transformer().streamed_bytes()) / static_cast<double>(tokens);
        for (std::size_t round = 0; round <= options_.rounds; ++round) {  // the first one warms up
            runner.fill(depth);
            const double before = ceiling();
            watch(runner);
            const double seconds = runner.prefill(tokens), after = ceiling();
            if (round != 0)
                add(row, seconds, static_cast<double>(tokens * batch) / seconds, gflop / seconds, (before + after) / 2);
        }
        return row;
    }

    Row decode(Runner& runner, std::size_t tokens, std::size_t depth, std::size_t batch) {
        Row row = row_of(runner, "tg" + std::to_string(tokens), "dram_read_gb_s", depth, batch);
        // Weights are read once a step, and every sequence's cache.
        const auto weights = static_cast<double>(runner.model().transformer().streamed_bytes());
        const double cached = static_cast<double>(runner.cache_bytes_per_position()) *
                              (static_cast<double>(depth) + static_cast<double>(tokens) / 2) *
                              static_cast<double>(batch);
        row.bytes_per_token = (weights + cached) / static_cast<double>(batch);
        for (std::size_t round = 0; round <= options_.rounds; ++round) {
            runner.fill(depth);
            watch(runner);
            double seconds = 0, ceiling = 0, slices = 0;
            for (std::size_t done = 0; done < tokens; ++slices) {  // slices of about a tenth of a second
                const std::size_t rate =
                    seconds > 0 ? static_cast<std::size_t>(0.1 * static_cast<double>(done) / seconds) : 1;
                const std::size_t slice = std::min(tokens - done, std::max<std::size_t>(rate, 1));
                ceiling += dram_->gb_s(runner.pool());
                seconds += runner.decode(slice);
                done += slice;
            }
            const double steps = static_cast<double>(tokens) / seconds;
            if (round != 0)
                add(row, seconds, steps * static_cast<double>(batch), steps * (weights + cached) * 1e-9,
                    ceiling / slices);
        }
        return row;
    }

    Row row_of(const Runner& runner, const std::string& test, const char* ceiling, std::size_t depth,
               std::size_t batch) const {
        return {options_.model.empty() ? options_.shape : options_.model,
                to_string(runner.model().transformer().dtype()),
                test,
                ceiling,
                runner.pool().size(),
                depth,
                batch,
                {},
                {},
                {},
                0,
                {}};
    }
    /// The coming passes are a round's.
    void watch(Runner& runner) {
        if (!profile_) return;
        profile_->clear();
        runner.watch(&*profile_);
    }
    /// A round that took so long.
    void add(Row& row, double seconds, double tokens_per_s, double reached, double ceiling) const {
        if (profile_) row.profile.add(profile_->parts(), seconds);
        row.tokens_per_s.push_back(tokens_per_s);
        row.ceilings.push_back(ceiling);
        row.shares.push_back(reached / ceiling);
    }
    void report(const Row& row, double steps) {
        nlohmann::ordered_json j = row.json();
        if (options_.profile) j["profile"] = row.profile_json(steps);
        rows_.push_back(j);
        if (trace_) trace_->add(row.dtype + " " + row.test + " behind " + std::to_string(row.depth), profile_->parts());
        if (options_.output != "md") return;
        const auto number = [&j](const char* name) { return j[name].get<double>(); };
        std::printf("| %s | %s | %zu | %s | %zu | %zu | %.1f | %.1f .. %.1f | %s %.4g | %.2f | %.2f .. %.2f |\n",
                    row.model.c_str(), row.dtype.c_str(), row.threads, row.test.c_str(), row.depth, row.batch,
                    number("tokens_per_s"), number("min"), number("max"), row.ceiling.c_str(), number("ceiling_value"),
                    number("share"), number("share_min"), number("share_max"));
        std::fflush(stdout);
    }

    const Options& options_;
    std::optional<ceilings::DramRead> dram_;
    std::optional<eigenlm::Profile> profile_;
    std::optional<bench::Trace> trace_;
    nlohmann::ordered_json machine_, rows_ = nlohmann::ordered_json::array();
};

}  // namespace

int main(int argc, char** argv) {
    Options o;
    CLI::App app("Prefill and decode rates of whole models, as shares of what this machine can do", "throughput");
    const auto list = [&app](const char* name, auto& values, const char* help) {
        app.add_option(name, values, help)->delimiter(',')->capture_default_str();
    };
    app.add_option("-m,--model", o.model, "model folder or GGUF file (default: made-up weights of --shape)");
    app.add_option("--shape", o.shape,
                   "qwen2.5-0.5b, llama-3.2-1b, tinyllama-1.1b, or LxHxIxQxKVxDxV: layers, hidden, "
                   "intermediate, query heads, key/value heads, head dimension, vocabulary")
        ->capture_default_str();
    command_line::add_type(app, "--dtype", o.dtypes,
                           "types of the weights (default: the checkpoint's; of made-up ones f32,bf16)",
                           eigenlm::all_weight_types)
        ->delimiter(',');
    list("-t,--threads", o.threads, "threads");
    list("-p,--prompt", o.prompts, "tokens of a prefill; 0: none");
    list("-n,--n-gen", o.generated, "tokens to decode; 0: none");
    list("-d,--depth", o.depths, "positions that are there before");
    list("-b,--batch", o.batches, "sequences");
    app.add_option("-r,--rounds", o.rounds, "rounds, after one that warms up")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.add_option("--prefill-rows", o.prefill_rows, "rows of one pass")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    command_line::add_cache_type(app, o.cache_type);
    command_line::add_numerics(app, o.numerics);
    app.add_option("--dram-mib", o.dram_mib, "MiB to read for the memory's ceiling: several times the caches")
        ->capture_default_str()
        ->check(CLI::Range(1, 1 << 20));
    app.add_option("-o,--output", o.output, "md or json")->check(CLI::IsMember({"md", "json"}))->capture_default_str();
    app.add_flag("--profile", o.profile, "also where the time of each test goes: the parts of its passes");
    app.add_option("--trace", o.trace, "file for the parts of the last round of each test, for Chrome's tracing page");
    app.add_flag("--serve", o.serve,
                 "instead: time the requests of bench/compare_peers on standard input (-p, -n and -d: the longest)");
    return command_line::run(app, argc, argv, [&] { o.serve ? Bench(o).serve() : Bench(o).run(); });
}
