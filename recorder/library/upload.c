// SPDX-License-Identifier: MIT
#include "recorder/library/upload.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/name.h"
#include "recorder/archive/heal.h"
#include "recorder/archive/state.h"
#include "recorder/library/begin.h"
#include "recorder/library/recording.h"
#include "recorder/library/remove.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OFFERS_MAX 64        // lessons that are delivered at the same time
#define STREAMS_MAX 16u      // as many as a relay's lesson has
#define PARTS_MAX 1000u      // of one order
#define LESSON_S_MAX 86400   // of a copy: a day
#define AROUND_S 20          // of media before and behind the gap that a patch may bring
#define RATE_BYTES_S 3200000 // 25 Mbit/s: more than tongke-capture can be told to send

typedef struct {
    char *stream;
    RecHealRules rules;
    gint64 from_ns, to_ns; // what the capture has, in media time
    GArray *holes;         // RecHole
} Offered;

typedef struct {
    GPtrArray *streams; // Offered
    gint64 asked_ns;
    gboolean busy;
} Offer;

struct _ShelfUploads {
    GHashTable *offers;    // id → Offer
    guint64 healing_bytes; // that healings may write which have begun
    ShelfBegun *begun;
};

static void offered_free(void *data)
{
    Offered *offered = data;
    g_free(offered->stream);
    g_array_unref(offered->holes);
    g_free(offered);
}

static void offer_free(void *data)
{
    Offer *offer = data;
    g_ptr_array_unref(offer->streams);
    g_free(offer);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Offer, offer_free)

ShelfUploads *shelf_uploads_new(void)
{
    ShelfUploads *uploads = g_new0(ShelfUploads, 1);
    uploads->offers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, offer_free);
    uploads->begun = shelf_begun_new();
    return uploads;
}

void shelf_uploads_free(ShelfUploads *uploads)
{
    if (!uploads)
        return;
    g_hash_table_unref(uploads->offers);
    shelf_begun_free(uploads->begun);
    g_free(uploads);
}

gboolean shelf_uploads_busy(const ShelfUploads *uploads, const char *id)
{
    const Offer *offer = g_hash_table_lookup(uploads->offers, id);
    return offer && offer->busy;
}

static Offer *offer_new(void)
{
    Offer *offer = g_new0(Offer, 1);
    offer->streams = g_ptr_array_new_with_free_func(offered_free);
    offer->asked_ns = tk_clock_monotonic_ns();
    return offer;
}

// Takes the offer.
static void offer_put(ShelfUploads *uploads, const char *id, Offer *offer)
{
    GHashTableIter iter;
    void *key, *value;
    const char *oldest = NULL;
    gint64 oldest_ns = G_MAXINT64;

    g_hash_table_iter_init(&iter, uploads->offers);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        const Offer *one = value;
        if (!one->busy && one->asked_ns < oldest_ns) {
            oldest_ns = one->asked_ns;
            oldest = key;
        }
    }
    if (oldest && g_hash_table_size(uploads->offers) >= OFFERS_MAX)
        g_hash_table_remove(uploads->offers, oldest);
    g_hash_table_replace(uploads->offers, g_strdup(id), offer);
}

static char *upload_path(const char *folder, const char *stream, const char *key)
{
    return g_strdup_printf("%s/%s.%s" REC_UPLOAD_SUFFIX, folder, stream, key);
}

static guint64 file_bytes(const char *path)
{
    GStatBuf info;
    return g_stat(path, &info) == 0 ? (guint64)info.st_size : 0;
}

static guint64 bytes_max(const RecHole *hole)
{
    gint64 length_s = (hole->to_ns - hole->from_ns) / TK_NS_PER_S;
    return (guint64)(CLAMP(length_s, 0, LESSON_S_MAX) + 2 * AROUND_S) * RATE_BYTES_S;
}

// Whether the disk has room beyond its reserve for one more healing that may write `bytes`: how
// much those that have begun have written so far nobody knows.
static gboolean room_there(const ShelfApi *api, guint64 bytes, GError **error)
{
    if (api->spare(api->user) >= api->uploads->healing_bytes + bytes)
        return TRUE;
    g_set_error(error, TK_ERROR, TK_ERROR_UNAVAILABLE,
                "the disk has no room to heal this recording now");
    return FALSE;
}

static ShelfReply *reply_json(json_t *object)
{
    return shelf_reply_text(200, "application/json", tk_json_dump(object));
}

