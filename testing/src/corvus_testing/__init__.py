"""The testing kit of the Corvus workspace; see the modules."""

from corvus_testing.engine import Engine, is_need_data, is_paused, is_wait
from corvus_testing.properties import (
    Run,
    assert_any_chunking_is_the_same,
    assert_only_protocol_errors,
    converse,
    drive,
)
from corvus_testing.resolver import FailingResolver, Resolver, SlowResolver
from corvus_testing.transcript import Transcript, run_transcript

__all__ = [
    "Engine",
    "FailingResolver",
    "Resolver",
    "Run",
    "SlowResolver",
    "Transcript",
    "assert_any_chunking_is_the_same",
    "assert_only_protocol_errors",
    "converse",
    "drive",
    "is_need_data",
    "is_paused",
    "is_wait",
    "run_transcript",
]
