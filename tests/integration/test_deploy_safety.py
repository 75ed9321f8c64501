#!/usr/bin/env python3
# labels: integration
# timeout: 600
"""What a deployment must never do: disturb what serves, leave something behind, give a secret away."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import threading

import weir_instance
from weir_instance import BIN, SAMPLES, Instance, wait_until

WORKER = {"c": "native"}
PYTHON = "def handler(request):\n    return 'old'\n"
NODE = "module.exports = () => 'old';\n"
PHP = "<?php\necho 'old';\n"
C = """#include "weir_function.h"
int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	(void)request;
	return weir_response_write_text(response, "old");
}
"""
DYING_C = C + "#include <stdlib.h>\n__attribute__((constructor)) static void die(void) { abort(); }\n"
# runtime: (file, what serves, [(what comes next, what its author is told)])
BAD = {
    "c": ("f.c", C, [(C + "int x = ;\n", "f.c:7:"), (DYING_C, "failed its first call"),
                     (C.replace("weir_handle", "other"), "weir_handle")]),
    "python": ("f.py", PYTHON, [("def (", "SyntaxError"), ("import nothing_of_that_name\n", "ModuleNotFoundError"),
                                ("import os\nos._exit(3)\n", "failed its first call"), ("x = 1\n", "failed its first call"),
                                ("raise ValueError('not today')\n", "not today")]),
    "node": ("f.cjs", NODE, [("module.exports = (", "SyntaxError"), ("throw new Error('not today');\n", "not today"),
                             ("process.exit(3);\n", "failed its first call"), ("require('nothing-of-that-name');\n", "nothing-of-that-name")]),
    "js": ("f.js", NODE, [("module.exports = (", "SyntaxError"), ("throw new Error('not today');\n", "not today")]),
    "php": ("f.php", PHP, [("<?php\nfunction (\n", "Unclosed '(' on line 2")]),
    "wasm": ("f.wasm", None, [(b"\0asm\1\0\0\0\xff\xff\xff", ""), (b"no module", "")]),
}
HEALTH = "def handler(request):\n    if request.path.endswith('/health'):\n        return {'status': 503, 'body': 'no database'}\n    return 'new'\n"


class Caller(threading.Thread):
    """Calls a path again and again, and keeps what was not as it should be."""

    def __init__(self, weir, path, wanted):
        super().__init__(daemon=True)
        self.weir, self.path, self.wanted = weir, path, wanted
        self.calls, self.wrong, self.ending = 0, [], threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.join()

    def run(self):
        while not self.ending.wait(0.001):
            answer = self.weir.request("GET", self.path, timeout_s=60)
            self.calls += 1
            if (answer.status, answer.body) not in self.wanted:
                self.wrong.append(answer)


def hashes(weir):
    return {path.name for path in (weir.data / "code").iterdir()}


class Serving(weir_instance.Case):
    def test_what_cannot_serve_changes_nothing_in_any_language(self):
        with Instance() as weir:
            for runtime, (name, good, bad) in BAD.items():
                if not (BIN / f"weir-worker-{WORKER.get(runtime, runtime)}").exists():
                    continue
                path = weir.home / name
                if good is None:
                    if not (SAMPLES / "wasm" / "ping.wasm").exists():
                        continue
                    path.write_bytes((SAMPLES / "wasm" / "ping.wasm").read_bytes())
                else:
                    path.write_text(good)
                wanted = [(200, b"old" if good is not None else b"pong\n")]
                weir.ctrlctl("fn", "deploy", path, "--name", runtime, "--runtime", runtime)
                weir.ctrlctl("route", "add", f"GET /{runtime}", "--fn", runtime)
                with self.subTest(runtime), Caller(weir, f"/{runtime}", wanted) as caller:
                    for text, word in bad:
                        path.write_bytes(text if isinstance(text, bytes) else text.encode())
                        failed = weir.ctrlctl("fn", "deploy", path, "--name", runtime, "--runtime", runtime, check=False)
                        self.assertNotEqual(failed.returncode, 0, f"{text} was deployed")
                        self.assertIn(word, failed.stderr)
                        self.assertIn("goes on serving", failed.stderr)
                    before = caller.calls
                    wait_until(lambda: caller.calls > before + 5, "it is called after all of it")
                self.assertEqual(caller.wrong, [])
                self.assertEqual(len(json.loads(weir.ctrlctl("fn", "versions", runtime, "-o", "json").stdout)), 1)
            self.assertFalse([name for name in hashes(weir) if name.startswith(".")])

    def test_one_that_is_not_healthy_never_serves_and_a_good_one_takes_over_without_a_gap(self):
        if not (BIN / "weir-worker-python").exists():
            self.skipTest("weir-worker-python is not built")
        with Instance() as weir:
            path = weir.home / "f.py"
            path.write_text(PYTHON)
            weir.ctrlctl("fn", "deploy", path)
            weir.ctrlctl("route", "add", "GET /f", "--fn", "f")
            with Caller(weir, "/f", [(200, b"old")]) as caller:
                path.write_text(HEALTH)
                failed = weir.ctrlctl("fn", "deploy", path, "--health", "/health", check=False)
                self.assertEqual(failed.returncode, 1)
                self.assertIn("status 503: no database", failed.stderr)
            self.assertEqual(caller.wrong, [])
            with Caller(weir, "/f", [(200, b"old"), (200, b"new")]) as caller:
                path.write_text(HEALTH.replace("503", "200"))
                weir.ctrlctl("fn", "deploy", path, "--health", "/health")
                wait_until(lambda: weir.request("GET", "/f").body == b"new", "the new one serves")
            self.assertEqual(caller.wrong, [])

    def test_many_deployments_at_once_each_become_a_version(self):
        with Instance() as weir, concurrent.futures.ThreadPoolExecutor(12) as pool:
            def deploy(number):
                folder = weir.home / str(number)
                folder.mkdir()
                (folder / "f.sh").write_text(f"#!/bin/sh\necho '[{number}]'\n")
                done = weir.ctrlctl("fn", "deploy", folder / "f.sh", check=False)
                return done.returncode, done.stderr, done.stdout.partition("version ")[2].partition(" ")[0], number

            # More than are tried at the same time.
            done = list(pool.map(deploy, range(12)))
            self.assertEqual([one for one in done if one[0] != 0], [])
            numbers = {int(version): number for _, _, version, number in done}
            self.assertEqual(sorted(numbers), list(range(1, 13)))
            self.assertEqual(json.loads(weir.ctrlctl("fn", "invoke", "f").stdout), [numbers[12]])
            self.assertEqual(weir.ctrlctl("fn", "get", "f", "-o", "json").stdout.count('"deployed":\t12'), 1)
            self.assertNotIn("trial@", weir.ctrlctl("fn", "list").stdout)
            # A version that was kept is what it was.
            weir.ctrlctl("fn", "rollback", "f", 7)
            self.assertEqual(json.loads(weir.ctrlctl("fn", "invoke", "f").stdout), [numbers[7]])


class Upload(weir_instance.Case):
    def half(self, weir):
        """A client that has sent half of what it promised."""
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(weir.data / "run" / "api.sock"))
        client.sendall(b"POST /weir/code?name=f.sh HTTP/1.1\r\nhost: weir\r\ncontent-length: 4000000\r\n\r\n" + b"x" * 2000000)
        wait_until(lambda: [name for name in hashes(weir) if name.startswith(".upload")], "the upload has begun")
        return client

    def nothing_left(self, weir, before):
        wait_until(lambda: hashes(weir) == before, "what came half is gone")

    def test_client_that_dies_leaves_nothing(self):
        with Instance() as weir:
            weir.ctrlctl("fn", "add", "ping", "--runtime", "native", "--file", SAMPLES / "native" / "ping.so")
            before = hashes(weir)
            self.half(weir).close()
            self.nothing_left(weir, before)
            with self.half(weir) as client:  # with a reset instead of an end
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.nothing_left(weir, before)
            # ctrlctl itself, killed at different moments; what it uploaded wholly may stay a while.
            folder = weir.home / "big"
            folder.mkdir()
            (folder / "bootstrap").write_text("#!/bin/sh\necho\n")
            (folder / "bootstrap").chmod(0o755)
            (folder / "data").write_bytes(os.urandom(48 << 20))
            for delay in (0.05, 0.15, 0.3):
                client = subprocess.Popen([BIN / "ctrlctl", "--data", weir.data, "fn", "deploy", folder],
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    client.wait(delay)
                client.kill()
                client.wait()
                wait_until(lambda: not [name for name in hashes(weir) if name.startswith(".")], "nothing half is left")
            self.assertEqual(weir.ctrlctl("fn", "invoke", "ping").stdout, '{"pong":true}')

    def test_ctrld_that_dies_leaves_nothing_either(self):
        with Instance() as weir:
            before = hashes(weir)
            client = self.half(weir)
            pid = weir.pid_of("weir-ctrld")
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: [one for one, _ in weir.processes("weir-ctrld") if one != pid], "weir-ctrld is back")
            client.close()
            self.nothing_left(weir, before)

    def restart(self, weir):
        """A new weir-ctrld looks at once for code that nobody refers to."""
        pid = weir.pid_of("weir-ctrld")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: [one for one, _ in weir.processes("weir-ctrld") if one != pid], "weir-ctrld is back")
        weir.wait_ready()

    def test_code_of_versions_that_are_no_longer_kept_goes(self):
        with Instance() as weir:
            path = weir.home / "f.sh"
            weir.ctrlctl("config", "set", "function.versions_max", 2)
            for number in range(5):
                path.write_text(f"#!/bin/sh\necho '[{number}]'\n")
                weir.ctrlctl("fn", "deploy", path)
            versions = json.loads(weir.ctrlctl("fn", "versions", "f", "-o", "json").stdout)
            self.assertEqual([one["number"] for one in versions], [5, 4])
            kept = {one["code"] for one in versions}
            gone = hashes(weir) - kept
            self.assertEqual(len(gone), 3)
            # As long as history can bring them back they stay.
            self.restart(weir)
            self.assertEqual(hashes(weir), gone | kept)
            weir.ctrlctl("config", "set", "history_generations_max", 1)
            self.restart(weir)
            wait_until(lambda: all((weir.data / "code" / name).stat().st_mode & stat.S_IWUSR for name in gone), "they are condemned")
            # Ten minutes later, for whoever is still at it.
            for name in gone:
                os.utime(weir.data / "code" / name, (1, 1))
            self.restart(weir)
            wait_until(lambda: hashes(weir) == kept, "they are gone")
            self.assertEqual(json.loads(weir.ctrlctl("fn", "invoke", "f").stdout), [4])
            weir.ctrlctl("fn", "rollback", "f")
            self.assertEqual(json.loads(weir.ctrlctl("fn", "invoke", "f").stdout), [3])


SECRET = "hush-QvX7-do-not-tell-anybody"


def memory_holds(pid, value):
    """Does the process have these bytes in memory that it could write to?"""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if not rights.startswith("rw") or line.endswith("[vvar]\n"):
                continue
            first, last = (int(one, 16) for one in span.split("-"))
            if last - first > 4 << 30:  # set aside, not filled: a sanitizer's, or guard pages of WebAssembly
                continue
            with contextlib.suppress(OSError, ValueError):
                memory.seek(first)
                if value in memory.read(last - first):
                    return True
    return False


class Secret(weir_instance.Case):
    def show_deploy(self, weir, name, *arguments, stdin=None):
        """A function that knows the value only backwards, so that it is nowhere in its own code."""
        path = weir.home / "show.sh"
        path.write_text("#!/bin/sh\n[ \"$(echo \"$TOKEN\" | rev)\" = %s ] && echo '[\"right\"]' || echo '[\"wrong\"]'\n" % SECRET[::-1])
        weir.ctrlctl("fn", "deploy", path, "--name", name, *arguments, stdin=stdin)

    def right(self, weir, name):
        return weir.ctrlctl("fn", "invoke", name, check=False).stdout == '["right"]\n'

    def test_its_value_is_nowhere_but_with_its_function(self):
        with Instance() as weir:
            file = weir.home / "secret.txt"
            file.write_text(SECRET + "\n")
            self.show_deploy(weir, "one/show", "--secret", f"TOKEN=@{file}")
            self.show_deploy(weir, "two/show", "--env", "TOKEN=nothing")
            self.assertTrue(self.right(weir, "one/show"))
            self.assertFalse(self.right(weir, "two/show"))
            file.unlink()
            # Again and again, so that every page that the database ever wrote may hold it.
            for how, text in (("TOKEN", SECRET + "\n"), ("TOKEN=-", SECRET + "\n"), ("TOKEN=-", SECRET)):
                weir.ctrlctl("fn", "env", "set", "one/show", "--secret", how, stdin=text)
                wait_until(lambda: self.right(weir, "one/show"), f"it is right, set by {how}")
            told = [weir.ctrlctl(*words).stdout for words in (
                ("status",), ("status", "-o", "json"), ("fn", "get", "one/show", "-o", "json"), ("fn", "list", "-o", "json"),
                ("fn", "versions", "one/show", "-o", "json"), ("fn", "env", "list", "one/show", "-o", "json"),
                ("fn", "logs", "one/show"), ("worker", "list", "-o", "json"), ("config", "list"))]
            self.assertFalse([text for text in told if SECRET in text])
            value = SECRET.encode()
            for path in [one for one in weir.data.rglob("*") if one.is_file()] + [weir.log_path]:
                self.assertNotIn(value, path.read_bytes(), path)
            self.assertEqual((weir.data / "secret.key").stat().st_mode & 0o777, 0o600)
            for pid, name in weir.processes():
                for what in ("environ", "cmdline"):
                    with contextlib.suppress(OSError):
                        self.assertNotIn(value, pathlib.Path(f"/proc/{pid}/{what}").read_bytes(), name)
                for fd in os.listdir(f"/proc/{pid}/fd"):  # snapshots are memfds
                    link = f"/proc/{pid}/fd/{fd}"
                    with contextlib.suppress(OSError):
                        if "memfd:" in os.readlink(link) and "environment" not in os.readlink(link):
                            self.assertNotIn(value, pathlib.Path(link).read_bytes(), f"{name} {os.readlink(link)}")

    def test_other_namespaces_and_the_gateway_never_have_it_in_memory(self):
        if os.geteuid() != 0:
            self.skipTest("only root may look into other processes")
        with Instance() as weir:
            ping = SAMPLES / "native" / "ping.so"
            self.show_deploy(weir, "one/show", "--secret", "TOKEN", stdin=SECRET + "\n")
            self.assertTrue(self.right(weir, "one/show"))
            weir.ctrlctl("fn", "add", "two/ping", "--runtime", "native", "--file", ping)
            self.show_deploy(weir, "two/show", "--env", "TOKEN=x")
            self.assertEqual(weir.ctrlctl("fn", "invoke", "two/ping").stdout, '{"pong":true}')
            self.assertFalse(self.right(weir, "two/show"))
            workers = json.loads(weir.ctrlctl("worker", "list", "-o", "json").stdout)
            others = [pid for pid, name in weir.processes() if name == "weir-gateway"] + [
                one["pid"] for one in workers if one.get("namespace") == "two"]
            self.assertGreaterEqual(len(others), 3, workers)
            for pid in others:
                self.assertFalse(memory_holds(pid, SECRET.encode()), pid)
            # The test can find it where it belongs.
            own = [one["pid"] for one in workers if one.get("namespace") == "one"]
            self.assertTrue(any(memory_holds(pid, SECRET.encode()) for pid in own))

    def test_a_value_on_the_command_line_is_refused(self):
        with Instance() as weir:
            self.show_deploy(weir, "show")
            refused = weir.ctrlctl("fn", "env", "set", "show", "--secret", f"TOKEN={SECRET}", check=False)
            self.assertEqual(refused.returncode, 7)
            self.assertIn("=@FILE", refused.stderr)
            self.assertNotIn(SECRET, refused.stderr)
            for how, stdin, word in (("TOKEN", "", "no value"), ("TOKEN=-", "", "empty"), ("TOKEN=@/missing", None, "cannot open"),
                                     ("TOKEN=-", "x" * 40000, "longer"), ("TO-KEN=-", "x", "'TO-KEN' is no name")):
                refused = weir.ctrlctl("fn", "env", "set", "show", "--secret", how, check=False, stdin=stdin)
                self.assertEqual(refused.returncode, 7, how)
                self.assertIn(word, refused.stderr)

    def test_a_key_that_is_lost_or_open_to_others_is_told(self):
        with Instance() as weir:
            key = weir.data / "secret.key"
            self.show_deploy(weir, "show", "--secret", "TOKEN", stdin=SECRET + "\n")
            good = key.read_bytes()

            def again(prepare):
                weir.stop()
                prepare()
                weir.start()

            def told(*words):
                failed = weir.ctrlctl("fn", "invoke", "show", check=False).stdout
                shown = weir.ctrlctl("fn", "get", "show").stdout
                return all(word in failed and word in shown for word in words)

            again(key.unlink)
            wait_until(lambda: told("secret.key is missing", "set them anew"), "it is said")
            self.assertFalse(key.exists(), "a lost key is not replaced by one that opens nothing")
            again(lambda: (key.write_bytes(good), key.chmod(0o644)))
            wait_until(lambda: told("others may read secret.key", "chmod 600"), "it is said")
            again(lambda: (key.write_bytes(os.urandom(32)), key.chmod(0o600)))
            wait_until(lambda: told("not the one they were sealed with"), "it is said")
            again(lambda: key.write_bytes(good))
            wait_until(lambda: self.right(weir, "show"), "with the key it is right again")
            # The other way out.
            again(key.unlink)
            weir.ctrlctl("fn", "env", "set", "show", "--secret", "TOKEN", stdin=SECRET + "\n")
            wait_until(lambda: self.right(weir, "show"), "set anew it is right again")
            self.assertEqual(key.stat().st_mode & 0o777, 0o600)


if __name__ == "__main__":
    weir_instance.main()
