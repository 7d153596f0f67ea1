// The safetensors format: every type that is read, and every way a file can be broken.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <eigenlm/file/safetensors.hpp>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/stored_tensors.hpp"
#include "support/temporary_folder.hpp"

namespace {

using eigenlm::ErrorKind;
using eigenlm::SafetensorsFile;
using support::safetensors_file;

template <class T>
std::string bytes_of(const std::vector<T>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

class SafetensorsTest : public testing::Test {
  protected:
    SafetensorsFile open(const std::string& content) const {
        folder_.write("model.safetensors", content);
        return SafetensorsFile(folder_ / "model.safetensors");
    }
    const support::TemporaryFolder folder_;
};

TEST_F(SafetensorsTest, ReadsFloatsOfEveryType) {
    const auto file = open(safetensors_file({
        {"a", {"F32", {2, 3}, bytes_of<float>({1, -2.5f, 0x1p-140f, 3e38f, -0.0f, 6})}},
        {"b", {"BF16", {2}, bytes_of<std::uint16_t>({0x3f80, 0xc020})}},
        {"c", {"F16", {1, 1, 2}, bytes_of<std::uint16_t>({0x3c00, 0x0001})}},
        {"i", {"I32", {1}, bytes_of<std::int32_t>({7})}},
        {"none", {"F32", {0, 5}, ""}},
        {"scalar", {"F32", {}, bytes_of<float>({9})}},
    }));
    EXPECT_EQ(file.tensor_count(), 6u);
    EXPECT_TRUE(file.contains("a"));
    EXPECT_FALSE(file.contains("__metadata__"));
    std::vector<float> out(6);
    file.tensor("a", std::vector<std::size_t>{2, 3}).read(0, out);
    EXPECT_EQ(out, (std::vector<float>{1, -2.5f, 0x1p-140f, 3e38f, -0.0f, 6}));
    out.resize(2);
    file.tensor("a").read(3, out);
    EXPECT_EQ(out, (std::vector<float>{3e38f, -0.0f}));
    file.tensor("b").read(0, out);
    EXPECT_EQ(out, (std::vector<float>{1, -2.5f}));
    file.tensor("c").read(0, out);
    EXPECT_EQ(out, (std::vector<float>{1, 0x1p-24f}));
    EXPECT_EQ(file.tensor("none").size(), 0u);
    EXPECT_TRUE(file.tensor("scalar").shape.empty());
    EXPECT_EQ(file.tensor("i").dtype, eigenlm::Dtype::i32);
}

TEST_F(SafetensorsTest, ReadsDataAtAnyAlignment) {
    for (std::size_t padding = 0; padding < 8; ++padding) {  // spaces behind the header move the data
        const std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                                   R"("b":{"dtype":"BF16","shape":[1],"data_offsets":[8,10]},)"
                                   R"("c":{"dtype":"F16","shape":[1],"data_offsets":[10,12]}})" +
                                   std::string(padding, ' ');
        const auto file =
            open(safetensors_file(header, bytes_of<float>({1.25f, -3}) + bytes_of<std::uint16_t>({0x4000, 0x4000})));
        std::vector<float> out(2);
        file.tensor("a").read(0, out);
        EXPECT_EQ(out, (std::vector<float>{1.25f, -3})) << padding;
        file.tensor("a").read(1, std::span(out).first(1));
        EXPECT_EQ(out[0], -3) << padding;
        file.tensor("b").read(0, std::span(out).first(1));
        file.tensor("c").read(0, std::span(out).last(1));
        EXPECT_EQ(out, (std::vector<float>{2, 2})) << padding;
    }
}

TEST_F(SafetensorsTest, WithoutTensorsIsAFileToo) {
    EXPECT_EQ(open(safetensors_file("{}")).tensor_count(), 0u);
    EXPECT_EQ(open(safetensors_file(R"({"__metadata__":{"format":"pt"}})")).tensor_count(), 0u);
}

TEST_F(SafetensorsTest, NamesTheTensorThatIsNotWhatWasAskedFor) {
    const auto file = open(safetensors_file({
        {"a", {"F32", {2, 3}, std::string(24, '\0')}},
        {"i", {"I32", {1}, std::string(4, '\0')}},
        {"l", {"I64", {1}, std::string(8, '\0')}},
    }));
    const auto ask = [&file](const char* name, std::vector<std::size_t> shape) {
        return [&file, name, shape = std::move(shape)] { (void)file.tensor(name, shape); };
    };
    using eigenlm::FormatError;
    support::expect_error<FormatError>(ask("b", {1}), {"model.safetensors: b", "tensor is missing"});
    support::expect_error<FormatError>(ask("a", {3, 2}),
                                       {"model.safetensors: a", "expected shape [3, 2], found [2, 3]"});
    support::expect_error<FormatError>(ask("a", {6}), {"model.safetensors: a", "expected shape [6], found [2, 3]"});
    support::expect_error<FormatError>(ask("i", {1}),
                                       {"model.safetensors: i", "expected dtype F32, F16 or BF16", "I32"});
    support::expect_error<eigenlm::UnsupportedError>(ask("l", {1}), {"model.safetensors: l", "I64"});
}

/// A header with one tensor `a`, of which a field is what the case says.
std::string one_tensor(const std::string& fields) { return R"({"a":{)" + fields + "}}"; }

const std::string eight(8, '\0');

struct BrokenSafetensors {
    const char* name;
    std::string content;
    std::vector<std::string> words;  // what the message must say beside the file's name
    ErrorKind kind = ErrorKind::format;
};

std::string with_header_length(std::uint64_t length, const std::string& rest = "{}") {
    return std::string(reinterpret_cast<const char*>(&length), 8) + rest;
}

std::vector<BrokenSafetensors> broken_headers() {
    return {
        {"Empty", "", {"truncated", "at least 8 bytes", "found 0"}},
        {"SevenBytes", std::string(7, '\0'), {"truncated", "at least 8 bytes", "found 7"}},
        {"HeaderLengthZero", with_header_length(0), {"not valid JSON"}},
        {"HeaderLongerThanTheFile", with_header_length(3), {"truncated", "header of 3 bytes", "found 2"}},
        {"HeaderLength2To63", with_header_length(std::uint64_t{1} << 63), {"truncated", "9223372036854775808"}},
        {"HeaderLength2To64Minus1", with_header_length(~std::uint64_t{0}), {"truncated", "18446744073709551615"}},
        {"HeaderLength2To64Minus8", with_header_length(~std::uint64_t{7}), {"truncated"}},
        {"HeaderCutOff", with_header_length(1), {"not valid JSON"}},
        {"HeaderIsNoJson", safetensors_file("hello"), {"not valid JSON"}},
        {"HeaderHasJunkBehind", safetensors_file("{} x"), {"not valid JSON"}},
        {"HeaderIsNoUtf8", safetensors_file("{\"\xff\":1}"), {"not valid JSON"}},
        {"HeaderIsAnArray", safetensors_file("[]"), {"JSON object"}},
        {"HeaderIsANumber", safetensors_file("1"), {"JSON object"}},
        {"HeaderIsNested", safetensors_file(std::string(100000, '[')), {"nested deeper"}},
        {"DuplicateNames",
         safetensors_file(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                          R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                          eight),
         {"duplicate key \"a\""}},
        {"DuplicateFields",
         safetensors_file(one_tensor(R"("dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8])"), eight),
         {"duplicate key \"shape\""}},
    };
}

std::vector<BrokenSafetensors> broken_fields() {
    const auto file = [](const std::string& fields, const std::string& data = eight) {
        return safetensors_file(one_tensor(fields), data);
    };
    return {
        {"TensorIsANumber", safetensors_file(R"({"a":1})"), {": a", "JSON object", "found number"}},
        {"MissingDtype", file(R"("shape":[2],"data_offsets":[0,8])"), {": a.dtype", "required field is missing"}},
        {"MissingShape", file(R"("dtype":"F32","data_offsets":[0,8])"), {": a.shape", "required field is missing"}},
        {"MissingOffsets", file(R"("dtype":"F32","shape":[2])"), {": a.data_offsets", "required field is missing"}},
        {"DtypeIsANumber", file(R"("dtype":32,"shape":[2],"data_offsets":[0,8])"), {": a.dtype", "a string", "32"}},
        {"UnknownDtype", file(R"("dtype":"F31","shape":[2],"data_offsets":[0,8])"), {": a.dtype", "unknown", "F31"}},
        {"LowerCaseDtype", file(R"("dtype":"f32","shape":[2],"data_offsets":[0,8])"), {": a.dtype", "unknown", "f32"}},
        {"ShapeIsANumber", file(R"("dtype":"F32","shape":2,"data_offsets":[0,8])"), {": a.shape", "an array", "2"}},
        {"NegativeShape", file(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"), {": a.shape", "whole", "-2"}},
        {"NegativeShapes", file(R"("dtype":"F32","shape":[-2,-1],"data_offsets":[0,8])"), {": a.shape", "-2"}},
        {"FloatShape", file(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"), {": a.shape", "whole", "2.0"}},
        {"TextShape", file(R"("dtype":"F32","shape":["2"],"data_offsets":[0,8])"), {": a.shape", "whole"}},
        {"HugeShape", file(R"("dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,8])"), {": a.shape"}},
        {"ShapeOverflows",
         file(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8])"),
         {": a.shape", "overflows", "[4294967296, 4294967296]"}},
        {"ShapeOverflowsToTheRightSize",  // 4 x 2^63 x 2 + 8 == 8 modulo 2^64, were it not checked
         file(R"("dtype":"I8","shape":[9223372036854775812,2],"data_offsets":[0,8])"),
         {": a.shape", "overflows"}},
        {"OffsetsAreANumber", file(R"("dtype":"F32","shape":[2],"data_offsets":8)"), {": a.data_offsets", "an array"}},
        {"OneOffset",
         file(R"("dtype":"F32","shape":[2],"data_offsets":[8])"),
         {": a.data_offsets", "two whole numbers"}},
        {"ThreeOffsets",
         file(R"("dtype":"F32","shape":[2],"data_offsets":[0,4,8])"),
         {": a.data_offsets", "two whole"}},
        {"NegativeOffset", file(R"("dtype":"F32","shape":[2],"data_offsets":[-8,0])"), {": a.data_offsets", "whole"}},
        {"FloatOffset", file(R"("dtype":"F32","shape":[2],"data_offsets":[0,8.0])"), {": a.data_offsets", "8.0"}},
        {"OffsetsReversed", file(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), {": a.data_offsets", "[8,0]"}},
        {"OffsetsOutside",
         file(R"("dtype":"F32","shape":[4],"data_offsets":[0,16])"),
         {": a.data_offsets", "8 data bytes", "[0,16]"}},
        {"OffsetsOutsideFromTheStart",
         file(R"("dtype":"F32","shape":[2],"data_offsets":[16,24])"),
         {": a.data_offsets", "8 data bytes", "[16,24]"}},
        {"OffsetsOverflow",
         file(R"("dtype":"F32","shape":[2],"data_offsets":[18446744073709551608,18446744073709551615])"),
         {": a.data_offsets", "8 data bytes"}},
        {"SizeMismatch",
         file(R"("dtype":"F32","shape":[1],"data_offsets":[0,8])"),
         {": a.data_offsets", "expected 4 bytes for F32 [1]", "found 8"}},
        {"SizeMismatchOfA16BitType",
         file(R"("dtype":"BF16","shape":[2,2,2],"data_offsets":[0,8])"),
         {": a.data_offsets", "expected 16 bytes for BF16 [2, 2, 2]", "found 8"}},
        {"DataCutOff",
         file(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", eight.substr(1)),
         {": a", "truncated?"}},
        {"DataMissing", file(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", ""), {": a", "0 data bytes"}},
    };
}

std::vector<BrokenSafetensors> broken_coverage() {
    const auto two = [](const std::string& a, const std::string& b, std::size_t bytes) {
        return safetensors_file(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)" + a +
                                    R"(},"b":{"dtype":"F32","shape":[1],"data_offsets":)" + b + "}}",
                                std::string(bytes, '\0'));
    };
    return {
        {"SameBytesTwice", two("[0,4]", "[0,4]", 4), {": b.data_offsets", "begin at byte 4", "found 0"}},
        {"Overlap", two("[0,4]", "[2,6]", 8), {": b.data_offsets", "begin at byte 4", "found 2"}},
        {"OverlapInTheOtherOrder", two("[2,6]", "[0,4]", 8), {": a.data_offsets", "begin at byte 4", "found 2"}},
        {"Hole", two("[0,4]", "[8,12]", 12), {": b.data_offsets", "begin at byte 4", "found 8"}},
        {"HoleInFront", two("[4,8]", "[8,12]", 12), {": a.data_offsets", "begin at byte 0", "found 4"}},
        {"TrailingBytes", two("[0,4]", "[4,8]", 9), {"fill the file's 9 data bytes", "found 8"}},
        {"BytesWithoutTensors", safetensors_file("{}", "x"), {"fill the file's 1 data bytes", "found 0"}},
    };
}

class BrokenSafetensorsTest : public testing::TestWithParam<BrokenSafetensors> {};

TEST_P(BrokenSafetensorsTest, IsRefusedByName) {
    const support::TemporaryFolder folder;
    folder.write("model.safetensors", GetParam().content);
    const auto path = folder / "model.safetensors";
    support::expect_error(GetParam().kind, [&] { SafetensorsFile file(path); }, {path.string()});
    for (const std::string& word : GetParam().words)
        support::expect_error(GetParam().kind, [&] { SafetensorsFile file(path); }, {word});
}

constexpr auto name_of_case = [](const auto& parameter) { return std::string(parameter.param.name); };
INSTANTIATE_TEST_SUITE_P(Headers, BrokenSafetensorsTest, testing::ValuesIn(broken_headers()), name_of_case);
INSTANTIATE_TEST_SUITE_P(Fields, BrokenSafetensorsTest, testing::ValuesIn(broken_fields()), name_of_case);
INSTANTIATE_TEST_SUITE_P(Coverage, BrokenSafetensorsTest, testing::ValuesIn(broken_coverage()), name_of_case);

/// A file without a disk: thousands of them are quick.
class MemoryFile {
  public:
    explicit MemoryFile(const std::string& content) : file_(memfd_create("safetensors", MFD_CLOEXEC)) {
        if (write(file_, content.data(), content.size()) != static_cast<ssize_t>(content.size())) std::abort();
    }
    ~MemoryFile() { close(file_); }
    std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

  private:
    int file_;
};

TEST(Safetensors, CutOffAnywhereIsRefused) {
    const std::string whole = safetensors_file({{"a", {"F32", {2}, eight}}, {"b", {"F32", {1}, "1234"}}});
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const MemoryFile part(whole.substr(0, size));
        support::expect_error<eigenlm::FormatError>([&] { SafetensorsFile file(part.path()); }, {part.path()});
    }
    EXPECT_NO_THROW(SafetensorsFile(MemoryFile(whole).path()));
}

TEST(Safetensors, AnyChangedHeaderByteIsRefusedOrHarmless) {
    const std::string whole = safetensors_file({{"a", {"F32", {2}, eight}}, {"b", {"BF16", {2}, "1234"}}});
    for (std::size_t at = 0; at + 12 < whole.size(); ++at)
        for (const char byte : {'\0', '"', '0', '9', '-', '}', ',', ' ', '\x7f', '\xff'}) {
            std::string changed = whole;
            changed[at] = byte;
            const MemoryFile on_disk(changed);
            try {
                const SafetensorsFile file(on_disk.path());
                std::vector<float> out(2);
                for (const char* name : {"a", "b"})
                    if (file.contains(name) && file.tensor(name).size() >= out.size()) file.tensor(name).read(0, out);
            } catch (const eigenlm::Error& e) {
                EXPECT_TRUE(e.kind() == ErrorKind::format || e.kind() == ErrorKind::unsupported) << e.what();
                EXPECT_EQ(std::string(e.what()).find(on_disk.path()), 0u) << e.what();
            }
        }
}

TEST_F(SafetensorsTest, MessagesStayOneLineWhateverAFileIsCalled) {
    const auto refuse = [this](const std::string& header) {
        support::expect_error<eigenlm::FormatError>([&] { open(safetensors_file(header)); }, {"model.safetensors"});
    };
    refuse("{\"a\\nb\":1}");
    refuse("{\"" + std::string(100000, 'x') + "\":1}");
    refuse(one_tensor("\"dtype\":\"F32\",\"shape\":[\"" + std::string(100000, 'x') + "\"],\"data_offsets\":[0,8]"));
    refuse(one_tensor("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[\"" + std::string(100000, 'x') + "\"]"));
}

}  // namespace
