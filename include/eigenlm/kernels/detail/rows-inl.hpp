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
