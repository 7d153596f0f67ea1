// Included inside each level's namespace, once per level: elementary functions on that level's Vec.
// No include guard, no #include: it stands within a region (EIGENLM_EXACT_BEGIN in base/abi.hpp).

/// e^x = 2^n e^r of N vectors, side by side: whole n, and r in [-ln2/2, ln2/2] by subtracting n ln2 in two parts;
/// Taylor polynomial of degree 7 for e^r (error < 6e-9). `power` becomes e^r.
template <std::size_t N>
[[gnu::always_inline]] inline void reduced_exp(const Vec (&x)[N], Vec (&power)[N], VecInt (&n)[N]) {
    const Vec rounder = set1(12582912.0f);  // 1.5 * 2^23: adding it leaves the nearest whole number in the low bits
    Vec r[N];
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < N; ++i) {
        const Vec shifted = fma(x[i], set1(1.44269502f), rounder);
        n[i] = sub(bits(shifted), bits(rounder));
        const Vec whole = sub(shifted, rounder);
        r[i] = fma(whole, set1(-1.42860677e-6f), fma(whole, set1(-0.693145752f), x[i]));
        power[i] = fma(set1(1.0f / 5040), r[i], set1(1.0f / 720));
    }
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < N; ++i) power[i] = fma(power[i], r[i], set1(1.0f / 120));
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < N; ++i) power[i] = fma(power[i], r[i], set1(1.0f / 24));
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < N; ++i) power[i] = fma(power[i], r[i], set1(1.0f / 6));
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < N; ++i) power[i] = fma(power[i], r[i], set1(0.5f));
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < N; ++i) power[i] = fma(power[i], r[i], set1(1.0f));
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < N; ++i) power[i] = fma(power[i], r[i], set1(1.0f));
}

/// e^x of N vectors, in place. Scaled by 2^n in two factors, so that neither leaves the range of normal numbers before
/// the result does. Results below 2^-126 are 0.
template <std::size_t N>
[[gnu::always_inline]] inline void exp(Vec (&x)[N]) {
    Vec power[N];
    VecInt n[N];
    reduced_exp(x, power, n);
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < N; ++i) {
        const VecInt low = half(n[i]);
        const Vec scaled = mul(mul(power[i], power_of_two(low)), power_of_two(sub(n[i], low)));
        const Vec not_tiny = select(less(x[i], set1(-87.3365402f)), set1(0.0f), scaled);
        x[i] = select(less(set1(88.7228317f), x[i]), set1(__builtin_inff()), not_tiny);
    }
}
inline Vec exp(const Vec& x) {
    Vec y[] = {x};
    exp(y);
    return y[0];
}

/// x / (1 + e^-x) of N vectors, in place. -x is limited to [-86, 87], where e^-x, d = 1 + e^-x and 1 / d are normal
/// numbers. The reciprocal of d: a guess from its bits, within 12 % (the exponent's sign turned around), and three
/// Newton steps, each of which squares the error; a division would take longer than all of it.
template <std::size_t N>
[[gnu::always_inline]] inline void silu(Vec (&x)[N]) {
    const Vec one = set1(1.0f), zero = set1(0.0f);
    Vec negative[N], d[N], y[N];
    VecInt n[N];
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < N; ++i)  // a NaN stays one
        negative[i] = max(set1(-86.0f), min(set1(87.0f), sub(zero, x[i])));
    reduced_exp(negative, d, n);
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < N; ++i) {
        d[i] = add(one, times_power_of_two(d[i], n[i]));
        y[i] = reciprocal_guess(d[i]);
    }
    for (int step = 0; step < 3; ++step) {
        EIGENLM_UNROLL
        for (std::size_t i = 0; i < N; ++i) y[i] = fma(y[i], fnma(d[i], y[i], one), y[i]);
    }
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < N; ++i) x[i] = mul(x[i], y[i]);
}
inline Vec silu(const Vec& x) {
    Vec y[] = {x};
    silu(y);
    return y[0];
}

/// The first `count` lanes of p, zeros behind them.
/// @{
[[gnu::noinline]] inline Vec load_some(const float* p, std::size_t count) {
    alignas(64) float padded[lanes] = {};
    __builtin_memcpy(padded, p, count * sizeof(float));
    return load(padded);
}
inline Vec load_first(const float* p, std::size_t count) { return count == lanes ? load(p) : load_some(p, count); }
/// @}
/// Stores the first `count` lanes.
/// @{
[[gnu::noinline]] inline void store_some(float* p, std::size_t count, const Vec& v) {
    alignas(64) float padded[lanes];
    store(padded, v);
    __builtin_memcpy(p, padded, count * sizeof(float));
}
inline void store_first(float* p, std::size_t count, const Vec& v) {
    if (count == lanes)
        store(p, v);
    else
        store_some(p, count, v);
}
/// @}

/// body(load, store) at every 16 of n numbers: the last step sees zeros behind the end, and does not write them.
template <class Body>
inline void each_vector(std::size_t n, const Body& body) {
    std::size_t i = 0;
    for (; i + lanes <= n; i += lanes)
        body([i](const float* p) { return load(p + i); }, [i](float* p, const Vec& v) { store(p + i, v); });
    if (const std::size_t rest = n - i; rest != 0)
        body([=](const float* p) { return load_first(p + i, rest); },
             [=](float* p, const Vec& v) { store_first(p + i, rest, v); });
}
