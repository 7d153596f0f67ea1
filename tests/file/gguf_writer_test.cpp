// GGUF files written and read back, and files that appear whole or not at all.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <eigenlm/eigenlm.hpp>
#include <random>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/file_limit.hpp"
#include "support/gguf.hpp"
#include "support/temporary_folder.hpp"

namespace {

using eigenlm::Dtype;
using eigenlm::GgufType;
using eigenlm::GgufValue;

std::string random_bytes(std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::string bytes(count, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

/// A value of each type, and an array of each.
eigenlm::GgufMetadata all_values() {
    eigenlm::GgufMetadata metadata("test");
    for (std::uint32_t number = 0; number < eigenlm::gguf_types; ++number) {
        const auto type = static_cast<GgufType>(number);
        const std::size_t size = size_of(type);
        const auto value = [&](std::size_t count) {
            return type == GgufType::boolean ? std::string(count, '\1') : random_bytes(count * size, number);
        };
        const std::string name = std::string("test.") + to_string(type);
        if (size != 0) metadata.set(name, {type, {}, 1, value(1)});
        if (size != 0) metadata.set(name + "s", {GgufType::array, type, 5, value(5)});
        if (size != 0) metadata.set(name + ".none", {GgufType::array, type, 0, ""});
    }
    GgufValue texts = eigenlm::gguf_texts();
    for (const std::string& text : {std::string(), std::string("a\0b", 3), std::string(70000, 'x')})
        append_text(texts, text);
    metadata.set("test.string", eigenlm::gguf_text("héllo"));
    metadata.set("test.empty", eigenlm::gguf_text(""));
    metadata.set("test.strings", texts);
    return metadata;
}

void expect_same(const eigenlm::GgufMetadata& found, const eigenlm::GgufMetadata& expected) {
    ASSERT_EQ(found.all().size(), expected.all().size());
    for (const auto& [key, value] : expected.all()) {
        ASSERT_TRUE(found.has(key)) << key;
        const GgufValue& other = found.all().find(key)->second;
        EXPECT_EQ(other.type, value.type) << key;
        EXPECT_EQ(other.count, value.count) << key;
        EXPECT_EQ(other.bytes, value.bytes) << key;
        EXPECT_EQ(other.element, value.type == GgufType::array ? value.element : other.element) << key;
    }
}

TEST(GgufWriter, ValuesOfAllTypesComeBack) {
    const support::TemporaryFolder folder;
    const auto metadata = all_values();
    eigenlm::GgufWriter(folder / "x.gguf", metadata, {}).commit();
    expect_same(eigenlm::GgufFile(folder / "x.gguf").metadata(), metadata);
}

TEST(GgufWriter, OurOwnValuesAreWhatLookupsFind) {
    eigenlm::GgufMetadata metadata("test");
    metadata.set("u32", eigenlm::gguf_number(std::uint32_t{4000000000}));
    metadata.set("i32", eigenlm::gguf_number(std::int32_t{-7}));
    metadata.set("f32", eigenlm::gguf_number(0.1f));
    metadata.set("true", eigenlm::gguf_number(true));
    metadata.set("text", eigenlm::gguf_text("one"));
    metadata.set("text", eigenlm::gguf_text("two"));
    metadata.set("f32s", eigenlm::gguf_numbers(std::vector{1.5f, -2.0f}));
    metadata.set("truths", eigenlm::gguf_numbers(std::vector{true, false, true}));
    metadata.set("gone", eigenlm::gguf_text("two"));
    metadata.erase("gone");
    metadata.erase("never there");
    EXPECT_EQ(metadata.integer("u32", 0, INT64_MAX), 4000000000);
    EXPECT_EQ(metadata.integer("i32", -10, 0), -7);
    EXPECT_EQ(metadata.number("f32", 0, 1), double{0.1f});
    EXPECT_TRUE(metadata.boolean_or("true", false));
    EXPECT_EQ(metadata.string("text"), "two");
    EXPECT_EQ(metadata.numbers<float>("f32s"), (std::vector{1.5f, -2.0f}));
    EXPECT_EQ(metadata.numbers<bool>("truths"), (std::vector{true, false, true}));
    EXPECT_FALSE(metadata.has("gone"));
}

/// A tensor of each type, in an order of their own.
std::vector<eigenlm::GgufTensorInfo> tensors() {
    std::vector<eigenlm::GgufTensorInfo> infos;
    for (const Dtype type : eigenlm::all_file_types) infos.push_back({to_string(type), {3, 512}, type});
    infos.push_back({"vector", {7}, Dtype::f32});
    infos.push_back({"four sizes", {2, 3, 1, 5}, Dtype::f16});
    infos.push_back({"a bias", {5}, Dtype::f32});
    return infos;
}

std::size_t elements_of(const eigenlm::GgufTensorInfo& info) {
    std::size_t elements = 1;
    for (const std::size_t size : info.shape) elements *= size;
    return elements;
}

TEST(GgufWriter, TensorsOfAllTypesComeBackInTheirOrder) {
    const support::TemporaryFolder folder;
    const auto infos = tensors();
    for (const std::uint32_t alignment : {32u, 8u, 4096u}) {
        eigenlm::GgufMetadata metadata("test");
        if (alignment != 32) metadata.set("general.alignment", eigenlm::gguf_number(alignment));
        eigenlm::GgufWriter writer(folder / "x.gguf", metadata, infos);
        for (unsigned i = 0; i < infos.size(); ++i) {  // pieces of it, the last one first
            const auto& info = infos[i];
            const std::size_t all = elements_of(info), cut = info.shape.size() == 2 ? 512 : 2;
            const std::string bytes = random_bytes(eigenlm::bytes_of(info.dtype, all), i);
            const std::size_t at = eigenlm::bytes_of(info.dtype, cut);
            writer.write(i, cut, bytes_of(bytes).subspan(at));
            writer.write(i, 0, bytes_of(bytes).first(at));
        }
        EXPECT_FALSE(std::filesystem::exists(folder / "x.gguf"));
        writer.commit();
        EXPECT_EQ(std::filesystem::file_size(folder / "x.gguf"), writer.size());
        EXPECT_EQ(writer.size() % alignment, 0u);
        const eigenlm::GgufFile file(folder / "x.gguf");
        ASSERT_EQ(file.names().size(), infos.size());
        for (unsigned i = 0; i < infos.size(); ++i) {
            const auto& info = infos[i];
            EXPECT_EQ(file.names()[i], info.name);
            const auto tensor = file.tensor(info.name);
            EXPECT_EQ(tensor.dtype, info.dtype);
            EXPECT_EQ(tensor.shape, info.shape);
            std::string bytes(eigenlm::bytes_of(info.dtype, elements_of(info)), '\0');
            tensor.read_bytes(0, std::as_writable_bytes(std::span(bytes)));
            EXPECT_EQ(bytes, random_bytes(bytes.size(), i)) << info.name;
        }
        std::filesystem::remove(folder / "x.gguf");
    }
}

TEST(GgufWriter, RefusesWhatAFileCannotHave) {
    const support::TemporaryFolder folder;
    const auto refuses = [&](std::vector<std::size_t> shape, Dtype type, std::string_view word) {
        const auto make = [&] {
            eigenlm::GgufWriter(folder / "x.gguf", eigenlm::GgufMetadata("test"), {{"name", shape, type}});
        };
        support::expect_error<eigenlm::ArgumentError>(make, {"name", word});
    };
    refuses({}, Dtype::f32, "sizes");
    refuses({1, 1, 1, 1, 1}, Dtype::f32, "sizes");
    refuses({2, 0}, Dtype::f32, "0");
    refuses({2, 33}, Dtype::q8_0, "32");
    refuses({2, 128}, Dtype::q4_k, "256");
    refuses({2}, Dtype::i32, "type");
    const auto overflows = [&] {
        eigenlm::GgufWriter(folder / "x", eigenlm::GgufMetadata("test"), {{"name", {SIZE_MAX / 2, 3}, Dtype::f32}});
    };
    support::expect_error<eigenlm::ResourceError>(overflows, {"name", "overflows"});
    eigenlm::GgufMetadata metadata("test");
    metadata.set("general.alignment", eigenlm::gguf_number(std::uint32_t{24}));
    support::expect_error<eigenlm::FormatError>([&] { eigenlm::GgufWriter(folder / "x", metadata, {}); },
                                                {"general.alignment", "24"});
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(NewFile, IsThereOnlyWhenItIsComplete) {
    const support::TemporaryFolder folder;
    folder.write("x", "old");
    for (const bool complete : {false, true}) {
        {
            eigenlm::NewFile file(folder / "x", 6);
            file.write(3, bytes_of("new"));
            EXPECT_EQ(folder.read("x"), "old");
            if (complete) file.commit();
        }
        EXPECT_EQ(folder.read("x"), complete ? std::string("\0\0\0new", 6) : "old");
        EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
    }
}

TEST(NewFile, TwoOfOneNameDoNotMeet) {
    const support::TemporaryFolder folder;
    eigenlm::NewFile first(folder / "x", 1), second(folder / "x", 1);
    second.write(0, bytes_of("2"));
    first.write(0, bytes_of("1"));
    second.commit();
    EXPECT_EQ(folder.read("x"), "2");
    first.commit();
    EXPECT_EQ(folder.read("x"), "1");
}

TEST(NewFile, HasTheRightsOfNewFiles) {
    const support::TemporaryFolder folder;
    const mode_t before = umask(027);
    eigenlm::NewFile(folder / "x", 0).commit();
    umask(before);
    struct stat info {};
    ASSERT_EQ(stat((folder / "x").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST(NewFile, TakesThePlaceOfWhatALinkLeadsTo) {
    const support::TemporaryFolder folder;
    folder.write("target", "old");
    std::filesystem::create_symlink("target", folder / "link");
    eigenlm::NewFile(folder / "link", 3).commit();
    EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
    EXPECT_EQ(folder.read("target"), std::string(3, '\0'));
}

TEST(NewFile, NeedsAFolderAndTheNameOfAFile) {
    const support::TemporaryFolder folder;
    mkfifo((folder / "pipe").c_str(), 0600);
    const auto refuses = [&](const std::filesystem::path& path, std::initializer_list<std::string_view> words) {
        support::expect_error<eigenlm::IoError>([&] { eigenlm::NewFile(path, 1); }, words);
    };
    refuses(folder.path(), {folder.path().string(), "folder"});
    refuses(folder / "nowhere" / "x", {"nowhere", "no such folder"});
    refuses(folder / "pipe" / "x", {"pipe", "no such folder"});
    refuses(folder.path() / "", {"folder"});
    refuses(folder / "pipe", {"pipe", "regular"});
    refuses("/dev/null", {"/dev/null", "regular"});
    refuses("", {"file"});
}

TEST(NewFile, LeavesNothingWhereTheDiskIsFull) {
    const support::TemporaryFolder folder;
    const support::FileLimit limit(1000);
    support::expect_error<eigenlm::IoError>([&] { eigenlm::NewFile(folder / "x", 1001); }, {"x", "cannot write"});
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
    {
        eigenlm::NewFile file(folder / "x", 1000);
        file.write(900, bytes_of(std::string(100, 'x')));
        support::expect_error<eigenlm::IoError>([&] { file.write(900, bytes_of(std::string(101, 'x'))); },
                                                {"x", "cannot write"});
    }
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