static ShelfReply *reply_error(TkErrorCode code, const char *text)
{
    g_autoptr(GError) error = g_error_new_literal(TK_ERROR, (int)code, text);
    return shelf_reply_error(error);
}

static json_t *body_read(const ShelfRequest *request, GError **error)
{
    gsize size;
    const char *text = g_bytes_get_data(request->body, &size);
    json_t *body = tk_json_parse(text ? text : "", size, SHELF_UPLOAD_BYTES_MAX, error);
    if (body && !json_is_object(body)) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "the body must be an object");
        json_decref(body);
        return NULL;
    }
    return body;
}

// One stream of the capture's copy: what of it is missing here.
static gboolean stream_offer(const RecLesson *lesson, const char *folder, const json_t *one,
                             gint64 skew_ns, Offer *offer, json_t *stretches, GError **error)
{
    const char *name = tk_json_string(one, "name", "");
    gint64 from_ns, to_ns;
    guint64 at = 0;

    if (!tk_name_stream_valid(name) || !shelf_offer_time(one, "from", skew_ns, &from_ns) ||
        !shelf_offer_time(one, "to", skew_ns, &to_ns) || to_ns <= from_ns ||
        to_ns - from_ns > LESSON_S_MAX * TK_NS_PER_S) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID,
                    "a stream of the copy has a name, from and to, and at most a day");
        return FALSE;
    }
    g_autofree char *index = rec_stream_path(folder, name, "index");
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(RecEntry));
    if (g_file_test(index, G_FILE_TEST_EXISTS) && !rec_index_read(index, entries, &at, NULL, error))
        return FALSE;
    Offered *offered = g_new0(Offered, 1);
    offered->stream = g_strdup(name);
    offered->rules = (RecHealRules){lesson->started_ns, skew_ns};
    offered->from_ns = from_ns - lesson->started_ns;
    offered->to_ns = to_ns - lesson->started_ns;
    offered->holes = rec_heal_holes(entries, offered->from_ns, offered->to_ns);
    g_ptr_array_add(offer->streams, offered);
    for (guint i = 0; i < MIN(offered->holes->len, PARTS_MAX); i++) {
        const RecHole *hole = &g_array_index(offered->holes, RecHole, i);
        g_autofree char *path = upload_path(folder, name, hole->key);
        json_t *stretch = json_object();
        tk_json_set_string(stretch, "stream", name);
        tk_json_set_string(stretch, "key", hole->key);
        tk_json_set_time(stretch, "from", lesson->started_ns + hole->from_ns - skew_ns);
        tk_json_set_time(stretch, "to", lesson->started_ns + hole->to_ns - skew_ns);
        tk_json_set_int(stretch, "received", (gint64)file_bytes(path));
        tk_json_set_int(stretch, "bytes_max", (gint64)bytes_max(hole));
        json_array_append_new(stretches, stretch);
    }
    return TRUE;
}

// What is added to the capture's clock: as the relay does, one that is nearly right is believed.
static gint64 skew_read(const json_t *body)
{
    gint64 now_ns, skew_ns;
    if (!shelf_offer_time(body, "now", 0, &now_ns))
        return 0;
    skew_ns = tk_clock_wall_ns() - now_ns;
    return ABS(skew_ns) <= TK_NS_PER_S ? 0 : skew_ns / TK_NS_PER_S * TK_NS_PER_S;
}

// Puts in place what the disk has refused to at the last try. The recording as it is then.
static RecLesson *heal_end(const ShelfApi *api, const char *folder, GError **error)
{
    RecLesson *lesson = rec_heal_finish(folder, error) ? rec_lesson_load(folder, error) : NULL;
    if (lesson)
        api->changed(api->user, lesson);
    return lesson;
}

