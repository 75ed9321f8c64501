#!/usr/bin/env python3
# labels: integration
# timeout: 240
"""`ctrlctl config export` and `config apply`: a configuration as one document, all of it or nothing."""

import json
import os
import random
import shutil
import signal
import threading
import time
import unittest

import weir_instance
from weir_instance import BIN, Instance, wait_until

SAYS = "def handler(request):\n    return {}\n"
MINUS = "int minus(int a, int b) { return a - b; }\n"
BROKEN = "int minus(int a)\n{\n\treturn a +;\n}\n"
DOCUMENT = """\
weir: 1
functions:
- name: hello
  file: code/hello.py
  timeout: 5s
  environment: {WORD: "yes", PORT: "80"}
  secrets: [TOKEN]
  parameters: {greeting: "hi", list: [1, 2.5, null], long: 12345678901234567890}
- name: tools/minus
  file: code/minus.c
  specs:
  - {cpu: 500, memory: 64, max: 2}
- name: cat
  runtime: exec
  path: /bin/cat
routes:
- route: GET /hi/{who}
  function: hello
- {route: "POST /minus", function: tools/minus, host: tools.example, timeout: 2s}
settings:
  head_timeout_ms: 7s
  pool.workers_max: 8
pools:
- pool: default/python/hello
  workers_min: 1
  policy: two-choices
rows:
- key: POST:/cat
  value: {name: row, runtime: exec, module: /bin/cat, handler: main}
"""


def apply(weir, document, *options, status=0):
    """Apply a text, written to a file beside its code; the run, whose exit code must be `status`."""
    path = weir.home / "weir.yaml"
    path.write_bytes(document if isinstance(document, bytes) else document.encode())
    ran = weir.ctrlctl("config", "apply", "-f", path, *options, check=False)
    if ran.returncode != status:
        raise AssertionError(f"exit {ran.returncode}, not {status}: {ran.stdout}{ran.stderr}\n{document[:400]}")
    return ran


def code(weir, name, text):
    path = weir.home / "code" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def token(weir):
    (weir.home / "token.txt").write_text("sesame")
    return "--secret", f"hello:TOKEN=@{weir.home / 'token.txt'}"


def prepare(weir):
    code(weir, "hello.py", SAYS.format("'one'"))
    code(weir, "minus.c", MINUS)
    return token(weir)


class Traffic:
    """Calls one path again and again; every answer that was no success is kept."""

    def __init__(self, weir, path):
        self.weir, self.path = weir, path
        self.stopping = threading.Event()
        self.said, self.failed, self.count = set(), [], 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stopping.is_set():
            answer = self.weir.request("GET", self.path)
            self.count += 1
            if answer.status == 200:
                self.said.add(answer.body)
            else:
                self.failed.append(answer)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


