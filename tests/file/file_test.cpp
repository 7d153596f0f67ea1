// A file's bytes: what is read, what is refused, and nothing that blocks.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <eigenlm/file/file.hpp>
#include <string>
#include <utility>

#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

namespace {

using eigenlm::File;
using eigenlm::IoError;

std::string whole(const File& file) { return file.text(0, file.size()); }

TEST(File, HoldsTheBytes) {
    const support::TemporaryFolder folder;
    const std::string content("a\0b\xff", 4);
    folder.write("file", content);
    const File file(folder / "file");
    EXPECT_EQ(whole(file), content);
    EXPECT_EQ(file.size(), 4u);
    EXPECT_EQ(file.text(1, 2), content.substr(1, 2));
    EXPECT_EQ(file.path(), (folder / "file").string());
}

TEST(File, ThatIsCutOffMeanwhileIsAnError) {
    const support::TemporaryFolder folder;
    folder.write("file", "content");
    const File file(folder / "file");
    std::filesystem::resize_file(folder / "file", 3);
    EXPECT_EQ(file.text(0, 3), "con");
    support::expect_error<IoError>([&] { whole(file); }, {"file", "truncated", "byte 3"});
}

TEST(File, ThatIsEmptyIsNoError) {
    const support::TemporaryFolder folder;
    folder.write("empty", "");
    EXPECT_EQ(whole(File(folder / "empty")), "");
}

TEST(File, KeepsItsBytesWhenItMovesAndWhenTheFileIsRemoved) {
    const support::TemporaryFolder folder;
    folder.write("one", "first");
    folder.write("two", "second");
    File one(folder / "one");
    std::filesystem::remove(folder / "one");
    File moved(std::move(one));
    EXPECT_EQ(whole(moved), "first");
    moved = File(folder / "two");
    EXPECT_EQ(whole(moved), "second");
}

TEST(File, ThatIsMissingIsNamed) {
    const support::TemporaryFolder folder;
    const auto path = folder / "nowhere";
    support::expect_error<IoError>([&] { File file(path); }, {path.string(), "cannot open", "No such file"});
}

TEST(File, IsARegularFile) {
    const support::TemporaryFolder folder;
    const auto fifo = folder / "fifo";
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    // A pipe that nobody writes to would block an open for reading: this test then hangs.
    support::expect_error<IoError>([&] { File file(fifo); }, {fifo.string(), "regular file"});
    support::expect_error<IoError>([&] { File file(folder.path()); }, {folder.path().string(), "regular file"});
    support::expect_error<IoError>([] { File file("/dev/zero"); }, {"/dev/zero", "regular file"});
}

TEST(File, FollowsLinksAndNamesBrokenOnes) {
    const support::TemporaryFolder folder;
    folder.write("file", "content");
    std::filesystem::create_symlink(folder / "file", folder / "link");
    std::filesystem::create_symlink(folder / "gone", folder / "broken");
    EXPECT_EQ(whole(File(folder / "link")), "content");
    support::expect_error<IoError>([&] { File file(folder / "broken"); }, {"broken", "cannot open"});
}

/// Runs as somebody who is not root for its lifetime: root reads every file.
class OrdinaryUser {
  public:
    OrdinaryUser() : is_(geteuid() != 0 || seteuid(65534) == 0) {}
    ~OrdinaryUser() {
        if (getuid() == 0 && seteuid(0) != 0) std::abort();
    }
    explicit operator bool() const { return is_; }

  private:
    bool is_;
};

TEST(File, OfTextHasALimit) {  // a file without content may claim any size
    const support::TemporaryFolder folder;
    folder.write("huge.json", "{");
    std::filesystem::resize_file(folder / "huge.json", std::uintmax_t{1} << 40);
    support::expect_error<eigenlm::FormatError>([&] { eigenlm::read_text(folder / "huge.json"); },
                                                {"huge.json", "at most 268435456 bytes", "found 1099511627776"});
}

TEST(File, ThatMayNotBeReadIsNamed) {
    const support::TemporaryFolder folder;
    folder.write("secret", "content");
    chmod(folder.path().c_str(), 0755);
    chmod((folder / "secret").c_str(), 0);
    const OrdinaryUser user;
    if (!user) GTEST_SKIP() << "root that cannot become anybody else";
    support::expect_error<IoError>([&] { File file(folder / "secret"); },
                                   {"secret", "cannot open", "Permission denied"});
}

}  // namespace
