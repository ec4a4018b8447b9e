#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every command of README.md, docs/*.md and docs/methods/*.md, in order, in the source tree.

A command is a line that starts with `$ ` in a fence ```console; the other lines of the fence are what it prints (not compared). A fence
```console not run here: REASON is exempt and counted; a fence ```console fails N wants exit code N. Program names are those of the
build given by --build. Prints one line a command; exits 1 on the first failure.

A fence ```yaml saved as PATH is written to PATH before the page's commands run: a recipe that they use. The ```python fences of a page are one
script, run after the page's commands by a Python that has h5py and numpy.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

FENCE = re.compile(r"^```console(?: (not run here: .+|fails \d+))?\s*$")


def commands_of(path):
    """Yields (line, command, wanted exit code or None when exempt)."""
    inside, mode = False, None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = FENCE.match(line)
        if not inside and match:
            inside, mode = True, match.group(1) or ""
        elif inside and line.startswith("```"):
            inside = False
        elif inside and line.startswith("$ "):
            if mode.startswith("not run here"):
                yield number, line[2:], None
            else:
                yield number, line[2:], int(mode.split()[1]) if mode else 0


def files_of(path):
    """Yields (path, content) of the page's fences that are saved."""
    return re.findall(r"^```\w+ saved as (\S+)\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def python_of(path):
    """The page's ```python fences, one after the other."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL))


def python_with_h5py():
    """The Debian packages belong to the system's Python, which need not be the first one on the path."""
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import h5py, numpy"], capture_output=True).returncode == 0:
            return python
    sys.exit("no Python here has h5py and numpy; run tools/install-deps")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("pages", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    pages = options.pages or [root / "README.md", *sorted((root / "docs").glob("*.md")), *sorted((root / "docs" / "methods").glob("*.md"))]
    environment = dict(os.environ, PATH=f"{options.build.resolve()}:{os.environ['PATH']}", OMPI_ALLOW_RUN_AS_ROOT="1",
                       OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1")
    ran = exempt = 0
    for page in pages:
        for name, content in files_of(page):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)
        for line, command, wanted in commands_of(page):
            place = f"{page.name}:{line}"
            if wanted is None:
                exempt += 1
                print(f"{place}: not run here: {command}", flush=True)
                continue
            start = time.time()
            done = subprocess.run(["bash", "-c", command], cwd=root, env=environment, capture_output=True, text=True)
            ran += 1
            print(f"{place}: exit {done.returncode}, {time.time() - start:.1f} s: {command}", flush=True)
            if done.returncode != wanted:
                print(f"{place}: expected exit {wanted}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}", flush=True)
                return 1
        script = python_of(page)
        if script:
            done = subprocess.run([python_with_h5py(), "-c", script], cwd=root, env=environment, capture_output=True, text=True)
            ran += 1
            print(f"{page.name}: exit {done.returncode}: its Python\n{done.stdout}", flush=True)
            if done.returncode != 0:
                print(done.stderr[-4000:], flush=True)
                return 1
    print(f"{ran} commands ran, {exempt} are exempt")
    return 0


if __name__ == "__main__":
    sys.exit(main())
