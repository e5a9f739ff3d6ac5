// SPDX-License-Identifier: MIT
#include "relay/config.h"

#include "relay/net/groups.h"
#include "relay/net/stream.h"

#define S TK_CONFIG_STRING
#define I TK_CONFIG_INT

const TkConfigField relay_config_fields[] = {
    {"relay", "name", S, "tongke", 1, 128, NULL, "What this relay is called on the page."},
    {"rtsp", "listen", S, "127.0.0.1", 1, 64, NULL,
     "Numeric address for RTSP and RTP. Beyond loopback auth.key_file is needed."},
    {"rtsp", "port", I, "8554", 0, 65535, NULL, "TCP port of RTSP; 0 = any free one."},
    {"rtsp", "rtp_port", I, "8000", 0, 65534, NULL,
     "UDP port of RTP, even; RTCP uses the next one. One pair serves everybody. 0 = any free "
     "pair."},
    {"udp", "backend", TK_CONFIG_CHOICE, "auto", 0, 0, "auto|gso|sendmmsg|sendto",
     "How RTP is given to the kernel: a frame at once (gso), many datagrams at once (sendmmsg) or "
     "one by one; auto takes the first that works."},
    {"web", "listen", S, "127.0.0.1", 1, 64, NULL,
     "Numeric address for the page, the API and WebSocket. Beyond loopback auth.key_file is "
     "needed."},
    {"web", "port", I, "8080", 0, 65535, NULL, "TCP port; 0 = any free one."},
    {"web", "page", S, "", 0, 4096, NULL,
     "Folder of the page; empty = the one installed with this program."},
    {"web", "library", S, ":8081", 0, 1024, NULL,
     "Where browsers find the recorder's library: a URL, or :PORT on the page's own host; empty = "
     "none."},
    {"web", "congestion", TK_CONFIG_CHOICE, "bbr", 0, 0, "bbr|default",
     "How WebSocket viewers' TCP finds its rate: bbr, where the kernel has it, keeps to it on "
     "lossy "
     "lines; default is the system's."},
    {"auth", "key_file", S, "", 0, 4096, NULL,
     "JSON Web Key against which tokens are checked (tongkectl key new FILE makes one); empty = no "
     "tokens, loopback only."},
    {"upstream", "relays", S, "", 0, 4096, NULL,
     "Relays that this one gets lessons from: http://HOST:PORT of each one's web port, the "
     "preferred "
     "first, spaces between; empty = none."},
    {"upstream", "token_file", S, "", 0, 4096, NULL,
     "File with the token that is shown to them (role recorder); empty = none."},
    {"upstream", "ahead", S, "", 0, 4096, NULL,
     "Names of lessons that are fetched before anybody here wants them; * and ? stand for "
     "anything, "
     "spaces between."},
    {"upstream", "transport", TK_CONFIG_CHOICE, "auto", 0, 0, "auto|udp|tcp",
     "How media is fetched: auto = UDP with repair, TCP where UDP does not get through."},
    {"upstream", "rendition", TK_CONFIG_CHOICE, "main", 0, 0, "main|auto",
     "What is fetched of a lesson's main stream: main = that as it is, whole after a cut of the "
     "line; auto = as the line carries it, then the low picture or the sound alone, for a school "
     "behind a weak line."},
    {"upstream", "return_s", I, "30", 0, 3600, NULL,
     "A preferred upstream that came back has to stay for so many seconds before streams return to "
     "it."},
    {"lesson", "away_s", I, "300", 1, 86400, NULL,
     "Seconds that a lesson waits for a sender whose connection was lost."},
    {"lesson", "teardown_s", I, "15", 0, 86400, NULL,
     "Seconds that it waits after an orderly TEARDOWN."},
    {"lesson", "stall_s", I, "10", 2, 3600, NULL,
     "A sender that has sent nothing for so many seconds is disconnected."},
    {"history", "chunk_s", I, "60", 2, 3600, NULL,
     "Seconds of chunks kept for recorders and browsers that come back."},
    {"history", "chunk_mib", I, "64", 1, 4096, NULL, "And at most so many MiB per stream."},
    {"history", "packet_s", I, "10", 2, 600, NULL, "Seconds of RTP packets kept for late joiners."},
    {"history", "packet_mib", I, "16", 1, 1024, NULL, "And at most so many MiB per stream."},
    {"repair", "enabled", TK_CONFIG_BOOL, "true", 0, 0, NULL,
     "Whether packets that a viewer misses are sent again, and the sender is asked for those that "
     "are missing here."},
    {"pacing", "enabled", TK_CONFIG_BOOL, "true", 0, 0, NULL,
     "Whether viewers over UDP are sent to no faster than their lines are seen to carry."},
    {"qos", "dscp", I, "34", 0, 63, NULL,
     "Traffic class (DSCP) of what is sent to viewers, by which routers may let it go first: 34 is "
     "AF41, interactive video; 0 = none."},
    {"multicast", "enabled", TK_CONFIG_BOOL, "false", 0, 0, NULL,
     "Whether viewers of this relay's own LAN may have a lesson by multicast: one copy for all of "
     "them. Not for a relay on a WAN."},
    {"multicast", "groups", S, "239.255.0.0/16", 1, 64, NULL,
     "Groups to choose from, inside 239.0.0.0/8; not those of another relay in the same LAN."},
    {"multicast", "groups_max", I, "64", 1, RELAY_GROUPS_MAX, NULL,
     "Groups at once, one for each stream that is watched so."},
    {"multicast", "port", I, "18000", 1024, 65000, NULL,
     "First UDP port of the groups, even; each group has four of its own."},
    {"multicast", "ttl", I, "1", 1, 255, NULL,
     "Routers that the packets may pass, and one; 1 = none."},
    {"multicast", "interface", S, "", 0, 64, NULL,
     "This machine's IPv4 address in that LAN; empty = that of rtsp.listen."},
    {"workers", "packet", I, "1", 1, RELAY_WORKERS_MAX, NULL, "Threads for RTSP and RTP."},
    {"workers", "web", I, "1", 1, RELAY_WORKERS_MAX, NULL, "Threads for the page and WebSocket."},
    {"workers", "pin", S, "false", 1, 1024, NULL,
     "Whether each of these threads is bound to a processor core of its own, packet workers first: "
     "true, false, or the cores' numbers, such as 2,3."},
    {"limits", "lessons", I, "64", 1, 10000, NULL, "Lessons at once."},
    {"limits", "connections", I, "4096", 1, 100000, NULL,
     "Connections at once to the RTSP port, and as many to the web port."},
    {"limits", "connections_per_host", I, "512", 1, 100000, NULL,
     "And at most so many from one address, over both ports; a school behind NAT is one. This "
     "machine "
     "itself is not counted."},
    {"limits", "total_kbps", I, "0", 0, 100000000, NULL,
     "kbit/s that all viewers together may be sent: who comes when there is no room begins with a "
     "smaller rendition, and without room for that is refused; 0 = no limit."},
    {"limits", "school_kbps", I, "0", 0, 100000000, NULL,
     "And those of one school, by the name in their tokens; recorders and relays are not counted; "
     "0 "
     "= no limit."},
    {NULL},
};
