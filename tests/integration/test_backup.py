#!/usr/bin/env python3
# labels: integration
# timeout: 300
"""Backup and restore: a user's day, what goes wrong, and deaths at any moment."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time

import weir_instance
from weir_instance import BIN, SAMPLES, Instance, wait_until

WHO = """#include "weir_function.h"
#include <stdio.h>
#include <stdlib.h>

static const char *value(const char *name)
{
	const char *text = getenv(name);

	return text == NULL ? "-" : text;
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	char text[128];

	(void)request;
	(void)snprintf(text, sizeof(text), "%s %s\\n", value("WHO"), value("PASSWORD"));
	return weir_response_write_text(response, text);
}
"""
MINUS = "int minus(int a, int b) { return a - b; }\n"
SCRIPT = "#!/bin/sh\ncat \"$(dirname \"$0\")/words/greeting\"\n"


def ctl(weir, *arguments, status=0, stdin=None):
    ran = weir.ctrlctl(*arguments, check=False, stdin=stdin)
    if status is not None and ran.returncode != status:
        raise AssertionError(f"{arguments}: exit {ran.returncode}, not {status}: {ran.stdout} {ran.stderr}\n{weir.log()}")
    return ran


def table(weir, statement, parameters=()):
    """One statement by another program, committed."""
    connection = sqlite3.connect(weir.data / "faas_meta.db", timeout=10)
    with contextlib.closing(connection), connection:
        return connection.execute(statement, parameters).fetchall()


def names(weir, noun):
    """What `ctrlctl NOUN list` shows, as a set of names or routes."""
    rows = json.loads(ctl(weir, noun, "list", "-o", "json").stdout)
    return {f"{row['namespace']}/{row['name']}" if noun == "fn" else f"{row['methods']} {row['pattern']}" for row in rows}


def native_workers(weir):
    rows = json.loads(ctl(weir, "worker", "list", "-o", "json").stdout)
    return {row["pid"] for row in rows if row["runtime"] == "native"}


def deployments(weir):
    """A user's day: things deployed in several ways, with environment and secrets, a row, settings."""
    home = weir.home
    (home / "who.c").write_text(WHO)
    (home / "minus.c").write_text(MINUS)
    folder = home / "greeter"
    (folder / "words").mkdir(parents=True)
    (folder / "bootstrap").write_text(SCRIPT)
    (folder / "bootstrap").chmod(0o755)
    (folder / "words" / "greeting").write_text("good day\n")
    ctl(weir, "fn", "deploy", home / "who.c", "--env", "WHO=somebody", "--secret", "PASSWORD=-", stdin="sesame")
    ctl(weir, "fn", "deploy", home / "minus.c")
    ctl(weir, "fn", "deploy", home / "minus.c", "--timeout", "7s")
    ctl(weir, "fn", "deploy", folder)
    ctl(weir, "fn", "add", "plain", "--runtime", "native", "--file", SAMPLES / "native" / "hello.so")
    for name in ("who", "greeter", "plain"):
        ctl(weir, "route", "add", f"GET /{name}", "--fn", name)
    ctl(weir, "route", "add", "GET /of/{id}", "--fn", "plain", "--host", "shop.example")
    row = json.dumps({"runtime": "native", "module": str(SAMPLES / "native" / "ping.so"), "handler": "weir_handle"})
    table(weir, "INSERT INTO functions (k, v) VALUES ('GET:/row', ?)", (row,))
    ctl(weir, "pool", "set", "default/native", "--policy", "round-robin")
    ctl(weir, "config", "set", "body_bytes_max", "1M")


def answers(weir):
    """What that instance answers, once all of it runs (a row is taken when it is noticed)."""
    def whole():
        got = {path: weir.request("GET", path) for path in ("/who", "/greeter", "/plain", "/row")}
        return got if all(answer.status == 200 for answer in got.values()) else None
    texts = {path: answer.body for path, answer in wait_until(whole, "everything answers").items()}
    texts["minus"] = ctl(weir, "fn", "invoke", "minus", "-d", '{"a":5,"b":3}').stdout
    texts["host"] = weir.request("GET", "/of/7", headers={"host": "shop.example"}).status
    texts["versions"] = [(row["number"], row["timeout_ms"]) for row in
                         json.loads(ctl(weir, "fn", "versions", "minus", "-o", "json").stdout)]
    texts["pool"] = json.loads(ctl(weir, "pool", "get", "default/native", "-o", "json").stdout)["policy"]
    texts["body"] = ctl(weir, "config", "get", "body_bytes_max").stdout
    return texts


