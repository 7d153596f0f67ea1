#pragma once
// A parsed template: expressions and statements as trees.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "value.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// No tree is deeper than this.
inline constexpr std::size_t max_tree_depth = 250;

/// Where a variable is at run time.
struct Place {
    std::size_t hops = 0;  ///< scopes outwards
    std::size_t slot = 0;  ///< in that scope
};

/// What an expression does with its parts.
enum class Operation : std::uint8_t {
    constant,     ///< `value`
    name,         ///< the variable `name`
    attribute,    ///< parts[0].name; as a target: of a namespace
    item,         ///< parts[0][parts[1]]
    slice,        ///< parts[0][parts[1]:parts[2]:parts[3]]
    tuple,        ///< (parts...)
    list,         ///< [parts...]
    dict,         ///< {parts[0]: parts[1], ...}
    negative,     ///< -parts[0]
    positive,     ///< +parts[0]
    negation,     ///< not parts[0]
    conjunction,  ///< parts[0] and parts[1]
    disjunction,  ///< parts[0] or parts[1]
    add,          ///< parts[0] + parts[1]
    subtract,     ///< parts[0] - parts[1]
    multiply,     ///< parts[0] * parts[1]
    divide,       ///< parts[0] / parts[1]
    floor,        ///< parts[0] // parts[1]
    modulo,       ///< parts[0] % parts[1]
    power,        ///< parts[0] ** parts[1]
    concat,       ///< parts[0] ~ parts[1] ~ ...
    compare,      ///< parts[0] names[0] parts[1] names[1] ...
    conditional,  ///< parts[1] if parts[0] else parts[2]; the last may be missing
    call,         ///< parts[0](arguments)
    filter,       ///< parts[0] | name(arguments)
    test,         ///< parts[0] is name(arguments)
    captured,     ///< what a filter block or a block assignment with a filter has written
};

/// An expression, or a target of an assignment (name, attribute and tuple).
struct Expression {
    Operation operation = Operation::constant;  ///< what it does
    std::size_t at = 0;                         ///< its place in the source
    std::size_t depth = 1;                      ///< of its tree
    Value value;                                ///< a constant
    std::string name;                           ///< of a variable, attribute, filter or test
    std::vector<Expression> parts;              ///< of calls: parts[0], positional, named, *, ** arguments
    std::vector<std::string> names;             ///< of named arguments; operators of comparisons
    bool star = false;                          ///< a call has *arguments
    bool double_star = false;                   ///< a call has **arguments
    Place place;                                ///< of a variable
    const Builtin* builtin = nullptr;           ///< of a filter or test; null when there is none of that name
};

/// How a variable of a scope begins.
struct Load {
    /// The ways.
    enum class From : std::uint8_t {
        parameter,  ///< whoever makes the scope sets it
        variables,  ///< what the rendering was given
        outer,      ///< the variable of that name in a scope outside
        nothing,    ///< undefined
    };
    From from = From::nothing;  ///< the way
    std::size_t slot = 0;       ///< where it goes
    std::string name;           ///< of the variable
    Place outer;                ///< as seen from the scope
};

/// What a scope is made of.
struct Frame {
    std::vector<Load> loads;  ///< its variables; their number is that of its slots
};

/// What a statement is.
enum class StatementType : std::uint8_t {
    data,          ///< writes `name`
    output,        ///< writes expressions[0]
    branch,        ///< if: bodies[i] where expressions[i] is true; one body more is `else`
    loop,          ///< for: expressions are target, iterable and perhaps a test; bodies[0] and perhaps `else`
    assign,        ///< set: expressions[0] = expressions[1]
    assign_block,  ///< set: expressions[0] = the body's output, through expressions[1] if it is there
    macro,         ///< defines macro `name`: parameters, and in expressions the last ones' defaults
    call,          ///< call: expressions[0] is the call, the others the defaults of `caller`'s parameters
    filter,        ///< filter: the body's output through expressions[0]
    with,          ///< with: parameters[i] = expressions[i]
    generation,    ///< generation: its body
    leave,         ///< break
    repeat,        ///< continue
};

struct Statement;
/// Statements, one after the other.
using Body = std::vector<Statement>;

/// A statement.
struct Statement {
    StatementType type = StatementType::data;  ///< what it is
    std::size_t at = 0;                        ///< its place in the source
    std::size_t depth = 1;                     ///< of its tree
    std::string name;                          ///< data, or a macro's name
    std::vector<Expression> expressions;       ///< see StatementType
    std::vector<Expression> parameters;        ///< targets of parameters
    std::vector<Body> bodies;                  ///< see StatementType
    std::vector<Frame> frames;                 ///< of its scopes; a loop's: body, test, else
    Place place;                               ///< of a macro's own name; of a loop's variable `loop`
    Place caller;                              ///< of a macro's variable `caller`
    Place varargs;                             ///< of a macro's variable `varargs`
    Place kwargs;                              ///< of a macro's variable `kwargs`
    bool uses_special = false;                 ///< a loop's body names `loop`; a macro's `caller`
    bool uses_varargs = false;                 ///< a macro's body names `varargs`
    bool uses_kwargs = false;                  ///< a macro's body names `kwargs`
    bool recursive = false;                    ///< a loop is recursive
};

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
