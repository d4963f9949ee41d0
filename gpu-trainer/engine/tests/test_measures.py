"""Measures against what must be true of them: good features beat noise, the same lies near, another lies far, planted errors are found."""

import numpy as np
import pytest

from engine import distances, targets, transferability
from engine.calibration import softmax
from engine.heads import Matrix, turns
from engine.label_noise import find_label_issues, noise_share
from engine.neighbours import near_duplicates, outliers, same_pictures
from engine.survey import sample


def clusters(n: int, d: int, classes: int, apart: float, seed: int) -> tuple[Matrix, np.ndarray]:
    random = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return random.normal(size=(classes, d))[y] * apart + random.normal(size=(n, d)), y


def test_log_me_and_h_score_put_telling_features_above_noise() -> None:
    good, y = clusters(120, 40, 3, 1.0, 1)
    fair, _ = clusters(120, 40, 3, 0.4, 1)
    noise = np.random.default_rng(2).normal(size=(120, 40))
    by_evidence = [transferability.log_me(x, y, 3) for x in (good, fair, noise)]
    by_separation = [transferability.h_score(x, y) for x in (good, fair, noise)]
    assert by_evidence == sorted(by_evidence, reverse=True)
    assert by_separation == sorted(by_separation, reverse=True)
    assert by_separation[0] <= 2  # at most classes - 1


def test_log_me_is_the_evidence_of_the_linear_model() -> None:
    """Against the marginal likelihood y ~ N(0, I / beta + F F' / alpha), maximised on a grid."""
    x, y = clusters(30, 4, 2, 0.7, 3)
    expected = []
    for c in range(2):
        target = (y == c).astype(float)
        best = -np.inf
        for alpha in np.exp(np.linspace(-4, 6, 60)):
            for beta in np.exp(np.linspace(-1, 5, 60)):
                covariance = np.eye(30) / beta + x @ x.T / alpha
                _, logdet = np.linalg.slogdet(covariance)
                best = max(best, -0.5 * (logdet + target @ np.linalg.solve(covariance, target) + 30 * np.log(2 * np.pi)))
        expected.append(best / 30)
    assert transferability.log_me(x, y, 2) == pytest.approx(np.mean(expected), abs=2e-3)


def test_leep_prefers_a_source_whose_classes_match() -> None:
    y = np.arange(60) % 3
    matching = softmax(np.eye(3)[y] * 4.0, 1.0)
    assert transferability.leep(matching, y, 3) > transferability.leep(np.full((60, 3), 1 / 3), y, 3)
    assert transferability.leep(np.full((60, 3), 1 / 3), y, 3) == pytest.approx(np.log(1 / 3))


def test_the_same_is_near_and_another_is_far() -> None:
    random = np.random.default_rng(4)
    a, b = random.normal(size=(150, 20)), random.normal(size=(150, 20))
    same = distances.between(a, b, 1)
    assert same.mmd_p_value > 0.05
    assert same.kind == "near"
    shifted = distances.between(a, b * 1.5 + 0.8, 1)
    assert shifted.mmd_p_value <= 0.01
    assert shifted.proxy_a > 1.2
    assert shifted.kind == "far"
    assert shifted.coral > same.coral


def test_two_sample_p_values_are_small_only_for_a_shift() -> None:
    random = np.random.default_rng(5)
    same = [distances.two_sample_test(random.normal(size=(60, 10)), random.normal(size=(40, 10)), s)[1] for s in range(20)]
    assert np.mean(np.array(same) < 0.1) <= 0.3
    area, p = distances.two_sample_test(random.normal(size=(60, 10)), random.normal(size=(40, 10)) + 0.7, 1)
    assert area > 0.8
    assert p <= 0.01


def test_held_out_scores_are_those_of_refits() -> None:
    random = np.random.default_rng(6)
    x, t = random.normal(size=(40, 6)), random.normal(size=(40, 1))
    folds = np.arange(40) % 4
    centred = x - x.mean(axis=0)
    kernel = centred @ centred.T
    kernel = kernel / (np.trace(kernel) / 40) + 1
    said = distances.held_out_scores(x, t, folds)
    for f in range(4):
        inside, outside = np.flatnonzero(folds != f), np.flatnonzero(folds == f)
        alpha = np.linalg.solve(kernel[np.ix_(inside, inside)] + distances.PENALTY * np.eye(len(inside)), t[inside])
        np.testing.assert_allclose(said[outside], kernel[np.ix_(outside, inside)] @ alpha, atol=1e-9)


