#pragma once
// Which quantised type each matrix of a model takes when somebody asks for one.
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "names.hpp"
#include "quantised.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// The type nearest to `wish` whose blocks divide rows of so many inputs: llama.cpp's choices, so that files of ours
/// and of theirs hold the same types. Rows that no block divides become f16.
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

/// Whether a matrix is the head.
inline bool is_head(const ModelConfig& config, const TensorNames& names) {
    return names.front().name == (config.tie_word_embeddings ? embedding_names(config) : head_names(config))[0].name;
}

/// The parts of a matrix whose tensors have these types. Tensors of one type are one part, and so are those whose rows
/// lie in turn. Where that cannot be (types whose products take different inputs, or rows in turn of two types), and
/// where quantised types are to lie in rows, all become f32, which holds the same numbers.
inline std::vector<Matrix<Quantised>::Shape> parts_of(std::span<const Dtype> types, const TensorNames& names,
                                                      std::size_t outputs, bool in_turn, WeightLayout layout) {
    const bool together = std::ranges::all_of(types, [&](Dtype type) {
        const bool lies_so = layout == WeightLayout::panels || !is_quantised(type);
        return lies_so && Matrix<Quantised>::input_of(type) == Matrix<Quantised>::input_of(types[0]) &&
               (!in_turn || type == types[0]);
    });
    if (!together) return {{Dtype::f32, outputs}};
    if (in_turn) return {{types[0], outputs}};
    std::vector<Matrix<Quantised>::Shape> parts;
    for (std::size_t i = 0; i < types.size(); ++i) {
        if (parts.empty() || parts.back().dtype != types[i]) parts.push_back({types[i], 0});
        parts.back().outputs += names[i].rows;
    }
    return parts;
}

}  // namespace eigenlm::inline EIGENLM_ABI
