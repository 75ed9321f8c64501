#!/usr/bin/env python3
# labels: integration
# timeout: 240
"""Asynchronous calls: accepted once they are on the disk, run, tried again, told about, cancelled."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time

import weir_instance
from survival import programs
from weir_instance import Instance, needs_program, wait_until

ENDED = ("done", "dead", "cancelled")
FLAKY = """#include <weir_function.h>
/* Fails until its third attempt, then answers with its body. */
int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	const struct weir_text attempt = weir_request_header(request, "x-weir-attempt");
	char data[64];
	const ssize_t bytes = weir_request_read(request, data, sizeof(data));

	return attempt.bytes == 1 && attempt.data[0] >= '3' ? weir_response_write(response, data, (size_t)bytes) : -1;
}
"""
REFUSES = """#include <weir_function.h>
int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	(void)request;
	(void)weir_response_status(response, 500);
	return weir_response_write_text(response, "no");
}
"""


def call_async(weir, function, body=b"", headers=None):
    """The id of a call that was accepted."""
    answer = weir.request("POST", f"/weir/async/{function}", body, headers)
    if answer.status != 202:
        raise AssertionError(f"{function} was not accepted: {answer.body!r}")
    return answer.json()["activation"]


def told(weir, call):
    return weir.request("GET", f"/weir/async/{call}").json()


def ended(weir, call, timeout_s=None):
    """What became of it, as soon as that is final."""
    return wait_until(lambda: (row := told(weir, call))["state"] in ENDED and row, f"{call} has ended", timeout_s)


class Async(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        cls.weir = cls.enterClassContext(Instance(samples=True))
        cls.root = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="it-async-")))
        cls.weir.ctrlctl("config", "set", "async.retry", "20ms")
        cls.weir.ctrlctl("config", "set", "activation_kept_per_s", "0")  # asynchronous calls have a rate of their own

    def function(self, name, text, *options, runtime="exec"):
        path = self.root / f"{name}.{'c' if runtime == 'c' else 'sh'}"
        path.write_text(text)
        path.chmod(0o755)
        self.weir.ctrlctl("fn", "add", name, "--runtime", runtime, "--file", path, *options)
        self.addCleanup(self.weir.ctrlctl, "fn", "rm", name)
        if runtime == "c":
            wait_until(lambda: "being built" not in self.weir.ctrlctl("fn", "invoke", name, check=False).stdout,
                       f"{name} is built")
        return f"default/{name}"

    def test_a_call_is_accepted_run_and_told(self):
        answer = self.weir.request("POST", "/weir/async/default/echo", b"hello", {"content-type": "text/x-mine"})
        self.assertEqual(answer.status, 202, answer)
        call = answer.json()["activation"]
        self.assertEqual(answer.headers["x-openwhisk-activation-id"], call)
        self.assertEqual(answer.headers["location"], f"/weir/async/{call}")
        row = ended(self.weir, call)
        self.assertEqual((row["state"], row["status"], row["body"], row["attempts"], row["function"]),
                         ("done", 200, "hello", 1, "default/echo"))
        result = self.weir.request("GET", f"/weir/async/{call}/result")
        self.assertEqual((result.status, result.body, result.headers["x-weir-state"], result.headers["x-weir-status"]),
                         (200, b"hello", "done", "200"))

    def test_its_run_is_found_by_its_id(self):
        function = self.function("says", "#!/bin/sh\necho said >&2\necho ok\n")
        call = call_async(self.weir, function)
        ended(self.weir, call)
        wait_until(lambda: "said" in self.weir.ctrlctl("call", "logs", call).stdout, "its log is found by its id")
        record = json.loads(self.weir.ctrlctl("call", "get", call, "-o", "json").stdout)
        self.assertEqual((record["function"], record["status"]), (function, 200))

    def test_bytes_and_bodies_up_to_the_bound(self):
        body = os.urandom(1 << 20)
        call = call_async(self.weir, "default/echo", body)
        self.assertNotIn("body", ended(self.weir, call))
        self.assertEqual(self.weir.request("GET", f"/weir/async/{call}/result").body, body)
        refused = self.weir.request("POST", "/weir/async/default/echo", body + b"x")
        self.assertEqual(refused.status, 413)
        self.assertIn("async.body_bytes_max", refused.json()["error"])

    def test_what_is_no_call_is_refused(self):
        for path, status in (("default/a%00b", 400), ("weir.system/queue", 404), ("weir.system/runner", 404),
                             ("a/b/c", 404), ("x" * 64 + "/f", 404), ("default/%ff", 404)):
            self.assertEqual(self.weir.request("POST", f"/weir/async/{path}").status, status, path)
        for name, value in (("x-weir-priority", "10"), ("x-weir-priority", "-1"), ("x-weir-retries", "1e3"),
                            ("x-weir-delay-ms", "99999999999"), ("idempotency-key", "k" * 256)):
            answer = self.weir.request("POST", "/weir/async/default/echo", b"", {name: value})
            self.assertEqual(answer.status, 400, (name, value, answer))
            self.assertIn(name, answer.json()["error"])
        self.assertEqual(self.weir.request("GET", "/weir/async/" + 32 * "0").status, 404)
        self.assertEqual(self.weir.request("GET", "/weir/async/xyz").status, 404)
        for path in ("/take", "/done", "/renew"):  # runners' alone
            self.assertEqual(self.weir.request("POST", path).status, 404)
        self.assertEqual(self.weir.request("POST", "/f/weir.system/runner", b"").status, 500)

    def test_what_crashes_is_tried_again(self):
        call = call_async(self.weir, self.function("flaky", FLAKY, runtime="c"), b"in the end")
        row = ended(self.weir, call)
        self.assertEqual((row["state"], row["attempts"], row["failed"], row["body"]), ("done", 3, 2, "in the end"))

    def test_what_never_answers_is_a_dead_letter(self):
        function = self.function("crashes", "#!/bin/sh\nkill -SEGV $$\n")
        row = ended(self.weir, call_async(self.weir, function, headers={"x-weir-retries": "2"}))
        self.assertEqual((row["state"], row["attempts"], row["failed"]), ("dead", 3, 3))
        self.assertEqual((row["status"], row["failure"]), (500, "program_failed"))
        row = ended(self.weir, call_async(self.weir, "default/ghost"))
        self.assertEqual((row["state"], row["attempts"], row["failure"]), ("dead", 1, "call_unknown"))
        dead = self.weir.request("GET", "/weir/async?state=dead").json()["calls"]
        self.assertIn(row["activation"], [call["activation"] for call in dead])

    def test_a_functions_own_failure_is_its_answer(self):
        function = self.function("refuses", REFUSES, runtime="c")
        row = ended(self.weir, call_async(self.weir, function))
        self.assertEqual((row["state"], row["attempts"], row["status"], row["body"]), ("done", 1, 500, "no"))
        self.assertNotIn("failure", row)

    def test_delay_priority_and_key(self):
        call = call_async(self.weir, "default/echo", b"later", {"x-weir-delay-ms": "1500"})
        row = told(self.weir, call)
        self.assertEqual(row["state"], "delayed")
        self.assertIn("due", row)
        begun = time.monotonic()
        self.assertEqual(ended(self.weir, call)["state"], "done")
        self.assertGreater(time.monotonic() - begun, 0.5)
        key = {"idempotency-key": "order 7"}
        first = call_async(self.weir, "default/echo", b"once", key)
        self.assertEqual(call_async(self.weir, "default/echo", b"once", key), first)
        self.assertEqual(self.weir.request("POST", "/weir/async/default/upper", b"", key).status, 422)
        self.assertNotEqual(call_async(self.weir, "other/echo", b"", key), first)
        self.assertEqual(told(self.weir, call_async(self.weir, "default/echo", b"", {"x-weir-priority": "9"}))["priority"], 9)

    def test_waiting_and_running_calls_are_cancelled(self):
        call = call_async(self.weir, "default/echo", b"", {"x-weir-delay-ms": "600000"})
        self.assertEqual(self.weir.request("DELETE", f"/weir/async/{call}").status, 200)
        self.assertEqual(told(self.weir, call)["state"], "cancelled")
        self.assertEqual(self.weir.request("DELETE", f"/weir/async/{call}").status, 409)
        call = call_async(self.weir, self.function("sleeps", "#!/bin/sh\nsleep 60\n", "--timeout", "90s"))
        wait_until(lambda: told(self.weir, call)["state"] == "running", "it runs")
        self.assertEqual(self.weir.request("DELETE", f"/weir/async/{call}").status, 202)
        self.assertEqual(ended(self.weir, call, 30)["state"], "cancelled")
        wait_until(lambda: not self.weir.processes("sleep"), "its program has ended")

    def test_what_has_ended_runs_again_and_is_forgotten(self):
        call = call_async(self.weir, "default/echo", b"twice")
        ended(self.weir, call)
        self.assertEqual(self.weir.request("POST", f"/weir/async/{call}").status, 202)
        wait_until(lambda: (row := told(self.weir, call))["state"] == "done" and row["attempts"] == 2, "it ran again")
        other = self.weir.request("POST", f"/weir/async/{call}?new=1").json()["activation"]
        self.assertNotEqual(other, call)
        self.assertEqual(ended(self.weir, other)["body"], "twice")
        self.assertEqual(self.weir.request("DELETE", f"/weir/async/{call}?forget=1").status, 200)
        self.assertEqual(self.weir.request("GET", f"/weir/async/{call}").status, 404)

    def test_bounds_are_kept_and_named(self):
        with Instance(samples=True) as weir:
            weir.ctrlctl("config", "set", "async.rows_max", "3")
            for _ in range(3):
                call_async(weir, "default/echo", b"", {"x-weir-delay-ms": "600000"})
            refused = weir.request("POST", "/weir/async/default/echo")
            self.assertEqual(refused.status, 429)
            self.assertEqual(refused.headers["retry-after"], "1")
            self.assertIn("async.rows_max", refused.json()["error"])
            weir.ctrlctl("config", "set", "async.rows_max", "4")
            call_async(weir, "default/echo", b"", {"x-weir-delay-ms": "600000"})

    def test_accepting_and_running_go_on_without_ctrld(self):
        call_async(self.weir, "default/echo")
        ctrld = self.weir.pid_of("weir-ctrld")
        os.kill(ctrld, signal.SIGSTOP)
        try:
            calls = [call_async(self.weir, "default/echo", b"%d" % i) for i in range(20)]
            rows = [ended(self.weir, call) for call in calls]
        finally:
            os.kill(ctrld, signal.SIGCONT)
        self.assertEqual([row["body"] for row in rows], [str(i) for i in range(20)])

    def test_what_was_accepted_survives_a_restart(self):
        weir = Instance(samples=True)
        try:
            weir.start()
            call = call_async(weir, "default/echo", b"still here", {"x-weir-delay-ms": "2000"})
            weir.stop()
            weir.start(wait=False)
            weir.wait_ready()
            self.assertEqual(ended(weir, call)["body"], "still here")
            weir.stop()
            self.assertEqual(weir.leftovers(), [])
        finally:
            weir.kill_everything()
            weir.remove()


class OnTheDisk(weir_instance.Case):
    """The kernel is asked: strace holds up, or refuses, what writes to the disk."""

    def setUp(self):
        super().setUp()
        needs_program("strace", "strace")
        if os.geteuid() != 0:
            self.skipTest("only root may look into a worker")

    def traced(self, weir, *arguments):
        """strace on the queue's workers, and where it writes to."""
        path = weir.home / "strace.log"
        pids = [word for pid, _ in programs(weir, "weir-worker-queue") for word in ("-p", str(pid))]
        tracer = subprocess.Popen(["strace", "-f", "-ttt", "-T", "-o", path, "-e", "trace=fdatasync,fsync", *arguments,
                                   *pids], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(tracer.stderr.close)
        self.addCleanup(tracer.wait)
        self.addCleanup(tracer.kill)
        for _ in pids[::2]:
            tracer.stderr.readline()  # "attached"
        return tracer, path

    def test_the_answer_waits_for_the_disk(self):
        with Instance(samples=True) as weir:
            ended(weir, call_async(weir, "default/echo"))
            tracer, path = self.traced(weir, "-e", "inject=fdatasync,fsync:delay_exit=700000")
            begun = time.time()
            call = call_async(weir, "default/echo", b"x", {"x-weir-delay-ms": "600000"})
            answered = time.time()
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
            self.assertEqual(told(weir, call)["state"], "delayed")
            ends = []
            for line in path.read_text().splitlines():
                if "sync(" in line and "= 0" in line and "unfinished" not in line:
                    start, took = float(line.split()[1]), float(line.rsplit("<", 1)[1].rstrip(">"))
                    ends.append(start + took)
            synced = [end for end in ends if begun < end <= answered]
            self.assertTrue(synced, (begun, answered, path.read_text()))
            self.assertGreaterEqual(answered - begun, 0.7)

    def test_what_the_disk_refuses_is_not_accepted(self):
        with Instance(samples=True) as weir:
            ended(weir, call_async(weir, "default/echo"))
            tracer, _ = self.traced(weir, "-e", "inject=fdatasync,fsync:error=EIO")
            refused = weir.request("POST", "/weir/async/default/echo", b"not kept", {"x-weir-delay-ms": "600000"})
            self.assertEqual((refused.status, refused.json()["code"]), (503, "async_store"), refused)
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
            call = wait_until(lambda: (answer := weir.request("POST", "/weir/async/default/echo", b"kept")).status == 202
                              and answer.json()["activation"], "calls are accepted again")
            self.assertEqual(ended(weir, call)["body"], "kept")

    def test_many_calls_share_an_fsync(self):
        with Instance(samples=True) as weir:
            ended(weir, call_async(weir, "default/echo"))
            tracer, path = self.traced(weir, "-e", "inject=fdatasync,fsync:delay_exit=100000")
            later = {"x-weir-delay-ms": "600000"}
            threads = [threading.Thread(target=call_async, args=(weir, "default/echo", b"", later)) for _ in range(30)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
            syncs = [line for line in path.read_text().splitlines() if "sync(" in line and "resumed" not in line]
            self.assertLess(len(syncs), 20)
            self.assertEqual(weir.request("GET", "/weir/async").json()["delayed"], 30)


if __name__ == "__main__":
    weir_instance.main()
