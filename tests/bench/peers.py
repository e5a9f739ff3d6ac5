# SPDX-License-Identifier: MIT
"""Who is measured. Each starts one server for a run and says how the load generator reaches it."""

import contextlib
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from tongke import BUILD, Deadline, Program, Relay  # pylint: disable=wrong-import-position

NGINX_MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
NODE_MEDIA_SERVER = BUILD / "npm" / "node_modules" / "node-media-server"


def program(name):
    return BUILD / "tests" / "bench" / name


def free_ports(count, kind=socket.SOCK_STREAM, step=1):
    """The first of `count` ports, `step` apart, that are free now, below those that the system gives
    to sockets that do not care: thousands of those are opened after this."""
    for _ in range(100):
        port = random.randrange(10000, 32000)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for i in range(count):
                stack.enter_context(socket.socket(socket.AF_INET, kind)).bind(("", port + i * step))
            return port
    raise RuntimeError("no free ports")


def wait_port(server, port):
    deadline, pause = Deadline(), threading.Event()
    while server.running() and not deadline.over():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        pause.wait(0.02)
    raise RuntimeError(f"it does not listen:\n{server.tail()}")


class Peer:
    """`way`: rtp or web. `start` gives the server's process and the generator's options."""

    name, way = "", "rtp"
    viewer_options = ()

    def missing(self):
        """Why it cannot be measured here; None if it can."""
        return None

    def version(self):
        return None

    def start(self, cleanup):
        raise NotImplementedError


class TongkeRelay(Peer):
    def __init__(self, way, *, gro=False, settings=None, name=None):
        self.way = way
        self.settings = settings or {}
        self.viewer_options = ("--gro",) if gro else ()
        self.name = name or ("tongke-relay" + (", receivers with GRO" if gro else ""))

    def start(self, cleanup):
        relay = Relay(cleanup, self.settings)
        return relay, ["--send", relay.rtsp("l{}"), "--rtsp", relay.rtsp("l{}"),
                       "--web", f"ws://127.0.0.1:{relay.http_port}/live/l{{}}"]


class GstRtspServer(Peer):
    name = "gst-rtsp-server"

    def missing(self):
        return None if program("tongke-gst-rtsp").exists() else "libgstrtspserver-1.0-dev"

    def version(self):
        return package_version("libgstrtspserver-1.0-dev")

    def start(self, cleanup):
        inlet = free_ports(2, socket.SOCK_DGRAM, 2)
        server = Program(cleanup, [program("tongke-gst-rtsp"), inlet])
        port = server.wait_line(r"^listening (\d+)$")[1]
        return server, ["--send", f"udp://127.0.0.1:{inlet}",
                        "--rtsp", f"rtsp://127.0.0.1:{port}/lesson"]


class NginxRtmp(Peer):
    name, way = "nginx-rtmp", "web"

    def missing(self):
        return None if NGINX_MODULE.exists() and shutil.which("nginx", path=PATHS) else "libnginx-mod-rtmp"

    def version(self):
        return package_version("libnginx-mod-rtmp")

    def start(self, cleanup):
        folder = tempfile.TemporaryDirectory(prefix="tongke-bench-")
        cleanup(folder.cleanup)
        port = free_ports(1)
        text = (HERE / "peers" / "nginx.conf").read_text(encoding="utf-8")
        conf = pathlib.Path(folder.name) / "nginx.conf"
        conf.write_text(text.replace("@PORT@", str(port)).replace("@FOLDER@", folder.name),
                        encoding="utf-8")
        server = Program(cleanup, [shutil.which("nginx", path=PATHS), "-e", "stderr", "-c", conf])
        wait_port(server, port)
        url = f"rtmp://127.0.0.1:{port}/live/lesson"
        return server, ["--send", url, "--web", url]


