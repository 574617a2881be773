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
"""Ceph: the one importer of rados and rbd.

::

    cluster       core.storage.Cluster: what the rest sees
    connections   Rados handles, connected in parallel, kept warm
      native      librados by ctypes: what its binding lacks
    claims        who fills or repairs an image, by locks in RADOS
    opening       what a claimed image is, and what to do with it
    snapshots     core.storage.Readable, by librbd
    copies        core.storage.Copy
      objects     chunks of data, by librados
      publication snapshot, object maps, name
      repairs     the same of a copy that is published
    headers, object_maps, names   what librbd stores, and how
"""

from dcn_distributor.clients.ceph.cluster import Cluster
from dcn_distributor.clients.ceph.options import Options

__all__ = ['Cluster', 'Options']
