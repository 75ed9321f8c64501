#!/usr/bin/env python3
# labels: integration
# timeout: 240
"""The dialects' paths, all that /weir/openapi.json names, against bodies that are wrong: each is refused in the dialect's
own way and says what is wrong with it, nothing is made, nothing falls over."""

import base64
import json
import os
import random
import re

import weir_instance
from test_api_bodies import NO_JSON, dump
from weir_instance import Instance

BASIC = {"Authorization": "Basic " + base64.b64encode(b"uuid:key").decode()}
NODE = {"exec": {"kind": "nodejs:20", "code": "function main() {}"}}
# Of each path with JSON in its body: a sound one. A path that is neither here nor in OTHER fails the test.
SOUND = {
    ("spike", "post", "/v1/create_function"): {"function_name": "new", "image_url": "builtin:upper", "resources": [
        {"cpu": 100, "memory": 64, "min_replica": 0, "max_replica": 1}]},
    ("spike", "post", "/v1/update_function"): {"function_name": "hello", "enable_auto_scaling": True},
    ("spike", "post", "/v1/call_function"): {"function_name": "hello", "payload": "x", "cpu": 0, "memory": 0},
    ("spike", "post", "/v1/scale_function"): {"function_name": "hello", "cpu": 1, "memory": 1, "scale_cnt": 0},
    ("vespid", "post", "/actions/{name}/create"): {"vcode": "int new(int a){ return a; }", "runtime": "c"},
    ("vespid", "post", "/actions/{name}/update"): {"vcode": "int new(int a){ return a; }"},
    ("vespid", "post", "/actions/{name}/invoke"): {"vargs": {"a": 1}},
    ("project", "post", "/auth/register"): {"username": "new", "password": "a password"},
    ("project", "post", "/auth/login"): {"username": "pat", "password": "a password"},
    ("project", "post", "/registry/register"): {"name": "new", "description": "d", "payload": "docker-image-reference"},
    ("project", "get", "/registry/retrieve"): {"name": "mine"},
    ("project", "delete", "/registry/delete"): {"name": "nothing"},
    ("project", "put", "/registry/update"): {"name": "mine", "description": "d", "payload": "docker-image-reference"},
    ("project", "post", "/publisher/publish"): {"name": "mine", "argument": "x"},
    ("openwhisk", "put", "actions/new"): NODE,
    ("openwhisk", "put", "actions/old?overwrite=true"): NODE,
    ("openwhisk", "post", "actions/old?blocking=true"): {"a": 1},
}
# Those that take any bytes, or none that matter; and catch-alls, which say that there is nothing.
OTHER = re.compile(r"/f/|/fa/|/upload|/ping|/health|/auth/validate|/actions/list|/actions/\{name\}/(get|delete)|/registry/list|\{rest\}$|"
                   r"/v1/(get_|delete_)|/api/v1/namespaces$|/register/\{|\{id\}")
DIALECTS = ("spike", "vespid", "project", "openwhisk", "faasm", "upload")
# What each dialect refuses a body with. Vespid has one status for all that goes wrong.
REFUSED = {"spike": {400}, "vespid": {500}, "project": {400}, "openwhisk": {400}}
# The management API's, but that dialects take 32 levels; Project's clients have commas too many.
NO_OBJECT = [body for body in NO_JSON if not body.startswith(b'{"a":[[')] + [b'{"a":' + b"[" * 40 + b"]" * 40 + b"}"]
LENIENT = (b'{"a":1,}',)
WRONG = [7, -1, 1.5, True, None, "", [], [7], {}, {"x": "y"}, "x" * 100000, 1e308, 18446744073709551616, -9223372036854775809,
         "\u0001", "../..", "\u00e9" * 40000]


