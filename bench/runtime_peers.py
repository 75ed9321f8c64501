"""The servers that bench/runtimes compares: Weir with one function in each runtime, and others' servers.

All serve GET /hello by the same function, written in each language (functions/): it builds its answer
anew for every request. Where two servers run the same language they run the same file, as far as their
interfaces agree.
"""

import json
import subprocess

import machine
import peers
from peers import SOURCE, Unavailable, debian_version, program_find

BODY = b'{"message":"Hello, world!"}'
FUNCTIONS = SOURCE / "bench" / "functions"
FPM_MANY = 64


class Hello(peers.Peer):
    """Each language writes JSON its own way: the value is what must be right."""

    runtime = ""   # of Weir

    def body(self):
        return BODY

    def is_right(self, body):
        try:
            return json.loads(body) == json.loads(BODY)
        except ValueError:
            return False


class WeirRuntime(Hello, peers.Weir):
    """Weir with one function."""

    handler = ""

    def __init__(self, home, build, cpus, reference=None):
        super().__init__(home, build, cpus, reference)
        if not (self.build / "bin" / f"weir-worker-{self.runtime}").exists():
            raise Unavailable(f"this Weir has no runtime {self.runtime}: its library was not installed when it was built")
        if not self.file().exists():
            raise Unavailable(f"{self.file()} is not there")

    def file(self):
        return {"native": self.build / "lib" / "bench" / "hello.so", "wasm": self.build / "lib" / "bench" / "hello.wasm",
                "exec": self.build / "bin" / "weir-bench-cgi", "php": FUNCTIONS / "hello.php",
                "python": FUNCTIONS / "hello.py"}.get(self.runtime, FUNCTIONS / "hello.js")

    def function_add(self, name, route):
        handler = ["--handler", self.handler] if self.handler else []
        self.ctrlctl("fn", "add", name, "--runtime", self.runtime, "--file", self.file(), *handler)
        self.ctrlctl("route", "add", f"ANY {route}", "--fn", name)

    def launch(self):
        self.keeper_start()
        self.wait_ready()
        self.function_add("hello", "/hello")


class WeirNative(WeirRuntime):
    name = runtime = "native"
    title = "Weir, native (C)"


class WeirWasm(WeirRuntime):
    name = runtime = "wasm"
    title = "Weir, wasm (the same C)"


class WeirJs(WeirRuntime):
    name = runtime = "js"
    title = "Weir, js"


class WeirNode(WeirRuntime):
    name = runtime = "node"
    title = "Weir, node"


class WeirPhp(WeirRuntime):
    name = runtime = "php"
    title = "Weir, php, a script"


class WeirPhpHandler(WeirPhp):
    name = "php-handler"
    title = "Weir, php, a handler"
    handler = "handler"

    def file(self):
        return FUNCTIONS / "handler.php"


class WeirPython(WeirRuntime):
    name = runtime = "python"
    title = "Weir, python, a handler"


class WeirWsgi(WeirPython):
    name = "python-wsgi"
    title = "Weir, python, WSGI"

    def file(self):
        return FUNCTIONS / "wsgi.py"


class WeirExec(WeirRuntime):
    name = runtime = "exec"
    title = "Weir, exec: a program in C"
    forks = True


class Fpm(Hello, peers.Fpm):
    """The script that Weir's php runs, with the parameters that nginx's users give."""

    name = "fpm"

    def script(self):
        return (FUNCTIONS / "hello.php").read_text()

    def location(self):
        return (f"fastcgi_pass unix:{self.home}/fpm.sock; include /etc/nginx/fastcgi_params; "
                f"fastcgi_param SCRIPT_FILENAME {self.home}/hello.php;")


class FpmMany(Fpm):
    name = "fpm-many"
    title = f"nginx + php-fpm, {FPM_MANY} children, connections kept"
    children = FPM_MANY
    http = f"upstream fpm {{{{ server unix:{{home}}/fpm.sock; keepalive {FPM_MANY}; keepalive_requests 1000000000; }}}}"

    def location(self):
        return super().location().replace(f"fastcgi_pass unix:{self.home}/fpm.sock;", "fastcgi_pass fpm; fastcgi_keep_conn on;")


class NodeHttp(Hello, peers.Node):
    name = "node-http"
    title = "node, its http server"

    def launch(self):
        self.spawn(program_find("node", "nodejs"), FUNCTIONS / "server.js", self.port)


PYTHON = "/usr/bin/python3"   # Debian's, which finds Debian's modules


def module_is_there(*names):
    return subprocess.run([PYTHON, "-c", "import " + ", ".join(names)], capture_output=True, check=False).returncode == 0


class Gunicorn(Hello, peers.Nginx):
    """A sync worker ends each connection with its answer, so nginx keeps those of the clients, as its
    documentation says."""

    name = "gunicorn"
    title = "nginx + gunicorn, 1 sync worker"

    def location(self):
        return f"proxy_pass http://unix:{self.home}/gunicorn.sock:; proxy_set_header Host $host;"

    def launch(self):
        if not module_is_there("gunicorn"):
            raise Unavailable("gunicorn is not installed (Debian package python3-gunicorn)")
        self.spawn(PYTHON, "-m", "gunicorn", "--workers", 1, "--worker-class", "sync", "--backlog", 4096, "--bind",
                   f"unix:{self.home}/gunicorn.sock", "--chdir", FUNCTIONS, "--log-level", "error", "wsgi:application")
        super().launch()

    def version(self):
        return debian_version("python3-gunicorn") + ", " + (machine.first_line(PYTHON, "--version") or "")


class Uvicorn(Hello):
    name = "uvicorn"
    title = "uvicorn (ASGI), 1 process"

    def launch(self):
        if not module_is_there("uvicorn"):
            raise Unavailable("uvicorn is not installed (Debian package python3-uvicorn)")
        faster = module_is_there("uvloop", "httptools")
        self.spawn(PYTHON, "-m", "uvicorn", "--host", "127.0.0.1", "--port", self.port, "--backlog", 4096, "--no-access-log",
                   "--log-level", "error", "--timeout-keep-alive", 300, *(["--loop", "uvloop", "--http", "httptools"] if faster else []),
                   "--app-dir", FUNCTIONS, "asgi:application")

    def version(self):
        return " ".join(debian_version(package) for package in ("python3-uvicorn", "python3-uvloop", "python3-httptools")
                        if debian_version(package) != "unknown")


class Cgi(Hello, peers.Cgi):
    title = "nginx + fcgiwrap, CGI program in C"


WEIR_KINDS = {kind.name: kind for kind in (WeirNative, WeirWasm, WeirJs, WeirNode, WeirPhp, WeirPhpHandler, WeirPython, WeirWsgi,
                                           WeirExec)}
KINDS = {**WEIR_KINDS, **{kind.name: kind for kind in (Fpm, FpmMany, NodeHttp, Gunicorn, Uvicorn, Cgi)}}
