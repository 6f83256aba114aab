#!/usr/bin/env python3
"""Runs the commands of README.md, CONTRIBUTING.md and the book, and checks the links between pages.

    tests/book/run.py PROGRAM [PAGE...]

PROGRAM has at least the default features. Every page gets an empty folder, which is also its home, with
`book` and `tests` of the repository as links and what `pages` of rules.toml lists for it. There the
commands of its `sh` blocks run in order; `rule` in that file says which of them change, must be refused or
are left out, and why. A `text` block right beneath is what the last of them prints. Commands in running text
and in other `text` blocks are only parsed. A `toml` block must be TOML, and `file` says where commands expect it.

A line per command: the place, seconds, and whether it ran as printed (`ran`), ran with changes (`changed`), was
refused or parsed as expected (`checked`) or left out, and why. Nothing is written into the repository, and no
command reaches the network.
"""

import collections
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

sys.dont_write_bytecode = True
import links

ROOT = Path(__file__).resolve().parents[2]
RULES = "tests/book/rules.toml"
TABLE = tomllib.loads((ROOT / RULES).read_text())
FENCE = re.compile(r"^```(\w*)$")
CARGO_RUN = re.compile(r"^(cargo run --release( --features \S+)? --|target/release/dp-sims)(?= )")
# Neither the network nor a GPU is there for the commands.
HIDDEN = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9"),
    **dict.fromkeys(("VK_DRIVER_FILES", "VK_ICD_FILENAMES"), "/absent"),
    "CUDA_VISIBLE_DEVICES": "",
}
TIMEOUT = 300


def blocks(text):
    """Fenced blocks: the number of their first line, language and lines."""
    language = None
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if fence and language is None:
            language, first, lines = fence[1], number + 1, []
        elif fence:
            yield first, language, lines
            language = None
        elif language is not None:
            lines.append(line)


def prose(text):
    """The text, with empty lines in place of fenced blocks."""
    lines = text.splitlines()
    for first, _, block in blocks(text):
        lines[first - 2 : first + len(block)] = [""] * (len(block) + 2)
    return "\n".join(lines)


def commands(first, lines):
    """Commands of a shell block in one line each, without comments, and where they begin."""
    parts = []
    for number, line in enumerate(lines, first):
        begin = begin if parts else number
        line = re.sub(r"(^|\s+)#.*", "", line).strip()
        parts.append(line.removesuffix("\\").strip())
        if not line.endswith("\\"):
            if any(parts):
                yield begin, CARGO_RUN.sub("dp-sims", " ".join(parts))
            parts = []


