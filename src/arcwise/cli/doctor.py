"""`arcwise doctor`."""

from __future__ import annotations

from arcwise.cli.as_json import print_json
from arcwise.verbs.doctor import doctor


def command(json: bool = False) -> int:
    """Show what this machine can do, and what is missing for the rest.

    Args:
        json: Print one JSON document instead.
    """
    machine = doctor()
    if json:
        print_json(vars(machine))
        return 0
    memory = f", {machine.memory_gb:.0f} GB of memory" if machine.memory_gb else ""
    print(f"Python {machine.python} on {machine.system}, {machine.cores} cores{memory}")
    print(f"GPU: {', '.join(machine.gpus) or 'none'}")
    if machine.bf16 is not None:
        print(f"training on the processor: {'bfloat16' if machine.bf16 else 'float32'}")
    if machine.problem:
        print(f"torch is installed and does not load: {machine.problem}")
    for one in machine.capabilities:
        installed = ", ".join(f"{package} {version}" for package, version in one.installed)
        if one.missing:
            print(f"  missing  {one.name}: {', '.join(one.missing)}; {one.remedy}")
        else:
            print(f"  ready    {one.name}: {installed}")
    return 0
