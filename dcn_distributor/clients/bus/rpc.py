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
"""Questions over RPC, and words to all, on the bus of agents.

Here is what oslo.messaging has to be told for it, and what becomes of its
errors.
"""

from collections.abc import Mapping
from concurrent import futures
import contextlib
import dataclasses
import threading
from typing import Any

from kombu import exceptions as kombu_exceptions
from oslo_config import cfg
import oslo_messaging
from oslo_messaging._metrics import client as metrics

from dcn_distributor import exceptions

EXCHANGE = 'dcn_distributor'
TOPIC = 'dcn_distributor_agent'

# Agents of 1.0 know resync and remembered only; those of 1.1 no others; those
# of 1.2 tell what operators said when they like.
VERSION = '1.3'

Answer = dict[str, Any]


def open_transport(conf: cfg.ConfigOpts) -> oslo_messaging.Transport:
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
make_client = (
    getattr(oslo_messaging, 'get_rpc_client', None) or oslo_messaging.RPCClient
)


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """What an agent is asked, and since which version that is known.

    :ivar server: the agent's name; None for whichever answers first
    :ivar timeout_s: how long its answer may take
    """

    method: str
    arguments: Mapping[str, object]
    version: str
    server: str | None
    timeout_s: float


def call(conf: cfg.ConfigOpts, question: Question, connect_s: float) -> Answer:
    """Ask an agent, and return what it answers.

    Raises BusUnavailable, also if the bus cannot be reached within
    `connect_s` beside the time for the answer; AgentTooOld.
    """
    # NOTE: oslo.messaging tries for ever to reach a broker that is down,
    # whatever its timeout, so it does that in a thread to leave behind.
    answer: futures.Future[Answer] = futures.Future()

    def ask() -> None:
        try:
            answer.set_result(_ask(conf, question))
        except Exception as exc:
            answer.set_exception(exc)

    threading.Thread(target=ask, name='rpc', daemon=True).start()
    try:
        return answer.result(question.timeout_s + connect_s)
    except futures.TimeoutError as exc:
        raise exceptions.BusUnavailable(
            'the message bus of transport_url cannot be reached'
        ) from exc


def _ask(conf: cfg.ConfigOpts, question: Question) -> Answer:
    transport = open_transport(conf)
    target = oslo_messaging.Target(
        exchange=EXCHANGE,
        topic=TOPIC,
        server=question.server,
        version=question.version,
    )
    client = make_client(
        transport, target, timeout=question.timeout_s, retry=1
    )
    try:
        answer: Answer = client.call({}, question.method, **question.arguments)
    except oslo_messaging.MessagingTimeout as exc:
        raise exceptions.BusUnavailable(_silence(question)) from exc
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
        raise exceptions.AgentTooOld(
            'the agent that answered is too old for that; upgrade it'
        ) from exc
    except (
        oslo_messaging.MessagingException,
        kombu_exceptions.OperationalError,
        OSError,
    ) as exc:
        raise exceptions.BusUnavailable(
            f'the message bus of transport_url cannot be used: {exc}'
        ) from exc
    else:
        return answer
    finally:
        transport.cleanup()


def _silence(question: Question) -> str:
    if question.server is not None:
        return (
            f'the agent on {question.server} does not answer within '
            f'{question.timeout_s:g} s'
        )
    return (
        f'no agent answered within {question.timeout_s:g} s; is '
        'dcn-distributor-agent running, with the same transport_url?'
    )
