#!/usr/bin/env python3
# labels: integration
# timeout: 600
"""How a function comes to be: fn init, fn deploy --watch, fn invoke --show, fn get, as its author uses them."""

import base64
import contextlib
import json
import os
import pathlib
import pty
import select
import signal
import subprocess
import time

import weir_instance
from weir_instance import BIN, BUILD, SOURCE, Instance, wait_until

SKELETONS = sorted(path.name for path in (SOURCE / "dataplane" / "sdk" / "skeletons").iterdir())
PROGRAM = {"wasm": "clang"}  # that a skeleton is built with, beside cc
APP = "def handler(request):\n    return 'one'\n"


class Terminal:
    """A program on a terminal of its own, and all that it has shown."""

    def __init__(self, weir, *arguments, columns=100):
        self.shown = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(weir.env, TERM="xterm", COLUMNS=str(columns))
            os.execv(BIN / "ctrlctl", ["ctrlctl", "--data", str(weir.data), *map(str, arguments)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def read(self, seconds=0.1):
        """True while it may show more."""
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                self.shown += os.read(self.fd, 65536).decode(errors="replace")
            except OSError:
                return False
        return True

    def until(self, text, count=1):
        deadline = time.monotonic() + 60
        while self.shown.count(text) < count:
            if not self.read() or time.monotonic() > deadline:
                raise AssertionError(f"never showed {text!r} {count} times: {self.shown}")

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        """Its exit code; a negative signal."""
        while self.read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def shell(weir, command, check=True):
    """As the reader of the help would type it, in a directory of his."""
    done = subprocess.run(["sh", "-ec", command], cwd=weir.home, capture_output=True, text=True, timeout=120,
                          env={**weir.env, "WEIR_DATA": str(weir.data), "PATH": f"{BIN}:{os.environ['PATH']}"})
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return done


class Init(weir_instance.Case):
    def usable(self, runtime):
        needs = "native" if runtime == "c" else runtime
        return (BIN / f"weir-worker-{needs}").exists() and (
            runtime not in PROGRAM or list((BUILD / "lib" / "weir" / "samples" / runtime).glob("*")))

    def test_every_skeleton_is_deployed_and_called_by_the_commands_that_init_prints(self):
        with Instance() as weir:
            for runtime in filter(self.usable, SKELETONS):
                with self.subTest(runtime):
                    shown = shell(weir, f"ctrlctl fn init my-{runtime} --runtime {runtime}").stdout
                    commands = shown.partition("next:\n")[2].splitlines()
                    self.assertTrue(all(line.startswith("  ") for line in commands), shown)
                    answer = shell(weir, "\n".join(commands)).stdout
                    self.assertIn("Hello, Ada!", answer)
                    self.assertIn(f"my-{runtime} version 1 serves ({runtime})", answer)
                    text = "".join(path.read_text() for path in (weir.home / f"my-{runtime}").iterdir()
                                   if path.suffix not in (".so", ".wasm"))
                    self.assertIn(f"ctrlctl fn deploy my-{runtime}", text)
                    self.assertNotRegex(text, "@[A-Z]+@")
                    # What its comments promise.
                    shell(weir, f"ctrlctl fn env set my-{runtime} GREETING=Hi")
                    wait_until(lambda: "Hi, Ada!" in shell(weir, commands[-1], check=False).stdout, "it greets otherwise")
                    self.assertIn("greeting Ada", shell(weir, f"ctrlctl fn logs my-{runtime}").stdout)

    def test_this_directory_and_what_is_there_already(self):
        with Instance() as weir:
            (weir.home / "here").mkdir()
            self.assertIn("wrote app.py\n", shell(weir, "cd here && ctrlctl fn init --runtime python").stdout)
            before = (weir.home / "here" / "app.py").read_text()
            self.assertIn("ctrlctl fn deploy . --name here", before)
            (weir.home / "here" / "README.md").unlink()
            for where in ("cd here && ctrlctl fn init", "ctrlctl fn init here"):
                failed = shell(weir, f"{where} --runtime python", check=False)
                self.assertEqual(failed.returncode, 6)
                self.assertIn("app.py is there already; nothing was written", failed.stderr)
            self.assertEqual(sorted(path.name for path in (weir.home / "here").iterdir()), ["app.py"])
            for arguments, code, word in (("x", 2, "--runtime is missing"), ("x --runtime ruby", 7, "there is: c, "),
                                          ("'x y' --runtime c", 7, "'x y'"), ("no/x --runtime c", 1, "no/x"),
                                          ("x --runtime ../c", 7, "no runtime '../c'")):
                failed = shell(weir, f"ctrlctl fn init {arguments}", check=False)
                self.assertEqual(failed.returncode, code, failed.stderr)
                self.assertIn(word, failed.stderr)
            self.assertFalse((weir.home / "x").exists())
            made = json.loads(shell(weir, "ctrlctl fn init j --runtime c -o json").stdout)
            self.assertEqual((made["name"], made["files"]), ("j", ["j/README.md", "j/function.c"]))


class Watch(weir_instance.Case):
    def said(self, weir, word):
        answer = weir.ctrlctl("fn", "invoke", "app", check=False)
        return answer.returncode == 0 and answer.stdout == word

    def setUp(self):
        super().setUp()
        if not (BIN / "weir-worker-python").exists():
            self.skipTest("weir-worker-python is not built")

    def test_changes_are_deployed_errors_are_shown_and_ctrl_c_ends_it(self):
        with Instance() as weir:
            folder = weir.home / "app"
            folder.mkdir()
            (folder / "app.py").write_text(APP)
            with Terminal(weir, "fn", "deploy", folder, "--watch", "--env", "A=1") as terminal:
                terminal.until("watching ")
                self.assertTrue(self.said(weir, "one"))
                (folder / "app.py").write_text(APP.replace("one", "two"))
                terminal.until("version 2 serves")
                self.assertIn("app.py changed", terminal.shown)
                self.assertTrue(self.said(weir, "two"))
                # What cannot be loaded is said; the old one serves on, and so does the watch.
                (folder / "app.py").write_text("def (")
                terminal.until("SyntaxError")
                self.assertTrue(self.said(weir, "two"))
                # By another name first, as editors write; with a directory that was not there.
                (folder / "parts").mkdir()
                (folder / "parts" / "word.py").write_text("WORD = 'three'\n")
                (folder / ".app.py.new").write_text("from parts.word import WORD\n\n\ndef handler(request):\n    return WORD\n")
                (folder / ".app.py.new").rename(folder / "app.py")
                wait_until(lambda: terminal.read(0) and self.said(weir, "three"), "the third serves")
                (folder / "parts" / "word.py").write_text("WORD = 'four'\n")
                wait_until(lambda: terminal.read(0) and self.said(weir, "four"), "a change below is seen")
                # Nothing that counts: another version would be one for nothing.
                terminal.until("serves (python)", count=terminal.shown.count("serves (python)"))
                versions = len(json.loads(weir.ctrlctl("fn", "versions", "app", "-o", "json").stdout))
                os.utime(folder / "app.py")
                (folder / "app.py~").write_text("backup")
                (folder / ".git").mkdir()
                (folder / ".git" / "index").write_text("x")
                time.sleep(0.5)
                self.assertEqual(len(json.loads(weir.ctrlctl("fn", "versions", "app", "-o", "json").stdout)), versions)
                weir.ctrlctl("fn", "env", "set", "app", "A=2")
                (folder / "app.py").write_text("import os\n\n\ndef handler(request):\n    return 'A=' + os.environ['A']\n")
                wait_until(lambda: terminal.read(0) and self.said(weir, "A=2"), "--env is for the first time only")
                terminal.type("\x03")
                self.assertEqual(terminal.end(), 0)
                self.assertIn("no longer watching", terminal.shown)
            self.assertTrue(self.said(weir, "A=2"))
            self.assertEqual([path.name for path in (weir.data / "code").iterdir() if path.name[0] == "."], [])

    def test_a_single_file_that_an_editor_replaces(self):
        with Instance() as weir:
            path = weir.home / "app.py"
            path.write_text(APP)
            with Terminal(weir, "fn", "deploy", path, "-w") as terminal:
                terminal.until("watching ")
                (weir.home / "other.py").write_text("def (")
                (weir.home / "new").write_text(APP.replace("one", "two"))
                (weir.home / "new").rename(path)
                terminal.until("version 2 serves")
                path.unlink()
                terminal.until("is gone; waiting")
                path.write_text(APP)
                terminal.until("version 3 serves")
                self.assertNotIn("SyntaxError", terminal.shown)
                os.kill(terminal.pid, signal.SIGTERM)
                self.assertEqual(terminal.end(), 0)

    def test_what_no_change_of_the_code_mends_ends_it(self):
        with Instance() as weir:
            path = weir.home / "app.py"
            path.write_text(APP)
            weir.stop()
            self.assertEqual(weir.ctrlctl("fn", "deploy", path, "--watch", check=False, timeout_s=60).returncode, 3)
            weir.start()


class Deploy(weir_instance.Case):
    """What a person sees."""

    def test_a_bar_on_a_terminal_and_nothing_in_a_pipe(self):
        with Instance() as weir:
            folder = weir.home / "big"
            folder.mkdir()
            (folder / "bootstrap").write_text("#!/bin/sh\necho hi\n")
            (folder / "bootstrap").chmod(0o755)
            with open(folder / "data", "wb") as data:
                data.write(os.urandom(96 << 20))
            with Terminal(weir, "fn", "deploy", folder) as terminal:
                self.assertEqual(terminal.end(), 0)
            self.assertIn("version 1 serves (exec)", terminal.shown)
            if "uploaded" in terminal.shown:  # it took longer than a moment
                self.assertRegex(terminal.shown, r"% of 96\.0 MiB  \[#* *\] +[0-9.]+ MiB/s +0:\d\d left")
                self.assertIn("uploaded 96.0 MiB in ", terminal.shown)
            done = weir.ctrlctl("fn", "deploy", folder)
            self.assertEqual(done.stderr, "")
            with Terminal(weir, "fn", "deploy", folder, "-o", "json") as terminal:
                self.assertEqual(terminal.end(), 0)
            self.assertNotIn("\x1b", terminal.shown)

    def test_names_that_are_not_ascii(self):
        with Instance() as weir:
            folder = weir.home / "namen"
            folder.mkdir()
            (folder / "bootstrap").write_text("#!/bin/sh\nexec cat \"${0%/*}/grüße 世界.txt\"\n")
            (folder / "bootstrap").chmod(0o755)
            (folder / "grüße 世界.txt").write_text("[\"hallo\"]")
            (folder / "verweis-ä").symlink_to("grüße 世界.txt")
            weir.ctrlctl("fn", "deploy", folder)
            self.assertEqual(weir.ctrlctl("fn", "invoke", "namen").stdout, "[\"hallo\"]")

    def test_what_is_no_code_is_said(self):
        with Instance() as weir:
            os.mkfifo(weir.home / "pipe.py")
            (weir.home / "empty.py").touch()
            (weir.home / "nothing").mkdir()
            (weir.home / "my+app.py").write_text(APP)
            for name, word in (("my+app.py", "--name NAME"), ("pipe.py", "neither a file nor a directory"), ("empty.py", "is empty"),
                               ("nothing", "empty"), ("missing.py", "No such file")):
                failed = weir.ctrlctl("fn", "deploy", weir.home / name, check=False)
                self.assertEqual(failed.returncode, 7, failed.stderr)
                self.assertIn(word, failed.stderr)

    def test_get_tells_all_but_the_values(self):
        with Instance() as weir:
            path = weir.home / "show.sh"
            path.write_text("#!/bin/sh\necho \"$A\"\n")
            for number in (1, 2):
                path.write_text(path.read_text() + "#\n")
                weir.ctrlctl("fn", "deploy", path, "--env", "A=visible", "--secret", "TOKEN=-", stdin="hush\nhush\n")
            shown = weir.ctrlctl("fn", "get", "show").stdout
            told = json.loads(weir.ctrlctl("fn", "get", "show", "-o", "json").stdout)
            versions = json.loads(weir.ctrlctl("fn", "versions", "show", "-o", "json").stdout)
            for word in ("default/show", "exec", "2, deployed 20", "2 kept", told["code"], "30s", "256 MB",
                         "A, TOKEN (secret)", f"{path.stat().st_size} bytes"):
                self.assertIn(word, shown)
            self.assertEqual((told["code"], told["code_bytes"], told["deployed"], told["versions"]),
                             (versions[0]["code"], path.stat().st_size, 2, 2))
            self.assertEqual(told["created"], versions[0]["created"])
            self.assertEqual(told["environment"], [{"name": "A", "secret": False}, {"name": "TOKEN", "secret": True}])
            self.assertNotIn("visible", shown)
            self.assertNotIn("hush", shown)


class Invoke(weir_instance.Case):
    def test_the_body_alone_goes_down_a_pipe(self):
        with Instance() as weir:
            for name in ("echo", "hello", "status"):
                weir.ctrlctl("fn", "add", name, "--runtime", "native", "--file", weir_instance.SAMPLES / "native" / f"{name}.so")
            body = weir.home / "body"
            body.write_bytes(bytes(range(256)) * 1000)
            for how in (f"-d @{body}", f"-d - <{body}", f"--body @- <{body}"):
                done = shell(weir, f"ctrlctl fn invoke echo {how} --show time >out")
                self.assertEqual((weir.home / "out").read_bytes(), body.read_bytes(), how)
                self.assertEqual(done.stdout, "")
                for word in ("status 200\n", "content-type: application/octet-stream", "total ", "in Weir", "activation "):
                    self.assertIn(word, done.stderr)
                self.assertNotIn("x-weir-timing", done.stderr)
            self.assertEqual(shell(weir, "ctrlctl fn invoke hello").stderr, "")
            for sent in (b"gr\xc3\xbc\xc3\x9fe", b"\xff\xfe", b"a\0b", bytes(range(256))):
                body.write_bytes(sent)
                told = json.loads(shell(weir, f"ctrlctl fn invoke echo -d @{body} -o json").stdout)
                self.assertEqual(base64.b64decode(told["body_base64"]) if "body_base64" in told else told["body"].encode(), sent)
            head = shell(weir, "ctrlctl fn invoke echo -d '{\"a\": 1}' --show head").stderr
            self.assertIn("content-type: application/json", head)
            self.assertNotIn("total", head)
            self.assertIn("content-type: text/x-mine",
                          shell(weir, "ctrlctl fn invoke echo -d x -H 'content-type: text/x-mine' --show head").stderr)
            for arguments, code in (("--show all", 2), ("-H nonsense", 7), ("-d @missing", 1), ("-X 'a b'", 7)):
                self.assertEqual(shell(weir, f"ctrlctl fn invoke hello {arguments}", check=False).returncode, code)

    def test_times_tell_a_cold_start_from_a_warm_one(self):
        with Instance() as weir:
            script = weir.home / "slow.sh"
            script.write_text("#!/bin/sh\nsleep 0.05\necho done\n")
            script.chmod(0o755)
            weir.ctrlctl("fn", "deploy", script, "--no-trial")
            told = [json.loads(weir.ctrlctl("fn", "invoke", "slow", "--show", "time", "-o", "json").stdout) for _ in range(2)]
            self.assertFalse(told[1]["cold"])
            for one in told:
                times = one["time_ms"]
                self.assertGreaterEqual(times["worker"], 50)
                self.assertGreaterEqual(times["wait"], 0)
                self.assertGreaterEqual(times["total"], times["wait"] + times["worker"])
                self.assertEqual(one["activation"], one["headers"]["x-openwhisk-activation-id"])
            if (BIN / "weir-worker-python").exists():  # has no worker while nobody calls it
                (weir.home / "app.py").write_text(APP)
                weir.ctrlctl("fn", "deploy", weir.home / "app.py", "--no-trial")
                shown = [weir.ctrlctl("fn", "invoke", "app", "--show", "time").stderr for _ in range(2)]
                self.assertIn("cold start", shown[0])
                self.assertIn("warm", shown[1])

    def test_nobody_outside_is_told_times(self):
        with Instance(samples=True) as weir:
            answer = weir.request("GET", "/hello", headers={"x-weir-timing": "1"})
            self.assertEqual(answer.status, 200)
            self.assertNotIn("x-weir-timing", answer.headers)

    def test_a_failure_is_told_with_its_times(self):
        with Instance() as weir:
            script = weir.home / "fail.sh"
            script.write_text("#!/bin/sh\nexit 3\n")
            script.chmod(0o755)
            weir.ctrlctl("fn", "deploy", script, "--no-trial")
            failed = weir.ctrlctl("fn", "invoke", "fail", "--show", "time", check=False)
            self.assertEqual(failed.returncode, 1)
            for word in ("status 500", "total ", "the function answered with status 500"):
                self.assertIn(word, failed.stderr)


if __name__ == "__main__":
    weir_instance.main()
