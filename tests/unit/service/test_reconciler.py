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
"""What an agent brings about, told by what Glance holds in the end."""

import dataclasses

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import matching
from dcn_distributor.core import policies
from tests.unit.service import world as worlds

BOTH = {'dcn0', 'dcn1'}
PUBLIC = matching.Block((matching.OneOf('visibility', ('public',)),))


def test_an_active_image_reaches_all_its_sites_by_one_import():
    world = worlds.World()
    image_id = world.add()

    world.run()

    assert world.stores(image_id) == BOTH
    assert world.asked(image_id) == [BOTH]
    assert image_id not in world.ledger.remembered()


def test_nothing_is_copied_that_no_policy_wants():
    world = worlds.World(rules=[worlds.policy(match=PUBLIC)])
    image_id = world.add(visibility='private')

    world.run()

    assert world.stores(image_id) == set()


def test_a_change_of_the_image_brings_its_copies():
    world = worlds.World(rules=[worlds.policy(match=PUBLIC)])
    image_id = world.add(visibility='private')
    world.run()

    world.glance.change(image_id, visibility='public')
    world.hint(image_id)
    world.run()

    assert world.stores(image_id) == BOTH


def test_an_image_is_copied_once_it_is_active():
    world = worlds.World()
    image_id = world.add(status='queued')
    world.run()
    assert world.asked(image_id) == []

    world.glance.change(image_id, status='active')
    world.hint(image_id)
    world.run()

    assert world.stores(image_id) == BOTH


def test_only_missing_stores_are_asked_for():
    world = worlds.World()
    image_id = world.add(stores=frozenset({'central', 'dcn1'}))

    world.run()

    assert world.asked(image_id) == [{'dcn0'}]


def test_a_copy_that_is_no_longer_wanted_stays():
    world = worlds.World(rules=[worlds.policy(match=PUBLIC)])
    image_id = world.add()
    world.run()

    world.glance.change(image_id, visibility='private')
    world.hint(image_id)
    world.run()

    assert world.stores(image_id) == BOTH


def test_a_failed_store_is_tried_alone_until_it_works():
    world = worlds.World()
    world.glance.fail('dcn0')
    image_id = world.add()

    world.run(600)
    assert world.stores(image_id) == {'dcn1'}
    assert all(asked == {'dcn0'} for asked in world.asked(image_id)[1:])

    world.glance.heal()
    world.run(700)
    assert world.stores(image_id) == BOTH


def test_tries_become_rarer_up_to_the_cap():
    world = worlds.World(names=['dcn0'])
    world.glance.fail('dcn0')
    image_id = world.add()

    world.run(24 * 3600)

    tries = len(world.asked(image_id))
    assert 24 * 6 <= tries <= 24 * 6 * 1.4 + 10


@pytest.mark.parametrize('fault', ['lose', 'fail_staging'])
def test_a_copy_that_fails_without_a_word_is_tried_again(fault):
    world = worlds.World()
    if fault == 'lose':
        world.glance.lose('dcn0', 'dcn1')
    else:
        world.glance.fail_staging()
    image_id = world.add()
    world.run(60)
    assert world.stores(image_id) == set()

    world.glance.heal()
    world.run(1500)

    assert world.stores(image_id) == BOTH


def test_a_dead_site_holds_up_no_other_site():
    world = worlds.World()
    world.glance.hang('dcn0')
    first = world.add()
    world.run(2000)  # found stuck by now

    later = [world.add(f'image {number}') for number in range(20)]
    world.run(600)

    assert all(world.stores(image_id) == {'dcn1'} for image_id in later)
    assert world.stores(first) == set()


def test_a_site_that_works_again_is_found_while_many_wait_for_slots():
    world = worlds.World(limits=dataclasses.replace(worlds.LIMITS, imports=1))
    world.glance.fail('dcn0')
    many = [world.add(f'image {number}') for number in range(40)]
    world.run(10)

    world.glance.heal()
    world.run(60)

    waiting = [i for i in many if not world.stores(i)]
    assert len(waiting) > 10
    assert any('dcn0' in world.stores(i) for i in many)
    world.run(600)
    # Nearly all took both stores in one import.
    assert len(world.glance.imports) < 60


def test_many_dead_sites_leave_slots_to_the_others():
    dead = [f'dcn{number}' for number in range(6)]
    world = worlds.World(names=[*dead, 'well'])
    world.glance.hang(*dead)
    world.add('first')
    world.run(12 * 3600)  # all found stuck by now

    later = [world.add(f'image {number}') for number in range(20)]
    world.run(600)

    assert all(world.stores(image_id) == {'well'} for image_id in later)


