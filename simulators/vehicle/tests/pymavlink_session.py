#!/usr/bin/env python3
"""Flies a vehicle through one session with pymavlink, as a ground station.

Usage: pymavlink_session.py CONNECTION SYSTEM_ID
       pymavlink_session.py udpout:127.0.0.1:14550 1

Prints what it saw; exits with 1 at the first expectation that is not met.
Needs pymavlink from PyPI. Takes about a minute, most of it in the air.
"""

import struct
import sys
import time

from pymavlink import mavutil

mavlink = mavutil.mavlink

CLIMB_M = 10.0
COMPONENT = mavlink.MAV_COMP_ID_AUTOPILOT1


def check(condition, what):
    if not condition:
        print(f"FAILED: {what}")
        sys.exit(1)
    print(f"ok: {what}")


class Session:
    def __init__(self, connection, system_id):
        self.link = mavutil.mavlink_connection(
            connection, source_system=255, source_component=190, dialect="common"
        )
        self.system_id = system_id
        self.last_heartbeat = 0.0

    def heartbeat(self):
        """A ground station announces itself every second."""
        now = time.monotonic()
        if now - self.last_heartbeat >= 1.0:
            self.last_heartbeat = now
            self.link.mav.heartbeat_send(
                mavlink.MAV_TYPE_GCS, mavlink.MAV_AUTOPILOT_INVALID, 0, 0, 0
            )

    def wait(self, kinds, timeout, condition=lambda message: True):
        """The first message of the kinds that meets the condition, or None."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self.heartbeat()
            message = self.link.recv_match(type=kinds, blocking=True, timeout=0.2)
            if message is None or message.get_srcSystem() != self.system_id:
                continue
            if condition(message):
                return message
        return None

    def command(self, command, *params):
        """Sends a COMMAND_LONG; the acknowledgement."""
        params = list(params) + [0.0] * (7 - len(params))
        self.link.mav.command_long_send(
            self.system_id, COMPONENT, command, 0, *params
        )
        return self.acknowledgement(command)

    def acknowledgement(self, command):
        ack = self.wait("COMMAND_ACK", 3, lambda m: m.command == command)
        name = mavlink.enums["MAV_CMD"][command].name
        check(ack is not None, f"{name} is acknowledged")
        check(
            (ack.target_system, ack.target_component) == (255, 190),
            f"the acknowledgement is addressed to {ack.target_system}/{ack.target_component}",
        )
        print(f"    {name}: {mavlink.enums['MAV_RESULT'][ack.result].name}")
        return ack.result

    def altitude(self, timeout=2):
        position = self.wait("GLOBAL_POSITION_INT", timeout)
        check(position is not None, "GLOBAL_POSITION_INT arrives")
        return position.relative_alt / 1000.0


def connect(session):
    session.heartbeat()
    sent = time.monotonic()
    heartbeat = session.wait("HEARTBEAT", 5)
    check(heartbeat is not None, "the vehicle answers with HEARTBEAT")
    delay = time.monotonic() - sent
    check(delay < 1.0, f"HEARTBEAT comes within a second ({delay * 1000:.0f} ms)")
    check(heartbeat.get_srcComponent() == COMPONENT, "component is the autopilot")
    check(heartbeat.get_msgbuf()[0] == 0xFD, "frames are MAVLink 2")
    check(heartbeat.type == mavlink.MAV_TYPE_QUADROTOR, "type is quadrotor")
    check(
        heartbeat.system_status == mavlink.MAV_STATE_STANDBY
        and not heartbeat.base_mode & mavlink.MAV_MODE_FLAG_SAFETY_ARMED,
        "the vehicle stands by, disarmed",
    )
    mode = mavutil.mode_string_v10(heartbeat)
    check(mode == "LOITER", f"pymavlink names the flight mode: {mode}")


def telemetry(session):
    expected = {
        "HEARTBEAT", "SYS_STATUS", "SYSTEM_TIME", "ATTITUDE", "GLOBAL_POSITION_INT",
        "LOCAL_POSITION_NED", "GPS_RAW_INT", "VFR_HUD", "EXTENDED_SYS_STATE",
        "HOME_POSITION", "BATTERY_STATUS",
    }  # fmt: skip
    counts = {}
    attitudes = []
    start = time.monotonic()
    while time.monotonic() - start < 3.0:
        message = session.wait(None, 0.3)
        if message is not None:
            kind = message.get_type()
            counts[kind] = counts.get(kind, 0) + 1
            if kind == "ATTITUDE":
                attitudes.append(message.time_boot_ms)
    print(f"    in 3 s: {dict(sorted(counts.items()))}")
    missing = expected - counts.keys()
    check(not missing, f"telemetry streams ({len(expected)} kinds, missing: {missing or 'none'})")
    # By the vehicle's own clock: when they are read says how busy this machine is.
    between = sorted(later - earlier for earlier, later in zip(attitudes, attitudes[1:]))
    check(90 <= between[len(between) // 2] <= 110, "ATTITUDE comes at 10 Hz")


def parameters(session):
    session.link.mav.param_request_list_send(session.system_id, COMPONENT)
    values = {}
    while True:
        message = session.wait("PARAM_VALUE", 2)
        if message is None:
            break
        values[message.param_id] = message
        if len(values) == message.param_count:
            break
    check(values and len(values) == message.param_count, f"all {len(values)} parameters arrive")
    own = values["MAV_SYS_ID"]
    (own_id,) = struct.unpack("<i", struct.pack("<f", own.param_value))
    check(own.param_type == mavlink.MAV_PARAM_TYPE_INT32, "MAV_SYS_ID is an integer")
    check(own_id == session.system_id, f"MAV_SYS_ID is {own_id}, byte-wise encoded")

    def put(value):
        session.link.mav.param_set_send(
            session.system_id, COMPONENT, b"MIS_TAKEOFF_ALT", value,
            mavlink.MAV_PARAM_TYPE_REAL32,
        )  # fmt: skip
        echo = session.wait("PARAM_VALUE", 2, lambda m: m.param_id == "MIS_TAKEOFF_ALT")
        check(echo is not None, f"PARAM_SET {value} is echoed")
        return echo.param_value

    check(put(CLIMB_M) == CLIMB_M, "a valid value is set")
    check(put(-5.0) == CLIMB_M, "a value out of range is not")


def requests(session):
    result = session.command(mavlink.MAV_CMD_REQUEST_MESSAGE, mavlink.MAVLINK_MSG_ID_AUTOPILOT_VERSION)
    check(result == mavlink.MAV_RESULT_ACCEPTED, "AUTOPILOT_VERSION may be requested")
    version = session.wait("AUTOPILOT_VERSION", 2)
    check(
        version is not None and version.capabilities & mavlink.MAV_PROTOCOL_CAPABILITY_MAVLINK2,
        "AUTOPILOT_VERSION has the MAVLink 2 capability",
    )
    session.link.mav.mission_request_list_send(session.system_id, COMPONENT, 0)
    count = session.wait("MISSION_COUNT", 2)
    check(count is not None and count.count == 0, "the mission is empty")
    result = session.command(mavlink.MAV_CMD_PREFLIGHT_CALIBRATION)
    check(result == mavlink.MAV_RESULT_UNSUPPORTED, "what it cannot do is unsupported")


def fly(session):
    nan = float("nan")
    takeoff = (mavlink.MAV_CMD_NAV_TAKEOFF, 0, 0, 0, nan, nan, nan, nan)
    result = session.command(*takeoff)
    check(result == mavlink.MAV_RESULT_TEMPORARILY_REJECTED, "no takeoff while disarmed")

    result = session.command(mavlink.MAV_CMD_COMPONENT_ARM_DISARM, 1)
    check(result == mavlink.MAV_RESULT_ACCEPTED, "arming is accepted")
    armed = session.wait(
        "HEARTBEAT", 3, lambda m: m.base_mode & mavlink.MAV_MODE_FLAG_SAFETY_ARMED
    )
    check(
        armed is not None and armed.system_status == mavlink.MAV_STATE_ACTIVE,
        "the vehicle is armed and active",
    )
    result = session.command(*takeoff)
    check(result == mavlink.MAV_RESULT_ACCEPTED, "takeoff is accepted")
    heights = []

    def climbed(position):
        heights.append(position.relative_alt / 1000.0)
        return heights[-1] >= CLIMB_M - 0.3

    reached = session.wait("GLOBAL_POSITION_INT", 30, climbed)
    print(f"    heights: {', '.join(f'{h:.1f}' for h in heights[::5])} m")
    check(reached is not None, f"relative altitude rises to {CLIMB_M} m")
    rises = all(b >= a - 0.05 for a, b in zip(heights, heights[1:]))
    check(rises, "and rises steadily")

    result = session.command(mavlink.MAV_CMD_COMPONENT_ARM_DISARM, 0)
    check(result == mavlink.MAV_RESULT_TEMPORARILY_REJECTED, "no disarming in the air")


def reposition(session):
    home = session.wait("HOME_POSITION", 4)
    check(home is not None, "HOME_POSITION arrives")
    north = home.latitude + 2700  # about 30 m
    session.link.mav.command_int_send(
        session.system_id, COMPONENT, mavlink.MAV_FRAME_GLOBAL_RELATIVE_ALT,
        mavlink.MAV_CMD_DO_REPOSITION, 0, 0,
        -1, mavlink.MAV_DO_REPOSITION_FLAGS_CHANGE_MODE, 0, float("nan"),
        north, home.longitude, CLIMB_M,
    )  # fmt: skip
    result = session.acknowledgement(mavlink.MAV_CMD_DO_REPOSITION)
    check(result == mavlink.MAV_RESULT_ACCEPTED, "reposition is accepted")
    arrived = session.wait("GLOBAL_POSITION_INT", 30, lambda m: abs(m.lat - north) < 50)
    check(arrived is not None, "it flies 30 m north")

    session.link.set_mode_rtl()
    result = session.acknowledgement(mavlink.MAV_CMD_NAV_RETURN_TO_LAUNCH)
    check(result == mavlink.MAV_RESULT_ACCEPTED, "return is accepted")
    mode = session.wait("HEARTBEAT", 3, lambda m: mavutil.mode_string_v10(m) == "RTL")
    check(mode is not None, "pymavlink shows mode RTL")
    session.command(mavlink.MAV_CMD_NAV_LOITER_UNLIM)
    mode = session.wait("HEARTBEAT", 3, lambda m: mavutil.mode_string_v10(m) == "LOITER")
    check(mode is not None, "and LOITER again when told to stop")


def land(session):
    result = session.command(mavlink.MAV_CMD_NAV_LAND)
    check(result == mavlink.MAV_RESULT_ACCEPTED, "landing is accepted")
    ground = session.wait(
        "EXTENDED_SYS_STATE", 60,
        lambda m: m.landed_state == mavlink.MAV_LANDED_STATE_ON_GROUND,
    )  # fmt: skip
    check(ground is not None, "it lands")
    height = session.altitude()
    check(abs(height) < 0.05, f"relative altitude is {height:.2f} m")
    result = session.command(mavlink.MAV_CMD_COMPONENT_ARM_DISARM, 0)
    check(result == mavlink.MAV_RESULT_ACCEPTED, "disarming is accepted")
    disarmed = session.wait(
        "HEARTBEAT", 3, lambda m: not m.base_mode & mavlink.MAV_MODE_FLAG_SAFETY_ARMED
    )
    check(disarmed is not None, "the vehicle is disarmed")
    status = session.wait("SYS_STATUS", 2)
    check(
        status is not None and status.battery_remaining < 100,
        f"the flight used battery: {status.battery_remaining} % left",
    )
    lost = session.link.mav_loss
    check(lost == 0, f"pymavlink counts {lost} lost frames")


def main():
    if len(sys.argv) != 3:
        print(__doc__)
        sys.exit(2)
    session = Session(sys.argv[1], int(sys.argv[2]))
    for step in (connect, telemetry, parameters, requests, fly, reposition, land):
        print(f"{step.__name__}:")
        step(session)
    print("session complete")


if __name__ == "__main__":
    main()
