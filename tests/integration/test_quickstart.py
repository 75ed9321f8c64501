# labels: integration
# timeout: 300
"""quickstart's life: start, the printed curl lines, stop, restart, two at once, clear refusals."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import weir_instance
from weir_instance import BUILD, PATIENCE_S, SOURCE, port_free, processes_marked, wait_until

QUICKSTART = SOURCE / "tools" / "quickstart"


class Run:
    """One quickstart in the foreground, its output gathered in a file."""

    def __init__(self, case, data, listen, ignoring_interrupts=False):
        self.mark = f"WEIR_TEST_QUICKSTART={os.getpid()}-{data.name}-{listen}"
        name, _, value = self.mark.partition("=")
        self.output_path = case.home / f"output-{data.name}-{listen}.txt"
        arguments = command(data, listen)
        if ignoring_interrupts:
            arguments = ["env", "--ignore-signal=INT", *arguments]
        with open(self.output_path, "wb") as output:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, env={**os.environ, "TMPDIR": str(case.home / "tmp"), name: value},
                                            start_new_session=True)
        case.addCleanup(self.clean)

    def output(self):
        return self.output_path.read_text(errors="replace")

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"quickstart ended with {self.process.returncode}:\n{self.output()}")
            return "Ctrl-C stops it." in self.output()
        wait_until(ready, "quickstart says that it is ready", PATIENCE_S * 2)
        return self

    def interrupt(self):
        """What Ctrl-C does: SIGINT to the whole foreground process group."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=PATIENCE_S)

    def clean(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in processes_marked(self.mark):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def command(data, listen, *extra):
    return [str(QUICKSTART), "--programs", str(BUILD), "--data", str(data), "--listen", f"127.0.0.1:{listen}", *extra]


def get(port, path, *arguments):
    done = subprocess.run(["curl", "-sS", "--max-time", "30", f"http://127.0.0.1:{port}{path}", *arguments],
                          capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else f"curl: {done.stderr}"


def sockets_in(data):
    return [path for path in data.rglob("*") if path.is_socket()]


class Quickstart(weir_instance.Case):
    def setUp(self):
        super().setUp()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="it-weir-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        (self.home / "tmp").mkdir()

    def refusal(self, *arguments, env=None):
        done = subprocess.run([str(QUICKSTART), "--programs", str(BUILD), *map(str, arguments)], capture_output=True,
                              text=True, timeout=PATIENCE_S * 2, env=env)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        return done.stderr

    def assert_all_gone(self, run, data, port):
        self.assertEqual(wait_until(lambda: not processes_marked(run.mark), "all processes have ended", 10), True)
        self.assertEqual(sockets_in(data), [])
        self.assertEqual(list((data / "run").iterdir()), [])
        with socket.socket() as probe:
            self.assertNotEqual(probe.connect_ex(("127.0.0.1", port)), 0, "something still listens")

    def test_printed_curl_lines_work_and_ctrl_c_leaves_nothing_but_data_that_restarts_with_its_routes(self):
        data, port = self.home / "data", port_free()
        before = weir_instance.temporary_files(self.home / "tmp")
        run = Run(self, data, port).wait_ready()
        lines = [line.strip() for line in run.output().splitlines() if re.match(r"\s+curl ", line)]
        self.assertEqual(len(lines), 8, run.output())
        for line in lines:
            done = subprocess.run(["bash", "-c", line.replace("curl ", "curl -sS -w '\\n%{http_code}' --max-time 30 ", 1)],
                                  capture_output=True, text=True)
            wanted = "418" if "/status/418" in line else "200"
            self.assertEqual(done.stdout.splitlines()[-1:], [wanted], f"{line}: {done.stdout}{done.stderr}")
        subprocess.run([BUILD / "bin" / "ctrlctl", "--data", data, "route", "add", "GET /mine", "--fn", "hello"], check=True,
                       capture_output=True)
        subprocess.run([BUILD / "bin" / "ctrlctl", "--data", data, "route", "rm", "ANY /echo"], check=True,
                       capture_output=True)
        mine = get(port, "/mine")
        self.assertEqual(run.interrupt(), 0, run.output())
        self.assert_all_gone(run, data, port)
        self.assertEqual(weir_instance.temporary_files(self.home / "tmp"), before)

        again = Run(self, data, port).wait_ready()
        self.assertEqual(get(port, "/mine"), mine)
        self.assertIn("404", get(port, "/echo", "-i"), "a removed sample came back")
        self.assertIn("Alice", get(port, "/api/hello", "-d", '{"name":"Alice"}'))
        self.assertEqual(again.interrupt(), 0, again.output())
        self.assert_all_gone(again, data, port)

    def test_every_runtime_that_was_built_has_its_samples(self):
        data, port = self.home / "data", port_free()
        run = Run(self, data, port).wait_ready()
        runtimes = [worker.name.rpartition("-")[2] for worker in sorted((BUILD / "bin").glob("weir-worker-*"))
                    if not worker.name.endswith(("-dialect", "-queue"))]  # Weir's own
        names = ("hello", "echo", "info", "ping", "resize", "sleep", "upper", "chain")
        for runtime in [*runtimes, "c"]:
            with self.subTest(runtime):
                self.assertIn(runtime, run.output())
                for name in names:
                    # Modules are built in the background at first.
                    wait_until(lambda n=name: "501" not in get(port, f"/samples/{runtime}/{n}", "-o", "/dev/null", "-w", "%{http_code}"),
                               f"{runtime} has {name}")
                self.assertIn("Hello, world!", get(port, f"/samples/{runtime}/hello"))
                self.assertIn("ABC", get(port, f"/samples/{runtime}/upper", "-d", "abc"))
                self.assertIn("Hello, Ada!", get(port, f"/samples/{runtime}/chain", "-d", '{"name":"Ada"}'))
                self.assertIn("pong", get(port, f"/samples/{runtime}/ping"))
                self.assertIn("20", get(port, f"/samples/{runtime}/sleep/20"))
                self.assertIn("600", get(port, f"/samples/{runtime}/resize", "-d", '{"image":"x","width":800}'))
        self.assertEqual(run.interrupt(), 0, run.output())

    def test_it_can_be_interrupted_even_where_a_script_started_it_in_the_background(self):
        data, port = self.home / "data", port_free()
        run = Run(self, data, port, ignoring_interrupts=True).wait_ready()
        self.assertEqual(run.interrupt(), 0, run.output())
        self.assert_all_gone(run, data, port)

    def test_a_killed_quickstart_takes_the_platform_with_it(self):
        data, port = self.home / "data", port_free()
        run = Run(self, data, port).wait_ready()
        run.process.kill()
        run.process.wait()
        wait_until(lambda: not processes_marked(run.mark), "all processes have ended")
        self.assert_all_gone(run, data, port)

    def test_two_instances_run_side_by_side_and_stopping_one_leaves_the_other(self):
        first_port, second_port = port_free(), port_free()
        first = Run(self, self.home / "one", first_port)
        second = Run(self, self.home / "two", second_port)
        first.wait_ready()
        second.wait_ready()
        subprocess.run([BUILD / "bin" / "ctrlctl", "--data", self.home / "one", "route", "add", "GET /only", "--fn", "hello"],
                       check=True, capture_output=True)
        self.assertNotIn("error", get(first_port, "/only"))
        self.assertIn("Function not found", get(second_port, "/only"))
        self.assertEqual(first.interrupt(), 0)
        self.assert_all_gone(first, self.home / "one", first_port)
        self.assertNotIn("error", get(second_port, "/hello"))
        self.assertEqual(second.interrupt(), 0)

    def test_a_port_in_use_gives_one_clear_line(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            line = self.refusal("--data", self.home / "data", "--listen", f"127.0.0.1:{port}")
        self.assertIn(f"127.0.0.1:{port} is in use", line)
        self.assertIn("--listen", line)

    def test_the_same_data_directory_twice_gives_one_clear_line(self):
        data, port = self.home / "data", port_free()
        run = Run(self, data, port).wait_ready()
        line = self.refusal("--data", data, "--listen", f"127.0.0.1:{port_free()}")
        self.assertIn("already running", line)
        self.assertIn("--stop", line)
        self.assertEqual(get(port, "/ping", "-o", "/dev/null", "-w", "%{http_code}"), "200")
        self.assertEqual(run.interrupt(), 0)

    def test_a_data_directory_that_cannot_be_written_gives_one_clear_line(self):
        (self.home / "file").write_text("")
        line = self.refusal("--data", self.home / "file" / "data", "--listen", f"127.0.0.1:{port_free()}")
        self.assertIn(str(self.home / "file" / "data"), line)
        self.assertIn("--data", line)

    def test_bad_options_give_one_clear_line(self):
        self.assertIn("--nonsense", self.refusal("--nonsense"))
        self.assertIn("no port number", self.refusal("--data", self.home / "d", "--listen", "127.0.0.1:70000"))
        self.assertIn("no port number", self.refusal("--data", self.home / "d", "--listen", "127.0.0.1:http"))
        self.assertIn("ADDR:PORT", self.refusal("--data", self.home / "d", "--listen", "8080"))

    def test_detach_returns_when_it_answers_and_stop_ends_it(self):
        data, port = self.home / "data", port_free()
        name = f"WEIR_TEST_QUICKSTART={os.getpid()}-detached"
        env = {**os.environ, "WEIR_TEST_QUICKSTART": name.partition("=")[2]}

        def clean():
            for pid in processes_marked(name):
                os.kill(pid, signal.SIGKILL)
        self.addCleanup(clean)
        done = subprocess.run(command(data, port, "--detach"), capture_output=True, text=True, env=env,
                              timeout=PATIENCE_S * 2)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("--stop", done.stdout)
        self.assertNotIn("error", get(port, "/hello"))
        self.assertGreater((data / "log" / "weir.log").stat().st_size, 0)
        stopped = subprocess.run([str(QUICKSTART), "--stop", "--data", str(data)], capture_output=True, text=True,
                                 timeout=PATIENCE_S * 2)
        self.assertEqual(stopped.returncode, 0, stopped.stderr)
        wait_until(lambda: not processes_marked(name), "all processes have ended", 10)
        self.assertEqual(sockets_in(data), [])
        again = subprocess.run([str(QUICKSTART), "--stop", "--data", str(data)], capture_output=True, text=True)
        self.assertEqual(again.returncode, 0)
        self.assertIn("nothing runs", again.stdout)


if __name__ == "__main__":
    weir_instance.main()
