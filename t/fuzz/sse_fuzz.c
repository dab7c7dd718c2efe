
/*
 * Copyright (C) sync for nginx
 */


#include "fuzz.h"

#include "sync_sse.h"


/* what an EventSource would make of one event */

typedef struct {
    u_char    *data;
    size_t     len;
    u_char    *id;
    size_t     id_len;
    u_char    *event;
    size_t     event_len;
    int        events;
} source_t;


static void write_event(sync_writer_t *w, const sync_str_t *text,
    const sync_str_t *value);
static void read_event(source_t *s, u_char *p, size_t len);
static size_t strip(u_char *dst, const u_char *p, size_t len);
static void check_ids(const u_char *p, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          i, k, n;
    u_char         *p, *buf, *want;
    source_t        s;
    sync_str_t      text, value;
    sync_writer_t   w;

    if (size == 0) {
        return 0;
    }

    n = (data[0] < size - 1) ? data[0] : size - 1;

    value.len = n;
    value.data = fuzz_copy(data + 1, n);
    text.len = size - 1 - n;
    text.data = fuzz_copy(data + 1 + n, text.len);

    sync_writer_init(&w, NULL, 0);
    write_event(&w, &text, &value);

    n = w.len;
    buf = fuzz_alloc(n);
    sync_writer_init(&w, buf, n);
    write_event(&w, &text, &value);
    fuzz_check(w.len == n);

    read_event(&s, buf, n);
    fuzz_check(s.events == 1);

    /* the values without what cannot be in them */

    want = fuzz_alloc(size);
    n = strip(want, value.data, value.len);

    fuzz_check(s.id_len == n && memcmp(s.id, want, n) == 0);
    fuzz_check(s.event_len == n && memcmp(s.event, want, n) == 0);

    /* the text with its line breaks made one kind */

    p = text.data;

    for (i = 0, k = 0; i < text.len; i++) {

        if (p[i] == '\r') {
            want[k++] = '\n';
            i += (i + 1 < text.len && p[i + 1] == '\n');

        } else {
            want[k++] = p[i];
        }
    }

    fuzz_check(s.len == k && memcmp(s.data, want, k) == 0);

    free(s.data);
    free(want);
    free(buf);

    check_ids(text.data, text.len);

    free(text.data);
    free(value.data);

    return 0;
}


static void
write_event(sync_writer_t *w, const sync_str_t *text,
    const sync_str_t *value)
{
    sync_sse_write_comment(w, value);
    sync_sse_write_id(w, value);
    sync_sse_write_retry(w, text->len);
    sync_sse_write_event(w, value);
    sync_sse_write_data(w, text->data, text->len);
    sync_sse_write_end(w);
}


/* as the HTML standard has it, 9.2.6 */

static void
read_event(source_t *s, u_char *p, size_t len)
{
    size_t   n;
    u_char  *line, *value, *last;

    memset(s, 0, sizeof(source_t));

    s->data = fuzz_alloc(len);
    last = p + len;

    while (p < last) {
        line = p;

        while (p < last && *p != '\n' && *p != '\r') {
            p++;
        }

        fuzz_check(p < last);

        n = p - line;
        p += (*p == '\r' && p + 1 < last && p[1] == '\n') ? 2 : 1;

        if (n == 0) {

            if (s->len) {
                s->len--;
                s->events++;
            }

            continue;
        }

        value = memchr(line, ':', n);
        fuzz_check(value);

        if (value == line) {
            continue;
        }

        n -= value + 1 - line;
        value++;

        if (n && *value == ' ') {
            value++;
            n--;
        }

        if (memcmp(line, "data:", 5) == 0) {
            memcpy(s->data + s->len, value, n);
            s->len += n;
            s->data[s->len++] = '\n';

        } else if (memcmp(line, "id:", 3) == 0) {
            fuzz_check(memchr(value, '\0', n) == NULL);
            s->id = value;
            s->id_len = n;

        } else if (memcmp(line, "event:", 6) == 0) {
            s->event = value;
            s->event_len = n;

        } else {
            fuzz_check(memcmp(line, "retry:", 6) == 0);

            while (n--) {
                fuzz_check(value[n] >= '0' && value[n] <= '9');
            }
        }
    }
}


static size_t
strip(u_char *dst, const u_char *p, size_t len)
{
    size_t  i, n;

    for (i = 0, n = 0; i < len; i++) {

        if (p[i] != '\r' && p[i] != '\n' && p[i] != '\0') {
            dst[n++] = p[i];
        }
    }

    return n;
}


static void
check_ids(const u_char *p, size_t len)
{
    size_t       start, end, i;
    sync_str_t   list, id;

    list.data = (u_char *) p;
    list.len = len;

    for (i = 0, start = 0; i <= len; i++) {

        if (i < len && p[i] != ',') {
            continue;
        }

        end = i;

        while (start < end && (p[start] == ' ' || p[start] == '\t')) {
            start++;
        }

        while (start < end && (p[end - 1] == ' ' || p[end - 1] == '\t')) {
            end--;
        }

        if (end == start + 1 && p[start] == '-') {
            end--;
        }

        fuzz_check(sync_sse_next_id(&id, &list) == SYNC_OK);
        fuzz_check(id.len == end - start);
        fuzz_check(id.len == 0 || id.data == p + start);

        start = i + 1;
    }

    fuzz_check(sync_sse_next_id(&id, &list) == SYNC_DECLINED);
}
