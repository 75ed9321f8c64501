# labels: integration
# timeout: 240
"""Resource specs: a function may have several, each with workers of its own that have what it says."""

import json
import pathlib
import socket
import threading
import time
import unittest
import urllib.parse

import weir_instance
from weir_instance import BIN, SAMPLES, Instance, wait_until

MIB = 1 << 20


def add(weir, name, *specs, sample="hello", check=True):
    options = [part for spec in specs for part in ("--spec", spec)]
    done = weir.ctrlctl("fn", "add", name, "--runtime", "native", "--file", SAMPLES / "native" / f"{sample}.so",
                        *options, check=check)
    if done.returncode == 0:
        weir.ctrlctl("route", "add", f"ANY /{name}/*", "--fn", name)
    return done


def workers(weir):
    """[(millicores, MB, row)] of the workers that are there; (0, 0) for one without a spec."""
    return sorted((row.get("cpu_millicores", 0), row.get("memory_mb", 0), row["worker"])
                  for row in weir.workers())


class Records(weir_instance.Case):
    def test_specs_are_kept_shown_changed_and_taken_away(self):
        with Instance() as weir:
            add(weir, "hello", "cpu=2000,memory=512,min=0,max=2", "cpu=500,memory=64")
            shown = json.loads(weir.ctrlctl("fn", "get", "hello", "-o", "json").stdout)["specs"]
            self.assertEqual(shown, [{"cpu_millicores": 500, "memory_mb": 64, "min": 0, "max": 16},
                                     {"cpu_millicores": 2000, "memory_mb": 512, "min": 0, "max": 2}])
            self.assertIn("500 millicores, 64 MB, 0 to 16 workers", weir.ctrlctl("fn", "get", "hello").stdout)
            weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "hello.so", "--spec", "cpu=100,memory=32,max=3")
            shown = json.loads(weir.ctrlctl("fn", "get", "hello", "-o", "json").stdout)["specs"]
            self.assertEqual(shown, [{"cpu_millicores": 100, "memory_mb": 32, "min": 0, "max": 3}])
            weir.ctrlctl("fn", "rollback", "hello")
            self.assertEqual(len(json.loads(weir.ctrlctl("fn", "get", "hello", "-o", "json").stdout)["specs"]), 2)
            weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "hello.so", "--spec", "none")
            self.assertEqual(json.loads(weir.ctrlctl("fn", "get", "hello", "-o", "json").stdout)["specs"], [])
            self.assertEqual(weir.request("GET", "/hello/").status, 200)

    def test_limits_change_without_the_code(self):
        with Instance() as weir:
            add(weir, "hello")
            weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "hello.so")
            before = json.loads(weir.ctrlctl("fn", "get", "hello", "-o", "json").stdout)
            weir.ctrlctl("fn", "set", "hello", "--spec", "cpu=700,memory=48,min=1,max=1", "--timeout", "7s")
            after = json.loads(weir.ctrlctl("fn", "get", "hello", "-o", "json").stdout)
            self.assertEqual(after["specs"], [{"cpu_millicores": 700, "memory_mb": 48, "min": 1, "max": 1}])
            self.assertEqual((after["timeout_ms"], after["deployed"]), (7000, before["deployed"] + 1))
            self.assertEqual((after["code"], after["file"], after["memory_mb"]),
                             (before["code"], before["file"], before["memory_mb"]))
            wait_until(lambda: (700, 48) in [row[:2] for row in workers(weir)], "its worker is there")
            self.assertEqual(weir.request("GET", "/hello/").status, 200)
            weir.ctrlctl("fn", "rollback", "hello")
            self.assertEqual(json.loads(weir.ctrlctl("fn", "get", "hello", "-o", "json").stdout)["specs"], [])
            for options, status in (([], 2), (["--spec", "cpu=1"], 7), (["--memory", "0"], 7)):
                self.assertEqual(weir.ctrlctl("fn", "set", "hello", *options, check=False).returncode, status, options)
            self.assertEqual(weir.ctrlctl("fn", "set", "nobody", "--memory", "5", check=False).returncode, 5)

    def test_a_wrong_spec_is_refused_with_what_would_be_right(self):
        with Instance() as weir:
            for specs, words in ((["500"], "write cpu=500,memory=256,min=0,max=4"),
                                 (["cpu=5,memory=5,min=3,max=2"], "min=3, which is more than max=2"),
                                 (["cpu=5,memory=5", "cpu=5,memory=5,max=1"], "given twice"),
                                 (["cpu=0,memory=5"], "between 1 and 1000000 millicores")):
                done = add(weir, "hello", *specs, check=False)
                self.assertEqual(done.returncode, 7, done)
                self.assertIn(words, done.stderr)
            self.assertNotIn("hello", weir.ctrlctl("fn", "list").stdout)

    def test_more_than_the_machine_has_may_be_registered(self):
        with Instance() as weir:
            add(weir, "hello", "cpu=8192,memory=32768,min=1,max=5", "cpu=4096,memory=16384,min=1,max=5")
            wait_until(lambda: [row[:2] for row in workers(weir)] == [(4096, 16384), (8192, 32768)], "one of each is there")
            self.assertEqual(weir.request("GET", "/hello/").status, 200)


