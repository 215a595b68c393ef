"""Work on images spread over processes, in a stream: nothing waits in memory but what the processes work on."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from stages.errors import DataError

Result = TypeVar("Result")
CURE = "use fewer --processes (threads of its rule, --cores), or bound the size of the images: data.longest_side"


def over_processes(
    function: Callable[..., Result], jobs: Iterable[tuple], processes: int, *, title: str
) -> Iterator[Result]:
    """Yields `function(*job)` of each job, in the order in which they finish; raises what a job raised, and a DataError
    if memory ran out.

    At most two jobs a process wait at a time, so memory does not grow with their number.
    """
    waiting: dict[Future[Result], tuple] = {}
    # Spawned, not forked: fork copies the locks of torch's, tqdm's and the pool's threads in whatever state they are.
    with (
        ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool,
        tqdm(desc=title, unit="image", mininterval=1) as progress,
    ):
        for job in jobs:
            with _memory(job):
                waiting[pool.submit(function, *job)] = job
            if len(waiting) >= 2 * processes:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    with _memory(waiting.pop(future)):
                        result = future.result()
                    yield result
                    progress.update()
        for future, job in waiting.items():
            with _memory(job):
                result = future.result()
            yield result
            progress.update()


@contextmanager
def _memory(job: tuple) -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        place = next((f"{value}: " for value in job if isinstance(value, Path)), "")
        raise DataError(f"{place}the memory is not enough; {CURE}") from error
    except BrokenProcessPool as error:
        raise DataError(f"a process was killed, probably because the memory was not enough; {CURE}") from error
