// SPDX-License-Identifier: MIT
// Starts node-media-server: node node-media-server.cjs PACKAGE-FOLDER RTMP-PORT HTTP-PORT DATA-FOLDER
// The members that a version does not know it passes over.
const [folder, rtmp, http, data] = process.argv.slice(2);
const NodeMediaServer = require(folder);

new NodeMediaServer({
    bind: "127.0.0.1",
    logType: 1,
    rtmp: { port: Number(rtmp), chunk_size: 60000, gop_cache: true, ping: 30, ping_timeout: 60 },
    http: { port: Number(http), allow_origin: "*", mediaroot: data },
    webadmin: { enable: false },
    store: { path: data },
    record: { auto: false, path: data },
}).run();
