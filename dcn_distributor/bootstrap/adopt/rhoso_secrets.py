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
"""Read the Secrets of RHOSO that have confs and keyrings.

As ``oc get secret -o yaml`` prints them (or ``-o json``): one, a List, or
several documents.
"""

import base64
from collections.abc import Iterator

from dcn_distributor import exceptions
from dcn_distributor.bootstrap.adopt import conf_files
from dcn_distributor.bootstrap.adopt import findings
from dcn_distributor.bootstrap.adopt import trees


def parse(source: findings.Source) -> tuple[findings.Found, ...]:
    """Read all Secrets; those without such files are passed over.

    Raises ConfigError with all problems, and if there is no such Secret.
    """
    problems: list[str] = []
    found: list[findings.Found] = []
    is_any = False
    for secret in _secrets(source):
        files = _files(secret)
        is_any = is_any or bool(files)
        found += conf_files.pairs(files, problems)
        problems += secret.problems
        secret.problems.clear()
    if problems:
        raise exceptions.ConfigError(*problems)
    if not is_any:
        raise exceptions.ConfigError(
            f'{source.name}: no Secret with *.conf and *.keyring: print it '
            "with 'oc get secret ceph-conf-files -o yaml'"
        )
    return tuple(found)


def _secrets(source: findings.Source) -> Iterator[trees.Place]:
    for document in trees.load(source):
        if document.key('kind').content == 'List':
            items = document.key('items')
            of_list = items.items('the List is empty: print it anew')
        else:
            of_list = (document,)
        for item in of_list:
            if item.key('kind').content == 'Secret':
                yield item


def _files(secret: trees.Place) -> dict[str, findings.Source]:
    name = secret.key('metadata').key('name').content
    where = f'{secret.source}: Secret {name}'
    data = secret.key('data')
    plain = {**secret.key('stringData').texts()}
    for file, encoded in data.texts().items():
        if not _is_ceph(file):
            continue
        try:
            plain[file] = base64.b64decode(encoded, validate=True).decode()
        except ValueError:
            data.key(file).tell(
                'expected base64 of a text: print the Secret as it is'
            )
    return {
        file: findings.Source(f'{where}: {file}', content)
        for file, content in plain.items()
        if _is_ceph(file)
    }


def _is_ceph(file: str) -> bool:
    return file.endswith(('.conf', '.keyring'))
