"""Is everything of the original still in the rewritten file, and is what was added announced?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.contract import KEY_PREFIX, Contract
from onnx_reciprocam.verification.outcome import Check

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from onnx_reciprocam.verification.loading import Model

_MAIN_DOMAINS = {"", "ai.onnx"}
_INPUT_ROLES = ("saliency_class_ids", "explain")
_OUTPUT_ROLES = ("saliency", "saliency_classes")
_SHOWN = 3
OPTIMISED = "--optimised, or optimised=True"
"""What to ask for then."""


def check_preserved(explained: Model, original: Model, contract: Contract, *, optimised: bool = False) -> list[Check]:
    """Compare the two files part by part, by content; of an ``optimised`` one the ends alone.

    Raises:
        ModelFileError: External data of either cannot be read.
    """
    new, old = explained.proto, original.proto
    if optimised:
        return [
            _source(original, contract),
            _same_ends("inputs", new.graph.input, old.graph.input),
            _same_ends("outputs", new.graph.output, old.graph.output),
            _metadata(explained, original),
        ]
    return [
        _source(original, contract),
        _ends("inputs", new.graph.input, old.graph.input, [contract.inputs.get(role) for role in _INPUT_ROLES]),
        _ends("outputs", new.graph.output, old.graph.output, [contract.outputs.get(role) for role in _OUTPUT_ROLES]),
        _kept("nodes", (explained, new.graph.node), (original, old.graph.node)),
        _namespace(explained, original, contract.namespace),
        _kept("initializers", (explained, _weights(new.graph)), (original, _weights(old.graph))),
        _kept("functions", (explained, new.functions), (original, old.functions)),
        _kept("quantization", *((m, m.proto.graph.quantization_annotation) for m in (explained, original))),
        _metadata(explained, original),
        _opsets(new.opset_import, old.opset_import),
    ]


def _source(original: Model, contract: Contract) -> Check:
    actual = original.sha256()
    same = actual == contract.source_sha256
    detail = (
        f"sha256 {actual[:12]}" if same else f"written for sha256 {contract.source_sha256[:12]}, this is {actual[:12]}"
    )
    return Check("source", same, detail)


def _ends(name: str, new: Sequence[Any], old: Sequence[Any], roles: Sequence[str | None]) -> Check:
    """The original's in order and unchanged, then exactly those that the metadata names."""
    kept = [value.SerializeToString(deterministic=True) for value in new[: len(old)]]
    if kept != [value.SerializeToString(deterministic=True) for value in old]:
        return Check(name, False, f"the original's {len(old)} {name} do not come first, unchanged and in order")
    added, announced = [value.name for value in new[len(old) :]], [role for role in roles if role]
    if sorted(added) != sorted(announced):
        return Check(name, False, f"added {_listed(added)}, the metadata names {_listed(announced)}")
    return Check(name, True, f"{len(old)} unchanged, added {_listed(added)}")


def _same_ends(name: str, new: Sequence[Any], old: Sequence[Any]) -> Check:
    """The original's first and in order, by name and type: tools spell shapes their own way."""
    found, wanted = ([(v.name, v.type.tensor_type.elem_type) for v in values] for values in (new, old))
    lost = [value for value, kept in zip(wanted, found, strict=False) if value != kept] + wanted[len(found) :]
    if lost:
        return Check(name, False, f"lost or changed: {_listed([value for value, _ in lost])}")
    return Check(name, True, f"{len(old)} with the same names and types, the file itself optimised since")


def _kept(name: str, new: tuple[Model, Iterable[Any]], old: tuple[Model, Iterable[Any]]) -> Check:
    """Every part of the original is a part of the new file, as often as before."""
    present = Counter(new[0].content(part) for part in new[1])
    lost, parts = [], list(old[1])
    for part in parts:
        if present[key := old[0].content(part)] > 0:
            present[key] -= 1
        else:
            lost.append(_title(part))
    if lost:
        since = f"; where a tool has optimised the file since: {OPTIMISED}" if name == "nodes" else ""
        return Check(name, False, f"{len(lost)} of {len(parts)} lost or changed: {_listed(lost)}{since}")
    return Check(name, True, f"{len(parts)} unchanged, {present.total()} added")


def _namespace(explained: Model, original: Model, namespace: str) -> Check:
    """Added nodes are those that the namespace marks, so that they can be taken out again."""
    old = Counter(map(original.content, original.proto.graph.node))
    added = Counter(map(explained.content, explained.proto.graph.node)) - old
    strangers = [
        _title(node)
        for node in explained.proto.graph.node
        if explained.content(node) in added and not node.name.startswith(namespace)
    ]
    taken = [_title(node) for node in original.proto.graph.node if node.name.startswith(namespace)]
    if not namespace or strangers or taken:
        reason = f"added nodes outside {namespace!r}: {_listed(strangers)}; original nodes inside: {_listed(taken)}"
        return Check("namespace", False, reason)
    return Check("namespace", True, f"every added node's name begins with {namespace!r}")


def _metadata(explained: Model, original: Model) -> Check:
    new, old = explained.metadata, original.metadata
    lost = [key for key, value in old.items() if new.get(key) != value]
    added = [key for key in new if key not in old and not key.startswith(KEY_PREFIX)]
    if lost or added:
        return Check(
            "metadata", False, f"lost or changed: {_listed(lost)}; added outside {KEY_PREFIX}: {_listed(added)}"
        )
    return Check("metadata", True, f"{len(old)} unchanged, {len(new) - len(old)} added under {KEY_PREFIX}")


def _opsets(new: Iterable[Any], old: Iterable[Any]) -> Check:
    versions, wanted = ({entry.domain: entry.version for entry in imports} for imports in (new, old))
    changed = [
        f"{domain or 'ai.onnx'} {version}" for domain, version in wanted.items() if versions.get(domain) != version
    ]
    added = [domain for domain in versions if domain not in wanted and domain not in _MAIN_DOMAINS]
    if changed or added:
        return Check("opsets", False, f"lost or changed: {_listed(changed)}; added: {_listed(added)}")
    return Check("opsets", True, ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in wanted.items()))


def _weights(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    yield from graph.sparse_initializer


def _title(part: Any) -> str:
    """What a node, tensor, function or annotation is called."""
    for field in ("name", "tensor_name"):
        if title := getattr(part, field, ""):
            return str(title)
    return f"{getattr(part, 'op_type', 'unnamed')} giving {', '.join(getattr(part, 'output', []))}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "nothing") + more
