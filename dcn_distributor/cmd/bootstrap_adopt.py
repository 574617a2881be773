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
"""dcn-distributor bootstrap adopt: begin with a cloud that runs already."""

import argparse
from collections.abc import Iterator
from pathlib import Path
import typing

from cliff import command

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import output
from dcn_distributor.bootstrap import state_file
from dcn_distributor.cmd import bootstrapping
from dcn_distributor.cmd import cli
from dcn_distributor.core import renderings

if typing.TYPE_CHECKING:
    from dcn_distributor.bootstrap.adopt import findings

EPILOG = f"""\
Sources can be given together and repeated; they must not contradict each
other. What no source tells, as nodes and URLs, is left for you to add, and
'bootstrap keys' shows what would change before anything does.

{cli.EXIT_CODES}

examples:
  dcn-distributor bootstrap adopt --ceph-dir /etc/ceph --central central \\
      --out sites.yaml
  dcn-distributor bootstrap adopt --export ceph-export-3-stacks.yaml \\
      --central central --user openstack --out sites.yaml
  dcn-distributor bootstrap adopt --live central=/etc/ceph/central.conf \\
      --live dcn0=/root/dcn0.conf --central central --out sites.yaml"""


class Adopt(command.Command):  # type: ignore[misc]
    """Write sites.yaml, and keep the secrets, of a cloud that runs."""

    _epilog = EPILOG

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        _add_sources(parser)
        parser.add_argument(
            '--central',
            metavar='CLUSTER',
            required=True,
            help="which of the clusters is central's",
        )
        parser.add_argument('--store', help="the id of central's Glance store")
        parser.add_argument(
            '--user', help='the cephx user of Glance, if there are several'
        )
        parser.add_argument(
            '--pool', help="of Glance's images, if no source tells"
        )
        parser.add_argument(
            '--out',
            metavar='FILE',
            required=True,
            help='the sites.yaml to be written; it must not be there yet',
        )
        parser.add_argument(
            '--state',
            metavar='FILE',
            default=bootstrapping.STATE,
            help='where secrets are kept, for its owner only '
            f'(default: {bootstrapping.STATE})',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Raise ConfigError, ClusterUnavailable, AccessDenied."""
        # ruamel.yaml takes its time.
        from dcn_distributor.bootstrap.adopt import merge

        out = Path(parsed_args.out)
        if out.exists():
            raise exceptions.ConfigError(
                f'{out}: is there already: give another name, and compare'
            )
        state = state_file.StateFile(parsed_args.state)
        with state.held():
            if state.load().clusters:
                raise exceptions.ConfigError(
                    f'{parsed_args.state}: has secrets of a cloud already: '
                    'give another --state'
                )
            adopted = merge.merge(
                tuple(_findings(parsed_args)),
                merge.Choices(
                    parsed_args.central,
                    parsed_args.store,
                    parsed_args.user,
                    parsed_args.pool,
                ),
            )
            file = renderings.File(out.name, adopted.sites)
            output.write(
                output.compare([file], str(out.parent)), str(out.parent)
            )
            state.save(adopted.ring)
        count = len(adopted.ring.clusters)
        self.app.stdout.write(
            f'{out}: {count} clusters; their secrets are in '
            f"{parsed_args.state}. Now see 'bootstrap keys --sites {out}'\n"
        )
        return cli.DONE


def _add_sources(parser: argparse.ArgumentParser) -> None:
    for option, metavar, words in (
        ('--ceph-dir', 'DIR', 'CLUSTER.conf files and their keyrings'),
        (
            '--export',
            'FILE',
            "the output of 'openstack overcloud export ceph', or another "
            'environment file with CephExternalMultiConfig',
        ),
        ('--ceph-client', 'FILE', 'a ceph_client.yml of TripleO'),
        (
            '--config-download',
            'DIR',
            "a stack's config-download, deployed with ceph-ansible",
        ),
        ('--rhoso-secret', 'FILE', 'a Secret with confs and keyrings'),
        (
            '--live',
            'CLUSTER=CONF',
            'a cluster itself, by a ceph.conf with a key of client.admin',
        ),
    ):
        parser.add_argument(
            option, action='append', default=[], metavar=metavar, help=words
        )


def _findings(
    parsed_args: argparse.Namespace,
) -> Iterator['findings.Found']:
    """Read all sources. Raises ConfigError."""
    from dcn_distributor.bootstrap.adopt import ceph_ansible
    from dcn_distributor.bootstrap.adopt import ceph_client
    from dcn_distributor.bootstrap.adopt import conf_files
    from dcn_distributor.bootstrap.adopt import rhoso_secrets
    from dcn_distributor.bootstrap.adopt import tripleo_export

    for directory in parsed_args.ceph_dir:
        paths = sorted(Path(directory).glob('*'))
        yield from conf_files.parse(
            [_source(p) for p in paths if p.suffix in ('.conf', '.keyring')]
        )
    for path in parsed_args.export:
        yield from tripleo_export.parse(_source(Path(path)))
    for path in parsed_args.ceph_client:
        yield from ceph_client.parse(_source(Path(path)))
    for directory in parsed_args.config_download:
        top = Path(directory)
        yield from ceph_ansible.parse(
            _source(top / 'ceph-ansible' / 'group_vars' / 'all.yml'),
            _source(top / 'inventory.yaml'),
        )
    for path in parsed_args.rhoso_secret:
        yield from rhoso_secrets.parse(_source(Path(path)))
    for pair in parsed_args.live:
        yield _live(pair)


def _source(path: Path) -> 'findings.Source':
    from dcn_distributor.bootstrap.adopt import findings

    try:
        return findings.Source(str(path), path.read_text(encoding='utf-8'))
    except (OSError, UnicodeError) as exc:
        raise exceptions.ConfigError(f'{path}: cannot be read: {exc}') from exc


def _live(pair: str) -> 'findings.Found':
    """Ask a cluster itself."""
    from dcn_distributor.bootstrap.adopt import findings

    name, is_there, conf = pair.partition('=')
    if not is_there:
        raise exceptions.ConfigError(
            f'--live {pair}: expected CLUSTER=CONF, such as '
            'dcn0=/etc/ceph/dcn0.conf'
        )
    connected = bootstrapping.connect(conf)
    try:
        return findings.Found(
            conf,
            findings.check_cluster(name),
            connected.fsid,
            connected.monitors,
            tuple(filter(findings.is_users, connected.list())),
        )
    finally:
        connected.close()
