#!/usr/bin/env python3
# labels: integration
# timeout: 300
"""Deploying: code in, versions, builds, what stays when something goes wrong."""

import concurrent.futures
import contextlib
import json
import os
import signal
import sqlite3

import weir_instance
from weir_instance import Instance, wait_until

HANDLER = """#include "weir_function.h"
#include "word.h"

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	(void)request;
	return weir_response_write_text(response, WORD);
}
"""
FIB = """/* the classic */
static int one(void) { return 1; }

int fib(int n)
{
	return n < 2 ? n * one() : fib(n - 1) + fib(n - 2);
}
"""
MINUS = "int minus(int a, int b) { return a - b; }\n"
BROKEN = "int broken(int a)\n{\n\treturn a +;\n}\n"


def table(weir, statement, parameters=()):
    """One statement by another program, committed."""
    connection = sqlite3.connect(weir.data / "faas_meta.db", timeout=10)
    with contextlib.closing(connection), connection:
        return connection.execute(statement, parameters).fetchall()


def ctl(weir, *arguments, status=0):
    """ctrlctl with that exit code; None: any."""
    ran = weir.ctrlctl(*arguments, check=False)
    if status is not None and ran.returncode != status:
        raise AssertionError(f"{arguments}: exit {ran.returncode}, not {status}: {ran.stdout} {ran.stderr}")
    return ran


def write(weir, name, text):
    path = weir.home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


DYING = """#include "weir_function.h"
#include <stdlib.h>

__attribute__((constructor)) static void die(void) { abort(); }

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	(void)request;
	return weir_response_write_text(response, "never");
}
"""
MOODY = """#include "weir_function.h"

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	struct weir_text path = weir_request_path(request);

	if (path.bytes > 4 && memcmp(path.data + path.bytes - 4, "/bad", 4) == 0) {
		weir_response_status(response, 500);
		return weir_response_write_text(response, "I am not well\\n");
	}
	return weir_response_write_text(response, "moody");
}
"""


class Trial(weir_instance.Case):
    """A new version is tried, in a process of its own, before it serves."""

    def test_version_that_dies_while_it_is_loaded_disturbs_nobody(self):
        with Instance() as weir:
            ctl(weir, "fn", "deploy", str(write(weir, "minus.c", MINUS)))
            ctl(weir, "fn", "invoke", "minus", "-d", '{"a":3,"b":1}')
            workers = weir.processes("weir-worker/*") or [one for one in weir.processes() if "worker" in one[1]]
            failed = ctl(weir, "fn", "deploy", str(write(weir, "dying.c", DYING)), "--name", "minus", status=1)
            self.assertIn("failed its first call: status 502", failed.stderr)
            self.assertEqual(ctl(weir, "fn", "invoke", "minus", "-d", '{"a":3,"b":1}').stdout, "2\n")
            self.assertEqual(len(json.loads(ctl(weir, "fn", "versions", "minus", "-o", "json").stdout)), 1)
            alive = {pid for pid, _ in weir.processes()}
            self.assertTrue(all(pid in alive for pid, _ in workers), "the serving workers were left alone")
            self.assertNotIn("trial@", ctl(weir, "fn", "list").stdout)

    def test_health_path_decides(self):
        with Instance() as weir:
            path = str(write(weir, "moody.c", MOODY))
            failed = ctl(weir, "fn", "deploy", path, "--health", "/bad", status=1)
            self.assertIn("status 500: I am not well", failed.stderr)
            ctl(weir, "fn", "get", "moody", status=5)
            ctl(weir, "fn", "deploy", path, "--health", "bad", status=7)
            ctl(weir, "fn", "deploy", path, "--health", "/good")
            self.assertEqual(ctl(weir, "fn", "invoke", "moody").stdout, "moody")
            # Only loaded: that it answers 500 is not asked.
            ctl(weir, "fn", "deploy", path)

    def test_runtime_that_is_not_here_serves_nothing(self):
        with Instance() as weir:
            failed = ctl(weir, "fn", "deploy", str(write(weir, "x.rb", "puts 1")), "--runtime", "go", status=1)
            self.assertIn("status 501: Runtime 'go'", failed.stderr)
            ctl(weir, "fn", "get", "x", status=5)

    def test_nobody_outside_can_ask_for_loading_only(self):
        with Instance() as weir:
            ctl(weir, "fn", "deploy", str(write(weir, "moody.c", MOODY)), "--no-trial")
            ctl(weir, "route", "add", "GET /moody", "--fn", "moody")
            answer = weir.request("GET", "/moody", headers={"x-weir-load": "1"})
            self.assertEqual((answer.status, answer.body), (200, b"moody"))


