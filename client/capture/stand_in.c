// SPDX-License-Identifier: MIT
#include "client/capture/stand_in.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/gst/pipeline.h"
#include "common/gst/slate.h"

#define LAG_NS (TK_NS_PER_S / 2) // behind now, so that returning pictures still fit

struct _CapStandIn {
    CapSourceFormat format;
    TkJoint *pictures;
    GstClock *clock;
    GstClockTime base_time;
    TkSlate *slate;
    TkPipeline *pipeline; // NULL: not shown
    guint input;
};

CapStandIn *cap_stand_in_new(const CapSourceFormat *format, TkJoint *pictures, GstClock *clock,
                             GstClockTime base_time)
{
    CapStandIn *stand_in = g_new0(CapStandIn, 1);

    stand_in->format = *format;
    stand_in->pictures = tk_joint_ref(pictures);
    stand_in->clock = gst_object_ref(clock);
    stand_in->base_time = base_time;
    stand_in->slate = tk_slate_new();
    return stand_in;
}

void cap_stand_in_tell(CapStandIn *stand_in, const CapSourceSpec *spec, gboolean lost,
                       const char *reason, int seconds)
{
    g_autofree char *what = cap_source_spec_describe(spec);
    g_autofree char *detail = reason ? g_strdup_printf("%s: %s", what, reason) : g_strdup(what);
    g_autofree char *note =
        g_strdup_printf("正在重试，已等待 %d 秒 · trying again, %d s so far", seconds, seconds);

    tk_slate_set(stand_in->slate,
                 lost ? "画面暂时中断\nThe picture is interrupted"
                      : "等待画面\nWaiting for the picture",
                 detail, note);
}

static void on_error(void *user, const GError *error, const char *debug)
{
    tk_error("no slate: %s", error->message);
}

gboolean cap_stand_in_show(CapStandIn *stand_in, GError **error)
{
    const TkPipelineEvents events = {.on_error = on_error};
    const CapSourceFormat *f = &stand_in->format;

    if (stand_in->pipeline)
        return TRUE;
    g_autofree char *picture = tk_slate_describe("slate", f->width, f->height, f->fps);
    g_autofree char *text = g_strdup_printf("%s ! videoconvert ! video/x-raw,format=I420,"
                                            "pixel-aspect-ratio=1/1 ! appsink name=out sync=false",
                                            picture);
    stand_in->pipeline = tk_pipeline_new("slate", text, &events, stand_in, error);
    if (!stand_in->pipeline)
        return FALSE;
    tk_slate_attach(stand_in->slate, tk_pipeline_get(stand_in->pipeline, "slate"));
    tk_pipeline_set_time(stand_in->pipeline, stand_in->clock, stand_in->base_time);
    stand_in->input =
        tk_joint_connect(stand_in->pictures, tk_pipeline_get(stand_in->pipeline, "out"), -LAG_NS);
    if (!tk_pipeline_set_state(stand_in->pipeline, GST_STATE_PLAYING, error)) {
        cap_stand_in_hide(stand_in);
        return FALSE;
    }
    tk_joint_select(stand_in->pictures, stand_in->input);
    return TRUE;
}

void cap_stand_in_hide(CapStandIn *stand_in)
{
    if (!stand_in->pipeline)
        return;
    tk_joint_disconnect(stand_in->pictures, stand_in->input);
    g_clear_pointer(&stand_in->pipeline, tk_pipeline_free);
    stand_in->input = 0;
}

gboolean cap_stand_in_shown(const CapStandIn *stand_in)
{
    return stand_in->pipeline != NULL;
}

void cap_stand_in_free(CapStandIn *stand_in)
{
    if (!stand_in)
        return;
    cap_stand_in_hide(stand_in);
    tk_joint_unref(stand_in->pictures);
    tk_slate_free(stand_in->slate);
    gst_clear_object(&stand_in->clock);
    g_free(stand_in);
}
