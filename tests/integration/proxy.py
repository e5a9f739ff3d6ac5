# SPDX-License-Identifier: MIT
"""Debian's nginx with the configuration that we ship, of which only names of places are changed."""

import os
import re
import shutil
import socket

from tongke import ROOT, Program, run

SHIPPED = ROOT / "configs" / "nginx" / "tongke.conf"
NAME = "localhost"  # for live.example.org: it leads here, and is the worst name for who trusts names

MAIN = """
{user}
pid {folder}/nginx.pid;
worker_processes 2;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    sendfile on;
    tcp_nopush on;
    include {folder}/tongke.conf;
}}
"""


def nginx_path():
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def adapted(text, folder, port, relay_port, library_port):
    """The shipped text with every place in it changed; fails when one is not there any more."""
    for pattern, place, times in (
            (r"listen \[::\]:\d+( ssl)?( default_server)?;", "", 3),
            (r"listen 80;", f"listen 127.0.0.1:{free_port()};", 1),
            (r"listen 443 ", f"listen 127.0.0.1:{port} ", 2),
            (r"(server_name|https://)( ?)live\.example\.org;", rf"\1\2{NAME};", 2),
            (r"/etc/ssl/certs/live\.example\.org\.pem", f"{folder}/site.pem", 1),
            (r"/etc/ssl/private/live\.example\.org\.key", f"{folder}/site.key", 1),
            (r"/var/lib/nginx/tongke", f"{folder}/cache", 1),
            (r"/var/log/nginx/tongke\.log", f"{folder}/access.log", 1),
            (r"127\.0\.0\.1:8080;", f"127.0.0.1:{relay_port};", 1),
            (r"127\.0\.0\.1:8081;", f"127.0.0.1:{library_port};", 1)):
        text, done = re.subn(pattern, place, text)
        if done != times:
            raise AssertionError(f"{SHIPPED.name}: {pattern} stands {done} times in it, not {times}")
    return text


class Nginx(Program):
    def __init__(self, cleanup, folder, relay_port, library_port):
        self.folder, self.port = folder, free_port()
        status, _, complaints = run([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-keyout", folder / "site.key", "-out",
            folder / "site.pem"])
        if status:
            raise AssertionError(complaints)
        text = SHIPPED.read_text(encoding="utf-8")
        (folder / "tongke.conf").write_text(adapted(text, folder, self.port, relay_port, library_port))
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user))
        # The notice says that it listens.
        super().__init__(cleanup, [nginx_path(), "-e", "stderr", "-c", folder / "nginx.conf", "-g",
                                   "daemon off; error_log stderr notice;"])
        self.wait_log("start worker process ")
        self.url = f"https://{NAME}:{self.port}"
        cleanup(self.stop_if_running)
