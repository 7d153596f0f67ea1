#pragma once
// Tokens to expressions, with the precedences of Jinja (which are not all Python's: ** takes from the left). What
// stands behind an operand is in suffixes.hpp.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lexer.hpp"
#include "syntax.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// Parses expressions; the parser of statements goes on where it stops.
class ExpressionParser {
  public:
    /// Both must outlive it. Throws FormatError, as everything here, for what is no template.
    ExpressionParser(std::string_view source, const std::string& where) : lexer_(source, where) { advance(); }

  protected:
    /// Which forms a tuple without parentheses takes.
    struct TupleRules {
        bool simple = false;         ///< names and literals only
        bool conditional = true;     ///< a if b else c
        bool parenthesized = false;  ///< () is one
        bool namespaces = false;     ///< a.b among the simple ones
        std::string_view end = {};   ///< a name that ends it
    };

    /// For its lifetime, the recursion is a level deeper.
    class Deeper {
      public:
        /// Throws when that is too deep.
        explicit Deeper(ExpressionParser& parser) : parser_(parser) {
            constexpr int most = 150;
            if (++parser.depth_ > most) parser.fail("nested deeper than " + std::to_string(most) + " levels");
        }
        Deeper(const Deeper&) = delete;
        Deeper& operator=(const Deeper&) = delete;
        ~Deeper() { --parser_.depth_; }

      private:
        ExpressionParser& parser_;
    };

    /// The current token; the one behind it is the current one then.
    Token advance() {
        Token token = std::move(current_);
        current_ = looked_ ? std::move(next_) : lexer_.next();
        looked_ = false;
        return token;
    }
    /// The token behind the current one.
    const Token& look() {
        if (!looked_) next_ = lexer_.next();
        looked_ = true;
        return next_;
    }
    /// An error at the current token.
    [[noreturn]] void fail(const std::string& what) const { lexer_.fail(current_.at, what); }
    /// The error that something else than the current token should be there.
    [[noreturn]] void fail_expecting(const std::string& what) const {
        fail("expected " + what + ", found " + described(current_));
    }
    /// A token, for messages.
    static std::string described(const Token& token);
    /// Whether the current token was that sign; it is skipped then.
    bool skip_sign(std::string_view sign) {
        if (!current_.is_sign(sign)) return false;
        advance();
        return true;
    }
    /// The same for a name.
    bool skip_name(std::string_view name) {
        if (!current_.is_name(name)) return false;
        advance();
        return true;
    }
    /// Skips that sign; throws when it is not there.
    void expect_sign(std::string_view sign) {
        if (!skip_sign(sign)) fail_expecting("'" + std::string(sign) + "'");
    }
    /// The same for a name.
    void expect_name(std::string_view name) {
        if (!skip_name(name)) fail_expecting("'" + std::string(name) + "'");
    }
    /// advance(), when the current token is of that type.
    Token expect(TokenType type, const char* what) {
        if (current_.type != type) fail_expecting(what);
        return advance();
    }

    /// An expression of parts. Throws when its tree is too deep.
    Expression make(Operation operation, std::size_t at, std::vector<Expression> parts, std::string name = {}) const {
        Expression out;
        out.operation = operation;
        out.at = at;
        for (const Expression& part : parts) out.depth = std::max(out.depth, part.depth + 1);
        if (out.depth > max_tree_depth)
            lexer_.fail(at, "an expression deeper than " + std::to_string(max_tree_depth) + " levels");
        out.parts = std::move(parts);
        out.name = std::move(name);
        return out;
    }
    /// One part or two: they move, which lists in braces cannot.
    /// @{
    static std::vector<Expression> parts_of(Expression&& first) {
        std::vector<Expression> parts;
        parts.push_back(std::move(first));
        return parts;
    }
    static std::vector<Expression> parts_of(Expression&& first, Expression&& second) {
        std::vector<Expression> parts = parts_of(std::move(first));
        parts.push_back(std::move(second));
        return parts;
    }
    /// @}
    /// A constant.
    Expression constant(std::size_t at, Value value) const {
        Expression out = make(Operation::constant, at, {});
        out.value = std::move(value);
        return out;
    }

