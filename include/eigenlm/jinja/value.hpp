#pragma once
// The values of a template: Python's, as far as templates meet them. All but namespaces, loops and the like never
// change.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/abi.hpp"
#include "context.hpp"

namespace eigenlm::inline EIGENLM_ABI::jinja {

/// What a value is.
enum class Type : std::uint8_t {
    undefined,  ///< jinja2's default Undefined
    none,       ///< None
    boolean,    ///< True, False
    integer,    ///< int, of 64 bits here
    real,       ///< float
    string,     ///< str, or Markup
    list,       ///< list
    tuple,      ///< tuple
    view,       ///< what dict.keys(), values() and items() give
    iterator,   ///< generators and other things that can be gone through once
    dict,       ///< dict
    range,      ///< range
    space,      ///< namespace()
    loop,       ///< the variable `loop`
    function,   ///< a function or a method of ours
    macro,      ///< a macro, or the caller of a call block
    joiner,     ///< joiner()
    cycler,     ///< cycler()
};

/// What a value shares with its copies. Its bytes count as the rendering's while it lives.
struct Object {
    /// Without a context (constants of a template) nothing is counted.
    Object(Context* owner, std::size_t size, std::size_t levels) : context(owner), bytes(size + 64), depth(levels) {
        if (context != nullptr) context->take(bytes);
    }
    Object(const Object&) = delete;
    Object& operator=(const Object&) = delete;
    ~Object() {
        if (context != nullptr) context->give(bytes);
    }

    Context* context;   ///< of the rendering that made it
    std::size_t bytes;  ///< counted there
    std::size_t depth;  ///< levels of lists and dicts
};

/// A value: small ones stand in it, the others are shared.
class Value {
  public:
    /// Undefined.
    Value() : integer_(0) {}
    /// None.
    static Value none() { return Value(Type::none); }
    /// Undefined, with the name (of the template's text) that messages tell.
    static Value undefined(const std::string& name) {
        Value value;
        value.name_ = &name;
        value.named_ = true;
        return value;
    }
    /// A boolean.
    static Value of(bool value) {
        Value out(Type::boolean);
        out.integer_ = value ? 1 : 0;
        return out;
    }
    /// An integer.
    static Value of(std::int64_t value) {
        Value out(Type::integer);
        out.integer_ = value;
        return out;
    }
    /// The length of something.
    static Value of(std::size_t value) { return of(static_cast<std::int64_t>(value)); }
    /// A float.
    static Value of(double value) {
        Value out(Type::real);
        out.real_ = value;
        return out;
    }
    /// A value of one of the shared types.
    Value(Type type, std::shared_ptr<Object> object) : type_(type), integer_(0), object_(std::move(object)) {}

    /// What it is.
    Type type() const { return type_; }
    /// Whether it is that.
    bool is(Type type) const { return type_ == type; }
    /// Whether arithmetic takes it for an integer: booleans are some.
    bool is_integral() const { return type_ == Type::integer || type_ == Type::boolean; }
    /// Whether it is an integer, a boolean or a float.
    bool is_number() const { return is_integral() || type_ == Type::real; }
    /// Whether it is a list, tuple, view or iterator: their objects are Items.
    bool has_items() const { return type_ >= Type::list && type_ <= Type::iterator; }
    /// A boolean's or integer's value.
    std::int64_t integer() const { return integer_; }
    /// A number's value as a float.
    double real() const { return type_ == Type::real ? real_ : static_cast<double>(integer_); }
    /// An undefined value's name, or null.
    const std::string* name() const { return named_ ? name_ : nullptr; }
    /// What a shared value shares; T is the struct that belongs to its type.
    template <class T>
    T& as() const {
        return static_cast<T&>(*object_);
    }
    /// Levels of lists and dicts in it.
    std::size_t depth() const { return object_ ? object_->depth : 0; }
    /// Whether two are the same object (or the same small value).
    bool same(const Value& other) const {
        if (type_ != other.type_) return false;
        if (object_ || other.object_) return object_ == other.object_;
        return type_ == Type::undefined || type_ == Type::none || integer_ == other.integer_;
    }

  private:
    explicit Value(Type type) : type_(type), integer_(0) {}

    Type type_ = Type::undefined;
    bool named_ = false;
    union {
        std::int64_t integer_;
        double real_;
        const std::string* name_;
    };
    std::shared_ptr<Object> object_;
};

/// A name and a value: keyword arguments, attributes of a namespace.
using Named = std::pair<std::string, Value>;

/// Of Type::string.
struct Text : Object {
    /// `is_safe`: Markup, which escapes what is added to it.
    Text(Context* owner, std::string content, bool is_safe)
        : Object(owner, sizeof(Text) + content.size(), 0),
          text(std::move(content)),
          length(count_characters(text)),
          safe(is_safe) {}
    /// Whether characters are bytes.
    bool is_ascii() const { return length == text.size(); }

