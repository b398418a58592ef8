"""Home Assistant's classes of measurements, and the units that it takes for each.

A class that it does not know, or a unit that does not go with the class, makes it refuse the entity (2026.11;
2025.4 only warned of the unit). So ``wrong`` checks both before anything is published. These are the classes
and units that both versions take; in words:
https://www.home-assistant.io/integrations/sensor/#device-class
"""

from __future__ import annotations

import difflib

_BYTES = frozenset(
    f"{prefix}B" for prefix in ("", "k", *"MGTPEZY", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
)
_ENERGY = frozenset(
    {"J", "kJ", "MJ", "GJ", "mWh", "Wh", "kWh", "MWh", "GWh", "TWh", "cal", "kcal", "Mcal", "Gcal"}
)
_MASS = frozenset({"µg/m³"})
_PRESSURE = frozenset({"Pa", "hPa", "kPa", "bar", "cbar", "mbar", "mmHg", "inHg", "psi"})
_NONE = frozenset({""})
_RATES = frozenset(f"{prefix}/s" for prefix in ("B", "kB", "MB", "GB", "KiB", "MiB", "GiB"))
_VOLUME = frozenset({"L", "mL", "m³", "ft³", "CCF", "gal", "fl. oz."})
_WIND = frozenset({"m/s", "mm/s", "km/h", "mph", "kn", "ft/s", "in/s", "Beaufort"})
_SPEED = _WIND | {"mm/d", "mm/h", "in/d", "in/h"}

UNITS: dict[str, frozenset[str]] = {
    "apparent_power": frozenset({"VA"}),
    "aqi": _NONE,
    "area": frozenset({"mm²", "cm²", "m²", "km²", "in²", "ft²", "yd²", "mi²", "ac", "ha"}),
    "atmospheric_pressure": _PRESSURE,
    "battery": frozenset({"%"}),
    "blood_glucose_concentration": frozenset({"mg/dL", "mmol/L"}),
    "carbon_dioxide": frozenset({"ppm"}),
    "carbon_monoxide": frozenset({"ppm"}),
    "conductivity": frozenset({"S/cm", "mS/cm", "µS/cm"}),
    "current": frozenset({"A", "mA"}),
    "data_rate": _RATES | {"bit/s", "kbit/s", "Mbit/s", "Gbit/s"},
    "data_size": _BYTES | {"bit", "kbit", "Mbit", "Gbit"},
    "distance": frozenset({"km", "m", "cm", "mm", "mi", "nmi", "yd", "ft", "in"}),
    "duration": frozenset({"d", "h", "min", "s", "ms"}),
    "energy": _ENERGY,
    "energy_distance": frozenset({"kWh/100km", "km/kWh", "mi/kWh"}),
    "energy_storage": _ENERGY,
    "frequency": frozenset({"Hz", "kHz", "MHz", "GHz"}),
    "gas": frozenset({"m³", "ft³", "CCF"}),
    "humidity": frozenset({"%"}),
    "illuminance": frozenset({"lx"}),
    "irradiance": frozenset({"W/m²", "BTU/(h⋅ft²)"}),
    "moisture": frozenset({"%"}),
    "nitrogen_dioxide": _MASS,
    "nitrogen_monoxide": _MASS,
    "nitrous_oxide": _MASS,
    "ozone": _MASS,
    "ph": _NONE,
    "pm1": _MASS,
    "pm10": _MASS,
    "pm25": _MASS,
    "power": frozenset({"mW", "W", "kW", "MW", "GW", "TW"}),
    "power_factor": frozenset({"", "%"}),
    "precipitation": frozenset({"cm", "in", "mm"}),
    "precipitation_intensity": frozenset({"in/d", "in/h", "mm/d", "mm/h"}),
    "pressure": _PRESSURE,
    "reactive_power": frozenset({"var"}),
    "signal_strength": frozenset({"dB", "dBm"}),
    "sound_pressure": frozenset({"dB", "dBA"}),
    "speed": _SPEED,
    "sulphur_dioxide": _MASS,
    "temperature": frozenset({"°C", "°F", "K"}),
    "volatile_organic_compounds": _MASS,
    "volatile_organic_compounds_parts": frozenset({"ppm", "ppb"}),
    "voltage": frozenset({"µV", "mV", "V", "kV", "MV"}),
    "volume": _VOLUME,
    "volume_flow_rate": frozenset({"m³/h", "ft³/min", "L/min", "gal/min", "mL/s"}),
    "volume_storage": _VOLUME,
    "water": frozenset({"L", "gal", "m³", "ft³", "CCF"}),
    "weight": frozenset({"kg", "g", "mg", "µg", "oz", "lb", "st"}),
    "wind_direction": frozenset({"°"}),
    "wind_speed": _WIND,
}
_WORDS = """
battery battery_charging carbon_monoxide cold connectivity door garage_door gas heat light lock moisture
motion moving occupancy opening plug power presence problem running safety smoke sound tamper update
vibration window
"""
STATES = frozenset(_WORDS.split())
# For these classes it does not take "measurement", and warns of it.
STATE_CLASSES = {
    **dict.fromkeys(("energy", "gas", "water"), "total_increasing"),
    "volume": "total",  # it may shrink too
    "wind_direction": "measurement_angle",
}
# Decimals to show where the configuration has none: 2025.4 shows all there are, 2026.11 none for volts and
# watts, which suits the mains but not a battery.
DECIMALS = {
    **dict.fromkeys(("ppm", "ppb", "dBm"), 0),
    **dict.fromkeys(("°C", "°F", "%", "hPa"), 1),
    **dict.fromkeys(("V", "A", "W"), 2),
}


def spelt(unit: str) -> str:
    """Return a unit with the micro sign that both versions read.

    Two characters look alike: the micro sign, and the Greek mu on Home Assistant's pages. 2025.4 knows the
    sign alone, 2026.11 reads both.
    """
    return unit.replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}")


def wrong(device_class: str, unit: str, *, binary: bool) -> tuple[str, str]:
    """Return why Home Assistant would refuse a class with a unit, and a hint; "", "" where it takes them."""
    known = STATES if binary else UNITS
    if not device_class:
        return "", ""
    if device_class not in known:
        close = difflib.get_close_matches(device_class, known, 1)
        what = "binary sensor" if binary else "sensor"
        hint = f"did you mean '{close[0]}'?" if close else ""
        return f"Home Assistant does not know the {what} class '{device_class}'", hint
    if not binary and spelt(unit) not in UNITS[device_class]:
        units = ", ".join(sorted(u or "none" for u in UNITS[device_class]))
        return f"Home Assistant does not take {device_class} in '{unit}'", f"it takes {units}"
    return "", ""
