#pragma once
// A quantised weight matrix in memory: rows of blocks in, panels for the kernels out, nothing rounded.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "../base/buffer.hpp"
#include "../kernels/quantised_panels.hpp"
#include "block_codes.hpp"

EIGENLM_EXACT_BEGIN
namespace eigenlm::inline EIGENLM_ABI {

/// [outputs, inputs] of one quantised type, packed in panels as panel_format has them.
class QuantisedMatrix {
  public:
    QuantisedMatrix() = default;
    /// All zeros, to be filled by set_rows. `inputs` are whole blocks of `dtype`, which is quantised: ArgumentError
    /// otherwise. Throws ResourceError when the memory cannot be had.
    QuantisedMatrix(Dtype dtype, std::size_t outputs, std::size_t inputs)
        : dtype_(dtype), outputs_(outputs), inputs_(inputs), data_(packed_bytes(dtype, outputs, inputs)) {}

    /// What a matrix of this shape takes. Throws as the constructor does.
    static std::size_t packed_bytes(Dtype dtype, std::size_t outputs, std::size_t inputs) {
        if (!is_quantised(dtype) || inputs % layout_of(dtype).block_elements != 0)
            throw ArgumentError("QuantisedMatrix", "expected rows of whole quantised blocks, found " +
                                                       std::to_string(inputs) + " inputs in " + to_string(dtype));
        const PanelFormat format = panel_format(dtype);
        return checked_mul(ceil_div(outputs, lanes),
                           checked_mul(format.units(inputs), format.offsets().unit_bytes, "weight matrix"),
                           "weight matrix");
    }

    /// The type of its blocks.
    Dtype dtype() const { return dtype_; }
    /// Rows, as checkpoints have the matrix.
    std::size_t outputs() const { return outputs_; }
    /// Columns, without padding.
    std::size_t inputs() const { return inputs_; }
    /// Groups of 16 outputs, the last one filled up: what kernels are given ranges of.
    std::size_t panels() const { return ceil_div(outputs_, lanes); }
    /// The packed numbers.
    const std::byte* data() const { return data_.data(); }
    /// Bytes of the packed numbers, padding included.
    std::size_t bytes() const { return data_.size(); }

    /// Packs rows of the checkpoint's matrix, the weights of outputs [first, first + count), which it must have.
    /// rows: [count, inputs], in blocks
    void set_rows(std::size_t first, std::size_t count, const std::byte* rows) {
        const std::size_t row_bytes = bytes_of(dtype_, inputs_);
        detail::with_block(dtype_, [&](auto block) {
            for (std::size_t r = 0; r < count; ++r) set_row<decltype(block)>(first + r, rows + r * row_bytes);
        });
    }
    /// Row `j`, which it must have, as floats: what `dequantise` makes of its blocks.   row: [inputs]
    void get_row(std::size_t j, std::span<float> row) const {
        const PanelFormat f = panel_format(dtype_);
        for (std::size_t k = 0; k < inputs_; k += quantised_chunk)
            get_chunk(f, unit(j, k / f.unit), j % lanes, k % f.unit, row.data() + k);
    }

  private:
    const std::byte* unit(std::size_t j, std::size_t u) const {
        const PanelFormat f = panel_format(dtype_);
        return data_.data() + (j / lanes * f.units(inputs_) + u) * f.offsets().unit_bytes;
    }

    template <class Block>
    void set_row(std::size_t j, const std::byte* bytes) {
        const PanelFormat f = panel_format(dtype_);
        const std::size_t elements = layout_of(dtype_).block_elements, lane = j % lanes;
        for (std::size_t k = 0; k < inputs_; k += elements, bytes += sizeof(Block)) {
            Block block;
            std::memcpy(&block, bytes, sizeof(Block));
            std::byte* const to = const_cast<std::byte*>(unit(j, k / f.unit));
            set_scales(f, block, to, lane, k % f.unit / f.group);
            std::uint8_t codes[256];
            detail::codes_of(block, codes);
            std::byte* chunk = to + f.offsets().codes + k % f.unit / quantised_chunk * f.offsets().chunk_bytes;
            for (std::size_t i = 0; i < elements; i += quantised_chunk, chunk += f.offsets().chunk_bytes)
                set_codes(f.bits, codes + i, chunk, lane);
        }
    }

