#include "eigenlm/base/profile.hpp"

#include <gtest/gtest.h>

namespace {

TEST(Profile, KeepsPartsInOrderAsLongAsThereIsRoom) {
    eigenlm::Profile profile(2);
    for (const char* name : {"a", "b", "c"}) profile.add({name, 1, profile.now(), 0.5, {2, 3}});
    ASSERT_EQ(profile.parts().size(), 2u);
    EXPECT_STREQ(profile.parts()[0].name, "a");
    EXPECT_STREQ(profile.parts()[1].name, "b");
    EXPECT_LE(profile.parts()[0].begin, profile.parts()[1].begin);
    EXPECT_EQ(profile.parts()[1].cost.operations, 3);
    profile.clear();
    EXPECT_TRUE(profile.parts().empty());
    profile.add({"d", -1, 0, 0, {}});
    EXPECT_STREQ(profile.parts()[0].name, "d");
}

}  // namespace
