#pragma once
// How the KV cache keeps its numbers, and where.
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../base/types.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Inputs that a bf16 product takes in at a time (the depth of an AMX tile): inputs are filled up with zeros to a
/// multiple.
inline constexpr std::size_t bf16_chunk = 32;

/// How the KV cache keeps its numbers.
enum class CacheType {
    f32,
    bf16,
    f16,
    /// Bytes of which up to 32 of a key or value share a scale: half of bf16. They are computed with as bf16 is, each
    /// times its scale, rounded to bfloat16.
    q8_0,
};
/// All of them.
inline constexpr CacheType all_cache_types[] = {CacheType::f32, CacheType::bf16, CacheType::f16, CacheType::q8_0};
/// As command lines and JSON spell it.
constexpr const char* to_string(CacheType type) {
    constexpr const char* names[] = {"f32", "bf16", "f16", "q8_0"};
    return names[static_cast<std::size_t>(type)];
}
/// Whether it is computed with in bfloat16, pairs of numbers at a time.
constexpr bool in_pairs(CacheType type) { return type == CacheType::bf16 || type == CacheType::q8_0; }

/// Positions in one block of the KV cache: attention reduces block by block.
inline constexpr std::size_t kv_block = 64;
/// Positions in one section, whose blocks are reduced on their own; then the sections' results are, in order. Sections
/// are what threads split where one position attends to many.
inline constexpr std::size_t kv_section = 1024;

/// How one kv head's keys and values of one block lie in memory: as weights do, so that the products' kernels read
/// them. Keys are panels of 16 positions, [4][head_dim][16], values panels of 16 numbers, [ceil(head_dim /
/// 16)][64][16]. bf16: pairs side by side, [4][ceil(head_dim / 32) 16][16][2] and [ceil(head_dim / 16)][32][16][2],
/// where the pairs of values are those of positions 16 apart (0 and 16, ..., 15 and 31, 32 and 48, ...). q8_0: bytes,
/// [4][ceil(head_dim / 32) 32][16] and [ceil(head_dim / 16)][64][16]; behind them the scales, bfloat16s, of keys and of
/// values, [ceil(head_dim / 32)][64] each. What is filled up is zero.
struct CacheShape {
    CacheType type;        ///< of the numbers
    std::size_t head_dim;  ///< numbers of a key and of a value

    /// Numbers of a key, filled up.
    constexpr std::size_t depth() const { return in_pairs(type) ? round_up(head_dim, bf16_chunk) : head_dim; }
    /// Panels of the values.
    constexpr std::size_t value_panels() const { return ceil_div(head_dim, lanes); }
    /// Bytes of a number.
    constexpr std::size_t number_size() const { return type == CacheType::f32 ? 4 : type == CacheType::q8_0 ? 1 : 2; }
    /// Numbers of the keys: what lies between them and the values.
    constexpr std::size_t keys() const { return kv_block * depth(); }
    /// Numbers of both.
    constexpr std::size_t numbers() const { return keys() + kv_block * value_panels() * lanes; }
    /// Scales of the keys; there are as many of the values.
    constexpr std::size_t scales() const {
        return type == CacheType::q8_0 ? ceil_div(head_dim, bf16_chunk) * kv_block : 0;
    }
    /// Bytes of all.
    constexpr std::size_t size() const { return numbers() * number_size() + 2 * scales() * sizeof(std::uint16_t); }
    /// Which number of the block is number d of the key at `slot` < kv_block.
    constexpr std::size_t key_at(std::size_t slot, std::size_t d) const {
        const std::size_t panel = slot / lanes * lanes * depth(), lane = slot % lanes;
        return panel + (type == CacheType::bf16 ? d / 2 * 2 * lanes + 2 * lane + d % 2 : d * lanes + lane);
    }
    /// Which one is number d of the value at `slot`.
    constexpr std::size_t value_at(std::size_t slot, std::size_t d) const {
        const std::size_t panel = keys() + d / lanes * lanes * kv_block, lane = d % lanes;
        const std::size_t pair = slot / bf16_chunk * lanes + slot % lanes, half = slot / lanes % 2;
        return panel + (type == CacheType::bf16 ? pair * 2 * lanes + 2 * lane + half : slot * lanes + lane);
    }
    /// Which scale is that of numbers [32 c, 32 c + 32) of the key, and of the value, at `slot`.
    /// @{
    constexpr std::size_t key_scale_at(std::size_t slot, std::size_t c) const { return c * kv_block + slot; }
    constexpr std::size_t value_scale_at(std::size_t slot, std::size_t c) const {
        return scales() + c * kv_block + slot;
    }
    /// @}
    /// The scales of a q8_0 block.
    template <class Byte>
    auto* scales_of(Byte* block) const {
        using Scale = std::conditional_t<std::is_const_v<Byte>, const std::uint16_t, std::uint16_t>;
        return reinterpret_cast<Scale*>(block + numbers());
    }
};

