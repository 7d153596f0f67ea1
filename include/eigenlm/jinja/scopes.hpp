#pragma once
// Which variable a name means, decided before anything runs, as jinja2's compiler decides it.
//
// Each loop, macro, block assignment, filter, call and with block has a scope; if has none. A name that a scope assigns
// is its own everywhere in it, and begins as the one outside; others are those of the nearest scope that has them, or
// else of what the rendering was given.
#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/error.hpp"
#include "filters.hpp"
#include "globals.hpp"
#include "syntax.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// Fills in the places of names, the frames of scopes, and the filters and tests.
class Resolver {
  public:
    /// For messages. Both must outlive it.
    Resolver(std::string_view source, const std::string& where) : source_(source), where_(where) {}

    /// All of a template. Throws FormatError for unknown filters and tests, and for assignments to `loop`.
    Frame resolve(Body& body) {
        Frame frame;
        Scope scope{nullptr, &frame, {}};
        collect(scope, body, false);
        bind(scope, body, false);
        return frame;
    }

  private:
    struct Scope {
        const Scope* outer;
        Frame* frame;
        std::map<std::string, std::size_t, std::less<>> slots;
    };
    /// What a search for a name meets first.
    enum class Use { none, read, assigned };

    [[noreturn]] void fail(std::size_t at, const std::string& what) const {
        throw FormatError(place_of(where_, source_, at), what);
    }
    static std::optional<Place> find(const Scope* scope, std::string_view name) {
        for (std::size_t hops = 0; scope != nullptr; ++hops, scope = scope->outer)
            if (const auto it = scope->slots.find(name); it != scope->slots.end()) return Place{hops, it->second};
        return std::nullopt;
    }
    static Place define(Scope& scope, const std::string& name, Load::From from, Place outer = {}) {
        const auto [it, added] = scope.slots.emplace(name, scope.frame->loads.size());
        if (added)
            scope.frame->loads.push_back({from, it->second, name, outer});
        else
            scope.frame->loads[it->second] = {from, it->second, name, outer};
        return {0, it->second};
    }
    static void read(Scope& scope, const std::string& name) {
        if (!find(&scope, name)) define(scope, name, Load::From::variables);
    }
    static void assign(Scope& scope, const std::string& name, bool perhaps) {
        if (scope.slots.find(name) != scope.slots.end()) return;
        if (const auto outer = find(scope.outer, name))  // as seen from the scope: a hop more
            define(scope, name, Load::From::outer, {outer->hops + 1, outer->slot});
        else
            define(scope, name, perhaps ? Load::From::variables : Load::From::nothing);
    }

    void collect(Scope& scope, const Body& body, bool perhaps);
    void collect(Scope& scope, const Statement& statement, bool perhaps);
    void collect(Scope& scope, const Expression& expression);
    void collect_target(Scope& scope, const Expression& target, bool parameter, bool perhaps);
    void bind(Scope& scope, Body& body, bool soft);
    void bind(Scope& scope, Statement& statement, bool soft);
    void bind(const Scope& scope, Expression& expression, bool soft);
    void bind_loop(Scope& scope, Statement& statement, bool soft);
    void bind_function(Scope& scope, Statement& statement);
    void bind_block(Scope& scope, Statement& statement, bool soft);
    void refuse_loop(const Expression& target) const;
    void refuse_loop(const Body& body) const;
    static Use search(const Body& body, std::string_view name);
    static Use search(const Statement& statement, std::string_view name);
    static Use search(const Expression& expression, std::string_view name, bool target = false);
    template <class All, class Search>
    static Use first_of(const All& all, const Search& search_one) {
        for (const auto& one : all)
            if (const Use use = search_one(one); use != Use::none) return use;
        return Use::none;
    }

    std::string_view source_;
    const std::string& where_;
};

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE void Resolver::collect(Scope& scope, const Expression& expression) {
    if (expression.operation == Operation::name) read(scope, expression.name);
    for (const Expression& part : expression.parts) collect(scope, part);
}

EIGENLM_LARGE void Resolver::collect_target(Scope& scope, const Expression& target, bool parameter, bool perhaps) {
    if (target.operation == Operation::tuple) {
        for (const Expression& part : target.parts) collect_target(scope, part, parameter, perhaps);
    } else if (target.operation == Operation::attribute) {
        read(scope, target.parts[0].name);
    } else if (parameter) {
        define(scope, target.name, Load::From::parameter);
    } else {
        assign(scope, target.name, perhaps);
    }
}

EIGENLM_LARGE void Resolver::collect(Scope& scope, const Body& body, bool perhaps) {
    for (const Statement& statement : body) collect(scope, statement, perhaps);
}

