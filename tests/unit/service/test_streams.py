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
"""Two engines: who brings what where, told by what Glance holds in the end."""

import dataclasses

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import choosing
from dcn_distributor.core import policies
from dcn_distributor.core import transfers
from tests.unit.service import world as worlds

BOTH = {'dcn0', 'dcn1'}
AUTO = choosing.Options()
PREFER = choosing.Options(prefer_rbd_stream=True)
BY_STREAM = transfers.Wishes(engine=transfers.EngineChoice.RBD_STREAM)
DENIED = exceptions.AccessDenied('403: copy_image forbids it')


def world_of(options=PREFER, wishes=transfers.NO_WISHES, **attributes):
    attributes.setdefault('rules', [worlds.policy(wishes=wishes)])
    return worlds.World(options=options, **attributes)


def test_one_stream_brings_an_image_to_all_its_sites():
    world = world_of()
    image_id = world.add()

    world.run()

    assert world.stores(image_id) == BOTH
    assert world.streamed(image_id) == [BOTH]
    assert world.asked(image_id) == []


def test_a_proved_copy_is_verified_until_its_image_is_gone(caplog):
    caplog.set_level('INFO')
    world = world_of()
    image_id = world.add()
    world.run()
    assert world.ledger.history(image_id).verified == BOTH
    assert 'store=dcn0 state=verified engine=rbd-stream' in caplog.text

    world.glance.delete(image_id)
    world.resync()
    world.run()

    assert not world.ledger.remembered()


def test_a_proof_is_forgotten_with_its_copy():
    world = world_of(options=PREFER)
    image_id = world.add()
    world.run()
    world.streams.obstructed = {'dcn0': ('no caps',), 'dcn1': ('no caps',)}

    world.glance.delete_from_store(image_id, 'dcn0')
    world.resync()
    world.run()

    assert world.stores(image_id) == BOTH
    assert world.ledger.history(image_id).verified == {'dcn1'}


def test_copies_that_only_have_the_right_size_are_not_called_verified():
    world = world_of(wishes=transfers.Wishes(verify=transfers.Verify.SIZE))
    image_id = world.add()

    world.run()

    assert world.stores(image_id) == BOTH
    assert not world.ledger.history(image_id).verified


def test_copy_image_goes_first_unless_told_else():
    world = world_of(AUTO)
    image_id = world.add()

    world.run()

    assert world.asked(image_id) == [BOTH]
    assert world.streamed(image_id) == []


@pytest.mark.parametrize(
    'error', [DENIED, exceptions.ImportDisabled('400: Unknown import method')]
)
def test_what_glance_refuses_is_streamed(error):
    world = world_of(AUTO)
    world.glance.refuse_imports(calls=100, error=error)
    image_id = world.add()

    world.run()

    assert world.stores(image_id) == BOTH
    assert set().union(*world.streamed(image_id)) == BOTH


@pytest.mark.parametrize(
    'error',
    [
        exceptions.TemporaryError('413: the quota is used up'),
        exceptions.GlanceUnavailable('500: for this image'),
    ],
)
def test_what_glance_keeps_failing_to_begin_is_streamed(error):
    world = world_of(AUTO)
    world.glance.refuse_imports(calls=1000, error=error)
    image_id = world.add()

    world.run(120)

    assert world.stores(image_id) == BOTH
    # No store was to blame.
    assert not world.ledger.load.troubles


def test_a_disabled_method_is_found_by_one_image_for_all():
    world = world_of(AUTO)
    error = exceptions.ImportDisabled('400: Unknown import method')
    world.glance.refuse_imports(calls=1, error=error)
    many = [world.add(f'image {number}') for number in range(10)]

    world.run(120)

    assert all(world.stores(image_id) == BOTH for image_id in many)
    assert len(world.streams.started) == 10

    world.resync()
    later = world.add()
    world.run()
    assert world.asked(later) == [BOTH]


def test_an_image_that_only_glance_refuses_says_nothing_of_others():
    world = world_of(AUTO)
    odd = world.add(disk_format=None)
    even = world.add()

    world.run()

    assert world.stores(odd) == BOTH
    assert world.asked(even) == [BOTH]


def test_a_staging_that_is_too_small_is_gone_round():
    world = world_of(AUTO)
    world.glance.fail_staging()
    many = [world.add(f'image {number}') for number in range(10)]

    world.run(300)

    assert all(world.stores(image_id) == BOTH for image_id in many)
    # No store was to blame.
    assert not world.ledger.load.troubles


