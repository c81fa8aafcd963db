"""The summary that `gauges --json` prints."""

from __future__ import annotations

import pytest

from playground.gauges.probes import FAILED
from playground.gauges.readings import Gauge, Meter
from playground.gauges.summary import summary
from tests.support.stub_meters import sample

LANE = "openvino-genai:NPU:int4"
LOCKED = Meter("package", None, reason="Only root may read it.")


def test_the_summary_has_averages_weighted_by_time_and_reasons() -> None:
    memory = {"memory_used_mb": 4000.0, "memory_total_mb": 16000.0}
    result = summary(
        [
            sample(1, cpu_percent=10.0, meters=(LOCKED,), **memory),
            sample(1.5, 0.5, cpu_percent=40.0, meters=(LOCKED,), **memory),
        ]
    )
    assert result["cpu"]["percent"] == pytest.approx(20)
    assert result["memory"] == {"used_mb": 4000, "total_mb": 16000, "percent": 25}
    assert result["gpu"] == [{"percent": None, "reason": "This machine has no GPU."}]
    assert result["npu"] == {"percent": None, "reason": "This machine has no NPU."}
    assert (result["power"]["watts"], result["power"]["reason"]) == (None, "Only root may read it.")


def test_the_summary_names_each_gpu_with_its_lanes() -> None:
    one = Gauge("Arc", 30, "fdinfo", per_lane={LANE: 30.0})
    two = Gauge("RTX", None, reason=FAILED)
    arc, rtx = summary([sample(1, gpus=(one, two)), sample(2, gpus=(one, two))])["gpu"]
    assert (arc["name"], arc["percent"], arc["per_lane"]) == ("Arc", 30, {LANE: 30})
    assert (rtx["percent"], rtx["reason"]) == (None, FAILED)
