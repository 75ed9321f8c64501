#!/usr/bin/env python3
# labels: integration
# timeout: 300
"""Control on a running instance: the public table, the databases' accidents, ctrlctl."""

import contextlib
import json
import os
import pathlib
import resource
import signal
import sqlite3
import subprocess
import threading
import time

import weir_instance
from weir_instance import Instance, wait_until

PHP = '<?php echo json_encode(["said" => "{}"]);'


def table(weir, statement, parameters=()):
    """One statement by another program, committed."""
    connection = sqlite3.connect(weir.data / "faas_meta.db", timeout=10)
    with contextlib.closing(connection), connection:
        return connection.execute(statement, parameters).fetchall()


def module(weir, name, word):
    """A PHP file that says a word."""
    path = weir.home / name
    path.write_text(PHP.replace("{}", word))
    return path


def value(path, **more):
    return json.dumps({"runtime": "php", "module": str(path), "handler": "main", **more})


def said(weir, path, word):
    answer = weir.request("GET", path)
    return answer.status == 200 and answer.json().get("said") == word


def problem(weir, what):
    """The problems of that kind that status shows."""
    return [one for one in weir.status()["problems"] if one["what"] == what]


class Table(weir_instance.Case):
    def setUp(self):
        super().setUp()
        weir_instance.needs_program("php", "php-cli")

    def test_rows_by_others_take_effect_by_themselves(self):
        with Instance() as weir:
            self.assertEqual(weir.request("GET", "/row").status, 404)
            table(weir, "INSERT INTO functions (k, v) VALUES ('GET:/row', ?)", [value(module(weir, "a.php", "one"))])
            wait_until(lambda: said(weir, "/row", "one"), "an inserted row serves")
            # Whatever `updated` says.
            table(weir, "UPDATE functions SET v = ? WHERE k = 'GET:/row'", [value(module(weir, "b.php", "two"))])
            wait_until(lambda: said(weir, "/row", "two"), "a changed row serves")
            table(weir, "DELETE FROM functions")
            wait_until(lambda: weir.request("GET", "/row").status == 404, "a deleted row is gone")
            self.assertEqual(weir.request("GET", "/row").body, b'{"error":"Function not found"}')

    def test_bad_row_keeps_its_last_good_version_over_a_kill(self):
        with Instance() as weir:
            table(weir, "INSERT INTO functions (k, v) VALUES ('GET:/row', ?)", [value(module(weir, "a.php", "one"))])
            wait_until(lambda: said(weir, "/row", "one"), "the row serves")
            table(weir, "UPDATE functions SET v = ?", ['{"module":7,"handler":"main"}'])
            wait_until(lambda: problem(weir, "row"), "the bad row is reported")
            (bad,) = problem(weir, "row")
            self.assertEqual((bad["row"], bad["field"]), ("GET:/row", "v.module"))
            self.assertIn("must be a string", bad["reason"])
            self.assertIn("stale: v.module must be a string", weir.ctrlctl("route", "list").stdout)
            self.assertIn('row refused row="GET:/row" field=v.module', weir.log())
            self.assertTrue(said(weir, "/row", "one"))
            os.kill(weir.pid_of("weir-ctrld"), signal.SIGKILL)
            wait_until(lambda: weir.ctrlctl("ready", check=False).returncode == 0, "control is back")
            weir.remember()
            self.assertTrue(problem(weir, "row"))
            self.assertTrue(said(weir, "/row", "one"))

    def test_file_that_vanishes_keeps_serving_and_a_new_one_is_followed(self):
        with Instance(samples=True) as weir:
            for name in ("faas_meta.db", "faas_meta.db-wal", "faas_meta.db-shm"):
                (weir.data / name).unlink(missing_ok=True)
            wait_until(lambda: problem(weir, "faas_meta.db"), "the missing file is reported")
            self.assertEqual(weir.request("GET", "/api/info").status, 200)
            weir_instance.needs_program("sqlite3", "sqlite3")
            with open(weir.data / "init.sql", "rb") as script:
                subprocess.run(["sqlite3", "-bail", "faas_meta.db"], stdin=script, cwd=weir.data, check=True)
            table(weir, "INSERT INTO functions (k, v) VALUES ('GET:/row', ?)", [value(module(weir, "a.php", "one"))])
            wait_until(lambda: said(weir, "/row", "one"), "the new file's rows serve")
            wait_until(lambda: not problem(weir, "faas_meta.db"), "the report ends")

    def test_row_whose_runtime_is_not_here_is_501_and_names_it(self):
        with Instance() as weir:
            table(weir, "INSERT INTO functions (k, v) VALUES ('GET:/w', ?)",
                  ['{"runtime":"wasm","module":"/opt/x.wasm","handler":"h"}'])
            wait_until(lambda: weir.request("GET", "/w").status == 501, "the row is known")
            text = weir.request("GET", "/w").body.decode()
            self.assertIn("wasm", text)
            self.assertIn("/opt/x.wasm", text)

    def test_foreign_lock_on_the_table_does_not_stop_routes(self):
        with Instance(samples=True) as weir:
            lock = sqlite3.connect(weir.data / "faas_meta.db", isolation_level=None)
            with contextlib.closing(lock):
                lock.execute("BEGIN IMMEDIATE")
                weir.ctrlctl("route", "add", "GET /mine", "--fn", "hello")
                self.assertEqual(weir.request("GET", "/mine").status, 200)
                self.assertEqual(weir.request("GET", "/api/info").status, 200)
                refused = weir.ctrlctl("route", "rm", "GET /api/info", check=False)
                self.assertEqual(refused.returncode, 1)
                self.assertIn("lock", refused.stderr)
                lock.execute("ROLLBACK")
            weir.ctrlctl("route", "rm", "GET /api/info")
            wait_until(lambda: weir.request("GET", "/api/info").status == 404, "the row is removed")


