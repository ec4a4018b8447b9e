#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page of `clausius report` and `clausius monitor` in headless Chromium: what it draws and says, while runs go on, die and come back.

Skips (exit code 77) without Chromium. Prints how long a run of 12 layers of 12 heads and 10 000 steps takes to open, and its scrubbing.
"""
import argparse
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from browser import Browser, find_chromium

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
VIRIDIS = [(68, 1, 84), (72, 40, 120), (62, 73, 137), (49, 104, 142), (38, 130, 142),
           (31, 158, 137), (53, 183, 121), (109, 205, 89), (180, 222, 44), (253, 231, 37)]


def viridis(share):
    """train/plot/colors.cpp, once more."""
    place = min(max(share, 0), 1) * (len(VIRIDIS) - 1)
    low = min(int(place), len(VIRIDIS) - 2)
    return [a + (b - a) * (place - low) for a, b in zip(VIRIDIS[low], VIRIDIS[low + 1])]


def lines_of(run):
    """Complete lines of metrics.jsonl, without what a resumed run took back."""
    kept = []
    for text in (run / "metrics.jsonl").read_text().split("\n")[:-1]:
        line = json.loads(text)
        kept = [each for each in kept if each["step"] <= line["step"]]
        kept.append(line)
    return kept


def samples_of(run):
    return [line for line in lines_of(run) if "loss" in line]


def command(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{words}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Monitor:
    def __init__(self, *runs, port=0):
        self.process = subprocess.Popen([PROGRAM, "monitor", *map(str, runs), "--port", str(port)], stdout=subprocess.PIPE, text=True)
        self.url = re.search(r"http://\S+", self.process.stdout.readline()).group()
        self.port = int(self.url.rstrip("/").rsplit(":", 1)[1])

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(20)
        self.process.stdout.close()
        return code


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser(CHROMIUM)

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)
        self.browser.open("about:blank")  # what the last test's page still has to say is not this one's
        self.browser.console.clear()
        self.browser.errors.clear()
        self.browser.requests.clear()
        self.browser.look(1360, 1000)

    def sample_run(self, name, *numbers):
        command(SAMPLE_RUN, self.path / name, *numbers)
        return self.path / name

    def report(self, *runs):
        file = self.path / "report.html"
        command(PROGRAM, "report", *runs, "--out", file)
        return file

    def show(self, *runs):
        """The report of the runs, in the browser."""
        file = self.report(*runs)
        self.browser.open(file.as_uri())
        self.browser.wait_for("clausius.state.runs.length > 0")
        self.frame()
        return file

    def frame(self):
        self.browser.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def cell(self, key, run=0):
        """A number of the table of runs."""
        return self.browser.evaluate(f"document.querySelector('#runs tr[data-run=\"{run}\"] td[data-key=\"{key}\"]').textContent")

    def pixel(self, layer, head, run=0):
        """The colour of a cell of the heat map, beside its number."""
        return self.browser.evaluate(f"""(() => {{
          const map = clausius.maps()[{run}], box = map.cellBox({layer}, {head});
          return [...map.canvas.getContext("2d").getImageData(Math.round(box.x + 5), Math.round(box.y + box.height - 5), 1, 1).data].slice(0, 3);
        }})()""")

    def numbers(self):
        """The table of numbers at the step: (run, layer, head) -> text."""
        self.browser.evaluate("document.getElementById('numbers').open = true")
        self.frame()
        found = self.browser.evaluate("[...document.querySelectorAll('td[data-head]')].map(cell => [cell.dataset.head, cell.textContent])")
        return {tuple(map(int, place.split())): text for place, text in found}

    def quiet(self):
        """Nothing went wrong so far."""
        self.assertEqual(self.browser.errors, [])
        self.assertEqual(self.browser.console, [])

    def test_numbers_and_colours_are_those_of_the_metrics(self):
        run = self.sample_run("run", 4, 6, 50, 1, 2)
        file = self.show(run)
        samples = samples_of(run)
        self.assertEqual(float(self.cell("loss")), float(f"{samples[-1]['loss']:.5g}"))
        self.assertEqual(self.cell("step"), f"{samples[-1]['step']} of {samples[-1]['step']}")
        for index in (49, 0, 17):
            self.browser.evaluate(f"clausius.setStep({samples[index]['step']})")
            self.frame()
            self.assertEqual(self.browser.evaluate("document.getElementById('step').textContent"), f"step {samples[index]['step']}")
            table = samples[index]["entropy_normalized"]
            numbers = self.numbers()
            for layer in range(4):
                for head in range(6):
                    if layer == 2:  # without probabilities: no number, and hatched
                        self.assertEqual(numbers[0, layer, head], "\u2013")
                        continue
                    value = table[layer][head]
                    # Three digits, of a number in 65534 parts of the range.
                    self.assertLessEqual(abs(float(numbers[0, layer, head]) - value), 0.0005 + 1 / 65534, (index, layer, head))
                    for got, wanted in zip(self.pixel(layer, head), viridis(value)):
                        # A colour changes by at most 72 from one of ten anchors to the next: 650 / 65534, and rounding.
                        self.assertLessEqual(abs(got - wanted), 0.5 + 650 / 65534, (index, layer, head))
        self.assertEqual(self.browser.requests, [file.as_uri()], "a report asks for nothing else")
        self.quiet()

    def test_every_panel_is_drawn(self):
        self.show(self.sample_run("run", 3, 4, 30))
        drawn = self.browser.evaluate("""[...document.querySelectorAll('main canvas[role=img], main canvas[role=application]')].filter(c => c.offsetParent).map(canvas => {
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          const colors = new Set();
          for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 250) colors.add(data[i] + "," + data[i + 1] + "," + data[i + 2]);
          return [canvas.getAttribute("aria-label"), colors.size];
        })""")
        self.assertGreaterEqual(len(drawn), 14)
        for label, colors in drawn:
            self.assertGreater(len(label), 5)
            self.assertGreater(colors, 3, label)
        self.quiet()

    def test_keys_and_clicks_choose_step_head_and_measure(self):
        run = self.sample_run("run", 4, 6, 50)
        self.show(run)
        steps = [line["step"] for line in samples_of(run)]
        state = lambda name: self.browser.evaluate(f"clausius.{name}")
        for key, shift, wanted in (("Home", False, steps[0]), ("ArrowRight", False, steps[1]), ("ArrowRight", True, steps[11]),
                                   ("ArrowLeft", False, steps[10]), ("End", False, steps[-1])):
            self.browser.press(key, shift)
            self.assertEqual(state("shared.step"), wanted, key)
        self.browser.evaluate("clausius.maps()[0].canvas.focus()")
        for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp"):
            self.browser.press(key)
        self.assertEqual((state("state.layer"), state("state.head")), (1, 1))
        self.assertEqual(state("shared.step"), steps[-1], "arrows on the map do not move the step")
        self.frame()
        self.assertIn("Layer 1, head 1", self.browser.evaluate("document.getElementById('cell').textContent"))
        self.browser.press("m")
        self.assertEqual(state("state.measure"), "entropy_nats")
        box = self.browser.evaluate("""(() => { const map = clausius.maps()[0], cell = map.cellBox(3, 4), at = map.canvas.getBoundingClientRect();
          return [at.left + cell.x + 4, at.top + cell.y + 4]; })()""")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.browser.mouse(kind, *box)
        self.assertEqual((state("state.layer"), state("state.head")), (3, 4))
        self.browser.evaluate("document.getElementById('slider').focus()")
        self.browser.press("Home")
        self.assertEqual(state("shared.step"), steps[0])
        plot = self.browser.evaluate("(() => { const box = clausius.plots.loss.over.getBoundingClientRect(); return [box.left, box.top, box.width]; })()")
        self.browser.mouse("mouseMoved", plot[0] + plot[2] / 2, plot[1] + 60)
        self.frame()
        self.assertIn("training", self.browser.evaluate("document.getElementById('tooltip').textContent"))
        for kind in ("mousePressed", "mouseReleased"):
            self.browser.mouse(kind, plot[0] + plot[2] / 2, plot[1] + 60)
        self.assertIn(state("shared.step"), steps[20:30], "a click goes to the nearest logged step")
        self.browser.press("?")
        self.assertTrue(self.browser.evaluate("document.getElementById('help').open"))
        self.quiet()

    def test_runs_side_by_side_and_their_difference(self):
        a, b = self.sample_run("a", 3, 4, 30, 1), self.sample_run("b", 3, 4, 40, 2)
        self.show(a, b)
        self.assertEqual(self.browser.evaluate("clausius.maps().length"), 3)
        self.assertEqual(float(self.cell("loss", 1)), float(f"{samples_of(b)[-1]['loss']:.5g}"))
        self.browser.evaluate("clausius.setStep(100)")
        self.frame()
        at = lambda run: next(line for line in samples_of(run) if line["step"] == 100)["entropy_normalized"]
        difference = self.browser.evaluate("[...clausius.maps()[2].map.values]")
        for layer in range(3):
            for head in range(4):
                self.assertAlmostEqual(difference[layer * 4 + head], at(a)[layer][head] - at(b)[layer][head], delta=2 / 65534)
        numbers = self.numbers()
        self.assertLessEqual(abs(float(numbers[1, 2, 3]) - at(b)[2][3]), 0.0005 + 1 / 65534)
        self.browser.evaluate("document.querySelector('#runs tr[data-run=\"1\"] input').click()")
        self.frame()
        self.assertEqual(self.browser.evaluate("clausius.maps().length"), 2)
        self.quiet()

    def test_narrow_windows_scroll_in_one_direction_alone(self):
        self.show(self.sample_run("a", 3, 4, 30, 1), self.sample_run("b", 3, 4, 40, 2))
        for width in (360, 700, 1100, 2000):
            for dark in (False, True):
                self.browser.look(width, 800, dark)
                self.frame()
                self.assertLessEqual(self.browser.evaluate("document.documentElement.scrollWidth"), width)
                self.assertEqual(self.browser.evaluate("document.documentElement.dataset.theme"), "dark" if dark else "light")
        self.quiet()

    def test_the_page_of_a_run_without_heads_and_of_an_empty_one(self):
        run = self.path / "run"
        run.mkdir()
        (run / "metrics.jsonl").write_text("")
        self.show(run)
        (run / "metrics.jsonl").write_text('{"step":1,"loss":2.5}\n{"step":2,"loss":null,"nonfinite":["loss"]}\n{"step":3,"lo')
        self.show(run)
        self.assertEqual(self.cell("loss"), "\u2013")
        self.quiet()

    def test_names_of_runs_and_messages_are_text(self):
        run = self.sample_run("<img src=x onerror=alert(1)>", 2, 2, 5)
        with open(run / "metrics.jsonl", "a") as metrics:
            metrics.write(json.dumps({"step": 41, "event": "alarm", "message": "</script><script>alert(2)</script>"}) + "\n")
        self.show(run)
        self.browser.evaluate("document.getElementById('events').open = true")
        self.frame()
        self.assertIn("</script><script>alert(2)</script>", self.browser.evaluate("document.getElementById('events').textContent"))
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('img').length"), 0)
        self.quiet()

    def train(self, run, *more):
        return subprocess.Popen([PROGRAM, "train", str(SOURCE / "recipes" / "tiny_cpu.yaml"), "--run", str(run), "train.steps=100000", "monitor.every=1",
                                 "checkpoint.every=10", "evaluate.every=50", "parallel.threads=1", *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_for_samples(self, count):
        self.browser.wait_for(f"(clausius.state.runs[0]?.samples.rows ?? 0) >= {count}", 60)
        self.frame()

    def check_live_numbers(self, run):
        """What the page says is what the file said at that step."""
        step, loss = self.browser.evaluate("""(() => { const { samples } = clausius.state.runs[0];
          return [samples.steps.at(-1), samples.columns.loss.value.at(-1)]; })()""")
        self.assertEqual(next(line for line in samples_of(run) if line["step"] == step)["loss"], loss)
        self.assertEqual(self.browser.evaluate("clausius.state.runs[0].heads.steps.length > 0"), True)

    def test_a_run_is_followed_killed_and_resumed_and_the_monitor_too(self):
        run = self.path / "run"
        monitor = Monitor(run)
        trainer = None
        try:
            self.browser.open(monitor.url)
            self.browser.wait_for("clausius.state.runs.length === 1")
            self.assertIn("waiting", self.browser.evaluate("document.querySelector('#runs .state').textContent"))
            trainer = self.train(run)
            self.wait_for_samples(12)
            self.browser.wait_for("document.querySelector('#runs .state').textContent === 'running'")
            before = self.browser.evaluate("clausius.state.runs[0].samples.rows")
            self.wait_for_samples(before + 5)
            self.check_live_numbers(run)
            trainer.kill()
            trainer.wait()
            with open(run / "metrics.jsonl", "a") as metrics:  # as if killed in the middle of a line
                metrics.write('{"step":999999,"loss":')
            time.sleep(1)
            self.check_live_numbers(run)
            last = samples_of(run)[-1]["step"]
            trainer = self.train(run, "--resume", "auto")
            self.browser.wait_for("clausius.state.runs[0].events.some(event => event[1] === 'resume')", 60)
            self.browser.wait_for(f"clausius.state.runs[0].samples.steps.at(-1) > {last}", 60)
            self.check_live_numbers(run)
            steps = self.browser.evaluate("clausius.state.runs[0].samples.steps")
            self.assertEqual(steps, sorted(set(steps)), "what was taken back is gone")
            self.quiet()
            self.assertEqual(monitor.stop(), 0)
            self.browser.wait_for("document.getElementById('connection').className === 'lost'")
            self.browser.errors.clear()  # the refused connections
            monitor = Monitor(run, port=monitor.port)
            self.browser.wait_for("document.getElementById('connection').className === 'live'", 30)
            rows = self.browser.evaluate("clausius.state.runs[0].samples.rows")
            self.wait_for_samples(rows + 5)
            self.check_live_numbers(run)
            self.assertEqual([each for each in self.browser.requests if not each.startswith(monitor.url)], [])
        finally:
            if trainer:
                trainer.kill()
                trainer.wait()
            monitor.stop()

    def test_a_long_run_opens_and_scrubs(self):
        run = self.sample_run("long", 12, 12, 10000)
        file = self.show(run)
        self.assertLess(file.stat().st_size, 5_000_000)
        start = time.monotonic()
        self.browser.open(file.as_uri())
        self.browser.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        opened = time.monotonic() - start
        times = self.browser.evaluate("""(async () => {
          const { steps } = clausius.state.runs[0].heads, times = [];
          for (let i = 0; i < steps.length; i += 5) {
            const start = performance.now();
            clausius.setStep(steps[i]);
            await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
            times.push(performance.now() - start);
          }
          return times.sort((a, b) => a - b);
        })()""")
        print(f"12 layers x 12 heads x 10 000 logged steps: report of {file.stat().st_size / 1e6:.2f} MB, open and drawn in {opened:.2f} s; "
              f"a step of the slider in {times[len(times) // 2]:.1f} ms (median), {times[int(len(times) * 0.95)]:.1f} ms (95 %), a frame's wait included")
        self.quiet()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--sample-run", required=True)
    options, rest = parser.parse_known_args()
    PROGRAM, SAMPLE_RUN, CHROMIUM = options.program, options.sample_run, find_chromium()
    if CHROMIUM is None:
        print("skipped: there is no Chromium on the path; to have it: tools/install-deps --browser")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *rest])
