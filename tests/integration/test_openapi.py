#!/usr/bin/env python3
# labels: integration
# timeout: 240
"""GET /weir/openapi.json against the live server: each path and method that it names is there and none else is,
answers have the members that it names, and each body that it rules out is refused."""

import json
import re

import weir_instance
from test_api_bodies import FILES, PLACES, SOUND, Api
from weir_instance import SAMPLES, Instance

METHODS = ("get", "post", "put", "patch", "delete")
TYPES = {"string": str, "number": (int, float), "integer": int, "boolean": bool, "array": list, "object": dict}
# What stands for the path's parameters where an endpoint changes or reads what is there.
QUERIES = {("get", "/weir/history/diff"): "?from=1&to=2", ("delete", "/weir/routes"): "?route=GET%20/new",
           ("delete", "/weir/image-aliases"): "?image=registry.example/x:1"}


class OpenApi(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        cls.weir = cls.enterClassContext(Instance())
        cls.api = Api(cls.weir)
        cls.addClassCleanup(lambda: cls.api.connection and cls.api.connection.close())
        cls.weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "hello.so")
        cls.weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "hello.so", "--timeout", "9s")
        cls.weir.ctrlctl("route", "add", "GET /hello", "--fn", "hello")
        cls.weir.ctrlctl("user", "add", "simon", stdin="a password\n")
        _, login = cls.api("POST", "/weir/login", json.dumps(SOUND["POST", "/weir/login"]).encode())
        cls.code = json.loads(cls.weir.ctrlctl("fn", "get", "hello", "-o", "json").stdout)["code"]
        cls.activation = cls.weir.request("GET", "/hello").headers["x-openwhisk-activation-id"]
        text = json.dumps([[*key, body] for key, body in SOUND.items()]).replace("FILE", str(SAMPLES / "native" / "hello.so"))
        text = text.replace("CODE", cls.code).replace("TOKEN", login["token"])
        cls.sound = {(method, path): body for method, path, body in json.loads(text)}
        status, cls.document = cls.api("GET", "/weir/openapi.json")
        assert status == 200, cls.document

    def operations(self):
        """(method, path, operation) of the management API."""
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item and "tags" not in item[method]:
                    yield method, path, item[method]

    @staticmethod
    def stars(path):
        return re.sub(r"\{[^}]*\}", "*", path)

    def target(self, path):
        path = self.stars(path)
        for prefix, names in PLACES.items():
            names = {"/weir/activations/": (self.activation,), "/weir/code/": (self.code,)}.get(prefix, names)
            if path.startswith(prefix):
                for name in names:
                    path = path.replace("*", name, 1)
        self.assertNotIn("*", path, "test_api_bodies.PLACES lacks a name for it")
        return path

    def test_it_is_a_sound_document(self):
        self.assertEqual(self.document["openapi"][:2], "3.")
        self.assertEqual(sorted(self.document["info"]), ["title", "version"])
        self.assertIn("error", self.document["components"]["responses"])
        for path, item in self.document["paths"].items():
            named = re.findall(r"\{([^}]*)\}", path)
            self.assertEqual(len(named), len(set(named)), path)
            for method in set(item) & set(METHODS):
                told = [one["name"] for one in item[method]["parameters"] if one["in"] == "path"]
                self.assertEqual(told, named, path)
                self.assertTrue(all(one["required"] for one in item[method]["parameters"] if one["in"] == "path"), path)
                self.assertIn("default", item[method]["responses"])
            self.assertNotIn("*", path)

    def test_every_endpoint_is_named_and_answers(self):
        table = {(one["method"], one["path"]) for one in self.api("GET", "/weir/endpoints")[1]["endpoints"]}
        named = {(method.upper(), self.stars(path)) for method, path, _ in self.operations()}
        self.assertEqual(named, table)
        for path in {path for _, path in table}:
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                if (method, path) not in table:
                    status, answer = self.api(method, self.target(path), b"")
                    self.assertEqual((status, answer["code"]), (405, "method_not_allowed"), (method, path))

    def test_every_path_of_a_dialect_is_named_and_answers(self):
        routes = {(item[method]["tags"][0], method, path) for path, item in self.document["paths"].items()
                  for method in set(item) & set(METHODS) if "tags" in item[method]}
        self.assertGreaterEqual({dialect for dialect, _, _ in routes},
                                {"vespid", "faasm", "openwhisk", "spike", "upload", "project"})
        for dialect, method, path in sorted(routes):
            target = re.sub(r"\{[^}]*\}", "nobody", path)
            answer = self.weir.request(method.upper(), target, b"{}" if method in ("post", "put") else None)
            self.assertNotEqual(answer.body, b'{"error":"Function not found"}', (dialect, method, path))
            self.assertLess(answer.status, 502, (dialect, method, path, answer))  # it was served by who serves it

    def test_answers_have_the_members_that_it_names(self):
        # What is there is read before it is changed; functions go when their routes are gone.
        order = sorted(self.operations(), key=lambda one: (("get", "post", "put", "patch", "delete").index(one[0]),
                                                           one[1].startswith("/weir/functions/")))
        self.weir.ctrlctl("backup", self.weir.home / "backup")
        for method, path, operation in order:
            key = (method.upper(), self.stars(path))
            content = operation["responses"]["2XX"]["content"]
            if key in FILES or "application/json" not in content:
                continue
            body = json.dumps(self.sound[key]).encode() if key in self.sound else b""
            status, answer = self.api(key[0], self.target(path) + QUERIES.get((method, path), ""), body)
            if status >= 400:
                self.assertIn(key, {("GET", "/weir/activations/*/logs"), ("GET", "/weir/activations/*/answer"),
                                    ("DELETE", "/weir/functions/*/*")}, answer)  # nothing was printed; it has a route
                schema = self.document["components"]["responses"]["error"]["content"]["application/json"]["schema"]
            else:
                schema = content["application/json"]["schema"]
            self.check(key, answer, schema)
            if key == ("DELETE", "/weir/functions/*/*"):
                self.weir.ctrlctl("route", "rm", "GET /hello")
                self.weir.ctrlctl("route", "rm", "GET /new", check=False)
                status, answer = self.api(key[0], self.target(path))
                self.assertEqual(status, 200, answer)
                self.check(key, answer, content["application/json"]["schema"])

        for key, file in ((("POST", "/weir/code"), SAMPLES / "native" / "echo.so"), (("POST", "/weir/restore"), self.weir.home / "backup")):
            schema = self.document["paths"][key[1]]["post"]["responses"]["2XX"]["content"]["application/json"]["schema"]
            for query in ("?name=echo.so",) if key[1] == "/weir/code" else ("?dry-run=1", ""):
                said = self.weir.curl("--fail-with-body", "--unix-socket", self.weir.data / "run" / "api.sock", "--data-binary",
                                      f"@{file}", f"http://weir{key[1]}{query}").stdout
                self.check((*key, query), json.loads(said), schema)

    def check(self, key, answer, schema):
        told = (key, answer)
        self.assertEqual(set(schema.get("required", [])) - set(answer), set(), told)
        self.assertEqual(set(answer) - set(schema["properties"]), set(), told)
        for name, value in answer.items():
            kind = schema["properties"][name].get("type")
            if kind is not None:
                self.assertIsInstance(value, TYPES[kind], (name, told))
                self.assertEqual(isinstance(value, bool), kind == "boolean", (name, told))

    def test_ctrlctl_shows_it(self):
        self.assertEqual(json.loads(self.weir.ctrlctl("api", "-o", "json").stdout), self.document)
        table = self.weir.ctrlctl("api").stdout
        self.assertIn("/weir/functions/{namespace}/{name}/deploy", table)
        self.assertIn("deploy function", table)
        for foreign in ("/v1/", "/weir/async/"):
            self.assertNotIn(foreign, table)


if __name__ == "__main__":
    weir_instance.main()
