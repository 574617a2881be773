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
"""Clouds to render, and what was rendered, as its readers see it."""

from collections.abc import Mapping
import dataclasses
from pathlib import Path

from hypothesis import strategies as st
from oslo_config import cfg

from dcn_distributor.bootstrap import rhoso
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import stacks
from tests import plain_yaml
from tests.unit.bootstrap import samples

Documents = Mapping[str, dict]


def load(topology: str) -> stacks.Cloud:
    """Read a sample, for the one user that all services on RHOSO share."""
    return dataclasses.replace(samples.load(topology), user='openstack')


def render(cloud: stacks.Cloud) -> Documents:
    """Render it, and read the documents with another YAML, by path.

    PyYAML reads YAML 1.1, as Kubernetes does.
    """
    files = rhoso.render(cloud, samples.ring_for(cloud))
    assert len({file.path for file in files}) == len(files)
    return {file.path: plain_yaml.load(file.text) for file in files}


def of_kind(documents: Documents, kind: str) -> dict[str, dict]:
    """Choose those of a kind, by name."""
    return {
        document['metadata']['name']: document
        for document in documents.values()
        if document['kind'] == kind
    }


def glance_apis(documents: Documents) -> dict[str, dict]:
    """Find the Glance APIs."""
    control_plane = documents['control-plane.yaml']
    return control_plane['spec']['glance']['template']['glanceAPIs']


def options(directory: Path, text: str) -> cfg.ConfigOpts:
    """Have oslo.config read options as Glance declares them."""
    path = directory / 'glance.conf'
    path.write_text(text)
    conf = cfg.ConfigOpts()
    conf.register_opts(
        [
            cfg.DictOpt('enabled_backends'),
            cfg.ListOpt('enabled_import_methods', bounds=True),
            cfg.IntOpt('image_location_quota', default=10),
        ]
    )
    conf.register_opts([cfg.StrOpt('default_backend')], 'glance_store')
    conf(['--config-file', str(path)], default_config_files=[])
    for store in conf.enabled_backends or ():
        conf.register_opts(
            [
                cfg.StrOpt('store_description'),
                cfg.StrOpt('rbd_store_ceph_conf'),
                cfg.StrOpt('rbd_store_user'),
                cfg.StrOpt('rbd_store_pool', default='rbd'),
                cfg.BoolOpt('rbd_thin_provisioning', default=False),
                cfg.StrOpt('swift_store_auth_address'),
                cfg.StrOpt('swift_store_key', secret=True),
            ],
            store,
        )
    return conf


# Among them what YAML 1.1 takes for something else.
_labels = st.sampled_from(['no', 'y', '007', '1e5', '0x1f', 'null', '12']) | (
    st.from_regex(r'[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?', fullmatch=True)
)
_words = st.from_regex(r'[A-Za-z0-9]{1,8}', fullmatch=True)
_addresses = st.ip_addresses().map(str)
_descriptions = st.text(
    st.characters(codec='utf-8', exclude_categories=['C', 'Z']) | st.just(' '),
    min_size=1,
    max_size=20,
).filter(lambda text: text.strip() and '{{' not in text)


@st.composite
def clouds(draw: st.DrawFn) -> stacks.Cloud:
    """Make clouds of one to eight sites, with all they need."""
    backend = draw(st.sampled_from(stacks.Backend))
    edges = draw(
        st.lists(
            _labels.filter(lambda n: n != 'central'), max_size=7, unique=True
        )
    )
    names = [sites.CENTRAL, *map(sites.SiteName, edges)]
    clusters = draw(_unique(_words, len(names)))
    stores = draw(_unique(_words, len(names)))
    fsids = draw(_unique(st.uuids().map(str), len(names)))
    described = [
        stacks.Site(
            name,
            images.StoreId(store),
            draw(_labels),
            tuple(draw(_stacks(name))),
            draw(_glances(backend, is_central=name == sites.CENTRAL)),
            draw(_clusters(cluster, fsid, backend)),
        )
        for name, cluster, store, fsid in zip(
            names, clusters, stores, fsids, strict=True
        )
    ]
    return stacks.Cloud(
        tuple(described), 'openstack', ('web-download', 'copy-image')
    )


def _unique(of: st.SearchStrategy, count: int) -> st.SearchStrategy:
    return st.lists(of, min_size=count, max_size=count, unique=True)


@st.composite
def _glances(
    draw: st.DrawFn, backend: stacks.Backend, *, is_central: bool
) -> stacks.Glance:
    has_cache = backend is stacks.Backend.SWIFT and not is_central
    size = draw(st.integers(1, 1 << 42))
    return stacks.Glance(
        backend,
        draw(_descriptions),
        draw(st.none() | _addresses.map(_url)),
        stacks.Cache(max_bytes=size) if has_cache else None,
    )


def _url(address: str) -> str:
    host = f'[{address}]' if ':' in address else address
    return f'http://{host}:9292'


@st.composite
def _clusters(
    draw: st.DrawFn, name: str, fsid: str, backend: stacks.Backend
) -> stacks.Ceph | None:
    others = draw(st.sets(st.sampled_from(['volumes', 'vms', 'backups'])))
    ceph = stacks.Ceph(
        name,
        draw(st.booleans()),
        fsid,
        tuple(draw(st.lists(_addresses, min_size=1, max_size=3))),
        ('images', *sorted(others)),
        agent_user=draw(st.none() | st.just('dcn-distributor')),
    )
    is_there = backend is stacks.Backend.RBD or draw(st.booleans())
    return ceph if is_there else None


@st.composite
def _stacks(draw: st.DrawFn, site: str) -> list[stacks.Stack]:
    kinds = [stacks.Kind.CONTROL_PLANE] if site == sites.CENTRAL else []
    kinds += draw(st.lists(st.sampled_from(stacks.Kind), max_size=2))
    roles = ('Controller', 'ComputeHCI', 'Compute', 'CephStorage')
    return [
        stacks.Stack(
            f'{site}-{index}',
            kind,
            0,
            tuple(
                stacks.Role(role, count, f'{role.lower()}', ())
                for role, count in draw(
                    st.dictionaries(st.sampled_from(roles), st.integers(0, 3))
                ).items()
            ),
        )
        for index, kind in enumerate(kinds)
    ]
