"""What keeps to a JSON Schema, against the package jsonschema: random schemas of the keywords we know, random values."""

import json
import random
import subprocess

import jsonschema

RNG = random.Random(20261120)


def value(depth=0):
    kinds = ["null", "bool", "int", "float", "text"] + (["list", "object", "object"] if depth < 3 else [])
    kind = RNG.choice(kinds)
    if kind == "null":
        return None
    if kind == "bool":
        return RNG.random() < 0.5
    if kind == "int":
        return RNG.randint(-3, 6)
    if kind == "float":
        return RNG.choice([0.5, 1.0, 2.5, -1.5, 4.0])
    if kind == "text":
        return "".join(RNG.choices("abé", k=RNG.randint(0, 4)))
    if kind == "list":
        return [value(depth + 1) for _ in range(RNG.randint(0, 4))]
    return {name: value(depth + 1) for name in RNG.sample("abcd", RNG.randint(0, 4))}


def schema(depth=0):
    if RNG.random() < 0.05:
        return RNG.random() < 0.7
    below = lambda: schema(depth + 1)
    makers = {
        "type": lambda: RNG.choice(
            ["object", "array", "string", "number", "integer", "boolean", "null", ["string", "null"], ["integer", "object"]]
        ),
        "enum": lambda: [value(2) for _ in range(4)],
        "const": lambda: value(2),
        "minimum": lambda: RNG.randint(-3, 3),
        "maximum": lambda: RNG.randint(0, 6),
        "exclusiveMinimum": lambda: RNG.randint(-3, 3),
        "exclusiveMaximum": lambda: RNG.randint(0, 6),
        "multipleOf": lambda: RNG.choice([0.5, 2, 3]),
        "minLength": lambda: RNG.randint(0, 3),
        "maxLength": lambda: RNG.randint(0, 4),
        "minItems": lambda: RNG.randint(0, 2),
        "maxItems": lambda: RNG.randint(0, 4),
        "uniqueItems": lambda: RNG.random() < 0.5,
        "minProperties": lambda: RNG.randint(0, 2),
        "maxProperties": lambda: RNG.randint(0, 4),
        "required": lambda: RNG.sample("abcd", RNG.randint(0, 2)),
        "dependentRequired": lambda: {RNG.choice("abcd"): RNG.sample("abcd", 1)},
    }
    nested = {
        "properties": lambda: {name: below() for name in RNG.sample("abcd", RNG.randint(1, 3))},
        "additionalProperties": lambda: RNG.choice([False, below()]),
        "propertyNames": lambda: RNG.choice([{"enum": ["a", "b"]}, {"maxLength": 1}]),
        "items": below,
        "prefixItems": lambda: [below() for _ in range(RNG.randint(1, 2))],
        "anyOf": lambda: [below() for _ in range(2)],
        "oneOf": lambda: [below() for _ in range(2)],
        "allOf": lambda: [below() for _ in range(2)],
        "not": below,
        "if": below,
        "then": below,
        "else": below,
        "$ref": lambda: RNG.choice(["#/$defs/x", "#/$defs/y"]),
    }
    if depth < 2:
        makers |= nested
    made = {name: makers[name]() for name in RNG.sample(sorted(makers), RNG.randint(1, 3))}
    if depth == 0:
        made["$defs"] = {"x": schema(2), "y": schema(2)}
    return made


def test_random_schemas_and_values():
    cases = []
    while len(cases) < 6000:
        made = schema()
        if isinstance(made, dict):
            cases.extend((made, value()) for _ in range(3))
    lines = "".join(json.dumps({"ask": "keeps", "schema": s, "value": v}) + "\n" for s, v in cases)
    command = ["cargo", "run", "--quiet", "--locked", "-p", "pinhole-replay", "--example", "stats"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    ours = [json.loads(line) for line in done.stdout.splitlines()]
    theirs = [jsonschema.Draft202012Validator(s).is_valid(v) for s, v in cases]
    differing = [(s, v, o, t) for (s, v), o, t in zip(cases, ours, theirs, strict=True) if o != t]
    assert not differing, f"{len(differing)}, the first: {differing[0]}"
    assert 1000 < sum(theirs) < 5000, "both words come often"
