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
"""What Prometheus makes of the alert rules, and of what an agent tells it."""

from pathlib import Path
import re
import subprocess
import urllib.request

import pytest

from dcn_distributor.clients import metrics as all_metrics
from dcn_distributor.clients import web
from dcn_distributor.conf import metrics
from tests.fakes import standings

TOP = Path(__file__).resolve().parent.parent.parent
PROMTOOL = TOP / '.promtool' / 'promtool'
RULES = TOP / 'etc' / 'prometheus' / 'dcn_distributor.rules.yaml'
TESTS = Path(__file__).with_name('alerts_test.yaml')
PAGE = TOP / 'doc' / 'source' / 'operate.rst'


def promtool(*words: str, given: str | None = None) -> tuple[int, str]:
    """Run it; give its exit code and all that it says."""
    assert PROMTOOL.exists(), 'tools/test --functional fetches promtool'
    ran = subprocess.run(
        [PROMTOOL, *words],
        input=given,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return ran.returncode, ran.stdout


@pytest.fixture
def told():
    """What an agent with a site answers to Prometheus."""
    told = all_metrics.Metrics()
    told.watch(
        lambda: standings.STANDING, lambda: {('other', 'ignored'): 1}, '1.0'
    )
    standings.tell(told)
    server = web.Server(
        metrics.Address('127.0.0.1', 0), {'/metrics': told.page()}
    )
    server.start()
    url = f'http://127.0.0.1:{server.port}/metrics'
    with urllib.request.urlopen(url, timeout=30) as answer:
        yield answer.read().decode()
    server.stop()


def test_rules_are_in_order():
    code, said = promtool('check', 'rules', str(RULES))

    assert code == 0, said


def test_rules_give_alerts_when_they_should_and_only_then():
    code, said = promtool('test', 'rules', str(TESTS))

    assert code == 0, said


def test_a_rule_that_never_fires_would_be_noticed(tmp_path):
    broken = tmp_path / 'rules.yaml'
    text = RULES.read_text()
    assert 'dcn_distributor_site_reachable == 0' in text
    broken.write_text(text.replace('site_reachable == 0', 'reachable == 0'))
    tests = tmp_path / 'tests.yaml'
    tests.write_text(
        TESTS.read_text().replace(
            '../../etc/prometheus/dcn_distributor.rules.yaml', str(broken)
        )
    )

    code, said = promtool('test', 'rules', str(tests))

    assert code != 0
    assert 'DcnDistributorSiteUnreachable' in said


def test_each_alert_has_a_paragraph_that_says_what_to_do():
    text = RULES.read_text()
    alerts = re.findall(r'- alert: (\w+)', text)
    runbooks = re.findall(r'runbook: operate.rst#(\w+)', text)
    titles = re.findall(r'^(DcnDistributor\w+)\n~+$', PAGE.read_text(), re.M)

    assert [alert.lower() for alert in alerts] == runbooks
    assert titles == alerts


def test_rules_go_by_names_that_the_agent_tells(told):
    pattern = r'\bdcn_distributor_\w+_\w+'
    names = {*re.findall(pattern, RULES.read_text())}

    unknown = {name for name in names if f'\n{name}' not in told}

    assert len(names) > 6
    assert unknown == set()


def test_prometheus_can_read_what_the_agent_tells(told):
    code, said = promtool('check', 'metrics', given=told)

    assert (code, said) == (0, '')
