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
"""The matrix: rows, sums and findings."""

import dataclasses
import itertools
import time

import pytest

from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import matching
from dcn_distributor.core import matrix
from dcn_distributor.core import memory as memories
from dcn_distributor.core import placements
from dcn_distributor.core import policies
from dcn_distributor.core import sites
from dcn_distributor.core import transfers
from tests.fakes import images as fake_images

NOW = 10_000.0
SITES = sites.Sites(
    'central',
    tuple(sites.Site(f'dcn{n}', f'store{n}', {}) for n in range(3)),
)
STORES = frozenset({'central', *(s.store for s in SITES)})
PUBLIC = policies.Policy(
    'public',
    matching.Block((matching.OneOf('visibility', ('public',)),)),
    policies.AllSites(),
    exclude=frozenset({'dcn2'}),
)
RULES = policies.PolicySet([PUBLIC], SITES)
IMAGE = fake_images.image(size_bytes=1000)
TASK = images.ImportTask('task', 'processing', ('store0',), '', 400, NOW, NOW)
SETBACK = histories.Setback(1, 'no space', NOW + 60)


def changed(**changes):
    return dataclasses.replace(IMAGE, **changes)


def survey(
    memory=memories.NOTHING, stores=STORES, selection=matrix.EVERYTHING
):
    return matrix.Survey(RULES, stores, memory, NOW, selection)


IMPORTING = changed(import_task='task', importing_to=('store0',))
IMAGES = [
    IMAGE,
    changed(visibility='private'),
    changed(stores=frozenset({'central', 'store0', 'store2'})),
    changed(failed_import=frozenset({'store1'})),
    changed(status='queued', stores=frozenset()),
    IMPORTING,
    changed(name='x', stores=STORES),
]
STREAMING = memories.Streaming(
    'central',
    transfers.Lane('site1', 'store1', transfers.Phase.COPYING, 2**20),
)
MEMORIES = [
    memories.NOTHING,
    memories.Memory('h', {IMAGE.id: {'store1': SETBACK}}),
    memories.Memory('h', {}, {'store1': SETBACK}),
    memories.Memory('h', verified={IMAGE.id: frozenset({'store0'})}),
    memories.Memory('h', streams={IMAGE.id: {'store1': STREAMING}}),
]


@pytest.mark.parametrize('memory', MEMORIES)
@pytest.mark.parametrize('stores', [STORES, STORES - {'store1'}])
def test_shared_placements_are_those_observed_one_by_one(memory, stores):
    made = survey(memory, stores)

    # Each twice, in every order of two: what is shared must not leak.
    for pair in itertools.permutations(IMAGES, 2):
        for image in pair:
            task = TASK if image.import_task else None
            evidence = placements.Evidence(task, stores, memory, NOW)
            row = made.row(image, task)
            assert row.cells == tuple(
                placements.observe(image, decision, evidence)
                for decision in RULES.decide(image).by_site
            )
            assert row.tally() == counted(row)


def counted(row):
    """Count a row's placements one by one."""
    states = [cell.state for cell in row.cells]
    telling = [
        cell
        for cell in row.cells
        if cell.state
        in (
            placements.State.ABSENT,
            placements.State.COPYING,
            placements.State.FAILED,
        )
    ]
    wanted = [cell.decision.wanted for cell in row.cells if cell.is_there]
    copied = sum(cell.copied_bytes or 0 for cell in telling)
    size_bytes = row.image.size_bytes
    return matrix.Tally(
        wanted=sum(wanted) + sum(cell.decision.wanted for cell in telling),
        present=sum(wanted),
        copying=states.count(placements.State.COPYING),
        failed=states.count(placements.State.FAILED),
        absent=states.count(placements.State.ABSENT),
        extra=len(wanted) - sum(wanted),
        bytes_left=max(0, (size_bytes or 0) * len(telling) - copied)
        if size_bytes
        else 0,
    )


