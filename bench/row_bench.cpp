// One row of inputs times matrices that lie in memory, as a decode step multiplies them, without the rest of a model:
// how much of plain reading each type's product reaches. Both take turns; the figures are medians over the rounds.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <eigenlm/eigenlm.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "ceilings.hpp"
#include "command_line.hpp"
#include "made_up.hpp"
#include "median.hpp"

namespace {

using bench::AnyMatrix;

struct Options {
    std::vector<std::string> dtypes = {"f32", "bf16", "q8_0", "q4_0", "q4_K", "q6_K"};
    std::vector<std::string> shapes = {"896x9728", "4864x896", "896x151936", "2048x8192"};
    std::size_t threads = eigenlm::available_processors(), rounds = 15, mib = 512;
    std::string output = "md";
};

struct Shape {
    std::size_t inputs, outputs;
};
Shape shape_of(const std::string& text) {
    std::istringstream in(text);
    Shape s{};
    char x = 0;
    if (!(in >> s.inputs >> x >> s.outputs) || x != 'x' || !in.eof() || s.inputs == 0 || s.outputs == 0)
        throw eigenlm::ArgumentError("--shape", "expected INPUTSxOUTPUTS, found \"" + text + "\"");
    return s;
}

/// As many matrices as fill so many bytes, one at least.
std::vector<AnyMatrix> matrices(const eigenlm::Compute& compute, eigenlm::Dtype dtype, Shape s, std::size_t bytes) {
    const bench::MadeUpRows rows(dtype, s.inputs);
    const eigenlm::WeightLayout layout = compute.kernels.layout;
    std::vector<AnyMatrix> found(std::max<std::size_t>(bytes / rows.bytes(s.outputs, layout), 1));
    compute.pool.for_each(found.size(), 1, [&](std::size_t first, std::size_t last, std::size_t) {
        for (std::size_t m = first; m < last; ++m) found[m] = rows.matrix(s.outputs, layout);
    });
    return found;
}

/// Seconds of one row times each of the matrices.
class Products {
  public:
    Products(const eigenlm::Compute& compute, std::vector<AnyMatrix> weights)
        : compute_(compute),
          weights_(std::move(weights)),
          scratch_(1, first().inputs(), first().outputs()),
          x_(first().inputs(), 0.5f),
          out_(first().outputs()) {}

    double bytes() const { return static_cast<double>(weights_.size()) * static_cast<double>(first().bytes()); }
    double run() {
        const eigenlm::FloatState state;
        const auto begin = std::chrono::steady_clock::now();
        const auto x = eigenlm::pack(compute_, first(), {x_.data(), 1, x_.size(), x_.size()}, scratch_);
        for (const AnyMatrix& weight : weights_)
            eigenlm::multiply(compute_, x, weight, nullptr, eigenlm::Epilogue::store,
                              {out_.data(), 1, out_.size(), out_.size()}, scratch_);
        return ceilings::seconds_since(begin);
    }

  private:
    const AnyMatrix& first() const { return weights_.front(); }

    eigenlm::Compute compute_;
    std::vector<AnyMatrix> weights_;
    eigenlm::ProductScratch scratch_;
    std::vector<float> x_, out_;
};

nlohmann::ordered_json measure(const Options& o, const eigenlm::Compute& compute, const ceilings::DramRead& dram,
                               const std::string& dtype, const std::string& shape) {
    const Shape s = shape_of(shape);
    const eigenlm::Dtype type = dtype_of(eigenlm::weight_type_from_string(dtype, "--dtype"));
    Products products(compute, matrices(compute, type, s, o.mib << 20));
    std::vector<double> rates, ceilings, shares;
    for (std::size_t round = 0; round <= o.rounds; ++round) {
        const double ceiling = dram.gb_s(compute.pool), rate = products.bytes() / products.run() * 1e-9;
        if (round == 0) continue;  // warms up
        rates.push_back(rate), ceilings.push_back(ceiling), shares.push_back(rate / ceiling);
    }
    return {{"dtype", dtype},
            {"shape", shape},
            {"gb_s", bench::median(rates)},
            {"dram_read_gb_s", bench::median(ceilings)},
            {"share", bench::median(shares)},
            {"share_min", *std::ranges::min_element(shares)},
            {"share_max", *std::ranges::max_element(shares)}};
}

void run(const Options& o) {
    for (const std::string& shape : o.shapes) shape_of(shape);  // complain before anything else
    eigenlm::ThreadPool pool(o.threads);
    const eigenlm::Compute compute = {eigenlm::kernels(eigenlm::default_isa()), pool};
    const ceilings::DramRead dram(pool, o.mib << 20);
    const bool table = o.output == "md";
    if (table)
        std::printf(
            "| type | inputs x outputs | GB/s | memory, GB/s | share | min .. max |\n|---|---|---|---|---|---|\n");
    auto rows = nlohmann::ordered_json::array();
    for (const std::string& dtype : o.dtypes)
        for (const std::string& shape : o.shapes) {
            const auto row = measure(o, compute, dram, dtype, shape);
            rows.push_back(row);
            if (!table) continue;
            const auto number = [&row](const char* name) { return row[name].get<double>(); };
            std::printf("| %s | %s | %.1f | %.1f | %.2f | %.2f .. %.2f |\n", dtype.c_str(), shape.c_str(),
                        number("gb_s"), number("dram_read_gb_s"), number("share"), number("share_min"),
                        number("share_max"));
            std::fflush(stdout);
        }
    if (table)
        std::printf("\n%s kernels, %zu threads; DRAM read: %s\n", to_string(compute.kernels.isa), o.threads,
                    dram.how().c_str());
    else
        std::cout << nlohmann::ordered_json{{"isa", to_string(compute.kernels.isa)},
                                            {"threads", o.threads},
                                            {"dram_read", dram.how()},
                                            {"rows", rows}}
                         .dump(2)
                  << '\n';
}

}  // namespace

int main(int argc, char** argv) {
    Options o;
    CLI::App app("One row times matrices in memory, as a share of reading memory", "row_bench");
    command_line::add_type(app, "--dtype", o.dtypes, "types of the weights", eigenlm::all_weight_types)
        ->delimiter(',')
        ->capture_default_str();
    app.add_option("--shape", o.shapes, "INPUTSxOUTPUTS of a matrix")->delimiter(',')->capture_default_str();
    app.add_option("-t,--threads", o.threads, "threads")->capture_default_str()->check(CLI::Range(1, 1024));
    app.add_option("-r,--rounds", o.rounds, "rounds, after one that warms up")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.add_option("--mib", o.mib, "MiB of matrices, and MiB to read: several times the caches")
        ->capture_default_str()
        ->check(CLI::Range(1, 1 << 20));
    app.add_option("-o,--output", o.output, "md or json")->check(CLI::IsMember({"md", "json"}))->capture_default_str();
    return command_line::run(app, argc, argv, [&] { run(o); });
}
