#pragma once
// Goldens made by transformers (tools/make_goldens.py): what a model folder's outputs must be.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <eigenlm/eigenlm.hpp>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace support {

using eigenlm::TokenId;

/// Relative error that contract 2 allows in f32.
inline constexpr double tolerance = 1e-4;

inline std::filesystem::path data_dir() { return EIGENLM_TEST_DATA_DIR; }
inline std::filesystem::path golden_dir(const std::string& name) { return data_dir() / "goldens" / name; }
inline std::filesystem::path tiny_dir() { return EIGENLM_TINY_MODEL_DIR; }
/// The trained model's golden lies with the others, its folder with the examples.
inline std::filesystem::path model_dir(const std::string& golden) {
    return golden == "tiny" ? tiny_dir() : golden_dir(golden);
}

/// The short random checkpoints: 20 prompt ids (mistral: 100) and 64 greedy ones.
inline const std::vector<std::string>& short_goldens() {
    static const std::vector<std::string> names = {
        "qwen2-odd", "qwen2-untied", "qwen2-window", "qwen2-yarn",    "qwen2-outliers", "qwen3",   "qwen3-window",
        "llama-gqa", "llama-linear", "llama-yarn",   "llama-dynamic", "llama31-scaled", "mistral", "mistral-full",
    };
    return names;
}
/// Those, a text of 4,096 positions, and the trained model.
inline std::vector<std::string> all_goldens() {
    std::vector<std::string> names = short_goldens();
    names.insert(names.end(), {"long", "tiny"});
    return names;
}

/// A checkpoint's name as part of a test's: letters, digits and underscores.
inline std::string identifier(std::string name) {
    std::ranges::replace(name, '-', '_');
    return name;
}
inline constexpr auto name_of_parameter = [](const auto& parameter) { return identifier(parameter.param); };
/// The same for a pair of a name and a level or a type.
inline constexpr auto name_of_pair = [](const auto& parameter) {
    return identifier(std::get<0>(parameter.param)) + "_" + to_string(std::get<1>(parameter.param));
};

inline constexpr auto name_of_triple = [](const auto& parameter) {
    return name_of_pair(parameter) + "_" + to_string(std::get<2>(parameter.param));
};

/// [rows, cols] numbers.
struct Table {
    std::size_t rows = 0, cols = 0;
    std::vector<float> values;
    std::span<const float> row(std::size_t r) const { return {values.data() + r * cols, cols}; }
};

class Golden {
  public:
    explicit Golden(const std::filesystem::path& file) : file_(file) {}
    static Golden of(const std::string& name) { return Golden(golden_dir(name) / "golden.safetensors"); }

    bool has(const std::string& name) const { return file_.contains(name); }
    std::vector<TokenId> ids(const std::string& name) const {
        const auto tensor = file_.tensor(name);
        EXPECT_EQ(tensor.dtype, eigenlm::Dtype::i32);
        std::vector<TokenId> values(tensor.size());
        tensor.read_bytes(0, std::as_writable_bytes(std::span(values)));
        return values;
    }
    Table table(const std::string& name) const {
        const auto tensor = file_.tensor(name);
        Table t{tensor.shape.at(0), tensor.shape.at(1), {}};
        t.values.resize(t.rows * t.cols);
        tensor.read(0, t.values);
        return t;
    }
    std::vector<float> vector(const std::string& name) const {
        const auto tensor = file_.tensor(name);
        std::vector<float> values(tensor.size());
        tensor.read(0, values);
        return values;
    }
    /// Prompt and greedy ids: the text whose rows the tables hold.
    std::vector<TokenId> text() const {
        auto all = ids("prompt_ids");
        if (has("greedy_ids")) {
            const auto greedy = ids("greedy_ids");
            all.insert(all.end(), greedy.begin(), greedy.end());
        }
        return all;
    }

  private:
    eigenlm::SafetensorsFile file_;
};

/// max |found - expected| / max |expected|
inline double relative_error(std::span<const float> found, std::span<const float> expected) {
    double error = 0, largest = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double difference = std::abs(double{found[i]} - double{expected[i]});
        if (!(difference <= error)) error = difference;  // a NaN counts as an error
        largest = std::max(largest, std::abs(double{expected[i]}));
    }
    return error / largest;
}

/// The largest relative error over the golden's logit rows of a text's logits, [text, vocab]. `table` may be
/// "logits_stored_dtype": transformers' in the checkpoint's own dtype.
inline double logits_error(const Golden& golden, std::span<const float> logits, const std::string& table = "logits") {
    const Table expected = golden.table(table);
    const auto positions = golden.ids("row_positions");
    EXPECT_EQ(positions.size(), expected.rows);
    double worst = 0;
    for (std::size_t r = 0; r < expected.rows; ++r) {
        const auto found = logits.subspan(static_cast<std::size_t>(positions[r]) * expected.cols, expected.cols);
        const double error = relative_error(found, expected.row(r));
        if (!(error <= worst)) worst = error;
    }
    return worst;
}

/// Of a text's logits, [text, vocab], the rows that the golden has.
inline std::vector<float> golden_rows(const Golden& golden, std::span<const float> logits) {
    const auto positions = golden.ids("row_positions");
    const std::size_t vocab = golden.table("logits").cols;
    std::vector<float> rows;
    for (const TokenId position : positions) {
        const auto row = logits.subspan(static_cast<std::size_t>(position) * vocab, vocab);
        rows.insert(rows.end(), row.begin(), row.end());
    }
    return rows;
}

inline double rms_difference(std::span<const float> a, std::span<const float> b) {
    EXPECT_EQ(a.size(), b.size());
    double squares = 0;
    for (std::size_t i = 0; i < a.size(); ++i) squares += std::pow(double{a[i]} - double{b[i]}, 2);
    return std::sqrt(squares / static_cast<double>(a.size()));
}

inline eigenlm::ModelConfig config_of(const eigenlm::Checkpoint& checkpoint) {
    return eigenlm::read_config(checkpoint);
}

/// A folder's model without its tokenizer (the random checkpoints have none); in f32 unless the options say otherwise.
inline std::shared_ptr<const eigenlm::Model> load_model(const std::filesystem::path& folder,
                                                        eigenlm::ModelOptions options = {}) {
    options.dtype = options.dtype.value_or(eigenlm::WeightType::f32);
    const auto checkpoint = eigenlm::Checkpoint::open(folder);
    return std::make_shared<const eigenlm::Model>(config_of(checkpoint), checkpoint.tensors(), options);
}

/// The type that a folder's weights are stored in.
inline eigenlm::WeightType stored_type_of(const std::filesystem::path& folder) {
    const auto checkpoint = eigenlm::Checkpoint::open(folder);
    return eigenlm::stored_type(config_of(checkpoint), checkpoint.tensors()).type;
}

/// Logits behind every id of a text, [text, vocab], by one prefill.
inline std::vector<float> all_logits(std::shared_ptr<const eigenlm::Model> model, std::span<const TokenId> text,
                                     std::optional<eigenlm::CacheType> cache_type = std::nullopt) {
    std::vector<float> logits(text.size() * model->config().vocab_size);
    eigenlm::Session session(model, {.context = text.size(), .cache_type = cache_type});
    session.prefill(text, std::span<float>(logits));
    return logits;
}

}  // namespace support
