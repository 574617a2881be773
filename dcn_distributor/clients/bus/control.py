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
from concurrent import futures
import contextlib
import dataclasses
import socket
import threading
from typing import Any
from typing import Protocol

from oslo_config import cfg
import oslo_messaging
from oslo_messaging._metrics import client as metrics

from dcn_distributor import exceptions
from dcn_distributor.clients.bus import notifications
from dcn_distributor.core import images

EXCHANGE = 'dcn_distributor'
TOPIC = 'dcn_distributor_agent'

# Calls that are answered at once: an agent waits for Glance in some of them.
_AT_ONCE = 8

# Agents of 1.0 know resync and remembered only.
VERSION = '1.1'
_FIRST_VERSION = '1.0'


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
        nothing does. None of a store that has the image. Since 1.1.
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


def _transport(conf: cfg.ConfigOpts) -> oslo_messaging.Transport:
    """Open a transport for RPC on a configuration of our own.

    NOTE: oslo.messaging looks for these options in the configuration it is
    given, but registers them with cfg.CONF alone (_metrics/client.py,
    _tracing/client.py): without them every call and answer ends in
    NoSuchOptError. Both are off for good. 14.0 starts a thread for metrics
    even so, for which a program that ends would wait that many seconds.
    """
    transport = oslo_messaging.get_rpc_transport(conf)
    conf.register_opts(metrics.oslo_messaging_metrics, group=_METRICS)
    conf.set_override('metrics_enabled', False, group=_METRICS)
    conf.set_override('metrics_thread_stop_timeout', 0, group=_METRICS)
    with contextlib.suppress(cfg.DuplicateOptError):
        conf.register_opt(cfg.BoolOpt('tracing_enabled'), group=_TRACING)
    conf.set_override('tracing_enabled', False, group=_TRACING)
    return transport


_METRICS = 'oslo_messaging_metrics'
_TRACING = 'oslo_messaging_tracing'

# NOTE: oslo.messaging has get_rpc_client since 14.1, and warns since then of
# whoever makes an RPCClient himself; Debian 12 ships 14.0.
_make_client = (
    getattr(oslo_messaging, 'get_rpc_client', None) or oslo_messaging.RPCClient
)


class _Endpoint:
    target = oslo_messaging.Target(version=VERSION)

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def resync(self, context: object, image_ids: object) -> dict[str, Any]:
        named = image_ids if isinstance(image_ids, list) else [None]
        ids = [notifications.as_image_id(value) for value in named]
        if None in ids:
            return {'host': socket.gethostname(), 'looking_at': 0}
        return self._agent.resync([i for i in ids if i is not None])

    def remembered(self, context: object) -> dict[str, Any]:
        return self._agent.remembered()

    def transfers(self, context: object) -> dict[str, Any]:
        return self._agent.transfers()

    def routes(self, context: object, image_id: object) -> dict[str, Any]:
        known = notifications.as_image_id(image_id)
        if known is None:
            return {'host': socket.gethostname(), 'routes': {}}
        return self._agent.routes(known)

    def copy(
        self,
        context: object,
        image_id: object,
        site_names: object,
        engine: object,
    ) -> dict[str, Any]:
        known = notifications.as_image_id(image_id)
        given = site_names if isinstance(site_names, list) else []
        names = [name for name in given if isinstance(name, str)]
        if known is None:
            return {
                'host': socket.gethostname(),
                'accepted': [],
                'refused': dict.fromkeys(names, 'that is no id of an image'),
            }
        return self._agent.copy(
            known, names, None if engine is None else str(engine)
        )


class Server:
    """Answers for an agent. Open it in the worker, after the fork."""

    def __init__(self, conf: cfg.ConfigOpts, agent: Agent) -> None:
        self._conf = conf
        self._agent = agent
        self._server: oslo_messaging.MessageHandlingServer | None = None

    def start(self) -> None:
        """Start answering; returns once the bus is reached."""
        transport = _transport(self._conf)
        target = oslo_messaging.Target(
            exchange=EXCHANGE, topic=TOPIC, server=socket.gethostname()
        )
        server = oslo_messaging.get_rpc_server(
            transport,
            target,
            [_Endpoint(self._agent)],
            executor='threading',
            access_policy=oslo_messaging.DefaultRPCAccessPolicy,
        )
        server.start(override_pool_size=_AT_ONCE)
        # Not earlier: stop() of a server that starts waits for its start.
        self._server = server

    def stop(self) -> None:
        """Stop answering."""
        if self._server is not None:
            self._server.stop()
            self._server.wait()


