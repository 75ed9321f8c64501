#!/usr/bin/env python3
# labels: integration
# timeout: 240
"""FaaS Project's clients against Weir: what its READMEs tell people to type, and what its services answered."""

import base64
import json
import os
import re
import shlex
import signal
import subprocess

import weir_instance
from weir_instance import SAMPLES, Instance, wait_until

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
# The READMEs' own commands; <token> and the port are all that is put in.
REGISTER_USER = """curl -X POST http://localhost/auth/register -d '{"username":"user","password":"password"}'"""
LOGIN = """curl -X POST http://localhost/auth/login -d '{"username":"user","password":"password"}'"""
REGISTER = """curl -X POST http://localhost/registry/register -d '{
    "name":"HumanFriendlyName",
    "description":"ServiceDescription",
    "payload":"docker-image-reference",
    }' -H "Authorization: Bearer <token>\""""
EXECUTE = """curl -X POST http://localhost/publisher/publish -d '{
    "name":"HumanFriendlyName",
    "argument":"string-argument"
    }' -H "Authorization Bearer <token>\""""
JSON_REGISTER = """curl -X POST http://localhost/auth/register -H "Content-Type: application/json" \
-d '{"username":"your_username","password":"your_password"}'"""
JSON_LOGIN = """curl -X POST http://localhost/auth/login -H "Content-Type: application/json" \
-d '{"username":"your_username","password":"your_password"}'"""
VALIDATE = """curl http://localhost/auth/validate -H "Authorization: <token>\""""
RECORD = {"name": "HumanFriendlyName", "description": "ServiceDescription", "payload": "docker-image-reference"}


