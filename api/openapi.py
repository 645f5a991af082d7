"""The OpenAPI document: what FastAPI derives, without what it only assumes and with what every route needs."""

from __future__ import annotations

import http.client
from typing import Any

from fastapi import FastAPI

from api.access import SAFE_METHODS, Scope
from api.errors import ErrorAnswer
from api.route_table import GuardedRoute, guarded_routes

_ASSUMED = "#/components/schemas/HTTPValidationError"

_SCHEMES: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}

_ALWAYS = (401, 429)
"""A key that is shown must count, also where none is needed."""


class Application(FastAPI):
    """A FastAPI application that documents only answers it gives, and which scope an operation needs.

    FastAPI documents 422 with a body of its own for whatever has a parameter; here invalid parameters are
    answered in the envelope of the contract, with the status that the contract says.
    """

    def openapi(self) -> dict[str, Any]:
        """Return the document."""
        if self.openapi_schema is None:
            document = super().openapi()
            for operations in document["paths"].values():
                for operation in operations.values():
                    if _is_assumed(operation["responses"].get("422")):
                        del operation["responses"]["422"]
            components = document.setdefault("components", {})
            for name in ("HTTPValidationError", "ValidationError"):
                components.get("schemas", {}).pop(name, None)
            components["securitySchemes"] = _SCHEMES
            for route in guarded_routes(self.routes):
                if operation := document["paths"].get(route.path, {}).get(route.method.lower()):
                    _describe(operation, route)
        return self.openapi_schema or document


def _describe(operation: dict[str, Any], route: GuardedRoute) -> None:
    if route.scope is None:
        return
    is_open = route.scope in (Scope.READ, Scope.PREDICT)
    # {} stands for "without a key", as it is unless the settings say otherwise.
    operation["security"] = [*([{}] if is_open else []), {"bearer": []}, {"key": []}]
    operation["x-scope"] = route.scope.value
    statuses = {*_ALWAYS, 403} | (set() if route.method in SAFE_METHODS else {413})
    for status in sorted(statuses):
        operation["responses"].setdefault(
            str(status),
            {
                "description": http.client.responses[status],
                "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{ErrorAnswer.__name__}"}}},
            },
        )


def _is_assumed(response: dict[str, Any] | None) -> bool:
    if response is None:
        return False
    content = response.get("content", {}).get("application/json", {})
    return bool(content.get("schema", {}).get("$ref") == _ASSUMED)
