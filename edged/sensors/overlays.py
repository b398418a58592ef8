"""Lines of Raspberry Pi OS's config.txt that make a sensor's device appear.

The names are those of the overlays' own description, ``/boot/firmware/overlays/README``.
"""

from __future__ import annotations

# By the name that the kernel's driver gives the device; most are options of one overlay.
_SAME_NAME = (
    *("adt7410", "aht10", "bh1750", "bme280", "bme680", "bmp180", "bmp280", "bmp380", "bno055"),
    *("ccs811", "ds1621", "hdc100x", "htu21", "jc42", "lm75", "max17040", "max30102", "mpu6050"),
    *("mpu9250", "ms5637", "ms5803", "ms5805", "ms5837", "ms8607", "sgp30", "sht3x", "sht4x"),
    *("si7020", "sps30", "tmp102", "tsl4531", "veml6070"),
)
_OPTIONS = {**{name: name for name in _SAME_NAME}, "aht20": "aht10", "hdc1008": "hdc100x"}
_OTHERS = {
    "ads1015": "ads1015,cha_enable (or ads1115,cha_enable)",
    "ads1115": "ads1115,cha_enable",
    "mcp3008": "mcp3008,spi0-0-present",
    "w1": "w1-gpio",
}
_FILE = "/boot/firmware/config.txt, and reboot"


def remedy(name: str) -> str:
    """Return what makes a device of that name appear; empty where it is not known."""
    kind, at, pin = name.lower().partition("@")
    if kind in ("dht11", "dht22"):
        line = f"dht11,gpiopin={pin}" if at and pin.isdecimal() else "dht11,gpiopin=4"
    elif kind in _OPTIONS:
        line = f"i2c-sensor,{_OPTIONS[kind]}"
    elif kind in _OTHERS:
        line = _OTHERS[kind]
    else:
        return ""
    return f"wire it, and add dtoverlay={line} to {_FILE}"


def bus(number: int) -> str:
    """Return what makes an I²C bus appear."""
    return (
        f"add dtparam=i2c_arm=on to {_FILE}"
        if number == 1
        else f"add the overlay of I²C bus {number} to {_FILE}"
    )


def port(path: str) -> str:
    """Return what makes a serial port appear."""
    if path in ("/dev/serial0", "/dev/ttyAMA0", "/dev/ttyS0"):
        return f"add enable_uart=1 to {_FILE}"
    return "plug the device in; `ls /dev/serial/by-id` lists what is there"