class Book:
    """A run of all commands."""

    def __init__(self, program, scratch):
        self.scratch = scratch
        self.counts = collections.Counter()
        self.used = set()
        (scratch / "bin").mkdir()
        (scratch / "bin/dp-sims").symlink_to(program)
        self.made = self.folder("made")

    def folder(self, name):
        """A new folder to run commands in."""
        folder = self.scratch / name
        folder.mkdir()
        for room in ("book", "tests"):
            (folder / room).symlink_to(ROOT / room)
        return folder

    def call(self, command, folder):
        """Runs a command in a folder; exit code and output."""
        path = f"{self.scratch / 'bin'}:{os.environ['PATH']}"
        environment = os.environ | HIDDEN | {"PATH": path, "HOME": folder}
        for name in [name for name in environment if name.startswith(("XDG_", "DP_SIMS_"))]:
            del environment[name]
        shell = ["bash", "-o", "pipefail", "-c", command]
        try:
            done = subprocess.run(
                shell, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            return 124, f"still running after {TIMEOUT} s"
        return done.returncode, done.stdout

    def make(self):
        """Makes what pages take for granted."""
        for command in TABLE["make"]:
            command = fill(command)
            start = time.monotonic()
            code, output = self.call(command, self.made)
            self.tell(RULES, start, "made", command)
            if code:
                self.fail(RULES, command, f"exit code {code}", output)

    def page(self, page):
        """Runs the commands of a page."""
        text = (ROOT / page).read_text()
        folder = self.folder(page.replace("/", "-"))
        for needed in TABLE["pages"].get(page, []):
            name, _, other = needed.partition(":")
            source, target = self.made / name, folder / (other or name)
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
        beneath = None
        for first, language, lines in blocks(text):
            block = "\n".join(lines) + "\n"
            if language in ("sh", "bash", "console"):
                for line, command in commands(first, lines):
                    self.run(f"{page}:{line}", command, folder)
                beneath = first + len(lines) + 3
            elif language == "toml":
                self.file(page, first, block, folder)
            elif language == "text" and first == beneath and block != self.output:
                self.fail(f"{page}:{first}", block, "the command above prints", self.output)
            elif language == "text":
                for line, shown in enumerate(lines, first):
                    if shown.startswith("$ dp-sims "):
                        self.parse(f"{page}:{line}", shown[2:], folder)
                    elif shown.startswith("dp-sims "):
                        self.usage(f"{page}:{line}", shown, folder)
        text = prose(text)
        for match in re.finditer(r"`(dp-sims\s[^`]+)`", text):
            line = text.count("\n", 0, match.start()) + 1
            self.parse(f"{page}:{line}", " ".join(match[1].split()), folder)

    def run(self, place, command, folder):
        """Runs a command as the rules say."""
        start, outcome, printed = time.monotonic(), "ran", command
        reasons, unwanted = [], None
        for number, rule in enumerate(TABLE["rule"]):
            if not re.search(rule["match"], printed):
                continue
            self.used.add(("rule", number))
            reasons.append(rule["why"])
            if rule.get("leave_out"):
                missing = [word for word in command.split()
                           if word.startswith(("tests/", "experiments/")) and not (ROOT / word).exists()]
                if missing:
                    return self.fail(place, command, f"no file {missing[0]}")
                return self.tell(place, start, "left out", command, reasons)
            if "add" in rule:
                found = re.match(rule["match"], command)
                if not found:
                    return self.fail(place, command, f"an earlier rule moved `{rule['match']}`")
                end = found.end()
                command = f"{command[:end]} {fill(rule['add'])}{command[end:]}"
            for old, new in rule.get("replace", {}).items():
                if old not in command:
                    return self.fail(place, command, f"a rule replaces {old}, which is not there")
                command = command.replace(old, fill(new))
            outcome = "changed"
            if "refused" in rule:
                code, output = self.call(command, folder)
                if not code or not re.search(rule["refused"], output):
                    why = f"exit code {code}, expected an error with `{rule['refused']}`"
                    return self.fail(place, command, why, output)
                outcome = "checked"
            unwanted = rule.get("without", unwanted)
        if not command.startswith(("dp-sims ", "mkdir ")):
            return self.fail(place, command, "does not call the program, and no rule covers it")
        if outcome != "checked":
            code, output = self.call(command, folder)
            if code or unwanted and unwanted in output:
                why = f"exit code {code}" if code else f"the output has `{unwanted}`"
                return self.fail(place, command, why, output)
            self.output = output
        self.tell(place, start, outcome, printed, reasons)

    def file(self, page, line, text, folder):
        """Checks a block of TOML and puts it where the commands expect it."""
        try:
            tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            return self.fail(f"{page}:{line}", text, str(error))
        for number, file in enumerate(TABLE["file"]):
            if file["page"] == page and text.startswith(file["begins"]):
                self.used.add(("file", number))
                (folder / file["path"]).write_text(file.get("head", "") + text)
                if "then" in file:
                    self.run(f"{page}:{line}", fill(file["then"]), folder)
                return
        self.fail(f"{page}:{line}", text, "no `file` of rules.toml says what this block is")

    def parse(self, place, command, folder):
        """Checks that the program knows the commands and flags: it parses them before it prints its help."""
        start = time.monotonic()
        code, output = self.call(f"{command} --help", folder)
        if code and "a value is required for" not in output:
            return self.fail(place, command, f"exit code {code}", output)
        self.tell(place, start, "checked", command)

    def usage(self, place, line, folder):
        """Checks the command and flags of a line such as `dp-sims weights list [--json] [--weights DIR]`."""
        start = time.monotonic()
        words = re.match(r"dp-sims( [a-z][a-z-]*)*", line)[0]
        code, output = self.call(f"{words} --help", folder)
        unknown = [flag for flag in re.findall(r"--[a-z-]+", line) if not re.search(rf"{flag}\b", output)]
        if code or unknown:
            return self.fail(place, line, f"exit code {code}, unknown: {unknown}", output)
        self.tell(place, start, "checked", line)

    def tell(self, place, start, outcome, command, reasons=()):
        self.counts[outcome] += 1
        why = f"  ({'; '.join(reasons)})" if reasons else ""
        print(f"{place:44} {time.monotonic() - start:6.1f} s  {outcome:8}  {command}{why}", flush=True)

    def fail(self, place, command, why, output=""):
        self.counts["FAILED"] += 1
        print(f"{place}: FAILED, {why}\n  {command}\n{output}", flush=True)

    def unused(self, pages):
        """Fails at what nothing in the book needs."""
        for page in TABLE["pages"].keys() - set(pages):
            self.fail(RULES, page, "no such page")
        for kind in ("rule", "file"):
            for number, entry in enumerate(TABLE[kind]):
                if (kind, number) not in self.used:
                    self.fail(RULES, entry, f"nothing in the book needs this {kind}")


def fill(text):
    """Names such as {tiny} replaced by the settings that they stand for."""
    for name, settings in TABLE["settings"].items():
        words = " ".join(f"--set {shlex.quote(setting)}" for setting in settings)
        text = text.replace(f"{{{name}}}", words)
    return text


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    start = time.monotonic()
    pages = links.pages(ROOT)
    with tempfile.TemporaryDirectory() as scratch:
        book = Book(Path(sys.argv[1]).resolve(), Path(scratch))
        for place, link, why in links.problems(ROOT, prose):
            book.fail(place, link, why)
        book.make()
        for page in sys.argv[2:] or pages:
            book.page(page)
        if len(sys.argv) == 2:
            book.unused(pages)
    counts = ", ".join(f"{count} {name}" for name, count in book.counts.items())
    print(f"the book: {counts}, {time.monotonic() - start:.0f} s")
    sys.exit(book.counts["FAILED"] > 0)


if __name__ == "__main__":
    main()
