"""tools/quickjs: takes only the file that it knows, and says in one line why there is none. npm is a stand-in."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ.get("WEIR_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
NEEDED = ("bash", "cat", "dirname", "mkdir", "mktemp", "mv", "rm", "sha512sum", "tar", "gzip")


class QuickJs(unittest.TestCase):
    def setUp(self):
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        self.home = pathlib.Path(home.name)
        for folder in ("bin", "tools"):
            (self.home / folder).mkdir()
        for name in NEEDED:
            (self.home / "bin" / name).symlink_to(shutil.which(name))
        shutil.copy(SOURCE / "tools" / "quickjs", self.home / "tools")

    def npm(self, text):
        path = self.home / "bin" / "npm"
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    def get(self):
        done = subprocess.run([self.home / "tools" / "quickjs", "get"], env={"PATH": str(self.home / "bin")}, text=True,
                              capture_output=True, check=False)
        left = [path.name for path in (self.home / "build" / "packages").glob("*")]
        return done.returncode, done.stdout, done.stderr, left

    def failed(self, words):
        status, out, error, left = self.get()
        self.assertEqual((status, out, left), (1, "", []))
        self.assertEqual(error.count("\n"), 1, error)
        self.assertIn(words, error)

    def test_without_npm(self):
        self.failed("npm is not installed")

    def test_npm_cannot_get_it(self):
        self.npm("echo 'npm error code E404' >&2; echo more >&2; exit 1")
        self.failed("npm cannot get quickjs-wasi 3.6.2: npm error code E404")

    def test_another_file_is_not_taken(self):
        self.npm("mkdir package; cat /dev/null >package/quickjs.wasm; tar -czf quickjs-wasi-3.6.2.tgz package")
        self.failed("another file")

    def test_what_is_there_is_not_asked_for_again(self):
        folder = self.home / "build" / "packages" / "quickjs-wasi-3.6.2"
        folder.mkdir(parents=True)
        (folder / "quickjs.wasm").write_text("x")
        self.npm("exit 1")
        self.assertEqual(self.get()[:2], (0, f"{folder}/quickjs.wasm\n"))


if __name__ == "__main__":
    unittest.main()