def test_a_site_that_came_back_gets_all_it_missed():
    world = worlds.World()
    world.glance.fail('dcn0')
    missed = [world.add(f'image {number}') for number in range(20)]
    world.run(3600)

    world.glance.heal()
    world.run(1800)

    assert all(world.stores(image_id) == BOTH for image_id in missed)


def test_a_failing_site_is_tried_by_one_image_at_a_time():
    world = worlds.World()
    world.glance.fail('dcn0')
    for number in range(20):
        world.add(f'image {number}')
    world.run(60)
    before = len(world.glance.imports)

    world.run(3600)

    # Otherwise each of the 20 would have asked some eight times.
    assert len(world.glance.imports) - before <= 20


def test_an_import_left_by_a_dead_api_is_replaced():
    world = worlds.World()
    image_id = world.add()
    world.run(3)
    world.glance.crash()
    world.glance.remove_orphans()

    world.run(3 * 3600)

    assert world.stores(image_id) == BOTH


def test_a_lock_without_a_task_is_broken_after_a_while():
    world = worlds.World()
    image_id = world.add()
    world.run(2)
    world.glance.crash()
    world.glance.lose_task(image_id)
    world.glance.remove_orphans()

    world.run(60)
    assert len(world.asked(image_id)) == 1

    world.run(300)
    assert world.stores(image_id) == BOTH


def test_an_import_that_stages_for_hours_is_not_broken_off():
    world = worlds.World()
    image_id = world.add(size_bytes=2**40)
    world.run(2)

    world.run(3 * 3600, stepping=False)
    world.run()

    assert world.asked(image_id) == [BOTH]
    assert world.stores(image_id) == BOTH


def test_a_lock_left_behind_by_an_import_that_did_all_is_let_be():
    world = worlds.World()
    image_id = world.add()
    world.run(6)
    assert world.stores(image_id) == BOTH
    world.glance.crash()

    world.run(3600)

    assert image_id not in world.ledger.remembered()
    assert not world.ledger.load.running


def test_a_new_agent_finds_the_import_of_the_old_one():
    world = worlds.World()
    image_id = world.add()
    world.run(3)

    world.start_agent()
    world.run()

    assert world.stores(image_id) == BOTH
    assert world.asked(image_id) == [BOTH]


def test_an_agent_started_late_finds_what_it_missed():
    world = worlds.World()
    image_id = world.glance.add().id

    world.start_agent()
    world.run()

    assert world.stores(image_id) == BOTH


def test_somebody_elses_import_is_waited_for():
    world = worlds.World()
    image = world.glance.add()
    world.glance.import_by_another(image.id, ['dcn1'])
    world.hint(image.id)

    world.run()

    assert world.stores(image.id) == BOTH
    assert world.asked(image.id) == [{'dcn0'}]


def test_a_refused_image_is_not_tried_until_it_changes():
    world = worlds.World()
    image_id = world.add(disk_format=None)
    world.run(3600)
    assert world.asked(image_id) == []
    assert world.ledger.history(image_id).setbacks['dcn0'].is_permanent

    world.glance.change(image_id, disk_format='raw')
    world.hint(image_id)
    world.run()

    assert world.stores(image_id) == BOTH


def test_a_refusal_that_was_a_moment_too_early_is_not_for_good():
    """One Glance API may not see yet what another has saved."""
    world = worlds.World()
    image = world.glance.add()
    error = exceptions.NotCopyable('409: only for images in status active')
    world.glance.refuse_imports(calls=1, error=error)

    world.hint(image.id)
    world.run()

    assert world.stores(image.id) == BOTH


def test_a_refusal_after_a_failure_is_not_for_good():
    world = worlds.World(names=['dcn0'])
    world.glance.fail('dcn0')
    image_id = world.add()
    world.run(20)
    assert world.ledger.history(image_id).setbacks
    world.glance.heal()

    error = exceptions.AccessDenied('403: for a moment')
    world.glance.refuse_imports(calls=1, error=error)
    world.run(300)

    assert world.stores(image_id) == {'dcn0'}


def test_an_api_host_that_does_not_know_a_store_is_asked_on():
    world = worlds.World()
    error = exceptions.StoreUnknown('400: no store dcn0')
    world.glance.refuse_imports(calls=5, error=error)
    image_id = world.add()

    world.run(300)

    assert world.stores(image_id) == BOTH