ShelfReply *shelf_upload_missing(const ShelfApi *api, const ShelfRequest *request, const char *id,
                                 const RecLesson *lesson)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) body = body_read(request, &error);
    g_autoptr(RecLesson) fresh = NULL;
    g_autoptr(json_t) object = json_object();
    const char *name = lesson ? lesson->name : tk_json_string(body, "name", "");
    json_t *stretches = json_array();
    const json_t *one;
    size_t i;

    json_object_set_new(object, "stretches", stretches);
    if (!body)
        return shelf_reply_error(error);
    if (!tk_name_lesson_valid(name))
        return reply_error(TK_ERROR_INVALID, "name: the lesson's name is missing");
    g_autoptr(RecLesson) asked = rec_lesson_new(id, name);
    if (!shelf_request_allowed(request, TK_ROLE_SENDER, asked, &error))
        return shelf_reply_error(error);
    if (!lesson && (!api->wanted(api->user, name) || shelf_was_deleted(api->data, id)))
        return reply_error(TK_ERROR_NOT_FOUND, "this lesson is not recorded here, or was deleted");
    if (json_array_size(json_object_get(body, "streams")) > STREAMS_MAX)
        return reply_error(TK_ERROR_TOO_LARGE, "streams: too many");
    if (api->running(api->user, id) || shelf_uploads_busy(api->uploads, id) ||
        (lesson && lesson->state != REC_STATE_CLOSED)) {
        tk_json_set_string(object, "state",
                           shelf_uploads_busy(api->uploads, id) ? "healing" : "recording");
        return reply_json(object);
    }
    gint64 skew_ns = skew_read(body);
    g_autofree char *folder = rec_folder_path(api->data, id);
    gboolean begins = !lesson;
    if (begins)
        lesson = fresh = shelf_begin_read(id, body, skew_ns, tk_clock_wall_ns(), &error);
    else if (!rec_heal_discard(folder))
        lesson = fresh = heal_end(api, folder, &error);
    if (!lesson)
        return shelf_reply_error(error);
    g_autoptr(Offer) offer = offer_new();
    json_array_foreach(json_object_get(body, "streams"), i, one)
    {
        if (!stream_offer(lesson, folder, one, skew_ns, offer, stretches, &error))
            return shelf_reply_error(error);
    }
    // Not before all of the offer was found good.
    if (begins && !shelf_begin_make(api, api->uploads->begun, request->claims, fresh, &error))
        return shelf_reply_error(error);
    offer_put(api->uploads, id, g_steal_pointer(&offer));
    tk_json_set_string(object, "state", rec_state_word(lesson->state));
    return reply_json(object);
}

static const RecHole *hole_find(const Offer *offer, const char *stream, const char *key,
                                const Offered **ret_offered)
{
    for (guint s = 0; offer && s < offer->streams->len; s++) {
        const Offered *offered = offer->streams->pdata[s];
        if (strcmp(offered->stream, stream) != 0)
            continue;
        for (guint i = 0; i < offered->holes->len; i++) {
            const RecHole *hole = &g_array_index(offered->holes, RecHole, i);
            if (strcmp(hole->key, key) == 0) {
                *ret_offered = offered;
                return hole;
            }
        }
    }
    return NULL;
}

static gboolean bytes_append(const char *path, GBytes *body, guint64 offset, GError **error)
{
    gsize size;
    const void *data = g_bytes_get_data(body, &size);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
    gboolean ok = fd >= 0 && rec_write_all(fd, data, size);
    if (!ok)
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "cannot take the upload: %s", g_strerror(errno));
    // A part of it would be in the way of the next try's offset only until it asks.
    if (fd >= 0)
        close(fd);
    return ok;
}

ShelfReply *shelf_upload_append(const ShelfApi *api, const ShelfRequest *request,
                                const RecLesson *lesson, const char *stream, const char *key)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = rec_folder_path(api->data, lesson->id);
    const Offer *offer = g_hash_table_lookup(api->uploads->offers, lesson->id);
    const Offered *offered = NULL;
    const char *text = g_hash_table_lookup(request->query, "offset");
    guint64 offset = 0;

    if (!shelf_request_allowed(request, TK_ROLE_SENDER, lesson, &error))
        return shelf_reply_error(error);
    const RecHole *hole = hole_find(offer, stream, key, &offered);
    if (!hole || offer->busy || api->running(api->user, lesson->id))
        return reply_error(TK_ERROR_CONFLICT, "ask first what is missing now");
    if (!text || !g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, &offset, NULL))
        return reply_error(TK_ERROR_INVALID, "offset: the number of the body's first byte");
    g_autofree char *path = upload_path(folder, stream, key);
    guint64 have = file_bytes(path), size = g_bytes_get_size(request->body);
    if (offset == have) {
        if (have + size > bytes_max(hole))
            return reply_error(TK_ERROR_TOO_LARGE, "more than that stretch can be");
        // The patch is here twice for a while, and with it what was recorded.
        if (!room_there(api, bytes_max(hole) / 8 + rec_lesson_bytes(lesson), &error) ||
            !bytes_append(path, request->body, offset, &error))
            return shelf_reply_error(error);
        have += size;
    }
    g_autoptr(json_t) object = json_object();
    tk_json_set_int(object, "received", (gint64)have);
    return reply_json(object);
}

