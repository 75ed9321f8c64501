"""The servers that are compared: how each is started, which processes are its own, where it answers.

Those in KINDS answer GET on their path with the same JSON body; those in ECHO_KINDS send the body of a
POST back. Each has one worker on the server's CPU, access logs off, connections kept. Files lie in a directory given by the caller;
every process is a descendant of a root that this module started, and ends with `stop()` or when the
script ends, however it ends. Owner: the script.
"""

import contextlib
import http.client
import json
import pathlib
import random
import shutil
import socket
import sqlite3
import subprocess
import time

import machine

SOURCE = pathlib.Path(__file__).resolve().parent.parent
START_PATIENCE_S = 30
FPM_CHILDREN = 2
DEFAULT_BODY = b'{"result":"hello"}'


class Unavailable(Exception):
    """This peer cannot be measured here; the text says why."""


def port_free():
    """A TCP port that nobody listens on, below those that the kernel gives to clients."""
    for _ in range(200):
        port = random.randint(20000, 31999)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port found in 200 tries")


def answer_of(port, path, timeout_s=5):
    """(status, body, bytes of the whole answer) of one GET."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            part = connection.recv(65536)
            if not part:
                raise ConnectionResetError("closed before an answer")
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        if len(lengths) != 1:
            raise http.client.HTTPException("an answer without Content-Length")
        while len(body) < int(lengths[0]):
            part = connection.recv(65536)
            if not part:
                raise ConnectionResetError("closed within an answer")
            body += part
        return int(head.split(b" ", 2)[1]), body, len(head) + 4 + len(body)


def program_find(name, package):
    """Its path, also where a user's PATH does not hold the system's programs; Unavailable."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
    if found is None:
        raise Unavailable(f"{name} is not installed (Debian package {package})")
    return found


class Peer:
    """One server. Subclasses say how to start it in `launch`."""

    name = ""
    title = ""
    path = "/hello"
    forks = False  # starts a process for every request: too short to be seen one by one

    def __init__(self, home, build, cpus, reference):
        self.home = pathlib.Path(home) / self.name
        self.home.mkdir()
        self.build = pathlib.Path(build)
        self.cpus = cpus
        self.reference = reference  # (body, answer bytes) that this peer should give, or None
        self.port = port_free()
        self.roots = []

    def spawn(self, *command):
        with open(self.home / "log", "ab") as log:
            process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       cwd=self.home, start_new_session=True,
                                       preexec_fn=machine.child_setup(self.cpus))
        self.roots.append(process)
        return process

    def log(self):
        text = (self.home / "log").read_text(errors="replace") if (self.home / "log").exists() else ""
        return "\n".join(text.splitlines()[-20:])

    def start(self):
        """Start and wait until it answers 200; RuntimeError with its log where it does not."""
        self.launch()
        self.wait_answer(self.path)

    def wait_answer(self, path):
        deadline = time.monotonic() + START_PATIENCE_S
        problem = "no try"
        while time.monotonic() < deadline:
            ended = [process for process in self.roots if process.poll() is not None]
            if ended:
                raise RuntimeError(f"{self.name} ended with {ended[0].returncode}:\n{self.log()}")
            try:
                status, _, _ = answer_of(self.port, path)
                if status == 200:
                    return
                problem = f"status {status}"
            except (OSError, http.client.HTTPException) as error:
                problem = str(error)
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} does not answer {path} after {START_PATIENCE_S} s ({problem}):\n{self.log()}")

    def members(self):
        return machine.tree([process.pid for process in self.roots])

    def stop(self):
        machine.end_tree(self.roots)
        self.roots = []

    def cpu_ns(self, members):
        """CPU time of the server so far; where it forks, of everything on its CPUs, in whole ticks."""
        if self.forks:
            return int(sum(machine.busy_s(cpu) for cpu in self.cpus) * 1e9)
        return machine.cpu_ns(members)

    def body(self):
        return self.reference[0] if self.reference else DEFAULT_BODY

    def is_right(self, body):
        return body == self.body()


