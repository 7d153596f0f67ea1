#pragma once
// Tokens to expressions, with the precedences of Jinja (which are not all Python's: ** takes from the left).
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

    Token advance() {
        Token token = std::move(current_);
        current_ = looked_ ? std::move(next_) : lexer_.next();
        looked_ = false;
        return token;
    }
    const Token& look() {
        if (!looked_) next_ = lexer_.next();
        looked_ = true;
        return next_;
    }
    [[noreturn]] void fail(const std::string& what) const { lexer_.fail(current_.at, what); }
    [[noreturn]] void fail_expecting(const std::string& what) const {
        fail("expected " + what + ", found " + described(current_));
    }
    static std::string described(const Token& token);
    bool skip_sign(std::string_view sign) {
        if (!current_.is_sign(sign)) return false;
        advance();
        return true;
    }
    bool skip_name(std::string_view name) {
        if (!current_.is_name(name)) return false;
        advance();
        return true;
    }
    void expect_sign(std::string_view sign) {
        if (!skip_sign(sign)) fail_expecting("'" + std::string(sign) + "'");
    }
    void expect_name(std::string_view name) {
        if (!skip_name(name)) fail_expecting("'" + std::string(name) + "'");
    }
    Token expect(TokenType type, const char* what) {
        if (current_.type != type) fail_expecting(what);
        return advance();
    }

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
    /// `left` and what follows, as parts.
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
    Expression constant(std::size_t at, Value value) const {
        Expression out = make(Operation::constant, at, {});
        out.value = std::move(value);
        return out;
    }

    Expression expression(bool conditional = true);
    Expression tuple(const TupleRules& rules);
    Expression filters(Expression value, bool begun = false);
    void check_target(const Expression& target) const;

    Lexer lexer_;
    Token current_;

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

EIGENLM_LARGE Expression ExpressionParser::postfix(Expression value) {
    while (true) {
        if (current_.is_sign(".") || current_.is_sign("[")) {
            value = subscript(std::move(value));
        } else if (current_.is_sign("(")) {
            value = make(Operation::call, current_.at, parts_of(std::move(value)));
            arguments(value);
        } else {
            return value;
        }
    }
}

EIGENLM_LARGE Expression ExpressionParser::filters_and_tests(Expression value) {
    while (true) {
        if (current_.is_sign("|")) {
            value = filters(std::move(value));
        } else if (current_.is_name("is")) {
            value = test(std::move(value));
        } else if (current_.is_sign("(")) {
            value = make(Operation::call, current_.at, parts_of(std::move(value)));
            arguments(value);
        } else {
            return value;
        }
    }
}

EIGENLM_LARGE Expression ExpressionParser::subscript(Expression value) {
    const Token begin = advance();
    if (begin.text == ".") {
        Token attribute = advance();
        if (attribute.type == TokenType::name)
            return make(Operation::attribute, attribute.at, parts_of(std::move(value)), std::move(attribute.text));
        if (attribute.type != TokenType::integer) lexer_.fail(attribute.at, "expected a name or number");
        Expression index = constant(attribute.at, Value::of(attribute.integer));
        return make(Operation::item, begin.at, parts_of(std::move(value), std::move(index)));
    }
    value = subscribed(std::move(value));
    expect_sign("]");
    return value;
}

/// What stands between [ and ]: an index, a slice or indices with commas.
EIGENLM_LARGE Expression ExpressionParser::subscribed(Expression value) {
    const std::size_t at = current_.at;
    std::vector<Expression> indices;
    while (!current_.is_sign("]")) {
        if (!indices.empty()) expect_sign(",");
        if (!current_.is_sign(":")) indices.push_back(expression());
        if (!current_.is_sign(":")) continue;
        if (indices.size() > 1) lexer_.unsupported(current_.at, "slices among several indices");
        std::vector<Expression> parts = parts_of(std::move(value));
        parts.push_back(indices.empty() ? constant(at, Value::none()) : std::move(indices[0]));
        while (parts.size() < 4) {
            const bool given =
                skip_sign(":") && !current_.is_sign(":") && !current_.is_sign("]") && !current_.is_sign(",");
            parts.push_back(given ? expression() : constant(current_.at, Value::none()));
        }
        if (current_.is_sign(",")) lexer_.unsupported(current_.at, "slices among several indices");
        return make(Operation::slice, at, std::move(parts));
    }
    Expression index = indices.size() == 1 ? std::move(indices[0]) : make(Operation::tuple, at, std::move(indices));
    return make(Operation::item, at, parts_of(std::move(value), std::move(index)));
}

