import asyncio

from sidestream.base.task_set import TaskSet


async def test_a_task_is_kept_until_it_is_over() -> None:
    tasks, done = TaskSet(), asyncio.Event()

    async def work() -> None:
        await done.wait()

    first = tasks.start(work())
    second = tasks.start(work())
    assert list(tasks) == [first, second]
    first.cancel()
    await asyncio.wait([first])
    await asyncio.sleep(0)
    assert list(tasks) == [second]
    done.set()
    await second
    await asyncio.sleep(0)
    assert not tasks


async def test_a_task_begins_at_the_next_turn_of_the_loop() -> None:
    begun: list[bool] = []

    async def work() -> None:
        begun.append(True)

    task = TaskSet().start(work())
    assert not begun
    await task
    assert begun
