// Levels and their names: what EIGENLM_ISA takes, and what it does not.
#include <gtest/gtest.h>

#include <cstdlib>
#include <eigenlm/kernels/dispatch.hpp>
#include <string>

#include "support/expect_error.hpp"

namespace {

using eigenlm::Isa;

/// Sets EIGENLM_ISA for one test, and puts it back.
class Wish {
  public:
    explicit Wish(const char* value) {
        if (const char* before = std::getenv("EIGENLM_ISA")) before_ = before, had_one_ = true;
        value ? setenv("EIGENLM_ISA", value, 1) : unsetenv("EIGENLM_ISA");
    }
    ~Wish() { had_one_ ? setenv("EIGENLM_ISA", before_.c_str(), 1) : unsetenv("EIGENLM_ISA"); }

  private:
    std::string before_;
    bool had_one_ = false;
};

TEST(Isa, HasNamesThatLeadBackToIt) {
    for (const Isa isa : eigenlm::all_isas) EXPECT_EQ(eigenlm::isa_from_string(to_string(isa), "here"), isa);
    EXPECT_STREQ(to_string(Isa::eigen), "eigen");
    EXPECT_STREQ(to_string(Isa::portable), "portable");
}

TEST(Isa, RefusesOtherNamesAndTellsTheRightOnes) {
    for (const char* name : {"", "Portable", "eigen ", "avx1024", "portable,eigen"})
        support::expect_error<eigenlm::ArgumentError>(
            [&] { eigenlm::isa_from_string(name, "EIGENLM_ISA"); },
            {"EIGENLM_ISA: ", "eigen, portable", "\"" + std::string(name) + "\""});
}

TEST(Isa, ComesFromTheEnvironmentOrIsTheBest) {
    {
        const Wish wish("eigen");
        EXPECT_EQ(eigenlm::default_isa(), Isa::eigen);
    }
    {
        const Wish wish("portable");
        EXPECT_EQ(eigenlm::default_isa(), Isa::portable);
    }
    for (const char* none : {static_cast<const char*>(nullptr), ""}) {
        const Wish wish(none);
        EXPECT_EQ(eigenlm::default_isa(), eigenlm::best_isa());
    }
    const Wish wish("nonsense");
    support::expect_error<eigenlm::ArgumentError>([] { (void)eigenlm::default_isa(); },
                                                  {"EIGENLM_ISA", "\"nonsense\""});
}

TEST(Isa, IsNeverThePlainEigenOneByItself) { EXPECT_NE(eigenlm::best_isa(), Isa::eigen); }

TEST(Isa, ThatComputesOtherBitsIsNeverChosenByItself) {
    EXPECT_NE(eigenlm::best_isa(), Isa::avx512_bf16);
    for (const Isa isa : eigenlm::all_isas) EXPECT_EQ(with_numerics(isa, eigenlm::Numerics::same_bits), isa);
}

TEST(Isa, FastestNumericsReplaceAvx512WhereTheMachineHasMore) {
    for (const Isa isa : eigenlm::all_isas) {
        const bool replaced = isa == Isa::avx512 && eigenlm::runs(Isa::avx512_bf16);
        EXPECT_EQ(with_numerics(isa, eigenlm::Numerics::fastest), replaced ? Isa::avx512_bf16 : isa) << to_string(isa);
    }
}

TEST(Numerics, HaveNamesThatLeadBackToThem) {
    for (const auto numerics : eigenlm::all_numerics)
        EXPECT_EQ(eigenlm::numerics_from_string(to_string(numerics), "here"), numerics);
    support::expect_error<eigenlm::ArgumentError>([] { eigenlm::numerics_from_string("fast", "--numerics"); },
                                                  {"--numerics", "same-bits, fastest", "\"fast\""});
}

TEST(Isa, HasATableOfItsOwnWithNoHoles) {
    for (const Isa isa : eigenlm::available_isas()) {
        const auto& table = eigenlm::kernels(isa);
        EXPECT_EQ(table.isa, isa);
        EXPECT_TRUE(table.matmul_f32 && table.matmul_bf16 && table.matmul_f16 && table.pack_bf16);
        EXPECT_TRUE(table.rms_norm && table.rope && table.attend[0] && table.finish_attention);
        EXPECT_TRUE(table.silu_mul && table.add && table.exp_shifted);
    }
}

TEST(Isa, IsRefusedWhereTheMachineDoesNotRunIt) {
    for (const Isa isa : eigenlm::all_isas) {
        EXPECT_TRUE(isa == Isa::avx512_bf16 || eigenlm::runs(isa) == (isa <= eigenlm::best_isa())) << to_string(isa);
        if (eigenlm::runs(isa)) {
            EXPECT_EQ(eigenlm::require_runs(isa, "here"), isa);
            continue;
        }
        support::expect_error<eigenlm::ArgumentError>([&] { (void)eigenlm::require_runs(isa, "here"); },
                                                      {"here", to_string(eigenlm::best_isa()), to_string(isa)});
        support::expect_error<eigenlm::ArgumentError>([&] { (void)eigenlm::kernels(isa); }, {to_string(isa)});
        const Wish wish(to_string(isa));
        support::expect_error<eigenlm::ArgumentError>([] { (void)eigenlm::default_isa(); }, {"EIGENLM_ISA"});
    }
}

}  // namespace
