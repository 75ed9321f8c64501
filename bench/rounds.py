"""Interleaved rounds: servers take turns under the generator; rounds that others disturbed are repeated.

A *round* is what the generator printed for one server in one scenario, with cpu_us (server CPU per
request), foreign, changed, late and clean added. Owner of servers and figures: the script, which
says in a subclass of Rounds what is measured how often.
"""

import json
import os
import subprocess
import sys
import time

import machine
import peers

FOREIGN_MAX = 0.15   # of one CPU
FOREIGN_OPEN_MAX = 0.015  # in the open loop: one other process for 3 ms is all that p99.9 then shows
LATE_US = 50         # p99 of the generator's own lateness that is no trouble, whatever a server's is
LATE_SHARE = 0.1     # of the p99 of the server
TRIES_MAX = 4        # of one round
WARM_UP_S = 0.2
ROUND_EXTRA_S = 0.35 # warm-up, starting, looking at /proc; for the first guess of how long it takes


def progress(text):
    print(text, file=sys.stderr, flush=True)


class Clock:
    """How much is done and how long the rest will take, judged by what was done so far."""

    def __init__(self, planned_s):
        self.planned_s = planned_s
        self.done_s = 0
        self.started = time.monotonic()

    def done(self, seconds):
        self.done_s += seconds

    def text(self):
        elapsed = time.monotonic() - self.started
        left_s = max(0, self.planned_s - self.done_s) * (elapsed / self.done_s if self.done_s else 1)
        share = min(99, round(100 * self.done_s / self.planned_s))
        return f"[{share:2} %, {left_s / 60:.0f} min left]" if left_s >= 90 else f"[{share:2} %, {left_s:2.0f} s left]"


class Rounds:
    """The servers under measurement, what was measured of them so far, and how to measure more. A
    subclass has names_of(scenario), rounds_of(scenario, name), seconds_of(scenario) and planned_s()."""

    def __init__(self, options):
        self.options = options
        self.peers = []
        self.known = []     # (name, title) of all that ever stood in `peers`
        self.versions = {}
        self.rounds = {}    # (scenario, peer name): [round]
        self.left_out = []
        self.load_program = options.build / "bin" / "weir-bench-load"
        self.clock = Clock(self.planned_s())

    def note_left_out(self, text):
        progress(text)
        self.left_out.append(text)

    # One round.

    def load_command(self, peer, scenario, seconds, rate):
        command = ["taskset", "-c", str(self.options.load_cpu), str(self.load_program), "--port", str(peer.port),
                   "--path", peer.path, "--connections", str(scenario.connections), "--seconds", str(seconds),
                   "--warmup", str(WARM_UP_S)]
        if scenario.pipeline > 1:
            command += ["--pipeline", str(scenario.pipeline)]
        if scenario.body_bytes:
            command += ["--body-bytes", str(scenario.body_bytes)]
        return command + (["--rate", str(rate)] if rate else [])

    def load_run(self, command, peer):
        """Run the generator, alone or under perf: its result, and what was written to standard error."""
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              preexec_fn=machine.child_setup(None))
        try:
            result = json.loads(done.stdout)
        except ValueError:
            raise RuntimeError(f"{peer.name}: {' '.join(command)} failed: {done.stderr}\n{peer.log()}") from None
        if result["errors"]:
            raise RuntimeError(f"{peer.name} answers wrongly, so its speed means nothing: {done.stdout}{peer.log()}")
        return result, done.stderr

    def round_once(self, scenario, peer, rate):
        everyone = {}
        for other in self.peers:
            everyone.update(other.members())
        members = peer.members()
        own = {**everyone, **machine.tree([os.getpid()])}
        others_before = machine.others_ns(own) if rate else {}
        foreign = machine.Foreign(everyone, self.options.server_cpu if peer.forks else None)
        before_ns = peer.cpu_ns(members)
        result, _ = self.load_run(self.load_command(peer, scenario, self.seconds_of(scenario), rate), peer)
        after = peer.members()
        result["cpu_us"] = (peer.cpu_ns(after) - before_ns) / 1000 / max(1, result["requests_total"])
        result["foreign"] = foreign.share()
        if rate:
            others = machine.others_share(others_before, machine.others_ns(own), foreign.elapsed())
            result["foreign"] = max(others, result["foreign"] if result["foreign"] > FOREIGN_MAX else 0)
        # A pool may grow under load: what began is counted, what ended took its CPU time with it.
        result["changed"] = not peer.forks and set(after) != set(members)
        late_max_us = max(LATE_US, LATE_SHARE * result["p99_us"])
        foreign_max = min(self.options.foreign_max, FOREIGN_OPEN_MAX) if rate else self.options.foreign_max
        result["late"] = bool(rate) and result["late_p99_us"] > late_max_us
        result["clean"] = not (result["changed"] or result["late"] or result["connections_silent"] or
                               result["requests_total"] == 0 or result["foreign"] > foreign_max)
        return result

    def round(self, label, scenario, peer, rate=0):
        """One round, repeated while others disturb it, the generator itself is late, or the server's
        processes change; the least disturbed try counts."""
        tries = []
        while len(tries) < TRIES_MAX:
            tries.append(self.round_once(scenario, peer, rate))
            last = tries[-1]
            progress(f"{self.clock.text()} {label} {scenario.name:>8}  {peer.name:9} {last['rate']:>11,.0f}/s "
                     f"{last['cpu_us']:8.2f} us CPU  p99 {last['p99_us']:>9,.0f} us  foreign {last['foreign'] * 100:3.0f} %"
                     + ("  processes changed" if last["changed"] else "")
                     + (f"  generator late {last['late_p99_us']:.0f} us" if last["late"] else "")
                     + (f"  {last['connections_silent']} connections without an answer" if last["connections_silent"] else "")
                     + ("" if last["clean"] else "  disturbed"))
            if last["clean"]:
                break
        best = min(tries, key=lambda result: (result["changed"], result["late"], result["connections_silent"], result["foreign"]))
        self.rounds.setdefault((scenario.name, peer.name), []).append(best)
        self.clock.done(self.seconds_of(scenario) + ROUND_EXTRA_S)

    # All rounds.

    def measure(self, scenarios, rate_of=lambda scenario: 0):
        total = max((self.rounds_of(scenario, name) for scenario in scenarios for name in self.names_of(scenario)), default=0)
        for index in range(total):
            order = self.peers if index % 2 == 0 else self.peers[::-1]
            for scenario in scenarios:
                names = self.names_of(scenario)
                for peer in order:
                    if peer.name in names and index < self.rounds_of(scenario, peer.name):
                        self.round(f"round {index + 1}/{total}", scenario, peer, rate_of(scenario))

    def phase(self, names, home, work, kinds=None):
        """Start servers (of peers.KINDS, or of `kinds`), do `work`, end them."""
        self.peers = peers.start_all(names, home, self.options.build, {self.options.server_cpu}, self.note_left_out, kinds)
        try:
            self.known += [(peer.name, peer.title) for peer in self.peers]
            self.versions.update({peer.name: peer.version() for peer in self.peers})
            work()
        finally:
            for peer in self.peers:
                peer.stop()
