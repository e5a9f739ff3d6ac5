// SPDX-License-Identifier: MIT
#include "relay/net/web_desk.h"

#include "relay/net/audience_mail.h"

typedef struct {
    RelayWebDesk desk; // a copy: at the end this outlives the web worker
    RelayStream *stream;
    gint change;
    char *school;
} Coming;

static void tell_viewer(gpointer owner, gpointer data)
{
    Coming *coming = data;
    coming->desk.on_viewer(coming->desk.user, coming->stream, coming->change, coming->school);
    relay_stream_unref(coming->stream);
    g_free(coming->school);
    g_free(coming);
}

void relay_web_desk_tell_viewer(const RelayWebDesk *desk, RelayStream *stream, gint change,
                                const char *school)
{
    Coming *coming = g_new(Coming, 1);
    *coming = (Coming){*desk, relay_stream_ref(stream), change, g_strdup(school)};
    relay_mailbox_post(desk->mailbox, tell_viewer, coming);
}

typedef struct {
    const RelayWebDesk *desk;
    RelayMailbox *reply_to;
    guint64 serial;
    TkClaims *claims;
} Question;

static void answer_snapshot(gpointer owner, gpointer data)
{
    Question *question = data;
    g_autofree char *json = question->desk->on_snapshot(question->desk->user, question->claims);
    relay_audience_mail_snapshot(question->reply_to, question->serial, json);
    tk_claims_free(question->claims);
    g_free(question);
}

void relay_web_desk_ask_snapshot(const RelayWebDesk *desk, RelayMailbox *reply_to, guint64 serial,
                                 const TkClaims *claims)
{
    Question *question = g_new(Question, 1);
    *question = (Question){desk, reply_to, serial, claims ? tk_claims_copy(claims) : NULL};
    relay_mailbox_post(desk->mailbox, answer_snapshot, question);
}

void relay_web_exchange_free(RelayWebExchange *exchange)
{
    RelayWebExchange *x = exchange;
    if (!x)
        return;
    g_free(x->method);
    g_free(x->path);
    g_free(x->query);
    g_free(x->token);
    g_free(x->body);
    g_free(x->response.body);
    g_free(x);
}

static void ask(gpointer owner, gpointer data)
{
    RelayWebExchange *x = data;
    RelayWebRequest request = {.method = x->method,
                               .path = x->path,
                               .query = x->query,
                               .token = x->token,
                               .body = x->body,
                               .body_bytes = x->body_bytes,
                               .local = x->local,
                               .foreign = x->foreign};
    x->response = x->desk->on_request(x->desk->user, &request);
    relay_mailbox_post(x->reply_to, x->reply, x);
}

void relay_web_desk_ask(const RelayWebDesk *desk, RelayWebExchange *exchange,
                        RelayMailbox *reply_to, RelayTask reply)
{
    exchange->desk = desk;
    exchange->reply_to = reply_to;
    exchange->reply = reply;
    relay_mailbox_post(desk->mailbox, ask, exchange);
}
