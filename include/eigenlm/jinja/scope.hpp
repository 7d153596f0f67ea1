#pragma once
// Variables while a template is rendered: scopes, and what holds on to them: macros and loops.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "print.hpp"
#include "sequence.hpp"
#include "syntax.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// The variables of a block that runs.
struct Scope final : Cell {
    /// All undefined.
    Scope(Context* owner, const Frame& frame, std::shared_ptr<Scope> around)
        : Cell(owner, sizeof(Scope) + frame.loads.size() * sizeof(Value), 1),
          slots(frame.loads.size()),
          outer(std::move(around)) {}
    void clear() noexcept override { const std::vector<Value> gone = std::exchange(slots, {}); }
    /// The variable at a place seen from here.
    Value& at(const Place& place) {
        Scope* scope = this;
        for (std::size_t hops = place.hops; hops > 0; --hops) scope = scope->outer.get();
        return scope->slots[place.slot];
    }

    std::vector<Value> slots;      ///< see Frame
    std::shared_ptr<Scope> outer;  ///< the one around it
    bool kept = false;             ///< to the rendering's end
};

/// Of Type::macro.
struct Macro : Object {
    /// `around`: where it was defined. That scope is kept from then on.
    Macro(Context* owner, const Statement& statement, std::shared_ptr<Scope> around)
        : Object(owner, sizeof(Macro), 1), definition(&statement), scope(std::move(around)) {
        for (std::shared_ptr<Scope> all = scope; all && !all->kept; all = all->outer) {
            all->kept = true;
            owner->keep(all);
        }
    }

    const Statement* definition;   ///< a macro, or a call block
    std::shared_ptr<Scope> scope;  ///< where its body finds variables
};

#if EIGENLM_DEFINE_LARGE
EIGENLM_LARGE std::string repr_of_macro(const Value& macro) {
    const Statement& definition = *macro.as<Macro>().definition;
    const bool named = definition.type == StatementType::macro;
    return "<Macro " + (named ? repr_of(std::string_view(definition.name)) : "anonymous") + ">";
}
#endif

/// Of Type::loop: a loop that runs.
struct Loop : Object {
    /// Goes through `source`; `test_scope` is null for a loop without a test.
    Loop(Context* owner, const Statement& statement, const Value& source, std::shared_ptr<Scope> around,
         std::shared_ptr<Scope> test_scope, std::size_t level)
        : Object(owner, sizeof(Loop), source.depth() + 1),
          definition(&statement),
          cursor(*owner, source),
          scope(std::move(around)),
          test(std::move(test_scope)),
          depth0(level) {
        if (depth > max_value_depth) owner->fail("values nested deeper than " + std::to_string(max_value_depth));
    }
    /// How many items have been begun with.
    std::int64_t index() const { return index0 + 1; }

    const Statement* definition;        ///< the statement
    Cursor cursor;                      ///< what is still to come
    std::shared_ptr<Scope> scope;       ///< around the loop; null when the loop has ended
    std::shared_ptr<Scope> test;        ///< of the test
    std::deque<Value> ahead;            ///< items that somebody wanted to know of
    Value current;                      ///< the item
    Value before;                       ///< the one before
    std::int64_t index0 = -1;           ///< of the item
    std::size_t depth0;                 ///< recursive loops around it
    std::optional<std::size_t> length;  ///< of all, once somebody asked
    std::vector<Value> changed;         ///< what `changed` was called with last
    bool was_changed = false;           ///< whether it was called
};

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