EIGENLM_LARGE void ExpressionParser::arguments(Expression& call) {
    const std::size_t at = current_.at;
    expect_sign("(");
    std::vector<Expression> stars, double_stars, named;
    bool first = true;
    const auto ensure = [&](bool fine) {
        if (!fine) lexer_.fail(at, "invalid syntax for a function call");
    };
    while (!current_.is_sign(")")) {
        if (!first) expect_sign(",");
        if (current_.is_sign(")") && !first) break;
        first = false;
        if (skip_sign("*")) {
            ensure(stars.empty() && double_stars.empty());
            stars.push_back(expression());
        } else if (skip_sign("**")) {
            ensure(double_stars.empty());
            double_stars.push_back(expression());
        } else if (current_.type == TokenType::name && look().is_sign("=")) {
            ensure(double_stars.empty());
            if (call.names.size() == 255) lexer_.unsupported(current_.at, "more than 255 keyword arguments");
            call.names.push_back(advance().text);
            if (std::count(call.names.begin(), call.names.end(), call.names.back()) > 1)
                fail("keyword argument repeated");
            advance();
            named.push_back(expression());
        } else {
            ensure(stars.empty() && double_stars.empty() && named.empty());
            call.parts.push_back(expression());
        }
    }
    expect_sign(")");
    call.star = !stars.empty();
    call.double_star = !double_stars.empty();
    for (auto* more : {&named, &stars, &double_stars})
        for (Expression& argument : *more) call.parts.push_back(std::move(argument));
    Expression checked = make(call.operation, call.at, std::move(call.parts));
    call.depth = checked.depth;
    call.parts = std::move(checked.parts);
}

EIGENLM_LARGE Expression ExpressionParser::filters(Expression value, bool begun) {
    while (begun || current_.is_sign("|")) {
        if (!begun) advance();
        begun = false;
        Token token = expect(TokenType::name, "a filter's name");
        while (skip_sign(".")) {
            token.text += '.';  // in two steps: g++ 12 warns of "." + std::string (GCC bug 105651)
            token.text += expect(TokenType::name, "a name").text;
        }
        value = make(Operation::filter, token.at, parts_of(std::move(value)), std::move(token.text));
        if (current_.is_sign("(")) arguments(value);
    }
    return value;
}

EIGENLM_LARGE Expression ExpressionParser::test(Expression value) {
    const std::size_t at = advance().at;
    const bool negated = skip_name("not");
    Token token = expect(TokenType::name, "a test's name");
    while (skip_sign(".")) token.text += "." + expect(TokenType::name, "a name").text;
    Expression out = make(Operation::test, token.at, parts_of(std::move(value)), std::move(token.text));
    const bool literal = current_.type == TokenType::string || current_.type == TokenType::integer ||
                         current_.type == TokenType::real || current_.is_sign("[") || current_.is_sign("{");
    const bool name = current_.type == TokenType::name && !current_.is_name("else") && !current_.is_name("or") &&
                      !current_.is_name("and");
    if (current_.is_sign("(")) {
        arguments(out);
    } else if (literal || name) {
        if (current_.is_name("is")) fail("tests with `is` cannot be chained");
        out.parts.push_back(postfix(primary()));
        out = make(Operation::test, out.at, std::move(out.parts), std::move(out.name));
    }
    return negated ? make(Operation::negation, at, parts_of(std::move(out))) : out;
}

EIGENLM_LARGE void ExpressionParser::check_target(const Expression& target) const {
    const bool names_one = target.operation == Operation::name ||
                           (target.operation == Operation::attribute && target.parts[0].operation == Operation::name &&
                            target.at == target.parts[0].at);
    if (target.operation == Operation::tuple)
        for (const Expression& part : target.parts) check_target(part);
    else if (!names_one)
        lexer_.fail(target.at, "cannot assign to this");
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
