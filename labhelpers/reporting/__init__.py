"""What re-runs the notebooks and makes the report: reached through the `lab` command."""

import sys

# nbformat checks notebooks with jsonschema, which loads a grammar of internet addresses where it finds one: seconds,
# for something that no notebook here holds.
sys.modules.setdefault("rfc3987_syntax", None)
