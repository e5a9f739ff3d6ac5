# SPDX-License-Identifier: MIT
"""Each check gets a Tree and gives back the places that break its rule, as "file:line: why"."""

import concurrent.futures
import json
import os
import re
import subprocess
import tempfile

FILE_LINES, HEADER_LINES, FUNCTION_LINES = 600, 200, 80
COLUMNS = {".c": 100, ".h": 100, ".py": 110}

GSTREAMER = r"gst/"
HTTP_SERVER_OR_CLIENT = r"libsoup/|libwebsockets"
SOCKETS = r"sys/socket\.h|netinet/|arpa/|netdb\.h|sys/epoll\.h|sys/un\.h"
GIO = r"gio/"

# Whose files may include whose: the first row whose prefix fits is the rule. Then what they may
# not include from outside the tree.
LAYERS = [
    ("common/base/", ["common/base/"], [GSTREAMER, HTTP_SERVER_OR_CLIENT, SOCKETS, GIO]),
    ("common/media/", ["common/base/", "common/media/"],
     [GSTREAMER, HTTP_SERVER_OR_CLIENT, SOCKETS, GIO]),
    ("common/gst/", ["common/base/", "common/media/", "common/gst/"], [HTTP_SERVER_OR_CLIENT]),
    ("common/web/", ["common/base/", "common/web/"], [GSTREAMER, r"libwebsockets"]),
    ("relay/core/", ["common/base/", "common/media/", "relay/core/"],
     [GSTREAMER, HTTP_SERVER_OR_CLIENT, SOCKETS, GIO, r"time\.h", r"sys/time\.h"]),
    ("relay/net/", ["common/base/", "common/media/", "common/web/", "relay/core/", "relay/net/"],
     [r"gst/app", r"libsoup/"]),
    ("relay/", ["common/base/", "common/media/", "relay/"], [r"gst/app", SOCKETS]),
    ("recorder/library/", ["common/base/", "common/media/", "recorder/"],
     [GSTREAMER, r"libwebsockets"]),
    ("recorder/", ["common/", "recorder/"], [r"libwebsockets"]),
    ("client/peer/", ["common/", "client/peer/"], [r"libwebsockets"]),
    ("client/capture/", ["common/", "client/peer/", "client/capture/"], [r"libwebsockets"]),
    ("client/player/", ["common/", "client/peer/", "client/player/"], [r"libwebsockets"]),
    ("client/ctl/", ["common/base/", "client/ctl/"], [GSTREAMER, r"libwebsockets"]),
]


def layers(tree):
    for path in tree.matching(".c", ".h"):
        rule = next((r for r in LAYERS if path.startswith(r[0])), None)
        if not rule:
            continue
        for line, kind, name in tree.includes(path):
            if kind == '"' and not name.startswith(tuple(rule[1])):
                yield f"{path}:{line}: {rule[0]} may not include {name}"
            if kind == "<" and any(re.match(pattern, name) for pattern in rule[2]):
                yield f"{path}:{line}: {rule[0]} may not include <{name}>"


def includes_from_root(tree):
    for path in tree.matching(".c", ".h"):
        for line, kind, name in tree.includes(path):
            if kind == '"' and (".." in name or not tree.exists(name)):
                yield f'{path}:{line}: "{name}" is no file as seen from the root'


IMPURE = re.compile(r"\b(tk_log|tk_error|tk_warning|tk_info|tk_debug|tk_clock_monotonic_ns|"
                    r"tk_clock_wall_ns|g_get_monotonic_time|g_get_real_time|clock_gettime|time|"
                    r"gettimeofday|socket|send|sendto|sendmsg|recv|recvmsg|g_random_int|rand|"
                    r"random)\s*\(")


def core_is_pure(tree):
    for path in tree.matching(".c", ".h", under="relay/core/"):
        for number, line in enumerate(tree.code(path).splitlines(), 1):
            for match in IMPURE.finditer(line):
                # A member of that name, called through a pointer, is the caller's affair.
                if line[:match.start()].rstrip().endswith(("->", ".")):
                    continue
                yield f"{path}:{number}: {match.group(1)}() in relay/core"


def one_file_has_libwebsockets(tree):
    users = [p for p in tree.matching(".c", ".h") if not p.startswith("tests/")
             and any(name.startswith("libwebsockets") for _, _, name in tree.includes(p))]
    if len(users) > 1 or any(not p.startswith("relay/net/") for p in users):
        yield f"{', '.join(users)}: libwebsockets belongs into one file of relay/net/"


