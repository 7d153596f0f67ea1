#pragma once
// What this library needs from the compiler and the platform, its version, and the name of its binary interface.

#define EIGENLM_VERSION_MAJOR 0
#define EIGENLM_VERSION_MINOR 1
#define EIGENLM_VERSION_PATCH 0

#if !defined(__linux__)
#error "eigenlm runs on Linux only: it reserves memory and asks for CPU state through Linux's system calls"
#endif
#if !defined(__x86_64__) && !defined(__aarch64__)
#error "eigenlm supports x86-64 and aarch64 only"
#endif
#if !defined(__cpp_exceptions)
#error "eigenlm reports errors by exceptions: compile without -fno-exceptions"
#endif
#if defined(__clang__)
#if __clang_major__ < 14
#error "eigenlm needs clang 14 or newer"
#endif
#if defined(__FAST_MATH__)
#error \
    "eigenlm promises the same bits everywhere, and clang cannot switch -ffast-math off for a header: compile without it"
#endif
#elif defined(__GNUC__)
#if __GNUC__ < 12
#error "eigenlm needs g++ 12 or newer"
#endif
#else
#error "eigenlm needs g++ or clang"
#endif

// Everything lives in an inline namespace named after the version and after what the compiler may use everywhere: units
// built with other flags then have functions of their own (the linker would else keep one body of two, and a plain
// unit might run another's AVX), and handing objects from one to the other is a link error. EIGENLM_EIGEN_GEMM (see
// kernels/detail/eigen.hpp) and EIGENLM_PROFILE (see base/profile.hpp) make other functions, too.
#if !defined(EIGENLM_PROFILE)
#define EIGENLM_PROFILE 0
#endif
#if defined(__AVX512F__)
#define EIGENLM_ABI_FLAGS v0_1_avx512
#elif defined(__FMA__)
#define EIGENLM_ABI_FLAGS v0_1_fma
#elif defined(__AVX__)
#define EIGENLM_ABI_FLAGS v0_1_avx
#else
#define EIGENLM_ABI_FLAGS v0_1
#endif
#if defined(EIGENLM_EIGEN_GEMM)
#define EIGENLM_ABI_GEMM _gemm
#else
#define EIGENLM_ABI_GEMM
#endif
#if EIGENLM_PROFILE
#define EIGENLM_ABI_PROFILE _profile
#else
#define EIGENLM_ABI_PROFILE
#endif
#define EIGENLM_JOIN_(a, b, c) a##b##c
#define EIGENLM_JOIN(a, b, c) EIGENLM_JOIN_(a, b, c)
#define EIGENLM_ABI EIGENLM_JOIN(EIGENLM_ABI_FLAGS, EIGENLM_ABI_GEMM, EIGENLM_ABI_PROFILE)

// Floating-point arithmetic between these two is done as it is written, whatever flags the including unit is built
// with: no contraction of a*b+c, no reassociation. Regions do not nest, and contain no
// #include but of *-inl.hpp fragments.
#if defined(__clang__)
#define EIGENLM_EXACT_BEGIN _Pragma("float_control(push)") _Pragma("clang fp contract(off)")
#define EIGENLM_EXACT_END _Pragma("float_control(pop)")
#else
#define EIGENLM_EXACT_BEGIN _Pragma("GCC push_options") _Pragma("GCC optimize(\"fp-contract=off\",\"no-fast-math\")")
#define EIGENLM_EXACT_END _Pragma("GCC pop_options")
#endif

// How a program gets the large functions. By default every unit that uses them compiles them, as inline functions. In a
// program all of whose units define EIGENLM_EXTERN_TEMPLATES they are only declared, and the one unit that defines
// EIGENLM_INSTANTIATE as well has their definitions; instantiate.cpp is such a unit.
#if !defined(EIGENLM_EXTERN_TEMPLATES)
#define EIGENLM_LARGE inline
#define EIGENLM_DEFINE_LARGE 1
#elif defined(EIGENLM_INSTANTIATE)
#define EIGENLM_LARGE
#define EIGENLM_DEFINE_LARGE 1
#else
#define EIGENLM_LARGE
#define EIGENLM_DEFINE_LARGE 0
#endif
