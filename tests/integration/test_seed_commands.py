# labels: integration
# timeout: 180
"""The commands that the README of the C platform prints, unchanged, against a fresh Weir.

They name port 8080 and /opt/functions, so all of this runs in network and mount namespaces of its own;
where the kernel refuses one, everything here is skipped."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

import weir_instance
from weir_instance import Instance, needs_program, wait_until

INSIDE = "WEIR_TEST_IN_NAMESPACE"

C1 = """curl -X POST http://localhost:8080/api/hello \\
  -H "Content-Type: application/json" \\
  -d '{"name":"Alice"}'
"""
C2 = "curl http://localhost:8080/api/info"
C3 = """curl -X POST http://localhost:8080/resize \\
  -H "Content-Type: application/json" \\
  -d '{"image":"base64data...","width":800}'
"""
C4 = "curl http://localhost:8080/ping"
C5_INSERT = """sqlite3 faas_meta.db << EOF
INSERT INTO functions (k, v, updated) VALUES (
  'POST:/api/convert',
  '{"name":"imageConverter","runtime":"wasm","module":"/opt/functions/convert.wasm","handler":"convert","memory":512,"timeout":30}',
  strftime('%s','now')
);
EOF
"""
C5_CALL = """curl -X POST http://localhost:8080/api/convert \\
  -d '{"format":"png"}'
"""
C6_UPDATE = """UPDATE functions
SET v='{"module":"/new/path.wasm",...}',
    updated=strftime('%s','now')
