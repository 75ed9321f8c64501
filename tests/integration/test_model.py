#!/usr/bin/env python3
# labels: integration
# timeout: 300
"""What a function carries besides its code: description, parameters, annotations, owner, image."""

import contextlib
import json
import sqlite3

import weir_instance
from weir_instance import SAMPLES, Instance

LARGEST = 1 << 20  # of parameters, as JSON


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
            weir.ctrlctl("fn", "set", "hello", "--param", "only=1")
            after = shown(weir)
            self.assertEqual((after["parameters"], after["annotations"]), ({"only": 1}, before["annotations"]))
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

    def test_an_image_is_no_code_here_yet_and_a_call_says_so(self):
        with Instance() as weir:
            weir.curl("--fail", "--unix-socket", weir.data / "run" / "api.sock", "http://weir/weir/functions", "--json",
                      json.dumps({"name": "up", "runtime": "container", "image": "builtin:upper"}))
            self.assertEqual(shown(weir, "up")["image"], "builtin:upper")
            weir.ctrlctl("route", "add", "GET /up", "--fn", "up")
            answer = weir.request("GET", "/up")
            self.assertEqual(answer.status, 501)
            self.assertIn("builtin:upper", answer.body.decode())


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


if __name__ == "__main__":
    weir_instance.main()
