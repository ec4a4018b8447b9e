#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files of tests/golden: two tiny language models, computed by PyTorch in f64.

    python3 tools/golden.py [FOLDER]        needs torch, numpy, h5py; FOLDER is tests/golden by default

Each model gives three files of less than 200 KB, so that f64 is kept throughout:
  NAME_start.h5       /recipe (text: the run in the recipe language), /weights/PATH, /aliases/PATH (text),
                      /batch/{inputs, targets, positions[, cu_seqlens]}, /loss_sum, /token_loss,
                      /entropy_mean, /entropy_normalized, /max_logit (each [layer, head])
  NAME_gradients.h5   /gradients/PATH of loss_sum / valid targets
  NAME_trained.h5     /weights/PATH after 5 updates on the same batch; /loss, /grad_norm, /update_norm of each of them
Every file has the attributes `made_by` (this script's version) and `torch`.

Start weights are element i of splitmix64 seeded with the FNV-1a hash of the parameter's path, taken as a number in
[-1, 1), scaled by kind and rounded to bf16: the same numbers in every precision that the tests run.
"""
import hashlib
import math
import os
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F

VERSION = "golden.py 1"
LAYERS, WIDTH, HEADS, CONTEXT, VOCAB, HIDDEN = 2, 32, 4, 16, 61, 64
HEAD_DIM = WIDTH // HEADS
EPS = 1e-5
STEPS, LR, BETAS, ADAM_EPS, DECAY, CLIP = 5, 1e-2, (0.9, 0.95), 1e-8, 0.1, 1.0
IGNORED = -100

RECIPE = """\
data: {{kind: text, train: none.txt, context_length: {context}}}
model: {{kind: decoder_lm, layers: {layers}, model_dim: {width}, num_heads: {heads}, vocab_size: {vocab}, {model}}}
optimizer: {{kind: adamw, lr: {lr}, betas: [{b1}, {b2}], eps: {eps}, weight_decay: {decay}}}
schedule: constant
train: {{steps: {steps}, batch_samples: 3, clip_norm: {clip}}}
"""


# -- start weights -----------------------------------------------------------------------------------------------------

MASK = (1 << 64) - 1


def fnv1a(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def uniform(path, count):
    """`count` numbers in [-1, 1): splitmix64 from the hash of the path."""
    state, numbers = fnv1a(path), []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        numbers.append(((z ^ (z >> 31)) >> 11) * 2.0**-52 - 1.0)
    return np.array(numbers)


def round_to_bf16(values):
    return torch.tensor(values).to(torch.bfloat16).to(torch.float64)


def start(path, shape):
    numbers = uniform(path, math.prod(shape)).reshape(shape)
    if path.endswith(".gain"):
        numbers = 1.0 + 0.25 * numbers
    elif path.endswith(".bias"):
        numbers = 0.25 * numbers
    elif path in ("embedding.weight", "head.weight", "position.table"):
        numbers = 0.5 * numbers
    else:
        numbers = 0.375 * numbers
    return round_to_bf16(numbers)


# -- the models, straight from their definitions ------------------------------------------------------------------------


class Model:
    """A pre-norm decoder: weights by path, and what the attention layers saw in the last pass."""

    def __init__(self, shapes):
        self.weights = {path: start(path, shape).requires_grad_() for path, shape in shapes.items()}
        self.entropy, self.outcomes, self.max_logit = [], [], []

    def linear(self, x, path):
        return F.linear(x, self.weights[path + ".weight"], self.weights.get(path + ".bias"))

    def attend(self, q, k, v, visible):
        """q [B, H, T, D], k and v [B, G, T, D]; visible [B, T, T]. Query head h reads key head h // (H / G)."""
        share = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(share, dim=1), v.repeat_interleave(share, dim=1)
        scores = q @ k.transpose(-1, -2) / math.sqrt(HEAD_DIM)
        hidden = ~visible[:, None]
        log_p = torch.log_softmax(scores.masked_fill(hidden, -math.inf), dim=-1)
        p = log_p.exp()
        self.entropy.append(-(p * log_p.masked_fill(hidden, 0.0)).sum(dim=-1).detach())
        self.outcomes.append(visible.sum(dim=-1))
        self.max_logit.append(scores.detach().masked_fill(hidden, -math.inf).amax(dim=(0, 2, 3)))
        y = p @ v
        torch.testing.assert_close(y, F.scaled_dot_product_attention(q, k, v, attn_mask=visible[:, None]))
        return y

    def heads(self, x, count):
        return x.view(*x.shape[:2], count, HEAD_DIM).transpose(1, 2)

    def forward(self, batch):
        """The loss of every target, 0 where ignored: [B * T]."""
        self.entropy, self.outcomes, self.max_logit = [], [], []
        x = self.embed(batch)
        for layer in range(LAYERS):
            block = f"blocks.{layer}."
            y = self.mix(self.norm(x, block + "mixer_norm"), block + "mixer", batch)
            x = x + self.linear(y.transpose(1, 2).reshape(x.shape), block + "mixer.out")
            x = x + self.feed_forward(self.norm(x, block + "feed_forward_norm"), block + "feed_forward")
        logits = F.linear(self.norm(x, "final_norm"), self.weights[self.head])
        return F.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten(), ignore_index=IGNORED, reduction="none")


