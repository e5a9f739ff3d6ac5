// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/media/latm.h"

static void reads_configurations(void **state)
{
    static const guint8 short_one[] = {0x40, 0x00, 0x23, 0x20, 0x3f, 0xc0};
    static const guint8 with_extension[] = {0x40, 0x00, 0x23, 0x10, 0xad, 0xca, 0x00};
    TkAacConfig aac;
    assert_true(tk_latm_config_parse(short_one, sizeof short_one, &aac));
    assert_int_equal(aac.rate, 48000);
    assert_int_equal(aac.channels, 2);
    assert_int_equal(aac.config_bytes, 2);
    assert_memory_equal(aac.config, ((guint8[]){0x11, 0x90}), 2);
    assert_true(tk_latm_config_parse(with_extension, sizeof with_extension, &aac));
    assert_int_equal(aac.channels, 1);
}

static void refuses_what_it_cannot_unpack(void **state)
{
    static const guint8 sound[] = {0x40, 0x00, 0x23, 0x20, 0x3f, 0xc0};
    // version, time framing, frames, programs, layers, object type
    static const guint8 flips[][2] = {{0, 0x80}, {0, 0x40}, {0, 0x01},
                                      {1, 0x10}, {1, 0x02}, {2, 0x40}};
    TkAacConfig aac;
    for (guint i = 0; i < G_N_ELEMENTS(flips); i++) {
        guint8 config[sizeof sound];
        memcpy(config, sound, sizeof sound);
        config[flips[i][0]] ^= flips[i][1];
        assert_false(tk_latm_config_parse(config, sizeof config, &aac));
    }
    for (gsize size = 0; size < 4; size++)
        assert_false(tk_latm_config_parse(sound, size, &aac));
}

static void finds_the_frame(void **state)
{
    guint8 payload[2 + 255 + 45] = {255, 45};
    gsize bytes = 7;
    assert_ptr_equal(tk_latm_frame(payload, sizeof payload, &bytes), payload + 2);
    assert_int_equal(bytes, 300);
    assert_null(tk_latm_frame(payload, sizeof payload - 1, &bytes));
    assert_null(tk_latm_frame(payload, 1, &bytes));
    assert_null(tk_latm_frame((guint8[]){0}, 1, &bytes));
    assert_null(tk_latm_frame(NULL, 0, &bytes));
    assert_int_equal(bytes, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_configurations),
        cmocka_unit_test(refuses_what_it_cannot_unpack),
        cmocka_unit_test(finds_the_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
