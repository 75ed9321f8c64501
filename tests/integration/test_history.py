#!/usr/bin/env python3
# labels: integration
# timeout: 300
"""History of the configuration: who changed what, differences, and the way back, under traffic and kills."""

import contextlib
import getpass
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import weir_instance
from weir_instance import Instance, wait_until

VALUE = '{"runtime":"php","module":"/srv/%s.php","handler":"main"}'


def database(weir, name, statement, parameters=()):
    """One statement by another program, committed."""
    connection = sqlite3.connect(weir.data / name, timeout=10)
    with contextlib.closing(connection), connection:
        return connection.execute(statement, parameters).fetchall()


def history(weir, limit=1000):
    return json.loads(weir.ctrlctl("config", "history", "--limit", limit, "-o", "json").stdout)


def newest(weir):
    return history(weir, 1)[0]["generation"]


def configuration(weir):
    """Everything that ctrlctl lists, without what only grows."""
    functions = json.loads(weir.ctrlctl("fn", "list", "-o", "json").stdout)
    for function in functions:
        function.pop("version", None)
        function.pop("problem", None)  # that it is being built
    return {
        "functions": functions,
        "routes": json.loads(weir.ctrlctl("route", "list", "-o", "json").stdout),
        "settings": json.loads(weir.ctrlctl("config", "list", "-o", "json").stdout),
        "rows": database(weir, "faas_meta.db", "SELECT k, v FROM functions ORDER BY k"),
    }


def script(weir, word):
    """An executable function that says a word."""
    path = weir.home / "say.sh"
    path.write_text(f"#!/bin/sh\necho '{{\"said\":\"{word}\"}}'\n")
    return path


def source(weir, word):
    """C source that says a word."""
    path = weir.home / "word.c"
    path.write_text('#include "weir_function.h"\n'
                    "int weir_handle(const struct weir_request *request, struct weir_response *response)\n"
                    f'{{\n\t(void)request;\n\treturn weir_response_write_text(response, "{word}");\n}}\n')
    return path


def said(weir):
    answer = weir.request("POST", "/say", b"{}", {"content-type": "application/json"})
    return (answer.status, answer.json().get("said"))


class Traffic(threading.Thread):
    """Somebody who calls all the while; `bad` has what was not answered as it should."""

    def __init__(self, weir, path="/hello"):
        super().__init__()
        self.weir, self.path, self.bad, self.calls, self.ends = weir, path, [], 0, threading.Event()

    def run(self):
        while not self.ends.is_set():
            try:
                answer = self.weir.request("GET", self.path)
                if answer.status != 200:
                    self.bad.append(answer)
            except OSError as error:
                self.bad.append(error)
            self.calls += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.ends.set()
        self.join()


