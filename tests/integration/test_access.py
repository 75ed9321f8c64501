#!/usr/bin/env python3
# labels: integration
# timeout: 300
"""Who may: every endpoint of the management API and of the dialects, with every kind of credentials, in both modes.

The endpoints come from the instance (GET /weir/endpoints). What each takes stands here, so that one that is added
without a row fails; and so does a row that no endpoint has."""

import base64
import http.client
import json
import socket
import time

import weir_instance
from weir_instance import Instance

# Role, and whose namespace it must be: "there" (of the path), "named" (in the body), "default", or none.
API = {
    "GET /weir/functions": ("invoker", None),
    "POST /weir/functions": ("developer", "named"),
    "GET /weir/functions/*/*": ("invoker", "there"),
    "PATCH /weir/functions/*/*": ("developer", "there"),
    "DELETE /weir/functions/*/*": ("developer", "there"),
    "POST /weir/functions/*/*/deploy": ("developer", "there"),
    "GET /weir/functions/*/*/code": ("developer", "there"),
    "GET /weir/functions/*/*/versions": ("developer", "there"),
    "POST /weir/functions/*/*/rollback": ("developer", "there"),
    "PATCH /weir/functions/*/*/scale": ("developer", "there"),
    "GET /weir/functions/*/*/workers": ("invoker", "there"),
    "GET /weir/functions/*/*/environment": ("developer", "there"),
    "PATCH /weir/functions/*/*/environment": ("developer", "there"),
    "GET /weir/code/*": ("developer", None),
    "POST /weir/code": ("developer", None),
    "GET /weir/backup": ("admin", None),
    "POST /weir/restore": ("admin", None),
    "GET /weir/functions/*/*/logs": ("developer", "there"),
    "GET /weir/activations/*/logs": ("invoker", None),
    "GET /weir/activations/*/answer": ("invoker", None),
    "GET /weir/activations": ("invoker", None),
    "GET /weir/activations/*": ("invoker", None),
    "GET /weir/routes": ("admin", None),
    "POST /weir/routes": ("admin", None),
    "PATCH /weir/routes": ("admin", None),
    "DELETE /weir/routes": ("admin", None),
    "POST /weir/rows": ("developer", "default"),
    "POST /weir/route-test": ("admin", None),
    "GET /weir/settings": ("admin", None),
    "GET /weir/settings/*": ("admin", None),
    "PUT /weir/settings/*": ("admin", None),
    "DELETE /weir/settings/*": ("admin", None),
    "GET /weir/pools": ("admin", None),
    "PATCH /weir/pools": ("admin", None),
    "GET /weir/image-aliases": ("admin", None),
    "PUT /weir/image-aliases": ("admin", None),
    "DELETE /weir/image-aliases": ("admin", None),
    "GET /weir/users": ("admin", None),
    "POST /weir/users": ("nobody", None),
    "DELETE /weir/users/*": ("admin", None),
    "GET /weir/keys": ("admin", None),
    "POST /weir/keys": ("admin", None),
    "DELETE /weir/keys/*": ("admin", None),
    "POST /weir/login": ("nobody", None),
    "POST /weir/token": ("nobody", None),
    "GET /weir/config": ("admin", None),
    "POST /weir/config": ("admin", None),
    "GET /weir/history": ("admin", None),
    "GET /weir/history/diff": ("admin", None),
    "POST /weir/history/rollback": ("admin", None),
    "GET /weir/status": ("developer", None),
    "GET /weir/check": ("admin", None),
    "GET /weir/endpoints": ("nobody", None),
    "GET /weir/openapi.json": ("nobody", None),
}

