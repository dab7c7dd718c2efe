
/*
 * Copyright (C) sync for nginx
 */


#include "unit.h"

#include "sync_sio_namespace.h"
#include "sync_eio.h"
#include "sync_ws.h"


/* packets of the default namespace, and those of another */

typedef struct {
    const char  *text;
    const char  *want;
} packet_t;


static const packet_t  packets[] = {
    { "42[\"e\",1]", "42/foo,[\"e\",1]" },
    { "4212[\"e\"]", "42/foo,12[\"e\"]" },
    { "40{\"sid\":\"x\"}", "40/foo,{\"sid\":\"x\"}" },
    { "41", "41/foo," },
    { "437[]", "43/foo,7[]" },
    { "44{\"message\":\"no\"}", "44/foo,{\"message\":\"no\"}" },
    { "451-[\"e\",{\"_placeholder\":true,\"num\":0}]",
      "451-/foo,[\"e\",{\"_placeholder\":true,\"num\":0}]" },
    { "4612-3[\"a-b\"]", "4612-/foo,3[\"a-b\"]" },

    /* these have no namespace */

    { "2", "2" },
    { "3probe", "3probe" },
    { "6", "6" },
    { "0{\"sid\":\"x\"}", "0{\"sid\":\"x\"}" },
    { "bAP8=", "bAP8=" },
    { "4", "4" },
    { "45", "45" },
    { "47", "47" }
};


static size_t frame(u_char *dst, u_char first, const char *text);
static void test_payload(void);
static void test_frames(void);
static void test_lengths(void);
static void test_bytes(void);
static void renamed(const u_char *p, size_t len, int payload,
    const u_char *want, size_t want_len, const char *name);


int
main(void)
{
    test_payload();
    test_frames();
    test_lengths();
    test_bytes();

    return unit_done();
}


/* over a buffer of the size that was told */

static void
renamed(const u_char *p, size_t len, int payload, const u_char *want,
    size_t want_len, const char *name)
{
    u_char         *text, *dst;
    sync_writer_t   w;

    static const sync_str_t  nsp = sync_string("/foo");

    void          (*rename)(sync_writer_t *w, const u_char *p,
                      const u_char *last, const sync_str_t *nsp);

    rename = payload ? sync_sio_rename_payload : sync_sio_rename_frames;

    text = unit_guard(p, len);

    sync_writer_init(&w, NULL, 0);
    rename(&w, text, text + len, &nsp);

    is_int(w.len, want_len, "its size is told");

    dst = unit_guard(NULL, w.len);
    sync_writer_init(&w, dst, w.len);
    rename(&w, text, text + len, &nsp);

    is_mem(dst, w.len, want, want_len, name);
}


static void
test_payload(void)
{
    char    text[1024], want[1024];
    size_t  i;

    text[0] = '\0';
    want[0] = '\0';

    for (i = 0; i < unit_count(packets); i++) {
        renamed((u_char *) packets[i].text, strlen(packets[i].text), 1,
                (u_char *) packets[i].want, strlen(packets[i].want),
                packets[i].text);

        strcat(text, packets[i].text);
        strcat(text, "\x1e");
        strcat(want, packets[i].want);
        strcat(want, "\x1e");

        renamed((u_char *) text, strlen(text), 1, (u_char *) want,
                strlen(want), "a payload of all before, and this one");
    }

    renamed((u_char *) "", 0, 1, (u_char *) "", 0, "an empty one");
}


static void
test_frames(void)
{
    size_t  i, n, m;
    u_char  text[1024], want[1024];

    n = 0;
    m = 0;

    for (i = 0; i < unit_count(packets); i++) {
        n += frame(text + n, SYNC_WS_FIN|SYNC_WS_TEXT, packets[i].text);
        m += frame(want + m, SYNC_WS_FIN|SYNC_WS_TEXT, packets[i].want);

        renamed(text, n, 0, want, m, packets[i].text);
    }

    /* the last one has no namespace */

    renamed(text, n - 1, 0, want, m - 1, "a frame that is cut stays");
}


static size_t
frame(u_char *dst, u_char first, const char *text)
{
    u_char  *p;

    p = sync_ws_write_header(dst, first, strlen(text));
    memcpy(p, text, strlen(text));

    return p + strlen(text) - dst;
}


/* the header becomes longer, too */

static void
test_lengths(void)
{
    size_t         i, n, m;

    static char    text[70010], want[70010];
    static u_char  from[70100], to[70100];

    static const size_t  lengths[] = {
        3, 120, 121, 125, 126, 127, 65530, 65531, 65535, 65536, 70000
    };

    for (i = 0; i < unit_count(lengths); i++) {
        memset(text, 'x', lengths[i]);
        memcpy(text, "42[", 3);
        text[lengths[i]] = '\0';

        strcpy(want, "42/foo,");
        strcat(want, text + 2);

        n = frame(from, SYNC_WS_FIN|SYNC_WS_TEXT, text);
        m = frame(to, SYNC_WS_FIN|SYNC_WS_TEXT, want);

        renamed(from, n, 0, to, m, "a long frame");
    }
}


/* a message of bytes may look like a packet */

static void
test_bytes(void)
{
    size_t  n, m;
    u_char  text[64], want[64];

    n = frame(text, SYNC_WS_FIN|SYNC_WS_TEXT, "451-[\"e\"]");
    m = frame(want, SYNC_WS_FIN|SYNC_WS_TEXT, "451-/foo,[\"e\"]");
    n += frame(text + n, SYNC_WS_FIN|SYNC_WS_BINARY, "42[1]");
    m += frame(want + m, SYNC_WS_FIN|SYNC_WS_BINARY, "42[1]");
    n += frame(text + n, SYNC_WS_FIN|SYNC_WS_CLOSE, "42[1]");
    m += frame(want + m, SYNC_WS_FIN|SYNC_WS_CLOSE, "42[1]");
    n += frame(text + n, SYNC_WS_FIN|SYNC_WS_TEXT, "42[1]");
    m += frame(want + m, SYNC_WS_FIN|SYNC_WS_TEXT, "42/foo,[1]");

    renamed(text, n, 0, want, m, "bytes and control frames stay");
}
