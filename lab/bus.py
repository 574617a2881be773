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
"""The message bus as its clients see it: where it is, how queues are made."""

import threading

from lab import ports
from lab import rabbitmq
from lab import rabbitmq_cluster
from lab import service
from lab import state as lab_state

# Both ends of a queue must declare it alike, so all clients get the same.
# Durable: what was announced survives a restart of the broker.
_DURABLE: dict[str, object] = {'amqp_durable_queues': 'true'}
# Durable, too, and with a copy of every message on most of the nodes.
_QUORUM: dict[str, object] = {
    'rabbit_quorum_queue': 'true',
    # The default, said here since much rests on it: who tries twice, as
    # Glance and commands do, tries two nodes. With shuffle it may be the lost
    # one twice.
    'kombu_failover_strategy': 'round-robin',
    # Not 1 s.
    'kombu_reconnect_delay': 0.2,
    # A node that hangs keeps its connections: they are given up after one
    # to two of these, and another node is tried.
    'heartbeat_timeout_threshold': 10,
}
# Queues of replies and fanouts, too, which oslo.messaging has known since
# 14.7. With classic ones a client whose node was killed was back in 1.2 s, but
# missed the fanouts of that time; with these it missed none, and none came
# more than 0.6 s late. Nobody reads those of a client that ended, so they end
# soon.
#
# Without use_queue_manager: two commands at a time that are given the agent's
# configuration would have the same queue of replies, since names count up
# from 1 in each process group.
_TRANSIENT: dict[str, object] = {
    'rabbit_transient_quorum_queue': 'true',
    'rabbit_transient_queues_ttl': 300,
}


def services(
    state: lab_state.State, cancelled: threading.Event
) -> tuple[service.Service, ...]:
    """Give the broker, or the nodes of a cluster and what they stand on."""
    if state.rabbitmq_nodes == 1:
        return (rabbitmq.RabbitMQ(state, cancelled),)
    return (
        rabbitmq_cluster.PortMapper(state, cancelled),
        *(
            rabbitmq_cluster.Node(number, state, cancelled)
            for number in rabbitmq_cluster.numbers(state)
        ),
    )


def transport_url(state: lab_state.State) -> str:
    """Give what oslo.messaging connects to, with the password in it."""
    user = f'{rabbitmq.USER}:{state.passwords["rabbitmq"]}'
    if state.rabbitmq_nodes == 1:
        names = ['rabbitmq']
    else:
        names = [
            rabbitmq_cluster.name(number)
            for number in rabbitmq_cluster.numbers(state)
        ]
    hosts = [f'{user}@{ports.LOOPBACK}:{state.port(name)}' for name in names]
    return f'rabbit://{",".join(hosts)}/'


def options(state: lab_state.State) -> dict[str, object]:
    """Give [oslo_messaging_rabbit] for any client."""
    return dict(_DURABLE if state.rabbitmq_nodes == 1 else _QUORUM)


def agent_options(state: lab_state.State) -> dict[str, object]:
    """Give the same for agents and commands, which call each other."""
    return options(state) | ({} if state.rabbitmq_nodes == 1 else _TRANSIENT)
