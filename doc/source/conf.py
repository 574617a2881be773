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
"""How Sphinx builds the documentation; nothing is taken from the network."""

from pathlib import Path
import sys

project = 'dcn_distributor'
copyright = 'the founders of dcn_distributor'

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'ext'))

extensions = [
    'openstackdocstheme',
    'oslo_config.sphinxext',
    'program_help',
]
master_doc = 'index'
nitpicky = True
pygments_style = 'native'

html_theme = 'openstackdocs'
html_copy_source = False

# Without these the theme looks for a home at OpenStack's.
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_use_storyboard = False
openstackdocs_repo_name = ''
openstackdocs_bug_project = ''

man_make_section_directory = True
man_pages = [
    (
        'man/dcn-distributor',
        'dcn-distributor',
        'bring Glance images to the sites of a distributed cloud',
        [],
        1,
    ),
    (
        'configure',
        'dcn_distributor.conf',
        'configuration of dcn_distributor, and its sites.yaml',
        [],
        5,
    ),
    (
        'policies',
        'dcn_distributor-placement.yaml',
        'which images should be at which sites',
        [],
        5,
    ),
    (
        'man/dcn-distributor-agent',
        'dcn-distributor-agent',
        'service that brings Glance images to the sites of a cloud',
        [],
        8,
    ),
]