/// The names that a scope has on account of a statement: what it reads and assigns outside of scopes of its own.
EIGENLM_LARGE void Resolver::collect(Scope& scope, const Statement& statement, bool perhaps) {
    switch (statement.type) {
        case StatementType::branch:
            for (const Expression& test : statement.expressions) collect(scope, test);
            for (const Body& body : statement.bodies) collect(scope, body, true);
            return;
        case StatementType::loop:
            return collect(scope, statement.expressions[1]);
        case StatementType::assign:
            collect(scope, statement.expressions[1]);
            return collect_target(scope, statement.expressions[0], false, perhaps);
        case StatementType::assign_block:
            return collect_target(scope, statement.expressions[0], false, perhaps);
        case StatementType::macro:
            return assign(scope, statement.name, perhaps);
        case StatementType::call:
            return collect(scope, statement.expressions[0]);
        default:
            for (const Expression& expression : statement.expressions) collect(scope, expression);
    }
}

EIGENLM_LARGE void Resolver::bind(const Scope& scope, Expression& expression, bool soft) {
    const Operation operation = expression.operation;
    if (operation == Operation::name) {
        const auto place = find(&scope, expression.name);
        if (!place) fail(expression.at, "'" + expression.name + "' cannot be named here");
        expression.place = *place;
    }
    if (operation == Operation::filter || operation == Operation::test) {
        const bool filter = operation == Operation::filter;
        expression.builtin = filter ? find_filter(expression.name) : find_test(expression.name);
        if (expression.builtin == nullptr && !soft)  // inside if, jinja2 waits until it is needed
            fail(expression.at, std::string("no ") + (filter ? "filter" : "test") + " named '" + expression.name + "'");
    }
    for (Expression& part : expression.parts) bind(scope, part, soft || operation == Operation::conditional);
}

EIGENLM_LARGE void Resolver::bind(Scope& scope, Body& body, bool soft) {
    for (Statement& statement : body) bind(scope, statement, soft);
}

EIGENLM_LARGE void Resolver::bind(Scope& scope, Statement& statement, bool soft) {
    switch (statement.type) {
        case StatementType::branch:
            for (Expression& test : statement.expressions) bind(scope, test, true);
            for (Body& body : statement.bodies) bind(scope, body, true);
            return;
        case StatementType::loop:
            return bind_loop(scope, statement, soft);
        case StatementType::macro:
            statement.place = *find(&scope, statement.name);
            return bind_function(scope, statement);
        case StatementType::call:
            bind(scope, statement.expressions[0], soft);
            return bind_function(scope, statement);
        case StatementType::generation:
            return bind_function(scope, statement);
        case StatementType::assign_block:
        case StatementType::filter:
        case StatementType::with:
            return bind_block(scope, statement, soft);
        default:
            for (Expression& expression : statement.expressions) bind(scope, expression, soft);
    }
}

EIGENLM_LARGE void Resolver::bind_loop(Scope& scope, Statement& statement, bool soft) {
    refuse_loop(statement.expressions[0]);
    for (const Body& body : statement.bodies) refuse_loop(body);
    bind(scope, statement.expressions[1], soft);
    statement.frames.resize(3);
    Scope inside{&scope, &statement.frames[0], {}};
    statement.uses_special = statement.recursive || search(statement.bodies[0], "loop") == Use::read;
    if (statement.uses_special) statement.place = define(inside, "loop", Load::From::parameter);
    collect_target(inside, statement.expressions[0], true, false);
    collect(inside, statement.bodies[0], false);
    bind(inside, statement.expressions[0], false);
    bind(inside, statement.bodies[0], false);
    if (statement.expressions.size() > 2) {
        Scope test{&scope, &statement.frames[1], {}};
        Expression target = statement.expressions[0];  // has places of its own in the scope of the test
        collect_target(test, target, true, false);
        collect(test, statement.expressions[2]);
        bind(test, statement.expressions[2], false);
        bind(test, target, false);
        statement.parameters.push_back(std::move(target));
    }
    if (statement.bodies.size() > 1) {
        Scope otherwise{&scope, &statement.frames[2], {}};
        collect(otherwise, statement.bodies[1], false);
        bind(otherwise, statement.bodies[1], false);
    }
}

