// Templates that nobody vouches for: whatever they do, they end soon, in bounded memory, with a typed error that says
// where.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <ctime>
#include <string>

#include "jinja/fixtures.hpp"
#include "support/sanitized.hpp"

namespace eigenlm::tests {
namespace {

std::string repeated(const std::string& text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += text;
    return out;
}

std::size_t peak_bytes() {
    struct rusage usage {};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

#if SANITIZED || !defined(__OPTIMIZE__)
constexpr bool watched = true;  // by a sanitizer or unoptimised: time and memory say nothing, and all takes longer
#else
constexpr bool watched = false;
#endif

/// Renders, which must fail in time with an error of that kind whose message has `what`.
void expect_stopped(const std::string& source, ErrorKind kind, const std::string& what,
                    const jinja::Limits& limits = {}) {
    const std::size_t memory = peak_bytes();
    const std::clock_t begin = std::clock();  // of this process alone: what else the machine does must not count
    try {
        const std::string text = render(source, nlohmann::ordered_json::object(), limits);
        ADD_FAILURE() << source.substr(0, 200) << " rendered " << text.size() << " bytes";
    } catch (const Error& e) {
        const std::string message = e.what();
        EXPECT_EQ(to_string(e.kind()), std::string(to_string(kind))) << message;
        EXPECT_NE(message.find(what), std::string::npos) << source.substr(0, 200) << "\n" << message;
        EXPECT_EQ(message.find("test.jinja: line "), 0u) << message;
        EXPECT_NE(message.find(", column "), std::string::npos) << message;
    }
    if (watched) return;
    const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    EXPECT_LT(seconds, 10) << source.substr(0, 200);  // less than one; ten, since clocks differ
    EXPECT_LT(peak_bytes() - memory, std::size_t{256} << 20) << source.substr(0, 200);
}

/// Renders what works much, which must run out of steps, or of something else before.
void expect_tired(const std::string& source, const std::string& what = "") {
    jinja::Limits limits;
    if (watched) limits.steps /= 20;
    expect_stopped(source, ErrorKind::render, what, limits);
}

TEST(JinjaLimits, DeepNesting) {
    const int deep = 100000;
    const auto expect_deep = [&](const std::string& source) {
        expect_stopped(source, ErrorKind::format, "deeper than");
    };
    expect_deep("{{ " + repeated("(", deep) + "1" + repeated(")", deep) + " }}");
    expect_deep("{{ " + repeated("[", deep) + repeated("]", deep) + " }}");
    expect_deep("{{ " + repeated("{1:", deep) + "1" + repeated("}", deep) + " }}");
    expect_deep("{{ " + repeated("not ", deep) + "1 }}");
    expect_deep("{{ " + repeated("-", deep) + "1 }}");
    expect_deep("{{ " + repeated("1+", deep) + "1 }}");
    expect_deep("{{ " + repeated("1**", deep) + "1 }}");
    expect_deep("{{ x" + repeated("|upper", deep) + " }}");
    expect_deep("{{ x" + repeated(".a", deep) + " }}");
    expect_deep("{{ x" + repeated("()", deep) + " }}");
    expect_deep("{{ x" + repeated("[0]", deep) + " }}");
    expect_deep("{{ x" + repeated("[x", deep) + repeated("]", deep) + " }}");
    expect_deep("{{ 1" + repeated(" if 1 else 1", deep / 2) + " }}");
    expect_deep("{{ 1" + repeated(" if 1", deep) + " }}");
    expect_deep("{{ 1" + repeated("|abs is odd", deep / 2) + " }}");
    expect_deep(repeated("{% if 1 %}", deep) + repeated("{% endif %}", 10));
    expect_deep(repeated("{% for x in y %}", deep / 2));
    expect_deep(repeated("{% macro m() %}", deep / 2));
    expect_deep(repeated("{% filter upper %}", deep / 2));
    expect_deep("{% set " + repeated("(", deep) + "a" + repeated(")", deep) + " = 1 %}");
}

TEST(JinjaLimits, LongTemplates) {
    EXPECT_EQ(render(repeated("{{ 1 }}", 100000)).size(), 100000u);
    EXPECT_EQ(render("{% if 0 %}" + repeated("{% elif 0 %}", 50000) + "{% else %}x{% endif %}"), "x");
    EXPECT_EQ(render("{{ " + repeated("1~", 100000) + "1 }}").size(), 100001u);
    EXPECT_EQ(render("{{ [" + repeated("1,", 200000) + "]|length }}"), "200000");
    std::string names, ifs;
    for (int i = 0; i < 20000; ++i) names += "{% set v" + std::to_string(i) + " = 1 %}";
    for (int i = 0; i < 10000; ++i) ifs += "{% if x %}{% set v" + std::to_string(i) + " = 1 %}{% endif %}";
    EXPECT_EQ(render(names), "");
    EXPECT_EQ(render(ifs), "");
    EXPECT_THROW(render(repeated("x", (1 << 20) + 1)), FormatError);
}

TEST(JinjaLimits, EndlessRecursion) {
    expect_stopped("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", ErrorKind::render, "deeper than");
    expect_stopped("{% macro m(x) %}{{ m([x]) }}{% endmacro %}{{ m(1) }}", ErrorKind::render, "deeper than");
    expect_stopped(
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{% call a() %}{% endcall %}{% endmacro %}{{ a() }}",
        ErrorKind::render, "");
    expect_stopped("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", ErrorKind::render, "deeper than");
    expect_stopped(
        "{% macro m() %}{% if 1 %}{% for x in [1] %}{% with %}{% filter upper %}{{ (1 + (2 * (m()|length)))|string }}"
        "{% endfilter %}{% endwith %}{% endfor %}{% endif %}{% endmacro %}{{ m() }}",
        ErrorKind::render, "deeper than");
    expect_stopped("{% macro m(d=m()) %}{% endmacro %}{{ m() }}", ErrorKind::render, "deeper than");
    expect_stopped("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}",
                   ErrorKind::render, "steps");
}

TEST(JinjaLimits, ManySteps) {
    std::string loops, ends;
    for (char name = 'a'; name < 'k'; ++name)
        loops += std::string("{% for ") + name + " in range(1000) %}", ends += "{% endfor %}";
    expect_tired(loops + ends, "steps");
    expect_tired(loops + "x" + ends);
    expect_stopped("{{ range(10 ** 9) }}", ErrorKind::render, "range too big");
    expect_tired("{% for i in range(100000) %}{% for j in range(100000) if j < 0 %}{% endfor %}{% endfor %}", "steps");
    expect_tired("{% set s = 'é' * 4000000 %}{% for i in range(100000) %}{% set x = s[-1] %}{% endfor %}", "steps");
    expect_tired("{% set s = 'a' * 4000000 %}{% for i in range(100000) %}{% set x = s.count('b') %}{% endfor %}",
                 "steps");
    expect_tired("{% set s = 'a' * 4000000 %}{% for i in range(100000) %}{% set x = s == s ~ '' %}{% endfor %}",
                 "steps");
    expect_tired("{% set l = range(100000)|list %}{% for i in l %}{% set x = l == range(100000)|list %}{% endfor %}",
                 "steps");
    expect_tired("{% set l = range(100000)|list %}{% for i in l %}{% set x = l|sort %}{% endfor %}", "steps");
    expect_tired("{% set l = range(100000)|list %}{% for i in l %}{% set x = -1 in l %}{% endfor %}", "steps");
    for (const char* work : {"s|upper",
                             "s.lower()",
                             "s|title",
                             "s.title()",
                             "s|tojson",
                             "s|wordcount",
                             "[s]|string",
                             "s|e",
                             "s.split()",
                             "s|indent",
                             "s.splitlines()",
                             "s.isalpha()",
                             "s|trim('é ')",
                             "s.swapcase()",
                             "s|list",
                             "s.split('é')",
                             "s|replace('é', 'e')",
                             "s.find('x')",
                             "s|reverse",
                             "s[::-2]",
                             "'%s' % s",
                             "s|int",
                             "[s, s]|sort",
                             "[s, s]|unique|list",
                             "{s: 1}",
                             "s is lower",
                             "s|truncate(5)",
                             "s|sort",
                             "s.center(9)",
                             "s.partition('x')",
                             "s.rsplit(none, 5)",
                             "'{}'.format(s)",
                             "s.count('é')",
                             "s < s ~ 'x'"})
        expect_tired("{% set s = 'é ' * 300000 %}{% for i in range(100000) %}{% set x = " + std::string(work) +
                     " %}{% endfor %}");
    expect_tired("{{ range(100000)|slice(10 ** 9)|list }}");
    expect_stopped(
        "{% set ns = namespace(g=[1]) %}{% for i in range(100000) %}{% set ns.g = ns.g|map('abs') %}{% endfor %}{{ "
        "ns.g|list }}",
        ErrorKind::render, "deeper than");
}

// What takes the product of two lengths, or doubles with each level, is counted as that.
TEST(JinjaLimits, WorkThatGrowsFasterThanItsInput) {
    const std::string doubled =
        "{% set ns = namespace(t=(1,)) %}{% for i in range(60) %}{% set ns.t = (ns.t, ns.t) %}{% endfor %}";
    expect_tired(doubled + "{{ {}[ns.t] }}", "steps");
    const std::string halves = "{% set a = 'a' * 8000000 %}{% set b = 'a' * 4000000 %}";
    for (const char* fast :
         {"a.find(b ~ 'b')", "b ~ 'b' in a", "a.replace(b ~ 'b', 'x')|length", "a.split(b ~ 'b')|length"})
        EXPECT_LT(render(halves + "{{ " + fast + " }}").size(), 10u) << fast;
    for (const char* slow : {"a.rfind('b' ~ b)", "a.rsplit('b' ~ b)", "a.rpartition('b' ~ b)",
                             "(a ~ 'b').startswith((a ~ 'c',) * 100000)"})
        expect_tired(halves + "{{ " + std::string(slow) + " }}", "steps");
    for (const char* odd : {"range(-9223372036854775807, 9223372036854775807, 4611686018427387904)|list",
                            "1.5|round(-9223372036854775807-1)", "[1,2]|batch(-9223372036854775807-1, 'x')|list"})
        EXPECT_LT(render("{{ " + std::string(odd) + " }}").size(), 200u) << odd;  // no overflow on the way
}

TEST(JinjaLimits, MuchMemory) {
    const auto expect_large = [](const std::string& source) { expect_stopped(source, ErrorKind::render, "bytes"); };
    expect_large("{{ 'a' * 10 ** 9 }}");
    expect_large("{{ 'a' * 9223372036854775807 }}");
    expect_large("{{ [1] * 10 ** 9 }}");
    expect_large("{{ ('a' * 10 ** 7) * 10 ** 12 }}");
    expect_large("{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}");
    expect_large("{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}");
    expect_large("{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}");
    expect_stopped(
        "{% set ns = namespace(s='aa') %}{% for i in range(100) %}{% set ns.s = ns.s|replace('a', 'aa') %}{% endfor %}",
        ErrorKind::render, "steps");
    expect_stopped(
        "{% set ns = namespace(s='aa') %}{% for i in range(100) %}{% set ns.s = ns.s.replace('', 'aa') %}{% endfor %}",
        ErrorKind::render, "steps");
    expect_large(
        "{% set ns = namespace(s='aa') %}{% for i in range(100) %}{% set ns.s = [ns.s, ns.s]|tojson %}{% endfor %}");
    expect_large(
        "{% set ns = namespace(s='aa') %}{% for i in range(100) %}{% set ns.s = ns.s.join([ns.s] * 100) %}{% endfor "
        "%}");
    expect_large(
        "{% set ns = namespace(s='aa') %}{% for i in range(100) %}{% set ns.s = '%s%s' % (ns.s, ns.s) %}{% endfor %}");
    expect_large(
        "{% set ns = namespace(s='aa') %}{% for i in range(100) %}{% set ns.s = '{0}{0}'.format(ns.s) %}{% endfor %}");
    expect_large(
        "{% set ns = namespace(s='a') %}{% for i in range(100) %}{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}{% "
        "endfor %}");
    expect_large("{{ 'a'|indent(10 ** 12) }}{{ [[]]|tojson(indent=10 ** 12) }}");
    expect_large("{{ ('a' * 10 ** 7)|list|length }}");
    expect_large("{{ ('a b ' * 10 ** 7).split()|length }}");
    expect_large("{{ 'a'.ljust(10 ** 12) }}");
    expect_large("{{ 'a'|center(10 ** 12) }}");
    expect_large("{{ ('a\n' * 10 ** 6)|indent('b' * 1000) }}");
    expect_large("{{ ['a' * 10 ** 6]|batch(10 ** 12, 1)|list }}");
    expect_large(
        "{% set ns = namespace() %}{% for i in range(100000) %}{% set x = namespace(a='b' * 10000) %}{% endfor %}");
    expect_stopped("{{ '%1000000000d' % 1 }}", ErrorKind::render, "10000");
    expect_stopped("{{ '{:1000000000}'.format(1) }}", ErrorKind::render, "10000");
}

TEST(JinjaLimits, MuchOutput) {
    expect_stopped("{% set s = 'a' * 10 ** 6 %}{% for i in range(100000) %}{{ s }}{% endfor %}", ErrorKind::render,
                   "writes more than");
    expect_stopped("{% for i in range(100000) %}{{ 'a' * 10 ** 6 }}{% endfor %}", ErrorKind::render,
                   "writes more than");
    expect_stopped(
        "{% set ns = namespace(l=['a' * 10000]) %}{% for i in range(40) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ "
        "ns.l }}",
        ErrorKind::render, "");
    expect_stopped(
        "{% set ns = namespace(l=[]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
        ErrorKind::render, "steps");
    expect_stopped(
        "{% set ns = namespace(l=[]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ "
        "ns.l|tojson }}",
        ErrorKind::render, "steps");
    expect_stopped(
        "{% set a = namespace(l=[]) %}{% set b = namespace(l=[]) %}{% for i in range(100) %}{% set a.l = [a.l, a.l] %}"
        "{% set b.l = [b.l, b.l] %}{% endfor %}{{ a.l == b.l }}",
        ErrorKind::render, "steps");
}

TEST(JinjaLimits, DeepValues) {
    const std::string begin = "{% set ns = namespace(l=1) %}{% for i in range(100000) %}";
    const auto expect_deep = [&](const std::string& change) {
        expect_stopped(begin + change + "{% endfor %}", ErrorKind::render, "deep");
    };
    expect_deep("{% set ns.l = [ns.l] %}");
    expect_deep("{% set ns.l = (ns.l,) %}");
    expect_deep("{% set ns.l = {'a': ns.l} %}");
    expect_deep("{% set ns.l = joiner(ns.l) %}");
    expect_deep("{% set ns.l = cycler(ns.l) %}");
    expect_deep("{% set ns.l = cycler(ns.l).next %}");
    expect_deep("{% set ns.l = [ns.l]|map('abs') %}");
    expect_deep("{% for x in [ns.l] %}{% set ns.l = loop %}{% endfor %}");
    expect_deep("{% set ns.l = dict(a=ns.l).items() %}");
    // Chains of namespaces and of macros that know each other are kept to the end, and end without recursion.
    EXPECT_EQ(
        render(
            "{% set ns = namespace(l=1) %}{% for i in range(50000) %}{% set ns.l = namespace(l=ns.l) %}{% endfor %}x"),
        "x");
    EXPECT_EQ(render("{% set ns = namespace(f=1) %}{% macro outer(f) %}{% macro inner() %}{{ f }}{% endmacro %}"
                     "{% set ns.f = inner %}{% endmacro %}{% for i in range(20000) %}{{ outer(ns.f) }}{% endfor %}x"),
              "x");
    expect_stopped(
        "{% set ns = namespace(l=1) %}{% for i in range(5000) %}{% set ns.l = namespace(l=ns.l) %}{% endfor %}{{ ns }}",
        ErrorKind::render, "deeper than");
    nlohmann::ordered_json deep;
    for (int i = 0; i < 1000; ++i) deep = nlohmann::ordered_json::array({deep});
    EXPECT_THROW(render("{{ x }}", {{"x", deep}}), TemplateError);
}

TEST(JinjaLimits, ALongConversationFits) {
    nlohmann::ordered_json messages = nlohmann::ordered_json::array();
    const std::string text = repeated("Some words of a long conversation. ", 200);
    for (int i = 0; i < 1000; ++i) messages.push_back({{"role", i % 2 == 0 ? "user" : "assistant"}, {"content", text}});
    const std::string source =
        "{% set ns = namespace(last=0) %}{% for m in messages[::-1] %}{% if m.role == 'user' and not ns.last and not"
        "(m.content.startswith('<t>') and m.content.endswith('</t>')) %}{% set ns.last = loop.index0 %}{% endif %}"
        "{% endfor %}{% for m in messages %}{% if '</think>' in m.content %}{{ m.content.split('</think>')[-1] }}"
        "{% else %}{{ '<|im_start|>' + m.role + '\n' + m.content|trim + '<|im_end|>' + '\n' }}{% endif %}{% endfor %}";
    EXPECT_GT(render(source, {{"messages", messages}}).size(), 7000000u);
}

}  // namespace
}  // namespace eigenlm::tests
