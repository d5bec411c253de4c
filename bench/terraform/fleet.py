"""The fleets that are measured: n stored values, written for simfleet and for Terraform.

A fleet is a list of blocks. Each resource keeps a text, and one that has a parent keeps the parent's id in it, so that its
text is not known before the parent is made.
"""

import json
import uuid
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Block:
    """One block: `count` resources, or one where it is None. `parent` names the block that it reads."""

    name: str
    count: int | None = None
    parent: str | None = None
    parent_has_count: bool = False
    # Which instance of the parent the instance with an index reads: the index divided by this, rounded down.
    fan_out: int = 1


def ten_way_tree(n: int) -> list[Block]:
    """n blocks; block i reads block (i - 1) / 10."""
    return [Block("root")] + [
        Block(f"r{i}", parent="root" if i <= 10 else f"r{(i - 1) // 10}") for i in range(1, n)
    ]


def ten_way_tree_by_count(n: int) -> list[Block]:
    """The same tree, one block a level: the resources of a level read those of the level above by their index."""
    blocks, left, size = [Block("root")], n - 1, 10
    while left > 0:
        above = blocks[-1]
        blocks.append(Block(f"level{len(blocks)}", min(size, left), above.name, above.count is not None, 10))
        left -= size
        size *= 10
    return blocks


def halves(n: int) -> list[Block]:
    """Two blocks with `count` beside a root: each resource of the second reads the one of the first with its index."""
    first = n // 2
    return [Block("root"), Block("first", first, "root"), Block("second", n - 1 - first, "first", True, 1)]


SHAPES = {"blocks": ten_way_tree, "count": ten_way_tree_by_count, "halves": halves}


def text(blocks: list[Block], header: str, root: str) -> str:
    """Returns the configuration. `header` opens a block: `value` or `resource "terraform_data"`; `root` is the text that
    the first resource keeps."""
    kind = header.split('"')[1] if '"' in header else header
    parts = []
    for block in blocks:
        own = root if block.parent is None else block.name
        if block.count is not None:
            own += " ${count.index}"
        if block.parent is not None:
            index = ""
            if block.parent_has_count:
                index = "[count.index]" if block.fan_out == 1 else f"[floor(count.index / {block.fan_out})]"
            own += f" under ${{{kind}.{block.parent}{index}.id}}"
        count = "" if block.count is None else f"  count = {block.count}\n"
        parts.append(f'{header} "{block.name}" {{\n{count}  input = "{own}"\n}}\n')
    return "\n".join(parts)


def write(path: Path, shape: str, n: int, header: str, root: str) -> None:
    """Writes the configuration of a fleet."""
    path.write_text(text(SHAPES[shape](n), header, root))


def write_terraform_state(path: Path, shape: str, n: int, root: str) -> None:
    """Writes what `terraform apply` would have written: for sizes at which an apply takes hours."""
    blocks = SHAPES[shape](n)
    ids: dict[str, list[str]] = {}
    above: dict[str, list[str]] = {}
    resources = []
    for block in blocks:
        above[block.name] = [] if block.parent is None else [*above[block.parent], f"terraform_data.{block.parent}"]
        ids[block.name] = [str(uuid.uuid4()) for _ in range(block.count or 1)]
        instances = []
        for index, identity in enumerate(ids[block.name]):
            kept = root if block.parent is None else block.name
            if block.count is not None:
                kept += f" {index}"
            if block.parent is not None:
                kept += f" under {ids[block.parent][index // block.fan_out if block.parent_has_count else 0]}"
            value = {"value": kept, "type": "string"}
            instance = {} if block.count is None else {"index_key": index}
            instance |= {
                "schema_version": 0,
                "attributes": {"id": identity, "input": value, "output": value, "triggers_replace": None},
                "sensitive_attributes": [],
            }
            if above[block.name]:
                instance["dependencies"] = sorted(above[block.name])
            instances.append(instance)
        resources.append(
            {
                "mode": "managed",
                "type": "terraform_data",
                "name": block.name,
                "provider": 'provider["terraform.io/builtin/terraform"]',
                "instances": instances,
            }
        )
    resources.sort(key=lambda resource: resource["name"])
    state = {
        "version": 4,
        "terraform_version": "1.5.0",
        "serial": 1,
        "lineage": str(uuid.uuid4()),
        "outputs": {},
        "resources": resources,
        "check_results": None,
    }
    path.write_text(json.dumps(state, indent=2))