class Bodies(weir_instance.Case):
    def setUp(self):
        super().setUp()
        self.weir = self.enterContext(Instance(samples=True))
        user = json.dumps({"username": "pat", "password": "a password"}).encode()
        self.assertEqual(self.weir.request("POST", "/auth/register", user).status, 200)
        self.token = {"Authorization": "Bearer " + self.weir.request("POST", "/auth/login", user).json()["token"]}
        mine = json.dumps({"name": "mine", "payload": "docker-image-reference"}).encode()
        self.assertEqual(self.send(("project", "post", "/registry/register"), mine)[0], 201)
        self.assertEqual(self.send(("openwhisk", "put", "actions/old"), json.dumps(NODE).encode())[0], 200)
        self.ctrld = self.weir.pid_of("weir-ctrld")

    def send(self, key, body):
        """Status and text of what a client of that dialect sends."""
        dialect, method, path = key
        headers = {"project": self.token, "openwhisk": BASIC}.get(dialect, {})
        if dialect == "openwhisk":
            path = f"/api/v1/namespaces/_/{path}"
        answer = self.weir.request(method.upper(), path.replace("{name}", "nobody"), body, headers)
        # Some of those platforms had one text for everything: what it is stands in a field then.
        return answer.status, answer.body.decode("utf-8", "replace") + answer.headers.get("x-weir-error", "")

    def described(self):
        document = self.weir.curl("--unix-socket", self.weir.data / "run" / "api.sock", "http://weir/weir/openapi.json").stdout
        return {(item[method]["tags"][0], method, path) for path, item in json.loads(document)["paths"].items()
                for method in item if isinstance(item[method], dict) and item[method].get("tags", [""])[0] in DIALECTS}

    def refused(self, key, body, named=None):
        status, text = self.send(key, body)
        told = (key, body[:200], status, text[:300])
        self.assertIn(status, REFUSED[key[0]], told)
        self.assertTrue(text, told)
        if named is not None:
            self.assertIn(named, text, told)

    def sane(self, key, status, text, told):
        """Of a body that may be sound: an answer of this dialect's, with its status for what cannot be."""
        allowed = {"vespid": status == 500, "spike": status == 500, "openwhisk": status == 502,  # an action that says so
                   "project": status == 500 and text.startswith("Error ")}[key[0]]
        self.assertTrue(status < 500 or allowed, told)
        self.assertTrue(text or status == 204, told)

    def unharmed(self, before):
        """Nothing fell over, and nothing was made."""
        self.assertEqual(self.weir.status()["metrics"]["workers_died"], 0)
        self.assertEqual(self.weir.pid_of("weir-ctrld"), self.ctrld)
        if before is not None:
            self.assertEqual(dump(self.weir), before)

    def test_each_path_of_each_dialect_is_here(self):
        mine = {key for key in SOUND if key[0] != "openwhisk"}
        there = {key for key in self.described() if key[0] != "openwhisk" and not OTHER.search(key[2])}
        # What has one method answers others by itself.
        self.assertEqual({key for key in there if (key[0], key[2]) not in {(one[0], one[2]) for one in mine}}, set())
        self.assertEqual(mine - there, set())

    def test_what_is_no_object_is_refused(self):
        before = dump(self.weir)
        for key in SOUND:
            for body in NO_OBJECT:
                if key[0] != "project" or body not in LENIENT:
                    self.refused(key, body)
        self.unharmed(before)

    def test_members_twice_are_refused_by_name(self):
        before = dump(self.weir)
        for key, sound in SOUND.items():
            for name in sound:
                self.refused(key, f'{{"{name}":1,"{name}":1}}'.encode(), name)
                self.refused(key, f'{{"{name}":{{"x":{{"y":1,"y":1}}}}}}'.encode(), "x.y")
        self.unharmed(before)

    def test_texts_and_switches_that_are_none_are_refused_by_name(self):
        before = dump(self.weir)
        for key, sound in SOUND.items():
            for name, good in sound.items():
                for value in ([7, True, [7], {"x": 1}] if isinstance(good, str) else [7, "x", [7]] if isinstance(good, (bool, dict)) else []):
                    if key[2] != "actions/old?blocking=true":  # whatever an action takes
                        with self.subTest(key=key, name=name, value=value):
                            self.refused(key, json.dumps({**sound, name: value}).encode(), name)
        self.unharmed(before)

    def test_members_of_another_kind_are_refused_or_ignored_but_nothing_falls(self):
        for key, sound in SOUND.items():
            for name in sound:
                for value in WRONG:
                    status, text = self.send(key, json.dumps({**sound, name: value}).encode())
                    told = (key, name, repr(value)[:80], status, text[:300])
                    self.sane(key, status, text, told)
        self.unharmed(None)

    def test_changed_bytes_never_make_it_fall(self):
        seed = int(os.environ.get("WEIR_TEST_SEED", random.randrange(1 << 32)))
        print("seed", seed)
        chance = random.Random(seed)
        pieces = [b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\u", b"\0", b"\xff", b"1e9", b"-", b"null", b"true", b" "]
        for key, sound in SOUND.items():
            for _ in range(60):
                body = bytearray(json.dumps(sound).encode())
                for _ in range(chance.randint(1, 4)):
                    at = chance.randrange(len(body) + 1)
                    body[at:at + chance.choice((0, 0, 1, 5))] = chance.choice((chance.choice(pieces), body[:at][-20:]))
                status, text = self.send(key, bytes(body))
                told = (key, bytes(body), status, text[:300])
                self.sane(key, status, text, told)
        self.unharmed(None)


if __name__ == "__main__":
    weir_instance.main()
