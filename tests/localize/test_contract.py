"""What every localizer of the registry holds to, on every backbone that its settings accept."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from stages.localize.checkpoint import load_localizer, save_localizer
from stages.localize.localizer import Localizer
from stages.localize.objective import LocalizerObjective
from stages.localize.registry import KINDS
from stages.settings import LocalizeSettings, MapSettings
from tests.localize.conftest import BACKBONES, CLASSES, DESCRIBED

LABELS = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
HINT = "BACKBONES or DESCRIBED of tests/localize/conftest.py"


def fitting_backbones(method: str) -> list[str]:
    """The backbones that the method's default settings accept; one alone where it has a network of its own."""
    fitting = []
    for kind, backbone in BACKBONES.items():
        try:
            LocalizeSettings.model_validate({"method": {"kind": method}, "backbone": backbone})
        except ValidationError:
            continue
        fitting.append(kind)
    return fitting[:1] if method in DESCRIBED else fitting


PAIRS = [(method, kind) for method in KINDS for kind in fitting_backbones(method)]


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("method", KINDS)
def test_a_small_one_can_be_built(make_localizer, method: str) -> None:
    """The other tests rest on this one: a new method must not pass by not being looked at."""
    kinds = fitting_backbones(method)
    assert kinds, f"the settings of {method!r} accept no backbone; add one of its kind to {HINT}"
    try:
        make_localizer(kinds[0], method=method)
    except TypeError as error:
        pytest.fail(f"{method!r} cannot be built from its default settings ({error}); say what it needs in {HINT}")


@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_maps_and_scores(make_localizer, images: torch.Tensor, method: str, kind: str) -> None:
    localizer: Localizer = make_localizer(kind, method=method)
    with torch.inference_mode():
        located = localizer.locate(images, MapSettings())
    grid = (64 // localizer.stride, 96 // localizer.stride)
    assert located.maps.shape == (2, len(CLASSES), *grid)
    assert located.scores.shape == (2, len(CLASSES))
    assert located.kinds
    assert all(maps.shape == located.maps.shape for maps in located.kinds.values())
    for maps in (located.maps, *located.kinds.values()):
        assert torch.isfinite(maps).all()
        assert (maps >= 0).all()
    assert located.maps.max() > 0
    assert torch.isfinite(located.scores).all()


# Landscape, portrait and a square; the first two have as many patches.
SIZES = ((64, 96), (96, 64), (80, 80), (48, 144))
EVERY_ATTENTION = MapSettings(class_attention=True, patch_affinity=True, affinity_blocks=1)


@pytest.mark.parametrize("settings", [MapSettings(), EVERY_ATTENTION], ids=["plain", "attention"])
@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_images_of_several_sizes_at_once_give_what_each_gives_alone(
    make_localizer, method: str, kind: str, settings: MapSettings
) -> None:
    localizer: Localizer = make_localizer(kind, method=method)
    images = [torch.randn(number % 2 + 1, 3, *size) for number, size in enumerate(SIZES)]
    with torch.inference_mode():
        together = localizer.locate_each(images, settings)
        for own, located in zip(images, together, strict=True):
            alone = localizer.locate(own, settings)
            torch.testing.assert_close(located.maps, alone.maps, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(located.scores, alone.scores, atol=1e-5, rtol=1e-5)
            for name, kind_of_maps in located.kinds.items():
                torch.testing.assert_close(kind_of_maps, alone.kinds[name], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_gradients(make_localizer, images: torch.Tensor, method: str, kind: str) -> None:
    """Several GPUs need a gradient of each parameter that is learned; nothing else may have one."""
    localizer: Localizer = make_localizer(kind, method=method).train()
    learned = {name: own for name, own in localizer.named_parameters() if own.requires_grad}
    assert bool(learned) == localizer.trained
    if not localizer.trained:
        return
    width = 0 if localizer.settings.method.language_source == "none" else localizer.language_width
    losses = LocalizerObjective(localizer)(images, LABELS, torch.randn(2, width))
    assert all(torch.isfinite(value).all() for value in losses.values())
    sum(value for name, value in losses.items() if "loss" in name).backward()
    without = [name for name, own in learned.items() if own.grad is None]
    assert not without
    assert all(torch.isfinite(own.grad).all() for own in learned.values())
    assert any(own.grad.any() for own in learned.values())
    parts = localizer.learning_rates()
    assert all(any(name.startswith(part) for name in learned) for part in parts)


@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_stored_whole(make_localizer, images: torch.Tensor, tmp_path: Path, method: str, kind: str) -> None:
    localizer: Localizer = make_localizer(kind, method=method)
    save_localizer(tmp_path / "localizer.safetensors", localizer, CLASSES)
    again, classes = load_localizer(tmp_path / "localizer.safetensors", localizer.settings)
    assert classes == CLASSES
    assert again.settings == localizer.settings
    with torch.inference_mode():
        before, after = (own.locate(images, MapSettings()) for own in (localizer, again))
    torch.testing.assert_close(after.maps, before.maps)
    torch.testing.assert_close(after.scores, before.scores)


@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_classes_are_exchangeable(make_localizer, images: torch.Tensor, method: str, kind: str) -> None:
    """A class has no place of its own: with the entries of the classes in another order, so are maps and scores.

    Entries of the classes are those whose shape follows from the number of classes.
    """
    localizer: Localizer = make_localizer(kind, method=method)
    larger = make_localizer(kind, method=method, classes=len(CLASSES) + 1).state_dict()
    order = torch.tensor([2, 0, 1])
    state = {name: reordered(value, larger[name].shape, order) for name, value in localizer.state_dict().items()}
    assert any(not torch.equal(value, localizer.state_dict()[name]) for name, value in state.items())
    with torch.inference_mode():
        before = localizer.locate(images, MapSettings())
        localizer.load_state_dict(state)
        after = localizer.locate(images, MapSettings())
    assert not torch.allclose(before.maps, after.maps)
    torch.testing.assert_close(after.maps, before.maps[:, order], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after.scores, before.scores[:, order], atol=1e-4, rtol=1e-4)


def reordered(value: torch.Tensor, larger: torch.Size, order: torch.Tensor) -> torch.Tensor:
    """An entry in another order of its classes. larger: its shape with one class more."""
    for axis, (size, more) in enumerate(zip(value.shape, larger, strict=True)):
        if size != more:
            each = more - size  # kinds of entries, one after the other, each with all classes
            assert size == each * len(order)
            places = torch.cat([kind * len(order) + order for kind in range(each)])
            value = value.index_select(axis, places)
    return value
