"""The strip of gauges and the proof under a column, as a visitor sees them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from playground.gauges import power_source
from playground.gauges.power_source import PowerSource
from playground.gauges.probes import Probes
from playground.gauges.readings import Gauge, Meter, Sample
from playground.page.compare.strip import strip
from playground.page.components import Json
from playground.runs.lane_run import LaneView
from tests.support.served_page import TWO, Served, press_run, state
from tests.support.stub_meters import StubGauge, StubMeter

pytest_plugins = ["tests.support.page_fixtures"]
S = 1_000_000_000
Visit = Callable[..., Page]


def sample(second: int, **fields: object) -> Sample:
    return Sample((second - 1) * S, second * S, **fields)  # type: ignore[arg-type]


def shown(*samples: Sample) -> dict[str, Json]:
    """The gauges by their label."""
    return {gauge["label"]: gauge for gauge in strip(samples, False, "")["gauges"]}


def test_what_is_unknown_says_why_and_is_never_zero() -> None:
    gauges = shown(
        sample(
            1,
            cpu_percent=12.4,
            gpus=(Gauge("Arc", None, reason="Its driver does not answer any more."),),
            meters=(Meter("package", None, reason="Only root may read it."),),
        )
    )
    fields = {label: (gauge["value"], gauge["unit"]) for label, gauge in gauges.items()}
    assert fields == {
        "CPU": ("12", "%"),
        "Memory": ("n/a", ""),
        "GPU": ("n/a", ""),
        "NPU": ("n/a", ""),
        "Power": ("n/a", ""),
    }
    assert gauges["GPU"]["detail"] == "Arc: Its driver does not answer any more."
    assert gauges["NPU"]["detail"] == "This machine has no NPU."
    assert gauges["Power"]["detail"] == "Only root may read it."
    assert gauges["GPU"]["points"] == []


def test_before_the_first_second_all_gauges_are_measuring() -> None:
    assert {gauge["detail"] for gauge in shown().values()} == {"measuring"}


def test_two_gpus_have_a_gauge_each() -> None:
    gauges = shown(sample(1, gpus=(Gauge("Arc", 3), Gauge("RTX", 97))))
    assert (gauges["GPU 0"]["value"], gauges["GPU 0"]["detail"]) == ("3", "Arc")
    assert (gauges["GPU 1"]["value"], gauges["GPU 1"]["detail"]) == ("97", "RTX")


def test_a_proxy_is_called_one() -> None:
    one = Gauge("Arc", 70, "proxy: awake, not necessarily working (rc6)", proxy=True)
    assert "proxy: awake" in str(shown(sample(1, gpus=(one,)))["GPU"]["detail"])


def test_a_sparkline_goes_back_in_seconds_and_leaves_gaps() -> None:
    gauges = shown(
        sample(1, cpu_percent=50.0),
        sample(2),
        sample(3, cpu_percent=75.0, meters=(Meter("package", 30.0),)),
        Sample(3 * S, 3 * S + S // 10, cpu_percent=0.0),  # a run's mark: too short to be shown
    )
    assert gauges["CPU"]["points"] == [[2, 50], [0, 75]]
    assert gauges["CPU"]["value"] == "75"
    assert (gauges["Power"]["value"], gauges["Power"]["unit"]) == ("30", "W")


def test_the_proof_names_device_energy_and_idle_power() -> None:
    proof = "NPU 93 % busy during this answer"
    view = LaneView("", 1.0, 1.0, 30, proof, 12.34, 0.4216, 4.06)
    assert view.device_proof == f"{proof} · 0.42 J/token (12.3 J, idle 4.1 W)"
    assert replace(view, proof="", energy_j=None, j_per_token=None).device_proof == ""


# --- in the browser --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """On a machine with an NPU, a power meter and an empty battery: stubs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIPC_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr(power_source, "current", lambda: PowerSource(True, 63.0))
        served = Served(TWO, Probes(npu=[StubGauge()], power=[StubMeter()]))
        served.choices.begin()
        yield served
        served.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_strip_shows_every_gauge_large_enough(visit: Visit, theme: str) -> None:
    page = visit(theme=theme)
    gauges = page.locator(".gauge")
    expect(gauges.locator(".gauge-label")).to_have_text(["CPU", "Memory", "GPU", "NPU", "Power"])
    expect(gauges.nth(0).locator("b")).to_have_text(re.compile(r"^\d+$"))
    expect(gauges.nth(2)).to_contain_text("n/a")
    expect(gauges.nth(2)).to_contain_text("no GPU")
    expect(gauges.nth(3).locator(".gauge-value")).to_have_text("93%")
    expect(gauges.nth(4).locator(".gauge-value")).to_have_text("20W")
    sizes = "nodes => nodes.map(n => parseFloat(getComputedStyle(n).fontSize))"
    assert min(gauges.locator("b").evaluate_all(sizes)) >= 30, "read from three metres"


def test_on_battery_the_page_says_so_beside_the_gauges(visit: Visit) -> None:
    expect(visit().locator(".strip .hint")).to_contain_text("On battery (63 %)")


def test_a_finished_lane_in_turn_shows_its_proof_and_its_energy(visit: Visit) -> None:
    page = visit()
    press_run(page, tokens=60, mode="In turn")
    expect(page.locator("#status")).to_contain_text("Measuring idle power")
    state(page, 0, "ok")
    fields = page.locator(".lane-0 .proof")
    expect(fields).to_have_text(
        re.compile(r"used \d+ % of the CPU · 0\.5\d J/token \(3\d\.\d J, idle 20\.0 W\)")
    )
    state(page, 1, "ok")


def test_the_machine_tab_tells_where_each_gauge_has_its_figure(visit: Visit) -> None:
    page = visit(tab="Machine")
    rows = page.locator(".gauge-list .item")
    expect(rows).to_have_count(5)
    expect(rows.nth(2)).to_contain_text("This machine has no GPU.")
    expect(rows.nth(3)).to_contain_text("a stub")


def test_on_a_phone_the_gauges_fit(visit: Visit) -> None:
    page = visit(width=360)
    expect(page.locator(".gauge")).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
