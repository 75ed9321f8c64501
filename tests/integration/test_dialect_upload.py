#!/usr/bin/env python3
# labels: integration
# timeout: 180
"""The C platform's /upload: its form, what becomes of files in each language, and what it refuses."""

import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile

import weir_instance
from weir_instance import BUILD, Instance, wait_until

PROGRAM = """#include <stdio.h>
#include <string.h>
int main(void)
{
	char text[4096] = "";
	const size_t bytes = fread(text, 1, sizeof(text) - 1, stdin);

	if (strcmp(text, "fail") == 0)
		return 3;
	printf("%zu bytes: %s", bytes, text);
	return 0;
}
"""
PHP = "<?php echo json_encode(['got' => file_get_contents('php://stdin')]);"
PYTHON = "import sys\nprint('[\"' + sys.stdin.read().upper() + '\"]', end='')\n"
TYPE = {"content-type": "multipart/form-data; boundary=b"}


def part(name, content, fields=b""):
    return b'--b\r\nContent-Disposition: form-data; name="%s"; filename="x"\r\n%s\r\n%s\r\n' % (name, fields, content)


def form(code=b"x", descriptor=b'{"runtime":"php"}'):
    return part(b"code", code) + part(b"descriptor", descriptor) + b"--b--\r\n"