WHERE k='POST:/resize';
"""
C7_QUERY = 'sqlite3 faas_meta.db "SELECT k,substr(v,1,60) FROM functions;"'
C7 = f"watch -n 1 '{C7_QUERY}'"


class Seed(weir_instance.Case):
    def setUp(self):
        super().setUp()
        needs_program("sqlite3", "sqlite3")
        needs_program("php", "php-cli")
    @contextlib.contextmanager
    def instance(self):
        with Instance(samples=True, listen=["127.0.0.1:8080"]) as self.weir:
            yield

    def shell(self, command, text=None, check=True):
        """Run `command` as the reader of the README would: in bash, in the data directory."""
        done = subprocess.run(["bash", "-c", command], cwd=self.weir.data, capture_output=True, text=True, input=text,
                              timeout=60)
        if check:
            self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")
        return done

    def answer(self, command):
        """(status, body) of a curl command, which is only given the option that shows the status."""
        shown = self.shell(command.replace("curl ", "curl -sS -w '\\n%{http_code}' ", 1)).stdout
        body, _, status = shown.rpartition("\n")
        return int(status), body

    def test_c1_hello_greets_by_name(self):
        with self.instance():
            status, body = self.answer(C1)
            self.assertEqual(status, 200)
            self.assertIn("Alice", json.dumps(json.loads(body)))

    def test_c2_info_is_json(self):
        with self.instance():
            status, body = self.answer(C2)
            self.assertEqual(status, 200)
            self.assertIsInstance(json.loads(body), dict)

    def test_c3_resize_mentions_the_width(self):
        with self.instance():
            status, body = self.answer(C3)
            self.assertEqual(status, 200)
            self.assertIn("800", json.dumps(json.loads(body)))

    def test_c4_ping_answers(self):
        with self.instance():
            self.assertEqual(self.answer(C4)[0], 200)

    def test_c5_an_inserted_row_is_routed_without_a_restart(self):
        with self.instance():
            self.assertEqual(self.answer(C5_CALL), (404, '{"error":"Function not found"}'))
            keeper = self.weir.keeper.pid
            self.shell(C5_INSERT)
            status, body = wait_until(lambda: self.found(C5_CALL), "the inserted row is routed", 5)
            # There is no such module: said clearly, never 404.
            self.assertEqual(status, 501)
            self.assertIn("wasm", body)
            self.assertIn("/opt/functions/convert.wasm", body)
            self.assertEqual(self.weir.keeper.pid, keeper)

    def test_c5_the_module_of_the_inserted_row_runs_where_it_is(self):
        module = weir_instance.SAMPLES / "wasm" / "upper.wasm"
        if not module.exists() or not (weir_instance.BIN / "weir-worker-wasm").exists():
            self.skipTest("the runtime wasm or what builds for it is not installed")
        with self.instance():
            folder = pathlib.Path("/opt/functions")  # of this namespace: main() put an empty /opt there
            folder.mkdir(exist_ok=True)
            (folder / "convert.wasm").write_bytes(module.read_bytes())
            self.shell(C5_INSERT)
            self.assertEqual(wait_until(lambda: self.ready(C5_CALL), "the inserted row serves"), '{"FORMAT":"PNG"}')
            # As `wasmer run` did, whatever handler the row names: text is wrapped, no output is a failure.
            path = "/api/convert"
            self.assertEqual(self.weir.request("POST", path, b'say "hi"').json(), {"result": 'SAY "HI"'})
            large = b"x" * 3000000
            self.assertEqual(self.weir.request("POST", path, large).json(), {"result": large.decode().upper()})
            answer = self.weir.request("POST", path, b"")
            self.assertEqual((answer.status, answer.json()["error"], answer.json()["exit_code"]), (500, "Function failed", 0))
            leaving = weir_instance.BUILD / "tests" / "functions" / "wasm" / "exit.wasm"
            if leaving.exists():
                (folder / "convert.wasm").write_bytes(leaving.read_bytes())
                self.shell("sqlite3 faas_meta.db", text="UPDATE functions SET v=replace(v,'512','256') WHERE k='POST:/api/convert';")
                wait_until(lambda: self.weir.request("POST", path, b"x").json().get("exit_code") == 3, "the changed module exits")

    def ready(self, command):
        status, body = self.answer(command)
        return body if status == 200 else None

    def test_the_functions_that_other_platforms_commands_call_are_there(self):
        with self.instance():
            # F1, S2: the functions; the paths under which those platforms call them are not theirs.
            for _ in range(2):
                wait_until(lambda: self.weir.ctrlctl("fn", "invoke", "simon/echo", "-d", "hello faasm", check=False).stdout ==
                           "hello faasm", "simon/echo answers")
            self.assertEqual(self.invoked("reverse", "1"), (b"1", 1))
            self.assertEqual(self.invoked("reverse", "+02"), (b"20+", 2))
            for payload, answer in (("", ""), ("abc", "cba"), ("-1", "1-"), ("1 ", " 1"), ("1.5", "5.1"),
                                    ("99999999999999999999", "99999999999999999999"), ("h\u00e9\u20ac\U0001f600", "\U0001f600\u20ac\u00e9h")):
                self.assertEqual(self.invoked("reverse", payload), (answer.encode(), 0))
            self.assertEqual(self.invoked("reverse", b"a\xc3\xa9\xff\xe2\x82"), (b"\x82\xe2\xff\xc3\xa9a", 0))
            self.assertEqual(self.invoked("reverse", b"12" * 250000), (b"21" * 250000, 0))
            self.assertEqual(self.invoked("upper", "string-argument"), (b"STRING-ARGUMENT\n", 0))

    def test_the_images_that_other_platforms_commands_name_stand_for_something(self):
        with self.instance():
            for number, (image, payload, answer) in enumerate((
                    ("013072238852.dkr.ecr.cn-north-1.amazonaws.com.cn/agentguo/test:1.1", "1", (b"1", 1)),
                    ("builtin:sleep", "no number", (b"rebmun on", 0)),
                    ("docker-image-reference", "string-argument", (b"STRING-ARGUMENT\n", 0)),
                    ("builtin:upper", "string-argument", (b"STRING-ARGUMENT\n", 0)),
                    ("fliuzzi02/custom-echo-image:latest", "Hello, world!", (b"Hello, world!", 0)))):
                name = "test" if number == 0 else f"image-{number}"  # as S1 calls it
                self.weir.ctrlctl("fn", "add", name, "--image", image)
                self.assertEqual(self.invoked(name, payload), answer)
            self.assertFalse([problem for problem in self.weir.status()["problems"] if problem["what"] == "image"])

    def invoked(self, name, payload):
        """(what the function answers, whole seconds that it took at least: up to those that are named in the payload)"""
        payload = payload.encode() if isinstance(payload, str) else payload
        wanted = int(payload) if payload.strip(b"+").isdigit() and len(payload) < 4 else 0
        (self.weir.data / "payload").write_bytes(payload)
        began = time.monotonic()
        answer = self.weir.curl("--fail", "--unix-socket", self.weir.data / "run" / "http.sock", "--data-binary",
                                f"@{self.weir.data / 'payload'}", f"http://function.weir/default/{name}").stdout
        return answer, min(wanted, int(time.monotonic() - began))

    def found(self, command):
        status, body = self.answer(command)
        return (status, body) if status != 404 else None

    def test_c6_a_row_that_is_not_json_keeps_the_good_version_and_is_reported(self):
        with self.instance():
            self.assertEqual(self.answer(C3)[0], 200)
            self.shell("sqlite3 faas_meta.db", text=C6_UPDATE)
            reported = wait_until(lambda: [line for line in self.weir.log_path.read_text().splitlines()
                                           if "POST:/resize" in line], "the bad row is reported")
            self.assertTrue(reported)
            self.assertEqual(self.answer(C3)[0], 200)

    def test_c6_an_update_takes_effect_and_a_delete_too(self):
        with self.instance():
            module = self.weir.data / "other.php"
            module.write_text('<?php echo json_encode(["other" => true]);')
            value = json.dumps({"name": "other", "runtime": "php", "module": str(module), "handler": "main"})
            self.shell("sqlite3 faas_meta.db", text=f"UPDATE functions SET v='{value}' WHERE k='POST:/resize';")
            wait_until(lambda: "other" in self.answer(C3)[1], "requests use the new module", 5)
            self.shell("sqlite3 faas_meta.db", text="DELETE FROM functions WHERE k='POST:/resize';")
            wait_until(lambda: self.answer(C3) == (404, '{"error":"Function not found"}'), "the deleted row is gone", 5)

    def test_c7_the_table_can_be_watched_and_recreated_by_the_sqlite3_program(self):
        with self.instance():
            shown = self.shell(C7_QUERY).stdout
            self.assertIn("POST:/api/hello|{", shown)
            self.shell(f"timeout 3 {C7} >/dev/null 2>&1 </dev/null; [ $? = 124 ]" if self.watch_works() else "true")
            self.shell("sqlite3 faas_meta.db \"DELETE FROM functions;\"")
            wait_until(lambda: self.answer(C1)[0] == 404, "the emptied table is noticed", 5)
            self.shell("sqlite3 faas_meta.db < init.sql")
            wait_until(lambda: self.answer(C1)[0] == 200, "the recreated table is noticed", 5)

    def watch_works(self):
        """watch wants a terminal type; without one the printed query alone is what can be run."""
        return subprocess.run(["bash", "-c", "timeout 1 watch -n 1 true </dev/null >/dev/null 2>&1; [ $? = 124 ]"]).returncode == 0


def main():
    if os.environ.get(INSIDE) != "1":
        command = ["unshare", "--net", "--mount"]
        if os.geteuid() != 0:
            command.append("--map-root-user")
        try:
            possible = subprocess.run([*command, "ip", "link", "set", "lo", "up"], capture_output=True, text=True)
        except FileNotFoundError:
            possible = None
        if possible is None or possible.returncode != 0:
            print("skipped: no network namespace of its own:", possible.stderr.strip() if possible else "no unshare")
            sys.exit(77)
        inside = ["sh", "-c", 'ip link set lo up && mount -t tmpfs none /opt && exec "$@"', "sh", sys.executable, *sys.argv]
        os.environ[INSIDE] = "1"
        os.execvp("unshare", [*command, *inside])
    weir_instance.main()


if __name__ == "__main__":
    main()
