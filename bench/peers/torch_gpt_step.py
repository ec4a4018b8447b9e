#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time one full training step (forward, loss, backward, clip, AdamW) of a GPT-2 style decoder in PyTorch.

The peer figure for `bench/`: same shapes, same batch, same threads, same machine, same run.
Prints one JSON line: tokens per second (median step), peak resident MiB, torch version.

  python3 torch_gpt_step.py --size baby --threads 2 --dtype f32
  python3 torch_gpt_step.py --size gpt2 --threads 2 --dtype bf16 --compile
Sizes (layers, heads, width, context, vocabulary, batch): nano 4,4,128,64,65,12 - baby 6,6,384,256,256,16 -
gpt2 12,12,768,1024,50304,1. Biases on, tied head, GELU(tanh), LayerNorm, learned positions, no dropout.
"""
import argparse, json, math, resource, statistics, time
import torch
import torch.nn as nn
import torch.nn.functional as F

SIZES = {"nano": (4, 4, 128, 64, 65, 12), "baby": (6, 6, 384, 256, 256, 16), "gpt2": (12, 12, 768, 1024, 50304, 1)}


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
            y = s.masked_fill(~torch.ones(t, t, dtype=torch.bool).tril(), float("-inf")).softmax(-1) @ v
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


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--size", choices=SIZES, default="baby")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    a.add_argument("--compile", action="store_true")
    a.add_argument("--steps", type=int, default=8)
    a.add_argument("--context", type=int)
    a.add_argument("--batch", type=int)
    a.add_argument("--device", default="cpu")
    o = a.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(o.threads)
    layers, heads, width, context, vocab, batch = SIZES[o.size]
    context, batch = o.context or context, o.batch or batch
    model = GPT(layers, heads, width, context, vocab).to(o.device)
    step_model = torch.compile(model) if o.compile else model
    fused = {} if torch.__version__.startswith("1.") else {"fused": True}
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, **fused)
    x = torch.randint(0, vocab, (batch, context), device=o.device)
    y = torch.randint(0, vocab, (batch, context), device=o.device)
    times = []
    for _ in range(o.steps + 2):
        if o.device != "cpu":
            torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.autocast(o.device.split(":")[0], dtype=torch.bfloat16, enabled=o.dtype == "bf16"):
            loss = step_model(x, y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if o.device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    step = statistics.median(times[2:])
    print(json.dumps({"peer": "pytorch", "version": torch.__version__, "size": o.size, "dtype": o.dtype, "compile": o.compile,
                      "threads": o.threads, "context": context, "batch": batch, "tokens_per_second": round(batch * context / step, 1),
                      "step_ms": round(step * 1e3, 2), "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                      "loss": round(float(loss), 4)}))


if __name__ == "__main__":
    main()
