#!/usr/bin/env python3
"""One suite for every runtime: conformance.py RUNTIME [unittest arguments].

What a function's author may rely on, whatever the language. The functions are the samples that people
read (dataplane/sdk/samples/RUNTIME) and the badly behaved ones in functions/RUNTIME beside this file;
each is reached as /NAME. A language that cannot have one of them says why in LEFT_OUT.

Programs of `exec` answer by the C seed's contract: output that starts with [ or { comes as it is, other
text as {"result": TEXT}, a failure as 500. So their echo is asked with a [ before the bytes, and
`said` takes the text out.
"""

import concurrent.futures
import filecmp
import json
import os
import pathlib
import random
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

import weir_instance  # noqa: E402
from weir_instance import BIN, SAMPLES, SOURCE, Instance, wait_until  # noqa: E402

RUNTIME = ""  # set by main
ENDING = {"python": ".py", "php": ".php", "js": ".js", "node": ".js", "wasm": ".wasm", "native": ".so", "c": ".c", "exec": ".sh"}
BUILT = ("wasm", "c")
WORKER = {"c": "native"}  # source becomes a native function
GOOD = ("hello", "echo", "info", "resize", "ping", "sleep", "upper", "chain")
MOODY = ("status", "unicode", "throw", "exit", "spin", "hog", "recurse", "print", "env", "parent")
LEFT_OUT = {  # (runtime, function): why
    ("native", "throw"): "C has no exceptions; what a function returns is tested in test_worker_native",
    ("c", "throw"): "as native",
    ("exec", "status"): "a program's answer is 200 or 500, and has no headers of its own",
}
# Where ending the program is an ordinary end: what then comes.
EXIT_ANSWERS = {"php": (200, b"bye\n")}  # exit() only ends the script, and its code is for nobody, as under php-fpm
MIB = 1 << 20
MEMORY_MB = 64
LARGE_MB = 512  # for the function that gets LARGE_BYTES: a language holds them several times
LARGE_BYTES = 64 * MIB
SPIN_TIMEOUT_MS = 300


def file_of(name):
    """Where a function of this runtime lies: built ones in the build folder, others as they are."""
    ending = ENDING[RUNTIME]
    places = [weir_instance.BUILD / "tests" / "functions" / RUNTIME / f"{name}{ending}",
              HERE / "functions" / RUNTIME / f"{name}{ending}", SAMPLES / RUNTIME / f"{name}{ending}",
              SOURCE / "dataplane" / "sdk" / "samples" / RUNTIME / f"{name}{ending}",
              HERE / "functions" / WORKER.get(RUNTIME, RUNTIME) / f"{name}{ending}",
              SOURCE / "dataplane" / "sdk" / "samples" / RUNTIME / f"{name}.py", HERE / "functions" / RUNTIME / f"{name}.py"]  # of exec
    return next((place for place in places if place.exists()), None)


