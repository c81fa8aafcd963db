"""The types of a record's figures, each with its heading and unit. Tables, comparisons, statistics
and the JSON schema derive from them.

Nothing but pydantic and the standard library is imported here, so that a history can be read
without an engine.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, PlainValidator, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError

MAX_MAGNITUDE = 1e300


class RecordModel(BaseModel):
    """A JSON object as it stands in a file: keys that this version does not know are kept."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, defer_build=True)

    def as_json(self) -> dict[str, Any]:
        """The object with the same keys that it was made with."""
        return self.model_dump(exclude_unset=True)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A field that tables show.

    heading: in tables for people, "" where only CSV has the column; name: in CSV, "" for the
    field's own; since: the first version of the program that writes it; resource: whether it tells
    what the machine spent, which tables show after the answer itself.
    """

    heading: str = ""
    name: str = ""
    since: str = "0.1.0"
    resource: bool = False

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        hidden = ("name", "resource", "compared", "digits")
        shown = {key: value for key, value in asdict(self).items() if key not in hidden and value}
        return {**handler(schema), **shown}


@dataclass(frozen=True, kw_only=True)
class Figure(Column):
    """A number. better: which of two figures is the better one; digits: decimals in tables;
    compared: whether a comparison of two runs shows it."""

    unit: str = ""
    better: Literal["higher", "lower"] | None = None
    digits: int = 1
    compared: bool = True


latency = partial(Figure, unit="ms", better="lower")


def number(value: object) -> int | float:
    """The value unchanged; an error where it is not a finite number."""
    if type(value) in (int, float) and abs(value) < MAX_MAGNITUDE:  # type: ignore[arg-type]
        return value  # type: ignore[return-value]
    raise PydanticCustomError("number", "Input should be a finite number")


# A whole number stays whole, and every decimal stays as it is.
Number = Annotated[int | float, PlainValidator(number), WithJsonSchema({"type": "number"})]

PeakMemory = Annotated[
    Number | None, Figure(heading="peak MB", unit="MB", better="lower", digits=0, resource=True)
]
Bandwidth = Annotated[
    Number | None, Figure(heading="GB/s", unit="GB/s", better="higher", resource=True)
]
Energy = Annotated[
    Number | None, Figure(heading="J", unit="J", better="lower", compared=False, resource=True)
]
EnergyPerToken = Annotated[
    Number | None, Figure(heading="J/token", unit="J", better="lower", digits=3, resource=True)
]
DeviceLoad = Annotated[
    Number | None,
    Figure(heading="device busy %", unit="%", digits=0, compared=False, resource=True),
]


class Timings(RecordModel):
    """The figures that follow from the times of an answer's tokens."""

    ttft_ms: Annotated[Number | None, latency(heading="TTFT ms")] = None
    ttft_user_ms: Annotated[Number | None, latency(compared=False)] = None
    decode_tps: Annotated[
        Number | None, Figure(heading="tokens/s", unit="tokens/s", better="higher")
    ] = None
    tpot_ms: Annotated[Number | None, latency(heading="TPOT ms")] = None
    itl_p50_ms: Annotated[Number | None, latency(heading="ITL p50 ms")] = None
    itl_p95_ms: Annotated[Number | None, latency(heading="ITL p95 ms")] = None


class RunFigures(Timings):
    """All figures of one run that a benchmark takes the median and percentiles of."""

    bandwidth_gbs: Bandwidth = None
    j_per_token: EnergyPerToken = None
    peak_rss_mb: PeakMemory = None
    energy_j: Energy = None
    device_busy_pct: DeviceLoad = None


def columns_of(model: type[BaseModel]) -> dict[str, Column]:
    """The columns of a model by the name of their field, in the order of tables."""
    columns = {
        name: part
        for name, field in model.model_fields.items()
        for part in field.metadata
        if isinstance(part, Column)
    }
    return dict(sorted(columns.items(), key=lambda item: item[1].resource))
