// SPDX-License-Identifier: MIT
#include "common/media/h264.h"

#include "common/media/bytes.h"
#include "common/media/h264_nal.h"
#include "common/media/h264_sets.h"

// RFC 6184 section 5.2.
enum { PACKET_STAP_A = 24, PACKET_FU_A = 28, PACKET_FU_B = 29 };

#define FORBIDDEN_BIT 0x80
#define FU_START 0x80
#define FU_END 0x40

#define SPROP_PARTS_MAX 64

// The access unit that is being put together.
typedef struct {
    GByteArray *bytes; // NAL units, each behind its 4-byte length
    guint32 timestamp;
    gboolean open;
    gboolean damaged;
    gboolean start_unsure; // packets were lost just before it
    gboolean has_slices, has_idr, has_recovery_point, all_intra;
    gboolean in_fragment; // a FU-A has begun and not ended
    gsize fragment_at;    // where its length stands in `bytes`
} Unit;

struct _TkH264Depay {
    TkFrameFunc on_frame;
    void *user_data;
    TkH264Sets sets;
    Unit unit;
    gboolean config_changed; // since the last frame given out
    gboolean waits_for_key;
    gboolean in_open_gop;       // the newest key frame is not an IDR picture
    guint32 open_gop_timestamp; // that key frame's
    guint64 dropped;
};

TkH264Depay *tk_h264_depay_new(TkFrameFunc on_frame, void *user_data)
{
    TkH264Depay *depay = g_new0(TkH264Depay, 1);
    depay->on_frame = on_frame;
    depay->user_data = user_data;
    depay->waits_for_key = TRUE;
    depay->unit.bytes = g_byte_array_new();
    tk_h264_sets_init(&depay->sets);
    return depay;
}

void tk_h264_depay_free(TkH264Depay *depay)
{
    if (!depay)
        return;
    tk_h264_sets_clear(&depay->sets);
    g_byte_array_unref(depay->unit.bytes);
    g_free(depay);
}

static void keep_set(TkH264Depay *depay, const guint8 *nal, gsize size)
{
    if (tk_h264_sets_put(&depay->sets, nal, size))
        depay->config_changed = TRUE;
}

void tk_h264_depay_set_sprop(TkH264Depay *depay, const char *sprop)
{
    g_auto(GStrv) parts = g_strsplit(sprop ? sprop : "", ",", SPROP_PARTS_MAX);
    for (guint i = 0; parts[i]; i++) {
        gsize size;
        g_autofree guint8 *nal = g_base64_decode(parts[i], &size);
        keep_set(depay, nal, size);
    }
}

static void begin_unit(Unit *unit, guint32 timestamp, gboolean start_unsure)
{
    GByteArray *bytes = unit->bytes;
    g_byte_array_set_size(bytes, 0);
    *unit = (Unit){
        .bytes = bytes,
        .timestamp = timestamp,
        .open = TRUE,
        .start_unsure = start_unsure,
        .all_intra = TRUE,
    };
}

// An IDR picture; or, for senders that make none but the first (open GOPs), a picture of intra
// slices only whose recovery point says that decoding may begin here.
static gboolean unit_is_key(const Unit *unit)
{
    return unit->has_idr || (unit->has_recovery_point && unit->all_intra);
}

// A picture that is shown before its open GOP's key frame may refer to the GOP before; who begins
// with this one cannot decode it (Chromium gives up), and nothing shown later refers to it.
static gboolean leads_open_gop(const TkH264Depay *depay)
{
    gint32 after_key = (gint32)(depay->unit.timestamp - depay->open_gop_timestamp);
    return depay->in_open_gop && after_key < 0;
}

static void end_unit(TkH264Depay *depay)
{
    Unit *unit = &depay->unit;
    if (!unit->open)
        return;
    unit->open = FALSE;
    if (unit->damaged || unit->in_fragment) {
        depay->dropped++;
        depay->waits_for_key = TRUE;
        return;
    }
    if (!unit->has_slices)
        return; // parameter sets or delimiters on their own
    gboolean key = unit_is_key(unit);
    gboolean too_early = depay->waits_for_key || leads_open_gop(depay);
    if ((too_early && !key) || depay->sets.record->len == 0) {
        depay->dropped++;
        return;
    }
    if (key) {
        depay->in_open_gop = !unit->has_idr;
        depay->open_gop_timestamp = unit->timestamp;
    }
    TkFrame frame = {
        .data = unit->bytes->data,
        .size = unit->bytes->len,
        .rtp_timestamp = unit->timestamp,
        .key = key,
        .config_changed = depay->config_changed,
    };
    depay->waits_for_key = FALSE;
    depay->config_changed = FALSE;
    depay->on_frame(&frame, depay->user_data);
}

static gboolean append(Unit *unit, const guint8 *data, gsize size)
{
    if (size > TK_FRAME_BYTES_MAX - unit->bytes->len)
        unit->damaged = TRUE;
    if (unit->damaged)
        return FALSE;
    g_byte_array_append(unit->bytes, data, (guint)size);
    return TRUE;
}

