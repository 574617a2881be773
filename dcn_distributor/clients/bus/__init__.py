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
"""The message bus: what Glance tells, and what operators ask of agents."""

import warnings

# NOTE: oslo.messaging imports oslo.service, which imports eventlet wherever
# that is installed, and eventlet greets with a page of warnings. Nothing here
# uses it: listeners and servers are told to run in threads.
warnings.filterwarnings('ignore', message=r'\s*Eventlet is deprecated')
