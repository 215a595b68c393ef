"""Background's score, worked by hand; sets of CRF values by name; thresholds as the config gives them."""

import numpy as np
import pytest
from pydantic import ValidationError

from stages.errors import DataError, SettingsError
from stages.refine.background import Background, add_power, add_threshold
from stages.settings import CRF_SETS, RefineSettings
from stages.thresholds import Threshold, read_threshold, write_threshold

MAPS = np.array([[[0.5, 0.0]], [[0.2, 1.0]]], dtype=np.float32)


def test_a_threshold_is_the_same_everywhere() -> None:
    scores = add_threshold(MAPS, 0.3)
    assert scores.shape == (3, 1, 2)
    np.testing.assert_allclose(scores[0], 0.3)
    np.testing.assert_array_equal(scores[1:], MAPS)


def test_a_power_falls_with_the_best_map() -> None:
    # (1 - 0.5)^3 = 0.125; where a map is 1 nothing is left for background.
    np.testing.assert_allclose(add_power(MAPS, 3)[0], [[0.125, 0.0]])
    assert add_power(MAPS[:0], 3).tolist() == [[[1.0, 1.0]]]


def test_the_settings_choose_between_them() -> None:
    np.testing.assert_array_equal(Background(RefineSettings(), 0.3)(MAPS), add_threshold(MAPS, 0.3))
    power = RefineSettings(background="power", background_power=3)
    np.testing.assert_array_equal(Background(power, None)(MAPS), add_power(MAPS, 3))
    with pytest.raises(SettingsError, match="--threshold"):
        Background(RefineSettings(), None)(MAPS)


@pytest.mark.parametrize("value", [0, 1.01, True, "automatic", -0.2])
def test_a_wrong_threshold_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="must be a number above 0 and up to 1, `auto` or `oracle`"):
        RefineSettings(background_threshold=value)  # type: ignore[arg-type]


def test_crf_values_have_names() -> None:
    # Standard deviations and weights as the programs of the three papers set them.
    named = RefineSettings.model_validate({"crf": "psa"}).crf
    assert (named.bilateral_position, named.bilateral_colour, named.bilateral_weight) == (80, 13, 10)
    assert (named.gaussian_position, named.gaussian_weight, named.iterations) == (3, 3, 10)
    assert RefineSettings().crf == CRF_SETS["irn"]
    assert RefineSettings.model_validate({"crf": {"iterations": 5}}).crf.iterations == 5
    with pytest.raises(ValidationError, match="psa, deeplab, irn"):
        RefineSettings.model_validate({"crf": "psaa"})


def test_a_threshold_is_a_number_or_a_file(tmp_path) -> None:
    assert read_threshold("0.4") == Threshold(0.4, "fixed")
    path = tmp_path / "auto.json"
    write_threshold(path, Threshold(0.35, "auto"), [(0.3, 70.0), (0.35, 71.0)], criterion="agreement")
    assert read_threshold(str(path)) == Threshold(0.35, "auto")
    with pytest.raises(SettingsError, match="1.5"):
        read_threshold("1.5")
    path.write_text("{}")
    with pytest.raises(DataError, match="holds no threshold"):
        read_threshold(str(path))


def test_an_ignore_band_rises() -> None:
    assert RefineSettings(ignore_band=(0.2, 0.5)).ignore_band == (0.2, 0.5)
    with pytest.raises(ValidationError, match=r"ignore_band: \[0.5, 0.2\] must be increasing"):
        RefineSettings(ignore_band=(0.5, 0.2))
