"""Re-run the notebooks and make the report; reached through the `lab` command."""

import sys

# jsonschema, which nbformat uses, would spend seconds on loading a grammar of internet addresses; no notebook needs it.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
