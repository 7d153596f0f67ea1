#pragma once
namespace support {

/// Whether a subnormal operand counts as zero here.
inline bool flushes_subnormals() {
    volatile float subnormal = 1e-40f, factor = 0x1p20f;
    return subnormal * factor == 0.0f;
}

}  // namespace support