static void look_at_slice(Unit *unit, const guint8 *nal, gsize size)
{
    // Where the first packet may be missing, only the first macroblock proves that it is not.
    if (!unit->has_slices && unit->start_unsure && !tk_h264_slice_is_first(nal, size))
        unit->damaged = TRUE;
    unit->has_slices = TRUE;
    unit->has_idr |= tk_h264_nal_type(nal[0]) == TK_H264_SLICE_IDR;
    unit->all_intra &= tk_h264_slice_is_intra(nal, size);
}

// A NAL unit whose length and bytes stand at `at`, the end of unit->bytes: judge whether it stays.
static void finish_nal(TkH264Depay *depay, gsize at)
{
    Unit *unit = &depay->unit;
    const guint8 *nal = unit->bytes->data + at + 4;
    gsize size = unit->bytes->len - at - 4;
    guint type = tk_h264_nal_type(nal[0]);
    if (type == TK_H264_SPS || type == TK_H264_PPS)
        keep_set(depay, nal, size);
    else if (type == TK_H264_SEI)
        unit->has_recovery_point |= tk_h264_sei_is_recovery_point(nal, size);
    else if (type >= TK_H264_SLICE && type <= TK_H264_SLICE_IDR)
        look_at_slice(unit, nal, size);

    if (!tk_h264_nal_in_sample(type))
        g_byte_array_set_size(unit->bytes, (guint)at);
    else
        tk_patch_u32(unit->bytes, at, (guint32)size);
}

// A syntax error, or a packet type inside another or of the interleaved mode.
static void check_header(Unit *unit, guint8 header)
{
    guint type = header & 0x1f;
    if (header & FORBIDDEN_BIT || (type >= PACKET_STAP_A && type <= PACKET_FU_B))
        unit->damaged = TRUE;
}

static void push_nal(TkH264Depay *depay, const guint8 *nal, gsize size)
{
    static const guint8 length[4];
    Unit *unit = &depay->unit;
    check_header(unit, nal[0]);
    gsize at = unit->bytes->len;
    if (append(unit, length, sizeof length) && append(unit, nal, size))
        finish_nal(depay, at);
}

static void push_aggregate(TkH264Depay *depay, const guint8 *payload, gsize bytes)
{
    TkReader r = tk_reader(payload + 1, bytes - 1);
    while (tk_reader_left(&r) > 0) {
        guint16 size = tk_reader_u16(&r);
        const guint8 *nal = tk_reader_take(&r, size);
        if (nal && size > 0)
            push_nal(depay, nal, size);
    }
    if (r.failed)
        depay->unit.damaged = TRUE;
}

static void begin_fragment(Unit *unit, guint8 indicator, guint8 header)
{
    guint8 head[5] = {0, 0, 0, 0, (guint8)((indicator & 0xe0) | (header & 0x1f))};
    check_header(unit, head[4]);
    unit->fragment_at = unit->bytes->len;
    unit->in_fragment = append(unit, head, sizeof head);
}

static void push_fragment(TkH264Depay *depay, const guint8 *payload, gsize bytes)
{
    Unit *unit = &depay->unit;
    gboolean starts = bytes >= 2 && payload[1] & FU_START;
    if (bytes < 2 || starts == unit->in_fragment) {
        unit->damaged = TRUE; // too short, begun twice, or never begun
        return;
    }
    if (starts)
        begin_fragment(unit, payload[0], payload[1]);
    if (append(unit, payload + 2, bytes - 2) && payload[1] & FU_END) {
        unit->in_fragment = FALSE;
        finish_nal(depay, unit->fragment_at);
    }
}

static void push_payload(TkH264Depay *depay, const guint8 *payload, gsize bytes)
{
    guint type = payload[0] & 0x1f;
    if (depay->unit.in_fragment && type != PACKET_FU_A)
        depay->unit.damaged = TRUE;
    if (depay->unit.damaged)
        return;
    if (type == PACKET_STAP_A)
        push_aggregate(depay, payload, bytes);
    else if (type == PACKET_FU_A)
        push_fragment(depay, payload, bytes);
    else
        push_nal(depay, payload, bytes);
}

void tk_h264_depay_push(TkH264Depay *depay, const TkRtp *rtp, gboolean lost_before)
{
    Unit *unit = &depay->unit;
    if (lost_before) {
        unit->damaged = TRUE;
        depay->waits_for_key = TRUE;
    }
    if (unit->open && unit->timestamp != rtp->timestamp)
        end_unit(depay);
    if (!unit->open)
        begin_unit(unit, rtp->timestamp, lost_before);
    if (rtp->payload_bytes > 0)
        push_payload(depay, rtp->payload, rtp->payload_bytes);
    if (rtp->marker)
        end_unit(depay);
}

guint64 tk_h264_depay_dropped(const TkH264Depay *depay)
{
    return depay->dropped;
}

const guint8 *tk_h264_depay_config(const TkH264Depay *depay, gsize *ret_size, TkH264Sps *ret_sps)
{
    const GByteArray *record = depay->sets.record;
    if (record->len == 0)
        return NULL;
    *ret_size = record->len;
    if (ret_sps)
        *ret_sps = depay->sets.newest;
    return record->data;
}
