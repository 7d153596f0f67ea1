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

/// @namespace eigenlm::jinja
/// The language of chat templates: parsing, values, rendering. ChatTemplate is what programs use of it.

#include "base/abi.hpp"       // platform, version, the name of the binary interface
#include "base/error.hpp"     // the exceptions
#include "base/types.hpp"     // token ids, rows of numbers, 16-bit floats
#include "base/utf8.hpp"      // bytes <-> characters
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
#include "file/dtype.hpp"        // numbers and blocks of numbers
#include "file/dequantise.hpp"   // blocks -> floats
#include "file/quantise_simple.hpp"  // floats -> blocks that have a rule
#include "file/quantise_search.hpp"  // what the other ones' searches share
#include "file/quantise_lines.hpp"   // blocks with least values
#include "file/quantise_multiples.hpp"  // blocks around 0
#include "file/quantise_k.hpp"       // all of those, as bytes
#include "file/quantise.hpp"     // floats -> blocks
#include "file/gguf_values.hpp"  // what GGUF files say beside tensors
#include "file/gguf.hpp"         // names -> tensors, again
#include "file/gguf_splits.hpp"  // the same, in several files
#include "file/narrow.hpp"       // floats -> numbers and blocks
#include "file/new_file.hpp"     // a file that appears whole or not at all
#include "file/gguf_writer.hpp"  // tensors -> a GGUF file

#include "jinja/text.hpp"        // characters as Python knows them
#include "jinja/context.hpp"     // one rendering, and what it may use
#include "jinja/value.hpp"       // Python's values
#include "jinja/compare.hpp"     // == and <, and dicts
#include "jinja/print.hpp"       // str and repr
#include "jinja/sequence.hpp"    // iteration, slices, in
#include "jinja/arguments.hpp"   // arguments of calls
#include "jinja/format.hpp"      // one value in a format
#include "jinja/format_text.hpp"  // % and {}
#include "jinja/arithmetic.hpp"  // + - * / and the like
#include "jinja/string_methods.hpp"  // what strings can do
#include "jinja/methods.hpp"     // all methods, by type
#include "jinja/lookup.hpp"      // a.b and a[b]
#include "jinja/to_json.hpp"     // JSON <-> values
#include "jinja/tests.hpp"       // is ...
#include "jinja/number_filters.hpp"    // | int, round
#include "jinja/sequence_filters.hpp"  // | map, sort
#include "jinja/filters.hpp"     // all filters
#include "jinja/globals.hpp"     // range, namespace, raise_exception
#include "jinja/lexer.hpp"       // text -> tokens
#include "jinja/syntax.hpp"      // what templates are parsed into
#include "jinja/expressions.hpp"  // tokens -> expressions
#include "jinja/suffixes.hpp"    // what stands behind their operands
#include "jinja/parser.hpp"      // tokens -> statements
#include "jinja/scopes.hpp"      // which variable a name means
#include "jinja/scope.hpp"       // variables while rendering
#include "jinja/evaluate.hpp"    // statements
#include "jinja/evaluate_expression.hpp"  // expressions
#include "jinja/template.hpp"    // all of it together

#include "tokenizer/tokenizer.hpp"       // text <-> ids
#include "tokenizer/chat_template.hpp"   // a conversation -> text
#include "tokenizer/stream_decoder.hpp"  // ids -> whole characters, as they come
#include "tokenizer/write_gguf_tokenizer.hpp"  // tokenizer.json -> GGUF's metadata

#include "kernels/cpu.hpp"       // levels
#include "kernels/quantised_panels.hpp"  // quantised matrices as kernels read them
#include "kernels/table.hpp"     // the seam to the machine
#include "kernels/dispatch.hpp"  // the tables

#include "weights/config.hpp"  // the shape of a model
#include "weights/matrix.hpp"  // packed matrices
#include "weights/block_codes.hpp"       // quantised blocks taken apart
#include "weights/quantised_matrix.hpp"  // a quantised matrix
#include "weights/quantised.hpp"         // matrices of several types
#include "weights/layer.hpp"   // all of a model's
#include "weights/names.hpp"   // what checkpoints call them
#include "weights/quantised_types.hpp"   // which type each matrix takes
#include "weights/read_config.hpp"  // config.json
#include "weights/gguf_tensors.hpp"  // GGUF's names
#include "weights/rope_factors.hpp"  // GGUF's way to say Llama 3's scaling
#include "weights/read_gguf_config.hpp"  // GGUF's metadata
#include "weights/write_gguf_config.hpp"  // the shape of a model -> GGUF's metadata
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
#include "generate/conversation.hpp"    // several answers, with a chat template
#include "generate/score.hpp"           // how likely a text is
#include "generate/divergence.hpp"      // what two models differ in
#include "generate/language_model.hpp"  // the front door

#include "convert/plan.hpp"            // what a GGUF file is to hold
#include "convert/plan_folder.hpp"     // a model folder as a GGUF file
#include "convert/quantise_model.hpp"  // a whole model in another type
