// SPDX-License-Identifier: MIT
// What a capture can upload.
#include "recorder/archive/patch.h"
#include "tests/fuzz/target.h"

static void check_samples(const GArray *samples, const guint8 *data, gsize size)
{
    guint64 sum = 0;
    for (guint i = 0; i < samples->len; i++) {
        const RecSample *sample = &g_array_index(samples, RecSample, i);
        g_assert(sample->data >= data && sample->size <= (gsize)(data + size - sample->data));
        for (guint32 n = 0; n < sample->size; n++)
            sum += sample->data[n];
        if (i > 0)
            g_assert(sample->time >= g_array_index(samples, RecSample, i - 1).time);
    }
    g_assert(sum <= 255 * (guint64)size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(RecPatchMedia) patch = rec_patch_read(data, size, &error);

    g_assert((patch != NULL) == (error == NULL));
    for (guint kind = 0; patch && kind < 2; kind++) {
        const GArray *samples = patch->samples[kind];
        check_samples(samples, data, size);
        for (guint left = 0; samples->len && left < 2; left++) {
            RecPlace place = {0};
            if (rec_patch_find(samples, samples, left == 0, 0, 0, &place))
                g_assert(place.index < samples->len && place.delta == 0 &&
                         place.same <= place.room);
        }
    }
    return 0;
}
