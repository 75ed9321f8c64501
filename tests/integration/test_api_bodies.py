#!/usr/bin/env python3
# labels: integration
# timeout: 300
"""The management API against bodies that are wrong, for every endpoint of its own table: each is refused with
the field named, nothing changes, nothing falls over."""

import contextlib
import http.client
import itertools
import json
import os
import random
import socket
import sqlite3

import weir_instance
from weir_instance import SAMPLES, Instance

# A sound body for each endpoint that takes JSON. One that is missing here fails the test.
SOUND = {
    ("POST", "/weir/functions"): {"name": "new", "runtime": "native", "file": "FILE"},
    ("PATCH", "/weir/functions/*/*"): {"timeout_ms": 1000},
    ("POST", "/weir/functions/*/*/deploy"): {"code": "CODE", "trial": False},
    ("POST", "/weir/functions/*/*/rollback"): {"number": 1},
    ("PATCH", "/weir/functions/*/*/scale"): {"workers_min": 1, "workers_max": 2},
    ("PATCH", "/weir/functions/*/*/environment"): {"environment": {"A": "b"}},
    ("POST", "/weir/routes"): {"route": "GET /new", "function": "hello"},
    ("PATCH", "/weir/routes"): {"route": "GET /hello", "timeout_ms": 1000},
    ("POST", "/weir/rows"): {"route": "GET:/row", "value": {"runtime": "native", "module": "FILE", "handler": "x"}},
    ("POST", "/weir/route-test"): {"route": "GET /hello"},
    ("PUT", "/weir/settings/*"): {"value": 5000},
    ("PATCH", "/weir/pools"): {"pool": "*", "alpha": 0.5},
    ("PUT", "/weir/image-aliases"): {"image": "registry.example/x:1", "function": "hello"},
    ("POST", "/weir/users"): {"name": "new", "password": "a password"},
    ("POST", "/weir/login"): {"name": "simon", "password": "a password"},
    ("POST", "/weir/keys"): {"name": "ci", "namespace": "shop", "role": "invoker", "life_s": 3600},
    ("POST", "/weir/token"): {"token": "TOKEN"},
    ("POST", "/weir/history/rollback"): {"generation": 1, "dry_run": True},
    ("POST", "/weir/config"): {"document": {"weir": 1, "settings": {"headers_max": 90}}},
}
# Bodies that are files, not JSON.
FILES = {("POST", "/weir/code"), ("POST", "/weir/restore")}
PLACES = {"/weir/functions/": ("default", "hello"), "/weir/settings/": ("head_timeout_ms",), "/weir/activations/": ("0" * 32,),
          "/weir/code/": ("0" * 64,), "/weir/users/": ("simon",), "/weir/keys/": ("ci",)}

NO_JSON = [b"{", b"}", b"[1]", b"7", b'"x"', b"null", b"{} x", b"{}{}", b'{"a":1,}', b'{,"a":1}', b"{'a':1}", b"{a:1}",
           b'{"a"}', b'{"a":}', b'{"a":1 "b":2}', b'{"a":01}', b'{"a":+1}', b'{"a":.5}', b'{"a":1.}', b'{"a":0x10}',
           b'{"a":NaN}', b'{"a":Infinity}', b'{"a":1e999}', b'{"a":-1e999}', b'{"a":' + b"9" * 64 + b"}", b'{"a":tru}',
           b'{"a":"', b'{"a":"\n"}', b'{"a":"\\x"}', b'{"a":"\\u12"}', b'{"a":"\\u0000"}', b'{"a":"\\ud800"}',
           b'{"a":"\\udc00\\ud800"}', b'{"a":"\xff"}', b'{"a":"\xc0\x80"}', b'{"a":"\xed\xa0\x80"}', b'{"\xfe":1}',
           b"\xff", b"\0", b'{"a":1}\0', b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16"), b"//x\n{}", b"{}/**/",
           b'{"a":' + b"[" * 22 + b"]" * 22 + b"}", b"[" * 200000, b'{"a":' * 200000, b'{"a":[' * 100000]
WRONG = {
    "text": [1, 1.5, True, None, ["x"], {"x": "y"}],
    "number": ["1", True, None, [1], {"x": 1}, -1, 1.5, 4294967296, 18446744073709551616, 1e308, -1e308, 1e-5],
    "switch": [0, 1, "true", None, [True], {}],
    "list": [1, "x", True, None, {}],
    "object": [1, "x", True, None, []],
    "any": [[[]], [1], {"": 1}],
}
LONG = "x" * 100000


