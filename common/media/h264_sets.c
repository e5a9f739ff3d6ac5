// SPDX-License-Identifier: MIT
#include "common/media/h264_sets.h"

#include <string.h>

#include "common/media/bits.h"
#include "common/media/bytes.h"
#include "common/media/h264_nal.h"

// The record counts its SPSs in 5 bits and its PPSs in 8.
#define RECORD_SPS_MAX 31
#define RECORD_PPS_MAX 255

// Enough of a PPS for its two ids.
#define PPS_HEAD_BYTES 16

void tk_h264_sets_init(TkH264Sets *sets)
{
    *sets = (TkH264Sets){.record = g_byte_array_new()};
}

static void forget(GBytes **set)
{
    g_clear_pointer(set, g_bytes_unref);
}

void tk_h264_sets_clear(TkH264Sets *sets)
{
    for (guint i = 0; i < TK_H264_SPS_IDS; i++)
        forget(&sets->sps[i]);
    for (guint i = 0; i < TK_H264_PPS_IDS; i++)
        forget(&sets->pps[i]);
    g_clear_pointer(&sets->record, g_byte_array_unref);
}

static gboolean parse_pps_id(const guint8 *nal, gsize size, guint *ret_id)
{
    guint8 head[PPS_HEAD_BYTES];
    TkBits bits = tk_bits(head, tk_h264_unescape(nal, size, head, sizeof head));
    guint32 id = tk_bits_ue(&bits);
    guint32 sps_id = tk_bits_ue(&bits);
    if (bits.failed || id >= TK_H264_PPS_IDS || sps_id >= TK_H264_SPS_IDS)
        return FALSE;
    *ret_id = id;
    return TRUE;
}

static guint count_sets(GBytes *const *sets, guint ids, guint max)
{
    guint count = 0;
    for (guint i = 0; i < ids; i++)
        count += sets[i] != NULL;
    return MIN(count, max);
}

static void put_sets(GByteArray *record, GBytes *const *sets, guint ids, guint count)
{
    for (guint i = 0; i < ids && count > 0; i++) {
        if (!sets[i])
            continue;
        gsize size;
        const guint8 *nal = g_bytes_get_data(sets[i], &size);
        tk_put(record, size, 2);
        g_byte_array_append(record, nal, (guint)size);
        count--;
    }
}

static gboolean has_high_fields(guint8 profile)
{
    return profile == 100 || profile == 110 || profile == 122 || profile == 144 || profile == 244;
}

// ISO/IEC 14496-15 section 5.3.3.1.2.
static void make_record(TkH264Sets *sets)
{
    GByteArray *record = sets->record;
    const TkH264Sps *sps = &sets->newest;
    guint sps_count = count_sets(sets->sps, TK_H264_SPS_IDS, RECORD_SPS_MAX);
    guint pps_count = count_sets(sets->pps, TK_H264_PPS_IDS, RECORD_PPS_MAX);
    g_byte_array_set_size(record, 0);
    if (sps_count == 0 || pps_count == 0)
        return;

    tk_put(record, 1, 1); // configurationVersion
    tk_put(record, sps->profile, 1);
    tk_put(record, sps->constraints, 1);
    tk_put(record, sps->level, 1);
    tk_put(record, 0xfc | 3, 1); // lengths of 4 bytes
    tk_put(record, 0xe0 | sps_count, 1);
    put_sets(record, sets->sps, TK_H264_SPS_IDS, sps_count);
    tk_put(record, pps_count, 1);
    put_sets(record, sets->pps, TK_H264_PPS_IDS, pps_count);
    if (has_high_fields(sps->profile)) {
        tk_put(record, 0xfc | sps->chroma_format, 1);
        tk_put(record, 0xf8u | (sps->luma_bits - 8u), 1);
        tk_put(record, 0xf8u | (sps->chroma_bits - 8u), 1);
        tk_put(record, 0, 1); // no SPS extensions
    }
}

static gboolean replace(TkH264Sets *sets, GBytes **slot, const guint8 *nal, gsize size)
{
    gsize old_size = 0;
    const guint8 *old = *slot ? g_bytes_get_data(*slot, &old_size) : NULL;
    if (old && old_size == size && memcmp(old, nal, size) == 0)
        return FALSE;
    if (size > TK_H264_SETS_BYTES_MAX - (sets->bytes - old_size))
        return FALSE;
    forget(slot);
    *slot = g_bytes_new(nal, size);
    sets->bytes = sets->bytes - old_size + size;
    return TRUE;
}

gboolean tk_h264_sets_put(TkH264Sets *sets, const guint8 *nal, gsize size)
{
    TkH264Sps sps;
    guint pps_id;
    if (tk_h264_sps_parse(nal, size, &sps)) {
        if (!replace(sets, &sets->sps[sps.id], nal, size))
            return FALSE;
        sets->newest = sps;
    } else if (size > 0 && tk_h264_nal_type(nal[0]) == TK_H264_PPS &&
               parse_pps_id(nal, size, &pps_id)) {
        if (!replace(sets, &sets->pps[pps_id], nal, size))
            return FALSE;
    } else {
        return FALSE;
    }
    make_record(sets);
    return TRUE;
}
