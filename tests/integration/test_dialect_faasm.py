#!/usr/bin/env python3
# labels: integration
# timeout: 180
"""Faasm's clients against Weir: its README's commands, chained calls, and the files under FUNC_ROOT."""

import os
import pathlib
import signal
import subprocess
import tempfile

import weir_instance
from weir_instance import BUILD, Instance, wait_until

F1 = 'curl -X POST http://localhost:8080/f/simon/echo -d "hello faasm"'
F2 = "curl http://localhost:8080/f/simon/cool_func/ -X PUT -T /tmp/do_something.wasm"
MODULES = BUILD / "tests/functions/faasm"
ECHO = BUILD / "lib/weir/samples/seed/echo.wasm"
TEXT = "text/plain; charset=utf-8"


class Faasm(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        if not ECHO.exists() or not (BUILD / "bin/weir-worker-wasm").exists():
            cls.skipTest(cls, "this build has no WebAssembly")
        cls.root = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="it-faasm-")))
        cls.weir = cls.enterClassContext(Instance(samples=True, env={"FUNC_ROOT": str(cls.root)}))

    def curl(self, command):
        """(status, body) of a published command; port and folder are ours."""
        command = command.replace(":8080", f":{self.weir.port}").replace("/tmp/", f"{self.root}/")
        done = subprocess.run(["bash", "-c", command.replace("curl ", "curl -sS -w '%{http_code}' ", 1)],
                              capture_output=True, timeout=60, check=True)
        return int(done.stdout[-3:]), done.stdout[:-3]

    def module(self, user, function):
        return self.root / "wasm" / user / function / "function.wasm"

    def put(self, name, path):
        """Upload as curl does, whose file name is one segment more."""
        code = path.read_bytes() if isinstance(path, pathlib.Path) else path
        answer = self.weir.request("PUT", f"/f/{name}/x.wasm", code)
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, TEXT), answer)
        self.assertEqual(answer.body, b"Upload complete\n")
        return code

    def call(self, name, body=b"", status=200):
        answer = self.weir.request("POST", f"/f/{name}", body)
        self.assertEqual(answer.status, status, answer)
        return answer

    def failure(self, name, body=b""):
        answer = self.call(name, body, 500)
        self.assertEqual(answer.body, b"Error\n")
        return answer.headers["x-weir-error"]

    def test_f1_the_published_call(self):
        self.assertEqual(self.curl(F1), (200, b"hello faasm\n"))
        self.assertEqual(self.call("simon/echo/", b"a\0b").body, b"a\0b\n")
        self.assertEqual(self.call("simon/echo").body, b"\n")

    def test_f2_the_published_upload(self):
        (self.root / "do_something.wasm").write_bytes(ECHO.read_bytes())
        self.assertEqual(self.curl(F2), (200, b"Upload complete\n"))
        self.assertEqual(self.module("simon", "cool_func").read_bytes(), ECHO.read_bytes())
        call = "curl -X POST http://localhost:8080/f/simon/cool_func/ -d x"
        self.assertEqual(self.curl(call), (200, b"x\n"))
        (self.root / "do_something.wasm").write_bytes((MODULES / "x2.wasm").read_bytes())
        self.assertEqual(self.curl(F2), (200, b"Upload complete\n"))
        self.assertEqual(self.module("simon", "cool_func").read_bytes(), (MODULES / "x2.wasm").read_bytes())
        self.assertEqual(self.curl(call), (200, b"\xf0\n"))
        self.assertEqual([path.name for path in self.module("simon", "cool_func").parent.iterdir()], ["function.wasm"])

    def test_an_upload_begins_with_100_continue(self):
        done = subprocess.run(["curl", "-sSv", "-X", "PUT", "-T", str(ECHO), "-H", "Expect: 100-continue",
                               f"http://localhost:{self.weir.port}/f/simon/waits/"],
                              capture_output=True, text=True, timeout=60, check=True)
        self.assertIn("PUT /f/simon/waits/echo.wasm ", done.stderr)
        self.assertIn("100 Continue", done.stderr)
        self.assertEqual(done.stdout, "Upload complete\n")

    def test_every_get_is_ok(self):
        for path in ("/f/", "/fa/", "/f/simon/echo", "/f/nobody/nothing/at/all", "/fa/simon/echo?x=1", "/fa/a/b/c/d"):
            answer = self.weir.request("GET", path)
            self.assertEqual((answer.status, answer.body), (200, b"Get OK"), path)

    def test_calls_that_nobody_waits_for(self):
        for path in ("/fa/simon/echo", "/fa/simon/echo/"):
            answer = self.weir.request("POST", path, b"later")
            self.assertEqual((answer.status, answer.body, answer.headers["content-type"]),
                             (201, b"Async request submitted\n", TEXT))
            call = answer.headers["x-openwhisk-activation-id"]
            self.assertEqual(answer.headers["location"], f"/fa/simon/echo/{call}")
            result = wait_until(lambda: (told := self.weir.request("GET", f"/fa/simon/echo/{call}")).status != 202 and told,
                                "it has run")
            self.assertEqual((result.status, result.body), (200, b"later\n"))
        self.assertEqual(self.weir.request("GET", f"/fa/simon/other/{call}").status, 404)
        self.assertEqual(self.weir.request("GET", "/fa/simon/echo/" + "0" * 32).status, 404)
        self.assertEqual(self.weir.request("POST", "/fa/weir.system/queue", b"").status, 500)
        call = self.weir.request("POST", "/fa/simon/ghost", b"").headers["x-openwhisk-activation-id"]
        result = wait_until(lambda: (told := self.weir.request("GET", f"/fa/simon/ghost/{call}")).status != 202 and told,
                            "it is given up")
        self.assertEqual((result.status, result.body), (500, b"Error\n"))
        self.assertEqual(result.headers["x-weir-error"], "there is no function simon/ghost: upload it")

    def test_chained_functions_run_after_the_answer(self):
        self.put("ann/chain", MODULES / "chain.wasm")
        self.put("ann/note", MODULES / "note.wasm")
        self.assertEqual(self.call("ann/chain").body, b"chained\n")
        wanted = {f"noted {letter}!" for letter in "abc"}
        wait_until(lambda: wanted <= {line.split(": ", 1)[-1] for line in
                                      self.weir.ctrlctl("fn", "logs", "ann/note").stdout.splitlines()},
                   "each chained call has left its line")
        self.assertEqual(self.weir.ctrlctl("fn", "logs", "ann/note").stdout.count("noted "), 3)

    def test_what_fails_says_error(self):
        self.assertEqual(self.failure("simon/ghost"), "there is no function simon/ghost: upload it")
        self.put("simon/small", MODULES / "x2.wasm")
        self.assertIn("1,024", self.failure("simon/small", b"x" * 1025))
        self.assertIn("63 bytes", self.failure("x" * 64 + "/echo"))
        self.assertEqual(self.failure_of_status(), "the function answered with status 500")
        answer = self.call("simon/echo", bytes((1 << 20) + 1), 413)
        self.assertEqual(answer.body, b"Error: the input of a function has at most 1 MiB\n")
        for name in ("%2e%2e/%2e%2e", "a%00b/echo", "weir.system/vespid", "weir.system/faasm", "%ff/%fe"):
            answer = self.weir.request("POST", f"/f/{name}", b"x")
            self.assertGreaterEqual(answer.status, 400, name)
        for path in ("/f/simon", "/f/simon/echo/more"):
            self.assertIn(self.weir.request("POST", path, b"x").status, (404, 405), path)

    def failure_of_status(self):
        self.weir.ctrlctl("fn", "add", "simon/broken", "--runtime", "exec", "--file", self.script())
        self.addCleanup(self.weir.ctrlctl, "fn", "rm", "simon/broken")
        return self.failure("simon/broken")

    def script(self):
        path = self.root / "broken.sh"
        path.write_text("#!/bin/sh\nexit 3\n")
        path.chmod(0o755)
        return path

    def test_a_bad_upload_changes_nothing(self):
        code = self.put("simon/keeps", ECHO)
        for body, status in ((b"", 400), (b"no module", 422), (code[:200], 422), (os.urandom(5000), 422),
                             (b"\0asm\1\0\0\0", 422)):
            answer = self.weir.request("PUT", "/f/simon/keeps/", body)
            self.assertEqual((answer.status, answer.headers["content-type"]), (status, TEXT), (body[:10], answer))
            self.assertTrue(answer.body.startswith(b"Error: "), answer)
            self.assertEqual(self.call("simon/keeps", b"still").body, b"still\n")
            self.assertEqual(self.module("simon", "keeps").read_bytes(), code)
        for name in ("weir.system/faasm", "x" * 64 + "/f", "%2e%2e%20/f", "a%20/b", ".ssh/f", "simon/.f"):
            answer = self.weir.request("PUT", f"/f/{name}/", code)
            self.assertTrue(400 <= answer.status < 500 and answer.body.startswith(b"Error"), (name, answer))
        self.assertEqual({path.name for path in (self.root / "wasm").iterdir()} - {"simon", "ann", "default"}, set())

    def test_a_root_that_cannot_be_written_refuses_the_upload(self):
        self.module("eve", "x").parent.parent.parent.mkdir(exist_ok=True)
        (self.root / "wasm" / "eve").write_text("in the way")
        self.addCleanup((self.root / "wasm" / "eve").unlink)
        answer = self.weir.request("PUT", "/f/eve/x/", ECHO.read_bytes())
        self.assertEqual(answer.status, 503)
        self.assertIn(b"FUNC_ROOT", answer.body)
        self.assertIn("no function eve/x", self.failure("eve/x"))

    def test_functions_of_other_doors(self):
        self.put("default/cool", ECHO)
        self.addCleanup(self.weir.ctrlctl, "fn", "rm", "cool")
        self.assertEqual(self.weir.ctrlctl("fn", "invoke", "cool", "-d", "abc").stdout, "abc")
        answer = self.weir.request("POST", "/actions/cool/invoke", b'{"vargs":{"a":1}}')
        self.assertEqual(answer.json()["result"], '{"a":1}')
        self.weir.ctrlctl("route", "add", "POST /cool", "--fn", "cool")
        self.assertEqual(self.weir.request("POST", "/cool", b"by route").body, b"by route")
        self.weir.ctrlctl("route", "rm", "POST /cool")
        self.weir.request("POST", "/actions/add/create",
                          b'{"vcode":"int add(int a, int b){ return a+b; }","runtime":"c"}')
        self.addCleanup(self.weir.ctrlctl, "fn", "rm", "add")
        self.assertEqual(self.call("default/add", b'{"a":3,"b":4}').body, b"7\n\n")
        self.assertEqual(self.call("default/echo", b"native").body, b"native\n")
        refused = self.weir.ctrlctl("route", "add", "POST /f/simon/echo", "--fn", "echo", check=False)
        self.assertEqual(refused.returncode, 7, refused)
        self.assertIn("faasm", refused.stderr)

    def test_calls_go_on_while_ctrld_is_away(self):
        code = self.put("simon/stays", ECHO)
        self.assertEqual(self.call("simon/stays", b"0").body, b"0\n")
        ctrld = self.weir.pid_of("weir-ctrld")
        os.kill(ctrld, signal.SIGSTOP)
        os.kill(ctrld, signal.SIGKILL)
        for count in range(100):
            self.assertEqual(self.call("simon/stays", b"%d" % count).body, b"%d\n" % count)
        wait_until(lambda: self.weir.request("PUT", "/f/simon/stays/", code).status == 200, "ctrld is back")


class WithoutRoot(weir_instance.Case):
    def test_a_relative_root_is_said_and_not_used(self):
        if not ECHO.exists():
            self.skipTest("this build has no WebAssembly")
        with Instance(env={"FUNC_ROOT": "some/where"}) as weir:
            self.assertEqual(weir.request("PUT", "/f/a/b/", ECHO.read_bytes()).status, 200)
            self.assertEqual(weir.request("POST", "/f/a/b", b"x").body, b"x\n")
            self.assertIn("FUNC_ROOT", weir.log())
            self.assertEqual(list(weir.home.rglob("some")), [])


if __name__ == "__main__":
    weir_instance.main()
