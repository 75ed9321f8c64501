#!/usr/bin/env python3
"""What functions print, in every runtime that is here: any bytes, no end of line, from threads, from programs
that they start, after the answer, and far too much. It is in the log of its call and never in an answer."""

import pathlib
import subprocess
import sys
import textwrap
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import weir_instance  # noqa: E402
from weir_instance import BIN, BUILD, SOURCE, Instance, wait_until  # noqa: E402

KEPT_BYTES = 65536
MANY_MB = 100
# One function for each runtime. ?bytes, ?noend, ?much, ?muchraw, ?thread, ?late, ?program; it answers "done\n".
FUNCTIONS = {
    "python": ("py", """
        import os, sys, threading, time

        def later():
            time.sleep(0.3)
            print("late")

        def handler(request):
            what = request.query
            if what == "bytes":
                sys.stdout.buffer.write(b"nul \\0 escape \\x1b[31m bad \\xff\\xfe\\n")
            elif what == "noend":
                print("no end", end="")
            elif what == "much":
                for _ in range(%(mb)d * 1024):
                    print("x" * 1023)
            elif what == "thread":
                thread = threading.Thread(target=lambda: print("of a thread"))
                thread.start()
                thread.join()
            elif what == "late":
                threading.Thread(target=later).start()
            elif what == "raw":
                os.write(1, b"raw\\n")
            elif what == "muchraw":
                for _ in range(%(mb)d):
                    os.write(1, (b"x" * 1023 + b"\\n") * 1024)
            return "done\\n"
        """),
    "node": ("js", """
        const fs = require('fs');
        exports.handler = async (request) => {
          switch (request.query) {
            case 'bytes': process.stdout.write(Buffer.from('nul \\0 escape \\x1b[31m bad \\xff\\xfe\\n', 'latin1')); break;
            case 'noend': process.stdout.write('no end'); break;
            case 'much': for (let i = 0; i < %(mb)d * 1024; i++) console.log('x'.repeat(1023)); break;
            case 'thread': await new Promise((resolve) => setTimeout(resolve, 20)); console.log('of a thread'); break;
            case 'late': setTimeout(() => console.log('late'), 300); break;
            case 'raw': fs.writeSync(1, 'raw\\n'); break;
          }
          return 'done\\n';
        };
        """),
    "js": ("js", """
        exports.handler = (request) => {
          switch (request.query) {
            case 'noend': console.log('no end'); break;
            case 'much': for (let i = 0; i < %(mb)d * 1024; i++) console.log('x'.repeat(1023)); break;
          }
          return 'done\\n';
        };
        """),
    "php": ("php", """
        <?php
        $out = fopen('php://stdout', 'w');
        switch ($_SERVER['QUERY_STRING']) {
        case 'bytes': fwrite($out, "nul \\0 escape \\x1b[31m bad \\xff\\xfe\\n"); break;
        case 'noend': fwrite($out, 'no end'); break;
        case 'much': for ($i = 0; $i < %(mb)d * 1024; $i++) fwrite($out, str_repeat('x', 1023) . "\\n"); break;
        case 'late': register_shutdown_function(function () use ($out) { fwrite($out, "late\\n"); }); break;
        }
        header('Content-Type: text/plain');
        echo "done\\n";
        """),
    "native": ("c", """
        #include <pthread.h>
        #include <stdio.h>
        #include <unistd.h>
        #include <weir_function.h>

        static void *thread(void *unused)
        {
                printf("of a thread\\n");
                return unused;
        }

        int weir_handle(const struct weir_request *request, struct weir_response *response)
        {
                static char line[1025];
                char what[16] = "";
                pthread_t id;

                memcpy(what, weir_request_query(request).data, weir_request_query(request).bytes);
                memset(line, 'x', 1023);
                line[1023] = '\\n';
                if (strcmp(what, "bytes") == 0)
                        fwrite("nul \\0 escape \\x1b[31m bad \\xff\\xfe\\n", 1, 26, stdout);
                if (strcmp(what, "noend") == 0)
                        printf("no end");
                for (int i = 0; strcmp(what, "much") == 0 && i < %(mb)d * 1024; i++)
                        fputs(line, stdout);
                for (int i = 0; strcmp(what, "muchraw") == 0 && i < %(mb)d * 1024; i++)
                        (void)!write(1, line, 1024);
                if (strcmp(what, "raw") == 0)
                        (void)!write(1, "raw\\n", 4);
                if (strcmp(what, "thread") == 0) {
                        if (pthread_create(&id, 0, thread, 0) == 0)
                                pthread_join(id, 0);
                }
                return weir_response_write_text(response, "done\\n");
        }
        """),
    "wasm": ("c", """
        #include <stdio.h>
        #include <weir_wasm.h>

        int weir_handle(const struct weir_request *request, struct weir_response *response)
        {
                static char line[1025];
                const char *const what = weir_request_query(request).data;

                memset(line, 'x', 1023);
                line[1023] = '\\n';
                if (strcmp(what, "bytes") == 0)
                        fwrite("nul \\0 escape \\x1b[31m bad \\xff\\xfe\\n", 1, 26, stdout);
                if (strcmp(what, "noend") == 0)
                        printf("no end");
                for (int i = 0; strcmp(what, "much") == 0 && i < %(mb)d * 1024; i++)
                        fputs(line, stdout);
                fflush(stdout);
                return weir_response_write_text(response, "done\\n");
        }
        """),
    "exec": ("sh", """
        #!/bin/sh
        case $WEIR_QUERY in
        bytes) printf 'nul \\0 escape \\033[31m bad \\377\\376\\n' >&2 ;;
        noend) printf 'no end' >&2 ;;
        much) head -c %(mb)dM /dev/zero | tr '\\0' x | fold -w 1023 >&2 ;;
        thread) (echo 'of a thread' >&2) & wait ;;
        late) (sleep 0.1; echo late >&2) & wait ;;
        raw) /bin/echo raw >&2 ;;
        esac
        echo '[]'
        """),
}
LEFT_OUT = {
    ("js", "bytes"): "it prints texts",
    **{(runtime, "muchraw"): "that is another way only of native and python" for runtime in ("js", "node", "php", "exec", "wasm")},
    ("js", "thread"): "it has none", ("js", "late"): "nothing of it runs then", ("js", "raw"): "it has no descriptors",
    ("php", "thread"): "it has none", ("php", "raw"): "php://stdout is that",
    ("native", "late"): "its threads are gone when it returns", ("wasm", "late"): "nothing of it runs then",
    ("wasm", "thread"): "it has none", ("wasm", "raw"): "its descriptors are Weir's",
}


