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
"""What became of an import, read off the image."""

import pytest

from dcn_distributor.core import following
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from tests.unit.core import test_planner

NOW = 1_700_000_000.0
Verdict = following.Verdict


def request(**attributes):
    known = {
        'stores': ('dcn0', 'dcn1'),
        'started_s': NOW - 60,
        'progress_s': NOW - 60,
        'task_id': 'task',
    }
    return histories.Request(**{**known, **attributes})


def a_task(**attributes):
    known = {
        'id': 'task',
        'status': 'processing',
        'stores': ('dcn1', 'dcn0'),
        'message': '',
        'copied_bytes': None,
        'created_at_s': NOW - 60,
        'updated_at_s': NOW - 60,
    }
    return images.ImportTask(**{**known, **attributes})


@pytest.mark.parametrize(
    ('attributes', 'verdict'),
    [
        pytest.param(
            {'stores': frozenset({'dcn0'})}, Verdict.COPIED, id='listed'
        ),
        pytest.param({}, Verdict.FAILED, id='lock gone without a word'),
        pytest.param(
            {'failed_import': frozenset({'dcn0'})},
            Verdict.FAILED,
            id='lock gone and listed as failed',
        ),
        pytest.param(
            {'importing_to': ('dcn0', 'dcn1')},
            Verdict.FAILED,
            id='lock gone and the list of stores is stale',
        ),
        pytest.param(
            {'import_task': 'task', 'importing_to': ('dcn0', 'dcn1')},
            Verdict.UNDER_WAY,
            id='its turn is to come',
        ),
        pytest.param(
            {'import_task': 'task'},
            Verdict.UNDER_WAY,
            id='lock just taken and no list yet',
        ),
        pytest.param(
            {'import_task': 'task', 'failed_import': frozenset({'dcn0'})},
            Verdict.UNDER_WAY,
            id='lock just taken and the failure is of an import before',
        ),
        pytest.param(
            {
                'import_task': 'task',
                'importing_to': ('dcn1',),
                'failed_import': frozenset({'dcn0'}),
            },
            Verdict.FAILED,
            id='failed while others go on',
        ),
        pytest.param(
            {'import_task': 'other', 'importing_to': ('dcn0',)},
            Verdict.FAILED,
            id="the lock is another import's",
        ),
    ],
)
def test_a_store_is_judged_by_the_image(attributes, verdict):
    stores = attributes.pop('stores', frozenset())
    image = test_planner.an_image(stores, **attributes)

    assert following.judge(image, request(), 'dcn0', NOW) is verdict


def test_an_import_just_asked_for_has_not_ended():
    image = test_planner.an_image()
    young = request(started_s=NOW - 0.2, task_id=None)

    assert following.judge(image, young, 'dcn0', NOW) is Verdict.UNDER_WAY


def test_a_clock_that_was_set_back_keeps_no_import_from_ending():
    image = test_planner.an_image()
    begun_later = request(started_s=NOW + 3600)

    assert following.has_ended(image, begun_later, NOW)


def test_an_import_nobody_remembers_is_taken_over():
    image = test_planner.an_image(
        frozenset({'dcn1'}), import_task='task', importing_to=('dcn0',)
    )

    found = following.follow(image, a_task(), None, NOW)

    assert found is not None
    assert found.stores == ('dcn0',)
    assert found.task_id == 'task'


def test_a_sign_of_life_is_a_change_by_our_own_clock():
    image = test_planner.an_image(
        import_task='task', importing_to=('dcn0', 'dcn1')
    )
    first = following.follow(image, a_task(), request(), NOW)
    same = following.follow(image, a_task(), first, NOW + 60)
    later = following.follow(
        image, a_task(message='Copied 9 MiB'), same, NOW + 120
    )

    assert (first.progress_s, same.progress_s) == (NOW, NOW)
    assert later.progress_s == NOW + 120


def test_the_store_being_written_is_the_first_of_the_request_left():
    image = test_planner.an_image(
        import_task='task', importing_to=('dcn0', 'dcn1')
    )

    at = following.being_written(image, request(stores=('dcn1', 'dcn0')))

    assert at == 'dcn1'