class Traffic:
    """Requests and changes of the configuration, until the block ends; what went wrong is kept."""

    def __init__(self, weir):
        self.weir = weir
        self.wrong = []
        self.count = 0
        self.stopping = False
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self._ask, self._change)]

    def _ask(self):
        while not self.stopping:
            answer = self.weir.request("GET", "/plain")
            self.count += 1
            if answer.status != 200:
                self.wrong.append(answer)

    def _change(self):
        while not self.stopping:
            for verb in ("add", "rm"):
                ran = ctl(self.weir, "route", verb, "GET /often", *(["--fn", "plain"] if verb == "add" else []), status=None)
                if ran.returncode not in (0, 5, 9):  # a restore may have removed it; a busy machine is late
                    self.wrong.append(ran)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        wait_until(lambda: self.count > 20, "traffic flows")
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join()


class Day(weir_instance.Case):
    def test_another_instance_answers_the_same(self):
        with Instance() as weir:
            deployments(weir)
            before = answers(weir)
            backup = weir.home / "it.backup"
            with Traffic(weir) as traffic:
                for _ in range(3):
                    ctl(weir, "backup", backup, "--with-key")
            self.assertEqual(traffic.wrong, [])
            self.assertEqual(backup.stat().st_mode & 0o777, 0o600)
            self.assertEqual(sorted(path.name for path in weir.home.glob("*it.backup*")), ["it.backup"])
            self.assertEqual(list((weir.data / "transfer").iterdir()), [])
            with contextlib.closing(sqlite3.connect(backup)) as connection:
                self.assertEqual(connection.execute("PRAGMA integrity_check").fetchone(), ("ok",))
                self.assertEqual(connection.execute("SELECT count(*) FROM backup_rows").fetchone(),
                                 table(weir, "SELECT count(*) FROM functions")[0])
            with Instance() as other:
                ctl(other, "restore", backup)
                self.assertEqual(answers(other), before)
                self.assertIn("restore a backup", ctl(other, "config", "history").stdout)
                # Once more is nothing more; and that instance's own backup is as good.
                again = json.loads(ctl(other, "restore", backup, "-o", "json").stdout)
                self.assertEqual([part for part in again["changes"].values() if any(part.values())], [])
                own = other.home / "own.backup"
                ctl(other, "backup", own)
                ctl(other, "restore", own)
                self.assertEqual(answers(other), before)

    def test_what_the_backup_lacks_goes_and_the_rest_goes_on(self):
        with Instance() as weir:
            deployments(weir)
            answers(weir)
            backup = weir.home / "it.backup"
            ctl(weir, "backup", backup)
            functions, routes = names(weir, "fn"), names(weir, "route")
            workers = native_workers(weir)
            ctl(weir, "fn", "add", "late", "--runtime", "native", "--file", SAMPLES / "native" / "echo.so")
            ctl(weir, "route", "add", "POST /late", "--fn", "late")
            ctl(weir, "route", "rm", "GET /greeter")
            table(weir, "DELETE FROM functions WHERE k = 'GET:/row'")
            looked = ctl(weir, "restore", backup, "--dry-run").stdout
            self.assertRegex(looked, r"functions +0 +0 +1")
            self.assertRegex(looked, r"routes +1 +0 +1")
            self.assertRegex(looked, r"rows +1 +0 +0")
            self.assertEqual(weir.request("POST", "/late", b"x").status, 200)
            with Traffic(weir) as traffic:
                done = ctl(weir, "restore", backup)
            self.assertRegex(done.stdout, r"generation \d+ acked (\d+)/\1 in ")
            self.assertEqual(traffic.wrong, [])
            ctl(weir, "route", "rm", "GET /often", status=None)
            self.assertEqual((names(weir, "fn"), names(weir, "route")), (functions, routes))
            self.assertEqual(weir.request("POST", "/late", b"x").status, 404)
            self.assertEqual(weir.request("GET", "/row").status, 200)
            self.assertTrue(workers & native_workers(weir), "whose functions stayed goes on")

    def test_secrets_without_their_key(self):
        with Instance() as weir, Instance() as other:
            deployments(weir)
            (weir.home / "outside.sh").write_text(SCRIPT)
            (weir.home / "outside.sh").chmod(0o755)
            ctl(weir, "fn", "add", "outside", "--runtime", "exec", "--file", weir.home / "outside.sh")
            ctl(weir, "backup", weir.home / "it.backup")
            (weir.home / "outside.sh").unlink()
            done = ctl(other, "restore", weir.home / "it.backup")
            self.assertIn("the secrets of default/who cannot be opened", done.stderr)
            self.assertIn("the code of default/outside lies outside", done.stderr)
            self.assertEqual(ctl(other, "fn", "invoke", "minus", "-d", '{"a":5,"b":3}').stdout, "2\n")
            ctl(other, "fn", "env", "set", "who", "--secret", "PASSWORD=-", stdin="open")
            ctl(weir, "backup", weir.home / "keyed.backup", "--with-key")
            self.assertNotIn("cannot be opened", ctl(other, "restore", weir.home / "keyed.backup").stderr)
            self.assertEqual(answers(other)["/who"], b"somebody sesame\n")


