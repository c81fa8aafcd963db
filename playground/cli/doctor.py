"""`python -m playground doctor`: a report on this machine for a bug report."""

from __future__ import annotations

import sys

from playground import doctor as reports
from playground.cli.command import OK
from playground.cli.options import AsJson
from playground.cli.output import print_json


def doctor(as_json: AsJson = False) -> int:
    report = reports.report()
    if as_json:
        print_json(report)
    else:
        print(reports.markdown(report), end="")
    print("Attach this report to your bug report; it holds nothing personal.", file=sys.stderr)
    return OK
