#!/usr/bin/env python3
# labels: integration
# timeout: 300
"""What became of calls, as who runs functions sees it: list, get, tail; what is kept, what is skipped, what is
lost, and that nothing of it costs a request."""

import json
import os
import signal
import socket
import struct
import subprocess
import time

import weir_instance
from weir_instance import BIN, BUILD, Instance, wait_until

PRINTING = BUILD / "tests" / "function_printing.so"
STAGES = ("parse", "queue", "dispatch", "run", "reply")
RING = 16384  # records that a shard's ring holds


def calls(weir, *options):
    """`call list -o json`, parsed."""
    return json.loads(weir.ctrlctl("call", "list", *options, "-o", "json").stdout)


def counts(weir):
    """What `status` says of records since ctrld started."""
    return weir.status()["control"]["activations"]


def flood(weir, path, count, depth=64):
    """`count` GET requests, pipelined on one connection; returns how many were answered with 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    right = 0
    with socket.create_connection(("127.0.0.1", weir.port), timeout=60) as connection:
        left = count
        while left > 0:
            batch = min(depth, left)
            connection.sendall(request * batch)
            received = b""
            while (done := received.count(b"HTTP/1.1 ")) < batch or not received.endswith(b"}"):
                part = connection.recv(65536)
                if not part:
                    raise AssertionError(f"the connection ended after {right + done} answers")
                received += part
            right += received.count(b"HTTP/1.1 200 ")
            left -= batch
    return right


class Calls(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        cls.weir = Instance(samples=True).__enter__()
        try:
            for name, timeout in (("ending", "30s"), ("hanging", "1s")):
                cls.weir.ctrlctl("fn", "add", name, "--runtime", "native", "--file", PRINTING, "--timeout", timeout)
                cls.weir.ctrlctl("route", "add", f"ANY /{name}", "--fn", name)
        except BaseException:
            cls.weir.__exit__(ValueError, None, None)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.weir.__exit__(None, None, None)

    def get(self, activation):
        return json.loads(self.weir.ctrlctl("call", "get", activation, "-o", "json").stdout)

    def record_of(self, method, path, status, body=None, headers=None):
        """One request, and the record that it left."""
        answer = self.weir.request(method, path, body=body, headers=headers)
        self.assertEqual(answer.status, status, answer)
        record = self.get(answer.headers["x-openwhisk-activation-id"])
        self.assertEqual(record["status"], status)
        self.assertEqual(record["activation"], answer.headers["x-openwhisk-activation-id"])
        return record

    def check_times(self, record):
        times = record["times_ns"]
        self.assertLessEqual(abs(sum(times[stage] for stage in STAGES) - times["total"]), 64 * len(STAGES), times)
        return times

    def test_a_call_is_there_as_soon_as_its_answer(self):
        for _ in range(20):
            record = self.record_of("GET", "/hello", 200)
            self.check_times(record)
            self.assertEqual([record["function"], record["route"], record["failure"], record["failed"], record["cut"],
                              record["cold"], record["parent"]],
                             ["default/hello", "ANY /hello", None, False, False, False, None])
            self.assertGreater(record["worker"], 0)
            self.assertEqual(record["answer_bytes"], len(self.weir.request("GET", "/hello").body))

    def test_where_the_time_went(self):
        times = self.check_times(self.record_of("GET", "/sleep/60", 200))
        self.assertGreaterEqual(times["run"], 60_000_000)
        self.assertGreaterEqual(times["total"], times["run"])
        if self.weir.status()["load"]["workers_clocks"] > 0:
            self.assertIsNone(times["cpu"])
            return
        # A worker that just began is not known to the gateway's board at once.
        cpu = wait_until(lambda: self.record_of("GET", "/sleep/60", 200)["times_ns"]["cpu"], "CPU time is measured")
        self.assertLess(cpu, 60_000_000)  # it slept

    def test_a_slow_client_s_head_is_not_the_function_s_time(self):
        with socket.create_connection(("127.0.0.1", self.weir.port), timeout=30) as connection:
            connection.sendall(b"GET /hello HTTP/1.1\r\nHo")
            time.sleep(0.2)
            connection.sendall(b"st: x\r\nConnection: close\r\n\r\n")
            answer = b""
            while part := connection.recv(65536):
                answer += part
        activation = next(line.split(b": ")[1] for line in answer.split(b"\r\n")
                          if line.lower().startswith(b"x-openwhisk-activation-id"))
        times = self.check_times(self.get(activation.decode()))
        self.assertGreater(times["parse"], 150_000_000)

    def test_bodies_are_counted(self):
        for size in (0, 10, 5000, 300_000):
            record = self.record_of("POST", "/echo", 200, body=b"x" * size)
            self.assertEqual((record["request_bytes"], record["answer_bytes"]), (size, size))

    def test_failures_say_which(self):
        for path, status, failure in (("/ending?crash", 502, "worker_died"), ("/hanging?hang", 504, "function_timeout")):
            record = self.record_of("GET", path, status)
            self.assertTrue(record["failed"])
            self.assertEqual(record["failure"], failure)
            self.assertIn(record, calls(self.weir, "--failed", "--since", "1h"))
        listed = self.weir.ctrlctl("call", "list", "--failed", "--fn", "ending").stdout
        self.assertIn("502 worker_died", listed)
        self.assertNotIn("hanging", listed)
        self.assertIn("ending", self.weir.ctrlctl("call", "list", "--namespace", "default", "--since", "1h").stdout)
        self.assertNotIn("ending", self.weir.ctrlctl("call", "list", "--namespace", "defaul", "--since", "1h").stdout)

    def test_a_client_that_left(self):
        before = len(calls(self.weir, "--failed", "--fn", "sleep", "--since", "1h"))
        with socket.create_connection(("127.0.0.1", self.weir.port)) as connection:
            connection.sendall(b"GET /sleep/30000 HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: self.weir.status()["metrics"]["calls_in_flight"] > 0, "the call runs")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it does not just say goodbye
        left = wait_until(lambda: calls(self.weir, "--failed", "--fn", "sleep", "--since", "1h")[before:], "it is recorded")
        self.assertEqual((left[0]["status"], left[0]["failed"]), (0, True))
        self.assertIn("gone", self.weir.ctrlctl("call", "list", "--failed", "--fn", "sleep").stdout)

    def test_what_names_no_function_leaves_no_record(self):
        answer = self.weir.request("GET", "/no/such/path")
        done = self.weir.ctrlctl("call", "get", answer.headers["x-openwhisk-activation-id"], check=False)
        self.assertEqual(done.returncode, 5)
        self.assertIn("nothing is kept", done.stderr)
        self.assertEqual(self.weir.ctrlctl("call", "get", "xyz", check=False).returncode, 7)

    def test_calls_of_functions_name_their_parent(self):
        record = self.record_of("GET", "/chain", 200)
        children = [call for call in calls(self.weir, "--since", "1h") if call["parent"] == record["activation"]]
        self.assertNotEqual(children, [])
        for child in children:
            self.assertEqual((child["status"], child["route"]), (200, None))
            self.check_times(child)

    def test_a_cold_start_is_one(self):
        self.weir.ctrlctl("config", "set", "pool.workers_min", "0")
        self.weir.ctrlctl("fn", "add", "cold/hello", "--runtime", "native", "--file",
                          BUILD / "lib/weir/samples/native/hello.so")
        self.weir.ctrlctl("route", "add", "ANY /cold", "--fn", "cold/hello")
        first = self.record_of("GET", "/cold", 200)
        self.assertTrue(first["cold"])
        self.assertGreater(first["times_ns"]["queue"], 0)
        self.assertFalse(self.record_of("GET", "/cold", 200)["cold"])
        self.assertIn("started for it", self.weir.ctrlctl("call", "get", first["activation"]).stdout)

    def test_tail_shows_calls_as_they_end(self):
        with subprocess.Popen([BIN / "ctrlctl", "--data", self.weir.data, "call", "tail", "--fn", "echo"],
                              stdout=subprocess.PIPE, text=True) as tail:
            try:
                time.sleep(0.5)
                activation = self.record_of("POST", "/echo", 200, body=b"tailed")["activation"]
                while activation not in (line := tail.stdout.readline()):
                    self.assertNotEqual(line, "")
                self.assertRegex(line, r"default/echo 200 total=\S+ queue=\S+ run=\S+")
            finally:
                tail.kill()


class Kept(weir_instance.Case):
    def test_rates_skip_and_count_and_the_oldest_go(self):
        with Instance(samples=True) as weir:
            weir.ctrlctl("config", "set", "activation_kept_per_s", "0")
            before = counts(weir)
            self.assertEqual(flood(weir, "/hello", 200), 200)
            self.assertEqual([call for call in calls(weir) if call["function"] == "default/hello"], [])
            after = counts(weir)
            self.assertEqual(after["skipped"] - before["skipped"], 200)
            self.assertEqual(after["seen"], after["kept"] + after["skipped"] + after["failed"])
            weir.ctrlctl("config", "set", "activation_kept_per_s", "10000")
            weir.ctrlctl("config", "set", "activation_rows_max", "50")
            self.assertEqual(flood(weir, "/hello", 300), 300)
            wait_until(lambda: len(calls(weir, "--since", "1h")) <= 50, "the oldest went")
            self.assertEqual(len(calls(weir, "--limit", "7")), 7)
            newest = weir.request("GET", "/hello").headers["x-openwhisk-activation-id"]
            self.assertIn(newest, [call["activation"] for call in calls(weir)])

    def test_a_ring_that_nobody_empties_costs_records_and_no_request(self):
        with Instance(samples=True) as weir:
            ctrld = weir.pid_of("weir-ctrld")
            os.kill(ctrld, signal.SIGSTOP)
            try:
                self.assertEqual(flood(weir, "/hello", RING + 3000), RING + 3000)  # one connection: one shard
            finally:
                os.kill(ctrld, signal.SIGCONT)
            lost = wait_until(lambda: counts(weir)["lost"], "what was lost is counted")
            self.assertEqual(lost, 3000)
            self.assertIn(" 3000 lost\n", weir.ctrlctl("status").stdout)
            self.assertGreaterEqual(counts(weir)["seen"], RING)
            weir.ctrlctl("call", "get", weir.request("GET", "/hello").headers["x-openwhisk-activation-id"])

    def test_records_go_on_whatever_dies(self):
        with Instance(samples=True) as weir:
            for name in ("weir-ctrld", "weir-gateway", "weir-supervisor", "weir-ctrld"):
                first = weir.request("GET", "/hello").headers["x-openwhisk-activation-id"]
                if name != "weir-ctrld":  # which would lose what it has not committed yet
                    weir.ctrlctl("call", "get", first)
                old = weir.pid_of(name)
                os.kill(old, signal.SIGKILL)
                wait_until(lambda: [pid for pid, _ in weir.processes(name) if pid != old] and
                           weir.ctrlctl("ready", check=False).returncode == 0, f"{name} is back")
                second = wait_until(lambda: self.answered(weir), f"requests are answered again after {name}")
                wait_until(lambda: weir.ctrlctl("call", "get", second, check=False).returncode == 0,
                           f"a call after the death of {name} is recorded")
                if name != "weir-ctrld":
                    weir.ctrlctl("call", "get", first)

    @staticmethod
    def answered(weir):
        try:
            answer = weir.request("GET", "/hello")
        except OSError:
            return None
        return answer.headers["x-openwhisk-activation-id"] if answer.status == 200 else None

    def test_a_damaged_file_is_put_aside(self):
        with Instance(samples=True) as weir:
            weir.ctrlctl("call", "get", self.answered(weir))
            weir.stop()
            (weir.data / "log" / "activations.db").write_bytes(b"no database at all" * 1000)
            weir.start()
            activation = self.answered(weir)
            wait_until(lambda: weir.ctrlctl("call", "get", activation, check=False).returncode == 0, "records are kept again")
            self.assertTrue((weir.data / "log" / "activations.db.damaged").exists())


if __name__ == "__main__":
    weir_instance.main()
