// SPDX-License-Identifier: MIT
#include "client/player/player.h"

#include <stdio.h>

#include "client/player/receiver.h"
#include "client/player/screen.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/gst/pipeline.h"
#include "common/gst/slate.h"

#define SLATE_WIDTH 1280
#define SLATE_HEIGHT 720
#define SLATE_FPS 10
#define DECODE_MS 100 // between the jitter buffer and the screen
#define PICTURES_A_SECOND_MAX 60
#define PICTURE_BYTES_MAX (512u << 20)
#define SOUND_BUFFERS_MAX 1000
#define SOUND_BYTES_MAX (8u << 20)

struct _Player {
    const PlayOptions *options;
    PlayerEvents events;
    void *user;
    GstClock *clock;
    GstClockTime base_time;
    TkJoint *pictures, *sound;
    PlayScreen *screen;
    PlayReceiver *receiver;
    TkSlate *slate;
    TkPipeline *slate_pipeline; // NULL: not shown
    guint slate_input;
    PlayState state;
    gint64 since_ns; // monotonic: when it last stopped playing, or the start
    char *why;
    guint tick;
};

static void describe(Player *player)
{
    int seconds = (int)((tk_clock_monotonic_ns() - player->since_ns) / TK_NS_PER_S);
    g_autofree char *waited = g_strdup_printf("已等待 %d 秒 · %d s so far", seconds, seconds);
    g_autofree char *note = g_strdup_printf("%s   %s", player->options->url, waited);

    switch (player->state) {
    case PLAY_CONNECTING:
        tk_slate_set(player->slate, "正在连接…\nConnecting", player->why, note);
        break;
    case PLAY_WAITING:
        tk_slate_set(player->slate, "等待上课\nWaiting for the lesson",
                     "老师开始后自动播放 · it starts by itself", note);
        break;
    case PLAY_SOUND:
        tk_slate_set(player->slate, "只有声音\nSound only", player->why, note);
        break;
    case PLAY_RECONNECTING:
        tk_slate_set(player->slate, "正在重新连接…\nReconnecting", player->why, note);
        break;
    case PLAY_REFUSED:
        tk_slate_set(player->slate, "没有观看权限\nNot allowed to watch", player->why, note);
        break;
    case PLAY_PLAYING:
        break;
    }
}

static void on_slate_error(void *user, const GError *error, const char *debug)
{
    tk_error("no slate: %s", error->message);
}

static void hide_slate(Player *player)
{
    if (!player->slate_pipeline)
        return;
    tk_joint_disconnect(player->pictures, player->slate_input);
    g_clear_pointer(&player->slate_pipeline, tk_pipeline_free);
}

static void show_slate(Player *player)
{
    const TkPipelineEvents events = {.on_error = on_slate_error};
    g_autoptr(GError) error = NULL;

    if (player->slate_pipeline)
        return;
    g_autofree char *picture = tk_slate_describe("slate", SLATE_WIDTH, SLATE_HEIGHT, SLATE_FPS);
    g_autofree char *text = g_strdup_printf("%s ! videoconvert ! video/x-raw,format=I420 ! "
                                            "appsink name=out sync=false",
                                            picture);
    player->slate_pipeline = tk_pipeline_new("slate", text, &events, player, &error);
    if (!player->slate_pipeline) {
        tk_error("no slate: %s", error->message);
        return;
    }
    tk_slate_attach(player->slate, tk_pipeline_get(player->slate_pipeline, "slate"));
    tk_pipeline_set_time(player->slate_pipeline, player->clock, player->base_time);
    player->slate_input =
        tk_joint_connect(player->pictures, tk_pipeline_get(player->slate_pipeline, "out"), 0);
    tk_joint_select(player->pictures, player->slate_input);
    if (!tk_pipeline_set_state(player->slate_pipeline, GST_STATE_PLAYING, &error))
        tk_error("no slate: %s", error->message);
}

static void on_state(void *user, PlayState state, const char *why)
{
    Player *player = user;
    gboolean changed = state != player->state || !player->slate_pipeline != (state == PLAY_PLAYING);

    g_free(player->why);
    player->why = g_strdup(why);
    if (player->state == PLAY_PLAYING && state != PLAY_PLAYING)
        player->since_ns = tk_clock_monotonic_ns();
    player->state = state;
    if (state == PLAY_PLAYING)
        hide_slate(player);
    describe(player);
    if (state != PLAY_PLAYING)
        show_slate(player);
    if (!changed)
        return;
    if (state == PLAY_PLAYING)
        printf("state=playing transport=%s\n", play_receiver_transport(player->receiver));
    else
        printf("state=%s\n", play_state_word(state));
    fflush(stdout);
    if (why)
        tk_info("%s: %s", play_state_word(state), why);
}

static gboolean on_tick(gpointer data)
{
    describe(data);
    return G_SOURCE_CONTINUE;
}

static void on_closed(void *user)
{
    Player *player = user;

    player->events.on_closed(player->user);
}

static void on_failed(void *user, const GError *error)
{
    Player *player = user;

    player->events.on_failed(player->user, error);
}

Player *player_new(const PlayOptions *options, const PlayerEvents *events, void *user,
                   GError **error)
{
    const PlayScreenEvents screen_events = {on_closed, on_failed};
    const guint delay_ms = options->latency_ms + DECODE_MS;
    g_autoptr(Player) player = g_new0(Player, 1);

    player->options = options;
    player->events = *events;
    player->user = user;
    player->clock = gst_system_clock_obtain();
    player->base_time = gst_clock_get_time(player->clock);
    player->pictures = tk_joint_new(
        TK_JOINT_PICTURES, PICTURES_A_SECOND_MAX * (delay_ms + 1000) / 1000, PICTURE_BYTES_MAX);
    player->sound = tk_joint_new(TK_JOINT_SOUND, SOUND_BUFFERS_MAX, SOUND_BYTES_MAX);
    player->slate = tk_slate_new();
    player->since_ns = tk_clock_monotonic_ns();
    player->screen =
        play_screen_new(options, delay_ms, player->pictures, player->sound, player->clock,
                        player->base_time, &screen_events, player, error);
    if (!player->screen)
        return NULL;
    player->receiver = play_receiver_new(options, player->pictures, player->sound, player->clock,
                                         player->base_time, on_state, player);
    player->tick = g_timeout_add_seconds(1, on_tick, player);
    play_receiver_start(player->receiver);
    return g_steal_pointer(&player);
}

void player_free(Player *player)
{
    if (!player)
        return;
    if (player->tick)
        g_source_remove(player->tick);
    play_receiver_free(player->receiver);
    hide_slate(player);
    play_screen_free(player->screen);
    tk_joint_unref(player->pictures);
    tk_joint_unref(player->sound);
    tk_slate_free(player->slate);
    g_free(player->why);
    gst_clear_object(&player->clock);
    g_free(player);
}
