// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <string.h>

#include "relay/net/sdp.h"

#define HEAD "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=%s\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
#define VIDEO                                                                                      \
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"                                           \
    "a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0IAKeKQ,aM48gA==\r\n"                   \
    "a=control:streamid=0\r\n"
#define AUDIO                                                                                      \
    "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\n"                                \
    "a=fmtp:97 profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;"                       \
    "indexdeltalength=3; config=119056E500\r\na=control:streamid=1\r\n"

static gboolean parse(const char *text, RelayOffer *offer, GError **error)
{
    return relay_sdp_parse(text, strlen(text), offer, error);
}

static void reads_what_ffmpeg_announces(void **state)
{
    g_autofree char *text = g_strdup_printf(HEAD VIDEO AUDIO, "函数的单调性");
    RelayOffer offer = {0};
    assert_true(parse(text, &offer, NULL));
    assert_int_equal(offer.tracks_count, 2);
    assert_int_equal(offer.formats[0].kind, TK_TRACK_VIDEO);
    assert_int_equal(offer.formats[0].payload_type, 96);
    assert_string_equal(offer.formats[0].sprop, "Z0IAKeKQ,aM48gA==");
    assert_int_equal(offer.formats[1].aac.rate, 48000);
    assert_int_equal(offer.formats[1].aac.channels, 2);
    assert_int_equal(offer.formats[1].aac_mode.size_bits, 13);
    assert_string_equal(offer.controls[1], "streamid=1");
    assert_string_equal(offer.info->title, "函数的单调性");
    relay_offer_clear(&offer);
}

static void puts_the_picture_first(void **state)
{
    g_autofree char *text = g_strdup_printf(HEAD AUDIO VIDEO, "No Name");
    RelayOffer offer = {0};
    assert_true(parse(text, &offer, NULL));
    assert_int_equal(offer.formats[0].kind, TK_TRACK_VIDEO);
    assert_string_equal(offer.controls[0], "streamid=0");
    assert_int_equal(offer.formats[1].kind, TK_TRACK_AUDIO);
    assert_null(offer.info->title); // a filler is no title
    relay_offer_clear(&offer);
}

static void reads_the_lessons_record(void **state)
{
    g_autofree char *text = g_strdup_printf(
        HEAD "a=x-tongke-lesson:{\"id\":\"01JD0000000000000000000000\",\"title\":\"单调性\","
             "\"grade\":\"高一\",\"later\":1}\r\n" VIDEO,
        "-");
    RelayOffer offer = {0};
    assert_true(parse(text, &offer, NULL));
    assert_string_equal(offer.id, "01JD0000000000000000000000");
    assert_string_equal(offer.info->title, "单调性");
    assert_string_equal(offer.info->grade, "高一");
    relay_offer_clear(&offer);
}

static void check_refused(const char *text, TkErrorCode code)
{
    RelayOffer offer = {0};
    g_autoptr(GError) error = NULL;
    assert_false(parse(text, &offer, &error));
    check_error(error, code);
    assert_null(offer.info);
}

static void refuses_what_it_cannot_carry(void **state)
{
    static const char *const medias[] = {
        "",
        "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n",
        "m=video 0 RTP/AVP 96\r\n",
        "m=video 0 RTP/AVP 96\r\na=rtpmap:96\r\n",
        "m=audio 0 RTP/AVP 0\r\n",
        VIDEO VIDEO,
        VIDEO AUDIO AUDIO,
        "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=2\r\n",
        "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000\r\na=fmtp:97 config=zz\r\n",
        "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/44100/2\r\n"
        "a=fmtp:97 config=119056E500\r\n",
    };
    for (guint i = 0; i < G_N_ELEMENTS(medias); i++) {
        g_autofree char *head = g_strdup_printf(HEAD, "-");
        g_autofree char *text = g_strconcat(head, medias[i], NULL);
        check_refused(text, TK_ERROR_UNSUPPORTED);
    }
    check_refused("", TK_ERROR_INVALID);
    check_refused("\xff\xfe", TK_ERROR_INVALID);
}

