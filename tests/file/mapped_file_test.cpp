// A file's bytes: what is mapped, what is refused, and nothing that blocks.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <eigenlm/file/mapped_file.hpp>
#include <string>
#include <utility>

#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

namespace {

using eigenlm::IoError;
using eigenlm::MappedFile;

TEST(MappedFile, HoldsTheBytes) {
    const support::TemporaryFolder folder;
    const std::string content("a\0b\xff", 4);
    folder.write("file", content);
    const MappedFile file(folder / "file");
    EXPECT_EQ(file.text(), content);
    EXPECT_EQ(file.bytes().size(), 4u);
    EXPECT_EQ(file.bytes()[3], std::byte{0xff});
    EXPECT_EQ(file.path(), (folder / "file").string());
}

TEST(MappedFile, ThatIsEmptyIsNoError) {
    const support::TemporaryFolder folder;
    folder.write("empty", "");
    EXPECT_TRUE(MappedFile(folder / "empty").bytes().empty());
}

TEST(MappedFile, KeepsItsBytesWhenItMovesAndWhenTheFileIsRemoved) {
    const support::TemporaryFolder folder;
    folder.write("one", "first");
    folder.write("two", "second");
    MappedFile one(folder / "one");
    std::filesystem::remove(folder / "one");
    MappedFile moved(std::move(one));
    EXPECT_EQ(moved.text(), "first");
    moved = MappedFile(folder / "two");
    EXPECT_EQ(moved.text(), "second");
}

TEST(MappedFile, ThatIsMissingIsNamed) {
    const support::TemporaryFolder folder;
    const auto path = folder / "nowhere";
    support::expect_error<IoError>([&] { MappedFile file(path); }, {path.string(), "cannot open", "No such file"});
}

TEST(MappedFile, IsARegularFile) {
    const support::TemporaryFolder folder;
    const auto fifo = folder / "fifo";
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    // A pipe that nobody writes to would block an open for reading: this test then hangs.
    support::expect_error<IoError>([&] { MappedFile file(fifo); }, {fifo.string(), "regular file"});
    support::expect_error<IoError>([&] { MappedFile file(folder.path()); }, {folder.path().string(), "regular file"});
    support::expect_error<IoError>([] { MappedFile file("/dev/zero"); }, {"/dev/zero", "regular file"});
}

TEST(MappedFile, FollowsLinksAndNamesBrokenOnes) {
    const support::TemporaryFolder folder;
    folder.write("file", "content");
    std::filesystem::create_symlink(folder / "file", folder / "link");
    std::filesystem::create_symlink(folder / "gone", folder / "broken");
    EXPECT_EQ(MappedFile(folder / "link").text(), "content");
    support::expect_error<IoError>([&] { MappedFile file(folder / "broken"); }, {"broken", "cannot open"});
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

TEST(MappedFile, ThatMayNotBeReadIsNamed) {
    const support::TemporaryFolder folder;
    folder.write("secret", "content");
    chmod(folder.path().c_str(), 0755);
    chmod((folder / "secret").c_str(), 0);
    const OrdinaryUser user;
    if (!user) GTEST_SKIP() << "root that cannot become anybody else";
    support::expect_error<IoError>([&] { MappedFile file(folder / "secret"); },
                                   {"secret", "cannot open", "Permission denied"});
}

}  // namespace
