"""The stream of draws."""

import random
from itertools import islice

import numpy as np
import pytest

from stages.segment import draws
from stages.segment.draws import DrawnImages, Draws


class Noted:
    """A dataset of five items that shows what the two global generators give."""

    metainfo: dict = {}  # noqa: RUF012

    def __len__(self) -> int:
        return 5

    def __getitem__(self, position: int) -> tuple[int, float, float]:
        return position, random.random(), float(np.random.random())  # noqa: NPY002


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(draws.DATASETS, "build", lambda config: Noted())
    return lambda seed: DrawnImages(dataset={}, seed=seed)


def test_every_pass_takes_each_image_once_in_an_order_of_its_own(drawn) -> None:
    stream = [drawn(3)[draw][0] for draw in range(20)]
    passes = [stream[start : start + 5] for start in range(0, 20, 5)]
    assert all(sorted(one) == [0, 1, 2, 3, 4] for one in passes)
    assert len({tuple(one) for one in passes}) > 1


def test_a_draw_depends_on_its_number_and_seed_alone(drawn) -> None:
    forwards = [drawn(3)[draw] for draw in range(12)]
    images = drawn(3)
    random.seed(99)
    assert [images[draw] for draw in reversed(range(12))] == forwards[::-1]
    assert [drawn(4)[draw] for draw in range(12)] != forwards
    assert len({numbers[1] for numbers in forwards}) == 12  # the same image again is cut anew


def test_ranks_share_the_stream_and_resume_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    for rank in range(3):
        monkeypatch.setattr(draws, "get_dist_info", lambda rank=rank: (rank, 3))
        sampler = Draws(Noted())
        taken.append(list(islice(sampler, 4)))
        sampler.skip(2)
        assert list(islice(sampler, 2)) == taken[-1][2:]
    # A step of two images each: together the first six draws, then the next six, as one process would take them.
    assert sorted(draw for own in taken for draw in own[:2]) == list(range(6))
    assert sorted(draw for own in taken for draw in own[2:]) == list(range(6, 12))
