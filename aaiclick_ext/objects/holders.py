"""Which Python objects keep a table: expressions over it, and all that holds those."""

from __future__ import annotations

import contextlib
import gc
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis.expr.types.groupby import GroupedTable

from aaiclick_ext.errors import StaleRefError
from aaiclick_ext.ids import to_base36
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.lifecycle.refs import ObjectRef, RefKind
from aaiclick_ext.lifecycle.roots import HolderKind, Named, is_of, module_roots
from aaiclick_ext.lifecycle.walk import Walk
from aaiclick_ext.lifecycle.why import Chain, chains_of
from aaiclick_ext.objects.leaf import DatabaseTable, inputs_of, services_of_source
from aaiclick_ext.objects.object import Object
from aaiclick_ext.objects.view import View
from aaiclick_ext.registry.kernel_store import KernelStore

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aaiclick_ext.lifecycle.refs import RefRegistry
    from aaiclick_ext.lifecycle.roots import Namer
    from aaiclick_ext.objects.backend import Backend

MAX_CHAINS = 200
"""Chains of one table that are told."""


def find_chains(
    backend: Backend, tables: Collection[str], roots: Mapping[int, Namer]
) -> tuple[dict[str, list[Chain]], bool]:
    """Return the chains that keep some tables, and whether the search came to its end.

    Runs no query. Costs 0.1 to 1 s; nothing is held when it returns.

    Parameters
    ----------
    roots
        What ends the walk, besides Python's modules, classes, threads and tasks.
    """
    objects, kept_by, inside = _expressions(backend, frozenset(tables))
    walk = Walk(
        objects,
        inside=inside,
        roots={
            **module_roots(),
            id(backend.ingested): lambda _: [],
            **_objects_in_columns(backend),
            **_live_queries(backend),
            **roots,
        },
        beyond=_readers(backend),
    )
    chains = chains_of(walk, describe, lambda value: kept_by.get(id(value), ()))
    found = {table: chains.get(table, [])[:MAX_CHAINS] for table in tables}
    for kept in (_names(backend, tables), _kept(backend, tables), shared_with(backend, tables)):
        for table, more in kept.items():
            found[table] = [*found[table], *more]
    return found, walk.complete


def _expressions(
    backend: Backend, tables: frozenset[str]
) -> tuple[list[Any], dict[int, frozenset[str]], frozenset[int]]:
    """Return every expression and operation over some tables, and the tables of each by its id.

    Returns
    -------
    objects, tables by id, ids of operations
    """
    nodes, wrappers = [], []
    for value in gc.get_objects():
        if is_of(value, ops.Node):
            nodes.append(value)
        elif is_of(value, (ir.Expr, GroupedTable)):
            wrappers.append(value)
    kept_by = _tables_below(backend, nodes, tables)
    objects: list[Any] = [node for node in nodes if id(node) in kept_by]
    inside = frozenset(map(id, objects))
    for wrapper in wrappers:
        table = wrapper.table if isinstance(wrapper, GroupedTable) else wrapper
        found = kept_by.get(id(table if isinstance(table, ops.Node) else table.op()))
        if found is not None:
            kept_by[id(wrapper)] = found
            objects.append(wrapper)
    return objects, kept_by, inside


def _tables_below(
    backend: Backend, nodes: list[ops.Node], tables: frozenset[str]
) -> dict[int, frozenset[str]]:
    """Return the tables below operations, by the operations' ids; not those that have none."""
    parents: defaultdict[int, list[int]] = defaultdict(list)
    for node in nodes:
        for child in inputs_of(node):
            parents[id(child)].append(id(node))
    for known, leaf in list(backend.ingested.values()):
        memtable = known()
        if memtable is not None:  # the memtable keeps the table that was made of it
            parents[id(leaf)].append(id(memtable))
    found: defaultdict[int, set[str]] = defaultdict(set)
    for node in nodes:
        if not isinstance(node, DatabaseTable) or node.name not in tables:
            continue
        if services_of_source(node.source) is not backend.services:
            continue
        todo = [id(node)]
        while todo:
            current = todo.pop()
            if node.name not in found[current]:
                found[current].add(node.name)
                todo.extend(parents[current])
    return {key: frozenset(names) for key, names in found.items()}


def _readers(backend: Backend) -> dict[int, list[Any]]:
    """Return the readers of batches by the id of the generator that each reads from."""
    found: dict[int, list[Any]] = {}
    for reader, generator in list(backend.readers.items()):
        batches = generator()
        if batches is not None:
            found[id(batches)] = [reader]
    return found


