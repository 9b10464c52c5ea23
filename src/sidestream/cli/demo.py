"""`sidestream demo`: one real call on this machine, forked and recorded, and what came of it."""

import asyncio
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sidestream.base.logs import configure_logs
from sidestream.demo.report import LABELS, Report
from sidestream.demo.scenario import Demo
from sidestream.demo.server import ServerFailed


def run_demo(
    once: Annotated[bool, typer.Option("--once", help="End after the call instead of staying up.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object, nothing else.")] = False,
    out: Annotated[Path, typer.Option("--out", help="Directory for the configuration, log and recordings.")] = Path(
        "demo-out"
    ),
) -> None:
    """Start the platform, place a call between two phones that speak, fork it to the bundled SRS twice, and report.

    Exit status 0 only if every channel holds what was said, metadata are valid, and callbacks complete and signed.
    """
    configure_logs("critical")
    raise typer.Exit(asyncio.run(_run(out, once=once, as_json=as_json)))


async def _run(out: Path, *, once: bool, as_json: bool) -> int:
    console = Console(stderr=as_json, highlight=False)
    demo = Demo(out)
    interrupted = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupted.set)
    try:
        console.print("Placing a call between two phones; it takes about ten seconds.")
        report = await demo.run()
        if as_json:
            sys.stdout.write(json.dumps({"ok": report.ok, **asdict(report)}, indent=2, ensure_ascii=False) + "\n")
            sys.stdout.flush()
        else:
            show(report, console)
        if not once:
            console.print("\nThe server stays up; Ctrl-C ends it.")
            await interrupted.wait()
    except ServerFailed as error:
        console.print(f"[red]{error}[/red]")
        return 1
    finally:
        await demo.close()
    return 0 if report.ok else 1


def show(report: Report, console: Console) -> None:
    """The report for people."""
    console.print(f"\n[bold]Call[/bold] {report.call_sid}")
    for siprec in report.siprecs:
        console.print(f"[bold]Siprec[/bold] '{siprec.name}' {siprec.sid}", soft_wrap=True)
        console.print(f"  started by {siprec.started_by}, stopped by {siprec.stopped_by}")
        for label in LABELS:
            sent, kept = siprec.packets_sent.get(label, 0), siprec.packets_recorded.get(label, 0)
            console.print(f"  {label:9} {sent} packets sent, {kept} recorded")
        console.print(f"  answered in {_ms(siprec.invite_ms)}, first packet {_ms(siprec.first_packet_ms)} after that")
        for title, path in (("audio", siprec.wav), ("metadata", siprec.metadata), ("manifest", siprec.manifest)):
            console.print(f"  {title:9} {path}", soft_wrap=True)
    console.print("[bold]Callbacks[/bold]")
    for callback in report.callbacks:
        signed = "signature valid" if callback.signature_valid else "[red]bad signature[/red]"
        name = callback.parameters.get("SiprecName", "")
        console.print(f"  {callback.event:16} {name:8} sequence {callback.sequence}, {signed}")
    if report.relay is not None:
        relay = report.relay
        console.print(
            f"[bold]Relay[/bold] {relay.packets} packets, {relay.loss} lost, added latency "
            f"p50 {relay.added_latency_p50_ms:.3f} ms, p99 {relay.added_latency_p99_ms:.3f} ms"
        )
    console.print(f"[bold]Console[/bold] {report.console}", soft_wrap=True)
    if report.ok:
        console.print("[green]Both recordings hold, sample for sample, what the phones said.[/green]")
    for problem in report.problems:
        console.print(f"[red]Problem:[/red] {problem}", soft_wrap=True)


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} ms"
