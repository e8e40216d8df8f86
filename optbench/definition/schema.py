"""The JSON Schema of a sweep file, which editors use to complete and check it."""

import json
from typing import Any

from optbench.definition.models import SweepTable
from optbench.optimizers import ONE_MINUS, OPTIMIZERS, Kind
from optbench.optimizers.contract import MAX_COUNT
from optbench.optimizers.knobs import KNOBS

HEAD = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A sweep of optbench",
}


def schema_text() -> str:
    """The schema as JSON text: the models of a sweep file, with the hyperparameters of each optimizer."""
    schema = _tidy(SweepTable.model_json_schema())
    space, trial = schema["properties"]["space"], schema["$defs"]["TrialTable"]
    dimension = space.pop("additionalProperties")
    texts = _descriptions()
    space |= {
        "properties": {name: _dimension(dimension, name) | {"description": text} for name, text in texts.items()},
        "additionalProperties": False,
    }
    trial["properties"] |= {name: _value(name) | {"description": text} for name, text in texts.items()}
    trial["additionalProperties"] = False
    schema["allOf"] = [_only(name) for name in OPTIMIZERS]
    return json.dumps(HEAD | schema, indent=2, ensure_ascii=False) + "\n"


def _value(name: str) -> dict[str, Any]:
    """What a single value of the hyperparameter may be."""
    knob = KNOBS.get(name)
    if knob is not None and knob.names:
        return {"enum": list(knob.names)}
    if knob is not None and knob.kind is Kind.COUNT:
        return {"type": "integer", "minimum": 1, "maximum": MAX_COUNT}
    return {"type": ["number", "boolean"]}


def _dimension(ranges: dict[str, Any], name: str) -> dict[str, Any]:
    """What [space] may have for the hyperparameter: a value, a list of them, or a range of numbers."""
    one = _value(name)
    several = {"type": "array", "items": one}
    return {"oneOf": [*(part for part in ranges["oneOf"] if "$ref" in part and _takes_ranges(name)), several, one]}


def _takes_ranges(name: str) -> bool:
    return name not in KNOBS or KNOBS[name].kind is Kind.FLOAT


def _names(optimizer: str) -> list[str]:
    """The names that [space] and [[trial]] may use for the hyperparameters of an optimizer."""
    known = OPTIMIZERS[optimizer].hyperparameters
    return [*known, *(ONE_MINUS + name for name, hyperparameter in known.items() if hyperparameter.decay)]


def _descriptions() -> dict[str, str]:
    """A description of each hyperparameter: the optimizers that have it, and its default in each."""
    texts: dict[str, str] = {}
    for optimizer in OPTIMIZERS:
        for name in _names(optimizer):
            base = name.removeprefix(ONE_MINUS)
            known = OPTIMIZERS[optimizer].hyperparameters[base]
            default = known.written(known.default) if known.names else f"{known.default:g}"
            usual = "the sweep's" if known.kind is Kind.COUNT else f"default {base} = {default}"
            of = f"{optimizer} ({usual})"
            texts[name] = f"{texts[name]}, {of}" if name in texts else f"A hyperparameter of {of}"
    return texts


def _only(optimizer: str) -> dict[str, Any]:
    """The rule that the [space] of this optimizer has only its hyperparameters."""
    names = {"propertyNames": {"enum": _names(optimizer)}}
    return {
        "if": {"properties": {"optimizer": {"const": optimizer}}, "required": ["optimizer"]},
        "then": {"properties": {"space": names}},
    }


def _tidy(schema: Any) -> Any:
    """The schema without null, which TOML does not have, and pydantic's titles; each description is a single line."""
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: _tidy(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
    }
    if isinstance(kept.get("description"), str):
        kept["description"] = kept["description"].replace("\n", " ")
    kinds = [kind for kind in kept.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del kept["anyOf"]
        return {**kinds[0], **kept}
    return kept | ({"anyOf": kinds} if kinds else {})
