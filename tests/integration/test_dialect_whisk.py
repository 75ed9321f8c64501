#!/usr/bin/env python3
# labels: integration
# timeout: 240
"""OpenWhisk's clients against Weir: what the npm client openwhisk 3.21.9 was seen to send, byte by byte."""

import base64
import io
import json
import os
import signal
import zipfile

import weir_instance
from weir_instance import BIN, BUILD, Instance, wait_until

HEADERS = {
    "Accept": "application/json",
    "User-Agent": "openwhisk-client-js",
    "Authorization": "Basic dXVpZDprZXk=",
}
JSON = {"Content-Type": "application/json; charset=utf-8"}
ROOT = "/api/v1/namespaces"
HELLO = "function main(params) { return { greeting: `Hello, ${params.name || 'you'}!` } }"
NATIVE_HELLO = BUILD / "lib/weir/samples/native/hello.so"


def zip_of(**files):
    """A zip archive as the client sends it: base64."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_json", ".json").replace("_js", ".js"), text)
    return base64.b64encode(out.getvalue()).decode()


class Whisk(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        if not any((BIN / f"weir-worker-{runtime}").exists() for runtime in ("node", "js")):
            raise cls.skipTest(cls, "no runtime for JavaScript is built")
        cls.weir = cls.enterClassContext(Instance(samples=True))
        # Of each call, however fast they come; calls by other doors are none of OpenWhisk's.
        cls.weir.ctrlctl("config", "set", "activation_full_per_s", "10000")
        cls.weir.ctrlctl("config", "set", "activation_kept_per_s", "0")

    def send(self, method, path, body=None, status=200, headers=HEADERS):
        """What the client sends -> the answer's JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answer = self.weir.request(method, ROOT + path, data, {**headers, **(JSON if body is not None else {})})
        self.assertEqual((answer.status, answer.headers["content-type"]), (status, "application/json"), answer)
        self.assertRegex(answer.headers["x-openwhisk-activation-id"], "^[0-9a-f]{32}$")
        return answer.json()

    def error(self, method, path, body, status, **more):
        """The sentence of an error."""
        answer = self.send(method, path, body, status, **more)
        self.assertEqual(sorted(answer), ["code", "error"])
        self.assertRegex(answer["code"], "^[0-9a-f]{32}$")
        return answer["error"]

    def create(self, name, code=HELLO, kind="nodejs:default", space="_", **more):
        self.addCleanup(self.weir.request, "DELETE", f"{ROOT}/{space}/actions/{name}", None, HEADERS)
        return self.send("PUT", f"/{space}/actions/{name}?", {"exec": {"kind": kind, "code": code}, **more})

    def invoke(self, name, body=None, status=200, space="_"):
        return self.send("POST", f"/{space}/actions/{name}?blocking=true", {} if body is None else body, status)

    def result(self, name, body=None, status=200, space="_"):
        return self.send("POST", f"/{space}/actions/{name}?blocking=true&result=true", {} if body is None else body,
                         status)

    def test_the_life_of_an_action(self):
        made = self.create("hello")
        self.assertGreater(made.pop("updated"), 1600000000000)
        self.assertEqual(made, {
            "namespace": "guest", "name": "hello", "version": "0.0.1", "publish": False,
            "exec": {"kind": "nodejs:20", "code": HELLO, "binary": False},
            "annotations": [{"key": "provide-api-key", "value": False}, {"key": "exec", "value": "nodejs:20"}],
            "parameters": [], "limits": {"timeout": 60000, "memory": 256, "logs": 10, "concurrency": 1}})
        self.assertEqual(self.error("PUT", "/_/actions/hello?", {"exec": {"kind": "nodejs:default", "code": "x"}}, 409),
                         "resource already exists")
        self.assertEqual(self.result("hello", {"name": "Ada"}), {"greeting": "Hello, Ada!"})
        changed = HELLO.replace("Hello", "Bye")
        answer = self.send("PUT", "/_/actions/hello?overwrite=true", {"exec": {"kind": "nodejs:default", "code": changed}})
        self.assertEqual((answer["version"], answer["exec"]["code"]), ("0.0.2", changed))
        self.assertEqual(self.result("hello", {"name": "Ada"}), {"greeting": "Bye, Ada!"})
        self.assertEqual(self.send("GET", "/_/actions/hello?")["exec"],
                         {"kind": "nodejs:20", "code": changed, "binary": False})
        self.assertEqual(self.send("GET", "/guest/actions/hello?code=false")["exec"], {"kind": "nodejs:20", "binary": False})
        self.assertEqual(self.send("DELETE", "/_/actions/hello")["exec"]["code"], changed)
        for method in ("GET", "DELETE"):
            self.assertEqual(self.error(method, "/_/actions/hello", None, 404), "The requested resource does not exist.")
        self.assertEqual(self.error("POST", "/_/actions/hello?blocking=true", {}, 404),
                         "The requested resource does not exist.")

    def test_what_a_put_says_is_kept(self):
        made = self.create("kept", kind="nodejs:20", version="0.0.2", annotations=[{"key": "x", "value": 1}],
                           parameters=[{"key": "name", "value": "Grace"}], limits={"timeout": 1000, "memory": 128})
        self.assertEqual(made["version"], "0.0.2")
        self.assertEqual(made["limits"], {"timeout": 1000, "memory": 128, "logs": 10, "concurrency": 1})
        self.assertEqual(made["parameters"], [{"key": "name", "value": "Grace"}])
        self.assertIn({"key": "x", "value": 1}, made["annotations"])
        changed = self.send("PUT", "/_/actions/kept?overwrite=true", {"limits": {"memory": 256, "logs": 1}})
        self.assertEqual(changed["limits"], {"timeout": 1000, "memory": 256, "logs": 1, "concurrency": 1})
        self.assertEqual((changed["version"], changed["parameters"], changed["exec"]["code"]),
                         ("0.0.3", made["parameters"], HELLO))
        self.assertIn({"key": "x", "value": 1}, changed["annotations"])
        told = self.weir.ctrlctl("fn", "get", "guest/kept", "-o", "json").stdout
        self.assertEqual((json.loads(told)["memory_mb"], json.loads(told)["timeout_ms"]), (256, 1000))
        changed = self.send("PUT", "/_/actions/kept?overwrite=true", {"parameters": [], "annotations": []})
        self.assertEqual(changed["parameters"], [])
        self.assertNotIn("x", [pair["key"] for pair in changed["annotations"]])

    def test_bound_parameters_lie_under_those_of_the_call(self):
        self.create("bound", "const main = params => params", parameters=[{"key": "a", "value": 1}, {"key": "b", "value": [2]}])
        self.assertEqual(self.result("bound"), {"a": 1, "b": [2]})
        self.assertEqual(self.result("bound", {"b": 3, "c": {"d": None}}), {"a": 1, "b": 3, "c": {"d": None}})
        answer = self.weir.request("POST", f"{ROOT}/_/actions/bound?blocking=true&result=true", b"", HEADERS)
        self.assertEqual(answer.json(), {"a": 1, "b": [2]})

    def test_an_invocation_tells_of_itself(self):
        self.create("told", "function main(params) { console.log('to the log'); return { x: 1 } }")
        answer = self.invoke("told")
        self.assertRegex(answer.pop("activationId"), "^[0-9a-f]{32}$")
        self.assertLessEqual(answer.pop("start"), answer["end"])
        self.assertGreater(answer.pop("end"), 1600000000000)
        self.assertGreaterEqual(answer.pop("duration"), 0)
        self.assertEqual(answer, {
            "namespace": "guest", "name": "told", "version": "0.0.1", "subject": "guest", "publish": False, "logs": [],
            "annotations": [{"key": "path", "value": "guest/told"}, {"key": "kind", "value": "nodejs:20"}, {
                "key": "limits", "value": {"timeout": 60000, "memory": 256, "logs": 10, "concurrency": 1}}],
            "response": {"result": {"x": 1}, "status": "success", "success": True, "size": 7}})

    def test_what_goes_wrong_in_an_action_is_a_502(self):
        for name, code, status, result in (
                ("app", "function main() { return { error: 'boom' } }", "application error", {"error": "boom"}),
                ("thrown", "function main() { throw new Error('oh no') }", "action developer error", "oh no"),
                ("text", "function main() { return 'text' }", "action developer error", "did not return a dictionary"),
                ("broken", "function main() {", "action developer error", "Initialization has failed"),
                ("none", "function other() { return {} }; function more() {}", "action developer error",
                 "Initialization has failed")):
            with self.subTest(name):
                self.create(name, code)
                response = self.invoke(name, {}, 502)["response"]
                self.assertEqual((response["status"], response["success"]), (status, False), response)
                if isinstance(result, dict):
                    self.assertEqual(response["result"], result)
                else:
                    self.assertIn(result, response["result"]["error"])
                self.assertEqual(self.result(name, {}, 502), response["result"])
        self.create("slow", "function main() { return new Promise(() => setTimeout(() => {}, 60000)) }",
                    limits={"timeout": 200})
        self.assertEqual(self.result("slow", {}, 502), {"error": "The action exceeded its time limits of 200 milliseconds."})
        self.create("void", "function main() {}")
        self.assertEqual(self.result("void"), {})
        self.create("list", "function main() { return [1, 2] }")
        self.assertEqual(self.result("list"), [1, 2])

    def test_calls_that_nobody_waits_for(self):
        self.create("later", "function main(given) { console.log('at last'); return given }", parameters=[
            {"key": "a", "value": 1}])
        for path, body, result in (("later?", {}, {"a": 1}), ("later?blocking=false", {"b": 2}, {"a": 1, "b": 2})):
            told = self.send("POST", f"/_/actions/{path}", body, 202)
            self.assertEqual(list(told), ["activationId"])
            call = told["activationId"]
            wait_until(lambda: self.weir.request("GET", f"{ROOT}/_/activations/{call}", headers=HEADERS).status == 200,
                       "it has run")
            record = wait_until(lambda: (row := self.send("GET", f"/_/activations/{call}"))["logs"] and row, "its log is there")
            self.assertEqual((record["name"], record["activationId"], record["response"]["result"],
                              record["response"]["status"]), ("later", call, result, "success"))
            self.assertTrue(record["logs"][0].endswith("stdout: at last"), record)
            self.assertEqual(self.send("GET", f"/_/activations/{call}/result")["result"], result)
        self.create("fails", "function main() { return { error: 'boom' } }")
        call = self.send("POST", "/_/actions/fails", {}, 202)["activationId"]
        wait_until(lambda: self.weir.request("GET", f"{ROOT}/_/activations/{call}", headers=HEADERS).status == 200, "it has run")
        self.assertEqual(self.send("GET", f"/_/activations/{call}/result")["status"], "application error")
        self.assertEqual(self.error("POST", "/_/actions/ghost", {}, 404), "The requested resource does not exist.")

    def test_kinds(self):
        made = self.create("zipped", zip_of(package_json='{"main": "lib.js"}', lib_js="exports.main = params => params"))
        self.assertEqual(made["exec"], {"kind": "nodejs:20", "binary": True})
        self.assertEqual(self.result("zipped", {"a": 1}), {"a": 1})
        self.create("entry", "function start(params) { return { started: params.a } }")
        self.send("PUT", "/_/actions/entry?overwrite=true", {"exec": {
            "kind": "nodejs:default", "code": "function start(params) { return { started: params.a } }", "main": "start"}})
        self.assertEqual(self.result("entry", {"a": 1}), {"started": 1})
        self.assertEqual(self.send("GET", "/_/actions/entry")["exec"]["main"], "start")
        for kind, concrete, code in (
                ("python:default", "python:3", "def main(params):\n    return {'sum': params['a'] + 1}\n"),
                ("php:8.2", "php:8.2", "<?php function main(array $params): array { return ['sum' => $params['a'] + 1]; }")):
            with self.subTest(kind):
                if not (BIN / f"weir-worker-{kind.partition(':')[0]}").exists():
                    self.skipTest("its runtime is not built")
                name = kind.partition(":")[0]
                self.assertEqual(self.create(name, code, kind)["exec"], {"kind": concrete, "code": code, "binary": False})
                self.assertEqual(self.result(name, {"a": 1}), {"sum": 2})

    def test_the_system_package_is_everybodys(self):
        self.assertEqual(self.result("utils/sort", {"lines": ["b", "a"]}, space="whisk.system"), {"lines": ["a", "b"]})
        self.assertEqual(self.result("utils/echo", {"a": 1}, space="whisk.system"), {"a": 1})
        told = self.send("GET", "/whisk.system/actions/utils/sort")
        self.assertEqual((told["namespace"], told["name"], told["version"]), ("whisk.system/utils", "sort", "0.0.1"))
        self.send("PUT", "/_/actions/sorted", {"exec": {"kind": "sequence", "components": [
            "/whisk.system/utils/echo", "/whisk.system/utils/sort"]}})
        self.addCleanup(self.weir.request, "DELETE", f"{ROOT}/_/actions/sorted", None, HEADERS)
        self.assertEqual(self.result("sorted", {"lines": ["2", "1"]}), {"lines": ["1", "2"]})

    def test_a_sequence_runs_its_components_one_after_the_other(self):
        self.create("first", "function main(p) { return { n: p.n * p.by, seen: ['first'] } }", parameters=[{"key": "by", "value": 10}])
        self.create("box/second", "function main(p) { return { n: p.n + 1, seen: [...p.seen, 'second'] } }", space="other")
        components = ["/_/first", "/other/box/second"]
        made = self.send("PUT", "/_/actions/seq?", {"exec": {"kind": "sequence", "components": components}})
        self.addCleanup(self.weir.request, "DELETE", f"{ROOT}/_/actions/seq", None, HEADERS)
        self.assertEqual(made["exec"], {"kind": "sequence", "binary": False, "components": components})
        self.assertEqual(self.send("GET", "/_/actions/seq")["exec"], made["exec"])
        self.assertEqual(self.result("seq", {"n": 2}), {"n": 21, "seen": ["first", "second"]})
        told = self.invoke("seq", {"n": 3})
        self.assertEqual((told["name"], told["response"]["result"]["n"]), ("seq", 31))
        self.send("PUT", "/_/actions/more?", {"exec": {"kind": "sequence", "components": ["/_/seq", "other/box/second"]},
                                              "parameters": [{"key": "n", "value": 5}]})
        self.addCleanup(self.weir.request, "DELETE", f"{ROOT}/_/actions/more", None, HEADERS)
        self.assertEqual(self.result("more")["n"], 52)
        changed = self.send("PUT", "/_/actions/more?overwrite=true", {"limits": {"memory": 128}})
        self.assertEqual(changed["exec"]["components"], ["/_/seq", "other/box/second"])

    def test_a_sequence_ends_where_something_is_wrong(self):
        self.create("good", "const main = p => p")
        self.create("fails", "function main(p) { return { error: 'stop', n: p.n } }")
        self.create("lists", "function main() { return [1] }")
        for name, components in (("s1", ["/_/good", "/_/fails", "/_/good"]), ("s2", ["/_/lists", "/_/good"]),
                                 ("s3", ["/_/good", "/_/lists"]), ("loop", ["/_/good"])):
            self.send("PUT", f"/_/actions/{name}", {"exec": {"kind": "sequence", "components": components}})
            self.addCleanup(self.weir.request, "DELETE", f"{ROOT}/_/actions/{name}", None, HEADERS)
        self.assertEqual(self.result("s1", {"n": 1}, 502), {"error": "stop", "n": 1})
        self.assertIn("did not return a dictionary", self.result("s2", {}, 502)["error"])
        self.assertEqual(self.result("s3"), [1])
        self.send("PUT", "/_/actions/loop?overwrite=true", {"exec": {"kind": "sequence", "components": ["/_/loop", "/_/good"]}})
        self.assertIn("Too many actions", self.result("loop", {}, 502)["error"])
        for components, wanted in ((["/_/nobody"], "Sequence component does not exist."), ([], "No component"),
                                   (None, "No component"), ([3], "must be a list of names"), (["good"], "is none of an action"),
                                   (["/_/good"] * 51, "Too many actions")):
            self.assertIn(wanted, self.error("PUT", "/_/actions/bad", {"exec": {"kind": "sequence", "components": components}}, 400))
        self.send("DELETE", "/_/actions/good")
        wait_until(lambda: self.weir.request("POST", f"{ROOT}/_/actions/s1?blocking=true", b"{}", HEADERS).status == 404,
                   "it is known that a component is gone")

    def test_a_sequence_can_be_called_by_other_doors(self):
        self.create("one", "function main(p) { return { n: p.n + 1 } }", space="default")
        self.create("both", "function main(p) { return { n: p.n * 2 } }", space="default")
        self.send("PUT", "/default/actions/chained", {"exec": {"kind": "sequence", "components": ["/default/one", "/default/both"]}})
        self.addCleanup(self.weir.request, "DELETE", f"{ROOT}/default/actions/chained", None, HEADERS)
        self.assertEqual(json.loads(self.weir.ctrlctl("fn", "invoke", "chained", "-d", '{"n": 1}').stdout), {"n": 4})

    def test_what_is_wrong_says_what(self):
        good = {"exec": {"kind": "nodejs:default", "code": HELLO}}
        for path, body, status, wanted in (
                ("bad", {}, 400, "exec undefined"),
                ("bad", {"exec": {"kind": "cobol:1", "code": "x"}}, 400,
                 "The specified runtime 'cobol:1' is not supported by this platform. Valid values are: "),
                ("bad", {"exec": {"kind": "blackbox", "code": "", "image": "img"}}, 400, "The specified runtime 'blackbox'"),
                ("bad", {"exec": {"kind": "nodejs:", "code": "x"}}, 400, "The specified runtime 'nodejs:'"),
                ("bad", {"exec": {"kind": 3, "code": "x"}}, 400, "'kind' must be a string"),
                ("bad", {"exec": {"kind": "nodejs:20", "code": 3}}, 400, "'code' must be a string"),
                ("bad", {"exec": {"kind": "nodejs:20", "code": "UEsDBA=="}}, 400, "archive"),
                ("bad", {**good, "limits": {"timeout": 99}}, 400,
                 "timeout 99 milliseconds below allowed threshold of 100 milliseconds"),
                ("bad", {**good, "limits": {"timeout": 300001}}, 400, "exceeds allowed threshold of 300000"),
                ("bad", {**good, "limits": {"memory": 513}}, 400, "memory 513 MB exceeds allowed threshold of 512 MB"),
                ("bad", {**good, "limits": {"memory": "x"}}, 400, "memory must be a whole number"),
                ("bad", {**good, "version": "1"}, 400, "version"),
                ("bad", {**good, "annotations": {"a": 1}}, 400, "annotations and parameters are lists"),
                ("bad", {**good, "annotations": [{"a": 1}]}, 400, "annotations and parameters are lists"),
                ("bad", {**good, "parameters": [{"key": 1}]}, 400, "malformed"),
                ("bad", b"{", 400, "The request content was malformed:\n"),
                ("bad", b"[]", 400, "The request content was malformed:\n"),
                ("bad", b'{"exec":"\xff"}', 400, "The request content was malformed:\n"),
                ("bad", b"[" * 100000, 400, "The request content was malformed:\n"),
                ("bad?overwrite=perhaps", good, 400, "'perhaps' is neither true nor false"),
                ("-bad", good, 400, "The name of an action"),
                ("bad%20", good, 400, "The name of an action"),
                ("a/b/c", good, 404, "does not exist"),
                ("x" * 64, good, 400, "up to 63 characters"),
                ("a&b", good, 400, "has no &")):
            self.assertIn(wanted, self.error("PUT", f"/_/actions/{path}", body, status), (path, body))
        self.assertIn("not authorized", self.error("PUT", "/whisk.system/actions/x", good, 403))
        self.assertIn("larger than allowed", self.error("PUT", "/_/actions/bad", {"exec": {
            "kind": "nodejs:20", "code": "x" * (48 * 1048576 + 1)}}, 413))
        self.assertNotIn("bad", [action["name"] for action in self.send("GET", "/_/actions?")])

    def test_wrong_calls_say_what(self):
        self.create("fussy", "const main = params => ({ bytes: JSON.stringify(params).length })")
        for path, body, status, wanted in (
                ("fussy?blocking=true", b"[1]", 400, "The request content was malformed:\n"),
                ("fussy?blocking=true", b"nonsense", 400, "The request content was malformed:\n"),
                ("fussy?blocking=1", {}, 400, "'1' is neither true nor false"),
                ("fussy?blocking=true", {"a": "x" * 1048576}, 413, "Request larger than allowed: ")):
            self.assertIn(wanted, self.error("POST", f"/_/actions/{path}", body, status), (path, status))
        for path in ("_/actions?limit=201", "_/actions?limit=x", "_/actions?skip=-1", "_/actions?count=yes"):
            self.assertIn("malformed", self.error("GET", f"/{path}", None, 400))
        for path in ("_", "_/nothing", "_/packages/x", "_/actions/a/b/c/d"):
            self.error("GET", f"/{path}", None, 404)
        self.assertIn("supported methods: GET", self.error("PUT", "", {}, 405))
        self.assertIn("supported methods: GET, PUT", self.error("PATCH", "/_/actions/fussy", {}, 405))

    def test_credentials(self):
        plain = {name: value for name, value in HEADERS.items() if name != "Authorization"}
        self.assertEqual(self.error("GET", "", None, 401, headers=plain),
                         "The resource requires authentication, which was not supplied with the request")
        for wrong in ("Basic", "Basic !!!", "Basic dXVpZA==", "Bearer dXVpZDprZXk=", "Basic " + "YTpi" * 4096):
            answer = self.error("GET", "", None, 401, headers={**plain, "Authorization": wrong[:8000]})
            self.assertEqual(answer, "The supplied authentication is invalid.")
        self.assertEqual(self.send("GET", "", headers={**plain, "Authorization": "basic dXVpZDprZXk="}), ["guest"])

    def test_lists(self):
        for name in ("one", "two", "three"):
            self.create(name, space="listing")
        names = [action["name"] for action in self.send("GET", "/listing/actions?")]
        self.assertEqual(names, ["three", "two", "one"])
        self.assertEqual([action["name"] for action in self.send("GET", "/listing/actions?skip=1&limit=1")], ["two"])
        self.assertEqual(self.send("GET", "/listing/actions?count=true"), {"actions": 3})
        first = self.send("GET", "/listing/actions?limit=1")[0]
        self.assertEqual(sorted(first), ["annotations", "exec", "limits", "name", "namespace", "publish", "updated", "version"])
        self.assertEqual((first["namespace"], first["exec"]), ("listing", {"binary": False}))
        self.assertEqual(self.send("GET", "/nobody/actions?"), [])
        self.assertEqual(self.send("GET", ""), ["guest"])
        for what in ("packages", "triggers", "rules"):
            self.assertEqual(self.send("GET", f"/_/{what}?"), [])
            self.assertEqual(self.send("GET", f"/_/{what}?count=true"), {what: 0})

    def test_an_action_in_a_package_is_a_function_with_both_names(self):
        made = self.create("tools/greet")
        self.assertEqual((made["namespace"], made["name"]), ("guest/tools", "greet"))
        self.assertEqual(self.result("tools/greet", {"name": "Ada"}), {"greeting": "Hello, Ada!"})
        self.assertIn(("guest/tools", "greet"), [(a["namespace"], a["name"]) for a in self.send("GET", "/_/actions")])
        self.assertIn({"key": "path", "value": "guest/tools/greet"}, self.invoke("tools/greet")["annotations"])
        said = self.weir.ctrlctl("fn", "invoke", "guest/tools.greet", "-d", '{"name": "Bob"}').stdout
        self.assertEqual(json.loads(said), {"greeting": "Hello, Bob!"})
        self.assertEqual(self.send("DELETE", "/_/actions/tools/greet")["name"], "greet")

    def test_functions_of_other_doors_are_actions_and_actions_are_functions(self):
        self.create("shared", space="default")
        self.assertEqual(json.loads(self.weir.ctrlctl("fn", "invoke", "shared", "-d", '{"name": "Eve"}').stdout),
                         {"greeting": "Hello, Eve!"})
        self.weir.ctrlctl("route", "add", "POST /shared", "--fn", "shared")
        self.assertEqual(self.weir.request("POST", "/shared", b'{"name":"Zoe"}').json(), {"greeting": "Hello, Zoe!"})
        self.weir.ctrlctl("route", "rm", "POST /shared")
        said = self.weir.request("POST", "/actions/shared/invoke", b'{"vargs":{"name":"Vi"}}').json()
        self.assertEqual(json.loads(said["result"]), {"greeting": "Hello, Vi!"})
        self.weir.ctrlctl("fn", "add", "greet", "--runtime", "native", "--file", NATIVE_HELLO)
        self.addCleanup(self.weir.ctrlctl, "fn", "rm", "greet")
        told = self.send("GET", "/default/actions/greet")
        self.assertEqual((told["namespace"], told["name"], told["exec"]), ("default", "greet", {"kind": "native", "binary": False}))
        self.assertEqual(list(self.result("greet", {"name": "Ada"}, space="default")), ["message"])
        said = self.weir.request("POST", "/actions/add/create", json.dumps({
            "vcode": "int add(int a, int b){ return a+b; }", "runtime": "c"}).encode()).json()
        self.assertIn("successfully", said["result"])
        self.addCleanup(self.weir.ctrlctl, "fn", "rm", "add")
        self.assertEqual(self.result("add", {"a": 3, "b": 4}, space="default"), {"result": 7})

    def test_activations_are_kept(self):
        self.create("logged", "function main(p) { console.log(`say ${p.n}`); console.error('oh'); return p.bad ? { error: 1 } : {} }",
                    space="acts")
        self.create("box/other", "function main() { throw new Error('x') }", space="acts")
        made = [self.invoke("logged", {"n": n}, space="acts") for n in range(3)]
        failed = [self.invoke("logged", {"n": 3, "bad": True}, 502, space="acts"), self.invoke("box/other", {}, 502, space="acts")]
        path = f"/acts/activations/{made[1]['activationId']}"
        wait_until(lambda: self.send("GET", "/acts/activations?count=true") == {"activations": 5}, "all records are kept")
        told = self.send("GET", path)
        self.assertEqual([line.split(" ", 1)[1] for line in told["logs"]], ["stdout: say 1", "stderr: oh"])
        self.assertRegex(told["logs"][0], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z stdout: say 1$")
        self.assertEqual(self.send("GET", f"{path}/logs"), {"logs": told["logs"]})
        self.assertEqual(self.send("GET", f"{path}/result"), told["response"])
        self.assertEqual(told["response"], made[1]["response"])
        self.assertEqual(self.send("GET", f"/acts/activations/{failed[0]['activationId']}/result"), failed[0]["response"])
        for member in ("activationId", "namespace", "name", "version", "subject", "publish"):
            self.assertEqual(told[member], made[1][member])
        self.assertEqual(told["end"] - told["start"], told["duration"])
        self.assertLess(abs(told["start"] - made[1]["start"]), 60000)
        self.assertEqual([pair["key"] for pair in told["annotations"]][:4], ["path", "kind", "limits", "waitTime"])
        states = [self.send("GET", f"/acts/activations/{one['activationId']}")["response"]["status"] for one in failed]
        self.assertEqual(states, ["application error", "action developer error"])
        ids = [one["activationId"] for one in [*made, *failed]][::-1]
        listed = self.send("GET", "/acts/activations?")
        self.assertEqual([one["activationId"] for one in listed], ids)
        self.assertEqual([one["statusCode"] for one in listed], [2, 1, 0, 0, 0])
        self.assertEqual(listed[0]["annotations"][0], {"key": "path", "value": "acts/box/other"})
        self.assertEqual(sorted(listed[0]), ["activationId", "annotations", "duration", "end", "name", "namespace", "publish",
                                             "start", "statusCode", "version"])
        for query, wanted in (("skip=1&limit=2", ids[1:3]), ("name=logged", ids[1:]), ("name=box/other", ids[:1]),
                              (f"since={told['end'] + 600000}", []), ("upto=1", []), ("since=1&name=logged&limit=1", ids[1:2]),
                              ("skip=5000", [])):
            self.assertEqual([one["activationId"] for one in self.send("GET", f"/acts/activations?{query}")], wanted, query)
        self.assertEqual(self.send("GET", "/acts/activations?count=true&skip=1"), {"activations": 4})
        self.assertIn(told, self.send("GET", "/acts/activations?docs=true"))
        self.assertIn("together", self.error("GET", "/acts/activations?docs=true&count=true", None, 400))
        self.assertIn("malformed", self.error("GET", "/acts/activations?since=yesterday", None, 400))
        self.send("DELETE", "/acts/actions/logged")
        self.assertEqual(self.send("GET", path)["name"], "logged")

    def test_what_was_answered_is_kept(self):
        self.create("say", "const main = p => ({ said: p.text, n: p.text.length })", space="kept")
        for bytes_ in (0, 5, 3000, 60000):  # in one part, and in many
            text = "\u00e4'\"\\" + "x" * bytes_
            made = self.invoke("say", {"text": text}, space="kept")
            self.assertEqual(made["response"]["result"], {"said": text, "n": len(text)})
            self.assertEqual(self.send("GET", f"/kept/activations/{made['activationId']}/result"), made["response"])
        large = self.invoke("say", {"text": "x" * 70000}, space="kept")
        self.assertEqual(large["response"]["result"]["n"], 70000)
        told = wait_until(lambda: self.kept(f"/kept/activations/{large['activationId']}/result"), "its record is there")
        self.assertEqual((told["result"], told["success"]), (None, True))
        self.assertGreater(told["size"], 70000)
        self.assertEqual(self.error("GET", f"/other/activations/{made['activationId']}/result", None, 404),
                         "The requested resource does not exist.")

    def kept(self, path):
        """The JSON of that path; None while there is none."""
        answer = self.weir.request("GET", ROOT + path, None, HEADERS)
        return answer.json() if answer.status == 200 else None

    def test_the_activation_of_a_sequence_names_those_of_its_components(self):
        self.create("inc", "const main = p => { console.log('at', p.n); return { n: p.n + 1 } }", space="chained")
        self.send("PUT", "/chained/actions/twice", {"exec": {"kind": "sequence", "components": ["/chained/inc", "/chained/inc"]}})
        self.addCleanup(self.weir.request, "DELETE", f"{ROOT}/chained/actions/twice", None, HEADERS)
        made = self.invoke("twice", {"n": 1}, space="chained")
        told = self.send("GET", f"/chained/activations/{made['activationId']}")
        self.assertEqual(told, made)
        self.assertEqual((told["name"], told["response"]["result"], len(told["logs"])), ("twice", {"n": 3}, 2))
        parts = [self.send("GET", f"/chained/activations/{part}") for part in told["logs"]]
        self.assertEqual([part["response"]["result"] for part in parts], [{"n": 2}, {"n": 3}])
        self.assertEqual([part["cause"] for part in parts], [made["activationId"]] * 2)
        self.assertEqual([part["logs"][0].split(" ", 1)[1] for part in parts], ["stdout: at 1", "stdout: at 2"])
        self.assertEqual(self.send("GET", f"/chained/activations/{made['activationId']}/logs"), {"logs": told["logs"]})

    def test_calls_do_not_wait_for_who_keeps_their_answers(self):
        self.create("quick", "const main = p => p", space="away")
        self.invoke("quick", {"n": 0}, space="away")
        ctrld = self.weir.pid_of("weir-ctrld")
        os.kill(ctrld, signal.SIGSTOP)
        try:
            # More than its socket holds; soon, since what is known of an action is asked for again after 2 s.
            made = [self.invoke("quick", {"n": n, "pad": "x" * 40000}, space="away") for n in range(20)]
        finally:
            os.kill(ctrld, signal.SIGCONT)
        first = wait_until(lambda: self.kept(f"/away/activations/{made[0]['activationId']}/result"), "the first is kept")
        self.assertEqual(first["result"]["n"], 0)
        wait_until(lambda: self.weir.status()["control"]["output"]["dropped"] > 0, "those that found no room are counted")
        after = self.invoke("quick", {"n": 1}, space="away")
        self.assertEqual(self.send("GET", f"/away/activations/{after['activationId']}/result")["result"], {"n": 1})

    def test_activations_that_are_not_there(self):
        self.create("seen")
        known = self.invoke("seen")["activationId"]
        wait_until(lambda: self.weir.request("GET", f"{ROOT}/_/activations/{known}", None, HEADERS).status == 200,
                   "its record is kept")
        self.assertEqual(self.error("GET", f"/_/activations/{'a' * 32}", None, 404), "The requested resource does not exist.")
        self.assertEqual(self.error("GET", f"/acts/activations/{known}", None, 404), "The requested resource does not exist.")
        for wrong in ("a", "g" * 32, "a" * 33):
            self.assertIn("32 hexadecimal digits", self.error("GET", f"/_/activations/{wrong}/logs", None, 400))
        self.error("GET", f"/_/activations/{known}/else", None, 404)
        self.assertIn("supported methods: GET", self.error("DELETE", f"/_/activations/{known}", None, 405))
        self.assertEqual(self.send("GET", f"/_/activations/{known}/logs"), {"logs": []})

    def test_nobody_gets_what_belongs_to_a_dialect(self):
        self.create("taker")
        refused = self.weir.ctrlctl("route", "add", "GET /api/v1/namespaces/x", "--fn", "guest/taker", check=False)
        self.assertEqual(refused.returncode, 7, refused)
        self.assertIn("openwhisk", refused.stderr)
        self.weir.ctrlctl("route", "add", "POST /api/v1/other", "--fn", "guest/taker")
        self.assertEqual(self.weir.request("POST", "/api/v1/other", b"{}").status, 200)
        self.weir.ctrlctl("route", "rm", "POST /api/v1/other")

    def test_actions_run_while_ctrld_is_away(self):
        self.create("stay", "const main = params => params", parameters=[{"key": "bound", "value": True}])
        self.assertEqual(self.result("stay", {"n": -1}), {"bound": True, "n": -1})
        ctrld = self.weir.pid_of("weir-ctrld")
        os.kill(ctrld, signal.SIGSTOP)
        os.kill(ctrld, signal.SIGKILL)
        for count in range(100):
            self.assertEqual(self.result("stay", {"n": count}), {"bound": True, "n": count})
        wait_until(lambda: self.weir.request("GET", f"{ROOT}/_/actions/stay", None, HEADERS).status == 200, "ctrld is back")


if __name__ == "__main__":
    weir_instance.main()
