// The C++ blocks of docs/guide.md and README.md: all below one heading are one test, each in a scope of its own.
#include <gtest/gtest.h>

#include <algorithm>
#include <eigenlm/eigenlm.hpp>
#include <iostream>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

/// What the pages call `lm`.
const eigenlm::LanguageModel& tiny_model() {
    static const auto lm = eigenlm::load("Qwen2.5-0.5B-Instruct");
    return lm;
}

#include "blocks.inc"

}  // namespace
