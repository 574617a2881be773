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
"""A site's pool of images: what is left there, and what others do with it."""

import json
import subprocess

import rados
import rbd

from lab import admin_socket
from lab import deployment
from lab import rbd_images

CLAIMS = 'dcn_distributor'
DRAFT = '.dcn-distributor'
_FEATURES = 61
_BLOCK = 1 << 16


class Pool(rbd_images.Pool):
    """See the module; the pool is that of Glance."""

    def __init__(self, lab: deployment.Lab, site: str) -> None:
        self._conf = lab.ceph_conf(site)
        self._sockets = lab.cluster(site).run_directory
        self._site = site
        super().__init__(self._conf)
        self._strays_before = self.strays()

    # -- to look

    def of(self, image_id: str) -> frozenset[str]:
        """The names of RBD images that begin with an image's id."""
        return frozenset(n for n in self.names() if n.startswith(image_id))

    def traces(self, image_id: str) -> frozenset[str]:
        """Everything but images that a transfer left here.

        Its claim, objects of no image, and whoever has the copy open to be
        written.
        """
        claims = {o for o in self.objects() if o == f'{CLAIMS}/{image_id}'}
        strays = self.strays() - self._strays_before
        return frozenset(claims | strays | self.watchers(image_id))

    def watchers(self, name: str) -> frozenset[str]:
        """The clients that have an image open to be written."""
        try:
            with self._image(name, read_only=True) as image:
                return frozenset(w['addr'] for w in image.watchers_list())
        except rbd.ImageNotFound:
            return frozenset()

    def has_sound_maps(self, name: str) -> bool:
        """Have Ceph compare the object maps with the objects, and see."""
        for snapshot in ('', '@snap'):
            self._rbd('object-map', 'check', f'images/{name}{snapshot}')
        found = json.loads(self._rbd('info', f'images/{name}'))
        at_snap = json.loads(self._rbd('info', f'images/{name}@snap'))
        return not found['flags'] and not at_snap['flags']

    def internal_id(self, name: str) -> str:
        """What an image is by, whatever its name."""
        with self._image(name, read_only=True) as image:
            return str(image.id())

    def parent(self, name: str) -> str:
        """What the snapshot of an image is a clone of; '' if of nothing."""
        with self._image(name, 'snap', read_only=True) as image:
            try:
                return str(image.parent_info())
            except rbd.ImageNotFound:
                return ''

    def key_of(self, entity: str) -> str:
        """The secret of somebody who may use the cluster."""
        argv = ['ceph', '-c', self._conf, 'auth', 'get-key', entity]
        ran = subprocess.run(argv, check=True, capture_output=True, text=True)
        return ran.stdout.strip()

    def used_bytes(self, name: str) -> int:
        """What `rbd du` tells of a copy."""
        told = json.loads(self._rbd('du', f'images/{name}@snap'))
        return int(told['images'][0]['used_size'])

    def object_bytes_at_rest(self, name: str) -> int:
        """Count what an image's objects hold; 0 if there is no image.

        Not by their sizes: an object may be written from its middle on, and
        then begins with a hole.
        """
        try:
            with self._image(name, read_only=True) as image:
                prefix = image.block_name_prefix() + '.'
        except rbd.ImageNotFound:
            return 0
        keys = [key for key in self.objects() if key.startswith(prefix)]
        return sum(self._held_bytes(key) for key in keys)

    def _held_bytes(self, key: str) -> int:
        """Count an object's blocks that are not all zero."""
        content = self._pool.read(key, int(self._pool.stat(key)[0]))
        blocks = (
            content[start : start + _BLOCK]
            for start in range(0, len(content), _BLOCK)
        )
        return sum(len(block) for block in blocks if any(block))

    def received_bytes(self) -> int:
        """What the OSD was sent to be written, since it runs."""
        path = self._sockets / f'{self._site}-osd.0.asok'
        counters = admin_socket.ask(path, 'perf dump')
        return int(counters['osd']['op_in_bytes'])

    def unprotect(self, name: str) -> None:
        """Let the snapshot of an image be removed."""
        with self._image(name) as image:
            image.unprotect_snap('snap')

    def _rbd(self, *words: str) -> str:
        argv = ['rbd', '-c', self._conf, *words]
        if words[0] in ('info', 'du'):
            argv += ['--format', 'json']
        ran = subprocess.run(argv, check=True, capture_output=True, text=True)
        return ran.stdout

    # -- to use

    def clone_and_use(self, image_id: str, pool: str, form: int) -> bytes:
        """Clone a copy as Nova (vms) or Cinder (volumes) does, and use it.

        The clone is grown, written to at its end, read, flattened and read
        again (nova: rbd_utils.py clone, resize, flatten; cinder: rbd.py
        _clone). Returns what it holds of the image.

        :param form: the format of clones, 1 or 2
        """
        cluster = rados.Rados(
            conffile=self._conf, conf={'rbd_default_clone_format': str(form)}
        )
        cluster.connect()
        name = f'clone-{form}-of-{image_id}'
        try:
            with (
                cluster.open_ioctx('images') as parents,
                cluster.open_ioctx(pool) as clones,
            ):
                return self._use_clone(parents, image_id, clones, name)
        finally:
            cluster.shutdown()

    def _use_clone(
        self,
        parents: 'rados.Ioctx',
        image_id: str,
        clones: 'rados.Ioctx',
        name: str,
    ) -> bytes:
        # NOTE: with objects as long as the image's. librbd 16 refuses shorter
        # ones, whoever has made the image.
        rbd.RBD().clone(parents, image_id, 'snap', clones, name, _FEATURES)
        try:
            with rbd.Image(clones, name) as clone:
                size = clone.size()
                clone.resize(size + 2**20)
                clone.write(b'x' * 512, size)
                before = clone.read(0, size)
                clone.flatten()
                with_no_parent = clone.read(0, size)
                assert clone.read(size, 512) == b'x' * 512
            assert before == with_no_parent
            return bytes(with_no_parent)
        finally:
            rbd.RBD().remove(clones, name)
