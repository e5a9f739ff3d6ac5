// SPDX-License-Identifier: MIT
#pragma once

#include "tests/sim/net.h"
#include "tests/unit/relay/sender.h"

// A capture that sends the same lesson in two sizes, as tongke-capture does: `main` with 25
// pictures a second and `low` with every second of them, key frames made together, the same sound
// in both. What every packet belongs to stands in it.

typedef enum { STUDIO_MAIN, STUDIO_LOW, STUDIO_STREAMS } StudioStream;

#define STUDIO_FRAME_MS 40
#define STUDIO_KEY_EVERY 50 // pictures
#define STUDIO_FRAME_TICKS (STUDIO_FRAME_MS * 90)
#define STUDIO_SOUND_TICKS 1024
// What it sends, about: with packets' heads.
#define STUDIO_MAIN_BPS 1230000
#define STUDIO_LOW_BPS 250000
#define STUDIO_SOUND_BPS 57000

// What a packet's last bytes say of it.
typedef struct {
    guint stream; // of a picture
    guint frame;  // counted from the beginning: pictures of main; sound
    guint part;   // of the frame: which packet
    gboolean key, last;
} StudioMark;

// `data` ends with a packet's payload. FALSE: there is none.
gboolean studio_read_mark(const guint8 *data, gsize bytes, StudioMark *ret);
// Whether a payload is the parameter sets of this stream's key frames.
gboolean studio_is_config(const guint8 *data, gsize bytes, StudioStream stream);

typedef struct {
    NetSpec line[STUDIO_STREAMS];
    guint late_ms;           // `low` begins so much later
    gint64 shake_ns;         // reports' clock readings are off by as much
    gint64 gone_ms, back_ms; // `low` is not sent in between
} StudioPlan;

typedef struct {
    const StudioPlan *plan;
    NetWheel *wheel;
    NetRandom random;
    gint64 epoch_wall_ns;
    guint pictures, sounds; // made so far
    struct {
        RelayInput *input; // borrowed
        NetLine out;
        gboolean present;
        Sender senders[2];
        RelayTrackFormat formats[2];
    } streams[STUDIO_STREAMS];
} Studio;

void studio_init(Studio *studio, const StudioPlan *plan, NetWheel *wheel, gint64 epoch_wall_ns,
                 RelayInput *main, RelayInput *low, guint32 seed);
void studio_step(Studio *studio, gint64 now_ms);
// The moment at which a frame was made.
gint64 studio_made_ms(guint track, guint frame);
