// SPDX-License-Identifier: MIT
#include "relay/net/dial.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <unistd.h>

struct _RelayDial {
    RelayDialDone done;
    gpointer user;
    GSocketAddressEnumerator *addresses;
    GCancellable *cancel;
    int fd; // while it is being connected, else -1
    guint watch, timer;
    char *why; // the last address's failure
};

// Calls the owner last: it may free the dial.
static void finish(RelayDial *d, int fd, const char *why)
{
    g_clear_handle_id(&d->watch, g_source_remove);
    g_clear_handle_id(&d->timer, g_source_remove);
    g_cancellable_cancel(d->cancel);
    d->done(d->user, fd, why);
}

static void try_next(RelayDial *d);

static void failed(RelayDial *d, int error)
{
    g_clear_handle_id(&d->watch, g_source_remove);
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
    g_free(d->why);
    d->why = g_strdup(g_strerror(error));
    try_next(d);
}

static gboolean on_connected(gint fd, GIOCondition condition, gpointer user)
{
    RelayDial *d = user;
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    d->watch = 0;
    if (error) {
        failed(d, error);
    } else {
        d->fd = -1;
        finish(d, fd, NULL);
    }
    return G_SOURCE_REMOVE;
}

static void connect_to(RelayDial *d, GSocketAddress *address)
{
    struct sockaddr_storage to;
    gssize size = g_socket_address_get_native_size(address);
    if (size <= 0 || (gsize)size > sizeof to ||
        !g_socket_address_to_native(address, &to, sizeof to, NULL)) {
        failed(d, EAFNOSUPPORT);
        return;
    }
    d->fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (d->fd < 0 ||
        (connect(d->fd, (struct sockaddr *)&to, (socklen_t)size) < 0 && errno != EINPROGRESS))
        failed(d, errno);
    else
        d->watch = g_unix_fd_add(d->fd, G_IO_OUT | G_IO_ERR | G_IO_HUP, on_connected, d);
}

static void on_address(GObject *source, GAsyncResult *result, gpointer user)
{
    g_autoptr(GCancellable) cancel = user;
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocketAddress) address = g_socket_address_enumerator_next_finish(
        G_SOCKET_ADDRESS_ENUMERATOR(source), result, &error);
    if (g_cancellable_is_cancelled(cancel))
        return; // the dial is over, or freed
    RelayDial *d = g_object_get_data(G_OBJECT(cancel), "dial");
    if (address)
        connect_to(d, address);
    else
        finish(d, -1, error ? error->message : d->why ? d->why : "no address");
}

static void try_next(RelayDial *d)
{
    g_socket_address_enumerator_next_async(d->addresses, d->cancel, on_address,
                                           g_object_ref(d->cancel));
}

static gboolean late(gpointer user)
{
    RelayDial *d = user;
    d->timer = 0;
    finish(d, -1, "no answer");
    return G_SOURCE_REMOVE;
}

RelayDial *relay_dial_new(const char *host, guint16 port, guint timeout_s, RelayDialDone done,
                          gpointer user)
{
    RelayDial *d = g_new0(RelayDial, 1);
    g_autoptr(GSocketConnectable) place = g_network_address_new(host, port);
    d->done = done;
    d->user = user;
    d->fd = -1;
    d->addresses = g_socket_connectable_enumerate(place);
    d->cancel = g_cancellable_new();
    g_object_set_data(G_OBJECT(d->cancel), "dial", d);
    d->timer = g_timeout_add_seconds(timeout_s, late, d);
    try_next(d);
    return d;
}

void relay_dial_free(RelayDial *dial)
{
    if (!dial)
        return;
    g_cancellable_cancel(dial->cancel);
    g_clear_handle_id(&dial->watch, g_source_remove);
    g_clear_handle_id(&dial->timer, g_source_remove);
    if (dial->fd >= 0)
        close(dial->fd);
    g_object_unref(dial->cancel);
    g_object_unref(dial->addresses);
    g_free(dial->why);
    g_free(dial);
}
