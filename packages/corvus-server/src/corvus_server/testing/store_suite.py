"""
The conformance suite of stores: what `corvus_server.storage.protocols` means, as tests.

A new implementation passes when this does:

.. code-block:: python

    from corvus_server.testing.store_suite import StoreSuite

    class TestMyStore(StoreSuite):
        @pytest.fixture
        def store_factory(self, tmp_path):
            return lambda clock: MyStore(tmp_path, now=clock)

Rules R1, R3, R4, R7 to R11 and R14 of DESIGN section 6 have tests that are named after them; R12 runs at the end of
every test.  R5, R6, R13 and R15 speak of disks and are tested where the disk is.
"""

from __future__ import annotations

from corvus_server.testing.suite_changes import ChangeSuite
from corvus_server.testing.suite_directory import DirectorySuite
from corvus_server.testing.suite_mailboxes import MailboxSuite
from corvus_server.testing.suite_messages import MessageSuite
from corvus_server.testing.suite_queue import QueueSuite
from corvus_server.testing.suite_records import RecordSuite
from corvus_server.testing.world import Clock, StoreFactory, World, mail, stored

__all__ = ["Clock", "StoreFactory", "StoreSuite", "World", "mail", "stored"]


class StoreSuite(DirectorySuite, MailboxSuite, MessageSuite, ChangeSuite, QueueSuite, RecordSuite):
    """
    Everything a store promises.  Subclasses give the fixture `store_factory`.
    """
