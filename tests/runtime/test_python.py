#!/usr/bin/env python3
"""What the runtime `python` has beyond what all runtimes have (conformance.py): WSGI, main(params), modules
that keep their state, limits, and workers that come when they are called and go when they are not."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import sys
import tempfile
import textwrap
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

import weir_instance  # noqa: E402
from weir_instance import BIN, Instance, wait_until  # noqa: E402

JSON = {"Content-Type": "application/json"}


class PythonCase(weir_instance.Case):
    needs = ("weir-keeper", "ctrlctl", "weir-worker-python")

    @classmethod
    def setUpClass(cls):
        if not (BIN / "weir-worker-python").exists():
            raise unittest.SkipTest("weir-worker-python is not built: python3-dev is not installed")
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="it-weir-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.weir = Instance()
        cls.weir.__enter__()
        cls.addClassCleanup(cls.weir.__exit__, None, None, None)
        # What a process keeps is what the tests look at: one for each function.
        cls.weir.ctrlctl("config", "set", "pool.workers_max", "1")

    def add(self, name, source, *options, route=None):
        """A function with that source, at /NAME and below."""
        path = self.directory / name / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source))
        self.weir.ctrlctl("fn", "add", name, "--runtime", "python", "--file", path, *options)
        for pattern in [route] if route else [f"ANY /{name}", f"ANY /{name}/*"]:
            self.weir.ctrlctl("route", "add", pattern, "--fn", name)
        return path

    def call(self, path, body=None, headers=None, method=None):
        return self.weir.request(method or ("GET" if body is None else "POST"), path, body, headers, 60)

    def failed(self, path, status, *words):
        answer = self.call(path)
        self.assertEqual(answer.status, status, answer)
        for word in words:
            self.assertIn(word, answer.json()["error"])


class Handler(PythonCase):
    def test_requests_and_answers(self):
        self.add("kinds", """
            def handler(request):
                kind = request.args["kind"]
                if kind == "request":
                    return {"args": request.args, "params": request.params, "text": request.text, "left": request.deadline,
                            "activation": request.activation, "again": request.body is request.body}
                return {"none": None, "bytes": b"\\0\\xff", "list": [1, 2.5, "ü"], "array": bytearray(b"abc"),
                        "status": {"status": 404}, "word": {"status": "fine"}, "more": {"status": 201, "x": 1},
                        "empty": {"status": 204, "body": "dropped"},
                        "fields": {"headers": {"x-one": ["1", "2"], "X-N": 3, "Content-Type": "a/b"}, "body": "x"},
                        "nan": float("nan"), "object": object(), "teapot": {"status": 999}, "field": {"status": 200, "headers": {"a b": "c"}}}[kind]
            """)
        seen = self.call("/kinds/x?kind=request&a=1&a=%C3%BC+&b&=c", "grüße".encode())
        self.assertEqual(seen.json()["args"], {"kind": "request", "a": "ü ", "b": "", "": "c"})
        self.assertEqual((seen.json()["text"], seen.json()["again"]), ("grüße", True))
        self.assertEqual(seen.json()["activation"], seen.headers["x-openwhisk-activation-id"])
        self.assertTrue(0 < seen.json()["left"] <= 30000)

        def answer(kind):
            got = self.call(f"/kinds?kind={kind}")
            return got.status, got.headers.get("content-type"), got.body
        self.assertEqual(answer("none"), (204, None, b""))
        self.assertEqual(answer("bytes"), (200, "application/octet-stream", b"\0\xff"))
        self.assertEqual(answer("array"), (200, "application/octet-stream", b"abc"))
        self.assertEqual(answer("list"), (200, "application/json", '[1,2.5,"ü"]'.encode()))
        self.assertEqual(answer("status"), (404, None, b""))
        self.assertEqual(answer("word"), (200, "application/json", b'{"status":"fine"}'))
        self.assertEqual(answer("more"), (200, "application/json", b'{"status":201,"x":1}'))
        self.assertEqual(answer("empty")[::2], (204, b""))
        self.assertEqual(answer("fields"), (200, "a/b", b"x"))
        for kind, word in (("nan", "ValueError"), ("object", "not JSON serializable"), ("teapot", "999"), ("field", "a b")):
            self.failed(f"/kinds?kind={kind}", 502, word)

    def test_a_module_keeps_its_state_until_it_changes(self):
        place = self.directory / "count"
        place.mkdir()
        (place / "app.py").write_text(textwrap.dedent("""
            import os, threading, time
            import helper
            calls = 0
            ticks = 0

            def tick():
                global ticks
                while True:
                    time.sleep(0.001)
                    ticks += 1

            threading.Thread(target=tick, daemon=True).start()

            def handler(request):
                global calls
                calls += 1
                return {"calls": calls, "ticks": ticks, "helper": helper.WORD, "file": os.path.exists("app.py")}
            """))
        (place / "helper.py").write_text("WORD = 'one'\n")
        self.weir.ctrlctl("fn", "deploy", place)
        self.weir.ctrlctl("route", "add", "GET /count", "--fn", "count")
        self.assertEqual(self.call("/count").json() | {"ticks": 0}, {"calls": 1, "ticks": 0, "helper": "one", "file": True})
        before = self.call("/count").json()
        self.assertEqual(before["calls"], 2)
        # A thread of the function's runs between calls, too.
        wait_until(lambda: self.call("/count").json()["ticks"] > before["ticks"] + 2, "the function's thread has run")
        # A new version brings its own modules, in the same process or another.
        (place / "helper.py").write_text("WORD = 'two'\n")
        self.weir.ctrlctl("fn", "deploy", place)
        self.assertEqual(wait_until(lambda: self.call("/count").json() if self.call("/count").json()["helper"] == "two" else None,
                                    "the new version answers")["file"], True)

    def test_code_that_cannot_be_loaded_says_where(self):
        self.add("syntax", "def handler(request):\n    return (1,\n")
        self.failed("/syntax", 502, "SyntaxError", "syntax.py:2")
        self.add("missing", "print('before')\nimport no_such_module\n")
        self.failed("/missing", 502, "no_such_module", "missing.py:2")
        wait_until(lambda: "before" in self.weir.ctrlctl("fn", "logs", "missing").stdout, "the log has what was printed before")
        self.add("bare", "x = 1\n")
        self.failed("/bare", 502, "no handler(request)")
        self.add("named", "def handler(request):\n    return 'x'\n", "--handler", "other")
        self.failed("/named", 502, "no function 'other'")

    def test_errors_say_where(self):
        self.add("fails", """
            import json
            class Odd(Exception):
                def __str__(self):
                    raise RuntimeError("not even that")
            def handler(request):
                if request.args.get("what") == "odd":
                    raise Odd()
                if request.args.get("what") == "long":
                    raise ValueError("ü" * 1000 + "\\n")
                return json.loads("{")
            """)
        self.failed("/fails", 502, "JSONDecodeError", "fails.py:11")
        self.failed("/fails?what=odd", 502, "Odd")
        self.failed("/fails?what=long", 502, "ValueError: üüü")
        activation = self.call("/fails").headers["x-openwhisk-activation-id"]
        self.assertIn("stderr: Traceback (most recent call last):", self.weir.ctrlctl("call", "logs", activation).stdout)

    def test_the_process_ends(self):
        self.add("ends", """
            import os
            BORN = os.urandom(8).hex()  # each process is the first of its own pid namespace
            def handler(request):
                if request.args.get("die"):
                    os._exit(3)
                return BORN
            """)
        first = self.call("/ends").body
        self.failed("/ends?die=1", 502)
        self.assertNotEqual(self.call("/ends").body, first)

    def test_a_directory_and_what_lies_in_it(self):
        place = self.directory / "whole"
        (place / "site-packages").mkdir(parents=True)
        (place / "site-packages" / "bundled.py").write_text("WORD = 'bundled'\n")
        (place / "handler.py").write_text("import bundled, os\ndef handler(request):\n    return bundled.WORD + ' ' + ' '.join(sorted(os.environ))\n")
        self.weir.ctrlctl("fn", "add", "whole", "--runtime", "python", "--file", place)
        self.weir.ctrlctl("route", "add", "GET /whole", "--fn", "whole")
        # Of the environment of whoever started Weir nothing is there.
        self.assertEqual(self.call("/whole").body, b"bundled LANG PATH WEIR_FUNCTION __OW_ACTION_NAME __OW_NAMESPACE")


class Limits(PythonCase):
    def test_a_deadline_ends_what_waits_and_what_loops(self):
        self.add("late", """
            import queue, time, weir
            process = open("/proc/self/stat").read().split()[21]  # when it began; its number may come again
            seen = []
            def handler(request):
                what = request.args.get("what")
                try:
                    if what == "sleep":
                        time.sleep(60)
                    if what == "queue":
                        queue.Queue().get()
                    while what == "loop":
                        try:
                            list(map(str, range(1000)))
                        except Exception:
                            seen.append("swallowed")
                except weir.Timeout:
                    seen.append(what)
                    raise
                return {"pid": process, "seen": seen}
            """, "--timeout", "200ms")
        # On a busy machine a call may also be late before it has begun.
        pid = wait_until(lambda: self.call("/late").json().get("pid"), "it is loaded")
        for what in ("sleep", "queue", "loop"):
            def ended(what=what):
                self.failed(f"/late?what={what}", 504)
                return what in self.call("/late").json().get("seen", [])
            wait_until(ended, f"weir.Timeout was raised: {what}")
        # It was interrupted, and lives.
        self.assertEqual(wait_until(lambda: self.call("/late").json().get("pid"), "it answers"), pid)

    def test_who_does_not_listen_is_killed(self):
        self.add("deaf", """
            process = open("/proc/self/stat").read().split()[21]
            def handler(request):
                while request.args.get("what"):
                    try:
                        while True:
                            pass
                    except BaseException:
                        pass
                return process
            """, "--timeout", "300ms")

        def process():
            answer = self.call("/deaf")
            return answer.body if answer.status == 200 else None
        first = wait_until(process, "it is loaded")

        def replaced():
            now = process()
            if now == first:  # on a busy machine the call may have been late before it had begun
                self.failed("/deaf?what=1", 504)
            return now not in (None, first)
        wait_until(replaced, "another process has it")

    def test_memory_is_limited_and_given_back(self):
        if b"__asan_init" in (BIN / "weir-worker-python").read_bytes():
            self.skipTest("the sanitizer's own memory counts, too, and the kernel comes first")
        self.add("big", """
            import sys
            process = open("/proc/self/stat").read().split()[21]
            kept = []
            def handler(request):
                if request.args.get("what") == "small":
                    while True:
                        kept.append([object() for _ in range(1000)])
                if request.args.get("what") == "frames":
                    sys.setrecursionlimit(10 ** 9)
                    return handler(request)
                if request.args.get("what") == "large":
                    kept.append(bytes(100 << 20))
                if request.args.get("what") == "caught":
                    try:
                        kept.append("x" * (100 << 20))
                    except MemoryError:
                        return "caught"
                return f"{process} {len(kept)}"
            """, "--memory", "48")
        before = self.call("/big").body
        for what in ("small", "large", "frames"):
            for _ in range(2):
                self.failed(f"/big?what={what}", 502, "out of memory", "48 MB", "big.py:")
        self.assertEqual(self.call("/big?what=caught").body, b"caught")
        # The same process, and what was kept is gone.
        self.assertEqual(self.call("/big").body, before)


class Main(PythonCase):
    def test_params(self):
        self.add("action", """
            import os
            def main(params):
                if "result" in params:
                    return params["result"]
                return {"params": params, "activation": os.environ["__OW_ACTIVATION_ID"],
                        "name": os.environ["__OW_ACTION_NAME"], "late": int(os.environ["__OW_DEADLINE"]) > 1e12}
            """, route="ANY /action/{c}")
        answer = self.call("/action/3?a=1&b=2&c=x", b'{"b": [2]}', JSON)
        self.assertEqual(answer.json(), {"params": {"a": "1", "b": [2], "c": "3"}, "name": "/default/action", "late": True,
                                         "activation": answer.headers["x-openwhisk-activation-id"]})
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        self.assertEqual(self.call("/action/3", b"a=%20&b", form).json()["params"], {"c": "3", "a": " ", "b": ""})
        self.assertEqual(self.call("/action/3", b' {"a": 1}', form).json()["params"], {"c": "3", "a": 1})
        for body in (b"[1]", b"{", b"\xff", b"1"):
            answer = self.call("/action/3", body, JSON)
            self.assertEqual((answer.status, answer.json()), (400, {"error": "the body must be a JSON object"}))

        def result(value):
            got = self.call("/action/3", json.dumps({"result": value}), JSON)
            return got.status, got.body
        self.assertEqual(result({"error": "no"}), (502, b'{"error":"no"}'))
        self.assertEqual(result([1]), (200, b"[1]"))
        self.assertEqual(result({"statusCode": 201, "headers": {"x": "y"}, "body": {"a": 1}}), (201, b'{"a":1}'))
        self.assertEqual(result("text")[0], 502)


class Wsgi(PythonCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gate = cls.directory / "app" / "gate"  # beside its code: all that a function sees
        cls.add(cls, "app", f"""
            import os, sys, time
            closed = []

            class Pieces:
                def __init__(self, what):
                    self.what = what
                def __iter__(self):
                    yield b"first"
                    if self.what == "gate":
                        while not os.path.exists({str(cls.gate)!r}):
                            time.sleep(0.01)
                    if self.what == "late":
                        raise ValueError("late")
                    yield b""
                    yield b"second"
                def close(self):
                    closed.append(self.what)

            def application(environ, start_response):
                what = environ["PATH_INFO"].strip("/")
                head = [("Content-Type", "text/plain"), ("X-A", "1"), ("X-A", "2")]
                if what == "environ":
                    import json
                    start_response("200 OK", head)
                    simple = {{k: v for k, v in environ.items() if isinstance(v, (str, bool, tuple))}}
                    return [json.dumps(simple).encode()]
                if what == "echo":
                    start_response("201 Created", head)
                    return iter(environ["wsgi.input"])
                if what == "read":
                    start_response("200 OK", head)
                    return [environ["wsgi.input"].read(3), environ["wsgi.input"].readline(), environ["wsgi.input"].read()]
                if what == "closed":
                    start_response("200 OK", head)
                    return [repr(closed).encode()]
                if what == "write":
                    write = start_response("200 OK", head)
                    write(b"written ")
                    return [b"returned"]
                if what == "again":
                    start_response("200 OK", head)
                    try:
                        raise ValueError("again")
                    except ValueError:
                        start_response("500 Error", [("x-b", "2")], sys.exc_info())
                    return [b"sorry"]
                if what == "none":
                    return [b"no head"]
                if what == "text":
                    start_response("200 OK", head)
                    return ["text"]
                if what == "status":
                    start_response("OK", head)
                    return [b"x"]
                if what == "twice":
                    start_response("200 OK", head)
                    start_response("200 OK", head)
                if what == "nothing":
                    start_response("204 No Content", head)
                    return [b"dropped"]
                if what == "large":
                    start_response("200 OK", head + [("Content-Length", str(8 << 20))])
                    return (bytes([i % 256]) * (1 << 16) for i in range(128))
                if what == "longer":
                    start_response("200 OK", [("Content-Length", "3")])
                    return [b"abcdef"]
                start_response("200 OK", head)
                return Pieces(what)
            """)

    def test_environ(self):
        got = self.call("/app/environ/?q=%20", b"abc", {"Content-Type": "a/b", "X-Under": "1", "x_under": "2", "Proxy": "evil",
                                                        "Cookie": "a=1"}).json()
        expected = {"REQUEST_METHOD": "POST", "SCRIPT_NAME": "/app", "PATH_INFO": "/environ/", "QUERY_STRING": "q=%20",
                    "CONTENT_TYPE": "a/b", "CONTENT_LENGTH": "3", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": str(self.weir.port),
                    "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "HTTP_X_UNDER": "1", "HTTP_COOKIE": "a=1",
                    "wsgi.url_scheme": "http", "wsgi.multithread": True, "wsgi.run_once": False, "wsgi.version": [1, 0],
                    "REQUEST_URI": "/app/environ/?q=%20"}
        self.assertEqual({key: got.get(key) for key in expected}, expected)
        self.assertNotIn("HTTP_PROXY", got)
        self.assertNotIn("HTTP_CONTENT_TYPE", got)

    def test_bodies_in(self):
        for size in (0, 1, 16385, (1 << 20) + 1):
            body = os.urandom(size)
            answer = self.call("/app/echo", body)
            self.assertEqual((answer.status, answer.body == body), (201, True))
        pieces = [b"one\n", b"x" * 100000, b"\n\0"]
        self.assertEqual(self.call("/app/echo", iter(pieces)).body, b"".join(pieces))
        self.assertEqual(self.call("/app/read", b"abcd\nefgh").body, b"abcd\nefgh")

    def test_answers(self):
        self.assertEqual(self.call("/app/write").body, b"written returned")
        answer = self.call("/app/again")
        self.assertEqual((answer.status, answer.headers.get("x-b"), answer.headers.get("x-a"), answer.body), (500, "2", None, b"sorry"))
        self.assertEqual((self.call("/app/nothing").status, self.call("/app/nothing").body), (204, b""))
        self.assertEqual(self.call("/app/write", method="HEAD").body, b"")
        large = self.call("/app/large").body
        self.assertEqual((len(large), large[:65537]), (8 << 20, b"\0" * 65536 + b"\1"))

    def test_close_is_called(self):
        self.assertEqual(self.call("/app/pieces").body, b"firstsecond")
        with contextlib.suppress(Exception):
            self.call("/app/late")  # cut off
        self.assertIn(b"'pieces', 'late'", self.call("/app/closed").body)

    def test_wrong_applications(self):
        for what, word in (("none", "start_response"), ("text", "bytes"), ("status", "no HTTP status"), ("twice", "twice"),
                           ("longer", "Content-Length")):
            self.failed(f"/app/{what}", 502, word)

    def test_a_piece_does_not_wait_for_the_next(self):
        with socket.create_connection(("127.0.0.1", self.weir.port), timeout=60) as client:
            client.sendall(b"GET /app/gate HTTP/1.1\r\nHost: x\r\n\r\n")
            seen = b""
            while b"first" not in seen:
                piece = client.recv(65536)
                self.assertTrue(piece, seen)
                seen += piece
            self.assertNotIn(b"second", seen)
            self.gate.touch()
            while b"second" not in seen:
                piece = client.recv(65536)
                self.assertTrue(piece, seen)
                seen += piece

    def test_a_slow_reader_does_not_hold_the_interpreter(self):
        # More than sockets hold: it waits for its client in the middle, and others run meanwhile.
        with socket.create_connection(("127.0.0.1", self.weir.port), timeout=60) as client:
            client.sendall(b"GET /app/large HTTP/1.1\r\nHost: x\r\n\r\n")
            for _ in range(10):
                self.assertEqual(self.call("/app/write").body, b"written returned")
            seen = 0
            while seen < 8 << 20:
                piece = client.recv(1 << 20)
                self.assertTrue(piece, seen)
                seen += len(piece)


class Workers(PythonCase):
    def workers(self):
        return [process for process in self.weir.status()["processes"] if process.get("function") in ("rare", "never")]

    def test_they_come_when_called_and_go_when_not(self):
        self.add("rare", "def handler(request):\n    return 'here'\n")
        self.add("never", "def handler(request):\n    return 'x'\n")
        self.weir.ctrlctl("pool", "set", "*", "--scale-step", "1", "--scale-samples", "3")
        self.assertEqual(self.workers(), [])
        self.assertEqual(self.call("/rare").status, 200)
        first, = self.workers()
        self.assertEqual(first["function"], "rare")
        self.assertIn("default/rare", self.weir.ctrlctl("status").stdout)
        wait_until(lambda: not self.workers(), "the idle worker is gone")
        self.assertEqual(self.call("/rare").status, 200)
        second, = self.workers()
        self.assertNotEqual(first["worker"], second["worker"])

    def test_they_come_when_a_function_calls(self):
        self.add("asks", "import weir\ndef handler(request):\n    return weir.call(request.args['name']).text\n")
        for number in range(5):
            self.add(f"cold{number}", "def handler(request):\n    return 'awake'\n")
            self.assertEqual(self.call(f"/asks?name=cold{number}").body, b"awake")


if __name__ == "__main__":
    weir_instance.main()
