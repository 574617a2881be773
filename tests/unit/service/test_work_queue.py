# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""Each key waits once, has one worker, and is never lost."""

import collections
import threading

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor.service import work_queue
from tests.fakes import clock as fake_clock


@pytest.fixture
def clock():
    return fake_clock.Clock()


@pytest.fixture
def queue(clock):
    return work_queue.WorkQueue(clock)


def test_a_key_added_twice_is_handed_out_once(queue):
    queue.add('a')
    queue.add('a')
    queue.add('b')

    assert [queue.get(), queue.get()] == ['a', 'b']
    assert len(queue) == 0


def test_a_key_added_while_worked_on_comes_round_once_more(queue):
    queue.add('a')
    queue.get()
    queue.add('a')
    queue.add('a')
    queue.add('b')
    assert queue.get() == 'b'

    queue.done('a')

    assert queue.get() == 'a'
    queue.done('a')
    assert len(queue) == 0


def test_a_key_may_go_before_all_others(queue):
    queue.add('a')
    queue.add('b')
    queue.add_first('b')
    queue.add_first('c')

    assert [queue.get(), queue.get(), queue.get()] == ['c', 'b', 'a']


def test_a_key_for_later_comes_when_it_is_due(queue, clock):
    queue.add_after('later', 10.0)
    queue.add('now')
    assert queue.get() == 'now'

    clock.advance(10.0)

    assert queue.get() == 'later'


def test_the_earlier_of_two_times_counts(queue, clock):
    queue.add_after('a', 10.0)
    queue.add_after('a', 100.0)
    queue.add_after('b', 100.0)
    queue.add_after('b', 20.0)

    clock.advance(20.0)

    assert [queue.get(), queue.get()] == ['a', 'b']


def test_a_look_ahead_of_time_replaces_the_one_for_later(queue, clock):
    queue.add_after('a', 10.0)
    queue.add('a')
    queue.done(queue.get())

    clock.advance(10.0)
    queue.add('b')

    assert queue.get() == 'b'


def test_a_worker_that_waits_is_woken_by_a_key(queue):
    got = []
    thread = threading.Thread(target=lambda: got.append(queue.get()))
    thread.start()

    queue.add('a')

    thread.join(10)
    assert got == ['a']


def test_shutting_down_wakes_every_worker(queue):
    got = []
    threads = [
        threading.Thread(target=lambda: got.append(queue.get()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()

    queue.shut_down()

    for thread in threads:
        thread.join(10)
    assert got == [None] * 4
    queue.add('a')
    assert queue.get() is None


def test_many_threads_work_a_key_one_at_a_time_and_lose_none(queue):
    added = 200
    seen = collections.Counter()
    at_once = collections.Counter()
    clashes = []
    lock = threading.Lock()
    finished = threading.Event()

    def work():
        while (key := queue.get()) is not None:
            with lock:
                at_once[key] += 1
                if at_once[key] > 1:
                    clashes.append(key)
            with lock:
                at_once[key] -= 1
                seen[key] += 1
                if len(seen) == added:
                    finished.set()
            queue.done(key)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for round_number in range(5):
        for number in range(added):
            queue.add(f'{number}')
            queue.add(f'{(number + round_number) % added}')

    assert finished.wait(30)
    queue.shut_down()
    for thread in threads:
        thread.join(10)
    assert not clashes
    assert len(seen) == added


operations = st.lists(
    st.tuples(
        st.sampled_from(['add', 'later', 'take', 'wait']),
        st.sampled_from('abc'),
    ),
    max_size=60,
)


@given(operations)
def test_every_key_added_is_handed_out_after_it_was_added(steps):
    clock = fake_clock.Clock()
    queue = work_queue.WorkQueue(clock)
    owed = {}  # key -> when it is due at the latest
    for step, key in steps:
        if step == 'add':
            queue.add(key)
            owed[key] = clock.now
        elif step == 'later':
            queue.add_after(key, 5.0)
            owed[key] = min(owed.get(key, clock.now + 5.0), clock.now + 5.0)
        elif step == 'wait':
            clock.advance(2.0)
        elif any(due <= clock.now for due in owed.values()):
            taken = queue.get()
            assert owed.pop(taken) <= clock.now
            queue.done(taken)

    clock.advance(5.0)
    for _ in range(len(owed)):
        taken = queue.get()
        owed.pop(taken)
        queue.done(taken)
    assert not owed
