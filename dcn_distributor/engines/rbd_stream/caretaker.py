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
"""Checks the sites, and reads the details of their stores, now and then."""

from collections.abc import Mapping
import threading
import time

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import ports
from dcn_distributor.core import sites
from dcn_distributor.core import storage
from dcn_distributor.engines.rbd_stream import preconditions as conditions

LOG = log.getLogger(__name__)

# Pauses between two checks of what is unfit, and of everything.
_RECHECK_S = 60.0
_ROUNDS_TO_ALL = 10


class Caretaker:
    """See the module. Any thread may call it."""

    def __init__(
        self, glance: ports.Images, preconditions: conditions.Preconditions
    ) -> None:
        self._glance = glance
        self._preconditions = preconditions
        self._lock = threading.Lock()
        self._clusters: Mapping[images.StoreId, storage.Cluster] = {}
        self._details: Mapping[images.StoreId, images.StoreDetails] = {}
        self._has_details = threading.Event()
        self._is_reading = False
        self._is_due = threading.Event()
        self._is_all_due = True
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def set_sites(
        self,
        all_sites: sites.Sites,
        clusters: Mapping[images.StoreId, storage.Cluster],
    ) -> None:
        """Take care of these from now on, and begin with all of them."""
        self._preconditions.expect(all_sites)
        with self._lock:
            self._clusters = dict(clusters)
            self._is_all_due = True
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name='caretaker', daemon=True
                )
                self._thread.start()
        self._is_due.set()

    def recheck(self) -> None:
        """Check soon: something did not answer."""
        self._is_due.set()

    def wait(self, within_s: float) -> None:
        """Wait until all was checked and read once, if that is in time."""
        until_s = time.monotonic() + within_s
        self._preconditions.wait(within_s)
        with self._lock:
            reads = bool(self._clusters)
        if reads:
            self._has_details.wait(max(0.0, until_s - time.monotonic()))

    def chunk_bytes(self, store: images.StoreId) -> int | None:
        """Tell a store's chunk size as Glance says, None if it does not."""
        details = self._details.get(store)
        return None if details is None else details.chunk_bytes

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()
        self._is_due.set()

    def _run(self) -> None:
        rounds = 0
        while not self._stopping.is_set():
            is_asked = self._is_due.wait(_RECHECK_S if rounds else 0)
            self._is_due.clear()
            if self._stopping.is_set():
                return
            try:
                self._look_after(rounds % _ROUNDS_TO_ALL == 0, is_asked)
            except Exception:
                LOG.exception('The sites are not checked now: a bug')
            rounds += 1

    def _look_after(self, is_turn: bool, is_asked: bool) -> None:
        with self._lock:
            clusters = self._clusters
            is_all_due, self._is_all_due = self._is_all_due or is_turn, False
        if is_all_due and clusters:
            self._read_details_beside()
        if not (is_all_due or is_asked):
            clusters = {
                store: cluster
                for store, cluster in clusters.items()
                if self._preconditions.of_store(store) is not None
            }
        self._preconditions.check(clusters)

    def _read_details_beside(self) -> None:
        """Read what Glance tells of its stores, unless that is under way.

        Neither when a transfer begins nor often: Glance connects to each
        cluster for that, one after another (glance: api/v2/discovery.py
        get_stores_detail), and goes on when nobody waits any more.
        """
        with self._lock:
            if self._is_reading:
                return
            self._is_reading = True
        threading.Thread(
            target=self._read_details, name='details', daemon=True
        ).start()

    def _read_details(self) -> None:
        try:
            self._details = self._glance.store_details()
        except exceptions.DistributorError as exc:
            LOG.debug('The details of the stores are not known: %s', exc)
        except Exception:
            LOG.exception('The details of the stores are not known: a bug')
        finally:
            self._is_reading = False
            # Those who wait need not wait for another try.
            self._has_details.set()
