# labels: integration
# timeout: 300
"""What functions print, as their author sees it: by activation, by function, live, and what is lost."""

import json
import os
import re
import signal
import subprocess
import time

import weir_instance
from weir_instance import BIN, BUILD, Instance, wait_until

LINE = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr|debug|info|warn|error): (.*)$")
PRINTING = BUILD / "tests" / "function_printing.so"
KEPT_BYTES = 65536


def parse(text):
    """[(stream, text)] of the lines that ctrlctl prints."""
    lines = []
    for line in text.splitlines():
        match = LINE.match(line)
        assert match, f"not a log line: {line!r}"
        lines.append((match[2], match[3]))
    return lines


class Logs(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        cls.weir = Instance().__enter__()
        try:
            cls.function_add(cls.weir, "printing", "native", PRINTING)
        except BaseException:
            cls.weir.__exit__(ValueError, None, None)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.weir.__exit__(None, None, None)

    @staticmethod
    def function_add(weir, name, runtime, path, timeout="30s"):
        weir.ctrlctl("fn", "add", name, "--runtime", runtime, "--file", path, "--timeout", timeout)
        weir.ctrlctl("route", "add", f"ANY /{name}", "--fn", name)

    def call(self, query, status=200, name="printing"):
        """Call the function; its answer holds nothing of what it printed. The activation's id."""
        answer = self.weir.request("GET", f"/{name}?{query}")
        self.assertEqual(answer.status, status, answer)
        if status == 200:
            self.assertEqual(answer.body, b"done\n")
        return answer.headers["x-openwhisk-activation-id"]

    def logs(self, activation):
        return parse(self.weir.ctrlctl("call", "logs", activation).stdout)

    def logs_come(self, activation, *wanted):
        """Of a process that ended by itself the last lines may take a moment."""
        def there():
            done = self.weir.ctrlctl("call", "logs", activation, check=False)
            return done.returncode == 0 and all(word in done.stdout for word in wanted)
        wait_until(there, f"the log of {activation} holds {wanted}")
        return self.logs(activation)

    def test_what_a_call_prints_is_there_as_soon_as_its_answer(self):
        for _ in range(20):
            self.assertEqual(self.logs(self.call("stdio")),
                             [("stdout", "to stdout"), ("stderr", "to stderr"), ("stdout", "no newline")])

    def test_writes_past_stdio_belong_to_their_call(self):
        for _ in range(20):
            self.assertEqual(sorted(self.logs(self.call("raw"))), [("stderr", "raw error"), ("stdout", "raw out")])
            self.assertEqual(self.logs(self.call("stdio"))[0], ("stdout", "to stdout"))

    def test_levels_are_streams(self):
        self.assertEqual(self.logs(self.call("log")), [("info", "fine"), ("error", "not"), ("error", "fine")])

    def test_a_call_that_waits_keeps_its_lines(self):
        self.assertEqual(self.logs(self.call("wait")), [("stdout", "before"), ("stdout", "between"), ("stdout", "after")])

    def test_any_bytes_are_shown_without_steering_the_terminal(self):
        lines = self.logs(self.call("bytes"))
        self.assertEqual(lines, [("stdout", r"nul \x00 escape \x1b[31m not UTF-8 \xff\xfe ä tab " + "\t.")])

    def test_ten_megabytes_are_cut_and_said(self):
        for query, longest in (("much", 70), ("muchraw", 1024)):
            lines = self.logs(self.call(query))
            kept = sum(len(text) + 1 for _, text in lines[:-1])
            self.assertLessEqual(kept, KEPT_BYTES + 100)
            self.assertGreater(kept, KEPT_BYTES - longest - 100)
            self.assertEqual(lines[-1], ("warn", f"this call printed more than {KEPT_BYTES} bytes; the rest was dropped"))

    def test_the_last_words_of_a_function_that_ends_its_worker(self):
        self.function_add(self.weir, "ending", "native", PRINTING)
        self.function_add(self.weir, "hanging", "native", PRINTING, "3s")
        for name, query, status in (("ending", "crash", 502), ("ending", "exit", 502), ("hanging", "hang", 504)):
            lines = self.logs_come(self.call(query, status, name), "the last words", "past stdio")
            self.assertIn(("stdout", "the last words"), lines)
            self.assertIn(("stderr", "and some past stdio"), lines)
            if query != "hang":  # killed from outside: what had no newline yet goes with it
                self.assertIn(("stdout", "without an end"), lines)

    def test_standard_error_of_a_program(self):
        program = self.weir.home / "noisy.sh"
        program.write_text("#!/bin/sh\necho one >&2\necho two >&2\necho '{}'\n")
        program.chmod(0o755)
        self.function_add(self.weir, "noisy", "exec", program)
        answer = self.weir.request("GET", "/noisy")
        self.assertEqual(answer.body, b"{}\n")
        self.assertEqual(self.logs(answer.headers["x-openwhisk-activation-id"]), [("stderr", "one"), ("stderr", "two")])

    def test_weir_s_own_log_has_none_of_it(self):
        self.call("stdio")
        self.assertNotIn("to stdout", self.weir.log_path.read_text())

    def test_json(self):
        activation = self.call("stdio")
        lines = json.loads(self.weir.ctrlctl("call", "logs", activation, "-o", "json").stdout)
        self.assertEqual([(line["stream"], line["text"], line["function"], line["activation"]) for line in lines[:2]],
                         [("stdout", "to stdout", "default/printing", activation),
                          ("stderr", "to stderr", "default/printing", activation)])

    def test_ids_that_are_none_are_clear_errors(self):
        done = self.weir.ctrlctl("call", "logs", "0123456789abcdef0123456789abcdef", check=False)
        self.assertEqual(done.returncode, 5)
        self.assertIn("unknown", done.stderr)
        done = self.weir.ctrlctl("call", "logs", "nonsense", check=False)
        self.assertEqual(done.returncode, 7)
        self.assertIn("32 hexadecimal digits", done.stderr)
        done = self.weir.ctrlctl("fn", "logs", "nobody", check=False)
        self.assertEqual(done.returncode, 5)
        done = self.weir.ctrlctl("fn", "logs", "printing", "--since", "yesterday", check=False)
        self.assertEqual(done.returncode, 7)

    def test_a_function_s_lines(self):
        self.function_add(self.weir, "quiet", "native", PRINTING)
        self.assertEqual(self.weir.ctrlctl("fn", "logs", "quiet").stdout, "")
        ids = [self.call("stdio", name="quiet") for _ in range(3)]
        lines = parse(self.weir.ctrlctl("fn", "logs", "quiet").stdout)
        self.assertEqual(lines, [("stdout", "to stdout"), ("stderr", "to stderr"), ("stdout", "no newline")] * 3)
        self.assertEqual(len(parse(self.weir.ctrlctl("fn", "logs", "quiet", "-n", "4").stdout)), 4)
        self.assertEqual(len(parse(self.weir.ctrlctl("fn", "logs", "default/quiet", "--since", "1h").stdout)), 9)
        shown = self.weir.ctrlctl("fn", "logs", "quiet", "--ids").stdout
        self.assertEqual([line.split()[1] for line in shown.splitlines()], [one for one in ids for _ in range(3)])
        time.sleep(1.1)
        self.assertEqual(self.weir.ctrlctl("fn", "logs", "quiet", "--since", "1s").stdout, "")

    def test_following(self):
        self.function_add(self.weir, "followed", "native", PRINTING)
        self.call("stdio", name="followed")
        follower = subprocess.Popen([BIN / "ctrlctl", "--data", self.weir.data, "fn", "logs", "followed", "-f", "-n", "1"],
                                    stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=self.weir.env)
        try:
            self.assertIn("no newline", follower.stdout.readline())
            self.call("raw", name="followed")
            self.assertIn("raw", follower.stdout.readline())
            self.assertIn("raw", follower.stdout.readline())
            # The control process is replaced: it goes on.
            os.kill(self.weir.pid_of("weir-ctrld"), signal.SIGKILL)
            self.call("stdio", name="followed")
            self.assertIn("to stdout", follower.stdout.readline())
        finally:
            follower.send_signal(signal.SIGINT)
            follower.communicate(timeout=30)

    def test_a_killed_control_process_loses_nothing_that_waited_for_it(self):
        before = self.call("stdio")
        self.logs(before)
        ctrld = self.weir.pid_of("weir-ctrld")
        os.kill(ctrld, signal.SIGSTOP)  # it takes nothing any more
        waiting = [self.call("stdio") for _ in range(10)]
        os.kill(ctrld, signal.SIGKILL)
        waiting += [self.call("stdio") for _ in range(10)]
        self.weir.wait_ready()
        for activation in waiting:
            self.assertEqual(len(self.logs_come(activation, "no newline")), 3)
        self.assertEqual(len(self.logs(before)), 3)

    def test_a_killed_supervisor_loses_nothing(self):
        os.kill(self.weir.pid_of("weir-supervisor"), signal.SIGKILL)
        activation = self.call("stdio")
        self.weir.wait_ready()
        self.assertEqual(len(self.logs_come(activation, "no newline")), 3)
        os.kill(self.weir.pid_of("weir-ctrld"), signal.SIGKILL)
        self.weir.wait_ready()
        self.assertEqual(len(self.logs_come(self.call("stdio"), "no newline")), 3)

    def test_lines_that_nobody_takes_are_counted_and_the_function_goes_on(self):
        ctrld = self.weir.pid_of("weir-ctrld")
        os.kill(ctrld, signal.SIGSTOP)
        try:
            for _ in range(20):
                self.call("much")
        finally:
            os.kill(ctrld, signal.SIGCONT)
        self.call("stdio")
        self.assertGreater(wait_until(lambda: self.weir.status()["control"]["output"]["dropped"], "the loss is counted"), 1000)
        self.assertIn("lines dropped", self.weir.ctrlctl("status").stdout)
        # What waits in the socket is taken before others of these print their last words into it.
        wait_until(lambda: "no newline" in self.weir.ctrlctl("call", "logs", self.call("stdio"), check=False).stdout,
                   "lines come through again")


class Life(weir_instance.Case):
    def test_lines_outlive_the_instance_and_go_by_the_limits(self):
        with Instance() as weir:
            Logs.function_add(weir, "printing", "native", PRINTING)
            first = weir.request("GET", "/printing?stdio").headers["x-openwhisk-activation-id"]
            self.assertEqual(len(parse(weir.ctrlctl("call", "logs", first).stdout)), 3)
            weir.stop()
            weir.start()
            self.assertEqual(len(parse(weir.ctrlctl("call", "logs", first).stdout)), 3)
            weir.ctrlctl("config", "set", "log_bytes_max", "512k")
            for _ in range(20):
                self.assertEqual(weir.request("GET", "/printing?much").status, 200)
            wait_until(lambda: weir.ctrlctl("call", "logs", first, check=False).returncode == 5, "the oldest lines are gone")
            wait_until(lambda: weir.status()["control"]["output"]["bytes"] <= 512 << 10, "what is kept is within its limit")
            last = weir.request("GET", "/printing?stdio").headers["x-openwhisk-activation-id"]
            self.assertEqual(len(parse(weir.ctrlctl("call", "logs", last).stdout)), 3)
            weir.ctrlctl("config", "set", "log_keep_s", "1s")
            wait_until(lambda: weir.ctrlctl("call", "logs", last, check=False).returncode == 5, "old lines are gone")

    def test_a_damaged_database_is_put_aside(self):
        with Instance() as weir:
            Logs.function_add(weir, "printing", "native", PRINTING)
            weir.request("GET", "/printing?stdio")
            weir.stop()
            (weir.data / "log" / "functions.db").write_bytes(b"this is no database" * 1000)
            weir.start()
            activation = weir.request("GET", "/printing?stdio").headers["x-openwhisk-activation-id"]
            self.assertEqual(len(parse(weir.ctrlctl("call", "logs", activation).stdout)), 3)
            self.assertTrue((weir.data / "log" / "functions.db.damaged").exists())


if __name__ == "__main__":
    weir_instance.main()