class Day(weir_instance.Case):
    def setUp(self):
        super().setUp()
        if not (BIN / "weir-worker-python").exists():
            raise unittest.SkipTest("no Python runtime here")

    def test_document_changes_while_requests_come(self):
        with Instance() as weir:
            secret = prepare(weir)
            dry = apply(weir, DOCUMENT, "--dry-run", *secret)
            self.assertIn("+ function hello: ", dry.stdout)
            self.assertIn("a dry run: nothing was changed", dry.stdout)
            self.assertEqual(weir.ctrlctl("config", "export").stdout, "weir: 1\n")
            done = apply(weir, DOCUMENT, *secret)
            self.assertIn("9 to change, 0 as before\ngeneration ", done.stdout)
            self.assertNotIn("sesame", done.stdout)
            self.assertEqual(weir.request("GET", "/hi/you").body, b"one")
            minus = weir.request("POST", "/minus", b'{"a":5,"b":3}', headers={"host": "tools.example"})
            self.assertEqual(minus.body.strip(), b"2")
            self.assertEqual(weir.request("POST", "/cat", b"meow").status, 200)
            self.assertIn("nothing to change; generation", apply(weir, DOCUMENT).stdout)

            code(weir, "hello.py", SAYS.format("'two'"))
            with Traffic(weir, "/hi/you") as traffic:
                wait_until(lambda: b"one" in traffic.said, "traffic flows")
                changed = apply(weir, DOCUMENT.replace("timeout: 5s", "timeout: 6s").replace("PORT: \"80\"", "PORT: \"81\""))
                self.assertRegex(changed.stdout, r"~ function hello: code [0-9a-f]{12} -> [0-9a-f]{12}, timeout 5s -> 6s, "
                                                 r"environment.PORT 80 -> 81\n1 to change, 8 as before\n")
                wait_until(lambda: b"two" in traffic.said, "the new version answers")
                # What is not named stays; then it goes, without a word to those who use the rest.
                apply(weir, "weir: 1\nfunctions:\n- {name: dog, runtime: exec, path: /bin/cat}\n")
                rest = "\n".join(part for part in DOCUMENT.split("\n") if "minus" not in part and "POST" not in part)
                rest = rest[:rest.index("  specs:")] + rest[rest.index("- name: cat"):rest.index("rows:")]
                gone = apply(weir, rest, "--prune")
                for line in ("- function tools/minus", "- function dog", "- route POST /minus (host tools.example)",
                             "- row POST:/cat"):
                    self.assertIn(line, gone.stdout)
                count = traffic.count
                wait_until(lambda: traffic.count > count + 20, "requests come after it, too")
            self.assertEqual(traffic.failed, [])
            self.assertEqual(weir.request("POST", "/cat", b"meow").status, 404)

    def test_bad_code_changes_nothing_and_says_which_and_why(self):
        with Instance() as weir:
            secret = prepare(weir)
            apply(weir, DOCUMENT, *secret)
            before = weir.ctrlctl("config", "export").stdout
            code(weir, "hello.py", "import no_such_module\n")
            code(weir, "minus.c", BROKEN)
            failed = apply(weir, DOCUMENT.replace("head_timeout_ms: 7s", "head_timeout_ms: 8s"), status=7)
            self.assertRegex(failed.stderr, r"weir.yaml:3:3: functions\[0\] the new version failed its first call: .*no_such")
            self.assertIn("minus.c:3", failed.stderr)
            self.assertIn("weir.yaml:9:3: functions[1] the code cannot be built", failed.stderr)
            self.assertIn("nothing was changed", failed.stderr)
            self.assertEqual(weir.ctrlctl("config", "export").stdout, before)
            self.assertEqual(weir.request("GET", "/hi/you").body, b"one")

    def test_export_applied_to_a_fresh_instance_exports_the_same(self):
        with Instance() as weir:
            apply(weir, DOCUMENT, *prepare(weir))
            exported = weir.ctrlctl("config", "export").stdout
            self.assertIn("long: 12345678901234567890\n", exported)
            as_json = weir.ctrlctl("config", "export", "-o", "json").stdout
            with Instance() as fresh:
                self.assertIn("functions[1].code is not here", apply(fresh, exported, *token(fresh), status=7).stderr)
                shutil.copytree(weir.home / "code", fresh.home / "code")
                for name in ("hello.py", "minus.c"):
                    fresh.ctrlctl("fn", "deploy", fresh.home / "code" / name)
                self.assertIn("TOKEN has no value here", apply(fresh, exported, "--prune", status=7).stderr)
                apply(fresh, exported, "--prune", *token(fresh))
                self.assertEqual(fresh.ctrlctl("config", "export").stdout, exported)
                self.assertEqual(fresh.request("GET", "/hi/you").body, b"one")
                self.assertIn("nothing to change", apply(fresh, as_json, "--prune").stdout)
                one = fresh.ctrlctl("config", "export", "--namespace", "tools").stdout
                self.assertIn("namespace: tools", one)
                self.assertNotIn("hello", one)
                gone = apply(fresh, "weir: 1\nnamespace: tools\n", "--prune", "-o", "json")
                self.assertEqual([change["name"] for change in json.loads(gone.stdout)["changes"]],
                                 ["tools/minus", "POST /minus (host tools.example)"])