class Weir(Peer):
    """Weir with the native sample `hello`, everything on the server's CPUs."""

    name = "weir"
    title = "Weir, native hello"
    options = ()  # more of weir-keeper's
    settings = ()  # (key, value) of `ctrlctl config set`, before there are functions

    def __init__(self, home, build, cpus, reference=None):
        super().__init__(home, build, cpus, reference)
        self.data = self.home / "data"
        for program in ("weir-keeper", "ctrlctl"):
            if not (self.build / "bin" / program).exists():
                raise Unavailable(f"{self.build}/bin/{program} is not built")
        self.sample = self.build / "lib" / "weir" / "samples" / "native" / "hello.so"

    def keeper_start(self):
        command = [self.build / "bin" / "weir-keeper", "--data", self.data, "--listen", f"127.0.0.1:{self.port}"]
        if self.cpus is not None:
            command += ["--cpus", ",".join(str(cpu) for cpu in sorted(self.cpus))]
        command += self.options
        return self.spawn(*command)

    def launch(self):
        self.keeper_start()
        self.wait_ready()
        self.ctrlctl("fn", "add", "hello", "--runtime", "native", "--file", self.sample)
        self.ctrlctl("route", "add", "ANY /hello", "--fn", "hello")

    def wait_ready(self):
        deadline = time.monotonic() + START_PATIENCE_S
        while self.ctrlctl("ready", "--wait", "2s", check=False).returncode != 0:
            if self.roots[-1].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"weir does not get ready:\n{self.log()}")
            time.sleep(0.05)
        for key, value in self.settings:
            self.ctrlctl("config", "set", key, value)

    def ctrlctl(self, *arguments, check=True):
        command = [str(self.build / "bin" / "ctrlctl"), "--data", str(self.data), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} exited with {done.returncode}: {done.stdout}{done.stderr}\n{self.log()}")
        return done

    def version(self):
        done = subprocess.run([str(self.build / "bin" / "ctrlctl"), "--version"], capture_output=True, text=True, check=False)
        return done.stdout.strip() or "version unknown"


def row_of(module, name, runtime="native"):
    """What a program writes as a row of the public table."""
    return json.dumps({"name": name, "runtime": runtime, "module": str(module.resolve()),
                       "handler": "weir_handle", "memory": 64, "timeout": 5})


def rows_insert(path, pattern, count, modules, runtime="native"):
    """`count` functions with a route each (%u in the pattern is 0, 1, ...), as any program may write them;
    `modules` are their files, in turn. The moment of the commit."""
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as database:
        database.executemany("INSERT INTO functions (k, v) VALUES (?, ?)",
                             ((f"GET:{pattern.replace('%u', str(number))}",
                               row_of(modules[number % len(modules)], f"f{number}", runtime))
                              for number in range(count)))
        database.commit()
        return time.monotonic()


class WeirEcho(Weir):
    """Weir with the native sample `echo`."""

    name = "weir-echo"
    title = "Weir, native echo"
    path = "/echo"

    def launch(self):
        self.keeper_start()
        self.wait_ready()
        self.ctrlctl("fn", "add", "echo", "--runtime", "native", "--file", self.sample.with_name("echo.so"))
        self.ctrlctl("route", "add", "ANY /echo", "--fn", "echo")


class Responder(Peer):
    name = "ceiling"
    title = "bare io_uring responder"

    def launch(self):
        program = self.build / "bin" / "weir-bench-responder"
        if not program.exists():
            raise Unavailable(f"{program} is not built")
        answer_bytes = self.reference[1] if self.reference else 0
        self.spawn(program, "--port", self.port, "--body", self.body().decode(), "--answer-bytes", answer_bytes)

    def version(self):
        return "liburing " + (machine.first_line("pkg-config", "--modversion", "liburing") or "unknown")


NGINX = """
daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log; {user}
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 300s; tcp_nodelay on;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  {http}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ {location} }}
  }}
}}
"""