    /// Any expression.
    Expression expression(bool conditional = true);
    /// One expression, or several with commas between them.
    Expression tuple(const TupleRules& rules);
    /// A value and the filters behind it; `begun`: the first | is not there.
    Expression filters(Expression value, bool begun = false);
    /// Throws for what cannot be assigned to.
    void check_target(const Expression& target) const;

    /// What tokens come from, and the current one.
    /// @{
    Lexer lexer_;
    Token current_;
    /// @}

  private:
    Expression binary(int level);
    Expression comparison();
    Expression concatenation();
    Expression unary(bool with_filters = true);
    Expression primary(bool namespaces = false);
    Expression name(bool namespaces);
    Expression text();
    Expression list();
    Expression dict();
    Expression postfix(Expression value);
    Expression filters_and_tests(Expression value);
    Expression subscript(Expression value);
    Expression subscribed(Expression value);
    Expression test(Expression value);
    void arguments(Expression& call);

    Token next_;
    bool looked_ = false;
    int depth_ = 0;
};

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE std::string ExpressionParser::described(const Token& token) {
    switch (token.type) {
        case TokenType::name:
        case TokenType::sign:
            return "'" + token.text + "'";
        case TokenType::string:
            return "a string";
        case TokenType::integer:
        case TokenType::real:
            return "a number";
        case TokenType::variable_end:
            return "'}}'";
        case TokenType::block_end:
            return "'%}'";
        case TokenType::end:
            return "the template's end";
        default:
            return "text";
    }
}

EIGENLM_LARGE Expression ExpressionParser::expression(bool conditional) {
    const Deeper deeper(*this);
    Expression left = binary(0);
    while (conditional && current_.is_name("if")) {
        const std::size_t at = advance().at;
        std::vector<Expression> parts = parts_of(binary(0), std::move(left));
        if (skip_name("else")) parts.push_back(expression());
        left = make(Operation::conditional, at, std::move(parts));
    }
    return left;
}

/// Levels: 0 or, 1 and, 2 not, 3 comparisons, 4 + and -, 5 ~, 6 * / // %, 7 **.
EIGENLM_LARGE Expression ExpressionParser::binary(int level) {
    struct Operator {
        int level;
        std::string_view sign;
        Operation operation;
    };
    static constexpr Operator operators[] = {
        {0, "or", Operation::disjunction}, {1, "and", Operation::conjunction}, {4, "+", Operation::add},
        {4, "-", Operation::subtract},     {6, "*", Operation::multiply},      {6, "/", Operation::divide},
        {6, "//", Operation::floor},       {6, "%", Operation::modulo},        {7, "**", Operation::power},
    };
    if (level == 2 && current_.is_name("not")) {
        const Deeper deeper(*this);
        const std::size_t at = advance().at;
        return make(Operation::negation, at, parts_of(binary(2)));
    }
    if (level == 2) return binary(3);
    if (level == 3) return comparison();
    if (level == 5) return concatenation();
    if (level == 8) return unary();
    Expression left = binary(level + 1);
    while (true) {
        const TokenType type = level < 2 ? TokenType::name : TokenType::sign;
        const auto* found = std::find_if(std::begin(operators), std::end(operators), [&](const Operator& op) {
            return op.level == level && current_.type == type && current_.text == op.sign;
        });
        if (found == std::end(operators)) return left;
        const std::size_t at = advance().at;
        Expression right = binary(level + 1);
        left = make(found->operation, at, parts_of(std::move(left), std::move(right)));
    }
}

EIGENLM_LARGE Expression ExpressionParser::comparison() {
    const std::size_t at = current_.at;
    std::vector<Expression> parts = parts_of(binary(4));
    std::vector<std::string> signs;
    while (true) {
        std::string sign;
        for (const std::string_view known : {"==", "!=", "<", "<=", ">", ">="})
            if (current_.is_sign(known)) sign = known;
        if (current_.is_name("in")) sign = "in";
        if (current_.is_name("not") && look().is_name("in")) {
            advance();
            sign = "not in";
        }
        if (sign.empty()) break;
        advance();
        signs.push_back(sign);
        parts.push_back(binary(4));
    }
    if (signs.empty()) return std::move(parts[0]);
    Expression out = make(Operation::compare, at, std::move(parts));
    out.names = std::move(signs);
    return out;
}

