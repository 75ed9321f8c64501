#!/usr/bin/env python3
# labels: integration
# timeout: 300
"""What a function carries besides its code: description, parameters, annotations, owner, image."""

import concurrent.futures
import contextlib
import json
import os
import sqlite3

import weir_instance
from weir_instance import SAMPLES, Instance, wait_until

LARGEST = 1 << 20  # of parameters, as JSON
ROUTES = 100000


def shown(weir, name="hello"):
    return json.loads(weir.ctrlctl("fn", "get", name, "-o", "json").stdout)


class Details(weir_instance.Case):
    def test_parameters_are_kept_shown_replaced_and_come_back_with_their_version(self):
        with Instance() as weir:
            terms = weir.home / "terms.json"
            terms.write_text('{"days": [14, 30]}\n')
            weir.ctrlctl("fn", "add", "hello", "--runtime", "native", "--file", SAMPLES / "native" / "hello.so",
                         "--description", "says hello", "--annotation", "web=true", "--annotation", "note=two words",
                         "--param", "greeting=hello", "--param", "limits={ \"items\": 20 }", "--param", f"terms=@{terms}")
            before = shown(weir)
            self.assertEqual(before["description"], "says hello")
            self.assertEqual(before["parameters"], {"greeting": "hello", "limits": {"items": 20}, "terms": {"days": [14, 30]}})
            self.assertEqual(before["annotations"], {"web": True, "note": "two words"})
            self.assertEqual((before["owner"], before["image"]), ("", ""))
            text = weir.ctrlctl("fn", "get", "hello").stdout
            for words in ("says hello", "parameter limits", '{"items":20}', "annotation note", '"two words"'):
                self.assertIn(words, text)
            weir.ctrlctl("fn", "set", "hello", "--param", "only=12345678901234567890")
            after = shown(weir)
            self.assertEqual((after["parameters"], after["annotations"]), ({"only": 12345678901234567890}, before["annotations"]))
            self.assertIn("12345678901234567890", weir.ctrlctl("fn", "get", "hello").stdout)
            weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "hello.so", "--param", "none", "--annotation", "none")
            after = shown(weir)
            self.assertEqual((after["parameters"], after["annotations"]), ({}, {}))
            self.assertEqual(after["description"], "says hello")
            weir.ctrlctl("fn", "rollback", "hello", "1")
            self.assertEqual(shown(weir)["parameters"], before["parameters"])
            self.assertEqual(weir.ctrlctl("fn", "invoke", "hello").returncode, 0)
            weir.stop()
            weir.start()
            self.assertEqual(shown(weir)["parameters"], before["parameters"])

    def test_functions_are_listed_by_namespace_and_by_owner(self):
        with Instance() as weir:
            def names(*options):
                listed = json.loads(weir.ctrlctl("fn", "list", *options, "-o", "json").stdout)
                return [f"{one['namespace']}/{one['name']}" for one in listed]

            for name, owner in (("a/one", "ada"), ("a/two", "grace"), ("b/one", "ada")):
                weir.ctrlctl("fn", "add", name, "--owner", owner, "--runtime", "native", "--file", SAMPLES / "native" / "hello.so")
            self.assertEqual(names(), ["a/one", "a/two", "b/one"])
            self.assertEqual(names("--namespace", "a"), ["a/one", "a/two"])
            self.assertEqual(names("--owner", "ada"), ["a/one", "b/one"])
            self.assertEqual(names("--owner", "ada", "--namespace", "b"), ["b/one"])
            weir.ctrlctl("fn", "set", "a/two", "--owner", "ada")
            self.assertEqual(names("--owner", "grace"), [])
            refused = weir.ctrlctl("fn", "list", "--owner", "x" * 2000, check=False)
            self.assertEqual((refused.returncode, "too long" in refused.stderr), (7, True))

    def test_a_row_of_the_public_table_is_added_with_the_table_s_words(self):
        with Instance() as weir:
            module = SAMPLES / "native" / "hello.so"
            weir.ctrlctl("row", "add", "POST", "/said", "--runtime", "native", "--file", module, "--name", "hello",
                         "--handler", "weir_handle", "--memory", "64", "--timeout", "2500ms")
            self.assertIn("message", weir.request("POST", "/said", b"{}").json())
            with contextlib.closing(sqlite3.connect(weir.data / "faas_meta.db")) as table:
                key, value = table.execute("SELECT k, v FROM functions WHERE k = 'POST:/said'").fetchone()
            self.assertEqual(json.loads(value), {"name": "hello", "runtime": "native", "module": str(module), "handler": "weir_handle",
                                                 "memory": 64, "timeout": 2.5})
            again = weir.ctrlctl("row", "add", "POST:/said", "--runtime", "native", "--file", module,
                                 "--handler", "weir_handle", check=False)
            self.assertEqual(again.returncode, 6, again.stderr)
            self.assertEqual(weir.ctrlctl("row", "add", "GET /x", "--runtime", "native", check=False).returncode, 2)

    def test_the_largest_parameters_fit_and_larger_ones_are_refused(self):
        with Instance() as weir:
            value = weir.home / "value"
            value.write_text("x" * (LARGEST - len('{"a":""}')))
            weir.ctrlctl("fn", "add", "hello", "--runtime", "native", "--file", SAMPLES / "native" / "hello.so",
                         "--param", f"a=@{value}")
            self.assertEqual(len(shown(weir)["parameters"]["a"]), LARGEST - len('{"a":""}'))
            self.assertLess(len(weir.ctrlctl("fn", "list", "-o", "json").stdout), 1 << 16)
            value.write_text("x" * LARGEST)
            done = weir.ctrlctl("fn", "set", "hello", "--param", f"a=@{value}", check=False)
            self.assertEqual(done.returncode, 7, done.stderr)
            self.assertIn("1048576 are allowed", done.stderr)

    def test_what_makes_no_sense_is_refused_with_what_would_be_right(self):
        with Instance() as weir:
            weir.ctrlctl("fn", "add", "hello", "--runtime", "native", "--file", SAMPLES / "native" / "hello.so")
            for options, words in ((["--param", "greeting"], "it takes NAME=VALUE"),
                                   (["--param", "=1"], "it takes NAME=VALUE"),
                                   (["--param", "a=1", "--param", "a=2"], "parameters.a is given twice"),
                                   (["--annotation", "a=1", "--annotation", "a=2"], "annotations.a is given twice"),
                                   (["--param", "a=" + "[" * 16 + "]" * 16], "too deeply"),
                                   (["--description", "a\nb"], "one line")):
                done = weir.ctrlctl("fn", "set", "hello", *options, check=False)
                self.assertEqual(done.returncode, 7, (options, done.stderr))
                self.assertIn(words, done.stderr)
            self.assertEqual(shown(weir)["parameters"], {})