# Role; what those get who send nothing, where that is open and where it is required ("in", or 401); whether a key of
# another namespace is refused. OpenWhisk's clients say who they are in any case, and so do Project's registry and validate.
ROUTES = {
    "POST /actions/{name}/create": ("developer", "in", 401, True),
    "POST /actions/{name}/invoke": ("invoker", "in", 401, True),
    "POST /actions/{name}/get": ("developer", "in", 401, True),
    "POST /actions/{name}/update": ("developer", "in", 401, True),
    "POST /actions/{name}/delete": ("developer", "in", 401, True),
    "POST /actions/list": ("invoker", "in", 401, True),
    "GET /ping": ("nobody", "in", "in", True),
    "POST /f/{user}/{function}": ("invoker", "in", 401, True),
    "POST /f/{user}/{function}/": ("invoker", "in", 401, True),
    "PUT /f/{user}/{function}": ("developer", "in", 401, True),
    "PUT /f/{user}/{function}/*": ("developer", "in", 401, True),
    "GET /upload": ("developer", "in", 401, True),
    "POST /upload": ("developer", "in", 401, True),
    "POST /fa/{user}/{function}": ("invoker", "in", 401, True),
    "POST /fa/{user}/{function}/": ("invoker", "in", 401, True),
    "GET /fa/{user}/{function}/{id}": ("invoker", "in", 401, True),
    "GET /f/*": ("nobody", "in", "in", False),
    "GET /fa/*": ("nobody", "in", "in", False),
    "ANY /api/v1/namespaces": ("invoker", 401, 401, False),
    "ANY /api/v1/namespaces/*": ("invoker", 401, 401, True),
    "ANY /v1/create_function": ("developer", "in", 401, True),
    "ANY /v1/update_function": ("developer", "in", 401, True),
    "ANY /v1/delete_function/{function_name}": ("developer", "in", 401, True),
    "ANY /v1/call_function": ("invoker", "in", 401, True),
    "ANY /v1/get_all_functions": ("invoker", "in", 401, True),
    "ANY /v1/get_function_resources/{function_name}": ("invoker", "in", 401, True),
    "ANY /v1/scale_function": ("developer", "in", 401, True),
    "ANY /v1/*": ("nobody", "in", "in", True),
    "POST /auth/register": ("nobody", "in", "in", False),
    "POST /auth/login": ("nobody", "in", "in", False),
    "GET /auth/validate": ("invoker", 401, 401, False),
    "GET /auth/health": ("nobody", "in", "in", False),
    "ANY /auth/*": ("nobody", "in", "in", False),
    "POST /registry/register": ("developer", 401, 401, False),
    "GET /registry/retrieve": ("invoker", 401, 401, False),
    "GET /registry/list": ("invoker", 401, 401, False),
    "DELETE /registry/delete": ("developer", 401, 401, False),
    "PUT /registry/update": ("developer", 401, 401, False),
    "GET /registry/health": ("nobody", "in", "in", False),
    "POST /publisher/publish": ("invoker", "in", 401, False),
    "GET /publisher/health": ("nobody", "in", "in", False),
    "ANY /weir/async": ("admin", "in", 401, False),
    "ANY /weir/async/*": ("invoker", "in", 401, False),
}

STEPS = ["nobody", "invoker", "developer", "admin"]
BODY = {"POST /registry/register": '{"name":"nothing"}', "DELETE /registry/delete": '{"name":"nothing"}',
        "PUT /registry/update": '{"name":"nothing"}'}


def outcome(status):
    return status if status in (401, 403) else "in"


