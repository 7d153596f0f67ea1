// Included inside a level's namespace, behind quantised_rows-inl.hpp: products of many rows with quantised weights, a
// group of inputs times 16 outputs at a time, by a unit that multiplies tiles of bytes. The same arithmetic: a unit's
// sums are exact, and what is made of them is what others make of theirs.
//
// A unit has multiply<Group>(numbers, stride, rows, codes, sums, turn): the sums [16][16] of `rows` rows, from one to
// the next `stride` bytes, of Group numbers, times codes [Group / 4][16][4] around 0. Products of the same turn, 0 or
// 1, may wait for each other.

/// Codes of zero 2^shift, less it.
inline void centre(const WidenedFormat& f, std::size_t inputs, WidenedPanel& panel) {
    if (f.zero_shift < 0) return;
    for (std::size_t i = 0; i < inputs * lanes; ++i)
        panel.codes[i] = static_cast<std::uint8_t>(panel.codes[i] - (1 << f.zero_shift));
}

/// Groups whose products are made at a time, while those of as many before them are taken into the sums.
inline constexpr std::size_t tile_groups = 4, tile_rows = 16;
using TileProducts = std::int32_t[tile_groups][tile_rows * lanes];

/// Some groups' products of R rows, from number `row` on, with a panel, taken into the rows' sums.   x: row 0's first
/// chunk of the part, stride floats from row to row; first: number of the first group
template <std::size_t R, std::size_t Group>
inline void take_products(const WidenedFormat& f, const WidenedPanel& panel, const float* x, std::size_t stride,
                          std::size_t first, std::size_t count, const TileProducts& products, std::size_t row,
                          const Part& part) {
    constexpr std::size_t groups = quantised_chunk / Group;
    float* const sums = part.sums + row * part.stride;
    const auto take = [&](auto minimum) {
        Vec total[R];
        EIGENLM_UNROLL
        for (std::size_t r = 0; r < R; ++r) total[r] = load(sums + r * part.stride);
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t g = first + i;
            const RowInputs<R> rows(x + row * stride + g / groups * lanes, stride);
            const Vec scale = load(panel.scales + g * lanes);
            EIGENLM_UNROLL
            for (std::size_t r = 0; r < R; ++r) {
                const auto& in = *reinterpret_cast<const QuantisedInputs*>(rows.row(r));
                total[r] = add_sum(load_int(products[i] + (row + r) * lanes), scale, in.scale, total[r]);
                if constexpr (minimum)
                    total[r] = add_least(load(panel.minima + g * lanes), scaled_sum<Group>(in, g % groups), total[r]);
            }
        }
        EIGENLM_UNROLL
        for (std::size_t r = 0; r < R; ++r) store(sums + r * part.stride, total[r]);
    };
    if (f.minimum)
        take(std::true_type());
    else
        take(std::false_type());
}

/// Up to 16 rows of a panel, a part of the inputs; part.sums are zeros at first.   x, stride: as above
template <std::size_t Group, class Unit>
inline void multiply_tiles(const Unit& unit, const WidenedFormat& f, const WidenedPanel& panel, const float* x,
                           std::size_t stride, std::size_t rows, const Part& part) {
    constexpr std::size_t groups_of_chunk = quantised_chunk / Group;
    const std::size_t groups = (part.end - part.begin) / Group;
    alignas(64) TileProducts products[2];
    const auto count = [&](std::size_t first) { return groups - first < tile_groups ? groups - first : tile_groups; };
    const auto multiply = [&](std::size_t first) {
        for (std::size_t i = 0; i < count(first); ++i) {
            const std::size_t g = first + i;
            const auto* const in = reinterpret_cast<const QuantisedInputs*>(x + g / groups_of_chunk * lanes);
            unit.template multiply<Group>(in->numbers + g % groups_of_chunk * Group, stride * sizeof(float), rows,
                                          panel.codes + g * Group * lanes, products[g / tile_groups % 2][i], g % 2);
        }
    };
    multiply(0);
    for (std::size_t g = 0; g < groups; g += tile_groups) {
        if (g + tile_groups < groups) multiply(g + tile_groups);
        const TileProducts& made = products[g / tile_groups % 2];
        if (rows == tile_rows)
            take_products<tile_rows, Group>(f, panel, x, stride, g, count(g), made, 0, part);
        else
            for (std::size_t r = 0; r < rows; ++r)
                take_products<1, Group>(f, panel, x, stride, g, count(g), made, r, part);
    }
}

/// Several rows of a format whose panels `widen` makes bytes of.
template <std::size_t Group, class Unit>
inline void multiply_quantised_tiles(const MatmulQuantised& m, std::size_t first, std::size_t last,
                                     void (*widen)(const std::byte*, std::size_t, WidenedPanel&)) {
    constexpr std::size_t height = tile_rows, G = 2;
    const WidenedFormat f = widened_format(m.dtype);
    const Unit unit(Group, m.x.rows % height);
    const auto widen_signed = [&](const std::byte* from, std::size_t inputs, WidenedPanel& to) {
        widen(from, inputs, to);
        centre(f, inputs, to);
    };
    const auto steps = [](std::size_t rows) { return ceil_div(rows, height); };
    each_widened_part<G>(m, first, last, widen_signed, steps, [&](WidenedPart<G>& all) {
        for (std::size_t row = all.row; row < all.end_row; row += height) {
            const std::size_t rows = all.end_row - row < height ? all.end_row - row : height;
            const float* const x = m.x[row] + all.begin / quantised_chunk * lanes;
            Part part = all.of_row(row);
            all.fetch.step();
            if (all.last) fetch_out(m, row, rows, all.panel, all.stop);
            for (std::size_t g = 0; g < G; ++g, part.sums += lanes)
                multiply_tiles<Group>(unit, f, all.panels[g], x, m.x.stride, rows, part);
            if (all.last) finish(m, row, rows, all.panel, all.stop, part.sums - G * lanes, G * lanes);
        }
    });
}

template <class Unit>
inline void matmul_quantised_on(const MatmulQuantised& m, std::size_t first, std::size_t last) {
    with_quantised(m.dtype, [&](auto type) {
        if (m.x.rows < tile_rows)
            multiply_quantised<type()>(m, first, last);
        else
            multiply_quantised_tiles<panel_format(type()).group, Unit>(m, first, last, widen_panel<type()>);
    });
}
