#!/usr/bin/env python3
"""What PHP's users rely on beyond the conformance suite: php-fpm's variables, forms, front controllers, common
extensions, streaming, handlers that stay, and the rows of the public table, which answer as `php FILE` did."""

import concurrent.futures
import hashlib
import http.client
import json
import os
import pathlib
import sqlite3
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import weir_instance  # noqa: E402
from weir_instance import BIN, SOURCE, Instance, wait_until  # noqa: E402

SAMPLES = SOURCE / "dataplane" / "sdk" / "samples" / "php"
BOUNDARY = "weir-test-boundary"


class Php(weir_instance.Case):
    needs = (*weir_instance.Case.needs, "weir-worker-php")

    @classmethod
    def setUpClass(cls):
        cls.weir = None
        if not all((BIN / program).exists() for program in cls.needs):
            return
        cls.weir = Instance()
        cls.weir.__enter__()
        cls.count = 0

    @classmethod
    def tearDownClass(cls):
        if cls.weir is not None:
            cls.weir.__exit__(None, None, None)

    def deploy(self, code, *options, path=None):
        """Write a script, route it, return its path in URLs."""
        type(self).count += 1
        name = f"f{self.count}"
        script = self.weir.home / f"{name}.php"
        script.write_text("<?php\n" + code)
        self.weir.ctrlctl("fn", "add", name, "--runtime", "php", "--file", script, *options)
        self.weir.ctrlctl("route", "add", f"ANY {path or '/' + name}", "--fn", name)
        return path or f"/{name}"

    def get(self, path, headers=None):
        return self.weir.request("GET", path, None, headers)

    def post(self, path, body, kind="application/x-www-form-urlencoded"):
        return self.weir.request("POST", path, body, {"Content-Type": kind})

    def logged(self, answer, stream, words):
        lines = self.weir.ctrlctl("call", "logs", answer.headers["x-openwhisk-activation-id"]).stdout.splitlines()
        self.assertTrue([line for line in lines if f" {stream}: " in line and words in line], lines)

    # One request

    def test_server_variables_are_those_of_fpm(self):
        path = self.deploy('header("Content-Type: application/json"); echo json_encode($_SERVER);')
        server = self.get(path + "?a=1", {"X-Some-Name": "v", "Proxy": "evil", "Authorization": "Basic dTpw"}).json()
        script = str(self.weir.home / f"f{self.count}.php")
        for name, value in {"SCRIPT_FILENAME": script, "SCRIPT_NAME": path, "PHP_SELF": path, "REQUEST_URI": path + "?a=1",
                            "QUERY_STRING": "a=1", "REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1",
                            "GATEWAY_INTERFACE": "CGI/1.1", "DOCUMENT_ROOT": str(self.weir.home), "REMOTE_ADDR": "127.0.0.1",
                            "SERVER_NAME": "127.0.0.1", "SERVER_PORT": str(self.weir.port), "HTTP_X_SOME_NAME": "v",
                            "PHP_AUTH_USER": "u", "PHP_AUTH_PW": "p"}.items():
            self.assertEqual(server.get(name), value, name)
        self.assertNotIn("HTTP_PROXY", server)
        self.assertNotIn("PATH_INFO", server)
        self.assertAlmostEqual(server["REQUEST_TIME_FLOAT"], server["REQUEST_TIME"], delta=2)

    def test_a_front_controller_finds_its_paths(self):
        code = 'foreach (["SCRIPT_NAME", "PATH_INFO", "PHP_SELF", "REQUEST_URI"] as $k) echo $_SERVER[$k] ?? "-", "\\n";'
        self.deploy(code, path="/app/{tenant}/*")
        name = f"f{self.count}.php"
        self.assertEqual(self.get("/app/t1/users/7?x=1").body.decode().split(),
                         [f"/app/t1/{name}", "/users/7", f"/app/t1/{name}/users/7", "/app/t1/users/7?x=1"])
        self.deploy(code, path="/*")
        name = f"f{self.count}.php"
        self.assertEqual(self.get("/some/where").body.decode().split(),
                         [f"/{name}", "/some/where", f"/{name}/some/where", "/some/where"])
        self.weir.ctrlctl("route", "rm", "ANY /*")

    def test_a_small_framework_runs_unchanged(self):
        (self.weir.home / "vendor").mkdir()
        (self.weir.home / "vendor" / "router.php").write_text('''<?php
namespace Small;
final class Router {
    private array $routes = [];
    public function add(string $method, string $pattern, callable $run): void { $this->routes[] = [$method, "#^$pattern$#", $run]; }
    public function run(): void {
        foreach ($this->routes as [$method, $pattern, $run])
            if ($method === $_SERVER["REQUEST_METHOD"] && preg_match($pattern, $_SERVER["PATH_INFO"] ?? "/", $found)) {
                echo $run(...array_slice($found, 1));
                return;
            }
        http_response_code(404);
        echo "nothing here";
    }
}''')
        self.deploy('''spl_autoload_register(fn ($class) => require "vendor/" . strtolower(basename(strtr($class, "\\\\\\\\", "/"))) . ".php");
ob_start();
$router = new Small\\Router;
$router->add("GET", "/users/(\\\\d+)", fn ($id) => "user $id");
$router->add("POST", "/users", fn () => "made " . htmlspecialchars($_POST["name"]));
$router->run();
header("X-Length: " . ob_get_length());
ob_end_flush();''', path="/small/*")
        answer = self.get("/small/users/42")
        self.assertEqual((answer.status, answer.body, answer.headers["x-length"]), (200, b"user 42", "7"))
        self.assertEqual(answer.headers["content-type"], "text/html; charset=UTF-8")
        self.assertEqual(self.post("/small/users", "name=%3Cb%3E").body, b"made &lt;b&gt;")
        self.assertEqual(self.get("/small/nope").status, 404)

    def test_forms_files_and_cookies_arrive(self):
        path = self.deploy('''header("Content-Type: application/json"); setcookie("seen", "yes"); setcookie("and", "more");
$files = array_map(fn ($f) => [$f["name"], $f["type"], $f["error"], md5_file($f["tmp_name"])], $_FILES);
echo json_encode([$_GET, $_POST, $_COOKIE, $files, strlen(file_get_contents("php://input"))]);''')
        answer = self.weir.request("POST", path + "?q[]=1&q[]=2", "a=1&b[x]=%20y", {
            "Content-Type": "application/x-www-form-urlencoded", "Cookie": "c=d; e=f"})
        self.assertEqual(answer.json(), [{"q": ["1", "2"]}, {"a": "1", "b": {"x": " y"}}, {"c": "d", "e": "f"}, [], 13])
        put = self.weir.request("PUT", path, b"x" * 100000, {"Content-Type": "text/plain"})
        self.assertEqual(put.json()[4], 100000)
        if "mount" not in self.weir.status()["sandbox"]:
            self.skipTest("without the sandbox's mounts there is no directory for uploaded files")
        content = bytes(range(256)) * 40000  # 10 MB, nine times: more than /tmp holds, if it were not given back
        form = (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
                f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="up"; filename="a.bin"\r\nContent-Type: image/png\r\n\r\n'
                ).encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
        for _ in range(9):
            found = self.post(path, form, f"multipart/form-data; boundary={BOUNDARY}").json()
            self.assertEqual(found[1], {"note": "hello"})
            self.assertEqual(found[3], {"up": ["a.bin", "image/png", 0, hashlib.md5(content).hexdigest()]})

    def test_common_extensions_work(self):
        path = self.deploy('''header("Content-Type: application/json");
$out = ["json" => json_decode('{"a":[1]}', true)["a"][0], "hash" => hash("sha256", "x"), "preg" => preg_replace('/\\\\d+/', "#", "a1b22"),
    "date" => (new DateTimeImmutable("2024-02-29", new DateTimeZone("UTC")))->modify("+1 year")->format("Y-m-d"),
    "ctype" => ctype_digit("12"), "opcache" => function_exists("opcache_get_status") && (opcache_get_status(false)["opcache_enabled"] ?? false)];
if (extension_loaded("mbstring")) $out["mb"] = mb_strtoupper("grüße");
if (extension_loaded("iconv")) $out["iconv"] = bin2hex(iconv("UTF-8", "ISO-8859-1", "ü"));
if (extension_loaded("pdo_sqlite")) {
    $db = new PDO("sqlite::memory:", null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
    $db->exec("CREATE TABLE t(a INTEGER, b TEXT)");
    $insert = $db->prepare("INSERT INTO t VALUES(?, ?)");
    foreach (range(1, 100) as $i) $insert->execute([$i, str_repeat("x", $i)]);
    $out["pdo"] = $db->query("SELECT sum(a), sum(length(b)) FROM t")->fetch(PDO::FETCH_NUM);
}
echo json_encode($out, JSON_UNESCAPED_UNICODE);''')
        for _ in range(3):
            out = self.get(path).json()
            self.assertEqual((out["json"], out["preg"], out["date"], out["ctype"]), (1, "a#b#", "2025-03-01", True))
            self.assertEqual(out.get("mb", "GRÜSSE"), "GRÜSSE")
            self.assertEqual(out.get("iconv", "fc"), "fc")
            self.assertEqual(out.get("pdo", [5050, 5050]), [5050, 5050])
        self.assertTrue(out["opcache"])

    def test_a_request_leaves_nothing_to_the_next(self):
        path = self.deploy('''$before = [defined("LEFT"), isset($GLOBALS["left"]), getenv("LEFT"), getcwd() === __DIR__, ini_get("precision"),
    memory_get_usage() < 4 << 20, error_get_last(), http_response_code()];
define("LEFT", 1); $left = str_repeat("x", 1 << 20); putenv("LEFT=1"); chdir("/"); ini_set("precision", "3"); $_ENV["LEFT"] = 1;
set_error_handler(fn () => true); ob_start(); header("X-Left: " . ($_GET["x"] ?? "none")); http_response_code(201);
echo json_encode($before);''')
        first = self.get(path + "?x=1")
        for _ in range(20):
            answer = self.get(path)
            self.assertEqual(answer.body, first.body)
            self.assertEqual((answer.status, answer.headers["x-left"]), (201, "none"))
        self.assertEqual(json.loads(first.body)[:4], [False, False, False, True])

    def test_many_scripts_at_once_keep_apart(self):
        path = self.deploy('static $n = 0; usleep(1000); echo $_GET["n"], ":", ++$n, ":", strlen(file_get_contents("php://input"));')

        def one(number):
            return self.weir.request("POST", f"{path}?n={number}", b"y" * (number * 997 % 40000)).body.decode()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(one, range(100)))
        self.assertEqual(answers, [f"{n}:1:{n * 997 % 40000}" for n in range(100)])

    # Output

    def test_flush_sends_what_is_there(self):
        gate = self.weir.home / "gate"
        path = self.deploy(f'''header("Content-Type: text/plain"); echo "first\\n"; ob_flush(); flush();
for ($i = 0; $i < 2000 && !file_exists("{gate}"); $i++) {{ usleep(10000); clearstatcache(); }}
echo "second\\n";''')
        connection = http.client.HTTPConnection("127.0.0.1", self.weir.port, timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        self.assertEqual(answer.readline(), b"first\n")
        gate.write_text("")
        self.assertEqual(answer.read(), b"second\n")
        connection.close()

    def test_a_large_answer_arrives_whole(self):
        path = self.deploy('for ($i = 0; $i < 20 * 16; $i++) echo str_repeat(chr(65 + $i % 26), 65536);', "--memory", "16")
        body = self.get(path).body
        self.assertEqual(len(body), 20 << 20)
        self.assertTrue(all(body[i << 16] == body[(i << 16) + 65535] == 65 + i % 26 for i in range(320)))

    def test_head_and_204_have_no_body(self):
        path = self.deploy('if (isset($_GET["none"])) http_response_code(204); header("X-Seen: " . $_SERVER["REQUEST_METHOD"]); echo "body";')
        answer = self.weir.request("HEAD", path)
        self.assertEqual((answer.status, answer.headers["x-seen"], answer.body), (200, "HEAD", b""))
        answer = self.get(path + "?none")
        self.assertEqual((answer.status, answer.body), (204, b""))

    # Failures

    def test_fatal_errors_are_told_without_paths_and_logged_with_them(self):
        for code, words in (("nonsense();", "undefined function nonsense()"),
                            ("throw new LogicException('that is wrong');", "that is wrong"),
                            ("require 'not_there.php';", "not_there.php")):
            answer = self.get(self.deploy(code))
            self.assertEqual(answer.status, 502, answer)
            self.assertIn(words, answer.json()["error"])
            self.assertNotIn(str(self.weir.home), answer.json()["error"].replace("include_path", ""))
            self.logged(answer, "stderr", words)

    def test_a_file_that_php_does_not_understand_is_not_loaded(self):
        path = self.deploy("echo 'x' +;")
        answer = self.get(path)
        self.assertGreaterEqual(answer.status, 500)
        self.assertIn('syntax error, unexpected token ";" on line 2', answer.json()["error"])
        (self.weir.home / (path[1:] + ".php")).write_text("<?php echo 'x';")
        self.assertEqual(self.get(path).body, b"x")

    def test_a_deployed_directory_and_one_that_does_not_parse(self):
        shop = self.weir.home / "shop"
        (shop / "lib").mkdir(parents=True)
        (shop / "lib" / "price.php").write_text("<?php const PRICE = 7;")
        (shop / "index.php").write_text('<?php require "lib/price.php"; echo PRICE, $_SERVER["PATH_INFO"];')
        self.weir.ctrlctl("fn", "deploy", shop)
        self.weir.ctrlctl("route", "add", "ANY /shop/*", "--fn", "shop")
        self.assertEqual(self.get("/shop/tea").body, b"7/tea")
        (shop / "index.php").write_text("<?php echo 'x' +;")
        failed = self.weir.ctrlctl("fn", "deploy", shop, check=False)
        self.assertNotEqual(failed.returncode, 0)
        self.assertIn("syntax error", failed.stdout + failed.stderr)
        self.assertEqual(self.get("/shop/tea").body, b"7/tea")

    def test_an_application_that_handles_its_errors_answers_itself(self):
        path = self.deploy('''register_shutdown_function(function () {
    if (error_get_last()) { http_response_code(500); header("Content-Type: text/plain"); echo "sorry"; } });
echo "half of a page"; nonsense();''')
        answer = self.get(path)
        self.assertEqual((answer.status, answer.headers["content-type"]), (500, "text/plain;charset=UTF-8"))
        self.assertTrue(answer.body.endswith(b"sorry"))

    def test_warnings_go_to_the_log_only(self):
        answer = self.get(self.deploy('echo "a" . $nobody . "b";'))
        self.assertEqual((answer.status, answer.body), (200, b"ab"))
        self.logged(answer, "stderr", "nobody")

    def test_whatever_takes_too_long_ends(self):
        for code in ("sleep(100);", "usleep(100000000);", "while (true) { try { sleep(1); } catch (Throwable) {} }",
                     "register_shutdown_function(function () { while (true); }); while (true);",
                     "set_time_limit(0); ignore_user_abort(true); while (true) echo '';",
                     "while (true) time_nanosleep(1, 0);",
                     "array_map(function () { while (true); }, [1]);"):
            path = self.deploy(code, "--timeout", "200ms")
            for _ in range(2):
                self.assertEqual(self.get(path).status, 504, code)
        self.assertEqual(self.get(self.deploy("echo 1;")).body, b"1")

    def test_a_limit_that_a_script_sets_itself(self):
        answer = self.get(self.deploy("set_time_limit(1); while (true);"))
        self.assertEqual(answer.status, 502)
        self.assertIn("Maximum execution time of 1 second exceeded", answer.json()["error"])
        self.assertEqual(self.get(self.deploy("echo 1;")).body, b"1")

    def test_recursion_through_the_interpreter_harms_its_call_only(self):
        path = self.deploy('function again($x) { return array_map("again", [$x, $x]); } again(1);', "--memory", "1024")
        self.assertEqual(self.get(path).status, 502)
        self.assertEqual(self.get(self.deploy("echo 1;")).body, b"1")

    def test_a_header_that_does_not_fit_is_reported(self):
        answer = self.get(self.deploy('header("X-Long: " . str_repeat("x", 20000)); header("X-Short: y"); echo 1;'))
        self.assertEqual((answer.status, answer.body, answer.headers.get("x-short")), (200, b"1", "y"))
        self.logged(answer, "stderr", "X-Long")

    def test_standard_input_is_the_body(self):
        self.assertEqual(self.post(self.deploy('echo fgets(STDIN), stream_get_contents(STDIN);'), b"a\nb").body, b"a\nb")
        self.assertEqual(self.get(self.deploy('echo defined("STD" . "IN") ? "there" : "not there";')).body, b"not there")

    def test_an_answer_without_end_is_cut(self):
        path = self.deploy("ignore_user_abort(true); while (true) echo str_repeat('x', 65536);", "--timeout", "500ms")
        with self.assertRaises(http.client.IncompleteRead):
            self.get(path)
        self.assertEqual(self.get(self.deploy("echo 1;")).body, b"1")

    def test_memory_is_the_functions_and_cannot_be_raised(self):
        path = self.deploy('ini_set("memory_limit", "-1"); echo ini_get("memory_limit"); if (isset($_GET["much"])) str_repeat("x", 40 << 20);',
                           "--memory", "32")
        self.assertEqual(self.get(path).body, str(32 << 20).encode())
        answer = self.get(path + "?much")
        self.assertEqual(answer.status, 502)
        self.assertIn("Allowed memory size of 33554432 bytes exhausted", answer.json()["error"])
        # A client that reads while it sends: the answer comes before the body's end.
        curl = subprocess.run(["curl", "-sS", "--data-binary", "@-", f"http://127.0.0.1:{self.weir.port}{path}"], input=b"x" * (33 << 20),
                              capture_output=True, timeout=60, check=False)
        self.assertIn(b"larger than the function's memory", curl.stdout)

    def test_settings_that_are_the_platforms(self):
        names = ("max_execution_time", "post_max_size", "upload_max_filesize", "variables_order", "enable_dl", "error_log")
        path = self.deploy(f'header("Content-Type: application/json"); echo json_encode(array_map("ini_get", {json.dumps(names)}));')
        self.assertEqual(self.get(path).json(), ["0", "0", "0", "EGPCS", "0", ""])

    def test_a_form_larger_than_php_allows_by_default(self):
        path = self.deploy('echo strlen($_POST["a"] ?? "");')
        self.assertEqual(self.post(path, b"a=" + b"x" * (10 << 20)).body, str(10 << 20).encode())

    def test_sessions_do_not_start(self):
        answer = self.get(self.deploy('echo session_start() ? "on" : "off";'))
        self.assertEqual(answer.body, b"off")

    # Handlers

    def test_a_handler_stays_loaded(self):
        path = self.deploy('''$loads = 0; $loads++;
function handler($request) { static $n = 0; global $loads;
    switch ($request->query) {
    case "throw": throw new DomainException("boom");
    case "exit": exit(1);
    case "echo": echo "to the log"; return null;
    case "text": return "grüße";
    case "bytes": return "\\xff\\x00";
    case "data": return ["status" => "fine", "n" => 1];
    case "answer": return ["status" => 418, "headers" => ["X-A" => ["1", "2"], "Content-Type" => "text/tea"], "body" => "short"];
    case "spin": while (true);
    case "me": return ["body" => [$request->method, $request->path, $request->headers["x-y"], $request->json(), strlen($request->activation)]];
    }
    return [++$n, $loads]; }''', "--handler", "handler", "--timeout", "500ms")
        wait_until(lambda: self.get(path).json() == [3, 1], "one of the workers was called three times, and loaded the file once")
        answer = self.get(path + "?throw")
        self.assertEqual((answer.status, answer.json()["error"]), (502, "Uncaught DomainException: boom"))
        self.assertEqual(self.get(path).status, 200)
        answer = self.get(path + "?exit")
        self.assertEqual((answer.status, answer.json()["error"]), (502, "the function exited"))
        self.assertEqual(self.get(path + "?spin").status, 504)
        answer = self.get(path + "?echo")
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.logged(answer, "stdout", "to the log")
        answer = self.get(path + "?text")
        self.assertEqual((answer.headers["content-type"], answer.body.decode()), ("text/plain; charset=utf-8", "grüße"))
        answer = self.get(path + "?bytes")
        self.assertEqual((answer.headers["content-type"], answer.body), ("application/octet-stream", b"\xff\0"))
        self.assertEqual(self.get(path + "?data").json(), {"status": "fine", "n": 1})
        answer = self.get(path + "?answer")
        self.assertEqual((answer.status, answer.headers["content-type"], answer.body), (418, "text/tea", b"short"))
        answer = self.weir.request("POST", path + "?me", b'{"a":1}', {"X-Y": "z"})
        self.assertEqual(answer.json(), ["POST", path, "z", {"a": 1}, 32])

    def test_handlers_and_scripts_share_a_worker(self):
        handler = self.deploy('function handler($r) { static $n = 0; return ["n" => ++$n]; }', "--handler", "handler")
        script = self.deploy('echo "script";')
        for _ in range(3):
            self.assertGreaterEqual(self.get(handler).json()["n"], 1)
            self.assertEqual(self.get(script).body, b"script")

    def test_main_takes_parameters_as_openwhisk(self):
        path = self.deploy('function main(array $p): array { return isset($p["fail"]) ? ["error" => "no " . $p["fail"]] : $p; }',
                           "--handler", "main")
        self.assertEqual(self.post(path + "?a=1&b=2", '{"b":3}', "application/json").json(), {"a": "1", "b": 3})
        self.assertEqual(self.post(path, "x=y").json(), {"x": "y"})
        answer = self.get(path + "?fail=way")
        self.assertEqual((answer.status, answer.json()["error"]), (502, "no way"))

    def test_a_handler_that_is_not_there_is_named(self):
        answer = self.get(self.deploy("function other() {}", "--handler", "handler"))
        self.assertEqual(answer.status, 502)
        self.assertIn("'handler'", answer.json()["error"])

    def test_the_sample_with_a_handler(self):
        self.weir.ctrlctl("fn", "add", "greeter", "--runtime", "php", "--file", SAMPLES / "greeter.php", "--handler", "handler")
        self.weir.ctrlctl("route", "add", "GET /greeter", "--fn", "greeter")
        self.assertEqual(self.get("/greeter?name=Zo%C3%AB&language=de").json(), {"greeting": "Hallo, Zoë!"})
        self.assertEqual(self.get("/greeter?language=xx").status, 404)

    # Rows of the public table

    def row(self, method, path, code):
        script = self.weir.home / (path.strip("/") + "-row.php")
        script.write_text("<?php\n" + code)
        value = json.dumps({"name": path.strip("/"), "runtime": "php", "module": str(script), "handler": "main"})
        with sqlite3.connect(self.weir.data / "faas_meta.db", timeout=10) as table:
            table.execute("INSERT INTO functions (k, v) VALUES (?, ?)", (f"{method}:{path}", value))
        table.close()
        wait_until(lambda: self.weir.request(method, path).status != 404, "the row is routed")

    def test_rows_answer_as_php_file_did(self):
        self.row("POST", "/row", '''function main($x) { return "never called"; }
$body = stream_get_contents(STDIN);
header("X-Ignored: 1"); http_response_code(404); fwrite(STDERR, "complaint\\n");
switch ($body) {
case "json": echo json_encode(["argv" => $argv === [__FILE__], "path" => getenv("WEIR_PATH"), "cwd" => getcwd() === __DIR__]); break;
case "stdout": fwrite(STDOUT, "say \\"hi\\""); break;
case "exit": echo "partly"; exit(3);
case "fatal": nonsense();
case "input": echo file_get_contents("php://stdin"), file_get_contents("php://input"); break;
}''')
        answer = self.post("/row", "json")
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"))
        self.assertEqual(answer.json(), {"argv": True, "path": "/row", "cwd": True})
        self.assertNotIn("x-ignored", answer.headers)
        self.assertEqual(self.post("/row", "stdout").json(), {"result": 'say "hi"'})
        self.assertEqual(self.post("/row", "input").json(), {"result": "inputinput"})
        answer = self.post("/row", "exit")
        self.assertEqual(answer.status, 500)
        self.assertEqual(answer.json(), {"error": "Function failed", "exit_code": 3, "output_bytes": 16, "output": "partlycomplaint\n"})
        self.logged(answer, "stderr", "complaint")
        answer = self.post("/row", "fatal").json()
        self.assertEqual(answer["exit_code"], 255)
        self.assertIn("nonsense()", answer["output"])
        answer = self.post("/row", "nothing")
        self.assertEqual((answer.status, answer.json()["exit_code"]), (500, 0))
        programs = {os.readlink(f"/proc/{pid}/exe") for pid, _ in weir_instance.descendants(self.weir.keeper.pid)}
        self.assertIn("weir-worker-php", {pathlib.Path(program).name for program in programs})
        self.assertNotIn("weir-worker-exec", {pathlib.Path(program).name for program in programs})

    # Calls of others

    def ask(self, code, *options):
        return self.get(self.deploy(f"header('Content-Type: application/json'); {code}", *options))

    def test_a_script_calls_others(self):
        self.deploy("http_response_code(201); header('X-Kind: a'); header('X-Kind: b', false); header('Content-Type: text/x-test');"
                    "echo $_SERVER['REQUEST_METHOD'], ' ', $_SERVER['QUERY_STRING'], ' ', $_SERVER['CONTENT_TYPE'] ?? '-', ' ',"
                    "file_get_contents('php://input');")
        called = f"f{self.count}"
        answer = self.ask(f"echo json_encode(weir_call('{called}'));").json()
        self.assertEqual((answer["status"], answer["headers"]["content-type"]), (201, "text/x-test;charset=UTF-8"))
        self.assertEqual(answer["headers"]["x-kind"], "a, b")
        self.assertRegex(answer["activation"], "^[0-9a-f]{32}$")
        self.assertTrue(answer["body"].startswith("GET "), answer)
        answer = self.ask(f"echo json_encode(weir_call('{called}', 'text', ['method' => 'PUT', 'query' => 'a=1',"
                          "'content_type' => 'text/x-mine']));").json()
        self.assertEqual(answer["body"], "PUT a=1 text/x-mine text")
        large = self.ask(f"$body = str_repeat(\"\\0\\xff\\r\\n\", 200000); $reply = weir_call('{called}', $body);"
                         "echo json_encode(str_ends_with($reply['body'], $body));")
        self.assertEqual(large.json(), True)

    def test_what_a_call_cannot_be(self):
        code = """$said = [];
            foreach ([fn() => weir_call(''), fn() => weir_call('x', str_repeat('x', (1 << 20) + 1)), fn() => weir_call('x', '', ['method' => 'BREW']),
                      fn() => weir_call('x', '', ['oneway' => true]), fn() => weir_call('x', '', ['path' => str_repeat('/', 4000)]),
                      fn() => weir_call('x', '', ['query' => 7])] as $wrong) {
                try { $wrong(); $said[] = 'nothing'; } catch (ValueError $error) { $said[] = $error->getMessage(); }
            }
            echo json_encode([$said, is_subclass_of('Weir\\CallError', 'RuntimeException')]);"""
        said, is_ours = self.ask(code).json()
        self.assertNotIn("nothing", said)
        self.assertEqual((len(set(said)), is_ours), (6, True))

    def test_a_circle_of_scripts_ends(self):
        path = self.deploy("$reply = weir_call($_GET['me'], '', ['query' => $_SERVER['QUERY_STRING']]); echo $reply['body'] ?: $reply['status'];")
        answer = self.get(f"{path}?me={path[1:]}")
        self.assertEqual(answer.status, 200)
        self.assertTrue("call_depth" in answer.body.decode() or "no_worker" in answer.body.decode(), answer)

    def test_a_function_that_stays_calls_others_and_keeps_what_it_has(self):
        self.deploy("echo 'inner';")
        inner = f"f{self.count}"
        path = self.deploy(f"$calls = 0; function handler($request) {{ global $calls; $calls++; $mine = $calls;"
                           f"$reply = weir_call('{inner}'); return [$mine, $calls, $reply['body'] . $request->parent]; }}", "--handler", "handler")
        seen = [self.get(path).json() for _ in range(5)]
        for mine, after, body in seen:
            self.assertEqual((mine, body), (after, "inner"))

    def test_a_caller_ends_at_its_deadline(self):
        self.deploy("sleep(20);")
        slow = f"f{self.count}"
        path = self.deploy(f"weir_call('{slow}'); echo 'not reached';", "--timeout", "500ms")
        answer = self.get(path)
        self.assertTrue(answer.status == 504 or b"not reached" in answer.body, answer)
        wait_until(lambda: self.weir.status()["metrics"]["nested_in_use"] == 0, "nothing is left")
        self.assertEqual(self.ask("echo json_encode(1);").status, 200)


if __name__ == "__main__":
    weir_instance.main()
