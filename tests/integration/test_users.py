#!/usr/bin/env python3
# labels: integration
# timeout: 120
"""Users, as who administers Weir has them: ctrlctl, what is kept of a password, and what nobody ever sees of it."""

import json
import re
import subprocess

import weir_instance
from weir_instance import BIN, Instance

PASSWORD = "correct horse battery"


class Users(weir_instance.Case):
    def api(self, weir, method, path, body):
        answer = weir.curl("--unix-socket", weir.data / "run" / "api.sock", "-X", method, "-d", json.dumps(body),
                           f"http://weir{path}").stdout
        return json.loads(answer)

    def test_users_come_and_go(self):
        with Instance() as weir:
            self.assertIn("generation", weir.ctrlctl("user", "add", "simon", stdin=PASSWORD + "\n").stdout)
            file = weir.data / "password"
            file.write_text(PASSWORD)
            weir.ctrlctl("user", "add", "ci", "--role", "invoker", f"--password=@{file}")
            file.unlink()
            weir.ctrlctl("user", "add", "ann", "--role", "admin", "--password=-", stdin=PASSWORD)
            users = json.loads(weir.ctrlctl("user", "list", "-o", "json").stdout)
            self.assertEqual([(user["name"], user["role"]) for user in users],
                             [("ann", "admin"), ("ci", "invoker"), ("simon", "developer")])
            self.assertEqual(sorted(users[0]), ["created", "name", "role", "uuid"])
            self.assertRegex(weir.ctrlctl("user", "list").stdout, r"(?m)^simon +developer +[0-9a-f-]{36} +\d{4}-")
            for arguments, stdin, code in ((("simon",), PASSWORD, 6), (("default",), PASSWORD, 7), (("a/b",), PASSWORD, 7),
                                           (("bob", "--role", "king"), PASSWORD, 7), (("bob",), "\n", 7), (("bob",), "", 7),
                                           (("bob", "--password", "secret"), PASSWORD, 7)):
                refused = weir.ctrlctl("user", "add", *arguments, stdin=stdin, check=False)
                self.assertEqual(refused.returncode, code, refused)
            weir.ctrlctl("user", "rm", "ann")
            self.assertEqual(weir.ctrlctl("user", "rm", "ann", check=False).returncode, 5)
            self.api(weir, "POST", "/weir/functions", {"namespace": "simon", "name": "up", "image": "i:1", "owner": "simon"})
            refused = weir.ctrlctl("user", "rm", "simon", check=False)
            self.assertEqual(refused.returncode, 1, refused)
            self.assertIn("1 functions are still simon's", refused.stderr)

    def test_nothing_shows_a_password_or_its_hash(self):
        with Instance() as weir:
            start = json.loads(weir.ctrlctl("config", "history", "-o", "json").stdout)
            weir.ctrlctl("user", "add", "simon", stdin=PASSWORD + "\n")
            weir.ctrlctl("config", "set", "head_timeout_ms", "5s")
            token = self.api(weir, "POST", "/weir/login", {"name": "simon", "password": PASSWORD})["token"]
            self.assertEqual(self.api(weir, "POST", "/weir/token", {"token": token})["name"], "simon")
            self.api(weir, "POST", "/weir/login", {"name": "simon", "password": PASSWORD + "!"})
            history = json.loads(weir.ctrlctl("config", "history", "-o", "json").stdout)
            self.assertEqual([line["what"] for line in history if line not in start], ["set head_timeout_ms", "add user simon"])
            first = history[1]["generation"] - 1
            shown = [weir.ctrlctl(*words).stdout for words in (
                ("config", "history"), ("config", "diff", str(first)), ("config", "export"), ("user", "list"),
                ("user", "list", "-o", "json"), ("status", "-o", "json"), ("config", "check", "-o", "json"))]
            shown.append(weir.log())
            for text in shown:
                self.assertNotRegex(text, r"argon2|horse")
                self.assertNotIn(token, text)
            # In the databases there is the hash, and nothing of the password.
            files = b"".join(path.read_bytes() for path in weir.data.glob("weir.db*"))
            self.assertIn(b"$argon2id$v=19$m=65536,t=2,p=1$", files)
            self.assertNotIn(b"horse", files)
            self.assertEqual((weir.data / "token.key").stat().st_mode & 0o777, 0o600)
            # Going back leaves users alone; a restart leaves tokens good.
            weir.ctrlctl("config", "rollback", str(first))
            self.assertIn("simon", weir.ctrlctl("user", "list").stdout)
            weir.stop()
            weir.start()
            self.assertEqual(self.api(weir, "POST", "/weir/token", {"token": token})["name"], "simon")

    def test_backup_has_users(self):
        with Instance() as weir:
            weir.ctrlctl("user", "add", "simon", stdin=PASSWORD + "\n")
            backup = weir.data / "all.backup"
            weir.ctrlctl("backup", backup)
            weir.ctrlctl("user", "rm", "simon")
            weir.ctrlctl("user", "add", "ann", stdin=PASSWORD + "\n")
            self.assertRegex(weir.ctrlctl("restore", backup, "--dry-run").stdout, re.compile(r"users", re.I))
            weir.ctrlctl("restore", backup)
            self.assertEqual([user["name"] for user in json.loads(weir.ctrlctl("user", "list", "-o", "json").stdout)], ["simon"])
            self.assertIn("token", self.api(weir, "POST", "/weir/login", {"name": "simon", "password": PASSWORD}))

    def test_completion_knows_users_and_roles(self):
        text = subprocess.run([BIN / "ctrlctl", "completion", "bash"], check=True, capture_output=True, text=True).stdout
        self.assertIn("_ctrlctl_words --help add list rm", text)
        self.assertIn("_ctrlctl_column user list", text)
        self.assertIn("_ctrlctl_words admin developer invoker", text)


if __name__ == "__main__":
    weir_instance.main()