EIGENLM_LARGE Expression ExpressionParser::concatenation() {
    const std::size_t at = current_.at;
    std::vector<Expression> parts = parts_of(binary(6));
    while (skip_sign("~")) parts.push_back(binary(6));
    return parts.size() == 1 ? std::move(parts[0]) : make(Operation::concat, at, std::move(parts));
}

EIGENLM_LARGE Expression ExpressionParser::unary(bool with_filters) {
    const Deeper deeper(*this);
    const std::size_t at = current_.at;
    Expression value;
    if (current_.is_sign("-") || current_.is_sign("+")) {
        const Operation operation = advance().text == "-" ? Operation::negative : Operation::positive;
        value = make(operation, at, parts_of(unary(false)));
    } else {
        value = primary();
    }
    value = postfix(std::move(value));
    return with_filters ? filters_and_tests(std::move(value)) : value;
}

EIGENLM_LARGE Expression ExpressionParser::name(bool namespaces) {
    Token token = advance();
    const std::string& text = token.text;
    if (text == "true" || text == "True") return constant(token.at, Value::of(true));
    if (text == "false" || text == "False") return constant(token.at, Value::of(false));
    if (text == "none" || text == "None") return constant(token.at, Value::none());
    Expression out = make(Operation::name, token.at, {}, text);
    if (!namespaces || !skip_sign(".")) return out;
    Token attribute = expect(TokenType::name, "a name");
    return make(Operation::attribute, token.at, parts_of(std::move(out)), std::move(attribute.text));
}

EIGENLM_LARGE Expression ExpressionParser::text() {
    const std::size_t at = current_.at;
    std::string all;
    while (current_.type == TokenType::string) all += advance().text;
    return constant(at, Value(Type::string, std::make_shared<Text>(nullptr, std::move(all), false)));
}

EIGENLM_LARGE Expression ExpressionParser::primary(bool namespaces) {
    const std::size_t at = current_.at;
    if (current_.type == TokenType::name) return name(namespaces);
    if (current_.type == TokenType::string) return text();
    if (current_.type == TokenType::integer) return constant(at, Value::of(advance().integer));
    if (current_.type == TokenType::real) return constant(at, Value::of(advance().real));
    if (current_.is_sign("[")) return list();
    if (current_.is_sign("{")) return dict();
    if (!skip_sign("(")) fail_expecting("an expression");
    Expression inside = tuple({.parenthesized = true});
    expect_sign(")");
    return inside;
}

EIGENLM_LARGE Expression ExpressionParser::tuple(const TupleRules& rules) {
    const std::size_t at = current_.at;
    std::vector<Expression> parts;
    bool is_tuple = false;
    while (true) {
        if (!parts.empty()) expect_sign(",");
        const bool ends = current_.type == TokenType::variable_end || current_.type == TokenType::block_end ||
                          current_.is_sign(")") || (!rules.end.empty() && current_.is_name(rules.end));
        if (ends) break;
        parts.push_back(rules.simple ? primary(rules.namespaces) : expression(rules.conditional));
        if (!current_.is_sign(",")) break;
        is_tuple = true;
    }
    if (!is_tuple && !parts.empty()) return std::move(parts[0]);
    if (!is_tuple && !rules.parenthesized) fail_expecting("an expression");
    return make(Operation::tuple, at, std::move(parts));
}

EIGENLM_LARGE Expression ExpressionParser::list() {
    const std::size_t at = advance().at;
    std::vector<Expression> parts;
    while (!current_.is_sign("]")) {
        if (!parts.empty()) expect_sign(",");
        if (current_.is_sign("]")) break;
        parts.push_back(expression());
    }
    expect_sign("]");
    return make(Operation::list, at, std::move(parts));
}

EIGENLM_LARGE Expression ExpressionParser::dict() {
    const std::size_t at = advance().at;
    std::vector<Expression> parts;
    while (!current_.is_sign("}")) {
        if (!parts.empty()) expect_sign(",");
        if (current_.is_sign("}")) break;
        parts.push_back(expression());
        expect_sign(":");
        parts.push_back(expression());
    }
    expect_sign("}");
    return make(Operation::dict, at, std::move(parts));
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
