// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/mirror.h"
#include "relay/net/web.h"

// The relay's HTTP API (docs/api.md), on the main thread.

typedef struct {
    RelayLessons *lessons;
    const RelayMirror *mirror;
    const RelayDoor *door;
    RelaySchools *schools;
    const char *name;    // of this relay
    const char *library; // where the page finds the recorder; "" = none
    guint16 rtsp_port;
    gint64 started_wall_ns;
    char *(*metrics)(gpointer user); // newly allocated text
    gpointer user;
} RelayApi;

RelayWebResponse relay_api_answer(const RelayApi *api, const RelayWebRequest *request);

// {"type":"snapshot","relay":{…},"lessons":[…]} for the bearer of `claims` (NULL: everybody). Newly
// allocated.
char *relay_api_snapshot(const RelayApi *api, const TkClaims *claims);
