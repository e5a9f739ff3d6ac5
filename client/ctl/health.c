// SPDX-License-Identifier: MIT
#include "client/ctl/command.h"
#include "client/ctl/http.h"
#include "client/ctl/print.h"
#include "client/ctl/record.h"
#include "common/base/error.h"

// One line for a server: what /readyz says, or why it says nothing.
static gboolean ask(const CtlOptions *options, CtlServer server, json_t *report)
{
    const char *name = server == CTL_RELAY ? "relay" : "library";
    const char *url = server == CTL_RELAY ? options->relay : options->library;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = ctl_http_text(options, server, "/readyz", &error);
    json_t *entry = json_object();

    tk_json_set_string(entry, "url", url);
    json_object_set_new(entry, "ready", json_boolean(text != NULL));
    tk_json_set_string(entry, "detail", text ? text : error->message);
    json_object_set_new(report, name, entry);
    return text != NULL;
}

static void print_report(const json_t *report)
{
    static const char *const headings[] = {"PROGRAM", "READY", "URL", "DETAIL", NULL};
    g_autoptr(CtlTable) table = ctl_table_new(headings);
    const char *name;
    json_t *entry;

    json_object_foreach((json_t *)report, name, entry)
    {
        const char *const cells[] = {
            name,
            tk_json_bool(entry, "ready", FALSE) ? "yes" : "NO",
            tk_json_string(entry, "url", NULL),
            tk_json_string(entry, "detail", NULL),
        };
        ctl_table_add(table, cells);
    }
    g_autofree char *text = ctl_table_text(table);
    printf("%s", text);
}

gboolean ctl_health(const CtlOptions *options, GError **error)
{
    g_autoptr(json_t) report = json_object();
    gboolean relay = ask(options, CTL_RELAY, report);
    gboolean library = ask(options, CTL_LIBRARY, report);
    g_autoptr(json_t) details =
        relay ? ctl_http(options, CTL_RELAY, "GET", "/api/v1/relay", NULL, NULL) : NULL;

    if (options->json) {
        if (details)
            json_object_set(json_object_get(report, "relay"), "about", details);
        ctl_record_print(report, TRUE);
    } else {
        print_report(report);
        if (details)
            printf("relay %s, up since %s: %" G_GINT64_FORMAT " lessons, %" G_GINT64_FORMAT
                   " viewers\n",
                   tk_json_string(details, "version", "?"), tk_json_string(details, "started", "?"),
                   tk_json_int(details, "lessons", 0), tk_json_int(details, "viewers", 0));
    }
    if (relay && library)
        return TRUE;
    g_set_error_literal(error, TK_ERROR, TK_ERROR_UNAVAILABLE, "not everything is ready");
    return FALSE;
}
