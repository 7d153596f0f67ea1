#pragma once
// What stands behind an operand: subscripts, calls, filters and tests.
#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "expressions.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

#if EIGENLM_DEFINE_LARGE
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
    while (skip_sign(".")) {
        token.text += '.';
        token.text += expect(TokenType::name, "a name").text;
    }
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
