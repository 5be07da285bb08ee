"""A script without an event loop: rings somebody, plays a recording, and tells how it ended.

First, in another terminal: python -m coordinator simulator --dir service
"""

import sys

from coordinator import SharedlineError, join_blocking


def main(account: str, number: str, recording: str) -> None:
    """Call ``number`` and play ``recording`` until the far end hangs up."""
    with join_blocking(
        "front-desk", account=account, microphone=f"wav:{recording}", loudspeaker="none"
    ) as phone:
        phone.on("leader_changed", lambda _: print(f"this is the {phone.role} phone now"))
        call = phone.call(number)
        print(f"{call.remote_number} answered")
        print(f"over: {call.ended()}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: script.py ACCOUNT-FILE NUMBER RECORDING.wav")
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
    except SharedlineError as exc:
        sys.exit(f"error: {exc}")
