// How many processors a process may keep busy: control groups of both versions, made of files.
#include <gtest/gtest.h>

#include <eigenlm/base/processors.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/temporary_folder.hpp"

namespace {

class GroupProcessors : public testing::Test {
  protected:
    void write(const std::string& name, const std::string& text) {
        const auto path = folder_.path() / name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text;
    }
    double found(const std::string& list) {
        write("list", list);
        return eigenlm::detail::group_processors(folder_.path().string(), (folder_.path() / "list").string());
    }

  private:
    support::TemporaryFolder folder_;
};

TEST_F(GroupProcessors, AreUnknownWhereNothingLimitsThem) {
    EXPECT_EQ(eigenlm::detail::group_processors("/nowhere", "/nowhere/list"), 0);
    EXPECT_EQ(found(""), 0);
    EXPECT_EQ(found("0::/\n"), 0);
    write("a/cpu.max", "max 100000\n");
    EXPECT_EQ(found("0::/a\n"), 0);
    write("cpu/b/cpu.cfs_quota_us", "-1\n");
    write("cpu/b/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(found("1:cpu:/b\n"), 0);
}

TEST_F(GroupProcessors, AreTheLeastOfAGroupAndThoseAboveIt) {
    write("a/b/c/cpu.max", "300000 100000\n");
    EXPECT_EQ(found("0::/a/b/c\n"), 3);
    write("a/cpu.max", "125000 50000\n");
    EXPECT_EQ(found("0::/a/b/c\n"), 2.5);
    write("cpu.max", "50000 100000\n");  // of the group that a container sees as its root
    EXPECT_EQ(found("0::/a/b/c\n"), 0.5);
    EXPECT_EQ(found("0::/\n"), 0.5);
    EXPECT_EQ(found("0::/../elsewhere\n"), 0.5);
}

TEST_F(GroupProcessors, ComeFromVersionOneToo) {
    write("cpu/x/cpu.cfs_quota_us", "400000\n");
    write("cpu/x/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(found("7:memory:/m\n3:cpuset,cpu,cpuacct:/x/y\n2:cpuset:/z\n"), 4);
    EXPECT_EQ(found("3:cpuset:/x/y\n"), 0);
}

TEST_F(GroupProcessors, MindNoNonsense) {
    for (const char* text : {"", "x y", "0 100000", "100000 0", "-5 100000", "100000", "nan 1", "1e999 1"}) {
        write("a/cpu.max", text);
        EXPECT_EQ(found("0::/a\n"), 0) << text;
    }
    EXPECT_EQ(found("0:\n::\n:::\nno colon\n"), 0);
}

TEST(AvailableProcessors, AreAtLeastOne) { EXPECT_GE(eigenlm::available_processors(), 1u); }

}  // namespace
