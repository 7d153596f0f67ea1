#pragma once
// What a tokenizer is made of, whatever file it comes from.
#include "added_tokens.hpp"
#include "bpe.hpp"
#include "normalizer.hpp"
#include "pre_tokenizer.hpp"
#include "read_post_processor.hpp"
#include "token_text.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// What a tokenizer is made of.
struct TokenizerParts {
    Bpe bpe;                     ///< vocabulary and merges
    AddedTokens added;           ///< found in the text before anything else
    Normalizer normalizer;       ///< rewrites text
    PreTokenizer pre_tokenizer;  ///< cuts it
    DecodeRules decoding;        ///< from tokens back to text
    SpecialFrame frame;          ///< the post-processor's
};

}  // namespace eigenlm::inline EIGENLM_ABI