class Conformance(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        worker = BIN / f"weir-worker-{WORKER.get(RUNTIME, RUNTIME)}"
        if not worker.exists():
            raise unittest.SkipTest(f"{worker.name} is not built: its library is not installed")
        cls.weir = Instance()
        cls.weir.__enter__()
        try:
            cls.weir.ctrlctl("fn", "add", "other", "--runtime", "native", "--file", SAMPLES / "native" / "info.so")
            for name in GOOD + MOODY:
                cls.function_add(name)
            for name in GOOD + MOODY:
                cls.built_wait(name)
        except BaseException:
            cls.weir.__exit__(*sys.exc_info())
            raise

    @classmethod
    def tearDownClass(cls):
        cls.weir.__exit__(None, None, None)

    @classmethod
    def function_add(cls, name):
        if (RUNTIME, name) in LEFT_OUT:
            return
        path = file_of(name)
        if path is None:
            raise AssertionError(f"runtime {RUNTIME} has no function {name}{ENDING[RUNTIME]}")
        timeout = f"{SPIN_TIMEOUT_MS}ms" if name == "spin" else "30s"
        memory = LARGE_MB if name == "echo" else MEMORY_MB
        cls.weir.ctrlctl("fn", "add", name, "--runtime", RUNTIME, "--file", path, "--timeout", timeout, "--memory", memory)
        cls.weir.ctrlctl("route", "add", f"ANY /{name}", "--fn", name)
        if name == "sleep":
            cls.weir.ctrlctl("route", "add", "ANY /sleep/{ms}", "--fn", name)
            cls.weir.ctrlctl("route", "add", "ANY /overslept/{ms}", "--fn", name, "--timeout", f"{SPIN_TIMEOUT_MS}ms")

    @classmethod
    def built_wait(cls, name):
        """Code that is built first answers 501 until then."""
        if RUNTIME in BUILT and (RUNTIME, name) not in LEFT_OUT:
            wait_until(lambda: cls.weir.request("GET", f"/{name}").status != 501, f"{name} is built")

    def wants(self, name):
        if (RUNTIME, name) in LEFT_OUT:
            self.skipTest(LEFT_OUT[RUNTIME, name])

    def call(self, path, body=None, headers=None, method=None, timeout_s=60):
        return self.weir.request(method or ("GET" if body is None else "POST"), path, body, headers, timeout_s)

    def said(self, answer):
        """The text that a function answered with."""
        return answer.json()["result"].encode() if RUNTIME == "exec" else answer.body

    def echoes(self, body, headers=None):
        """Does /echo give these bytes back?"""
        if RUNTIME == "exec":
            body = b"[" + body
        answer = self.call("/echo", body, headers)
        self.assertEqual((answer.status, answer.body == body), (200, True), f"{len(body)} bytes: {answer}")
        return answer

    def still_right(self):
        """Others, and the next call, do not notice."""
        answer = self.call("/ping")
        self.assertEqual(answer.status, 200, answer)
        self.assertIn(b"pong", answer.body)

    # What every function gets and gives

    def test_hello(self):
        answer = self.call("/hello")
        self.assertEqual((answer.status, answer.json()), (200, {"message": "Hello, world!"}))
        self.assertTrue(answer.headers["content-type"].startswith("application/json"), answer)
        answer = self.call("/hello", json.dumps({"name": "Zoë"}), {"Content-Type": "application/json"})
        self.assertEqual(answer.json(), {"message": "Hello, Zoë!"})

    def test_bodies_of_all_sizes_come_back(self):
        self.wants("echo")
        chance = random.Random(4)
        for size in (0, 1, 255, 4095, 4096, 16384, 16385, 65536, MIB + 1):
            answer = self.echoes(chance.randbytes(size), {"Content-Type": "image/x-test"})
            if RUNTIME != "exec":
                self.assertEqual(answer.headers["content-type"], "image/x-test")

    def test_the_largest_body_comes_back(self):
        body, answer = self.weir.home / "largest", self.weir.home / "largest.answer"
        body.write_bytes(b"[" + random.Random(64).randbytes(LARGE_BYTES - 1))
        # Not http.client: it does not read before it has sent everything, and functions answer while they read.
        self.weir.curl("-o", answer, "-w", "%{http_code}", "-H", "Expect:", "--data-binary", f"@{body}", self.weir.url("/echo"),
                       timeout_s=300)
        self.assertTrue(filecmp.cmp(body, answer, shallow=False))
        self.still_right()

    def test_no_body_is_an_empty_body(self):
        answer = self.call("/echo")
        if RUNTIME == "exec":  # no output is a failure, whatever the exit status
            self.assertEqual((answer.status, answer.json()["output_bytes"]), (500, 0), answer)
        else:
            self.assertEqual((answer.status, answer.body), (200, b""), answer)

    def test_every_byte_comes_back(self):
        self.echoes(bytes(range(256)) * 3)

    def test_a_chunked_body_comes_back(self):
        pieces = [b"[one", b"\0\xff", b"x" * 70000]
        self.assertEqual(self.call("/echo", iter(pieces)).body, b"".join(pieces))

    def test_info_tells_the_request(self):
        self.wants("info")
        info = self.call("/info?a=1&b=%20", headers={"X-Test": "Yes"}).json()
        self.assertEqual((info["runtime"], info["method"], info["path"], info["query"]), (RUNTIME, "GET", "/info", "a=1&b=%20"))
        headers = {name.lower(): value for name, value in info["headers"].items()}
        if RUNTIME != "exec":  # it is told the content-type only
            self.assertEqual(headers["x-test"], "Yes")
        self.assertEqual(self.call("/info", method="DELETE").json()["method"], "DELETE")

    def test_resize_reads_json(self):
        self.wants("resize")
        body = {"image": "base64data...", "width": 800}
        self.assertEqual(self.call("/resize", json.dumps(body)).json(),
                         {"status": "success", "width": 800, "height": 600, "image_bytes": 13})
        self.assertEqual(self.call("/resize", json.dumps({**body, "height": 7})).json()["height"], 7)
        answer = self.call("/resize", b'{"image": ')
        self.assertEqual(answer.status, 500 if RUNTIME == "exec" else 400)
        self.assertIn("error", answer.json())

    def test_upper(self):
        self.assertEqual(self.said(self.call("/upper", b"shout, please\n")), b"SHOUT, PLEASE\n")

    def test_route_parameters_and_time(self):
        answer = self.call("/sleep/20")
        self.assertEqual(answer.status, 200, answer)
        self.assertIn(b"20", answer.body)

    # Calls of others

    def test_a_function_calls_another(self):
        self.wants("chain")
        for _ in range(5):
            answer = self.call("/chain")
            self.assertEqual((answer.status, answer.json()),
                             (200, {"called": "hello", "status": 200, "answer": {"message": "Hello, world!"}}))
        answer = self.call("/chain", json.dumps({"name": "Zoë"}), {"Content-Type": "application/json"})
        self.assertEqual(answer.json(), {"called": "hello", "status": 200, "answer": {"message": "Hello, Zoë!"}})

    def test_a_function_calls_one_of_another_runtime(self):
        self.wants("chain")
        answer = self.call("/chain?function=other", b"{}").json()
        self.assertEqual((answer["status"], answer["answer"]["runtime"], answer["answer"]["method"]), (200, "native", "POST"))
        self.assertEqual(answer["answer"]["headers"]["content-type"], "application/json")

    def test_a_function_knows_its_caller(self):
        self.wants("chain")
        answer = self.call("/chain?function=parent")
        self.assertEqual(answer.json()["answer"], {"parent": answer.headers["x-openwhisk-activation-id"]})
        self.assertEqual(self.call("/parent").json(), {"parent": ""})

    def test_a_function_that_is_not_there(self):
        self.wants("chain")
        answer = self.call("/chain?function=nobody")
        self.assertEqual((answer.status, answer.json()["status"], answer.json()["answer"]["code"]), (200, 404, "call_unknown"))

    def test_a_function_of_somebody_else(self):
        self.wants("chain")
        self.assertIn(self.call("/chain?function=elsewhere/hello").json()["status"], (403, 404))

    def test_what_goes_wrong_in_the_other_one_is_told(self):
        self.wants("chain")
        # Where one that misbehaves costs the worker, that may be its caller's, too.
        costs_the_worker = RUNTIME in ("native", "c")
        for name, status in (("spin", 504), ("recurse", 500 if RUNTIME == "exec" else 502)):
            if (RUNTIME, name) in LEFT_OUT:
                continue
            answer = self.call(f"/chain?function={name}")
            if not costs_the_worker or answer.status == 200:
                self.assertEqual((answer.status, answer.json()["status"]), (200, status))
            else:
                self.assertEqual(answer.status, 502)
        self.assertEqual(self.call("/chain").json()["status"], 200)

    def test_a_function_that_calls_itself(self):
        self.wants("chain")
        answer = self.call("/chain?function=chain").json()  # which calls hello
        self.assertEqual((answer["called"], answer["answer"]["called"], answer["answer"]["status"]), ("chain", "hello", 200))

    def test_a_call_that_nobody_waits_for(self):
        self.wants("chain")
        before = self.weir.status()["metrics"]["calls_one_way"]
        printing = (RUNTIME, "print") not in LEFT_OUT
        answer = self.call(f"/chain?one-way=1&function={'print' if printing else 'ping'}")
        self.assertEqual((answer.status, answer.json()["status"]), (200, 202))
        activation = answer.json()["answer"]["activation"]
        self.assertEqual(self.weir.status()["metrics"]["calls_one_way"], before + 1)
        if printing:
            wait_until(lambda: "to stderr" in self.weir.ctrlctl("call", "logs", activation, check=False).stdout,
                       "it has run, and printed")

    def test_many_callers_at_once(self):
        self.wants("chain")
        def one(number):
            answer = self.call("/chain", json.dumps({"name": f"n{number}"}))
            return answer.json() if answer.status == 200 else {"status": answer.status, "body": answer.body}
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(one, range(64)))
        for number, answer in enumerate(answers):  # for want of a place it may be refused, but nobody waits for ever
            self.assertIn(answer["status"], (200, 503), answer)
            if answer["status"] == 200:
                self.assertEqual(answer["answer"], {"message": f"Hello, n{number}!"})
        self.assertGreater(sum(answer["status"] == 200 for answer in answers), 32)
        wait_until(lambda: self.weir.status()["metrics"]["nested_in_use"] == 0, "nothing is left")

    def test_status_and_headers(self):
        self.wants("status")
        for code in (200, 201, 404, 418, 503):
            answer = self.call(f"/status?code={code}")
            self.assertEqual((answer.status, answer.headers["x-test"], answer.body), (code, "yes", b"status %d\n" % code))

    def test_unicode(self):
        self.wants("unicode")
        answer = self.call("/unicode")
        self.assertEqual(self.said(answer).decode(), "grüße, 世界 🎉\n")
        if RUNTIME != "exec":  # it is JSON, which has no charset
            self.assertIn("utf-8", answer.headers["content-type"].lower())

    def test_many_callers_get_their_own_bytes(self):
        self.wants("echo")
        def one(number):
            body = b"[%d " % number * (1 + number % 50)
            return self.call("/echo", body).body == body
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.assertTrue(all(pool.map(one, range(40 if RUNTIME == "exec" else 200))))

    # What goes wrong

    def failed(self, path, status, *words):
        """The caller gets that status, the reason and the activation's id; the next call is right."""
        answer = self.call(path)
        error = answer.json()
        if RUNTIME == "exec" and answer.status == 500:  # it ended by itself
            self.assertEqual((status, error["error"]), (502, "Function failed"), answer)
            self.assertNotEqual(error["exit_code"], 0)
            reason = error["output"].lower()
        else:
            self.assertEqual(answer.status, status, answer)
            self.assertEqual(error["activation"], answer.headers["x-openwhisk-activation-id"])
            reason = error["error"]
        for word in words:
            self.assertIn(word, reason)
        self.still_right()

    def test_an_error_is_told(self):
        self.wants("throw")
        for _ in range(3):
            self.failed("/throw", 502, "boom")

    def test_exit_is_told(self):
        self.wants("exit")
        for _ in range(3):
            if RUNTIME in EXIT_ANSWERS:
                answer = self.call("/exit")
                self.assertEqual((answer.status, answer.body), EXIT_ANSWERS[RUNTIME])
            else:
                self.failed("/exit", 502)

    def test_an_endless_loop_ends_at_its_deadline(self):
        self.wants("spin")
        for _ in range(3):
            self.failed("/spin", 504)

    def test_a_call_that_waits_ends_at_its_deadline(self):
        for _ in range(3):
            self.failed("/overslept/60000", 504)

    def test_memory_without_end_is_refused(self):
        self.wants("hog")
        self.failed("/hog", 502, "memory")

    def test_recursion_without_end_is_refused(self):
        self.wants("recurse")
        self.failed("/recurse", 502)

    def test_what_is_printed_goes_to_the_log(self):
        self.wants("print")
        answer = self.call("/print")
        self.assertEqual(self.said(answer), b"printed\n")
        activation = answer.headers["x-openwhisk-activation-id"]
        # "time stream: text", there as soon as the answer is.
        lines = self.weir.ctrlctl("call", "logs", activation).stdout.splitlines()
        printed = ["stderr: to stderr"] + ["stdout: to stdout"] * (RUNTIME != "exec")  # a program's stdout is its answer
        self.assertEqual(sorted(line.partition(" ")[2] for line in lines), printed)
        self.assertNotIn("to stdout", self.weir.log())

    def test_variables_of_the_environment(self):
        self.wants("env")
        self.assertEqual(self.said(self.call("/env")).strip(), b"unset")
        for value in ("one", "grüße=\"$HOME\" \\ 'x'", "", "three"):
            self.weir.ctrlctl("fn", "env", "set", "env", f"WEIR_TEST={value}", "WEIR_TEST_2=other")
            wanted = (value,) if value != "" or RUNTIME != "php" else ("", "unset")  # its ?: takes "" for unset
            wait_until(lambda: self.said(self.call("/env")).decode().strip() in wanted, f"the variable is '{value}'")
        self.weir.ctrlctl("fn", "env", "unset", "env", "WEIR_TEST")
        wait_until(lambda: self.said(self.call("/env")).strip() == b"unset", "the variable is gone")
        self.still_right()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ENDING:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(ENDING)} [unittest arguments]")
    RUNTIME = sys.argv.pop(1)
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    weir_instance.main()
