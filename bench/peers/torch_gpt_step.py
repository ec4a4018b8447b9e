#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time one full training step (forward, loss, backward, clip, AdamW) of a GPT-2 style decoder in PyTorch.

The peer figure for `bench/`: same shapes, same batch, same threads, same machine, same run.
Prints one JSON line: tokens per second, peak memory, torch version.

  python3 torch_gpt_step.py --size baby --threads 2 --dtype f32
  python3 torch_gpt_step.py --size gpt2 --batch 16 --device cuda --dtype bf16 --weights master --compile
Sizes (layers, heads, width, context, vocabulary, batch): nano 4,4,128,64,65,12 - baby 6,6,384,256,256,16 -
gpt2 12,12,768,1024,50304,1. Biases on, tied head, GELU(tanh), LayerNorm, learned positions, no dropout.

--dtype bf16: autocast over f32 weights, or with --weights master bf16 weights and gradients beside f32 masters that the optimizer
updates. --compile falls back to eager mode where it fails, and says so. On the CPU the median step counts; on a GPU all steps
between two synchronisations. f32 is f32: no TF32.
"""
import argparse, contextlib, json, math, resource, statistics, time
import torch
import torch.nn as nn
import torch.nn.functional as F

SIZES = {"nano": (4, 4, 128, 64, 65, 12), "baby": (6, 6, 384, 256, 256, 16), "gpt2": (12, 12, 768, 1024, 50304, 1)}
WARM_UP = 3


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (z.view(b, t, self.heads, c // self.heads).transpose(1, 2) for z in self.qkv(self.ln1(x)).split(c, 2))
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            s = (q @ k.transpose(-2, -1)) / math.sqrt(c // self.heads)
            y = s.masked_fill(~torch.ones(t, t, dtype=torch.bool, device=x.device).tril(), float("-inf")).softmax(-1) @ v
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.ln2(x)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self, layers, heads, width, context, vocab):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln, self.head = nn.LayerNorm(width), nn.Linear(width, vocab, bias=False)
        self.head.weight = self.wte.weight
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, x, y):
        h = self.wte(x) + self.wpe(torch.arange(x.shape[1], device=x.device))
        for block in self.blocks:
            h = block(h)
        return F.cross_entropy(self.head(self.ln(h)).flatten(0, 1).float(), y.flatten())


class Training:
    """A model, its optimizer, and what one step does."""

    def __init__(self, model, options):
        self.options = options
        self.on_gpu = not options.device.startswith("cpu")
        self.master = options.dtype == "bf16" and options.weights == "master"
        self.model = model.to(device=options.device, dtype=torch.bfloat16 if self.master else torch.float32)
        self.called = torch.compile(self.model) if options.compile else self.model
        self.parameters = list(self.model.parameters())
        self.updated = [p.detach().float().clone() for p in self.parameters] if self.master else self.parameters
        fused = {} if torch.__version__.startswith("1.") else {"fused": True}
        self.optimizer = torch.optim.AdamW(self.updated, lr=3e-4, **fused)

    def synchronize(self):
        if self.on_gpu:
            torch.cuda.synchronize()

    def loss(self, x, y):
        autocast = self.options.dtype == "bf16" and not self.master
        kind = self.options.device.split(":")[0]
        with torch.autocast(kind, dtype=torch.bfloat16) if autocast else contextlib.nullcontext():
            return self.called(x, y)

    def step(self, x, y):
        loss = self.loss(x, y)
        for p in self.parameters:
            p.grad = None
        loss.backward()
        if self.master:
            for p, master in zip(self.parameters, self.updated):
                master.grad = p.grad.float()
        torch.nn.utils.clip_grad_norm_(self.updated, 1.0)
        self.optimizer.step()
        if self.master:
            with torch.no_grad():
                torch._foreach_copy_(self.parameters, self.updated)
        return loss

    def seconds(self, x, y, steps):
        """Of a step, after WARM_UP of them."""
        times = []
        start = first = time.perf_counter()
        for number in range(steps + WARM_UP):
            if not self.on_gpu or number == WARM_UP:
                self.synchronize()
                start = time.perf_counter()
                first = start if number == WARM_UP else first
            loss = self.step(x, y)
            if not self.on_gpu:
                times.append(time.perf_counter() - start)
        self.synchronize()
        whole = (time.perf_counter() - first) / steps
        return (whole if self.on_gpu else statistics.median(times[WARM_UP:])), float(loss.detach())


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--size", choices=SIZES, default="baby")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    a.add_argument("--weights", choices=["autocast", "master"], default="autocast")
    a.add_argument("--compile", action="store_true")
    a.add_argument("--steps", type=int, default=8)
    a.add_argument("--context", type=int)
    a.add_argument("--batch", type=int)
    a.add_argument("--device", default="cpu")
    o = a.parse_args()
    torch.set_num_threads(o.threads)
    layers, heads, width, context, vocab, batch = SIZES[o.size]
    context, batch = o.context or context, o.batch or batch

    def run():
        torch.manual_seed(0)
        training = Training(GPT(layers, heads, width, context, vocab), o)
        x = torch.randint(0, vocab, (batch, context), device=o.device)
        y = torch.randint(0, vocab, (batch, context), device=o.device)
        return training.seconds(x, y, o.steps)

    error = None
    try:
        step, loss = run()
    except Exception as failure:  # of whatever torch.compile is made of here
        if not o.compile:
            raise
        error, o.compile = f"{type(failure).__name__}: {failure}"[:300], False
        step, loss = run()
    result = {"peer": "pytorch", "version": torch.__version__, "size": o.size, "dtype": o.dtype, "weights": o.weights,
              "compile": o.compile, "threads": o.threads, "context": context, "batch": batch,
              "tokens_per_second": round(batch * context / step, 1), "step_ms": round(step * 1e3, 3),
              "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "loss": round(loss, 4)}
    if error:
        result["compile_error"] = error
    if not o.device.startswith("cpu"):
        result["device_name"] = torch.cuda.get_device_name()
        result["peak_device_bytes"] = torch.cuda.max_memory_allocated()
        result["held_device_bytes"] = torch.cuda.max_memory_reserved()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
