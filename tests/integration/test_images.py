#!/usr/bin/env python3
# labels: integration
# timeout: 300
"""Functions that name an image: whose code they run, what is said where there is none, and how that changes."""

import json
import threading

import weir_instance
from weir_instance import BIN, SAMPLES, Instance, wait_until

IMAGE = "registry.example:5000/team/up:1.1"
ALIAS = ("image", "alias")


def native(weir, name, sample=None, *options):
    weir.ctrlctl("fn", "add", name, "--runtime", "native", "--file", SAMPLES / "native" / f"{sample or name}.so", *options)


def told(weir, name):
    return json.loads(weir.ctrlctl("fn", "get", name, "-o", "json").stdout)


def call(weir, name, body="abc"):
    """(status, body) of a call by name."""
    path = name if "/" in name else f"default/{name}"
    shown = weir.curl("--unix-socket", weir.data / "run" / "http.sock", "-w", "\n%{http_code}", "-d", body,
                      f"http://function.weir/{path}").stdout
    answer, _, status = shown.decode().rpartition("\n")
    return int(status), answer


class Images(weir_instance.Case):
    def test_an_image_runs_the_code_of_the_function_that_it_stands_for(self):
        with Instance() as weir:
            native(weir, "upper", "upper", "--timeout", "9s")
            weir.ctrlctl(*ALIAS, "set", IMAGE, "upper")
            weir.ctrlctl("fn", "add", "pixels/test", "--image", IMAGE, "--timeout", "7s", "--spec", "cpu=500,memory=64,max=2")
            self.assertEqual(call(weir, "pixels/test"), (200, "ABC"))
            function = told(weir, "pixels/test")
            self.assertEqual([function[member] for member in ("runtime", "file", "image", "runs", "timeout_ms")],
                             ["container", "", IMAGE, "default/upper", 7000])
            self.assertNotIn("problem", function)
            # In its own namespace, with its own spec.
            self.assertEqual([pool["pool"] for pool in function["pools"]], ["pixels/native:500x64"])
            text = weir.ctrlctl("fn", "get", "pixels/test").stdout
            self.assertRegex(text, rf"image +{IMAGE}")
            self.assertRegex(text, r"runs +default/upper")
            self.assertNotIn("size", text)
            self.assertRegex(weir.ctrlctl("fn", "list").stdout, rf"pixels/test .*{IMAGE}")
            # A version of it, as any other.
            weir.ctrlctl("fn", "deploy", "--image", "other:2", "--name", "pixels/test")
            self.assertEqual(call(weir, "pixels/test")[0], 501)
            self.assertIn("other:2", weir.ctrlctl("fn", "versions", "pixels/test").stdout)
            weir.ctrlctl("fn", "rollback", "pixels/test")
            self.assertEqual(call(weir, "pixels/test"), (200, "ABC"))
            self.assertEqual(call(weir, "upper"), (200, "ABC"))

    def test_an_image_that_stands_for_nothing_is_registered_and_answers_what_to_do(self):
        with Instance() as weir:
            native(weir, "upper")
            odd = "it's-\"odd\"/$x\\y"
            for name, image in (("plain", "none:1"), ("odd", odd)):
                weir.ctrlctl("fn", "add", name, "--image", image)
                status, answer = call(weir, name)
                self.assertEqual(status, 501)
                error = json.loads(answer)["error"]
                self.assertIn(image, error)
                self.assertIn("ctrlctl image alias set IMAGE NAMESPACE/FUNCTION", error)
                self.assertEqual(told(weir, name)["problem"], error)
            self.assertEqual(weir.status()["problems"], [])
            # It stands for something now, then that is gone, then it has an image itself.
            weir.ctrlctl(*ALIAS, "set", odd, "upper")
            self.assertEqual(call(weir, "odd"), (200, "ABC"))
            weir.ctrlctl("fn", "rm", "upper")
            self.assertEqual(call(weir, "odd")[0], 501)
            self.assertIn("default/upper, which is not there", told(weir, "odd")["problem"])
            problems = [problem for problem in weir.status()["problems"] if problem["what"] == "image"]
            self.assertEqual([problem["row"] for problem in problems], [odd])
            self.assertIn("which is not there", weir.ctrlctl("status").stdout)
            self.assertIn("which is not there", weir.ctrlctl(*ALIAS).stdout)
            weir.ctrlctl("fn", "add", "upper", "--image", "none:1")
            self.assertIn("which has an image itself", json.loads(call(weir, "odd")[1])["error"])
            weir.ctrlctl("fn", "rm", "upper")
            native(weir, "upper")
            self.assertEqual(call(weir, "odd"), (200, "ABC"))
            weir.ctrlctl(*ALIAS, "remove", odd)
            self.assertEqual(call(weir, "odd")[0], 501)

    def test_another_alias_takes_effect_under_calls_and_none_of_them_fails(self):
        with Instance() as weir:
            native(weir, "upper")
            native(weir, "echo")
            script = weir.data / "cat.sh"
            script.write_text("#!/bin/sh\nexec cat\n")
            script.chmod(0o755)
            weir.ctrlctl("fn", "add", "cat", "--runtime", "exec", "--file", script)  # other workers
            self.alternate(weir, (("echo", b"abc"), ("cat", b'{"result":"abc"}'), ("upper", b"ABC")) * 3)

    def test_so_it_does_where_a_function_comes_to_node_and_leaves_it(self):
        if not (BIN / "weir-worker-node").exists():
            self.skipTest("the runtime node is not built")
        with Instance() as weir:
            native(weir, "upper")
            script = weir.data / "twice.js"
            script.write_text("exports.handler = (request) => request.text() + request.text();\n")
            weir.ctrlctl("fn", "add", "twice", "--runtime", "node", "--file", script)
            self.alternate(weir, (("twice", b"abcabc"), ("upper", b"ABC")) * 5)

    def alternate(self, weir, ends):
        """The image of a function that is called all the time stands for one after the other."""
        weir.ctrlctl(*ALIAS, "set", IMAGE, ends[-1][0])
        weir.ctrlctl("fn", "add", "test", "--image", IMAGE)
        weir.ctrlctl("route", "add", "POST /test", "--fn", "test")
        answers, stop = [], threading.Event()

        def caller():
            while not stop.is_set():
                answer = weir.request("POST", "/test", b"abc")
                answers.append((answer.status, answer.body))

        threads = [threading.Thread(target=caller) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for function, text in ends:
                before = len(answers)
                wait_until(lambda before=before: len(answers) > before + 5, "calls go on")
                weir.ctrlctl(*ALIAS, "set", IMAGE, function)
                # Each shard has it once the command returns: whoever calls from here on gets the other code.
                self.assertEqual(weir.request("POST", "/test", b"abc").body, text)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(set(answers), {(200, text) for _, text in ends})

    def test_a_deployment_of_the_code_reaches_those_who_name_it_by_image(self):
        with Instance() as weir:
            weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "upper.so", "--name", "code", "--env", "WHO=code")
            weir.ctrlctl(*ALIAS, "set", IMAGE, "code")
            weir.ctrlctl("fn", "add", "a/user", "--image", IMAGE)
            weir.ctrlctl("fn", "env", "set", "a/user", "WHO=user")  # with variables of its own
            self.assertEqual(call(weir, "a/user"), (200, "ABC"))
            weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "echo.so", "--name", "code")
            self.assertEqual(call(weir, "a/user"), (200, "abc"))
            weir.ctrlctl("fn", "rollback", "code")
            self.assertEqual(call(weir, "a/user"), (200, "ABC"))

    def test_variables_are_those_of_the_function_that_is_called(self):
        with Instance() as weir:
            script = weir.data / "who.sh"
            script.write_text("#!/bin/sh\necho \"${WHO-nobody} ${SECRET-none}\"\n")
            script.chmod(0o755)
            weir.ctrlctl("fn", "add", "code", "--runtime", "exec", "--file", script)
            weir.ctrlctl("fn", "env", "set", "code", "WHO=code", "SECRET=code")
            weir.ctrlctl(*ALIAS, "set", IMAGE, "code")
            weir.ctrlctl("fn", "add", "a/user", "--image", IMAGE)

            def who(name):
                return json.loads(call(weir, name, "")[1])["result"].strip()

            self.assertEqual(who("a/user"), "nobody none")
            weir.ctrlctl("fn", "env", "set", "a/user", "WHO=user")
            self.assertEqual(who("a/user"), "user none")
            weir.ctrlctl("fn", "env", "set", "code", "WHO=code2")
            self.assertEqual(who("a/user"), "user none")
            self.assertEqual(who("code"), "code2 code")

    def test_aliases_survive_a_restart_and_travel_with_the_configuration(self):
        with Instance() as weir, Instance() as other:
            native(weir, "upper")
            weir.ctrlctl(*ALIAS, "set", IMAGE, "upper")
            weir.ctrlctl("fn", "add", "test", "--image", IMAGE)
            generation = weir.status()["generation"]
            weir.stop()
            weir.start()
            self.assertEqual(call(weir, "test"), (200, "ABC"))
            text = weir.ctrlctl("config", "export").stdout
            self.assertIn(f"image: {IMAGE}", text)
            other.ctrlctl("config", "apply", "-f", "-", "--prune", stdin=text)
            self.assertEqual(other.ctrlctl("config", "export").stdout, text)
            self.assertEqual(call(other, "test"), (200, "ABC"))
            # Without it, then back by history; and by a backup.
            backup = weir.data / "weir.backup"
            weir.ctrlctl("backup", backup)
            weir.ctrlctl(*ALIAS, "remove", IMAGE)
            self.assertEqual(call(weir, "test")[0], 501)
            self.assertIn(IMAGE, weir.ctrlctl("config", "diff", str(generation)).stdout)
            weir.ctrlctl("config", "rollback", str(generation))
            self.assertEqual(call(weir, "test"), (200, "ABC"))
            weir.ctrlctl(*ALIAS, "remove", IMAGE)
            weir.ctrlctl("restore", backup)
            self.assertEqual(call(weir, "test"), (200, "ABC"))
            self.assertEqual(json.loads(weir.ctrlctl(*ALIAS, "list", "-o", "json").stdout),
                             [{"image": IMAGE, "function": "default/upper"}])

    def test_exit_codes_say_what_was_wrong(self):
        with Instance() as weir:
            native(weir, "upper")
            weir.ctrlctl("fn", "add", "test", "--image", "x")
            for code, arguments in ((2, ("zork",)), (2, ("set", IMAGE)), (2, ("remove",)), (2, ("list", "x")),
                                    (5, ("remove", IMAGE)), (7, ("remove", "x" * 600)), (5, ("set", IMAGE, "nobody")),
                                    (7, ("set", IMAGE, "test")), (7, ("set", "a b", "upper")), (7, ("set", IMAGE, "a/b/c")),
                                    (7, ("set", "x" * 513, "upper"))):
                done = weir.ctrlctl(*ALIAS, *arguments, check=False)
                self.assertEqual(done.returncode, code, (arguments, done.stdout, done.stderr))
            for code, arguments in ((7, ("add", "b", "--image", "a b")), (6, ("add", "test", "--image", "x")),
                                    (7, ("add", "b", "--image", "x", "--runtime", "exec")), (2, ("add", "b")),
                                    (2, ("deploy",)), (2, ("deploy", "--image", "x")),
                                    (2, ("deploy", "/tmp", "--image", "x", "--name", "b")),
                                    (7, ("deploy", "--image", "x", "--name", "b", "--health", "/"))):
                done = weir.ctrlctl("fn", *arguments, check=False)
                self.assertEqual(done.returncode, code, (arguments, done.stdout, done.stderr))
            self.assertEqual(weir.ctrlctl(*ALIAS).stdout.split(), ["IMAGE", "FUNCTION", "PROBLEM"])


if __name__ == "__main__":
    weir_instance.main()
