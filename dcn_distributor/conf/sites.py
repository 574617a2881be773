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
"""sites.yaml: central and the edge sites, stores, labels, clusters, links."""

from collections.abc import Iterator
import errno
import os
import re
import stat
from typing import Annotated
from typing import Literal

import pydantic

from dcn_distributor.conf import deployments
from dcn_distributor.conf import schema
from dcn_distributor.conf import yaml_files
from dcn_distributor.core import images
from dcn_distributor.core import selectors
from dcn_distributor.core import sites
from dcn_distributor.core import text

# `all` is what a policy writes for every site, `central` where copies come
# from.
RESERVED = ('all', 'central')

_SITE_NAME = re.compile(r'[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?')
_STORE = re.compile(r'[^\s,]{1,255}')
_FSID = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')
_CEPH_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,127}')
_COST = re.compile(r'[0-9]{1,9}(?:\.[0-9]{1,9})?')


def load(path: str) -> sites.Sites:
    """Read sites.yaml. Raises ConfigError with everything wrong in it.

    Whether the files it names are there is not asked: a site that is being
    built must keep no other from its copies.
    """
    return _to_core(read(path)[1])


def inspect(path: str) -> tuple[sites.Sites, tuple[str, ...]]:
    """Read sites.yaml, and look at what it names on this host.

    The warnings are one ``FILE:LINE: warning:`` each. Raises as load() does.
    """
    document, file = read(path)
    warnings = [
        f'{document.line(location)}: warning: {doubt}'
        for location, doubt in _doubts(file)
    ]
    return _to_core(file), tuple(warnings)


def read(path: str) -> tuple[yaml_files.Document, 'File']:
    """Read and check sites.yaml as it stands. Raises ConfigError."""
    document = yaml_files.read(path)
    file = schema.validate(document, File, {})
    _check_shared(document, file)
    return document, file


def _to_core(file: 'File') -> sites.Sites:
    central = file.central
    return sites.Sites(
        images.StoreId(central.store),
        tuple(
            sites.Site(
                sites.SiteName(name),
                images.StoreId(site.store or name),
                site.labels,
                _cluster(site.cluster),
                site.link.cost,
            )
            for name, site in file.sites.items()
        ),
        _cluster(central.cluster),
        central.link.cost,
    )


def _cluster(cluster: 'Cluster | None') -> sites.Cluster | None:
    if cluster is None:
        return None
    return sites.Cluster(
        cluster.conf, cluster.user, cluster.pool, cluster.fsid
    )


def _site_name(name: str) -> str:
    if name in RESERVED:
        raise text.Malformed(f"a site cannot be called '{name}'")
    if '..' in name or not _SITE_NAME.fullmatch(name):
        raise text.Malformed(
            f'{text.quote(name)} is no name for a site: expected 1 to 63 '
            "letters, digits, '.', '_' or '-', with a letter or digit at "
            "both ends and no '..'"
        )
    return name


def _store(store: str) -> str:
    if not _STORE.fullmatch(store) or not store.isprintable():
        raise text.Malformed(
            f'{text.quote(store)} is no Glance store: expected no spaces and '
            'commas'
        )
    return store


def _label(word: str) -> str:
    if len(word) > selectors.LABEL_LENGTH or not selectors.LABEL.fullmatch(
        word
    ):
        raise text.Malformed(
            f'expected letters, digits and _ . / : + @ - in a label, found '
            f'{text.quote(word)}'
        )
    return word


def _conf(path: str) -> str:
    if not os.path.isabs(path) or not path.isprintable():
        raise text.Malformed(
            'expected the absolute path of a ceph.conf, found '
            f'{text.quote(path)}'
        )
    return os.path.normpath(path)


def _user(user: str) -> str:
    name = user.removeprefix('client.')
    if name != user:
        raise text.Malformed(
            f"expected a user without 'client.', found {text.quote(user)}; "
            f'did you mean {text.quote(name)}?'
        )
    return _ceph_name(user)


def _ceph_name(name: str) -> str:
    if not _CEPH_NAME.fullmatch(name):
        raise text.Malformed(
            "expected letters, digits, '.', '_' or '-', found "
            f'{text.quote(name)}'
        )
    return name


def _fsid(fsid: str) -> str:
    if not _FSID.fullmatch(fsid.lower()):
        raise text.Malformed(
            f"expected a UUID as 'ceph fsid' prints it, found "
            f'{text.quote(fsid)}'
        )
    return fsid.lower()