class Wrong(weir_instance.Case):
    def test_errors_are_said_and_change_nothing(self):
        with Instance() as weir:
            ctl(weir, "fn", "add", "plain", "--runtime", "native", "--file", SAMPLES / "native" / "hello.so")
            backup = weir.home / "it.backup"
            ctl(weir, "backup", backup)
            sound = backup.read_bytes()
            generation = weir.status()["generation"]
            other = weir.home / "other"
            for data, why in ((b"nothing of ours", "no file of `ctrlctl backup`"), (sound[:-5000], "cut short"),
                              (sound[:20000] + b"\0" * 4096 + sound[24096:], "no sound backup")):
                other.write_bytes(data)
                self.assertIn(why, ctl(weir, "restore", other, status=7).stderr)
            other.write_bytes(b"")
            self.assertIn("empty", ctl(weir, "restore", other, status=7).stderr)
            self.assertIn("cannot be read", ctl(weir, "restore", weir.home / "missing", status=7).stderr)
            self.assertIn("cannot write", ctl(weir, "backup", weir.home / "no" / "folder", status=1).stderr)
            self.assertEqual(weir.status()["generation"], generation)
            with open("/dev/full", "wb") as device:
                full = subprocess.run([str(BIN / "ctrlctl"), "--data", str(weir.data), "backup", "-"], timeout=60,
                                      stdout=device, stderr=subprocess.PIPE)
            self.assertEqual(full.returncode, 1)
            self.assertIn(b"No space left", full.stderr)
            piped = subprocess.run([str(BIN / "ctrlctl"), "--data", str(weir.data), "backup", "-"], timeout=60,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertEqual((piped.returncode, piped.stdout[:16]), (0, b"SQLite format 3\0"))
            self.assertIn(b"1 functions", piped.stderr)

    def test_lock_of_another_program_is_said(self):
        with Instance() as weir:
            deployments(weir)
            backup = weir.home / "it.backup"
            ctl(weir, "backup", backup)
            ctl(weir, "route", "rm", "GET /who")
            table(weir, "DELETE FROM functions")
            for name, why in (("weir.db", "another program holds a lock"), ("faas_meta.db", "the rows of the public table are not")):
                connection = sqlite3.connect(weir.data / name, isolation_level=None)
                with contextlib.closing(connection):
                    connection.execute("BEGIN IMMEDIATE")
                    self.assertIn(why, ctl(weir, "restore", backup, status=1).stderr)
                self.assertEqual("GET /who" in names(weir, "route"), name == "faas_meta.db")
            rest = json.loads(ctl(weir, "restore", backup, "-o", "json").stdout)["changes"]
            self.assertEqual([name for name, part in rest.items() if any(part.values())], ["rows"])

    def test_who_takes_it_slowly_holds_nobody_up(self):
        with Instance() as weir:
            large(weir, "one", 8 << 20)
            slow = subprocess.Popen([str(BIN / "ctrlctl"), "--data", str(weir.data), "backup", "-"],
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            try:
                self.assertEqual(slow.stdout.read(16), b"SQLite format 3\0")
                ctl(weir, "config", "set", "body_bytes_max", "1M")
                ctl(weir, "backup", weir.home / "it.backup")
            finally:
                slow.kill()
                slow.wait()
                slow.stdout.close()
            ctl(weir, "restore", weir.home / "it.backup")
            self.assertEqual(list((weir.data / "transfer").iterdir()), [])


def large(weir, name, size):
    """A function with that much code, which makes backups take a while."""
    folder = weir.home / name
    folder.mkdir()
    (folder / "bootstrap").write_text(f"#!/bin/sh\necho {name}\n")
    (folder / "bootstrap").chmod(0o755)
    (folder / "data").write_bytes(random.randbytes(size))
    ctl(weir, "fn", "deploy", folder, "--name", name)
    ctl(weir, "route", "add", f"GET /{name}", "--fn", name)


class Death(weir_instance.Case):
    ROUNDS = 6

    def kill_during(self, weir, *arguments):
        """Run ctrlctl and kill the control process at a random moment of it. Its exit status."""
        pid = weir.pid_of("weir-ctrld")
        running = subprocess.Popen([str(BIN / "ctrlctl"), "--data", str(weir.data), *map(str, arguments)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=weir.env)
        time.sleep(random.random() * 0.25)
        os.kill(pid, signal.SIGKILL)
        status = running.wait(timeout=60)
        wait_until(lambda: [one for one, _ in weir.processes("weir-ctrld") if one != pid], "ctrld is started again")
        weir.wait_ready()
        return status

    def die_at(self, weir, *arguments):
        """Run ctrlctl on an instance whose control process dies at a named point of that; then go on without."""
        if ctl(weir, *arguments, status=None).returncode == 0:
            self.skipTest("built without WEIR_FAULT_POINTS")
        weir.wait_ready()
        self.assertEqual(list((weir.data / "transfer").iterdir()), [])
        self.assertIn("all of it is sound", ctl(weir, "config", "check").stdout)
        weir.stop()
        del weir.env["WEIR_FAULT"]
        weir.start()

    def test_killed_at_the_worst_moments(self):
        with Instance(env={"WEIR_FAULT": "backup_code_part:kill:1"}) as weir:
            deployments(weir)
            before = answers(weir)
            backup = weir.home / "it.backup"
            self.die_at(weir, "backup", backup, "--with-key")
            self.assertEqual(list(weir.home.glob("*it.backup*")), [])
            ctl(weir, "backup", backup, "--with-key")
            with Instance(env={"WEIR_FAULT": "backup_code_stored:kill:1"}) as other:
                self.die_at(other, "restore", backup)
                self.assertEqual((names(other, "fn"), names(other, "route")), (set(), set()))
                ctl(other, "restore", backup)
                self.assertEqual(answers(other), before)
            with Instance(env={"WEIR_FAULT": "backup_between_databases:kill:1"}) as other:
                self.die_at(other, "restore", backup)
                self.assertEqual(other.request("GET", "/who").body, before["/who"])
                self.assertEqual(other.request("GET", "/row").status, 404)
                rest = json.loads(ctl(other, "restore", backup, "-o", "json").stdout)["changes"]
                self.assertEqual([name for name, part in rest.items() if any(part.values())], ["rows"])
                self.assertEqual(answers(other), before)

    def test_killed_at_any_moment(self):
        seed = random.getrandbits(32)
        random.seed(seed)
        print(f"seed {seed}")
        with Instance() as weir:
            configurations = {}
            for name in ("one", "two"):
                large(weir, name, 12 << 20)
                backup = weir.home / f"{name}.backup"
                ctl(weir, "backup", backup)
                configurations[name] = (backup, names(weir, "fn"), names(weir, "route"))
            killed = weir.home / "killed.backup"
            for _ in range(self.ROUNDS):
                status = self.kill_during(weir, "backup", killed)
                self.assertEqual(status == 0, killed.exists())
                if status == 0:
                    ctl(weir, "restore", killed, "--dry-run")
                killed.unlink(missing_ok=True)
                self.assertEqual(list(weir.home.glob(".killed*")), [])
                self.assertEqual(list((weir.data / "transfer").iterdir()), [])
            for round_number in range(2 * self.ROUNDS):
                backup, _, _ = configurations[("one", "two")[round_number % 2]]
                self.kill_during(weir, "restore", backup)
                self.assertEqual(list((weir.data / "transfer").iterdir()), [])
                now = (names(weir, "fn"), names(weir, "route"))
                self.assertIn(now, [sound[1:] for sound in configurations.values()])
                wait_until(lambda: b"one" in weir.request("GET", "/one").body, "what both have answers")
            for backup, functions, routes in configurations.values():
                ctl(weir, "restore", backup)
                self.assertEqual((names(weir, "fn"), names(weir, "route")), (functions, routes))
            wait_until(lambda: b"two" in weir.request("GET", "/two").body, "the last one restored answers")


if __name__ == "__main__":
    weir_instance.main()
