#pragma once
// Which quantised type each matrix of a model takes when somebody asks for one.
#include <cstddef>

#include "../file/dtype.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// The type nearest to `wish` whose blocks divide rows of so many inputs: llama.cpp's choices, so that files of ours and
/// of theirs hold the same types. Rows that no block divides become f16.
constexpr Dtype type_that_divides(Dtype wish, std::size_t inputs) {
    const auto divides = [inputs](Dtype type) { return inputs % layout_of(type).block_elements == 0; };
    if (divides(wish)) return wish;
    const Dtype smaller = wish == Dtype::q4_k   ? Dtype::q5_0
                          : wish == Dtype::q5_k ? Dtype::q5_1
                          : wish == Dtype::q6_k ? Dtype::q8_0
                                                : Dtype::iq4_nl;  // q2_K, q3_K, iq4_xs
    return is_quantised(wish) && layout_of(wish).block_elements > 32 && divides(smaller) ? smaller : Dtype::f16;
}

/// The type that a matrix takes in a model quantised as `wish`. The head (and the embedding where it is the head, too)
/// decides between tokens without anything behind it that could mend its errors: it keeps six bits at least.
constexpr Dtype quantised_type(Dtype wish, bool head, std::size_t inputs) {
    return type_that_divides(head && wish != Dtype::q8_0 ? Dtype::q6_k : wish, inputs);
}

}  // namespace eigenlm::inline EIGENLM_ABI