WHO = """#include "weir_function.h"
#include <stdio.h>
#include <stdlib.h>

static const char *who(void)
{
	const char *value = getenv("WHO");

	return value == NULL ? "-" : value;
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	char text[64];
	const char *before = who();

	(void)weir_function_sleep_ms(request, 5);
	(void)snprintf(text, sizeof(text), "%s %s", before, who());
	return weir_response_write_text(response, text);
}
"""


class Environment(weir_instance.Case):
    """Variables and secrets of functions."""

    def shown(self, weir):
        try:
            return json.loads(ctl(weir, "fn", "invoke", "show", status=None).stdout).get("result")
        except ValueError:
            return None

    SHOW = "#!/bin/sh\necho \"$GREETING/$TOKEN\"\n"

    def test_variables_reach_the_function_and_secrets_stay_secret(self):
        with Instance() as weir:
            path = str(write(weir, "show.sh", self.SHOW))
            weir.ctrlctl("fn", "deploy", path, "--env", "GREETING=good day", "--env", "X=1", "--secret", "TOKEN",
                         stdin="hush-hush-1\n")
            self.assertEqual(self.shown(weir), "good day/hush-hush-1\n")
            ctl(weir, "fn", "env", "set", "show", "GREETING=hi=there")
            self.assertEqual(self.shown(weir), "hi=there/hush-hush-1\n")
            listed = ctl(weir, "fn", "env", "list", "show").stdout
            self.assertIn("(secret)", listed)
            self.assertIn("hi=there", listed)
            weir.ctrlctl("fn", "env", "set", "show", "--secret", "TOKEN", stdin="hush-hush-2\n")
            self.assertEqual(self.shown(weir), "hi=there/hush-hush-2\n")
            # Deploying again keeps them.
            ctl(weir, "fn", "deploy", str(write(weir, "show.sh", self.SHOW + "# 2\n")))
            self.assertEqual(self.shown(weir), "hi=there/hush-hush-2\n")
            ctl(weir, "fn", "env", "unset", "show", "TOKEN")
            self.assertEqual(self.shown(weir), "hi=there/\n")
            weir.ctrlctl("fn", "env", "set", "show", "--secret", "TOKEN", stdin="hush-hush-3\n")
            self.assertEqual((weir.data / "secret.key").stat().st_mode & 0o777, 0o600)
            for file in [path for path in weir.data.rglob("*") if path.is_file()] + [weir.log_path]:
                self.assertNotIn(b"hush-hush", file.read_bytes(), file)

    def test_functions_of_one_process_have_variables_of_their_own_also_after_they_waited(self):
        with Instance() as weir, concurrent.futures.ThreadPoolExecutor(8) as pool:
            path = str(write(weir, "who.c", WHO))
            for name in ("ann", "bob", "nobody"):
                ctl(weir, "fn", "deploy", path, "--name", name)
                ctl(weir, "route", "add", f"GET /{name}", "--fn", name)
            for name in ("ann", "bob"):
                ctl(weir, "fn", "env", "set", name, f"WHO={name}")
            wait_until(lambda: weir.request("GET", "/bob").body == b"bob bob", "the variable is there")
            wanted = {"ann": b"ann ann", "bob": b"bob bob", "nobody": b"- -"}
            names = ["ann", "bob", "nobody"] * 20
            answers = pool.map(lambda name: weir.request("GET", f"/{name}").body, names)
            self.assertEqual(list(answers), [wanted[name] for name in names])

    def test_variables_survive_every_process_and_a_restart(self):
        with Instance() as weir:
            weir.ctrlctl("fn", "deploy", str(write(weir, "show.sh", self.SHOW)), "--env", "GREETING=hi", "--secret",
                         "TOKEN", stdin="abc\n")
            for name in ("weir-supervisor", "weir-ctrld"):
                pid = weir.pid_of(name)
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda: [one for one, _ in weir.processes(name) if one != pid], f"{name} is back")
                for worker, _ in [one for one in weir.processes() if one[1].startswith("weir-worker")]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGKILL)
                wait_until(lambda: self.shown(weir) == "hi/abc\n",
                           "a new worker has the variables")
            weir.stop()
            weir.start()
            self.assertEqual(self.shown(weir), "hi/abc\n")
            # Another key opens nothing: the function says so instead of running without.
            weir.stop()
            (weir.data / "secret.key").unlink()
            weir.start()
            wait_until(lambda: "secret.key" in ctl(weir, "fn", "invoke", "show", status=None).stdout, "it is said")


