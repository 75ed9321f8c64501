#!/usr/bin/env python3
# labels: integration
# timeout: 240
"""Pixels-Spike's clients against Weir: the commands of its README, and what grpc-gateway lets clients send."""

import json
import os
import signal
import subprocess
import threading
import time

import weir_instance
from weir_instance import BUILD, Instance, needs_program, wait_until

IMAGE = "013072238852.dkr.ecr.cn-north-1.amazonaws.com.cn/agentguo/test:1.1"
SEED = BUILD / "lib/weir/samples/seed"
S1 = """curl --location 'http://127.0.0.1:8080/v1/create_function' \\
--header 'Content-Type: application/json' \\
--data '{
    "function_name": "test",
    "image_url": "013072238852.dkr.ecr.cn-north-1.amazonaws.com.cn/agentguo/test:1.1",
    "resources": [
        {
            "cpu": 8192,
            "memory": 32768,
            "min_replica": 1,
            "max_replica": 5
        },
        {
            "cpu": 4096,
            "memory": 16384,
            "min_replica": 1,
            "max_replica": 5
        }
    ]
}'
"""
S2 = """curl --location 'http://127.0.0.1:8080/v1/call_function' \\
--header 'Content-Type: application/json' \\
--data '{
    "function_name": "test",
    "payload": "3",
    "cpu": 8192,
    "memory": 0
}'
"""
SPECS = [{"cpu": 4096, "memory": 16384, "minReplica": 1, "maxReplica": 5},
         {"cpu": 8192, "memory": 32768, "minReplica": 1, "maxReplica": 5}]


# Answers its body; of "cut" something that is no text.
RAW = """#include <string.h>
#include "weir_function.h"

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	char text[64];
	const ssize_t bytes = weir_request_read(request, text, sizeof(text));

	if (bytes == 3 && memcmp(text, "cut", 3) == 0)
		return weir_response_write(response, "a\\xff", 2);
	return bytes < 0 ? (int)bytes : weir_response_write(response, text, (size_t)bytes);
}
"""


