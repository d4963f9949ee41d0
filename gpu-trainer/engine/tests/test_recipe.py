"""What a job may ask of a method: options that contradict each other are refused by name, and a result tells those that took part."""

from typing import Any

import pytest

from engine.losses.alignment import DEFAULT_WEIGHTS
from engine.recipe import recipe_of
from engine.wire import EngineError


@pytest.mark.parametrize(
    ("method", "options", "modality", "field"),
    [
        ("fine_tune", {"mixup": 0.2}, "text", "mixup"),
        ("fine_tune", {"last_blocks": 8}, "text", "last_blocks: 8 is too many: the tail has 2 blocks"),
        ("fine_tune", {"probe_epochs": 6}, "text", "probe_epochs"),
        ("linear_probe", {"last_blocks": 1}, "image", "last_blocks"),
        ("linear_probe", {"depth": "full"}, "image", "depth"),
        ("contrastive", {"depth": "full"}, "text", "depth"),
        ("contrastive", {"mixup": 0.2}, "image", "mixup"),
        ("from_scratch", {"depth": "head"}, "image", "depth"),
        ("from_scratch", {"l2_sp": 0.1}, "image", "l2_sp"),
        ("from_scratch", {"gradual_unfreezing": True}, "text", "gradual_unfreezing"),
        ("from_scratch", {"probe_epochs": 1}, "text", "probe_epochs"),
        ("domain_confusion", {"batch_size": 1}, "text", "batch_size: a batch of 1 is too small"),
        ("domain_adaptation", {"batch_size": 3, "alignment": "mmd"}, "image", "batch_size"),
    ],
)
def test_options_that_contradict_are_named(method: str, options: dict[str, Any], modality: str, field: str) -> None:
    with pytest.raises(EngineError, match=f"method.{field}") as raised:
        recipe_of(method, options, modality)
    assert (raised.value.code, raised.value.blame, raised.value.retryable) == ("options_invalid", "caller", False)


def test_a_method_that_is_not_there() -> None:
    with pytest.raises(EngineError, match=r"method\.type") as raised:
        recipe_of("magic", {}, "text")
    assert raised.value.code == "method_unavailable"


def test_a_result_tells_the_settings_that_took_part_and_no_others() -> None:
    def told(method: str, modality: str, **options: Any) -> dict[str, Any]:
        return recipe_of(method, options, modality).described()

    for method in ("linear_probe", "zero_shot"):
        assert told(method, "text", epochs=3, l2_sp=0.1) == {"depth": "head"}
    assert told("fine_tune", "image", depth="head") == {"depth": "head"}
    assert told("fine_tune", "text", epochs=3)["epochs"] == 3 and "alignment" not in told("fine_tune", "text", alignment="coral")
    assert told("domain_adaptation", "text")["alignment"] == "coral"
    assert told("domain_adaptation", "text")["alignment_weight"] == DEFAULT_WEIGHTS["coral"]
    assert told("domain_adaptation", "image", alignment="mmd", alignment_weight=0.0)["alignment_weight"] == 0
    assert told("domain_confusion", "image")["alignment_weight"] == DEFAULT_WEIGHTS["dann"]
    pictures = {"size", "augment_views", "mixup"}
    assert pictures & told("fine_tune", "text").keys() == pictures & told("from_scratch", "text").keys() == set()
    assert pictures & told("fine_tune", "image").keys() == {"augment_views", "mixup"}
    assert pictures & told("from_scratch", "image").keys() == {"size", "mixup"}
    assert {"label_smoothing", "class_weights"} & told("contrastive", "text").keys() == set()
    # The pull towards the start takes the place of the decay.
    assert "weight_decay" in told("fine_tune", "text") and "weight_decay" not in told("fine_tune", "text", l2_sp=0.1)
    # Statistics have no weight.
    assert told("domain_adaptation", "image", alignment_weight=2.0) == {**told("fine_tune", "image"), "alignment": "adabn"}


def test_more_last_blocks_than_the_tail_has_train_the_whole_network() -> None:
    assert recipe_of("fine_tune", {"last_blocks": 2}, "image").depth == "tail"
    assert recipe_of("fine_tune", {"last_blocks": 3}, "image").depth == "whole"
