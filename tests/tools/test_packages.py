"""packages.sh: silent when all is there, one clear line when it cannot help. dpkg and apt are stand-ins."""

import os
import pathlib
import stat
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ.get("WEIR_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
SCRIPT = SOURCE / "tools" / "packages.sh"
NEEDED = ("bash", "id", "sort", "printf", "mktemp", "rm", "sed", "head", "grep", "env", "sh", "cat", "dirname")


class Packages(unittest.TestCase):
    def setUp(self):
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        self.home = pathlib.Path(home.name)
        self.bin = self.home / "bin"
        self.bin.mkdir()
        for name in NEEDED:
            path = next((pathlib.Path(folder) / name for folder in ("/usr/bin", "/bin")
                         if (pathlib.Path(folder) / name).exists()), None)
            if path:
                (self.bin / name).symlink_to(path)
        self.installed(missing="")
        self.program("apt-cache", "exit 0")
        self.program("apt-get", f'echo "$@" >>{self.home}/apt; exit ${{APT_STATUS:-0}}')
        self.program("id", "echo ${FAKE_UID:-0}")

    def program(self, name, text):
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def installed(self, missing):
        """Every package is installed but those matched by the shell pattern."""
        self.program("dpkg-query", f'case " $* " in {missing or "nothing"}) exit 1 ;; esac\necho installed')

    def run_script(self, *arguments, **env):
        return subprocess.run([str(SCRIPT), *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env={"PATH": str(self.bin), "TMPDIR": str(self.home), **env})

    def apt(self):
        path = self.home / "apt"
        return path.read_text() if path.exists() else ""

    def test_with_everything_installed_it_says_nothing_and_calls_nobody(self):
        for name in ("build", "test", "bench"):
            done = self.run_script(name)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""), name)
        self.assertEqual(self.apt(), "")

    def test_only_what_is_missing_is_installed(self):
        self.installed(missing='*" ninja-build "*')
        done = self.run_script("build")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("ninja-build", self.apt())
        self.assertNotIn("cmake", self.apt())
        self.assertIn("ninja-build", done.stdout)

    def test_without_root_and_sudo_one_line_says_what_to_run(self):
        self.installed(missing='*" liburing-dev "*|*" cmake "*')
        done = self.run_script("build", FAKE_UID="1000")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertRegex(done.stderr, "apt-get install .*cmake.*liburing-dev|apt-get install .*liburing-dev.*cmake")
        self.assertEqual(self.apt(), "")

    def test_a_failing_installer_gives_one_line(self):
        self.installed(missing='*" cmake "*')
        done = self.run_script("build", APT_STATUS="100")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn("cmake", done.stderr)

    def test_a_package_that_only_some_tests_need_is_no_failure(self):
        self.installed(missing='*" qemu-system-x86 "*')
        done = self.run_script("test", APT_STATUS="100")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("qemu-system-x86", done.stderr)

    def test_an_unknown_set_or_none_is_refused(self):
        self.assertEqual(self.run_script("everything").returncode, 1)
        self.assertEqual(self.run_script().returncode, 1)

    def test_nothing_temporary_stays(self):
        self.installed(missing='*" cmake "*')
        self.run_script("build")
        self.assertEqual({path.name for path in self.home.iterdir()}, {"bin", "apt"})


if __name__ == "__main__":
    unittest.main()
