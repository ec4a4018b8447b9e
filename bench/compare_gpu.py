#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clausius and PyTorch on one GPU, one after the other in one run: whole training steps, and attention alone.

  bench/compare_gpu.py --clausius build/cuda/clausius --json gpu.json
  bench/compare_gpu.py --only attention --limit 90
  bench/compare_gpu.py --no-clausius                      # PyTorch alone: needs nothing but python3 and torch

Steps: baby_gpt (64 rows of 256) and gpt2_124m (16 rows of 1024), the same model in both (bench/peers/torch_gpt_step.py). Variants of
PyTorch: f32, bf16 autocast over f32 weights, bf16 weights beside f32 masters; eager or torch.compile; fused AdamW. The best of a type
stands beside ours. Every process has --limit seconds and is given up after them; what failed is said and left out.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench/peers"
SIZES = {"baby": ("baby_gpt", 64), "gpt2": ("gpt2_124m", 16)}
VARIANTS = ["f32-eager", "f32-compile", "bf16-autocast-eager", "bf16-autocast-compile", "bf16-master-eager", "bf16-master-compile"]


def run_json(command, limit, failures):
    """The last line that a process prints, as JSON; None where it fails or takes too long."""
    text = " ".join(str(part) for part in command)
    print(f"# {text}", file=sys.stderr, flush=True)
    start = time.perf_counter()
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=limit)
        if done.returncode != 0:
            raise RuntimeError(f"exit code {done.returncode}: {done.stderr.strip()[-600:]}")
        for line in done.stderr.splitlines()[-8:]:
            print(f"#   {line[:200]}", file=sys.stderr)
        return json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        failures.append(f"{text}: given up after {limit} s")
    except (RuntimeError, OSError, ValueError, IndexError) as failure:
        failures.append(f"{text}: {failure}")
    finally:
        print(f"#   {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    print(f"#   {failures[-1]}", file=sys.stderr, flush=True)
    return None


def our_steps(options, failures):
    """(size, dtype) -> row of `clausius bench step`, with the peak of the same run."""
    found = {}
    for size in options.sizes:
        recipe, rows = SIZES[size]
        result = run_json([options.clausius, "bench", "step", *options.override, "--device", options.device, "--recipe", recipe,
                           "--rows", options.rows or rows, "--steps", options.steps, "--json"], options.limit, failures)
        for row in result["steps"] if result else []:
            found[size, row["dtype"]] = row
    return found


def peer_steps(options, failures):
    """(size, dtype) -> rows of the variants, the fastest first."""
    found = {}
    for size in options.sizes:
        for variant in options.variants:
            dtype, *kind, mode = variant.split("-")
            command = [options.python, PEERS / "torch_gpt_step.py", "--size", size, "--batch", options.rows or SIZES[size][1],
                       "--device", options.device, "--dtype", dtype, "--steps", options.steps]
            command += ["--weights", kind[0]] if kind else []
            command += ["--compile"] if mode == "compile" else []
            command += ["--context", options.context] if options.context else []
            row = run_json(command, options.limit, failures)
            if row:
                found.setdefault((size, dtype), []).append(row | {"variant": variant if row["compile"] or mode == "eager" else
                                                                  f"{variant} (fell back to eager)"})
    for rows in found.values():
        rows.sort(key=lambda row: -row["tokens_per_second"])
    return found


def gibibytes(count):
    return f"{count / (1 << 30):.2f}" if count else "-"


def compare_steps(options, failures):
    mine = our_steps(options, failures) if options.clausius else {}
    theirs = peer_steps(options, failures)
    rows = []
    print(f"\n{'step':<6}{'type':<6}{'':<26}{'tokens/s':>11}{'ms':>9}{'TFLOP/s':>9}{'of peak':>9}{'GiB':>8}{'held':>8}{'loss':>8}{'ours/':>7}")
    for key in sorted(set(mine) | set(theirs)):
        own = mine.get(key)
        if own:
            flops = own["flops_per_second"] / own["tokens_per_second"]
            print(f"{key[0]:<6}{key[1]:<6}{'clausius':<26}{own['tokens_per_second']:>11.0f}{own['step_ms']:>9.2f}"
                  f"{own['flops_per_second'] * 1e-12:>9.1f}{own['fraction_of_peak']:>9.0%}{gibibytes(own['peak_memory_bytes']):>8}"
                  f"{gibibytes(own['held_memory_bytes']):>8}{own['loss']:>8.3f}")
        for row in theirs.get(key, []):
            rate = row["tokens_per_second"]
            share = (f"{rate * flops * 1e-12:>9.1f}{rate * flops / own['peak_flops']:>9.0%}" if own else f"{'-':>9}{'-':>9}")
            ratio = f"{own['tokens_per_second'] / rate:>7.2f}" if own else f"{'-':>7}"
            print(f"{'':<12}{row['variant']:<26}{rate:>11.0f}{row['step_ms']:>9.2f}{share}{gibibytes(row.get('peak_device_bytes')):>8}"
                  f"{gibibytes(row.get('held_device_bytes')):>8}{row['loss']:>8.3f}{ratio}")
        rows.append({"size": key[0], "dtype": key[1], "clausius": own, "torch": theirs.get(key, [])})
    return rows


def compare_attention(options, failures):
    mine, ceiling = {}, None
    if options.clausius:
        result = run_json([options.clausius, "bench", "attention+bf16", "--device", options.device, "--json"], options.limit, failures)
        for row in result["benchmarks"] if result else []:
            _, variant, shape = row["name"].split("/", 2)
            mine.setdefault(shape, {})[variant] = row["flops_per_second"]
        ceiling = result["ceilings"]["bf16_flops"] if result else None
    command = [options.python, PEERS / "torch_attention.py", "--device", options.device, "--limit", options.limit * 0.8]
    command += ["--backends", *options.backends]
    command += ["--shapes", *options.shapes] if options.shapes else []
    result = run_json(command, options.limit, failures)
    theirs = {}
    for row in result["attention"] if result else []:
        theirs.setdefault(row["shape"], {})[row["backend"]] = row
    shapes = list(theirs) + [shape for shape in mine if shape not in theirs]
    backends = [b for b in options.backends if any(b in rows for rows in theirs.values())]
    columns = ["clausius", *backends]
    print(f"\nattention, bf16, TFLOP/s{f'; products reach {ceiling * 1e-12:.0f}' if ceiling else ''}\n{'':<28}{'forward':<{10 * len(columns)}}"
          f"  {'forward and backward':<{10 * len(columns)}}  with the entropy's gradient")
    print(f"{'':<28}{''.join(f'{name:>10}' for name in columns)}  {''.join(f'{name:>10}' for name in columns)}  {'clausius':>10}")

    def cell(value):
        return f"{value * 1e-12:>10.1f}" if value else f"{'-':>10}"

    for shape in shapes:
        own, other = mine.get(shape, {}), theirs.get(shape, {})
        line = f"{shape:<28}"
        for pass_name in ("forward", "forward_backward"):
            line += cell(own.get(pass_name))
            line += "".join(cell(other.get(b, {}).get(f"{pass_name}_flops_per_second")) for b in backends) + "  "
        print(line + cell(own.get("forward_backward_entropy")))
    return [{"shape": shape, "clausius_flops_per_second": mine.get(shape), "torch": theirs.get(shape)} for shape in shapes]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clausius", default=ROOT / "build/cuda/clausius", type=pathlib.Path)
    parser.add_argument("--no-clausius", dest="clausius", action="store_const", const=None)
    parser.add_argument("--python", default=sys.executable, help="a Python that has torch")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", choices=["steps", "attention"])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["f32-eager", "bf16-autocast-compile", "bf16-master-compile"])
    parser.add_argument("--backends", nargs="+", default=["flash", "cudnn"])
    parser.add_argument("--shapes", nargs="+", help="of attention in PyTorch, as B,H,T,D,causal")
    parser.add_argument("--rows", type=int, help="of a step, instead of each size's own")
    parser.add_argument("--context", type=int, help="tokens of a row in PyTorch; with --override data.context_length=N in ours")
    parser.add_argument("--override", nargs="+", default=[], help="key=value for our recipes")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--limit", type=float, default=150, help="seconds for each process")
    parser.add_argument("--json", type=pathlib.Path, help="write everything there")
    options = parser.parse_args()
    failures, document = [], {}
    if options.only != "attention":
        document["steps"] = compare_steps(options, failures)
    if options.only != "steps":
        document["attention"] = compare_attention(options, failures)
    document["failures"] = failures
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    for failure in failures:
        print(f"left out: {failure}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
