"""How well the localizer's classifier predicts an image's tags."""

from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score

from stages.evaluate.scores import ClassificationScore
from stages.index import Record
from stages.negatives import learned
from stages.shards import ImageMaps


class Probabilities:
    """Keeps the probabilities of the images that pass through, by image id. The maps, far larger, are not kept."""

    def __init__(self) -> None:
        self.by_id: dict[str, NDArray[np.float32] | None] = {}

    def collect(self, images: Iterable[ImageMaps]) -> Iterator[ImageMaps]:
        """Yields the images unchanged."""
        for image in images:
            self.by_id[image.id] = image.probabilities
            yield image

    def score(
        self, records: Sequence[Record], classes: Sequence[str], *, threshold: float, negatives: Collection[str] = ()
    ) -> ClassificationScore | None:
        """The score against the tags of the records, which must all have passed through.

        Images without a tag are left out, as it is not known whether they show no class or were never tagged; those of
        the splits `negatives` show none. None if an image has no probabilities or no image has a tag.
        """
        counted = learned(records, negatives)
        probabilities = [self.by_id[record.id] for record in counted]
        known = [row for row in probabilities if row is not None]
        if not any(record.labels for record in counted) or len(known) < len(counted):
            return None
        tags = np.array([[name in record.labels for name in classes] for record in counted])
        return classification_score(np.stack(known), tags, threshold=threshold)


def classification_score(
    probabilities: NDArray[np.float32], tags: NDArray[np.bool_], *, threshold: float
) -> ClassificationScore:
    """Scores of `probabilities` [images, C] against `tags` [images, C], at least one of which is true.

    Mean average precision over the classes that some image is tagged with, without interpolation, as in scikit-learn's
    average_precision_score. A class is found in an image if its probability is `threshold` or more. Macro F1 is over
    the classes that are tagged or found in some image: one that is only found counts 0, as in mIoU.
    """
    found = probabilities >= threshold
    there = tags.any(axis=0)
    precisions = [average_precision_score(tags[:, k], probabilities[:, k]) for k in np.flatnonzero(there)]
    counted = there | found.any(axis=0)
    f1 = f1_score(tags[:, counted], found[:, counted], average=None, zero_division=0)
    return ClassificationScore(
        map=100 * float(np.mean(precisions)),
        f1=100 * float(np.mean(f1)),
        threshold=threshold,
        images=len(tags),
    )
