"""``python -m api.openapi_types``: the OpenAPI document's schemas alone, of which the console's types are made.

Without paths, examples, descriptions and bounds: what is left changes only when the shape of an answer does.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from api.app import create_app

_KEPT = (
    "$ref",
    "type",
    "enum",
    "const",
    "items",
    "prefixItems",
    "anyOf",
    "properties",
    "additionalProperties",
    "required",
)


def schema_document() -> dict[str, Any]:
    """Return an OpenAPI document that has only the schemas of bodies and answers."""
    document = create_app().openapi()
    schemas = {name: _shape(schema) for name, schema in document["components"]["schemas"].items()}
    return {
        "openapi": document["openapi"],
        "info": {"title": document["info"]["title"], "version": "1"},
        "paths": {},
        "components": {"schemas": schemas},
    }


def _shape(schema: Any) -> Any:
    """Return a schema without what says nothing of its shape."""
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key in _KEPT}
    for key in ("items", "additionalProperties"):
        if key in kept:
            kept[key] = _shape(kept[key])
    for key in ("anyOf", "prefixItems"):
        if key in kept:
            kept[key] = [_shape(value) for value in kept[key]]
    if "properties" in kept:
        kept["properties"] = {name: _shape(value) for name, value in kept["properties"].items()}
        # Answers are written whole: a key with a default is there as well.
        kept["required"] = list(kept["properties"])
    return kept


if __name__ == "__main__":
    json.dump(schema_document(), sys.stdout, indent=1)
