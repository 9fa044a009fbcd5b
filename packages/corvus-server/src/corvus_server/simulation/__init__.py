"""Whole mail servers in one process, under a clock that jumps (docs/explanation/simulation.md)."""

from corvus_server.simulation.clock import EPOCH, Clock, Deadlock, VirtualLoop, run
from corvus_server.simulation.dns import SimulatedDNS
from corvus_server.simulation.links import End, Line, Weather
from corvus_server.simulation.network import SimulatedNetwork
from corvus_server.simulation.peers import STAGES, Do, Script, ScriptedServer, Taken

__all__ = [
    "EPOCH",
    "STAGES",
    "Clock",
    "Deadlock",
    "Do",
    "End",
    "Line",
    "Script",
    "ScriptedServer",
    "SimulatedDNS",
    "SimulatedNetwork",
    "Taken",
    "VirtualLoop",
    "Weather",
    "run",
]