class Background:
    """Requests under way: each ends in `answers` under its name."""

    def __init__(self, weir):
        self.weir, self.answers, self.threads = weir, {}, []

    def send(self, name, path, **ask):
        def run():
            self.answers[name] = self.weir.request("GET", path, headers=fields(**ask), timeout_s=120)
        thread = threading.Thread(target=run)
        thread.start()
        self.threads.append(thread)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join()


def fields(cpu=None, memory=None):
    """The fields of a head that asks for so much."""
    named = {"x-weir-cpu-millicores": cpu, "x-weir-memory-mb": memory}
    return {name: str(value) for name, value in named.items() if value is not None}


def accepted(weir):
    """{(millicores, MB): [calls that each worker of that spec took, the least first]}"""
    found = {}
    for row in weir.workers():
        found.setdefault((row.get("cpu_millicores", 0), row.get("memory_mb", 0)), []).append(row["accepted"])
    return {spec: sorted(counts) for spec, counts in found.items()}


class Requests(weir_instance.Case):
    SMALL, LARGE = "cpu=500,memory=64,min=1,max=1", "cpu=2000,memory=192,min=1,max=1"

    def running(self, weir, count):
        wait_until(lambda: weir.status()["metrics"]["calls_in_flight"] == count, f"{count} calls run")

    def waiting(self, weir, count):
        wait_until(lambda: weir.status()["metrics"]["calls_waiting"] == count, f"{count} calls wait")

    def test_a_request_gets_the_smallest_spec_that_holds_what_it_asks_for(self):
        with Instance() as weir:
            add(weir, "hello", self.SMALL, self.LARGE)
            wait_until(lambda: len(workers(weir)) == 2, "one worker of each spec is there")
            for asks, small, large in (({}, 1, 0), ({"cpu": 500}, 2, 0), ({"cpu": 501}, 2, 1), ({"memory": 65}, 2, 2),
                                       ({"cpu": 0, "memory": 0}, 3, 2), ({"cpu": 2000, "memory": 192}, 3, 3)):
                self.assertEqual(weir.request("GET", "/hello/", headers=fields(**asks)).status, 200, asks)
                wait_until(lambda: accepted(weir) == {(500, 64): [small], (2000, 192): [large]}, f"{asks} counts there")

    def test_what_no_spec_holds_is_503_and_says_what_there_is(self):
        with Instance() as weir:
            add(weir, "hello", self.SMALL, self.LARGE)
            for asks in ({"cpu": 2001}, {"memory": 193}, {"cpu": 999999999}):
                answer = weir.request("POST", "/hello/", b"body", headers=fields(**asks))
                self.assertEqual((answer.status, answer.json()["code"]), (503, "no_spec"), answer)
                self.assertIn("smallest first: 500 millicores and 64 MB, 2000 and 192", answer.json()["error"])
                self.assertNotIn("retry-after", answer.headers, "it would never help")
            weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "hello.so", "--spec", "none")
            self.assertEqual(weir.request("GET", "/hello/", headers=fields(cpu=64000, memory=256)).status, 200)
            self.assertEqual(weir.request("GET", "/hello/", headers=fields(memory=257)).status, 503)
            weir.ctrlctl("config", "set", "worker_cpu_millicores", 400)
            self.assertEqual(weir.request("GET", "/hello/", headers=fields(cpu=401)).status, 503)
            self.assertEqual(weir.request("GET", "/hello/", headers=fields(cpu=400)).status, 200)

    def test_a_malformed_ask_is_400_and_the_connection_goes_on(self):
        with Instance() as weir:
            add(weir, "hello", self.SMALL)
            for head in ("x-weir-cpu-millicores: half", "x-weir-memory-mb: -1", "x-weir-memory-mb: 1\r\nx-weir-memory-mb: 1"):
                answers = weir.raw(f"GET /hello/ HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n"
                                   "GET /hello/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
                self.assertIn(b"400 Bad Request", answers)
                self.assertIn(b'"code":"bad_resources"', answers)
                self.assertIn(b"a whole number of", answers)
                self.assertIn(b"200 OK", answers)

    def test_requests_that_ask_fill_one_instance_before_the_next(self):
        with Instance() as weir, Background(weir) as background:
            add(weir, "nap", "cpu=1000,memory=256,min=2,max=2", sample="sleep")
            weir.ctrlctl("route", "add", "GET /nap/{ms}", "--fn", "nap")
            wait_until(lambda: len(workers(weir)) == 2, "both workers are there")
            # In one write, so that one shard chooses for all four: two that choose at the same moment see the same room.
            with socket.create_connection(("127.0.0.1", weir.port), timeout=60) as connection:
                connection.sendall(b"GET /nap/4000 HTTP/1.1\r\nHost: a\r\nx-weir-cpu-millicores: 250\r\n\r\n" * 4)
                self.running(weir, 4)
                background.send("fifth", "/nap/4000", cpu=1)
                wait_until(lambda: accepted(weir) == {(1000, 256): [1, 4]}, "one worker has four, and no room for a fifth")
                answers = b""
                while answers.count(b"HTTP/1.1 200 OK") < 4:
                    part = connection.recv(65536)
                    self.assertNotEqual(part, b"", answers)
                    answers += part
        self.assertEqual({answer.status for answer in background.answers.values()}, {200})

    def test_who_waits_for_room_holds_nobody_back(self):
        with Instance() as weir, Background(weir) as background:
            add(weir, "nap", "cpu=1000,memory=256,min=1,max=1", "cpu=4000,memory=512,min=1,max=1", sample="sleep")
            weir.ctrlctl("route", "add", "GET /nap/{ms}", "--fn", "nap")
            wait_until(lambda: len(workers(weir)) == 2, "both workers are there")
            began = time.monotonic()
            background.send("large", "/nap/4000", cpu=3000)
            background.send("most", "/nap/4000", cpu=700)
            self.running(weir, 2)
            background.send("large too", "/nap/1", cpu=3000)
            background.send("half", "/nap/1", cpu=600)
            self.waiting(weir, 2)
            for asks in ({}, {"cpu": 200}, {"cpu": 1000 - 700, "memory": 1}, {"cpu": 1001}, {"memory": 300}):
                self.assertEqual(weir.request("GET", "/nap/1", headers=fields(**asks)).status, 200, asks)
            passed = time.monotonic() - began
            if passed < 4:
                self.waiting(weir, 2)
                self.assertEqual(background.answers, {}, "these passed them by")
        self.assertEqual({name: answer.status for name, answer in background.answers.items()},
                         {"large": 200, "most": 200, "large too": 200, "half": 200})

    def test_a_pool_grows_for_who_finds_no_room(self):
        with Instance() as weir, Background(weir) as background:
            add(weir, "nap", "cpu=1000,memory=64,min=0,max=3", sample="sleep")
            weir.ctrlctl("route", "add", "GET /nap/{ms}", "--fn", "nap")
            for i in range(3):
                background.send(i, "/nap/2000", cpu=600)
            wait_until(lambda: accepted(weir) == {(1000, 64): [1, 1, 1]}, "each has a worker of its own")
        self.assertEqual({answer.status for answer in background.answers.values()}, {200})

    def test_who_waits_goes_along_when_the_function_gets_other_specs(self):
        with Instance() as weir, Background(weir) as background:
            add(weir, "sleep", "cpu=1000,memory=64,min=1,max=1", sample="sleep")
            weir.ctrlctl("route", "add", "GET /nap/{ms}", "--fn", "sleep")
            wait_until(lambda: len(workers(weir)) == 1, "its worker is there")
            background.send("runs", "/nap/3000", cpu=1000)
            self.running(weir, 1)
            background.send("waits", "/nap/1", cpu=1000, memory=1)
            background.send("asks for more than there will be", "/nap/1", cpu=900, memory=64)
            self.waiting(weir, 2)
            weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "sleep.so", "--spec", "cpu=3000,memory=32")
        self.assertEqual({name: answer.status for name, answer in background.answers.items()},
                         {"runs": 200, "waits": 200, "asks for more than there will be": 503})


