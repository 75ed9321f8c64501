"""For the kill tests: checked load on an instance, and counts that must return.

    with Instance(samples=True) as weir, Load(weir) as load:
        kill(programs(weir, "weir-gateway")[0][0])
        load.wait_answers(50)      # service resumed
    load.wrong()                   # answers that were not their request's: must be empty

Load sends distinct bodies to /echo on kept connections and compares every answer, while wrk (where
it is installed) presses on /hello. A second or foreign answer on a connection shows as a wrong one.
"""

import contextlib
import http.client
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import weir_instance
from weir_instance import wait_until

# Nobody may notice when another process than these dies. The samples in PHP have a runtime of their own
# where libphp is installed.
PHP_WORKER = "weir-worker-php" if (weir_instance.BIN / "weir-worker-php").exists() else "weir-worker-exec"
SERVING = ("weir-gateway", "weir-worker-native", PHP_WORKER, "weir-ctrld")
GAUGES = ("connections", "calls_waiting", "calls_in_flight", "chunks_small", "chunks_large", "links",
          "buffers_used")


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class Load:
    """Threads that send and check, and wrk beside them; `seconds` bounds wrk's run."""

    def __init__(self, weir, threads=3, seconds=600, press=True):
        self.weir = weir
        self.lock = threading.Lock()
        self.answers = 0
        self.failed = []  # a status, or "broken" for a connection that ended or was refused
        self.mismatched = []
        self.texts = set()  # of failures, for people
        self.stopping = False
        self.threads = [threading.Thread(target=self._run, args=(number,), daemon=True)
                        for number in range(threads)]
        self.seconds = seconds
        self.press = shutil.which("wrk") if press else None
        self.wrk = None

    def __enter__(self):
        if self.press:
            self.wrk = subprocess.Popen([self.press, "-t1", "-c16", f"-d{self.seconds}s", self.weir.url("/hello")],
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for thread in self.threads:
            thread.start()
        self.wait_answers(20)
        return self

    def __exit__(self, kind, value, trace):
        self.stop()

    def stop(self):
        """End the load; what it saw stays readable."""
        self.stopping = True
        for thread in self.threads:
            thread.join()
        if self.wrk is not None:
            self.wrk.send_signal(signal.SIGINT)  # it prints its summary then
            self.wrk.communicate()
            self.wrk = None

    def _run(self, number):
        connection = None
        count = 0
        while not self.stopping:
            count += 1
            body = f"{number}/{count}/".encode() * (1 + count % 40)
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.weir.port, timeout=30)
                connection.request("POST", "/echo", body=body)
                answer = connection.getresponse()
                echoed = answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = None
                self._note("broken")
                time.sleep(0.005)
                continue
            if answer.status != 200:
                self._note(answer.status, echoed)
            elif echoed != body:
                with self.lock:
                    self.mismatched.append((body[:40], echoed[:40]))
            else:
                with self.lock:
                    self.answers += 1
        if connection is not None:
            connection.close()

    def _note(self, what, text=b""):
        with self.lock:
            self.failed.append(what)
            self.texts.add((what, text[:160]))

    def wait_answers(self, count):
        """Wait until `count` more requests were answered rightly: service has resumed. Seconds it took."""
        began = time.monotonic()
        target = self.answers + count
        wait_until(lambda: self.answers >= target, f"{count} more requests are answered")
        return time.monotonic() - began

    def failures(self):
        with self.lock:
            return list(self.failed)

    def wrong(self):
        with self.lock:
            return list(self.mismatched)


def programs(weir, name=None):
    """[(pid, program)] of the instance's processes, by the program's file: workers rename themselves."""
    found = []
    for pid, _ in weir.processes():
        with contextlib.suppress(OSError):
            program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            if name is None or program == name:
                found.append((pid, program))
    return found


# What a process opens anew has another number or name each time.
NUMBERED = ("socket:", "pipe:", "net:", "/tmp/.ZendSem")


def kind_of(target):
    """What a descriptor is, without what differs from worker to worker."""
    if target.startswith("/sys/fs/cgroup/"):
        return "counts of a control group"
    target = re.sub(r"^/\d+/", "/PID/", target)  # a process's own, in its own /proc
    return re.split(r"\[|\.ZendSem", target)[0] if target.startswith(NUMBERED) else target


def descriptors(weir):
    """What descriptors the processes of each program hold, by kind, and link segments they map."""
    held = {}
    for pid, program in programs(weir):
        kinds = {}
        with contextlib.suppress(OSError):
            maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
            kinds["mapped links"] = maps.count("memfd:weir-link")
            for number in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    kind = kind_of(os.readlink(f"/proc/{pid}/fd/{number}"))
                    kinds[kind] = kinds.get(kind, 0) + 1
            held.setdefault(program, []).append(kinds)
    return {program: sorted(each, key=str) for program, each in held.items()}


def counts(weir):
    """Everything that must be the same before and after."""
    status = weir.status()
    kinds = {}
    for row in status["processes"]:
        key = f"{row['kind']} {row.get('runtime', '')} {row['state']}"
        kinds[key] = kinds.get(key, 0) + 1
    return {"processes": kinds, "segments": status["segments"], "segment_bytes": status["segment_bytes"],
            "gauges": {name: status["metrics"][name] for name in GAUGES}, "descriptors": descriptors(weir)}


class Survival(weir_instance.Case):
    maxDiff = None

    def warm_up(self, weir):
        """Let every process do each thing once, so that what it opens lazily is open."""
        for _ in range(20):
            weir.request("POST", "/echo", b"x" * 100)
            weir.request("GET", "/hello")
            weir.request("GET", "/api/info")
        weir.status()

    def steady(self, weir):
        """The counts, once they stay the same for a second."""
        first = counts(weir)
        time.sleep(1)
        return first if counts(weir) == first else None

    @contextlib.contextmanager
    def counts_return(self, weir):
        """Counts before the block, which must come back after it (workers that are not needed retire)."""
        weir.ctrlctl("pool", "set", "*", "--scale-step", "1", "--scale-samples", "5")
        self.warm_up(weir)
        before = wait_until(lambda: self.steady(weir), "counts are steady")
        yield
        self.warm_up(weir)
        wait_until(lambda: counts(weir)["processes"] == before["processes"], "idle workers retired")
        self.warm_up(weir)  # the worker that is left is not always the one that was there before
        try:
            wait_until(lambda: counts(weir) == before, "counts return")
        except AssertionError:
            self.assertEqual(counts(weir), before)

    def kill_and_wait_replaced(self, weir, name):
        """Kill one process of that name and wait until there are as many again without it."""
        old = programs(weir, name)
        self.assertNotEqual(old, [], f"{name} runs")
        kill(old[0][0])

        def replaced():
            now = programs(weir, name)
            # What the supervisor starts is called like it until it has become another program.
            if name == "weir-supervisor":
                now = [(row["pid"], name) for row in weir.status()["processes"]
                       if row["kind"] == "supervisor" and row["state"] == "ready"]
            return old[0] not in now and len(now) >= 1

        wait_until(replaced, f"{name} is replaced")
