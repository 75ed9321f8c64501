"""Each check passes a clean tree and fails one with a planted violation, naming file and line."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

TIDY = pathlib.Path(os.environ.get("WEIR_SOURCE", pathlib.Path(__file__).resolve().parents[2])) / "tools" / "tidy"

HEADER = "/* thing: what it is. */\n"


class Tree(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.TemporaryDirectory()
        self.addCleanup(self.home.cleanup)
        self.root = pathlib.Path(self.home.name)
        self.write("tools/tidy/layers.txt", "dataplane/low :\ndataplane/high : dataplane/low\nctrl : dataplane/low\ntests : *\n")

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run_check(self, name):
        done = subprocess.run([sys.executable, "-B", str(TIDY / f"check_{name}.py"), str(self.root)],
                              capture_output=True, text=True)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return done

    def passes(self, name):
        done = self.run_check(name)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def catches(self, name, *words):
        done = self.run_check(name)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        for word in words:
            self.assertIn(word, done.stdout)


class Layers(Tree):
    def test_a_granted_include_passes(self):
        self.write("dataplane/low/a.h", HEADER)
        self.write("dataplane/high/b.c", '#include "dataplane/low/a.h"\n#include <stdio.h>\n')
        self.passes("layers")

    def test_an_include_upward_is_caught_with_its_line(self):
        self.write("dataplane/high/b.h", HEADER)
        self.write("dataplane/low/a.c", '\n#include "dataplane/high/b.h"\n')
        self.catches("layers", "dataplane/low/a.c:2", "may not include dataplane/high")

    def test_an_include_sideways_with_spaces_is_caught(self):
        self.write("ctrl/b.c", '  #  include   "dataplane/high/b.h"\n')
        self.catches("layers", "ctrl/b.c:1")

    def test_tests_may_include_everything(self):
        self.write("tests/t.c", '#include "dataplane/high/b.h"\n')
        self.passes("layers")

    def test_a_directory_that_is_not_listed_is_caught(self):
        self.write("dataplane/new/a.c", "")
        self.catches("layers", "dataplane/new/a.c", "not in tools/tidy/layers.txt")

    def test_an_include_that_is_no_path_from_the_root_is_caught(self):
        self.write("dataplane/high/b.c", '#include "../low/a.h"\n')
        self.catches("layers", "dataplane/high/b.c:1", "not a path from the repository root")

    def test_a_circle_of_grants_is_caught(self):
        self.write("tools/tidy/layers.txt", "a : b\nb : c\nc : a\nd : a\n")
        self.catches("layers", "circle", "a, b, c")

    def test_a_grant_of_an_unknown_directory_is_caught(self):
        self.write("tools/tidy/layers.txt", "a : nowhere\n")
        self.catches("layers", "nowhere")


STORE = "/* ORDER fill release: publishes the cell. */\natomic_store_explicit(&a, 1, memory_order_release);\n"
LOAD = "/* ORDER fill acquire: sees the cell. */\nx = atomic_load_explicit(&a, memory_order_acquire);\n"


class Order(Tree):
    def test_both_sides_labelled_pass(self):
        self.write("dataplane/low/a.c", STORE + LOAD)
        self.passes("order")

    def test_a_missing_label_is_caught_with_its_line(self):
        self.write("dataplane/low/a.c", STORE + "\n\n\n\n" + LOAD.split("\n")[1])
        self.catches("order", "dataplane/low/a.c:7", "acquire without")

    def test_a_label_too_far_above_is_caught(self):
        self.write("dataplane/low/a.c", STORE + LOAD.replace("*/\n", "*/\n;\n;\n;\n;\n"))
        self.catches("order", "acquire without")

    def test_a_label_of_the_other_side_is_caught(self):
        self.write("dataplane/low/a.c", STORE + LOAD.replace("fill acquire", "fill release"))
        self.catches("order", "acquire without")

    def test_one_side_alone_is_caught(self):
        self.write("dataplane/low/a.c", STORE)
        self.catches("order", "fill", "never acquired")
        self.write("dataplane/low/a.c", LOAD)
        self.catches("order", "fill", "never released")

    def test_sides_in_different_files_pass_and_relaxed_needs_none(self):
        self.write("dataplane/low/a.c", STORE + "atomic_load_explicit(&a, memory_order_relaxed);\n")
        self.write("ctrl/b.c", LOAD)
        self.passes("order")

    def test_acq_rel_is_both_sides(self):
        self.write("dataplane/low/a.c", "/* ORDER state acq_rel: claims it. */\nf(memory_order_acq_rel);\n")
        self.passes("order")

    def test_a_word_in_a_comment_or_string_is_no_use(self):
        self.write("dataplane/low/a.c", '/* memory_order_acquire */ char *t = "memory_order_release volatile";\n')
        self.passes("order")

    def test_bare_fences_volatile_and_consume_are_caught(self):
        self.write("dataplane/low/a.c", "atomic_thread_fence(x);\n\n\n\n\n\nvolatile int y;\n\nf(memory_order_consume);\n")
        self.catches("order", "a.c:1", "a.c:7", "a.c:9")

    def test_volatile_assembly_passes(self):
        self.write("dataplane/low/a.c", '__asm__ volatile("pause");\n')
        self.passes("order")


def function(lines, name="f"):
    return f"static int {name}(int a,\n\t     struct b *c)\n{{\n" + "\tx();\n" * (lines - 4) + "}\n"


class Size(Tree):
    def test_the_limits_themselves_pass(self):
        self.write("dataplane/low/a.c", "\n" * 600)
        self.write("dataplane/low/a.h", "\n" * 300)
        self.write("tests/t.c", "\n" * 900)
        self.write("dataplane/low/f.c", function(70) + function(70, "g"))
        self.passes("size")

    def test_a_long_source_header_and_test_are_caught(self):
        self.write("dataplane/low/a.c", "\n" * 601)
        self.write("dataplane/low/a.h", "\n" * 301)
        self.write("tests/t.c", "\n" * 901)
        self.catches("size", "a.c: 601", "a.h: 301", "t.c: 901")

    def test_a_long_function_is_caught_with_its_name_and_line(self):
        self.write("dataplane/low/a.c", "#include <a>\n\nint global = 3;\n" + function(71, "giant") + function(5))
        self.catches("size", "a.c:4", "giant has 71 lines")

    def test_braces_in_text_macros_and_tables_do_not_confuse_it(self):
        self.write("dataplane/low/a.c", '#define M(x) \\\n\t{ \\\n\tx\nchar *t = "}{{";\nstruct s { int a; } table[] = {{1}};\n/* } { */\n'
                   + function(71, "giant"))
        self.catches("size", "giant has 71 lines")

    def test_an_excuse_with_a_reason_lifts_the_limit(self):
        self.write("dataplane/low/a.c", "/* size: 650 lines, because the table is one. */\n" + "\n" * 640)
        self.passes("size")
        self.write("dataplane/low/a.c", "/* size: 650 lines */\n" + "\n" * 640)
        self.catches("size", "a.c: 641")


class Docs(Tree):
    def test_commented_functions_pass(self):
        self.write("dataplane/low/a.h", HEADER + "#define X(a) \\\n\tweir_y(a)\n/* Do it. */\nint weir_a_do(int a,\n\tint b);\n"
                   "/* Pair. */\nvoid weir_a_on(void);\nvoid weir_a_off(void);\n"
                   "/* Inline. */\nstatic inline int weir_a_get(void)\n{\n\treturn weir_a_do(1, 2);\n}\n"
                   "struct weir_t {\n\tint (*call)(void);\n};\n")
        self.passes("docs")

    def test_a_bare_declaration_is_caught(self):
        self.write("ctrl/a.h", HEADER + "struct s;\n\nint weir_a_do(int a);\n")
        self.catches("docs", "ctrl/a.h:4", "weir_a_do")

    def test_a_bare_inline_function_is_caught(self):
        self.write("ctrl/a.h", HEADER + "\nstatic inline int weir_a_do(int a)\n{\n\ta++;\n\treturn a;\n}\n")
        self.catches("docs", "ctrl/a.h:3", "weir_a_do")

    def test_an_inline_function_of_one_expression_and_siblings_of_many_lines_pass(self):
        self.write("ctrl/a.h", HEADER + "\nstatic inline int weir_a_get(const struct a *a)\n{\n\treturn a->x;\n}\n"
                   "\n/* Both. */\nint weir_a_on(int a,\n\t      int b);\nint weir_a_off(int a);\n")
        self.passes("docs")

    def test_a_function_after_a_commented_structure_is_caught(self):
        self.write("ctrl/a.h", HEADER + "\n/* A thing. */\nstruct weir_a {\n\tint x;\n};\nint weir_a_do(struct weir_a *a);\n")
        self.catches("docs", "weir_a_do")

    def test_a_blank_line_between_comment_and_function_is_caught(self):
        self.write("ctrl/a.h", HEADER + "/* Do it. */\n\nint weir_a_do(int a);\n")
        self.catches("docs", "weir_a_do")

    def test_a_header_without_a_concept_is_caught(self):
        self.write("ctrl/a.h", "#ifndef A\n#endif\n")
        self.catches("docs", "ctrl/a.h:1")


if __name__ == "__main__":
    unittest.main()
