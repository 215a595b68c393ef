"""Work on images spread over processes, in a stream: nothing waits in memory but what the processes work on."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import TypeVar

from tqdm import tqdm

Result = TypeVar("Result")


def over_processes(
    function: Callable[..., Result], jobs: Iterable[tuple], processes: int, *, title: str
) -> Iterator[Result]:
    """Yields `function(*job)` of each job, in the order in which they finish; raises what a job raised.

    At most two jobs a process wait at a time, so memory does not grow with their number.
    """
    waiting: set[Future[Result]] = set()
    # Spawned, not forked: fork copies the locks of torch's, tqdm's and the pool's threads in whatever state they are.
    with (
        ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool,
        tqdm(desc=title, unit="image", mininterval=1) as progress,
    ):
        for job in jobs:
            waiting.add(pool.submit(function, *job))
            if len(waiting) >= 2 * processes:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
                    progress.update()
        for future in waiting:
            yield future.result()
            progress.update()
