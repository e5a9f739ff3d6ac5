// SPDX-License-Identifier: MIT
#include "tests/unit/relay/audience_stage.h"

#include <glib/gstdio.h>
#include <string.h>

#include "common/base/json.h"

// As issuers write it who mean for ever: more than nanoseconds can count.
#define END_OF_9999 G_GINT64_CONSTANT(253402300799)

static void on_wake(gpointer link)
{
    ((Stage *)link)->wakes++;
}

static gsize unsent(gpointer link)
{
    return ((Stage *)link)->unsent_bytes;
}

static void look(gpointer link, RelayTcpLine *ret)
{
    *ret = (RelayTcpLine){0};
}

static void pass(gpointer link) {}

static void on_drop(gpointer link)
{
    ((Stage *)link)->drops++;
}

static void on_viewer(gpointer user, RelayStream *stream, gint change, const char *school)
{
    ((Stage *)user)->viewers += change;
}

static void on_snapshot(gpointer user, guint64 serial, const TkClaims *claims)
{
    ((Stage *)user)->snapshot_for = serial;
}

static void make_audience(Stage *stage)
{
    RelayAudienceSpec spec = {.history_span_ns = 60 * SECOND,
                              .history_bytes_max = 1 << 20,
                              .sockets_max = 4,
                              .door = stage->door,
                              .schools = stage->schools,
                              .wake = on_wake,
                              .push = on_wake,
                              .unsent = unsent,
                              .hold = pass,
                              .look = look,
                              .hurry = pass,
                              .drop = on_drop,
                              .on_viewer = on_viewer,
                              .on_snapshot = on_snapshot,
                              .user = stage};
    stage->audience = relay_audience_new(&spec);
}

int stage_set_up(void **state)
{
    Stage *stage = g_new0(Stage, 1);
    stage->door = relay_door_new(NULL, NULL);
    stage->schools = relay_schools_new(0, 0);
    stage->stream = relay_stream_new("01JD0000000000000000000000", "math", "main");
    make_audience(stage);
    *state = stage;
    return 0;
}

int stage_tear_down(void **state)
{
    Stage *stage = *state;
    relay_audience_free(stage->audience);
    relay_stream_unref(stage->stream);
    relay_schools_free(stage->schools);
    relay_door_free(stage->door);
    g_free(stage);
    return 0;
}

char *stage_lock(Stage *stage)
{
    char any[] = "*";
    TkClaims claims = {.role = TK_ROLE_VIEWER, .lesson = any, .expires_s = END_OF_9999};
    g_autoptr(TkTokenKey) key = tk_token_key_generate("HS256", NULL);
    g_autofree char *folder = g_dir_make_tmp("audience-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "key", NULL);
    assert_true(tk_token_key_save(key, path, FALSE, NULL));
    relay_audience_free(stage->audience);
    relay_door_free(stage->door);
    stage->door = relay_door_new(path, NULL);
    assert_non_null(stage->door);
    g_unlink(path);
    g_rmdir(folder);
    make_audience(stage);
    return tk_token_issue(key, &claims, NULL);
}

RelaySocket *stage_open(Stage *stage, const char *path, const char *from)
{
    RelaySocketRequest request = {.path = path, .from = from};
    return relay_audience_open(stage->audience, &request, stage, stage->now_ns);
}

void stage_push_init(Stage *stage, const char *content)
{
    static const RelayStreamFormat format = {.mime = "video/mp4", .has_video = TRUE};
    g_autoptr(RelayUnit) unit = relay_unit_new(strlen(content));
    memcpy(unit->data, content, strlen(content));
    unit->flags = RELAY_UNIT_INIT;
    unit->number = stage->chunks + 1;
    relay_audience_push(stage->audience, stage->stream, unit, &format);
}

void stage_push(Stage *stage, guint count)
{
    for (guint i = 0; i < count; i++) {
        g_autoptr(RelayUnit) unit = relay_unit_new(8);
        unit->flags = stage->chunks % 20 == 0 ? RELAY_UNIT_KEY : 0;
        unit->media_ns = (gint64)stage->chunks * SECOND / 10;
        unit->number = ++stage->chunks;
        stage->now_ns += SECOND / 10;
        unit->arrived_ns = stage->now_ns;
        memcpy(unit->data, &unit->number, 8);
        relay_audience_push(stage->audience, stage->stream, unit, NULL);
    }
}

void stage_begin(Stage *stage)
{
    relay_audience_set_state(stage->audience, stage->stream, "live", "{\"id\":\"x\"}");
    stage_push_init(stage, "init-one");
}

char *stage_next(Stage *stage, RelaySocket *socket)
{
    g_autoptr(RelayUnit) message = NULL;
    guint code = 0;
    const char *reason = NULL;
    RelayWebNext what = relay_socket_next(socket, stage->now_ns, &message, &code, &reason);
    if (what == RELAY_WEB_NOTHING)
        return g_strdup("nothing");
    if (what == RELAY_WEB_OVER)
        return g_strdup_printf("close %u", code);
    const char *data = (const char *)message->data + RELAY_WEB_HEADROOM;
    gsize bytes = message->bytes - RELAY_WEB_HEADROOM;
    if (what == RELAY_WEB_BINARY && bytes != 8)
        return g_strdup_printf("binary %.*s", (int)bytes, data);
    if (what == RELAY_WEB_BINARY && memcmp(data, "init", 4) == 0)
        return g_strdup_printf("binary %.8s", data);
    if (what == RELAY_WEB_BINARY) {
        guint64 number;
        memcpy(&number, data, 8);
        return g_strdup_printf("chunk %" G_GUINT64_FORMAT, number);
    }
    g_autoptr(json_t) object = tk_json_parse(data, bytes, 65536, NULL);
    assert_non_null(object);
    if (g_str_equal(tk_json_string(object, "type", ""), "gap"))
        return g_strdup_printf("gap %d-%d", (int)tk_json_int(object, "from", 0),
                               (int)tk_json_int(object, "to", 0));
    return g_strdup_printf("%s %s", tk_json_string(object, "type", ""),
                           tk_json_string(object, "state", ""));
}

void stage_take_all(Stage *stage, RelaySocket *socket)
{
    for (gboolean more = TRUE; more;) {
        g_autofree char *got = stage_next(stage, socket);
        more = !g_str_equal(got, "nothing");
    }
}
