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
"""Answers operators' commands for an agent, and hears its fellows."""

from collections.abc import Sequence
from typing import Protocol

from oslo_config import cfg
import oslo_messaging

from dcn_distributor.clients.bus import control
from dcn_distributor.clients.bus import notifications
from dcn_distributor.clients.bus import rpc
from dcn_distributor.core import images
from dcn_distributor.core import pauses

# Calls that are answered at once: an agent waits for Glance in some of them.
_AT_ONCE = 8


class Fellow(Protocol):
    """What an agent does at the word of another; see fellows.Fellows."""

    def look_at(self, image_id: images.ImageId) -> None:
        """Look at an image that the other heard of; MUST NOT pass it on."""
        ...

    def hear(self, words: Sequence[pauses.Word]) -> None:
        """Take in words of operators; MUST NOT tell them again."""
        ...


class Others(Protocol):
    """What reaches the other agents; see fellows.Fellows."""

    def tell(self) -> None:
        """Tell all of them the words of operators; returns at once."""
        ...

    def ask(self) -> None:
        """Have all of them tell theirs, too; returns at once."""
        ...


class _Endpoint:
    target = oslo_messaging.Target(version=rpc.VERSION)

    def __init__(
        self,
        host: str,
        agent: control.Agent,
        fellow: Fellow,
        others: Others,
    ) -> None:
        self._host = host
        self._agent = agent
        self._fellow = fellow
        self._others = others

    def resync(self, context: object, image_ids: object) -> rpc.Answer:
        named = image_ids if isinstance(image_ids, list) else [None]
        ids = [notifications.as_image_id(value) for value in named]
        if None in ids:
            return {'host': self._host, 'looking_at': 0}
        return self._agent.resync([i for i in ids if i is not None])

    def remembered(self, context: object) -> rpc.Answer:
        return self._agent.remembered()

    def transfers(self, context: object) -> rpc.Answer:
        return self._agent.transfers()

    def routes(self, context: object, image_id: object) -> rpc.Answer:
        known = notifications.as_image_id(image_id)
        if known is None:
            return {'host': self._host, 'routes': {}}
        return self._agent.routes(known)

    def copy(
        self,
        context: object,
        image_id: object,
        site_names: object,
        engine: object,
    ) -> rpc.Answer:
        known = notifications.as_image_id(image_id)
        given = site_names if isinstance(site_names, list) else []
        names = [name for name in given if isinstance(name, str)]
        if known is None:
            return {
                'host': self._host,
                'accepted': [],
                'refused': dict.fromkeys(names, 'that is no id of an image'),
            }
        return self._agent.copy(
            known, names, None if engine is None else str(engine)
        )

    def who(self, context: object) -> rpc.Answer:
        return self._agent.who()

    def timeline(self, context: object, image_id: object) -> rpc.Answer:
        known = notifications.as_image_id(image_id)
        if known is None:
            return {'host': self._host}
        return self._agent.timeline(known)

    def rest(
        self,
        context: object,
        kind: object,
        name: object,
        rests: object,
        by: object,
        why: object,
    ) -> rpc.Answer:
        if not isinstance(rests, bool):
            refused = 'neither to rest nor to go on was asked'
            return {'host': self._host, 'refused': refused}
        return self._agent.rest(str(kind), str(name), rests, str(by), str(why))

    def look_at(
        self, context: object, image_ids: object, sender: object
    ) -> None:
        if sender == self._host:
            return
        for value in image_ids if isinstance(image_ids, list) else ():
            known = notifications.as_image_id(value)
            if known is not None:
                self._fellow.look_at(known)

    def hear(self, context: object, words: object, sender: object) -> None:
        if sender == self._host:
            return
        told = words if isinstance(words, list) else []
        heard = [pauses.from_plain(value) for value in told]
        self._fellow.hear([word for word in heard if word is not None])

    def tell(self, context: object, sender: object) -> None:
        if sender != self._host:
            self._others.tell()


class Server:
    """Answers for an agent. Open it in the worker, after the fork.

    :param host: the agent's name, by which it can be asked alone
    :param others: are asked for their words once it can be told them
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        host: str,
        agent: control.Agent,
        fellow: Fellow,
        others: Others,
    ) -> None:
        self._conf = conf
        self._host = host
        self._others = others
        self._endpoint = _Endpoint(host, agent, fellow, others)
        self._server: oslo_messaging.MessageHandlingServer | None = None

    def start(self) -> None:
        """Start answering; returns once the bus is reached."""
        transport = rpc.open_transport(self._conf)
        target = oslo_messaging.Target(
            exchange=rpc.EXCHANGE, topic=rpc.TOPIC, server=self._host
        )
        server = oslo_messaging.get_rpc_server(
            transport,
            target,
            [self._endpoint],
            executor='threading',
            access_policy=oslo_messaging.DefaultRPCAccessPolicy,
        )
        server.start(override_pool_size=_AT_ONCE)
        # Not earlier: stop() of a server that starts waits for its start.
        self._server = server
        self._others.ask()

    def stop(self) -> None:
        """Stop answering."""
        if self._server is not None:
            self._server.stop()
            self._server.wait()
