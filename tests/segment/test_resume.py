"""A training that is killed goes on to the weights of an unbroken one; one over two processes sees the same images."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from stages.images import IGNORE, read_mask, write_mask
from stages.segment import train

REPOSITORY = Path(__file__).parents[2]
# The training command, which is killed with its helpers after step 5, so that the work since step 4 is lost: by itself,
# not from outside, where it might be over before the kill comes.
KILLED = """
import os, signal, sys
from mmengine.hooks import CheckpointHook
from stages.segment import train
save = CheckpointHook.after_train_iter

def save_or_die(hook, runner, *more, **named):
    save(hook, runner, *more, **named)
    if runner.iter + 1 == 5:
        os.killpg(0, signal.SIGKILL)

CheckpointHook.after_train_iter = save_or_die
train.run(sys.argv[1:])
"""


def command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "stages.segment.train", *arguments]


def test_killed_training_ends_with_the_weights_of_an_unbroken_one(
    tiny_set, make_settings, lite0_weights, tmp_path: Path
) -> None:
    # Dropout, colours, crops and mirrors are drawn anew each step: they too must be those of the unbroken run, and the
    # average over steps holds the steps before the kill.
    settings = make_settings(iterations=12, batch_size=2, checkpoint_every=2, scales=(0.8, 1.3), ema_decay=0.8)
    unbroken = tmp_path / "unbroken" / "work"
    # All in processes of their own: what other tests did to this one's threads changes the rounding, and Adam makes
    # whole steps of the rounding of small gradients.
    subprocess.run(command(tiny_set.options(settings, lite0_weights, unbroken)), cwd=REPOSITORY, check=True)

    killed = tmp_path / "killed" / "work"
    arguments = tiny_set.options(settings, lite0_weights, killed)
    broken = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=REPOSITORY, start_new_session=True)
    assert broken.returncode == -signal.SIGKILL
    assert (killed / "iter_4.pth").is_file()
    assert not (killed.parent / "segmenter.safetensors").exists()
    resumed = subprocess.run(command(arguments), cwd=REPOSITORY, check=True, capture_output=True, text=True)
    # A run that started afresh would end with the same weights.
    assert "resuming from its last checkpoint" in resumed.stderr

    ours = load_file(killed.parent / "segmenter.safetensors")
    expected = load_file(unbroken.parent / "segmenter.safetensors")
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-6, msg=name)


def test_two_processes_learn_what_one_learns(tiny_set, make_settings, lite0_weights, tmp_path: Path) -> None:
    # Without batch statistics and dropout, which differ by process, and with as many counted pixels in each, a step
    # over two is a step over one.
    for record in tiny_set.records:
        mask = read_mask(tiny_set.root / record.mask)
        write_mask(tiny_set.root / record.mask, np.where(mask == IGNORE, np.uint8(0), mask))
    overlay = tmp_path / "still.py"
    overlay.write_text(
        'features = "last"\noutput_stride = 16\nmodel = {"decode_head": {"type": "FCNHead", "channels": 8,'
        ' "num_convs": 1, "concat_input": False, "dropout_ratio": 0.0, "norm_cfg": None}}\n'
    )
    settings = make_settings(model=str(overlay), crop=32, iterations=2, batch_size=4, frozen_norm=True, optimizer="sgd")
    one, two = tmp_path / "one" / "work", tmp_path / "two" / "work"
    train.run(tiny_set.options(settings, lite0_weights, one))
    arguments = tiny_set.options(settings, lite0_weights, two)
    without_gpu = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    subprocess.run(command([*arguments, "--gpus", "2"]), cwd=REPOSITORY, check=True, env=without_gpu)
    alone = load_file(one.parent / "segmenter.safetensors")
    shared = load_file(two.parent / "segmenter.safetensors")
    for name, value in alone.items():
        torch.testing.assert_close(shared[name], value, rtol=1e-4, atol=1e-5, msg=name)
