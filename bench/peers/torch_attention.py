#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time scaled dot product attention of PyTorch by its backends: the peer of `clausius bench attention`.

  python3 torch_attention.py --device cuda            # bf16, heads of 64 and 128, 1K to 16K tokens, causal
  python3 torch_attention.py --device cpu --shapes 1,2,64,32,causal --dtype f32
A shape is B,H,T,D,causal or B,H,T,D,full. Queries, keys and values are views of one [B, T, 3 H, D] tensor. Forward, and forward with
backward (the gradients of q, k and v); the arithmetic is counted as ours: 4 B H T^2 D forward, half of it when causal, backward 2.5
times that. What a backend does not take is left out, and said on stderr. Prints one JSON line; --table prints people a table before it.
"""
import argparse
import contextlib
import json
import math
import statistics
import sys
import time

import torch
import torch.nn.functional as F

try:
    from torch.nn.attention import SDPBackend, sdpa_kernel
except ImportError:  # before 2.3
    SDPBackend = sdpa_kernel = None

NAMES = {"flash": "FLASH_ATTENTION", "cudnn": "CUDNN_ATTENTION", "efficient": "EFFICIENT_ATTENTION", "math": "MATH"}
TOKENS, FEATURES = 16384, 2048


def default_shapes():
    lengths = [1024 << i for i in range(5)]
    shapes = [(TOKENS // t, FEATURES // d, t, d, True) for d in (64, 128) for t in lengths]
    return shapes + [(8, 16, 2048, 128, False)]


def parse_shape(text):
    *sizes, mask = text.split(",")
    if len(sizes) != 4 or mask not in ("causal", "full"):
        raise argparse.ArgumentTypeError(f"{text}: expected B,H,T,D,causal or B,H,T,D,full")
    return tuple(int(size) for size in sizes) + (mask == "causal",)


def backend_scope(name):
    """A context manager, or None where this PyTorch has no such backend."""
    if name == "default":
        return contextlib.nullcontext()
    if SDPBackend is None or not hasattr(SDPBackend, NAMES[name]):
        return None
    return sdpa_kernel(getattr(SDPBackend, NAMES[name]))


def synchronize(device):
    if device != "cpu":
        torch.cuda.synchronize()


def seconds_of(work, device, stretch=0.02, stretches=5):
    """Of one call: as clausius measures a device, the median of stretches between two synchronisations."""
    work()
    synchronize(device)
    begin, warm = time.perf_counter(), 0
    while warm == 0 or time.perf_counter() - begin < stretch:
        work()
        synchronize(device)
        warm += 1
    calls = min(2000, max(1, math.ceil(stretch * warm / (time.perf_counter() - begin))))
    times = []
    for _ in range(stretches):
        start = time.perf_counter()
        for _ in range(calls):
            work()
        synchronize(device)
        times.append((time.perf_counter() - start) / calls)
    return statistics.median(times)


def time_shape(shape, backend, dtype, device):
    """Seconds forward, and forward with backward."""
    b, h, t, d, causal = shape
    fused = torch.randn(b, t, 3 * h, d, device=device, dtype=dtype)
    q, k, v = (fused[:, :, i * h:(i + 1) * h].transpose(1, 2) for i in range(3))
    leaves = [part.detach().requires_grad_() for part in (q, k, v)]
    dy = torch.randn(b, t, h, d, device=device, dtype=dtype).transpose(1, 2)

    def forward():
        with torch.no_grad():
            return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    def both():
        y = F.scaled_dot_product_attention(*leaves, is_causal=causal)
        return torch.autograd.grad(y, leaves, dy)

    with backend_scope(backend):
        return seconds_of(forward, device), seconds_of(both, device)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", choices=["bf16", "f16", "f32"], default="bf16")
    parser.add_argument("--backends", nargs="+", choices=[*NAMES, "default"], default=["flash", "cudnn"])
    parser.add_argument("--shapes", nargs="+", type=parse_shape, default=default_shapes())
    parser.add_argument("--limit", type=float, default=120, help="seconds after which no further shape is begun")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    dtype = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}[options.dtype]
    begin, rows = time.perf_counter(), []
    for shape in options.shapes:
        b, h, t, d, causal = shape
        name = f"B{b}_H{h}_T{t}_D{d}/{'causal' if causal else 'full'}"
        flops = (2 if causal else 4) * b * h * d * t * t
        for backend in options.backends:
            if time.perf_counter() - begin > options.limit:
                print(f"{name} {backend}: left out, {options.limit:.0f} s are over", file=sys.stderr)
                continue
            if backend_scope(backend) is None:
                print(f"{name} {backend}: this PyTorch has no such backend", file=sys.stderr)
                continue
            try:
                forward, both = time_shape(shape, backend, dtype, options.device)
            except Exception as failure:  # a backend refuses by RuntimeError and others
                print(f"{name} {backend}: {type(failure).__name__}: {str(failure)[:200]}", file=sys.stderr)
                continue
            rows.append({"shape": name, "dtype": options.dtype, "backend": backend, "forward_seconds": forward,
                         "forward_backward_seconds": both, "forward_flops_per_second": flops / forward,
                         "forward_backward_flops_per_second": 3.5 * flops / both})
            if options.table:
                print(f"{name:<32}{options.dtype:<6}{backend:<11}{forward * 1e3:>9.3f} ms{flops / forward * 1e-12:>8.1f} TFLOP/s"
                      f"{both * 1e3:>10.3f} ms{3.5 * flops / both * 1e-12:>8.1f} TFLOP/s", flush=True)
    where = torch.cuda.get_device_name() if options.device != "cpu" else "cpu"
    print(json.dumps({"peer": "pytorch", "version": torch.__version__, "device_name": where, "attention": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
