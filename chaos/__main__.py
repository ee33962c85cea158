"""`python -m chaos`: trials of reliability. The last line is `N schedules, M violations`."""

import argparse
import random
import secrets
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import cycle

from chaos.jobs import TrialJob, play_all
from chaos.runner import TrialResult
from chaos.scenarios import SCENES, point_schedules, scene
from chaos.schedule import LARGEST, Schedule, draw
from delivery.crash_points import CrashAction, CrashPoint
from delivery.logs import configure_logs

_SHORT_LARGEST = 60
_SEEDS = 1_000_000


def main() -> int:
    """Run the trials. Return 1 when a promise was broken, and 2 when no trial was valid."""
    options = _parser().parse_args()
    configure_logs("ERROR")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops the servers too.
    seed = secrets.randbelow(_SEEDS)
    job = TrialJob(
        partial(_schedules, options, seed), partial(_report, options), is_swept=options.scene != "only_bells"
    )
    results: list[TrialResult] = []
    with suppress(KeyboardInterrupt):
        for result in play_all(job, options.jobs):
            results.append(result)  # noqa: PERF402 - an interrupted run shows what it has
    _show_table(results)
    valid = [result for result in results if result.is_valid]
    broken = sum(len(result.violations) for result in valid)
    print(f"{len(valid)} schedules, {broken} violations")
    if not valid:
        return 2
    return 1 if broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Try to break Postroom's promises.")
    parser.add_argument("--n", type=int, default=20, help="random schedules to run (default: 20)")
    parser.add_argument("--seed", type=int, help="replay the one schedule of this seed")
    parser.add_argument(
        "--largest", type=int, default=LARGEST, help=f"messages in the largest schedule (default: {LARGEST})"
    )
    parser.add_argument("--short", action="store_true", help="run 20 small schedules and each crash point once")
    parser.add_argument("--jobs", type=int, default=1, help="trials at once, each on a cluster of its own (default: 1)")
    parser.add_argument("--points", type=int, default=0, help="fire every crash point so many times instead")
    parser.add_argument("--point", action="append", type=CrashPoint, help="fire this crash point only")
    parser.add_argument(
        "--action",
        action="append",
        type=CrashAction,
        help="make crash points do only this (default: each action in turn)",
    )
    parser.add_argument("--scene", choices=sorted(SCENES), help="run this scenario only")
    return parser


def _schedules(options: argparse.Namespace, seed: int) -> Iterator[Schedule]:
    """Draw the schedules that the options ask for; every job draws the same from this seed."""
    rng = random.Random(seed)
    if options.seed is not None:
        yield draw(options.seed, options.largest)
        return
    if options.scene:
        yield scene(options.scene, rng.randrange(_SEEDS))
        return
    if options.points or options.point:
        # Killed in the first round, frozen in the second, cut in the third, and so on.
        for _, action in zip(range(max(1, options.points)), cycle(options.action or CrashAction), strict=False):
            yield from point_schedules(options.point or list(CrashPoint), rng.randrange(_SEEDS), action)
        return
    largest = _SHORT_LARGEST if options.short else options.largest
    for _ in range(options.n):
        yield draw(rng.randrange(_SEEDS), largest)
    if options.short:
        yield from point_schedules(list(CrashPoint), rng.randrange(_SEEDS))


def _report(options: argparse.Namespace, schedule: Schedule, result: TrialResult) -> None:
    """Print the result of a trial at once: other jobs print as well."""
    faults = " + ".join(
        [*(fault.name for fault in schedule.faults), *(["hostile relay"] if schedule.hostility else [])]
    )
    verdict = "invalid" if not result.is_valid else f"{len(result.violations)} violations"
    summary = (
        f"seed {schedule.seed}: {verdict}; {faults or 'no fault'}; {len(schedule.messages)} messages,"
        f" {result.recipients} recipients, {result.copies} mails ({result.doubles} doubled);"
        f" settled in {result.converged_s:.0f} s, took {result.lasted_s:.1f} s; {_replay(schedule, options)}"
    )
    lines = [
        summary,
        *(f"    {each}" for each in result.violations),
        *(f"    did not fire: {each}" for each in result.unfired),
    ]
    print("\n".join(lines), flush=True)


def _replay(schedule: Schedule, options: argparse.Namespace) -> str:
    crash = next((fault for fault in schedule.faults if fault.point), None)
    if crash and (options.points or options.point or (options.short and schedule.is_focused)):
        return f"again: make chaos POINT={crash.point} ACTION={crash.action}"
    if options.scene:
        return f"again: make chaos SCENE={options.scene}"
    largest = _SHORT_LARGEST if options.short else options.largest
    size = "" if largest == LARGEST else f" LARGEST={largest}"
    return f"again: make chaos SEED={schedule.seed}{size}"


def _show_table(results: list[TrialResult]) -> None:
    fired = Counter(str(fault.fault) for result in results if result.is_valid for fault in result.schedule.faults)
    broken = Counter(str(fault.fault) for result in results if result.violations for fault in result.schedule.faults)
    print(f"{'fault':<18}{'schedules':>10}{'with violations':>17}")
    for fault, count in sorted(fired.items()):
        print(f"{fault:<18}{count:>10}{broken[fault]:>17}")
    print(f"{sum(not result.is_valid for result in results)} invalid")


sys.exit(main())