class Spike(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        cls.weir = cls.enterClassContext(Instance())
        for name in ("reverse", "upper"):
            cls.weir.ctrlctl("fn", "add", name, "--runtime", "native", "--file", SEED / f"{name}.so", "--timeout", "1m")
        for image, name in ((IMAGE, "reverse"), ("builtin:sleep", "reverse"), ("builtin:upper", "upper")):
            cls.weir.ctrlctl("image", "alias", "set", image, name)

    def ask(self, method, path, body=None, status=200):
        """One request -> the answer's JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.weir.request(method, f"/v1/{path}", data)
        self.assertEqual((answer.status, answer.headers["content-type"]), (status, "application/json"), answer)
        return answer.json()

    def error(self, method, path, body=None, status=500, code=2):
        """The message of an error, which has Spike's shape."""
        answer = self.ask(method, path, body, status)
        self.assertEqual((sorted(answer), answer["code"], answer["details"]), (["code", "details", "message"], code, []))
        return answer["message"]

    def create(self, name, image="builtin:sleep", resources=()):
        answer = self.ask("POST", "create_function",
                          {"function_name": name, "image_url": image, "resources": list(resources)})
        self.assertEqual(answer, {"code": 0, "message": "Function added"})
        self.addCleanup(self.weir.request, "DELETE", f"/v1/delete_function/{name}")

    def listed(self, name):
        found = [row for row in self.ask("GET", "get_all_functions")["functions"] if row["functionName"] == name]
        return found[0] if found else None

    def shown(self, name):
        return json.loads(self.weir.ctrlctl("fn", "get", name, "-o", "json").stdout)

    def replicas(self, name):
        """What get_function_resources tells, by size."""
        answer = self.ask("GET", f"get_function_resources/{name}")
        self.assertEqual((sorted(answer), answer["functionName"]), (["functionName", "resources"], name))
        for row in answer["resources"]:
            self.assertEqual((sorted(row), row["ipv4"], row["launchType"]),
                             (["cpu", "desiredStatus", "ipv4", "lastStatus", "launchType", "memory"], "127.0.0.1", "EC2"))
        return sorted(answer["resources"], key=lambda row: row["cpu"])

    def bounds(self, name):
        return [(pool["workers_min"], pool["workers_max"]) for pool in self.shown(name)["pools"]]

    def curl(self, command):
        """(status, JSON) of a published command, in which only the port is another."""
        command = command.replace(":8080/", f":{self.weir.port}/").replace("curl ", "curl -sS -w '\\n%{http_code}' ", 1)
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)

    def test_the_published_commands(self):
        needs_program("curl", "curl")
        self.addCleanup(self.weir.request, "DELETE", "/v1/delete_function/test")
        self.assertEqual(self.curl(S1), (200, {"code": 0, "message": "Function added"}))
        self.assertEqual(self.listed("test"), {"functionName": "test", "imageUrl": IMAGE, "resources": SPECS})
        self.assertEqual(self.curl(S1), (500, {"code": 2, "message": "function has been created", "details": []}))
        wait_until(lambda: sorted((row["cpu_millicores"], row["memory_mb"]) for row in self.weir.workers()
                                  if "cpu_millicores" in row) == [(4096, 16384), (8192, 32768)], "one worker of each spec")
        self.assertEqual(self.curl("curl http://localhost:8080/v1/get_function_resources/test"), (200, {
            "functionName": "test", "resources": self.replicas("test")}))
        self.assertEqual([(row["cpu"], row["memory"], row["lastStatus"]) for row in self.replicas("test")],
                         [(4096, 16384, "RUNNING"), (8192, 32768, "RUNNING")])
        began = time.monotonic()
        self.assertEqual(self.curl(S2), (200, {"payload": "3", "errorCode": 0}))
        self.assertGreaterEqual(time.monotonic() - began, 3)
        taken = {row["cpu_millicores"]: row["accepted"] for row in self.weir.workers() if "cpu_millicores" in row}
        self.assertEqual(taken, {4096: 0, 8192: 1})
        self.assertIn("No spec", self.error("POST", "call_function", {"function_name": "test", "cpu": 9000}, 503, 14))

    def test_both_spellings_texts_for_numbers_and_what_is_unknown(self):
        for name, body in (("snake", {"function_name": "snake", "image_url": "builtin:upper",
                                      "resources": [{"cpu": "100", "memory": "64", "min_replica": "0", "max_replica": "2"}]}),
                           ("camel", {"functionName": "camel", "imageUrl": "builtin:upper", "later": {"x": [1]},
                                      "resources": [{"cpu": 1e2, "memory": 64.0, "minReplica": None, "maxReplica": 2,
                                                     "gpu": 1}]})):
            self.addCleanup(self.weir.request, "DELETE", f"/v1/delete_function/{name}")
            self.assertEqual(self.ask("POST", "create_function", body)["message"], "Function added")
            self.assertEqual(self.listed(name)["resources"],
                             [{"cpu": 100, "memory": 64, "minReplica": 0, "maxReplica": 2}])
            self.assertEqual(self.ask("POST", "call_function", {"functionName": name, "payload": "h\u00e9\"", "cpu": "50"}),
                             {"payload": "H\u00e9\"\n", "errorCode": 0})
        self.create("plain", "builtin:upper")
        self.assertEqual(self.listed("plain"), {"functionName": "plain", "imageUrl": "builtin:upper", "resources": []})
        self.assertEqual(self.ask("POST", "call_function", {"function_name": "plain"})["payload"], "\n")

    def test_what_cannot_be_read_is_a_400(self):
        self.create("sound")
        for path in ("create_function", "call_function", "scale_function", "update_function"):
            for body in (b"{", b"[]", b"7", b"null", b'{"a":1,}', b'{"function_name":"\xff"}', b"[" * 100000, b'{"a":1}x',
                         b'{"function_name":"a","function_name":"b"}', b'{"function_name":"\\u0000"}'):
                self.assertTrue(self.error("POST", path, body, 400, 3), body)
            for body in ({"function_name": 3}, {"functionName": ["x"]}):
                self.assertEqual(self.error("POST", path, body, 400, 3), "function_name must be a text")
            for body in (b"", b"{}", {"function_name": ""}, {"function_name": "x" * 64}):
                self.assertIn("function_name must have 1 to 63 bytes", self.error("POST", path, body))
        for value in (1.5, "x", "", " 1", "0x10", True, 2 ** 31, -2 ** 31 - 1, "1e99", [], {}):
            for body, path in (({"cpu": value}, "call_function"), ({"scaleCnt": value}, "scale_function"),
                               ({"resources": [{"min_replica": value}]}, "create_function")):
                self.assertIn("must be a whole number", self.error("POST", path, {"function_name": "sound", **body}, 400, 3))
        for resources in ("x", {}, 7, [7], [[]]):
            self.assertIn("resources", self.error("POST", "create_function", {"function_name": "a", "resources": resources},
                                                  400, 3))
        self.assertIsNone(self.listed("a"))

    def test_what_fails_is_a_500_that_says_why(self):
        resources = [{"cpu": 100, "memory": 64, "max_replica": 1}]
        self.create("one", resources=resources)
        for path, body, words in (
                ("create_function", {"function_name": "two"}, "image_url"),
                ("create_function", {"function_name": "a/b", "image_url": "x"}, "name"),
                ("create_function", {"function_name": "two", "image_url": "x", "resources": resources * 2}, "twice"),
                ("create_function", {"function_name": "two", "image_url": "x", "resources": [{"cpu": -1}]}, "whole number"),
                ("create_function", {"function_name": "two", "image_url": "x", "resources": [{"cpu": 1}]}, "memory=0"),
                ("call_function", {"function_name": "none"}, "there is no function 'none'"),
                ("call_function", {"function_name": "../one"}, "there is no function"),
                ("call_function", {"function_name": "one", "cpu": -1}, "below 0"),
                ("call_function", {"function_name": "one", "payload": "x" * 1100000}, "1 MiB"),
                ("scale_function", {"function_name": "none", "scale_cnt": 1}, "none"),
                ("scale_function", {"function_name": "one", "cpu": 100, "memory": 65, "scale_cnt": 1}, "no such resource spec"),
                ("update_function", {"function_name": "none", "image_url": "builtin:upper"}, "none"),
                ("update_function", {"function_name": "one"}, "nothing to update"),
                ("update_function", {"function_name": "one", "task_version": 7}, "7"),
                ("update_function", {"function_name": "one", "task_version": 1, "image_url": "x"}, "excludes"),
                ("update_function", {"function_name": "one", "task_name": "two", "task_version": 1}, "task_name")):
            self.assertIn(words, self.error("POST", path, body), (path, body))
        self.assertIn("none", self.error("DELETE", "delete_function/none"))
        self.assertIsNone(self.listed("two"))
        self.create("later", "registry.example/not/there:1")
        self.assertIn("ctrlctl image alias", self.error("POST", "call_function", {"function_name": "later"}))
        self.weir.ctrlctl("image", "alias", "set", "registry.example/not/there:1", "upper")
        self.addCleanup(self.weir.ctrlctl, "image", "alias", "remove", "registry.example/not/there:1")
        self.assertEqual(self.ask("POST", "call_function", {"function_name": "later", "payload": "a"})["payload"], "A\n")

    def test_paths_and_methods_that_are_none(self):
        for method, path in (("GET", "nothing"), ("POST", "create_function/x"), ("DELETE", "delete_function"), ("GET", "")):
            self.assertEqual(self.error(method, path, None, 404, 5), "Not Found")
        for method, path in (("GET", "create_function"), ("PUT", "call_function"), ("POST", "get_function_resources/x"), ("POST", "delete_function/x"),
                             ("POST", "get_all_functions")):
            self.assertEqual(self.error(method, path, b"{", 501, 12), "Method Not Allowed")
        self.create("mine", "builtin:upper")
        self.weir.ctrlctl("route", "add", "POST /v1/mine", "--fn", "mine")
        self.assertEqual(self.weir.request("POST", "/v1/mine", b"x").body, b"X\n")
        self.weir.ctrlctl("route", "rm", "POST /v1/mine")
        refused = self.weir.ctrlctl("route", "add", "ANY /v1/call_function", "--fn", "mine", check=False)
        self.assertEqual((refused.returncode, "spike" in refused.stderr), (7, True))

    def test_replicas_are_scaled_by_so_many_within_the_spec(self):
        self.create("scaled", resources=[{"cpu": 210, "memory": 64, "min_replica": 1, "max_replica": 3},
                                         {"cpu": 310, "memory": 64, "min_replica": 0, "max_replica": 2}])
        order = {"function_name": "scaled", "cpu": 210, "memory": 64}
        for count, bounds in ((1, (2, 3)), (-1, (1, 3)), (-5, (1, 3)), (9, (3, 3))):
            self.assertEqual(self.ask("POST", "scale_function", {**order, "scale_cnt": count}), {})
            self.assertEqual(self.bounds("scaled"), [bounds, (0, 2)])
        wait_until(lambda: [row["lastStatus"] for row in self.replicas("scaled")] == ["RUNNING"] * 3, "three workers are there")
        self.assertEqual(len([row for row in self.weir.workers() if row.get("cpu_millicores") == 210]), 3)

    def test_replicas_are_told_as_they_are(self):
        self.create("kept", "registry.example/not/yet:1", [{"cpu": 240, "memory": 64, "min_replica": 2, "max_replica": 2},
                                                           {"cpu": 340, "memory": 64, "max_replica": 2}])
        row = {"ipv4": "127.0.0.1", "cpu": 240, "memory": 64, "launchType": "EC2", "lastStatus": "NOT_CREATED",
               "desiredStatus": "RUNNING"}
        self.assertEqual(self.replicas("kept"), [row] * 2)
        self.weir.ctrlctl("image", "alias", "set", "registry.example/not/yet:1", "upper")
        self.addCleanup(self.weir.ctrlctl, "image", "alias", "remove", "registry.example/not/yet:1")
        running = [{**row, "lastStatus": "RUNNING"}] * 2
        wait_until(lambda: self.replicas("kept") == running, "they are created")
        os.kill(self.weir.pid_of("weir-supervisor"), signal.SIGKILL)
        wait_until(lambda: self.weir.request("GET", "/v1/get_function_resources/kept").status == 200
                   and self.replicas("kept") == running, "another supervisor tells the same")
        worker = next(row["pid"] for row in self.weir.workers() if row.get("cpu_millicores") == 240)
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: worker not in [row["pid"] for row in self.weir.workers()] and self.replicas("kept") == running,
                   "one that died is replaced")
        self.assertIn("none", self.error("GET", "get_function_resources/none"))
        self.assertIn("1 to 63 bytes", self.error("GET", f"get_function_resources/{'x' * 64}"))

    def test_an_update_changes_what_it_names(self):
        self.create("grown", "builtin:sleep", [{"cpu": 220, "memory": 64, "min_replica": 1, "max_replica": 3}])
        order = {"functionName": "grown", "payload": "ab"}
        self.assertEqual(self.ask("POST", "call_function", order)["payload"], "ba")
        updated = {"code": 0, "message": "Function updated"}
        self.assertEqual(self.ask("POST", "update_function", {"functionName": "grown", "imageUrl": "builtin:upper"}), updated)
        self.assertEqual(self.ask("POST", "call_function", order)["payload"], "AB\n")
        self.assertEqual(len(self.listed("grown")["resources"]), 1)
        resources = [{"cpu": 220, "memory": 64, "min_replica": 0, "max_replica": 4}, {"cpu": 320, "memory": 64, "max_replica": 1}]
        self.ask("POST", "update_function", {"function_name": "grown", "resources": resources})
        self.assertEqual((self.listed("grown")["imageUrl"], len(self.listed("grown")["resources"])), ("builtin:upper", 2))
        self.ask("POST", "update_function", {"function_name": "grown", "enable_auto_scaling": False})
        self.assertEqual(self.bounds("grown"), [(1, 1), (1, 1)])
        self.ask("POST", "scale_function", {"function_name": "grown", "cpu": 220, "memory": 64, "scale_cnt": 2})
        self.assertEqual(self.bounds("grown"), [(3, 3), (1, 1)])
        self.ask("POST", "update_function", {"function_name": "grown", "enable_auto_scaling": True})
        self.assertEqual(self.bounds("grown"), [(0, 4), (0, 1)])
        self.ask("POST", "update_function", {"function_name": "grown", "task_name": "grown", "task_version": 1})
        self.assertEqual(self.ask("POST", "call_function", order)["payload"], "ba")

    def test_functions_are_the_same_through_every_door(self):
        self.create("shared", "builtin:upper")
        self.assertEqual(self.weir.ctrlctl("fn", "invoke", "shared", "-d", "ab").stdout, "AB\n")
        self.weir.ctrlctl("route", "add", "POST /shared", "--fn", "shared")
        self.assertEqual(self.weir.request("POST", "/shared", b"cd").body, b"CD\n")
        self.assertIn("shared", self.error("DELETE", "delete_function/shared"))
        self.weir.ctrlctl("route", "rm", "POST /shared")
        answer = self.weir.request("POST", "/actions/shared/invoke", b'{"vargs":{"a":"x"}}')
        self.assertEqual(answer.json()["result"], '{"A":"X"}')
        self.assertEqual(self.ask("POST", "call_function", {"function_name": "upper", "payload": "ef"})["payload"], "EF\n")
        self.assertEqual(self.ask("DELETE", "delete_function/shared"), {"code": 0, "message": "Function deleted"})
        self.assertIsNone(self.listed("shared"))

    def test_a_result_that_is_no_text(self):
        self.weir.ctrlctl("fn", "add", "echo", "--runtime", "native", "--file", weir_instance.SAMPLES / "native/echo.so")
        self.addCleanup(self.weir.ctrlctl, "fn", "rm", "echo")
        raw = self.weir.home / "raw.c"
        raw.write_text(RAW)
        self.weir.ctrlctl("fn", "deploy", raw)
        self.addCleanup(self.weir.ctrlctl, "fn", "rm", "raw")
        for payload in ("a\u00ff", "\u0080"):
            self.assertEqual(self.ask("POST", "call_function", {"function_name": "raw", "payload": payload})["payload"], payload)
        self.assertIn("no text in UTF-8", self.error("POST", "call_function", {"function_name": "raw", "payload": "cut"}))
        text = "\u20ac\\\n\t\u0001" * 50000
        self.assertEqual(self.ask("POST", "call_function", {"function_name": "echo", "payload": text})["payload"], text)

    def test_calls_go_on_while_ctrld_is_away(self):
        self.create("stay", "builtin:upper", [{"cpu": 230, "memory": 64, "min_replica": 1, "max_replica": 2}])
        self.ask("POST", "call_function", {"function_name": "stay", "payload": "a"})
        slow = {}
        self.create("nap", "builtin:sleep")
        thread = threading.Thread(target=lambda: slow.update(self.ask("POST", "call_function",
                                                                      {"function_name": "nap", "payload": "2"})))
        thread.start()
        os.kill(self.weir.pid_of("weir-ctrld"), signal.SIGKILL)
        for count in range(100):
            answer = self.ask("POST", "call_function", {"function_name": "stay", "payload": f"x{count}", "cpu": 100})
            self.assertEqual(answer["payload"], f"X{count}\n")
        thread.join()
        self.assertEqual(slow, {"payload": "2", "errorCode": 0})
        wait_until(lambda: self.weir.request("GET", "/v1/get_all_functions").status == 200, "ctrld is back")


if __name__ == "__main__":
    weir_instance.main()
