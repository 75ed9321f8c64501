#!/usr/bin/env python3
# labels: integration
# timeout: 180
"""Vespid's clients against Weir: what its pages, its command line and its load test send."""

import concurrent.futures
import json
import os
import signal
import sqlite3

import weir_instance
from weir_instance import BUILD, Instance, wait_until

ADD = "int add(int a, int b){ return a+b; }"
HELLO = BUILD / "lib/weir/samples/native/hello.so"
OFF = "function off1(num) { return num.num + 10; };"


class Vespid(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        cls.weir = cls.enterClassContext(Instance())

    def post(self, path, body=None, status=200):
        """A POST as Vespid's client sends it -> the answer's JSON."""
        data = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        answer = self.weir.request("POST", path, data)
        self.assertEqual((answer.status, answer.headers["content-type"]), (status, "application/json"), answer)
        return answer.json()

    def message(self, path, body=None):
        return self.post(path, body, 500)["msg"]

    def create(self, name, code, runtime):
        answer = self.post(f"/actions/{name}/create", {"vcode": code, "runtime": runtime})
        self.assertEqual(answer["result"], f"action '{name}' created successfully")
        self.addCleanup(self.weir.request, "POST", f"/actions/{name}/delete", b"{}")
        return answer

    def test_the_life_of_an_action(self):
        answer = self.create("add", ADD, "c")
        self.assertEqual(sorted(answer), ["deployTime", "result", "runTime"])
        self.assertIn("ActionAlreadyExists: Action already exists: add",
                      self.message("/actions/add/create", {"vcode": ADD, "runtime": "c"}))
        answer = self.post("/actions/add/invoke", {"vargs": {"a": 3, "b": 4}, "playgroundId": "1", "vname": "add"})
        self.assertEqual(answer["result"], "7")
        self.assertIsInstance(answer["runTime"], (int, float))
        self.assertIsInstance(answer["deployTime"], (int, float))
        self.assertEqual(self.post("/actions/add/get"), {"result": {"vname": "add", "vcode": ADD, "runtime": "c"}})
        self.post("/actions/add/update", {"vcode": "int add(int a, int b){ return a*b; }"})
        self.assertEqual(self.post("/actions/add/invoke", {"vargs": {"a": 3, "b": 4}})["result"], "12")
        self.assertIn({"vname": "add", "vcode": "int add(int a, int b){ return a*b; }", "runtime": "c"},
                      self.post("/actions/list", {"playgroundId": "1"})["actions"])
        self.assertEqual(self.post("/actions/add/delete"), {"result": None})
        for verb in ("invoke", "get", "delete"):
            self.assertEqual(self.message(f"/actions/add/{verb}", {"vargs": {}}),
                             "InvalidActionError: Action does not exist: add")

    def test_each_runtime_answers_in_its_way(self):
        self.create("sum", ADD.replace("add", "sum"), "cnative")
        self.create("off1", OFF, "js")
        self.create("off2", OFF.replace("off1", "off2"), "jsnative")
        for _ in range(2):
            self.assertEqual(self.post("/actions/sum/invoke", {"vargs": {"a": 3, "b": -4}})["result"], -1)
        self.assertEqual(self.post("/actions/off1/invoke", {"vargs": {"num": 5}})["result"], "15")
        self.assertEqual(self.post("/actions/off2/invoke", {"vargs": {"num": 6}})["result"], "16")

    def test_what_is_wrong_is_a_500_that_says_what(self):
        self.create("two", ADD.replace("add", "two"), "c")
        for path, body, wanted in (
                ("two/invoke", {"vargs": {"a": 3}}, "InvalidSignatureError: Mismatch in arguments for action two"),
                ("two/invoke", {"vargs": {"a": 3, "b": "x"}}, "InvalidSignatureError"),
                ("two/invoke", {"vargs": 3}, "InvalidRequestError: vargs must be an object"),
                ("two/invoke", {}, "InvalidRequestError: vargs must be an object"),
                ("bad/create", {"vcode": "int bad(int a){ return a+ }", "runtime": "c"}, "ActionCompileError"),
                ("bad/create", {"vcode": "x", "runtime": "perl"}, "InvalidRequestError: runtime must be"),
                ("bad/create", {"vcode": 3, "runtime": "c"}, "InvalidRequestError: vcode"),
                ("bad/update", {"vcode": "x"}, "InvalidActionError: Action does not exist: bad"),
                ("bad/create", b"{", "InvalidRequestError: body"),
                ("bad/create", b"[]", "InvalidRequestError: body must be a JSON object"),
                ("bad/create", b'{"vcode":"a","vcode":"b"}', "InvalidRequestError: "),
                ("bad/create", b'{"vcode":"\xff"}', "InvalidRequestError: "),
                ("bad/create", b"[" * 100000, "InvalidRequestError: "),
                ("x" * 64 + "/create", {"vcode": ADD, "runtime": "c"}, "InvalidRequestError: a name has"),
                ("%2e%2e%20/create", {"vcode": ADD, "runtime": "c"}, "")):
            self.assertIn(wanted, self.message(f"/actions/{path}", body), (path, body))
        self.assertEqual(self.weir.request("GET", "/actions/two/get").status, 405)
        self.assertIn("more than 65536 values", self.message("/actions/two/invoke", b'{"vargs":[' + b"1," * 70000 + b"1]}"))
        self.assertEqual(self.weir.request("POST", "/actions/two/invoke", b'"' + b"x" * (3 << 20) + b'"').status, 413)
        self.assertNotIn("bad", [action["vname"] for action in self.post("/actions/list")["actions"]])

    def test_large_bodies_at_once_cost_nobody_his_answer(self):
        self.create("nap", "int nap(int n){ return n; }", "c")
        large = b'{"vargs":{"n":1},"rest":"' + b"x" * (2000 << 10) + b'"}'
        with concurrent.futures.ThreadPoolExecutor(64) as threads:
            answers = list(threads.map(lambda _: self.weir.request("POST", "/actions/nap/invoke", large), range(128)))
        self.assertLessEqual({answer.status for answer in answers}, {200, 503})
        self.assertIn(200, {answer.status for answer in answers})
        self.assertEqual(self.weir.status()["metrics"]["workers_died"], 0)

    def test_a_page_of_another_site_cannot_act(self):
        body = json.dumps({"vcode": ADD.replace("add", "evil"), "runtime": "c"}).encode()
        answer = self.weir.request("POST", "/actions/evil/create", body, headers={"origin": "https://evil.example"})
        self.assertEqual((answer.status, answer.json()["code"]), (403, "another_site"))
        self.assertEqual(self.message("/actions/evil/get"), "InvalidActionError: Action does not exist: evil")
        own = {"origin": f"http://127.0.0.1:{self.weir.port}"}
        self.assertEqual(self.weir.request("POST", "/actions/list", b"{}", headers=own).status, 200)

    def test_functions_of_other_doors_are_actions_and_actions_are_functions(self):
        self.create("fib", "int fib(int n){ return n < 2 ? n : fib(n-1) + fib(n-2); }", "c")
        self.assertEqual(self.weir.ctrlctl("fn", "invoke", "fib", "-d", '{"n": 10}').stdout, "55\n")
        self.weir.ctrlctl("route", "add", "POST /fib", "--fn", "fib")
        self.assertEqual(self.weir.request("POST", "/fib", b'{"n":11}').body, b"89\n")
        self.weir.ctrlctl("fn", "add", "greet", "--runtime", "native", "--file", HELLO)
        self.assertIn("result", self.post("/actions/greet/invoke", {"vargs": {"name": "Ada"}}))
        self.weir.ctrlctl("fn", "rm", "greet")

    def test_ping_is_there_until_somebody_has_it(self):
        self.assertEqual(self.weir.request("GET", "/ping").body, b'"pong"')
        self.create("mine", ADD.replace("add", "mine"), "c")
        self.weir.ctrlctl("route", "add", "GET /ping", "--fn", "mine")
        self.assertEqual(self.weir.request("GET", "/ping?a=1&b=2").body, b"3\n")
        self.weir.ctrlctl("route", "rm", "GET /ping")
        self.assertEqual(self.weir.request("GET", "/ping").body, b'"pong"')

    def test_nobody_gets_what_belongs_to_a_dialect(self):
        self.create("taker", ADD.replace("add", "taker"), "c")
        refused = self.weir.ctrlctl("route", "add", "POST /actions/taker/invoke", "--fn", "taker", check=False)
        self.assertEqual(refused.returncode, 7, refused)
        self.assertIn("vespid", refused.stderr)
        refused = self.weir.ctrlctl("fn", "add", "weir.system/vespid", "--runtime", "native", "--file",
                                    HELLO, check=False)
        self.assertEqual(refused.returncode, 7, refused)
        table = sqlite3.connect(self.weir.data / "faas_meta.db", timeout=10, isolation_level=None)
        self.addCleanup(table.close)
        table.execute("INSERT INTO functions (k, v) VALUES ('POST:/actions/list', ?)",
                      ('{"runtime":"php","module":"/srv/x.php","handler":"x"}',))
        wait_until(lambda: "shadowed" in self.weir.ctrlctl("route", "list").stdout, "the row is listed as shadowed")
        self.assertIn("actions", self.post("/actions/list"))

    def test_actions_run_while_ctrld_is_away(self):
        self.create("stay", ADD.replace("add", "stay"), "c")
        self.assertEqual(self.post("/actions/stay/invoke", {"vargs": {"a": 1, "b": 1}})["result"], "2")
        ctrld = self.weir.pid_of("weir-ctrld")
        os.kill(ctrld, signal.SIGSTOP)
        os.kill(ctrld, signal.SIGKILL)
        for count in range(100):
            answer = self.post("/actions/stay/invoke", {"vargs": {"a": count, "b": 1}})
            self.assertEqual(answer["result"], str(count + 1))
        wait_until(lambda: self.weir.request("POST", "/actions/list", b"{}").status == 200, "ctrld is back")


if __name__ == "__main__":
    weir_instance.main()