class Calls(weir_instance.Case):
    """What functions ask for of functions that they call."""

    ASKER = """
        exports.handler = async (request) => {
          const { function: name, oneWay, ...headers } = Object.fromEntries(request.searchParams);
          const reply = await request.call(name, undefined, { headers, oneWay: oneWay !== undefined });
          return { status: reply.status, answer: reply.text() };
        };"""

    def add_asker(self, weir, spec):
        runtime = next((name for name in ("js", "node") if (BIN / f"weir-worker-{name}").exists()), None)
        if runtime is None:
            self.skipTest("neither weir-worker-js nor weir-worker-node is built")
        code = pathlib.Path(weir.home) / "asker.js"
        code.write_text(self.ASKER)
        weir.ctrlctl("fn", "add", "asker", "--runtime", runtime, "--file", code, "--spec", spec)
        weir.ctrlctl("route", "add", "ANY /asker", "--fn", "asker")

    def ask(self, weir, function, own=None, one_way=False, **asks):
        """(status, text) of what the asker got for asking `function` for that, while it has `own` CPU time itself."""
        query = {"function": function, **fields(**asks), **({"oneWay": 1} if one_way else {})}
        answer = weir.request("GET", "/asker?" + urllib.parse.urlencode(query), headers=fields(cpu=own), timeout_s=120)
        self.assertEqual(answer.status, 200, answer)
        return answer.json()["status"], answer.json()["answer"]

    def test_a_call_gets_the_smallest_spec_that_holds_what_its_caller_asks_for(self):
        with Instance() as weir:
            add(weir, "hello", Requests.SMALL, Requests.LARGE)
            self.add_asker(weir, "cpu=1000,memory=256,min=1,max=1")
            wait_until(lambda: len(workers(weir)) == 3, "one worker of each spec is there")
            for asks, status, small, large in (({}, 200, 1, 0), ({"cpu": 501}, 200, 1, 1),
                                               ({"memory": 65, "one_way": True}, 202, 1, 2), ({"cpu": 500}, 200, 2, 2)):
                self.assertEqual(self.ask(weir, "hello", **asks)[0], status, asks)
                wait_until(lambda: [accepted(weir)[spec] for spec in ((500, 64), (2000, 192))] == [[small], [large]],
                           f"{asks} counts there")
            for one_way in (False, True):
                status, text = self.ask(weir, "hello", cpu="half", one_way=one_way)
                self.assertEqual((status, json.loads(text)["code"]), (400, "bad_resources"), text)
                status, text = self.ask(weir, "hello", memory=193, one_way=one_way)
                self.assertEqual((status, json.loads(text)["code"]), (503, "no_spec"), text)
                self.assertIn("smallest first: 500 millicores and 64 MB, 2000 and 192", json.loads(text)["error"])

    def test_a_function_that_asks_for_what_it_has_itself_is_told_at_once(self):
        with Instance() as weir:
            self.add_asker(weir, "cpu=1000,memory=256,min=1,max=1")
            wait_until(lambda: len(workers(weir)) == 1, "its worker is there")
            for _ in range(3):
                status, text = self.ask(weir, "asker", own=600, cpu=401)
                self.assertEqual((status, json.loads(text)["code"]), (503, "no_worker"), text)
                # With 400 it runs, and learns that it called nobody: it names no function.
                self.assertIn("call_unknown", self.ask(weir, "asker", own=600, cpu=400)[1])
            self.assertEqual(weir.status()["metrics"]["calls_timed_out"], 0)
            wait_until(lambda: weir.status()["metrics"]["calls_in_flight"] == 0, "all calls are back")


