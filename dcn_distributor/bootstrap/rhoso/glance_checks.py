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
"""Find what is wrong between the Glance APIs of a control plane."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import posixpath
import re

from dcn_distributor.bootstrap.rhoso import options
from dcn_distributor.bootstrap.rhoso import secret_checks
from dcn_distributor.bootstrap.rhoso import trees

_OF_STORES = re.compile(
    r'(rbd|swift|filesystem|cinder|s3|vmware)_store_\w+|store_description'
)
_RESERVED = 'os_glance_'
# What the operator sets where nobody says otherwise (glance-operator:
# templates/common/config/00-config.conf).
_METHODS = '[web-download,glance-direct]'
_EVERYWHERE = {'All', 'Glance', 'GlanceAPI'}


@dataclasses.dataclass(frozen=True, slots=True)
class _Api:
    """One Glance API, with the options that somebody chose for it."""

    name: str
    kind: str
    sections: options.Sections

    @property
    def backends(self) -> Mapping[str, str] | None:
        """The drivers of stores, by id; None if nobody chose any."""
        written = self.sections.get('DEFAULT', {}).get('enabled_backends')
        if written is None:
            return None
        pairs = (pair.partition(':') for pair in written.split(','))
        return {store.strip(): kind.strip() for store, _, kind in pairs}

    @property
    def methods(self) -> tuple[str, ...]:
        """The ways to import."""
        written = self.sections.get('DEFAULT', {}).get(
            'enabled_import_methods', _METHODS
        )
        return tuple(m.strip(' \'"') for m in written.strip('[] ').split(','))

    def conf(self, store: str) -> str:
        """Give the ceph.conf of a store; '' if it has none."""
        return self.sections.get(store, {}).get('rbd_store_ceph_conf', '')


def check(
    template: Mapping[str, object],
    mounts: Sequence[object],
    secrets: Mapping[str, secret_checks.Secret],
) -> Iterator[str]:
    """Say what is wrong in what is below spec.glance.template.

    `mounts` are all that may be for Glance.
    """
    shared = trees.text(template, 'customServiceConfig')
    apis = []
    for name, api in trees.mapping(template, 'glanceAPIs').items():
        # An API with options of its own gets none of those for all
        # (glance-operator: internal/controller/glance_controller.go).
        text = trees.text(api, 'customServiceConfig') or shared
        sections = options.parse(text)
        if sections is None:
            yield f'Glance {name}: customServiceConfig is no INI'
        kind = trees.text(api, 'type') or 'split'
        apis.append(_Api(name, kind, sections or {}))
    if apis:
        # Without any the operator makes one, called default.
        yield from _endpoint(trees.text(template, 'keystoneEndpoint'), apis)
    stores = {store for each in apis for store in each.backends or {}}
    for each in apis:
        yield from _stores(each)
        if len(stores) > 1:
            yield from _methods(each)
        yield from _mounted(each, _reaching(each, mounts, secrets))
    yield from _clusters(apis)


def _endpoint(endpoint: str, apis: Sequence[_Api]) -> Iterator[str]:
    kinds = {api.name: api.kind for api in apis}
    if not endpoint and len(apis) == 1:
        endpoint = apis[0].name
    if endpoint not in kinds:
        yield (
            f"keystoneEndpoint '{endpoint}' is none of the Glance APIs "
            f'{", ".join(kinds)}'
        )
    elif kinds[endpoint] == 'edge':
        yield (
            f'keystoneEndpoint {endpoint} is of type edge, which nobody '
            'outside can reach'
        )


def _stores(api: _Api) -> Iterator[str]:
    """Find stores without a section, and the reverse."""
    backends = api.backends
    if backends is None:
        return
    described = {
        section
        for section, of in api.sections.items()
        if any(_OF_STORES.fullmatch(name) for name in of)
        and not section.startswith(_RESERVED)
    }
    for store in backends:
        if store not in described:
            yield (
                f'Glance {api.name}: enabled_backends has {store}, and there '
                f'is no section [{store}]'
            )
    for store in sorted(described - backends.keys()):
        yield (
            f'Glance {api.name}: there is a section [{store}], and it is not '
            'in enabled_backends'
        )
    default = api.sections.get('glance_store', {}).get(
        'default_backend', 'default_backend'
    )
    if default not in backends:
        yield (
            f'Glance {api.name}: default_backend {default} is not in '
            f'enabled_backends: {", ".join(backends)}'
        )


def _methods(api: _Api) -> Iterator[str]:
    is_rbd = 'rbd' in (api.backends or {}).values()
    if is_rbd and 'copy-image' not in api.methods:
        yield (
            f'Glance {api.name}: enabled_import_methods has no copy-image: '
            'it cannot copy images to or from its stores'
        )


def _clusters(apis: Sequence[_Api]) -> Iterator[str]:
    """Find stores that are not the same cluster everywhere.

    An image's location names its store: it has to mean the same to all.
    """
    confs: dict[str, dict[str, list[str]]] = {}
    for api in apis:
        found: dict[tuple[str, str], str] = {}
        for store in api.backends or {}:
            conf = api.conf(store)
            if not conf:
                continue
            confs.setdefault(store, {}).setdefault(conf, []).append(api.name)
            pool = api.sections[store].get('rbd_store_pool', 'images')
            other = found.setdefault((conf, pool), store)
            if other != store:
                yield (
                    f'Glance {api.name}: {other} and {store} are both pool '
                    f'{pool} of {conf}: a store leads to the wrong cluster'
                )
    for store, by_conf in confs.items():
        if len(by_conf) > 1:
            said = '; '.join(
                f'{conf} in {", ".join(names)}'
                for conf, names in by_conf.items()
            )
            yield (
                f'store {store} is not one cluster everywhere, but {said}: '
                'a store leads to the wrong cluster'
            )


def _reaching(
    api: _Api,
    mounts: Sequence[object],
    secrets: Mapping[str, secret_checks.Secret],
) -> list[secret_checks.Secret]:
    """Find the known Secrets that are mounted in an API's pods."""
    return [
        secrets[name]
        for mount in mounts
        for volume in trees.sequence(mount, 'extraVol')
        if _is_for(api, trees.sequence(volume, 'propagation'))
        for name in trees.secrets(volume)
        if name in secrets
    ]


def _is_for(api: _Api, propagation: Sequence[object]) -> bool:
    places = {str(place) for place in propagation}
    return not places or bool(places & {*_EVERYWHERE, api.name})


def _mounted(
    api: _Api, secrets: Sequence[secret_checks.Secret]
) -> Iterator[str]:
    """Find stores whose files are not there, if it is known what is."""
    if not secrets:
        return
    where = ', '.join(secret.name for secret in secrets)
    for store in api.backends or {}:
        conf = api.conf(store)
        if not conf:
            continue
        cluster = posixpath.basename(conf).removesuffix('.conf')
        user = api.sections[store].get('rbd_store_user', '')
        holders = [s for s in secrets if cluster in s.fsids]
        if not holders:
            yield f'Glance {api.name}: {store} needs {conf}: not in {where}'
        elif not any(user in s.users.get(cluster, ()) for s in holders):
            yield (
                f'Glance {api.name}: {store} is for user {user}, and {where} '
                f'has no keyring of that user for {cluster}'
            )
