"""What the OpenAPI document says of the requests that run a model, and of failures."""

from __future__ import annotations

from typing import Any

from kserve.protocol.rest.v2_datamodels import InferenceRequest

_ERROR = {
    "description": "Why there is no result, in one line.",
    "content": {
        "application/json": {
            "schema": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
        },
        "text/plain": {"schema": {"type": "string"}},  # of what was no HTTP
    },
}

_IDS = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 1000}
_TOP = {"type": "integer", "minimum": 1, "maximum": 1000, "default": 5}
_RANK = {"type": "integer", "minimum": 0, "maximum": 1000, "default": 0}
_PICTURE = {"schema": {"type": "string", "format": "binary"}}

_LOOK = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["instances"],
                "properties": {
                    "instances": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "oneOf": [
                                {
                                    "type": "object",
                                    "required": ["b64"],
                                    "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
                                },
                                {"type": "string", "contentEncoding": "base64"},
                                {"type": "array", "description": "One image as the model takes it."},
                            ]
                        },
                    },
                    "parameters": {
                        "type": "object",
                        "properties": {"top": _TOP, "class_ids": _IDS, "rank": _RANK},
                    },
                },
            }
        },
        **dict.fromkeys(("image/jpeg", "image/png", "image/webp", "application/octet-stream"), _PICTURE),
    },
}

_CLASSES = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "classes": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["class_id", "label", "score"],
                    "properties": {
                        "class_id": {"type": "integer"},
                        "label": {"type": "string"},
                        "score": {"type": ["number", "null"]},
                    },
                },
            }
        },
    },
}

_QUERY = [
    {"name": "top", "in": "query", "schema": _TOP},
    {"name": "class_ids", "in": "query", "schema": {"type": "string"}, "example": "3,7"},
]


def _spoken(operation: str, content: dict[str, Any], **more: Any) -> dict[str, Any]:
    """FastAPI's arguments of a route."""
    return {
        "operation_id": operation,
        "responses": {200: {"description": "The result.", "content": content}},
        "openapi_extra": more,
    }


PREDICT = _spoken(
    "predict",
    {"application/json": {"schema": {"type": "object", "properties": {"predictions": _CLASSES}}}},
    requestBody=_LOOK,
    parameters=_QUERY,
)
EXPLAIN = _spoken(
    "explain",
    {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["predictions", "explanations"],
                "properties": {"predictions": _CLASSES, "explanations": {"type": "array", "items": {"type": "object"}}},
            }
        },
        "image/png": _PICTURE,
    },
    requestBody=_LOOK,
    parameters=[*_QUERY, {"name": "rank", "in": "query", "schema": _RANK}],
)
INFER = _spoken(
    "infer",
    {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["model_name", "outputs"],
                "properties": {
                    "model_name": {"type": "string"},
                    "id": {"type": "string"},
                    "outputs": {"type": "array", "items": {"type": "object"}},
                },
            }
        },
        "application/octet-stream": _PICTURE,
    },
    requestBody={
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "properties": {
                        "id": {"type": "string"},
                        "parameters": {"type": "object"},
                        "inputs": {
                            "type": "array",
                            "minItems": 1,
                            "items": {
                                "type": "object",
                                "required": ["name", "shape", "datatype", "data"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                                    "datatype": {"type": "string"},
                                    "data": {"type": "array"},
                                },
                            },
                        },
                        "outputs": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {"name": {"type": "string"}},
                            },
                        },
                    },
                    "example": InferenceRequest.model_config["json_schema_extra"]["example"],
                }
            }
        },
    },
)


_METRICS = ("text/plain", "application/openmetrics-text")
_VERSION = "model_version"
"""KServe's parameter, to which it has no answer."""


def document(spoken: dict[str, Any], ours: dict[str, Any], *, keys: bool) -> dict[str, Any]:
    """KServe's document with our operations in place of its own, and every operation's failures.

    Args:
        spoken: What FastAPI wrote of the whole application.
        ours: What it wrote of our routes.
        keys: Whether the service asks for one.
    """
    every = spoken["paths"] | ours["paths"]
    paths = {path: item for path, item in every.items() if "/repository/" not in path and "/versions/" not in path}
    text = {"schema": {"type": "string"}}
    paths["/metrics"]["get"]["responses"]["200"]["content"] = dict.fromkeys(_METRICS, text)
    for item in paths.values():
        for operation in item.values():
            operation["parameters"] = [each for each in operation.get("parameters", ()) if each["name"] != _VERSION]
            operation["responses"].pop("422", None)
            operation["responses"] |= {"4XX": _ERROR, "5XX": _ERROR}
    written = spoken | {"paths": paths}
    if keys:
        schemes = {"key": {"type": "http", "scheme": "bearer"}}
        written["components"] = {**spoken.get("components", {}), "securitySchemes": schemes}
        written["security"] = [{"key": []}]
    return written
