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
"""What reaches the socket that systemd listens on."""

import socket

import pytest

from dcn_distributor.clients import systemd


@pytest.fixture
def listener():
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.settimeout(10)
        yield made


@pytest.mark.parametrize('is_abstract', [False, True])
def test_each_word_arrives(listener, tmp_path, is_abstract):
    path = str(tmp_path / 'notify')
    listener.bind('\0' + path if is_abstract else path)
    address = '@' + path if is_abstract else path
    told = systemd.Systemd({'NOTIFY_SOCKET': address})

    told.ready()
    told.alive()
    told.stopping()

    heard = [listener.recv(4096).decode().splitlines()[0] for _ in range(3)]
    assert heard == ['READY=1', 'WATCHDOG=1', 'STOPPING=1']


@pytest.mark.parametrize(
    ('usec', 'seconds'),
    [('900000000', 900.0), (None, None), ('0', None), ('soon', None)],
)
def test_patience_is_that_of_the_unit(usec, seconds):
    environment = {} if usec is None else {'WATCHDOG_USEC': usec}

    assert systemd.Systemd(environment).patience_s == seconds


@pytest.mark.parametrize('address', ['', '/nowhere/notify'])
def test_without_systemd_nobody_is_told(address):
    told = systemd.Systemd({'NOTIFY_SOCKET': address})

    told.ready()
    told.alive()
    told.stopping()


def test_its_address_is_taken_from_all_others(tmp_path):
    environment = {'NOTIFY_SOCKET': str(tmp_path / 'notify'), 'HOME': '/'}

    systemd.take(environment)

    assert environment == {'HOME': '/'}
