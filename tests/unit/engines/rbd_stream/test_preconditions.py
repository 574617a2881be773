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
"""What keeps streams from a site, while clusters answer, hang and change."""

from collections.abc import Callable
import dataclasses
import threading

from dcn_distributor import exceptions
from dcn_distributor.core import choosing
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import storage
from dcn_distributor.engines.rbd_stream import preconditions
from tests import waiting
from tests.fakes import ceph as fake_ceph
from tests.fakes import clusters as fake_clusters
from tests.fakes import glance as fake_glance
from tests.fakes import timing

CENTRAL, DCN0 = images.StoreId('central'), images.StoreId('dcn0')


class Hanging:
    """A cluster whose check ends when the test lets it.

    :ivar tries: how many checks were begun
    """

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self.tries = 0
        self.end = threading.Event()

    def check(self) -> None:
        """See storage.Cluster."""
        self.tries += 1
        assert self.end.wait(60.0)
        if self._error is not None:
            raise self._error


def sites_of(pool: str = 'images', label: str = 'a') -> sites.Sites:
    """Make a central site without a cluster, and dcn0."""
    cluster = sites.Cluster('ceph.conf', 'distributor', pool)
    edge = sites.Site(sites.SiteName('dcn0'), DCN0, {'rack': label}, cluster)
    return sites.Sites(CENTRAL, (edge,))


def conditions_of(
    glance: fake_glance.FakeGlance | None = None,
    changed: Callable[[], None] = lambda: None,
) -> preconditions.Preconditions:
    made = preconditions.Preconditions(
        glance or fake_glance.FakeGlance(['central', 'dcn0'], lambda: 0.0),
        changed,
    )
    made.expect(sites_of())
    return made


def answering() -> storage.Cluster:
    """Make a cluster that answers."""
    return fake_clusters.FakeCluster(
        fake_ceph.Ceph(
            timing.Threads(seed=0), '00000000-0000-4000-8000-000000000000'
        )
    )


def has_passing(conditions: preconditions.Preconditions) -> bool:
    return isinstance(conditions.of_store(DCN0), choosing.Passing)


def test_what_was_not_tried_yet_or_does_not_answer_passes() -> None:
    conditions = conditions_of()
    assert has_passing(conditions)

    away = Hanging(exceptions.ClusterUnavailable('dcn0 is away'))
    away.end.set()
    conditions.check({DCN0: away})
    waiting.until(
        'it is told', lambda: conditions.of_store(DCN0) == 'dcn0 is away'
    )

    assert has_passing(conditions)
    assert conditions.of_store(CENTRAL) is not None
    assert not isinstance(conditions.of_store(CENTRAL), choosing.Passing)


def test_what_has_to_be_put_right_does_not_pass() -> None:
    for error in (exceptions.ConfigError('not the one'), ValueError('a bug')):
        wrong = Hanging(error)
        wrong.end.set()
        conditions = conditions_of()
        conditions.check({DCN0: wrong})
        waiting.until(
            'it is told', lambda made=conditions: not has_passing(made)
        )
        assert str(error) in str(conditions.of_store(DCN0))


def test_a_site_whose_cluster_is_as_before_stays_as_it_was() -> None:
    conditions = conditions_of()
    conditions.check({DCN0: answering()})
    waiting.until('it is fit', lambda: conditions.of_store(DCN0) is None)

    conditions.expect(sites_of(label='b'))
    assert conditions.of_store(DCN0) is None

    conditions.expect(sites_of(pool='other'))
    assert has_passing(conditions)


def test_a_site_that_hangs_holds_up_nobody_and_is_tried_once() -> None:
    fit: list[bool] = []
    conditions = conditions_of(changed=lambda: fit.append(True))
    hanging = Hanging()
    for _ in range(5):
        conditions.check({DCN0: hanging})
    waiting.until('it is tried', lambda: hanging.tries)
    assert hanging.tries == 1
    assert has_passing(conditions)

    hanging.end.set()
    waiting.until('it is fit', lambda: fit)
    conditions.check({DCN0: hanging})
    waiting.until('it is tried again', lambda: hanging.tries == 2)


def test_what_an_old_cluster_says_in_the_end_counts_no_more() -> None:
    fit: list[bool] = []
    conditions = conditions_of(changed=lambda: fit.append(True))
    old = Hanging(exceptions.ConfigError('of the old one'))
    conditions.check({DCN0: old})
    waiting.until('it is tried', lambda: old.tries)

    conditions.expect(sites_of(pool='other'))
    conditions.check({DCN0: answering()})
    waiting.until('the new one is fit', lambda: fit)
    threads = [t for t in threading.enumerate() if t.name == 'check-dcn0']
    old.end.set()
    for thread in threads:
        thread.join()

    assert conditions.of_store(DCN0) is None


def test_a_bug_at_glance_ends_no_checks() -> None:
    class Broken(fake_glance.FakeGlance):
        def list(self) -> None:  # type: ignore[override]
            raise ValueError('a bug')

    conditions = conditions_of(Broken(['central', 'dcn0'], lambda: 0.0))

    conditions.check({DCN0: answering()})

    waiting.until('it is fit', lambda: conditions.of_store(DCN0) is None)


def test_whether_glance_shows_locations_is_found_out() -> None:
    glance = fake_glance.FakeGlance(['central', 'dcn0'], lambda: 0.0)
    glance.add()
    glance.settings = dataclasses.replace(
        glance.settings, show_multiple_locations=False
    )
    conditions = conditions_of(glance)

    conditions.check({})
    assert 'shows no locations' in str(conditions.of_glance())

    glance.settings.show_multiple_locations = True
    conditions.check({})
    assert conditions.of_glance() is None
