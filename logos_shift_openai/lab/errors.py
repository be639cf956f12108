"""Refusals of the lab, in the shape OpenAI gives them.

Owns ``ApiError`` and the wording of the errors that several parts raise. Every refusal leaves the server as
``{"error": {"message", "type", "param", "code"}}`` with its HTTP status.
"""

from __future__ import annotations


class ApiError(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        message: What a person reads.
        code: OpenAI's machine-readable code, or None.
        param: The field of the request at fault, or None.
        kind: OpenAI's ``type``.
        headers: Further response headers, such as Retry-After.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind
        self.headers = headers or {}

    def body(self) -> dict[str, object]:
        """Give the JSON body."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error}


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """Refuse a request that is wrong in itself (400)."""
    return ApiError(400, message, param=param, code=code)


def missing(param: str) -> ApiError:
    """Refuse a request that lacks a field (400)."""
    return invalid(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def wrong_type(param: str, wanted: str, value: object) -> ApiError:
    """Refuse a field of the wrong type (400)."""
    got = _JSON_NAMES.get(type(value), type(value).__name__)
    message = f"Invalid type for '{param}': expected {wanted}, but got {got} instead."
    return invalid(message, param, "invalid_type")


def no_model(model: str) -> ApiError:
    """Refuse a model that is not there (404)."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return ApiError(404, message, code="model_not_found")


_JSON_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
    dict: "an object",
}