    std::string text;    ///< UTF-8
    std::size_t length;  ///< in characters
    bool safe;           ///< Markup
};

/// Of Type::list, tuple, view and iterator.
struct Items : Object {
    /// `type_name` is of views and iterators, for printing.
    Items(Context* owner, std::vector<Value> all, std::size_t levels, const char* type_name)
        : Object(owner, sizeof(Items) + all.size() * sizeof(Value), levels), items(std::move(all)), name(type_name) {}

    std::vector<Value> items;               ///< in order
    const char* name;                       ///< "dict_keys", "generator", ...
    std::size_t next = 0;                   ///< an iterator's first item that has not been taken
    std::function<bool(Value& item)> pull;  ///< or how a generator makes the next one
};

/// Of Type::range.
struct Range : Object {
    /// `step_by` is not 0.
    Range(Context* owner, std::int64_t first, std::int64_t end, std::int64_t step_by, std::size_t size)
        : Object(owner, sizeof(Range), 0), start(first), stop(end), step(step_by), length(size) {}
    /// The number at `index`.
    std::int64_t at(std::size_t index) const {  // a step may be larger than an integer; what comes out is one
        return static_cast<std::int64_t>(static_cast<std::uint64_t>(start) + static_cast<std::uint64_t>(step) * index);
    }

    std::int64_t start;  ///< the first number
    std::int64_t stop;   ///< where it ends, itself not part of it
    std::int64_t step;   ///< from one to the next
    std::size_t length;  ///< how many numbers it has
};

/// What can come to hold itself, because it changes. The rendering keeps it to its end and empties it then, so that
/// nothing leaks and no chain of them is destroyed in one recursion.
struct Cell : Object {
    using Object::Object;
    virtual ~Cell() = default;
    /// Lets go of all values.
    virtual void clear() noexcept = 0;
};

inline Context::~Context() {
    for (const std::shared_ptr<Cell>& cell : kept_) cell->clear();
}

/// Of Type::space.
struct Space final : Cell {
    /// Without attributes.
    explicit Space(Context* owner) : Cell(owner, sizeof(Space), 1) {}
    void clear() noexcept override { const std::vector<Named> gone = std::exchange(attributes, {}); }
    /// The attribute's place, or null.
    Value* find(std::string_view name) {
        if (context != nullptr) context->step(attributes.size() / 16 + 1);
        for (Named& attribute : attributes)
            if (attribute.first == name) return &attribute.second;
        return nullptr;
    }
    /// Sets or adds an attribute.
    void set(const std::string& name, Value value) {
        if (Value* found = find(name)) {
            *found = std::move(value);
            return;
        }
        const std::size_t size = name.size() + sizeof(Named);
        context->take(size);
        bytes += size;
        attributes.emplace_back(name, std::move(value));
    }

    std::vector<Named> attributes;  ///< in the order they were set first
};

/// Of Type::joiner.
struct Joiner : Object {
    /// Gives nothing first, and `text` from then on.
    Joiner(Context* owner, Value text, std::size_t levels)
        : Object(owner, sizeof(Joiner), levels), separator(std::move(text)) {}

    Value separator;    ///< what it gives
    bool used = false;  ///< whether it has been asked
};

/// Of Type::cycler.
struct Cycler : Object {
    /// Gives one of `all` after the other.
    Cycler(Context* owner, std::vector<Value> all, std::size_t levels)
        : Object(owner, sizeof(Cycler) + all.size() * sizeof(Value), levels), items(std::move(all)) {}

    std::vector<Value> items;  ///< at least one
    std::size_t next = 0;      ///< the one to give
};

/// A string.
inline Value make_text(Context& context, std::string text, bool safe = false) {
    context.scan(text.size());
    return Value(Type::string, std::make_shared<Text>(&context, std::move(text), safe));
}

/// The bytes of a string.
inline const std::string& text_of(const Value& string) { return string.as<Text>().text; }

/// One level more than the deepest of `values` has. Throws when that is too many.
inline std::size_t depth_above(Context& context, const std::vector<Value>& values) {
    std::size_t depth = 0;
    for (const Value& value : values) depth = std::max(depth, value.depth());
    if (depth >= max_value_depth) context.fail("values nested deeper than " + std::to_string(max_value_depth));
    return depth + 1;
}

/// A list; or, with another type, a tuple, a view or an iterator of that name.
inline Value make_items(Context& context, std::vector<Value> items, Type type = Type::list, const char* name = "") {
    context.step(items.size() / 16 + 1);
    const std::size_t depth = depth_above(context, items);
    return Value(type, std::make_shared<Items>(&context, std::move(items), depth, name));
}

}  // namespace eigenlm::inline EIGENLM_ABI::jinja
