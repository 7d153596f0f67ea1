#pragma once
// Texts that end a generation: found across the borders of pieces, and never shown.
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "../base/error.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Passes text on and holds back what may be the beginning of a stop text.
class StopFilter {
  public:
    /// Throws ArgumentError for an empty text: it would end everything at once. `longest_piece`: bytes of the longest
    /// piece that will come, so that nothing is allocated later.
    explicit StopFilter(std::vector<std::string> stops, std::size_t longest_piece = 0) : stops_(std::move(stops)) {
        std::size_t longest = 0;
        for (const std::string& stop : stops_) {
            if (stop.empty())
                throw ArgumentError("stop", "expected a text of at least one character, found an empty one");
            longest = std::max(longest, stop.size());
        }
        pending_.reserve(2 * (longest + longest_piece) + 16);
    }

    /// Takes the next piece; returns what can be shown now, valid until the next call.
    std::string_view push(std::string_view piece) {
        pending_.erase(0, shown_);
        pending_ += piece;
        if (stopped_) pending_.clear();
        if (const std::size_t found = find_stop(); found != std::string::npos) {
            stopped_ = true;
            pending_.resize(found);
        }
        shown_ = stopped_ ? pending_.size() : pending_.size() - held_back();
        return std::string_view(pending_).substr(0, shown_);
    }
    /// What was held back, when the text has ended without a stop.
    std::string_view flush() {
        pending_.erase(0, shown_);
        shown_ = pending_.size();
        return pending_;
    }
    /// A stop text was found: nothing more will be shown.
    bool stopped() const { return stopped_; }

  private:
    /// Where the stop text begins that is complete first: the same however the text is cut into pieces.
    std::size_t find_stop() const {
        std::size_t begin = std::string::npos, end = std::string::npos;
        for (const std::string& stop : stops_) {
            const std::size_t at = pending_.find(stop);
            if (at == std::string::npos || at + stop.size() > end) continue;
            begin = at + stop.size() < end ? at : std::min(begin, at);
            end = at + stop.size();
        }
        return begin;
    }

    /// Length of the longest end of pending_ that begins a stop text.
    std::size_t held_back() const {
        std::size_t longest = 0;
        for (const std::string& stop : stops_)
            for (std::size_t n = std::min(stop.size() - 1, pending_.size()); n > longest; --n)
                if (pending_.compare(pending_.size() - n, n, stop, 0, n) == 0) longest = n;
        return longest;
    }

    std::vector<std::string> stops_;
    std::string pending_;
    std::size_t shown_ = 0;
    bool stopped_ = false;
};

}  // namespace eigenlm::inline EIGENLM_ABI
