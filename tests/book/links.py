"""Links between README.md, CONTRIBUTING.md, CHANGELOG.md and the pages of the book."""

import re
from pathlib import Path

BOOK = "book/src/"
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:href|src)=\"([^\"]+)\"")
INCLUDE = re.compile(r"\{\{#include ([^:}]+)(?::([^}]+))?\}\}")


def included(root):
    """Files that are parts of pages."""
    found = set()
    for path in (root / BOOK).rglob("*.md"):
        for match in INCLUDE.finditer(path.read_text()):
            found.add((path.parent / match[1]).resolve())
    return found


def pages(root):
    """Paths of README.md, CONTRIBUTING.md and all pages of the book."""
    book = sorted((root / BOOK).rglob("*.md"))
    parts = included(root)
    return ["README.md", "CONTRIBUTING.md"] + [
        str(path.relative_to(root)) for path in book if path.resolve() not in parts]


def anchors(path, prose):
    """Names on a page that a link may end with: headings, as mdBook and GitHub spell them, and ids."""
    text = prose(path.read_text())
    found = set(re.findall(r"id=\"([^\"]+)\"", text))
    for heading in re.findall(r"^#+ +(.*)$", text, re.MULTILINE):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        name = re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading))
        number, free = 0, name
        while free in found:
            number += 1
            free = f"{name}-{number}"
        found.add(free)
    return found


def problems(root, prose):
    """Links that lead nowhere and pages that SUMMARY.md lacks: place, link and what is wrong."""
    linked = set()
    for page in pages(root) + ["CHANGELOG.md"]:
        path = root / page
        text = re.sub(r"`[^`\n]*`", "", prose(path.read_text()))
        for match in LINK.finditer(text):
            link = match[1] or match[2]
            place = f"{page}:{text.count(chr(10), 0, match.start()) + 1}"
            if re.match(r"\w+:", link):
                continue
            target, _, anchor = link.partition("#")
            file = (path.parent / target).resolve() if target else path
            if not file.exists():
                yield place, link, "no such file"
            elif page.startswith(BOOK) and not file.is_relative_to(root / BOOK):
                yield place, link, "not in the book"
            elif anchor and anchor not in anchors(file, prose):
                yield place, link, "no such heading"
            if page == BOOK + "SUMMARY.md":
                linked.add(str(file.relative_to(root)))
        for match in INCLUDE.finditer(text):
            file = path.parent / match[1]
            if not file.exists() or match[2] and f"ANCHOR: {match[2]}" not in file.read_text():
                yield page, match[0], "no such file or part"
    for page in pages(root):
        if page.startswith(BOOK) and page not in linked | {BOOK + "SUMMARY.md"}:
            yield BOOK + "SUMMARY.md", page, "is missing in the summary"
