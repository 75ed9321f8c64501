#!/usr/bin/env python3
# labels: integration
# timeout: 240
"""One set of functions behind all doors: what is made through any of them is called through every other.

Each maker leaves a function that answers with the JSON object that it gets; each caller sends an object in its dialect
and brings back what it was answered. A door is a method pair make_NAME and call_NAME: a new one is in the table by that."""

import base64
import json
import subprocess

import weir_instance
from weir_instance import BIN, BUILD, SAMPLES, Instance

DOORS = ("weir", "spike", "faasm", "project", "upload", "vespid", "openwhisk")
NEEDS = {"faasm": ("wasm",), "upload": ("php",), "vespid": ("js", "node"), "openwhisk": ("js", "node")}  # one of them
IMAGE = "fliuzzi02/custom-echo-image:latest"  # as the FaaS Project's README calls one that echoes
BASIC = {"Authorization": "Basic " + base64.b64encode(b"uuid:key").decode()}


class Dialects(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        cls.weir = cls.enterClassContext(Instance(samples=True))

    def ask(self, method, path, body=None, headers=(), status=(200,)):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.weir.request(method, path, data, dict(headers))
        self.assertIn(answer.status, status, answer)
        return answer

    # Each makes a function, and returns where it is: namespace and name.

    def make_weir(self, name):
        self.weir.ctrlctl("fn", "add", f"own/{name}", "--runtime", "native", "--file", SAMPLES / "native" / "echo.so")
        return "own", name

    def make_spike(self, name):
        self.ask("POST", "/v1/create_function", {"function_name": name, "image_url": IMAGE})
        return "default", name

    def make_faasm(self, name):
        self.ask("PUT", f"/f/simon/{name}", (BUILD / "lib/weir/samples/seed/echo.wasm").read_bytes())
        return "simon", name

    def make_project(self, name):
        user = {"username": "pat", "password": "a password"}
        self.ask("POST", "/auth/register", user)
        token = self.ask("POST", "/auth/login", user).json()["token"]
        self.ask("POST", "/registry/register", {"name": name, "payload": IMAGE}, {"Authorization": f"Bearer {token}"}, (201,))
        return "pat", name

    def make_upload(self, name):
        home = self.weir.home
        (home / f"{name}.php").write_text("<?php echo file_get_contents('php://stdin');")
        (home / f"{name}.json").write_text('{"runtime": "php"}')
        done = subprocess.run(["curl", "-sS", "-F", f"code=@{home}/{name}.php", "-F", f"descriptor=@{home}/{name}.json",
                               self.weir.url("/upload")], capture_output=True, text=True, timeout=60, check=True)
        return "default", json.loads(done.stdout)["uri"].rpartition("/")[2]

    def make_vespid(self, name):
        code = "function %s(arg) { return JSON.stringify(arg); }" % name
        self.ask("POST", f"/actions/{name}/create", {"vcode": code, "runtime": "js"})
        return "default", name

    def make_openwhisk(self, name):
        self.ask("PUT", f"/api/v1/namespaces/guest/actions/{name}",
                 {"exec": {"kind": "nodejs:default", "code": "function main(params) { return params; }"}}, BASIC)
        return "guest", name

    # Each calls a function with an object, and returns what that answered.

    def call_weir(self, space, name, given):
        return json.loads(self.weir.ctrlctl("fn", "invoke", f"{space}/{name}", "-d", json.dumps(given)).stdout)

    def call_spike(self, space, name, given):
        wanted = name if space == "default" else f"{space}/{name}"
        answer = self.ask("POST", "/v1/call_function", {"function_name": wanted, "payload": json.dumps(given)}).json()
        self.assertEqual(answer["errorCode"], 0)
        return json.loads(answer["payload"])

    def call_faasm(self, space, name, given):
        return self.ask("POST", f"/f/{space}/{name}", given).json()

    def call_project(self, space, name, given):  # by the name alone: only one has it
        return self.ask("POST", "/publisher/publish", {"name": name, "argument": json.dumps(given)}).json()

    def call_upload(self, space, name, given):  # that platform's calls are those of a path
        path = f"/api/{name}"
        if not name.startswith("func_"):
            self.weir.ctrlctl("route", "add", f"POST {path}", "--fn", f"{space}/{name}")
        return self.ask("POST", path, given).json()

    def call_vespid(self, space, name, given):
        wanted = name if space == "default" else f"{space}%2F{name}"
        return json.loads(self.ask("POST", f"/actions/{wanted}/invoke", {"vargs": given}).json()["result"])

    def call_openwhisk(self, space, name, given):
        return self.ask("POST", f"/api/v1/namespaces/{space}/actions/{name}?blocking=true&result=true", given, BASIC).json()

    def test_what_one_door_made_every_other_calls(self):
        here = [door for door in DOORS if door not in NEEDS or any((BIN / f"weir-worker-{one}").exists() for one in NEEDS[door])]
        made = {door: getattr(self, f"make_{door}")(f"made_by_{door}") for door in here}
        for maker, (space, name) in made.items():
            for caller in DOORS:
                with self.subTest(made=maker, called=caller):
                    given = {"made": maker, "called": caller, "text": "\u00e4\u20ac\\\"\n", "n": [1, -2.5, None, True, {}]}
                    self.assertEqual(getattr(self, f"call_{caller}")(space, name, given), given)
        self.skip_rest(here)

    def skip_rest(self, here):
        """What could not be made is said."""
        if len(here) < len(DOORS):
            self.skipTest(f"not made, since their runtimes are not built: {sorted(set(DOORS) - set(here))}")

    def test_a_function_that_is_not_there_is_missing_behind_every_door(self):
        for caller, status in (("spike", 500), ("faasm", 500), ("vespid", 500), ("openwhisk", 404)):
            for space in ("default", "nobody"):
                path, body = {"spike": ("/v1/call_function", {"function_name": f"{space}/ghost", "payload": "x"}),
                              "faasm": (f"/f/{space}/ghost", {}),
                              "vespid": (f"/actions/{space}%2fghost/invoke", {"vargs": {}}),
                              "openwhisk": (f"/api/v1/namespaces/{space}/actions/ghost?blocking=true", {})}[caller]
                with self.subTest(caller=caller, space=space):
                    self.ask("POST", path, body, BASIC if path.startswith("/api/") else (), (status,))
        # Nobody calls Weir's own functions, whatever the name is made of.
        for name in ("weir.system/vespid", "weir.system%2Fvespid", "/", "/x", "x/", "a/b/c", "%2f", "x%2", "x%00y"):
            self.assertGreaterEqual(self.weir.request("POST", "/v1/call_function", json.dumps(
                {"function_name": name, "payload": ""}).encode()).status, 400, name)
            self.assertGreaterEqual(self.weir.request("POST", f"/actions/{name.replace('/', '%2F')}/invoke",
                                                      b'{"vargs":{}}').status, 400, name)


if __name__ == "__main__":
    weir_instance.main()
