"""Figures of a run from samples: which device did the work, and its energy."""

from __future__ import annotations

from collections.abc import Sequence

import psutil
import pytest

from playground.gauges import aggregate
from playground.gauges.readings import Gauge, Meter, Sample, WorkerLoad
from tests.support.stub_meters import NS_PER_S as S
from tests.support.stub_meters import sample

LANE = "openvino-genai:NPU:int4"
ALL_CORES = 100.0
HALF_A_CORE = 50.0 / (psutil.cpu_count() or 1)


def npu(*percents: float | None, worker: float | None = 1.0) -> list[Sample]:
    """One sample a second, from second 0 on, of an NPU and of the lane's worker."""
    return [
        sample(
            second,
            npus=(Gauge("NPU", percent),),
            workers={LANE: WorkerLoad(worker, 100)},
        )
        for second, percent in enumerate(percents, 1)
    ]


def proof(samples: Sequence[Sample], device: str, begin: float, end: float) -> aggregate.Proof:
    return aggregate.proof(samples, int(begin * S), int(end * S), LANE, device)


def test_a_busy_npu_is_proof() -> None:
    result = proof(npu(0, 90, 96, 0), "NPU", 1, 3)
    assert (result.percent, result.text) == (93, "NPU 93 % busy during this answer")


def test_the_time_before_and_after_the_answer_does_not_count() -> None:
    assert proof(npu(100, 40, 40, 100), "NPU", 1.1, 2.9).percent == 40


def test_samples_are_weighted_by_time() -> None:
    samples = [
        sample(1.0, 0.1, npus=(Gauge("NPU", 0),)),
        sample(1.9, 0.9, npus=(Gauge("NPU", 100),)),
    ]
    assert proof(samples, "NPU", 0.9, 1.9).percent == pytest.approx(90)


def test_an_answer_that_no_sample_covers_has_no_figure() -> None:
    assert proof(npu(90, 90), "NPU", 0.4, 0.8) == aggregate.Proof(None, "NPU load not known")
    assert proof(npu(90, None, None, None), "NPU", 0, 4).percent is None
    assert proof([], "NPU", 0, 4).percent is None


def test_an_idle_npu_beside_a_busy_worker_means_that_the_cpu_did_the_work() -> None:
    result = proof(npu(0, 1, 2, worker=ALL_CORES), "NPU", 0, 3)
    assert (result.percent, result.text) == (1, "NPU idle (1 %): the CPU did the work")


def test_an_idle_npu_and_an_idle_worker_prove_nothing_about_the_cpu() -> None:
    idle = HALF_A_CORE / 2
    assert proof(npu(0, 0, worker=idle), "NPU", 0, 2).text == "NPU 0 % busy during this answer"


def test_a_cpu_lane_has_its_worker_s_share_of_the_machine() -> None:
    result = proof(npu(0, 0, worker=48), "CPU", 0, 2)
    assert (result.percent, result.text) == (48, "used 48 % of the CPU")


def gpus(*gauges: Gauge) -> list[Sample]:
    return [sample(1, gpus=gauges), sample(2, gpus=gauges)]


def test_the_load_of_a_gpu_is_the_lane_s_own_part_if_known() -> None:
    shared = Gauge("Arc", 99, per_lane={LANE: 30.0, "other": 69.0})
    result = proof(gpus(shared), "GPU.0", 0, 2)
    assert (result.percent, result.text) == (30, "GPU.0 30 % busy with this answer")


def test_of_two_gpus_the_one_that_the_engine_named_counts() -> None:
    both = gpus(
        Gauge("Arc", 2, per_lane={LANE: 2.0}, key="0:1"),
        Gauge("RTX", 88, per_lane={LANE: 88.0}, key="0:2"),
    )
    assert aggregate.proof(both, 0, 2 * S, LANE, "DML", "0:1").percent == 2
    assert aggregate.proof(both, 0, 2 * S, LANE, "DML", "0:2").percent == 88


def test_the_load_of_one_of_two_gpus_is_not_assigned_to_the_lane() -> None:
    assert proof(gpus(Gauge("Arc", 2), Gauge("RTX", 88)), "GPU.0", 0, 2).percent is None
    only = proof(gpus(Gauge("RTX", 88)), "CUDA", 0, 2)
    assert only.text == "CUDA 88 % busy during this answer"


def test_a_proxy_proves_nothing() -> None:
    assert proof(gpus(Gauge("Arc", 100, proxy=True)), "GPU.0", 0, 2).percent is None


def powered(*meters: Meter) -> list[Sample]:
    return [sample(second, meters=meters) for second in (1, 2, 3)]


PACKAGE, RTX = Meter("package", 20.0), Meter("RTX", 50.0, covers="0:2")
LOCKED = Meter("package", None, reason="Only root may read it.")


def test_energy_is_power_over_the_time_of_the_answer() -> None:
    assert aggregate.energy_j(powered(PACKAGE), 0, 3 * S) == pytest.approx(60)
    assert aggregate.energy_j(powered(PACKAGE, RTX), 0, 3 * S) == pytest.approx(210), "all meters"


def test_without_the_package_s_meter_only_a_card_has_energy() -> None:
    assert aggregate.energy_j(powered(LOCKED, RTX), 0, 3 * S) is None, "a CPU's share is not known"
    alone = aggregate.energy_j(powered(LOCKED, RTX), 0, 3 * S, key="0:2", card=True)
    assert alone == pytest.approx(150)
    assert aggregate.energy_j(powered(LOCKED, RTX), 0, 3 * S, card=True) == pytest.approx(150)
    assert aggregate.energy_j(powered(), 0, 3 * S) is None


def test_a_card_without_a_meter_has_no_energy() -> None:
    """The package's energy alone would be far too low."""
    assert aggregate.energy_j(powered(PACKAGE), 0, 3 * S, card=True) is None
    two = powered(PACKAGE, RTX, Meter("Arc", None, covers="0:1"))
    assert aggregate.energy_j(two, 0, 3 * S, key="0:1", card=True) is None
    assert aggregate.energy_j(two, 0, 3 * S, key="0:2", card=True) == pytest.approx(210)


def test_an_answer_too_short_for_the_meter_has_no_energy() -> None:
    assert aggregate.energy_j([sample(0.5, 0.5, meters=(PACKAGE,))], 0, S // 2) is None
