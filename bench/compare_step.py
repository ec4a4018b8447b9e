#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whole training steps of Clausius and of PyTorch, alternately in one run: same shapes, same threads, same machine.

  bench/compare_step.py --clausius build/release/clausius --python /path/to/python-with-torch

For each size and element type it starts the two programs one after the other, `--rounds` times, and prints for both the median
tokens per second over the rounds, their ratio, and which part of this machine's matrix-product peak they reach. PyTorch's arithmetic
is counted as ours (bench/peers/torch_gpt_step.py trains the same model). bench/compare_gpu.py does the same on a GPU. Nothing else of
the project needs PyTorch.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# size of the peer's script -> recipe, rows, context, vocabulary
SIZES = {"baby": ("baby_gpt", 16, 256, 256), "gpt2": ("gpt2_124m", 1, 1024, 50304)}


def run_json(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def ours(options, size, dtype):
    recipe, rows, context, vocabulary = SIZES[size]
    result = run_json([options.clausius, "bench", "step", f"precision={dtype}", f"model.vocab_size={vocabulary}",
                       f"data.context_length={context}", f"train.batch_tokens={rows * context}", "--recipe", recipe, "--rows", rows,
                       "--steps", options.steps, "--threads", options.threads, "--device", "cpu", "--json"])
    step = result["steps"][0]
    peak = max(result["ceilings"][f"{library}_{dtype}_flops"] for library in ("onednn", "libxsmm"))
    flops_per_token = step["flops_per_second"] / step["tokens_per_second"]
    return {"rate": step["tokens_per_second"], "loss": step["loss"], "resident_mib": step["peak_resident_bytes"] >> 20,
            "peak": peak, "flops_per_token": flops_per_token}


def peer(options, size, dtype):
    command = [options.python, ROOT / "bench/peers/torch_gpt_step.py", "--size", size, "--dtype", dtype, "--threads", options.threads,
               "--steps", options.steps]
    result = run_json(command + (["--compile"] if options.compile else []))
    return {"rate": result["tokens_per_second"], "loss": result["loss"], "resident_mib": result["peak_rss_mib"],
            "version": result["version"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clausius", default=ROOT / "build/release/clausius", type=pathlib.Path)
    parser.add_argument("--python", required=True, help="a Python that has torch")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--dtypes", nargs="+", choices=["f32", "bf16"], default=["f32", "bf16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="torch.compile the peer's model")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for size in options.sizes:
        for dtype in options.dtypes:
            mine, theirs = [], []
            for _ in range(options.rounds):
                mine.append(ours(options, size, dtype))
                theirs.append(peer(options, size, dtype))
            rate = statistics.median(run["rate"] for run in mine)
            other = statistics.median(run["rate"] for run in theirs)
            peak = max(run["peak"] for run in mine)
            flops = mine[0]["flops_per_token"]
            rows.append({"size": size, "dtype": dtype, "threads": options.threads, "rounds": options.rounds,
                         "clausius_tokens_per_second": rate, "torch_tokens_per_second": other, "ratio": rate / other,
                         "clausius_fraction_of_peak": rate * flops / peak, "torch_fraction_of_peak": other * flops / peak,
                         "peak_flops": peak, "clausius_resident_mib": max(run["resident_mib"] for run in mine),
                         "torch_resident_mib": max(run["resident_mib"] for run in theirs), "torch": theirs[0]["version"],
                         "clausius_loss": mine[-1]["loss"], "torch_loss": theirs[-1]["loss"]})
    if options.json:
        print(json.dumps(rows))
        return 0
    print(f"{'size':<6}{'type':<6}{'clausius':>12}{'torch':>12}{'ratio':>8}{'of peak':>10}{'torch':>8}{'MiB':>8}{'torch':>8}")
    for row in rows:
        print(f"{row['size']:<6}{row['dtype']:<6}{row['clausius_tokens_per_second']:>8.0f} t/s{row['torch_tokens_per_second']:>8.0f} t/s"
              f"{row['ratio']:>8.2f}{row['clausius_fraction_of_peak']:>9.0%}{row['torch_fraction_of_peak']:>9.0%}"
              f"{row['clausius_resident_mib']:>8}{row['torch_resident_mib']:>8}")
    print(f"torch {rows[0]['torch']}, {options.threads} threads, median of {options.rounds} alternating rounds of {options.steps} steps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