class Nginx(Peer):
    name = "nginx"
    title = "nginx, `return 200`"

    http = ""

    def quoted_body(self):
        body = self.body().decode()
        if "'" in body or "$" in body or "\n" in body:
            raise Unavailable("the body cannot be written into a configuration")
        return body

    def location(self):
        body = self.quoted_body()
        return f"default_type application/json; return 200 '{body}';"

    def launch(self):
        program = program_find("nginx", "nginx")
        configuration = self.home / "nginx.conf"
        # As root its worker would change to a user that cannot enter our directory.
        user = "user root;" if machine.os.geteuid() == 0 else ""
        configuration.write_text(NGINX.format(home=self.home, port=self.port, user=user, http=self.http.format(home=self.home),
                                              location=self.location()))
        self.spawn(program, "-e", self.home / "error.log", "-c", configuration)

    def version(self):
        return machine.first_line(program_find("nginx", "nginx"), "-v") or "unknown"


FPM = """
[global]
daemonize = no
error_log = {home}/fpm.log
[hello]
listen = {home}/fpm.sock
listen.backlog = 4096
pm = static
pm.max_children = {children}
"""


class Fpm(Nginx):
    name = "fpm"
    title = f"nginx + php-fpm, {FPM_CHILDREN} children"
    children = FPM_CHILDREN

    def location(self):
        return (f"fastcgi_pass unix:{self.home}/fpm.sock; fastcgi_param SCRIPT_FILENAME {self.home}/hello.php; "
                "fastcgi_param REQUEST_METHOD $request_method; fastcgi_param SCRIPT_NAME $uri;")

    def script(self):
        body = self.body().decode().replace("\\", "\\\\").replace("'", "\\'")
        return f"<?php header('Content-Type: application/json'); header('Content-Length: {len(self.body())}'); echo '{body}';\n"

    @staticmethod
    def program():
        for name in ("php-fpm8.2", "php-fpm8.4", "php-fpm8.3", "php-fpm"):
            found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
            if found:
                return found
        raise Unavailable("php-fpm is not installed (Debian package php-fpm)")

    def launch(self):
        program = self.program()
        (self.home / "hello.php").write_text(self.script())
        user = "" if machine.os.geteuid() != 0 else "user = root\ngroup = root\n"
        (self.home / "fpm.conf").write_text(FPM.format(home=self.home, children=self.children) + user)
        self.spawn(program, "-F", "-y", self.home / "fpm.conf", "-d", "opcache.enable=1",
                   *(["-R"] if machine.os.geteuid() == 0 else []))
        super().launch()

    def version(self):
        return machine.first_line(self.program(), "--version") or "unknown"


class Cgi(Nginx):
    name = "fcgiwrap"
    title = "nginx + fcgiwrap, CGI program in C"
    forks = True

    def location(self):
        # The body comes in the environment, so that the program's answer is what the others give.
        return (f"fastcgi_pass unix:{self.home}/wrap.sock; fastcgi_param SCRIPT_FILENAME {self.program()}; "
                "fastcgi_param REQUEST_METHOD $request_method; fastcgi_param QUERY_STRING $query_string; "
                f"fastcgi_param BENCH_BODY '{self.quoted_body()}';")

    def program(self):
        return self.build / "bin" / "weir-bench-cgi"

    def launch(self):
        wrap = program_find("fcgiwrap", "fcgiwrap")
        if not self.program().exists():
            raise Unavailable(f"{self.program()} is not built")
        self.spawn(wrap, "-c", 1, "-s", f"unix:{self.home}/wrap.sock")
        super().launch()

    def version(self):
        return debian_version("fcgiwrap")


H2O = """
listen: {{host: 127.0.0.1, port: {port}}}
num-threads: 1
http1-request-timeout: 300
{user}
pid-file: {home}/h2o.pid
error-log: {home}/error.log
file.mime.setdefaulttype: application/json
file.send-compressed: OFF
hosts:
  default:
    paths:
      /: {{file.dir: {home}/files}}
"""


class H2o(Peer):
    name = "h2o"
    title = "h2o, static file"

    def launch(self):
        program = program_find("h2o", "h2o")
        files = self.home / "files"
        files.mkdir()
        (files / self.path.strip("/")).write_bytes(self.body())
        user = "user: root" if machine.os.geteuid() == 0 else ""
        configuration = self.home / "h2o.conf"
        configuration.write_text(H2O.format(home=self.home, port=self.port, user=user))
        self.spawn(program, "-m", "worker", "-c", configuration)

    def version(self):
        return machine.first_line(program_find("h2o", "h2o"), "--version") or "unknown"


