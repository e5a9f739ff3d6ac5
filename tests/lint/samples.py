# SPDX-License-Identifier: MIT
"""For each check a small tree that breaks its rule: a check that cannot fail is none."""

import checks

MIT = "// SPDX-License-Identifier: MIT\n"
LONG = "".join(f"    step({n});\n" for n in range(81))
JSON_LOCK = ('{"packages":{"":{},"node_modules/a":{"integrity":"sha512-x",'
             '"resolved":"https://registry.example/a.tgz"}}}')

# check: trees, each of which it must refuse
BROKEN = {
    checks.layers: [
        {"common/base/a.c": '#include "relay/core/b.h"\n'},
        {"relay/core/a.c": '#include "relay/net/b.h"\n'},
        {"relay/core/a.c": "#include <gio/gio.h>\n"},
        {"relay/net/a.c": '#include "recorder/archive/b.h"\n'},
        {"recorder/library/a.c": "#include <gst/gst.h>\n"},
        {"recorder/main.c": '#include "relay/server.h"\n'},
        {"client/capture/a.c": '#include "client/player/b.h"\n'},
        {"relay/server.c": "#include <sys/socket.h>\n"},
    ],
    checks.includes_from_root: [
        {"relay/core/a.c": '#include "b.h"\n', "relay/core/b.h": ""},
        {"relay/core/a.c": '#include "../core/b.h"\n', "relay/core/b.h": ""},
    ],
    checks.core_is_pure: [
        {"relay/core/a.c": "void f(void)\n{\n    g(tk_clock_wall_ns());\n}\n"},
        {"relay/core/a.c": 'void f(void)\n{\n    tk_info("x");\n}\n'},
    ],
    checks.one_file_has_libwebsockets: [
        {"relay/net/a.c": "#include <libwebsockets.h>\n",
         "relay/net/b.c": "#include <libwebsockets.h>\n"},
        {"recorder/a.c": "#include <libwebsockets.h>\n"},
    ],
    checks.one_file_has_the_http_server: [
        {"recorder/library/a.c": "soup_server_new(0, 0);\n",
         "recorder/library/b.c": "soup_server_listen (s);\n"},
        {"relay/net/a.c": "soup_server_new(0, 0);\n"},
    ],
    checks.headers_once: [{"common/base/a.h": MIT + "int a;\n"}],
    checks.licence_lines: [
        {"common/base/a.c": "int a;\n"},
        {"tools/x": "#!/bin/sh\nexit 0\n"},
        {"client/web/src/a.js": "export {};\n"},
    ],
    checks.sizes: [{"a.c": "\n" * 601}, {"a.h": "\n" * 201}, {"a.py": "\n" * 601}],
    checks.function_sizes: [{"a.c": "void f(void)\n{\n" + LONG + "}\n"}],
    checks.line_form: [
        {"a.c": "int a; \n"}, {"a.c": "\tint a;\n"}, {"a.c": "int a;"},
        {"a.c": "// " + "x" * 98 + "\n"},
    ],
    checks.machine_paths: [{"a.md": "see /ho" + "me/ann/notes\n"}, {"a.c": '"/wo' + 'rk/x"\n'}],
    checks.packages_run_on_debians_node: [
        {"client/web/package-lock.json":
             '{"packages":{"node_modules/a":{"engines":{"node":">=20"}}}}'},
    ],
    checks.lock_files_name_no_host: [
        {"client/web/package-lock.json": JSON_LOCK},
        {"client/web/package-lock.json": '{"packages":{"":{},"node_modules/a":{}}}'},
    ],
    checks.unbounded_calls: [{"a.c": "int f(char *s)\n{\n    return atoi(s);\n}\n"}],
    checks.tests_do_not_sleep: [
        {"tests/integration/test_a.py": "import time\ntime.sleep(5)\n"},
        {"tests/unit/base/test_a.c": "usleep(5);\n"},
    ],
    checks.tests_are_registered: [
        {"tests/unit/base/test_a.c": "", "tests/unit/base/meson.build": "foreach name : ['b']\n"},
        {"tests/unit/base/test_a.c": ""},
    ],
    checks.links_lead_somewhere: [{"docs/a.md": "see [there](b.md)\n"}],
    checks.both_api_papers_tell_the_same: [
        {"docs/api.md": "| `GET /a/<b>?c=` | x |\n| `POST /d` | x |\n",
         "docs/openapi.yaml": "paths:\n  /a/{b}:\n    get:\n"},
        {"docs/api.md": "| `GET /a` | x |\n",
         "docs/openapi.yaml": "paths:\n  /a:\n    get:\n    patch:\n"},
    ],
    checks.headers_compile_alone: [
        {"common/base/a.h": "#pragma once\ngboolean f(void);\n"},
        {"common/base/a.h": "struct a {\n    int b;\n};\n"},
    ],
}

# A tree with nothing wrong in it, which every check must pass.
SOUND = {
    "common/base/a.h": MIT + "#pragma once\n\n#include <glib.h>\n\nint a(void);\n",
    "relay/core/b.c": MIT + '#include "common/base/a.h"\n\n'
                      "// time() is not called: this is a comment\n"
                      "void b(struct x *x)\n{\n    x->send(x);\n    a();\n}\n",
    "relay/net/ws.c": MIT + "#include <libwebsockets.h>\n",
    "recorder/library/serve.c": MIT + "void s(void)\n{\n    soup_server_new(0, 0);\n}\n",
    "tests/unit/base/test_a.c": MIT,
    "tests/unit/base/meson.build": "# SPDX-License-Identifier: MIT\nforeach name : ['a']\n",
    "client/web/package-lock.json":
        '{"packages":{"":{},"node_modules/a":{"integrity":"sha512-x",'
        '"engines":{"node":"^18.0.0 || >=20"}}}}\n',
    "docs/api.md": "| `GET /a/<b>?c=`, `/e` | x |\n",
    "docs/openapi.yaml": "paths:\n  /a/{b}:\n    get:\n  /e:\n    get: *a\n",
    "docs/a.md": "see [there](../common/base/a.h) or <https://example.org/x>\n",
}