@dataclasses.dataclass(frozen=True, slots=True)
class _Question:
    """What an agent is asked, and since which version that is known."""

    method: str
    arguments: Mapping[str, object]
    version: str = _FIRST_VERSION


class Client:
    """Asks an agent; itself an Agent, with whichever answers first.

    Every call raises BusUnavailable if none does within `timeout_s`, or
    `look_timeout_s` if the agent asks Glance for the answer; or if the bus
    cannot be reached within `timeout_s` beside that.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        timeout_s: float = 5.0,
        look_timeout_s: float = 30.0,
    ) -> None:
        self._conf = conf
        self._timeout_s = timeout_s
        self._look_timeout_s = look_timeout_s

    def resync(self, image_ids: Sequence[images.ImageId]) -> dict[str, Any]:
        """See Agent."""
        return self._call(
            _Question('resync', {'image_ids': list(image_ids)}),
            self._timeout_s,
        )

    def remembered(self) -> dict[str, Any]:
        """See Agent."""
        return self._call(_Question('remembered', {}), self._timeout_s)

    def transfers(self) -> dict[str, Any]:
        """See Agent."""
        return self._call(_Question('transfers', {}, VERSION), self._timeout_s)

    def routes(self, image_id: images.ImageId) -> dict[str, Any]:
        """See Agent."""
        return self._call(
            _Question('routes', {'image_id': image_id}, VERSION),
            self._look_timeout_s,
        )

    def copy(
        self,
        image_id: images.ImageId,
        site_names: Sequence[str],
        engine: str | None,
    ) -> dict[str, Any]:
        """See Agent."""
        arguments = {
            'image_id': image_id,
            'site_names': list(site_names),
            'engine': engine,
        }
        return self._call(
            _Question('copy', arguments, VERSION), self._look_timeout_s
        )

    def _call(self, question: '_Question', timeout_s: float) -> dict[str, Any]:
        # NOTE: oslo.messaging tries for ever to reach a broker that is down,
        # whatever its timeout, so it does that in a thread to leave behind.
        answer: futures.Future[dict[str, Any]] = futures.Future()

        def ask() -> None:
            try:
                answer.set_result(self._ask(question, timeout_s))
            except Exception as exc:
                answer.set_exception(exc)

        threading.Thread(target=ask, name='rpc', daemon=True).start()
        try:
            return answer.result(timeout_s + self._timeout_s)
        except futures.TimeoutError as exc:
            raise exceptions.BusUnavailable(
                'the message bus of transport_url cannot be reached'
            ) from exc

    def _ask(self, question: '_Question', timeout_s: float) -> dict[str, Any]:
        transport = _transport(self._conf)
        target = oslo_messaging.Target(
            exchange=EXCHANGE, topic=TOPIC, version=question.version
        )
        client = _make_client(transport, target, timeout=timeout_s, retry=1)
        try:
            answer: dict[str, Any] = client.call(
                {}, question.method, **question.arguments
            )
        except oslo_messaging.MessagingTimeout as exc:
            raise exceptions.BusUnavailable(
                f'no agent answered within {timeout_s:g} s; is '
                'dcn-distributor-agent running, with the same transport_url?'
            ) from exc
        except (
            oslo_messaging.UnsupportedVersion,
            oslo_messaging.RemoteError,
        ) as exc:
            # Which of them it is depends on the driver.
            kind = getattr(exc, 'exc_type', type(exc).__name__)
            if kind != oslo_messaging.UnsupportedVersion.__name__:
                raise exceptions.BusUnavailable(
                    f'the agent failed to answer: {kind}'
                ) from exc
            raise exceptions.BusUnavailable(
                'the agent that answered is too old for that; upgrade it'
            ) from exc
        except (oslo_messaging.MessagingException, OSError) as exc:
            raise exceptions.BusUnavailable(
                f'the message bus of transport_url cannot be used: {exc}'
            ) from exc
        else:
            return answer
        finally:
            transport.cleanup()
