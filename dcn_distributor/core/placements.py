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
"""Placements: what an image's stores hold, as far as anybody can tell.

Glance is the witness: a store has the copy if the image lists it. The lists
``os_glance_importing_to_stores`` and ``os_glance_failed_import`` mean what
they say only while the lock ``os_glance_import_task`` is held, since Glance
leaves them behind stale (glance: async_/flows/api_image_import.py). What an
agent remembers explains what is missing; it never makes a copy present.
"""

from collections.abc import Mapping
import dataclasses
import enum
from types import MappingProxyType

from dcn_distributor.core import decisions
from dcn_distributor.core import gates
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import memory as memories
from dcn_distributor.core import pauses
from dcn_distributor.core import transfers

# Glance shows a sign of life once a minute while it writes.
_SILENCE_S = 150.0


class State(enum.Enum):
    """Where a placement stands.

    ABSENT: wanted, and nothing is known to have failed. COPYING: an import
    or a stream works for it. PRESENT: Glance lists the store, wanted or not.
    VERIFIED: so it does, and a stream has proved the copy. FAILED: wanted,
    and the last try failed or none can succeed. UNWANTED: neither wanted nor
    there.
    """

    ABSENT = 'absent'
    COPYING = 'copying'
    PRESENT = 'present'
    VERIFIED = 'verified'
    FAILED = 'failed'
    UNWANTED = 'unwanted'


@dataclasses.dataclass(frozen=True, slots=True)
class Evidence:
    """What is known beside the image itself.

    :ivar task: the one that holds the image's lock, if Glance still has it
    :ivar known_stores: the stores that Glance has
    :ivar now: seconds since the epoch
    :ivar standing: what is closed, beside windows and taints
    :ivar resting: the words on the policies that want the image in a store,
        where all of them rest
    """

    task: images.ImportTask | None
    known_stores: frozenset[images.StoreId]
    memory: memories.Memory
    now: float
    standing: gates.Standing = gates.ALONE
    resting: Mapping[images.StoreId, pauses.Word] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Placement:
    """The state of one image at one site, with its reason.

    `copied_bytes` is how much Glance says it has read for the store being
    written; just after it went on to that store the number may still be
    that of the store before, for up to a minute. `setback` tells how often
    it was tried in vain, and when it is tried next.
    """

    decision: decisions.Decision
    state: State
    reason: str
    copied_bytes: int | None = None
    setback: histories.Setback | None = None
    lane: transfers.Lane | None = None

    @property
    def is_there(self) -> bool:
        """True if Glance lists the store."""
        return self.state in (State.PRESENT, State.VERIFIED)

    @property
    def is_missing(self) -> bool:
        """True if the copy is wanted and not there."""
        return self.decision.wanted and not self.is_there

    @property
    def is_extra(self) -> bool:
        """True if the copy is there and not wanted."""
        return self.is_there and not self.decision.wanted

    @property
    def next_try_s(self) -> float | None:
        """When it is tried next, in seconds since the epoch, if known."""
        if self.setback is None or self.setback.is_permanent:
            return None
        return self.setback.next_try_s


def is_copying(
    image: images.Image, task: images.ImportTask | None, store: images.StoreId
) -> bool:
    """Tell whether the import that holds the lock still works for a store.

    Glance writes its lists when the import starts, a moment after the lock
    is taken; before that, they are those of an earlier import.
    """
    if image.import_task is None or store in image.stores:
        return False
    if task is None or not task.stores:
        return store in image.importing_to
    if store not in task.stores:
        return False
    if task.status == 'pending':
        return True
    if not image.importing_to:
        return store not in image.failed_import
    return store in image.importing_to


def observe(
    image: images.Image, decision: decisions.Decision, evidence: Evidence
) -> Placement:
    """Judge one placement by the image and all that is known beside."""
    store = decision.site.store
    if store in image.stores:
        reason = decision.reason if decision.wanted else _extra(decision)
        proved = evidence.memory.verified_of(image.id)
        state = State.VERIFIED if store in proved else State.PRESENT
        return Placement(decision, state, reason)
    streaming = evidence.memory.streams_of(image.id).get(store)
    if streaming is not None:
        return _streaming(image, decision, streaming, evidence)
    if is_copying(image, evidence.task, store):
        return _copying(image, decision, evidence)
    if not decision.wanted:
        return Placement(decision, State.UNWANTED, decision.reason)
    return _missing(image, decision, evidence)


def _extra(decision: decisions.Decision) -> str:
    return f'kept, though {decision.reason}'


