#pragma once
// How long work reports, and how it is asked to stop.
#include <cstddef>
#include <functional>
#include <stop_token>

#include "error.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// What a report is about.
enum class Stage { load, prefill, decode, quantise };

/// "load", "prefill", "decode", "quantise"
constexpr const char* to_string(Stage stage) {
    constexpr const char* names[] = {"load", "prefill", "decode", "quantise"};
    return names[static_cast<int>(stage)];
}

/// `done` of `total` units: bytes for load and quantise, tokens for prefill and decode.
struct Progress {
    Stage stage;        ///< what is being done
    std::size_t done;   ///< units so far
    std::size_t total;  ///< units in all
};

/// Called from the thread that made the call, under that thread's own floating-point state. What it throws ends the
/// work.
using ProgressFunction = std::function<void(const Progress&)>;

/// Throws CancelledError once `stop` is requested.
inline void throw_if_stopped(const std::stop_token& stop, Stage stage) {
    if (stop.stop_requested()) throw CancelledError(to_string(stage), "stop requested");
}

}  // namespace eigenlm::inline EIGENLM_ABI
