# The C++ blocks of Markdown files as C++ units, to be compiled and run.
#   awk -v programs=1: the blocks that have a main, of all files (a unit has room for one);
#   otherwise: the other blocks, those below one "## " heading as one test.
# Lines keep their numbers and files, so that a compiler's messages name the page.

function close_test() {
    if (test != "") print "}"
    test = ""
}

/^## / { close_test(); heading = substr($0, 4); gsub(/[^A-Za-z0-9]+/, "_", heading) }

/^```cpp$/ { inside = 1; block = ""; first_line = FNR + 1; next }

/^```$/ && inside {
    inside = 0
    is_program = block ~ /int main\(/
    if (!programs == !is_program) {
        if (!programs && test == "") {
            page = FILENAME
            gsub(/.*\/|\.md$/, "", page)
            test = page "_" heading
            print "TEST(Docs, " test ") {\n[[maybe_unused]] const eigenlm::LanguageModel& lm = tiny_model();"
        }
        printf "%s#line %d \"%s\"\n%s%s", programs ? "" : "{\n", first_line, FILENAME, block, programs ? "" : "}\n"
    }
}

inside { block = block $0 "\n" }

END { close_test() }
