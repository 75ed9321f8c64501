# labels: integration long
# timeout: 600
"""The README's first command in a fresh clone: it builds, starts, answers, and leaves the clone clean."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import weir_instance
from weir_instance import SOURCE, needs_program, port_free, processes_marked, wait_until

BUILD_S = 500


class FreshClone(unittest.TestCase):
    def setUp(self):
        needs_program("git", "git")
        if not (SOURCE / ".git").exists():
            self.skipTest("the source is no git checkout")
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="it-weir-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.clone = self.home / "clone"
        subprocess.run(["git", "clone", "-q", str(SOURCE), str(self.clone)], check=True)

    def test_readme_names_exactly_two_commands_of_which_the_first_works(self):
        readme = (self.clone / "README.md").read_text()
        section = readme[readme.index("## Two commands"):].split("\n## ")[0]
        self.assertEqual(re.findall(r"```\n(.*?)\n```", section, re.DOTALL), ["./tools/quickstart", "./tools/check"])

        port = port_free()
        mark = f"WEIR_TEST_CLONE={os.getpid()}"
        output_path = self.home / "output"
        with open(output_path, "wb") as output:
            process = subprocess.Popen(["./tools/quickstart", "--data", str(self.home / "data"),
                                        "--listen", f"127.0.0.1:{port}"], cwd=self.clone, stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=output, start_new_session=True,
                                       env={**os.environ, "WEIR_TEST_CLONE": str(os.getpid())})

        def clean():
            process.kill()
            process.wait()
            for pid in processes_marked(mark):
                os.kill(pid, signal.SIGKILL)
        self.addCleanup(clean)

        def ready():
            self.assertIsNone(process.poll(), output_path.read_text(errors="replace"))
            return "Ctrl-C stops it." in output_path.read_text(errors="replace")
        wait_until(ready, "the clone is built and answers", BUILD_S)
        answer = subprocess.run(["curl", "-sS", f"http://127.0.0.1:{port}/hello"], capture_output=True, text=True)
        self.assertIn("Hello", answer.stdout, answer.stderr)
        os.killpg(process.pid, signal.SIGINT)
        self.assertEqual(process.wait(timeout=60), 0)
        wait_until(lambda: not processes_marked(mark), "all processes have ended", 10)
        status = subprocess.run(["git", "status", "--porcelain"], cwd=self.clone, capture_output=True, text=True)
        self.assertEqual(status.stdout, "")


if __name__ == "__main__":
    weir_instance.main()
