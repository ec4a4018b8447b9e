#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `clausius monitor` tells Prometheus, read by the parser of Prometheus's own Python client (package python3-prometheus-client).

Where this Python cannot import it, the system's is asked; without either the test skips (exit code 77).
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    print("skipped: the Python package prometheus_client is not importable; to have it: tools/install-deps")
    sys.exit(77)

parser = argparse.ArgumentParser()
parser.add_argument("--program", required=True)
parser.add_argument("--sample-run", required=True)
options = parser.parse_args()

with tempfile.TemporaryDirectory() as folder:
    runs = [pathlib.Path(folder) / name for name in ("plain", 'with "quotes" and \\')]
    for run in runs:
        subprocess.run([options.sample_run, run, "3", "4", "20", "1", "1"], check=True)
    monitor = subprocess.Popen([options.program, "monitor", *runs, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        url = re.search(r"http://\S+", monitor.stdout.readline()).group()
        with urllib.request.urlopen(url + "metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), answer.headers
            text = answer.read().decode()
    finally:
        monitor.terminate()
        assert monitor.wait(20) == 0
        monitor.stdout.close()
    lines = [json.loads(line) for line in (runs[0] / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in lines if "loss" in line][-1]

families = {family.name: family for family in text_string_to_metric_families(text)}
assert families["clausius_tokens"].type == "counter"
assert families["clausius_step_seconds"].type == "histogram"
samples = {(sample.name, *sorted(sample.labels.items())): sample.value for family in families.values() for sample in family.samples}
for run in runs:
    label = ("run", run.name)
    assert samples["clausius_loss", label] == last["loss"]
    assert samples["clausius_step", label] == last["step"]
    assert samples["clausius_tokens_total", label] == last["tokens"]
    assert samples["clausius_step_seconds_count", label] == 20
    for layer in (0, 2):
        for head in range(4):
            got = samples["clausius_attention_entropy_nats", ("head", str(head)), ("layer", str(layer)), label]
            wanted = last["entropy_mean"][layer][head]
            assert abs(got - wanted) <= 2**-24 * wanted, (got, wanted)  # it went through f32
    assert ("clausius_attention_entropy_nats", ("head", "0"), ("layer", "1"), label) not in samples, "a layer without probabilities"
print(f"{len(families)} families, {len(samples)} samples")
