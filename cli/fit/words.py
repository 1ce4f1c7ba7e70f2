"""Amounts of resources, as people say them."""

from collections.abc import Mapping
from decimal import Decimal

_GIB = 2**30
_MIB = 2**20
_NOUNS: Mapping[str, tuple[str, str]] = {"cpu": ("CPU", "CPUs"), "memory": ("memory", "memory")}


def cores(value: Decimal) -> str:
    """``2``, ``500m``."""
    return f"{int(value)}" if value == int(value) else f"{int(value * 1000)}m"


def size(value: Decimal) -> str:
    """Bytes in the largest unit that stays readable: ``8Gi``, ``1.5Gi``, ``512Mi``; ``""`` for none."""
    unit, name = (_GIB, "Gi") if value >= _GIB else (_MIB, "Mi")
    return f"{round(value / unit, 1).normalize():f}{name}" if value else ""


def amount(resource: str, value: Decimal) -> str:
    """A number of that resource without its name: ``4``, ``500m``, ``16Gi``, ``0``."""
    if _is_size(resource):
        return size(value) or "0"
    return cores(value)


def named(resource: str, value: Decimal) -> str:
    """With its full name: ``4 nvidia.com/gpu``, ``16Gi memory``."""
    return f"{amount(resource, value)} {resource}"


def plainly(resource: str, value: Decimal) -> str:
    """With its everyday name: ``1 GPU``, ``2 CPUs``, ``16Gi memory``."""
    one, many = _NOUNS.get(resource) or (("GPU", "GPUs") if resource.endswith("/gpu") else (resource, resource))
    return f"{amount(resource, value)} {one if value == 1 else many}"


def plural(resource: str) -> str:
    """``GPUs``, ``CPUs``, ``memory``."""
    return plainly(resource, Decimal(0)).split(" ", 1)[1]


def whole(resource: str, value: Decimal) -> Decimal:
    """The largest amount that can be asked for within ``value``: whole devices, thousandths of cores, whole Mi."""
    if _is_size(resource):
        return value // _MIB * _MIB
    step = Decimal("0.001") if resource == "cpu" else Decimal(1)
    return value // step * step


def option(resource: str, value: Decimal) -> str:
    """How ``jobq submit`` is told so: ``--gpus 2``; ``""`` where no option says it."""
    flags = {"cpu": "--cpu", "memory": "--memory"} | ({resource: "--gpus"} if resource.endswith("/gpu") else {})
    return f"{flags[resource]} {amount(resource, value)}" if resource in flags else ""


def _is_size(resource: str) -> bool:
    return resource == "memory" or resource.endswith("storage") or resource.startswith("hugepages-")
