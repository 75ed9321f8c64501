#!/usr/bin/env python3
# labels: integration
# timeout: 120
"""ctrlctl on asynchronous calls: sent, waited for, cancelled, replayed; dead letters; while ctrld is away, too."""

import json
import os
import pathlib
import signal
import tempfile

import weir_instance
from weir_instance import Instance, wait_until

ID = "^[0-9a-f]{32}$"


class Ctl(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        cls.weir = cls.enterClassContext(Instance(samples=True))
        cls.root = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="it-async-")))
        cls.weir.ctrlctl("config", "set", "async.retry", "10ms")
        cls.weir.ctrlctl("config", "set", "async.retries", "1")

    def call(self, *arguments):
        """The id of a call that `fn invoke --async` made."""
        call = self.weir.ctrlctl("fn", "invoke", *arguments, "--async").stdout.strip()
        self.assertRegex(call, ID)
        return call

    def refused(self, code, *arguments):
        done = self.weir.ctrlctl(*arguments, check=False)
        self.assertEqual(done.returncode, code, done)
        return done.stderr

    def test_a_call_is_sent_and_its_result_waited_for(self):
        call = self.call("echo", "-d", "some text")
        self.assertEqual(self.weir.ctrlctl("call", "result", call, "--wait", "30s").stdout, "some text")
        told = json.loads(self.weir.ctrlctl("call", "result", call, "-o", "json").stdout)
        self.assertEqual((told["state"], told["body"], told["attempts"]), ("done", "some text", 1))
        self.assertEqual(json.loads(self.weir.ctrlctl("fn", "invoke", "echo", "--async", "-o", "json").stdout).keys(),
                         {"activation"})
        other = self.weir.ctrlctl("call", "replay", call).stdout.strip()
        self.assertNotEqual(other, call)
        self.assertEqual(self.weir.ctrlctl("call", "result", other, "--wait", "30s").stdout, "some text")

    def test_options_say_when_and_how_often(self):
        call = self.call("echo", "--delay", "10m", "--priority", "9", "--retries", "7", "--key", "once")
        self.assertEqual(self.call("echo", "--key", "once"), call)
        told = json.loads(self.weir.ctrlctl("dlq", "show", call).stdout)
        self.assertEqual((told["state"], told["priority"], told["retries"]), ("delayed", 9, 7))
        self.assertIn("not ended", self.refused(1, "call", "result", call))
        self.assertEqual(self.weir.ctrlctl("call", "cancel", call).stdout, "cancelled\n")
        self.assertIn("cancelled", self.refused(1, "call", "result", call))
        self.refused(1, "call", "cancel", call)
        self.refused(5, "call", "cancel", "0" * 32)
        self.refused(1, "call", "result", "nonsense")
        self.refused(7, "fn", "invoke", "echo", "--async", "--priority", "10")
        self.refused(7, "fn", "invoke", "echo", "--async", "--delay", "soon")
        self.refused(2, "fn", "invoke", "echo", "--async", "--path", "/x")

    def test_dead_letters_are_listed_redriven_and_purged(self):
        path = self.root / "broken.sh"
        path.write_text("#!/bin/sh\nexit 3\n")
        path.chmod(0o755)
        self.weir.ctrlctl("fn", "add", "broken", "--runtime", "exec", "--file", path)
        self.addCleanup(self.weir.ctrlctl, "fn", "rm", "broken")
        calls = [self.call("broken", "-d", str(i)) for i in range(2)]
        for call in calls:
            self.assertIn("program_failed", self.refused(1, "call", "result", call, "--wait", "30s"))
        listed = {row["activation"]: row for row in json.loads(self.weir.ctrlctl("dlq", "list", "-o", "json").stdout)}
        self.assertEqual({listed[call]["attempts"] for call in calls}, {2})
        self.assertIn(calls[0], self.weir.ctrlctl("dlq", "list").stdout)
        path.write_text("#!/bin/sh\necho mended\n")
        self.assertEqual(self.weir.ctrlctl("dlq", "redrive", calls[0]).stdout, "ready\n")
        self.assertEqual(json.loads(self.weir.ctrlctl("call", "result", calls[0], "--wait", "30s").stdout)["result"].strip(), "mended")
        self.refused(2, "dlq", "purge")
        self.refused(2, "dlq", "purge", calls[1], "--all")
        self.assertIn(calls[1], self.weir.ctrlctl("dlq", "purge", "--all").stdout)
        self.assertEqual(json.loads(self.weir.ctrlctl("dlq", "list", "-o", "json").stdout), [])
        self.refused(5, "dlq", "show", calls[1])

    def test_the_queue_is_counted_without_ctrld(self):
        call = self.call("echo", "-d", "x")
        ctrld = self.weir.pid_of("weir-ctrld")
        os.kill(ctrld, signal.SIGSTOP)
        try:
            self.assertEqual(self.weir.ctrlctl("call", "result", call, "--wait", "30s").stdout, "x")
            status = json.loads(self.weir.ctrlctl("queue", "status", "-o", "json").stdout)
            self.assertGreater(status["done"], 0)
            wait_until(lambda: json.loads(self.weir.ctrlctl("queue", "status", "-o", "json").stdout)["running"] == 0,
                       "nothing runs")
            self.assertIn("dead ", self.weir.ctrlctl("queue", "status").stdout)
        finally:
            os.kill(ctrld, signal.SIGCONT)


if __name__ == "__main__":
    weir_instance.main()
