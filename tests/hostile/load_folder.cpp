// Loads a model folder and prints how it went, for run.py:
//   KIND <tab> BYTES <tab> SECONDS <tab> MESSAGE      KIND: "ok" or the error's; BYTES: growth of the peak memory
// Anything but an eigenlm::Error ends the program the hard way. Sanitizers take memory and time of their own: built
// with them, it prints 0 BYTES and 0 SECONDS, and "skipped" where its memory is to be limited.
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <eigenlm/eigenlm.hpp>
#include <fstream>
#include <string>

#include "support/sanitized.hpp"

namespace {

/// A line of /proc/self/status, in bytes. (getrusage's peak is no good: it begins with the parent's.)
std::size_t memory(const std::string& wanted) {
    std::ifstream status("/proc/self/status");
    for (std::string name, rest; status >> name; std::getline(status, rest)) {
        std::size_t kib = 0;
        if (name == wanted && status >> kib) return kib * 1024;
    }
    std::abort();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    if (argc > 2 && SANITIZED) return std::puts("skipped\t0\t0\t") < 0;
    if (argc > 2) {  // the most address space it may have, in bytes
        const rlim_t most = std::strtoull(argv[2], nullptr, 10);
        const rlimit limit{most, most};
        if (setrlimit(RLIMIT_AS, &limit) != 0) return 2;
    }
    const std::size_t before = memory("VmRSS:");
    std::string kind = "ok", message;
    try {
        eigenlm::load(argv[1], {.threads = 1});
    } catch (const eigenlm::Error& e) {
        kind = to_string(e.kind());
        message = e.what();
    }
    const double seconds =
        static_cast<double>(std::clock()) / CLOCKS_PER_SEC;  // the processor's, whoever else it serves
    const std::size_t grown = memory("VmHWM:") - before;
    std::printf("%s\t%zu\t%.3f\t%s\n", kind.c_str(), SANITIZED ? 0 : grown, SANITIZED ? 0 : seconds, message.c_str());
    return 0;
}