// What the healing thread works on.
typedef struct {
    const ShelfApi *api;
    RecLesson *lesson;
    char *folder;
    RecHealRules rules;
    GArray *patches; // RecPatch; its texts are owned
    GPtrArray *sums; // SHA-256 of each, as the capture has it
    guint64 bytes;   // that it may write
    gint64 moved_ns;
    GError *error;
} Healing;

static void patch_clear(void *data)
{
    RecPatch *patch = data;
    g_free((char *)patch->stream);
    g_free((char *)patch->key);
    g_free((char *)patch->path);
    g_free(patch->refused);
}

static void healing_free(void *data)
{
    Healing *healing = data;
    Offer *offer = g_hash_table_lookup(healing->api->uploads->offers, healing->lesson->id);
    if (offer)
        offer->busy = FALSE;
    healing->api->uploads->healing_bytes -= healing->bytes;
    rec_lesson_free(healing->lesson);
    g_array_unref(healing->patches);
    g_ptr_array_unref(healing->sums);
    g_free(healing->folder);
    g_clear_error(&healing->error);
    g_free(healing);
}

static gboolean sum_holds(const RecPatch *patch, const char *wanted)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(patch->path, FALSE, NULL);
    if (!file)
        return FALSE;
    g_autofree char *sum = g_compute_checksum_for_data(
        G_CHECKSUM_SHA256, (const guchar *)g_mapped_file_get_contents(file),
        g_mapped_file_get_length(file));
    return g_ascii_strcasecmp(sum, wanted) == 0;
}

static void heal_work(ShelfReply *reply)
{
    Healing *healing = reply->work_data;

    for (guint i = 0; i < healing->patches->len; i++) {
        const RecPatch *patch = &g_array_index(healing->patches, RecPatch, i);
        if (sum_holds(patch, healing->sums->pdata[i]))
            continue;
        g_unlink(patch->path);
        g_set_error(&healing->error, TK_ERROR, TK_ERROR_CONFLICT,
                    "%s, %s: what has come is not what was sent; send it again", patch->stream,
                    patch->key);
        return;
    }
    if (rec_heal_prepare(healing->folder, healing->lesson, &healing->rules,
                         &g_array_index(healing->patches, RecPatch, 0), healing->patches->len,
                         &healing->moved_ns, &healing->error))
        return;
    g_prefix_error(&healing->error, "not healed: ");
}

static json_t *refused_json(Healing *healing)
{
    json_t *refused = json_array();
    for (guint i = 0; i < healing->patches->len; i++) {
        const RecPatch *patch = &g_array_index(healing->patches, RecPatch, i);
        if (!patch->refused)
            continue;
        tk_log(TK_LOG_WARNING,
               &(TkLogFields){.lesson = healing->lesson->id, .stream = patch->stream},
               "a stretch is not healed: %s", patch->refused);
        g_unlink(patch->path);
        json_t *one = json_object();
        tk_json_set_string(one, "stream", patch->stream);
        tk_json_set_string(one, "key", patch->key);
        tk_json_set_string(one, "why", patch->refused);
        json_array_append_new(refused, one);
    }
    return refused;
}

// On the main thread, where recordings begin and go on.
static void heal_finish(ShelfReply *reply)
{
    Healing *healing = reply->work_data;
    const ShelfApi *api = healing->api;
    g_autoptr(json_t) object = json_object();

    json_object_set_new(object, "refused", refused_json(healing));
    // Nothing fitted: the capture learns of each why.
    gboolean none = healing->error && json_array_size(json_object_get(object, "refused")) > 0;
    if (!healing->error && api->running(api->user, healing->lesson->id))
        g_set_error(&healing->error, TK_ERROR, TK_ERROR_CONFLICT, "the lesson goes on");
    g_autoptr(RecLesson) now =
        healing->error ? NULL : rec_lesson_load(healing->folder, &healing->error);
    if (now && rec_lesson_bytes(now) != rec_lesson_bytes(healing->lesson))
        g_set_error(&healing->error, TK_ERROR, TK_ERROR_CONFLICT, "the lesson went on meanwhile");
    else if (now && rec_heal_commit(healing->folder, now, healing->moved_ns, &healing->error)) {
        g_autoptr(RecLesson) healed = rec_lesson_load(healing->folder, &healing->error);
        if (healed)
            api->changed(api->user, healed);
    }
    if (healing->error)
        (void)rec_heal_discard(healing->folder);
    if (healing->error && !none) {
        shelf_reply_fail(reply, healing->error);
        return;
    }
    g_autofree char *text = tk_json_dump(object);
    reply->head = g_bytes_new(text, strlen(text));
}

