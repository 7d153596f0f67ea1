#pragma once
// Compiles a region of code for instructions that the command line did not ask for.
//
// Between EIGENLM_TARGET_BEGIN(features) and EIGENLM_TARGET_END functions, templates and lambdas may use the features,
// and arithmetic is exact as between EIGENLM_EXACT_BEGIN and EIGENLM_EXACT_END. What compilers demand of a region:
// it opens outside all namespaces, does not nest, and contains no #include but of *-inl.hpp fragments; it names
// features, never an architecture (g++ would inline nothing); no vector type crosses its border; no friends, no vector
// constants at namespace scope, constructors written out, no lambda without captures that returns a vector.
#include "../base/abi.hpp"

#define EIGENLM_STRING_(x) #x
#define EIGENLM_STRING(x) EIGENLM_STRING_(x)

#if defined(__x86_64__)
#if defined(__clang__)
#define EIGENLM_TARGET_BEGIN(features) \
    EIGENLM_EXACT_BEGIN _Pragma(       \
        EIGENLM_STRING(clang attribute push(__attribute__((target(features))), apply_to = function)))
#define EIGENLM_TARGET_END _Pragma("clang attribute pop") EIGENLM_EXACT_END
#else
#define EIGENLM_TARGET_BEGIN(features) EIGENLM_EXACT_BEGIN _Pragma(EIGENLM_STRING(GCC target(features)))
#define EIGENLM_TARGET_END EIGENLM_EXACT_END
#endif

// avx512bf16 is in AVX-512's set so that instances of its templates may hold the instructions of level avx512_bf16: no
// compiler chooses these by itself, and processors without them run the others.
#define EIGENLM_AVX2 "avx,avx2,fma,f16c,bmi,bmi2"
#define EIGENLM_AVX512 EIGENLM_AVX2 ",avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"
#define EIGENLM_AVX512_VNNI EIGENLM_AVX512 ",avx512vnni"
#define EIGENLM_AMX EIGENLM_AVX512 ",avx512vbmi,amx-tile,amx-bf16"
#define EIGENLM_AMX_INT8 EIGENLM_AVX512_VNNI ",avx512vbmi,amx-tile,amx-bf16,amx-int8"
#endif

// Before a loop of few rounds, known at compile time: all of them, so that arrays of vectors live in registers. And
// before an inner loop: so many rounds at a time. Not where sanitizers check each access: that would take the compiler
// twice as long, and find nothing else.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EIGENLM_SANITIZED 1
#elif defined(__has_feature)
#define EIGENLM_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#endif
#if defined(EIGENLM_SANITIZED) && EIGENLM_SANITIZED
#define EIGENLM_UNROLL
#define EIGENLM_UNROLL_BY(rounds)
#elif defined(__clang__)
#define EIGENLM_UNROLL _Pragma("clang loop unroll(full)")
#define EIGENLM_UNROLL_BY(rounds) _Pragma(EIGENLM_STRING(clang loop unroll_count(rounds)))
#else
#define EIGENLM_UNROLL _Pragma("GCC unroll 16")
#define EIGENLM_UNROLL_BY(rounds) _Pragma(EIGENLM_STRING(GCC unroll rounds))
#endif
#undef EIGENLM_SANITIZED
