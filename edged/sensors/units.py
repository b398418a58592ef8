"""Units of measurement: which can be converted into which, and how.

Only linear conversions within one quantity; another unit is a label, used as it is written.
"""

from __future__ import annotations

_TOLERANCE = 0.02  # people write 0.0295 for 0.02953, and calibrate while they convert

# By quantity: what a value is multiplied by, and what is added, to get the quantity's first unit.
_QUANTITIES: dict[str, dict[str, tuple[float, float]]] = {
    "temperature": {"°C": (1.0, 0.0), "°F": (5 / 9, -160 / 9), "K": (1.0, -273.15)},
    "pressure": {
        "hPa": (1.0, 0.0),
        "mbar": (1.0, 0.0),
        "Pa": (0.01, 0.0),
        "kPa": (10.0, 0.0),
        "cbar": (10.0, 0.0),
        "bar": (1000.0, 0.0),
        "mmHg": (1.333223874, 0.0),
        "inHg": (33.86388667, 0.0),
        "psi": (68.94757293, 0.0),
    },
    "length": {
        "m": (1.0, 0.0),
        "µm": (1e-6, 0.0),
        "mm": (1e-3, 0.0),
        "cm": (1e-2, 0.0),
        "km": (1e3, 0.0),
        "in": (0.0254, 0.0),
        "ft": (0.3048, 0.0),
        "yd": (0.9144, 0.0),
        "mi": (1609.344, 0.0),
        "nmi": (1852.0, 0.0),
    },
    "speed": {
        "m/s": (1.0, 0.0),
        "mm/s": (1e-3, 0.0),
        "in/s": (0.0254, 0.0),
        "ft/s": (0.3048, 0.0),
        "km/h": (1 / 3.6, 0.0),
        "mph": (0.44704, 0.0),
        "kn": (1852 / 3600, 0.0),
    },
    "mass": {
        "kg": (1.0, 0.0),
        "g": (1e-3, 0.0),
        "mg": (1e-6, 0.0),
        "µg": (1e-9, 0.0),
        "lb": (0.45359237, 0.0),
        "oz": (0.028349523125, 0.0),
        "st": (6.35029318, 0.0),
    },
    "volume": {
        "L": (1.0, 0.0),
        "mL": (1e-3, 0.0),
        "m³": (1e3, 0.0),
        "ft³": (28.316846592, 0.0),
        "gal": (3.785411784, 0.0),
    },
    "flow": {
        "L/min": (1.0, 0.0),
        "mL/s": (0.06, 0.0),
        "L/h": (1 / 60, 0.0),
        "m³/h": (1000 / 60, 0.0),
        "ft³/min": (28.316846592, 0.0),
        "gal/min": (3.785411784, 0.0),
    },
    "duration": {
        "s": (1.0, 0.0),
        "ms": (1e-3, 0.0),
        "min": (60.0, 0.0),
        "h": (3600.0, 0.0),
        "d": (86400.0, 0.0),
    },
    "voltage": {"V": (1.0, 0.0), "µV": (1e-6, 0.0), "mV": (1e-3, 0.0), "kV": (1e3, 0.0)},
    "current": {"A": (1.0, 0.0), "µA": (1e-6, 0.0), "mA": (1e-3, 0.0)},
    "power": {"W": (1.0, 0.0), "mW": (1e-3, 0.0), "kW": (1e3, 0.0), "MW": (1e6, 0.0)},
    "energy": {
        "kWh": (1.0, 0.0),
        "Wh": (1e-3, 0.0),
        "MWh": (1e3, 0.0),
        "J": (1 / 3.6e6, 0.0),
        "kJ": (1 / 3600, 0.0),
        "MJ": (1 / 3.6, 0.0),
    },
    "resistance": {"Ω": (1.0, 0.0), "kΩ": (1e3, 0.0), "MΩ": (1e6, 0.0)},
    "frequency": {"Hz": (1.0, 0.0), "kHz": (1e3, 0.0), "MHz": (1e6, 0.0), "GHz": (1e9, 0.0)},
    "share": {"ppm": (1.0, 0.0), "ppb": (1e-3, 0.0)},
    "mass concentration": {"µg/m³": (1.0, 0.0), "mg/m³": (1e3, 0.0)},
    "conductivity": {"S/m": (1.0, 0.0), "S/cm": (100.0, 0.0), "mS/cm": (0.1, 0.0), "µS/cm": (1e-4, 0.0)},
    "angle": {"rad": (1.0, 0.0), "°": (0.017453292519943295, 0.0)},
    "rotation": {"rad/s": (1.0, 0.0), "°/s": (0.017453292519943295, 0.0)},
    "magnetic flux density": {"G": (1.0, 0.0), "µT": (0.01, 0.0), "mT": (10.0, 0.0), "T": (1e4, 0.0)},
    "relative humidity": {"%": (1.0, 0.0)},
    "illuminance": {"lx": (1.0, 0.0)},
}
_BY_UNIT = {unit: name for name, units in _QUANTITIES.items() for unit in units}
_SPELLINGS = {
    "°C": ("c", "degc", "deg c", "ºc", "˚c", "℃", "celsius"),
    "°F": ("f", "degf", "deg f", "ºf", "˚f", "℉", "fahrenheit"),
    "K": ("k", "°k", "kelvin"),
    "hPa": ("hpa", "mb"),
    "µg/m³": ("ug/m3", "ug/m³", "µg/m3", "μg/m³", "μg/m3"),
    "lx": ("lux",),
    "L": ("l", "liter", "litre"),
    "m³": ("m3",),
    "km/h": ("kph", "kmh"),
}
_BY_SPELLING = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}


def tidy(value: float) -> float:
    """Return a computed value without the digits that binary fractions add: 70.7, not 70.69999999999999."""
    return float(f"{value:.12g}")


def conversion(given: str, wanted: str) -> tuple[float, float] | None:
    """Return the factor and the offset that make a value in ``wanted`` of one in ``given``.

    None: one of them is not in the table, or they measure different quantities.
    """
    if given not in _BY_UNIT or _BY_UNIT.get(wanted) != _BY_UNIT[given]:
        return None
    units = _QUANTITIES[_BY_UNIT[given]]
    (factor, offset), (divisor, subtracted) = units[given], units[wanted]
    return factor / divisor, (offset - subtracted) / divisor


def is_by_hand(factor: float, offset: float, scale: float, added: float) -> bool:
    """Return whether ``scale`` and ``added`` of a configuration are themselves this conversion.

    So files with ``unit: °F, scale: 1.8, offset: 32``, from before units were converted, keep their meaning.
    """
    if factor != 1.0:
        return abs(scale / factor - 1) <= _TOLERANCE
    return offset != 0.0 and scale == 1.0 and abs(added / offset - 1) <= _TOLERANCE


def contradiction(given: str, wanted: str) -> str:
    """Return why a value in ``given`` cannot be in ``wanted``; empty where it can, or is not known."""
    if given == wanted or given not in _BY_UNIT or conversion(given, wanted) is not None:
        return ""
    if wanted in _BY_UNIT:
        return f"the sensor gives {given} ({_BY_UNIT[given]}), which cannot be converted to {wanted}"
    meant = _BY_SPELLING.get(wanted.lower(), "")
    if meant and _BY_UNIT[meant] == _BY_UNIT[given]:
        return f"write {meant}" if meant != given else f"write {meant}, or leave it out"
    return ""
