#!/usr/bin/env python3
# labels: integration
# timeout: 240
"""The real npm client `openwhisk` against Weir: whisk_client.js drives it. Skipped where npm cannot bring it."""

import os
import pathlib
import subprocess
import tempfile
import unittest

import weir_instance
from weir_instance import BIN, SOURCE, Instance, needs_program

CLIENT = "openwhisk@3.21.9"


def client_install(folder):
    """The client into `folder`, or skip: there is no npm, or nobody that it could ask."""
    npm = needs_program("npm", "npm")
    done = subprocess.run([npm, "install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts",
                           "--fetch-retries=1", "--fetch-timeout=20000", CLIENT], capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        reasons = [line for line in done.stderr.splitlines() if line.lower().startswith(("npm error", "npm err!"))]
        raise unittest.SkipTest(f"npm cannot get {CLIENT}: {reasons[:1]}")


class Npm(weir_instance.Case):
    def test_the_npm_client(self):
        if not any((BIN / f"weir-worker-{runtime}").exists() for runtime in ("node", "js")):
            self.skipTest("no runtime for JavaScript is built")
        node = needs_program("node", "nodejs")
        folder = self.enterContext(tempfile.TemporaryDirectory())
        client_install(folder)
        weir = self.enterContext(Instance(samples=True))
        environment = {name: value for name, value in os.environ.items()
                       if not name.lower().endswith("_proxy") and not name.startswith("__OW_")}
        driver = pathlib.Path(SOURCE, "tests/integration/whisk_client.js")
        done = subprocess.run([node, str(driver), folder, weir.url("")], env=environment, capture_output=True, text=True,
                              timeout=120, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    weir_instance.main()
