#pragma once
// Runs a template: statements write, expressions become values.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arithmetic.hpp"
#include "filters.hpp"
#include "globals.hpp"
#include "lookup.hpp"
#include "scope.hpp"
#include "syntax.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// One rendering of one template.
class Interpreter {
  public:
    /// `variables` is a dict. Everything must outlive it.
    Interpreter(Context& context, const Value& variables) : context_(context), variables_(variables) {}

    /// What the template writes.
    std::string render(const Body& body, const Frame& frame) {
        std::string out;
        out_ = &out;
        scope_ = enter(frame, nullptr);
        run(body);
        return out;
    }

  private:
    enum class Flow { on, leave, repeat };
    /// For its lifetime another scope is the current one.
    class Inside {
      public:
        Inside(Interpreter& interpreter, std::shared_ptr<Scope> scope) : interpreter_(interpreter) {
            outside_ = std::exchange(interpreter.scope_, std::move(scope));
        }
        Inside(const Inside&) = delete;
        Inside& operator=(const Inside&) = delete;
        ~Inside() { interpreter_.scope_ = std::move(outside_); }

      private:
        Interpreter& interpreter_;
        std::shared_ptr<Scope> outside_;
    };

    std::shared_ptr<Scope> enter(const Frame& frame, std::shared_ptr<Scope> outer);
    void load(const Frame& frame, Scope& scope);
    Value global(const std::string& name);
    void write(std::string_view text) {
        context_.write(text.size());
        *out_ += text;
    }
    /// Filter and call blocks write nothing but strings.
    void write_text(const Statement& statement, const Value& value) {
        context_.at = statement.at;
        if (!value.is(Type::string))
            context_.fail(std::string("expected a string to write, found '") + type_name(value) + "'");
        write(text_of(value));
    }
    /// What `work` writes.
    template <class Work>
    Value captured(const Work& work) {
        std::string buffer;
        std::string* const out = std::exchange(out_, &buffer);
        work();
        out_ = out;
        return make_text(context_, std::move(buffer));
    }

    Flow run(const Body& body);
    Flow run(const Statement& statement);
    Flow run_branch(const Statement& statement);
    Flow run_loop(const Statement& statement);
    Flow go_through(const Statement& statement, const Value& source, std::size_t level);
    Flow run_filter(const Statement& statement);
    void run_assignment(const Statement& statement);
    Flow run_block_assignment(const Statement& statement);
    Flow run_with(const Statement& statement);
    void run_call(const Statement& statement);
    void check_namespaces(const Expression& target);
    void assign(const Expression& target, const Value& value);

    bool fetch(Loop& loop, Value& item);
    bool next_item(Loop& loop);
    bool peek(Loop& loop);
    std::size_t length(Loop& loop);
    Value loop_attribute(const Value& loop, const std::string& name);

    Value evaluate(const Expression& expression);
    Value compute(const Expression& expression);
    Value variable(const Expression& expression);
    Value attribute(const Value& object, const Expression& expression);
    Value arithmetic(const Expression& expression);
    Value collection(const Expression& expression);
    Value comparison(const Expression& expression);
    bool holds(const std::string& sign, const Value& a, const Value& b);
    Value conditional(const Expression& expression);
    Value concatenation(const Expression& expression);
    Value call(const Expression& expression, const Value* caller = nullptr);
    Value filter(const Expression& expression);
    Value test(const Expression& expression);
    Arguments arguments(const Expression& call);
    Value call_value(const Value& callee, Arguments given);
    Value call_macro(const Macro& macro, Arguments given);
    void set_parameters(const Statement& definition, Arguments& given, std::vector<bool>& missing);

    Context& context_;
    const Value& variables_;
    std::string* out_ = nullptr;
    std::shared_ptr<Scope> scope_;
    Value captured_;  // see Operation::captured
};

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE Value Interpreter::global(const std::string& name) {
    if (const Value* given = find_in(context_, variables_.as<Dict>(), std::string_view(name))) return *given;
    if (const Builtin* builtin = find_global(name)) return make_function(context_, *builtin);
    return Value();
}

