#pragma once
// The hash of the tables in memory.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "../base/abi.hpp"

namespace eigenlm::inline EIGENLM_ABI {

namespace detail {

/// A hash of bytes for tables in memory, eight at a time. Not one that withstands somebody who makes up collisions.
inline std::uint64_t hash_bytes(std::string_view bytes) {
    constexpr std::uint64_t odd = 0x9E3779B97F4A7C15u;  // 2^64 / golden ratio
    std::uint64_t hash = bytes.size() * odd;
    const auto mix = [&hash](std::uint64_t word) {
        __extension__ typedef unsigned __int128 Wide;
        const Wide product = static_cast<Wide>(hash ^ word) * odd;  // its halves together depend on every bit
        hash = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    };
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    for (std::uint64_t word = 0; left >= 8; at += 8, left -= 8) {
        std::memcpy(&word, at, 8);
        mix(word);
    }
    std::uint64_t word = 0;
    if (left != 0) std::memcpy(&word, at, left);
    mix(word);
    return hash;
}

}  // namespace detail

}  // namespace eigenlm::inline EIGENLM_ABI