def _cost(written: object) -> float:
    if not isinstance(written, str) or not _COST.fullmatch(written):
        raise text.Malformed(
            'expected a number that is 0 or more, such as 10 or 2.5, found '
            f'{schema.found(written)}'
        )
    return float(written)


_SiteName = Annotated[str, pydantic.AfterValidator(_site_name)]
_Store = Annotated[str, pydantic.AfterValidator(_store)]
_Label = Annotated[str, pydantic.AfterValidator(_label)]
_Cost = Annotated[float, pydantic.PlainValidator(_cost)]

_MISPLACED = {
    **dict.fromkeys(
        ('conf', 'user', 'pool', 'fsid'), "it stands in 'cluster'"
    ),
    'cost': "it stands in 'link'",
}


class Cluster(schema.Model):
    """How the agent reaches a cluster."""

    conf: Annotated[str, pydantic.AfterValidator(_conf)]
    user: Annotated[str, pydantic.AfterValidator(_user)] = 'dcn-distributor'
    pool: Annotated[str, pydantic.AfterValidator(_ceph_name)] = 'images'
    fsid: Annotated[str, pydantic.AfterValidator(_fsid)] | None = None


class _CentralLink(schema.Model):
    cost: _Cost = 0.0


class _Link(schema.Model):
    cost: _Cost = 10.0


class _Central(schema.Model):
    misplaced = _MISPLACED

    store: _Store
    cluster: Cluster | None = None
    link: _CentralLink = _CentralLink()
    deploy: deployments.Site | None = None


class _Site(schema.Model):
    misplaced = _MISPLACED

    store: _Store | None = None
    labels: dict[_Label, _Label] = {}
    cluster: Cluster | None = None
    link: _Link = _Link()
    deploy: deployments.Site | None = None


class File(schema.Model):
    """All of sites.yaml."""

    version: Literal['1']
    deploy: deployments.Cloud | None = None
    central: _Central
    sites: dict[_SiteName, _Site]


def _check_shared(document: yaml_files.Document, file: File) -> None:
    """Refuse what two sites, or a site and central, would share."""
    owners: dict[str, str] = {}
    problems = []
    for owner, location, claim in _claims(file):
        if claim in owners:
            problems.append(
                schema.problem_at(
                    document,
                    location,
                    f'{claim} is already that of {owners[claim]}; every '
                    'site has its own',
                )
            )
        owners.setdefault(claim, owner)
    if problems:
        raise yaml_files.error(document.path, problems)


def _claims(file: File) -> Iterator[tuple[str, yaml_files.Location, str]]:
    """Name what each site has for itself, with the place that says so."""
    yield 'central', ('central', 'store'), _store_claim(file.central.store)
    for name, site in file.sites.items():
        store = _store_claim(site.store or name)
        yield f'site {name}', ('sites', name, 'store'), store
    for owner, location, cluster in _clusters(file):
        yield owner, (*location, 'conf'), f'conf {cluster.conf}'
        if cluster.fsid is not None:
            pool = f'pool {cluster.pool} of cluster {cluster.fsid}'
            yield owner, (*location, 'fsid'), pool


def _store_claim(store: str) -> str:
    return f'store {text.show(store)}'


def _clusters(
    file: File,
) -> Iterator[tuple[str, yaml_files.Location, Cluster]]:
    """Name the clusters, whose they are and where they stand."""
    if file.central.cluster:
        yield 'central', ('central', 'cluster'), file.central.cluster
    for name, site in file.sites.items():
        if site.cluster:
            yield f'site {name}', ('sites', name, 'cluster'), site.cluster


def _doubts(file: File) -> Iterator[tuple[yaml_files.Location, str]]:
    """Say what rbd-stream would lack here and now."""
    clusters = list(_clusters(file))
    if clusters and not file.central.cluster:
        yield (
            ('central',),
            'central has no cluster: rbd-stream can only read a copy that '
            'another site has already',
        )
    for owner, location, cluster in clusters:
        reason = _unreadable(cluster.conf)
        if reason:
            yield (
                (*location, 'conf'),
                f'{owner}: {cluster.conf} cannot be read: {reason}',
            )


def _unreadable(path: str) -> str | None:
    try:
        # Opening a pipe would wait for a writer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return 'not a regular file'
        with open(path, 'rb') as file:
            file.read(1)
    except OSError as exc:
        is_away = exc.errno == errno.ENOENT
        return 'no such file' if is_away else str(exc.strerror)
    return None
