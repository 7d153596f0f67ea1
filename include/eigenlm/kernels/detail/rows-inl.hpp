// Included inside each level's namespace: the kernels that work on one row of activations at a time.

inline void rms_norm(const float* x, const float* gain, float epsilon, std::size_t n, float* out) {
    Vec squares = set1(0.0f);
    each_vector(n, [&](auto at, auto) {
        const Vec v = at(x);
        squares = fma(v, v, squares);
    });
    const float mean = sum(squares) / static_cast<float>(n);
    const Vec inverse = set1(1.0f / sqrt(mean + epsilon));
    each_vector(n, [&](auto at, auto put) { put(out, mul(mul(at(x), inverse), at(gain))); });
}

inline void rope(float* head, const float* cos, const float* sin, std::size_t head_dim, RopeLayout layout) {
    const std::size_t half_dim = head_dim / 2;
    if (layout == RopeLayout::half) {
        float* const second = head + half_dim;
        each_vector(half_dim, [&](auto at, auto put) {
            const Vec a = at(head), b = at(second), c = at(cos), s = at(sin);
            put(head, sub(mul(a, c), mul(b, s)));
            put(second, add(mul(b, c), mul(a, s)));
        });
    } else {
        for (std::size_t i = 0; i < half_dim; ++i) {
            const float a = head[2 * i], b = head[2 * i + 1];
            const float ac = a * cos[i], bs = b * sin[i], bc = b * cos[i], as = a * sin[i];
            head[2 * i] = ac - bs;
            head[2 * i + 1] = bc + as;
        }
    }
}

inline void silu_mul(const float* gate, const float* up, std::size_t n, float* out) {
    each_vector(n, [&](auto at, auto put) { put(out, mul(silu(at(gate)), at(up))); });
}

inline void add(const float* x, std::size_t n, float* total) {
    each_vector(n, [&](auto at, auto put) { put(total, add(at(total), at(x))); });
}

inline void exp_shifted(const float* x, float shift, std::size_t n, float* p) {
    const Vec s = set1(shift);
    each_vector(n, [&](auto at, auto put) { put(p, exp(sub(at(x), s))); });
}

/// The first of the largest; n when a NaN is among them. A block's maximum at a time, then a search in the best block.
inline std::size_t argmax(const float* x, std::size_t n) {
    constexpr std::size_t block = 1024;
    const Vec lowest = set1(-__builtin_inff()), zero = set1(0.0f), big = set1(3.4e38f), minus_big = set1(-3.4e38f);
    Vec nans = zero;  // 0 * a number is 0, 0 * NaN is not; infinities are made finite first
    float best = -__builtin_inff();
    std::size_t best_block = 0;
    for (std::size_t begin = 0; begin < n; begin += block) {
        const std::size_t end = begin + block < n ? begin + block : n;
        Vec largest = lowest;
        for (std::size_t i = begin; i < end; i += lanes) {
            const std::size_t count = end - i < lanes ? end - i : lanes;
            const Vec v = count == lanes ? load(x + i) : select(first_lanes(count), load_first(x + i, count), lowest);
            largest = max(v, largest);
            nans = fma(max(minus_big, min(big, v)), zero, nans);
        }
        if (const float found = max(largest); found > best) best = found, best_block = begin;
    }
    if (is_nan(sum(nans))) return n;
    for (std::size_t i = best_block; i < n; ++i)
        if (x[i] == best) return i;
    return 0;  // all are -infinity
}