def test_a_site_that_glance_does_not_reach_is_streamed_to():
    world = world_of(AUTO)
    world.glance.fail('dcn0')
    many = [world.add(f'image {number}') for number in range(30)]

    world.run(600)

    assert all(world.stores(image_id) == BOTH for image_id in many)
    # It is not for every image to find that out.
    tries = [
        asked for i in many for asked in world.asked(i) if 'dcn0' in asked
    ]
    assert len(tries) < 15


def test_copy_image_is_tried_again_where_it_had_failed():
    world = world_of(AUTO)
    world.glance.fail('dcn0')
    for number in range(10):
        world.add(f'image {number}')
    world.run(300)

    world.glance.heal()
    world.run(600)
    first = world.add('first')
    world.run(60)
    then = world.add('then')
    world.run(60)

    assert world.stores(first) == world.stores(then) == BOTH
    assert world.asked(then) == [BOTH]


def test_a_policy_that_asks_for_streams_gets_nothing_else():
    world = world_of(AUTO, BY_STREAM)
    world.streams.obstructed['dcn0'] = ('its caps are too narrow',)
    image_id = world.add()

    world.run(3600)

    assert world.stores(image_id) == {'dcn1'}
    assert world.asked(image_id) == []
    setback = world.ledger.history(image_id).setbacks['dcn0']
    assert 'its caps are too narrow' in setback.reason
    assert setback.is_permanent
    assert not setback.is_refused


def test_what_had_no_engine_is_looked_at_once_it_has():
    world = world_of(AUTO, BY_STREAM)
    world.streams.obstructed['dcn0'] = ('its caps are too narrow',)
    image_id = world.add()
    world.run(600)
    image = world.glance.get(image_id)
    assert world.reconciler.is_settled(image)

    world.streams.heal()
    assert not world.reconciler.is_settled(image)
    world.resync()
    world.run()

    assert world.stores(image_id) == BOTH
    assert world.ledger.history(image_id).is_quiet


def test_each_engine_takes_its_own_sites():
    here = worlds.policy(
        'here', selection=policies.NamedSites(frozenset(['dcn0']))
    )
    there = worlds.policy(
        'there',
        selection=policies.NamedSites(frozenset(['dcn1'])),
        wishes=BY_STREAM,
    )
    world = world_of(AUTO, rules=[here, there])
    image_id = world.add()

    world.run()

    assert world.stores(image_id) == BOTH
    assert world.asked(image_id) == [{'dcn0'}]
    assert world.streamed(image_id) == [{'dcn1'}]


def test_sites_with_the_same_wishes_share_a_stream():
    slow = transfers.Wishes(rate_bytes_s=1e6)
    rules = [
        worlds.policy(
            f'to {name}',
            selection=policies.NamedSites(frozenset([name])),
            wishes=slow if name == 'dcn2' else transfers.NO_WISHES,
        )
        for name in ('dcn0', 'dcn1', 'dcn2')
    ]
    world = world_of(rules=rules, names=['dcn0', 'dcn1', 'dcn2'])
    image_id = world.add()

    world.run()

    assert world.streamed(image_id) == [BOTH, {'dcn2'}]
    assert world.streams.wishes == [transfers.NO_WISHES, slow]


def test_streams_keep_to_their_limit_and_all_get_their_turn():
    world = world_of()
    many = [world.add(f'image {number}') for number in range(30)]

    world.run(600)

    assert all(world.stores(image_id) == BOTH for image_id in many)
    assert world.most_streams == world.limits.transfers


def test_waiting_for_one_engine_keeps_nobody_from_the_other():
    limits = dataclasses.replace(worlds.LIMITS, imports=1)
    world = world_of(AUTO, limits=limits)
    world.glance.hang('dcn0')
    first = world.add('first')
    world.run(30)
    world.rules = (worlds.policy(wishes=BY_STREAM),)
    assert world.rule_book.reload()

    image_id = world.add()
    world.run(30)

    assert world.stores(image_id) == BOTH
    assert world.stores(first) == set()


def test_a_lane_that_fails_holds_up_no_other():
    world = world_of(wishes=BY_STREAM)
    world.streams.fail('dcn0')
    image_id = world.add()
    world.run(30)
    assert world.stores(image_id) == {'dcn1'}

    world.streams.heal()
    world.run(60)

    assert world.stores(image_id) == BOTH


def test_what_a_stream_refuses_for_good_is_left_to_copy_image():
    world = world_of()
    world.streams.damage('dcn0')
    image_id = world.add()

    world.run()

    assert world.stores(image_id) == BOTH
    assert world.asked(image_id) == [{'dcn0'}]