/// Macros, the callers of call blocks, and generation blocks.
EIGENLM_LARGE void Resolver::bind_function(Scope& scope, Statement& statement) {
    statement.frames.resize(1);
    Scope inside{&scope, &statement.frames[0], {}};
    const auto has_parameter = [&](std::string_view name) {
        return std::any_of(statement.parameters.begin(), statement.parameters.end(),
                           [&](const Expression& parameter) { return parameter.name == name; });
    };
    const std::size_t first_default = statement.type == StatementType::call ? 1 : 0;
    const std::size_t defaults = statement.expressions.size() - first_default;
    for (const Expression& parameter : statement.parameters) collect_target(inside, parameter, true, false);
    for (std::size_t i = 0; i < defaults; ++i) collect(inside, statement.expressions[first_default + i]);
    collect(inside, statement.bodies[0], false);
    if (search(statement.bodies[0], "caller") == Use::read) {
        if (!has_parameter("caller")) {
            statement.uses_special = true;
            statement.caller = define(inside, "caller", Load::From::parameter);
        } else {
            for (std::size_t i = 0; i + defaults < statement.parameters.size(); ++i)
                if (statement.parameters[i].name == "caller")
                    fail(statement.at, "the parameter 'caller' must be omitted or have a default");
        }
    }
    const auto define_special = [&](const char* name, bool& uses, Place& place) {
        uses = !has_parameter(name) && search(statement.bodies[0], name) == Use::read;
        if (uses) place = define(inside, name, Load::From::parameter);
    };
    define_special("kwargs", statement.uses_kwargs, statement.kwargs);
    define_special("varargs", statement.uses_varargs, statement.varargs);
    for (Expression& parameter : statement.parameters) bind(inside, parameter, false);
    for (std::size_t i = 0; i < defaults; ++i) bind(inside, statement.expressions[first_default + i], false);
    bind(inside, statement.bodies[0], false);
}

EIGENLM_LARGE void Resolver::bind_block(Scope& scope, Statement& statement, bool soft) {
    statement.frames.resize(1);
    Scope inside{&scope, &statement.frames[0], {}};
    if (statement.type == StatementType::with)
        for (const Expression& target : statement.parameters) collect_target(inside, target, true, false);
    collect(inside, statement.bodies[0], false);
    if (statement.type == StatementType::filter) collect(inside, statement.expressions[0]);
    std::size_t in_scope = 0;  // with's values and a block assignment's target belong outside
    if (statement.type == StatementType::with) in_scope = statement.expressions.size();
    if (statement.type == StatementType::assign_block) in_scope = 1;
    for (std::size_t i = 0; i < statement.expressions.size(); ++i)
        bind(i < in_scope ? scope : inside, statement.expressions[i], soft && i < in_scope);
    for (Expression& target : statement.parameters) bind(inside, target, false);
    bind(inside, statement.bodies[0], false);
}

EIGENLM_LARGE void Resolver::refuse_loop(const Expression& target) const {
    if (target.operation == Operation::name && target.name == "loop")
        fail(target.at, "cannot assign to the special variable 'loop' in a loop");
    if (target.operation == Operation::tuple)
        for (const Expression& part : target.parts) refuse_loop(part);
}

EIGENLM_LARGE void Resolver::refuse_loop(const Body& body) const {
    for (const Statement& statement : body) {
        const bool assigns = statement.type == StatementType::assign || statement.type == StatementType::assign_block;
        if (assigns) refuse_loop(statement.expressions[0]);
        if (statement.type == StatementType::loop) continue;  // looks for itself
        for (const Body& inside : statement.bodies) refuse_loop(inside);
    }
}

EIGENLM_LARGE Resolver::Use Resolver::search(const Expression& expression, std::string_view name, bool target) {
    if (expression.operation == Operation::name && expression.name == name) return target ? Use::assigned : Use::read;
    if (target && expression.operation == Operation::attribute) return Use::none;
    return first_of(expression.parts, [&](const Expression& part) { return search(part, name, target); });
}

EIGENLM_LARGE Resolver::Use Resolver::search(const Body& body, std::string_view name) {
    return first_of(body, [&](const Statement& statement) { return search(statement, name); });
}

/// In the order in which jinja2 goes through a statement.
EIGENLM_LARGE Resolver::Use Resolver::search(const Statement& statement, std::string_view name) {
    const auto body = [&](const Body& inside) { return search(inside, name); };
    const auto value = [&](const Expression& expression) { return search(expression, name); };
    const auto target = [&](const Expression& expression) { return search(expression, name, true); };
    const auto& all = statement.expressions;
    const StatementType type = statement.type;
    std::size_t next = 0;
    if (type == StatementType::loop || type == StatementType::assign || type == StatementType::assign_block)
        if (const Use use = target(all[next++]); use != Use::none) return use;
    if (type == StatementType::call)
        if (const Use use = value(all[next++]); use != Use::none) return use;
    if (type == StatementType::loop) {
        if (const Use use = value(all[next++]); use != Use::none) return use;
        if (const Use use = first_of(statement.bodies, body); use != Use::none) return use;
        return next < all.size() ? value(all[next]) : Use::none;
    }
    if (type == StatementType::filter) {
        if (const Use use = first_of(statement.bodies, body); use != Use::none) return use;
        return value(all[0]);
    }
    if (const Use use = first_of(statement.parameters, target); use != Use::none) return use;
    for (; next < all.size(); ++next)
        if (const Use use = value(all[next]); use != Use::none) return use;
    return first_of(statement.bodies, body);
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
