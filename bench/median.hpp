#pragma once
// The one number that stands for several rounds'.
#include <algorithm>
#include <cstddef>
#include <vector>

namespace bench {

/// Of at least one value; of an even count, the mean of the middle two.
inline double median(std::vector<double> values) {
    std::ranges::sort(values);
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace bench
