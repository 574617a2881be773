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
"""The sample of the configuration file says what the code does."""

import io
from pathlib import Path

from oslo_config import cfg
from oslo_config import generator
import pytest

from dcn_distributor import conf as configuration
from dcn_distributor.clients import glance

TOP = Path(__file__).resolve().parent.parent.parent
SAMPLE = TOP / 'etc' / 'dcn_distributor' / 'dcn_distributor.conf.sample'
REMEDY = 'make the sample anew: tools/genconfig'


def paragraphs(namespace):
    """Write one namespace as oslo-config-generator does."""
    conf = cfg.ConfigOpts()
    generator.register_cli_opts(conf)
    conf(['--namespace', namespace, '--wrap-width', '79'])
    written = io.StringIO()
    generator.generate(conf, output_file=written)
    return written.getvalue().strip().split('\n\n')


def section(name):
    """Read one section of the sample, without its title."""
    _, _, rest = SAMPLE.read_text().partition(f'[{name}]\n')
    return rest.partition('\n[')[0]


def without_comment_signs(text):
    """Set all options that have a value in the sample."""
    return '\n'.join(
        line.removeprefix('#')
        for line in text.splitlines()
        if not line.startswith('# ') and '<None>' not in line
    )


def examples():
    """Name the options whose default is that of this machine."""
    return {
        option.dest
        for _, options in configuration.list_opts()
        for option in options
        if option.sample_default is not None
    }


def test_sample_has_each_option_of_the_package_with_its_help():
    sample = SAMPLE.read_text().strip().split('\n\n')

    missing = [p for p in paragraphs('dcn_distributor') if p not in sample]

    assert missing == [], REMEDY


@pytest.mark.parametrize(
    'group',
    ['agent', 'coordination', 'copy', 'copy_image', 'metrics', 'rbd_stream'],
)
def test_sample_has_no_option_that_the_package_lacks(group):
    known = {
        option.dest
        for name, options in configuration.list_opts()
        for option in options
        if name == group
    }

    lines = without_comment_signs(section(group)).splitlines()
    named = {line.partition(' =')[0] for line in lines if line}

    assert named == known, REMEDY


def test_sample_names_each_option_of_the_glance_client():
    named = section(glance.GROUP)

    missing = [
        option.dest
        for _, options in glance.list_opts()
        for option in options
        if f'\n#{option.dest} = ' not in named
    ]

    assert missing == [], REMEDY


def test_values_in_the_sample_are_the_defaults(tmp_path):
    path = tmp_path / 'sample.conf'
    path.write_text(
        '\n'.join(
            line
            for line in without_comment_signs(SAMPLE.read_text()).splitlines()
            if line.partition(' =')[0] not in examples()
        )
    )
    conf, bare = cfg.ConfigOpts(), cfg.ConfigOpts()
    configuration.register_opts(conf)
    configuration.register_opts(bare)

    read = configuration.read(conf, [], [str(path)])

    assert read == configuration.read(bare, [], [])
