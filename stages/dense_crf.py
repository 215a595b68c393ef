"""Dense CRF: moves the border between labels to where the image's colours change."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from stages.errors import DataError
from stages.finite import is_finite
from stages.permutohedral import Floats, Lattice
from stages.settings import CrfSettings

# A smaller probability has this one's energy, as in pydensecrf.
LEAST_PROBABILITY = 1e-5
# Probabilities that go through the lattice together: more would leave the processor's cache.
TOGETHER = 8


class ImageCrf:
    """The fully connected CRF of one image. Its kernels depend on the image alone, so they are built once for all the
    probabilities that are tried on it.

    Kraehenbuehl and Koltun, "Efficient inference in fully connected CRFs with Gaussian edge potentials", NeurIPS 2011,
    equations 2 and 3: unary energy -log p, a bilateral and a Gaussian kernel, Potts compatibility. Same results as
    pydensecrf, up to rounding.

    image: [rows, columns, 3] uint8 RGB.
    """

    def __init__(self, image: NDArray[np.uint8], settings: CrfSettings) -> None:
        rows, columns = image.shape[:2]
        colours = image.reshape(-1, 3).T.astype(np.float32) / np.float32(settings.bilateral_colour)
        self._bilateral = Lattice(np.concatenate([_positions(rows, columns, settings.bilateral_position), colours]))
        self._bilateral_weight = settings.bilateral_weight
        self._gaussian = _gaussian_kernel(rows, columns, settings.gaussian_position)
        self._gaussian_weight = settings.gaussian_weight
        self._iterations = settings.iterations
        self._of_all = self._response(np.ones(rows * columns, dtype=np.float32))[:, None]

    def __call__(self, probabilities: Floats) -> Floats:
        """Label probabilities after mean-field inference, from [labels, rows, columns] float32 to the same shape."""
        return _softmax(self._log_odds([probabilities])).reshape(probabilities.shape)

    def labels(self, probabilities: Iterable[Floats]) -> Iterator[NDArray[np.uint8]]:
        """The most probable label of each pixel [rows, columns], for each of several probabilities as above. Eight are
        inferred in less than twice the time of one."""
        for group in _groups(probabilities):
            best = _best(self._log_odds(group))
            for column in range(len(group)):
                yield best[:, column].reshape(group[0].shape[1:])

    def confident_labels(self, probabilities: Iterable[Floats]) -> Iterator[tuple[NDArray[np.uint8], Floats]]:
        """The same with the probability of that label after inference, [rows, columns]."""
        for group in _groups(probabilities):
            odds, shape = self._log_odds(group), group[0].shape[1:]
            best, highest = _best(odds), _softmax(odds).max(axis=0)
            for column in range(len(group)):
                yield best[:, column].reshape(shape), highest[:, column].reshape(shape)

    def _log_odds(self, probabilities: Sequence[Floats]) -> Floats:
        """Log of each label's probability over that of label 0 after inference, [labels - 1, pixels, columns]: a column
        for each of the inputs, and more where the lattice is faster with them. Raises DataError if they are not
        finite."""
        unary = _log_odds_before(probabilities)
        odds = unary
        for _ in range(self._iterations):
            messages = self._filtered(_softmax(odds)[1:])
            # The labels' probabilities sum to 1, so label 0 receives what is left of that sum's message.
            messages += messages.sum(axis=0) - self._of_all
            odds = np.add(messages, unary, out=messages)
        if not is_finite(odds):
            raise DataError(
                "the CRF of an image overflowed (NaN or infinite), and would label all of it background; check that the"
                " maps are finite, or lower bilateral_weight and gaussian_weight"
            )
        return odds

    def _filtered(self, values: Floats) -> Floats:
        """The weighted sum of both kernels' responses to values [labels, pixels, columns], same shape."""
        labels, pixels, columns = values.shape
        if columns > 1:
            return np.stack([self._response(of_label) for of_label in values])
        if labels < 3:
            return np.stack([self._response(of_label[:, 0])[:, None] for of_label in values])
        packed = np.zeros((pixels, _width(labels)), dtype=np.float32)
        packed[:, :labels] = values[..., 0].T
        return np.ascontiguousarray(self._response(packed)[:, :labels].T)[..., None]

    def _response(self, values: Floats) -> Floats:
        bilateral = self._bilateral(values)
        bilateral *= self._bilateral_weight
        gaussian = self._gaussian(values)
        gaussian *= self._gaussian_weight
        bilateral += gaussian
        return bilateral


def dense_crf(image: NDArray[np.uint8], probabilities: Floats, settings: CrfSettings) -> Floats:
    """Label probabilities after the CRF of one image: `ImageCrf` for a single use."""
    return ImageCrf(image, settings)(probabilities)


def _groups(probabilities: Iterable[Floats]) -> Iterator[list[Floats]]:
    """Those that go through the lattice together."""
    remaining = iter(probabilities)
    while group := list(islice(remaining, TOGETHER)):
        yield group


def _positions(rows: int, columns: int, deviation: float) -> Floats:
    """x and y of the pixels in row order, [2, pixels], in units of `deviation` pixels."""
    y, x = np.indices((rows, columns), dtype=np.float32).reshape(2, -1) / np.float32(deviation)
    return np.stack([x, y])


@lru_cache(maxsize=2)  # upright and lying images of the same camera
def _gaussian_kernel(rows: int, columns: int, deviation: float) -> Lattice:
    return Lattice(_positions(rows, columns, deviation))


def _width(columns: int) -> int:
    """The next power of 2: numbers of columns that the lattice is fast with."""
    return 1 << (columns - 1).bit_length()


def _log_odds_before(probabilities: Sequence[Floats]) -> Floats:
    """Log of each label's probability over that of label 0, [labels - 1, pixels, columns] of several probabilities
    [labels, rows, columns]; columns that are added to reach a power of 2 are 0."""
    labels, rows, columns = probabilities[0].shape
    odds = np.zeros((labels - 1, rows * columns, _width(len(probabilities))), dtype=np.float32)
    for column, own in enumerate(probabilities):
        logs = np.log(np.clip(own, LEAST_PROBABILITY, 1, dtype=np.float32)).reshape(labels, -1)
        odds[:, :, column] = logs[1:] - logs[0]
    return odds


def _softmax(odds: Floats) -> Floats:
    """Probabilities of all labels [labels, pixels, columns] from log odds against label 0."""
    top = odds.max(axis=0, initial=0)
    scores = np.concatenate([-top[None], odds - top])
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=0)
    return scores


def _best(odds: Floats) -> NDArray[np.uint8]:
    """The label with the best log odds [pixels, columns], label 0 if none is above 0."""
    top = np.zeros(odds.shape[1:], dtype=np.float32)
    best = np.zeros(odds.shape[1:], dtype=np.uint8)
    for label, own in enumerate(odds, start=1):
        best[own > top] = label
        np.maximum(top, own, out=top)
    return best