class Gpt2(Model):
    """Biases, LayerNorm, learned positions, GELU (tanh form), tied head."""

    name, head, aliases = "gpt2", "embedding.weight", {"head.weight": "embedding.weight"}
    recipe = "bias: true, norm: layer_norm, position: learned, feed_forward: {kind: mlp, hidden_dim: %d}" % HIDDEN
    documents = None

    def __init__(self):
        shapes = {"embedding.weight": (VOCAB, WIDTH), "position.table": (CONTEXT, WIDTH)}
        for layer in range(LAYERS):
            block = f"blocks.{layer}."
            shapes[block + "mixer.qkv.weight"] = (3 * WIDTH, WIDTH)
            for part in "qkv":
                shapes[block + f"mixer.qkv.{part}.bias"] = (WIDTH,)
            for path, out, inner in (("mixer.out", WIDTH, WIDTH), ("feed_forward.up", HIDDEN, WIDTH),
                                     ("feed_forward.down", WIDTH, HIDDEN)):
                shapes[block + path + ".weight"], shapes[block + path + ".bias"] = (out, inner), (out,)
            for norm in ("mixer_norm", "feed_forward_norm"):
                shapes[block + norm + ".gain"] = shapes[block + norm + ".bias"] = (WIDTH,)
        shapes["final_norm.gain"] = shapes["final_norm.bias"] = (WIDTH,)
        super().__init__(shapes)

    def embed(self, batch):
        return self.weights["embedding.weight"][batch["inputs"]] + self.weights["position.table"][batch["positions"]]

    def norm(self, x, path):
        return F.layer_norm(x, (WIDTH,), self.weights[path + ".gain"], self.weights[path + ".bias"], EPS)

    def mix(self, x, path, batch):
        bias = torch.cat([self.weights[f"{path}.qkv.{part}.bias"] for part in "qkv"])
        qkv = F.linear(x, self.weights[path + ".qkv.weight"], bias).split(WIDTH, dim=-1)
        return self.attend(*(self.heads(part, HEADS) for part in qkv), visible(batch))

    def feed_forward(self, x, path):
        return self.linear(F.gelu(self.linear(x, path + ".up"), approximate="tanh"), path + ".down")


class Llama(Model):
    """RMSNorm, rotary positions (half rotation), SwiGLU, 4 query heads on 2 key heads, no bias, untied head; rows of
    packed documents."""

    name, head, aliases = "llama", "head.weight", {}
    recipe = "num_kv_heads: 2, tie_embeddings: false, feed_forward: {kind: swiglu, hidden_dim: %d}" % HIDDEN
    documents = (5, 8, 13, 1, 12)
    kv_heads, theta = 2, 10000.0

    def __init__(self):
        shapes = {"embedding.weight": (VOCAB, WIDTH), "head.weight": (VOCAB, WIDTH), "final_norm.gain": (WIDTH,)}
        for layer in range(LAYERS):
            block = f"blocks.{layer}."
            shapes[block + "mixer.qkv.weight"] = ((HEADS + 2 * self.kv_heads) * HEAD_DIM, WIDTH)
            shapes[block + "mixer.out.weight"] = (WIDTH, WIDTH)
            shapes[block + "feed_forward.gate_up.weight"] = (2 * HIDDEN, WIDTH)
            shapes[block + "feed_forward.down.weight"] = (WIDTH, HIDDEN)
            shapes[block + "mixer_norm.gain"] = shapes[block + "feed_forward_norm.gain"] = (WIDTH,)
        super().__init__(shapes)

    def embed(self, batch):
        return self.weights["embedding.weight"][batch["inputs"]]

    def norm(self, x, path):
        return F.rms_norm(x, (WIDTH,), self.weights[path + ".gain"], EPS)

    def rotate(self, x, positions):
        half = HEAD_DIM // 2
        frequency = self.theta ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = (positions.double()[..., None] * frequency)[:, None]
        first, second = x[..., :half], x[..., half:]
        cos, sin = angle.cos(), angle.sin()
        return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)

    def mix(self, x, path, batch):
        keys = self.kv_heads * HEAD_DIM
        q, k, v = self.linear(x, path + ".qkv").split([WIDTH, keys, keys], dim=-1)
        q = self.rotate(self.heads(q, HEADS), batch["positions"])
        k = self.rotate(self.heads(k, self.kv_heads), batch["positions"])
        return self.attend(q, k, self.heads(v, self.kv_heads), visible(batch))

    def feed_forward(self, x, path):
        gate, up = self.linear(x, path + ".gate_up").split(HIDDEN, dim=-1)
        return self.linear(F.silu(gate) * up, path + ".down")


