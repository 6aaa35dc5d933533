"""Views and Objects: Ibis tables over our engine."""

from __future__ import annotations

from aaiclick_ext.objects import wrapping  # wraps Ibis's methods, once
from aaiclick_ext.objects.arrays import ArrayView, ScalarView
from aaiclick_ext.objects.backend import Backend
from aaiclick_ext.objects.catalog import Catalog, ObjectInfo
from aaiclick_ext.objects.lineage_drop import DropPlan, DropStep
from aaiclick_ext.objects.object import ArrayObject, Object, ScalarObject
from aaiclick_ext.objects.query_plans import DryRun
from aaiclick_ext.objects.query_text import QueryText
from aaiclick_ext.objects.restoration import Restoration, RestoreStatus
from aaiclick_ext.objects.row_trace import RowTrace, SourceRows
from aaiclick_ext.objects.services import Services
from aaiclick_ext.objects.tables import TableInfo
from aaiclick_ext.objects.view import View
from aaiclick_ext.objects.view_problems import ViewProblem
from aaiclick_ext.objects.why import Why
from aaiclick_ext.objects.why_not import WhyNot

__all__ = [
    "ArrayObject",
    "ArrayView",
    "Backend",
    "Catalog",
    "DropPlan",
    "DropStep",
    "DryRun",
    "Object",
    "ObjectInfo",
    "QueryText",
    "Restoration",
    "RestoreStatus",
    "RowTrace",
    "ScalarObject",
    "ScalarView",
    "Services",
    "SourceRows",
    "TableInfo",
    "View",
    "ViewProblem",
    "Why",
    "WhyNot",
    "wrapping",
]
