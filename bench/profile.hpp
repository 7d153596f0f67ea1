#pragma once
// What the parts of a test's passes took, as a table, as JSON, and as a trace that Chrome's tracing page and Perfetto
// show.
#include <cstddef>
#include <cstdio>
#include <eigenlm/eigenlm.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// The parts of one test: sums over its rounds, by name.
class ProfileSums {
  public:
    /// Adds a round's parts, and the time it took in all.
    void add(std::span<const eigenlm::ProfilePart> parts, double seconds) {
        seconds_ += seconds;
        for (const eigenlm::ProfilePart& part : parts) {
            Sum& sum = of(part.name);
            sum.seconds += part.seconds;
            sum.bytes += part.cost.bytes;
            sum.operations += part.cost.operations;
        }
    }
    /// One object for each part and one for what lies between them: seconds of each of `steps` steps, share of the
    /// time, and rates, as shares of these ceilings (GB/s, GFLOP/s; 0: not asked for).
    nlohmann::ordered_json json(double steps, double gb_s, double gflops) const {
        auto found = nlohmann::ordered_json::array();
        double left = seconds_;
        for (const Sum& sum : sums_) {
            left -= sum.seconds;
            const double bytes = sum.bytes / sum.seconds * 1e-9, operations = sum.operations / sum.seconds * 1e-9;
            nlohmann::ordered_json part = {
                {"part", sum.name}, {"seconds", sum.seconds / steps}, {"time_share", sum.seconds / seconds_}};
            if (gb_s > 0) part["gb_s"] = bytes, part["ceiling_share"] = bytes / gb_s;
            if (gflops > 0) part["gflops"] = operations, part["ceiling_share"] = operations / gflops;
            found.push_back(std::move(part));
        }
        found.push_back({{"part", "(between)"}, {"seconds", left / steps}, {"time_share", left / seconds_}});
        return found;
    }

  private:
    struct Sum {
        std::string_view name;
        double seconds = 0, bytes = 0, operations = 0;
    };
    Sum& of(std::string_view name) {
        for (Sum& sum : sums_)
            if (sum.name == name) return sum;
        return sums_.emplace_back(Sum{name});
    }
    std::vector<Sum> sums_;  // in the order of a pass
    double seconds_ = 0;
};

/// Prints what ProfileSums::json has found about a test.
inline void print_profile(const nlohmann::ordered_json& row) {
    const auto& parts = row["profile"];
    const bool bytes = parts.front().contains("gb_s");
    std::printf("\n%s, %s threads, %s behind %s, batches of %s: a step's parts\n\n",
                row["dtype"].get<std::string>().c_str(), row["threads"].dump().c_str(),
                row["test"].get<std::string>().c_str(), row["depth"].dump().c_str(), row["batch"].dump().c_str());
    std::printf("| part | ms | of the time | %s | of the ceiling |\n|---|---|---|---|---|\n",
                bytes ? "GB/s" : "GFLOP/s");
    for (const auto& part : parts) {
        std::printf("| %s | %.3f | %.1f %% |", part["part"].get<std::string>().c_str(),
                    part["seconds"].get<double>() * 1e3, part["time_share"].get<double>() * 100);
        const char* const rate = bytes ? "gb_s" : "gflops";
        if (part.contains(rate) && part[rate].get<double>() > 0)
            std::printf(" %.1f | %.2f |\n", part[rate].get<double>(), part["ceiling_share"].get<double>());
        else
            std::printf(" | |\n");
    }
}

/// A file in Chrome's trace event format.
class Trace {
  public:
    /// Complains at once where the file cannot be written.
    explicit Trace(const std::string& path) : path_(path), file_(path) { check(); }
    /// A test and the parts of one of its rounds.
    void add(const std::string& test, std::span<const eigenlm::ProfilePart> parts) {
        ++tests_;
        events_.push_back({{"name", "process_name"}, {"ph", "M"}, {"pid", tests_}, {"args", {{"name", test}}}});
        for (const eigenlm::ProfilePart& part : parts)
            events_.push_back(
                {{"name", part.name},
                 {"ph", "X"},
                 {"pid", tests_},
                 {"tid", 1},
                 {"ts", part.begin * 1e6},
                 {"dur", part.seconds * 1e6},
                 {"args", {{"layer", part.layer}, {"bytes", part.cost.bytes}, {"operations", part.cost.operations}}}});
    }
    /// Puts all of them into the file.
    void write() {
        file_ << nlohmann::ordered_json{{"traceEvents", events_}}.dump() << std::flush;
        check();
    }

  private:
    void check() const {
        if (!file_) throw eigenlm::IoError(path_, "cannot be written");
    }
    std::string path_;
    std::ofstream file_;
    nlohmann::ordered_json events_ = nlohmann::ordered_json::array();
    int tests_ = 0;
};

}  // namespace bench
