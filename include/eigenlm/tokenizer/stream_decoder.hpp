#pragma once
// Text from tokens that come one at a time: only whole characters are given out.
#include <cstddef>
#include <string>
#include <string_view>

#include "../base/types.hpp"
#include "tokenizer.hpp"
#include "unicode.hpp"

namespace eigenlm::inline EIGENLM_ABI {

/// Decodes a stream of tokens. What push() and flush() return, put together, is Tokenizer::decode of the same ids.
/// After the constructor nothing is allocated. Not for use by two threads at once.
class StreamDecoder {
  public:
    /// `tokenizer` must outlive this object.
    explicit StreamDecoder(const Tokenizer& tokenizer, DecodeOptions options = {})
        : tokenizer_(&tokenizer), options_(options), state_(options.continues) {
        buffer_.reserve(tokenizer.longest_token() + 3);  // beside a token, at most 3 bytes of an unfinished character
    }

    /// Adds a token and returns the text that is complete now, possibly none: UTF-8 up to the last whole character, and
    /// bytes that no continuation can make UTF-8. Valid until the next call. Throws ArgumentError, with the stream
    /// unchanged, for an id that is no token.
    std::string_view push(TokenId id) {
        (void)tokenizer_->token_bytes(id);
        drop_given();
        tokenizer_->append(id, options_, state_, buffer_);
        given_ = buffer_.size() - unicode::incomplete_utf8_suffix(buffer_);
        return {buffer_.data(), given_};
    }

    /// The rest, an unfinished character's bytes, at the end of a text; the stream then starts anew. Valid until the
    /// next call.
    std::string_view flush() {
        drop_given();
        state_ = TextState(options_.continues);
        given_ = buffer_.size();
        return buffer_;
    }

  private:
    void drop_given() {
        buffer_.erase(0, given_);
        given_ = 0;
    }

    const Tokenizer* tokenizer_;
    DecodeOptions options_;
    TextState state_;
    std::string buffer_;
    std::size_t given_ = 0;  // bytes at its start that the last call returned
};

}  // namespace eigenlm::inline EIGENLM_ABI