def _missing(
    image: images.Image, decision: decisions.Decision, evidence: Evidence
) -> Placement:
    store = decision.site.store
    setback = evidence.memory.of(image.id).get(store)
    if not image.is_active:
        reason = f'the image is {image.status}, not active'
        return Placement(decision, State.ABSENT, reason)
    if store not in evidence.known_stores:
        reason = f'Glance has no store {store}'
        return Placement(decision, State.FAILED, reason)
    closure = _closure(image, decision, evidence)
    if setback is not None:
        reason = setback.reason
        if closure is not None:
            reason = f'{reason}; {closure.reason}'
        return Placement(
            decision,
            State.FAILED,
            reason,
            setback=_delayed(setback, evidence.memory.troubles.get(store)),
        )
    if store in image.failed_import:
        reason = 'the last import to this store failed'
        return Placement(decision, State.FAILED, reason)
    if closure is not None:
        return Placement(decision, State.ABSENT, closure.reason)
    return _waiting(image, decision, evidence)


def _closure(
    image: images.Image, decision: decisions.Decision, evidence: Evidence
) -> gates.Closure | None:
    """Tell what keeps copies from the site for now, by what is known."""
    store = decision.site.store
    copy = gates.Copy(
        decision,
        image.id,
        image.size_bytes or 0,
        evidence.resting.get(store),
        store in evidence.memory.orders_of(image.id),
    )
    return gates.closure(copy, evidence.standing, evidence.now)


def _delayed(
    setback: histories.Setback, trouble: histories.Setback | None
) -> histories.Setback:
    """Reckon with a pause that the store needs from all images."""
    if trouble is None or trouble.next_try_s <= setback.next_try_s:
        return setback
    return dataclasses.replace(setback, next_try_s=trouble.next_try_s)


def _waiting(
    image: images.Image, decision: decisions.Decision, evidence: Evidence
) -> Placement:
    trouble = evidence.memory.troubles.get(decision.site.store)
    reason = 'no import yet'
    if trouble is not None:
        reason = (
            f'the store fails, one image at a time tries it: {trouble.reason}'
        )
    elif image.import_task is not None:
        reason = (
            f'waits for import {image.import_task} to end, Glance takes one '
            'an image'
        )
    elif (obstacle := _obstacle(decision, evidence)) is not None:
        reason = obstacle
    return Placement(decision, State.ABSENT, reason, setback=trouble)


def _obstacle(decision: decisions.Decision, evidence: Evidence) -> str | None:
    """Tell what is in the way of whatever copies over the site's link.

    Where no policy asks for an engine, copy-image goes first.
    """
    waits = evidence.memory.link_waits.get(decision.site.link.name, {})
    engine = transfers.EngineChoice.COPY_IMAGE
    if decision.wishes.engine is transfers.EngineChoice.RBD_STREAM:
        engine = decision.wishes.engine
    return waits.get(engine.value)


def _copying(
    image: images.Image, decision: decisions.Decision, evidence: Evidence
) -> Placement:
    task = evidence.task
    store = decision.site.store
    setback = evidence.memory.of(image.id).get(store)
    before = _before(image, task, store)
    said = [f'import {image.import_task}']
    if before:
        said.append(f'after {", ".join(before)}')
    if task is None:
        said.append('which Glance has no task of')
    elif evidence.now - task.updated_at_s > _SILENCE_S:
        said.append(_silence(task, evidence.now))
    if setback is not None:
        said.append(f'failed before: {setback.reason}')
    copied = None if before or task is None else task.copied_bytes
    return Placement(decision, State.COPYING, ', '.join(said), copied, setback)


def _streaming(
    image: images.Image,
    decision: decisions.Decision,
    streaming: memories.Streaming,
    evidence: Evidence,
) -> Placement:
    lane = streaming.lane
    setback = evidence.memory.of(image.id).get(lane.store)
    said = [f'a stream from {streaming.source or "nowhere yet"}']
    said.append(lane.phase.value)
    if setback is not None:
        said.append(f'failed before: {setback.reason}')
    return Placement(
        decision,
        State.COPYING,
        ', '.join(said),
        lane.settled_bytes,
        setback,
        lane,
    )


def _silence(task: images.ImportTask, now: float) -> str:
    silent_min = int((now - task.updated_at_s) / 60)
    said = f'no sign of life for {silent_min} min'
    return said if task.copied_bytes else f'{said}, as while Glance stages'


def _before(
    image: images.Image,
    task: images.ImportTask | None,
    store: images.StoreId,
) -> tuple[images.StoreId, ...]:
    """Return the stores that the import still has to write before this one.

    The task has them in the order of the request, which is that of the
    work; Glance sorts the image's own list.
    """
    order = image.importing_to if task is None else task.stores
    left = [s for s in order if is_copying(image, task, s)]
    return tuple(left[: left.index(store)] if store in left else ())