EIGENLM_LARGE void Interpreter::load(const Frame& frame, Scope& scope) {
    for (const Load& load : frame.loads) {
        context_.step();
        if (load.from == Load::From::variables) scope.slots[load.slot] = global(load.name);
        if (load.from == Load::From::outer) scope.slots[load.slot] = scope.at(load.outer);
        if (load.from == Load::From::nothing) scope.slots[load.slot] = Value();
    }
}

EIGENLM_LARGE std::shared_ptr<Scope> Interpreter::enter(const Frame& frame, std::shared_ptr<Scope> outer) {
    auto scope = std::make_shared<Scope>(&context_, frame, std::move(outer));
    load(frame, *scope);
    return scope;
}

EIGENLM_LARGE Interpreter::Flow Interpreter::run(const Body& body) {
    for (const Statement& statement : body)
        if (const Flow flow = run(statement); flow != Flow::on) return flow;
    return Flow::on;
}

EIGENLM_LARGE Interpreter::Flow Interpreter::run(const Statement& statement) {
    const Context::Level level(context_);
    context_.at = statement.at;
    context_.step();
    switch (statement.type) {
        case StatementType::data:
            write(statement.name);
            return Flow::on;
        case StatementType::output:
            for (const Expression& expression : statement.expressions) {
                const Value value = evaluate(expression);
                context_.at = expression.at;
                write(value.is(Type::string) ? std::string_view(text_of(value)) : to_text(context_, value));
            }
            return Flow::on;
        case StatementType::branch:
            return run_branch(statement);
        case StatementType::loop:
            return run_loop(statement);
        case StatementType::assign:
            run_assignment(statement);
            return Flow::on;
        case StatementType::assign_block:
            return run_block_assignment(statement);
        case StatementType::macro:
            scope_->at(statement.place) = Value(Type::macro, std::make_shared<Macro>(&context_, statement, scope_));
            return Flow::on;
        case StatementType::call:
            run_call(statement);
            return Flow::on;
        case StatementType::filter:
            return run_filter(statement);
        case StatementType::with:
            return run_with(statement);
        case StatementType::generation: {
            const Inside inside(*this, enter(statement.frames[0], scope_));
            return run(statement.bodies[0]);
        }
        case StatementType::leave:
            return Flow::leave;
        default:
            return Flow::repeat;
    }
}

EIGENLM_LARGE Interpreter::Flow Interpreter::run_branch(const Statement& statement) {
    for (std::size_t i = 0; i < statement.expressions.size(); ++i)
        if (is_true(evaluate(statement.expressions[i]))) return run(statement.bodies[i]);
    return statement.bodies.size() > statement.expressions.size() ? run(statement.bodies.back()) : Flow::on;
}

EIGENLM_LARGE Interpreter::Flow Interpreter::run_loop(const Statement& statement) {
    const Value source = evaluate(statement.expressions[1]);
    context_.at = statement.expressions[1].at;
    if (!statement.recursive) return go_through(statement, source, 0);
    const Value text = captured([&] { go_through(statement, source, 0); });
    write(text_of(text));
    return Flow::on;
}

EIGENLM_LARGE Interpreter::Flow Interpreter::go_through(const Statement& statement, const Value& source,
                                                        std::size_t level) {
    std::shared_ptr<Scope> test;
    if (statement.expressions.size() > 2) test = enter(statement.frames[1], scope_);
    const auto loop = std::make_shared<Loop>(&context_, statement, source, scope_, test, level);
    const std::shared_ptr<Scope> around = scope_;
    const auto inside = std::make_shared<Scope>(&context_, statement.frames[0], around);
    bool finished = false;  // the body, once: what is left or gone on from early does not count for `else`
    Flow flow = Flow::on;
    while (flow != Flow::leave && next_item(*loop)) {
        const Inside body(*this, inside);
        if (statement.uses_special) inside->at(statement.place) = Value(Type::loop, loop);
        assign(statement.expressions[0], loop->current);
        load(statement.frames[0], *inside);
        flow = run(statement.bodies[0]);
        finished |= flow == Flow::on;
    }
    std::fill(inside->slots.begin(), inside->slots.end(), Value());
    loop->scope.reset();
    loop->test.reset();
    if (statement.bodies.size() < 2 || finished) return Flow::on;
    const Inside body(*this, enter(statement.frames[2], around));
    return run(statement.bodies[1]);
}

