#pragma once
// eigenlm: language models of the Llama, Mistral and Qwen families on the CPU. Everything, in reading order.
//
//     auto lm = eigenlm::load("Qwen2.5-0.5B-Instruct");
//     for (std::string_view piece : lm.generate("Once upon a time", {.max_new_tokens = 64})) std::cout << piece << std::flush;

/// @namespace eigenlm
/// Everything of this library. What lies below `eigenlm::detail` is its own business and may change at any time.

/// @namespace eigenlm::unicode
/// UTF-8, character classes and normalization, as Hugging Face tokenizers know them.

/// @namespace eigenlm::byte_level
/// How vocabularies in JSON files write tokens that are arbitrary bytes.

#include "base/abi.hpp"       // platform, version, the name of the binary interface
#include "base/error.hpp"     // the exceptions
#include "base/types.hpp"     // token ids, rows of numbers, 16-bit floats
#include "base/buffer.hpp"    // owned memory
#include "base/float_state.hpp"  // the processor's floating-point state
#include "base/processors.hpp"  // how many there are
#include "base/parallel.hpp"  // threads
#include "base/memory.hpp"    // how much there is
#include "base/progress.hpp"  // how long work reports and stops
#include "base/profile.hpp"   // where the time goes

#include "file/file.hpp"         // a file's bytes
#include "file/json.hpp"         // JSON that nobody vouches for
#include "file/tensor.hpp"       // a type, a shape, numbers
#include "file/safetensors.hpp"  // names -> tensors
#include "file/shards.hpp"       // the same, in several files
#include "file/checkpoint.hpp"   // a model folder

#include "tokenizer/tokenizer.hpp"       // text <-> ids
#include "tokenizer/stream_decoder.hpp"  // ids -> whole characters, as they come

#include "kernels/cpu.hpp"       // levels
#include "kernels/table.hpp"     // the seam to the machine
#include "kernels/dispatch.hpp"  // the tables

#include "weights/config.hpp"  // the shape of a model
#include "weights/matrix.hpp"  // packed matrices
#include "weights/layer.hpp"   // all of a model's
#include "weights/names.hpp"   // what checkpoints call them
#include "weights/read_config.hpp"  // config.json
#include "weights/load.hpp"    // names -> packed matrices
#include "weights/random.hpp"  // made-up weights, for measuring

#include "model/arch.hpp"         // Llama, Mistral, Qwen2, Qwen3
#include "model/compute.hpp"      // kernels over rows, on all threads
#include "model/rope_table.hpp"   // rotations
#include "model/kv_cache.hpp"     // keys and values so far
#include "model/pass.hpp"         // what one pass works on
#include "model/norm.hpp"         // RMS normalisation
#include "model/attention.hpp"    // grouped-query attention
#include "model/mlp.hpp"          // the gated feed-forward part
#include "model/block.hpp"        // a decoder block
#include "model/transformer.hpp"  // embedding, blocks, head

#include "run/workspace.hpp"  // what passes need beside the model
#include "run/prefill.hpp"    // many positions of one sequence
#include "run/decode.hpp"     // one position of several sequences
#include "run/naive.hpp"      // full recomputation

#include "generate/sampler.hpp"         // logits -> token
#include "generate/stop.hpp"            // stop texts
#include "generate/options.hpp"         // what a caller may ask
#include "generate/model.hpp"           // any architecture behind one type
#include "generate/session.hpp"         // the step level
#include "generate/generation.hpp"      // one answer
#include "generate/score.hpp"           // how likely a text is
#include "generate/language_model.hpp"  // the front door
