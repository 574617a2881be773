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
"""One real cluster to be tried: by an agent, and by its administrator."""

import json
from pathlib import Path
import subprocess

import rbd

from dcn_distributor.clients import ceph
from dcn_distributor.core import sites
from lab import deployment
from tests.contract import real_clusters


class OneCluster:
    """The first site of the world: a cluster, and its administrator."""

    def __init__(
        self, world: real_clusters.RealWorld, lab: deployment.Lab
    ) -> None:
        self.world = world
        self.site = world.sites[0]
        self.name = lab.sites[0]
        self.lab = lab
        self.conf = lab.ceph_conf(self.name, f'client.{real_clusters.USER}')
        self.admin_conf = lab.ceph_conf(self.name)
        self.opened: list[ceph.Cluster] = []
        self.handle = real_clusters.administrator(self.admin_conf)
        self.handle.connect()
        self.pool = self.handle.open_ioctx(self.site.pool)

    def connect(
        self,
        conf: str | Path = '',
        user: str = real_clusters.USER,
        pool: str = '',
        timeout_s: float = 10.0,
        idle_s: float = 300.0,
        identity: str = '',
    ) -> ceph.Cluster:
        """Give a cluster to be tried."""
        cluster = ceph.Cluster(
            sites.Cluster(str(conf or self.conf), user, pool or 'images'),
            ceph.Options(
                connections=2,
                timeout_s=timeout_s,
                idle_s=idle_s,
                identity=identity,
            ),
        )
        self.opened.append(cluster)
        return cluster

    def rbd(self, *arguments: str, **options: str | bytes) -> bytes:
        """Run Ceph's program rbd as the administrator."""
        return subprocess.run(
            ['rbd', '--conf', self.admin_conf, '--pool', 'images', *arguments],
            check=True,
            stdout=subprocess.PIPE,
            input=options.get('given'),
        ).stdout

    def command(self, **command: str | float) -> bytes:
        """Give the monitors a command."""
        number, answer, text = self.handle.mon_command(
            json.dumps({'format': 'json', **command}), b''
        )
        assert number == 0, text
        return bytes(answer)

    def rbd_id(self, name: str) -> str:
        """Read the internal id of an image."""
        with rbd.Image(self.pool, name, read_only=True) as image:
            return str(image.id())

    def user(self, directory: Path, name: str, *caps: str) -> Path:
        """Make a user with these caps; give a ceph.conf for it."""
        answer = self.handle.mon_command(
            json.dumps(
                {
                    'prefix': 'auth get-or-create',
                    'entity': f'client.{name}',
                    'caps': caps,
                }
            ),
            b'',
        )
        assert answer[0] == 0, answer
        return self.conf_for(directory, answer[1])

    def conf_for(self, directory: Path, keyring: bytes) -> Path:
        """Give a ceph.conf for what a keyring holds."""
        path = directory / 'keyring'
        path.touch(0o600)
        path.write_bytes(keyring)
        lines = [
            line
            for line in Path(self.admin_conf).read_text().splitlines()
            if not line.startswith('keyring')
        ]
        conf = directory / 'ceph.conf'
        conf.write_text('\n'.join([*lines, f'keyring = {path}', '']))
        return conf

    def close(self) -> None:
        """Close all."""
        for cluster in self.opened:
            cluster.close()
        self.pool.close()
        self.handle.shutdown()
