"""Holds bodies that were sent to Azure against the models of Microsoft's own clients, which are made of the API descriptions.

    bodies.py FILE      FILE has one JSON object a line: method, path, is_first, body

Prints `N bodies of M kinds`, and a line for each problem before it: a member that the API does not know, a value of
another type or that is none of its words, one that is required and missing, one that only Azure sets. What only Azure sets
is allowed in a body that changes an object: it is what was read, sent back.
"""

import json
import re
import sys
import typing

from azure.mgmt.compute.v2024_11_01 import models as compute
from azure.mgmt.network import models as network
from azure.mgmt.resource.resources.v2022_09_01 import models as resource

# Of which model the body of a method and a collection is.
MODELS = {
    ("PUT", "virtualmachines"): compute.VirtualMachine,
    ("PATCH", "virtualmachines"): compute.VirtualMachineUpdate,
    ("PUT", "virtualmachinescalesets"): compute.VirtualMachineScaleSet,
    ("PATCH", "virtualmachinescalesets"): compute.VirtualMachineScaleSetUpdate,
    ("PUT", "virtualnetworks"): network.VirtualNetwork,
    ("PUT", "subnets"): network.Subnet,
    ("PUT", "networksecuritygroups"): network.NetworkSecurityGroup,
    ("PUT", "publicipaddresses"): network.PublicIPAddress,
    ("PUT", "networkinterfaces"): network.NetworkInterface,
    ("PUT", "loadbalancers"): network.LoadBalancer,
    ("PUT", "resourcegroups"): resource.ResourceGroup,
    ("PATCH", "resourcegroups"): resource.ResourceGroupPatchable,
}
for kind in ("virtualnetworks", "networksecuritygroups", "publicipaddresses", "networkinterfaces", "loadbalancers"):
    MODELS["PATCH", kind] = network.TagsObject

PLAIN = {"str": str, "bool": bool, "int": int, "float": (int, float), "iso-8601": str, "bytearray": str}


class Field(typing.NamedTuple):
    """What a model says of a member."""

    type: str
    is_required: bool
    is_read_only: bool


def is_old(model) -> bool:
    """Whether it is a model of the older generator, which says in a table what its members are."""
    return hasattr(model, "_attribute_map")


def old_fields(model) -> dict[tuple[str, ...], Field]:
    """Returns the members of a model by their paths: some are inside of `properties`."""
    fields = {}
    for name, how in model._attribute_map.items():
        path = tuple(step.replace("\\.", ".") for step in re.split(r"(?<!\\)\.", how["key"]))
        rules = model._validation.get(name, {})
        fields[path] = Field(how["type"], rules.get("required", False), rules.get("readonly", False))
    return fields


def new_fields(model) -> dict[tuple[str, ...], Field]:
    """Returns the members of a model of the newer generator, with the text of their types."""
    fields = {}
    model({})  # the first instance makes the table of members
    for base in reversed(model.__mro__):
        for name, text in vars(base).get("__annotations__", {}).items():
            field = model._attr_to_rest_field.get(name)
            if field is None:
                continue
            text = str(text) if not isinstance(text, type) else text.__name__
            text = re.sub(r"ForwardRef\('([^']*)'\)", r"\1", text)
            read_only = field._visibility == ["read"]
            # An optional union has `None` for its last part.
            is_optional = "Optional[" in text or "NoneType" in text
            fields[(field._rest_name,)] = Field(text.replace(", NoneType]", "]"), not is_optional, read_only)
    return fields


def check(model, body, where: str, is_first: bool, problems: list[str]) -> None:
    """Checks a JSON object against a model."""
    if not isinstance(body, dict):
        problems.append(f"{where}: must be an object, but is {body!r}")
        return
    fields = old_fields(model) if is_old(model) else new_fields(model)
    inner = {path[0] for path in fields if len(path) > 1}

    def each(prefix: tuple[str, ...], members: dict) -> None:
        for name, value in members.items():
            path = (*prefix, name)
            if path in fields:
                field = fields[path]
                if field.is_read_only and is_first:
                    problems.append(f"{where}.{'.'.join(path)}: only Azure sets it")
                value_of(model, field.type, value, f"{where}.{'.'.join(path)}", is_first, problems)
            elif not prefix and name in inner and isinstance(value, dict):
                each(path, value)
            else:
                problems.append(f"{where}.{'.'.join(path)}: {model.__name__} has no such member")

    each((), body)
    for path, field in fields.items():
        value = body
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if field.is_required and not field.is_read_only and value is None:
            problems.append(f"{where}.{'.'.join(path)}: is required")


def value_of(model, kind: str, value, where: str, is_first: bool, problems: list[str]) -> None:
    """Checks a value against the text of a type."""
    if value is None:
        return
    kind = kind.strip().strip("\"'")
    wrapped = re.fullmatch(r"(?:typing\.)?Optional\[(.*)\]", kind, re.S)
    if wrapped:
        return value_of(model, wrapped[1], value, where, is_first, problems)
    listed = re.fullmatch(r"(?:list|List|typing\.List)\[(.*)\]|\[(.*)\]", kind, re.S)
    if listed:
        if not isinstance(value, list):
            problems.append(f"{where}: must be a list, but is {value!r}")
            return
        for place, item in enumerate(value):
            value_of(model, listed[1] or listed[2], item, f"{where}[{place}]", is_first, problems)
        return
    mapped = re.fullmatch(r"(?:dict|Dict|typing\.Dict)\[str, (.*)\]|\{(.*)\}", kind, re.S)
    if mapped:
        if not isinstance(value, dict):
            problems.append(f"{where}: must be an object, but is {value!r}")
            return
        for name, item in value.items():
            value_of(model, mapped[1] or mapped[2], item, f"{where}.{name}", is_first, problems)
        return
    words = re.fullmatch(r"(?:typing\.)?Union\[str, (.*)\]", kind, re.S)
    name = (words[1] if words else kind).strip("\"'").removeprefix("_models.")
    models = sys.modules[model.__module__.rsplit("._models", 1)[0].rsplit(".models", 1)[0] + ".models"]
    if words:
        known = [word.value for word in getattr(models, name)]
        if not isinstance(value, str) or value.lower() not in [word.lower() for word in known]:
            problems.append(f"{where}: {value!r} is none of {', '.join(known)}")
    elif name in PLAIN:
        if not isinstance(value, PLAIN[name]) or (name != "bool" and isinstance(value, bool)):
            problems.append(f"{where}: must be {name}, but is {value!r}")
    elif hasattr(models, name) and isinstance(getattr(models, name), type):
        check(getattr(models, name), value, where, is_first, problems)
    elif name not in ("object", "Any", "any", "JSON", "datetime.datetime"):
        problems.append(f"{where}: this check does not know the type {kind!r}")


def main() -> None:
    problems: list[str] = []
    kinds, count = set(), 0
    for line in open(sys.argv[1]):
        sent = json.loads(line)
        collection = sent["path"].rstrip("/").lower().split("/")[-2]
        model = MODELS.get((sent["method"], collection))
        if model is None:
            problems.append(f"{sent['method']} {collection}: no model is known for it")
            continue
        check(model, sent["body"], f"{sent['method']} {collection}", sent["is_first"], problems)
        kinds.add(collection)
        count += 1
    for problem in sorted(set(problems)):
        print(problem)
    print(f"{count} bodies of {len(kinds)} kinds")


main()