    /// A block's scales and least values. With one level, it is the unit's group number `group`.
    template <class Block>
    static void set_scales(const PanelFormat& f, const Block& block, std::byte* unit, std::size_t lane,
                           std::size_t group) {
        const PanelFormat::Offsets o = f.offsets();
        const auto set_half = [&](std::size_t at, const blocks::Half& half) {
            std::memcpy(unit + at + lane * 2, half.bytes, 2);
        };
        if constexpr (requires { detail::group_scale(block, 0); }) {
            set_half(0, block.scale);
            if constexpr (requires { block.least; }) set_half(2 * lanes, block.least);
            for (std::size_t g = 0; g < f.groups(); ++g) {
                unit[o.scales + g * lanes + lane] = static_cast<std::byte>(detail::group_scale(block, g));
                if constexpr (requires { detail::group_least(block, g); })
                    unit[o.minima + g * lanes + lane] = static_cast<std::byte>(detail::group_least(block, g));
            }
        } else {
            set_half(o.scales + group * lanes * 2, block.scale);
            if constexpr (requires { block.least; }) set_half(o.minima + group * lanes * 2, block.least);
        }
    }

    /// visit(at, bit): where the bits of four codes are, from their bit number `bit` on.
    template <class Visit>
    static void each_code_bits(int bits, std::size_t four, const Visit& visit) {
        for (int bit = 0; bit < bits;) {
            const CodeBits at = code_bits(bits, four, bit);
            visit(at, bit);
            bit += at.count;
        }
    }
    /// An output's 32 codes, four at a time, as bytes of one number: no bit leaves its byte.
    static void set_codes(int bits, const std::uint8_t* codes, std::byte* chunk, std::size_t lane) {
        for (std::size_t four = 0; four < quantised_chunk / 4; ++four) {
            std::uint32_t whole;
            std::memcpy(&whole, codes + 4 * four, 4);
            each_code_bits(bits, four, [&](CodeBits at, int bit) {
                const std::uint32_t mask = ((1u << at.count) - 1u) * 0x01010101u;
                std::byte* const to = chunk + at.line * 64 + lane * 4;
                std::uint32_t held;
                std::memcpy(&held, to, 4);
                held = (held & ~(mask << at.from)) | (whole >> bit & mask) << at.from;
                std::memcpy(to, &held, 4);
            });
        }
    }
    static int get_code(int bits, const std::byte* chunk, std::size_t lane, std::size_t k) {
        int code = 0;
        each_code_bits(bits, k / 4, [&](CodeBits at, int bit) {
            const auto byte = static_cast<int>(chunk[at.line * 64 + lane * 4 + k % 4]);
            code |= (byte >> at.from & ((1 << at.count) - 1)) << bit;
        });
        return code;
    }

    /// 32 weights of a unit, from its input number `k` on.
    static void get_chunk(const PanelFormat& f, const std::byte* unit, std::size_t lane, std::size_t k, float* out) {
        const PanelFormat::Offsets o = f.offsets();
        const std::byte* const chunk = unit + o.codes + k / quantised_chunk * o.chunk_bytes;
        const float zero = f.zero_shift < 0 ? 0.0f : static_cast<float>(1 << f.zero_shift);
        for (std::size_t i = 0; i < quantised_chunk; ++i) {
            const auto [scale, least] = get_scales(f, unit, lane, (k + i) / f.group);
            int code = get_code(f.bits, chunk, lane, i);
            if (f.table) code = code_table[code];
            const float product = scale * (static_cast<float>(code) - zero);
            out[i] = !f.minimum ? product : f.two_levels ? product - least : product + least;
        }
    }
    struct Scales {
        float scale, least;
    };
    static Scales get_scales(const PanelFormat& f, const std::byte* unit, std::size_t lane, std::size_t group) {
        const PanelFormat::Offsets o = f.offsets();
        const auto half = [&](std::size_t at) {
            std::uint16_t bits;
            std::memcpy(&bits, unit + at + lane * 2, 2);
            return f16_to_f32(bits);
        };
        if (!f.two_levels)
            return {half(o.scales + group * lanes * 2), f.minimum ? half(o.minima + group * lanes * 2) : 0.0f};
        const auto byte = [&](std::size_t at) { return static_cast<int>(unit[at + group * lanes + lane]); };
        const int scale = f.nibbles ? byte(o.scales) & 15 : static_cast<std::int8_t>(byte(o.scales));
        const int least = f.nibbles ? byte(o.scales) >> 4 : f.minimum ? byte(o.minima) : 0;
        return {half(0) * static_cast<float>(scale), f.minimum ? half(2 * lanes) * static_cast<float>(least) : 0.0f};
    }

    Dtype dtype_ = Dtype::q8_0;
    std::size_t outputs_ = 0, inputs_ = 0;
    Buffer<std::byte> data_;  // [ceil(outputs / 16)][units]
};

}  // namespace eigenlm::inline EIGENLM_ABI
EIGENLM_EXACT_END
