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
"""sites.yaml: central, the edge sites, and the links that sites share."""

from collections.abc import Iterator
from collections.abc import Mapping
import re
from typing import Annotated
from typing import Literal

import pydantic

from dcn_distributor.conf import clusters
from dcn_distributor.conf import deployments
from dcn_distributor.conf import links
from dcn_distributor.conf import schema
from dcn_distributor.conf import yaml_files
from dcn_distributor.core import images
from dcn_distributor.core import links as core_links
from dcn_distributor.core import selectors
from dcn_distributor.core import sites
from dcn_distributor.core import text

# `all` is what a policy writes for every site, `central` where copies come
# from.
RESERVED = ('all', 'central')

_SITE_NAME = re.compile(r'[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?')
_STORE = re.compile(r'[^\s,]{1,255}')


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
    problems = [*_shared(document, file), *_misnamed_links(document, file)]
    if problems:
        raise yaml_files.error(document.path, problems)
    return document, file


def _to_core(file: 'File') -> sites.Sites:
    central = file.central
    shared = {name: link.to_core(name) for name, link in file.links.items()}
    return sites.Sites(
        images.StoreId(central.store),
        tuple(site.to_core(name, shared) for name, site in file.sites.items()),
        _cluster(central.cluster),
        central.link.cost,
    )


def _cluster(cluster: clusters.Cluster | None) -> sites.Cluster | None:
    return cluster.to_core() if cluster else None


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


def _link_name(name: str) -> str:
    if name in RESERVED:
        raise text.Malformed(f"a link cannot be called '{name}'")
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


_SiteName = Annotated[str, pydantic.AfterValidator(_site_name)]
_Store = Annotated[str, pydantic.AfterValidator(_store)]
_Label = Annotated[str, pydantic.AfterValidator(_label)]
_LinkName = Annotated[links.LinkName, pydantic.AfterValidator(_link_name)]
_Links = dict[_LinkName, links.Link]

_MISPLACED = {
    **dict.fromkeys(clusters.Cluster.model_fields, "it stands in 'cluster'"),
    'cost': "it stands in 'link'",
}


class _Central(schema.Model):
    misplaced = _MISPLACED

    store: _Store
    cluster: clusters.Cluster | None = None
    link: links.CentralLink = links.CentralLink()
    deploy: deployments.Site | None = None


class _Site(schema.Model):
    misplaced = {
        **_MISPLACED,
        **dict.fromkeys(links.Link.model_fields, "it stands in 'link'"),
        **dict.fromkeys(links.Taint.model_fields, "it stands in 'taints'"),
    }

    store: _Store | None = None
    labels: dict[_Label, _Label] = {}
    cluster: clusters.Cluster | None = None
    link: links.SiteLink = links.Link()
    taints: list[links.Taint] = []
    deploy: deployments.Site | None = None

    def to_core(
        self, name: str, shared: Mapping[str, core_links.Link]
    ) -> sites.Site:
        """Make a site of what the file says."""
        return sites.Site(
            sites.SiteName(name),
            images.StoreId(self.store or name),
            self.labels,
            _cluster(self.cluster),
            shared[self.link]
            if isinstance(self.link, str)
            else self.link.to_core(name),
            tuple(taint.to_core() for taint in self.taints),
        )


class File(schema.Model):
    """All of sites.yaml."""

    version: Literal['1']
    deploy: deployments.Cloud | None = None
    central: _Central
    links: _Links = {}
    sites: dict[_SiteName, _Site]


def _misnamed_links(
    document: yaml_files.Document, file: File
) -> Iterator[yaml_files.Problem]:
    """Refuse links that are not there, or called as a site is.

    A site's own link has the site's name, and so no other link may.
    """
    for name in file.links:
        if name in file.sites:
            yield schema.problem_at(
                document,
                ('links', name),
                f'{text.show(name)} is a site; a link that sites share has '
                'another name',
            )
    for name, site in file.sites.items():
        if isinstance(site.link, str) and site.link not in file.links:
            yield schema.problem_at(
                document,
                ('sites', name, 'link'),
                f"no link {text.quote(site.link)} in 'links'"
                f'{schema.did_you_mean(site.link, list(file.links))}',
            )


def _shared(
    document: yaml_files.Document, file: File
) -> Iterator[yaml_files.Problem]:
    """Refuse what two sites, or a site and central, would share."""
    owners: dict[str, str] = {}
    for owner, location, claim in _claims(file):
        if claim in owners:
            yield schema.problem_at(
                document,
                location,
                f'{claim} is already that of {owners[claim]}; every site has '
                'its own',
            )
        owners.setdefault(claim, owner)


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
) -> Iterator[tuple[str, yaml_files.Location, clusters.Cluster]]:
    """Name the clusters, whose they are and where they stand."""
    if file.central.cluster:
        yield 'central', ('central', 'cluster'), file.central.cluster
    for name, site in file.sites.items():
        if site.cluster:
            yield f'site {name}', ('sites', name, 'cluster'), site.cluster


def _doubts(file: File) -> Iterator[tuple[yaml_files.Location, str]]:
    """Say what is of no use, and what rbd-stream would lack here and now."""
    used = {s.link for s in file.sites.values() if isinstance(s.link, str)}
    for name in file.links:
        if name not in used:
            yield ('links', name), f'link {name}: no site hangs on it'
    known = list(_clusters(file))
    if known and not file.central.cluster:
        yield (
            ('central',),
            'central has no cluster: rbd-stream can only read a copy that '
            'another site has already',
        )
    for owner, location, cluster in known:
        reason = clusters.unreadable(cluster.conf)
        if reason:
            yield (
                (*location, 'conf'),
                f'{owner}: {cluster.conf} cannot be read: {reason}',
            )