class Limits(weir_instance.Case):
    def limit(self, weir, worker, files, index=0):
        """What a control group of that worker says: the first of `files` that there is."""
        for group in weir.groups_note():
            for file in files:
                path = group / f"w{worker}" / file
                if path.exists():
                    return path.read_text().split()[index]
        return None

    def test_each_worker_has_the_processor_time_and_memory_of_its_spec(self):
        with Instance() as weir:
            add(weir, "hello", "cpu=250,memory=64,min=1,max=2", "cpu=1500,memory=192,min=1,max=1")
            rows = wait_until(lambda: len(workers(weir)) == 2 and workers(weir), "one worker of each spec is there")
            self.assertEqual([row[:2] for row in rows], [(250, 64), (1500, 192)])
            self.assertIn("250m 64MB", weir.ctrlctl("worker", "list").stdout)
            self.assertIn("1500m 192MB", weir.ctrlctl("pool", "list").stdout)
            if not weir.groups_note():
                raise unittest.SkipTest("no control groups here: " + "; ".join(weir.status()["missing"]))
            memory = [int(self.limit(weir, row[2], ["memory.limit_in_bytes", "memory.max"])) for row in rows]
            self.assertGreaterEqual(memory[0], 64 * MIB)
            self.assertEqual(memory[1] - memory[0], 128 * MIB, "beside what a worker needs itself")
            quota = [int(self.limit(weir, row[2], ["cpu.cfs_quota_us", "cpu.max"])) for row in rows]
            self.assertEqual(quota, [25000, 150000], "of each 100 ms")


if __name__ == "__main__":
    weir_instance.main()