@pytest.mark.parametrize(
    'error',
    [
        exceptions.TemporaryError('413: the quota is used up'),
        exceptions.GlanceUnavailable('500: for this image'),
    ],
)
def test_a_request_that_comes_to_nothing_for_now_is_told_of(error):
    world = worlds.World()
    world.glance.refuse_imports(calls=3, error=error)
    image_id = world.add()

    world.run(10)
    setback = world.ledger.history(image_id).setbacks['dcn0']
    assert str(error) == setback.reason
    assert not setback.is_permanent

    world.run(120)
    assert world.stores(image_id) == BOTH
    assert world.ledger.history(image_id).is_quiet


def test_a_request_that_was_heeded_though_it_failed_is_followed():
    world = worlds.World()
    image_id = world.add()
    ask = world.glance.copy_to_stores

    def ask_and_fail(*args):
        ask(*args)
        raise exceptions.GlanceUnavailable('504: after all')

    world.glance.copy_to_stores = ask_and_fail
    world.run(60)

    assert world.stores(image_id) == BOTH
    assert world.asked(image_id) == [BOTH]
    assert world.ledger.history(image_id).is_quiet


def test_a_refusal_of_the_image_is_told_once_for_all_its_stores(caplog):
    world = worlds.World(
        limits=dataclasses.replace(worlds.LIMITS, stores_per_import=1)
    )

    image_id = world.add(disk_format=None)
    world.run(600)

    assert set(world.ledger.history(image_id).setbacks) == BOTH
    assert caplog.text.count('is not tried again') == 1


def test_a_refused_image_is_tried_again_when_asked_for():
    world = worlds.World()
    world.glance.go_down(calls=0)
    image_id = world.add(disk_format=None)
    world.run()
    denied = world.ledger.history(image_id).setbacks['dcn0']
    assert denied.is_permanent

    world.rule_book.start_anew()
    world.glance.change(image_id, disk_format='raw')
    world.hint(image_id)
    world.run()

    assert world.stores(image_id) == BOTH


def test_a_store_unknown_to_glance_costs_the_others_nothing(caplog):
    world = worlds.World(
        names=['dcn0', 'dcn1', 'dcn9'], stores=['dcn0', 'dcn1']
    )
    image_id = world.add()

    world.run(3600)

    assert world.stores(image_id) == BOTH
    assert world.asked(image_id) == [BOTH]
    assert 'dcn9' in caplog.text


def test_an_image_that_only_a_change_can_help_needs_no_look():
    world = worlds.World(names=['dcn0', 'dcn9'], stores=['dcn0'])
    image = world.glance.get(world.add())
    refused = world.glance.get(world.add(disk_format=None))
    world.run(3600)
    settled = world.reconciler.is_settled
    image = world.glance.get(image.id)
    assert settled(image)
    assert settled(refused)

    assert not settled(dataclasses.replace(image, name='renamed'))
    world.rule_book.start_anew()
    assert not settled(image)
    assert not settled(refused)


def test_images_that_wait_need_no_look():
    world = worlds.World(names=['dcn0'])
    world.glance.fail('dcn0')
    many = [world.add(f'image {number}') for number in range(10)]
    world.run(3)
    settled = [world.reconciler.is_settled(world.glance.get(i)) for i in many]
    assert settled.count(False) == world.limits.imports

    world.run(3600)

    settled = [world.reconciler.is_settled(world.glance.get(i)) for i in many]
    # Those that have tried are looked at when it is their time.
    assert settled.count(True) > 0


def test_imports_keep_to_the_limit_and_all_get_their_turn():
    world = worlds.World()
    many = [world.add(f'image {number}') for number in range(30)]

    world.run(600)

    assert all(world.stores(image_id) == BOTH for image_id in many)
    assert world.most_at_once == world.limits.imports


def test_a_higher_priority_goes_first_when_copies_wait():
    urgent = matching.Block((matching.OneOf('owner', ('boss',)),))
    world = worlds.World(
        rules=[
            worlds.policy(),
            worlds.policy('urgent', match=urgent, priority=10),
        ],
        limits=dataclasses.replace(worlds.LIMITS, imports=1),
    )
    many = [world.add(f'image {number}') for number in range(10)]
    boss = world.add('boss', owner='boss')

    world.run(300)

    order = [one.image_id for one in world.glance.imports]
    assert order.index(boss) == 1
    assert set(order) == {*many, boss}


def test_an_image_deleted_while_it_is_copied_is_forgotten(caplog):
    world = worlds.World()
    image_id = world.add()
    world.run(2)
    world.glance.delete(image_id)

    world.run(60)

    assert image_id not in world.ledger.remembered()
    assert not world.ledger.load.running
    assert f'dcn-distributor clean {image_id}' in caplog.text


