// Included inside each level's namespace, once per level: elementary functions on that level's Vec.
// No include guard, no #include: it stands within a region (EIGENLM_EXACT_BEGIN in base/abi.hpp).

/// e^x. Reduction to r in [-ln2/2, ln2/2] with ln2 in two parts, Taylor polynomial of degree 7 (error < 6e-9 there),
/// scaling by 2^n in two factors, so that neither leaves the range of normal numbers before the result does.
/// Results below 2^-126 are 0.
inline Vec exp(const Vec& x) {
    const Vec rounder = set1(12582912.0f);  // 1.5 * 2^23: adding it leaves the nearest whole number in the low bits
    const Vec shifted = fma(x, set1(1.44269502f), rounder);
    const VecInt n = sub(bits(shifted), bits(rounder));
    const Vec whole = sub(shifted, rounder);
    const Vec r = fma(whole, set1(-1.42860677e-6f), fma(whole, set1(-0.693145752f), x));
    Vec p = set1(1.0f / 5040);
    p = fma(p, r, set1(1.0f / 720));
    p = fma(p, r, set1(1.0f / 120));
    p = fma(p, r, set1(1.0f / 24));
    p = fma(p, r, set1(1.0f / 6));
    p = fma(p, r, set1(0.5f));
    p = fma(p, r, set1(1.0f));
    p = fma(p, r, set1(1.0f));
    const VecInt low = half(n);
    const Vec scaled = mul(mul(p, power_of_two(low)), power_of_two(sub(n, low)));
    const Vec not_tiny = select(less(x, set1(-87.3365402f)), set1(0.0f), scaled);
    return select(less(set1(88.7228317f), x), set1(__builtin_inff()), not_tiny);
}

/// x / (1 + e^-x). The reciprocal of d = 1 + e^-x: a guess from its bits, within 12 % (the exponent's sign turned
/// around), and three Newton steps, each of which squares the error; a division would take longer than all of it. -x is
/// limited to 88, so that d is finite.
inline Vec silu(const Vec& x) {
    const Vec one = set1(1.0f), limit = set1(88.0f), negative = sub(set1(0.0f), x);
    const Vec d = add(one, exp(select(less(limit, negative), limit, negative)));
    const Vec minus_d = sub(set1(0.0f), d);
    Vec y = reciprocal_guess(d);
    for (int i = 0; i < 3; ++i) y = fma(y, fma(minus_d, y, one), y);
    return mul(x, y);
}

/// The first `count` lanes of p, zeros behind them.
inline Vec load_first(const float* p, std::size_t count) {
    if (count == lanes) return load(p);
    alignas(64) float padded[lanes] = {};
    __builtin_memcpy(padded, p, count * sizeof(float));
    return load(padded);
}
inline void store_first(float* p, std::size_t count, const Vec& v) {
    if (count == lanes) return store(p, v);
    alignas(64) float padded[lanes];
    store(padded, v);
    __builtin_memcpy(p, padded, count * sizeof(float));
}

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