def test_planted_wrong_labels_are_found() -> None:
    x, y = clusters(300, 30, 4, 1.5, 7)
    random = np.random.default_rng(8)
    planted = random.choice(300, 30, replace=False)
    given = y.copy()
    given[planted] = (y[planted] + 1 + random.integers(0, 3, 30)) % 4
    scores, _ = transferability.out_of_fold_scores(x, given, 4)
    found = find_label_issues(scores, given)
    hits = np.intersect1d(found.rows, planted)
    assert len(hits) >= 27
    assert len(found.rows) - len(hits) <= 3
    assert (found.suggested[np.isin(found.rows, planted)] == y[hits_of(found.rows, planted)]).mean() > 0.9
    assert found.share == pytest.approx(0.1, abs=0.04)
    clean = find_label_issues(transferability.out_of_fold_scores(x, y, 4)[0], y)
    assert clean.share is not None
    assert clean.share < 0.03
    assert len(clean.rows) <= 1


def test_rows_that_are_hard_to_tell_apart_are_no_wrong_labels() -> None:
    """One row in four is mistaken for another class, and still each label is what the row is."""
    x, y = clusters(600, 30, 4, 0.4, 7)
    scores, _ = transferability.out_of_fold_scores(x, y, 4)
    assert 0.6 < (scores.argmax(1) == y).mean() < 0.85
    found = find_label_issues(scores, y)
    assert found.share == pytest.approx(0, abs=0.01)
    assert len(found.rows) <= 2


def test_of_labels_without_any_meaning_no_share_is_told() -> None:
    x, _ = clusters(200, 30, 4, 1.5, 7)
    y = np.random.default_rng(9).integers(0, 4, 200)
    found = find_label_issues(transferability.out_of_fold_scores(x, y, 4)[0], y)
    assert found.share is None
    assert len(found.rows) == 0


def hits_of(rows: np.ndarray, planted: np.ndarray) -> np.ndarray:
    return rows[np.isin(rows, planted)]


def test_planted_duplicates_are_found_on_the_right_side() -> None:
    x, y = clusters(60, 30, 3, 0.5, 9)
    split = np.where(np.arange(60) < 40, 0, 2)
    x[50] = x[5] * 1.01  # held out, the same label
    y[50] = y[5]
    x[20], y[20] = x[10], y[10]
    x[31], y[31] = x[30], (y[30] + 1) % 3
    issues = near_duplicates(x, y, split, np.arange(60) + 100, ["a", "b", "c"], 0.97)
    assert {(i["code"], i["row"], i["with"]) for i in issues} == {
        ("near_duplicate_across_splits", 105, 150),
        ("near_duplicate", 120, 110),
        ("conflicting_duplicate", 131, 130),
    }


def test_copies_of_pictures_are_told_from_pictures_that_are_merely_alike() -> None:
    """Twenty different pictures, and twenty of one thing that differ in details: correlations of .97 and more between any two of these."""
    random = np.random.default_rng(3)
    other = random.uniform(0, 255, (20, 16, 16, 3))
    alike = other[0] + random.normal(0, 12, (20, 16, 16, 3))
    small = np.concatenate([other, alike, alike[7:8] + random.normal(0, 2, (1, 16, 16, 3)), 0.8 * other[5:6, :, ::-1], other[9:10], other[9:10]])
    small = np.concatenate([small, np.zeros((2, 16, 16, 3))]).astype(np.float32)
    issues = same_pictures(small, np.zeros(46, dtype=np.int64), np.zeros(46, dtype=np.int64), np.arange(46) + 100, ["a"])
    assert {(i["row"], i["with"]) for i in issues} == {(140, 127), (141, 105), (142, 109), (143, 109)}
    assert all(i["code"] == "near_duplicate" and f"row {i['with']} (pixels" in i["detail"] for i in issues)


def test_an_outlier_is_one_row() -> None:
    random = np.random.default_rng(10)
    x = random.normal(size=(80, 10)) * 0.1 + np.eye(10)[0]
    x[33] = -np.eye(10)[4]
    assert [i["row"] for i in outliers(x, np.arange(80))] == [33]