@pytest.mark.parametrize(
    'error', [exceptions.GlanceUnavailable, exceptions.ImageNotFound]
)
def test_an_image_deleted_before_glance_said_yes_is_told_of(caplog, error):
    world = worlds.World()
    grant = world.glance.copy_to_stores

    def fail_and_lose_it(image_id, stores):
        grant(image_id, stores)
        world.glance.delete(image_id)
        raise error('it did not say')

    world.glance.copy_to_stores = fail_and_lose_it
    image_id = world.add()

    world.run(60)

    assert image_id not in world.ledger.remembered()
    assert f'dcn-distributor clean {image_id}' in caplog.text
    assert 'dcn0, dcn1' in caplog.text


def test_an_image_deleted_after_a_refusal_was_not_being_copied(caplog):
    world = worlds.World()
    world.glance.refuse_imports(1, exceptions.GlanceUnavailable('busy'))
    image_id = world.add()
    world.run(60)
    assert world.stores(image_id) == {'dcn0', 'dcn1'}
    world.glance.delete(image_id)

    world.run(60)

    assert 'dcn-distributor clean' not in caplog.text


def test_an_image_deleted_when_it_was_copied_leaves_nothing(caplog):
    world = worlds.World()
    image_id = world.add()
    world.run(60)
    world.glance.delete(image_id)

    world.run(60)

    assert 'dcn-distributor clean' not in caplog.text


def test_an_image_deactivated_while_it_is_copied_is_left_alone():
    world = worlds.World()
    world.glance.fail('dcn0')
    image_id = world.add()
    world.run(2)
    world.glance.change(image_id, status='deactivated')

    world.run(3600)

    assert len(world.asked(image_id)) == 1
    assert image_id not in world.ledger.remembered()


def test_an_outage_of_glance_only_delays():
    world = worlds.World()
    image_id = world.add()
    world.run(2)
    world.glance.go_down()
    world.run(4 * 3600)

    world.glance.come_up()
    world.run(700)

    assert world.stores(image_id) == BOTH


def test_an_outage_is_told_once(caplog):
    caplog.set_level('INFO')
    world = worlds.World()
    world.glance.go_down()
    for number in range(50):
        world.hint(world.glance.add(f'image {number}').id)
    world.run(3600)
    world.glance.come_up()
    world.run(700)

    assert caplog.text.count('cannot be looked at') == 1
    assert caplog.text.count('can be looked at again') == 1


def test_an_image_that_glance_cannot_show_is_told_once(caplog):
    caplog.set_level('INFO')
    world = worlds.World()
    broken = world.add('broken')
    error = exceptions.GlanceUnavailable('500')
    world.glance.break_image(broken, error)
    for number in range(5):
        world.add(f'image {number}')
        world.run(600)
    assert caplog.text.count('cannot be looked at') == 1
    assert caplog.text.count('can be looked at again') == 0

    world.glance.break_image(broken, None)
    world.run(700)

    assert caplog.text.count('can be looked at again') == 1
    assert world.stores(broken) == BOTH


def test_an_error_at_the_start_gives_the_slot_back():
    world = worlds.World(limits=dataclasses.replace(worlds.LIMITS, imports=1))
    image_id = world.add()
    error = exceptions.GlanceUnavailable('lost on the way')
    world.glance.go_down(calls=3, error=error)

    world.run(120)

    assert world.stores(image_id) == BOTH


def test_a_change_of_policies_copies_more():
    world = worlds.World(rules=[])
    image_id = world.add()
    world.run()
    assert world.stores(image_id) == set()

    world.rules = (worlds.policy(),)
    assert world.rule_book.reload()
    world.resync()
    world.run()

    assert world.stores(image_id) == BOTH


def test_each_transition_is_one_line(caplog):
    caplog.set_level('INFO')
    world = worlds.World(names=['dcn0'])
    image_id = world.add()

    world.run()

    lines = [
        record.getMessage()
        for record in caplog.records
        if record.getMessage().startswith('placement ')
    ]
    assert len(lines) == 2
    for line, state in zip(lines, ('copying', 'present'), strict=True):
        assert f'image={image_id} store=dcn0 state={state} ' in line
        assert 'engine=copy-image seconds=' in line
        assert 'reason=' in line


def test_a_denied_site_is_never_asked_for():
    deny = worlds.policy(
        'no',
        deny=True,
        selection=policies.NamedSites(frozenset(['dcn0'])),
    )
    world = worlds.World(rules=[worlds.policy(), deny])
    image_id = world.add()

    world.run()

    assert world.stores(image_id) == {'dcn1'}
