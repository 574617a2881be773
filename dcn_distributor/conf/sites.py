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
"""sites.yaml: central, the edge sites, their Glance stores and labels."""

import re
from typing import Annotated
from typing import Literal

import pydantic

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


def load(path: str) -> sites.Sites:
    """Read sites.yaml. Raises ConfigError with everything wrong in it."""
    document = yaml_files.read(path)
    file = schema.validate(document, _File, {})
    _check_stores(document, file)
    return sites.Sites(
        images.StoreId(file.central.store),
        tuple(
            sites.Site(
                sites.SiteName(name),
                images.StoreId(site.store or name),
                site.labels,
            )
            for name, site in file.sites.items()
        ),
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


_SiteName = Annotated[str, pydantic.AfterValidator(_site_name)]
_Store = Annotated[str, pydantic.AfterValidator(_store)]
_Label = Annotated[str, pydantic.AfterValidator(_label)]


class _Central(schema.Model):
    store: _Store


class _Site(schema.Model):
    store: _Store | None = None
    labels: dict[_Label, _Label] = {}


class _File(schema.Model):
    version: Literal['1']
    central: _Central
    sites: dict[_SiteName, _Site]


def _check_stores(document: yaml_files.Document, file: _File) -> None:
    """Refuse a store that two sites, or a site and central, would share."""
    used = {file.central.store: 'central'}
    problems = []
    for name, site in file.sites.items():
        store = site.store or name
        if store in used:
            problems.append(
                schema.problem_at(
                    document,
                    ('sites', name, 'store'),
                    f'store {text.show(store)} is already that of '
                    f'{used[store]}; every site has its own',
                )
            )
        used.setdefault(store, f'site {name}')
    if problems:
        raise yaml_files.error(document.path, problems)