# -- the batch ---------------------------------------------------------------------------------------------------------


def make_batch(documents, rows=3, length=13):
    tokens = torch.tensor([(i * i * 7 + 5 * i + 3) % VOCAB for i in range(rows * length + 1)])
    batch = {"inputs": tokens[:-1].view(rows, length), "targets": tokens[1:].view(rows, length).clone()}
    for row, column in ((0, 2), (1, 0), (1, 12), (2, 5), (2, 6), (2, 7)):
        batch["targets"][row, column] = IGNORED
    lengths = documents or [length] * rows
    batch["positions"] = torch.cat([torch.arange(n) for n in lengths]).view(rows, length)
    if documents:
        batch["cu_seqlens"] = torch.tensor([0, *np.cumsum(documents)])
    batch["document"] = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths)).view(rows, length)
    return batch


def visible(batch):
    """[B, T, T]: own document, not the future."""
    document, length = batch["document"], batch["document"].shape[1]
    same = document[:, :, None] == document[:, None, :]
    return same & torch.ones(length, length, dtype=torch.bool).tril()


# -- training ----------------------------------------------------------------------------------------------------------


def decays(path):
    return path.endswith(".weight")  # matrices, embedding, head; not gains, biases, position tables


def train(model, batch):
    """STEPS updates; the loss, gradient norm before clipping and update norm of each."""
    weights = model.weights
    groups = [{"params": [w for p, w in weights.items() if decays(p) == flag], "weight_decay": DECAY * flag}
              for flag in (True, False)]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=BETAS, eps=ADAM_EPS, foreach=False)
    valid = (batch["targets"] != IGNORED).sum()
    history = {"loss": [], "grad_norm": [], "update_norm": []}
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = model.forward(batch).sum() / valid
        loss.backward()
        norm = math.sqrt(sum(float(w.grad.square().sum()) for w in weights.values()))
        for w in weights.values():
            w.grad.mul_(min(1.0, CLIP / norm))
        before = {p: w.detach().clone() for p, w in weights.items()}
        optimizer.step()
        change = math.sqrt(sum(float((w.detach() - before[p]).square().sum()) for p, w in weights.items()))
        for key, value in (("loss", float(loss.detach())), ("grad_norm", norm), ("update_norm", change)):
            history[key].append(value)
    return history


# -- files -------------------------------------------------------------------------------------------------------------


def write(path, entries):
    with h5py.File(path, "w") as file:
        file.attrs["made_by"] = VERSION
        file.attrs["torch"] = str(torch.__version__)
        for name, value in entries.items():
            file[name] = value
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    print(f"{path}: {size} bytes, sha256 {digest[:16]}")
    assert size < 200_000, size


def make(model, folder):
    batch = make_batch(model.documents)
    token_loss = model.forward(batch)
    valid = int((batch["targets"] != IGNORED).sum())
    (token_loss.sum() / valid).backward()
    visible_keys = torch.stack(model.outcomes)[:, :, None]
    entropy = torch.stack(model.entropy)
    recipe = RECIPE.format(context=CONTEXT, layers=LAYERS, width=WIDTH, heads=HEADS, vocab=VOCAB, model=model.recipe,
                           lr=LR, b1=BETAS[0], b2=BETAS[1], eps=ADAM_EPS, decay=DECAY, steps=STEPS, clip=CLIP)
    entries = {"recipe": recipe, "loss_sum": float(token_loss.sum().detach()), "token_loss": token_loss.detach().numpy(),
               "entropy_mean": entropy.mean(dim=(1, 3)).numpy(),
               "entropy_normalized": (entropy.sum(dim=(1, 3)) / visible_keys.log().sum(dim=(1, 3))).numpy(),
               "max_logit": torch.stack(model.max_logit).numpy()}
    entries |= {f"weights/{p}": w.detach().float().numpy() for p, w in model.weights.items()}
    entries |= {f"aliases/{p}": target for p, target in model.aliases.items()}
    entries |= {f"batch/{k}": v.int().numpy() for k, v in batch.items() if k != "document"}
    write(f"{folder}/{model.name}_start.h5", entries)
    write(f"{folder}/{model.name}_gradients.h5", {f"gradients/{p}": w.grad.numpy() for p, w in model.weights.items()})
    history = train(model, batch)
    print({key: [round(value, 4) for value in values] for key, values in history.items()})
    write(f"{folder}/{model.name}_trained.h5",
          {f"weights/{p}": w.detach().numpy() for p, w in model.weights.items()} | history)


def main():
    print(f"{VERSION}, torch {torch.__version__}")
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../tests/golden")
    for model in (Gpt2(), Llama()):
        make(model, os.path.normpath(folder))


if __name__ == "__main__":
    main()