class Project(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        cls.weir = cls.enterClassContext(Instance(samples=True))

    def published(self, command, token=""):
        """A command as it is printed -> (status, body)."""
        command = command.replace("http://localhost/", self.weir.url()).replace("<token>", token)
        done = subprocess.run([*shlex.split(command), "-s", "-w", "\n%{http_code}"], capture_output=True, text=True, timeout=60,
                              check=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def ask(self, method, path, body=None, token=None):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return self.weir.request(method, path, data, headers)

    def user(self, name):
        """A user's token; the user is there afterwards."""
        credentials = {"username": name, "password": "a password"}
        self.assertIn(self.ask("POST", "/auth/register", credentials).status, (200, 409))
        return self.ask("POST", "/auth/login", credentials).json()["token"]

    def test_published_commands(self):
        status, body = self.published(REGISTER_USER)
        self.assertEqual(status, 200)
        uuid = re.search(UUID, body).group()
        self.assertRegex(body, rf"^User user \(ID: {uuid}\) registered successfully: \d+\n$")
        self.assertEqual(self.published(REGISTER_USER), (409, "Username already taken\n"))
        status, body = self.published(LOGIN)
        self.assertEqual(status, 200)
        token = json.loads(body)["token"]
        head, claims, _ = (base64.urlsafe_b64decode(part + "==") for part in token.split("."))
        self.assertEqual(json.loads(head), {"alg": "HS256", "typ": "JWT"})
        claims = json.loads(claims)
        self.assertEqual(claims["exp"] - claims["iat"], 259200)
        self.assertEqual({name: claims[name] for name in ("id", "username", "iss", "key")},
                         {"id": uuid, "username": "user", "iss": "faas-app", "key": "faas-app-key"})
        self.assertEqual(self.published(LOGIN.replace('"password"}', '"passwort"}')), (401, "Invalid credentials\n"))
        # A function.
        status, body = self.published(REGISTER, token)
        self.assertEqual((status, json.loads(body)), (201, {"uuid": uuid, **RECORD}))
        self.assertEqual(self.published(REGISTER, token), (409, "Function already exists\n"))
        self.assertEqual(self.published(REGISTER.split(" -H ")[0]), (401, "Unauthorized\n"))
        # As printed the header has no colon, and curl leaves it out; then with it.
        self.assertEqual(self.published(EXECUTE, token), (200, "STRING-ARGUMENT\n"))
        self.assertEqual(self.published(EXECUTE.replace("Authorization ", "Authorization: "), token),
                         (200, "STRING-ARGUMENT\n"))
        # The service's own README.
        self.assertEqual(self.published(JSON_REGISTER)[0], 200)
        status, body = self.published(JSON_LOGIN)
        self.assertEqual(status, 200)
        token = json.loads(body)["token"]
        self.assertEqual(self.published(VALIDATE, token), (401, "Missing or invalid token\n"))
        status, body = self.published(VALIDATE.replace("Authorization: ", "Authorization: Bearer "), token)
        self.assertEqual(status, 200)
        self.assertRegex(body, rf"^Token is valid. Username: your_username, ID: {UUID}\n$")
        self.assertRegex(self.published(VALIDATE.replace("Authorization: ", "Authorization: Bearer "), token[:-2])[1],
                         "^Invalid token: ")

    def test_health(self):
        for service in ("auth", "registry", "publisher"):
            answer = self.weir.request("GET", f"/{service}/health")
            self.assertEqual((answer.status, answer.body), (200, b"OK\n"))

    def test_other_paths_are_nobodys(self):
        for path in ("/auth/", "/auth/logout", "/auth/register/x"):
            answer = self.weir.request("GET", path)
            self.assertEqual((answer.status, answer.body), (404, b"404 - Page not found!!\n"))
        refused = self.weir.ctrlctl("route", "add", "ANY /registry/*", "--fn", "upper")
        self.assertEqual(refused.returncode, 0, "a wider route loses, and is allowed")
        self.addCleanup(self.weir.ctrlctl, "route", "rm", "ANY /registry/*")
        self.assertEqual(self.weir.request("GET", "/registry/health").body, b"OK\n")
        refused = self.weir.ctrlctl("route", "add", "GET /registry/list", "--fn", "upper", check=False)
        self.assertEqual(refused.returncode, 7, refused)
        self.assertIn("project", refused.stderr)

    def test_life_of_a_function(self):
        token = self.user("life")
        other = self.user("other")
        self.assertEqual(self.ask("GET", "/registry/list", {}, token).json(), [])
        record = {"name": "echo", "description": "d", "payload": "fliuzzi02/custom-echo-image:latest"}
        self.assertEqual(self.ask("POST", "/registry/register", record, token).status, 201)
        uuid = json.loads(self.weir.ctrlctl("user", "list", "-o", "json").stdout)
        uuid = next(user["uuid"] for user in uuid if user["name"] == "life")
        self.assertEqual(self.ask("GET", "/registry/retrieve", {"name": "echo"}, token).json(), {"uuid": uuid, **record})
        self.assertEqual(self.ask("GET", "/registry/list", None, token).json(), [{"uuid": uuid, **record}])
        function = json.loads(self.weir.ctrlctl("fn", "get", "life/echo", "-o", "json").stdout)
        self.assertEqual((function["owner"], function["image"], function["description"]), ("life", record["payload"], "d"))
        answer = self.ask("POST", "/publisher/publish", {"name": "echo", "argument": "Hello, world!"}, token)
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"))
        self.assertEqual(answer.body.rstrip(b"\n"), b"Hello, world!")
        # Nobody else's.
        self.assertEqual(self.ask("GET", "/registry/list", None, other).json(), [])
        self.assertEqual(self.ask("GET", "/registry/retrieve", {"name": "echo"}, other).status, 404)
        self.assertEqual(self.ask("DELETE", "/registry/delete", {"name": "echo"}, other).status, 204)
        self.assertEqual(self.ask("PUT", "/registry/update", record, other).status, 404)
        self.assertEqual(self.ask("POST", "/registry/register", {**record, "uuid": uuid}, other).status, 401)
        # Another image.
        record = {**record, "payload": "docker-image-reference", "description": "e", "uuid": uuid}
        answer = self.ask("PUT", "/registry/update", record, token)
        self.assertEqual((answer.status, answer.json()), (200, record))
        answer = self.ask("POST", "/publisher/publish", {"name": "echo", "argument": "abc"}, token)
        self.assertEqual(answer.body, b"ABC\n")
        for _ in range(2):
            answer = self.ask("DELETE", "/registry/delete", {"name": "echo"}, token)
            self.assertEqual((answer.status, answer.body), (204, b""))
        answer = self.ask("GET", "/registry/retrieve", {"name": "echo"}, token)
        self.assertEqual((answer.status, answer.body), (404, b"Function not found\n"))
        answer = self.ask("POST", "/publisher/publish", {"name": "nowhere", "argument": ""}, token)
        self.assertEqual((answer.status, answer.body), (500, b"Error retrieve function: Function not found\n"))

    def test_functions_of_all_doors(self):
        token = self.user("doors")
        self.ask("POST", "/registry/register", {"name": "shout", "payload": "docker-image-reference"}, token)
        self.assertEqual(self.weir.ctrlctl("fn", "invoke", "doors/shout", "-d", "abc").stdout, "ABC\n")
        self.weir.ctrlctl("route", "add", "POST /shout", "--fn", "doors/shout")
        self.assertEqual(self.weir.request("POST", "/shout", b"abc").body, b"ABC\n")
        self.assertEqual(self.weir.request("POST", "/f/doors/shout", b"abc").body, b"ABC\n\n")
        answer = self.ask("DELETE", "/registry/delete", {"name": "shout"}, token)
        self.assertEqual(answer.status, 409)
        self.assertIn(b"/shout", answer.body)
        self.weir.ctrlctl("route", "rm", "POST /shout")
        # What others made, with and without a token; by a name that two have only with it.
        self.weir.ctrlctl("fn", "add", "greet", "--runtime", "native", "--file", SAMPLES / "native" / "echo.so")
        self.addCleanup(self.weir.ctrlctl, "fn", "rm", "greet")
        for sent in (None, token):
            self.assertEqual(self.ask("POST", "/publisher/publish", {"name": "greet", "argument": "hi"}, sent).body, b"hi")
        self.weir.request("POST", "/actions/sum3/create", b'{"vcode":"int sum3(int a){ return a+3; }","runtime":"c"}')
        self.assertEqual(self.ask("POST", "/publisher/publish", {"name": "sum3", "argument": '{"a":4}'}).body, b"7\n")
        second = self.user("second")
        self.ask("POST", "/registry/register", {"name": "shout", "payload": "fliuzzi02/custom-echo-image:latest"}, second)
        wait_until(lambda: self.ask("POST", "/publisher/publish", {"name": "shout", "argument": "abc"}).status == 401,
                   "two have that name")
        self.assertEqual(self.ask("POST", "/publisher/publish", {"name": "shout", "argument": "abc"}, token).body, b"ABC\n")

    def test_who_may_not(self):
        token = self.user("may")
        body = {"name": "f", "payload": "docker-image-reference"}
        for method, path in (("POST", "/registry/register"), ("GET", "/registry/retrieve"), ("GET", "/registry/list"),
                             ("DELETE", "/registry/delete"), ("PUT", "/registry/update")):
            for headers in ({}, {"Authorization": token}, {"Authorization": "Bearer "}, {"Authorization": "Bearer x.y.z"},
                            {"Authorization": f"Bearer {token}x"}, {"Authorization": f"Basic {token}"},
                            {"Authorization": "Bearer " + "x" * 4000}):
                answer = self.weir.request(method, path, json.dumps(body).encode(), headers)
                self.assertEqual((answer.status, answer.body), (401, b"Unauthorized\n"), (path, headers))
        for headers in ({"Authorization": "Bearer x.y.z"}, {"Authorization": token}):
            answer = self.weir.request("POST", "/publisher/publish", b'{"name":"upper","argument":"a"}', headers)
            self.assertEqual(answer.status, 401, headers)
        self.weir.ctrlctl("user", "add", "caller", "--role", "invoker", stdin="a password\n")
        caller = self.ask("POST", "/auth/login", {"username": "caller", "password": "a password"}).json()["token"]
        self.assertEqual(self.ask("POST", "/registry/register", body, caller).status, 403)
        self.assertEqual(self.ask("POST", "/publisher/publish", {"name": "upper", "argument": "a"}, caller).status, 200)
        self.weir.ctrlctl("user", "rm", "caller")
        self.assertEqual(self.ask("GET", "/registry/list", None, caller).status, 401)
        # A namespace that is somebody's is nobody else's to take.
        for name in ("default", "simon", "weir.system"):
            self.assertIn(self.ask("POST", "/auth/register", {"username": name, "password": "a password"}).status, (400, 409))

    def test_garbage(self):
        token = self.user("garbage")
        before = self.weir.pid_of("weir-ctrld")
        bodies = [b"{", b"[]", b"7", b"", b"{}", b'{"name":1}', b'{"name":""}', b'{"name":"\xff"}', b"[" * 100000,
                  b'{"name":"a","name":"b"}', b'{"name":null,"payload":[]}', b'{"username":1,"password":2}',
                  b'{"username":"a/b","password":"p"}', b'{"username":"a","password":""}', b'{"username":"' + b"u" * 70000 + b'"}',
                  b'{"name":"' + b"n" * 64 + b'","payload":"x","argument":"x"}', b'{"name":"a","payload":"a b"}',
                  b'{"name":"a","payload":"x","description":7}', b'{"name":"a","argument":7}', b'{"name":"../../x","payload":"x"}']
        for method, path in (("POST", "/auth/register"), ("POST", "/auth/login"), ("POST", "/registry/register"),
                             ("GET", "/registry/retrieve"), ("DELETE", "/registry/delete"), ("PUT", "/registry/update"),
                             ("POST", "/publisher/publish")):
            for body in bodies:
                answer = self.ask(method, path, body, token)
                told = (method, path, body[:60], answer)
                self.assertIn(answer.status, (204, 400, 401, 404, 413, 429, 500) if "publish" in path or "delete" in path
                              else (400, 401, 404, 413, 429), told)
                if answer.status == 400 and "x-weir-error" not in answer.headers:
                    self.fail(told)
        self.assertEqual(self.ask("GET", "/registry/list", None, token).json(), [])
        self.assertEqual(self.weir.pid_of("weir-ctrld"), before)
        self.assertEqual(self.weir.status()["metrics"]["workers_died"], 0)

    def test_guesses_are_slowed_down(self):
        with Instance() as weir:  # where all names together are counted
            guess = json.dumps({"username": "guessed", "password": "wrong"}).encode()
            answers = [weir.request("POST", "/auth/login", guess) for _ in range(25)]
            self.assertEqual({answer.status for answer in answers}, {401, 429})
            slow = next(answer for answer in answers if answer.status == 429)
            self.assertGreaterEqual(int(slow.headers["retry-after"]), 1)

    def test_calls_go_on_while_ctrld_is_away(self):
        token = self.user("stay")
        self.ask("POST", "/registry/register", {"name": "stays", "payload": "docker-image-reference"}, token)
        for sent in (None, token):
            self.assertEqual(self.ask("POST", "/publisher/publish", {"name": "stays", "argument": "a"}, sent).body, b"A\n")
        ctrld = self.weir.pid_of("weir-ctrld")
        os.kill(ctrld, signal.SIGSTOP)
        os.kill(ctrld, signal.SIGKILL)
        for count in range(100):
            answer = self.ask("POST", "/publisher/publish", {"name": "stays", "argument": f"a{count}"}, (None, token)[count % 2])
            self.assertEqual((answer.status, answer.body), (200, f"A{count}\n".encode()))
        wait_until(lambda: self.ask("GET", "/registry/list", None, token).status == 200, "ctrld is back")

    def test_nobody_sees_a_password(self):
        self.user("hidden")
        self.ask("POST", "/auth/login", {"username": "hidden", "password": "correct horse"})
        text = self.weir.log() + self.weir.ctrlctl("call", "list", "-o", "json").stdout
        self.assertNotIn("a password", text)
        self.assertNotIn("correct horse", text)


if __name__ == "__main__":
    weir_instance.main()
