// SPDX-License-Identifier: MIT
#include "client/capture/devices.h"

#include <gst/gst.h>

// The property of the device's source element by which --source or --audio name it.
static char *address_of(GstDevice *device)
{
    g_autoptr(GstElement) element = gst_device_create_element(device, NULL);
    g_autofree char *address = NULL;

    if (!element)
        return NULL;
    gst_object_ref_sink(element);
    if (g_object_class_find_property(G_OBJECT_GET_CLASS(element), "device"))
        g_object_get(element, "device", &address, NULL);
    return g_steal_pointer(&address);
}

static void add_line(GString *text, GstDevice *device)
{
    gboolean camera = gst_device_has_classes(device, "Video/Source");
    g_autofree char *name = gst_device_get_display_name(device);
    g_autofree char *address = address_of(device);

    if (address)
        g_string_append_printf(text, "%s:%-32s %s\n", camera ? "--source camera" : "--audio mic",
                               address, name);
}

char *cap_devices_list(void)
{
    g_autoptr(GstDeviceMonitor) monitor = gst_device_monitor_new();
    g_autoptr(GString) text =
        g_string_new("--source test                          the built-in lesson\n");

    gst_device_monitor_add_filter(monitor, "Video/Source", NULL);
    gst_device_monitor_add_filter(monitor, "Audio/Source", NULL);
    if (gst_device_monitor_start(monitor)) {
        g_autolist(GstDevice) devices = gst_device_monitor_get_devices(monitor);
        for (GList *l = devices; l; l = l->next)
            add_line(text, l->data);
        gst_device_monitor_stop(monitor);
    }
    if (g_getenv("DISPLAY"))
        g_string_append_printf(text, "--source screen:%-20s this screen\n", g_getenv("DISPLAY"));
    return g_string_free(g_steal_pointer(&text), FALSE);
}