@pytest.mark.parametrize(
    ('image', 'expected'),
    [
        pytest.param(
            IMAGE, matrix.Tally(wanted=2, absent=2, bytes_left=2000),
            id='nowhere',
        ),
        pytest.param(
            changed(stores=STORES),
            matrix.Tally(wanted=2, present=2, extra=1),
            id='everywhere',
        ),
        pytest.param(
            IMPORTING,
            matrix.Tally(wanted=2, copying=1, absent=1, bytes_left=1600),
            id='on its way',
        ),
        pytest.param(
            changed(failed_import=frozenset({'store1'})),
            matrix.Tally(wanted=2, failed=1, absent=1, bytes_left=2000),
            id='failed at one',
        ),
        pytest.param(
            changed(size_bytes=None), matrix.Tally(wanted=2, absent=2),
            id='of unknown size',
        ),
        pytest.param(
            changed(visibility='private'), matrix.Tally(), id='unwanted'
        ),
    ],
)  # fmt: skip
def test_tally(image, expected):
    row = survey().row(image, TASK if image.import_task else None)

    assert row.tally() == expected


@pytest.mark.parametrize(
    ('image', 'matters'),
    [
        (IMAGE, True),
        (changed(visibility='private'), False),
        (changed(visibility='private', stores=STORES), True),
        (changed(status='queued'), False),
        (changed(status='deactivated', stores=STORES), True),
    ],
)
def test_what_is_wanted_or_there_matters(image, matters):
    assert survey().row(image, None).matters is matters


@pytest.mark.parametrize(
    ('selection', 'names'),
    [
        (matrix.EVERYTHING, ['dcn0', 'dcn1', 'dcn2']),
        (matrix.Selection(['dcn2', 'dcn0']), ['dcn0', 'dcn2']),
        (matrix.Selection(policy='public'), ['dcn0', 'dcn1', 'dcn2']),
        (matrix.Selection(policy='other'), []),
        (matrix.Selection(['dcn1'], 'public'), ['dcn1']),
    ],
)
def test_selection(selection, names):
    row = survey(selection=selection).row(IMAGE, None)

    assert [cell.decision.site.name for cell in row.cells] == names


def test_complete_means_that_all_that_is_wanted_is_there():
    assert matrix.Tally().is_complete
    assert matrix.Tally(wanted=2, present=2, extra=1).is_complete
    assert not matrix.Tally(wanted=2, present=1, copying=1).is_complete


def test_findings_group_by_reason_the_worst_first():
    totals = matrix.Totals()
    made = survey(memories.Memory('h', {'b': {'store1': SETBACK}}))
    for image in (IMPORTING, changed(id='a'), changed(id='b', name='b')):
        row = made.row(image, TASK if image.import_task else None)
        totals.add(row, row.tally())

    findings = totals.findings()

    assert totals.images == 3
    assert totals.tally.wanted == 6
    assert [
        (f.state.value, f.reason, len(f.image_ids), list(f.site_names))
        for f in findings
    ] == [
        ('failed', 'no space', 1, ['dcn1']),
        ('copying', 'import task', 1, ['dcn0']),
        ('absent', 'no import yet', 2, ['dcn0', 'dcn1']),
        ('absent', findings[3].reason, 1, ['dcn1']),
    ]
    assert findings[0].next_try_s == NOW + 60
    assert findings[1].bytes_left == 600


def test_rows_sort_by_name_whatever_the_case():
    rows = [
        survey().row(changed(name=name, id=image_id), None)
        for name, image_id in (('b', '1'), ('A', '3'), ('a', '2'))
    ]

    assert [row.image.id for row in sorted(rows, key=matrix.by_name)] == [
        '2',
        '3',
        '1',
    ]


def test_a_large_cloud_is_summed_up_in_seconds():
    """10,000 images at 200 sites, none of them there yet."""
    many = sites.Sites(
        'central',
        tuple(sites.Site(f's{n}', f's{n}', {}) for n in range(200)),
    )
    rules = policies.PolicySet(
        [dataclasses.replace(PUBLIC, exclude=frozenset())], many
    )
    made = matrix.Survey(
        rules,
        frozenset(s.store for s in many),
        memories.NOTHING,
        NOW,
        matrix.EVERYTHING,
    )
    totals = matrix.Totals()
    started_s = time.process_time()
    for number in range(10_000):
        row = made.row(changed(id=str(number)), None)
        totals.add(row, row.tally())
    seconds = time.process_time() - started_s

    assert totals.tally.absent == 2_000_000
    # Measured: 0.7 s. The bound is for slow machines.
    assert seconds < 10
