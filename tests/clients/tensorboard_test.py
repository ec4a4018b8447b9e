#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The event files of a run, read by TensorBoard itself (the PyPI package `tensorboard`; TensorFlow is not needed).

Where this Python cannot import it, that of build/clients is asked; without either the test skips (exit code 77) and says what would help.
A run trains to its end, loses the last bytes of its event file as a kill would, and is trained again from a checkpoint in the middle.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
CLIENTS = SOURCE / "build" / "clients"
LAYERS_AND_HEADS = (2, 4)
OVERRIDES = [
    "train.steps=12", "monitor.every=1", "evaluate.every=4", "checkpoint.every=6", "parallel.threads=1",
    f"model.layers={LAYERS_AND_HEADS[0]}", f"model.num_heads={LAYERS_AND_HEADS[1]}", "model.dropout=0.125",
]


def find_tensorboard():
    """Goes on in a Python that has the package, or skips."""
    if importlib.util.find_spec("tensorboard"):
        return
    python = CLIENTS / "bin" / "python3"
    if python.exists() and pathlib.Path(sys.prefix) != CLIENTS:
        os.execv(python, [str(python), *sys.argv])
    print("skipped: the Python package tensorboard is not importable; to have it, for this tree alone:\n"
          "  python3 -m venv build/clients && build/clients/bin/pip install tensorboard")
    sys.exit(77)


def train(program, run, *more):
    command = [program, "train", str(SOURCE / "recipes" / "tiny_cpu.yaml"), "--run", str(run), *OVERRIDES, *more]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


