"""The OpenAPI document: what FastAPI derives, without the answer that it only assumes."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

_ASSUMED = "#/components/schemas/HTTPValidationError"


class Application(FastAPI):
    """A FastAPI application that documents only answers it gives.

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
            for name in ("HTTPValidationError", "ValidationError"):
                document.get("components", {}).get("schemas", {}).pop(name, None)
        return self.openapi_schema or document


def _is_assumed(response: dict[str, Any] | None) -> bool:
    if response is None:
        return False
    content = response.get("content", {}).get("application/json", {})
    return bool(content.get("schema", {}).get("$ref") == _ASSUMED)