def one_file_has_the_http_server(tree):
    users = [p for p in tree.matching(".c") if not p.startswith("tests/")
             and re.search(r"\bsoup_server_(?!message_)\w+\s*\(", tree.code(p))]
    if len(users) > 1 or any(not p.startswith("recorder/library/") for p in users):
        yield f"{', '.join(users)}: SoupServer belongs into one file of recorder/library/"


def headers_once(tree):
    for path in tree.matching(".h"):
        if "#pragma once" not in tree.read(path).splitlines():
            yield f"{path}:1: no #pragma once"


LICENSED = (".c", ".h", ".py", ".js", ".jsx", ".mjs", ".css", ".html", ".sh", ".supp", ".service.in",
            ".sysusers", "Dockerfile", "meson.build", "meson_options.txt", ".1", ".5", ".8")


def licence_lines(tree):
    for path in tree.texts:
        script = tree.is_script(path)
        if not script and not path.endswith(LICENSED):
            continue
        head = tree.read(path).splitlines()[:4]
        if not any("SPDX-License-Identifier: MIT" in line for line in head):
            yield f"{path}:1: no SPDX-License-Identifier: MIT at the top"


def sizes(tree):
    for path in tree.matching(".c", ".h", ".py", ".js", ".jsx", ".mjs"):
        limit = HEADER_LINES if path.endswith(".h") else FILE_LINES
        lines = tree.read(path).count("\n")
        if lines > limit:
            yield f"{path}: {lines} lines; {limit} are the limit"


def function_sizes(tree):
    for path in tree.matching(".c", ".h"):
        begin = None
        for number, line in enumerate(tree.read(path).splitlines(), 1):
            if line == "{":
                begin = number
            elif line == "}" and begin:
                if number - begin - 1 > FUNCTION_LINES:
                    yield (f"{path}:{begin}: a function of {number - begin - 1} lines; "
                           f"{FUNCTION_LINES} are the limit")
                begin = None


def line_form(tree):
    for path in tree.texts:
        text = tree.read(path)
        columns = COLUMNS.get("." + path.rsplit(".", 1)[-1])
        for number, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip():
                yield f"{path}:{number}: white space at the end"
            if "\t" in line and columns:
                yield f"{path}:{number}: a tab"
            if columns and len(line) > columns:
                yield f"{path}:{number}: {len(line)} columns; {columns} are the limit"
        if text and not text.endswith("\n"):
            yield f"{path}: no line end at the end"


def machine_paths(tree):
    # In two parts, so that this file passes its own check.
    pattern = re.compile(r"(?<![\w.])/(?:wo" r"rk|ho" r"me/[a-z]\w*|Us" r"ers/\w+|ro" r"ot)/")
    for path in tree.texts:
        for number, line in enumerate(tree.read(path).splitlines(), 1):
            if pattern.search(line):
                yield f"{path}:{number}: a path of somebody's machine"


NODE_MAJOR = 18  # Debian 12's


def packages_run_on_debians_node(tree):
    for path in tree.matching("package-lock.json"):
        for name, package in json.loads(tree.read(path)).get("packages", {}).items():
            # Of several ranges the lowest counts.
            wanted = re.findall(r"(?:>=|\^|~|^)\s*v?(\d+)",
                                package.get("engines", {}).get("node", ""))
            if wanted and min(map(int, wanted)) > NODE_MAJOR:
                yield f"{path}: {name} wants Node.js {package['engines']['node']}"


def lock_files_name_no_host(tree):
    for path in tree.matching("package-lock.json"):
        for name, package in json.loads(tree.read(path)).get("packages", {}).items():
            if "resolved" in package:
                yield f"{path}: {name} names the host that it came from"
            if name and "integrity" not in package and not package.get("link"):
                yield f"{path}: {name} has no integrity"


UNBOUNDED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|scanf|sscanf|fscanf|atoi|atol|"
                       r"atoll|strtok|alloca|g_alloca|g_newa|system|popen|mktemp|tmpnam)\s*\(")