def test_the_curve_rises_and_its_extrapolation_is_below_certainty() -> None:
    x, y = clusters(240, 60, 4, 0.35, 11)
    points, law = transferability.learning_curve(x, y, 4, np.ones(len(y)), 1)
    measured = [p for p in points if p["measured"]]
    beyond = [p for p in points if not p["measured"]]
    assert law is not None
    assert [p["examples_per_class"] for p in measured] == [1, 2, 4, 8, 16, 32, 48]
    assert measured[-1]["accuracy"] > measured[0]["accuracy"] + 0.1
    assert [p["examples_per_class"] for p in beyond] == [96, 192, 384]
    # Points so few cannot tell that the curve does not end here.
    assert all(p["interval"]["low"] <= measured[-1]["interval"]["low"] for p in beyond)
    # More of the same distribution: what was foretold for four times the rows is within its interval.
    more, z = clusters(1200, 60, 4, 0.35, 11)
    scores, _ = transferability.out_of_fold_scores(more[:960], z[:960], 4)
    truth = float((scores.argmax(1) == z[:960]).mean())
    assert beyond[1]["interval"]["low"] - 0.02 <= truth <= beyond[1]["interval"]["high"] + 0.02


def test_rows_that_were_drawn_evenly_stand_for_all_rows() -> None:
    """Of 10,000 rows, 9,500 of one label, 200 are drawn, 100 of each: 90 and 50 of them are answered right."""
    every = (np.arange(10_000) >= 9_500).astype(np.int64)
    drawn = sample(every, 2, 200, 1)
    y = every[drawn.picked]
    assert np.bincount(y).tolist() == [100, 100] and drawn.counts.tolist() == [9_500, 500] and drawn.rows == 10_000
    told = np.where(turns(y) <= np.where(y == 0, 90, 50), y, 1 - y)
    share, interval = transferability.weighted_share(told == y, drawn.weights)
    assert share == pytest.approx(0.95 * 0.9 + 0.05 * 0.5)
    assert interval == pytest.approx(transferability.wilson(0.88 * 110.5, 110.5), abs=1e-4)  # 1 / (.95^2 / 100 + .05^2 / 100)
    assert targets.most_frequent_share(y, drawn.weights) == pytest.approx(0.95)
    scores = np.eye(2)[told] - 0.5
    assert transferability.least_recall(scores, y) == pytest.approx(0.7 - 1.96 * np.sqrt(0.09 + 0.25) / 20, abs=0.005)


def test_one_of_several_labels_is_a_question_of_two_classes() -> None:
    """What measures say of rows that have a label or not is what they say of two classes; a label that all rows have asks nothing."""
    x, y = clusters(90, 12, 2, 0.6, 5)
    several = y[:, None]
    assert transferability.h_score(x, several) == pytest.approx(transferability.h_score(x, y))
    assert transferability.h_score(x, np.stack([y, np.ones(90, dtype=np.int64)], axis=1)) == pytest.approx(transferability.h_score(x, y))
    own = softmax(x[:, :3], 1.0)
    assert transferability.leep(own, several, 1) == pytest.approx(transferability.leep(own, y, 2))
    scores = np.random.default_rng(6).normal(size=90) + y - 0.5
    two = np.stack([-scores, scores], axis=1)
    assert transferability.least_recall(scores[:, None], several) <= transferability.least_recall(two, y) + 1e-12
    assert noise_share(scores[:, None], several) == noise_share(two, y)


def test_rows_of_several_labels_are_drawn_by_their_rarest_and_stand_for_all() -> None:
    """Of 1,000 rows with a frequent label 20 have a rare one too, and 100 have none."""
    every = np.zeros((1_100, 2), dtype=np.int64)
    every[:1_000, 0] = 1
    every[:20, 1] = 1
    drawn = sample(every, 2, 60, 1)
    y = every[drawn.picked]
    assert y.sum(axis=0).tolist() == [40, 20] and drawn.counts.tolist() == [1_000, 20] and sorted(drawn.groups.tolist()) == [20, 100, 980]
    assert drawn.weights.sum() == pytest.approx(1_100)
    assert targets.most_frequent_share(y, drawn.weights) == pytest.approx(980 / 1_100)


def test_a_power_law_is_recovered() -> None:
    sizes = np.array([1.0, 2, 4, 8, 16, 32])
    law = transferability.fit_power_law(sizes, 0.6 * sizes**-0.5 + 0.0, np.ones(6))
    assert law.accuracy(128) == pytest.approx(1 - 0.6 * 128**-0.5, abs=0.01)
