"""bench/profile against a running Weir: both ways to look at it say what they must."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

BENCH = pathlib.Path(os.environ["WEIR_SOURCE"]) / "bench"
BUILD = pathlib.Path(os.environ["WEIR_BUILD"])


def run(*arguments):
    done = subprocess.run([str(BENCH / "profile"), "--build", str(BUILD), "--dry", *arguments], capture_output=True, text=True,
                          check=False, stdin=subprocess.DEVNULL)
    if "left out" in done.stderr:
        print(done.stderr)
        sys.exit(77)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def main():
    results = (BENCH / "RESULTS.md").read_text()
    with tempfile.TemporaryDirectory() as directory:
        picture = pathlib.Path(directory) / "flame.svg"
        text = run("--scenario", "8", "--seconds", "1", "--svg", str(picture), "--no-ceiling")
        assert "<svg" in picture.read_text() and "parse" in picture.read_text()
        assert picture.with_suffix(".folded").stat().st_size > 0
    assert re.search(r"\| io_uring_enter +\| +\d", text), text
    assert re.search(r"\| all +\| +\d+\.\d+ \| +\d+\.\d+ \|", text), text
    assert "tcp_" in text, text
    text = run("--only-callgrind")
    counts = {stage: int(count.replace(",", "")) for stage, count in re.findall(r"\| ([a-z]+[:,][^|]*?) +\| +([\d,]+) \|", text)}
    for stage in ("gateway: parse and check", "gateway: route", "worker: run", "worker: head check"):
        assert counts[stage] > 0, counts
    # Far more than one request costs would mean that waiting was counted, or start-up.
    assert 500 < counts["gateway, all"] < 100000, counts
    assert (BENCH / "RESULTS.md").read_text() == results, "--dry must leave the page alone"


main()