class Api:
    """Requests over the socket, one connection for many."""

    def __init__(self, weir):
        self.path = str(weir.data / "run" / "api.sock")
        self.connection = None

    def __call__(self, method, target, body=b"", length=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("weir", timeout=30)
            self.connection.sock = socket.socket(socket.AF_UNIX)
            self.connection.sock.connect(self.path)
        try:
            self.connection.request(method, target, body, {"Content-Length": str(len(body) if length is None else length)})
            answer = self.connection.getresponse()
            text = answer.read()
        except (http.client.HTTPException, OSError):
            self.connection.close()
            self.connection = None
            raise
        if answer.will_close:
            self.connection.close()
            self.connection = None
        return answer.status, json.loads(text.decode("utf-8"))


def dump(weir):
    """All rows of both databases."""
    rows = {}
    for name in ("weir.db", "faas_meta.db"):
        with contextlib.closing(sqlite3.connect(f"file:{weir.data / name}?mode=ro", uri=True, timeout=10)) as database:
            tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
            rows.update({(name, table): sorted(database.execute(f"SELECT * FROM {table}"), key=repr) for table in tables})
    return rows


class Bodies(weir_instance.Case):
    def prepare(self, weir):
        weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "hello.so")
        weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "hello.so", "--timeout", "9s")
        weir.ctrlctl("route", "add", "GET /hello", "--fn", "hello")
        self.api = Api(weir)
        status, answer = self.api("GET", "/weir/endpoints")
        self.assertEqual(status, 200)
        self.endpoints = {(one["method"], one["path"]): one.get("members") for one in answer["endpoints"]}
        weir.ctrlctl("user", "add", "simon", stdin="a password\n")
        status, login = self.api("POST", "/weir/login", json.dumps(SOUND["POST", "/weir/login"]).encode())
        self.assertEqual(status, 200)
        code = json.loads(weir.ctrlctl("fn", "get", "hello", "-o", "json").stdout)["code"]
        text = json.dumps([[*key, body] for key, body in SOUND.items()])
        text = text.replace("FILE", str(SAMPLES / "native" / "hello.so")).replace("CODE", code).replace("TOKEN", login["token"])
        self.sound = {(method, path): body for method, path, body in json.loads(text)}

    def target(self, path):
        for prefix, names in PLACES.items():
            if path.startswith(prefix):
                for name in names:
                    path = path.replace("*", name, 1)
        self.assertNotIn("*", path, "PLACES lacks a name for it")
        return path

    def refused(self, method, path, body, field, statuses=(400, 422)):
        """That body is refused, and the field named: exactly, or one of its parts."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, answer = self.api(method, self.target(path), raw)
        told = (method, path, raw[:200], status, answer)
        self.assertIn(status, statuses, told)
        self.assertTrue(answer["error"], told)
        if field is not None:
            self.assertRegex(answer.get("field", ""), rf"^{field}($|[.\[])", told)
        else:
            self.assertTrue(answer.get("field"), told)

    def test_the_table_says_what_each_body_may_hold(self):
        with Instance() as weir:
            self.prepare(weir)
            with_json = {key for key, members in self.endpoints.items() if members is not None}
            self.assertEqual(with_json, set(SOUND), "each endpoint with JSON has a sound body here")
            self.assertEqual({key for key in self.endpoints if key[0] in ("POST", "PUT", "PATCH")}, with_json | FILES)
            for key, body in self.sound.items():
                self.assertLessEqual(set(body), {member["name"] for member in self.endpoints[key]})
                status, answer = self.api(key[0], self.target(key[1]), json.dumps(body).encode())
                self.assertLess(status, 300, (key, answer))
            # Each setting of a pool may be named.
            status, pool = self.api("GET", "/weir/pools?pool=%2A")
            names = {member["name"] for member in self.endpoints["PATCH", "/weir/pools"]}
            self.assertEqual(set(pool) - {"set"} | {"reset"}, names)

    def test_wrong_bodies_are_refused_and_change_nothing(self):
        with Instance() as weir:
            self.prepare(weir)
            before, pid = dump(weir), weir.pid_of("weir-ctrld")
            for (method, path), members in self.endpoints.items():
                if (method, path) in FILES:
                    continue
                for body in NO_JSON:
                    self.refused(method, path, body, None, (400,))
                self.refused(method, path, {"bogus": 1}, "bogus", (422,))
                self.refused(method, path, {f"n{i}": i for i in range(50000)}, "n0", (422,))
                self.refused(method, path, {"\u00e9" * 300000: 1}, None, (422,))
                if members is None:
                    continue
                self.refused(method, path, b"", "body", (400,))
                sound = self.sound[method, path]
                for member in members:
                    name = member["name"]
                    self.refused(method, path, f'{{"{name}":1,"{name}":1}}'.encode(), name, (400,))
                    self.refused(method, path, f'{{"{name}":{{"x":{{"y":1,"y":1}}}}}}'.encode(), f"{name}.x.y", (400,))
                    for value in WRONG[member["kind"]]:
                        self.refused(method, path, {**sound, name: value}, name, (422,))
                self.refused(method, path, {**sound, "bogus": None}, "bogus", (422,))
            self.assertEqual(self.api("POST", "/weir/functions", length=(2 << 20) + 1)[0], 413)
            self.assertEqual(dump(weir), before)
            self.assertEqual(weir.pid_of("weir-ctrld"), pid)
            self.assertEqual(weir.request("GET", "/hello").status, 200)

    def test_values_at_their_ends_are_taken_or_refused_by_name(self):
        with Instance() as weir:
            self.prepare(weir)
            pid = weir.pid_of("weir-ctrld")
            for (method, path), members in self.endpoints.items():
                for member in members or []:
                    for value in {"text": ["", LONG, "\u00e9" * 40000, "../..", "\u0001", "a\nb"],
                                  "number": [0, 1, 4294967295], "list": [[], [LONG], [[]], [{}], [1] * 1000],
                                  "object": [{"A": LONG}, {"": ""}, {"A": None}, {"A B": "x"}],
                                  "any": [LONG, "", 1e308, -1, 1.5, 9007199254740993, "nan", "-0"]}.get(member["kind"], []):
                        body = json.dumps({**self.sound[method, path], member["name"]: value}).encode()
                        status, answer = self.api(method, self.target(path), body)
                        told = (method, path, body[:200], status, answer)
                        self.assertLess(status, 500, told)
                        if status == 422 and answer["code"] == "invalid":
                            self.assertTrue(answer.get("field"), told)
            self.assertEqual(weir.pid_of("weir-ctrld"), pid)

    def test_names_in_paths_and_queries_are_only_names(self):
        names = ["%ff", "%00", "%", "%zz", "..", "%2e%2e", "%20", "%0a", "a" * 1300, "%c3%a9" * 100, "%f0%9f%98%80", "'--", "*"]
        with Instance() as weir:
            self.prepare(weir)
            before, pid = dump(weir), weir.pid_of("weir-ctrld")
            for (method, path), name in itertools.product(self.endpoints, names):
                if "*" in path:
                    status, answer = self.api(method, path.replace("*", name), json.dumps(self.sound.get((method, path))).encode()
                                              if (method, path) in self.sound else b"")
                    self.assertIn(status, (400, 404, 405, 422), (method, path, name, answer))
            for key, name in itertools.product(("route", "host", "pool", "limit", "after", "since", "newest", "from", "to"), names):
                for path in ("/weir/routes", "/weir/pools", "/weir/functions/default/hello/logs", "/weir/history",
                             "/weir/history/diff"):
                    status, answer = self.api("GET", f"{path}?{key}={name}")
                    self.assertLess(status, 500, (path, key, name, answer))
                status, answer = self.api("DELETE", f"/weir/routes?{key}={name}")
                self.assertIn(status, (404, 422), (key, name, answer))
            self.assertEqual(dump(weir), before)
            self.assertEqual(weir.pid_of("weir-ctrld"), pid)

    def test_changed_bytes_never_make_it_fall(self):
        seed = int(os.environ.get("WEIR_TEST_SEED", random.randrange(1 << 32)))
        print("seed", seed)
        chance = random.Random(seed)
        with Instance() as weir:
            self.prepare(weir)
            pid = weir.pid_of("weir-ctrld")
            pieces = [b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\u", b"\0", b"\xff", b"1e9", b"-", b"null", b"true", b" "]
            for (method, path), sound in self.sound.items():
                for _ in range(100):
                    body = bytearray(json.dumps(sound).encode())
                    for _ in range(chance.randint(1, 4)):
                        at = chance.randrange(len(body) + 1)
                        body[at:at + chance.choice((0, 0, 1, 5))] = chance.choice((chance.choice(pieces), body[:at][-20:]))
                    status, answer = self.api(method, self.target(path), bytes(body))
                    self.assertLess(status, 500, (method, path, bytes(body), answer))
            self.assertEqual(weir.pid_of("weir-ctrld"), pid)


if __name__ == "__main__":
    weir_instance.main()
