// GGUF files that are good, and every way in which one is refused: which key or tensor, and why.
#include "eigenlm/file/gguf.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <eigenlm/file/gguf_splits.hpp>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/gguf.hpp"
#include "support/temporary_folder.hpp"

namespace {

using eigenlm::ErrorKind;
using eigenlm::GgufFile;
using eigenlm::GgufType;
using support::GgufBytes;

constexpr std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint32_t f32 = 0, f16 = 1, q4_0 = 2, iq2_xxs = 16;

class Folder : public support::TemporaryFolder {
  public:
    GgufFile open(const std::string& bytes) const {
        write("x.gguf", bytes);
        return GgufFile(*this / "x.gguf");
    }
};

/// A file of all kinds of values and a few tensors.
GgufBytes good() {
    GgufBytes file;
    file.set("general.architecture", "llama").set("u", 7u).set("f", 0.5f).set("b", true);
    file.set("strings", std::vector<std::string>{"a", "", "bcd"}).set("ints", std::vector<std::int32_t>{-1, 2});
    file.set("floats", std::vector<float>{0.25f, -1.0f});
    file.pair("bools", GgufBytes::array(GgufType::boolean, 2) + std::string("\1\0", 2));
    file.pair("i8", GgufBytes::type(GgufType::i8) + "\xff");
    file.pair("i64", GgufBytes::type(GgufType::i64) + GgufBytes::number(std::int64_t{-5}));
    file.pair("u64", GgufBytes::type(GgufType::u64) + GgufBytes::number(huge));
    file.pair("f64", GgufBytes::type(GgufType::f64) + GgufBytes::number(0.125));
    file.tensor("a", {3, 2}, f32, 0).tensor("b", {32}, q4_0, 32).tensor("c", {}, f16, 64);
    std::string data(66, '\0');
    const float values[] = {1, 2, 3, 4, 5, 6};
    std::memcpy(data.data(), values, sizeof(values));
    data[33] = 0x3c;  // a scale of 1
    data[65] = 0x3c;
    return file.data(data);
}

TEST(Gguf, GivesValuesAndTensors) {
    const Folder folder;
    const GgufFile file = folder.open(good().file());
    const auto& metadata = file.metadata();
    EXPECT_EQ(metadata.string("general.architecture"), "llama");
    EXPECT_EQ(metadata.integer("u", 0, 7), 7);
    EXPECT_EQ(metadata.integer("i8", -1, 0), -1);
    EXPECT_EQ(metadata.integer("i64", -5, -5), -5);
    EXPECT_EQ(metadata.number("f", 0, 1), 0.5);
    EXPECT_EQ(metadata.number("f64", 0, 1), 0.125);
    EXPECT_TRUE(metadata.boolean_or("b", false));
    EXPECT_EQ(metadata.numbers<std::int32_t>("ints"), (std::vector<std::int32_t>{-1, 2}));
    EXPECT_EQ(metadata.numbers<float>("floats"), (std::vector<float>{0.25f, -1.0f}));
    EXPECT_EQ(metadata.numbers<bool>("bools"), (std::vector<bool>{true, false}));
    std::vector<std::string> strings;
    metadata.each_string("strings", [&](std::size_t i, std::string_view text) {
        EXPECT_EQ(i, strings.size());
        strings.emplace_back(text);
    });
    EXPECT_EQ(strings, (std::vector<std::string>{"a", "", "bcd"}));
    EXPECT_EQ(metadata.integer_or("nothing", 3, 0, 9), 3);
    EXPECT_EQ(metadata.string_or("nothing", "x"), "x");

    EXPECT_EQ(file.tensor_count(), 3u);
    const auto a = file.tensor("a");
    EXPECT_EQ(a.shape, (std::vector<std::size_t>{2, 3}));
    std::vector<float> values(3);
    a.read(2, values);
    EXPECT_EQ(values, (std::vector<float>{3, 4, 5}));
    std::vector<float> block(32);
    file.tensor("b").read(0, block);
    EXPECT_EQ(block, std::vector<float>(32, -8.0f));
    EXPECT_EQ(file.tensor("c").size(), 1u);
    EXPECT_EQ(file.tensor("c").shape.size(), 0u);
}

TEST(Gguf, ReadsVersion2AndOtherAlignments) {
    const Folder folder;
    GgufBytes file;
    file.version = 2;
    file.set("general.alignment", 128u).tensor("a", {1}, f32, 128).data(std::string(132, 'x'));
    EXPECT_EQ(folder.open(file.file(128)).tensor("a").size(), 1u);
    GgufBytes bytes;
    bytes.set("general.alignment", 1u).tensor("a", {1}, f32, 0).tensor("b", {1}, f16, 4).data(std::string(6, 'x'));
    EXPECT_EQ(folder.open(bytes.file(1)).tensor("b").size(), 1u);
}

TEST(Gguf, WithoutTensorsItMayEndBehindItsMetadata) {
    const Folder folder;
    EXPECT_EQ(folder.open(GgufBytes().set("a", 1u).file()).tensor_count(), 0u);
    EXPECT_EQ(folder.open(GgufBytes().file()).metadata().all().size(), 0u);
}

TEST(Gguf, TruncatedAtAnyByteIsAFormatError) {
    const Folder folder;
    const std::string file = good().file();
    EXPECT_NO_THROW(folder.open(file));
    for (std::size_t size = 0; size < file.size(); ++size)
        support::expect_error<eigenlm::FormatError>([&] { folder.open(file.substr(0, size)); },
                                                    {(folder / "x.gguf").string()});
}

TEST(Gguf, ManyStringsAreOneValue) {
    const Folder folder;
    std::vector<std::string> many;
    for (int i = 0; i < 150'000; ++i) many.push_back("token " + std::to_string(i));
    const GgufFile file = folder.open(GgufBytes().set("many", many).file());
    std::size_t equal = 0;
    file.metadata().each_string("many", [&](std::size_t i, std::string_view text) { equal += text == many[i]; });
    EXPECT_EQ(equal, many.size());
}

struct Broken {
    const char* name;
    ErrorKind kind;
    std::vector<std::string_view> words;
    std::function<std::string()> bytes;
};

std::string with_key(const std::string& value) { return GgufBytes().pair("key", value).file(); }
std::string with_tensor(const std::vector<std::uint64_t>& sizes, std::uint32_t type = f32, std::uint64_t offset = 0) {
    return GgufBytes().tensor("name", sizes, type, offset).data(std::string(256, '\0')).file();
}
std::string with_counts(std::uint64_t tensors, std::uint64_t pairs) {
    GgufBytes file;
    file.tensor_count = tensors;
    file.pair_count = pairs;
    return file.file();
}
std::string of_version(std::uint32_t version) {
    GgufBytes file;
    file.version = version;
    return file.file();
}

const std::vector<Broken>& broken_files() {
    using enum ErrorKind;
    using T = GgufType;
    static const std::vector<Broken> files = {
        {"Empty", format, {"truncated"}, [] { return std::string(); }},
        {"Magic", format, {"GGUF"}, [] { return std::string(100, 'x'); }},
        {"Version1", unsupported, {"version", "1"}, [] { return of_version(1); }},
        {"Version4", unsupported, {"version", "4"}, [] { return of_version(4); }},
        {"Version0", unsupported, {"version", "0"}, [] { return of_version(0); }},
        {"BigEndian", unsupported, {"version", "big-endian"}, [] { return of_version(0x03000000); }},
        {"ManyTensors", format, {"tensor_count"}, [] { return with_counts(huge, 0); }},
        {"ManyKeys", format, {"metadata_kv_count"}, [] { return with_counts(0, std::uint64_t{1} << 60); }},
        {"KeyLength",
         format,
         {"metadata_kv[0].key"},
         [] { return with_counts(0, 1).append(GgufBytes::number(huge)).append(100, 'x'); }},
        {"KeyEmpty", format, {"metadata_kv[0].key", "empty"}, [] { return GgufBytes().set("", 1u).file(); }},
        {"KeyTwice", format, {"key", "again"}, [] { return GgufBytes().set("key", 1u).set("key", 2u).file(); }},
        {"ValueType", format, {"key", "type", "13"}, [] { return with_key(GgufBytes::number(13u) + "x"); }},
        {"ElementType",
         format,
         {"key", "type", "77"},
         [] { return with_key(GgufBytes::type(T::array) + GgufBytes::number(77u) + GgufBytes::number(huge)); }},
        {"StringLengthHuge",
         format,
         {"key", "18446744073709551615"},
         [] { return with_key(GgufBytes::type(T::string) + GgufBytes::number(huge)); }},
        {"StringLengthNegative",
         format,
         {"key"},
         [] { return with_key(GgufBytes::type(T::string) + GgufBytes::number(std::int64_t{-5}) + "text"); }},
        {"StringLengthBehindTheEnd",
         format,
         {"key", "truncated"},
         [] { return with_key(GgufBytes::type(T::string) + GgufBytes::number(std::uint64_t{5}) + "text"); }},
        {"ArrayOfArrays",
         unsupported,
         {"key", "array of arrays"},
         [] { return with_key(GgufBytes::array(T::array, 1) + GgufBytes::array(T::u8, 0)); }},
        {"ArrayCount", format, {"key"}, [] { return with_key(GgufBytes::array(T::u64, huge)); }},
        {"ArrayCountOfStrings",
         format,
         {"key"},
         [] { return with_key(GgufBytes::array(T::string, std::uint64_t{1} << 61) + std::string(64, '\0')); }},
        {"ArrayStringLength",
         format,
         {"key"},
         [] { return with_key(GgufBytes::array(T::string, 2) + GgufBytes::text("a") + GgufBytes::number(huge)); }},
        {"TruthOfTwo", format, {"key", "2"}, [] { return with_key(GgufBytes::type(T::boolean) + "\2"); }},
        {"TruthOfTwoInAnArray", format, {"key", "2"}, [] { return with_key(GgufBytes::array(T::boolean, 1) + "\2"); }},
        {"Alignment0",
         format,
         {"general.alignment", "0"},
         [] { return GgufBytes().set("general.alignment", 0u).file(); }},
        {"Alignment3",
         format,
         {"general.alignment", "3"},
         [] { return GgufBytes().set("general.alignment", 3u).file(); }},
        {"AlignmentHuge",
         format,
         {"general.alignment"},
         [] { return GgufBytes().set("general.alignment", 1u << 31).file(); }},
        {"AlignmentText",
         format,
         {"general.alignment"},
         [] { return GgufBytes().set("general.alignment", "32").file(); }},
        {"FiveDimensions",
         format,
         {"name", "5"},
         [] {
             return with_tensor({1, 1, 1, 1, 1});
         }},
        {"ZeroDimension",
         format,
         {"name", "0"},
         [] {
             return with_tensor({2, 0});
         }},
        {"ProductOverflows",
         format,
         {"name", "overflows"},
         [] {
             return with_tensor({std::uint64_t{1} << 33, std::uint64_t{1} << 33});
         }},
        {"BytesOverflow", format, {"name", "overflows"}, [] { return with_tensor({std::uint64_t{1} << 62}); }},
        {"UnknownType", unsupported, {"name", "99"}, [] { return with_tensor({1}, 99); }},
        {"RemovedType", unsupported, {"name", "4"}, [] { return with_tensor({32}, 4); }},
        {"PartOfABlock",
         format,
         {"name", "multiple of 32", "16"},
         [] {
             return with_tensor({16, 2}, q4_0);
         }},
        {"OffsetUnaligned", format, {"name", "multiple of 32"}, [] { return with_tensor({1}, f32, 4); }},
        {"OffsetPastTheEnd", format, {"name", "256"}, [] { return with_tensor({1}, f32, 256); }},
        {"OffsetHuge", format, {"name"}, [] { return with_tensor({1}, f32, huge - 31); }},
        {"EndPastTheEnd", format, {"name"}, [] { return with_tensor({65}); }},
        {"NameTwice",
         format,
         {"name", "again"},
         [] {
             return GgufBytes()
                 .tensor("name", {1}, f32, 0)
                 .tensor("name", {1}, f32, 32)
                 .data(std::string(64, 'x'))
                 .file();
         }},
        {"NameEmpty",
         format,
         {"tensor[0].name"},
         [] { return GgufBytes().tensor("", {1}, f32, 0).data(std::string(64, 'x')).file(); }},
        {"NameLong",
         format,
         {"tensor[0].name"},
         [] { return GgufBytes().tensor(std::string(2000, 'x'), {1}, f32, 0).data(std::string(64, 'x')).file(); }},
        {"Overlap",
         format,
         {"other", "32"},
         [] {
             return GgufBytes()
                 .tensor("name", {16}, f32, 0)
                 .tensor("other", {1}, f32, 32)
                 .data(std::string(64, 'x'))
                 .file();
         }},
        {"SameOffset",
         format,
         {"other", "name"},
         [] {
             return GgufBytes()
                 .tensor("name", {1}, f32, 0)
                 .tensor("other", {1}, f32, 0)
                 .data(std::string(64, 'x'))
                 .file();
         }},
    };
    return files;
}

class BrokenGguf : public ::testing::TestWithParam<Broken> {};
INSTANTIATE_TEST_SUITE_P(Files, BrokenGguf, ::testing::ValuesIn(broken_files()),
                         [](const auto& broken) { return std::string(broken.param.name); });

TEST_P(BrokenGguf, IsRefused) {
    const Folder folder;
    const std::string bytes = GetParam().bytes();
    support::expect_error(GetParam().kind, [&] { folder.open(bytes); }, {(folder / "x.gguf").string()});
    for (const std::string_view word : GetParam().words)
        support::expect_error(GetParam().kind, [&] { folder.open(bytes); }, {word});
}

TEST(Gguf, NumberOfDataBytesDecidesAndNotTheFilesSize) {
    const Folder folder;
    EXPECT_NO_THROW(folder.open(with_tensor({64})));
    EXPECT_NO_THROW(folder.open(with_tensor({56}, f32, 32)));
}

TEST(Gguf, TypesThatAreNotReadAreRefusedWhenTheyAreAskedFor) {
    const Folder folder;
    const GgufFile file = folder.open(with_tensor({256}, iq2_xxs));
    support::expect_error<eigenlm::UnsupportedError>([&] { (void)file.tensor("name"); }, {"name", "IQ2_XXS"});
    support::expect_error<eigenlm::FormatError>([&] { (void)file.tensor("other"); }, {"other", "missing"});
}

TEST(Gguf, LookupsNameTheKeyAndWhatIsThere) {
    const Folder folder;
    GgufBytes bytes = good();
    bytes.set("nan", std::numeric_limits<float>::quiet_NaN());
    const GgufFile file = folder.open(bytes.file());
    const auto& m = file.metadata();
    const std::string path = (folder / "x.gguf").string();
    const auto refused = [&](const auto& call, std::initializer_list<std::string_view> words) {
        support::expect_error<eigenlm::FormatError>(call, words);
        support::expect_error<eigenlm::FormatError>(call, {path});
    };
    refused([&] { m.integer("nothing", 0, 1); }, {"nothing", "missing"});
    refused([&] { m.integer("u", 0, 6); }, {"u", "[0, 6]", "7"});
    refused([&] { m.integer("u64", 0, std::numeric_limits<std::int64_t>::max()); }, {"u64", "18446744073709551615"});
    refused([&] { m.integer("f", 0, 1); }, {"whole number", "f32 0.5"});
    refused([&] { m.integer("b", 0, 1); }, {"whole number", "true"});
    refused([&] { m.number("u", 0, 9); }, {"f32", "u32 7"});
    refused([&] { m.number("f", 1, 2); }, {"[1.0, 2.0]", "0.5"});
    refused([&] { m.number("nan", -1e30, 1e30); }, {"nan"});
    refused([&] { m.string("u"); }, {"a string", "u32 7"});
    refused([&] { m.boolean_or("general.architecture", true); }, {"a boolean", "\"llama\""});
    refused([&] { m.numbers<float>("ints"); }, {"an array of f32", "an array of i32"});
    refused([&] { m.count_strings("general.architecture"); }, {"an array of string", "\"llama\""});
}

TEST(Gguf, AFileThatOnlyClaimsToBeLargeCostsLittle) {
    const Folder folder;
    folder.write("x.gguf", GgufBytes().pair("key", GgufBytes::array(GgufType::u8, std::uint64_t{1} << 35)).file());
    std::filesystem::resize_file(folder / "x.gguf", std::uintmax_t{1} << 40);
    support::expect_error<eigenlm::FormatError>([&] { GgufFile(folder / "x.gguf"); }, {"key", "at most 268435456"});
}

}  // namespace
