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
"""One copy on its way to one site: opened, filled, published, registered.

Each has a thread of its own, so that a cluster that hangs costs its own copy
only. A crash between any two of these steps leaves what Target.open()
recognises:

1. the copy is opened under its draft's name, and claimed;
2. the pipeline fills and proves it;
3. its object map is written, then its snapshot made and protected; beside
   that it is given the image's name;
4. its location is registered in Glance, and read back;
5. the claim is given up.
"""

from collections.abc import Callable
from collections.abc import Collection
from concurrent import futures
import queue
import threading

from oslo_log import log

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import ports
from dcn_distributor.core import storage
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import registration as registrations
from dcn_distributor.engines.rbd_stream import targets
from dcn_distributor.engines.rbd_stream import tracing

LOG = log.getLogger(__name__)

# What keeps Glance from listing the copy, but not from copying by itself.
_REFUSALS = exceptions.AccessDenied, exceptions.LocationQuotaExceeded

Opened = Callable[[storage.Copy], None]
Failed = Callable[[exceptions.DistributorError], None]


class Delivery:
    """See the module.

    :param ended: called when all is over, from the delivery's own thread
    :param clock: seconds of a steady clock
    """

    def __init__(
        self,
        image: images.Image,
        target: targets.Target,
        glance: ports.Images,
        registration: registrations.Registration,
        *,
        ended: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.target = target
        self.phase = transfers.Phase.PREPARING
        self.error: exceptions.DistributorError | None = None
        self.notes: tuple[str, ...] = ()
        self._image = image
        self._glance = glance
        self._registration = registration
        self._ended = ended
        self._clock = clock
        self._seconds: dict[str, float] = {}
        self._phase_began_s = clock()
        self._filled: queue.SimpleQueue[
            Collection[int] | exceptions.DistributorError
        ] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def seconds(self) -> dict[str, float]:
        """How long each phase took, or takes by now."""
        passed_s = self._clock() - self._phase_began_s
        if self.phase.is_end:
            return dict(self._seconds)
        return {**self._seconds, self.phase.value: passed_s}

    def start(self, opened: Opened, failed: Failed) -> None:
        """Begin; `opened` or `failed` is called when the target is open."""
        # NOTE: a daemon, since a cluster that hangs must not keep the
        # program from ending; the next one takes up what is left.
        self._thread = threading.Thread(
            target=tracing.carried(self._run),
            args=[opened, failed],
            name=f'deliver-{self.target.site}',
            daemon=True,
        )
        self._thread.start()

    def was_filled(self, objects: Collection[int]) -> None:
        """Tell that the copy is whole; these of its objects hold data."""
        self._filled.put(objects)

    def give_up(self, error: exceptions.DistributorError) -> None:
        """Tell that the copy will not be filled."""
        self._filled.put(error)

    def call_off(self, error: exceptions.Cancelled) -> None:
        """Begin no step any more that announces the copy.

        What fills it is to be told apart; see give_up().
        """
        self._registration.call_off(error)

    def join(self, within_s: float | None = None) -> bool:
        """Wait for the end; False if it has not come in time."""
        if self._thread is not None:
            self._thread.join(within_s)
            return not self._thread.is_alive()
        return True

    def _run(self, opened: Opened, failed: Failed) -> None:
        try:
            self._deliver(opened)
        except exceptions.Cancelled as exc:
            self._end(transfers.Phase.CANCELLED, exc)
            failed(exc)
        except exceptions.DistributorError as exc:
            self._end(transfers.Phase.FAILED, exc)
            failed(exc)
        except Exception as exc:
            LOG.exception('image=%s: a bug in rbd-stream', self._image.id)
            error = exceptions.TemporaryError(f'a bug: {exc!r}')
            self._end(transfers.Phase.FAILED, error)
            failed(error)
        finally:
            self._ended()

    def _deliver(self, opened: Opened) -> None:
        copy = self.target.open(self._image, self._glance)
        try:
            self._fill_and_publish(copy, opened)
        except exceptions.AlreadyPresent:
            copy.close()
            self._clear()
            raise
        except exceptions.DistributorError as exc:
            if self._is_useless(exc):
                self._discard(copy)
            copy.close()
            raise
        except BaseException:
            copy.close()
            raise
        self._end(transfers.Phase.DONE, None)
        self._release(copy)

    def _fill_and_publish(self, copy: storage.Copy, opened: Opened) -> None:
        # Only now, with the claim held, can nobody else register it.
        self._registration.check()
        if copy.checksum_obstacle is not None:
            self.notes = (
                f'{self.target.site}: copies are proven by reading them '
                f'back: {copy.checksum_obstacle}',
            )
        self._enter(transfers.Phase.COPYING)
        opened(copy)
        outcome = self._filled.get()
        if isinstance(outcome, exceptions.DistributorError):
            raise outcome
        self._publish(copy, outcome)

    def _publish(self, copy: storage.Copy, objects: Collection[int]) -> None:
        self._enter(transfers.Phase.PUBLISHING)
        self._registration.wait_until_free()
        with futures.ThreadPoolExecutor(1, 'rename') as beside:
            renamed = beside.submit(copy.rename)
            copy.record_objects(objects)
            copy.take_snapshot()
            renamed.result()
        self._enter(transfers.Phase.REGISTERING)
        self._registration.register(self.target.location(self._image.id))

    # -- what is left of it

    def _release(self, copy: storage.Copy) -> None:
        """Give up the claim; the next sweep does it if this fails."""
        try:
            copy.release()
        except exceptions.DistributorError as exc:
            LOG.debug(
                'image=%s site=%s: the claim stays: %s',
                self._image.id,
                self.target.site,
                exc,
            )
        finally:
            copy.close()

    def _clear(self) -> None:
        """Remove our draft beside a copy that is registered."""
        try:
            self.target.cluster.clear(
                self._image.id, is_registered=lambda: True
            )
        except exceptions.DistributorError as exc:
            LOG.debug(
                'image=%s site=%s: a draft stays until the next sweep: %s',
                self._image.id,
                self.target.site,
                exc,
            )

    def _is_useless(self, error: exceptions.DistributorError) -> bool:
        """Tell whether the copy will never be finished, nor is registered.

        A location that was added once is Glance's: with the image it removes
        the data, and an image it does not show us may still be there. One
        that Glance refuses leaves the image's name to copy-image, which
        would fail as long as it is taken.
        """
        if self._registration.was_added:
            return False
        if isinstance(error, exceptions.Stopped):
            # Glance may be slow to answer, and who goes on asks it anew.
            return False
        try:
            image = self._glance.get(self._image.id)
        except exceptions.ImageNotFound:
            return True
        except exceptions.DistributorError:
            return False
        return (
            self.phase is transfers.Phase.REGISTERING
            and isinstance(error, _REFUSALS)
            and self.target.store not in image.stores
        )

    def _discard(self, copy: storage.Copy) -> None:
        try:
            copy.discard()
        except exceptions.DistributorError as exc:
            LOG.warning(
                'image=%s site=%s: a draft is left, to be removed by the '
                'next resync: %s',
                self._image.id,
                self.target.site,
                exc,
            )

    def _enter(self, phase: transfers.Phase) -> None:
        now = self._clock()
        spent_s = self._seconds.get(self.phase.value, 0.0)
        self._seconds[self.phase.value] = spent_s + now - self._phase_began_s
        self._phase_began_s = now
        self.phase = phase

    def _end(
        self,
        phase: transfers.Phase,
        error: exceptions.DistributorError | None,
    ) -> None:
        self.error = error
        self._enter(phase)