EIGENLM_LARGE Interpreter::Flow Interpreter::run_filter(const Statement& statement) {
    Flow flow = Flow::on;
    const Inside inside(*this, enter(statement.frames[0], scope_));
    Value text = captured([&] { flow = run(statement.bodies[0]); });
    if (flow != Flow::on) return flow;  // nothing is written then
    captured_ = std::move(text);
    write_text(statement, evaluate(statement.expressions[0]));
    return Flow::on;
}

EIGENLM_LARGE void Interpreter::run_assignment(const Statement& statement) {
    check_namespaces(statement.expressions[0]);
    const Value value = evaluate(statement.expressions[1]);
    context_.at = statement.at;
    assign(statement.expressions[0], value);
}

EIGENLM_LARGE Interpreter::Flow Interpreter::run_block_assignment(const Statement& statement) {
    Flow flow = Flow::on;
    Value value;
    {
        const Inside inside(*this, enter(statement.frames[0], scope_));
        value = captured([&] { flow = run(statement.bodies[0]); });
        if (flow != Flow::on) return flow;
        if (statement.expressions.size() > 1) {
            captured_ = std::move(value);
            value = evaluate(statement.expressions[1]);
        }
    }
    context_.at = statement.at;
    check_namespaces(statement.expressions[0]);
    assign(statement.expressions[0], value);
    return Flow::on;
}

EIGENLM_LARGE Interpreter::Flow Interpreter::run_with(const Statement& statement) {
    const std::shared_ptr<Scope> outside = scope_;
    const auto scope = enter(statement.frames[0], outside);
    for (std::size_t i = 0; i < statement.parameters.size(); ++i) {
        const Value value = evaluate(statement.expressions[i]);
        const Inside inside(*this, scope);
        assign(statement.parameters[i], value);
    }
    const Inside inside(*this, scope);
    return run(statement.bodies[0]);
}

EIGENLM_LARGE void Interpreter::run_call(const Statement& statement) {
    const Value caller(Type::macro, std::make_shared<Macro>(&context_, statement, scope_));
    write_text(statement, call(statement.expressions[0], &caller));
}

EIGENLM_LARGE void Interpreter::check_namespaces(const Expression& target) {
    if (target.operation == Operation::tuple)
        for (const Expression& part : target.parts) check_namespaces(part);
    if (target.operation != Operation::attribute || scope_->at(target.parts[0].place).is(Type::space)) return;
    context_.at = target.at;
    context_.fail("cannot assign an attribute of what is no namespace");
}

EIGENLM_LARGE void Interpreter::assign(const Expression& target, const Value& value) {
    if (target.operation == Operation::name) {
        scope_->at(target.place) = value;
        return;
    }
    if (target.operation == Operation::attribute) {
        const Value space = scope_->at(target.parts[0].place);
        if (!space.is(Type::space)) context_.fail("cannot assign an attribute of what is no namespace");
        return space.as<Space>().set(target.name, value);
    }
    context_.at = target.at;
    std::vector<Value> items;
    Cursor cursor(context_, value);
    for (Value item; items.size() <= target.parts.size() && cursor.next(item);) items.push_back(item);
    if (items.size() != target.parts.size())
        context_.fail(items.size() > target.parts.size()
                          ? "too many values to unpack (expected " + std::to_string(target.parts.size()) + ")"
                          : "not enough values to unpack (expected " + std::to_string(target.parts.size()) + ", got " +
                                std::to_string(items.size()) + ")");
    for (std::size_t i = 0; i < items.size(); ++i) assign(target.parts[i], items[i]);
}
#endif

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
