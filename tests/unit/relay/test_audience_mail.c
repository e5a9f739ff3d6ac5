// SPDX-License-Identifier: MIT
#include "tests/unit/relay/audience_stage.h"

#include <string.h>

#include "relay/net/audience_mail.h"

#define ROOM 4

static void ring(gpointer data) {}

static void pass(gpointer owner, gpointer data) {}

// The worker does something else, for so long that nothing more is taken.
static void fill(RelayMailbox *mailbox)
{
    for (guint i = 0; i < ROOM; i++)
        relay_mailbox_post(mailbox, pass, NULL);
}

static void hand_on_init(Stage *stage, const char *content, guint32 flags)
{
    static const RelayStreamFormat format = {.mime = "video/mp4", .has_video = TRUE};
    RelayUnit *init = relay_unit_new(8);
    memcpy(init->data, content, 8);
    init->flags = RELAY_UNIT_INIT | flags;
    init->number = stage->chunks + 1;
    relay_audience_mail_init(stage->stream, init, &format);
}

static gboolean hand_on_chunk(Stage *stage, RelayMailbox *mailbox, guint32 flags)
{
    g_autoptr(RelayUnit) chunk = relay_unit_new(8);
    chunk->flags = RELAY_UNIT_KEY | flags;
    chunk->number = ++stage->chunks;
    stage->now_ns += SECOND / 10;
    chunk->arrived_ns = chunk->media_ns = stage->now_ns;
    memcpy(chunk->data, &chunk->number, 8);
    return relay_audience_mail_chunk(mailbox, stage->stream, chunk);
}

static RelayMailbox *live(Stage *stage)
{
    relay_audience_set_state(stage->audience, stage->stream, "live", "{\"id\":\"x\"}");
    return relay_mailbox_new(ROOM, ring, NULL);
}

static void an_initialisation_segment_is_not_lost_with_what_has_no_room(void **state)
{
    Stage *stage = *state;
    RelayMailbox *mailbox = live(stage);
    RelaySocket *socket = stage_open(stage, "/live/math", NULL);
    check_next("state live");
    fill(mailbox);
    hand_on_init(stage, "init-one", 0);
    assert_false(hand_on_chunk(stage, mailbox, 0));
    relay_mailbox_run(mailbox, stage->audience);
    check_next("nothing");
    assert_true(hand_on_chunk(stage, mailbox, 0));
    assert_true(hand_on_chunk(stage, mailbox, 0));
    relay_mailbox_run(mailbox, stage->audience);
    check_next("init ");
    check_next("binary init-one");
    check_next("chunk 2");
    check_next("chunk 3");
    fill(mailbox);
    hand_on_init(stage, "init-two", 0);
    assert_false(hand_on_chunk(stage, mailbox, 0));
    relay_mailbox_run(mailbox, stage->audience);
    assert_true(hand_on_chunk(stage, mailbox, 0));
    relay_mailbox_run(mailbox, stage->audience);
    check_next("gap 4-4");
    check_next("init ");
    check_next("binary init-two");
    check_next("chunk 5");
    assert_true(hand_on_chunk(stage, mailbox, 0));
    relay_mailbox_run(mailbox, stage->audience);
    check_next("chunk 6");
    check_next("nothing");
    relay_audience_leave(stage->audience, socket);
    relay_mailbox_free(mailbox);
}

static void the_sound_alone_has_its_own(void **state)
{
    Stage *stage = *state;
    RelayMailbox *mailbox = live(stage);
    hand_on_init(stage, "init-one", 0);
    fill(mailbox);
    hand_on_init(stage, "init-two", RELAY_UNIT_SOUND);
    assert_false(hand_on_chunk(stage, mailbox, RELAY_UNIT_SOUND));
    relay_mailbox_run(mailbox, stage->audience);
    assert_true(hand_on_chunk(stage, mailbox, 0));
    assert_true(hand_on_chunk(stage, mailbox, RELAY_UNIT_SOUND));
    relay_mailbox_run(mailbox, stage->audience);
    RelaySocket *socket = stage_open(stage, "/live/math/audio", NULL);
    check_next("state live");
    check_next("init ");
    check_next("binary init-two");
    check_next("chunk 3");
    relay_audience_leave(stage->audience, socket);
    socket = stage_open(stage, "/live/math", NULL);
    check_next("state live");
    check_next("init ");
    check_next("binary init-one");
    check_next("chunk 2");
    relay_audience_leave(stage->audience, socket);
    relay_mailbox_free(mailbox);
}

#define T(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_initialisation_segment_is_not_lost_with_what_has_no_room),
        T(the_sound_alone_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