class Day(weir_instance.Case):
    def test_changes_are_told_compared_and_undone_while_calls_come(self):
        with Instance(samples=True) as weir, Traffic(weir) as traffic:
            weir.ctrlctl("fn", "deploy", script(weir, "one"))
            weir.ctrlctl("route", "add", "POST /say", "--fn", "say")
            wait_until(lambda: said(weir) == (200, "one"), "the first version answers")
            good, was = newest(weir), configuration(weir)
            weir.ctrlctl("fn", "deploy", script(weir, "two"))
            weir.ctrlctl("fn", "env", "set", "say", "COLOUR=red", "--secret", "KEY=-", stdin="hidden")
            weir.ctrlctl("config", "set", "queue_wait_ms", 250)
            weir.ctrlctl("route", "rm", "GET /ping")
            database(weir, "faas_meta.db", "INSERT INTO functions (k, v) VALUES ('GET:/row', ?)", [VALUE % "a"])
            wait_until(lambda: history(weir, 1)[0]["from"] == "public table", "the row is taken in")
            self.assertEqual(said(weir), (200, "two"))

            lines = history(weir, 5)
            self.assertEqual([line["what"] for line in lines],
                             ["rows of the public table changed", "remove route GET /ping", "set queue_wait_ms",
                              "change environment of default/say", "deploy function default/say"])
            self.assertEqual({line["from"] for line in lines[1:]}, {"local socket"})
            self.assertEqual({(line["who"], line["uid"]) for line in lines[1:]}, {(getpass.getuser(), os.geteuid())})
            self.assertEqual(lines[2]["rows"], {"settings": 1})
            self.assertRegex(weir.ctrlctl("config", "history", "--limit", 1).stdout,
                             r"public table +public_rows 1 +rows of the public table changed")

            text = weir.ctrlctl("config", "diff", good).stdout
            for line in (r"\+ setting queue_wait_ms: 250", r"~ function default/say: .*number 1 -> 2",
                         r"\+ version default/say 2", r"\+ variable default/say COLOUR: red",
                         r"\+ variable default/say KEY: \(secret\)", r"- route GET /ping", r"\+ row GET:/row: .*srv/a.php"):
                self.assertRegex(text, re.compile("^" + line, re.M))
            self.assertNotIn("hidden", text)
            self.assertEqual(len(text.splitlines()), 7, text)
            back = weir.ctrlctl("config", "diff", newest(weir), good).stdout
            self.assertIn("+ route GET /ping -> default/ping\n", back)
            self.assertIn("- row GET:/row\n", back)

            before = newest(weir)
            self.assertEqual(weir.ctrlctl("config", "rollback", good, "--dry-run").stdout, back)
            self.assertEqual(newest(weir), before)
            self.assertEqual(said(weir), (200, "two"))
            undone = weir.ctrlctl("config", "rollback", good).stdout
            self.assertTrue(undone.startswith(back), undone)
            self.assertRegex(undone, r"generation \d+ acked (\d+)/\1 ")
            self.assertEqual(configuration(weir), was)
            self.assertEqual(said(weir), (200, "one"))
            self.assertEqual(weir.request("GET", "/ping").status, 200)
            self.assertEqual(weir.request("GET", "/row").status, 404)
            self.assertEqual(history(weir, 1)[0]["what"], f"roll back to generation {good}")
            self.assertEqual(weir.ctrlctl("config", "rollback", good).stdout, "no difference: nothing was changed\n")

            # A rollback is a change as others.
            weir.ctrlctl("config", "rollback", before)
            self.assertEqual(said(weir), (200, "two"))
            self.assertEqual(weir.request("GET", "/ping").body, b'"pong"')  # not the row's
            self.assertEqual(weir.ctrlctl("config", "diff", before).stdout, "no difference\n")
            wait_until(lambda: traffic.calls > 20, "calls were made")
            self.assertEqual(traffic.bad, [])

    def test_what_cannot_be_done_is_said_and_changes_nothing(self):
        with Instance() as weir:
            weir.ctrlctl("fn", "deploy", script(weir, "one"))
            first = newest(weir)
            weir.ctrlctl("fn", "rm", "say")
            for arguments, code, words in (
                    (("rollback", 9999), 5, "there is no generation 9999 yet"),
                    (("diff", 9999), 5, "there is no generation 9999 yet"),
                    (("rollback", "x"), 7, "'x' is no generation"),
                    (("diff", "x"), 7, "from must be a whole number"),
                    (("history", "--limit", "x"), 7, "limit must be a whole number")):
                ran = weir.ctrlctl("config", *arguments, check=False)
                self.assertEqual((arguments, ran.returncode), (arguments, code))
                self.assertIn(words, ran.stderr)
            (code,) = (weir.data / "code").glob("[0-9a-f]*")
            os.rename(code, weir.home / "elsewhere")
            ran = weir.ctrlctl("config", "rollback", first, check=False)
            self.assertNotEqual(ran.returncode, 0)
            self.assertRegex(ran.stderr, "default/say needs .*say.sh, which is not there any more")
            self.assertEqual(json.loads(weir.ctrlctl("fn", "list", "-o", "json").stdout), [])
            os.rename(weir.home / "elsewhere", code)
            weir.ctrlctl("config", "rollback", first)
            self.assertEqual(json.loads(weir.ctrlctl("fn", "invoke", "say").stdout), {"said": "one"})
            # Another program's change is published, has its line, and stops what would pass it.
            database(weir, "weir.db", "UPDATE functions SET timeout_ms = 777 WHERE name = 'say'")
            wait_until(lambda: history(weir, 1)[0]["from"] == "another program", "it is noticed")
            self.assertFalse(history(weir, 1)[0]["known"])
            ran = weir.ctrlctl("config", "rollback", first, check=False)
            self.assertIn("(another program: weir.db was changed from outside)", ran.stderr)
            weir.ctrlctl("ready", "--wait", "30s")
            self.assertEqual(json.loads(weir.ctrlctl("fn", "get", "say", "-o", "json").stdout)["timeout_ms"], 777)
            # What was pruned is said to be gone.
            weir.ctrlctl("config", "set", "history_generations_max", 1)
            ran = weir.ctrlctl("config", "rollback", first, check=False)
            self.assertEqual(ran.returncode, 5)
            self.assertRegex(ran.stderr, rf"generation {first} is no longer there; history goes back to \d+")


    def test_code_that_must_be_built_again_is_built_before_it_is_back(self):
        with Instance() as weir:
            def built():
                return {path.parent for path in (weir.data / "code").glob("*/function.so")}

            weir.ctrlctl("fn", "deploy", source(weir, "one"), "--name", "word")
            weir.ctrlctl("route", "add", "GET /word", "--fn", "word")
            good, (first,) = newest(weir), built()
            weir.ctrlctl("fn", "deploy", source(weir, "two"), "--name", "word")
            wait_until(lambda: weir.request("GET", "/word").body == b"two", "the second version answers")
            # As a sweep would, ten minutes later: what is not published is built again when it is wanted.
            first.chmod(0o755)
            shutil.rmtree(first)
            pid = weir.pid_of("weir-ctrld")
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: [one for one, _ in weir.processes("weir-ctrld") if one != pid], "control is back")
            weir.wait_ready()
            with Traffic(weir, "/word") as traffic:
                weir.ctrlctl("config", "rollback", good)
                wait_until(lambda: weir.request("GET", "/word").body == b"one", "the first version answers")
            self.assertIn(first, built())
            self.assertEqual(traffic.bad, [])


