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

/// The nearest whole number, ties to even. Numbers from 2^22 on are left as they are.
inline Vec round_to_whole(const Vec& x) {
    const Vec rounder = set1(12582912.0f), limit = set1(4194304.0f);
    const Mask small = less(max(x, sub(set1(0.0f), x)), limit);
    return select(small, sub(add(x, rounder), rounder), x);
}

/// The polynomial for 2^r, r in [-1/2, 1/2], with the least relative error, 1.6e-8: 1 + r (c0 + r (c1 + ...)).
inline constexpr float exp2_coefficients[] = {0.693147182f,   0.240226477f, 0.0555033237f,
                                              0.00961843692f, 0.0013398875f, 0.00015353362f};

/// 2^x of N vectors, in place, x < 127. From -127 on down it is exactly 0; between that and -126 it is subnormal, which
/// counts as 0. NaNs stay NaNs.
template <std::size_t N>
[[gnu::always_inline]] inline void exp2(Vec (&x)[N]) {
    constexpr std::size_t degree = sizeof exp2_coefficients / sizeof *exp2_coefficients;
    const Vec rounder = set1(12582912.0f), one = set1(1.0f), lowest = set1(-127.0f);
    Vec power[N];
    VecInt n[N];
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < N; ++i) {
        x[i] = max(lowest, x[i]);
        const Vec shifted = add(x[i], rounder);
        n[i] = bits(shifted);  // the rounder's own bits are shifted out
        x[i] = sub(x[i], sub(shifted, rounder));
        power[i] = fma(set1(exp2_coefficients[degree - 1]), x[i], set1(exp2_coefficients[degree - 2]));
    }
    EIGENLM_UNROLL
    for (std::size_t c = degree - 2; c > 0; --c) {
        EIGENLM_UNROLL
        for (std::size_t i = 0; i < N; ++i) power[i] = fma(power[i], x[i], set1(exp2_coefficients[c - 1]));
    }
    EIGENLM_UNROLL
    for (std::size_t i = 0; i < N; ++i) x[i] = times_power_of_two(fma(power[i], x[i], one), n[i]);
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

/// Lane r of the result is made of 16 numbers at rows + 16 r. Levels that can turn rows into columns have their own.
/// @{
template <class Float>
inline Vec max_of_each(const Float* rows) {
    alignas(64) float each[lanes];
    for (std::size_t r = 0; r < lanes; ++r) each[r] = max(load(rows + r * lanes));
    return load(each);
}
template <class Float>
inline Vec sum_of_each(const Float* rows) {
    alignas(64) float each[lanes];
    for (std::size_t r = 0; r < lanes; ++r) each[r] = sum(load(rows + r * lanes));
    return load(each);
}
/// @}

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