def test_a_registration_that_was_undone_is_made_again():
    world = world_of()
    world.streams.lose('dcn0', 'dcn1')
    image_id = world.add()
    world.run(8)
    assert world.stores(image_id) == set()
    assert len(world.streamed(image_id)) == 1

    world.streams.heal()
    world.run()

    assert world.stores(image_id) == BOTH


def test_a_stream_ends_with_its_image():
    world = world_of()
    image_id = world.add()
    world.run(3)
    assert world.streams.running

    world.glance.delete(image_id)
    world.hint(image_id)
    world.run(5)

    assert not world.streams.running
    assert not world.ledger.remembered()
    assert not world.ledger.load.running


def test_a_stream_ends_when_its_image_is_deactivated():
    world = world_of()
    image_id = world.add()
    world.run(3)

    world.glance.change(image_id, status='deactivated')
    world.hint(image_id)
    world.run(5)
    assert not world.streams.running
    assert world.ledger.history(image_id).is_quiet

    world.glance.change(image_id, status='active')
    world.hint(image_id)
    world.run()
    assert world.stores(image_id) == BOTH


def test_somebody_elses_import_and_a_stream_bear_with_each_other():
    world = world_of(names=['dcn0', 'dcn1', 'dcn2'])
    image = world.glance.add(stores=frozenset({'central', 'dcn2'}))
    world.glance.delete_from_store(image.id, 'dcn2')
    world.hint(image.id)
    world.run(3)
    assert world.streams.running

    world.glance.import_by_another(image.id, ['dcn2'])
    world.run()

    assert world.stores(image.id) == {'dcn0', 'dcn1', 'dcn2'}


def test_beside_a_stuck_import_a_stream_goes_where_that_does_not():
    world = world_of(AUTO, names=['dcn0', 'dcn1'])
    image = world.glance.add()
    world.glance.import_by_another(image.id, ['dcn0'])
    world.glance.hang('dcn0')
    world.hint(image.id)

    world.run(1200)
    assert world.streamed(image.id)[0] == {'dcn1'}
    assert world.asked(image.id) == []

    world.glance.heal()
    world.run(1200)
    assert world.stores(image.id) == BOTH


def test_a_lock_that_grew_stale_beside_a_stream_is_broken():
    world = world_of(AUTO)
    image = world.glance.add()
    world.glance.import_by_another(image.id, ['dcn0'])
    world.hint(image.id)
    world.run(3)
    world.glance.crash()
    world.glance.remove_orphans()

    world.run(2 * 3600)

    assert world.stores(image.id) == BOTH
    assert not world.glance.running


def test_a_killed_agents_streams_are_begun_again_and_leave_nothing():
    world = world_of()
    image_id = world.add()
    world.run(5)
    assert world.claims

    world.start_agent()
    world.run()

    assert world.stores(image_id) == BOTH
    assert not world.claims


def test_without_cluster_settings_there_is_copy_image_only():
    world = worlds.World(rules=[worlds.policy(wishes=BY_STREAM)])
    image_id = world.add()

    world.run()

    assert world.stores(image_id) == set()
    reason = world.ledger.history(image_id).setbacks['dcn0'].reason
    assert 'it is not set up' in reason


@pytest.mark.parametrize('wishes', [transfers.NO_WISHES, BY_STREAM])
def test_the_lock_of_a_dead_import_keeps_no_stream_for_ever(wishes):
    world = world_of(PREFER, wishes)
    image = world.glance.add()
    world.glance.import_by_another(image.id, ['dcn0'])
    world.glance.step(image.id)
    world.hint(image.id)
    world.run(3)
    world.glance.crash()
    world.glance.remove_orphans()

    world.run(2 * 3600)

    assert world.stores(image.id) == BOTH


def test_a_lock_whose_task_is_gone_is_broken_by_an_import():
    world = world_of(PREFER)
    image = world.glance.add()
    world.glance.import_by_another(image.id, ['dcn0'])
    world.hint(image.id)
    world.run(3)
    world.glance.crash()
    world.glance.lose_task(image.id)
    world.glance.remove_orphans()

    world.run(600)

    assert world.stores(image.id) == BOTH
    assert world.asked(image.id)


def test_streams_that_cannot_be_read_are_left_to_copy_image():
    world = world_of(PREFER)
    world.streams.fail_source()
    many = [world.add(f'image {number}') for number in range(10)]

    world.run(600)

    assert all(world.stores(image_id) == BOTH for image_id in many)
    # No target was to blame.
    assert not world.ledger.load.troubles