class Kills(weir_instance.Case):
    def test_control_that_is_killed_meanwhile_leaves_one_document_or_the_other(self):
        seed = int(os.environ.get("WEIR_TEST_SEED", random.randrange(1 << 32)))
        print("seed", seed)
        chance = random.Random(seed)
        functions = "".join(f"- {{name: f{i}, runtime: exec, path: /bin/cat, timeout: TIMEOUT}}\n" for i in range(300))
        routes = "".join(f"- {{route: \"POST /r{i}\", function: f{i}, timeout: TIMEOUT}}\n" for i in range(300))
        document = f"weir: 1\nfunctions:\n{functions}routes:\n{routes}settings: {{head_timeout_ms: TIMEOUT}}\n"
        with Instance() as weir:
            exports = set()
            for timeout in ("5s", "6s"):
                apply(weir, document.replace("TIMEOUT", timeout))
                exports.add(weir.ctrlctl("config", "export").stdout)
            self.assertEqual(len(exports), 2)
            for i in range(6):
                path = weir.home / "next.yaml"
                path.write_text(document.replace("TIMEOUT", ("5s", "6s")[i % 2]))
                thread = threading.Thread(target=lambda: weir.ctrlctl("config", "apply", "-f", path, check=False))
                thread.start()
                time.sleep(chance.uniform(0.01, 0.25))
                os.kill(weir.pid_of("weir-ctrld"), signal.SIGKILL)
                self.assertEqual(weir.request("POST", "/r7", b"meow").status, 200)
                thread.join()
                weir.wait_ready()
                self.assertIn(weir.ctrlctl("config", "export").stdout, exports)


class Hostile(weir_instance.Case):
    def test_documents_that_are_none_are_refused_where_they_are_wrong(self):
        deep = "weir: 1\nrows:\n- key: GET:/x\n  value: " + "[" * 100000 + "]" * 100000
        documents = [
            (2, "weir: 1\nfunctions: &a []\nroutes: *a\n", ":2:12: anchors"),
            (2, "weir: !!int 1\n", ":1:7: tags"),
            (2, "weir: 1\nweir: 1\n", ":2:1: 'weir' is given twice"),
            (2, b"weir: 1\nnamespace: \"\xff\"\n", ":2:13: invalid leading UTF-8"),
            (2, "weir: [1\n", ":2:1: "),
            (2, deep, ":4:"),
            (2, "weir: 1\n" + "#" * (16 << 20), ":1:1: the document is longer than 15 MiB"),
            (2, "weir: 1\nsettings: {body_bytes_max: 1e999}\n", ":2:28: the number 1e999 is too large"),
            (7, "weir: 1\nsettings: {body_bytes_max: 12345678901234567890}\n", ":2:28: settings.body_bytes_max must be a whole"),
            (2, "- weir\n", "is no document"),
            (2, "", "is no document"),
            (2, "weir: 1\nfunctions:\n- {name: a, file: 7}\n", ":3:19: functions[0].file must be the path"),
            (2, "weir: 1\nfunctions:\n- {name: a, file: x, code: y}\n", "one of them"),
            (7, "weir: 1\nfunctions:\n- {name: a, file: nowhere.py}\n", "cannot be read"),
            (7, "weir: 1\nsettings: {headers_max: 1e300}\n", ":2:25: settings.headers_max must be a whole number"),
            (7, "weir: 1\nfunctions:\n- name: x\n  zork: 1\n", ":4:9: functions[0].zork is not known here"),
            (7, "weir: 1\nfunctions: {a: 1}\n", ":2:12: functions must be a list"),
            (7, "weir: 2\n", ":1:7: weir must be 1"),
        ]
        with Instance() as weir:
            generation = weir.status()["generation"]
            for status, document, words in documents:
                with self.subTest(words):
                    self.assertIn(words, apply(weir, document, status=status).stderr)
            self.assertEqual(weir.ctrlctl("config", "apply", "-f", "/no/such", check=False).returncode, 2)
            self.assertEqual(weir.ctrlctl("config", "apply", check=False).returncode, 2)
            self.assertEqual(weir.ctrlctl("config", "apply", "-f", "-", stdin="weir: 1\n").returncode, 0)
            self.assertEqual(weir.status()["generation"], generation)


if __name__ == "__main__":
    weir_instance.main()
