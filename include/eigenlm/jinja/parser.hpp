#pragma once
// Tokens to statements.
#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "suffixes.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// Parses a whole template.
class Parser : private ExpressionParser {
  public:
    /// A normalized source, and the template's name for messages.
    Parser(std::string_view source, const std::string& where) : ExpressionParser(source, where) {}

    /// The statements. Throws FormatError, and UnsupportedError for include, extends and the like.
    Body parse() { return statements_until({}); }

  private:
    using Names = std::initializer_list<std::string_view>;

    Body statements_until(Names ends);
    Body body(Names ends);
    Body last_body(std::string_view end);
    Statement statement();
    Statement begin(StatementType type) {
        Statement out;
        out.type = type;
        out.at = current_.at;
        advance();
        return out;
    }
    Statement finished(Statement out) const;
    Statement loop();
    Statement branch();
    Statement assignment();
    Statement macro();
    Statement call();
    Statement filter_block();
    Statement with();
    Statement generation();
    Statement print();
    Statement jump();
    void signature(Statement& out);
    Expression target(std::string_view end = {}, bool namespaces = false);
    Expression name_target();
    Body function_body(std::string_view end);

    int loops_ = 0;  // around the statement, in its function
};

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE Body Parser::statements_until(Names ends) {
    Body out;
    while (current_.type != TokenType::end) {
        if (current_.type == TokenType::data) {
            Statement data;
            data.at = current_.at;
            data.name = advance().text;
            out.push_back(std::move(data));
        } else if (current_.type == TokenType::variable_begin) {
            Statement output = begin(StatementType::output);
            output.expressions.push_back(tuple({}));
            expect(TokenType::variable_end, "'}}'");
            out.push_back(finished(std::move(output)));
        } else {
            expect(TokenType::block_begin, "a tag");
            if (std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return current_.is_name(end); }))
                return out;
            out.push_back(statement());
            expect(TokenType::block_end, "'%}'");
        }
    }
    if (ends.size() > 0) fail_expecting("{% " + std::string(*(ends.end() - 1)) + " %}");
    return out;
}

/// A statement's body, up to one of the names, which is the current token then.
EIGENLM_LARGE Body Parser::body(Names ends) {
    skip_sign(":");
    expect(TokenType::block_end, "'%}'");
    return statements_until(ends);
}

EIGENLM_LARGE Body Parser::last_body(std::string_view end) {
    Body out = body({end});
    advance();
    return out;
}

EIGENLM_LARGE Body Parser::function_body(std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    Body out = last_body(end);
    loops_ = loops;
    return out;
}

EIGENLM_LARGE Statement Parser::finished(Statement out) const {
    for (const auto* all : {&out.expressions, &out.parameters})
        for (const Expression& part : *all) out.depth = std::max(out.depth, part.depth + 1);
    for (const Body& inside : out.bodies)
        for (const Statement& part : inside) out.depth = std::max(out.depth, part.depth + 1);
    if (out.depth > max_tree_depth)
        lexer_.fail(out.at, "statements deeper than " + std::to_string(max_tree_depth) + " levels");
    return out;
}

EIGENLM_LARGE Statement Parser::statement() {
    const Deeper deeper(*this);
    if (current_.type != TokenType::name) fail_expecting("a statement");
    struct Known {
        std::string_view name;
        Statement (Parser::*parse)();
    };
    static constexpr Known known[] = {
        {"for", &Parser::loop},    {"if", &Parser::branch},     {"set", &Parser::assignment},
        {"macro", &Parser::macro}, {"call", &Parser::call},     {"filter", &Parser::filter_block},
        {"with", &Parser::with},   {"print", &Parser::print},   {"generation", &Parser::generation},
        {"break", &Parser::jump},  {"continue", &Parser::jump},
    };
    for (const Known& entry : known)
        if (entry.name == current_.text) return finished((this->*entry.parse)());
    for (const std::string_view name : {"include", "extends", "block", "import", "from", "autoescape"})
        if (current_.text == name) lexer_.unsupported(current_.at, "the statement '" + current_.text + "'");
    fail("unknown statement '" + current_.text + "'");
}

EIGENLM_LARGE Expression Parser::target(std::string_view end, bool namespaces) {
    Expression out = tuple({.simple = true, .namespaces = namespaces, .end = end});
    check_target(out);
    return out;
}