class Prints(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        cls.weir = Instance()
        cls.weir.__enter__()
        try:
            cls.runtimes = [runtime for runtime in FUNCTIONS if (BIN / f"weir-worker-{runtime}").exists() and cls.add(runtime)]
        except BaseException:
            cls.weir.__exit__(*sys.exc_info())
            raise

    @classmethod
    def tearDownClass(cls):
        cls.weir.__exit__(None, None, None)

    @classmethod
    def add(cls, runtime):
        ending, source = FUNCTIONS[runtime]
        path = cls.weir.home / f"{runtime}.{ending}"
        path.write_text(textwrap.dedent(source).lstrip().replace("%(mb)d", str(MANY_MB)))
        path.chmod(0o755)
        options = []
        if runtime == "native":
            options = ["--runtime", "c"]
        elif runtime == "wasm":
            module = path.with_suffix(".wasm")
            built = subprocess.run(["clang", "--target=wasm32-wasi", "-O2", "-mexec-model=reactor", "-I", SOURCE / "dataplane/sdk",
                                    "-o", module, path], capture_output=True)
            if built.returncode != 0:
                return False  # no compiler for it here
            path = module
        cls.weir.ctrlctl("fn", "add", runtime, "--file", path, *(options or ["--runtime", runtime]), "--timeout", "60s")
        cls.weir.ctrlctl("route", "add", f"ANY /{runtime}", "--fn", runtime)
        wait_until(lambda: cls.weir.request("GET", f"/{runtime}?first").status != 501, f"{runtime} is built")
        return True

    def call(self, runtime, what):
        answer = self.weir.request("GET", f"/{runtime}?{what}", timeout_s=90)
        self.assertEqual((answer.status, answer.body), (200, b"[]\n" if runtime == "exec" else b"done\n"))
        return answer.headers["x-openwhisk-activation-id"]

    def lines(self, activation):
        shown = self.weir.ctrlctl("call", "logs", activation, check=False).stdout.splitlines()
        return [line.partition(" ")[2] for line in shown]

    def each(self, what, check):
        """Call check(runtime, what its lines begin with) for all runtimes that can."""
        for runtime in self.runtimes:
            if (runtime, what) not in LEFT_OUT:
                with self.subTest(runtime):
                    check(runtime, "stderr: " if runtime == "exec" else "stdout: ")

    def test_any_bytes(self):
        def check(runtime, stream):
            self.assertEqual(self.lines(self.call(runtime, "bytes")), [stream + r"nul \x00 escape \x1b[31m bad \xff\xfe"])

        self.each("bytes", check)

    def test_a_line_without_an_end(self):
        def check(runtime, stream):
            for _ in range(3):  # and it is not part of the next call's
                self.assertEqual(self.lines(self.call(runtime, "noend")), [stream + "no end"])

        self.each("noend", check)

    def test_what_goes_to_the_descriptor(self):
        def check(runtime, stream):
            for _ in range(3):
                self.assertEqual(self.lines(self.call(runtime, "raw")), [stream + "raw"])

        self.each("raw", check)

    def test_far_too_much(self):
        self.far_too_much("much")

    def test_far_too_much_to_the_descriptor(self):
        self.far_too_much("muchraw")

    def far_too_much(self, what):
        def check(runtime, stream):
            lines = self.lines(self.call(runtime, what))
            kept = sum(len(line) - len(stream) + 1 for line in lines[:-1])
            self.assertTrue(KEPT_BYTES - 2048 < kept <= KEPT_BYTES + 1024, kept)
            self.assertEqual(lines[-1], f"warn: this call printed more than {KEPT_BYTES} bytes; the rest was dropped")
            self.assertEqual(self.lines(self.call(runtime, "noend")), [stream + "no end"])

        self.each(what, check)

    def test_what_threads_and_other_processes_print(self):
        def check(runtime, stream):
            self.assertEqual(self.lines(self.call(runtime, "thread")), [stream + "of a thread"])

        self.each("thread", check)

    def test_what_is_printed_when_the_answer_is_out(self):
        def check(runtime, stream):
            self.call(runtime, "late")
            wait_until(lambda: stream + "late" in self.weir.ctrlctl("fn", "logs", runtime).stdout, f"{runtime}: it is in the log")
            self.call(runtime, "first")

        self.each("late", check)


if __name__ == "__main__":
    weir_instance.main()