class NodeMediaServer(Peer):
    name, way = "node-media-server", "web"

    def missing(self):
        return None if NODE_MEDIA_SERVER.exists() and shutil.which("node") else "npm node-media-server"

    def version(self):
        text = (NODE_MEDIA_SERVER / "package.json").read_text(encoding="utf-8")
        return re.search(r'"version": "([^"]+)"', text)[1]

    def start(self, cleanup):
        folder = tempfile.TemporaryDirectory(prefix="tongke-bench-")
        cleanup(folder.cleanup)
        rtmp = free_ports(2)
        server = Program(cleanup, ["node", HERE / "peers" / "node-media-server.cjs", NODE_MEDIA_SERVER,
                                   rtmp, rtmp + 1, folder.name], cwd=folder.name)
        wait_port(server, rtmp)
        wait_port(server, rtmp + 1)
        return server, ["--send", f"rtmp://127.0.0.1:{rtmp}/live/lesson",
                        "--web", f"ws://127.0.0.1:{rtmp + 1}/live/lesson.flv"]


class BareTcp(Peer):
    name, way = "bare non-blocking send loop", "web"

    def start(self, cleanup):
        server = Program(cleanup, [program("tongke-bare"), "tcp"])
        port = server.wait_line(r"^listening (\d+)$")[1]
        return server, ["--web", f"raw://127.0.0.1:{port}"]


class Sink(Peer):
    """One that is told the receivers' ports when it starts, and so starts after them."""

    options = ()

    def begin(self):
        """Before the generator starts."""

    def start_sink(self, cleanup, ports):
        raise NotImplementedError


class BareUdp(Sink):
    def __init__(self, how, name, *, gro=False):
        self.how = how
        self.viewer_options = ("--gro",) if gro else ()
        self.name = name + (", receivers with GRO" if gro else "")

    def start_sink(self, cleanup, ports):
        # pylint: disable-next=consider-using-with
        process = subprocess.Popen([program("tongke-bare"), self.how], stdin=subprocess.PIPE, text=True)
        cleanup(process.wait)
        cleanup(process.kill)
        process.stdin.write(ports + "\n")
        process.stdin.close()
        return process


class MultiUdpSink(Sink):
    def __init__(self, *, gro=False):
        self.name = "GStreamer multiudpsink" + (", receivers with GRO" if gro else "")
        self.viewer_options = ("--gro",) if gro else ()
        self.inlet = 0

    def missing(self):
        return None if shutil.which("gst-launch-1.0") else "gstreamer1.0-tools"

    def version(self):
        return package_version("gstreamer1.0-plugins-good")

    def begin(self):
        self.inlet = free_ports(2, socket.SOCK_DGRAM, 2)
        self.options = ("--send", f"udp://127.0.0.1:{self.inlet}")

    def start_sink(self, cleanup, ports):
        pairs = [word.split(",") for word in ports.split()[1:]]
        command = ["gst-launch-1.0"]
        for track in range(2):
            clients = ",".join(f"127.0.0.1:{pair[track]}" for pair in pairs)
            command += ["udpsrc", f"port={self.inlet + 2 * track}", "buffer-size=4000000", "!",
                        "multiudpsink", f"clients={clients}", "sync=false", "async=false",
                        "buffer-size=4000000"]
        sink = Program(cleanup, command)
        # Media that came before would stand in its socket and make all that follows late.
        sink.wait_line("^New clock|^Pipeline is PREROLLED|Setting pipeline to PLAYING")
        return sink


PATHS = "/usr/sbin:/usr/local/sbin:/usr/bin:/bin"


def package_version(name):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True,
                          check=False)
    return done.stdout or None


def rtp_peers():
    return [TongkeRelay("rtp"), BareUdp("sendto", "bare sendto loop"),
            BareUdp("gso", "bare sendmmsg + UDP_SEGMENT loop"), MultiUdpSink(), GstRtspServer(),
            TongkeRelay("rtp", gro=True),
            BareUdp("gso", "bare sendmmsg + UDP_SEGMENT loop", gro=True), MultiUdpSink(gro=True)]


def web_peers():
    return [TongkeRelay("web"), BareTcp(), NginxRtmp(), NodeMediaServer()]
