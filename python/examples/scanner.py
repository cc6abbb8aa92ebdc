"""The scanner: says of each file that scanner_filter asks about whether it is safe to open. What is foul contains "foul"."""
import os

import fltmgr


def is_safe(file):
    if file is None:
        return False
    with os.fdopen(file, "rb") as content:
        return b"foul" not in content.read()


with fltmgr.connect(r"\ScannerPort") as port:
    for message in port:
        safe = is_safe(message.take_file())
        print("safe" if safe else "FOUL", message.body.decode(errors="replace"), flush=True)
        try:
            message.reply(bytes([safe]))
        except fltmgr.Error as late:
            print(late)
