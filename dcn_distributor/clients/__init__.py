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
"""The only code that talks to the outside: the bus and Glance.

Each module maps what its library raises to dcn_distributor.exceptions and
what its server answers to the values of dcn_distributor.core.
"""

import os
import warnings

# NOTE: oslo.messaging and tooz import futurist, which loads eventlet wherever
# it is installed, and eventlet greets with a page of warnings.
warnings.filterwarnings('ignore', message=r'\s*Eventlet is deprecated')

# What it would load first is a resolver of names, which takes longer than all
# of oslo.messaging.
os.environ.setdefault('EVENTLET_NO_GREENDNS', 'yes')