class Upload(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        cls.here = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="it-upload-")))
        cls.weir = cls.enterClassContext(Instance())

    def curl(self, code, descriptor, status=200):
        """Upload with curl -F -> the answer's JSON."""
        (self.here / "code").write_bytes(code if isinstance(code, bytes) else code.encode())
        (self.here / "descriptor.json").write_text(json.dumps(descriptor))
        done = subprocess.run(["curl", "-sS", "-w", "%{http_code}", "-F", "code=@code", "-F",
                               "descriptor=@descriptor.json", f"http://127.0.0.1:{self.weir.port}/upload"],
                              cwd=self.here, capture_output=True, timeout=120, check=True)
        self.assertEqual(done.stdout[-3:], b"%d" % status, done.stdout)
        return json.loads(done.stdout[:-3])

    def upload(self, code, descriptor):
        answer = self.curl(code, descriptor)
        self.assertEqual(set(answer), {"status", "message", "uri", "method", "info"})
        self.assertEqual((answer["status"], answer["message"]), ("success", "Function compiled and deployed"))
        self.assertEqual(answer["method"], descriptor.get("method", "POST"))
        self.assertRegex(answer["uri"], r"^/api/func_\d+_\d+_\d+$")
        return answer["uri"]

    def called(self, uri, body, method="POST", status=200):
        answer = self.weir.request(method, uri, body)
        self.assertEqual(answer.status, status, answer)
        return answer.json()

    def rows(self):
        with sqlite3.connect(self.weir.data / "faas_meta.db", timeout=10) as table:
            rows = dict(table.execute("SELECT k, v FROM functions"))
        table.close()
        return rows

    def here_are(self, *programs):
        for program in programs:
            if shutil.which(program) is None and not (BUILD / "bin" / program).exists():
                self.skipTest(f"{program} is not here")

    def error(self, body, headers=None):
        answer = self.weir.request("POST", "/upload", body, headers=TYPE if headers is None else headers)
        self.assertEqual((answer.status, answer.headers["content-type"]), (500, "application/json"), answer)
        self.assertEqual(list(answer.json()), ["error"])
        return answer.json()["error"]

    def test_the_page_is_one_form_and_nothing_from_elsewhere(self):
        answer = self.weir.request("GET", "/upload")
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "text/html; charset=utf-8"))
        page = answer.body.decode()
        for wanted in ('enctype="multipart/form-data"', 'name="code"', 'name="descriptor"', 'action="/upload"'):
            self.assertIn(wanted, page)
        for foreign in ("src=", "href=", "<script"):
            self.assertNotIn(foreign, page)

    def test_a_program_in_c(self):
        self.here_are("clang", "weir-worker-wasm")
        uri = self.upload(PROGRAM, {"runtime": "c", "memory": 64, "timeout": 2.5, "name": "ignored"})
        self.assertEqual(self.called(uri, b"abc"), {"result": "3 bytes: abc"})
        failed = self.called(uri, b"fail", status=500)
        self.assertEqual((failed["error"], failed["exit_code"]), ("Function failed", 3))
        row = json.loads(self.rows()[f"POST:{uri}"])
        name = uri.removeprefix("/api/")
        self.assertEqual((row["name"], row["runtime"], row["memory"], row["timeout"]), (name, "wasm", 64, 2.5))
        self.assertEqual(pathlib.Path(row["module"]).read_text(), PROGRAM)
        self.assertEqual(self.weir.ctrlctl("fn", "invoke", name, "-d", "xy").stdout, "2 bytes: xy")
        self.assertEqual(self.weir.request("POST", f"/f/default/{name}", b"z").body, b"1 bytes: z\n")
        vespid = self.weir.request("POST", f"/actions/{name}/invoke", b'{"vargs":{}}').json()
        self.assertEqual(vespid["result"], "2 bytes: {}")
        said = self.curl(PROGRAM.replace("fread", "no_such"), {"runtime": "c"}, 500)["error"]
        self.assertIn("no_such", said)

    def test_a_module(self):
        self.here_are("clang", "weir-worker-wasm")
        (self.here / "m.c").write_text(PROGRAM)
        subprocess.run(["clang", "--target=wasm32-wasi", "-O1", "m.c", "-o", "m.wasm"], cwd=self.here, check=True)
        uri = self.upload((self.here / "m.wasm").read_bytes(), {"runtime": "wasm", "method": "PUT"})
        self.assertEqual(self.called(uri, b"abc", "PUT"), {"result": "3 bytes: abc"})
        self.assertEqual(self.weir.request("POST", uri, b"abc").status, 405)

    def test_php_and_python(self):
        self.here_are("php", "weir-worker-exec")
        uri = self.upload(PHP, {"runtime": "php"})
        self.assertEqual(self.called(uri, b"abc"), {"got": "abc"})
        uri = self.upload(PYTHON, {"runtime": "python", "method": "PATCH"})
        self.assertEqual(self.called(uri, b"abc", "PATCH"), ["ABC"])
        uri = self.upload(b"#!/bin/sh\necho mine", {"runtime": "python"})
        self.assertEqual(self.called(uri, b""), {"result": "mine\n"})

    def test_a_row_that_is_removed_is_gone(self):
        uri = self.upload(PYTHON, {"runtime": "python"})
        self.called(uri, b"x")
        table = sqlite3.connect(self.weir.data / "faas_meta.db", timeout=10, isolation_level=None)
        self.addCleanup(table.close)
        table.execute("DELETE FROM functions WHERE k = ?", (f"POST:{uri}",))
        wait_until(lambda: self.weir.request("POST", uri, b"x").status == 404, "the row is gone")

    def test_what_is_wrong_is_a_500_that_says_what(self):
        before = (self.rows(), self.weir.ctrlctl("fn", "list").stdout)
        good = form()
        for body, wanted in (
                (b"", "does not begin with its boundary"),
                (good[:-4], "last boundary"),
                (b"hello\r\n" + good, "does not begin"),
                (good.replace(b"\r\n", b"\n"), "does not end with its last boundary"),
                (good + b"more", "last boundary"),
                (part(b"code", b"x") + b"--b--", "lacks the file 'descriptor'"),
                (part(b"descriptor", b"{}") + b"--b--", "lacks the file 'code'"),
                (part(b"code", b"x") + good, "more than one file 'code'"),
                (part(b"a", b"x") * 9 + b"--b--", "more than 8 parts"),
                (part(b"code", b"eA==", b"Content-Transfer-Encoding: base64\r\n") + b"--b--", "Transfer-Encoding"),
                (form(descriptor=b"{"), "descriptor "),
                (form(descriptor=b"[]"), "descriptor must be a JSON object"),
                (form(descriptor=b""), "runtime is required"),
                (form(descriptor=b"\xff\xfe"), "descriptor "),
                (form(descriptor=b'{"runtime":"php","runtime":"php"}'), "runtime is given twice"),
                (form(descriptor=b"[" * 70000), "more than 65536 bytes"),
                (form(descriptor=b"[" * 60000), "nested too deeply"),
                (form(descriptor=b'{"runtime":"rust"}'), "compile others to WebAssembly"),
                (form(descriptor=b'{"runtime":7}'), "runtime is required"),
                (form(descriptor=b'{"runtime":"php","method":"get"}'), "method must be"),
                (form(descriptor=b'{"runtime":"php","method":null}'), "method must be"),
                (form(descriptor=b'{"runtime":"php","memory":"64"}'), "memory must be"),
                (form(descriptor=b'{"runtime":"php","memory":1.5}'), "memory must be"),
                (form(descriptor=b'{"runtime":"php","memory":99999999}'), "memory"),
                (form(descriptor=b'{"runtime":"php","timeout":-1}'), "timeout must be"),
                (form(descriptor=b'{"runtime":"php","timeout":1e8}'), "timeout"),
                (form(code=b"", descriptor=b'{"runtime":"wasm"}'), "needs a body"),
                (form(code=b"\0asm", descriptor=b'{"runtime":"wasm"}'), "cannot be built|not here|no worker"),
                (form(code=os.urandom(4096), descriptor=b'{"runtime":"wasm"}'), "cannot be built|not here|no worker")):
            self.assertRegex(self.error(body), wanted, body[:80])
        for kind in ("application/json", "multipart/form-data", "multipart/form-data; boundary=",
                     "multipart/form-data; boundary=" + "b" * 71, "multipart/mixed; boundary=b", ""):
            self.assertIn("content-type must be", self.error(good, {"content-type": kind}))
        for origin in ("http://evil.example", "null", "http://127.0.0.1"):
            answer = self.weir.request("POST", "/upload", good, headers={**TYPE, "origin": origin})
            self.assertEqual((answer.status, answer.json()["code"]), (403, "another_site"), answer)
        self.assertEqual((self.rows(), self.weir.ctrlctl("fn", "list").stdout), before)
        own = {**TYPE, "origin": f"http://127.0.0.1:{self.weir.port}"}
        answer = self.weir.request("POST", "/upload", form(PYTHON.encode(), b'{"runtime":"python"}'), headers=own)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(self.weir.request("PUT", "/upload", good).status, 405)

    def test_code_that_a_row_names_stays_when_its_function_goes(self):
        uris = [self.upload(PYTHON + f"# {number}\n", {"runtime": "python"}) for number in range(2)]
        folders = [pathlib.Path(json.loads(self.rows()[f"POST:{uri}"])["module"]).parent for uri in uris]
        for uri in uris:
            self.weir.ctrlctl("fn", "rm", uri.removeprefix("/api/"))
        self.weir.ctrlctl("route", "rm", f"POST:{uris[1]}")
        self.weir.ctrlctl("config", "set", "history_generations_max", "1")  # else history keeps it
        self.addCleanup(self.weir.ctrlctl, "config", "unset", "history_generations_max")
        os.kill(self.weir.pid_of("weir-ctrld"), signal.SIGKILL)  # the next one sweeps when it begins
        wait_until(lambda: folders[1].stat().st_mode & 0o200, "code that nobody names is condemned")
        self.weir.ctrlctl("fn", "list")  # so the sweep has ended
        self.assertEqual(folders[0].stat().st_mode & 0o777, 0o555)
        self.assertEqual(self.called(uris[0], b"still"), ["STILL"])

    def test_rows_come_by_the_api_too(self):
        value = {"runtime": "exec", "module": str(self.here / "row.sh"), "handler": "main"}
        (self.here / "row.sh").write_text("#!/bin/sh\necho by row\n")
        (self.here / "row.sh").chmod(0o755)

        def add(route, value):
            done = subprocess.run(["curl", "-sS", "-w", "%{http_code}", "--unix-socket", self.weir.data / "run/api.sock",
                                   "-H", "content-type: application/json", "-d",
                                   json.dumps({"route": route, "value": value}), "http://weir/weir/rows"],
                                  capture_output=True, text=True, timeout=60, check=True).stdout
            return int(done[-3:]), done[:-3]

        self.assertEqual(add("POST:/api/row", value)[0], 201)
        self.assertEqual(self.called("/api/row", b""), {"result": "by row\n"})
        for route, wrong, status, wanted in (("POST:/api/row", value, 409, "already a row"),
                                             ("POST /api/row", value, 422, "METHOD:/path"),
                                             ("POST:/upload", value, 422, "upload"),
                                             ("POST:/f/a/b", value, 422, "faasm"),
                                             ("POST:/api/other", {}, 422, "v.module"),
                                             ("POST:/api/other", {**value, "runtime": "perl"}, 422, "v.runtime")):
            answer = add(route, wrong)
            self.assertEqual(answer[0], status, answer)
            self.assertIn(wanted, answer[1])
        self.assertNotIn("POST:/api/other", self.rows())

    def test_calls_go_on_while_ctrld_is_away(self):
        uri = self.upload(PYTHON, {"runtime": "python"})
        self.called(uri, b"x")
        ctrld = self.weir.pid_of("weir-ctrld")
        os.kill(ctrld, signal.SIGSTOP)
        os.kill(ctrld, signal.SIGKILL)
        for _ in range(20):
            self.assertEqual(self.called(uri, b"y"), ["Y"])
        wait_until(lambda: self.weir.request("POST", "/upload", form(PYTHON.encode(), b'{"runtime":"python"}'),
                                             headers=TYPE).status == 200, "ctrld is back")
        self.assertEqual(self.called(uri, b"z"), ["Z"])


if __name__ == "__main__":
    weir_instance.main()