def unbounded_calls(tree):
    for path in (p for p in tree.matching(".c", ".h") if not p.startswith("tests/")):
        for number, line in enumerate(tree.code(path).splitlines(), 1):
            match = UNBOUNDED.search(line)
            if match:
                yield f"{path}:{number}: {match.group(1)}() has a safer sister"


SLEEP = re.compile(r"\b(time\.sleep|asyncio\.sleep|usleep|g_usleep|nanosleep|sleep|"
                   r"waitForTimeout)\s*\(")


def tests_do_not_sleep(tree):
    for path in tree.matching(".c", ".h", ".py", ".js", ".mjs", under="tests/"):
        if path.startswith("tests/lint/"):
            continue
        text = tree.code(path) if not path.endswith(".py") else tree.read(path)
        for number, line in enumerate(text.splitlines(), 1):
            if SLEEP.search(line):
                yield f"{path}:{number}: a test waits for an event, it does not sleep"


def tests_are_registered(tree):
    for path in tree.matching(".c", under="tests/unit/"):
        folder, name = path.rsplit("/", 1)
        stem = name[:-2]
        build = f"{folder}/meson.build"
        if not stem.startswith("test_"):
            continue
        text = tree.read(build) if tree.exists(build) else ""
        short = stem.removeprefix("test_")
        if not re.search(rf"'({re.escape(stem)}|{re.escape(short)})(\.c)?'", text):
            yield f"{path}: {build} does not name it"


LINK = re.compile(r"\]\(([^)\s]+)\)")


def links_lead_somewhere(tree):
    for path in tree.matching(".md"):
        folder = path.rsplit("/", 1)[0] + "/" if "/" in path else ""
        for number, line in enumerate(tree.read(path).splitlines(), 1):
            for target in LINK.findall(line):
                if re.match(r"[a-z]+:|#", target):
                    continue
                place = os.path.normpath(folder + target.split("#")[0])
                if not tree.exists(place):
                    yield f"{path}:{number}: there is no {target}"


def both_api_papers_tell_the_same(tree):
    if not tree.exists("docs/openapi.yaml"):
        return
    people = set()
    for line in tree.read("docs/api.md").splitlines():
        row = re.match(r"\| `(GET|POST|PATCH|DELETE) ([^|]*)\|", line)
        for place in re.findall(r"/[^`,\s]*", row.group(2)) if row else []:
            people.add((row.group(1).lower(), re.sub(r"<(\w+)>", r"{\1}", place.split("?")[0])))
    people.discard(("get", "/…"))  # the page is no part of the API
    machines, place = set(), None
    for line in tree.read("docs/openapi.yaml").splitlines():
        if re.match(r"  /\S*:$", line):
            place = line.strip()[:-1]
        verb = re.match(r"    (get|post|patch|delete):", line)
        if verb and place:
            machines.add((verb.group(1), place))
        if line.startswith("components:"):
            break
    for verb, place in sorted(people - machines):
        yield f"docs/openapi.yaml: {verb} {place} stands in docs/api.md only"
    for verb, place in sorted(machines - people):
        yield f"docs/api.md: {verb} {place} stands in docs/openapi.yaml only"


MODULES = ["glib-2.0", "gio-2.0", "gio-unix-2.0", "gstreamer-1.0", "gstreamer-app-1.0",
           "gstreamer-rtsp-1.0", "gstreamer-sdp-1.0", "libsoup-3.0", "libwebsockets", "jansson",
           "sqlite3", "libsodium", "pangocairo", "cmocka"]


def headers_compile_alone(tree):
    flags = subprocess.run(["pkg-config", "--cflags", *MODULES], check=True, capture_output=True,
                           text=True).stdout.split()

    def compile_one(path):
        with tempfile.NamedTemporaryFile("w", suffix=".c") as source:
            # Twice, so that a missing guard shows; check.h stands for cmocka's own needs.
            source.write(f'#include "{path}"\n#include "{path}"\n')
            source.flush()
            done = subprocess.run(
                [os.environ.get("CC", "gcc"), "-std=gnu11", "-Wall", "-Werror", "-D_GNU_SOURCE",
                 "-fsyntax-only", f"-I{tree.root}", *flags, source.name],
                capture_output=True, text=True)
        if done.returncode:
            reason = next((line for line in done.stderr.splitlines() if "error" in line), "fails")
            return f"{path}: does not compile alone: {reason}"
        return None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from filter(None, pool.map(compile_one, tree.matching(".h")))
