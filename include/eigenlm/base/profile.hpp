#pragma once
// Where passes spend their time. A host that defines EIGENLM_PROFILE to 1, in all of its units, can have a record of
// each part of a pass; in other programs there is no code for it.
#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

#include "abi.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// What a part of a pass has to do, whatever the machine.
struct Cost {
    double bytes = 0;       ///< of weights and cache, each counted once
    double operations = 0;  ///< of matrix products, attention's included: a multiply-add is two
};

/// One part of one pass.
struct ProfilePart {
    const char* name;  ///< as Tap's, or "qkv_proj", "rope", "attention", "gate_up_proj", "lm_head", "pack"
    int layer;         ///< -1 outside the layers
    double begin;      ///< in seconds since the profile was made
    double seconds;    ///< that it took
    Cost cost;         ///< what it had to do
};

/// Collects the parts of passes, in the order in which they end. For one pass at a time.
class Profile {
  public:
    /// Keeps the first `most` parts: room for them is allocated here, and none while passes run.
    explicit Profile(std::size_t most) : begin_(std::chrono::steady_clock::now()) { parts_.reserve(most); }

    /// Seconds since it was made.
    double now() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }
    /// Keeps a part, if there is room for it.
    void add(const ProfilePart& part) {
        if (parts_.size() < parts_.capacity()) parts_.push_back(part);
    }
    /// What it has collected.
    std::span<const ProfilePart> parts() const { return parts_; }
    /// Forgets that.
    void clear() { parts_.clear(); }

  private:
    std::chrono::steady_clock::time_point begin_;
    std::vector<ProfilePart> parts_;
};

}  // namespace eigenlm::inline EIGENLM_ABI
