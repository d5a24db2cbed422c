import os
import sys
import time

date = int(time.time())
with open("/build/new", "w") as new:
    new.write("x\n")
order = os.listdir("/inputs")
system = os.uname()
print(f"date={date}")
print(f"written={int(os.stat('/build/new').st_mtime)}")
print(f"input={int(os.stat('/inputs/a').st_mtime)}")
print(f"processors={os.cpu_count()}")
print(f"name={system.nodename}")
print(f"release={system.release}")
print(f"process={os.getpid()}")
print(f"order={' '.join(order)}")
print(f"may run on={sorted(os.sched_getaffinity(0))}")
print(f"version={system.version} {system.machine}")
print(f"local time={time.localtime()}")
print(f"numbers of files={[os.stat('/inputs/' + name).st_ino for name in order]}")
print(f"random={os.urandom(8).hex()}")
# The hash of a text is drawn anew in every process, and with it the order of a set.
print(f"set={set('abcdefghijklmnopqrstuvwxyz')}")
print(f"address={id(object())}")
print(f"load={os.getloadavg()}")
print(f"memory={os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')}")
print(f"space={os.statvfs('/build')}")
print(f"limits of recursion={sys.getrecursionlimit()}")
before = time.monotonic()
time.sleep(0.25)
print(f"slept={0.25 <= time.monotonic() - before < 0.5}")