def test_a_site_that_streams_do_not_reach_is_left_to_copy_image():
    world = world_of(PREFER)
    world.streams.fail('dcn0')
    many = [world.add(f'image {number}') for number in range(30)]

    world.run(900)

    assert all(world.stores(image_id) == BOTH for image_id in many)
    # It is not for every image to find that out.
    tries = [
        told for i in many for told in world.streamed(i) if 'dcn0' in told
    ]
    assert len(tries) < 15


@pytest.mark.parametrize('options', [AUTO, PREFER])
@pytest.mark.parametrize('trouble', ['source', 'target'])
@pytest.mark.parametrize('healed', ['glance', 'streams'])
def test_whichever_engine_is_well_again_is_found(options, trouble, healed):
    world = world_of(options)
    world.glance.fail('dcn0', 'dcn1')
    if trouble == 'source':
        world.streams.fail_source()
    else:
        world.streams.fail('dcn0', 'dcn1')
    many = [world.add(f'image {number}') for number in range(10)]
    world.run(2 * 3600)
    assert not any(world.stores(image_id) for image_id in many)

    getattr(world, healed).heal()
    world.run(2400)

    assert all(world.stores(image_id) == BOTH for image_id in many)


def test_a_copy_that_another_makes_is_no_failure_of_the_engine():
    world = world_of(PREFER)
    image = world.glance.add()
    world.hint(image.id)
    world.run(3)
    world.glance.import_by_another(image.id, ['dcn0'])
    world.glance.hang('dcn0')

    world.run(3000)

    # Glance would refuse that, too.
    assert world.asked(image.id) == []
    world.glance.heal()
    world.run(1200)
    assert world.stores(image.id) == BOTH


def test_streams_that_wait_for_dead_imports_hold_up_no_others():
    world = world_of(AUTO, BY_STREAM, names=['dcn0', 'dcn1', 'dcn2'])
    locked = [world.glance.add(f'image {number}').id for number in range(4)]
    for image_id in locked:
        world.glance.import_by_another(image_id, ['dcn0'])
        world.hint(image_id)
    world.run(1)
    world.glance.crash()
    while not world.streams.started:
        world.run(10)
    # They go to the other sites meanwhile, and cannot be registered.
    world.run(15)

    image_id = world.add()
    world.run(60)

    assert world.stores(image_id) == {'dcn0', 'dcn1', 'dcn2'}
    assert not any(world.stores(one) for one in locked)
    world.glance.remove_orphans()
    world.run(2 * 3600)
    assert all(world.stores(one) == world.stores(image_id) for one in locked)
    assert not world.ledger.load.running


@pytest.mark.parametrize('is_at_start', [True, False])
def test_where_copies_are_may_change(is_at_start):
    world = world_of(PREFER, BY_STREAM)
    if is_at_start:
        nowhere = exceptions.NotCopyable('no site with it has a cluster')
        world.streams.refuse(nowhere)
    else:
        world.streams.fail_source(exceptions.CopyNotFound('no copy there'))
    image_id = world.add()
    order = transfers.EngineChoice.RBD_STREAM
    world.order_book.place(image_id, 'dcn0', order)
    world.run(600)
    assert world.order_book.pending()

    world.streams.heal()
    world.run(700)

    assert world.stores(image_id) == BOTH


def test_an_image_that_no_stream_can_ever_copy_is_refused():
    world = world_of(PREFER, BY_STREAM)
    world.streams.refuse(exceptions.NotCopyable('it has no data'))
    image_id = world.add(size_bytes=0)

    world.run(60)

    setback = world.ledger.history(image_id).setbacks['dcn0']
    assert setback.is_permanent
    assert setback.is_refused


def test_a_refusal_is_not_all_that_is_told_where_an_obstacle_passes():
    world = world_of(AUTO, names=['dcn0'])
    world.glance.refuse_imports(calls=9, error=DENIED)
    away = choosing.Passing('its cluster does not answer')
    world.streams.obstructed['dcn0'] = (away,)
    image_id = world.add()

    world.run(60)

    setback = world.ledger.history(image_id).setbacks['dcn0']
    assert setback.is_permanent
    assert not setback.is_refused
    assert '403: copy_image forbids it' in setback.reason
    assert 'its cluster does not answer' in setback.reason


def test_not_all_too_many_streams_wait_for_dead_imports():
    world = world_of(AUTO, BY_STREAM)
    locked = [world.glance.add(f'image {number}').id for number in range(30)]
    for image_id in locked:
        world.glance.import_by_another(image_id, ['dcn0'])
        world.hint(image_id)
    world.run(1)
    world.glance.crash()
    world.glance.remove_orphans()

    world.run(3 * 3600)

    limits = world.limits
    assert world.most_streams <= limits.transfers + limits.transfers_waiting
    assert all(world.stores(image_id) == BOTH for image_id in locked)
