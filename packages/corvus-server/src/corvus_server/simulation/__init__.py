"""Whole mail servers in one process, under a clock that jumps (docs/explanation/simulation.md)."""

from corvus_server.simulation.census import Sent, Whereabouts, census, message
from corvus_server.simulation.clock import EPOCH, Clock, Deadlock, VirtualLoop, run
from corvus_server.simulation.dns import SimulatedDNS
from corvus_server.simulation.links import End, Line, Weather
from corvus_server.simulation.network import SimulatedNetwork
from corvus_server.simulation.peers import STAGES, Do, Script, ScriptedServer, Taken
from corvus_server.simulation.trouble import Trouble
from corvus_server.simulation.world import Host, Simulation

__all__ = [
    # Time and space
    "EPOCH",
    "STAGES",
    "Clock",
    "Deadlock",
    "Do",
    "End",
    # Who lives there
    "Host",
    "Line",
    "Script",
    "ScriptedServer",
    "Sent",
    "SimulatedDNS",
    "SimulatedNetwork",
    "Simulation",
    "Taken",
    # What happens, and what became of it
    "Trouble",
    "VirtualLoop",
    "Weather",
    "Whereabouts",
    "census",
    "message",
    "run",
]  # fmt: skip
