# labels: integration
# timeout: 180
"""Weir without any privilege: it works, and says what it does without."""

import contextlib
import os
import pathlib
import shutil
import unittest

import weir_instance
from weir_instance import BIN, Instance, SOURCE, needs_program, wait_until

NOBODY = 65534


def reachable(path):
    """True where everybody may enter every directory down to `path` and read it."""
    for part in [path, *path.parents]:
        if not part.stat().st_mode & (0o001 if part.is_dir() else 0o004):
            return False
    return True


class OrdinaryUser(weir_instance.Case):
    def setUp(self):
        super().setUp()
        self.prefix, self.owner = (), None
        if os.geteuid() == 0:
            needs_program("setpriv", "util-linux")
            if not reachable(BIN / "weir-keeper") or not reachable(SOURCE / "tools" / "samples"):
                raise unittest.SkipTest("the build or source folder is closed to other users")
            self.owner = NOBODY
            self.prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all",
                           "--bounding-set=-all", "--no-new-privs")

    def instance(self):
        return Instance(samples=True, prefix=self.prefix, owner=self.owner)

    def test_every_sample_answers(self):
        with self.instance() as weir:
            self.assertEqual(weir.request("GET", "/hello").status, 200)
            self.assertEqual(weir.request("POST", "/echo", b"body").body, b"body")
            self.assertEqual(weir.request("GET", "/status/418").status, 418)
            self.assertEqual(weir.request("GET", "/ping").status, 200)
            if shutil.which("php"):
                self.assertIn(b"Alice", weir.request("POST", "/api/hello", b'{"name":"Alice"}').body)

    def test_asynchronous_calls_are_kept_and_run(self):
        with self.instance() as weir:
            call = weir.request("POST", "/weir/async/default/echo", b"kept").json()["activation"]
            wait_until(lambda: weir.request("GET", f"/weir/async/{call}").json().get("body") == "kept", "it has run")

    def test_no_process_of_it_has_more_rights_than_its_user(self):
        with self.instance() as weir:
            looked_at = set()
            for pid, name in weir.processes():
                with contextlib.suppress(FileNotFoundError):  # a build that has ended by now
                    status = pathlib.Path(f"/proc/{pid}/status").read_text()
                    looked_at.add(name)
                rows = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
                self.assertEqual(int(rows["CapEff"].strip(), 16), 0, name)
                if self.owner is not None:
                    self.assertEqual(set(rows["Uid"].split()), {str(NOBODY)}, name)
            self.assertLessEqual({"weir-keeper", "weir-supervisor", "weir-gateway", "weir-ctrld"}, looked_at)

    def test_status_and_log_say_what_it_does_without(self):
        with self.instance() as weir:
            said = weir.ctrlctl("status").stdout.lower()
            self.assertIn("without", said)
            self.assertIn("without", weir.log_path.read_text().lower())

    def test_too_little_locked_memory_is_said_with_the_way_out(self):
        prefix = ("prlimit", "--memlock=65536:65536", *self.prefix)
        weir = Instance(prefix=prefix, owner=self.owner)
        try:
            weir.start(wait=False)
            wait_until(lambda: "ulimit -l" in weir.log_path.read_text(), "the log names the limit")
            weir.stop()
            self.assertEqual(weir.leftovers(), [])
        finally:
            weir.kill_everything()
            weir.remove()


class Root(weir_instance.Case):
    def test_it_needs_no_locked_memory_and_its_gateway_keeps_no_right(self):
        if os.geteuid() != 0:
            raise unittest.SkipTest("not root")
        with Instance(samples=True, prefix=("prlimit", "--memlock=65536:65536")) as weir:
            self.assertEqual(weir.request("GET", "/hello").status, 200)
            for thread in pathlib.Path(f"/proc/{weir.pid_of('weir-gateway')}/task").iterdir():
                rows = dict(line.split(":", 1) for line in (thread / "status").read_text().splitlines() if ":" in line)
                self.assertEqual({int(rows[kind], 16) for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb")}, {0})


if __name__ == "__main__":
    weir_instance.main()