def store(weir, *statements):
    """Another program's changes of weir.db, without looking after references."""
    connection = sqlite3.connect(weir.data / "weir.db", timeout=10)
    with contextlib.closing(connection), connection:
        for statement in statements:
            connection.execute(statement)


class Damage(weir_instance.Case):
    def test_a_bad_row_is_named_and_the_others_serve(self):
        with Instance(samples=True) as weir:
            for name in ("hello", "echo"):
                weir.ctrlctl("fn", "add", name + "-2", "--runtime", "native", "--file",
                             SAMPLES / "native" / f"{name}.so")
                weir.ctrlctl("route", "add", f"ANY /{name}-2", "--fn", name + "-2")
            weir.ctrlctl("route", "add", "GET /gone", "--fn", "hello-2")
            weir.stop()
            store(weir, "UPDATE functions SET runtime = 'cobol' WHERE name = 'hello-2'",
                  "UPDATE routes SET pattern = 'gone' WHERE pattern = '/gone'",
                  "UPDATE routes SET function_id = 4711 WHERE pattern = '/echo'")
            weir.start()
            self.assertEqual(weir.request("POST", "/echo-2", b"x").body, b"x")
            answer = weir.request("GET", "/hello-2")
            self.assertEqual(answer.status, 501)
            self.assertIn("row in weir.db is damaged: runtime is 'cobol'", answer.json()["error"])
            self.assertEqual((weir.request("GET", "/gone").status, weir.request("GET", "/echo").status), (404, 404))
            problems = [one for one in weir.status()["problems"] if one["what"] == "weir.db"]
            self.assertEqual([(one["row"], one["field"]) for one in problems],
                             [("functions default/hello-2", "runtime"), ("routes gone", "pattern"),
                              (problems[2]["row"], "reference")])
            self.assertIn("default/hello-2", weir.ctrlctl("status").stdout)
            self.assertIn("rows of weir.db are damaged", weir.log())
            # Changes go on; the damaged function is removed like any other.
            weir.ctrlctl("route", "rm", "ANY /hello-2")
            store(weir, "DELETE FROM routes WHERE pattern = 'gone'")
            weir.ctrlctl("fn", "rm", "hello-2")
            self.assertEqual(weir.request("GET", "/hello-2").status, 404)
            self.assertEqual(len([one for one in weir.status()["problems"] if one["what"] == "weir.db"]), 1)
            store(weir, "DELETE FROM routes WHERE function_id = 4711")
            wait_until(lambda: not weir.status()["problems"], "what was mended while it runs is no problem any more")

    def test_check_reads_everything_and_names_what_is_damaged(self):
        with Instance() as weir:
            weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "hello.so")
            weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "hello.so", "--timeout", "9s", "--param", "a=1")
            weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "echo.so")
            module = weir.home / "late.so"
            module.write_bytes((SAMPLES / "native" / "upper.so").read_bytes())
            weir.ctrlctl("fn", "add", "late", "--runtime", "native", "--file", module)
            for name in ("hello", "echo", "late"):
                weir.ctrlctl("route", "add", f"GET /{name}", "--fn", name)
            done = weir.ctrlctl("config", "check")
            self.assertIn("all of it is sound", done.stdout)
            checked = json.loads(weir.ctrlctl("config", "check", "-o", "json").stdout)
            self.assertEqual(checked["found"], [])
            self.assertEqual(checked["examined"], {"functions": 3, "versions": 3, "details": 1, "routes": 3, "rows": 0,
                                                   "code": 2, "code_known": 2})
            code = shown(weir, "echo")["file"]
            os.chmod(code, 0o644)
            with open(code, "r+b") as file:
                file.seek(100)
                file.write(b"\xff\xff\xff\xff")
            module.unlink()
            store(weir, "UPDATE versions SET runtime = 'cobol' WHERE number = 1 AND runtime = 'native' AND "
                  "function_id = (SELECT id FROM functions WHERE name = 'hello')",
                  "UPDATE functions SET timeout_ms = 0 WHERE name = 'late'",
                  "UPDATE details SET annotations = '{ \"a\":1}'",
                  "UPDATE routes SET shape = '/other' WHERE pattern = '/echo'",
                  "UPDATE routes SET function_id = 4711 WHERE pattern = '/late'",
                  "UPDATE functions SET number = 7 WHERE name = 'echo'",
                  "UPDATE meta SET value = 1 WHERE name = 'id'")
            with contextlib.closing(sqlite3.connect(weir.data / "faas_meta.db", timeout=10)) as table, table:
                table.execute("INSERT INTO functions (k, v) VALUES ('GET:/bad', '{}')")
            done = weir.ctrlctl("config", "check", "-o", "json", check=False)
            self.assertEqual(done.returncode, 1)
            found = {(one["table"], one["row"], one["field"]): one["reason"] for one in json.loads(done.stdout)["found"]}
            late = [row for row in found if row[0] == "routes" and row[2] == "reference"]
            self.assertEqual(set(found), {
                ("versions", "default/hello 1", "runtime"), ("functions", "default/late", "timeout"),
                ("details", "default/hello", "row"), ("routes", "/echo", "shape"), *late, ("functions", "default/echo", "number"),
                ("meta", "id", "id"), ("rows", "GET:/bad", "v.module"), ("code", "default/echo 1", "code")})
            self.assertEqual(len(late), 1)
            self.assertIn("is not what was deployed", found["code", "default/echo 1", "code"])
            done = weir.ctrlctl("config", "check", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("default/hello 1", done.stdout)
            # It only looked: what was there serves.
            self.assertEqual(weir.request("GET", "/hello").status, 200)

    def test_check_holds_nobody_up(self):
        with Instance() as weir:
            weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "hello.so")
            weir.stop()
            with contextlib.closing(sqlite3.connect(weir.data / "weir.db")) as database, database:
                function, first = database.execute("SELECT f.id, m.value + 1 FROM functions f, meta m WHERE m.name = 'id'").fetchone()
                database.executemany("INSERT INTO routes (id, function_id, methods, host, pattern, shape, timeout_ms) "
                                     "VALUES (?, ?, 2, '', ?, ?, 0)",
                                     ((first + i, function, f"/r/{i}", f"/r/{i}") for i in range(ROUTES)))
                database.execute("UPDATE meta SET value = value + ? WHERE name = 'id'", [ROUTES])
            weir.start()
            meanwhile = 0  # changes that were made while both looked at everything
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                for _ in range(20):
                    checks = [pool.submit(weir.ctrlctl, "config", "check", "-o", "json") for _ in range(2)]
                    while not all(check.done() for check in checks):
                        weir.ctrlctl("config", "set", "head_timeout_ms", f"{5 + meanwhile % 2}s")
                        meanwhile += not any(check.done() for check in checks)
                    for check in checks:
                        checked = json.loads(check.result().stdout)
                        self.assertEqual((checked["found"], checked["examined"]["routes"]), ([], ROUTES))
                    if meanwhile:
                        break
            self.assertGreater(meanwhile, 0, "no change came through while everything was looked at")


if __name__ == "__main__":
    weir_instance.main()
