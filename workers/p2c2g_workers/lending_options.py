"""The options by which the owner of a machine says what is lent of it."""

from __future__ import annotations

from typing import Annotated

import typer

NameOption = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="What people call this peer.")
]
RegionOption = Annotated[
    str | None, typer.Option("--region", metavar="NAME", help="Where it is, such as berlin.")
]
QueuesOption = Annotated[
    str | None, typer.Option("--queues", metavar="NAMES", help="cpu, gpu and train, with commas.")
]
SlotsOption = Annotated[
    str | None, typer.Option("--slots", metavar="N", help="Chunks at once; 0: one a core.")
]
CpuOption = Annotated[
    str | None,
    typer.Option("--max-cpu", metavar="SHARE", help="Of the CPU at most, such as 50%; or none."),
]
HoursOption = Annotated[
    str | None,
    typer.Option("--hours", metavar="FROM-TO", help="Only at these, such as 22-7; or none."),
]
LineOption = Annotated[
    str | None,
    typer.Option("--max-mbps", metavar="N", help="Megabits a second at most, each way; or none."),
]
IdleOption = Annotated[
    bool | None,
    typer.Option("--only-idle/--not-only-idle", help="Only while nobody uses this machine."),
]
PageOption = Annotated[
    bool | None, typer.Option("--page/--no-page", help="A page of its own, for this machine.")
]
PortOption = Annotated[
    str | None, typer.Option("--page-port", metavar="PORT", help="The page's port; 0: any.")
]
UpdatesOption = Annotated[
    bool | None,
    typer.Option("--updates/--no-updates", help="Take versions that the operator has signed."),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]
