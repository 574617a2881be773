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
"""Placements: what Glance and an agent's memory say together."""

import dataclasses
import math

import pytest

from dcn_distributor.core import decisions
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import memory as memories
from dcn_distributor.core import placements
from dcn_distributor.core import sites
from tests.fakes import images as fake_images

NOW = 10_000.0
IMAGE = fake_images.image()
TASK = images.ImportTask(
    id='task',
    status='processing',
    stores=('dcn1', 'dcn0'),
    message='',
    copied_bytes=2**20,
    created_at_s=NOW - 60,
    updated_at_s=NOW - 60,
)
DCN0 = sites.Site('dcn0', 'dcn0', {})
WANTED = decisions.Decision(DCN0, True, 'p', 'wanted by policy p')
UNWANTED = decisions.Decision(DCN0, False, None, 'not wanted: no policy')
SETBACK = histories.Setback(3, 'no space', NOW + 60)
FOR_GOOD = histories.Setback(1, 'no such format', math.inf)


def observe(changes=None, decision=WANTED, task=None, memory=memories.NOTHING):
    known_stores = frozenset({'central', 'dcn0', 'dcn1'})
    return placements.observe(
        dataclasses.replace(IMAGE, **(changes or {})),
        decision,
        placements.Evidence(task, known_stores, memory, NOW),
    )


def remembering(setback=None, trouble=None):
    return memories.Memory(
        'host',
        {IMAGE.id: {'dcn0': setback}} if setback else {},
        {'dcn0': trouble} if trouble else {},
    )


IN_DCN0 = {'stores': frozenset({'central', 'dcn0'})}
IMPORTING = {'import_task': 'task', 'importing_to': ('dcn0',)}


@pytest.mark.parametrize(
    ('arguments', 'state', 'reason'),
    [
        pytest.param(
            {'changes': IN_DCN0}, 'present', 'wanted by policy p',
            id='wanted and there',
        ),
        pytest.param(
            {'changes': IN_DCN0, 'memory': remembering(SETBACK)},
            'present', 'wanted by policy p',
            id='Glance is believed, not what is remembered',
        ),
        pytest.param(
            {'changes': IN_DCN0, 'decision': UNWANTED},
            'present', 'kept, though not wanted: no policy',
            id='there and unwanted',
        ),
        pytest.param(
            {'decision': UNWANTED}, 'unwanted', 'not wanted: no policy',
            id='neither wanted nor there',
        ),
        pytest.param({}, 'absent', 'no import yet', id='nothing is known'),
        pytest.param(
            {'changes': IMPORTING}, 'copying',
            'import task, which Glance has no task of',
            id='an import whose task is gone',
        ),
        pytest.param(
            {'changes': IMPORTING, 'decision': UNWANTED, 'task': TASK},
            'copying', 'import task',
            id="somebody's import to where nobody wants it",
        ),
        pytest.param(
            {'changes': {'import_task': 'task'}, 'task': TASK},
            'copying', 'import task, after dcn1',
            id='an import that has not written its list yet',
        ),
        pytest.param(
            {'changes': {**IMPORTING, 'importing_to': ('dcn0', 'dcn1')},
             'task': TASK},
            'copying', 'import task, after dcn1',
            id='the order is that of the request',
        ),
        pytest.param(
            {'changes': IMPORTING,
             'task': dataclasses.replace(TASK, updated_at_s=NOW - 600)},
            'copying', 'import task, no sign of life for 10 min',
            id='an import that says nothing',
        ),
        pytest.param(
            {'changes': IMPORTING,
             'task': dataclasses.replace(
                 TASK, updated_at_s=NOW - 600, copied_bytes=None)},
            'copying',
            'import task, no sign of life for 10 min, as while Glance stages',
            id='an import that has said nothing so far',
        ),
        pytest.param(
            {'changes': IMPORTING, 'task': TASK,
             'memory': remembering(SETBACK)},
            'copying', 'import task, failed before: no space',
            id='a new try',
        ),
        pytest.param(
            {'changes': {**IMPORTING, 'importing_to': ('dcn1',)},
             'task': dataclasses.replace(TASK, status='pending')},
            'copying', 'import task, after dcn1',
            id='before the import has started, its list is stale',
        ),
        pytest.param(
            {'changes': IMPORTING,
             'task': dataclasses.replace(TASK, stores=('dcn1',))},
            'absent',
            'waits for import task to end, Glance takes one an image',
            id='an import that was never asked for this store',
        ),
        pytest.param(
            {'changes': {'importing_to': ('dcn0',)}}, 'absent',
            'no import yet', id='without the lock the list is stale',
        ),
        pytest.param(
            {'changes': {'status': 'queued'}}, 'absent',
            'the image is queued, not active', id='no data yet',
        ),
        pytest.param(
            {'decision': dataclasses.replace(
                WANTED, site=sites.Site('dcn0', 'dnc0', {}))},
            'failed', 'Glance has no store dnc0',
            id='a store that Glance does not have',
        ),
        pytest.param(
            {'memory': remembering(SETBACK)}, 'failed', 'no space',
            id='an agent remembers the failure',
        ),
        pytest.param(
            {'memory': remembering(FOR_GOOD)}, 'failed', 'no such format',
            id='an agent has given up',
        ),
        pytest.param(
            {'changes': {'failed_import': frozenset({'dcn0'})}}, 'failed',
            'the last import to this store failed',
            id='only Glance remembers the failure',
        ),
        pytest.param(
            {'memory': remembering(trouble=SETBACK)}, 'absent',
            'the store fails, one image at a time tries it: no space',
            id='the store fails with other images',
        ),
        pytest.param(
            {'changes': {'import_task': 'task', 'importing_to': ('dcn1',)}},
            'absent',
            'waits for import task to end, Glance takes one an image',
            id='an import to another store holds the lock',
        ),
    ],
)  # fmt: skip
def test_state_and_reason(arguments, state, reason):
    placement = observe(**arguments)

    assert (placement.state.value, placement.reason) == (state, reason)


def test_progress_is_of_the_store_being_written():
    changes = {'import_task': 'task', 'importing_to': ('dcn0', 'dcn1')}
    first = dataclasses.replace(TASK, stores=('dcn0', 'dcn1'))

    assert observe(changes, task=first).copied_bytes == 2**20
    assert observe(changes, task=TASK).copied_bytes is None


@pytest.mark.parametrize(
    ('memory', 'next_try_s'),
    [
        (memories.NOTHING, None),
        (remembering(SETBACK), NOW + 60),
        (remembering(trouble=SETBACK), NOW + 60),
        (
            remembering(
                SETBACK, dataclasses.replace(SETBACK, next_try_s=NOW + 90)
            ),
            NOW + 90,
        ),
        (
            remembering(SETBACK, dataclasses.replace(SETBACK, next_try_s=NOW)),
            NOW + 60,
        ),
        (remembering(FOR_GOOD), None),
    ],
)
def test_next_try_is_what_an_agent_remembers(memory, next_try_s):
    assert observe(memory=memory).next_try_s == next_try_s


def test_missing_and_extra():
    assert observe().is_missing
    assert not observe(IN_DCN0).is_missing
    assert not observe(decision=UNWANTED).is_missing
    assert observe(IN_DCN0, UNWANTED).is_extra
    assert not observe(IN_DCN0).is_extra