static gboolean part_take(Healing *healing, const Offer *offer, const json_t *part, GError **error)
{
    const char *stream = tk_json_string(part, "stream", "");
    const char *key = tk_json_string(part, "key", "");
    const char *sum = tk_json_string(part, "sha256", "");
    const Offered *offered = NULL;

    if (!hole_find(offer, stream, key, &offered)) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT, "ask first what is missing now");
        return FALSE;
    }
    healing->rules = offered->rules; // the same clock and start for all of them
    RecPatch patch = {.stream = g_strdup(stream),
                      .key = g_strdup(key),
                      .path = upload_path(healing->folder, stream, key),
                      .from_ns = offered->from_ns,
                      .to_ns = offered->to_ns};
    g_array_append_val(healing->patches, patch);
    g_ptr_array_add(healing->sums, g_strdup(sum));
    return TRUE;
}

// What a healing may write: all that was recorded, as all of it moves when the copy begins earlier,
// and the patches with the lines of their chunks.
static gboolean room_take(Healing *healing, GError **error)
{
    guint64 bytes = 0;

    for (guint i = 0; i < healing->lesson->streams->len; i++) {
        const RecStream *stream = healing->lesson->streams->pdata[i];
        g_autofree char *media = rec_stream_path(healing->folder, stream->name, "mp4");
        g_autofree char *index = rec_stream_path(healing->folder, stream->name, "index");
        bytes += file_bytes(media) + file_bytes(index);
    }
    for (guint i = 0; i < healing->patches->len; i++) {
        guint64 patch = file_bytes(g_array_index(healing->patches, RecPatch, i).path);
        bytes += patch + patch / 8;
    }
    if (!room_there(healing->api, bytes, error))
        return FALSE;
    healing->bytes = bytes;
    healing->api->uploads->healing_bytes += bytes;
    return TRUE;
}

ShelfReply *shelf_upload_heal(const ShelfApi *api, const ShelfRequest *request,
                              const RecLesson *lesson)
{
    g_autoptr(GError) error = NULL;
    Offer *offer = g_hash_table_lookup(api->uploads->offers, lesson->id);
    const json_t *part;
    size_t i;

    if (!shelf_request_allowed(request, TK_ROLE_SENDER, lesson, &error))
        return shelf_reply_error(error);
    g_autoptr(json_t) body = body_read(request, &error);
    if (!body)
        return shelf_reply_error(error);
    const json_t *parts = json_object_get(body, "parts");
    if (!offer || offer->busy || api->running(api->user, lesson->id))
        return reply_error(TK_ERROR_CONFLICT, "ask first what is missing now");
    if (json_array_size(parts) == 0 || json_array_size(parts) > PARTS_MAX)
        return reply_error(TK_ERROR_INVALID, "parts: what has been uploaded");
    Healing *healing = g_new0(Healing, 1);
    healing->api = api;
    healing->folder = rec_folder_path(api->data, lesson->id);
    healing->lesson = rec_lesson_load(healing->folder, &error);
    healing->patches = g_array_new(FALSE, FALSE, sizeof(RecPatch));
    g_array_set_clear_func(healing->patches, patch_clear);
    healing->sums = g_ptr_array_new_with_free_func(g_free);
    gboolean ok = healing->lesson != NULL;
    if (!ok)
        healing->lesson = rec_lesson_new(lesson->id, lesson->name);
    json_array_foreach(parts, i, part) ok = ok && part_take(healing, offer, part, &error);
    if (!ok || !room_take(healing, &error)) {
        healing_free(healing);
        return shelf_reply_error(error);
    }
    // The next start looks for what a crash leaves of it only where the index does not vouch.
    if (!shelf_index_put(api->index, healing->lesson, NULL, &error))
        tk_log(TK_LOG_WARNING, &(TkLogFields){.lesson = lesson->id}, "%s", error->message);
    offer->busy = TRUE;
    ShelfReply *reply = shelf_reply_new(200, "application/json", NULL);
    reply->work = heal_work;
    reply->finish = heal_finish;
    reply->work_data = healing;
    reply->work_free = healing_free;
    return reply;
}