def _names(backend: Backend, tables: Collection[str]) -> dict[str, list[Chain]]:
    """Return the names that keep tables."""
    found: dict[str, list[Chain]] = {}
    for table in tables:
        parts = TableName.parse(table)
        if parts is None or parts.name is None or parts in backend.services.deleted:
            continue
        replaced = parts.scope is Scope.SESSION and backend.services.names.get(parts.name) != table
        if not replaced:
            command = f"aai.delete_object({parts.name!r})"
            text = f"{parts.scope} name {parts.name!r}"
            found[table] = [Chain(HolderKind.NAME, text, "Object", command)]
    return found


def _kept(backend: Backend, tables: Collection[str]) -> dict[str, list[Chain]]:
    """Return the pins, views and preservation that keep tables. Reads the registry."""
    services = backend.services
    found: defaultdict[str, list[Chain]] = defaultdict(list)
    for table, kept in services.kept.kept(tables).items():
        if kept.is_pinned:
            command = f"aai.unpin({table!r})"
            found[table].append(Chain(HolderKind.PINNED, "pinned", "table", command))
        for view in kept.views:
            command = f"aai.drop_view({view!r})"
            found[table].append(Chain(HolderKind.VIEW, f"view {view!r}", "table", command))
        if kept.is_preserved and kept.job_id is not None:
            days = services.settings.job_ttl_days
            until = f"{days} days after " if not services.engine.creds.is_scratch else ""
            text = f"preserved until {until}the end of kernel {to_base36(kept.job_id)}"
            command = f"aai.lineage_aware_drop({table!r}, dry_run=False)"
            found[table].append(Chain(HolderKind.PRESERVED, text, "table", command))
    return found


def shared_with(backend: Backend, tables: Collection[str]) -> dict[str, list[Chain]]:
    """Return the other kernels, and tokens, that hold tables. Reads the registry if any does."""
    services = backend.services
    holding = {table: held for table, held in services.sharing.holding().items() if table in tables}
    if not holding:
        return {}
    kernels = {row.job_id: row.identity for row in KernelStore(services.registry).holders()}
    found: defaultdict[str, list[Chain]] = defaultdict(list)
    for table, held in holding.items():
        for session in held.sessions:
            if session == services.job_id:
                continue
            who = kernels.get(session, {})
            text = f"kernel {to_base36(session)}"
            if who.get("host_name"):
                text += f" on host {who['host_name']}, process {who.get('pid')}"
            command = f"%why --release {table}   in that kernel"
            found[table].append(Chain(HolderKind.KERNEL, text, "Object", command))
        if held.tokens:
            text = "1 token" if held.tokens == 1 else f"{held.tokens} tokens"
            text += " of share() that may still be redeemed"
            found[table].append(Chain(HolderKind.SHARED, text, "Object", "let it expire"))
    return found


def _live_queries(backend: Backend) -> dict[int, Namer]:
    """Return a root for what follows views: what lies behind is ours, and nothing to let go of."""
    named: defaultdict[int, list[Named]] = defaultdict(list)
    for number, delivery in backend.services.live.deliveries:
        name = Named(
            HolderKind.LIVE,
            "live query",
            str(number),
            command="cancel() the subscription, close() the live result, or delete its output",
        )
        for holder in filter(None, (delivery, delivery.query)):
            named[id(holder)].append(name)
            named[id(vars(holder))].append(name)  # which of both refers to a value, Python decides
    return {key: partial(_always, names) for key, names in named.items()}


def _always(names: list[Named], _: object) -> list[Named]:
    return names


def _objects_in_columns(backend: Backend) -> dict[int, Namer]:
    """Return a root for each Python object that columns refer to: tables hold such objects."""
    refs = backend.services.refs
    slots = refs._counts.slots.copy().values()  # noqa: SLF001  what refers to the objects
    return {
        id(slot): partial(_in_columns, refs, slot.ref)
        for slot in slots
        if slot.ref.kind is RefKind.OBJECT
    }


def _in_columns(refs: RefRegistry, ref: ObjectRef, _: object) -> list[Named]:
    """Return which tables hold an object."""
    found = []
    with contextlib.suppress(StaleRefError):
        for holder in refs.holders(ref):
            if isinstance(holder, ObjectRef) and holder.kind is RefKind.TABLE:
                table = refs.payload(holder)
                head = f"table {table}"
                found.append(
                    Named(
                        HolderKind.OBJECT_COLUMN,
                        "an object in a column",
                        heads=(head,),
                        command=f"%why --release {table}",
                    )
                )
    return found


def describe(value: Any) -> str:
    """Return what an expression or an operation is, in a word or two."""
    if isinstance(value, Object):
        return "Object"
    if isinstance(value, View):
        return "view"
    if isinstance(value, ir.Scalar):
        return "scalar expression"
    if isinstance(value, ir.Column):
        return f"column {value.get_name()}"
    if isinstance(value, GroupedTable):
        return "grouped view"
    if isinstance(value, ir.Table):
        return "table expression"
    return f"operation {type(value).__name__}"
