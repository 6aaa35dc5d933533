"""Views and Objects: Ibis tables over our engine."""

from __future__ import annotations

from aaiclick_ext.objects import wrapping  # wraps Ibis's methods, once
from aaiclick_ext.objects.arrays import ArrayView, ScalarView
from aaiclick_ext.objects.backend import Backend
from aaiclick_ext.objects.catalog import Catalog, ObjectInfo
from aaiclick_ext.objects.object import ArrayObject, Object, ScalarObject
from aaiclick_ext.objects.services import Services
from aaiclick_ext.objects.tables import TableInfo
from aaiclick_ext.objects.view import View
from aaiclick_ext.objects.why import Why

__all__ = [
    "ArrayObject",
    "ArrayView",
    "Backend",
    "Catalog",
    "Object",
    "ObjectInfo",
    "ScalarObject",
    "ScalarView",
    "Services",
    "TableInfo",
    "View",
    "Why",
    "wrapping",
]