EIGENLM_LARGE Expression Parser::name_target() {
    const std::size_t at = current_.at;
    Token token = expect(TokenType::name, "a name");
    for (const std::string_view constant : {"true", "false", "none", "True", "False", "None"})
        if (token.text == constant) lexer_.fail(at, "cannot assign to '" + token.text + "'");
    return make(Operation::name, at, {}, std::move(token.text));
}

EIGENLM_LARGE Statement Parser::loop() {
    Statement out = begin(StatementType::loop);
    out.expressions.push_back(target("in"));
    expect_name("in");
    out.expressions.push_back(tuple({.conditional = false, .end = "recursive"}));
    if (skip_name("if")) out.expressions.push_back(expression());
    out.recursive = skip_name("recursive");
    ++loops_;
    out.bodies.push_back(body({"else", "endfor"}));
    --loops_;
    if (advance().text == "else") {
        const int loops = std::exchange(loops_, out.recursive ? 0 : loops_);
        out.bodies.push_back(last_body("endfor"));
        loops_ = loops;
    }
    return out;
}

EIGENLM_LARGE Statement Parser::branch() {
    Statement out = begin(StatementType::branch);
    while (true) {
        out.expressions.push_back(tuple({.conditional = false}));
        out.bodies.push_back(body({"elif", "else", "endif"}));
        const std::string next = advance().text;
        if (next == "elif") continue;
        if (next == "else") out.bodies.push_back(last_body("endif"));
        return out;
    }
}

EIGENLM_LARGE Statement Parser::assignment() {
    Statement out = begin(StatementType::assign);
    out.expressions.push_back(target({}, true));
    if (skip_sign("=")) {
        out.expressions.push_back(tuple({}));
        return out;
    }
    out.type = StatementType::assign_block;
    Expression captured = filters(make(Operation::captured, current_.at, {}));
    if (captured.operation == Operation::filter) out.expressions.push_back(std::move(captured));
    out.bodies.push_back(last_body("endset"));
    return out;
}

EIGENLM_LARGE void Parser::signature(Statement& out) {
    expect_sign("(");
    bool defaults = false;
    while (!current_.is_sign(")")) {
        if (!out.parameters.empty()) expect_sign(",");
        if (out.parameters.size() == 255) lexer_.unsupported(current_.at, "more than 255 parameters");
        out.parameters.push_back(name_target());
        for (std::size_t i = 0; i + 1 < out.parameters.size(); ++i)
            if (out.parameters[i].name == out.parameters.back().name) fail("a parameter of that name is there already");
        if (skip_sign("=")) {
            out.expressions.push_back(expression());
            defaults = true;
        } else if (defaults) {
            fail("a parameter without a default follows one with a default");
        }
    }
    expect_sign(")");
}

EIGENLM_LARGE Statement Parser::macro() {
    Statement out = begin(StatementType::macro);
    out.name = name_target().name;
    signature(out);
    out.bodies.push_back(function_body("endmacro"));
    return out;
}

EIGENLM_LARGE Statement Parser::call() {
    Statement out = begin(StatementType::call);
    if (current_.is_sign("(")) signature(out);
    Expression called = expression();
    if (called.operation != Operation::call) lexer_.fail(out.at, "expected a call");
    out.expressions.insert(out.expressions.begin(), std::move(called));
    out.bodies.push_back(function_body("endcall"));
    return out;
}

EIGENLM_LARGE Statement Parser::filter_block() {
    Statement out = begin(StatementType::filter);
    out.expressions.push_back(filters(make(Operation::captured, current_.at, {}), true));
    out.bodies.push_back(last_body("endfilter"));
    return out;
}

EIGENLM_LARGE Statement Parser::with() {
    Statement out = begin(StatementType::with);
    while (current_.type != TokenType::block_end) {
        if (!out.parameters.empty()) expect_sign(",");
        out.parameters.push_back(target());
        expect_sign("=");
        out.expressions.push_back(expression());
    }
    out.bodies.push_back(last_body("endwith"));
    return out;
}

EIGENLM_LARGE Statement Parser::generation() {
    Statement out = begin(StatementType::generation);
    out.bodies.push_back(function_body("endgeneration"));
    return out;
}

EIGENLM_LARGE Statement Parser::print() {
    Statement out = begin(StatementType::output);
    while (current_.type != TokenType::block_end) {
        if (!out.expressions.empty()) expect_sign(",");
        out.expressions.push_back(expression());
    }
    return out;
}

EIGENLM_LARGE Statement Parser::jump() {
    if (loops_ == 0) fail("'" + current_.text + "' outside of a loop");
    return begin(current_.text == "break" ? StatementType::leave : StatementType::repeat);
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