EIGENLM_EXACT_BEGIN
/// Up to 32 numbers x -> whole numbers of at most 127, put(d, number), and as the result what they are times, a
/// bfloat16: their largest size / 127. All are zero where that is subnormal; where an x is not finite, the result is a
/// NaN.
template <class Put>
inline std::uint16_t quantize_q8_0(const float* x, std::size_t count, const Put& put) {
    float largest = 0, poison = 0;
    for (std::size_t d = 0; d < count; ++d) {
        const float size = std::bit_cast<float>(std::bit_cast<std::uint32_t>(x[d]) & 0x7fffffffu);
        largest = size > largest ? size : largest;
        poison += x[d] * 0.0f;
    }
    const std::uint16_t scale = f32_to_bf16(largest / 127.0f + poison);
    const bool usable = scale >= 0x0080 && scale < 0x7f80;
    constexpr float to_whole = 12582912.0f;  // 1.5 * 2^23: what is added to it loses its fraction
    for (std::size_t d = 0; d < count; ++d) {
        const float number = usable ? x[d] / bf16_to_f32(scale) : 0.0f;
        put(d, static_cast<std::int8_t>(number + to_whole - to_whole));
    }
    return is_nan(poison) || usable ? scale : std::uint16_t{0};
}
/// What such a number stands for, rounded to bfloat16.
inline float dequantize_q8_0(std::int8_t number, std::uint16_t scale) {
    return bf16_to_f32(f32_to_bf16(static_cast<float>(number) * bf16_to_f32(scale)));
}
EIGENLM_EXACT_END

/// Keeps one position's key and value, [head_dim] each, in a block.
inline void store_in_block(const CacheShape& shape, std::byte* block, std::size_t slot, const float* key,
                           const float* value) {
    const auto each = [&](auto* numbers, const auto& round) {
        for (std::size_t d = 0; d < shape.head_dim; ++d) {
            numbers[shape.key_at(slot, d)] = round(key[d]);
            numbers[shape.value_at(slot, d)] = round(value[d]);
        }
    };
    if (shape.type == CacheType::f32) return each(reinterpret_cast<float*>(block), [](float x) { return x; });
    if (shape.type == CacheType::bf16) return each(reinterpret_cast<std::uint16_t*>(block), f32_to_bf16);
    if (shape.type == CacheType::f16) return each(reinterpret_cast<std::uint16_t*>(block), f32_to_f16);
    auto* const numbers = reinterpret_cast<std::int8_t*>(block);
    std::uint16_t* const scales = shape.scales_of(block);
    for (std::size_t begin = 0; begin < shape.head_dim; begin += bf16_chunk) {
        const std::size_t count = std::min(bf16_chunk, shape.head_dim - begin), c = begin / bf16_chunk;
        scales[shape.key_scale_at(slot, c)] = quantize_q8_0(
            key + begin, count, [&](std::size_t d, std::int8_t n) { numbers[shape.key_at(slot, begin + d)] = n; });
        scales[shape.value_scale_at(slot, c)] = quantize_q8_0(
            value + begin, count, [&](std::size_t d, std::int8_t n) { numbers[shape.value_at(slot, begin + d)] = n; });
    }
}

/// Number d of a key or value of a block, as it is computed with: `at` is what key_at or value_at says, `scale_at` what
/// key_scale_at or value_scale_at says of d / 32.
inline float load_from_block(const CacheShape& shape, const std::byte* block, std::size_t at, std::size_t scale_at) {
    if (shape.type == CacheType::q8_0)
        return dequantize_q8_0(reinterpret_cast<const std::int8_t*>(block)[at], shape.scales_of(block)[scale_at]);
    if (shape.type == CacheType::f32) return reinterpret_cast<const float*>(block)[at];
    const std::uint16_t half = reinterpret_cast<const std::uint16_t*>(block)[at];
    return shape.type == CacheType::bf16 ? bf16_to_f32(half) : f16_to_f32(half);
}
/// Number d of the key, and of the value, at `slot` of a block, as it is computed with.
/// @{
inline float key_in_block(const CacheShape& shape, const std::byte* block, std::size_t slot, std::size_t d) {
    return load_from_block(shape, block, shape.key_at(slot, d), shape.key_scale_at(slot, d / bf16_chunk));
}
inline float value_in_block(const CacheShape& shape, const std::byte* block, std::size_t slot, std::size_t d) {
    return load_from_block(shape, block, shape.value_at(slot, d), shape.value_scale_at(slot, d / bf16_chunk));
}
/// @}

}  // namespace eigenlm::inline EIGENLM_ABI
