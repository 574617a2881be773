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
"""What an operator's command asks of a running agent, over RPC on the bus.

Nothing here can harm: an agent may be asked to look again, to make a copy,
and what it remembers. A command that gets no answer says so; the agent's
work goes on.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol

from oslo_config import cfg

from dcn_distributor.clients.bus import rpc
from dcn_distributor.core import images

_FIRST_VERSION = '1.0'
_OF_STREAMS = '1.1'
_OF_SEVERAL = '1.2'


class Agent(Protocol):
    """What an agent answers to. Values are plain, as they cross the bus."""

    def resync(self, image_ids: Sequence[images.ImageId]) -> dict[str, Any]:
        """Look at these images, or at all if there are none.

        What had failed for good is tried again. Returns ``host``, and
        ``looking_at``: how many were queued, None for all.
        """
        ...

    def remembered(self) -> dict[str, Any]:
        """Tell what stands against copies at this moment.

        Returns ``host``; ``setbacks``, by image and store; ``troubles``, by
        store. Each has ``failures``, ``reason`` and ``next_try_s``: seconds
        since the epoch, None if no time is set. Further ``events``:
        how many came in, by what became of them, and ``looks``: how many
        looks at images there were; both since the agent started.

        Since 1.1: a setback's ``is_refused``: whether only a change of
        image, policies or sites helps, or a word to the agent, if no time is
        set; if not, it is tried again once what is in the way is put right,
        or has passed; a trouble's ``engine``; ``verified``: the stores whose
        copy its streams proved, by image; ``obstacles``: what keeps
        rbd-stream from a store, a list for each that has any, of the sites
        with cluster settings; and ``orders``: by image and store those of
        copy() that wait or are under way, with ``failed`` None, and the last
        that failed for good, with the reason there. One that is in neither
        is done: Glance lists the store.

        Since 1.2 all this is of the stores only whose link is the agent's
        own. ``links`` tells of these, by name: ``crossing``, how many copies
        are under way over it; ``transfers`` and ``rate_bytes_s``, its
        limits, None for none; and ``window``, when it opens, None while it
        is open. ``pauses`` are the words of operators that rest, of whatever
        agent's: see core.pauses.
        """
        ...

    def transfers(self) -> dict[str, Any]:
        """Tell of the streams that run and of the last that ended.

        Returns ``host`` and ``transfers``: see core.transfer_messages, whose
        from_plain() reads each. Since 1.1.
        """
        ...

    def routes(self, image_id: images.ImageId) -> dict[str, Any]:
        """Tell how an image goes to each store that should hold it.

        The agent looks at the image for that. Returns ``host`` and
        ``routes``, by store: ``engine``, None if none can serve; ``reason``,
        why this one; ``waits``, what keeps it from being asked now, None if
        nothing does. None of a store that has the image, nor of one that
        another agent has in hand. Since 1.1.
        """
        ...

    def copy(
        self,
        image_id: images.ImageId,
        site_names: Sequence[str],
        engine: str | None,
    ) -> dict[str, Any]:
        """Bring an image to sites now, though no policy may say so.

        `engine` is copy-image or rbd-stream, auto for what serves, and None
        for what the policies wish. Returns ``host``; ``accepted``: the sites
        that were put on the list; ``refused``: the others, each with the
        reason, such as ``already there``; and ``waits``: those of the first
        that have to wait for something, and what that is, such as a cluster
        that does not answer. What stood against trying these sites again is
        forgotten, and the image goes before all that wait.
        The agent remembers an order until the copy is there or has failed
        for good, or the image is gone or no longer active; it forgets it
        when it ends. The agent looks at the image first: a call that gets no
        answer may have been heeded. Since 1.1.
        """
        ...

    def who(self) -> dict[str, Any]:
        """Tell of all agents, and who has which site.

        Returns ``host``; ``members``: the names of the agents that are in
        the group, just the own without a coordinator, none while this one is
        cut off from it; ``problem``: what keeps the agent from acting for
        its links, None if nothing does; ``sites``: by name, each with
        ``link`` and ``owner``, the name of the agent that has the link, None
        if nobody that is known; and ``pauses``, as remembered() has them.
        Since 1.2.
        """
        ...

    def timeline(self, image_id: images.ImageId) -> dict[str, Any]:
        """Tell what last happened to an image, by store.

        Returns ``host``, and what core.transitions.from_plain() reads: of
        the stores whose link was the agent's own when it happened, as far as
        it has room, and since when it has seen everything. Since 1.2.
        """
        ...

    def rest(
        self, kind: str, name: str, rests: bool, by: str, why: str
    ) -> dict[str, Any]:
        """Have a site, link or policy pause, or hold an image; or go on.

        `name` is an image's id. Counts for all agents, and over restarts;
        `by` is who says so, `why` may be empty. Returns ``host``;
        ``refused``: why not, such as ``there is no site x``, or None;
        ``is_new``: False if it was so already; and ``word``: the last word
        on it as core.pauses has them, None if there was none. Since 1.2.
        """
        ...


class Client:
    """Asks an agent; itself an Agent, with whichever answers first.

    Every call raises BusUnavailable if none does within `timeout_s`, or
    `look_timeout_s` if the agent asks Glance for the answer; or if the bus
    cannot be reached within `timeout_s` beside that.

    :param server: the name of the one to ask
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        timeout_s: float = 5.0,
        look_timeout_s: float = 30.0,
        server: str | None = None,
    ) -> None:
        self._conf = conf
        self._timeout_s = timeout_s
        self._look_timeout_s = look_timeout_s
        self._server = server

    def at(self, server: str) -> 'Client':
        """Ask only the agent of this name."""
        return Client(
            self._conf, self._timeout_s, self._look_timeout_s, server
        )

    def resync(self, image_ids: Sequence[images.ImageId]) -> rpc.Answer:
        """See Agent."""
        arguments = {'image_ids': list(image_ids)}
        return self._ask('resync', arguments, _FIRST_VERSION)

    def remembered(self) -> rpc.Answer:
        """See Agent."""
        return self._ask('remembered', {}, _FIRST_VERSION)

    def transfers(self) -> rpc.Answer:
        """See Agent."""
        return self._ask('transfers', {}, _OF_STREAMS)

    def routes(self, image_id: images.ImageId) -> rpc.Answer:
        """See Agent."""
        arguments = {'image_id': image_id}
        return self._ask(
            'routes', arguments, _OF_STREAMS, self._look_timeout_s
        )

    def copy(
        self,
        image_id: images.ImageId,
        site_names: Sequence[str],
        engine: str | None,
    ) -> rpc.Answer:
        """See Agent."""
        arguments = {
            'image_id': image_id,
            'site_names': list(site_names),
            'engine': engine,
        }
        return self._ask('copy', arguments, _OF_STREAMS, self._look_timeout_s)

    def who(self) -> rpc.Answer:
        """See Agent."""
        return self._ask('who', {}, _OF_SEVERAL)

    def timeline(self, image_id: images.ImageId) -> rpc.Answer:
        """See Agent."""
        return self._ask('timeline', {'image_id': image_id}, _OF_SEVERAL)

    def rest(
        self, kind: str, name: str, rests: bool, by: str, why: str
    ) -> rpc.Answer:
        """See Agent."""
        arguments = {
            'kind': kind,
            'name': name,
            'rests': rests,
            'by': by,
            'why': why,
        }
        return self._ask('rest', arguments, _OF_SEVERAL)

    def _ask(
        self,
        method: str,
        arguments: Mapping[str, object],
        version: str,
        timeout_s: float | None = None,
    ) -> rpc.Answer:
        question = rpc.Question(
            method,
            arguments,
            version,
            self._server,
            self._timeout_s if timeout_s is None else timeout_s,
        )
        return rpc.call(self._conf, question, self._timeout_s)
