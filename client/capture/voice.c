// SPDX-License-Identifier: MIT
#include <math.h>

#include "client/capture/test_lesson.h"

#define RATE 48000.0
#define SYLLABLE_S 0.24
#define SYLLABLES 14 // a phrase; the last three are its pause
#define PAUSE 3

// First three formants in Hz: a, i, u, e, o.
static const double vowels[5][3] = {
    {730, 1090, 2440}, {270, 2290, 3010}, {300, 870, 2240}, {530, 1840, 2480}, {570, 840, 2410},
};

// A number that looks random but depends on `n` only.
static guint scatter(guint n)
{
    n = (n ^ 61) ^ (n >> 16);
    n *= 9;
    n ^= n >> 4;
    n *= 0x27d4eb2d;
    return n ^ (n >> 15);
}

static double resonate(double memory[2], double x, double hz, double bandwidth)
{
    double r = exp(-G_PI * bandwidth / RATE), angle = 2 * G_PI * hz / RATE;
    double gain = (1 - r) * 2 * sin(angle); // about 1 at the resonance
    double y = gain * x + 2 * r * cos(angle) * memory[0] - r * r * memory[1];

    memory[1] = memory[0];
    memory[0] = y;
    return y;
}

void cap_voice_run(CapVoice *voice, guint64 from, float *ret, guint count)
{
    for (guint i = 0; i < count; i++) {
        double at = (double)(from + i) / RATE / SYLLABLE_S;
        guint syllable = (guint)at;
        double inside = at - syllable, envelope = sin(G_PI * inside);
        guint chance = scatter(syllable);
        const double *formants = vowels[chance % G_N_ELEMENTS(vowels)];
        // Four tones: level, rising, dipping, falling.
        double tone[4] = {0, inside - 0.5, 2 * fabs(inside - 0.5) - 0.5, 0.5 - inside};
        double pitch = 190 * (1 + 0.22 * tone[chance >> 8 & 3]);

        voice->phase += pitch / RATE;
        voice->phase -= floor(voice->phase);
        if (syllable % SYLLABLES >= SYLLABLES - PAUSE)
            envelope = 0;
        // Falling saw: the folds close at once and open slowly.
        double x = envelope * (1 - 2 * voice->phase), y = 0;
        static const double gains[3] = {6, 4, 2.5};
        for (guint f = 0; f < 3; f++)
            y += gains[f] * resonate(voice->y[f], x, formants[f], 70 + 30 * f);
        ret[i] = (float)CLAMP(y * 0.14, -1, 1);
    }
}
