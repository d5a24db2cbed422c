# Names that the kernel makes up for sockets, by every way that makes it do so.
import socket

def local(send):
    far = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    far.bind("\0far")
    near = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    send(near, "\0far")
    print(near.getsockname(), far.recv(1))
    far.close()

local(lambda near, far: near.sendto(b"x", far))
local(lambda near, far: near.sendmsg([b"x"], [], 0, far))
local(lambda near, far: (near.connect(far), near.send(b"x")))
bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
bound.bind("")
print(bound.getsockname())
unnamed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
print(unnamed.getsockname() or "no name")

far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
far.bind(("127.0.0.1", 0))
for send in ["sendto", "sendmsg"]:
    near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if send == "sendto":
        near.sendto(b"x", far.getsockname())
    else:
        near.sendmsg([b"x"], [], 0, far.getsockname())
    print(near.getsockname()[1] - far.getsockname()[1])
for option in [socket.SO_REUSEPORT, 26]:
    try:
        far.setsockopt(socket.SOL_SOCKET, option, b"\0" * 16 if option == 26 else 1)
    except OSError as error:
        print(error.strerror)
