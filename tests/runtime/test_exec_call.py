#!/usr/bin/env python3
"""Programs of `exec` that call other functions: weir-call, and what it speaks."""

import json
import pathlib
import sys
import textwrap
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import weir_instance  # noqa: E402
from weir_instance import SAMPLES, SOURCE, Instance, wait_until  # noqa: E402


class ExecCall(weir_instance.Case):
    needs = (*weir_instance.Case.needs, "weir-worker-exec", "weir-call")

    @classmethod
    def setUpClass(cls):
        cls.weir = Instance()
        cls.weir.__enter__()
        cls.count = 0
        for name in ("echo", "info", "sleep", "status"):
            cls.weir.ctrlctl("fn", "add", name, "--runtime", "native", "--file", SAMPLES / "native" / f"{name}.so")

    @classmethod
    def tearDownClass(cls):
        cls.weir.__exit__(None, None, None)

    def run_program(self, text, body=None, *options):
        """Deploy a program, call it, return its answer."""
        type(self).count += 1
        name = f"p{self.count}"
        program = self.weir.home / name
        program.write_text(textwrap.dedent(text).lstrip())
        program.chmod(0o755)
        self.weir.ctrlctl("fn", "add", name, "--runtime", "exec", "--file", program, *options)
        self.weir.ctrlctl("route", "add", f"ANY /{name}", "--fn", name)
        return self.weir.request("POST", f"/{name}", body, timeout_s=60)

    def nothing_is_left(self):
        wait_until(lambda: self.weir.status()["metrics"]["nested_in_use"] == 0, "nothing is left")

    def test_what_is_said_of_a_call_arrives(self):
        info = self.run_program("""
            #!/bin/sh
            exec weir-call info -X PUT --path /x/y --query a=1 --type text/x-test -d body
            """).json()
        self.assertEqual((info["method"], info["path"], info["query"], info["headers"]["content-type"]),
                         ("PUT", "/x/y", "a=1", "text/x-test"))
        info = self.run_program("#!/bin/sh\nexec weir-call info").json()
        self.assertEqual((info["method"], info["path"]), ("GET", "/"))

    def test_bodies_of_all_sizes(self):
        for size in (1, 4096, 16384, 65537, 1 << 20):
            answer = self.run_program("#!/bin/sh\nexec weir-call echo -d @-", b"[" + b"x" * (size - 1))
            self.assertEqual((answer.status, len(answer.body)), (200, size))
        answer = self.run_program("#!/bin/sh\nexec weir-call echo -d @- 2>&1", b"x" * ((1 << 20) + 5000)).json()
        self.assertIn("more than 1 MiB", answer["output"])

    def test_exit_codes_tell_what_happened(self):
        answer = self.run_program("""
            #!/bin/sh
            said() { "$@" >/dev/null 2>&1; echo "$?"; }
            echo "[$(said weir-call info), $(said weir-call nobody), $(said weir-call), $(said weir-call info --wrong),"
            echo "$(said weir-call info -X BREW), $(said weir-call info -d @/nothing), $(WEIR_CALL_FD= said weir-call info)]"
            """).json()
        self.assertEqual(answer, [0, 1, 2, 2, 3, 2, 3])

    def test_several_at_once(self):
        answer = self.run_program("""
            #!/bin/sh
            dir=$(mktemp -d)
            for i in 1 2 3 4 5 6 7 8 9 10; do
                weir-call echo -d "$i" >"$dir/$i" &
            done
            wait
            echo "[$(cat "$dir"/* | tr '\\n' ' ' | wc -c)]"
            rm -r "$dir"
            """)
        self.assertEqual((answer.status, answer.json()), (200, [11]))

    def test_a_call_that_is_let_go_ends(self):
        answer = self.run_program("""
            #!/bin/sh
            weir-call sleep --path /60000 >/dev/null 2>&1 &
            sleep 0.2
            kill -9 $!
            wait
            exec weir-call info
            """)
        self.assertEqual(answer.status, 200, answer)
        self.nothing_is_left()

    def test_a_program_that_ends_takes_its_calls_along(self):
        self.weir.ctrlctl("fn", "add", "slow", "--runtime", "exec", "--file", self.slow())
        answer = self.run_program("#!/bin/sh\nweir-call slow >/dev/null 2>&1 &\nsleep 0.2\necho '[]'")
        self.assertEqual((answer.status, answer.body), (200, b"[]\n"))
        self.nothing_is_left()
        answer = self.run_program("#!/bin/sh\nexec weir-call slow", None, "--timeout", "500ms")
        self.assertEqual(answer.status, 504, answer)
        self.nothing_is_left()

    def slow(self):
        program = self.weir.home / "slow.sh"
        program.write_text("#!/bin/sh\nsleep 50\n")
        program.chmod(0o755)
        return program

    def test_one_way_and_too_many(self):
        answer = self.run_program("""
            #!/bin/sh
            weir-call echo --one-way -d later --status | head -n 1 >&2
            for i in $(seq 1 70); do weir-call info >/dev/null 2>&1 || break; done
            echo "[$i]"
            """)
        self.assertEqual(answer.json(), [64])
        lines = self.weir.ctrlctl("call", "logs", answer.headers["x-openwhisk-activation-id"]).stdout
        self.assertIn("stderr: 202", lines)
        self.nothing_is_left()

    def test_any_language_can_speak_it(self):
        answer = self.run_program("""
            #!/usr/bin/env python3
            import json, os, socket

            def call(request):
                ours, theirs = socket.socketpair()
                worker = socket.socket(fileno=os.dup(int(os.environ["WEIR_CALL_FD"])))
                socket.send_fds(worker, [b"x"], [theirs.fileno()])
                theirs.close()
                ours.sendall(request)
                ours.shutdown(socket.SHUT_WR)
                with ours.makefile("rb") as answer:
                    return answer.read().decode()

            worker = socket.socket(fileno=os.dup(int(os.environ["WEIR_CALL_FD"])))
            worker.send(b"no descriptor")
            with open("/dev/null") as other:
                socket.send_fds(worker, [b"x"], [other.fileno()])
            print(json.dumps([call(b"name echo\\n\\nhello"), call(b""), call(b"name echo\\nhello"), call(b"what else\\n\\n"),
                              call(b"\\0" * 100), call(b"method GET\\n\\n")]))
            """)
        good, *bad = answer.json()
        head, _, body = good.partition("\n\n")
        self.assertRegex(head, "^status 200\nactivation [0-9a-f]{32}\ncontent-type application/octet-stream$")
        self.assertEqual(body, "hello")
        for text in bad:
            self.assertTrue(text.startswith("error "), text)
        self.assertEqual(self.weir.request("GET", f"/p{self.count}").json()[0].partition("\n\n")[2], "hello")


if __name__ == "__main__":
    weir_instance.main()
