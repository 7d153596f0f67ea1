#pragma once
// A template of the Jinja language, as Hugging Face's chat templates use it: parsed once, rendered often.
#include <chrono>
#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "evaluate_expression.hpp"
#include "parser.hpp"
#include "scopes.hpp"
#include "to_json.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// Gives, byte for byte, what jinja2 gives in the environment of transformers: an ImmutableSandboxedEnvironment with
/// trim_blocks, lstrip_blocks, loop controls, and tojson, raise_exception, strftime_now and generation blocks of its
/// own. docs/chat_templates.md says what is left out. Immutable: any number of threads may render at once.
class Template {
  public:
    /// `where` names the template in messages. Throws FormatError for what is no template, UnsupportedError for what is
    /// left out here.
    Template(std::string_view source, std::string where);

    /// The text for `variables`, an object. Throws TemplateError for what a template does wrong or refuses
    /// (raise_exception), and when it takes more than `limits` allow; all name the line and column.
    std::string render(const nlohmann::ordered_json& variables, std::chrono::system_clock::time_point now,
                       const Limits& limits = {}) const;

  private:
    std::string where_, source_;
    Body body_;
    Frame frame_;
};

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE Template::Template(std::string_view source, std::string where) : where_(std::move(where)) {
    constexpr std::size_t most = std::size_t{1} << 20;  // real ones have 20 KB
    if (source.size() > most)
        throw FormatError(where_, "expected a template of at most " + std::to_string(most) + " bytes, found " +
                                      std::to_string(source.size()));
    source_ = normalized(source);
    body_ = Parser(source_, where_).parse();
    frame_ = Resolver(source_, where_).resolve(body_);
}

EIGENLM_LARGE std::string Template::render(const nlohmann::ordered_json& variables,
                                           std::chrono::system_clock::time_point now, const Limits& limits) const {
    if (!variables.is_object()) throw ArgumentError("Template::render", "expected an object of variables");
    Context context(where_, source_, now, limits);
    const Value given = from_json(context, variables);
    return Interpreter(context, given).render(body_, frame_);
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