static void believes_only_a_sound_offer_of_retransmission(void **state)
{
    static const struct {
        const char *formats, *lines;
        gboolean nack;
        guint rtx;
    } cases[] = {
        {"96", "", FALSE, 0},
        {"96", "a=rtcp-fb:96 nack pli\r\n", FALSE, 0}, // for pictures, not packets
        {"96", "a=rtcp-fb:* nack\r\n", TRUE, 0},
        {"96 100", "a=rtpmap:100 rtx/90000\r\na=fmtp:100 apt=96;rtx-time=500\r\n", TRUE, 100},
        {"96 100", "a=rtpmap:100 rtx/90000\r\na=fmtp:100 apt=97\r\n", FALSE, 0},
        {"96 100", "a=rtpmap:100 rtx/90000\r\n", FALSE, 0},
        {"96 96", "a=rtpmap:96 rtx/90000\r\na=fmtp:96 apt=96\r\n", FALSE, 0},
        {"96 300 x", "a=rtpmap:300 rtx/90000\r\na=fmtp:300 apt=96\r\n", FALSE, 0},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strdup_printf(
            HEAD "m=video 0 RTP/AVPF %s\r\na=rtpmap:96 H264/90000\r\n%s", "-", cases[i].formats,
            cases[i].lines);
        RelayOffer offer = {0};
        assert_true(parse(text, &offer, NULL));
        assert_int_equal(offer.formats[0].nack, cases[i].nack);
        assert_int_equal(offer.formats[0].rtx_payload_type, cases[i].rtx);
        relay_offer_clear(&offer);
    }
}

static void writes_what_it_can_read(void **state)
{
    static const guint8 avcc[] = {1,    0x42, 0,    0x29, 0xff, 0xe1, 0,    6,    0x67, 0x42, 0,
                                  0x29, 0xe2, 0x90, 1,    0,    4,    0x68, 0xce, 0x3c, 0x80};
    static const guint8 asc[] = {0x11, 0x90};
    RelayStreamFormat format = {.has_video = TRUE, .has_audio = TRUE};
    RelayDescription description = {
        .title = "单调性",
        .host = "127.0.0.1",
        .session = G_MAXUINT32,
        .format = &format,
        .configs = {g_bytes_new_static(avcc, sizeof avcc), g_bytes_new_static(asc, sizeof asc)}};
    g_autofree char *text = relay_sdp_write(&description);
    RelayOffer offer = {0};
    assert_true(parse(text, &offer, NULL));
    assert_true(offer.session == G_MAXUINT32);
    check_contains(text, "m=video 0 RTP/AVP 96\r\n");
    assert_null(strstr(text, "rtcp-fb"));
    assert_false(offer.formats[0].nack);
    assert_string_equal(offer.formats[0].sprop, "Z0IAKeKQ,aM48gA==");
    assert_int_equal(offer.formats[1].aac.rate, 48000);
    assert_int_equal(offer.formats[1].aac.channels, 2);
    assert_string_equal(offer.controls[1], "track=1");
    relay_offer_clear(&offer);

    description.feedback = TRUE;
    g_autofree char *more = relay_sdp_write(&description);
    check_contains(more, "m=video 0 RTP/AVPF 96 98\r\n");
    check_contains(more, "a=rtcp-fb:96 nack\r\n");
    check_contains(more, "a=rtpmap:98 rtx/90000\r\n");
    check_contains(more, "a=fmtp:98 apt=96;rtx-time=");
    check_contains(more, "m=audio 0 RTP/AVPF 97 99\r\n");
    check_contains(more, "a=rtpmap:99 rtx/48000\r\n");
    assert_true(parse(more, &offer, NULL));
    for (guint i = 0; i < 2; i++) {
        assert_true(offer.formats[i].nack);
        assert_int_equal(offer.formats[i].rtx_payload_type, 98 + i);
    }
    relay_offer_clear(&offer);
    for (guint i = 0; i < 2; i++)
        g_bytes_unref(description.configs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_ffmpeg_announces),
        cmocka_unit_test(puts_the_picture_first),
        cmocka_unit_test(reads_the_lessons_record),
        cmocka_unit_test(refuses_what_it_cannot_carry),
        cmocka_unit_test(believes_only_a_sound_offer_of_retransmission),
        cmocka_unit_test(writes_what_it_can_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
