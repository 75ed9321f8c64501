"""bench/growth: the page comes from RESULTS.md alone, says what is missing, and repeats."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["WEIR_SOURCE"])


def growth(text):
    with tempfile.NamedTemporaryFile("w", suffix=".md") as page:
        page.write(text)
        page.flush()
        return subprocess.run([sys.executable, str(SOURCE / "bench" / "growth"), "--dry", "--no-c2c", "--results", page.name],
                              capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


class Growth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = (SOURCE / "bench" / "RESULTS.md").read_text()

    def without(self, section):
        return re.sub(rf"<!-- section: {section} -->.*?<!-- end: {section} -->", "", self.text, flags=re.DOTALL)

    def test_the_same_figures_give_the_same_page(self):
        first, second = growth(self.text), growth(self.text)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertEqual(first.stdout, second.stdout)
        self.assertIn("simulated", first.stdout)

    def test_other_figures_give_another_page(self):
        changed = re.sub(r"(\| +)call-1( \| +)[\d.]+", r"\1call-1\g<2>300", self.text)
        self.assertNotEqual(changed, self.text)
        self.assertNotEqual(growth(changed).stdout, growth(self.text).stdout)

    def test_a_missing_section_is_named_with_its_command(self):
        for section in ("micro", "profile"):
            done = growth(self.without(section))
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"run bench/{section}", done.stderr)

    def test_sections_that_are_not_needed_may_be_missing(self):
        done = growth(self.without("load"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("run bench/run", done.stdout)

    def test_a_missing_step_is_named(self):
        done = growth(re.sub(r".*\| +call-1 \|.*\n", "", self.text))
        self.assertEqual(done.returncode, 1)
        self.assertIn("call-1", done.stderr)

    def test_the_order_of_rows_does_not_matter(self):
        lines = self.text.splitlines(keepends=True)
        first = next(i for i, line in enumerate(lines) if re.search(r"\| +ring-1 \|", line))
        last = next(i for i, line in enumerate(lines) if re.search(r"\| +call-16 \|", line))
        turned = lines[:first] + lines[first:last + 1][::-1] + lines[last + 1:]
        self.assertEqual(growth("".join(turned)).stdout, growth(self.text).stdout)


if __name__ == "__main__":
    unittest.main()
