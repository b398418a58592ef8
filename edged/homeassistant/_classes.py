"""What Home Assistant calls a measurement, and in which units it takes it.

A class that it does not know, or a unit that does not go with the class, makes it refuse the entity (2026.11;
2025.4 only warned of the unit). So both are looked at before anything is published, see ``wrong``. Written
down from its documentation: https://www.home-assistant.io/integrations/sensor/#device-class
"""

from __future__ import annotations

import difflib

_MASS = frozenset({"µg/m³"})
_PRESSURE = frozenset({"Pa", "hPa", "kPa", "bar", "cbar", "mbar", "mmHg", "inHg", "psi"})
_NONE = frozenset({""})
_SPEED = frozenset({"m/s", "km/h", "mph", "kn", "ft/s", "mm/d", "in/d", "in/h", "mm/h"})

UNITS: dict[str, frozenset[str]] = {
    "apparent_power": frozenset({"VA"}),
    "aqi": _NONE,
    "atmospheric_pressure": _PRESSURE,
    "battery": frozenset({"%"}),
    "carbon_dioxide": frozenset({"ppm"}),
    "carbon_monoxide": frozenset({"ppm"}),
    "conductivity": frozenset({"S/cm", "mS/cm", "µS/cm"}),
    "current": frozenset({"A", "mA"}),
    "distance": frozenset({"km", "m", "cm", "mm", "mi", "yd", "in"}),
    "duration": frozenset({"d", "h", "min", "s", "ms"}),
    "energy": frozenset({"Wh", "kWh", "MWh", "MJ", "GJ"}),
    "frequency": frozenset({"Hz", "kHz", "MHz", "GHz"}),
    "gas": frozenset({"m³", "ft³", "CCF"}),
    "humidity": frozenset({"%"}),
    "illuminance": frozenset({"lx"}),
    "irradiance": frozenset({"W/m²"}),
    "moisture": frozenset({"%"}),
    "nitrogen_dioxide": _MASS,
    "nitrogen_monoxide": _MASS,
    "ozone": _MASS,
    "ph": _NONE,
    "pm1": _MASS,
    "pm10": _MASS,
    "pm25": _MASS,
    "power": frozenset({"W", "kW"}),
    "power_factor": frozenset({"", "%"}),
    "precipitation": frozenset({"cm", "in", "mm"}),
    "precipitation_intensity": frozenset({"in/d", "in/h", "mm/d", "mm/h"}),
    "pressure": _PRESSURE,
    "signal_strength": frozenset({"dB", "dBm"}),
    "sound_pressure": frozenset({"dB", "dBA"}),
    "speed": _SPEED,
    "sulphur_dioxide": _MASS,
    "temperature": frozenset({"°C", "°F", "K"}),
    "volatile_organic_compounds": _MASS,
    "volatile_organic_compounds_parts": frozenset({"ppm", "ppb"}),
    "voltage": frozenset({"V", "mV"}),
    "volume": frozenset({"L", "mL", "gal", "m³", "ft³"}),
    "volume_flow_rate": frozenset({"m³/h", "L/min"}),
    "volume_storage": frozenset({"L", "mL", "gal", "m³", "ft³"}),
    "water": frozenset({"L", "gal", "m³", "ft³"}),
    "weight": frozenset({"kg", "g", "mg", "µg", "oz", "lb"}),
    "wind_speed": frozenset({"m/s", "km/h", "mph", "kn", "ft/s"}),
}
_WORDS = """
battery battery_charging carbon_monoxide cold connectivity door garage_door gas heat light lock moisture
motion moving occupancy opening plug power presence problem running safety smoke sound tamper update
vibration window
"""
STATES = frozenset(_WORDS.split())
COUNTERS = frozenset({"energy", "gas", "water"})  # only grow; Home Assistant takes no "measurement" of them


def wrong(device_class: str, unit: str, *, binary: bool) -> tuple[str, str]:
    """Return why Home Assistant would refuse a class with a unit, and a hint; nothing where it takes them."""
    known = STATES if binary else UNITS
    if not device_class:
        return "", ""
    if device_class not in known:
        close = difflib.get_close_matches(device_class, known, 1)
        what = "state" if binary else "sensor"
        hint = f"did you mean '{close[0]}'?" if close else ""
        return f"Home Assistant knows no class '{device_class}' of a {what}", hint
    if not binary and unit not in UNITS[device_class]:
        units = ", ".join(sorted(u or "none" for u in UNITS[device_class]))
        return f"Home Assistant takes no {device_class} in '{unit}'", f"it takes {units}"
    return "", ""