class Source(weir_instance.Case):
    """C source, built by the instance."""

    def test_folder_with_handler_and_header_is_built_and_serves(self):
        with Instance() as weir:
            write(weir, "greet/main.c", HANDLER)
            write(weir, "greet/word.h", '#define WORD "hello\\n"\n')
            said = ctl(weir, "fn", "deploy", str(weir.home / "greet"))
            self.assertIn("default/greet version 1 serves (c)", said.stdout)
            self.assertEqual(ctl(weir, "fn", "invoke", "greet").stdout, "hello\n")
            # The same again is not built again: the artifact is known by what it is made of.
            before = sorted(path.name for path in (weir.data / "code").iterdir())
            ctl(weir, "fn", "deploy", str(weir.home / "greet"))
            self.assertEqual(sorted(path.name for path in (weir.data / "code").iterdir()), before)
            # A header beside the file counts.
            write(weir, "greet/word.h", '#define WORD "good day\\n"\n')
            ctl(weir, "fn", "deploy", str(weir.home / "greet"))
            self.assertEqual(ctl(weir, "fn", "invoke", "greet").stdout, "good day\n")
            ctl(weir, "fn", "rollback", "greet", "1")
            self.assertEqual(ctl(weir, "fn", "invoke", "greet").stdout, "hello\n")

    def test_plain_function_of_ints_gets_its_arguments_by_name_or_order(self):
        with Instance() as weir:
            ctl(weir, "fn", "deploy", str(write(weir, "fib.c", FIB)))
            ctl(weir, "fn", "deploy", str(write(weir, "minus.c", MINUS)))
            ctl(weir, "route", "add", "POST /minus", "--fn", "minus")
            self.assertEqual(ctl(weir, "fn", "invoke", "fib", "-d", '{"vargs": {"n": 20}, "x": "y"}').stdout, "6765\n")
            for body, result in (('{"a": 5, "b": 3}', b"2\n"), ('{"b": 3, "a": 5}', b"2\n"),
                                 ('{"x": 5, "y": "-3"}', b"8\n"), ('{"vargs":{"a":1,"b":2}}', b"-1\n")):
                answer = weir.request("POST", "/minus", body.encode())
                self.assertEqual((answer.status, answer.body), (200, result), body)
                self.assertEqual(answer.headers["content-type"], "application/json")
            for body in ('{"a": 5}', "{}", '{"a":1,"b":2,"c":3}', '{"a":"x","b":1}', '{"a":1.5,"b":1}', "[1,2]", "{",
                         '{"a":99999999999,"b":1}'):
                answer = weir.request("POST", "/minus", body.encode())
                self.assertEqual(answer.status, 400, body)
                self.assertIn("minus: it takes 2 (a, b)", answer.json()["error"])

    def test_handler_and_function_of_ints_in_one_file(self):
        both = HANDLER.replace("int weir_handle", FIB + "#if 0\nint gone(int a) { return a; }\n#endif\nint weir_handle")
        gone = HANDLER.replace("int weir_handle", "#if 0\nint gone(int a) { return a; }\n#endif\nint weir_handle")
        with Instance() as weir:
            for name, text in (("both", both), ("gone", gone)):
                write(weir, f"{name}/main.c", text)
                write(weir, f"{name}/word.h", '#define WORD "hello\\n"\n')
                ctl(weir, "fn", "deploy", str(weir.home / name))
                self.assertEqual(ctl(weir, "fn", "invoke", name).stdout, "hello\n")
            ctl(weir, "fn", "deploy", str(weir.home / "both"), "--name", "ints", "--handler", "fib")
            self.assertEqual(ctl(weir, "fn", "invoke", "ints", "-d", '{"n": 20}').stdout, "6765\n")
            self.assertIn("fib: it takes 1 (n), 2 given", ctl(weir, "fn", "invoke", "ints", "-d", '{"n":1,"m":2}', status=None).stdout)

    def test_compiler_errors_name_file_and_line_and_the_old_version_serves_on(self):
        with Instance() as weir:
            ctl(weir, "fn", "deploy", str(write(weir, "minus.c", MINUS)))
            failed = ctl(weir, "fn", "deploy", str(write(weir, "broken.c", BROKEN)), "--name", "minus", status=7)
            self.assertIn("broken.c:3:", failed.stderr)
            self.assertIn("error: expected expression", failed.stderr)
            self.assertNotIn(str(weir.data), failed.stderr)
            failed = ctl(weir, "fn", "deploy", str(write(weir, "f.c", "int f(double x) { return 1; }")), status=7)
            self.assertIn("f.c:1: error: 'double x'", failed.stderr)
            self.assertEqual(ctl(weir, "fn", "invoke", "minus", "-d", '{"a":3,"b":1}').stdout, "2\n")
            self.assertEqual(len(json.loads(ctl(weir, "fn", "versions", "minus", "-o", "json").stdout)), 1)
            # Nothing half done is left.
            self.assertEqual([path.name for path in (weir.data / "code").iterdir() if path.name[0] == "."], [])

    def test_build_that_takes_too_long_is_stopped_with_all_it_started(self):
        bomb = "#define X0 + a\n" + "".join(f"#define X{i + 1} {f'X{i} ' * 16}\n" for i in range(8))
        with Instance() as weir:
            ctl(weir, "config", "set", "build_timeout_ms", "500ms")
            failed = ctl(weir, "fn", "deploy", str(write(weir, "bomb.c", bomb + "int f(int a) { return a X8; }\n")),
                         status=7)
            self.assertIn("took too long", failed.stderr)
            wait_until(lambda: not weir.processes("cc1"), "the compiler is gone")
            ctl(weir, "config", "unset", "build_timeout_ms")
            ctl(weir, "fn", "deploy", str(write(weir, "fib.c", FIB)))  # the next one is built

    def test_added_file_is_built_in_the_background(self):
        with Instance() as weir:
            path = write(weir, "fib.c", FIB)
            ctl(weir, "fn", "add", "fib", "--runtime", "c", "--file", str(path))
            wait_until(lambda: ctl(weir, "fn", "invoke", "fib", "-d", '{"n":9}', status=None).stdout == "34\n",
                       "the function is built")
            ctl(weir, "fn", "add", "bad", "--runtime", "c", "--file", str(write(weir, "bad.c", BROKEN)))
            wait_until(lambda: "cannot be built" in ctl(weir, "fn", "get", "bad").stdout, "the problem is told")
            failed = ctl(weir, "fn", "invoke", "bad", status=1)
            self.assertIn("bad.c:3:", failed.stdout)
            self.assertIn("501", failed.stderr)

    def test_row_of_the_public_table_follows_its_file_when_it_changes(self):
        with Instance() as weir:
            path = write(weir, "count.c", "int count(int a) { return a + 1; }\n")
            row = {"runtime": "c", "module": str(path), "handler": "count", "name": "count"}
            table(weir, "INSERT INTO functions (k, v) VALUES ('POST:/count', ?)", [json.dumps(row)])

            def counted(result):
                answer = weir.request("POST", "/count", b'{"a": 1}')
                return answer.status == 200 and answer.body == result

            wait_until(lambda: counted(b"2\n"), "the row serves")
            path.write_text("int count(int a) { return a + 100; }\n")
            table(weir, "UPDATE functions SET v = ? WHERE k = 'POST:/count'", [json.dumps({**row, "memory": 64})])
            wait_until(lambda: counted(b"101\n"), "the changed file serves")


if __name__ == "__main__":
    weir_instance.main()
