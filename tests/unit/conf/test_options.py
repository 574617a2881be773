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
"""Options of oslo.config: what becomes of them, and what is refused."""

from pathlib import Path
import socket

from oslo_config import cfg
import pytest

from dcn_distributor import conf as configuration
from dcn_distributor import exceptions
from dcn_distributor.core import choosing
from dcn_distributor.core import transfers


class File:
    """A dcn_distributor.conf that is written and read again and again."""

    def __init__(self, path):
        self.path = path
        self.conf = cfg.ConfigOpts()
        configuration.register_opts(self.conf)

    def write(self, content):
        """Change the file, without having it read."""
        self.path.write_text(content)

    def read(self, content):
        """Read it as a program that starts does."""
        self.write(content)
        return configuration.read(self.conf, [], [str(self.path)])


@pytest.fixture
def file(tmp_path):
    return File(tmp_path / 'dcn_distributor.conf')


def test_defaults_are_those_of_the_core(file):
    settings = file.read('')

    assert settings.choice == choosing.Options()
    assert settings.streaming == transfers.Tuning()
    assert not settings.remove_orphans


def test_state_is_kept_where_the_systemd_unit_provides_for_it(file):
    unit = Path(__file__).parents[3] / 'etc/systemd'
    text = (unit / 'dcn-distributor-agent.service').read_text()

    provided = file.read('').state_dir.removeprefix('/var/lib/')

    assert f'\nStateDirectory={provided}\n' in text


def test_the_window_of_three_sites_fits_into_256_mib(file):
    assert 3 * file.read('').streaming.window_bytes < 256 << 20


def test_every_option_of_both_groups_has_its_place(file):
    settings = file.read(
        '[copy]\n'
        'engines = rbd-stream\n'
        'prefer_rbd_stream = true\n'
        'fallback_after = 3\n'
        'remove_orphans = true\n'
        '[rbd_stream]\n'
        'transfers = 5\n'
        'connections = 6\n'
        'chunk_size = 1MiB\n'
        'window = 1.5MiB\n'
        'rate = 200Mbit\n'
        'verify = checksum\n'
        'source = nearest\n'
        'cluster_timeout = 30\n'
        'patience = 0.5\n'
    )

    assert settings.choice == choosing.Options(
        engines=('rbd-stream',), prefer_rbd_stream=True, fallback_after=3
    )
    assert settings.remove_orphans
    assert settings.streaming == transfers.Tuning(
        chunk_bytes=1 << 20,
        window_bytes=3 << 19,
        patience_s=0.5,
        rate_bytes_s=25e6,
        verify=transfers.Verify.CHECKSUM,
        source=transfers.SourceChoice.NEAREST,
        connections=6,
        timeout_s=30,
        transfers=5,
    )


def test_agent_is_alone_and_called_as_its_host_unless_told_otherwise(file):
    settings = file.read('')

    assert settings.host == socket.gethostname()
    assert settings.group.backend_url == ''


def test_group_of_agents_has_its_place(file):
    settings = file.read(
        '[DEFAULT]\n'
        'host = controller-1\n'
        '[coordination]\n'
        'backend_url = redis://:secret@127.0.0.1:6379\n'
        'lease_timeout = 4.5\n'
    )

    assert settings.host == 'controller-1'
    assert settings.group.backend_url == 'redis://:secret@127.0.0.1:6379'
    assert settings.group.lease_timeout_s == 4.5
    assert 'secret' not in repr(settings)


def test_an_engine_named_twice_counts_once(file):
    settings = file.read('[copy]\nengines = copy-image, copy-image\n')

    assert settings.choice.engines == ('copy-image',)


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        ('[copy]\nengines =\n', '[copy] engines: expected at least one'),
        ('[copy]\nengines = rsync\n', 'rsync'),
        (
            '[copy]\nengines = copy-image\nprefer_rbd_stream = true\n',
            '[copy] prefer_rbd_stream is set, but engines does not name '
            'rbd-stream',
        ),
        ('[copy]\nfallback_after = 0\n', 'fallback_after'),
        (
            '[rbd_stream]\nchunk_size = 3MiB\n',
            'expected a power of two such as 4MiB, found 3MiB',
        ),
        (
            '[rbd_stream]\nchunk_size = 32KiB\n',
            'expected 64KiB to 32MiB, found 32KiB',
        ),
        (
            '[rbd_stream]\nchunk_size = 64MiB\n',
            'expected 64KiB to 32MiB, found 64MiB',
        ),
        ('[rbd_stream]\nchunk_size = 4M\n', "did you mean 'MB'?"),
        (
            '[rbd_stream]\nchunk_size = 8MiB\nwindow = 4MiB\n',
            '[rbd_stream] window: expected at least chunk_size, 8MiB, found '
            '4MiB',
        ),
        ('[rbd_stream]\nrate = 200\n', 'expected a unit after 200'),
        ('[rbd_stream]\nrate = 200Mb\n', "did you mean 'Mbit'?"),
        ('[rbd_stream]\nverify = none\n', 'verify'),
        ('[rbd_stream]\nsource = dcn0\n', 'source'),
        ('[rbd_stream]\nconnections = 0\n', 'connections'),
        ('[rbd_stream]\ncluster_timeout = 0\n', 'cluster_timeout'),
        ('[coordination]\nlease_timeout = 2\n', 'lease_timeout'),
        ('[DEFAULT]\nhost =\n', "host: expected a name, found ''"),
    ],
)
def test_what_is_wrong_is_refused_in_words(file, content, expected):
    with pytest.raises(exceptions.ConfigError) as caught:
        file.read(content)

    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ('before', 'after', 'rate_bytes_s'),
    [
        ('', 'rate = 200Mbit\n', 25e6),
        ('rate = 200Mbit\n', 'rate = 25MiB\n', 25 * 2**20),
        ('rate = 200Mbit\n', 'rate = 0\n', None),
        ('rate = 200Mbit\n', '', None),
        ('rate = 200Mbit\n', 'rate = 200Mbit\n', 25e6),
    ],
)
def test_the_rate_is_read_again(file, before, after, rate_bytes_s):
    file.read(f'[rbd_stream]\n{before}')
    file.write(f'[rbd_stream]\n{after}')

    settings = configuration.reread(file.conf)

    assert settings.streaming.rate_bytes_s == rate_bytes_s


def test_a_broken_rate_is_refused_until_it_is_put_right(file):
    file.read('[rbd_stream]\nrate = 200Mbit\n')
    file.write('[rbd_stream]\nrate = fast\n')

    with pytest.raises(exceptions.ConfigError, match='expected a rate'):
        configuration.reread(file.conf)
    file.write('[rbd_stream]\nrate = 1Gbit\n')

    assert configuration.reread(file.conf).streaming.rate_bytes_s == 125e6


def test_a_file_that_is_gone_is_refused(file):
    file.read('[rbd_stream]\nrate = 200Mbit\n')
    file.path.unlink()

    with pytest.raises(exceptions.ConfigError):
        configuration.reread(file.conf)


def test_other_options_stay_as_they_were_at_start(file):
    file.read('[rbd_stream]\nwindow = 64MiB\n')
    file.write('[rbd_stream]\nwindow = 8MiB\nrate = 1Gbit\n')

    settings = configuration.reread(file.conf)

    assert settings.streaming.window_bytes == 64 << 20
