"""What a method is expected to bring: a trial weighed by its own uncertainty, and earlier data where there was no trial."""

import pytest

from engine.gain import Gain, expected, of_aligning, of_tuning

from .small import trial_of


def test_a_large_trial_outweighs_what_was_measured_before_and_a_small_one_does_not() -> None:
    prior = (0.06, 0.05)
    assert expected(prior, None) == Gain(0.06 - 1.96 * 0.05, 0.06, 0.06 + 1.96 * 0.05, "prior")
    # 20 % of the rows are errors; 0.04 ± 0.02 of all rows is a share of 0.2 of them with a deviation of 0.02 / 1.96 / 0.2 = 0.051.
    one = expected(prior, trial_of(0.04))
    deviation = 0.02 / 1.96 / 0.2
    trust = 0.05**2 / (0.05**2 + deviation**2)
    assert one.basis == "measured"
    assert one.usual == pytest.approx(0.06 + trust * 0.14)
    assert one.high - one.usual == pytest.approx(1.96 / (1 / 0.05**2 + 1 / deviation**2) ** 0.5)
    few = expected(prior, trial_of(0.04, rows=40, half=0.1))
    assert abs(few.usual - 0.06) < abs(one.usual - 0.06) / 3
    # A trial in which no answer changed has the spread of one row, not of none.
    still = expected(prior, trial_of(0.0, rows=50, half=0.0))
    assert 0.01 < still.usual < 0.06
    assert expected(prior, trial_of(0.0, without=1.0)) == Gain(0.0, 0.0, 0.0, "measured")


def test_once_it_was_tried_earlier_data_say_how_large_a_gain_is_not_that_there_is_one() -> None:
    for modality in ("image", "text"):
        assert of_tuning(modality, None).usual > 0.01
        # The interval still says how little forty rows can exclude.
        still = of_tuning(modality, trial_of(0.0, rows=40, half=0.1))
        assert still.usual == pytest.approx(0.0, abs=1e-12) and still.low < -0.1 and still.high > 0.1
    # Half a row's worth of doubt about a gain of two rows is believed more than five rows' worth.
    sure, unsure = (of_tuning("image", trial_of(0.05, rows=40, half=half)).usual for half in (0.03, 0.3))
    assert 0.0 < unsure < 0.01 < sure < 0.25
    # Means that bring nothing do not refute an adaptation that does more than align means.
    assert of_aligning(trial_of(0.0, rows=20, half=0.1)).usual > 0.01
