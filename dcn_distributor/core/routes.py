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
"""Which way an image goes to each store that lacks it: by which engine.

What was tried and refused is remembered for one image and one store, since
Glance's policies and a copy's own faults may concern that one only. A store
that an engine fails to reach with whatever image is another matter: while it
pauses there, images need not find that out one by one.
"""

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses

from dcn_distributor.core import choosing
from dcn_distributor.core import decisions
from dcn_distributor.core import gates
from dcn_distributor.core import history as histories
from dcn_distributor.core import images
from dcn_distributor.core import pauses
from dcn_distributor.core import transfers


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """How one store is to get the image.

    `engine` is None if none can serve; `reason` tells why this one. `wishes`
    is what else the engine is told; stores with the same engine and wishes
    may share a request. `wanted` tells why the store should hold the image.
    `passes`: none can serve now, but one will by itself. `closure` is what
    keeps any copy from the site for now.
    """

    engine: str | None
    reason: str
    wishes: transfers.Wishes = transfers.NO_WISHES
    wanted: str = ''
    passes: bool = False
    closure: gates.Closure | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """An operator's word that an image is to be in a store, now.

    :ivar engine: the one to take, None as the policies say
    :ivar is_new: whether no look has heeded it yet
    """

    engine: transfers.EngineChoice | None = None
    is_new: bool = True


Orders = Mapping[images.StoreId, Order]


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What speaks for or against an engine beside the image's own past.

    :ivar copy_image_obstacle: why Glance copies no image at all
    :ivar copy_image: how copy-image fares with this store and any image,
        while it pauses there
    :ivar rbd_stream: the same of rbd-stream
    :ivar is_lock_stuck: whether a stuck import holds the image's lock
    :ivar stream_obstacles: what keeps streams from this store
    :ivar standing: what else holds at this moment, `now`
    :ivar resting: the word on the policies that want the image there, if all
        of them rest
    """

    copy_image_obstacle: str | None = None
    copy_image: histories.Tries = histories.UNTRIED
    rbd_stream: histories.Tries = histories.UNTRIED
    is_lock_stuck: bool = False
    stream_obstacles: tuple[str, ...] = ()
    standing: gates.Standing = gates.ALONE
    resting: pauses.Word | None = None
    now: float = 0.0


def missing_stores(
    image: images.Image,
    decided: decisions.Decisions,
    ordered: Collection[images.StoreId] = (),
) -> tuple[images.StoreId, ...]:
    """The stores that should hold an active image and do not."""
    if not image.is_active:
        return ()
    return tuple(
        d.site.store
        for d in decided.by_site
        if (d.wanted or d.site.store in ordered)
        and d.site.store not in image.stores
    )


def route(
    image: images.Image,
    decision: decisions.Decision,
    order: Order | None,
    history: histories.History,
    around: Surroundings,
    options: choosing.Options,
) -> Route:
    """Choose one store's way."""
    wishes = decision.wishes
    store = decision.site.store
    by_copy_image = history.tries(store, choosing.COPY_IMAGE)
    by_stream = history.tries(store, choosing.RBD_STREAM)
    copying = _worse(by_copy_image, around.copy_image)
    streaming = _worse(by_stream, around.rbd_stream)
    obstacle = around.copy_image_obstacle
    if obstacle is None and by_copy_image.is_final:
        obstacle = by_copy_image.reason
    refusal = (by_stream.reason,) if by_stream.is_final else ()
    ordered = None if order is None else order.engine
    choice = choosing.choose(
        ordered or wishes.engine,
        options,
        choosing.Circumstances(
            copy_image_obstacle=obstacle,
            copy_image_failures=copying.failures,
            last_failure=copying.reason,
            stream_failures=streaming.failures,
            last_stream_failure=streaming.reason,
            is_lock_stuck=around.is_lock_stuck,
            stream_obstacles=(*around.stream_obstacles, *refusal),
        ),
        is_order=ordered is not None,
    )
    told = transfers.NO_WISHES
    if choice.engine == choosing.RBD_STREAM:
        told = dataclasses.replace(wishes, engine=None)
    wanted = decision.reason if order is None else 'ordered by an operator'
    return Route(
        choice.engine,
        choice.reason,
        told,
        wanted,
        choice.passes,
        _closure(image, decision, order, choice.engine, around),
    )


def _closure(
    image: images.Image,
    decision: decisions.Decision,
    order: Order | None,
    engine: str | None,
    around: Surroundings,
) -> gates.Closure | None:
    copy = gates.Copy(
        decision,
        image.id,
        image.size_bytes or 0,
        around.resting,
        order is not None,
    )
    closure = gates.closure(copy, around.standing, around.now)
    if closure is None and engine is not None:
        closure = gates.too_long(copy, engine, around.now)
    return closure


def _worse(one: histories.Tries, other: histories.Tries) -> histories.Tries:
    return max(one, other, key=lambda tries: tries.failures)
