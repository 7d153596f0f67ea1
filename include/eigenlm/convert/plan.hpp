#pragma once
// What a GGUF file is to hold: metadata, and tensors with the places that their numbers come from.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../file/gguf_splits.hpp"
#include "../file/gguf_writer.hpp"
#include "../weights/gguf_tensors.hpp"
#include "../weights/names.hpp"
#include "../weights/quantised_types.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// The types that whole models can be stored in.
inline constexpr Dtype all_file_types[] = {
    Dtype::f32,  Dtype::f16,  Dtype::bf16, Dtype::q8_0, Dtype::q4_0, Dtype::q4_1,   Dtype::q5_0,   Dtype::q5_1,
    Dtype::q2_k, Dtype::q3_k, Dtype::q4_k, Dtype::q5_k, Dtype::q6_k, Dtype::iq4_nl, Dtype::iq4_xs,
};
/// The one of that name, in upper or lower case. Throws ArgumentError, naming `where` and all of them.
inline Dtype file_type_from_string(std::string name, const char* where) {
    for (char& c : name)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return detail::named(all_file_types, name, where);
}

namespace detail {

/// A tensor of the file to be.
struct PlannedTensor {
    GgufTensorInfo info;
    Tensor source;
};
/// All of a file.
struct FilePlan {
    GgufMetadata metadata;
    std::vector<PlannedTensor> tensors;  // in the order of the file
};

/// general.file_type: what llama.cpp calls a file whose matrices have this type.
constexpr std::uint32_t gguf_file_type(Dtype type) {
    switch (type) {
        case Dtype::f16:
            return 1;
        case Dtype::q4_0:
            return 2;
        case Dtype::q4_1:
            return 3;
        case Dtype::q8_0:
            return 7;
        case Dtype::q5_0:
            return 8;
        case Dtype::q5_1:
            return 9;
        case Dtype::q2_k:
            return 10;
        case Dtype::q3_k:
            return 11;  // Q3_K_S: the others mix types
        case Dtype::q4_k:
            return 14;  // Q4_K_S
        case Dtype::q5_k:
            return 16;  // Q5_K_S
        case Dtype::q6_k:
            return 18;
        case Dtype::iq4_nl:
            return 25;
        case Dtype::iq4_xs:
            return 30;
        case Dtype::bf16:
            return 32;
        default:
            return 0;  // F32
    }
}

/// The type that a tensor takes in a file whose matrices are to have type `wish`: vectors are f32.
inline Dtype planned_type(Dtype wish, std::string_view name, const std::vector<std::size_t>& shape, bool tied) {
    if (shape.size() == 1) return Dtype::f32;
    if (!is_quantised(wish)) return wish;
    return quantised_type(wish, name == (tied ? "token_embd.weight" : "output.weight"), shape.back());
}

/// general.file_type, and what belongs to it.
inline void set_file_type(Dtype type, GgufMetadata& metadata) {
    constexpr std::uint32_t version = 2;  // of the blocks' layout
    metadata.set("general.file_type", gguf_number(gguf_file_type(type)));
    metadata.set("general.quantization_version", gguf_number(version));
}

/// A GGUF model: its metadata, its tensors in its own order.
inline FilePlan plan_file(const GgufFiles& files, const ModelConfig& config, Dtype type) {
    FilePlan plan{files.metadata(), {}};
    for (const char* key : {"split.no", "split.count", "split.tensors.count"}) plan.metadata.erase(key);
    set_file_type(type, plan.metadata);
    const GgufTensors known(files, config);  // refuses tensors that are not the model's
    each_tensor(config, [&](const std::string& name, const std::vector<std::size_t>& shape) {
        known.tensor(name, shape);  // ... that are missing, or have another shape
    });
    for (const GgufFile& file : files.files())
        for (const std::string& name : file.names()) {
            Tensor source = file.tensor(name);
            const Dtype dtype = planned_type(type, name, source.shape, config.tie_word_embeddings);
            plan.tensors.push_back({{name, source.shape, dtype}, std::move(source)});
        }
    return plan;
}

}  // namespace detail

}  // namespace eigenlm::inline EIGENLM_ABI
