"""The JSON schema of results: `python -m playground.runs.schema` writes it to
docs/record.schema.json."""

from __future__ import annotations

import json

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema

from playground.paths import ROOT
from playground.runs.benchmark_record import Result

FILE = ROOT / "docs" / "record.schema.json"


class _WithoutFieldTitles(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: CoreSchema) -> bool:
        return False


def schema() -> str:
    """For what `ask --json` and `bench --json` print; of each figure also the unit, which direction
    is better, and the version that introduced it."""
    types = TypeAdapter[Result](Result).json_schema(
        mode="serialization", schema_generator=_WithoutFieldTitles
    )
    content = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A run or a benchmark of the AI PC Playground",
        **types,
    }
    return json.dumps(content, indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(schema(), encoding="utf-8", newline="\n")
