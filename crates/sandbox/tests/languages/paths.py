# By whatever way a path leads somewhere, what is found there is the same.
import errno, os, stat

def fails(number, call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == number, (call, arguments, error)
    else:
        raise AssertionError(("no error", call, arguments))

def contents(path):
    with open(path, "rb") as file:
        return file.read()

def same(one, other):
    one, other = os.stat(one), os.stat(other)
    assert tuple(one) == tuple(other) and one.st_mtime_ns == other.st_mtime_ns, (one, other)

# Directories, by the name that says so.
assert stat.S_ISDIR(os.stat("/inputs/").st_mode)
same("/inputs/", "/inputs")
same("/inputs/a", "//inputs/./a")

# The service's own files, by other names and by links.
os.symlink("/proc", "/build/machine")
os.symlink("/proc/self/mounts", "/build/mounts")
os.symlink("../dev", "/build/devices")
os.mkdir("/build/in")
text = contents("/proc/cpuinfo")
assert b"x86-64" in text
for path in ["//proc/cpuinfo", "/build/../proc/cpuinfo", "/build/machine/cpuinfo",
             "/build/in/../machine/./cpuinfo", "/proc/self/root/proc/cpuinfo",
             "/proc/self/cwd/machine/cpuinfo", "/proc/self/../cpuinfo"]:
    assert contents(path) == text, path
    same(path, "/proc/cpuinfo")
for path in ["/build/mounts", "/build/machine/mounts", "/build/machine/self/mounts"]:
    assert contents(path) == contents("/proc/self/mounts"), path
    assert b"devtmpfs" not in contents(path)
for path in ["/build/machine/kallsyms", "//proc/net", "/build/machine/1/stat"]:
    fails(errno.ENOENT, open, path)
    fails(errno.ENOENT, os.stat, path)
same("/build/devices/urandom", "/dev/urandom")
assert os.readlink("//proc/self/ns/net") == os.readlink("/proc/self/ns/net")
for path in ["/build/devices/urandom", "//dev/urandom"]:
    with open(path, "rb", buffering=0) as file:
        assert len(file.read(16)) == 16
        same(path, file.fileno())

# Nor is the kernel's own to be had by who has it open for something else.
drawn = set()
for flags in [os.O_WRONLY, os.O_RDWR, os.O_PATH]:
    held = os.open("/dev/urandom", flags)
    with open(f"/proc/self/fd/{held}", "rb", buffering=0) as file:
        drawn.add(file.read(16))
assert len(drawn) == 3
print(sorted(drawn))

# What a step has open it can open by its name, whoever runs the assembly.
for path in ["/dev/stdout", "/dev/stderr", "/dev/fd/2", "/proc/self/fd/1"]:
    open(path, "wb", buffering=0).close()
    assert os.access(path, os.W_OK), path

# Deeper than any path reaches.
deep = "d" * 200
os.chdir("/build/in")
for _ in range(30):
    os.mkdir(deep)
    os.chdir(deep)
open("x", "w").close()
assert stat.S_ISREG(os.stat("x").st_mode) and os.listdir(".") == ["x"]
held = os.open(".", os.O_RDONLY)
assert os.stat("x", dir_fd=held) == os.stat("x")
assert os.stat(".").st_ino == os.fstat(held).st_ino != os.lstat("..").st_ino
os.close(held)
os.unlink("x")
for _ in range(30):
    os.chdir("..")
    os.rmdir(deep)
os.chdir("/build")

# A file of the service's is one file.
with open("/proc/cpuinfo") as file:
    same("/proc/cpuinfo", file.fileno())
    assert os.readlink(f"/proc/self/fd/{file.fileno()}") == "/proc/cpuinfo"

# Links of a process lead where the process is, and never into the host.
with open("/build/file", "w") as file:
    file.write("12345")
os.symlink("HOST", "/build/host")
os.symlink("/build/file", "/build/link")
directory = os.open("/build", os.O_RDONLY)
for path in ["/proc/self/cwd", "/proc/thread-self/cwd", f"/proc/{os.getpid()}/root/build",
             f"/proc/self/fd/{directory}", f"/dev/fd/{directory}",
             f"/proc/self/task/{os.getpid()}/cwd"]:
    same(path, "/build")
    same(path + "/file", "/build/file")
    same(path + "/link", "/build/file")
    same(path + "/in/../file", "/build/file")
    same(path + "/..", "/")
    assert os.lstat(path + "/link").st_size == len("/build/file")
    fails(errno.ENOENT, os.stat, path + "/host")
    fails(errno.ENOENT, os.stat, path + "/nothing")
fails(errno.ENOTDIR, os.stat, "/proc/self/exe/x")
os.stat(f"/proc/self/task/{os.getpid()}")
child = os.fork()
if child == 0:
    same(f"/proc/{os.getppid()}/cwd", "/build")
    same(f"/proc/{os.getppid()}/exe", "/proc/self/exe")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
os.symlink("loop", "/build/loop")
fails(errno.ELOOP, os.stat, "/build/loop")
fails(errno.ELOOP, open, "/build/loop")

# Whoever keeps it, an input is nobody's to write.
for flags in [os.O_WRONLY, os.O_WRONLY | os.O_CREAT, os.O_RDWR | os.O_TRUNC]:
    fails(errno.EROFS, os.open, "/inputs/a", flags)
fails(errno.EEXIST, os.open, "/inputs/a", os.O_WRONLY | os.O_CREAT | os.O_EXCL)

# Working directories: renamed below one's feet, and another one for parent and child.
os.makedirs("/build/old/x")
os.chdir("/build/old/x")
open("here", "w").close()
same("here", "/build/old/x/here")
os.rename("/build/old", "/build/new")
same("here", "/build/new/x/here")
os.chdir("/build/new")
for _ in range(100):
    child = os.fork()
    if child == 0:
        same("x/here", "/build/new/x/here")
        os._exit(0)
    os.chdir("x")
    same("here", "/build/new/x/here")
    os.chdir("/build/new")
    assert os.waitpid(child, 0)[1] == 0

uuids = {contents("/proc/sys/kernel/random/uuid") for _ in range(3)}
assert len(uuids) == 3 and all(len(uuid) == 37 for uuid in uuids), uuids
os.access("/proc/sys/kernel/random/uuid", os.R_OK)
print("found")