class Kills(weir_instance.Case):
    def test_control_that_is_killed_between_changes_leaves_history_and_configuration_in_step(self):
        seed = random.randrange(1 << 30)
        print(f"seed {seed}")
        dice = random.Random(seed)
        with Instance() as weir:
            answered, states = [], {}
            ends = threading.Event()

            def change():
                number = 0
                while not ends.is_set():
                    number += 1
                    ran = weir.ctrlctl("config", "set", "queue_wait_ms", number, "-o", "json", check=False)
                    if ran.returncode == 0:
                        answered.append((json.loads(ran.stdout)["generation"], number))

            thread = threading.Thread(target=change)
            thread.start()
            try:
                for _ in range(5):
                    have = len(answered)
                    wait_until(lambda: len(answered) > have + 3, "changes are made")
                    time.sleep(dice.random() / 20)
                    pid = weir.pid_of("weir-ctrld")
                    os.kill(pid, signal.SIGKILL)
                    wait_until(lambda: [one for one, _ in weir.processes("weir-ctrld") if one != pid], "control is back")
                    weir.remember()
            finally:
                ends.set()
                thread.join()
            weir.wait_ready()
            lines = {line["generation"]: line for line in history(weir)}
            for generation, number in answered:
                self.assertEqual(lines[generation]["what"], "set queue_wait_ms")
                states[generation] = number
            self.assertTrue(all(line["known"] for line in lines.values()), lines)
            # Whatever was killed, each line is exactly the change that was made.
            for generation in dice.sample(sorted(states), 6):
                weir.ctrlctl("config", "rollback", generation)
                value = json.loads(weir.ctrlctl("config", "get", "queue_wait_ms", "-o", "json").stdout)["value"]
                self.assertEqual(value, states[generation])

    def test_rollback_that_is_killed_is_there_or_not_but_never_half(self):
        with Instance() as weir:
            for number in range(20):
                weir.ctrlctl("config", "set", "queue_wait_ms", number + 1)
                weir.ctrlctl("fn", "add", f"f{number}", "--runtime", "native", "--file",
                             weir_instance.SAMPLES / "native" / "echo.so")
            low, high = history(weir)[-5]["generation"], newest(weir)
            was = {generation: None for generation in (low, high)}
            for generation in (low, high):
                weir.ctrlctl("config", "rollback", generation)
                was[generation] = configuration(weir)
            target, done = low, 0
            for delay_ms in range(8):
                pid = weir.pid_of("weir-ctrld")
                client = subprocess.Popen([str(weir_instance.BIN / "ctrlctl"), "--data", str(weir.data), "config",
                                           "rollback", str(target)], stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=weir.env)
                time.sleep(delay_ms / 1000)
                os.kill(pid, signal.SIGKILL)
                client.wait(timeout=30)
                wait_until(lambda: [one for one, _ in weir.processes("weir-ctrld") if one != pid], "control is back")
                weir.remember()
                weir.wait_ready()
                now = configuration(weir)
                self.assertIn(now, list(was.values()))
                done += now == was[target]
                target = high if now == was[low] else low
            print(f"{done} of 8 rollbacks were done before the kill")


if __name__ == "__main__":
    weir_instance.main()