class Access(weir_instance.Case):
    def keys_make(self, weir):
        """The credentials of the matrix: {name: (Authorization, role, namespace)}; role None: good for nothing."""
        def key(*arguments):
            return weir.ctrlctl("key", "add", *arguments).stdout.strip()
        made = {role: (key(role, "--role", role), role, "default") for role in STEPS[1:]}
        made["other"] = (key("other", "--namespace", "other"), "developer", "other")
        made["expired"] = (key("expired", "--role", "admin", "--expires", "1s"), None, None)
        name, _, secret = made["admin"][0].partition(":")
        made["bad"] = (f"{name}:{'A' if secret[0] != 'A' else 'B'}{secret[1:]}", None, None)
        made["unknown"] = (f"00000000-0000-4000-8000-000000000000:{secret}", None, None)
        time.sleep(2)
        bearer = {name: (f"Bearer {text}", role, space) for name, (text, role, space) in made.items()}
        bearer["basic"] = ("Basic " + base64.b64encode(made["developer"][0].encode()).decode(), "developer", "default")
        return bearer

    def api(self, weir, method, path, credentials, body):
        head = f"{method} {path} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n"
        head += f"Authorization: {credentials}\r\n" if credentials is not None else ""
        head += f"Content-Length: {len(body)}\r\n" if body is not None else ""
        with socket.socket(socket.AF_UNIX) as connection:  # in one piece: an early answer may close it
            connection.settimeout(30)
            connection.connect(str(weir.data / "run" / "api.sock"))
            connection.sendall(f"{head}\r\n{body or ''}".encode())
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status, answer.read()

    def test_every_endpoint_of_the_api_with_every_key(self):
        with Instance() as weir:
            told = json.loads(self.api(weir, "GET", "/weir/endpoints", None, None)[1])
            endpoints = {f"{row['method']} {row['path']}": row["role"] for row in told["endpoints"]}
            self.assertEqual({name: row[0] for name, row in API.items()}, endpoints, "an endpoint has no row here, or another role")
            for name, (needed, where) in API.items():
                method, path = name.split(" ")
                path = path.replace("*", "default", 1).replace("*", "nothing")
                body = None if method == "GET" else '{"namespace":"default","name":7}'
                self.assertEqual(outcome(self.api(weir, method, path, None, body)[0]), "in", name)  # peer credentials
                for who, (credentials, role, space) in self.keys_of(weir).items():
                    expected = "in"
                    if role is None:
                        expected = 401
                    elif STEPS.index(role) < STEPS.index(needed) or (where is not None and role != "admin" and space != "default"):
                        expected = 403
                    status, text = self.api(weir, method, path, credentials, body)
                    self.assertEqual(outcome(status), expected, f"{name} as {who}: {status} {text[:200]}")

    def keys_of(self, weir):
        if not hasattr(weir, "keys_made"):
            weir.keys_made = self.keys_make(weir)
        return weir.keys_made

    def test_every_route_of_the_dialects_with_every_key_open_and_required(self):
        with Instance() as weir:
            told = json.loads(self.api(weir, "GET", "/weir/endpoints", None, None)[1])
            routes = [row["route"] for row in told["routes"]]
            self.assertEqual(sorted(ROUTES), sorted(routes), "a route of a dialect has no row here")
            for mode in ("open", "required"):
                weir.ctrlctl("config", "set", "auth", mode)
                for name in routes:
                    self.route_check(weir, mode, name)

    def route_check(self, weir, mode, name):
        needed, when_open, when_required, is_bound = ROUTES[name]
        method, pattern = name.split(" ")
        method = "GET" if method == "ANY" else method
        path = pattern.replace("{user}", "default").replace("{function}", "nothing").replace("{name}", "nothing")
        path = path.replace("{function_name}", "nothing").replace("{id}", "0" * 32).replace("*", "default/actions" if "/api/" in pattern else "x")
        body = BODY.get(name, "{}")
        status = weir.request(method, path, body).status
        self.assertEqual(outcome(status), when_open if mode == "open" else when_required, f"{mode}: {name} with nothing: {status}")
        for who, (credentials, role, space) in self.keys_of(weir).items():
            expected = "in"
            if role is None:
                expected = 401
            elif STEPS.index(role) < STEPS.index(needed) or (is_bound and space != "default" and role != "admin"):
                expected = 403
            answer = weir.request(method, path, body, {"Authorization": credentials})
            self.assertEqual(outcome(answer.status), expected, f"{mode}: {name} as {who}: {answer.status} {answer.body[:200]}")

    def test_routes_of_users_ask_as_they_are_told(self):
        with Instance(samples=True) as weir:
            keys = self.keys_of(weir)
            get = lambda path, credentials=None: weir.request(
                "GET", path, headers={} if credentials is None else {"Authorization": credentials})
            weir.ctrlctl("route", "add", "GET /as-set", "--fn", "hello")
            weir.ctrlctl("route", "add", "GET /open", "--fn", "hello", "--auth", "open")
            weir.ctrlctl("route", "add", "GET /closed", "--fn", "hello", "--auth", "required")
            for mode, of_set in (("open", 200), ("required", 401)):
                weir.ctrlctl("config", "set", "auth", mode)
                self.assertEqual([get(path).status for path in ("/as-set", "/open", "/closed")], [of_set, 200, 401])
                for path in ("/as-set", "/open", "/closed"):  # a key that is sent is checked, everywhere
                    for who, expected in (("invoker", 200), ("basic", 200), ("admin", 200), ("other", 403), ("expired", 401),
                                          ("bad", 401), ("unknown", 401)):
                        self.assertEqual(get(path, keys[who][0]).status, expected, f"{mode} {path} {who}")
                # What is none of Weir's is the function's own business, where it is open.
                self.assertEqual(get("/open", "Bearer it.is.mine").status, 200)
                self.assertEqual(get("/closed", "Bearer it.is.mine").status, 401)
            refused = get("/closed")
            self.assertIn("Bearer", refused.headers["www-authenticate"])
            self.assertEqual(json.loads(refused.body)["code"], "unauthorized")
            self.assertIn('"/closed"', json.dumps([row["route"].split()[1] for row in json.loads(
                weir.ctrlctl("route", "list", "-o", "json").stdout) if row["auth"] == "required"]))
            weir.ctrlctl("route", "update", "GET /closed", "--auth", "as-set")
            weir.ctrlctl("config", "set", "auth", "open")
            self.assertEqual(get("/closed").status, 200)
            weir.ctrlctl("key", "rm", "invoker")  # and from then on it is refused
            self.assertEqual(get("/open", keys["invoker"][0]).status, 401)

    def test_who_registers_takes_nothing_of_others(self):
        with Instance() as weir:
            def register(name):
                answer = weir.request("POST", "/auth/register", json.dumps({"username": name, "password": "a password"}))
                return answer.status, answer.body
            weir.ctrlctl("key", "add", "shop", "--namespace", "shop")
            self.assertEqual(register("shop")[0], 409)
            self.assertEqual(register("whisk.system")[0], 400)
            self.assertEqual(register("somebody")[0], 200)
            weir.ctrlctl("config", "set", "auth", "required")
            status, body = register("another")
            self.assertEqual(status, 403, body)
            self.assertIn(b"ctrlctl user add", body)

    def test_asynchronous_calls_are_of_their_namespace(self):
        with Instance(samples=True) as weir:
            keys = {who: {"Authorization": row[0]} for who, row in self.keys_of(weir).items()}
            accepted = weir.request("POST", "/weir/async/default/hello", "{}", keys["invoker"])
            self.assertEqual(accepted.status, 202, accepted)
            path = "/weir/async/" + accepted.json()["activation"]
            self.assertEqual(weir.request("POST", "/weir/async/default/hello", "{}", keys["other"]).status, 403)
            for method, target in (("GET", path), ("GET", path + "/result"), ("POST", path + "?new=1"), ("DELETE", path)):
                self.assertEqual(weir.request(method, target, None, keys["other"]).status, 404, (method, target))
            self.assertEqual(weir.request("GET", path, None, keys["invoker"]).status, 200)
            self.assertEqual(weir.request("GET", path, None, keys["admin"]).status, 200)

    def test_history_says_whose_key_changed_what_from_where(self):
        with Instance() as weir:
            keys = self.keys_of(weir)
            body = {"function_name": "made", "image_url": "registry.example/made:1", "resources": []}
            for who, name in ((None, "anybody"), ("developer", "key developer")):
                headers = {} if who is None else {"Authorization": keys[who][0]}
                answer = weir.request("POST", "/v1/create_function", json.dumps({**body, "function_name": "made" + str(who)}), headers)
                self.assertEqual(answer.status, 200, answer)
                line = json.loads(weir.ctrlctl("config", "history", "--limit", "1", "-o", "json").stdout)[0]
                self.assertEqual((line["who"], line["from"]), (name, "spike 127.0.0.1"), line)

    def test_a_key_is_shown_once_and_kept_nowhere(self):
        with Instance() as weir:
            key = weir.ctrlctl("key", "add", "ci", "--role", "invoker", "--expires", "90d").stdout.strip()
            self.assertRegex(key, r"\A[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}:[A-Za-z0-9_-]{43}\Z")
            row = json.loads(weir.ctrlctl("key", "list", "-o", "json").stdout)[0]
            self.assertEqual(sorted(row), ["created", "expires", "id", "name", "namespace", "role"])
            self.assertEqual(row["expires"] - row["created"], 90 * 86400)
            self.assertRegex(weir.ctrlctl("key", "list").stdout, r"(?m)^ci +default +invoker +[0-9a-f-]{36} +\d{4}-")
            secret = key.partition(":")[2].encode()
            weir.ctrlctl("config", "history")
            for path in weir.data.rglob("*"):
                if path.is_file() and not path.is_socket():
                    self.assertNotIn(secret, path.read_bytes(), path)
            self.assertNotIn(secret.decode(), weir.log())
            for arguments, code in ((("ci",), 6), (("a/b",), 7), (("x", "--role", "king"), 7), (("x", "--expires", "soon"), 7),
                                    (("x", "--namespace", "weir.system"), 7)):
                self.assertEqual(weir.ctrlctl("key", "add", *arguments, check=False).returncode, code, arguments)
            self.assertEqual(weir.ctrlctl("key", "rm", "nobody", check=False).returncode, 5)
            weir.ctrlctl("key", "rm", row["id"])

    def test_an_address_that_others_reach_is_not_opened_by_mistake(self):
        port = weir_instance.port_free()
        for extra, starts in (((), False), (("--auth", "required"), True), ((), True), (("--auth", "open-to-everyone"), True)):
            weir = getattr(self, "weir", None) or Instance(listen=[f"0.0.0.0:{port}"])
            self.weir, weir.extra = weir, list(extra)
            try:
                if not starts:
                    with self.assertRaises(AssertionError):
                        weir.start()
                    self.assertIn("--auth open-to-everyone", weir.log())
                    weir.keeper = None
                    continue
                weir.start()
                status = weir.request("GET", "/v1/get_all_functions").status
                self.assertEqual(status, 200 if extra == ("--auth", "open-to-everyone") else 401, extra)
                refused = weir.ctrlctl("config", "set", "auth", "open", check=False)
                self.assertEqual(refused.returncode == 0, extra == ("--auth", "open-to-everyone"), refused)
                weir.stop()
            finally:
                weir.kill_everything()
        weir.remove()


if __name__ == "__main__":
    weir_instance.main()