class Accidents(weir_instance.Case):
    def test_damaged_database_is_reported_and_the_last_snapshot_serves(self):
        with Instance(samples=True) as weir:
            weir.ctrlctl("route", "add", "GET /mine", "--fn", "hello")
            connection = sqlite3.connect(weir.data / "weir.db")
            with contextlib.closing(connection):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            sound = (weir.data / "weir.db").read_bytes()
            with open(weir.data / "weir.db", "r+b") as database:
                database.write(os.urandom(16384))
            refused = weir.ctrlctl("route", "add", "GET /other", "--fn", "hello", check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("weir.db", refused.stderr)
            wait_until(lambda: problem(weir, "weir.db"), "the damage is reported")
            self.assertEqual(weir.request("GET", "/mine").status, 200)
            self.assertIn("damaged", weir.log())
            os.kill(weir.pid_of("weir-ctrld"), signal.SIGKILL)
            wait_until(lambda: problem(weir, "weir.db"), "a new control process reports it too")
            self.assertEqual(weir.request("GET", "/mine").status, 200)
            # A restart of everything boots from the copy of the last snapshot.
            weir.stop()
            weir.start(wait=False)
            wait_until(lambda: self.serves(weir, "/mine"), "the copy on the disk serves")
            # A copy of the database brings everything back.
            for name in ("weir.db-wal", "weir.db-shm"):
                (weir.data / name).unlink(missing_ok=True)
            (weir.data / "weir.db").write_bytes(sound)
            wait_until(lambda: weir.ctrlctl("route", "add", "GET /other", "--fn", "hello", check=False).returncode == 0,
                       "the restored database is taken")
            self.assertFalse(problem(weir, "weir.db"))
            self.assertEqual(weir.request("GET", "/other").status, 200)
            self.assertEqual(weir.request("GET", "/mine").status, 200)

    @staticmethod
    def serves(weir, path):
        with contextlib.suppress(OSError):
            return weir.request("GET", path).status == 200
        return False

    def test_full_disk_is_said_changes_nothing_and_serves_on(self):
        with Instance(samples=True) as weir:
            pid = weir.pid_of("weir-ctrld")
            # A limit on the size of its files stands for a full disk: the database's log is longer by
            # now, a snapshot in memory, which counts too, is not.
            self.assertGreater((weir.data / "weir.db-wal").stat().st_size, 16384)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (16384, resource.RLIM_INFINITY))
            refused = weir.ctrlctl("route", "add", "GET /mine", "--fn", "hello", check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("no room on the disk", refused.stderr)
            self.assertEqual(weir.request("GET", "/mine").status, 404)
            self.assertEqual(weir.request("GET", "/hello").status, 200)
            self.assertEqual(weir.pid_of("weir-ctrld"), pid)
            # A row that another program could still write serves, though it cannot be remembered yet.
            table(weir, "INSERT INTO functions (k, v) VALUES ('GET:/w', ?)",
                  ['{"runtime":"wasm","module":"/opt/x.wasm","handler":"h"}'])
            wait_until(lambda: weir.request("GET", "/w").status == 501, "the row is known")
            wait_until(lambda: problem(weir, "rows"), "the trouble is shown")
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            wait_until(lambda: not weir.status()["problems"], "the trouble ends by itself")
            weir.ctrlctl("route", "add", "GET /mine", "--fn", "hello")
            self.assertEqual(weir.request("GET", "/mine").status, 200)

    def test_kill_of_control_loses_no_change_that_was_answered(self):
        with Instance(samples=True) as weir:
            stop = threading.Event()

            def killer():
                while not stop.wait(0.4):
                    with contextlib.suppress(AssertionError, ProcessLookupError):
                        os.kill(weir.pid_of("weir-ctrld"), signal.SIGKILL)

            thread = threading.Thread(target=killer)
            thread.start()
            kept = set()
            try:
                deadline = time.monotonic() + 8
                number = 0
                while time.monotonic() < deadline:
                    number += 1
                    done = weir.ctrlctl("route", "add", f"GET /kept/{number}", "--fn", "hello", check=False)
                    if done.returncode in (0, 9):
                        kept.add(number)
                    self.assertEqual(weir.request("GET", "/hello").status, 200)
            finally:
                stop.set()
                thread.join()
            wait_until(lambda: weir.ctrlctl("ready", check=False).returncode == 0, "control is back")
            weir.remember()
            listed = {one["route"] for one in json.loads(weir.ctrlctl("route", "list", "-o", "json").stdout)}
            self.assertGreater(len(kept), 3)
            self.assertEqual([n for n in kept if f"GET /kept/{n}" not in listed], [])
            for number in kept:
                self.assertEqual(weir.request("GET", f"/kept/{number}").status, 200)

    def test_restart_keeps_routes_settings_and_rows(self):
        with Instance(samples=True) as weir:
            weir.ctrlctl("route", "add", "GET /mine", "--fn", "hello")
            weir.ctrlctl("config", "set", "body_bytes_max", "1k")
            before = json.loads(weir.ctrlctl("route", "list", "-o", "json").stdout)
            generation = weir.status()["generation"]
            weir.stop()
            weir.start()
            self.assertEqual(json.loads(weir.ctrlctl("route", "list", "-o", "json").stdout), before)
            self.assertGreater(weir.status()["generation"], generation)
            self.assertEqual(weir.request("POST", "/echo", b"x" * 1025).status, 413)
            self.assertEqual(weir.request("POST", "/echo", b"x" * 1024).status, 200)


class Commands(weir_instance.Case):
    def test_change_under_traffic_is_seen_at_once_and_disturbs_nobody(self):
        with Instance(samples=True) as weir:
            weir.ctrlctl("route", "add", "GET /turn", "--fn", "hello")
            wrong = []
            stop = threading.Event()

            def load():
                while not stop.is_set():
                    answer = weir.request("GET", "/hello")
                    if answer.status != 200:
                        wrong.append(answer)

            threads = [threading.Thread(target=load) for _ in range(4)]
            for thread in threads:
                thread.start()
            try:
                for turn in range(40):
                    name = ("ping", "hello")[turn % 2]
                    done = weir.ctrlctl("route", "update", "GET /turn", "--fn", name)
                    self.assertRegex(done.stdout, r"^generation \d+ acked (\d+)/\1 in \d+\.\d ms\n$")
                    expected = weir.request("GET", f"/{name}")
                    got = weir.request("GET", "/turn")
                    self.assertEqual((got.status, len(got.body) > 0), (200, True))
                    self.assertEqual(b"Hello" in got.body, b"Hello" in expected.body)
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            self.assertEqual(wrong, [])

    def test_exec_of_a_php_script_runs_php(self):
        weir_instance.needs_program("php", "php-cli")
        with Instance() as weir:
            script = weir.home / "greet.php"
            script.write_text('<?php echo "hi ", stream_get_contents(STDIN);')
            weir.ctrlctl("fn", "add", "greet", "--runtime", "exec", "--file", script)
            weir.ctrlctl("route", "add", "POST /greet", "--fn", "greet")
            self.assertEqual(weir.request("POST", "/greet", b'"you"').json(), {"result": 'hi "you"'})

    def test_functions_are_called_by_name_on_the_local_socket_only(self):
        with Instance(samples=True) as weir:
            self.assertIn("Hello", weir.ctrlctl("fn", "invoke", "hello").stdout)
            self.assertEqual(weir.ctrlctl("fn", "invoke", "echo", "-d", "a body").stdout, "a body")
            self.assertEqual(weir.ctrlctl("fn", "invoke", "echo", "-d", "@-", stdin="from a pipe").stdout, "from a pipe")
            missing = weir.ctrlctl("fn", "invoke", "nobody", check=False)
            self.assertEqual(missing.returncode, 1)
            outside = weir.request("GET", "/default/hello", headers={"Host": "function.weir"})
            self.assertEqual(outside.status, 404)

    def test_status_counts_and_names_what_runs(self):
        with Instance(samples=True) as weir:
            before = weir.status()
            for _ in range(20):
                weir.request("GET", "/hello")
            wait_until(lambda: weir.status()["metrics"]["responses_2xx"] >= before["metrics"]["responses_2xx"] + 20,
                       "the answers are counted")
            after = wait_until(lambda: (row := weir.status()) and row["metrics"]["calls_in_flight"] == 0
                               and all(one["state"] == "ready" for one in row["processes"]) and row, "all are ready")
            kinds = [one["kind"] for one in after["processes"]]
            for kind in ("supervisor", "gateway", "ctrld", "worker"):
                self.assertIn(kind, kinds)
            for process in after["processes"]:
                self.assertTrue(pathlib.Path("/proc", str(process["pid"])).exists(), process)
            self.assertEqual(after["control"]["acknowledged"]["acked"], after["control"]["acknowledged"]["total"])


if __name__ == "__main__":
    weir_instance.main()