HAPROXY = """
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout client 300s
  timeout http-keep-alive 300s
  timeout connect 5s
  timeout server 300s
frontend hello
  bind 127.0.0.1:{port} backlog 4096
  http-request return status 200 content-type application/json string '{body}'
"""


class Haproxy(Nginx):
    name = "haproxy"
    title = "haproxy, `http-request return`"

    def launch(self):
        program = program_find("haproxy", "haproxy")
        configuration = self.home / "haproxy.cfg"
        configuration.write_text(HAPROXY.format(port=self.port, body=self.quoted_body()))
        self.spawn(program, "-db", "-f", configuration)

    def version(self):
        return machine.first_line(program_find("haproxy", "haproxy"), "-v") or "unknown"


NODE = """
const body = {body};
const head = {{'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body)}};
const server = require('http').createServer((request, response) => {{ response.writeHead(200, head); response.end(body); }});
server.keepAliveTimeout = 0;
server.listen({{port: {port}, host: '127.0.0.1', backlog: 4096}});
"""


class Node(Peer):
    name = "node"
    title = "node, http module"

    def launch(self):
        program = program_find("node", "nodejs")
        script = self.home / "hello.js"
        script.write_text(NODE.format(port=self.port, body=json.dumps(self.body().decode())))
        self.spawn(program, script)

    def version(self):
        return "node " + (machine.first_line(program_find("node", "nodejs"), "--version") or "unknown")


class NginxEcho(Nginx):
    """nginx in front of a Unix-socket server that echoes, connections to it kept."""

    name = "nginx-echo"
    title = "nginx proxying to an echo server"
    path = "/echo"
    http = "upstream echo {{ server unix:{home}/echo.sock; keepalive 64; keepalive_requests 1000000000; }}"

    def location(self):
        return "proxy_pass http://echo; proxy_http_version 1.1; proxy_set_header Connection '';"

    def launch(self):
        program = self.build / "bin" / "weir-bench-echo"
        if not program.exists():
            raise Unavailable(f"{program} is not built")
        self.spawn(program, "--unix", self.home / "echo.sock")
        super().launch()


class NginxEchoUnbuffered(NginxEcho):
    name = "nginx-echo-unbuffered"
    title = "the same, buffering off"

    def location(self):
        return super().location() + " proxy_buffering off; proxy_request_buffering off;"


def debian_version(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}", package], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


# In the order in which a table shows them; Weir first, because its answer is the others' measure.
KINDS = {kind.name: kind for kind in (Weir, Nginx, Responder, H2o, Haproxy, Node, Fpm, Cgi)}
ECHO_KINDS = {kind.name: kind for kind in (WeirEcho, NginxEcho, NginxEchoUnbuffered)}


def start_all(names, home, build, cpus, note, kinds=None):
    """Start the peers in `names` (of `kinds`, else of all here); those that cannot run here are left out
    and noted. The first answer of Weir, where it is among them, gives the others their body and size."""
    kinds = kinds or {**KINDS, **ECHO_KINDS}
    started = []
    reference = None
    try:
        for name in names:
            try:
                peer = kinds[name](home, build, cpus, reference)
                started.append(peer)
                peer.start()
            except Unavailable as reason:
                note(f"{name} is left out: {reason}")
                for left in [other for other in started if other.name == name]:
                    left.stop()
                    started.remove(left)
                continue
            if name == "weir":
                _, body, answer_bytes = answer_of(peer.port, peer.path)
                reference = (body, answer_bytes)
            elif name not in ECHO_KINDS and not peer.is_right(answer_of(peer.port, peer.path)[1]):
                raise RuntimeError(f"{name} answers with another body than it was given:\n{peer.log()}")
    except BaseException:
        for peer in started:
            peer.stop()
        raise
    return started


def to_json(value):
    return json.dumps(value, indent=1, sort_keys=True)
