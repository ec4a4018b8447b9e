#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every command of README.md and docs/*.md, in order, in the source tree.

A command is a line that starts with `$ ` in a fence ```console; the other lines of the fence are what it prints (not compared). A fence
```console not run here: REASON is exempt and counted; a fence ```console fails N wants exit code N. Program names are those of the
build given by --build. Prints one line a command; exits 1 on the first failure.
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("pages", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    pages = options.pages or [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    environment = dict(os.environ, PATH=f"{options.build.resolve()}:{os.environ['PATH']}", OMPI_ALLOW_RUN_AS_ROOT="1",
                       OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1")
    ran = exempt = 0
    for page in pages:
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
    print(f"{ran} commands ran, {exempt} are exempt")
    return 0


if __name__ == "__main__":
    sys.exit(main())
