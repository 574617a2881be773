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
"""Read confs and keyrings, as hosts have them in /etc/ceph.

``<cluster>.conf`` belongs to ``<cluster>.<entity>.keyring`` beside it.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import posixpath

from dcn_distributor import exceptions
from dcn_distributor.bootstrap.adopt import findings
from dcn_distributor.core import ceph_ini
from dcn_distributor.core import cephx

_CONF = '.conf'
_KEYRING = '.keyring'


def parse(
    sources: Iterable[findings.Source],
) -> tuple[findings.Found, ...]:
    """Read the files of one directory or several; others are passed over.

    Raises ConfigError with all that is wrong, and if there is no cluster.
    """
    directories: dict[str, dict[str, findings.Source]] = {}
    for source in sources:
        directory, name = posixpath.split(source.name)
        if name.endswith((_CONF, _KEYRING)):
            directories.setdefault(directory, {})[name] = source
    if not directories:
        raise exceptions.ConfigError(
            'no *.conf and *.keyring: name the directory that has them, such '
            'as /etc/ceph'
        )
    problems: list[str] = []
    found = [
        each
        for files in directories.values()
        for each in pairs(files, problems)
    ]
    if problems:
        raise exceptions.ConfigError(*problems)
    return tuple(found)


def pairs(
    files: Mapping[str, findings.Source], problems: list[str]
) -> tuple[findings.Found, ...]:
    """Read files by their names; what is wrong is added to `problems`."""
    found = []
    rings: dict[str, list[findings.Source]] = {}
    for name, source in files.items():
        if name.endswith(_KEYRING):
            rings.setdefault(name.split('.')[0], []).append(source)
    for name, source in files.items():
        if name.endswith(_CONF):
            cluster = name.removesuffix(_CONF)
            keyrings = rings.pop(cluster, [])
            each = _cluster(cluster, source, keyrings, problems)
            found += [] if each is None else [each]
    problems += [
        f'{keyring.name}: there is no {cluster}{_CONF} beside it: add that, '
        "as 'ceph config generate-minimal-conf' prints it"
        for cluster, keyrings in rings.items()
        for keyring in keyrings
    ]
    return tuple(found)


def _cluster(
    name: str,
    conf: findings.Source,
    keyrings: Iterable[findings.Source],
    problems: list[str],
) -> findings.Found | None:
    before = len(problems)
    entities = [e for k in keyrings for e in _entities(k, problems)]
    users = tuple(e for e in entities if findings.is_users(e))
    if not users and len(problems) == before:
        problems.append(
            f'{conf.name}: there is no keyring of a user beside it: add '
            f"{name}.client.USER.keyring, as 'ceph auth get client.USER' "
            'prints it'
        )
    try:
        options = ceph_ini.parse(conf.text, 'ceph.conf').get('global', {})
    except ValueError as exc:
        problems.append(f'{conf.name}: {exc}')
        return None
    values = []
    for key, check in (
        ('fsid', findings.check_fsid),
        ('mon host', findings.check_monitors),
    ):
        try:
            values.append(check(_needed(options, key)))
        except ValueError as exc:
            problems.append(f'{conf.name}: [global] {key}: {exc}')
    try:
        findings.check_cluster(name)
    except ValueError as exc:
        problems.append(f'{conf.name}: {exc}')
    if len(problems) > before:
        return None
    fsid, monitors = values
    assert isinstance(fsid, str)
    assert isinstance(monitors, tuple)
    return findings.Found(conf.name, name, fsid, monitors, users)


def _needed(options: Mapping[str, str], key: str) -> str:
    if not options.get(key):
        raise ValueError(
            "is missing: 'ceph config generate-minimal-conf' prints it"
        )
    return options[key]


def _entities(
    keyring: findings.Source, problems: list[str]
) -> tuple[cephx.Entity, ...]:
    try:
        return cephx.parse_keyring(keyring.text)
    except ValueError as exc:
        problems.append(
            f"{keyring.name}: {exc}: 'ceph auth get' prints it as it was"
        )
        return ()