class TensorBoard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator

        cls.folder = tempfile.TemporaryDirectory()
        cls.run_path = pathlib.Path(cls.folder.name) / "run"
        train(PROGRAM, cls.run_path)
        dead = cls.event_files()
        assert len(dead) == 1, dead
        os.truncate(dead[0], dead[0].stat().st_size - 5)
        train(PROGRAM, cls.run_path, "--resume", str(cls.run_path / "checkpoints" / "step_000000006.h5"))
        everything = {"scalars": 0, "histograms": 0, "images": 0, "tensors": 0}
        cls.events = event_accumulator.EventAccumulator(str(cls.run_path), size_guidance=everything)
        cls.events.Reload()
        # What the server of TensorBoard reads with: everything is a tensor with the name of its plugin.
        cls.served = plugin_event_accumulator.EventAccumulator(str(cls.run_path), size_guidance={"tensors": 0})
        cls.served.Reload()
        # The last line of a step counts, as for every reader of metrics.jsonl.
        cls.steps, cls.evaluations = {}, {}
        for line in (cls.run_path / "metrics.jsonl").read_text().splitlines():
            line = json.loads(line)
            if "loss" in line:
                cls.steps[line["step"]] = line
            elif "val_loss" in line:
                cls.evaluations[line["step"]] = line

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def event_files(cls):
        return sorted(cls.run_path.glob("events.out.tfevents.*"))

    def test_a_resumed_run_has_a_second_file_and_each_step_once(self):
        self.assertEqual(len(self.event_files()), 2)
        for events in (self.events.Scalars("loss"), self.served.Tensors("loss")):
            self.assertEqual([event.step for event in events], list(range(1, 13)))
        self.assertEqual([event.step for event in self.events.Scalars("val_loss")], [4, 8, 12])

    def test_scalars_are_those_of_metrics(self):
        for tag in ("loss", "lr", "grad_norm", "update_norm", "tokens_per_second"):
            for event in self.events.Scalars(tag):
                self.assertEqual(event.value, f32(self.steps[event.step][tag]), (tag, event.step))
        for tag in ("val_loss", "val_bits_per_byte"):
            for event in self.events.Scalars(tag):
                self.assertEqual(event.value, f32(self.evaluations[event.step][tag]), (tag, event.step))

    def test_entropies_are_means_over_heads(self):
        for key in ("entropy_mean", "entropy_normalized"):
            for layer in range(LAYERS_AND_HEADS[0]):
                for event in self.events.Scalars(f"{key}/layer_{layer:02}"):
                    heads = self.steps[event.step][key][layer]
                    self.assertAlmostEqual(event.value, sum(heads) / len(heads), delta=2e-7 * max(heads))
            for event in self.events.Scalars(f"{key}/all"):
                heads = sum(self.steps[event.step][key], [])
                self.assertAlmostEqual(event.value, sum(heads) / len(heads), delta=2e-7 * max(heads))

    def test_histograms_count_the_heads(self):
        from tensorboard.util import tensor_util

        tags = ["entropy_normalized_heads/all"] + [
            f"entropy_normalized_heads/layer_{layer:02}" for layer in range(LAYERS_AND_HEADS[0])]
        self.assertEqual(sorted(self.events.Tags()["histograms"]), sorted(tags))
        for event in self.events.Histograms(tags[0]):
            heads = sum(self.steps[event.step]["entropy_normalized"], [])
            histogram = event.histogram_value
            self.assertEqual(histogram.num, len(heads))
            self.assertEqual((histogram.min, histogram.max), (min(heads), max(heads)))
            below = 0
            for limit, count in zip(histogram.bucket_limit, histogram.bucket):
                below += count
                self.assertEqual(below, sum(head <= limit for head in heads), (event.step, limit))
        self.assertEqual(len(self.served.Tensors(tags[0])), 12)
        for event in self.served.Tensors(tags[0]):
            heads = sum(self.steps[event.step]["entropy_normalized"], [])
            rows = tensor_util.make_ndarray(event.tensor_proto)
            self.assertEqual((rows[0][0], rows[-1][1]), (min(heads), max(heads)))
            self.assertTrue((rows[1:, 0] == rows[:-1, 1]).all() and (rows[:, 0] <= rows[:, 1]).all(), rows)
            self.assertEqual(rows[:, 2].sum(), len(heads))
        self.assertEqual(self.served.SummaryMetadata(tags[0]).plugin_data.plugin_name, "histograms")

    def test_images_are_png_of_layers_by_heads(self):
        images = self.events.Images("entropy_normalized_map")
        self.assertEqual([image.step for image in images], list(range(1, 13)))
        for image in images:
            self.assertEqual((image.height, image.width), tuple(16 * size for size in LAYERS_AND_HEADS))
            data = image.encoded_image_string
            self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
            self.assertEqual(struct.unpack(">II", data[16:24]), (image.width, image.height))
            length = struct.unpack(">I", data[33:37])[0]
            self.assertEqual(len(zlib.decompress(data[41:41 + length])), image.height * (1 + 3 * image.width))
        self.assertEqual(self.served.SummaryMetadata("entropy_normalized_map").plugin_data.plugin_name, "images")

    def test_the_recipe_is_text(self):
        self.assertEqual(self.served.SummaryMetadata("recipe").plugin_data.plugin_name, "text")
        texts = [event.tensor_proto.string_val[0].decode() for event in self.served.Tensors("recipe")]
        for text in texts:
            self.assertIn("\n      dropout: 0.125\n", text)

    def test_hparams_are_the_recipe(self):
        from tensorboard.plugins.hparams import api_pb2, metadata

        content = self.served.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
        settings = metadata.parse_session_start_info_plugin_data(content).hparams
        self.assertEqual(settings["model.dropout"].number_value, 0.125)
        self.assertEqual(settings["model.kind"].string_value, "decoder_lm")
        self.assertIs(settings["monitor.tensorboard"].bool_value, True)
        content = self.served.SummaryMetadata(metadata.SESSION_END_INFO_TAG).plugin_data.content
        self.assertEqual(metadata.parse_session_end_info_plugin_data(content).status, api_pb2.STATUS_SUCCESS)

    def test_the_hparams_page_finds_settings_and_metrics(self):
        from tensorboard import context
        from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
        from tensorboard.plugins import base_plugin
        from tensorboard.plugins.hparams import backend_context

        runs = plugin_event_multiplexer.EventMultiplexer()
        runs.AddRunsFromDirectory(str(self.run_path.parent))
        runs.Reload()
        provider = data_provider.MultiplexerDataProvider(runs, str(self.run_path.parent))
        page = backend_context.Context(base_plugin.TBContext(data_provider=provider, logdir=""))
        request = context.RequestContext()
        experiment = page.experiment_from_metadata(request, "", True, page.hparams_metadata(request, ""), [])
        self.assertIn("model.dropout", [info.name for info in experiment.hparam_infos])
        self.assertIn("val_loss", [info.name.tag for info in experiment.metric_infos])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    arguments, rest = parser.parse_known_args()
    PROGRAM = arguments.program
    find_tensorboard()
    unittest.main(argv=[sys.argv[0], *rest])
