// SPDX-License-Identifier: MIT
#include "relay/net/multicast.h"

#include <errno.h>
#include <netinet/in.h>

#include "common/base/error.h"
#include "common/base/log.h"

struct _RelayGroup {
    RelayMulticast *multicast;
    guint64 id; // never used again, as its number is
    guint number;
    RelayStream *stream;
    guint holders;
    GPtrArray *watching; // RelayConn, a reference each
    RelayGroupSender *sender;
};

struct _RelayMulticast {
    RelayHandoff *handoff;
    RelayMulticastSpec spec;
    RelayGroups *numbers;
    GPtrArray *groups; // RelayGroup
    guint64 next_id;
    RelayGroupReports reports;
};

static gboolean set_up_sending(int fd, const RelayMulticastSpec *spec, GError **error)
{
    int ttl = spec->ttl;
    RelayAddress bound = {.bytes = sizeof bound.to};
    getsockname(fd, (struct sockaddr *)&bound.to, &bound.bytes);
    if (bound.to.ss_family != AF_INET || spec->interface.to.ss_family != AF_INET) {
        g_set_error(
            error, TK_ERROR, TK_ERROR_CONFIG,
            "multicast.enabled: rtsp.listen and multicast.interface must be IPv4 addresses");
        return FALSE;
    }
    struct ip_mreqn way = {.imr_address =
                               ((const struct sockaddr_in *)&spec->interface.to)->sin_addr};
    if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof ttl) == 0 &&
        setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &way, sizeof way) == 0)
        return TRUE;
    g_autofree char *interface = relay_address_host_text(&spec->interface);
    g_set_error(error, TK_ERROR, TK_ERROR_CONFIG,
                "multicast.interface = %s: %s (give the IPv4 address that this machine has in the "
                "school's LAN)",
                interface, g_strerror(errno));
    return FALSE;
}

RelayMulticast *relay_multicast_new(RelayHandoff *handoff, const RelayMulticastSpec *spec,
                                    const RelayUdp *pairs, GError **error)
{
    for (guint i = 0; i < handoff->packet_count; i++)
        if (!set_up_sending(pairs[i].rtp_fd, spec, error) ||
            !set_up_sending(pairs[i].rtcp_fd, spec, error))
            return NULL;
    RelayMulticast *m = g_new0(RelayMulticast, 1);
    m->handoff = handoff;
    m->spec = *spec;
    m->numbers = relay_groups_new(&spec->range);
    m->groups = g_ptr_array_new();
    return m;
}

void relay_multicast_free(RelayMulticast *multicast)
{
    if (!multicast)
        return;
    g_ptr_array_unref(multicast->groups);
    relay_groups_free(multicast->numbers);
    g_free(multicast);
}

RelayGroup *relay_multicast_hold(RelayMulticast *multicast, RelayStream *stream, GError **error)
{
    RelayMulticast *m = multicast;
    for (guint i = 0; i < m->groups->len; i++) {
        RelayGroup *group = m->groups->pdata[i];
        if (group->stream == stream) {
            group->holders++;
            return group;
        }
    }
    guint number;
    if (!relay_groups_take(m->numbers, &number)) {
        g_set_error(error, TK_ERROR, TK_ERROR_LIMIT,
                    "all %u multicast groups are in use (multicast.groups_max)",
                    m->spec.range.count);
        return NULL;
    }
    RelayGroup *group = g_new0(RelayGroup, 1);
    group->multicast = m;
    group->id = m->next_id++;
    group->number = number;
    group->stream = relay_stream_ref(stream);
    group->holders = 1;
    group->watching = g_ptr_array_new_with_free_func((GDestroyNotify)relay_conn_unref);
    g_ptr_array_add(m->groups, group);
    return group;
}

RelayStream *relay_group_stream(const RelayGroup *group)
{
    return group->stream;
}

RelayAddress relay_group_address(const RelayGroup *group, guint track, gboolean rtcp)
{
    return relay_group_range_address(&group->multicast->spec.range, group->number, track, rtcp);
}

guint8 relay_group_ttl(const RelayGroup *group)
{
    return group->multicast->spec.ttl;
}

// News from a group's sender.
typedef struct {
    RelayMulticast *multicast;
    guint64 id;
    char *reason;
} News;

static void close_sessions(gpointer owner, gpointer data)
{
    News *news = data;
    const GPtrArray *groups = news->multicast->groups;
    for (guint i = 0; i < groups->len; i++) {
        RelayGroup *group = groups->pdata[i];
        if (group->id != news->id)
            continue;
        relay_group_sender_stop(g_steal_pointer(&group->sender));
        for (guint j = 0; j < group->watching->len; j++)
            relay_conn_close(group->watching->pdata[j], news->reason);
    }
    g_free(news->reason);
    g_free(news);
}

static void on_gone(gpointer user, guint64 id, const char *reason)
{
    RelayMulticast *m = user;
    News *news = g_new(News, 1);
    *news = (News){m, id, g_strdup(reason)};
    relay_mailbox_post(m->handoff->desk, close_sessions, news);
}

static void log_change(const RelayGroup *group, const char *what)
{
    RelayAddress rtp = relay_group_address(group, 0, FALSE);
    g_autofree char *address = relay_address_text(&rtp);
    TkLogFields fields = {
        .lesson = group->stream->lesson_name, .stream = group->stream->name, .peer = address};
    tk_log(TK_LOG_INFO, &fields, "%s", what);
}

static void start(RelayGroup *group)
{
    RelayMulticast *m = group->multicast;
    guint worker = group->number % m->handoff->packet_count;
    RelayGroupSenderSpec spec = {.worker = m->handoff->workers[worker],
                                 .fanout = m->handoff->fanouts[worker],
                                 .stream = group->stream,
                                 .interface = m->spec.interface,
                                 .reports = &m->reports,
                                 .on_gone = on_gone,
                                 .user = m,
                                 .id = group->id};
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++) {
        spec.rtp[track] = relay_group_address(group, track, FALSE);
        spec.rtcp[track] = relay_group_address(group, track, TRUE);
    }
    group->sender = relay_group_sender_start(&spec);
    log_change(group, "sending to a multicast group");
}

void relay_group_watch(RelayGroup *group, RelayConn *conn)
{
    g_ptr_array_add(group->watching, relay_conn_ref(conn));
    if (!group->sender)
        start(group);
    else
        relay_group_sender_greet(group->sender);
}

static void stop(RelayGroup *group)
{
    relay_group_sender_stop(g_steal_pointer(&group->sender));
    log_change(group, "nobody watches the multicast group any more");
}

void relay_group_let_go(RelayGroup *group, RelayConn *conn)
{
    RelayMulticast *m = group->multicast;
    g_ptr_array_remove_fast(group->watching, conn);
    if (group->sender && group->watching->len == 0)
        stop(group);
    if (--group->holders > 0)
        return;
    relay_groups_give_back(m->numbers, group->number);
    g_ptr_array_remove_fast(m->groups, group);
    relay_stream_unref(group->stream);
    g_ptr_array_unref(group->watching);
    g_free(group);
}

void relay_multicast_stats(const RelayMulticast *multicast, RelayMulticastStats *ret)
{
    *ret = (RelayMulticastStats){0};
    if (!multicast)
        return;
    ret->reports = relay_stat_get(multicast->reports.reports);
    ret->lossy = relay_stat_get(multicast->reports.lossy);
    for (guint i = 0; i < multicast->groups->len; i++) {
        const RelayGroup *group = multicast->groups->pdata[i];
        ret->groups += group->sender != NULL;
        ret->sessions += group->watching->len;
    }
}
